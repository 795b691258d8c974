"""Records that raws of their own form have in place of a maker's note: Canon's CRW, Sigma's X3F, Minolta's MRW, RAF."""

from __future__ import annotations

from collections.abc import Callable
from struct import unpack_from

from functions.exif.blocks.values import binary
from functions.exif.lenses import mounts
from functions.exif.makernotes import members
from functions.exif.makernotes.reader import follow
from functions.exif.makernotes.reader import read as read_table
from functions.exif.makernotes.records import FORMATS, value
from functions.exif.makernotes.walk import Place, Walk, item
from functions.exif.rows import NoteSummary, Reading
from functions.exif.scan.result import Block
from functions.exif.tags.tables import Table, table

MAX_PROPERTIES = 1024
MAX_FIELDS = 256
# Bytes of a record of CIFF up to which it is shown.
MAX_SHOWN = 512
# Formats of CIFF's records by the type in their number.
_TYPES = {0x00: "int8u", 0x08: "string", 0x10: "int16u", 0x18: "int32u"}
_DESCRIPTION = 0x2804


def read(reading: Reading, blocks: list[Block]) -> None:
    """Read all records of one raw.

    Args:
        reading: of the file.
        blocks: of one kind, in the order of the file.
    """
    walk = Walk(reading, members(reading))
    kind = blocks[0].kind
    shown = _READERS[kind](walk, blocks) or 0
    shown += walk.finish()
    mounts.identify(reading, "Canon" if kind == "ciff" else _MAKERS[kind], walk.members)
    if kind == "ciff" and reading.scan.format != "CRW":
        reading.groups["CIFF"] = reading.groups.pop("CanonRaw", {})
    if reading.note is None:
        reading.note = NoteSummary(_MAKERS[kind], sum(len(block.data) for block in blocks), shown)


def _ciff(walk: Walk, blocks: list[Block]) -> None:
    """Canon's records; maker and model first, which the others depend on."""
    tags = table("CanonRaw.Main")
    order = str(walk.reading.scan.details.get("byte_order", "<"))
    for block in sorted(blocks, key=lambda block: "0x080a" not in block.where):
        number = int(block.where.rpartition(" ")[2], 16)
        shape = _TYPES.get(number >> 8 & 0x38, "undef")
        inside = block.name == "entry"
        m = walk.members
        m["data"], m["count"], m["format"] = block.data[:128], len(block.data) // FORMATS[shape][0], shape
        m["InDescription"] = block.name == "description"
        row = tags.find(number, m)
        place = Place(block.data, 0, len(block.data), order, 0, max(block.offset, 0))
        if row is None:
            if number not in (0, 1):
                walk.reading.miss("maker note", block.where, block.offset, len(block.data))
            continue
        if row.sub:
            follow(walk, row, place, 0, len(block.data), shape, 1)
            continue
        shape = row.format or shape
        count = 1 if inside and shape != "string" else len(block.data) // FORMATS[shape][0]
        if len(block.data) > MAX_SHOWN:
            walk.put(row, binary(len(block.data)), None, number)
        else:
            walk.put(row, value(block.data, 0, shape, count, order, len(block.data)), None, number)


def _x3f(walk: Walk, blocks: list[Block]) -> None:
    """Sigma's header and properties."""
    for block in blocks:
        place = Place(block.data, 0, len(block.data), "<", 0, max(block.offset, 0))
        if block.where != "header":
            read_table(walk, "SigmaRaw.Properties", place)
            continue
        minor, major = unpack_from("<HH", block.data.ljust(8, b"\0"), 4)
        read_table(walk, "SigmaRaw.Header4" if major >= 4 else "SigmaRaw.Header", place)
        extended = next((size for version, size in ((3, 104), (1, 72)) if minor >= version), 0) if major == 2 else 0
        if extended and len(block.data) >= extended + 160:
            read_table(walk, "SigmaRaw.HeaderExt", Place(block.data, extended, 160, "<"))


def read_numbers(walk: Walk, tags: Table, place: Place) -> None:
    """Sigma's adjustments: 32 numbers of tags, then a value for each."""
    for index, number in enumerate(place.data[place.start : place.start + 32]):
        if number:
            item(walk, tags, number, value(place.data, place.start + 32 + 4 * index, "float", 1, "<", 4))


def read_properties(walk: Walk, tags: Table, place: Place) -> None:
    """Sigma's properties: names and values as text in UTF-16."""
    data = place.data
    if len(data) < 24 or data[:4] != b"SECp":
        walk.miss("PROP", place, "Sigma's properties have no header")
        return
    count, form, _, length = unpack_from("<IIII", data, 8)
    first = 24 + 8 * count
    if form or count > MAX_PROPERTIES or first + 2 * length > len(data):
        walk.miss("PROP", place, "Sigma's properties are longer than their section")
        return
    text = data[first : first + 2 * length].decode("utf-16-le", "replace")
    for at in range(24, first, 8):
        name, stated = (text[start:].partition("\0")[0][:256] for start in unpack_from("<II", data, at))
        row = tags.find(name, walk.members)
        if row is not None:
            walk.put(row, stated)
        elif name:
            walk.miss(
                f"property {name[:32]}",
                place._replace(start=at, size=8),
                "Sigma's properties have names that are not known",
            )


def _mrw(walk: Walk, blocks: list[Block]) -> None:
    """Minolta's blocks before the picture."""
    for block in blocks:
        order = str(walk.reading.scan.details.get("byte_order", ">"))
        read_table(walk, f"MinoltaRaw.{block.where}", Place(block.data, 0, len(block.data), order))


def _raf(walk: Walk, blocks: list[Block]) -> int:
    """Fujifilm's header, tables, and directory of the sensor's data; how many rows a second table gave."""
    groups, shown = walk.reading.groups, 0
    for block in blocks:
        size, origin = len(block.data), max(block.offset, 0)
        if block.where == "header":
            read_table(walk, "Raf.Header", Place(block.data, 0, size, ">"))
        elif block.where == "FujiIFD":
            order = "<" if block.data[:2] == b"II" else ">"
            (first,) = unpack_from(order + "I", block.data, 4)
            read_table(walk, "Raf.IFD", Place(block.data, first, size - first, order, 0, origin))
        else:
            shown += walk.finish()
            earlier = groups.pop("RAF", None) if block.name else None
            walk.members["FujiLayout"] = None
            read_table(walk, "Raf.MRAW" if block.where == "M-RAW" else "Raf.Table", Place(block.data, 0, size, ">"))
            if earlier is not None:
                shown += walk.finish()
                groups["RAF"], groups[f"RAF{block.name}"] = earlier, groups.pop("RAF", {})
    return shown


def read_table_of_fields(walk: Walk, tags: Table, place: Place) -> None:
    """Fujifilm's table: number, length and bytes of each field."""
    data, end = place.data, place.start + place.size
    if place.size < 4:
        return
    (count,) = unpack_from(">I", data, place.start)
    at = place.start + 4
    for _ in range(min(count, MAX_FIELDS)):
        if at + 4 > end:
            return
        number, length = unpack_from(">HH", data, at)
        at += 4
        if at + length > end:
            return
        row = tags.find(number, walk.members)
        if row is not None and row.sub:
            follow(walk, row, place, at, length, "undef", length)
        elif row is not None:
            if not row.ready:
                row.prepare()
            shape = row.format or "undef"
            count = max(length // FORMATS[shape][0], 1)
            if row.count:
                count = min(count, int(row.count))
            walk.put(row, value(data, at, shape, count, ">", length))
        at += length


_READERS: dict[str, Callable[[Walk, list[Block]], int | None]] = {"ciff": _ciff, "x3f": _x3f, "mrw": _mrw, "raf": _raf}
_MAKERS = {"ciff": "CanonRaw", "x3f": "SigmaRaw", "mrw": "MinoltaRaw", "raf": "RAF"}
