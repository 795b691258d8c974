"""How the histograms of two pictures differ, and what else counts say: percentiles and exposure zones."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from functools import lru_cache
from itertools import accumulate
from math import log2

ZONES = 10  # the last holds all that is darker


def compare(first: Sequence[int], second: Sequence[int], linear: bool = False) -> dict[str, float | None]:
    """Distances of two luminance histograms of the same levels, each as shares of its pixels.

    Args:
        first: counts by level.
        second: counts by level.
        linear: whether levels are proportional to light; else they are encoded as sRGB.

    Returns:
        `earth_movers`: mean distance, in levels, that pixels have to be moved; `chi_square`: half the sum of
        (p - q)² / (p + q), 0 to 1; `intersection`: shared part, 0 to 1; `shift_ev`: of the mean linear light, positive
        where the second picture is brighter; None where one is black or empty.
    """
    total, other = sum(first), sum(second)
    if not total or not other:
        return {"earth_movers": None, "chi_square": None, "intersection": None, "shift_ev": None}
    p, q = [count / total for count in first], [count / other for count in second]
    moved = sum(abs(a - b) for a, b in zip(accumulate(p), accumulate(q), strict=True))
    chi = sum((a - b) ** 2 / (a + b) for a, b in zip(p, q, strict=True) if a or b) / 2
    scale = _light(len(p), linear)
    light = [sum(share * level for share, level in zip(each, scale, strict=True)) for each in (p, q)]
    return {
        "earth_movers": round(moved, 4),
        "chi_square": round(chi, 6),
        "intersection": round(sum(map(min, p, q)), 6),
        "shift_ev": round(log2(light[1] / light[0]), 4) if min(light) > 0 else None,
    }


def percentiles(counts: Sequence[int], wanted: Sequence[float]) -> dict[str, int]:
    """The least level with at least this percentage of the pixels at or below it (nearest rank)."""
    totals = list(accumulate(counts))
    pixels = totals[-1] if totals else 0
    if not pixels:
        return {}
    return {f"{each:g}": bisect_left(totals, max(1, -int(-pixels * each // 100))) for each in wanted}


def zones(counts: Sequence[int], linear: bool = False) -> list[float]:
    """Percent of the pixels in steps of exposure below white: up to one EV, one to two, …; the last holds the rest.

    Args:
        counts: a histogram of luminance.
        linear: whether levels are proportional to light; else they are encoded as sRGB.
    """
    pixels = sum(counts)
    found = [sum(counts[first:last]) for first, last in _zone_levels(len(counts), linear)]
    return [round(100 * each / pixels, 4) if pixels else 0.0 for each in found]


@lru_cache(maxsize=8)
def _zone_levels(size: int, linear: bool) -> tuple[tuple[int, int], ...]:
    """The first level of each zone, and the one after its last."""
    zone_of = [min(ZONES - 1, int(-log2(value))) if value > 0 else ZONES - 1 for value in _light(size, linear)]
    rising = [-zone for zone in zone_of]
    return tuple((bisect_left(rising, -zone), bisect_right(rising, -zone)) for zone in range(ZONES))


@lru_cache(maxsize=8)
def _light(size: int, linear: bool) -> tuple[float, ...]:
    """The light, 0 to 1, of levels: of sRGB, or proportional to it."""
    if linear:
        return tuple(level / (size - 1) for level in range(size))
    values = (level / (size - 1) for level in range(size))
    return tuple(value / 12.92 if value <= 0.04045 else ((value + 0.055) / 1.055) ** 2.4 for value in values)
