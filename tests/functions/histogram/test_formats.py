"""Formats beside the usual ones: counts against arrays that other encoders wrote, and what is refused by its name."""

from __future__ import annotations

import io
import struct
import zlib
from pathlib import Path

import imagecodecs
import numpy as np
import pytest
from PIL import Image, ImageOps

from functions.histogram.analysis import Analysis, Choices, analyse
from functions.histogram.main import HistogramSettings
from functions.kit.http.problems import Problem
from functions.kit.images.samples import heif
from tests.images import encoded

SETTINGS = HistogramSettings(function="histogram")
VALUES = np.random.default_rng(11).integers(0, 256, (40, 60, 3), "u1")
PICTURE = Image.fromarray(VALUES)
RED = np.bincount(VALUES[..., 0].ravel(), minlength=256).tolist()


@pytest.mark.parametrize("form", ["TGA", "PCX", "DDS", "QOI"])
def test_a_format_of_pillows_own(form: str) -> None:
    found = analyse(encoded(PICTURE, form), SETTINGS)
    assert (found.format, found.width, found.height) == (form, 60, 40)
    assert found.histogram.channels["red"] == RED


@pytest.mark.parametrize("container", [False, True])
def test_jpeg_xl(container: bool) -> None:
    data = imagecodecs.jpegxl_encode(VALUES, lossless=True, usecontainer=container)
    assert data[:2] == (b"\0\0" if container else b"\xff\x0a")
    found = analyse(data, SETTINGS)
    assert (found.format, found.histogram.channels["red"]) == ("JXL", RED)


def test_a_jpeg_xl_of_too_many_pixels_is_refused_before_it_is_decoded() -> None:
    data = imagecodecs.jpegxl_encode(np.zeros((3000, 3000), "u1"), lossless=True, effort=1)
    with pytest.raises(Problem) as caught:
        analyse(data, HistogramSettings(function="histogram", max_pixels=1_000_000))
    assert (caught.value.status, caught.value.slug) == (413, "too-many-pixels")
    assert "3000 × 3000" in caught.value.detail


def psd(values: np.ndarray) -> bytes:
    """The merged picture of a Photoshop file, stored plane by plane."""
    height, width, planes = values.shape
    head = b"8BPS" + struct.pack(">H6xHIIHH", 1, planes, height, width, 8, 3)
    return head + struct.pack(">IIIH", 0, 0, 0, 0) + np.moveaxis(values, 2, 0).tobytes()


def test_the_merged_picture_of_a_photoshop_file() -> None:
    found = analyse(psd(VALUES), SETTINGS)
    assert (found.format, found.histogram.channels["red"]) == ("PSD", RED)


def fits(values: np.ndarray, **cards: float) -> bytes:
    """A FITS file of one image, written by hand."""
    bits = {"u1": 8, "i2": 16, "i4": 32, "f4": -32, "f8": -64}[values.dtype.newbyteorder("=").str[1:]]
    axes = values.shape[::-1]
    rows = [("SIMPLE", "T"), ("BITPIX", bits), ("NAXIS", len(axes))]
    rows += [(f"NAXIS{index + 1}", size) for index, size in enumerate(axes)] + list(cards.items())
    text = "".join(f"{name:8}= {value:>20}".ljust(80) for name, value in rows) + "END".ljust(80)
    body = values.astype(values.dtype.newbyteorder(">")).tobytes()
    return text.ljust(-(-len(text) // 2880) * 2880).encode() + body.ljust(-(-len(body) // 2880) * 2880, b"\0")


def test_fits_of_every_type() -> None:
    gray = VALUES[..., 0]
    assert analyse(fits(gray), SETTINGS).histogram.luminance == RED
    wide = gray.astype("u2") * 250
    found = analyse(fits((wide.astype("i4") - 32768).astype("i2"), BZERO=32768), SETTINGS, Choices(bins=65536))
    assert (found.histogram.bits, found.histogram.mode) == (16, "I;16")
    assert found.histogram.luminance == np.bincount(wide.ravel(), minlength=65536).tolist()
    for kind in ("f4", "f8"):
        values = gray.astype(kind) / 7
        found = analyse(fits(values), SETTINGS)
        assert found.histogram.luminance == _levels(values)
        assert found.histogram.value_range == (float(values.min()), float(values.max()))
    signed = analyse(fits(gray.astype("i2") - 100), SETTINGS).histogram
    assert signed.value_range == (-512, 511) or signed.value_range == (-128, 127) or signed.value_range[0] < -99


def _levels(values: np.ndarray) -> list[int]:
    low, high = float(values.min()), float(values.max())
    level = np.floor((values.astype("f8") - low) / (high - low) * 256).clip(0, 255).astype(int)
    return np.bincount(level.ravel(), minlength=256).tolist()


def test_fits_with_a_scale_and_with_planes() -> None:
    found = analyse(fits(VALUES[..., 0].astype("i2"), BSCALE=0.5, BZERO=10), SETTINGS).histogram
    assert found.value_range == (10.0, 137.5)
    colour = analyse(fits(np.moveaxis(VALUES, 2, 0).copy()), SETTINGS).histogram
    assert colour.channels["red"] == RED


@pytest.mark.parametrize("share", [0.3, 0.8])
def test_fits_that_ends_early(share: float) -> None:
    data = fits(np.arange(40_000, dtype="f4").reshape(200, 200))
    found = analyse(data[: int(len(data) * share)], SETTINGS)
    assert not found.complete
    assert found.decoded == pytest.approx(share, abs=0.05)


@pytest.mark.parametrize("cut", [0, 80, 2000, 2880])
def test_a_fits_header_that_is_broken_is_refused(cut: int) -> None:
    with pytest.raises(Problem) as caught:
        analyse(b"SIMPLE  =" + fits(VALUES[..., 0])[9:cut], SETTINGS)
    assert caught.value.status == 422


def test_portable_float_maps_in_colour() -> None:
    values = VALUES.astype("<f4") / 100
    found = analyse(b"PF\n60 40\n-1.0\n" + values[::-1].tobytes(), SETTINGS).histogram
    assert found.channels["red"] == _scaled(values, values[..., 0])
    big = analyse(b"PF\n60 40\n1.0\n" + values[::-1].astype(">f4").tobytes(), SETTINGS).histogram
    assert big.channels == found.channels


def _scaled(every: np.ndarray, values: np.ndarray) -> list[int]:
    low, high = float(every.min()), float(every.max())
    level = np.floor((values.astype("f8") - low) / (high - low) * 256).clip(0, 255).astype(int)
    return np.bincount(level.ravel(), minlength=256).tolist()


def test_heic_of_10_bits_is_counted_at_its_depth(photos: list[Path]) -> None:
    """Against the same decoder's 8 bits: the upper ones, give or take a rounding."""
    pi_heif = pytest.importorskip("pi_heif")
    seen = 0
    for path in sorted(photos, key=lambda path: path.stat().st_size):
        if seen == 2 or path.suffix.lower() not in {".heic", ".heif", ".hif"} or path.stat().st_size > 5_000_000:
            continue
        data = path.read_bytes()
        try:
            file = pi_heif.open_heif(io.BytesIO(data))
        except (ValueError, OSError):
            continue
        image = file[file.primary_index]
        if image.info.get("bit_depth", 8) == 8 or image.mode not in {"RGB", "RGBA"}:
            continue
        found = analyse(data, SETTINGS, Choices(bins=1024)).document()
        assert found["bits"] == image.info["bit_depth"]
        eight = np.bincount(np.asarray(image)[..., 1].ravel(), minlength=256)
        deep = np.array(found["channels"]["green"]).reshape(256, 4).sum(axis=1)
        assert np.abs(np.cumsum(deep) - np.cumsum(eight)).sum() <= 0.6 * eight.sum()
        seen += 1
    if not seen:
        pytest.skip("PIXELAMP_PHOTOS holds no HEIC of more than 8 bits")


@pytest.mark.parametrize("bits", [10, 12])
@pytest.mark.parametrize("bands", [1, 3, 4])
def test_avif_of_more_than_8_bits_is_counted_at_its_depth(bands: int, bits: int) -> None:
    values = np.random.default_rng(bits).integers(0, 2**bits, (20, 30, bands), "u2")
    data = imagecodecs.avif_encode(values if bands > 1 else values[..., 0], level=100, bitspersample=bits)
    found = analyse(data, SETTINGS, Choices(bins=2**bits, colours=0)).document()
    assert (found["format"], found["size"], found["bits"], found["range"]) == ("AVIF", [30, 20], bits, [0, 2**bits - 1])
    names = ["gray"] if bands == 1 else ["red", "green", "blue", "alpha"][:bands]
    assert list(found["channels"]) == names
    for band, name in enumerate(names):
        assert found["channels"][name] == np.bincount(values[..., band].ravel(), minlength=2**bits).tolist()
    with pytest.raises(Problem) as caught:
        analyse(data[:-20], SETTINGS)
    assert caught.value.status == 422
    broken = bytearray(data)
    broken[-len(data) // 4 :] = b"\xff" * (len(data) // 4)
    try:
        assert sum(analyse(bytes(broken), SETTINGS).histogram.luminance) == 600
    except Problem as problem:
        assert problem.status == 422


def test_rows_of_a_turned_avif_are_those_of_the_file() -> None:
    for turned in range(1, 9):
        stored = Image.fromarray(VALUES)
        stored.getexif()[0x0112] = turned
        shown = ImageOps.exif_transpose(stored)
        assert np.array_equal(heif._stored(np.asarray(shown), turned), VALUES)


def test_an_avif_that_libheif_does_not_read_says_that_8_bits_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    """As an animation without a picture of its own."""
    monkeypatch.setattr(heif, "avif", lambda data: None)
    data = imagecodecs.avif_encode(VALUES.astype("u2") << 2, level=100, bitspersample=10)
    found = analyse(data, SETTINGS).document()
    assert found["bits"] == 8
    assert sum(found["histogram"]) == 2400
    assert found["warnings"] == ["this AVIF has more than 8 bits a sample; it is counted at 8"]
    assert analyse(imagecodecs.avif_encode(VALUES, level=100), SETTINGS).document()["warnings"] == []


@pytest.mark.parametrize("bits", [1, 4, 8, 12, 16])
@pytest.mark.parametrize("bands", [1, 3])
def test_jpeg_2000_of_any_depth(bits: int, bands: int) -> None:
    """White is never counted as black: the decoder shifts samples to 8 bits and lets the lightest run over."""
    values = np.full((16, 64, bands), 2**bits - 1, "u2" if bits > 8 else "u1")
    values[:, :24] = 2 ** (bits - 1)
    if bands == 1:
        values = values[..., 0]

    def counted(pixels: np.ndarray) -> Analysis:
        data = imagecodecs.jpeg2k_encode(pixels, level=0, reversible=True, codecformat="jp2", bitspersample=bits)
        return analyse(data, SETTINGS, Choices(colours=0))

    if bits > 8 and bands == 3:
        with pytest.raises(Problem, match=f"{bits} bits") as caught:
            counted(values)
        assert caught.value.status == 415
        dark = counted(values // 2)
        assert "counted at 8" in dark.warnings[0]
        assert dark.histogram.channels["red"][128] == 16 * 40
        return
    found = counted(values).histogram.luminance
    assert found[255] == (16 * 40 if bits > 1 else 16 * 64)
    assert bits == 1 or found[round(2 ** (bits - 1) * 255 / (2**bits - 1))] == 16 * 24


def test_gray_jpeg_xl_with_alpha_of_16_bits_is_refused() -> None:
    data = imagecodecs.jpegxl_encode(np.full((8, 8, 2), 65535, "u2"), lossless=True)
    with pytest.raises(Problem, match="gray with alpha") as caught:
        analyse(data, SETTINGS)
    assert caught.value.status == 415


@pytest.mark.parametrize("bits", [1, 8, 16])
def test_a_png_whose_stream_ends_before_its_last_rows(bits: int) -> None:
    """Its chunks are whole, and a decoder leaves the missing rows black without a word."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    def png(rows: bytes) -> bytes:
        head = chunk(b"IHDR", struct.pack(">IIBBBBB", 40, 80, bits, 0, 0, 0, 0))
        return b"\x89PNG\r\n\x1a\n" + head + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")

    row = b"\0" + b"\xff" * (5 * bits)
    black = bytes(len(row))
    cut = analyse(png(row * 50), SETTINGS, Choices(colours=0))
    assert (cut.complete, cut.decoded, cut.histogram.luminance[255]) == (False, 0.625, 50 * 40)
    assert sum(cut.histogram.luminance) == 50 * 40
    whole = analyse(png(row * 50 + black * 30), SETTINGS, Choices(colours=0))
    assert (whole.complete, whole.histogram.luminance[0]) == (True, 30 * 40)


@pytest.mark.parametrize(("bits", "noted"), [(8, False), (10, True), (16, True)])
def test_a_colour_jpeg_xl_of_more_than_8_bits_says_so(bits: int, noted: bool) -> None:
    values = np.full((8, 24, 3), 2**bits - 1, "u2" if bits > 8 else "u1")
    found = analyse(imagecodecs.jpegxl_encode(values, lossless=True, bitspersample=bits), SETTINGS)
    assert (found.histogram.luminance[255], bool(found.warnings)) == (8 * 24, noted)
