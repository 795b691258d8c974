"""Fields set: read back by ExifTool, the pixels and everything else as they were."""

from __future__ import annotations

import io
import json
import struct
import subprocess
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from functools import cache
from pathlib import Path
from typing import Any

import piexif
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from functions.exif.answer import examine
from functions.exif.edit.errors import Broken, Unsupported
from functions.exif.edit.fields import Fields, parse_date, parse_position
from functions.exif.edit.set import write
from functions.exif.report.summary import capture_time
from tests.functions.exif import containers, made
from tests.functions.exif.tiffs import ascii_field, tiff
from tests.images import encoded, gradient

FIELDS = Fields(
    artist="Zoë Müller",
    copyright="© 2024 Zoë Müller",
    description="Harbour at dusk",
    orientation=6,
    taken=datetime(2024, 5, 3, 14, 12, 31, 250000, timezone(timedelta(hours=2))),
    position=(-48.137154, 11.576124, -3.5),
)


def exif_block(order: str) -> bytes:
    """A block with a camera's tags and an opaque maker note, in a byte order."""
    image = Image.Exif()
    image.endian = order
    image[0x010F], image[0x0110], image[0x013B] = "Lamp", "Lamp 5D", "somebody else entirely"
    ifd = image.get_ifd(0x8769)
    ifd[0x9003], ifd[0x927C], ifd[0x829A] = "2001:01:01 00:00:00", b"a note of the maker", 0.005
    gps = image.get_ifd(0x8825)
    gps[1], gps[2], gps[17] = "N", (1.0, 2.0, 3.0), 90.0
    return image.tobytes()


@cache
def files() -> dict[str, bytes]:
    picture, block = gradient(), exif_block("<")
    return {
        "plain.jpg": encoded(picture, "JPEG"),
        "little.jpg": encoded(picture, "JPEG", exif=block),
        "big.jpg": encoded(picture, "JPEG", exif=exif_block(">")),
        "plain.webp": encoded(picture, "WEBP", lossless=True),
        "alpha.webp": encoded(gradient("RGBA"), "WEBP", lossless=True, exact=True),
        "exif.webp": encoded(picture, "WEBP", exif=block),
        "frames.webp": encoded(picture, "WEBP", save_all=True, append_images=[picture.rotate(90)], duration=40),
        "plain.tif": encoded(picture, "TIFF"),
        "packed.tif": encoded(picture, "TIFF", compression="tiff_lzw"),
        "exif.tif": encoded(picture, "TIFF", exif=block),
        "plain.png": encoded(picture, "PNG"),
        "exif.png": encoded(picture, "PNG", exif=block),
        "plain.avif": encoded(picture, "AVIF"),
        "exif.avif": encoded(picture, "AVIF", exif=block),
    }


# Pillow decodes none of these.
OTHERS = {
    "plain.jxl": containers.jxl().replace(containers.box(b"Exif", bytes(4) + containers.MAKE), b""),
    "exif.jxl": containers.jxl(),
    "bare.jxl": b"\xff\x0a" + struct.pack("<Q", 0b00100_000_00011_1) + bytes(8),
    "tiled.heic": containers.tiled_heic(1, wide=False, base=4),
    "raw.dng": encoded(gradient("L"), "TIFF", tiffinfo={50706: b"\1\4\0\0", 50708: "Lamp 5D"}, exif=exif_block("<")),
}


def pixels(data: bytes) -> bytes:
    with Image.open(io.BytesIO(data)) as image:
        return image.tobytes()


@pytest.fixture(scope="module")
def read(program: Callable[[str], str], tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any]]:
    """What ExifTool reads of every written file, by name; one run for all."""
    folder = tmp_path_factory.mktemp("written")
    for name, source in (files() | OTHERS).items():
        (folder / name).write_bytes(write(source, FIELDS).data)
    done = subprocess.run([program("exiftool"), "-j", "-n", "-a", "-G1", folder], capture_output=True, text=True)
    return {Path(found["SourceFile"]).name: found for found in json.loads(done.stdout)}


@pytest.mark.parametrize("name", [*files(), *OTHERS])
def test_exiftool_reads_back_what_was_set(name: str, read: dict[str, dict[str, Any]]) -> None:
    found = read[name]
    assert "ExifTool:Warning" not in found
    assert found["IFD0:Artist"] == "Zoë Müller"
    assert found["IFD0:Copyright"] == "© 2024 Zoë Müller"
    assert found["IFD0:ImageDescription"] == "Harbour at dusk"
    assert found["IFD0:Orientation"] == 6
    assert found["ExifIFD:DateTimeOriginal"] == "2024:05:03 14:12:31"
    assert str(found["ExifIFD:SubSecTimeOriginal"]) == "25"
    assert found["ExifIFD:OffsetTimeOriginal"] == "+02:00"
    assert found["Composite:GPSLatitude"] == pytest.approx(-48.137154, abs=1e-8)
    assert found["Composite:GPSLongitude"] == pytest.approx(11.576124, abs=1e-8)
    assert found["Composite:GPSAltitude"] == -3.5


def test_a_new_directory_has_the_entries_that_exif_requires(read: dict[str, dict[str, Any]]) -> None:
    for name in ("plain.jpg", "plain.webp", "plain.tif", "plain.png"):
        found = read[name]
        assert [str(found[f"ExifIFD:{tag}"]) for tag in ("ExifVersion", "FlashpixVersion")] == ["0232", "0100"]
        assert found["ExifIFD:ColorSpace"] == 65535
    found = read["plain.jpg"]
    assert [found[f"ExifIFD:ExifImage{side}"] for side in ("Width", "Height")] == [64, 48]
    assert (found["IFD0:XResolution"], found["IFD0:ResolutionUnit"], found["IFD0:YCbCrPositioning"]) == (72, 2, 1)
    assert "ExifIFD:ExifVersion" not in read["little.jpg"]


def test_resolution_is_that_of_jfif() -> None:
    reading = examine(write(encoded(gradient(), "JPEG", dpi=(300, 150)), FIELDS).data)
    assert [reading.text("IFD0", f"{axis}Resolution") for axis in "XY"] == ["300", "150"]


def test_a_number_in_a_directory_is_not_an_offset_of_a_picture() -> None:
    block = tiff([ascii_field(0x10F, "Lamp"), ascii_field(0x110, "Lamp 5D")])
    # The second picture begins where type and tag of the second entry, read as a number, lead.
    place = 0x0110 | 2 << 16
    plain = encoded(gradient(), "JPEG", exif=b"Exif\0\0" + block)
    source = plain.ljust(place, b"\0") + encoded(gradient(), "JPEG")
    assert examine(write(source, FIELDS).data).text("IFD0", "Model") == "Lamp 5D"


@pytest.mark.parametrize("name", files())
def test_pixels_and_other_tags_stay(name: str) -> None:
    source = files()[name]
    result = write(source, FIELDS).data
    if not name.endswith(".tif"):  # Pillow turns a TIFF as its orientation says
        assert pixels(result) == pixels(source)
    upright = write(source, Fields(artist="somebody")).data
    assert pixels(upright) == pixels(source)
    before, after = examine(source), examine(result)
    for group, rows in before.groups.items():
        for name in rows.keys() & {"Make", "Model", "ExposureTime", "Compression", "RowsPerStrip"}:
            assert after.text(group, name) == before.text(group, name)


def test_nothing_of_a_replaced_value_is_left() -> None:
    source = files()["little.jpg"]
    assert b"somebody else entirely" in source
    result = write(source, FIELDS).data
    assert b"somebody else entirely" not in result
    assert b"a note of the maker" in result
    # A new position leaves no direction of the old one beside it.
    assert "GPSImgDirection" in examine(source).groups["GPS"]
    assert "GPSImgDirection" not in examine(result).groups["GPS"]


def test_a_new_date_has_neither_the_fraction_nor_the_offset_of_the_old_one() -> None:
    exif = {0x9003: b"2001:01:01 00:00:00", 0x9291: b"99", 0x9011: b"+09:00", 0x9292: b"98", 0x9012: b"+09:00"}
    source = encoded(gradient(), "JPEG", exif=piexif.dump({"Exif": exif | {0x9290: b"97", 0x9010: b"+01:00"}}))
    written = examine(write(source, Fields(taken=datetime(2024, 5, 3, 14, 12))).data)
    assert capture_time(written) == {"iso": "2024-05-03T14:12:00", "source": "ExifIFD:DateTimeOriginal"}
    tags = written.groups["ExifIFD"]
    assert not {"SubSecTimeOriginal", "OffsetTimeOriginal", "SubSecTimeDigitized", "OffsetTimeDigitized"} & set(tags)
    # Those of the file's own date stay with it.
    assert (written.text("ExifIFD", "SubSecTime"), written.text("ExifIFD", "OffsetTime")) == ("97", "+01:00")
    artist = examine(write(source, Fields(artist="Zoë")).data)
    assert artist.text("ExifIFD", "OffsetTimeOriginal") == "+09:00"


def test_other_copies_of_a_value_are_named_wherever_they_are() -> None:
    everything = made.jpeg()
    (warning, credentials) = write(everything, FIELDS).warnings
    assert "C2PA" in credentials
    for tag in ("XMP-dc:Creator", "IPTC:By-line", "XMP-photoshop:City"):
        assert tag in warning
    assert write(files()["little.jpg"], FIELDS).warnings == ()
    told = encoded(gradient(), "TIFF", tiffinfo={700: b"", 0x9C9D: "Zoë".encode("utf-16-le")})
    (warning,) = write(told, Fields(artist="Zoë")).warnings
    assert warning.endswith(": IFD0:XPAuthor")


def test_setting_the_same_twice_changes_nothing_that_is_read() -> None:
    once = write(files()["little.jpg"], FIELDS).data
    twice = write(once, FIELDS).data
    read_once, read_twice = (
        {
            (group, name): printed
            for group, rows in examine(data).groups.items()
            for name, _, printed, *_ in rows.values()
        }
        for data in (once, twice)
    )
    read_once.pop(("IFD1", "ThumbnailOffset"), None)
    assert read_once == read_twice


def test_the_index_of_an_mpo_still_finds_its_pictures() -> None:
    buffer = io.BytesIO()
    first, second = gradient(), gradient(size=(32, 24))
    first.save(buffer, "MPO", save_all=True, append_images=[second])
    result = write(buffer.getvalue(), FIELDS).data
    with Image.open(io.BytesIO(buffer.getvalue())) as before, Image.open(io.BytesIO(result)) as after:
        assert after.n_frames == before.n_frames == 2
        for frame in range(2):
            before.seek(frame)
            after.seek(frame)
            assert after.tobytes() == before.tobytes()


@pytest.mark.parametrize("form", ["GIF", "BMP"])
def test_other_formats_are_refused(form: str) -> None:
    with pytest.raises(Unsupported):
        write(encoded(gradient("P"), form), FIELDS)


def test_bigtiff_is_refused_since_readers_do_not_follow_its_gps() -> None:
    with pytest.raises(Unsupported, match="BigTIFF"):
        write(encoded(gradient(), "TIFF", big_tiff=True), FIELDS)


def test_a_block_that_cannot_be_read_is_refused() -> None:
    source = encoded(gradient(), "JPEG", exif=b"Exif\0\0not a block at all")
    with pytest.raises(Broken):
        write(source, FIELDS)


def test_a_segment_has_room_for_so_much() -> None:
    with pytest.raises(Broken, match="65,527"):
        write(files()["plain.jpg"], Fields(description="x" * 70_000))


def test_an_upload_is_never_taken_for_a_file_name(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise AssertionError("piexif was given something to read")

    monkeypatch.setattr(piexif, "load", refuse)
    for data in (b"/etc/passwd", b"\xff\xd8\xff/etc/passwd", *files().values()):
        try:
            write(data, FIELDS)
        except (Broken, Unsupported):
            continue


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_any_damage_is_refused_or_written(data: st.DataObject) -> None:
    source = bytearray(data.draw(st.sampled_from(sorted(files().values()))))
    for _ in range(data.draw(st.integers(1, 6))):
        source[data.draw(st.integers(0, min(len(source) - 1, 400)))] = data.draw(st.integers(0, 255))
    try:
        result = write(bytes(source), FIELDS)
    except (Broken, Unsupported):
        return
    assert len(result.data) > len(source) // 2


@settings(max_examples=60, deadline=None)
@given(st.floats(-90, 90), st.floats(-180, 180))
def test_positions_survive_to_a_millimetre(latitude: float, longitude: float) -> None:
    result = write(files()["plain.jpg"], Fields(position=(latitude, longitude, None)))
    reading = examine(result.data)
    for name, degrees, negative in (("GPSLatitude", latitude, "S"), ("GPSLongitude", longitude, "W")):
        sign = -1 if reading.value("GPS", name + "Ref") == negative else 1
        assert sign * reading.value("GPS", name) == pytest.approx(degrees, abs=1e-8)


@pytest.mark.parametrize(
    ("text", "iso"),
    [
        ("2024-05-03T14:12:00+02:00", "2024-05-03T14:12:00+02:00"),
        ("2024:05:03 14:12:00", "2024-05-03T14:12:00"),
        ("2024-05-03T14:12:00Z", "2024-05-03T14:12:00+00:00"),
        # The plus sign of a query that was typed as it stands arrives as a space.
        ("2024-05-03T14:12:00 02:00", "2024-05-03T14:12:00+02:00"),
        ("2024:05:03 14:12", "2024-05-03T14:12:00"),
    ],
)
def test_dates_of_both_forms(text: str, iso: str) -> None:
    assert parse_date(text).isoformat() == iso


@pytest.mark.parametrize("text", ["", "2024", "yesterday", "2024-13-01T00:00:00", "2024-05-03"])
def test_other_dates_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match="expected a date"):
        parse_date(text)


def test_positions_as_people_give_them() -> None:
    assert parse_position("48.1, 11.5") == (48.1, 11.5, None)
    assert parse_position("geo:-48.1,11.5,520") == (-48.1, 11.5, 520)
    assert parse_position("GEO:48.1,+11.5,520;CRS=WGS84;u=4.7") == (48.1, 11.5, 520)
    assert parse_position("geo:48.1,11.5?z=17") == (48.1, 11.5, None)
    for text in ("geo:48.1,11.5;crs=moon-2011", "", "91,0", "0,181", "48.1", "48.1;11.5", "nan,nan", "1e1,2"):
        with pytest.raises(ValueError, match="expected"):
            parse_position(text)
