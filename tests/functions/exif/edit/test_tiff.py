"""Clean copies of TIFFs: metadata inside compressed strips and tiles, and raw files that are TIFFs."""

from __future__ import annotations

import io
import struct

import functions_framework
import pytest
from PIL import Image

import functions.exif.main
from functions.exif.edit.errors import Unsupported
from functions.exif.edit.strip import strip
from tests.functions.exif import hidden, made
from tests.functions.exif.tiffs import Field, long, short, tiff
from tests.images import encoded, gradient

SIDE = 64


def stream(form: str = "JPEG") -> bytes:
    """A compressed picture with Exif, a comment and a segment of a maker in it."""
    picture = gradient(size=(SIDE, SIDE))
    if form == "WEBP":
        return encoded(picture, "WEBP", lossless=True, exif=made.exif(thumbnail=False), xmp=made.XMP)
    plain = encoded(picture, "JPEG", exif=made.exif(thumbnail=False), comment=b"Erika Mustermann was here")
    return plain[:2] + made.segment(0xE5, b"Lamp\0SN-0815-4711") + plain[2:]


def compressed(
    streams: list[bytes], *, tiles: bool = False, compression: int = 7, extra: tuple[Field, ...] = ()
) -> bytes:
    """A TIFF whose strips or tiles are such streams."""
    rows = SIDE * len(streams)
    places = (0x0144, 0x0145) if tiles else (0x0111, 0x0117)
    sized = [short(0x0142, SIDE), short(0x0143, SIDE)] if tiles else [short(0x0116, SIDE)]

    def built(offsets: list[int]) -> bytes:
        fields = [
            *(short(0x0100, SIDE), short(0x0101, rows), short(0x0102, 8, 8, 8), short(0x0103, compression)),
            *(short(0x0106, 6 if compression == 7 else 2), short(0x0115, 3), *sized),
            *(long(places[0], *offsets), long(places[1], *map(len, streams))),
            *extra,
        ]
        return tiff(sorted(fields, key=lambda field: field[0]))

    at = len(built([0] * len(streams)))
    offsets = [at + sum(map(len, streams[:index])) for index in range(len(streams))]
    return built(offsets) + b"".join(streams)


def pixels(data: bytes) -> bytes:
    # Not every libtiff reads WebP: its strip is opened by itself.
    with Image.open(io.BytesIO(data[max(data.find(b"RIFF"), 0) :])) as image:
        return image.convert("RGB").tobytes()


TABLES = b"\xff\xd8" + made.segment(0xFE, b"Erika Mustermann") + b"\xff\xd9"
FILES = {
    "a strip": compressed([stream()]),
    "strips": compressed([stream(), stream()]),
    "tiles": compressed([stream(), stream()], tiles=True),
    "a WebP": compressed([stream("WEBP")], compression=50001),
}


@pytest.mark.parametrize("remove", [(), ("gps",)])
@pytest.mark.parametrize("name", FILES)
def test_metadata_inside_compressed_strips_go(name: str, remove: tuple[str, ...]) -> None:
    source = FILES[name]
    assert b"Erika Mustermann" in source
    result = strip(source, remove=remove)
    assert [secret for secret in made.SECRETS if secret in result.data] == []
    assert struct.pack(">II", 137154, 9973) not in result.data
    assert result.removed
    assert pixels(result.data) == pixels(source)
    again = strip(result.data, remove=remove)
    assert (again.data, again.removed) == (result.data, ())


def test_comments_in_codestreams_of_jpeg_2000_go() -> None:
    plain = encoded(gradient(size=(SIDE, SIDE)), "JPEG2000", no_jp2=True)
    at = plain.index(b"\xff\x52")
    note = b"Erika Mustermann"
    picture = plain[:at] + b"\xff\x64" + struct.pack(">HH", len(note) + 4, 1) + note + plain[at:]
    result = strip(compressed([picture], compression=34712)).data
    assert b"Mustermann" not in result
    with Image.open(io.BytesIO(result[result.index(b"\xff\x4f\xff\x51") :])) as image:
        assert image.tobytes() == Image.open(io.BytesIO(plain)).tobytes()


def test_metadata_behind_junk_in_a_strip_go() -> None:
    assert b"Mustermann" not in strip(compressed([b"junk" + stream()])).data


def test_comments_in_tables_go() -> None:
    source = compressed([encoded(gradient(size=(SIDE, SIDE)), "JPEG")], extra=((0x015B, 7, len(TABLES), TABLES),))
    result = strip(source).data
    assert b"Mustermann" not in result
    assert pixels(result) == pixels(source)


def test_files_of_boxes_in_strips_are_refused() -> None:
    client = functions_framework.create_app("exif", functions.exif.main.__file__, "http").test_client()
    boxes = b"\0\0\0\x0cjP  \r\n\x87\n" + bytes(80)
    assert client.post("/strip", data=compressed([boxes], compression=34712)).status_code == 422


def test_xmp_that_cannot_be_searched_is_blanked_once() -> None:
    packet = b"<x:xmpmeta><broken exif:GPSLatitude='1'"
    source = compressed([encoded(gradient(size=(SIDE, SIDE)), "JPEG")], extra=((0x02BC, 1, len(packet), packet),))
    once = strip(source, remove=("gps",))
    assert (b"GPSLatitude" in once.data, len(once.warnings)) == (False, 1)
    again = strip(once.data, remove=("gps",))
    assert (again.data, again.removed, again.warnings) == (once.data, (), ())


RAWS = {
    "Phase One": b"II*\0\x10\0\0\0IIIITwaR" + tiff([short(0x0100, 1)])[8:],
    "Canon": b"II*\0\x10\0\0\0CR\2\0\0\0\0\0" + tiff([short(0x0100, 1)])[8:],
    "DNG": tiff([short(0x0100, 1), (0xC612, 1, 4, b"\1\4\0\0")]),
    "TIFF/EP": tiff([short(0x0100, 1), (0x9216, 1, 4, b"\1\0\0\0")]),
    "Leaf": tiff([short(0x0100, 1), (0x8606, 7, 8, b"PKTSleaf")]),
    "Kodak": tiff([short(0x0100, 1), short(0x0103, 65000)]),
    "a colour filter array": tiff([short(0x0100, 1), short(0x0106, 32803)]),
}


@pytest.mark.parametrize("maker", RAWS)
def test_raw_files_that_are_tiffs_are_refused_as_documented(maker: str) -> None:
    client = functions_framework.create_app("exif", functions.exif.main.__file__, "http").test_client()
    answer = client.post("/strip", data=RAWS[maker])
    assert (answer.status_code, answer.json["type"].rpartition("/")[2]) == (415, "unsupported-format")


def test_the_type_of_an_auxiliary_image_may_name_its_maker() -> None:
    import piexif

    picture = gradient("RGBA")
    picture.putalpha(gradient("L"))
    alpha = encoded(picture, "AVIF", exif=piexif.dump({"0th": {0x010F: b"alpha", 0x0110: b"Lamp 5D"}}))
    assert b"auxiliary:alpha\0" in alpha
    result = strip(alpha)
    assert {one.kind for one in result.removed} == {"exif"}
    assert b"Lamp 5D" not in result.data


def test_a_file_made_like_a_tiff_is_refused() -> None:
    for magic in (b"II\xbc\1", b"IIU\0", b"IIRO"):
        with pytest.raises(Unsupported):
            strip(magic + hidden.page()[4:])


def test_a_dropped_directory_may_overlap_another() -> None:
    plain = hidden.page(long(0x8769, 0))
    at = plain.index(struct.pack("<HHI", 0x8769, 4, 1)) + 8
    link = 10 + 12 * struct.unpack_from("<H", plain, 8)[0]
    # The link of the first directory is the count of the other one.
    source = plain[:at] + struct.pack("<I", link) + plain[at + 4 :]
    copy = strip(source).data
    assert copy.endswith(bytes(12))
    assert b"\x69\x87" not in copy
    assert strip(copy).data == copy
