"""OpenEXR, Photoshop of 16 and 32 bits and of the large variant, BMP with odd bit fields: files written by hand."""

from __future__ import annotations

import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from functions.histogram.analysis import Choices, analyse
from functions.histogram.main import HistogramSettings
from functions.kit.http.problems import Problem
from tests.functions.histogram import workers

SETTINGS = HistogramSettings(function="histogram")
RANDOM = np.random.default_rng(11)
DEEP = RANDOM.integers(0, 65536, (60, 50, 4), dtype=np.uint16)
FLOATS = (RANDOM.random((60, 50, 4)) * 3 - 0.5).astype(np.float32)


@pytest.fixture(autouse=True)
def forked(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> None:
    """OpenEXR is read in a process of its own: a fork here, unless a test is of the process."""
    if "own_process" not in request.fixturenames:
        workers.fork(monkeypatch)


@pytest.fixture
def own_process() -> None:
    """Use the process that the product uses."""


def answer(data: bytes, **choices: object) -> dict[str, object]:
    return analyse(data, SETTINGS, Choices(colours=0, **choices)).document()


def refused(data: bytes, **choices: object) -> Problem:
    with pytest.raises(Problem) as caught:
        analyse(data, SETTINGS, Choices(colours=0, **choices))
    return caught.value


def counts(values: np.ndarray, low: float, high: float) -> list[int]:
    index = np.floor((values.astype(float) - low) / (high - low) * 256).clip(0, 255).astype(int)
    return np.bincount(index.ravel(), minlength=256).tolist()


# --- OpenEXR


def attribute(name: str, kind: str, value: bytes) -> bytes:
    return name.encode() + b"\0" + kind.encode() + b"\0" + struct.pack("<I", len(value)) + value


def zipped(raw: bytes) -> bytes:
    """Bytes at even places before those at odd ones, then their differences, deflated."""
    mixed = np.frombuffer(raw[::2] + raw[1::2], np.uint8).astype(int)
    differences = np.concatenate([mixed[:1], (np.diff(mixed) + 128 + 256) % 256]).astype(np.uint8)
    packed = zlib.compress(differences.tobytes())
    return packed if len(packed) < len(raw) else raw


def openexr(channels: dict[str, np.ndarray], compress: bool = False, window: tuple[int, int] = (0, 0)) -> bytes:
    """Scan lines; compressed ones each by itself."""
    names = sorted(channels)
    height, width = channels[names[0]].shape
    kinds = {"u4": 0, "f2": 1, "f4": 2}
    listed = b"".join(
        name.encode() + b"\0" + struct.pack("<IB3xII", kinds[channels[name].dtype.str[1:]], 0, 1, 1) for name in names
    )
    left, top = window
    box = struct.pack("<4i", left, top, left + width - 1, top + height - 1)
    head = b"\x76\x2f\x31\x01" + struct.pack("<I", 2)
    head += attribute("channels", "chlist", listed + b"\0")
    head += attribute("compression", "compression", bytes([2 if compress else 0]))
    head += attribute("dataWindow", "box2i", box) + attribute("displayWindow", "box2i", box)
    head += attribute("lineOrder", "lineOrder", b"\0") + attribute("pixelAspectRatio", "float", struct.pack("<f", 1))
    head += attribute("screenWindowCenter", "v2f", bytes(8))
    head += attribute("screenWindowWidth", "float", struct.pack("<f", 1)) + b"\0"
    blocks = []
    for row in range(height):
        line = b"".join(channels[name][row].tobytes() for name in names)
        line = zipped(line) if compress else line
        blocks.append(struct.pack("<iI", top + row, len(line)) + line)
    at, table = len(head) + 8 * height, b""
    for block in blocks:
        table += struct.pack("<Q", at)
        at += len(block)
    return head + table + b"".join(blocks)


def bands(values: np.ndarray, names: str = "RGBA") -> dict[str, np.ndarray]:
    return {name: np.ascontiguousarray(values[..., band]) for band, name in enumerate(names)}


@pytest.mark.parametrize("compress", [False, True])
@pytest.mark.parametrize("kind", ["f2", "f4"])
@pytest.mark.parametrize("window", [(0, 0), (-7, 20)])
def test_openexr(kind: str, compress: bool, window: tuple[int, int]) -> None:
    values = FLOATS.astype(kind)
    found = answer(openexr(bands(values), compress, window))
    assert (found["format"], found["size"]) == ("EXR", [50, 60])
    assert found["mode"] == f"RGBA;{8 * int(kind[1])}F"
    low, high = float(values[..., :3].min()), float(values[..., :3].max())
    assert found["range"] == [low, high]
    for band, name in enumerate(("red", "green", "blue")):
        assert found["channels"][name] == counts(values[..., band], low, high)
    assert found["channels"]["alpha"] == counts(values[..., 3], 0, 1)
    light = answer(openexr(bands(values)), space="linear", luminance="y")["space"]
    assert (light["used"], light["luminance"]) == ("linear", "y")


def test_openexr_of_one_channel_and_of_others() -> None:
    gray = answer(openexr({"Y": FLOATS[..., 0]}))
    assert list(gray["channels"]) == ["gray"]
    assert analyse(openexr(bands(FLOATS)), SETTINGS, Choices(scope=True)).sample is not None
    depth = answer(openexr({"Z": FLOATS[..., 0]}))
    assert depth["histogram"] == gray["histogram"]
    whole = answer(openexr({**bands(FLOATS), "Z": FLOATS[..., 0]}))
    assert whole["warnings"] == ["channels of this OpenEXR that are not counted: Z"]
    numbers = answer(openexr({"id": DEEP[..., 0].astype(np.uint32)}))
    assert numbers["histogram"] == np.bincount(DEEP[..., 0].ravel() >> 8, minlength=256).tolist()
    problem = refused(openexr({"velocity.x": FLOATS[..., 0], "velocity.y": FLOATS[..., 1]}))
    assert problem.status == 415
    assert "velocity.x" in problem.detail


def test_openexr_with_nan_and_infinity() -> None:
    values = FLOATS.copy()
    values[0, :10, 0], values[1, :5, 1], values[2, :3, 2] = np.nan, np.inf, -np.inf
    found = answer(openexr(bands(values)))
    assert found["ignored"] == 10
    assert sum(found["histogram"]) == 60 * 50 - 10


def test_openexr_that_ends_early_is_counted_by_its_rows() -> None:
    data = openexr(bands(FLOATS))
    found = answer(data[: int(len(data) * 0.6)])
    rows = round(found["decoded"] * 60)
    assert 30 <= rows <= 38
    assert found["complete"] is False
    part = FLOATS[:rows]
    assert found["channels"]["red"] == counts(part[..., 0], *found["range"])
    for size in (3, 20, 200, 500):
        assert refused(data[:size]).status == 422


def test_an_openexr_of_too_many_pixels() -> None:
    data = openexr(bands(FLOATS)).replace(struct.pack("<4i", 0, 0, 49, 59), struct.pack("<4i", 0, 0, 99_999, 99_999))
    problem = refused(data)
    assert problem.status in {413, 422}


@pytest.mark.usefixtures("own_process")
def test_a_crash_of_the_decoder_is_a_problem() -> None:
    """The name of a channel is no text: the library of OpenEXR ends with a segmentation fault."""
    data = openexr(bands(FLOATS[:4, :4])).replace(b"A\0\2\0\0\0", b"\x8b\0\2\0\0\0", 1)
    problem = refused(data)
    assert problem.status == 422
    assert answer(openexr(bands(FLOATS[:4, :4])))["format"] == "EXR"


@pytest.mark.parametrize("at", range(8, 420, 9))
def test_a_broken_openexr_is_a_problem(at: int) -> None:
    data = bytearray(openexr(bands(FLOATS[:4, :4]), compress=True))
    data[at : at + 4] = b"\xff\xff\xff\x7f"
    try:
        found = answer(bytes(data))
    except Problem as problem:
        assert problem.status in {413, 415, 422}
    else:
        assert sum(found["histogram"]) + found["ignored"] <= 16


# --- Photoshop


def packbits(line: bytes) -> bytes:
    """Literal runs of at most 128 bytes."""
    return b"".join(bytes([len(line[at : at + 128]) - 1]) + line[at : at + 128] for at in range(0, len(line), 128))


def photoshop(values: np.ndarray, mode: int, large: bool = False, packed: bool = False) -> bytes:
    """A file with one merged picture, its channels in planes."""
    height, width, channels = values.shape
    depth = 8 * values.dtype.itemsize
    head = b"8BPS" + struct.pack(">H6xHIIHH", 2 if large else 1, channels, height, width, depth, mode)
    head += bytes(4 + 4 + (8 if large else 4))
    big = values.astype(values.dtype.newbyteorder(">"))
    lines = [big[row, :, band].tobytes() for band in range(channels) for row in range(height)]
    if not packed:
        return head + b"\0\0" + b"".join(lines)
    runs = [packbits(line) for line in lines]
    return head + b"\0\1" + struct.pack(f">{len(runs)}{'I' if large else 'H'}", *map(len, runs)) + b"".join(runs)


@pytest.mark.parametrize("large", [False, True])
@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize(("mode", "bands"), [(1, 1), (3, 3), (3, 4), (4, 4)])
@pytest.mark.parametrize("bits", [8, 16, 32])
def test_photoshop(bits: int, mode: int, bands: int, packed: bool, large: bool) -> None:
    values = {8: DEEP >> 8, 16: DEEP, 32: FLOATS}[bits][..., :bands]
    values = values.astype({8: "u1", 16: "u2", 32: "f4"}[bits])
    found = answer(photoshop(values, mode, large, packed))
    assert (found["format"], found["size"], found["bits"]) == ("PSD", [50, 60], bits)
    shown = values if mode != 4 else (1 - values if bits == 32 else (2**bits - 1) - values)
    names = {1: ["gray"], 3: ["red", "green", "blue", "alpha"][:bands], 4: ["cyan", "magenta", "yellow", "black"]}[mode]
    assert list(found["channels"]) == names
    for band, name in enumerate(names):
        if bits == 32:
            ends = (0, 1) if name == "alpha" else found["range"]
            assert found["channels"][name] == counts(shown[..., band], *ends)
        else:
            assert found["channels"][name] == np.bincount(shown[..., band].ravel() >> bits - 8, minlength=256).tolist()


def test_photoshop_that_ends_early() -> None:
    for packed in (False, True):
        data = photoshop(DEEP[..., :3], 3, True, packed)
        found = answer(data[: int(len(data) * 0.9)])
        rows = round(found["decoded"] * 60)
        assert 35 <= rows <= 45
        assert found["channels"]["red"] == np.bincount(DEEP[:rows, :, 0].ravel() >> 8, minlength=256).tolist()
        assert refused(data[: len(data) // 2]).status == 422
        assert refused(data[:40]).status == 422


@pytest.mark.parametrize(("mode", "bits"), [(2, 8), (0, 1), (7, 16)])
def test_photoshop_in_other_modes_is_named(mode: int, bits: int) -> None:
    data = bytearray(photoshop(DEEP[..., :3], mode, True))
    data[22:24] = struct.pack(">H", bits)
    assert refused(bytes(data)).status == 415


# --- BMP


def bitmap(pixels: np.ndarray, masks: tuple[int, ...], down: bool = False, header: int = 108, kind: int = 3) -> bytes:
    """A BMP of 16 or 32 bits with bit fields, from the values as they are stored."""
    height, width = pixels.shape
    depth = 8 * pixels.dtype.itemsize
    rows = pixels if down else pixels[::-1]
    body = b"".join(row.tobytes() + bytes(-row.nbytes % 4) for row in rows)
    info = struct.pack(
        "<IiiHHIIiiII", header, width, -height if down else height, 1, depth, kind, len(body), 0, 0, 0, 0
    )
    info = (info + struct.pack(f"<{len(masks)}I", *masks)).ljust(max(header, 40 + 4 * len(masks)), b"\0")
    return b"BM" + struct.pack("<IHHI", 14 + len(info) + len(body), 0, 0, 14 + len(info)) + info + body


FIELDS = [
    ("u4", (0xFF000000 >> 2 & 0xFFFFFFFF, 0x3FF000, 0xFFF, 0)),
    ("u4", (0x3FF, 0xFFC00, 0x3FF00000, 0xC0000000)),
    ("u4", (0xFF, 0xFF00, 0xFF0000, 0)),
    ("u2", (0xF000, 0x0F00, 0x00F0, 0x000F)),
    ("u2", (0x0007, 0x0038, 0x00C0, 0)),
]


@pytest.mark.parametrize(("kind", "masks"), FIELDS)
@pytest.mark.parametrize("down", [False, True])
def test_bit_fields(kind: str, masks: tuple[int, ...], down: bool) -> None:
    pixels = RANDOM.integers(0, 2 ** (8 * int(kind[1])), (33, 21), dtype=np.uint64).astype(kind)
    found = answer(bitmap(pixels, masks, down))
    for name, mask in zip(("red", "green", "blue", "alpha"), masks, strict=True):
        if mask:
            lowest = mask & -mask
            levels = (pixels.astype(np.uint64) & np.uint64(mask)) // np.uint64(lowest)
            scaled = np.floor(levels * (255 / (mask // lowest)) + 0.5).astype(int)
            assert found["channels"][name] == np.bincount(scaled.ravel(), minlength=256).tolist()
    region = answer(bitmap(pixels, masks, down), region=None)
    assert region["pixels"] == 33 * 21


def test_bit_fields_that_pillow_reads_have_its_counts() -> None:
    pixels = RANDOM.integers(0, 65536, (33, 21), dtype=np.uint16)
    data = bitmap(pixels, (0xF800, 0x7E0, 0x1F, 0))
    with Image.open(io.BytesIO(data)) as image:
        assert answer(data)["channels"]["green"] == image.getchannel("G").histogram()


@pytest.mark.parametrize(("kind", "masks"), [("u4", (0x5, 0xFF00, 0xFF0000, 0)), ("u2", (0xF00000, 0xF0, 0xF, 0))])
def test_bit_fields_that_make_no_sense(kind: str, masks: tuple[int, ...]) -> None:
    assert refused(bitmap(np.zeros((9, 9), kind), masks)).status == 422


# --- PCX

COLOURS = RANDOM.integers(0, 256, (16, 3), dtype=np.uint8)


def paintbrush(values: np.ndarray, bits: int, colours: np.ndarray, version: int = 5, planes: int = 1) -> bytes:
    """A PCX of packed indices, each byte a run of one."""
    height, width = values.shape
    digits = values[..., None] >> np.arange(bits - 1, -1, -1) & 1
    rows = np.packbits(digits.reshape(height, -1).astype("u1"), axis=1)
    line = rows.shape[1] + rows.shape[1] % 2
    head = struct.pack("<4B6H", 10, version, 1, bits, 0, 0, width - 1, height - 1, 72, 72)
    head += colours.tobytes().ljust(48, b"\0")[:48] + struct.pack("<BBH", 0, planes, line)
    body = b"".join(b"\xc1" + bytes([byte]) for row in rows for byte in row.tobytes().ljust(line, b"\0"))
    return head.ljust(128, b"\0") + body


@pytest.mark.parametrize("bits", [1, 2, 4])
def test_packed_indices_of_a_pcx(bits: int) -> None:
    values = RANDOM.integers(0, 2**bits, (30, 37))
    data = paintbrush(values, bits, COLOURS)
    found = answer(data)
    for band, name in enumerate(("red", "green", "blue")):
        wanted = np.bincount(COLOURS[values][..., band].ravel(), minlength=256)
        assert found["channels"][name] == wanted.tolist()
    cut = answer(data[: len(data) * 2 // 3])
    rows = round(cut["decoded"] * 30)
    assert 12 <= rows < 30
    assert cut["channels"]["red"] == np.bincount(COLOURS[values[:rows]][..., 0].ravel(), minlength=256).tolist()
    assert refused(data[:100]).status == 422


def test_two_colours_of_a_pcx_without_a_palette_are_black_and_white() -> None:
    values = RANDOM.integers(0, 2, (30, 37))
    ones = int(values.sum())
    for colours, version in ((COLOURS, 3), (np.zeros((16, 3), "u1"), 5), (np.array([[0] * 3, [255] * 3], "u1"), 5)):
        found = answer(paintbrush(values, 1, colours, version))["channels"]["gray"]
        assert (found[0], found[255]) == (30 * 37 - ones, ones)


def test_a_pcx_that_is_not_read_is_named() -> None:
    problem = refused(paintbrush(RANDOM.integers(0, 2, (30, 37)), 1, COLOURS, planes=3))
    assert problem.status == 415
    assert "PCX with 1-bit samples in 3 planes" in problem.detail
