"""Clean copies of formats that Pillow does not write with metadata: HEIC, JPEG XL, JPEG 2000 and Photoshop."""

from __future__ import annotations

import io
import struct
import subprocess
from collections.abc import Callable
from pathlib import Path

import brotli
import functions_framework
import pytest
from PIL import Image

import functions.exif.main
from functions.exif.edit.errors import Broken
from functions.exif.edit.strip import strip
from functions.kit import containers
from functions.kit.containers import Kind
from tests.functions.exif import hidden, made
from tests.functions.exif.containers import box, chunk, jxl, tiled_heic
from tests.images import encoded, gradient

EXIF = made.exif(thumbnail=False)[6:]


def jpeg_xl() -> bytes:
    """A JPEG XL with Exif, compressed XMP, and what restores a JPEG."""
    plain = jxl()
    at = plain.index(b"Exif") - 4
    packed = box(b"brob", b"xml " + brotli.compress(made.XMP))
    restoring = box(b"jbrd", b"SN-0815-4711")
    return plain[:at] + restoring + box(b"Exif", bytes(4) + EXIF) + packed + box(b"jumb", b"Erika Mustermann")


def jpeg_2000() -> bytes:
    """A JPEG 2000 with XMP, Exif, a comment in its codestream and bytes behind the last box."""
    plain = encoded(gradient(), "JPEG2000")
    at = plain.index(b"\xff\x52", plain.index(b"\xff\x4f\xff\x51"))
    note = b"Erika Mustermann"
    comment = b"\xff\x64" + struct.pack(">HH", len(note) + 4, 1) + note
    outer = plain.index(b"jp2c") - 4
    (size,) = struct.unpack_from(">I", plain, outer)
    stream = (
        plain[:outer] + struct.pack(">I", size and size + len(comment)) + plain[outer + 4 : at] + comment + plain[at:]
    )
    if not size:  # to the end of the file: nothing may follow
        stream = stream[:outer] + struct.pack(">I", len(stream) - outer) + stream[outer + 4 :]
    return stream + box(b"uuid", b"JpgTiffExif->JP2" + EXIF) + box(b"xml ", made.XMP) + b"SN-0815-4711"


def photoshop() -> bytes:
    """A Photoshop file of one channel with resources: resolution, IPTC, Exif, XMP."""

    def resource(number: int, body: bytes) -> bytes:
        return b"8BIM" + struct.pack(">HHI", number, 0, len(body)) + body + bytes(len(body) & 1)

    resolution = struct.pack(">IHHIHH", 72 << 16, 1, 1, 72 << 16, 1, 1)
    resources = (
        resource(0x03ED, resolution)
        + resource(0x0404, made.IPTC)
        + resource(0x0422, EXIF)
        + resource(0x0424, made.XMP)
        + resource(0x0421, b"SN-0815-4711")
    )
    head = struct.pack(">4sH6xHIIHH", b"8BPS", 1, 1, 4, 6, 8, 1)
    picture = struct.pack(">H", 0) + bytes(range(24))
    return head + bytes(4) + struct.pack(">I", len(resources)) + resources + bytes(4) + picture + b"Erika Mustermann"


FILES = {"JXL": jpeg_xl(), "JP2": jpeg_2000(), "PSD": photoshop(), "HEIC": tiled_heic(1, wide=False, base=4)}


def pixels(data: bytes) -> list[bytes]:
    document = containers.read(data)
    assert document is not None
    return [document.raw(part) for part in document.parts if part.kind is Kind.PIXELS]


@pytest.mark.parametrize("name", FILES)
def test_metadata_go_and_the_picture_stays(name: str, program: Callable[[str], str], tmp_path: Path) -> None:
    source = FILES[name]
    result = strip(source)
    assert result.removed
    assert [secret for secret in made.SECRETS if secret in result.data] == []
    assert pixels(result.data) == pixels(source)
    again = strip(result.data)
    assert (again.data, again.removed) == (result.data, ())
    path = tmp_path / f"copy.{name.lower()}"
    path.write_bytes(result.data)
    command = [
        program("exiftool"),
        "-a",
        "-G1",
        "-s",
        "-XMP:all",
        "-IPTC:all",
        "-GPS:all",
        "-ExifIFD:all",
        "-Warning",
        path,
    ]
    assert subprocess.run(command, capture_output=True, text=True).stdout == ""


@pytest.mark.parametrize("name", FILES)
def test_only_the_location_goes(name: str) -> None:
    source = FILES[name]
    result = strip(source, remove={"gps"}).data
    assert pixels(result) == pixels(source)
    assert b"Hauptstrasse" not in result
    assert struct.pack(">II", 137154, 9973) not in result
    if name != "HEIC":
        assert b"Lamp Camera X" in result
    assert strip(result, remove={"gps"}).data == result


def test_a_jpeg_2000_shows_the_same_picture() -> None:
    with Image.open(io.BytesIO(jpeg_2000())) as before, Image.open(io.BytesIO(strip(jpeg_2000()).data)) as after:
        assert after.tobytes() == before.tobytes()


def test_a_photoshop_file_keeps_its_resolution() -> None:
    result = strip(photoshop()).data
    assert b"\x03\xed" in result
    assert b"SN-0815" not in result
    assert result.endswith(bytes(range(24)))


def test_layers_stay_without_their_names_and_linked_files() -> None:
    source = hidden.layered(
        hidden.information(b"lyid", bytes(4)), hidden.information(b"lnk2", hidden.PHOTO), hidden.NAME
    )
    result = strip(source)
    assert {one.detail for one in result.removed} == {"text 'name of layer 1'", "app 'linked file'"}
    assert [warning for warning in result.warnings if "layers link" in warning]
    assert b"8BIMlyid" in result.data
    with Image.open(io.BytesIO(source)) as old, Image.open(io.BytesIO(result.data)) as new:
        for image in (old, new):
            image.seek(1)
        assert (new.n_frames, new.tobytes(), new.size) == (old.n_frames, old.tobytes(), old.size)


def test_layers_that_cannot_be_followed_are_refused() -> None:
    source = photoshop()
    at = len(source) - 16 - 26 - 4
    with pytest.raises(Broken, match="runs over its end"):
        strip(source[:at] + struct.pack(">I", 16) + b"\xff" * 16 + source[at + 4 :])


def test_a_track_of_sound_goes_or_stays_at_its_place() -> None:
    source = hidden.sequence(b"soun", hidden.NAME)
    copy, located = strip(source), strip(source + box(b"free", bytes(8)), remove=["gps"])
    assert {one.detail for one in copy.removed} >= {"app 'track that shows no picture'"}
    for data, tracks in ((copy.data, 1), (located.data, 2)):
        document = containers.read(data)
        assert document is not None
        places = [box.body + 8 for box in document.model.chunks]
        assert len(places) == tracks
        assert data.startswith(b"\x12\0", struct.unpack_from(">I", data, places[0])[0])
    assert located.data.startswith(hidden.NAME, struct.unpack_from(">I", located.data, places[1])[0])


def test_an_unknown_critical_chunk_is_refused() -> None:
    data = encoded(gradient(), "PNG")
    source = data[:33] + chunk(b"XyZz", b"what is it") + data[33:]
    client = functions_framework.create_app("exif", functions.exif.main.__file__, "http").test_client()
    answer = client.post("/strip", data=source)
    assert (answer.status_code, "XyZz" in answer.json["detail"]) == (422, True)


@pytest.mark.parametrize("essential", [False, True])
def test_an_unknown_property_goes_unless_it_is_essential(essential: bool) -> None:
    data = encoded(gradient(), "AVIF", exif=made.exif())
    # The pixel format's property becomes one of unknown type, with its association as it is or essential.
    at = data.index(b"pixi")
    source = bytearray(data[:at] + b"pxyz" + data[at + 4 :])
    table = source.index(b"ipma") + 12
    first, number = table + 3, source[table + 2]
    document = containers.read(data)
    assert document is not None
    index = next(n for n, one in enumerate(document.model.properties, 1) if one.kind == b"pixi")
    place = next(first + n for n in range(number) if source[first + n] & 0x7F == index)
    source[place] = index | (0x80 if essential else 0)
    if essential:
        with pytest.raises(Broken, match="pxyz"):
            strip(bytes(source))
    else:
        assert b"pxyz" not in strip(bytes(source)).data


def test_a_video_in_a_box_keeps_its_place_without_the_location() -> None:
    from tests.functions.exif.edit.test_location import movie, placed

    clip = movie(placed())
    source = encoded(gradient(), "AVIF") + box(b"mpvd", clip)
    result = strip(source, remove={"gps"})
    assert result.data[: -len(clip)] == source[: -len(clip)]
    assert b"48.1370" not in result.data
    assert b"mpvd" not in strip(source).data


def test_the_name_of_a_handler_goes() -> None:
    data = encoded(gradient(), "AVIF")
    at = data.index(b"hdlr") + 4 + 24
    end = data.index(b"\0", at)
    named = data.replace(data[at - 28 - 4 : end], data[at - 32 : at - 28] + data[at - 28 : at] + b"L" * (end - at), 1)
    result = strip(named).data
    assert b"LLLL" not in result
    assert pixels(result) == pixels(data)
