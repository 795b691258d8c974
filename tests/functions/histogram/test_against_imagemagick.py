"""Counts equal ImageMagick's, for images of every encodable mode and for real photographs."""

from __future__ import annotations

import io
import subprocess
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from functions.histogram.analysis import Choices, analyse
from functions.kit.http.problems import Problem
from functions.kit.http.settings import Settings
from tests.images import encoded, gradient

SETTINGS = Settings()
QUIET = Choices(colours=0)
EACH = 8  # files of each name ending
# Debian's own: a program of that name earlier on the path need not be ImageMagick.
CONVERT = Path("/usr/bin/convert")
# The decoders are other versions than Pillow's: a lossy format may round a sample the other way.
ROUNDING = {"JPEG": 0.02, "MPO": 0.02, "WEBP": 0.02, "HEIF": 1.5, "AVIF": 1.5, "JPEG2000": 0.02}  # levels

ENVIRONMENT = {"MAGICK_THREAD_LIMIT": "1", "OMP_NUM_THREADS": "1"}

pytestmark = pytest.mark.skipif(not CONVERT.exists(), reason="the program convert (ImageMagick) is not installed")


def raw(data: bytes, form: str, samples: str) -> np.ndarray | None:
    """Samples of the first frame as ImageMagick decodes them, 16 bits each, pixels × channels; None where it cannot."""
    # A PNG that calls itself linear is to keep its values; the pixels of HEIC and AVIF are YCbCr before a conversion.
    kept = (
        []
        if form in {"HEIC", "AVIF"}
        else ["-set", "colorspace", samples.replace("rgba", "sRGB").replace("rgb", "sRGB")]
    )
    command = [CONVERT, f"{form}:-[0]", *kept]
    done = subprocess.run(
        [*command, "-depth", "16", "-endian", "LSB", f"{samples}:-"], input=data, capture_output=True, env=ENVIRONMENT
    )
    if done.returncode or not done.stdout:
        return None
    return np.frombuffer(done.stdout, "<u2").reshape(-1, 1 if samples == "gray" else len(samples))


def counts(samples: np.ndarray) -> list[int]:
    """256 counts of 16-bit samples by their upper byte, which is the value of an 8-bit one."""
    return np.bincount(samples >> 8, minlength=256).tolist()


def luma(pixels: np.ndarray, bits: int = 8) -> np.ndarray:
    """The documented luminance of 16-bit pixels, as 16-bit samples, for a picture of so many bits a sample."""
    if bits > 8:
        return pixels[:, :3].astype(np.int64) @ [19595, 38470, 7471] + 32768 >> 16
    return ((pixels[:, :3] >> 8).astype(np.int64) @ [19595, 38470, 7471] + 32768 >> 16) << 8


def shift(ours: list[int], theirs: list[int]) -> float:
    """Wasserstein distance of two histograms: by how many levels the mean pixel lies apart."""
    return float(np.abs(np.cumsum(ours) - np.cumsum(theirs)).sum() / max(1, sum(ours)))


@pytest.mark.parametrize("form", ["PNG", "TIFF", "BMP", "GIF"])
@pytest.mark.parametrize("mode", ["1", "L", "P", "RGB"])
def test_lossless_formats(form: str, mode: str) -> None:
    data = encoded(gradient(mode, (61, 47)), form)
    pixels = raw(data, form, "rgb")
    counted = analyse(data, SETTINGS, QUIET).histogram
    assert counted.luminance == counts(luma(pixels))
    if "red" in counted.channels:
        assert [counted.channels[name] for name in ("red", "green", "blue")] == list(map(counts, pixels.T))
    else:
        assert counted.channels == {"gray": counts(pixels[:, 0])}


@pytest.mark.parametrize("form", ["PNG", "TIFF"])
@pytest.mark.parametrize("mode", ["LA", "RGBA"])
def test_alpha(form: str, mode: str) -> None:
    image = gradient(mode, (61, 47))
    image.putalpha(gradient("L", (61, 47)))
    data = encoded(image, form)
    pixels = raw(data, form, "rgba")
    counted = analyse(data, SETTINGS, QUIET).histogram
    assert counted.channels["alpha"] == counts(pixels[:, 3])
    assert counted.luminance == counts(luma(pixels))


def test_cmyk() -> None:
    data = encoded(gradient("CMYK", (61, 47)), "TIFF")
    pixels = raw(data, "TIFF", "cmyk")
    counted = analyse(data, SETTINGS, QUIET).histogram
    assert list(counted.channels.values()) == list(map(counts, pixels.T))


@pytest.mark.parametrize("form", ["PNG", "TIFF"])
def test_sixteen_bits(form: str) -> None:
    image = Image.frombytes("I;16", (64, 64), bytes((index * 7919 >> 3) & 255 for index in range(2 * 64 * 64)))
    data = encoded(image, form)
    values = raw(data, form, "gray")[:, 0]
    deep = analyse(data, SETTINGS, Choices(bins=65536, colours=0)).histogram.luminance
    assert deep == np.bincount(values, minlength=65536).tolist()
    assert analyse(data, SETTINGS, QUIET).histogram.luminance == counts(values)


@pytest.mark.slow  # CI runs it after the tests
def test_photographs(photos: list[Path]) -> None:
    """Every one that both decode: lossless ones to the pixel, lossy ones within a rounding of the decoders."""
    with ThreadPoolExecutor(2) as pool:
        compared = [difference for difference in pool.map(compare, photos) if difference is not None]
    assert compared
    assert not any(compared), "\n".join(filter(None, compared))


def compare(path: Path) -> str | None:
    """How a photograph's counts differ from ImageMagick's, empty if they do not; None where not both decode it."""
    data = path.read_bytes()
    try:
        counted = analyse(data, SETTINGS, QUIET)
    except Problem as problem:
        assert problem.status in {413, 415, 422}, path
        return None
    histogram = counted.histogram
    assert histogram.pixels == sum(histogram.luminance) == histogram.width * histogram.height
    assert ((histogram.width, histogram.height) == (counted.width, counted.height)) is counted.complete
    if not counted.complete:
        return None
    if "red" not in counted.histogram.channels:
        return None
    form = counted.format.replace("MPO", "JPEG").replace("JPEG2000", "JP2").replace("HEIF", "HEIC")
    pixels = raw(data, form, "rgb")
    if pixels is None or len(pixels) != counted.histogram.pixels:
        return None
    theirs = {name: counts(pixels[:, index]) for index, name in enumerate(("red", "green", "blue"))}
    theirs["luminance"] = counts(luma(pixels, histogram.bits))
    ours = {**counted.histogram.channels, "luminance": counted.histogram.luminance}
    worst = max(shift(ours[name], theirs[name]) for name in theirs)
    if worst <= ROUNDING.get(counted.format, 0):
        return ""
    return f"{path.name} ({counted.format} {counted.histogram.mode}): {worst:.4f}"


def test_photographs_against_a_plain_decode(photos: list[Path]) -> None:
    """R, G and B are the decoder's own, and L is the formula over them, for the smallest files of each format."""
    by_size = sorted(photos, key=lambda path: path.stat().st_size)
    seen: Counter[str] = Counter()
    for path in by_size:
        if seen[path.suffix.lower()] == EACH:
            continue
        data = path.read_bytes()
        try:
            counted = analyse(data, SETTINGS, QUIET)
        except Problem:
            continue
        if "red" not in counted.histogram.channels or counted.histogram.pixels > 4_000_000:
            continue
        if counted.histogram.bits > 8:  # counted at its depth, which Pillow's RGB has not
            continue
        with Image.open(io.BytesIO(data)) as image:
            image.info.pop("transparency", None)  # Pillow warns of it where the target has no alpha
            pixels = np.asarray(image.convert("RGB")).reshape(-1, 3).astype(np.uint16) << 8
        assert list(counted.histogram.channels.values())[:3] == list(map(counts, pixels.T)), path
        assert counted.histogram.luminance == counts(luma(pixels)), path
        seen[path.suffix.lower()] += 1
    assert seen
