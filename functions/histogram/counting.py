"""Exact histograms of an image of any mode, at the cost of decoding it.

Counting is Pillow's C `histogram()`; numpy is imported only for floating point images and 65536 bins. One conversion
a mode, to 8 bits a channel:

======================  =========================  ===========================================================
mode                    channels                   luminance
======================  =========================  ===========================================================
1, L, LA                gray (, alpha)             the gray value; 1 is 0 and 255
I;16 and its kin, I     gray                       the gray value; v >> 8, I limited to 0…65535 first
F                       gray                       the gray value; finite values from their least to their
                                                   greatest onto 0…255, floor(256 · (v − min) / (max − min))
P, PA                   red, green, blue           of the palette's colour
                        (, alpha)
RGB, RGBX, RGBA         red, green, blue           (19595 R + 38470 G + 7471 B + 32768) >> 16
                        (, alpha)
CMYK                    cyan, magenta, yellow,     of R = clip(k − div255(C · k)), k = 255 − K, G and B alike,
                        black                      div255(a) = ((a + 128 >> 8) + a + 128) >> 8
YCbCr                   y, cb, cr                  Y
LAB                     lightness, a, b            L*, 255 standing for 100; a and b have their zero at 128
HSV                     hue, saturation, value     of the RGB colour
======================  =========================  ===========================================================

The luminance is Rec. 601 luma of the encoded values, Pillow's own. Premultiplied modes (La, RGBa) are converted to
straight alpha. A colour hidden under full transparency is counted, unless transparent pixels are ignored.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from PIL import Image

LEVELS = 256
DEEP_LEVELS = 65536
STRIP_PIXELS = 2**20  # what numpy sees at once: its 64-bit indices take eight bytes a pixel

_NAMES = {
    "1": ("gray",),
    "L": ("gray",),
    "LA": ("gray", "alpha"),
    "RGB": ("red", "green", "blue"),
    "RGBX": ("red", "green", "blue"),
    "RGBA": ("red", "green", "blue", "alpha"),
    "CMYK": ("cyan", "magenta", "yellow", "black"),
    "YCbCr": ("y", "cb", "cr"),
    "LAB": ("lightness", "a", "b"),
    "HSV": ("hue", "saturation", "value"),
}
_STRAIGHT = {"La": "LA", "RGBa": "RGBA", "PA": "RGBA"}
CHANNELS = tuple(dict.fromkeys(name for names in _NAMES.values() for name in names))


class Region(NamedTuple):
    """A rectangle in pixels of the image as it is stored, its origin at the top left."""

    x: int
    y: int
    width: int
    height: int


@dataclass(frozen=True)
class Histogram:
    """Counts of one image.

    Args:
        mode: Pillow's mode of the image as decoded.
        width: pixels counted across.
        height: pixels counted down.
        luminance: 256 counts; with `deep` counts of 16 bits, 65536.
        channels: 256 (65536) counts for each channel present, by name.
        ignored: pixels not counted: fully transparent ones where asked for, and NaN of mode F. The sum of every
            list of counts plus this is width × height.
        value_range: least and greatest finite value of a mode F image, what 0 and 255 stand for; None otherwise.
    """

    mode: str
    width: int
    height: int
    luminance: list[int]
    channels: dict[str, list[int]]
    ignored: int = 0
    value_range: tuple[float, float] | None = None

    @property
    def pixels(self) -> int:
        """Pixels counted."""
        return self.width * self.height - self.ignored


class NotCountable(ValueError):
    """An option does not fit this image, or (option None) its mode cannot be counted; the message says why."""

    def __init__(self, option: str | None, message: str) -> None:
        super().__init__(message)
        self.option = option


def count(
    image: Image.Image, *, region: Region | None = None, ignore_transparent: bool = False, deep: bool = False
) -> Histogram:
    """Histogram of a decoded image.

    Args:
        image: decoded image of any mode of the table above.
        region: count inside this rectangle alone.
        ignore_transparent: do not count pixels whose alpha is 0.
        deep: count all 65536 values of a 16-bit gray image instead of v >> 8.

    Raises:
        NotCountable: the region is not inside the image, `deep` asked of an image without 16 bits, or a mode
            that is not in the table.
    """
    if region is not None:
        image = _crop(image, region)
    if deep:
        return _without(image, _count_deep(image)) if ignore_transparent else _count_deep(image)
    if image.mode in _STRAIGHT:
        return _restore(image, count(image.convert(_STRAIGHT[image.mode]), ignore_transparent=ignore_transparent))
    if image.mode == "P":
        return _count_palette(image, ignore_transparent)
    if image.mode == "F":
        return _count_float(image)
    if image.mode == "I" or image.mode.startswith("I;16"):
        histogram = _of_gray(image, _gray16(image).histogram())
        return _without(image, histogram) if ignore_transparent else histogram
    if image.mode not in _NAMES:
        raise NotCountable(None, f"images of mode {image.mode} cannot be counted")
    mask = _mask(image) if ignore_transparent else None
    names = _NAMES[image.mode]
    counts = image.histogram(mask)
    channels = {name: counts[LEVELS * index : LEVELS * (index + 1)] for index, name in enumerate(names)}
    if image.mode in {"1", "L", "LA", "YCbCr", "LAB"}:
        luminance = channels[names[0]]
    else:
        luminance = image.convert("L").histogram(mask)
    ignored = image.width * image.height - sum(luminance) if mask is not None else 0
    return Histogram(image.mode, image.width, image.height, luminance, channels, ignored)


def luma(red: int, green: int, blue: int) -> int:
    """Luminance of one 8-bit colour: Rec. 601 luma in 16-bit fixed point, rounded, as Pillow has it."""
    return (19595 * red + 38470 * green + 7471 * blue + 32768) >> 16


def _crop(image: Image.Image, region: Region) -> Image.Image:
    check_region(region, image.size)
    x, y, width, height = region
    if (width, height) == image.size:
        return image
    return image.crop((x, y, x + width, y + height))


def check_region(region: Region, size: tuple[int, int]) -> None:
    """Refuses a region that is not inside an image of that width and height.

    Raises:
        NotCountable: it is not.
    """
    x, y, width, height = region
    if width < 1 or height < 1 or x < 0 or y < 0 or x + width > size[0] or y + height > size[1]:
        raise NotCountable(
            "region", f"the region {x},{y},{width},{height} is not inside the image of {size[0]} × {size[1]} pixels"
        )


def _mask(image: Image.Image) -> Image.Image | None:
    """The alpha channel: Pillow counts where a mask is not 0. None where every pixel is opaque."""
    if image.mode in {"LA", "RGBA"}:
        return image.getchannel("A")
    if "transparency" in image.info and image.mode in {"1", "L", "RGB"}:
        return image.convert("RGBA").getchannel("A")
    return None


def _restore(image: Image.Image, histogram: Histogram) -> Histogram:
    return replace(histogram, mode=image.mode)


def _of_gray(image: Image.Image, counts: list[int], ignored: int = 0) -> Histogram:
    return Histogram(image.mode, image.width, image.height, counts, {"gray": counts}, ignored)


def _count_palette(image: Image.Image, ignore_transparent: bool) -> Histogram:
    """Counts the indices and adds each count to its colour: no pixel is converted."""
    entries = image.getpalette("RGBA") or []
    entries += [0, 0, 0, 255] * (LEVELS - len(entries) // 4)  # beyond the palette's end Pillow has black
    transparent = image.info.get("transparency")
    if isinstance(transparent, int):
        entries[4 * transparent + 3] = 0
    elif transparent is not None:
        entries[3 : 4 * len(transparent) : 4] = transparent[:LEVELS]
    has_alpha = transparent is not None or (image.palette is not None and image.palette.mode == "RGBA")
    names = ("red", "green", "blue", "alpha") if has_alpha else ("red", "green", "blue")
    channels = {name: [0] * LEVELS for name in names}
    luminance = [0] * LEVELS
    ignored = 0
    for index, pixels in enumerate(image.histogram()):
        if not pixels:
            continue
        colour = entries[4 * index : 4 * index + 4]
        if ignore_transparent and colour[3] == 0:
            ignored += pixels
            continue
        luminance[luma(*colour[:3])] += pixels
        for name, level in zip(names, colour, strict=False):
            channels[name][level] += pixels
    return Histogram(image.mode, image.width, image.height, luminance, channels, ignored)


def _without(image: Image.Image, histogram: Histogram) -> Histogram:
    """Without the pixels of the one value that a 16-bit gray image calls transparent, if it does."""
    import numpy as np

    value = image.info.get("transparency")
    if not isinstance(value, int):
        return histogram
    transparent = sum(int(np.count_nonzero(np.asarray(strip) == value)) for strip in _strips(image))
    counts = list(histogram.luminance)
    counts[value * len(counts) // DEEP_LEVELS] -= transparent
    return _of_gray(image, counts, transparent)


def _gray16(image: Image.Image) -> Image.Image:
    """The value v >> 8 of a 16-bit image (v limited to 0…65535 if it has 32), as mode L."""
    # Pillow truncates v · scale for I and I;16, which is v >> 8 as 1/256 is exact; other byte orders it only converts.
    wide = image if image.mode in {"I", "I;16"} else image.convert("I")
    shift: Callable[[float], float] = lambda value: value * (1 / 256)  # noqa: E731 - point() reads it as a formula
    return wide.point(shift).convert("L")


def _strips(image: Image.Image) -> Iterator[Image.Image]:
    rows = max(1, STRIP_PIXELS // image.width)
    for top in range(0, image.height, rows):
        yield image.crop((0, top, image.width, min(top + rows, image.height)))


def _count_deep(image: Image.Image) -> Histogram:
    import numpy as np

    if image.mode != "I" and not image.mode.startswith("I;16"):
        raise NotCountable("bins", f"65536 bins need a 16-bit gray image; this one has mode {image.mode}")
    counts = np.zeros(DEEP_LEVELS, np.int64)
    for strip in _strips(image):
        values = np.asarray(strip.convert("I")).clip(0, DEEP_LEVELS - 1)
        counts += np.bincount(values.ravel(), minlength=DEEP_LEVELS)
    return _of_gray(image, counts.tolist())


def _count_float(image: Image.Image) -> Histogram:
    import numpy as np

    low, high, ignored = np.inf, -np.inf, 0
    for strip in _strips(image):
        values = np.asarray(strip)
        ignored += int(np.isnan(values).sum())
        finite = values[np.isfinite(values)]
        if finite.size:
            low, high = min(low, float(finite.min())), max(high, float(finite.max()))
    counts = np.zeros(LEVELS, np.int64)
    for strip in _strips(image):
        values = np.asarray(strip).astype(np.float64).ravel()
        values = values[~np.isnan(values)]
        if high > low:
            scaled = np.floor((values - low) / (high - low) * LEVELS)
        else:  # one value, or none that is finite
            scaled = np.where(values > (high if high == low else 0), LEVELS - 1, 0)
        counts += np.bincount(scaled.clip(0, LEVELS - 1).astype(np.int64), minlength=LEVELS)
    histogram = _of_gray(image, counts.tolist(), ignored)
    if low > high:
        return histogram
    return replace(histogram, value_range=(low, high))
