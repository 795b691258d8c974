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
from dataclasses import replace
from operator import add
from typing import TYPE_CHECKING

from functions.histogram.counting.model import (
    LEVELS,
    NAMES,
    SAMPLE,
    Counts,
    Histogram,
    NotCountable,
    Region,
    check_region,
)
from functions.histogram.counting.spaces import PLAIN, Tone
from functions.kit.images.samples.model import strip_rows

if TYPE_CHECKING:
    from PIL import Image

    from functions.kit.images.strips.model import Strips


_STRAIGHT = {"La": "LA", "RGBa": "RGBA", "PA": "RGBA"}


def count(
    image: Image.Image, *, region: Region | None = None, ignore_transparent: bool = False, tone: Tone = PLAIN
) -> Histogram:
    """Histogram of a decoded image of at most 8 bits a sample.

    Args:
        image: decoded image of any mode of the table above.
        region: count inside this rectangle alone.
        ignore_transparent: do not count pixels whose alpha is 0.
        tone: what is counted of the values; a conversion for display is made before.

    Raises:
        NotCountable: the region is not inside the image, or a mode that is not in the table.
    """
    if region is not None:
        image = _crop(image, region)
    if image.mode in _STRAIGHT:
        straight = image.convert(_STRAIGHT[image.mode])
        return _restore(image, count(straight, ignore_transparent=ignore_transparent, tone=tone))
    if not tone.plain and image.mode in {"P", "YCbCr"}:
        colours = image.convert("RGBA" if "transparency" in image.info else "RGB")
        return _restore(image, count(colours, ignore_transparent=ignore_transparent, tone=tone))
    if image.mode == "P":
        return _count_palette(image, ignore_transparent)
    if image.mode not in NAMES:
        raise NotCountable(None, f"images of mode {image.mode} cannot be counted")
    mask = _mask(image)
    counts = _count(image, mask if ignore_transparent else None, tone)
    total = image.width * image.height
    ignored = total - sum(counts.luminance)
    visible = None
    if mask is not None and not ignore_transparent and _has_transparent(mask, counts):
        visible = _count(image, mask, tone)
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
    strips: Strips, *, region: Region | None = None, ignore_transparent: bool = False, tone: Tone = PLAIN
) -> tuple[Histogram, Image.Image, int]:
    """Histogram of a picture in strips, a few of its pixels for its dominant colours, and how many rows there were.

    Raises:
        NotCountable: as `count`.
    """
    from PIL import Image

    if region is not None:
        check_region(region, (strips.width, strips.height))
    area = region or Region(0, 0, strips.width, strips.height)
    sample: Image.Image | None = None
    total: Histogram | None = None
    top = strips.top
    for read in strips.read():
        strip = read if tone.convert is None else tone.convert(read)
        sample = sample or Image.new(strip.mode, (SAMPLE, SAMPLE))
        first, last = max(area.y - top, 0), min(area.y + area.height - top, strip.height)
        for row in range(SAMPLE):
            at = (2 * row + 1) * strips.height // (2 * SAMPLE) - top
            if 0 <= at < strip.height:
                line = strip.crop((0, at, strip.width, at + 1)).resize((SAMPLE, 1), Image.Resampling.NEAREST)
                sample.paste(line, (0, row))
        top += strip.height
        if last > first:
            part = strip if region is None else strip.crop((area.x, first, area.x + area.width, last))
            counted = count(part, ignore_transparent=ignore_transparent, tone=tone)
            total = counted if total is None else _joined(total, counted)
    if total is None or sample is None:
        raise NotCountable(None, "the data of this picture end before the region")
    return total, sample, top - strips.top


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
    if first.luminance is first.channels.get("gray"):
        return Counts(channels["gray"], channels)
    return Counts(list(map(add, first.luminance, second.luminance)), channels)


def _has_transparent(mask: Image.Image, counts: Counts) -> bool:
    alpha = counts.channels["alpha"] if "alpha" in counts.channels else mask.histogram()
    return alpha[0] > 0


def _count(image: Image.Image, mask: Image.Image | None, tone: Tone) -> Counts:
    names = NAMES[image.mode]
    counts = image.histogram(mask)
    channels = {name: counts[LEVELS * index : LEVELS * (index + 1)] for index, name in enumerate(names)}
    if image.mode in {"1", "L", "LA", "YCbCr", "LAB"}:
        luminance = channels[names[0]]
        if not tone.plain and tone.light:
            luminance = _lit(luminance, tone, 0)
            channels = {**channels, **({"gray": luminance} if tone.used == "linear" else {})}
        return Counts(luminance, channels)
    if tone.plain:
        return Counts(image.convert("L").histogram(mask), channels)
    if tone.used == "linear":
        lit = {name: _lit(channels[name], tone, index) for index, name in enumerate(names[:3])}
        channels = {**channels, **lit}
    return Counts(_luminance(image, tone).histogram(mask), channels)


def _lit(counts: list[int], tone: Tone, index: int) -> list[int]:
    """Counts by level of light from counts of encoded values."""
    lit = [0] * LEVELS
    for level, count in zip(tone.levels(index, LEVELS).tolist(), counts, strict=True):
        lit[level] += count
    return lit


def _luminance(image: Image.Image, tone: Tone) -> Image.Image:
    """The luminance of red, green and blue that is not Pillow's own, as a gray image."""
    from PIL import Image

    image = image if image.mode == "RGB" else image.convert("RGB")
    if not tone.light:
        # A little more than zero: halves are rounded up exactly, despite the single precision of the sum.
        return image.convert("L", (*tone.weights, 5e-5))
    import numpy as np

    made = Image.new("L", image.size)
    rows = strip_rows(image.width)
    for top in range(0, image.height, rows):
        strip = np.asarray(image.crop((0, top, image.width, min(top + rows, image.height))))
        made.paste(Image.fromarray(tone.luminous(strip, LEVELS)), (0, top))
    return made


def ranged(histogram: Histogram, low: int, high: int) -> Histogram:
    """A histogram of 8-bit values over a part of them, and how many are outside.

    Args:
        histogram: of 256 levels.
        low: value of the first level.
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
        return Counts(channels["gray"] if counts.luminance is counts.channels.get("gray") else luminance, channels)

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
    """Luminance of one 8-bit colour: Rec. 601 luma in 16-bit fixed point, rounded as in Pillow."""
    return (19595 * red + 38470 * green + 7471 * blue + 32768) >> 16


def _crop(image: Image.Image, region: Region) -> Image.Image:
    check_region(region, image.size)
    x, y, width, height = region
    if (width, height) == image.size:
        return image
    return image.crop((x, y, x + width, y + height))


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
