"""Sony's own forms of records: enciphered ones, blocks in a block, and notes of text."""

from __future__ import annotations

import re
from struct import unpack_from

from functions.exif.makernotes.binary import read_records
from functions.exif.makernotes.directory import read_ifd
from functions.exif.makernotes.reader import follow
from functions.exif.makernotes.walk import Place, Walk, item
from functions.exif.tags.tables import Table, table

# Each byte is replaced by its cube modulo 249, a substitution known since 2006 (dcraw; ExifTool on tag 0x9050).
_PLAIN = bytes({pow(byte, 3, 249): byte for byte in range(249)}.get(byte, byte) for byte in range(256))
MAX_BLOCKS, MAX_TEXTS = 50, 40
_TEXT = re.compile(r"[0-9A-Za-z_][\t\n\r\x20-\x7e]{32,4096}")


def deciphered(data: bytes) -> bytes:
    """The bytes that enciphered ones stand for."""
    return data.translate(_PLAIN)


def read_enciphered(walk: Walk, tags: Table, place: Place) -> None:
    """A record in which each byte is substituted; a program wrote some that are enciphered twice."""
    data = deciphered(place.data[place.start : place.start + place.size])
    if walk.members["DoubleCipher"]:
        data = deciphered(data)
        walk.warn("some of Sony's records are enciphered twice")
    read_records(walk, tags, Place(data, 0, len(data), place.order, 0, 0))


def read_more_info(walk: Walk, tags: Table, place: Place) -> None:
    """Numbered blocks in one, by a table of their places."""
    if place.size < 4:
        return
    count, length = unpack_from(place.order + "HH", place.data, place.start)
    if count > MAX_BLOCKS or place.size < 4 + 4 * count:
        return
    length = min(length, place.size) if length <= place.size else place.size
    both = [unpack_from(place.order + "HH", place.data, place.start + 4 + 4 * index) for index in range(count)]
    ends = [*sorted({at for _, at in both}), length]
    for number, at in both:
        row = tags.find(number, walk.members)
        size = next((end for end in ends if end > at), length) - at
        if row is not None and row.sub and 0 < size <= place.size - at:
            follow(walk, row, place, place.start + at, size, "undef", size)


def read_pic(walk: Walk, tags: Table, place: Place) -> None:
    """A note of text, which may begin with a directory."""
    data = place.data[place.start : place.start + place.size]
    if len(data) >= 26:
        for order in (place.order, ">" if place.order == "<" else "<"):
            count, kind = unpack_from(order + "H2xH", data, 12)
            if 0 < count < 256 and 1 <= kind <= 10:
                inner = Place(place.data, place.start + 12, place.size - 12, order, place.base, place.origin)
                read_ifd(walk, table("Sony.Main"), inner)
                break
    for match in list(_TEXT.finditer(data.decode("latin-1")))[:MAX_TEXTS]:
        for key in tags.rows:
            found = re.search(rf"\b{re.escape(str(key))}\s*([^\s;,:]+)", match[0]) if str(key).endswith(":") else None
            if found:
                item(walk, tags, str(key), found[1])
