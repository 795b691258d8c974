"""Broken and cut files: the same answer for a picture that is decoded at once and for one that is decoded in strips."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable

import imagecodecs
import numpy as np
import pytest

from functions.histogram.analysis import Choices, analyse
from functions.histogram.main import HistogramSettings
from functions.kit.http.problems import Problem
from functions.kit.images import opening
from functions.kit.images.samples import model
from functions.kit.jsontypes import JsonObject
from tests.functions.exif.tiffs import long, short
from tests.functions.exif.tiffs import tiff as tiff_of
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


def test_the_mode_of_a_palette(answer: Callable[[bytes], JsonObject | Problem]) -> None:
    numbers = PICTURE[..., :1] % 4
    header = struct.pack(">IIBBBBB", WIDTH, HEIGHT, 8, 3, 0, 0, 0)
    colours = bytes([0, 0, 0, 255, 0, 0, 0, 255, 0, 9, 9, 9])
    body = chunk(b"PLTE", colours) + chunk(b"IDAT", zlib.compress(lines(numbers[..., 0])))
    found = answer(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + body + chunk(b"IEND"))
    assert not isinstance(found, Problem)
    assert found["mode"] == "P"
    assert found["channels"]["red"][255] == (numbers == 1).sum()


# --- TIFF: strips of 16 rows, tiles of 32 × 32

STRIP, TILE = 16, 32
SQUARE = np.asarray(noise((64, 160))) | 1
PACKED: dict[int, Callable[[bytes], bytes]] = {
    1: bytes,
    5: imagecodecs.lzw_encode,
    8: zlib.compress,
    32773: imagecodecs.packbits_encode,
    50000: imagecodecs.zstd_encode,
}


def jpeg_of(picture: np.ndarray) -> bytes:
    return bytes(imagecodecs.jpeg_encode(picture, level=95, colorspace="rgb", outcolorspace="rgb"))


def parts(picture: np.ndarray, tiled: bool) -> list[np.ndarray]:
    if tiled:
        return [picture[y : y + TILE, x : x + TILE] for y in range(0, 160, TILE) for x in range(0, 64, TILE)]
    return [picture[y : y + STRIP] for y in range(0, 160, STRIP)]


def tiff(
    pieces: list[bytes],
    compression: int,
    bits: int = 8,
    tiled: bool = False,
    rows: int = STRIP,
    offsets: dict[int, int] | None = None,
    sizes: dict[int, int] | None = None,
) -> bytes:
    """A TIFF of RGB of these strips or tiles, with some of their positions and byte counts changed."""
    at = 0
    for _ in range(2):  # the first pass measures the directory
        starts = [at + sum(map(len, pieces[:index])) for index in range(len(pieces))]
        starts = [(offsets or {}).get(index, start) for index, start in enumerate(starts)]
        counts = [(sizes or {}).get(index, len(piece)) for index, piece in enumerate(pieces)]
        place = [long(322, TILE), long(323, TILE), long(324, *starts), long(325, *counts)]
        strips = [long(273, *starts), long(278, rows), long(279, *counts)]
        common = [long(256, 64), long(257, 160), short(258, bits, bits, bits), short(259, compression)]
        fields = [*common, short(262, 2), short(277, 3), *(place if tiled else strips)]
        at = len(head := tiff_of(sorted(fields)))
    return head + b"".join(pieces)


def replaced(pieces: list[bytes], index: int, piece: bytes) -> list[bytes]:
    return [*pieces[:index], piece, *pieces[index + 1 :]]


# Of each compression the fault of the fifth strip or the sixth tile, which begin the rows from 64 on.
FAULTS: dict[str, Callable[[list[bytes], list[np.ndarray], Callable[[bytes], bytes], JsonObject], bytes]] = {
    "fewer bytes": lambda packed, raw, pack, how: tiff(
        replaced(packed, how["at"], pack(raw[how["at"]][: len(raw[0]) // 2].tobytes()[:-9])), **how["form"]
    ),
    "cut": lambda packed, raw, pack, how: tiff(
        replaced(packed, how["at"], packed[how["at"]][: len(packed[how["at"]]) // 9]), **how["form"]
    ),
    "no byte count": lambda packed, raw, pack, how: tiff(packed, sizes={how["at"]: 0}, **how["form"]),
    "beyond the end": lambda packed, raw, pack, how: tiff(packed, offsets={how["at"]: 10**8}, **how["form"]),
    "at the header": lambda packed, raw, pack, how: tiff(packed, offsets={how["at"]: 0}, **how["form"]),
    "not listed": lambda packed, raw, pack, how: tiff(packed[: how["at"]], **how["form"]),
}


@pytest.mark.parametrize("compression", PACKED)
@pytest.mark.parametrize(("bits", "tiled"), [(8, False), (8, True), (16, False)])
def test_a_strip_or_tile_that_is_missing_or_broken(
    compression: int, bits: int, tiled: bool, answer: Callable[[bytes], JsonObject | Problem]
) -> None:
    picture = SQUARE if bits == 8 else SQUARE.astype(np.uint16) * 257
    raw, pack, at = parts(picture, tiled), PACKED[compression], 5 if tiled else 4
    packed = [pack(part.tobytes()) for part in raw]
    how = {"at": at, "form": {"compression": compression, "bits": bits, "tiled": tiled}}
    check(answer(tiff(packed, **how["form"])), 160, picture)
    for make in FAULTS.values():
        check(answer(make(packed, raw, pack, how)), 64, picture)


@pytest.mark.parametrize("compression", [1, 5, 8])
@pytest.mark.parametrize("bits", [8, 16])
def test_a_single_strip_that_ends_early(
    compression: int, bits: int, answer: Callable[[bytes], JsonObject | Problem]
) -> None:
    """Without compression its rows are counted; else no decoder gives any."""
    picture = SQUARE if bits == 8 else SQUARE.astype(np.uint16) * 257
    data = PACKED[compression](picture[:71].tobytes())
    check(answer(tiff([data], compression, bits, rows=160)), 71 if compression == 1 else REFUSED, picture)


@pytest.mark.parametrize("tiled", [False, True])
def test_a_strip_or_tile_that_is_a_jpeg(tiled: bool, answer: Callable[[bytes], JsonObject | Problem]) -> None:
    smooth = np.tile(np.linspace(9, 99, 160).astype(np.uint8)[:, None, None], (1, 64, 3))
    raw, at = parts(smooth, tiled), 5 if tiled else 4
    packed = [jpeg_of(part) for part in raw]
    decoded = np.concatenate([imagecodecs.jpeg_decode(piece) for piece in packed[:: 2 if tiled else 1]])
    picture = np.tile(decoded[:, :32], (1, 2, 1)) if tiled else decoded
    check(answer(tiff(packed, 7, tiled=tiled)), 160, picture)
    few, narrow = jpeg_of(raw[at][: len(raw[at]) // 2]), jpeg_of(raw[at][:, :16])
    for fault, rows in ((few, 64), (narrow, 64), (packed[at][:-9], 64), (b"broken" * 99, 64)):
        check(answer(tiff(replaced(packed, at, fault), 7, tiled=tiled)), rows, picture)


def test_a_first_strip_that_is_broken_is_refused_in_plain_terms(
    answer: Callable[[bytes], JsonObject | Problem],
) -> None:
    for data in (tiff([b"\xff" * 999], 8, rows=160), tiff([jpeg_of(SQUARE)[:-99]], 7, rows=160)):
        found = answer(data)
        check(found, REFUSED)
        assert isinstance(found, Problem)
        assert "its first strip or tile is" in found.detail


def test_byte_counts_of_zero_without_compression(answer: Callable[[bytes], JsonObject | Problem]) -> None:
    raw = [part.tobytes() for part in parts(SQUARE, tiled=False)]
    check(answer(tiff(raw, 1, sizes=dict.fromkeys(range(10), 0))), 160, SQUARE)
