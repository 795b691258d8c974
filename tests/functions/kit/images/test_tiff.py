"""Camera raws that are TIFF files are known by their structure, and a rewritten directory reads as meant."""

from __future__ import annotations

import io
import struct
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image

from functions.kit.http.problems import Problem
from functions.kit.http.settings import Settings
from functions.kit.images import pieces, tiff
from functions.kit.images.opening import open_pixels

SETTINGS = Settings()
THUMBNAIL = np.full((6, 8, 3), 90, "u1")
SENSOR = np.full((15, 20), 900, "u2")


def raw(make: str, sub: dict[str, object], first: tuple[tuple[int, str, int, object, bool], ...] = ()) -> bytes:
    """A thumbnail with a sub-directory, as cameras write it."""
    buffer = io.BytesIO()
    with tifffile.TiffWriter(buffer) as writer:
        tags = [(271, "s", 0, make, True), *first]
        writer.write(THUMBNAIL, photometric="rgb", subifds=1, subfiletype=1, extratags=tags, metadata=None)
        writer.write(SENSOR, subfiletype=0, metadata=None, **sub)
    return buffer.getvalue()


def patched(data: bytes, tag: int, value: int) -> bytes:
    """A raw whose sub-directory has another number in a tag."""
    first = next(tiff.directories(data))
    (at,) = first.values(tiff.SUB_DIRECTORIES)
    below = tiff._directory(data, first.order, first.big, at)
    assert below is not None
    place = below.entries[tag][2]
    return data[:place] + struct.pack("<H", value) + data[place + 2 :]


CFA = {"photometric": "cfa", "extratags": [(33421, "H", 2, (2, 2), True), (33422, "B", 4, bytes([0, 1, 1, 2]), True)]}
GRAY = {"photometric": "minisblack"}


def raws() -> dict[str, bytes]:
    plain = raw("NIKON CORPORATION", GRAY)
    return {
        "Nikon raw": raw("NIKON CORPORATION", CFA),
        "Nikon raw by compression": patched(plain, tiff.COMPRESSION, 34713),
        "Sony raw": patched(raw("SONY", GRAY), tiff.COMPRESSION, 32767),
        "Pentax raw": patched(raw("PENTAX Corporation", GRAY), tiff.COMPRESSION, 65535),
        "Samsung raw": patched(raw("SAMSUNG", GRAY), tiff.COMPRESSION, 32770),
        "Hasselblad raw": patched(raw("Hasselblad", GRAY), tiff.PHOTOMETRIC, 32803),
        "DNG raw": raw("Leica", GRAY, ((tiff.DNG_VERSION, "B", 4, bytes([1, 4, 0, 0]), True),)),
        "DNG raw, linear": patched(raw("", GRAY, ((tiff.DNG_VERSION, "B", 4, b"\1\1\0\0", True),)), 262, 34892),
        "Phase One raw": plain[:4] + struct.pack("<I", 8) + b"IIIITwaR" + plain[16:],
        "Canon raw": plain[:8] + b"CR\2\0" + plain[12:],
    }


@pytest.mark.parametrize("name", raws())
def test_a_raw_is_never_counted_by_its_thumbnail(name: str) -> None:
    data = raws()[name]
    with pytest.raises(Problem) as caught, open_pixels(data, SETTINGS):
        pass
    assert caught.value.status == 415
    assert caught.value.detail.startswith(name.split(" by")[0].split(",")[0])


def test_a_tiff_with_smaller_copies_is_not_a_raw() -> None:
    buffer = io.BytesIO()
    with tifffile.TiffWriter(buffer) as writer:
        writer.write(np.full((32, 32), 7, "u1"), photometric="minisblack", subifds=1)
        writer.write(np.full((16, 16), 7, "u1"), photometric="minisblack", subfiletype=1)
    with open_pixels(buffer.getvalue(), SETTINGS) as image:
        assert (image.width, image.height) == (32, 32)


RAW_FILES = ("*.cr2", "*.nef", "*.dng", "*.arw", "*.iiq", "*.pef", "*.3fr", "*.srw")


def test_raws_of_real_cameras_are_refused_by_their_names(photos: list[Path]) -> None:
    for path in photos:
        if path.suffix.lower() in {pattern[1:] for pattern in RAW_FILES}:
            data = path.read_bytes()
            if data[:2] in {b"II", b"MM"}:
                with pytest.raises(Problem) as caught, open_pixels(data, Settings(max_bytes=2**30)):
                    pass
                assert caught.value.status == 415, path


@pytest.mark.parametrize("order", "<>")
@pytest.mark.parametrize("big", [False, True])
def test_a_rewritten_directory_is_the_same_picture(order: str, big: bool) -> None:
    values = np.random.default_rng(5).integers(0, 256, (50, 40, 3), "u1")
    buffer = io.BytesIO()
    tifffile.imwrite(
        buffer, values, photometric="rgb", byteorder=order, bigtiff=big, rowsperstrip=3, compression="deflate"
    )
    found = tiff.page(buffer.getvalue(), 0)
    assert found is not None
    copy = tiff.rewritten(found, {tiff.SUB_DIRECTORIES: None, 65000: 7})
    assert (tifffile.imread(io.BytesIO(copy)) == values).all()
    assert np.asarray(Image.open(io.BytesIO(copy))).tobytes() == values.tobytes()
    again = tiff.page(copy, 0)
    assert again is not None
    assert again.value(65000, 0) == 7
    assert pieces.rows_present(again) == 50
    with open_pixels(buffer.getvalue(), SETTINGS) as image:
        assert isinstance(image, Image.Image)
        assert image.tobytes() == values.tobytes()
