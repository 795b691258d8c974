"""The files of the tables: each is read when something of it is needed, and kept as the text of its sections."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

FOLDER = Path(__file__).parent
# Begins the names of sections that hold labels.
LABELS = "labels:"


@lru_cache(maxsize=64)
def texts(file: str) -> dict[str, tuple[str, str]]:
    """The sections of a file: attributes and rows, unparsed, by name."""
    found: dict[str, tuple[str, str]] = {}
    text = (FOLDER / f"{file.lower()}.tsv").read_text(encoding="utf-8")
    for part in text.split("\n[")[1:]:
        head, _, body = part.partition("\n")
        name, _, attributes = head.partition("]")
        found[name] = attributes.strip(), body
    return found


def sections(file: str) -> list[str]:
    """The names of the tables of a file."""
    return [name for name in texts(file) if not name.startswith(LABELS)]
