"""Segments of a JPEG beside Exif, XMP, IPTC and ICC: whose each is by its first bytes, its tags by the table `App`."""

from __future__ import annotations

import re
from struct import unpack_from

from functions.exif.blocks.values import text_of
from functions.exif.makernotes import members
from functions.exif.makernotes.directory import read_ifd
from functions.exif.makernotes.reader import byte_order, follow
from functions.exif.makernotes.reader import read as read_table
from functions.exif.makernotes.records import FORMATS, value
from functions.exif.makernotes.walk import Place, Walk, item, named
from functions.exif.rows import Reading
from functions.exif.scan.result import Block
from functions.exif.tags.tables import Table, table

HEAD = 1024
MAX_RECORDS = 256
MAX_TEXTS = 256
_TEXTS = re.compile(rb"(\[[^\]]{0,64}\]|[\w#-]{1,64}=[ -~]{1,400}?(?=\s{0,2}(?:[\n\r\0]|[\w#-]{1,64}=|\[|$)))")
_ELEMENT = re.compile(rb"<([\w-]{1,40})>([^<]{0,4000})</\1>")
_PAIR = re.compile(r"\b(alp|bet|cor|ln0|ln1|s2n|ver)=([\d.eE+-]+)")
_LINE = re.compile(r"(?m)^[\t ]{0,8}+(\w{1,32}+)[\t ]{1,8}+([^\r\n]{0,400}+)")


def read(reading: Reading, block: Block) -> bool:
    """Read a segment; whether it is one that is known.

    Args:
        reading: that rows are added to.
        block: of the segment, from its identifier on.
    """
    walk = Walk(reading, members(reading))
    data = block.data
    walk.members["data"] = data[:HEAD]
    walk.members["HasIJPEG"] = "InfiRay" in reading.groups
    row = table("App.Segments").find(block.where, walk.members)
    if row is None:
        return False
    follow(walk, row, Place(data, 0, len(data), ">", 0, max(block.offset, 0)), 0, len(data), "undef", len(data))
    return walk.finish() > 0


def flir(blocks: list[Block]) -> Block:
    """The segments of a thermal picture as one block: each has its number, and how many more there are."""
    ordered = sorted(blocks, key=lambda block: block.data[6] if len(block.data) > 6 else 0)
    return Block("app", -1, b"FLIR\0\1\0\0" + b"".join(block.data[8:] for block in ordered), "APP1", "FLIR")


def read_tiff(walk: Walk, tags: Table, place: Place) -> None:
    """A directory behind a TIFF header."""
    data, start = place.data, place.start
    order = {b"II": "<", b"MM": ">"}.get(data[start : start + 2])
    if order is None or start + 8 > len(data):
        walk.miss(tags.name, place, "a segment has no TIFF header")
        return
    (first,) = unpack_from(order + "I", data, start + 4)
    if start + first < len(data):
        inner = Place(data, start + first, len(data) - start - first, order, start, place.origin)
        read_ifd(walk, tags, inner)


def read_ciff(walk: Walk, _tags: Table, place: Place) -> None:
    """Canon's records, as in a CRW."""
    from functions.exif.makernotes import raws
    from functions.kit.containers import Kind, Source, crw

    document = crw.read(Source(bytes(place.data)))
    blocks = [
        Block("ciff", place.origin + part.body, document.raw(part), part.label, part.name)
        for part in document.parts
        if part.kind is Kind.TAG
    ]
    if blocks:
        walk.rows -= len(blocks)
        raws.read(walk.reading, blocks)
        walk.members["CIFF"] = True
        named(walk, table("App.CIFF"), "CIFFRecords", len(blocks))


def read_pentax(walk: Walk, _tags: Table, place: Place) -> None:
    """Pentax's note in a segment of its own."""
    start = place.start + 10
    order = {b"II": "<", b"MM": ">"}.get(place.data[start - 2 : start], byte_order(place.data, start, ">"))
    read_table(walk, "Pentax.Main", Place(place.data, start, len(place.data) - start, order, 0, place.origin))


def read_comment(walk: Walk, tags: Table, place: Place) -> None:
    """A comment in UTF-16."""
    text = place.data[place.start + 8 :].decode("utf-16-be", "replace").rstrip("\0")
    item(walk, tags, "Comment", text.encode().decode("latin-1"))


def read_unique(walk: Walk, tags: Table, place: Place) -> None:
    """Samsung's unique number of a picture."""
    item(walk, tags, "ssuniqueid", place.data[place.start + 11 :].decode("latin-1"))


def read_ocad(walk: Walk, tags: Table, place: Place) -> None:
    """The revision of Ocad."""
    found = re.search(rb"Rev(.{6})", place.data[place.start :], re.DOTALL)
    if found:
        item(walk, tags, "Rev", found[1].decode("latin-1").rstrip("\0"))


def read_quality(walk: Walk, tags: Table, place: Place) -> None:
    """GraphicConverter's quality."""
    found = re.match(rb"Q\s*(\d{1,6})", place.data[place.start :])
    if found:
        item(walk, tags, "Q", int(found[1]))


def read_texts(walk: Walk, tags: Table, place: Place) -> None:
    """Pairs of tag and value in text, with the names of sections between."""
    for found in list(_TEXTS.finditer(place.data[place.start :]))[:MAX_TEXTS]:
        key, separator, stated = found[1].partition(b"=")
        if separator and not key.startswith(b"["):
            _put(walk, tags, text_of(key), text_of(stated).strip())


def _put(walk: Walk, tags: Table, key: str, stated: str) -> None:
    """A value by its key; one without a row is named by the key."""
    if tags.find(key, walk.members) is not None:
        item(walk, tags, key, stated)
    else:
        name = key[:1].upper() + key[1:]
        named(walk, tags, name if len(name) > 1 else f"Tag{name}", stated, whole=True)


def read_ducky(walk: Walk, tags: Table, place: Place) -> None:
    """Photoshop's blocks for the web: number, length and bytes."""
    data, at = place.data, place.start + 5
    while at + 4 <= len(data):
        number, length = unpack_from(">HH", data, at)
        if not number or at + 4 + length > len(data):
            return
        item(walk, tags, number, data[at + 4 : at + 4 + length].decode("latin-1"), length)
        at += 4 + length


def read_hdr(walk: Walk, tags: Table, place: Place) -> None:
    """JPEG-HDR: numbers in text, then the ratio image."""
    head, _, rest = place.data[place.start :].partition(b"~\0")
    for key, stated in _PAIR.findall(text_of(head)):
        item(walk, tags, key, stated)
    if rest:
        item(walk, tags, "RatioImage", rest.decode("latin-1"), len(rest))


def read_elements(walk: Walk, tags: Table, place: Place) -> None:
    """Elements of XML, each with its text."""
    for key, stated in _ELEMENT.findall(place.data[place.start :])[:MAX_TEXTS]:
        _put(walk, tags, text_of(key), text_of(stated).strip())


def read_scalado(walk: Walk, tags: Table, place: Place) -> None:
    """Scalado's index of a picture: four letters and a number each."""
    data, at = place.data, place.start
    (count,) = unpack_from(">H", data.ljust(16, b"\0"), at + 14) if place.size >= 16 else (0,)
    for number in range(min(count, MAX_RECORDS)):
        at = place.start + 16 + 16 * number
        if at + 16 > len(data):
            return
        item(walk, tags, data[at : at + 4].decode("latin-1"), unpack_from(">i", data, at + 12)[0])


def read_tdhd(walk: Walk, tags: Table, place: Place) -> None:
    """HP's records: four letters, a version, a length, then text or more records."""
    data, at, end = place.data, place.start + 12, len(place.data)
    while at + 12 < end and walk.rows > 0:
        key = data[at : at + 4].decode("latin-1")
        if key == "TDHD" or data[at + 4 : at + 8] == b"\1\0\0\0":
            at += 12
            continue
        (length,) = unpack_from("<I", data, at + 8)
        if at + 12 + length > end:
            return
        item(walk, tags, key, data[at + 12 : at + 12 + length].partition(b"\0")[0].decode("latin-1"))
        at += 12 + length


def read_lines(walk: Walk, tags: Table, place: Place) -> None:
    """Lines of a name and a value."""
    text = place.data[place.start : place.start + place.size].decode("latin-1")
    for key, stated in _LINE.findall(text)[:MAX_TEXTS]:
        item(walk, tags, key, stated.strip())


def read_fff(walk: Walk, tags: Table, place: Place) -> None:
    """FLIR's file of a thermal picture: a header, a directory of records, and these."""
    data, start = place.data, place.start + 8
    if data[start + 1 : start + 4] != b"FF\0" or len(data) < start + 64:
        walk.miss("FLIR", place, "a thermal picture has no header")
        return
    order = next((one for one in "><" if 100 <= unpack_from(one + "I", data, start + 20)[0] < 200), ">")
    at, count = unpack_from(order + "II", data, start + 24)
    header = tags.find("_header", walk.members)
    if header is not None:
        follow(walk, header, Place(data, start, 64, order), start, 64, "undef", 64)
    for entry in range(start + at, start + at + 32 * min(count, MAX_RECORDS), 32):
        if entry + 32 > len(data):
            return
        (number,) = unpack_from(order + "H", data, entry)
        first, size = unpack_from(order + "II", data, entry + 12)
        first += start
        row = tags.find(number, walk.members)
        if not number or not size:
            continue
        if row is None or first + size > len(data):
            walk.reading.miss("segment", f"FLIR record {number:#06x}", -1, min(size, len(data)))
            continue
        own = order
        if "order=" not in row.sub:
            own = _toggled(data, first + 2 * (number == 0x28), order)
        follow(walk, row, Place(data, first, size, own), first, size, "undef", size)


def _toggled(data: bytes, at: int, order: str) -> str:
    """The byte order of a record by its first number, which is small."""
    mark = value(data, at, "int16u", 1, order, 2)
    return ("<" if order == ">" else ">") if isinstance(mark, int) and mark >= 0x100 else order


# Formats of GPMF by their letter.
_GPMF = {
    "b": "int8s",
    "B": "int8u",
    "s": "int16s",
    "S": "int16u",
    "l": "int32s",
    "L": "int32u",
    "f": "float",
    "d": "double",
    "j": "int64s",
    "J": "int64u",
    "q": "fixed32s",
    "c": "string",
}


def read_gpmf(walk: Walk, tags: Table, place: Place) -> None:
    """GoPro's settings: a key of four letters, a format, its size and count, and values; containers hold more."""
    data, at, end = place.data, place.start, place.start + place.size
    while at + 8 <= end and walk.rows > 0:
        walk.rows -= 1
        key, letter, size = data[at : at + 4].decode("latin-1"), chr(data[at + 4]), data[at + 5]
        (count,) = unpack_from(">H", data, at + 6)
        length = size * count
        start = at + 8
        if start + length > end or key == "\0\0\0\0":
            return
        at = start + (length + 3) // 4 * 4
        if letter == "\0":
            at = start  # what a container holds follows
            continue
        shape = _GPMF.get(letter, "undef")
        number = length if shape in ("string", "undef") else length // FORMATS[shape][0]
        if tags.find(key, walk.members) is not None:
            item(walk, tags, key, value(data, start, shape, number, ">", length))
