"""A slow and obvious histogram: one pixel after another, each conversion as the documentation words it."""

from __future__ import annotations

import colorsys
import math

from PIL import Image


def luma(red: int, green: int, blue: int) -> int:
    return (19595 * red + 38470 * green + 7471 * blue + 32768) >> 16


def from_cmyk(cyan: int, magenta: int, yellow: int, black: int) -> tuple[int, int, int]:
    def div255(product: int) -> int:
        return ((product + 128 >> 8) + product + 128) >> 8

    k = 255 - black
    return tuple(min(255, max(0, k - div255(ink * k))) for ink in (cyan, magenta, yellow))


def from_hsv(hue: int, saturation: int, value: int) -> tuple[int, int, int]:
    rgb = colorsys.hsv_to_rgb(hue / 255, saturation / 255, value / 255)
    return tuple(math.floor(255 * level + 0.5) for level in rgb)


def pixels(image: Image.Image) -> list[tuple[float, ...]]:
    return [pixel if isinstance(pixel, tuple) else (pixel,) for pixel in image.get_flattened_data()]


def histogram(image: Image.Image) -> tuple[list[int], dict[str, list[int]]]:
    """Luminance and channels of an image of any mode that counting takes."""
    names = {
        "LA": ("gray", "alpha"),
        "RGB": ("red", "green", "blue"),
        "RGBX": ("red", "green", "blue"),
        "RGBA": ("red", "green", "blue", "alpha"),
        "CMYK": ("cyan", "magenta", "yellow", "black"),
        "YCbCr": ("y", "cb", "cr"),
        "LAB": ("lightness", "a", "b"),
        "HSV": ("hue", "saturation", "value"),
    }.get(image.mode, ("gray",))
    if image.mode == "P":
        palette = image.convert("RGBA" if "transparency" in image.info else "RGB")
        return histogram(palette)
    if image.mode in {"La", "RGBa", "PA"}:
        return histogram(image.convert("LA" if image.mode == "La" else "RGBA"))
    values = pixels(image)
    if image.mode == "F":
        finite = [value for (value,) in values if math.isfinite(value)]
        low, high = min(finite), max(finite)
        values = [(_level(value, low, high),) for (value,) in values]
    elif image.mode == "I" or image.mode.startswith("I;16"):
        low, high = effective_range([value for (value,) in values], 32 if image.mode == "I" else 16)
        values = [((value - low) * 256 // (high - low + 1),) for (value,) in values]
    luminance = [0] * 256
    channels = {name: [0] * 256 for name in names}
    for pixel in values:
        for name, level in zip(names, pixel, strict=False):
            channels[name][level] += 1
        if image.mode in {"RGB", "RGBX", "RGBA"}:
            luminance[luma(*pixel[:3])] += 1
        elif image.mode == "CMYK":
            luminance[luma(*from_cmyk(*pixel))] += 1
        elif image.mode == "HSV":
            luminance[luma(*from_hsv(*pixel))] += 1
        else:
            luminance[pixel[0]] += 1
    return luminance, channels


def _level(value: float, low: float, high: float) -> int:
    if value == math.inf or value == -math.inf:
        return 255 if value > 0 else 0
    if low == high:
        return 0
    return min(255, math.floor(256 * ((value - low) / (high - low))))


def effective_range(values: list[int], bits: int) -> tuple[int, int]:
    """The least of the usual depths that holds all values; the whole depth where all are 0."""
    for depth in (8, 10, 12, 14, 16, 24, 32):
        low, high = (0, 2**depth - 1) if min(values) >= 0 else (-(2 ** (depth - 1)), 2 ** (depth - 1) - 1)
        if low <= min(values) and max(values) <= high:
            return (0, 2**bits - 1) if not any(values) else (low, high)
    raise AssertionError(values)
