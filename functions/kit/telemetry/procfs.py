"""Files of procfs and cgroupfs as text, a number or a field; None or 0 if unreadable."""

from __future__ import annotations

from pathlib import Path


def read(path: Path) -> str | None:
    """The content of a file; None if it cannot be read."""
    try:
        return path.read_text()
    except OSError:
        return None


def number(text: str | None) -> int | None:
    """The whole number of a text; None for other text."""
    try:
        return int(text or "")
    except ValueError:
        return None


def field(text: str, name: str) -> int:
    """The number after a name in lines of `name number`; 0 without such a line."""
    for line in text.splitlines():
        words = line.split()
        if len(words) >= 2 and words[0] == name:
            return int(words[1])
    return 0
