"""Broken and cut files: the same answer for a picture that is decoded at once and for one that is decoded in strips."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable

import numpy as np
import pytest

from functions.histogram.analysis import Choices, analyse
from functions.histogram.main import HistogramSettings
from functions.kit.http.problems import Problem
from functions.kit.images import opening
from functions.kit.images.samples import model
from functions.kit.jsontypes import JsonObject
from tests.functions.histogram.workers import stay_here
from tests.functions.kit.images.hostile import chunk
from tests.images import noise

SETTINGS = HistogramSettings(function="histogram")
WIDTH, HEIGHT = 61, 150
PICTURE = np.asarray(noise((WIDTH, HEIGHT))) | 1
REFUSED = -1


@pytest.fixture(params=["at once", "in strips"])
def answer(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Callable[[bytes], JsonObject | Problem]:
    """What is answered on one side of the threshold."""
    monkeypatch.setattr(opening, "LARGE_PIXELS", 1000 if request.param == "in strips" else 10**9)
    monkeypatch.setattr(model, "STRIP_PIXELS", 2_000)
    stay_here(monkeypatch)

    def ask(data: bytes) -> JsonObject | Problem:
        try:
            return analyse(data, SETTINGS, Choices(colours=0)).document()
        except Problem as problem:
            return problem

    return ask


def check(found: JsonObject | Problem, rows: int, picture: np.ndarray = PICTURE) -> None:
    """Whether the answer is that of so many rows of a picture, or a refusal."""
    if rows == REFUSED:
        assert isinstance(found, Problem)
        assert found.status == 422
        return
    assert not isinstance(found, Problem), found.detail
    assert found["complete"] is (rows == len(picture))
    assert found["decoded"] == round(rows / len(picture), 6)
    part = picture[:rows] if picture.dtype == np.uint8 else picture[:rows] >> 8
    for band, counts in enumerate(found["channels"].values()):
        assert counts == np.bincount(part[..., band].ravel(), minlength=256).tolist()


def lines(picture: np.ndarray) -> bytes:
    return b"".join(b"\0" + row.astype(f">u{row.itemsize}").tobytes() for row in picture)


def png(picture: np.ndarray, *pixels: bytes) -> bytes:
    """A PNG of RGB whose chunks of pixels hold this."""
    height, width = picture.shape[:2]
    header = struct.pack(">IIBBBBB", width, height, 8 * picture.itemsize, 2, 0, 0, 0)
    body = b"".join(part if part[4:8] == b"tEXt" else chunk(b"IDAT", part) for part in pixels)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + body + chunk(b"IEND")


def flushed(data: bytes) -> bytes:
    """A stream that holds some bytes and does not end."""
    stream = zlib.compressobj()
    return stream.compress(data) + stream.flush(zlib.Z_SYNC_FLUSH)


def cut_after(data: bytes, rows: int, row: int) -> bytes:
    """A file cut where so many rows are inflated."""
    at = data.index(b"IDAT") + 4
    stream, size = zlib.decompressobj(), 0
    while size < rows * row:
        size += len(stream.decompress(data[at : at + 1]))
        at += 1
    return data[:at]


# From the rows with their filters, and the bytes of one, to the file; and how many rows it holds.
PNG: dict[str, tuple[Callable[[np.ndarray, bytes, int], bytes], int]] = {
    "whole": (lambda picture, rows, row: png(picture, zlib.compress(rows)), HEIGHT),
    "many chunks": (lambda picture, rows, row: png(picture, b"", *_pieces(zlib.compress(rows)), b""), HEIGHT),
    "bytes after the stream": (lambda picture, rows, row: png(picture, zlib.compress(rows) + b"hidden" * 99), HEIGHT),
    "more rows": (lambda picture, rows, row: png(picture, zlib.compress(rows + rows[: 9 * row])), HEIGHT),
    "no checksum": (lambda picture, rows, row: png(picture, zlib.compress(rows)[:-4]), HEIGHT),
    "cut in the checksum": (lambda picture, rows, row: png(picture, zlib.compress(rows))[:-18], HEIGHT),
    "fewer rows": (lambda picture, rows, row: png(picture, zlib.compress(rows[: 71 * row + 9])), 71),
    "one row": (lambda picture, rows, row: png(picture, zlib.compress(rows[:row])), 1),
    "no row": (lambda picture, rows, row: png(picture, zlib.compress(b"")), REFUSED),
    "a stream without end": (lambda picture, rows, row: png(picture, flushed(rows[: 71 * row])), 71),
    "cut": (lambda picture, rows, row: cut_after(png(picture, zlib.compress(rows)), 71, row), 71),
    "a chunk between": (lambda picture, rows, row: png(picture, flushed(rows[: 9 * row]), TEXT, rows), 9),
    "wrong checksum": (lambda picture, rows, row: png(picture, zlib.compress(rows)[:-4] + b"ABCD"), REFUSED),
    "broken": (lambda picture, rows, row: png(picture, flushed(rows[: 71 * row]) + b"\xff" * 99), REFUSED),
    "unknown filter": (
        lambda picture, rows, row: png(picture, zlib.compress(rows[: 71 * row] + b"\5" + rows[71 * row + 1 :])),
        REFUSED,
    ),
}
TEXT = chunk(b"tEXt", b"Comment\0in between")


def _pieces(data: bytes) -> list[bytes]:
    return [data[at : at + 500] for at in range(0, len(data), 500)]


@pytest.mark.parametrize("depth", [8, 16])
@pytest.mark.parametrize("name", PNG)
def test_png(name: str, depth: int, answer: Callable[[bytes], JsonObject | Problem]) -> None:
    picture = PICTURE if depth == 8 else PICTURE.astype(np.uint16) * 257
    make, rows = PNG[name]
    check(answer(make(picture, lines(picture), 1 + 3 * WIDTH * picture.itemsize)), rows, picture)


def test_a_palette_that_is_missing(answer: Callable[[bytes], JsonObject | Problem]) -> None:
    data = bytearray(png(PICTURE[..., :1], zlib.compress(lines(PICTURE[..., 0]))))
    data[25] = 3
    data[29:33] = struct.pack(">I", zlib.crc32(data[12:29]))
    check(answer(bytes(data)), REFUSED)
