"""Counts of every TIFF layout, against arrays that tifffile and imagecodecs encode: right, or refused by its name."""

from __future__ import annotations

import io
import itertools
import struct
from collections.abc import Iterator

import numpy as np
import pytest
import tifffile

from functions.histogram.analysis import Choices, analyse
from functions.kit.http.problems import Problem
from functions.kit.http.settings import Settings
from tests.functions.histogram import reference

SETTINGS = Settings()
HEIGHT, WIDTH = 21, 45
NAMES = {
    "minisblack": ("gray",),
    "miniswhite": ("gray",),
    "rgb": ("red", "green", "blue"),
    "separated": ("cyan", "magenta", "yellow", "black"),
    "cielab": ("lightness", "a", "b"),
}
TYPES = ("u1", "u2", "u4", "u8", "i1", "i2", "i4", "f2", "f4", "f8")
COMPRESSIONS = (None, "deflate", "lzw", "zstd", "packbits")


def array(kind: str, bands: int) -> np.ndarray:
    """Values over nearly the whole range of a type, another part of it in each band."""
    share = np.random.default_rng(7).random((HEIGHT, WIDTH, bands)) * 0.6 + np.linspace(0.05, 0.35, bands)
    if kind[0] == "f":
        return (share * 10 - 3).astype(kind)
    info = np.iinfo(kind)
    return (share * (float(info.max) - float(info.min)) + float(info.min)).astype(kind)


def encode(values: np.ndarray, photometric: str, planar: str = "contig", **options: object) -> bytes:
    if values.shape[2] == 1:
        stored, options["planarconfig"] = values[..., 0], None
    else:
        stored = values if planar == "contig" else np.ascontiguousarray(np.moveaxis(values, 2, 0))
        options["planarconfig"] = planar
    buffer = io.BytesIO()
    tifffile.imwrite(buffer, stored, photometric=photometric, **options)
    return buffer.getvalue()


def expected(values: np.ndarray, kind: str, photometric: str) -> dict[str, list[int]]:
    """Counts of 256 levels over the effective range, from the array alone."""
    bits = 8 * int(kind[1])
    if kind[0] == "u" and photometric == "miniswhite":
        values = np.array(2**bits - 1, values.dtype) - values
    if kind[0] == "u" and photometric == "cielab":
        values = values.copy()
        values[..., 1:] ^= np.array(2 ** (bits - 1), values.dtype)  # stored as signed numbers
    if kind[0] == "f":
        low, high = float(values.min()), float(values.max())
        level = np.floor((values.astype("f8") - low) / (high - low) * 256)
    elif kind == "u8":
        level = values >> np.uint64(56)
    else:
        low, high = reference.effective_range([int(values.min()), int(values.max())], bits) if bits > 8 else (0, 255)
        if kind == "i1":
            low, high = -128, 127
        level = (values.astype("i8") - low) * 256 // (high - low + 1)
    level = np.clip(level, 0, 255).astype(int)
    return {
        name: np.bincount(level[..., band].ravel(), minlength=256).tolist()
        for band, name in enumerate(NAMES[photometric])
    }


def layouts() -> Iterator[dict[str, object]]:
    for order, compression, tile in itertools.product("<>", COMPRESSIONS, (None, (16, 32))):
        for predictor in (None, True) if compression else (None,):
            yield {
                "byteorder": order,
                "compression": compression,
                "predictor": predictor,
                "tile": tile,
                "rowsperstrip": None if tile else 7,
                "bigtiff": compression is None,
            }


CASES = [
    (kind, photometric, planar)
    for kind, photometric, planar in itertools.product(TYPES, NAMES, ("contig", "separate"))
    if planar == "contig" or len(NAMES[photometric]) > 1
]


@pytest.mark.parametrize("step", [7, pytest.param(1, marks=pytest.mark.slow)])
@pytest.mark.parametrize(("kind", "photometric", "planar"), CASES)
def test_every_layout_is_counted_or_refused_by_its_name(kind: str, photometric: str, planar: str, step: int) -> None:
    """Some layouts of each case, others in the next; all of them in the slow test."""
    bands = len(NAMES[photometric])
    values = array(kind, bands)
    wanted = expected(values, kind, photometric)
    counted = 0
    for layout in itertools.islice(layouts(), CASES.index((kind, photometric, planar)) % step, None, step):
        order = str(layout["byteorder"])
        try:
            data = encode(values.astype(order + kind), photometric, planar, **layout)
        except (ValueError, NotImplementedError, TypeError):
            continue  # tifffile has no such predictor
        try:
            found = analyse(data, SETTINGS, Choices(colours=0))
        except Problem as problem:
            assert problem.status == 415, (layout, problem.detail)
            assert "bits" in problem.detail
            refused = layout["predictor"] and layout["compression"] == "packbits"
            assert refused or (kind == "i1" and photometric == "cielab"), (layout, problem.detail)
            continue
        counted += 1
        assert found.histogram.channels == wanted, layout
        assert found.complete
        assert (found.histogram.bits, found.width, found.height) == (8 * int(kind[1]), WIDTH, HEIGHT)
    assert counted or step > 1


@pytest.mark.parametrize("planar", ["contig", "separate"])
@pytest.mark.parametrize("order", "<>")
@pytest.mark.parametrize(("extra", "names"), [("unassalpha", 4), ("unspecified", 3), ("assocalpha", 4)])
def test_an_extra_sample_of_16_bits(extra: str, names: int, order: str, planar: str) -> None:
    values = array("u2", 4)
    values[..., 3] = np.where(values[..., 3] > 40000, 65535, 0)
    straight = values.copy()
    if extra == "assocalpha":
        values[..., :3] = np.where(values[..., 3:] > 0, values[..., :3], 0)
        straight = values
    data = encode(values.astype(order + "u2"), "rgb", planar, byteorder=order, extrasamples=[extra])
    found = analyse(data, SETTINGS, Choices(colours=0)).histogram
    assert list(found.channels) == ["red", "green", "blue", "alpha"][:names]
    for band, name in enumerate(found.channels):
        assert found.channels[name] == np.bincount(straight[..., band].ravel() >> 8, minlength=256).tolist()
    if names == 4:
        opaque = values[..., 3] > 0
        assert sum(found.seen.luminance) == int(opaque.sum())
        assert found.seen.channels["red"] == np.bincount(straight[opaque][:, 0] >> 8, minlength=256).tolist()
        ignoring = analyse(data, SETTINGS, Choices(colours=0, ignore_transparent=True)).histogram
        assert ignoring.ignored == int((~opaque).sum())
        assert ignoring.channels == found.seen.channels


@pytest.mark.parametrize("planar", ["contig", "separate"])
@pytest.mark.parametrize(
    "extra", [("unspecified",), ("unassalpha",), ("unassalpha", "unspecified"), ("unspecified",) * 4]
)
def test_samples_beyond_the_colour(extra: tuple[str, ...], planar: str) -> None:
    """Gray, colour and inks with more samples; also where all planes but the first are not counted."""
    for kind, (photometric, names) in itertools.product(("u1", "u2"), list(NAMES.items())[:4]):
        values = array(kind, len(names) + len(extra))
        values[::3, :, len(names)] = 0
        data = encode(values, photometric, planar, extrasamples=extra, rowsperstrip=7)
        found = analyse(data, SETTINGS, Choices(colours=0))
        where = (kind, photometric)
        assert found.complete, where
        assert {name: found.histogram.channels[name] for name in names} == expected(values, kind, photometric), where
        assert ("alpha" in found.histogram.channels) == (extra[0] == "unassalpha"), where
        assert sum(found.histogram.luminance) == HEIGHT * WIDTH, where  # transparent pixels once


def packed(values: np.ndarray, bits: int, order: str = "<", fill: int = 1, photometric: int = 1) -> bytes:
    """A gray TIFF of any depth, written by hand: rows of bits without gaps, the highest bit first."""
    shifts = np.arange(bits - 1, -1, -1)
    rows = np.packbits((values[..., None] >> shifts & 1).reshape(values.shape[0], -1).astype("u1"), axis=1)
    if fill == 2:
        rows = np.packbits(
            np.unpackbits(rows, axis=1).reshape(rows.shape[0], -1, 8)[..., ::-1].reshape(rows.shape[0], -1), axis=1
        )
    body = rows.tobytes()
    tags = [(256, values.shape[1]), (257, values.shape[0]), (258, bits), (259, 1), (262, photometric), (266, fill)]
    tags += [(273, 8 + 2 + 12 * 10 + 4), (277, 1), (278, values.shape[0]), (279, len(body))]
    table = b"".join(struct.pack(order + "HHII", tag, 4, 1, value) for tag, value in tags)
    mark = b"II" if order == "<" else b"MM"
    return mark + struct.pack(order + "HIH", 42, 8, len(tags)) + table + bytes(4) + body


@pytest.mark.parametrize("order", "<>")
@pytest.mark.parametrize("bits", [1, 2, 4, 8, 9, 10, 11, 12, 13, 14, 15])
def test_packed_samples_of_any_depth(bits: int, order: str) -> None:
    values = np.random.default_rng(bits).integers(0, 2**bits, (19, 24))
    for fill, photometric in itertools.product((1, 2), (0, 1)):
        data = packed(values, bits, order, fill, photometric)
        meant = values if photometric else 2**bits - 1 - values
        if bits > 8:
            body = analyse(data, SETTINGS, Choices(bins=65536, colours=0)).histogram.luminance
            assert body == np.bincount(meant.ravel(), minlength=65536).tolist(), (fill, photometric)
        else:
            scaled = meant * 255 // (2**bits - 1)
            body = analyse(data, SETTINGS, Choices(colours=0)).histogram.luminance
            assert body == np.bincount(scaled.ravel(), minlength=256).tolist(), (fill, photometric)


@pytest.mark.parametrize("bits", [2, 3, 5, 7])
def test_colour_and_gray_of_less_than_8_bits(bits: int) -> None:
    values = np.random.default_rng(bits).integers(0, 2**bits, (19, 23, 3)).astype("u1")
    scaled = np.rint(values * 255.0 / (2**bits - 1)).astype("u1")
    for pixels, meant, photometric in ((values, scaled, "rgb"), (values[..., :1], scaled[..., :1], "minisblack")):
        found = analyse(encode(pixels, photometric, bitspersample=bits), SETTINGS, Choices(colours=0)).histogram
        counts = found.channels["red"] if photometric == "rgb" else found.luminance
        assert counts == np.bincount(meant[..., 0].ravel(), minlength=256).tolist()


def test_pages_of_different_depths_are_counted_each() -> None:
    buffer = io.BytesIO()
    with tifffile.TiffWriter(buffer) as writer:
        writer.write(np.full((4, 4), 9, "u1"), photometric="minisblack")
        writer.write(np.full((4, 4), 60000, "u2"), photometric="minisblack")
        writer.write(np.full((4, 4), -1.5, "f8"), photometric="minisblack")
    data = buffer.getvalue()
    assert [analyse(data, SETTINGS, Choices(frame=frame)).histogram.bits for frame in range(3)] == [8, 16, 64]
    assert analyse(data, SETTINGS, Choices(frame=1, bins=65536)).histogram.luminance[60000] == 16


@pytest.mark.parametrize(
    ("kind", "options", "word"),
    [
        ("c8", {}, "complex"),
        ("u2", {"compression": "jpeg"}, "compression 7"),
        ("u2", {"compression": "jpeg2000"}, "compression 3"),
        ("u2", {"compression": "jpegxl"}, "compression 5"),
        ("f4", {"compression": "lerc"}, "compression 34887"),
        ("u1", {"compression": "jpegxl"}, "compression 5"),
    ],
)
def test_a_sample_format_that_is_not_read_is_named(kind: str, options: dict[str, object], word: str) -> None:
    values = (np.random.default_rng(3).random((16, 16, 1)) * 4000).astype(kind)
    try:
        data = encode(values, "minisblack", **options)
    except (ValueError, KeyError, RuntimeError, ImportError) as error:
        pytest.skip(f"the encoder refuses: {error}")
    with pytest.raises(Problem) as caught:
        analyse(data, SETTINGS)
    assert caught.value.status == 415
    assert "samples of the format" in caught.value.detail
    assert word in caught.value.detail


@pytest.mark.parametrize("compression", [None, "deflate", "lzw"])
@pytest.mark.parametrize("kind", ["u1", "u2", "f4"])
def test_a_tiff_that_ends_early_counts_the_rows_that_are_there(kind: str, compression: str | None) -> None:
    values = array(kind, 3)
    data = encode(values.astype("<" + kind), "rgb", compression=compression, rowsperstrip=5)
    with tifffile.TiffFile(io.BytesIO(data)) as file:
        ends = [a + b for a, b in zip(file.pages[0].dataoffsets, file.pages[0].databytecounts, strict=True)]
    if max(ends) + 8 > len(data):
        found = analyse(data[: ends[3]], SETTINGS, Choices(colours=0))
        assert not found.complete
        assert found.decoded == pytest.approx(20 / HEIGHT, abs=0.01)
        assert sum(found.histogram.luminance) == 20 * WIDTH
        whole = expected(values[:20], kind, "rgb") if kind[0] != "f" else None
        assert whole is None or found.histogram.channels == whole
        assert f"20 of {HEIGHT} rows" in found.warnings[0]
