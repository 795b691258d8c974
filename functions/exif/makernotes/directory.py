"""A TIFF directory of a maker's own numbers, read by a table."""

from __future__ import annotations

from typing import Any

from functions.exif.blocks.entries import COUNT, OFFSET, SIZE, TAG, TYPE, Entry, Ifd
from functions.exif.blocks.ifd import walk_directory
from functions.exif.makernotes.reader import follow
from functions.exif.makernotes.records import FORMATS, MAX_NUMBERS, NAMES, value
from functions.exif.makernotes.walk import Place, Walk, absolute, named
from functions.exif.tags.tables import Field, Table

# First bytes of a value that conditions may look at.
HEAD = 128


def read_ifd(walk: Walk, tags: Table, place: Place) -> None:
    """Read the entries of a directory."""
    found = walk_directory(place.data, place.start, place.order, tags.name, place.base, ())
    for warning in found.warnings:
        walk.warn(warning)
    if not found.ifds:
        return
    if "keep" in tags.attributes:
        _keep(walk, tags.attributes["keep"], found.ifds[0], place)
    for entry in found.ifds[0].entries.values():
        if walk.rows <= 0:
            walk.warn("the maker note has more tags than are read")
            return
        _entry(walk, tags, place, entry)


def _keep(walk: Walk, pairs: str, ifd: Ifd, place: Place) -> None:
    """Members that rows before their own need, by numbers and names: `keep=0x1d:NikonSerial,…` of a section."""
    for pair in pairs.split(","):
        number, _, name = pair.partition(":")
        entry = ifd.entries.get(int(number, 0))
        if entry is not None:
            shape = NAMES[entry[TYPE]]
            walk.members[name] = value(place.data, entry[OFFSET], shape, entry[COUNT], place.order, entry[SIZE])


def _entry(walk: Walk, tags: Table, place: Place, entry: Entry) -> None:
    number, shape, count = entry[TAG], NAMES[entry[TYPE]], entry[COUNT]
    if shape == "undef" and count == 1:
        shape = "int8u"
    alternatives = tags.rows.get(number)
    if alternatives is None:
        _unnamed(walk, tags, place, entry, shape)
        return
    row: Field | None = alternatives[0]
    if len(alternatives) > 1 or alternatives[0].conditional:
        m = walk.members
        m["count"], m["format"] = count, shape
        m["data"] = place.data[entry[OFFSET] : entry[OFFSET] + min(entry[SIZE], HEAD)]
        row = tags.find(number, m)
    elif not alternatives[0].ready:
        alternatives[0].prepare()
    if row is None:
        if "unknown" not in alternatives[-1].flags:
            _unnamed(walk, tags, place, entry, shape)
        return
    if row.format and row.format != shape and row.format in FORMATS:
        shape = row.format
        count = entry[SIZE] // FORMATS[shape][0]
        if row.count and row.count.isdigit():
            count = min(count, int(row.count))
    if row.sub:
        follow(walk, row, place, entry[OFFSET], entry[SIZE], shape, count)
    else:
        walk.put(row, _value(walk, row, place, entry, shape, count), entry, number)


def _value(walk: Walk, row: Field, place: Place, entry: Entry, shape: str, count: int) -> Any:
    """The value of an entry by its row; empty text for one without bytes."""
    v: Any
    if count > MAX_NUMBERS and FORMATS[shape][1]:
        return f"(large array of {count} {shape} values)"
    v = value(place.data, entry[OFFSET], shape, count, place.order, entry[SIZE])
    if v is None:
        return ""
    if row.mask and type(v) is int:
        v = (v & row.mask) >> row.shift
    return absolute(v, place, row, walk.members) if "offset" in row.flags else v


def _unnamed(walk: Walk, tags: Table, place: Place, entry: Entry, shape: str) -> None:
    """An entry that no row describes: named by its number."""
    v = value(place.data, entry[OFFSET], shape, entry[COUNT], place.order, entry[SIZE])
    named(walk, tags, f"{tags.attributes.get('prefix', tags.group)}_0x{entry[TAG]:04x}", v)
