"""Fields of containers: image resources, the index of an MPO, PNG chunks, tracks, headers; as ExifTool shows them."""

from __future__ import annotations

import json
import struct
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import PngImagePlugin

from functions.exif.answer import examine, flat
from functions.exif.fields import printim, resources, tracks
from functions.exif.report.privacy import report
from tests.functions.exif import cases, made
from tests.functions.exif.containers import box, chunk, png
from tests.functions.exif.made import segment
from tests.images import encoded, gradient


def resource(number: int, body: bytes) -> bytes:
    return b"8BIM" + struct.pack(">HHI", number, 0, len(body)) + body + bytes(len(body) & 1)


def wide(text: str) -> bytes:
    return struct.pack(">I", len(text) + 1) + (text + "\0").encode("utf-16-be")


RESOURCES = b"".join(
    (
        resource(0x03ED, struct.pack(">IHHIHH", 72 << 16, 1, 1, 72 << 16, 1, 1)),
        resource(0x03F3, bytes(8) + b"\1"),
        resource(0x0406, struct.pack(">hHH", 5, 0x101, 2)),
        resource(0x040A, b"\1"),
        resource(0x040B, b"https://example.org/"),
        resource(0x040D, struct.pack(">I", 120)),
        resource(0x0414, struct.pack(">I", 7)),
        resource(0x0421, struct.pack(">IB", 1, 1) + wide("Lamp Studio") + wide("Lamp Studio 2") + bytes(4)),
        resource(0x0425, bytes(range(16))),
        resource(0x0426, struct.pack(">Hfff", 2, 0, 0, 1.5)),
        resource(0x0428, struct.pack(">Id", 1, 1.25)),
    )
)


def movie() -> bytes:
    """An AVIF sequence of one track, headers alone."""
    matrix = struct.pack(">9i", 65536, 0, 0, 0, 65536, 0, 0, 0, 2**30)
    mvhd = struct.pack(">IIIIIIH10x", 0, 3_800_000_000, 3_800_000_001, 600, 900, 65536, 256) + matrix
    mvhd += struct.pack(">6II", 0, 0, 0, 0, 0, 0, 2)
    tkhd = struct.pack(">IIII4xI8xHHHH", 3, 3_800_000_000, 3_800_000_000, 1, 900, 0, 0, 0, 0) + matrix
    tkhd += struct.pack(">II", 64 << 16, 48 << 16)
    mdhd = struct.pack(">IIIIIHH", 0, 3_800_000_000, 3_800_000_000, 600, 900, 0x55C4, 0)
    mdia = box(b"mdhd", mdhd) + box(b"hdlr", bytes(8) + b"pict" + bytes(12) + b"lamp\0")
    track = box(b"tkhd", tkhd) + box(b"mdia", mdia)
    return box(b"ftyp", b"avif\0\0\0\0avifmif1") + box(b"moov", box(b"mvhd", mvhd) + box(b"trak", track))


FILES: dict[str, Callable[[], bytes]] = {
    "resources.jpg": lambda: cases.jpeg(segment(0xED, b"Photoshop 3.0\0" + RESOURCES)),
    "pictures.jpg": made.mpo,
    "chunks.png": lambda: png(
        chunk(b"gAMA", struct.pack(">I", 45455)),
        chunk(b"cHRM", struct.pack(">8I", 31270, 32900, 64000, 33000, 30000, 60000, 15000, 6000)),
        chunk(b"sRGB", b"\1"),
        chunk(b"bKGD", struct.pack(">3H", 1, 2, 3)),
        chunk(b"oFFs", struct.pack(">IIB", 3, 4, 1)),
        chunk(b"sBIT", b"\5\6\5"),
    ),
    "loops.gif": lambda: encoded(
        gradient("P"), "GIF", save_all=True, append_images=[gradient("P").rotate(90)], loop=3, duration=50
    ),
    "lossy.webp": lambda: encoded(gradient(), "WEBP", exif=b"Exif\0\0" + cases.gps()),
    "movie.avif": movie,
    "grid.jp2": lambda: encoded(gradient(), "JPEG2000"),
}
GROUPS = ("Photoshop", "MPF0", "MPImage", "PNG", "GIF", "RIFF", "QuickTime", "Meta", "Track1", "Jpeg2000", "File")
# What ExifTool reads of the frames, which are pixels here.
MORE = {"GIF:Duration", "GIF:TransparentColor"}


@pytest.mark.parametrize("name", FILES)
def test_the_fields_of_a_container_are_exiftools(tmp_path: Path, program: Callable[[str], str], name: str) -> None:
    path = tmp_path / name
    path.write_bytes(FILES[name]())
    reading = examine(path.read_bytes())
    assert reading is not None
    for raw in (False, True):
        command = [program("exiftool"), "-a", "-u", "-G1", "-j", *(["-n"] if raw else []), str(path)]
        (theirs,) = json.loads(subprocess.run(command, capture_output=True, check=True).stdout)
        ours = flat(reading, raw=raw)
        wanted = {tag: value for tag, value in theirs.items() if tag.startswith(GROUPS) and tag not in MORE}
        assert wanted
        assert {tag: ours.get(tag) for tag in wanted} == wanted


def test_resources_that_are_understood_are_not_unread() -> None:
    parts = report(examine(FILES["resources.jpg"]()))["not_read"]
    assert parts == []


def test_a_printim_record_may_have_the_other_byte_order() -> None:
    record = b"PrintIM\0" + b"0300" + bytes(2) + struct.pack(">HHI", 1, 2, 0x01000000)
    for order in "<>":
        assert [name for name, _, _ in printim.rows(record, order)] == ["PrintIMVersion", "PrintIM_0x0002"]


@pytest.mark.parametrize("size", range(0, 40, 3))
def test_short_records_give_what_they_hold(size: int) -> None:
    from functions.exif.scan.result import Scan

    for number in (*resources._READERS, *resources.NUMBERS, *resources.OPAQUE):
        resources.add(Scan("JPEG", "image/jpeg"), number, bytes(size))
        resources.add(Scan("JPEG", "image/jpeg"), number, b"\xff" * size)
    tracks.movie(Scan("AVIF", "image/avif"), b"\1" + bytes(size))


def test_every_length_of_a_header_is_read() -> None:
    for build in (lambda: encoded(gradient(), "BMP"), FILES["loops.gif"], FILES["lossy.webp"], FILES["grid.jp2"]):
        data = build()
        for size in range(4, 120):
            reading = examine(data[:size])
            assert reading is None or not any("beyond reading" in warning for warning in reading.warnings), size


def test_how_long_an_animation_takes_and_its_transparent_colour():
    screen = b"GIF89a\2\0\2\0\x80\0\0" + bytes(6)
    control = b"!\xf9\4\1" + struct.pack("<H", 5) + b"\1\0"
    image = b",\0\0\0\0\2\0\2\0\0\2\2\x44\1\0"
    reading = examine(screen + (control + image) * 2 + b";")
    assert reading is not None
    found = flat(reading)
    assert (found["GIF:Duration"], found["GIF:TransparentColor"]) == ("0.10 s", 1)


def test_a_sidecar_of_xmp_is_read_to_its_end():
    packet = cases.xmp("<dc:format>image/x-nikon-nef</dc:format>")
    for data in (packet, b'<?xml version="1.0" encoding="UTF-8"?>\n' + packet + b"\n", b"\xef\xbb\xbf" + packet):
        reading = examine(data)
        assert reading is not None
        assert (reading.scan.format, flat(reading)["XMP-dc:Format"]) == ("XMP", "image/x-nikon-nef")
        assert not reading.scan.unread


def test_the_colours_of_a_late_bitmap():
    header = struct.pack("<IiiHHIIIIII", 124, 1, 1, 1, 24, 0, 4, 2835, 2835, 0, 0)
    header += struct.pack("<4I", 0xFF0000, 0xFF00, 0xFF, 0) + bytes(4) + struct.pack("<9I", *[1 << 29] * 9)
    header += struct.pack("<3I", 0x23333, 0x23333, 0x23333) + struct.pack("<4I", 4, 0, 0, 0)
    data = struct.pack("<2sIxxxxI", b"BM", 14 + len(header) + 4, 14 + len(header)) + header + bytes(4)
    reading = examine(data)
    assert reading is not None
    found = flat(reading)
    assert found["File:RenderingIntent"] == "Picture (LCS_GM_IMAGES)"
    assert found["File:RedEndpoint"] == "0.500000 0.500000 0.500000"
    assert found["File:GammaRed"] == 2.2


def test_the_language_of_a_text_is_part_of_its_name(program: Callable[[str], str], tmp_path: Path) -> None:
    info = PngImagePlugin.PngInfo()
    for keyword, language, text in (
        ("Title", "en", "Harbour"),
        ("Author", "de_at", "Ada"),
        ("Comment", "", "plain"),
        ("Made up", "fr", "unknown"),
    ):
        info.add_itxt(keyword, text, language, "")
    path = tmp_path / "texts.png"
    path.write_bytes(encoded(gradient(), "PNG", pnginfo=info))
    command = [program("exiftool"), "-j", "-G1", "-PNG:all", str(path)]
    (theirs,) = json.loads(subprocess.run(command, capture_output=True, check=True).stdout)
    shown = flat(examine(path.read_bytes()))
    assert {name: shown.get(name) for name in theirs if name != "SourceFile"} == {
        name: value for name, value in theirs.items() if name != "SourceFile"
    }
    assert shown["PNG:Title-en"] == "Harbour"
    finding = report(examine(path.read_bytes()))["findings"][0]
    assert (finding["grade"], finding["tags"][0]["value"]) == ("identifies", "Ada")
