"""From the bytes of an image to its result: decoded, counted, described, and ready to be drawn or tabled."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from functions.histogram import colours, counting
from functions.histogram.counting import DEEP_LEVELS, LEVELS, Histogram, NotCountable, Region
from functions.histogram.figures import Figures, cumulate, figures, group, verdict
from functions.kit.http import problems
from functions.kit.http.problems import Problem
from functions.kit.http.settings import Settings
from functions.kit.images.opening import FULL_SIZE, open_image

if TYPE_CHECKING:
    from PIL import Image

    from functions.histogram.chart import Chart

# Total variation distance to the exact luminance histogram at each DCT scale: the 5th and the 95th percentile over 35
# photographs of a quarter of a megapixel and more. The worst were 0.10, 0.15 and 0.34.
APPROXIMATION_ERROR = {2: (0.006, 0.055), 4: (0.017, 0.10), 8: (0.046, 0.24)}


@dataclass(frozen=True, kw_only=True)
class Choices:
    """What a client may choose of the analysis; the defaults give exact 256-bin counts of the whole first frame.

    Args:
        channels: names of channels and `luminance`; empty for every one present.
        bins: 2…256, a power of two, or 65536.
        region: count inside this rectangle alone, in pixels of the stored, unscaled image.
        ignore_transparent: leave out pixels whose alpha is 0.
        approximate: decode a JPEG at 1/2, 1/4 or 1/8 of its size; None is exact.
        frame: index of the frame or page.
        cumulative: running totals instead of counts.
        normalize: shares of the pixels counted instead of counts.
        colours: how many dominant colours at most; 0 for none.
    """

    channels: tuple[str, ...] = ()
    bins: int = LEVELS
    region: Region | None = None
    ignore_transparent: bool = False
    approximate: int | None = None
    frame: int = 0
    cumulative: bool = False
    normalize: bool = False
    colours: int = 6


@dataclass(frozen=True)
class Analysis:
    """The result for one image.

    Args:
        choices: what was asked for.
        histogram: the counts, 256 or 65536 of each.
        format: Pillow's name of the format.
        width: of the whole image, in pixels.
        height: of the whole image, in pixels.
        colours: the dominant colours.
        scale: 2, 4 or 8 where the image was decoded at that fraction, else None.
    """

    choices: Choices
    histogram: Histogram
    format: str
    width: int
    height: int
    colours: Sequence[colours.Colour]
    scale: int | None = None

    def series(self) -> dict[str, Sequence[float]]:
        """Luminance and channels as chosen: bins, running totals, shares."""
        return {name: self._shaped(counts) for name, counts in self._counts().items()}

    def figures(self) -> dict[str, Figures | None]:
        """Figures of the luminance and the chosen channels, in levels of the counts."""
        known: dict[int, Figures | None] = {}  # of a gray image, the one channel is the luminance
        return {
            name: known[id(counts)] if id(counts) in known else known.setdefault(id(counts), figures(counts))
            for name, counts in self._counts().items()
        }

    def document(self) -> dict[str, Any]:
        """The result as JSON has it."""
        series, measured = self.series(), self.figures()
        body: dict[str, Any] = {
            "histogram": series["luminance"],
            "channels": {name: counts for name, counts in series.items() if name != "luminance"},
            "size": [self.width, self.height],
            "format": self.format,
            "mode": self.histogram.mode,
            "pixels": self.histogram.pixels,
            "bins": self.choices.bins,
            "verdict": self.verdict(measured),
            "figures": {name: vars(each) if each else None for name, each in measured.items()},
            "colours": [colour._asdict() for colour in self.colours],
            "ignored": self.histogram.ignored,
        }
        if self.choices.region is not None:
            body["region"] = list(self.choices.region)
        if self.choices.frame:
            body["frame"] = self.choices.frame
        if self.scale is not None:
            body["approximate"] = {"scale": self.scale, "error": list(APPROXIMATION_ERROR[self.scale])}
        if self.histogram.value_range is not None:
            body["value_range"] = list(self.histogram.value_range)
        return body

    def verdict(self, measured: Mapping[str, Figures | None]) -> str:
        """The exposure in a sentence; deep counts are judged as 8-bit ones."""
        if len(self.histogram.luminance) == LEVELS:
            return verdict(measured["luminance"], measured)
        return verdict(figures(group(self.histogram.luminance, LEVELS)), {})

    def chart(self, **how: Any) -> Chart:
        """The plot of the series; `how` are the fields of a `Chart` that are not data."""
        from functions.histogram.chart import Chart

        series = self.series()
        luminance = series.pop("luminance")
        if not self.choices.channels:  # an opaque image's alpha is one spike that would flatten the rest
            series.pop("alpha", None)
        gray = not series or list(series) == ["gray"]
        outlined = not gray and "luminance" in (self.choices.channels or ("luminance",))
        shares = figures(self.histogram.luminance)
        clipping = (shares.clipped_shadows, shares.clipped_highlights) if shares else None
        return Chart(
            fills={"gray": luminance} if gray else series,
            outline=luminance if outlined else None,
            levels=len(self.histogram.luminance),
            unit="share of pixels" if self.choices.normalize else "pixels",
            clipping=clipping if how.pop("marks") else None,
            cumulative=self.choices.cumulative,
            **how,
        )

    def table(self) -> str:
        """The series as CSV: a line a bin, its first level in front."""
        series = self.series()
        width = len(self.histogram.luminance) // self.choices.bins
        rows = zip(range(0, len(self.histogram.luminance), width), *series.values(), strict=True)
        return "\r\n".join([",".join(["level", *series]), *(",".join(map(str, row)) for row in rows), ""])

    def _counts(self) -> dict[str, list[int]]:
        chosen = self.choices.channels
        channels = self.histogram.channels
        return {"luminance": self.histogram.luminance} | {
            name: counts for name, counts in channels.items() if not chosen or name in chosen
        }

    def _shaped(self, counts: list[int]) -> Sequence[float]:
        shaped = group(counts, self.choices.bins)
        if self.choices.cumulative:
            shaped = cumulate(shaped)
        if self.choices.normalize:
            pixels = self.histogram.pixels or 1
            return [round(count / pixels, 9) for count in shaped]
        return shaped


def _level_transparency(image: Image.Image, data: bytes) -> None:
    """A PNG's transparent value on the scale of its pixels as Pillow gives them: it scales pixels alone to 8 bits.

    Raises:
        NotCountable: a colour of 16 bits a channel, which 8 bits do not tell from its neighbours.
    """
    depth, kind, value = data[24], data[25], image.info.get("transparency")
    if kind == 0 and depth in (2, 4) and isinstance(value, int):
        # Of the two bytes that hold it the low bits count (PNG 11.3.2.1).
        top = 2**depth - 1
        image.info["transparency"] = (value & top) * 255 // top
    elif kind == 2 and depth == 16 and value is not None:
        raise NotCountable(
            "ignore_transparent",
            "this PNG has 16 bits a channel and one transparent colour, which its 8-bit counts cannot tell apart",
        )


def analyse(data: bytes, settings: Settings, choices: Choices | None = None) -> Analysis:
    """Decodes and counts one image.

    Args:
        data: the whole file.
        settings: the limits.
        choices: None for the defaults.

    Raises:
        Problem: as `open_image`, and 400 for choices that do not fit this image.
    """
    choices = choices or Choices()
    with open_image(data, settings, choices.frame, choices.approximate) as image:
        width, height = image.info.get(FULL_SIZE, image.size)
        try:
            if choices.ignore_transparent and image.format == "PNG":
                _level_transparency(image, data)
            histogram = counting.count(
                image,
                region=_scaled(choices.region, (width, height), image.size),
                ignore_transparent=choices.ignore_transparent,
                deep=choices.bins == DEEP_LEVELS,
            )
        except NotCountable as error:
            raise _problem(error) from None
        missing = [name for name in choices.channels if name not in {"luminance", *histogram.channels}]
        if missing:
            present = ", ".join(["luminance", *histogram.channels])
            raise problems.bad_option("channels", f"this image has no channel {missing[0]!r}; it has {present}")
        found = colours.dominant(image, choices.colours) if choices.colours else []
        # Small images are decoded at less than the fraction asked for, and only JPEG has fractions at all.
        scale = next((n for n in APPROXIMATION_ERROR if -(-width // n) == image.width < width), None)
        return Analysis(choices, histogram, image.format or "", width, height, found, scale)


def _scaled(region: Region | None, full: tuple[int, int], decoded: tuple[int, int]) -> Region | None:
    """The region in pixels of an image decoded at a fraction: every decoded pixel that it touches."""
    if region is None or full == decoded:
        return region
    counting.check_region(region, full)
    left, top = region.x * decoded[0] // full[0], region.y * decoded[1] // full[1]
    right = -(-(region.x + region.width) * decoded[0] // full[0])
    bottom = -(-(region.y + region.height) * decoded[1] // full[1])
    return Region(left, top, right - left, bottom - top)


def _problem(error: NotCountable) -> Problem:
    if error.option is None:
        return problems.unreadable_image(str(error))
    return problems.bad_option(error.option, str(error))
