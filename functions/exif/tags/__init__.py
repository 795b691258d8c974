"""The tag of a number in a directory: the standard's, or one of those beyond it.

The tables of the latter are imported with the first number that the standard does not name.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

from functions.exif.standard import EXIF, GPS, IFD0, INTEROP


@dataclass(slots=True)
class Tag:
    """One tag as the tables describe it."""

    name: str
    types: str = ""
    number: int = 0
    show: str = ""
    labels: dict[Any, str] = field(default_factory=dict)
    standard_name: str = ""


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
        row = GPS.get(number)
        return (Tag(*row), True) if row else (Tag(f"GPS_0x{number:04x}"), False)
    row = IFD0.get(number) or EXIF.get(number) or INTEROP.get(number)
    if row and directory != "PanasonicRaw":
        return Tag(*row), True
    from functions.exif import private

    if directory == "PanasonicRaw":
        row = private.PANASONIC_RAW.get(number)
        if row:
            return _private(row), True
        return replace(tag("IFD0", number), name=f"PanasonicRaw_0x{number:04x}"), False
    row = private.TAGS.get(number)
    return (_private(row), True) if row else (Tag(f"Exif_0x{number:04x}", show="unknown"), False)


def _private(row: tuple[Any, ...]) -> Tag:
    name, show, labels = (*row, "", {})[:3] if len(row) == 1 else (*row, {})[:3]
    return Tag(name, show=show, labels=labels)


def all_tags() -> dict[str, dict[int, Tag]]:
    """The standard's tags by directory, for documentation and tests."""
    tables = {"IFD0": IFD0, "ExifIFD": EXIF, "GPS": GPS, "InteropIFD": INTEROP}
    return {name: {number: Tag(*row) for number, row in rows.items()} for name, rows in tables.items()}
