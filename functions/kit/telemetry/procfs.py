"""The kernel's small files: text, a number, a field; None or 0 where there is nothing to read."""

from __future__ import annotations

from pathlib import Path


def read(path: Path) -> str | None:
    """What is in a file; None where it cannot be read."""
    try:
        return path.read_text()
    except OSError:
        return None


def number(text: str | None) -> int | None:
    """The number that a text is; None where it is none."""
    try:
        return int(text or "")
    except ValueError:
        return None


def field(text: str, name: str) -> int:
    """The number after a name in lines of `name number`; 0 if it is not there."""
    for line in text.splitlines():
        words = line.split()
        if len(words) >= 2 and words[0] == name:
            return int(words[1])
    return 0
