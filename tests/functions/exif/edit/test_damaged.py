"""Clean copies of damaged pictures: a decoder shows the same of the copy as of the source, or the source is refused."""

from __future__ import annotations

import io
import struct

import pytest
from PIL import Image, ImageFile

from functions.exif.edit.errors import Broken
from functions.exif.edit.strip import strip
from tests.functions.exif import made
from tests.functions.exif.tiffs import ascii_field, long, short, tiff
from tests.images import encoded, gradient

SECRET = b"Erika Mustermann"


@pytest.fixture(autouse=True)
def truncated(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pillow shows what there is of a picture."""
    monkeypatch.setattr(ImageFile, "LOAD_TRUNCATED_IMAGES", True)


def pixels(data: bytes) -> bytes:
    with Image.open(io.BytesIO(data)) as image:
        return image.convert("RGB").tobytes()


def cleaned(data: bytes, remove: tuple[str, ...] = ()) -> bytes:
    copy = strip(data, remove=remove).data
    assert strip(copy, remove=remove).data == copy
    return copy


def test_junk_behind_the_first_marker_is_passed_over_to_the_picture_and_not_to_its_thumbnail() -> None:
    plain, small = encoded(gradient(), "JPEG"), encoded(gradient(size=(8, 6)), "JPEG")
    thumbnail = made.segment(0xE0, b"JFXX\0\x10" + small)
    copy = cleaned(plain[:2] + SECRET + thumbnail + plain[2:])
    assert copy == plain


@pytest.mark.parametrize("cut", [1, 2, 20])
@pytest.mark.parametrize("marker", [0xEE, 0xE1, 0xC4])
def test_a_segment_cut_off_behind_a_scan_keeps_its_marker(marker: int, cut: int) -> None:
    progressive = encoded(gradient(), "JPEG", progressive=True)
    scan = progressive.rindex(b"\xff\xda")
    damaged = progressive[:scan] + SECRET + made.segment(marker, SECRET * 4)[: 2 + cut]
    copy = cleaned(damaged)
    # Of a table its content, as of a whole one.
    assert (
        copy == progressive[:scan] + made.segment(marker, SECRET * 4)[: 2 + cut if marker == 0xC4 else min(2 + cut, 4)]
    )
    assert pixels(copy) == pixels(damaged)


def strips(places: list[tuple[int, int]], extra: tuple[tuple[int, int, int, bytes], ...], compression: int) -> bytes:
    fields = [long(0x100, 16), long(0x101, 8 * len(places)), short(0x102, 8, 8, 8), short(0x103, compression)]
    fields += [short(0x106, 6 if compression == 7 else 2), *extra, long(0x111, *(place for place, _ in places))]
    return tiff([*fields, short(0x115, 3), long(0x116, 8), long(0x117, *(size for _, size in places))])


def test_a_directory_inside_the_pictures_data_is_left_or_refused() -> None:
    author = ascii_field(0x13B, SECRET.decode())
    untouched = strips([(0, 16 * 8 * 3)], (), 1).ljust(16 * 8 * 3, b"\7")
    assert cleaned(untouched) == untouched
    with pytest.raises(Broken, match="overlaps the picture"):
        strip(strips([(0, 16 * 8 * 3)], (author,), 1).ljust(16 * 8 * 3, b"\7"))


@pytest.mark.parametrize("remove", [(), ("gps",)])
def test_a_strip_with_a_wrong_length_does_not_cost_the_next_one(remove: tuple[str, ...]) -> None:
    strip_of = [encoded(gradient(size=(16, 8)), "JPEG", subsampling=0, comment=SECRET) for _ in range(2)]
    start = 1024
    places = [(start, len(strip_of[0] + strip_of[1])), (start + len(strip_of[0]), len(strip_of[1]))]
    data = strips(places, (), 7).ljust(start, b"\0") + b"".join(strip_of)
    copy = cleaned(data, remove)
    assert SECRET not in copy
    assert pixels(copy) == pixels(data)


@pytest.mark.parametrize("type_", [8, 9])
def test_places_of_a_signed_type_are_places(type_: int) -> None:
    picture = encoded(gradient(size=(16, 8)), "TIFF")
    at = picture.index(struct.pack("<HH", 0x111, 4))
    (place,) = struct.unpack_from("<I", picture, at + 8)
    data = picture[: at + 2] + struct.pack("<H", type_) + picture[at + 4 :]
    copy = cleaned(data)
    assert copy[place : place + 16 * 8 * 3] == picture[place : place + 16 * 8 * 3]


def test_blocks_that_overlap_cannot_lose_their_location() -> None:
    block = struct.pack("<HHII", 0x2BC, 1, 400, 900) + struct.pack("<HHII", 0x8649, 1, 100, 1000)
    plain = tiff([long(0x100, 1), long(0x101, 1), long(0x111, 1400), long(0x117, 1), (0x2BC, 1, 4, b"abcd")])
    (count,) = struct.unpack_from("<H", plain, 8)
    directory = plain[10 : 10 + 12 * (count - 1)]
    data = plain[:8] + struct.pack("<H", count + 1) + directory + block + bytes(4)
    with pytest.raises(Broken, match="overlap"):
        strip(data.ljust(1500, b"x"), remove=("gps",))
