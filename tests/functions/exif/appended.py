"""Records of programs behind a picture, made by hand."""

from __future__ import annotations

import struct

from tests.functions.exif import cases

CANON = b"CANON OPTIONAL DATA\0"


def dataset(number: int, content: bytes) -> bytes:
    return struct.pack(">BBBH", 0x1C, 2, number, len(content)) + content


def afcp(at: int, *, moved: int = 0, order: str = ">") -> bytes:
    """A directory with captions, a text and a part of no known name, at a place in the file."""
    mark = b"AXS!" if order == ">" else b"AXS*"
    parts = {b"IPTC": dataset(120, b"A harbour") + dataset(90, b"Vigo"), b"TEXT": b"a note", b"%SCC": b"scan"}
    place = at + 12 + 12 * len(parts)
    entries, contents = b"", b""
    for key, content in parts.items():
        entries += key + struct.pack(order + "II", len(content), place + len(contents) - moved)
        contents += content
    head = mark + b"\1\0" + struct.pack(order + "HI", len(parts), 0)
    return head + entries + contents + mark + struct.pack(order + "II", at - moved, 0)


def fotostation() -> bytes:
    edits = struct.pack(">12i", 4000, 3000, 3, 72000, 9000, 0, 12500, 0, 87500, 100000, 0, -250)
    caption = dataset(105, b"Ferry")
    records = ((1, caption), (2, edits), (9, b"unknown"))
    return b"".join(body + struct.pack(">HII", number, len(body) + 10, 0xA1B2C3D4) for number, body in records)


def photo_mechanic() -> bytes:
    numbers = {216: 1, 217: 10, 221: 1, 222: 5, 209: 65536}
    body = b"".join(dataset(number, struct.pack(">i", value)) for number, value in numbers.items())
    return body + struct.pack(">I", len(body)) + b"cbipcbbl"


def recipe() -> bytes:
    """A recipe of the second version: a tone curve, a picture style of variable length, a block of the fourth."""
    first = bytearray(0x272)
    struct.pack_into(">H", first, 2, 300)
    struct.pack_into(">H", first, 0x18, 8)
    struct.pack_into(">i", first, 0x38, 3000)
    struct.pack_into(">5H", first, 0x126, 2, 0, 0, 255, 240)
    second = bytearray(0xE0)
    struct.pack_into(">h", second, 2 * 0x02, 2)
    struct.pack_into(">H", second, 2 * 0x58, 4)
    second[2 * 0x59 : 2 * 0x59] = b"\1\2\3\4"
    struct.pack_into(">h", second, 2 * 0x5E + 4, 58)
    struct.pack_into(">h", second, 2 * 0x66 + 4, 512)
    edits = bytes(first) + struct.pack(">I", 0) + bytes(second)
    blocks = struct.pack(">III", 0xFFFF00F4, len(edits) + 4, len(edits)) + edits
    blocks += struct.pack(">II", 0xFFFF00F7, 6) + b"later!"
    head = CANON + b"\0\1\0\0" + struct.pack(">I", len(blocks))
    return head + blocks + CANON + struct.pack(">I", len(blocks)) + bytes(38) + b"\xff\xd9"


def vivo() -> bytes:
    return b'vivo{"mode":"night"}\0' + bytes(12) + b"\xff\xff\xff\xff\x1b*9HWfu\x84\x93\xa2\xb1"


def all_of_them() -> bytes:
    """A JPEG with all that the oldest ExifTool in use reads, one behind the other."""
    data = cases.jpeg()
    return data + afcp(len(data)) + fotostation() + recipe() + photo_mechanic()
