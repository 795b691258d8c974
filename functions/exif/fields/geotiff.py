"""GeoTIFF: keys of a directory in three tags of a TIFF, which place its pixels on the earth, in ExifTool's group."""

from __future__ import annotations

from functions.exif.blocks.entries import VALUE, Entry
from functions.exif.blocks.values import real
from functions.exif.rows import Reading, Row
from functions.exif.tags.formulas import Members
from functions.exif.tags.tables import table

GROUP = "GeoTiff"
DIRECTORY, DOUBLES, TEXTS = "GeoTiffDirectory", "GeoTiffDoubleParams", "GeoTiffAsciiParams"
# The tags that a key names as the place of its value.
IN_KEY, IN_DIRECTORY, IN_DOUBLES, IN_TEXTS = 0, 0x87AF, 0x87B0, 0x87B1
HEAD = 4  # numbers before the keys, and of each key
MAX_KEYS = 1024


def add(reading: Reading, rows: dict[str, Row]) -> None:
    """Add the rows of the keys.

    Args:
        reading: that they are added to.
        rows: of the directory that has the three tags.
    """
    directory = _numbers(rows, DIRECTORY)
    if len(directory) < HEAD or len(directory) < HEAD * (directory[3] + 1):
        reading.miss("value", DIRECTORY, -1, 2 * len(directory))
        return
    version = ".".join(map(str, directory[:3]))
    reading.add(GROUP, "GeoTiffVersion", version, version)
    tags, members = table("Geotiff.Main"), Members({})
    for at in range(HEAD, HEAD * (min(directory[3], MAX_KEYS) + 1), HEAD):
        row = tags.find(directory[at], members)
        value = _value(rows, directory, at)
        shown = row.show(value, members) if row is not None and value is not None else None
        if row is None or shown is None:
            reading.miss("value", f"GeoTIFF key {directory[at]}", -1, 2 * HEAD)
        else:
            reading.add(GROUP, row.name, *shown)
            if row.grade:
                reading.grades[GROUP, row.name] = row.grade


def _value(rows: dict[str, Row], directory: list[int], at: int) -> int | float | str | None:
    """The value of the key at a place of the directory; None without a value."""
    _, place, count, offset = directory[at : at + HEAD]
    if place == IN_KEY:
        return offset
    if place == IN_DIRECTORY:
        numbers: list[int | float | str] = [*directory[offset : offset + count]]
    elif place == IN_DOUBLES:
        numbers = [real(number) if number else 0 for number in _numbers(rows, DOUBLES)[offset : offset + count]]
    else:
        text = _text(rows.get(TEXTS)) if place == IN_TEXTS else ""
        part = text[offset : offset + count]
        return part[:-1] if part[-1:] in ("\0", "|") else part or None
    if not count or len(numbers) < count:
        return None
    return numbers[0] if count == 1 else " ".join(map(str, numbers))


def _entry(row: Row | None) -> Entry | None:
    return row[4] if row is not None else None


def _numbers(rows: dict[str, Row], name: str) -> list[int]:
    entry = _entry(rows.get(name))
    value = entry[VALUE] if entry is not None else None
    return list(value) if isinstance(value, tuple) else []  # type: ignore[arg-type]


def _text(row: Row | None) -> str:
    entry = _entry(row)
    value = entry[VALUE] if entry is not None else None
    return value.decode("latin-1") if isinstance(value, bytes) else ""
