"""The containers: what each holds, how large its picture is, and what no broken one can do."""

from __future__ import annotations

import io
import struct
import tracemalloc
import zlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, PngImagePlugin

from functions.exif.answer import document, examine
from functions.exif.blocks import MAX_INFLATED
from functions.exif.scan import FORMATS, identify, scan
from tests.functions.exif import made
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


@pytest.mark.parametrize("name", CONTAINERS)
def test_exif_is_found_in_every_container(name: str):
    reading = examine(CONTAINERS[name]())
    assert reading.scan.format == name
    assert reading.groups["IFD0"]["Make"].printed == "Canon Incorporated"
    assert name in FORMATS


@pytest.mark.parametrize(
    "name", [name for name in CONTAINERS if name not in ("EXV", "RAF", "RW2", "ORF", "DNG", "CR3")]
)
def test_the_size_comes_from_the_header(name: str):
    found = scan(CONTAINERS[name]())
    if name == "HEIC":
        assert (found.width, found.height) == (None, None)
        return
    assert (found.width, found.height) in {(64, 48), (7, 5), (40, 32)}


@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP", "TIFF", "GIF", "BMP", "AVIF", "JPEG2000"])
@pytest.mark.parametrize("size", [(1, 1), (64, 48), (333, 17)])
def test_pillow_agrees_about_the_size(form: str, size: tuple[int, int]):
    found = scan(encoded(gradient(size=size), form))
    assert (found.width, found.height) == size


@pytest.mark.parametrize(("form", "frames"), [("GIF", 4), ("PNG", 3), ("WEBP", 5), ("TIFF", 3), ("MPO", 2)])
def test_frames_are_counted(form: str, frames: int):
    pictures = [Image.new("RGB", (8, 8), (index * 40, 0, 0)) for index in range(frames)]
    buffer = io.BytesIO()
    pictures[0].save(buffer, form, save_all=True, append_images=pictures[1:])
    assert scan(buffer.getvalue()).frames == frames


def test_a_block_stands_where_the_scan_says():
    data = made.jpeg()
    for block in scan(data).blocks:
        if block.offset >= 0:
            assert data[block.offset : block.offset + len(block.data)] == block.data
    assert {"exif", "xmp", "icc", "iptc", "comment"} <= {block.kind for block in scan(data).blocks}


@pytest.mark.parametrize("compressed", [True, False])
def test_raw_profiles_of_a_png_are_read(compressed: bool):
    text = b"\nexif\n%8d\n" % len(EXIF) + EXIF.hex().encode() + b"\n"
    if compressed:
        body = chunk(b"zTXt", b"Raw profile type exif\0\0" + zlib.compress(text))
    else:
        body = chunk(b"tEXt", b"Raw profile type APP1\0" + text)
    assert examine(png(body)).groups["IFD0"]["Make"].printed == "Canon Incorporated"


def test_texts_of_a_png_are_rows():
    info = PngImagePlugin.PngInfo()
    info.add_text("Author", "Erika Mustermann")
    info.add_itxt("Title", "Über allen Gipfeln", zip=True)
    groups = examine(encoded(gradient(), "PNG", pnginfo=info)).groups
    assert groups["PNG"]["Author"].printed == "Erika Mustermann"
    assert groups["PNG"]["Title"].printed == "Über allen Gipfeln"


def test_exif_in_two_segments_is_put_together():
    half = len(MAKE) // 2
    first, second = (
        b"\xff\xe1" + struct.pack(">H", len(part) + 8) + b"Exif\0\0" + part for part in (MAKE[:half], MAKE[half:])
    )
    reading = examine(b"\xff\xd8" + first + second + b"\xff\xd9")
    assert reading.groups["IFD0"]["Make"].printed == "Canon Incorporated"


def test_an_item_with_a_wrong_distance_is_still_found():
    data = heic(b"").replace(struct.pack(">I", 6) + b"Exif", struct.pack(">I", 900) + b"Exif")
    assert examine(data).groups["IFD0"]["Make"].printed == "Canon Incorporated"


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\0",
        b"GIF",
        b"hello",
        b"%PDF-1.7 \xff\xd8\xff\xe0",
        b"RIFF\0\0\0\0AVI ",
        b"\xff\xd8",
        b"PK\3\4" + b"\xff\xd8\xff" * 9,
    ],
)
def test_what_is_no_image_is_none(data: bytes):
    assert scan(data) is None


def test_junk_before_a_jpeg_is_passed_over():
    assert identify(b"\x9c junk \0" * 20 + jpeg_of(MAKE)) == "jpeg"


@pytest.mark.parametrize("name", CONTAINERS)
def test_every_truncation_is_answered(name: str):
    data = CONTAINERS[name]()
    step = max(1, len(data) // 500)
    for length in [*range(min(len(data), 64)), *range(64, len(data), step)]:
        reading = examine(data[:length])
        if reading is not None:
            document(reading)


BOMBS = {
    "a zlib bomb in zTXt": lambda: png(chunk(b"zTXt", b"Comment\0\0" + zlib.compress(bytes(96 * 2**20), 1))),
    "a zlib bomb in iCCP": lambda: png(chunk(b"iCCP", b"icc\0\0" + zlib.compress(bytes(64 * 2**20), 9))),
    "many small zlib bombs": lambda: png(*[chunk(b"zTXt", b"Comment\0\0" + zlib.compress(bytes(4 * 2**20), 1))] * 200),
    "fill bytes": lambda: b"\xff\xd8" + b"\xff" * (8 * 2**20),
    "junk": lambda: b"\xff\xd8\xff\xe0\0\2" + b"\0\xff\0" * (2 * 2**20),
    "empty segments": lambda: b"\xff\xd8" + b"\xff\xe1\0\2" * 500_000,
    "empty chunks": lambda: png(*[chunk(b"tEXt", b"")] * 200_000),
    "empty boxes": lambda: box(b"ftyp", b"heic\0\0\0\0heic") + box(b"free", b"") * 300_000,
    "nested boxes": lambda: box(b"ftyp", b"heic\0\0\0\0heic") + box(b"moov", box(b"trak", b"\0" * 64) * 50_000),
    "a box of no size": lambda: box(b"ftyp", b"heic\0\0\0\0heic") + b"\0\0\0\1meta" + bytes(8),
    "counts of 2³² in boxes": lambda: heic(box(b"ipma", b"\xff" * 64) + box(b"iprp", b"\xff" * 64)),
    "empty sub-blocks of a GIF": lambda: b"GIF89a\1\0\1\0\0\0\0" + b"!\xfe\0" * 400_000,
    "sub-blocks of a GIF": lambda: b"GIF89a\1\0\1\0\0\0\0!\xfe" + b"\1a" * (2 * 2**20),
    "65,535 entries that overlap": lambda: (
        b"II*\0\x08\0\0\0\xff\xff"
        + b"".join(struct.pack("<HHII", number, 2, 60_000, 700_000) for number in range(65_535))
        + b"a" * 900_000
    ),
    "large arrays of every type": lambda: (
        b"II*\0\x08\0\0\0\xa0\x0f"
        + b"".join(struct.pack("<HHII", number, 1 + number % 12, 90_000, 48_020) for number in range(4000))
        + b"\7" * 900_000
    ),
    "an XMP bomb of depth": lambda: made_xmp(b"<a>" * 200_000),
    "an XMP bomb of width": lambda: made_xmp(b"<a/>" * 500_000),
    "an XMP bomb of entities": lambda: made_xmp(
        b"", b'<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa">' + b'<!ENTITY b "' + b"&a;" * 1000 + b'">]>'
    ),
    "an XMP of attributes": lambda: made_xmp(
        b"<rdf:Description " + b" ".join(b"a:b%d='1'" % number for number in range(200_000)) + b"/>"
    ),
    "a large picture": png_bomb,
    "IPTC of nothing": lambda: (
        b"\xff\xd8\xff\xed\xff\xff" + b"Photoshop 3.0\0" + b"8BIM\4\4\0\0\0\0\xfe\0" + b"\x1c\2\x19\0\0" * 13_000
    ),
}


def made_xmp(inner: bytes, before: bytes = b"") -> bytes:
    packet = (
        before
        + b'<x:xmpmeta xmlns:x="adobe:ns:meta/" xmlns:a="a"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
        + inner
    )
    return png(chunk(b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + packet))


@pytest.mark.parametrize("name", BOMBS)
def test_a_crafted_file_is_answered_within_64_mib(name: str):
    data = BOMBS[name]()
    tracemalloc.start()
    answer = document(examine(data))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert answer["format"]
    assert peak < 64 * 2**20


def test_inflated_bytes_are_bounded_over_a_file():
    found = scan(BOMBS["many small zlib bombs"]())
    assert sum(len(block.data) for block in found.blocks) <= 2 * MAX_INFLATED
    assert any("inflates" in warning for warning in found.warnings)


STARTS = [
    b"\xff\xd8\xff",
    b"\x89PNG\r\n\x1a\n",
    b"RIFF\0\0\0\0WEBP",
    b"\0\0\0\x14ftypheic\0\0\0\0mif1",
    b"II*\0\x08\0\0\0",
]
STARTS += [b"GIF89a", b"8BPS\0\1", b"BM", b"\0\0\0\x0cjP  \r\n\x87\n", b"\xff\x0a", b"FUJIFILMCCD-RAW", b"\0MRM", b""]


@settings(max_examples=400)
@given(st.sampled_from(STARTS), st.binary(max_size=600))
def test_any_bytes_are_answered(start: bytes, data: bytes):
    reading = examine(start + data)
    if reading is not None:
        answer = document(reading)
        assert answer["format"]
        assert all(isinstance(warning, str) for warning in answer["warnings"])


@settings(max_examples=150)
@given(st.sampled_from(sorted(CONTAINERS)), st.data())
def test_flipped_bytes_are_answered(name: str, draw: st.DataObject):
    data = bytearray(CONTAINERS[name]())
    for _ in range(draw.draw(st.integers(1, 6))):
        data[draw.draw(st.integers(0, len(data) - 1))] = draw.draw(st.integers(0, 255))
    reading = examine(bytes(data))
    if reading is not None:
        document(reading)
