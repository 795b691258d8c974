"""Files whose headers cost much to parse, by size; and the parts that they are made of."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable

from functions.kit.images import png as chunks
from tests.images import encoded, gradient

JPEG = encoded(gradient(), "JPEG")
SOS = JPEG.index(b"\xff\xda")
GIF = encoded(gradient("P"), "GIF")
FRAME = GIF.index(b",", 13 + 768)
JP2 = encoded(gradient(), "JPEG2000")


def chunk(kind: bytes, body: bytes = b"") -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def png(header: bytes, lines: bytes, *before: bytes) -> bytes:
    parts = (chunk(b"IHDR", header), *before, chunk(b"IDAT", zlib.compress(lines)), chunk(b"IEND"))
    return chunks.SIGNATURE + b"".join(parts)


WEBP = encoded(gradient(), "WEBP")
HEIC = struct.pack(">I4s4sI4s4s", 24, b"ftyp", b"heic", 0, b"mif1", b"heic")


def riff(first: bytes, rest: bytes) -> bytes:
    return b"RIFF" + struct.pack("<I", 4 + len(first) + len(rest)) + b"WEBP" + rest + first


def items(count: int) -> bytes:
    """A meta box with a table of so many item locations."""
    table = struct.pack(">HHHHIII", 1, 0, 1, 0, 0, 0, 0)[:16] * count
    iloc = struct.pack(">I4sIHH", 16 + len(table), b"iloc", 0, 0x4400, min(count, 65535)) + table
    return struct.pack(">I4sI", 12 + len(iloc), b"meta", 0) + iloc


HEADER = struct.pack(">IIBBBBB", 2, 2, 8, 0, 0, 0, 0)
LINES = b"\0ab\0cd"


def tiff_of(entries: list[tuple[int, int, int, int]], body: bytes) -> bytes:
    table = b"".join(struct.pack("<HHII", *entry) for entry in entries)
    return struct.pack("<2sHIH", b"II", 42, 8, len(entries)) + table + bytes(4) + body


def pages(count: int) -> bytes:
    """A chain of empty directories."""
    return b"II*\0\x08\0\0\0" + b"".join(
        struct.pack("<HHHIII", 1, 256, 4, 1, 1, 8 + 18 * (index + 1) if index < count else 0) for index in range(count)
    )


def files(size: int) -> dict[str, Callable[[], bytes]]:
    """Each kind of such a file, of about so many bytes."""

    def many(part: bytes) -> bytes:
        return part * (size // len(part))

    return {
        "jpeg fill bytes": lambda: b"\xff\xd8" + b"\xff" * size + JPEG[2:],
        "jpeg fill bytes, no end": lambda: b"\xff\xd8" + b"\xff" * size,
        "jpeg empty comments": lambda: b"\xff\xd8" + many(b"\xff\xfe\0\x02") + JPEG[2:],
        "jpeg small segments": lambda: b"\xff\xd8" + many(b"\xff\xe5\0\x03x") + JPEG[2:],
        "jpeg restart markers": lambda: b"\xff\xd8" + many(b"\xff\xd0") + JPEG[2:],
        "jpeg junk": lambda: b"\xff\xd8" + b"\xff\xe0\0\x10JFIF\0\1\1\0\0\1\0\1\0\0" + many(b"junk") + JPEG[2:],
        "jpeg escaped": lambda: b"\xff\xd8\xff\xfe\0\x02" + many(b"\xff\0") + JPEG[2:],
        "png empty chunks": lambda: png(HEADER, LINES, many(chunk(b"teST"))),
        "png empty pixels": lambda: png(HEADER, LINES, many(chunk(b"IDAT"))),
        "png texts": lambda: png(HEADER, LINES, many(chunk(b"tEXt", b"a\0b"))),
        "gif extensions": lambda: GIF[:FRAME] + many(b"!\xfe\x01x\0") + GIF[FRAME:],
        "gif sub-blocks": lambda: GIF[:FRAME] + b"!\xfe" + many(b"\x01x") + b"\0" + GIF[FRAME:],
        "gif frames": lambda: GIF[:-1] + many(GIF[FRAME : FRAME + 10] + b"\x02\0"),
        "jp2 boxes": lambda: JP2[:12] + many(struct.pack(">I4s", 8, b"free")) + JP2[12:],
        "j2k markers": lambda: b"\xff\x4f\xff\x51" + many(b"\xff\x5c\0\x02"),
        "pnm comment": lambda: b"P5\n#" + b"x" * size + b"\n2 2 255\nabcd",
        "pnm comments": lambda: b"P5\n" + many(b"#\n") + b"2 2 255\nabcd",
        "pnm spaces": lambda: b"P5\n" + b" " * size + b"2 2 255\nabcd",
        "ico entries": lambda: struct.pack("<HHH", 0, 1, 65535) + many(bytes([1, 1, 0, 0, 1, 0, 1, 0]) + bytes(8)),
        "tiff entries": lambda: tiff_of([(tag % 65536, 3, 1, 1) for tag in range(60000)], b""),
        "tiff overlapping values": lambda: tiff_of([(40000 + index, 7, size, 8) for index in range(4000)], bytes(size)),
        "tiff pages": lambda: pages(size // 18),
        "webp chunks": lambda: riff(WEBP[12:30], many(b"JUNK" + bytes(4))),
        "heic boxes": lambda: HEIC + many(struct.pack(">I4s", 8, b"free")),
        "heic boxes in meta": lambda: HEIC + struct.pack(">I4sI", size + 12, b"meta", 0) + many(b"\0\0\0\x08free"),
        "avif items": lambda: HEIC.replace(b"heic", b"avif") + items(size // 16),
        "bmp huge header": lambda: b"BM" + bytes(12) + struct.pack("<I", 40) + bytes(size),
    }
