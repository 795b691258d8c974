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
from functions.exif.scan.files import FORMATS, identify, scan
from functions.exif.scan.result import MAX_INFLATED
from tests.functions.exif import made
from tests.functions.exif.containers import BOMBS, CONTAINERS, EXIF, MAKE, chunk, heic, png, tiled_heic
from tests.functions.exif.tiffs import jpeg_of
from tests.images import encoded, gradient
from tests.work import within


@pytest.mark.parametrize("name", CONTAINERS)
def test_exif_is_found_in_every_container(name: str):
    reading = examine(CONTAINERS[name]())
    assert reading.scan.format == name
    assert reading.text("IFD0", "Make") == "Canon Incorporated"
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


def test_a_block_is_where_the_scan_reports_it():
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
    assert examine(png(body)).text("IFD0", "Make") == "Canon Incorporated"


def test_texts_of_a_png_are_rows():
    info = PngImagePlugin.PngInfo()
    info.add_text("Author", "Erika Mustermann")
    info.add_itxt("Title", "Über allen Gipfeln", zip=True)
    reading = examine(encoded(gradient(), "PNG", pnginfo=info))
    assert reading.text("PNG", "Author") == "Erika Mustermann"
    assert reading.text("PNG", "Title") == "Über allen Gipfeln"


def test_exif_in_two_segments_is_put_together():
    half = len(MAKE) // 2
    first, second = (
        b"\xff\xe1" + struct.pack(">H", len(part) + 8) + b"Exif\0\0" + part for part in (MAKE[:half], MAKE[half:])
    )
    reading = examine(b"\xff\xd8" + first + second + b"\xff\xd9")
    assert reading.text("IFD0", "Make") == "Canon Incorporated"


@pytest.mark.parametrize("version", [0, 1, 2])
@pytest.mark.parametrize("wide", [False, True])
@pytest.mark.parametrize("base", [0, 4, 8])
def test_a_picture_of_tiles_has_the_size_and_the_metadata_of_its_own_items(version: int, wide: bool, base: int):
    data = tiled_heic(version, wide=wide, base=base)
    reading = examine(data)
    assert reading is not None
    assert (reading.scan.width, reading.scan.height) == (4000, 3000)
    assert [(block.kind, block.where) for block in reading.scan.blocks] == [("exif", "item 71"), ("xmp", "item 72")]
    assert reading.text("IFD0", "Make") == "Canon Incorporated"
    assert reading.text("XMP-x", "XMPToolkit") == "tiles"
    assert not reading.warnings


def test_an_item_with_a_wrong_distance_is_still_found():
    data = heic(b"").replace(struct.pack(">I", 6) + b"Exif", struct.pack(">I", 900) + b"Exif")
    assert examine(data).text("IFD0", "Make") == "Canon Incorporated"


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
def test_bytes_that_are_not_an_image_give_nothing(data: bytes):
    assert scan(data) is None


def test_junk_before_a_jpeg_is_passed_over():
    assert identify(b"\x9c junk \0" * 20 + jpeg_of(MAKE)) == "jpeg"


@pytest.mark.parametrize("name", CONTAINERS)
def test_a_truncated_file_is_answered(name: str):
    data = CONTAINERS[name]()
    for length in {*range(0, len(data), len(data) // 150 + 1), *range(len(data) - 8, len(data))}:
        reading = examine(data[:length])
        if reading is not None:
            document(reading)


@pytest.mark.parametrize("name", BOMBS)
def test_a_crafted_file_is_answered_with_bounded_work_and_16_mib(name: str):
    short, long = BOMBS[name](100), BOMBS[name](16)
    assert within(1_000_000, lambda: document(examine(short))["format"])
    tracemalloc.start()
    document(examine(long))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 16 * 2**20


def test_inflated_bytes_are_bounded_over_a_file():
    found = scan(BOMBS["many small zlib bombs"](8))
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


@settings(max_examples=150)
@given(st.sampled_from(STARTS), st.binary(max_size=600))
def test_any_bytes_are_answered(start: bytes, data: bytes):
    reading = examine(start + data)
    if reading is not None:
        answer = document(reading)
        assert answer["format"]
        assert all(isinstance(warning, str) for warning in answer["warnings"])


@settings(max_examples=100)
@given(st.sampled_from(sorted(CONTAINERS)), st.data())
def test_flipped_bytes_are_answered(name: str, draw: st.DataObject):
    data = bytearray(CONTAINERS[name]())
    for _ in range(draw.draw(st.integers(1, 6))):
        data[draw.draw(st.integers(0, len(data) - 1))] = draw.draw(st.integers(0, 255))
    reading = examine(bytes(data))
    if reading is not None:
        document(reading)
