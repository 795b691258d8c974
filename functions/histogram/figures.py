"""What the counts say: statistics, clipping, exposure. Computed from histograms alone, never from pixels."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from math import log2, sqrt
from operator import mul

CLIPPING_PERCENT = 1.0  # a share at one end of the scale that a viewer would notice
_COLOURS = ("red", "green", "blue")


@dataclass(frozen=True)
class Figures:
    """Statistics of one channel, in levels of its scale (0–255, or 0–65535 for deep counts).

    Args:
        min: least level present.
        max: greatest level present.
        mean: arithmetic mean.
        median: least level with at least half of the pixels at or below it.
        stddev: standard deviation of the population.
        p01: least level with at least 1 % of the pixels at or below it.
        p99: the same for 99 %.
        entropy: Shannon entropy of the counts, bits a pixel.
        clipped_shadows: percent of the visible pixels at level 0.
        clipped_highlights: percent of the visible pixels at the highest level.
    """

    min: int
    max: int
    mean: float
    median: int
    stddev: float
    p01: int
    p99: int
    entropy: float
    clipped_shadows: float
    clipped_highlights: float


def figures(counts: Sequence[int], visible: Sequence[int] | None = None) -> Figures | None:
    """Statistics of a histogram whose index is the level; None where no pixel was counted.

    Args:
        counts: of all pixels.
        visible: of those that are not fully transparent, for clipping; None where that is all of them.
    """
    totals = list(accumulate(counts))
    pixels = totals[-1]
    if not pixels:
        return None
    levels = range(len(counts))
    weighted = list(map(mul, counts, levels))
    moment1 = sum(weighted)
    moment2 = sum(map(mul, weighted, levels))
    present = list(filter(None, counts))
    return Figures(
        min=bisect_left(totals, 1),
        max=bisect_left(totals, pixels),
        mean=round(moment1 / pixels, 4),
        median=_quantile(totals, 1, 2),
        # Whole numbers until the root: a difference of two large floats would lose a narrow peak's width.
        stddev=round(sqrt(pixels * moment2 - moment1**2) / pixels, 4),
        p01=_quantile(totals, 1, 100),
        p99=_quantile(totals, 99, 100),
        entropy=round(max(0.0, log2(pixels) - sum(map(mul, present, map(log2, present))) / pixels), 4),
        clipped_shadows=_share(visible or counts, 0),
        clipped_highlights=_share(visible or counts, -1),
    )


def _share(counts: Sequence[int], level: int) -> float:
    pixels = sum(counts)
    return round(100 * counts[level] / pixels, 4) if pixels else 0.0


def _quantile(totals: Sequence[int], numerator: int, denominator: int) -> int:
    """Nearest rank: the least level whose running total reaches that share of the pixels, rounded up."""
    return bisect_left(totals, max(1, -(-totals[-1] * numerator // denominator)))


def group(counts: Sequence[int], bins: int) -> list[int]:
    """Counts of fewer, equally wide bins.

    Args:
        counts: a histogram of n bins.
        bins: a divisor of n.
    """
    width = len(counts) // bins
    return list(counts) if width == 1 else [sum(counts[at : at + width]) for at in range(0, len(counts), width)]


def cumulate(counts: Sequence[int]) -> list[int]:
    """Running totals: pixels at or below each bin."""
    return list(accumulate(counts))


def verdict(luminance: Figures | None, channels: Mapping[str, Figures | None]) -> str:
    """The exposure in a sentence, for the 8-bit figures of the luminance and of each channel.

    It looks at the ends first (clipping cannot be mended later), then at where the tones lie, then at their spread.
    """
    if luminance is None:
        return "No pixel was counted."
    if luminance.min == luminance.max:
        return f"One flat tone, at {luminance.min} of 255."
    black, white = luminance.clipped_shadows, luminance.clipped_highlights
    tones = f"mean {luminance.mean:.0f} of 255, tones from {luminance.p01} to {luminance.p99}"
    lost = [
        f"{name} {share:.1f} %"
        for name in _COLOURS
        if (channel := channels.get(name)) and (share := channel.clipped_highlights) >= CLIPPING_PERCENT > white
    ]
    if black >= CLIPPING_PERCENT and white >= CLIPPING_PERCENT:
        sentence = f"Contrast beyond the range: {black:.1f} % black and {white:.1f} % white are clipped"
    elif white >= CLIPPING_PERCENT:
        word = "Overexposed" if luminance.mean >= 128 else "Clipped highlights"
        sentence = f"{word}: {white:.1f} % is clipped to white"
    elif black >= CLIPPING_PERCENT:
        word = "Underexposed" if luminance.mean < 96 else "Clipped shadows"
        sentence = f"{word}: {black:.1f} % is clipped to black"
    elif luminance.mean < 64:
        sentence = "Dark, nothing clipped"
    elif luminance.mean > 192:
        sentence = "Bright, nothing clipped"
    elif luminance.p99 - luminance.p01 < 96:
        sentence = "Low contrast"
    else:
        sentence = "Well exposed"
    return f"{sentence}; {tones}{'; highlights clipped in ' + ', '.join(lost) if lost else ''}."
