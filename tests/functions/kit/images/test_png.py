"""PNG whose rows are inflated before they are decoded: the same picture, or the file as it was.

The pictures are written and read by ImageMagick.
"""

from __future__ import annotations

import io
import struct
import subprocess
import zlib
from functools import cache

import pytest
from PIL import Image

from functions.kit.http.settings import Settings
from functions.kit.images import png
from functions.kit.images.opening import EXTENT, open_image

SETTINGS = Settings()
TYPES = {
    "gray-1": ["-monochrome", "-define", "png:color-type=0", "-define", "png:bit-depth=1"],
    "gray-8": ["-colorspace", "Gray", "-define", "png:color-type=0", "-define", "png:bit-depth=8"],
    "rgb-8": ["-define", "png:color-type=2", "-define", "png:bit-depth=8"],
    "rgb-16": ["-define", "png:color-type=2", "-define", "png:bit-depth=16"],
    "palette-4": ["-colors", "12", "-define", "png:color-type=3", "-define", "png:bit-depth=4"],
    "gray-alpha": ["-colorspace", "Gray", "-alpha", "on", "-define", "png:color-type=4"],
    "rgba": ["-alpha", "on", "-define", "png:color-type=6"],
}


def magick(*arguments: str, data: bytes = b"") -> bytes:
    return subprocess.run(["convert", *arguments], input=data, capture_output=True, check=True).stdout


@cache
def picture(*options: str, size: str = "61x47") -> bytes:
    return magick("-seed", "7", "-size", size, "plasma:red-blue", *options, "png:-")


def chunks(data: bytes) -> list[tuple[bytes, bytes]]:
    at, found = 8, []
    while at < len(data):
        length = int.from_bytes(data[at : at + 4], "big")
        found.append((data[at + 4 : at + 8], data[at + 8 : at + 8 + length]))
        at += 12 + length
    return found


def joined(parts: list[tuple[bytes, bytes]]) -> bytes:
    return png.SIGNATURE + b"".join(
        struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body)) for kind, body in parts
    )


def with_pixels(data: bytes, *bodies: bytes) -> bytes:
    """The file with other chunks of pixels."""
    parts = [part for part in chunks(data) if part[0] != b"IDAT"]
    return joined([*parts[:-1], *((b"IDAT", body) for body in bodies), parts[-1]])


def stream(data: bytes) -> bytes:
    return b"".join(body for kind, body in chunks(data) if kind == b"IDAT")


@pytest.mark.parametrize("kind", TYPES)
def test_the_picture_is_the_same(kind: str):
    data = picture(*TYPES[kind])
    rewritten = png.inflated(data, SETTINGS.max_pixels)
    assert rewritten != data
    assert magick("png:-", "rgba:-", data=rewritten) == magick("png:-", "rgba:-", data=data)
    assert [part for part in chunks(rewritten) if part[0] != b"IDAT"] == [
        part for part in chunks(data) if part[0] != b"IDAT"
    ]
    with Image.open(io.BytesIO(data)) as plain, open_image(data, SETTINGS) as ours:
        assert (ours.mode, ours.tobytes()) == (plain.mode, plain.tobytes())


def test_a_stream_in_many_chunks_and_one_of_several_blocks():
    data = picture(*TYPES["rgb-8"], size="400x300")
    body = stream(data)
    split = with_pixels(data, *(body[at : at + 1000] for at in range(0, len(body), 1000)), b"")
    for file in (data, split):
        rewritten = png.inflated(file, SETTINGS.max_pixels)
        assert zlib.decompress(stream(rewritten)) == zlib.decompress(body)
        assert magick("png:-", "rgb:-", data=rewritten) == magick("png:-", "rgb:-", data=data)


@cache
def untouched() -> dict[str, bytes]:
    data = picture(*TYPES["rgb-8"])
    body = stream(data)
    rows = zlib.decompress(body)
    first, *rest = chunks(data)
    return {
        "interlaced": picture("-interlace", "PNG", *TYPES["rgb-8"]),
        "an animation": joined([first, (b"acTL", struct.pack(">II", 1, 0)), *rest]),
        "cut in the pixels": data[: len(data) // 2],
        "cut before the checksum": with_pixels(data, body[:-2]),
        "a wrong checksum": with_pixels(data, body[:-4] + bytes(4)),
        "too few rows": with_pixels(data, zlib.compress(rows[:-5])),
        "too many rows": with_pixels(data, zlib.compress(rows + bytes(9))),
        "no stream": with_pixels(data, b"nothing of the kind"),
        "no pixels": with_pixels(data),
        "no header": png.SIGNATURE + data[33:],
        "an unknown colour type": data[:25] + b"\5" + data[26:],
        "nothing": b"",
    }


@pytest.mark.parametrize("case", untouched())
def test_any_other_file_is_returned_as_it_is(case: str):
    data = untouched()[case]
    assert png.inflated(data, SETTINGS.max_pixels) is data


def test_what_is_beyond_a_limit_is_not_inflated(monkeypatch: pytest.MonkeyPatch):
    data = picture(*TYPES["gray-8"])
    assert png.inflated(data, 61 * 47) is not data
    assert png.inflated(data, 61 * 47 - 1) is data
    monkeypatch.setattr(png, "INFLATED", 62 * 47)
    assert png.inflated(data, 61 * 47) is not data
    monkeypatch.setattr(png, "INFLATED", 62 * 47 - 1)
    assert png.inflated(data, 61 * 47) is data


def test_a_cut_file_has_its_extent():
    data = picture(*TYPES["rgb-8"], size="400x300")
    with open_image(data[: len(data) // 2], SETTINGS) as image:
        assert image.info[EXTENT].bottom < 300


def test_a_file_that_ends_after_its_pixels():
    data = picture(*TYPES["rgb-8"])
    with open_image(data[:-12], SETTINGS) as image, Image.open(io.BytesIO(data)) as whole:
        assert image.tobytes() == whole.tobytes()
