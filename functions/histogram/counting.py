"""Exact histograms of an image of at most 8 bits a sample, at the cost of decoding it; `deep` counts the others.

Counting is Pillow's C `histogram()`. One conversion a mode, to 8 bits a channel:

======================  =========================  ===========================================================
mode                    channels                   luminance
======================  =========================  ===========================================================
1, L, LA                gray (, alpha)             the gray value; 1 is 0 and 255
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

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from operator import add
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from PIL import Image

    from functions.kit.images.large import Strips

LEVELS = 256
SAMPLE = 32  # rows and columns of the pixels that dominant colours are taken from
MOST_LEVELS = 65536

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
CHANNELS = (*dict.fromkeys(name for names in _NAMES.values() for name in names), "green1", "green2")


class Region(NamedTuple):
    """A rectangle in pixels of the image as it is stored, its origin at the top left."""

    x: int
    y: int
    width: int
    height: int


@dataclass(frozen=True)
class Counts:
    """Counts by level of the luminance and of each channel."""

    luminance: list[int]
    channels: dict[str, list[int]]


@dataclass(frozen=True)
class Histogram:
    """Counts of one image.

    Args:
        mode: Pillow's mode of the image as decoded, or a name in its manner for more bits.
        width: pixels counted across.
        height: pixels counted down.
        luminance: counts by level: 256, or as many as were asked for of a picture of more than 8 bits.
        channels: counts for each channel present, by name.
        ignored: pixels not counted: fully transparent ones where asked for, and NaN. The sum of every list of counts
            plus this and `outside` is width × height.
        value_range: values that the first and the last level stand for; None where a level is a value of 8 bits.
        bits: of a sample.
        effective_bits: bits that the values use: of 12-bit data in 16 bits, 12. None for floating point.
        floating: the values are floating point numbers.
        visible: counts of the pixels that are not fully transparent; None where those are all that were counted.
        outside: pixels below and above the range that was asked for, by channel; empty where none was.
    """

    mode: str
    width: int
    height: int
    luminance: list[int]
    channels: dict[str, list[int]]
    ignored: int = 0
    value_range: tuple[float, float] | None = None
    bits: int = 8
    effective_bits: int | None = 8
    floating: bool = False
    visible: Counts | None = None
    outside: dict[str, tuple[int, int]] = field(default_factory=dict)

    @property
    def pixels(self) -> int:
        """Pixels counted."""
        return self.width * self.height - self.ignored

    @property
    def seen(self) -> Counts:
        """Counts of the visible pixels, by which exposure and clipping are judged."""
        return self.visible or Counts(self.luminance, self.channels)


class Share(NamedTuple):
    """A rectangle in percent of the image as it is stored."""

    x: float
    y: float
    width: float
    height: float

    def of(self, size: tuple[int, int]) -> Region:
        """In pixels of an image: every pixel that it touches."""
        left, top = int(self.x * size[0] / 100), int(self.y * size[1] / 100)
        right = -int(-(self.x + self.width) * size[0] // 100)
        bottom = -int(-(self.y + self.height) * size[1] // 100)
        return Region(left, top, max(1, right - left), max(1, bottom - top))


class NotCountable(ValueError):
    """An option does not fit this image, or (option None) its mode cannot be counted; the message says why."""

    def __init__(self, option: str | None, message: str) -> None:
        super().__init__(message)
        self.option = option


def count(image: Image.Image, *, region: Region | None = None, ignore_transparent: bool = False) -> Histogram:
    """Histogram of a decoded image of at most 8 bits a sample.

    Args:
        image: decoded image of any mode of the table above.
        region: count inside this rectangle alone.
        ignore_transparent: do not count pixels whose alpha is 0.

    Raises:
        NotCountable: the region is not inside the image, or a mode that is not in the table.
    """
    if region is not None:
        image = _crop(image, region)
    if image.mode in _STRAIGHT:
        return _restore(image, count(image.convert(_STRAIGHT[image.mode]), ignore_transparent=ignore_transparent))
    if image.mode == "P":
        return _count_palette(image, ignore_transparent)
    if image.mode not in _NAMES:
        raise NotCountable(None, f"images of mode {image.mode} cannot be counted")
    mask = _mask(image)
    counts = _count(image, mask if ignore_transparent else None)
    total = image.width * image.height
    ignored = total - sum(counts.luminance)
    visible = None
    if mask is not None and not ignore_transparent and _has_transparent(mask, counts):
        visible = _count(image, mask)
    bits = 1 if image.mode == "1" else 8
    return Histogram(
        image.mode,
        image.width,
        image.height,
        counts.luminance,
        counts.channels,
        ignored,
        bits=bits,
        effective_bits=bits,
        visible=visible,
    )


def count_strips(
    strips: Strips, *, region: Region | None = None, ignore_transparent: bool = False
) -> tuple[Histogram, Image.Image]:
    """Histogram of a picture in strips, and a few of its pixels for its dominant colours.

    Raises:
        NotCountable: as `count`.
    """
    from PIL import Image

    if region is not None:
        check_region(region, (strips.width, strips.height))
    area = region or Region(0, 0, strips.width, strips.height)
    sample = Image.new(strips.mode, (SAMPLE, SAMPLE))
    total: Histogram | None = None
    top = 0
    for strip in strips.read():
        first, last = max(area.y - top, 0), min(area.y + area.height - top, strip.height)
        for row in range(SAMPLE):
            at = (2 * row + 1) * strips.height // (2 * SAMPLE) - top
            if 0 <= at < strip.height:
                line = strip.crop((0, at, strip.width, at + 1)).resize((SAMPLE, 1), Image.Resampling.NEAREST)
                sample.paste(line, (0, row))
        top += strip.height
        if last > first:
            part = strip if region is None else strip.crop((area.x, first, area.x + area.width, last))
            counted = count(part, ignore_transparent=ignore_transparent)
            total = counted if total is None else _joined(total, counted)
    if total is None:
        raise NotCountable(None, "the picture has no rows")
    return total, sample


def _joined(first: Histogram, second: Histogram) -> Histogram:
    visible = None
    if first.visible or second.visible:
        visible = _sum(first.seen, second.seen)
    every = _sum(Counts(first.luminance, first.channels), Counts(second.luminance, second.channels))
    return replace(
        first,
        height=first.height + second.height,
        luminance=every.luminance,
        channels=every.channels,
        ignored=first.ignored + second.ignored,
        visible=visible,
    )


def _sum(first: Counts, second: Counts) -> Counts:
    channels = {name: list(map(add, counts, second.channels[name])) for name, counts in first.channels.items()}
    if "gray" in channels:
        return Counts(channels["gray"], channels)
    return Counts(list(map(add, first.luminance, second.luminance)), channels)


def _has_transparent(mask: Image.Image, counts: Counts) -> bool:
    alpha = counts.channels["alpha"] if "alpha" in counts.channels else mask.histogram()
    return alpha[0] > 0


def _count(image: Image.Image, mask: Image.Image | None) -> Counts:
    names = _NAMES[image.mode]
    counts = image.histogram(mask)
    channels = {name: counts[LEVELS * index : LEVELS * (index + 1)] for index, name in enumerate(names)}
    if image.mode in {"1", "L", "LA", "YCbCr", "LAB"}:
        return Counts(channels[names[0]], channels)
    return Counts(image.convert("L").histogram(mask), channels)


def ranged(histogram: Histogram, low: int, high: int) -> Histogram:
    """A histogram of 8-bit values over a part of them, and how many are outside.

    Args:
        histogram: of 256 levels.
        low: value that the first level stands for.
        high: value of the last one.
    """
    outside: dict[str, tuple[int, int]] = {}

    def reduced(name: str, counts: Sequence[int]) -> list[int]:
        levels = [0] * LEVELS
        for value, count in enumerate(counts[max(low, 0) : high + 1], max(low, 0)):
            levels[(value - low) * LEVELS // (high - low + 1)] += count
        outside[name] = sum(counts[: max(low, 0)]), sum(counts[high + 1 :])
        return levels

    def every(counts: Counts) -> Counts:
        luminance = reduced("luminance", counts.luminance)
        channels = {name: reduced(name, each) for name, each in counts.channels.items()}
        return Counts(channels.get("gray", luminance), channels)

    visible = every(histogram.visible) if histogram.visible is not None else None
    whole = every(Counts(histogram.luminance, histogram.channels))
    return replace(
        histogram,
        luminance=whole.luminance,
        channels=whole.channels,
        visible=visible,
        value_range=(low, high),
        outside=outside,
    )


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
    seen, hidden = _blank(names), _blank(names)
    ignored = 0
    for index, pixels in enumerate(image.histogram()):
        if not pixels:
            continue
        colour = entries[4 * index : 4 * index + 4]
        if ignore_transparent and colour[3] == 0:
            ignored += pixels
            continue
        into = seen if colour[3] else hidden
        into.luminance[luma(*colour[:3])] += pixels
        for name, level in zip(names, colour, strict=False):
            into.channels[name][level] += pixels
    if not any(hidden.luminance):
        return Histogram(image.mode, image.width, image.height, seen.luminance, seen.channels, ignored)
    every = {name: list(map(add, seen.channels[name], hidden.channels[name])) for name in names}
    luminance = list(map(add, seen.luminance, hidden.luminance))
    return Histogram(image.mode, image.width, image.height, luminance, every, ignored, visible=seen)


def _blank(names: Sequence[str]) -> Counts:
    return Counts([0] * LEVELS, {name: [0] * LEVELS for name in names})
