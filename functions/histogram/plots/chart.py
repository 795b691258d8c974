"""What a plot shows, apart from how it is drawn: series, scale, ticks, colours, layout.

The renderers (raster, svg, publication) draw the same `Chart`, so their pictures agree.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from math import log10

RGB = tuple[int, int, int]

WIDTH, HEIGHT = 640, 400
TOP_ROOM = 1.04  # the highest bin ends a little below the frame
_SMALL = 200  # pixels; below this a chart has no room for words
_LEGEND = 420  # pixels; from this width on the series are named

# One hue a channel. Fills are light tints multiplied on a light ground and dim ones screened on a dark ground, so
# that red, green and blue together make a gray, as their light does.
_HUES: Mapping[str, RGB] = {
    "red": (246, 84, 84),
    "green": (78, 182, 92),
    "blue": (84, 126, 250),
    "green1": (78, 182, 92),
    "green2": (130, 196, 60),
    "alpha": (170, 170, 170),
    "gray": (120, 120, 124),
    "cyan": (40, 186, 220),
    "magenta": (228, 70, 176),
    "yellow": (222, 190, 40),
    "black": (104, 104, 104),
    "y": (120, 120, 124),
    "cb": (84, 126, 250),
    "cr": (246, 84, 84),
    "lightness": (120, 120, 124),
    "a": (228, 70, 176),
    "b": (222, 190, 40),
    "hue": (164, 92, 236),
    "saturation": (30, 180, 165),
    "value": (120, 120, 124),
}
_TINT, _DIM = 0.62, 0.72
_END = 64  # the first and the last of this many parts of the axis are its ends
_SPIKE = 1.25  # an end is cut if it is this many times higher than everything between the ends
MOST_ZOOM = 4.0


@dataclass(frozen=True)
class Theme:
    """Colours of everything that is not data."""

    background: RGB
    text: RGB
    grid: RGB
    outline: RGB
    clipping: RGB


THEMES = {
    "light": Theme((255, 255, 255), (60, 60, 67), (228, 228, 232), (20, 20, 24), (208, 0, 24)),
    "dark": Theme((24, 24, 27), (200, 200, 206), (52, 52, 58), (250, 250, 250), (255, 110, 110)),
}


@dataclass(frozen=True)
class Chart:
    """One plot.

    Args:
        fills: filled series by channel name, at most four, each with the same number of bins.
        outline: the luminance, drawn as a line above the fills; None where it is one of them, or not wanted.
        levels: levels of the horizontal axis, 256 or 65536; each bin is levels / bins wide.
        width: of the picture, in pixels.
        height: of the picture, in pixels.
        scale: of the vertical axis: `linear`, `sqrt`, or `log`, which is log10(1 + count).
        dark: the dark theme.
        title: above the plot; may be empty.
        unit: of the vertical axis, such as `pixels`.
        cumulative: the bins are running totals.
        clipping: shares of the pixels (percent) at the first and the last level by drawn series, to be marked; or None.
        highest: count that the axis holds; None for that of the series.
    """

    fills: Mapping[str, Sequence[float]]
    outline: Sequence[float] | None
    levels: int = 256
    width: int = WIDTH
    height: int = HEIGHT
    scale: str = "linear"
    dark: bool = False
    title: str = ""
    unit: str = "pixels"
    cumulative: bool = False
    clipping: Mapping[str, tuple[float, float]] | None = None
    highest: float | None = None

    @property
    def theme(self) -> Theme:
        """Its colours."""
        return THEMES["dark" if self.dark else "light"]

    @property
    def bins(self) -> int:
        """Number of bins of every series."""
        return len(next(iter(self.fills.values())))

    @property
    def zoom(self) -> float:
        """How much larger than in a plot of the usual size words and margins are."""
        return max(1.0, min(self.width / WIDTH, self.height / HEIGHT, MOST_ZOOM))

    @property
    def _series(self) -> list[Sequence[float]]:
        return [*self.fills.values(), *([self.outline] if self.outline else [])]

    @cached_property
    def peak(self) -> float:
        """Highest count of the axis; 1 if all counts are 0, so that a scale exists.

        Clipped pixels gather in a spike at an end, which would press all else flat: where an end is much higher than
        all between the ends, these are the measure, and the spike is cut.
        """
        if self.highest is not None:
            return self.highest
        highest = max((max(counts) for counts in self._series), default=0) or 1
        end = max(1, self.bins // _END)
        if self.cumulative or self.bins < 4 * end or self.bins < 16:
            return highest
        between = max(max(counts[end:-end]) for counts in self._series)
        return between if between and highest > _SPIKE * between else highest

    @cached_property
    def cut(self) -> tuple[bool, bool]:
        """Whether the left and the right end of a series is higher than the axis."""
        half = self.bins // 2
        return (
            any(max(counts[:half], default=0) > self.peak for counts in self._series),
            any(max(counts[half:], default=0) > self.peak for counts in self._series),
        )

    @property
    def small(self) -> bool:
        """True where there is no room for words: ticks and axis names are left out."""
        return self.width < _SMALL or self.height < _SMALL * 2 // 3

    def scaled(self, counts: Sequence[float]) -> list[float]:
        """Heights of bins, 0 to 1 of the plot's height; a spike that is cut has 1."""
        if self.scale == "log":
            top = log10(1 + self.peak) * TOP_ROOM
            return [min(1.0, log10(1 + count) / top) for count in counts]
        if self.scale == "sqrt":
            top = self.peak**0.5 * TOP_ROOM
            return [min(1.0, count**0.5 / top) for count in counts]
        top = self.peak * TOP_ROOM
        return [min(1.0, count / top) for count in counts]

    def colour(self, name: str) -> RGB:
        """Colour of one series' fill, before it meets the ground and the other fills."""
        red, green, blue = _HUES[name]
        if self.dark:
            return round(red * _DIM), round(green * _DIM), round(blue * _DIM)
        return 255 - round((255 - red) * _TINT), 255 - round((255 - green) * _TINT), 255 - round((255 - blue) * _TINT)

    @property
    def blending(self) -> str:
        """How a fill meets what is below it: CSS's name of the mode."""
        return "screen" if self.dark else "multiply"

    def blend(self, mask: int) -> RGB:
        """Colour where the fills of the set bits lie above one another."""
        colour = self.theme.background
        for index, name in enumerate(self.fills):
            if mask >> index & 1:
                colour = _screen(colour, self.colour(name)) if self.dark else _multiply(colour, self.colour(name))
        return colour

    def legend(self) -> list[str]:
        """Names of the fills; empty where there is no room."""
        return [] if self.small or self.width < _LEGEND else list(self.fills)

    def x_ticks(self) -> list[tuple[float, str]]:
        """Positions on the horizontal axis, 0 to 1, and their labels: levels."""
        step = self.levels // (8 if self.width >= 360 else 4)
        levels = [*range(0, self.levels - step // 2, step), self.levels - 1]
        return [((level + 0.5) / self.levels, str(level)) for level in levels]

    def y_values(self) -> list[tuple[float, str]]:
        """Counts that the vertical axis names, and their labels."""
        values = _decades(self.peak) if self.scale == "log" else _round_steps(self.peak, 5 if self.height >= 240 else 3)
        return [(value, _short(value)) for value in values]

    def y_ticks(self) -> list[tuple[float, str]]:
        """Heights on the vertical axis, 0 to 1 of the plot, and their labels."""
        values = self.y_values()
        heights = self.scaled([value for value, _ in values])
        return [(height, label) for height, (_, label) in zip(heights, values, strict=True)]

    @property
    def x_name(self) -> str:
        """Name of the horizontal axis with its unit."""
        return f"level (0 to {self.levels - 1})"

    @property
    def y_name(self) -> str:
        """Name of the vertical axis with its unit."""
        width = self.levels // self.bins
        per = "at or below" if self.cumulative else "per level" if width == 1 else f"per {width} levels"
        return f"{self.unit} {per}{f', {self.scale}' if self.scale != 'linear' else ''}"

    def clipping_labels(self) -> tuple[str, str]:
        """Words of the marks at the first and the last level: the largest share of a series; empty where none is."""
        first = max((pair[0] for pair in (self.clipping or {}).values()), default=0.0)
        last = max((pair[1] for pair in (self.clipping or {}).values()), default=0.0)
        return _percent(first), _percent(last)

    def clipped(self, end: int) -> list[str]:
        """Names of the series with pixels at the first (0) or the last (1) level, the largest share first."""
        shares = {name: pair[end] for name, pair in (self.clipping or {}).items() if pair[end] > 0}
        return sorted(shares, key=lambda name: -shares[name])

    def mark_colour(self, name: str) -> RGB:
        """Colour of the mark of one series: its hue at full strength; of gray and luminance the theme's own."""
        return self.theme.clipping if name in {"gray", "luminance"} else _HUES[name]

    def describe(self) -> str:
        """One sentence for a reader who cannot see the plot."""
        names = [*self.fills, *(["luminance"] if self.outline else [])]
        spikes = " and ".join(side for side, cut in zip(("left", "right"), self.cut, strict=True) if cut)
        cut = f" The spike at the {spikes} end is cut." if spikes else ""
        return (
            f"Histogram of {', '.join(names)}: {self.bins} bins, at most {_short(self.peak)} {self.unit} in one.{cut}"
        )


@dataclass(frozen=True)
class Frame:
    """Where the plot itself lies in the picture, in pixels: left and top edge, width and height."""

    left: int
    top: int
    width: int
    height: int


def frame(chart: Chart) -> Frame:
    """Room for the words around the plot; none of it in a small picture."""
    if chart.small:
        return Frame(1, 1, chart.width - 2, chart.height - 2)
    zoom = chart.zoom
    left, right, bottom = round(62 * zoom), round(16 * zoom), round(42 * zoom)
    top = round((34 if chart.title else 18) * zoom)
    return Frame(left, top, chart.width - left - right, chart.height - top - bottom)


def fitted(heights: Sequence[float], columns: int) -> Sequence[float]:
    """At most `columns` heights: if the bins are narrower than a pixel, the highest of each column."""
    if len(heights) <= columns:
        return heights
    edges = [column * len(heights) // columns for column in range(columns + 1)]
    return [max(heights[first:last]) for first, last in pairwise(edges)]


def _percent(share: float) -> str:
    return f"{round(share, 1):g} %" if share >= 0.05 else "<0.1 %" if share > 0 else ""


def _multiply(below: RGB, above: RGB) -> RGB:
    red, green, blue = (round(b * a / 255) for b, a in zip(below, above, strict=True))
    return red, green, blue


def _screen(below: RGB, above: RGB) -> RGB:
    red, green, blue = (255 - round((255 - b) * (255 - a) / 255) for b, a in zip(below, above, strict=True))
    return red, green, blue


def _round_steps(peak: float, most: int) -> list[float]:
    """0 and the multiples of 1, 2 or 5 · 10ⁿ up to the peak, at most `most` of them."""
    size = 10.0 ** int(log10(peak) - (peak < 1))
    step = next(factor * size for factor in (0.1, 0.2, 0.5, 1, 2, 5, 10) if peak / (factor * size) <= most)
    return [step * index for index in range(int(peak / step + 1e-9) + 1)]


def _decades(peak: float) -> list[float]:
    if peak < 1:  # shares: log10(1 + share) is all but linear
        return _round_steps(peak, 5)
    return [0.0, *(10.0**power for power in range(int(log10(peak) + 1e-9) + 1))]


def _short(value: float) -> str:
    """A number in at most five characters: `800`, `1.2k`, `24M`, `0.02`."""
    for size, suffix in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if value >= size:
            return f"{value / size:.3g}{suffix}"
    return f"{value:.3g}"
