"""TIFF structures written by hand, right and wrong: what no library would write."""

from __future__ import annotations

import struct

SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4, 16: 8, 17: 8, 18: 8}
Field = tuple[int, int, int, bytes]
"""Tag, type, count, the value's bytes."""


def directory(fields: list[Field], at: int, order: str = "<", following: int = 0, big: bool = False) -> bytes:
    """A directory that stands at `at`, its values behind it."""
    head, room = (order + "Q", 8) if big else (order + "H", 4)
    entry = order + ("HHQ" if big else "HHI")
    pointer = order + ("Q" if big else "I")
    size = struct.calcsize(head) + len(fields) * (struct.calcsize(entry) + room) + room
    out, values = struct.pack(head, len(fields)), b""
    for tag, kind, count, value in fields:
        out += struct.pack(entry, tag, kind, count)
        if len(value) <= room:
            out += value.ljust(room, b"\0")
        else:
            out += struct.pack(pointer, at + size + len(values))
            values += value
    return out + struct.pack(pointer, following) + values


def tiff(fields: list[Field], order: str = "<", big: bool = False) -> bytes:
    """A TIFF of one directory."""
    mark = b"II" if order == "<" else b"MM"
    if big:
        return mark + struct.pack(order + "HHHQ", 43, 8, 0, 16) + directory(fields, 16, order, big=True)
    return mark + struct.pack(order + "HI", 42, 8) + directory(fields, 8, order)


def ascii_field(tag: int, text: str) -> Field:
    data = text.encode() + b"\0"
    return (tag, 2, len(data), data)


def short(tag: int, *values: int, order: str = "<") -> Field:
    return (tag, 3, len(values), struct.pack(f"{order}{len(values)}H", *values))


def long(tag: int, *values: int, order: str = "<") -> Field:
    return (tag, 4, len(values), struct.pack(f"{order}{len(values)}I", *values))


def rational(tag: int, *pairs: tuple[int, int], order: str = "<", signed: bool = False) -> Field:
    flat = [part for pair in pairs for part in pair]
    return (tag, 10 if signed else 5, len(pairs), struct.pack(f"{order}{len(flat)}{'i' if signed else 'I'}", *flat))


def jpeg_of(block: bytes) -> bytes:
    """The smallest JPEG that a block of Exif stands in: no picture, only segments."""
    body = b"Exif\0\0" + block
    return b"\xff\xd8\xff\xe1" + struct.pack(">H", len(body) + 2) + body + b"\xff\xd9"


TEXTS = "UTM zone 17N|Hough|"
DOUBLES = (6378270.0, 6356794.343479, 0.0, 500000.0)


def earth(*keys: tuple[int, int, int, int], count: int | None = None, order: str = "<") -> bytes:
    """A TIFF with keys of GeoTIFF."""
    numbers = (1, 1, 0, len(keys) if count is None else count, *(part for key in keys for part in key))
    doubles: Field = (0x87B0, 12, len(DOUBLES), struct.pack(f"{order}{len(DOUBLES)}d", *DOUBLES))
    return tiff([short(0x87AF, *numbers, order=order), doubles, ascii_field(0x87B1, TEXTS)], order)


# Keys: number, place of the value, count, offset.
KEYS = (
    (1024, 0, 1, 1),
    (1025, 0, 1, 2),
    (1026, 0x87B1, 13, 0),
    (2048, 0, 1, 4326),
    (2049, 0x87B1, 6, 13),
    (2052, 0, 1, 9001),
    (2057, 0x87B0, 1, 0),
    (2058, 0x87B0, 1, 1),
    (2062, 0x87B0, 3, 1),
    (3072, 0, 1, 32617),
    (3074, 0, 1, 16017),
    (3076, 0, 1, 32767),
    (3082, 0x87B0, 1, 3),
)
