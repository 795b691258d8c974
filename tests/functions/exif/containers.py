"""The smallest file of every container that is read, with a camera's make in its Exif."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable

from tests.functions.exif.tiffs import ascii_field, jpeg_of, long, short, tiff
from tests.images import encoded, gradient, png_bomb

MAKE = tiff([ascii_field(0x010F, "Canon Incorporated"), short(0x112, 6)])


def box(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I4s", len(body) + 8, kind) + body


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(*chunks: bytes) -> bytes:
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", 7, 5, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + b"".join(chunks) + chunk(b"IEND", b"")


def heic(items: bytes, ftyp: bytes = b"heic", exif: bytes = MAKE) -> bytes:
    """A HEIC of one Exif item behind the boxes; `items` is what stands in `meta` before its places."""
    item = struct.pack(">I", 6) + b"Exif\0\0" + exif
    head = box(b"ftyp", ftyp + bytes(4) + b"mif1" + ftyp)
    infe = box(b"infe", b"\2\0\0\0" + struct.pack(">HH", 1, 0) + b"Exif\0")
    iinf = box(b"iinf", bytes(4) + struct.pack(">H", 1) + infe)
    places = 8 + 8 + 4 + 2 + 2 + 2 + 2 + 2 + 4 + 4
    size = len(head) + 8 + 4 + len(iinf) + len(items) + places - 8
    iloc = box(b"iloc", bytes(4) + b"\x44\0" + struct.pack(">HHHHII", 1, 1, 0, 1, size + 8, len(item)))
    meta = box(b"meta", bytes(4) + iinf + items + iloc)
    return head + meta + box(b"mdat", item)


def tiled_heic(version: int, *, wide: bool, base: int) -> bytes:
    """A HEIC of 64 tiles whose places stand before the items' names.

    Args:
        version: of the places, which have a method from 1 on and wide numbers of items in 2.
        wide: whether numbers of properties have two bytes.
        base: bytes of each place's base, to which its offsets are added: 0, 4 or 8.
    """
    kinds = dict.fromkeys(range(1, 65), b"hvc1\x00")
    bodies = {71: bytes(4) + MAKE, 72: b"<x:xmpmeta xmlns:x='adobe:ns:meta/' x:xmptk='tiles'/>", 73: b"text"}
    kinds |= {70: b"grid\0", 71: b"Exif\0", 72: b"mime\0application/rdf+xml\0", 73: b"mime\0text/plain\0"}
    names = [box(b"infe", b"\2\0\0\0" + struct.pack(">HH", item, 0) + kind) for item, kind in kinds.items()]
    iinf = box(b"iinf", bytes(4) + struct.pack(">H", len(names)) + b"".join(names))
    item_form = ">I" if version == 2 else ">H"

    def size_of(width: int, height: int) -> bytes:
        return box(b"ispe", bytes(4) + struct.pack(">II", width, height))

    pairs = [(item, 1) for item in range(1, 65)] + [(70, 2)]
    number = (lambda index: struct.pack(">H", 0x8000 | index)) if wide else (lambda index: bytes([0x80 | index]))
    ipma = box(
        b"ipma",
        (b"\0\0\0\1" if wide else bytes(4))
        + struct.pack(">I", len(pairs))
        + b"".join(struct.pack(">HB", item, 1) + number(index) for item, index in pairs),
    )
    iprp = box(b"iprp", box(b"ipco", size_of(512, 512) + size_of(4000, 3000)) + ipma)
    head = box(b"ftyp", b"heic" + bytes(4) + b"mif1heic")

    def meta(start: int) -> bytes:
        places = bytes([version, 0, 0, 0, 0x44, base << 4]) + struct.pack(item_form, len(kinds))
        for item in kinds:
            body = bodies.get(item, b"")
            places += struct.pack(item_form, item) + (bytes(2) if version else b"") + bytes(2)
            places += (start - 5).to_bytes(base, "big") if base else b""
            places += struct.pack(">HII", 1, 5 if base else start, len(body))
            start += len(body)
        pitm = box(b"pitm", bytes(4) + struct.pack(">H", 70))
        return box(b"meta", bytes(4) + pitm + box(b"iloc", places) + iinf + iprp)

    return head + meta(len(head) + len(meta(5)) + 8) + box(b"mdat", b"".join(bodies.values()))


def jxl() -> bytes:
    return (
        box(b"JXL ", b"\r\n\x87\n")
        + box(b"ftyp", b"jxl \0\0\0\0jxl ")
        + box(b"jxlc", b"\xff\x0a" + struct.pack("<Q", 0b00100_000_00011_1) + bytes(8))
        + box(b"Exif", bytes(4) + MAKE)
    )


def jp2() -> bytes:
    header = box(b"ihdr", struct.pack(">IIHBBBB", 5, 7, 3, 7, 7, 0, 0))
    return (
        box(b"jP  ", b"\r\n\x87\n")
        + box(b"ftyp", b"jp2 \0\0\0\0jp2 ")
        + box(b"jp2h", header)
        + box(b"uuid", b"JpgTiffExif->JP2" + MAKE)
    )


def cr3() -> bytes:
    canon = bytes.fromhex("85c0b687820f11e08111f4ce462b6a48")
    exif = tiff([ascii_field(0x9003, "2024:05:03 14:12:31")])
    boxes = box(b"CMT1", MAKE) + box(b"CMT2", exif) + box(b"CMT4", tiff([short(30, 1)]))
    return box(b"ftyp", b"crx \0\0\0\1crx isom") + box(b"moov", box(b"uuid", canon + boxes))


def psd() -> bytes:
    resource = b"8BIM\x04\x22\0\0" + struct.pack(">I", len(MAKE)) + MAKE + bytes(len(MAKE) & 1)
    return struct.pack(">4sH6xHIIHHI", b"8BPS", 1, 3, 5, 7, 8, 3, 0) + struct.pack(">I", len(resource)) + resource


def raf() -> bytes:
    inner = jpeg_of(MAKE)
    head = b"FUJIFILMCCD-RAW 0201FF389501".ljust(84, b"\0")
    return head + struct.pack(">IIII", 160, len(inner), 0, 0).ljust(76, b"\0") + inner


def mrw() -> bytes:
    body = b"\0PRD" + struct.pack(">I", 24) + struct.pack(">8xHH", 5, 7).ljust(24, b"\0")
    body += b"\0TTW" + struct.pack(">I", len(MAKE)) + MAKE
    return b"\0MRM" + struct.pack(">I", len(body)) + body


def raw_tiff(magic: bytes) -> bytes:
    return magic + MAKE[4:]


EXIF = b"Exif\0\0" + MAKE


def heap(*records: tuple[int, bytes]) -> bytes:
    """A heap of a CRW: values, then its directory; a tag of 0x4000 on holds its value of eight bytes in the entry."""
    body, entries = b"", b""
    for tag, value in records:
        inside = tag & 0xC000 == 0x4000
        entries += struct.pack("<H", tag) + (
            value.ljust(8)[:8] if inside else struct.pack("<II", len(value), len(body))
        )
        body += b"" if inside else value
    return body + struct.pack("<H", len(records)) + entries + struct.pack("<I", len(body))


def crw(*records: tuple[int, bytes], preview: bytes = b"\xff\xd8\xff\xd9", optional: bytes = b"") -> bytes:
    """A CRW of 7 × 5 pixels with some records of its camera."""
    inner = heap((0x1810, struct.pack("<IIIIIII", 7, 5, 0, 0, 0, 0, 0)), *records)
    outer = heap((0x2005, b"sensor"), (0x2007, preview), (0x300A, inner))
    if optional:
        trailer = b"CANON OPTIONAL DATA\0\0\1\0\0" + optional
        outer = outer[:-4] + trailer + outer[-4:]
    return b"II\x1a\0\0\0HEAPCCDR" + bytes(12) + outer


def x3f(picture: bytes) -> bytes:
    """An X3F of version 2.3 and 7 × 5 pixels, with a large JPEG, a list of properties and the sensor's data."""
    head = b"FOVb" + struct.pack("<HH", 3, 2) + b"uniqueidentifier" + struct.pack("<IIII", 0, 7, 5, 0) + bytes(224)
    sections = (
        (b"IMA2", bytes.fromhex("53454369 00000200 02000000 12000000") + bytes(12) + picture),
        (b"PROP", b"SECp" + bytes(20) + "CAMNAME\0DP2\0".encode("utf-16-le")),
        (b"IMAG", b"SECi" + bytes(24) + b"sensor"),
    )
    data, entries = head, b""
    for kind, body in sections:
        entries += struct.pack("<II", len(data), len(body)) + kind
        data += body
    return data + b"SECd" + struct.pack("<II", 0x20000, len(sections)) + entries + struct.pack("<I", len(data))


CONTAINERS = {
    "JPEG": lambda: encoded(gradient(), "JPEG", exif=EXIF),
    "EXV": lambda: b"\xff\x01Exiv2" + jpeg_of(MAKE)[2:],
    "PNG": lambda: png(chunk(b"eXIf", MAKE)),
    "APNG": lambda: png(chunk(b"acTL", struct.pack(">II", 3, 0)), chunk(b"eXIf", MAKE)),
    "WebP": lambda: encoded(gradient(), "WEBP", exif=EXIF),
    "AVIF": lambda: encoded(gradient(), "AVIF", exif=EXIF),
    "HEIC": lambda: heic(b""),
    "CR3": cr3,
    "JXL": jxl,
    "JP2": jp2,
    "TIFF": lambda: encoded(gradient(), "TIFF", tiffinfo={0x010F: "Canon Incorporated"}),
    "BigTIFF": lambda: tiff([ascii_field(0x010F, "Canon Incorporated"), long(0x100, 7), long(0x101, 5)], big=True),
    "RW2": lambda: raw_tiff(b"IIU\0"),
    "ORF": lambda: raw_tiff(b"IIRO"),
    "DNG": lambda: tiff([ascii_field(0x010F, "Canon Incorporated"), (0xC612, 1, 4, b"\1\4\0\0")]),
    "PSD": psd,
    "RAF": raf,
    "MRW": mrw,
}


def made_xmp(inner: bytes, before: bytes = b"") -> bytes:
    packet = (
        before
        + b'<x:xmpmeta xmlns:x="adobe:ns:meta/" xmlns:a="a"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
        + inner
    )
    return png(chunk(b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + packet))


def scattered_heic(pieces: int, stores: int = 1) -> bytes:
    """A HEIC whose Exif and picture lie in pieces of a byte, in turns, with so many boxes of data."""
    head = box(b"ftyp", b"heic" + bytes(4) + b"mif1heic")
    names = [struct.pack(">HH", 1, 0) + b"Exif\0", struct.pack(">HH", 2, 0) + b"hvc1\0"]
    iinf = box(b"iinf", bytes(4) + struct.pack(">H", 2) + b"".join(box(b"infe", b"\2\0\0\0" + name) for name in names))

    def meta(base: int) -> bytes:
        places = b"\x44\0" + struct.pack(">H", 2)
        for item, first in ((1, base), (2, base + 2)):
            places += struct.pack(">HHH", item, 0, pieces)
            places += b"".join(struct.pack(">II", first + 4 * piece, 1) for piece in range(pieces))
        return box(b"meta", bytes(4) + iinf + box(b"iloc", bytes(4) + places))

    data = box(b"mdat", b"x" * 4 * pieces) + box(b"mdat", b"x") * (stores - 1)
    return head + meta(len(head) + len(meta(0)) + 8) + data


# Small files that unpack, nest or repeat without an end; a divisor shortens what repeats.
BOMBS: dict[str, Callable[[int], bytes]] = {
    "a zlib bomb in zTXt": lambda n=1: png(chunk(b"zTXt", b"Comment\0\0" + zlib.compress(bytes(32 * 2**20), 1))),
    "a zlib bomb in iCCP": lambda n=1: png(chunk(b"iCCP", b"icc\0\0" + zlib.compress(bytes(32 * 2**20), 1))),
    "many small zlib bombs": lambda n=1: png(
        *[chunk(b"zTXt", b"Comment\0\0" + zlib.compress(bytes(4 * 2**20), 1))] * (200 // n)
    ),
    "fill bytes": lambda n=1: b"\xff\xd8" + b"\xff" * (8 * 2**20 // n),
    "junk": lambda n=1: b"\xff\xd8\xff\xe0\0\2" + b"\0\xff\0" * (2 * 2**20),
    "empty segments": lambda n=1: b"\xff\xd8" + b"\xff\xe1\0\2" * (500_000 // n),
    "empty chunks": lambda n=1: png(*[chunk(b"tEXt", b"")] * (200_000 // n)),
    "empty boxes": lambda n=1: box(b"ftyp", b"heic\0\0\0\0heic") + box(b"free", b"") * (300_000 // n),
    "nested boxes": lambda n=1: (
        box(b"ftyp", b"heic\0\0\0\0heic") + box(b"moov", box(b"trak", b"\0" * 64) * (50_000 // n))
    ),
    "a box of no size": lambda n=1: box(b"ftyp", b"heic\0\0\0\0heic") + b"\0\0\0\1meta" + bytes(8),
    "counts of 2³² in boxes": lambda n=1: heic(box(b"ipma", b"\xff" * 64) + box(b"iprp", b"\xff" * 64)),
    "scattered items": lambda n=1: scattered_heic(32_000 // n),
    "scattered items in many boxes": lambda n=1: scattered_heic(16_000 // n, 19_000 // n),
    "empty sub-blocks of a GIF": lambda n=1: b"GIF89a\1\0\1\0\0\0\0" + b"!\xfe\0" * (400_000 // n),
    "sub-blocks of a GIF": lambda n=1: b"GIF89a\1\0\1\0\0\0\0!\xfe" + b"\1a" * (2 * 2**20 // n),
    "65,535 entries that overlap": lambda n=1: (
        b"II*\0\x08\0\0\0\xff\xff"
        + b"".join(struct.pack("<HHII", number, 2, 60_000, 700_000) for number in range(65_535))
        + b"a" * 900_000
    ),
    "large arrays of every type": lambda n=1: (
        b"II*\0\x08\0\0\0"
        + struct.pack("<H", 4000 // n)
        + b"".join(struct.pack("<HHII", number, 1 + number % 12, 90_000, 48_020) for number in range(4000 // n))
        + b"\7" * 900_000
    ),
    "an XMP bomb of depth": lambda n=1: made_xmp(b"<a>" * 200_000),
    "an XMP bomb of width": lambda n=1: made_xmp(b"<a/>" * (500_000 // n)),
    "an XMP bomb of entities": lambda n=1: made_xmp(
        b"", b'<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa">' + b'<!ENTITY b "' + b"&a;" * 1000 + b'">]>'
    ),
    "an XMP of attributes": lambda n=1: made_xmp(
        b"<rdf:Description " + b" ".join(b"a:b%d='1'" % number for number in range(200_000 // n)) + b"/>"
    ),
    "a large picture": lambda n=1: png_bomb(),
    "IPTC of nothing": lambda n=1: (
        b"\xff\xd8\xff\xed\xff\xff" + b"Photoshop 3.0\0" + b"8BIM\4\4\0\0\0\0\xfe\0" + b"\x1c\2\x19\0\0" * 13_000
    ),
}
