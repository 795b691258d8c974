"""What leads from one directory or record of a maker's note to another.

All that is examined is bounded: rows, directories, depth and bytes. A directory that points to itself, a count of 2³²
or a wrong cipher costs a warning.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from importlib import import_module

from functions.exif.makernotes.records import value
from functions.exif.makernotes.walk import Place, Walk
from functions.exif.tags.tables import Field, Table, table

MAX_DEPTH = 8
# Readers of the two common kinds; a maker's own are named by module and function.
_COMMON = {"ifd": "directory.ifd", "binary": "binary.records"}


def read(walk: Walk, name: str, place: Place, keys: dict[str, str] | None = None) -> None:
    """Read a directory or record by a table."""
    if walk.directories <= 0 or walk.depth >= MAX_DEPTH or walk.rows <= 0:
        walk.miss(name, place, "the maker note has more directories than are read")
        return
    found = table(name)
    walk.members["order"] = "II" if place.order == "<" else "MM"
    walk.directories -= 1
    walk.depth += 1
    walk.keys = keys or {}
    try:
        reader_of(walk.keys.get("kind") or found.kind)(walk, found, place)
    finally:
        walk.depth -= 1


@cache
def reader_of(kind: str) -> Callable[[Walk, Table, Place], None]:
    """`ifd`, `binary`, or a maker's own as `canon.serial_data`: `read_serial_data` of that maker's module."""
    module, _, name = _COMMON.get(kind, kind).partition(".")
    found: Callable[[Walk, Table, Place], None] = getattr(
        import_module(f"functions.exif.makernotes.{module}"), f"read_{name}"
    )
    return found


def follow(walk: Walk, row: Field, place: Place, at: int, size: int, shape: str, count: int) -> None:
    """Read the directory that a row leads to.

    Its cell `sub` names the table, then: `start=` (a place in the value; `val` for an offset in it), `base=` (`start`
    for the directory's own start, or bytes from it), `order=` (`<`, `>`, or `?` for what its count shows), `kind=`,
    `when=` (first bytes that it must have, hexadecimal), `move=` (bytes that a cipher leaves plain).
    """
    name, keys = row.leads
    order = keys.get("order", place.order)
    starts = [at]
    where = keys.get("start", "")
    if where.startswith("val"):
        offsets = str(value(place.data, at, shape, count, place.order, size)).split()
        extra = int(where[3:] or 0)
        offsets = [text for text in offsets[: int(keys.get("most", 10))] if text.isdigit() and text != "0"]
        starts = [int(text) + place.base + extra for text in offsets]
        size = 0
    elif where.startswith("table"):
        found = value(place.data, at, shape, count, place.order, size)
        starts = [place.start + int(found)] if type(found) is int and found else []
        size = 0
    elif where:
        starts = [at + int(where)]
        size -= int(where)
    for start in starts:
        if not 0 <= start < len(place.data):
            walk.warn(f"{row.name} lies outside the block")
            continue
        end = next((limit for limit in walk.limits if limit > start), len(place.data))
        length = size if size > 0 else int(keys.get("size", 0)) or end - start
        base = place.base
        if "base" in keys:
            base = start + int(keys["base"].removeprefix("start") or 0)
        found_order = byte_order(place.data, start, place.order) if order == "?" else order
        inner = Place(place.data, start, min(length, len(place.data) - start), found_order, base, place.origin)
        if "check" in keys and not _checked(keys["check"], inner):
            walk.miss(row.name, inner, f"{row.name} is not what its tag says")
            continue
        read(walk, name, inner, keys)


def _checked(rule: str, place: Place) -> bool:
    """Whether a record begins as it must: with its size in bytes, or with given bytes."""
    if "." in rule:
        module, _, name = rule.partition(".")
        return bool(getattr(import_module(f"functions.exif.makernotes.{module}"), f"check_{name}")(place))
    if rule.startswith("size"):
        skipped = int(rule[4:] or 0)
        found = value(place.data, place.start + skipped, "int16u", 1, place.order, 2)
        return found in (place.size, place.size - skipped, place.size // 2, place.size // 2 - 1)
    return place.data[place.start : place.start + len(rule) // 2].hex() == rule


def byte_order(data: bytes, at: int, order: str) -> str:
    """A directory's byte order: no count of entries has its larger byte high."""
    count = data[at : at + 2]
    if len(count) == 2 and (count[1] if order == "<" else count[0]) > (count[0] if order == "<" else count[1]):
        return ">" if order == "<" else "<"
    return order
