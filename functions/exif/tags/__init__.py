"""Tag tables: name, type and printer of each tag number, parsed when first needed.

`functions.exif` alone imports it; `tables` reads the `.tsv` files, `formulas` compiles their formulas.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

from functions.exif.blocks.entries import Entry
from functions.exif.blocks.values import Shown
from functions.exif.tags.tables import Field
from functions.exif.tags.tables import table as read_table

# The standard's directories, in the order in which a number is looked up.
DIRECTORIES = ("IFD0", "ExifIFD", "GPS", "InteropIFD")


@dataclass(slots=True)
class Tag:
    """One tag as the tables describe it."""

    name: str
    types: str = ""
    number: int = 0
    show: str = ""
    labels: dict[Any, str] = field(default_factory=dict)
    standard_name: str = ""


Rule = Callable[[Entry, Tag, str], Shown]


class Table(dict[int, Tag]):
    """The tags of a directory by number, each described when it is first asked for.

    What no table names is described anew each time: a file of made-up numbers must not fill memory.
    """

    def __init__(self, directory: str) -> None:
        super().__init__()
        self.directory = directory

    def __missing__(self, number: int) -> Tag:
        found, known = _described(self.directory, number)
        if known:
            self[number] = found
        return found


_TABLES = {directory: Table(directory) for directory in ("GPS", "PanasonicRaw")}
_ANY = Table("Exif")


def table(directory: str) -> Table:
    """The tags of a directory: `GPS`, `PanasonicRaw`, or any other, which all share their numbers."""
    return _TABLES.get(directory, _ANY)


def tag(directory: str, number: int) -> Tag:
    """The tag of a number in a directory.

    Args:
        directory: `IFD0`, `ExifIFD`, `GPS`, …; `PanasonicRaw` for the first directory of an RW2.
        number: of the tag.

    Returns:
        Its description; an unknown one is named by its number, as `Exif_0xc6d4`.
    """
    return table(directory)[number]


def _described(directory: str, number: int) -> tuple[Tag, bool]:
    """A number's description, and whether a table has it."""
    if directory == "GPS":
        row = _row("GPS", number)
        return (_tag(row), True) if row else (Tag(f"GPS_0x{number:04x}"), False)
    row = _row("IFD0", number) or _row("ExifIFD", number) or _row("InteropIFD", number)
    if row and directory != "PanasonicRaw":
        return _tag(row), True
    if directory == "PanasonicRaw":
        row = _row("PanasonicRaw", number)
        if row:
            return _tag(row), True
        return replace(tag("IFD0", number), name=f"PanasonicRaw_0x{number:04x}"), False
    row = _row("Private", number)
    return (_tag(row), True) if row else (Tag(f"Exif_0x{number:04x}", show="unknown"), False)


def _row(section: str, number: int) -> Field | None:
    rows = read_table(f"Exif.{section}").rows.get(number)
    return rows[0] if rows else None


def _tag(row: Field) -> Tag:
    flags, cell = row.flags, row.text[3]
    return Tag(
        row.name,
        flags.get("types", "").replace(",", " "),
        int(flags.get("count", 0)),
        flags.get("show", ""),
        dict(row.table.labels(cell).exact) if cell else {},
        flags.get("standard", "").replace("_", " "),
    )


def all_tags(directories: tuple[str, ...] = DIRECTORIES) -> dict[str, dict[int, Tag]]:
    """The tags of sections of the Exif tables, for documentation and tests: the standard's by directory."""
    return {
        name: {number: _tag(rows[0]) for number, rows in read_table(f"Exif.{name}").rows.items() if type(number) is int}
        for name in directories
    }
