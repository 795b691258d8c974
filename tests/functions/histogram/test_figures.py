"""Figures equal those of the pixels themselves; verdicts say what a photographer would."""

from __future__ import annotations

import math
import statistics

import pytest
from hypothesis import given
from hypothesis import strategies as st

from functions.histogram.colours import dominant
from functions.histogram.counting.plain import count
from functions.histogram.figures import cumulate, figures, group, verdict
from tests.images import gradient

LEVELS = st.lists(st.integers(0, 255), min_size=1, max_size=200)


def histogram(levels: list[int], size: int = 256) -> list[int]:
    counts = [0] * size
    for level in levels:
        counts[level] += 1
    return counts


@given(LEVELS)
def test_figures_are_those_of_the_pixels(levels: list[int]) -> None:
    figure = figures(histogram(levels))
    assert (figure.min, figure.max) == (min(levels), max(levels))
    assert figure.mean == pytest.approx(statistics.fmean(levels), abs=1e-4)
    assert figure.median == statistics.median_low(levels)
    assert figure.stddev == pytest.approx(statistics.pstdev(levels), abs=1e-4)
    ranked = sorted(levels)
    assert figure.p01 == ranked[max(0, math.ceil(len(levels) / 100) - 1)]
    assert figure.p99 == ranked[math.ceil(99 * len(levels) / 100) - 1]
    shares = [levels.count(level) / len(levels) for level in set(levels)]
    assert figure.entropy == pytest.approx(-sum(share * math.log2(share) for share in shares), abs=1e-4)
    assert figure.clipped_shadows == pytest.approx(100 * levels.count(0) / len(levels), abs=1e-4)
    assert figure.clipped_highlights == pytest.approx(100 * levels.count(255) / len(levels), abs=1e-4)


def test_figures_of_hundreds_of_megapixels_stay_exact() -> None:
    counts = [0] * 65536
    counts[60000] = counts[60002] = 500_000_000
    figure = figures(counts)
    assert (figure.mean, figure.stddev, figure.entropy) == (60001, 1, 1)


def test_no_pixel_has_no_figures() -> None:
    assert figures([0] * 256) is None
    assert verdict(None, {}) == "No pixel was counted."


@given(LEVELS, st.sampled_from([2, 4, 8, 16, 32, 64, 128, 256]))
def test_bins_are_equally_wide(levels: list[int], bins: int) -> None:
    assert group(histogram(levels), bins) == histogram([level * bins // 256 for level in levels], bins)


@given(LEVELS)
def test_running_totals(levels: list[int]) -> None:
    totals = cumulate(histogram(levels))
    assert all(totals[at] == sum(level <= at for level in levels) for at in (0, 17, 255))
    assert totals[-1] == len(levels)


@pytest.mark.parametrize(
    ("levels", "said"),
    [
        ([7] * 9, "One flat tone, at 7 of 255."),
        (list(range(20, 240)), "Well exposed; mean 130 of 255"),
        (list(range(10, 80)), "Dark, nothing clipped; mean 44"),
        (list(range(180, 250)), "Bright, nothing clipped; mean 214"),
        (list(range(100, 140)), "Low contrast; mean 120"),
        ([255] * 50 + list(range(100, 250)), "Overexposed: 25.0 % is clipped to white"),
        ([255] * 5 + list(range(30, 150)), "Clipped highlights: 4.0 % is clipped to white"),
        ([0] * 50 + list(range(1, 151)), "Underexposed: 25.0 % is clipped to black"),
        ([0] * 5 + list(range(80, 200)), "Clipped shadows: 4.0 % is clipped to black"),
        ([0, 255] * 10 + list(range(100, 180)), "Contrast beyond the range: 10.0 % black and 10.0 % white"),
    ],
)
def test_verdicts(levels: list[int], said: str) -> None:
    assert verdict(figures(histogram(levels)), {}).startswith(said)


def test_a_channel_clipped_where_the_luminance_is_not_is_named() -> None:
    luminance = figures(histogram(list(range(20, 240))))
    red = figures(histogram([255] * 20 + list(range(20, 200))))
    said = verdict(luminance, {"red": red, "green": luminance, "blue": None})
    assert said.endswith("highlights clipped in red 10.0 %.")


def test_dominant_colours_are_ranked_shares_of_the_opaque_pixels() -> None:
    from PIL import Image

    image = Image.new("RGBA", (40, 40), (200, 16, 16, 255))
    image.paste((16, 16, 200, 255), (0, 0, 40, 10))
    image.paste((0, 255, 0, 0), (0, 30, 40, 40))
    assert dominant(image, 4) == [("#c81010", 66.7), ("#1010c8", 33.3)]


def test_an_image_with_nothing_opaque_has_no_colours() -> None:
    from PIL import Image

    assert dominant(Image.new("RGBA", (4, 4)), 4) == []


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "YCbCr", "HSV", "LAB", "I", "I;16", "F"])
def test_colours_of_every_mode(mode: str) -> None:
    image = gradient("RGB" if mode in {"LAB", "I;16"} else mode)
    if mode == "LAB":
        from PIL import Image

        image = Image.new("LAB", (8, 8))
    if mode == "I;16":
        image = image.convert("I").convert("I;16")
    found = dominant(image, 5)
    assert len(found) <= 5
    assert bool(found) == (mode in {"P", "RGB", "RGBA", "CMYK", "YCbCr", "HSV"})
    assert sum(colour.percent for colour in found) == pytest.approx(100 if found else 0, abs=0.5)


def test_figures_follow_from_the_counts_of_an_image() -> None:
    counted = count(gradient("L"))
    assert figures(counted.luminance).mean == pytest.approx(
        statistics.fmean(gradient("L").get_flattened_data()), abs=1e-3
    )
