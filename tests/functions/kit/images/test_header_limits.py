"""What parsing a header may cost is bounded: counted in reads and bytes, whatever the format."""

from __future__ import annotations

import io
import struct
import zlib
from functools import cache

import pytest
from PIL import Image

from functions.kit.http.problems import Problem
from functions.kit.http.settings import Settings
from functions.kit.images import jpeg, metering, opening, tiff
from functions.kit.images import png as png_chunks
from functions.kit.images.metering import MeteredFile
from functions.kit.images.opening import open_pixels
from tests.functions.kit.images import hostile
from tests.functions.kit.images.hostile import GIF, JP2, JPEG
from tests.images import encoded, gradient

SETTINGS = Settings()
SIZE = 1_000_000
HOSTILE = hostile.files(SIZE)


@cache
def made(kind: str) -> bytes:
    return HOSTILE[kind]()


class Counted(MeteredFile):
    """A metered file that remembers all that were made."""

    made: list[MeteredFile]

    def __init__(self, data: bytes, frame: int = 0) -> None:
        super().__init__(data, frame)
        self.made.append(self)


@pytest.mark.parametrize("frame", [0, 1])
@pytest.mark.parametrize("kind", HOSTILE)
def test_the_cost_of_a_header_is_bounded(kind: str, frame: int, monkeypatch: pytest.MonkeyPatch) -> None:
    data = made(kind)
    Counted.made = []
    monkeypatch.setattr(opening, "MeteredFile", Counted)
    try:
        with open_pixels(data, SETTINGS, frame):
            pass
    except Problem as problem:
        assert problem.status in {413, 415, 422}
    reads = sum(file.reads for file in Counted.made)
    copied = sum(file.bytes for file in Counted.made)
    # Twice: once to open, and once more where a frame is not there.
    assert reads <= 2 * (metering.READS + metering.READS_PER_FRAME + 1)
    assert copied <= 2 * (len(data) + 2 * metering.BYTES_BESIDE_FILE)


REFUSED = ("jpeg empty comments", "jpeg small segments", "jpeg junk", "png empty chunks", "png empty pixels")


@pytest.mark.parametrize("kind", REFUSED)
def test_a_refusal_names_the_limit(kind: str) -> None:
    with pytest.raises(Problem) as caught, open_pixels(made(kind), SETTINGS):
        pass
    assert caught.value.status == 422
    assert "the header of this" in caught.value.detail
    assert any(f"{limit:,}" in caught.value.detail for limit in (*LIMITS, png_chunks.MOST_CHUNKS + SIZE // 1024))


LIMITS = (jpeg.MOST_SEGMENTS, jpeg.MOST_FILL, png_chunks.MOST_CHUNKS, metering.READS, tiff.MOST_ENTRIES)


def test_segments_are_walked_in_a_bounded_number_of_steps() -> None:
    for kind in ("jpeg fill bytes", "jpeg empty comments", "jpeg restart markers", "jpeg junk", "jpeg escaped"):
        steps = 0
        try:
            for _ in jpeg.segments(made(kind)):
                steps += 1
        except metering.HeaderLimitError:
            pass
        assert steps <= jpeg.MOST_SEGMENTS


def test_directories_are_walked_in_a_bounded_number_of_steps() -> None:
    with pytest.raises(metering.HeaderLimitError):
        for _ in tiff.directories(hostile.pages(4_000_000 // 18)):
            pass


@cache
def _bomb() -> bytes:
    """80 MiB of zeros, deflated."""
    deflate = zlib.compressobj(1)
    return b"".join([*(deflate.compress(bytes(2**20)) for _ in range(80)), deflate.flush()])


@pytest.mark.parametrize("kind", [b"zTXt", b"iTXt", b"iCCP", b"tEXt", b"eXIf"])
@pytest.mark.parametrize("behind", [False, True])
def test_text_never_stops_a_picture(kind: bytes, behind: bool) -> None:
    bomb = _bomb()
    body = {
        b"zTXt": b"Comment\0\0" + bomb,
        b"iTXt": b"Comment\0\1\0\0\0" + bomb,
        b"iCCP": b"profile\0\0" + bomb,
        b"tEXt": b"Comment\0" + bytes(3_000_000),
        b"eXIf": b"MM\0*" + bytes(70_000),
    }[kind]
    whole = hostile.png(hostile.HEADER, hostile.LINES, *[hostile.chunk(kind, body)] * 3)
    if behind:
        end = whole.index(b"IEND") - 4
        whole = hostile.png(hostile.HEADER, hostile.LINES)[:-12] + hostile.chunk(kind, body) * 3 + whole[end:]
    with open_pixels(whole, SETTINGS) as image:
        assert isinstance(image, Image.Image)
        assert image.tobytes() == b"abcd"


def test_metadata_of_a_jpeg_never_stop_it_and_leave_its_pixels_alone() -> None:
    exif = b"\xff\xe1" + struct.pack(">H", 65533) + b"Exif\0\0MM\0*" + bytes(65521)
    data = JPEG[:2] + exif * 200 + JPEG[2:]
    lean = jpeg.lean(data)
    assert lean == JPEG
    assert jpeg.lean(JPEG) is JPEG
    with open_pixels(data, SETTINGS) as image, Image.open(io.BytesIO(JPEG)) as plain:
        assert isinstance(image, Image.Image)
        assert image.tobytes() == plain.tobytes()


def test_a_colour_transform_survives_the_loss_of_metadata() -> None:
    data = encoded(gradient("CMYK"), "JPEG")
    comment = b"\xff\xfe" + struct.pack(">H", 60002) + bytes(60000)
    with open_pixels(data[:2] + comment * 3 + data[2:], SETTINGS) as image, open_pixels(data, SETTINGS) as plain:
        assert isinstance(image, Image.Image)
        assert isinstance(plain, Image.Image)
        assert image.tobytes() == plain.tobytes()


def test_real_files_stay_far_below_the_limits() -> None:
    big = encoded(Image.effect_noise((1500, 1500), 90), "PNG")
    many_strips = encoded(Image.effect_noise((50, 3000), 90), "TIFF", tiffinfo={278: 1})
    for data in (big, many_strips, JPEG, GIF, JP2):
        file = MeteredFile(data)
        image = Image.open(file)
        assert file.reads < metering.READS // 10
        file.decode()
        image.load()
