"""The result for one image: what a client may choose of it, and its forms as JSON, chart and table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from functions.histogram import colours
from functions.histogram.comparison import percentiles, zones
from functions.histogram.counting.model import LEVELS, Counts, Histogram, Region, Share
from functions.histogram.counting.spaces import PLAIN
from functions.histogram.figures import Figures, cumulate, figures, group, verdict
from functions.kit.jsontypes import JsonMapping, JsonObject

if TYPE_CHECKING:
    from PIL import Image

    from functions.histogram.plots.chart import Chart

# Total variation distance to the exact luminance histogram at each DCT scale: the 5th and the 95th percentile over 35
# photographs of a quarter of a megapixel and more. The worst were 0.10, 0.15 and 0.34.
APPROXIMATION_ERROR = {2: (0.006, 0.055), 4: (0.017, 0.10), 8: (0.046, 0.24)}


@dataclass(frozen=True, kw_only=True)
class Choices:
    """What a client may choose of the analysis; the defaults give exact 256-bin counts of the whole first frame.

    Args:
        channels: names of channels and `luminance`; empty for every one present.
        bins: a power of two: 2…256, or up to 65536 for more than 8 bits a sample.
        region: count inside this rectangle alone, in pixels or percent of the unscaled image.
        orientation: of the image that the region is of: `stored` or `displayed`.
        value_range: values that the bins cover; None for the effective range.
        percentiles: levels wanted at these percentages of the pixels.
        ignore_transparent: leave out pixels whose alpha is 0.
        approximate: decode a JPEG at 1/2, 1/4 or 1/8 of its size; None is exact.
        frame: index of the frame or page.
        cumulative: running totals instead of counts.
        normalize: shares of the pixels counted instead of counts.
        colours: how many dominant colours at most; 0 for none.
        raw: count the sensor's values of a camera raw instead of its preview.
        space: `encoded`, `linear` or `display`.
        luminance: `601`, `709` or `y`.
        scope: keep a sample of the pixels, for a plot of their places or colours.
    """

    channels: tuple[str, ...] = ()
    bins: int = LEVELS
    region: Region | Share | None = None
    orientation: str = "stored"
    value_range: tuple[float, float] | None = None
    percentiles: tuple[float, ...] = ()
    ignore_transparent: bool = False
    approximate: int | None = None
    frame: int = 0
    cumulative: bool = False
    normalize: bool = False
    colours: int = 6
    raw: bool = False
    space: str = "encoded"
    luminance: str = "601"
    scope: bool = False


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
        complete: the data of the picture do not end early.
        decoded: share of the rows that were decoded, and so counted; None where it is not known.
        warnings: what is odd about the file or the answer.
        source: what was counted: `image`, the `preview` inside a camera raw, or the `sensor` of one.
        raw: of a camera raw its name, its size, and for `sensor` the figures of its channels.
        area: the region in pixels of the stored image.
        orientation: as Exif counts, where the region is one of the displayed image.
        space: the space that was counted, and what was not possible: see `spaces.Tone.facts`.
        linear: levels of the luminance are proportional to light.
        sample: a few of the pixels in RGB, where the choices ask for them and the picture is not too large.
    """

    choices: Choices
    histogram: Histogram
    format: str
    width: int
    height: int
    colours: Sequence[colours.Colour]
    scale: int | None = None
    complete: bool = True
    decoded: float | None = 1.0
    warnings: tuple[str, ...] = ()
    source: str = "image"
    raw: JsonMapping | None = None
    area: Region | None = None
    orientation: int | None = None
    space: JsonMapping = field(default_factory=PLAIN.facts)
    linear: bool = False
    sample: Image.Image | None = None

    def series(self) -> dict[str, Sequence[float]]:
        """Luminance and channels as chosen: bins, running totals, shares."""
        return {name: self._shaped(counts) for name, counts in self._counts().items()}

    def figures(self) -> dict[str, Figures | None]:
        """Figures of the luminance and the chosen channels, in levels of the counts."""
        seen = self.histogram.seen
        visible = {"luminance": seen.luminance, **seen.channels}
        known: dict[int, Figures | None] = {}  # of a gray image, the one channel is the luminance
        measured = {}
        for name, counts in self._counts().items():
            if id(counts) not in known:
                known[id(counts)] = figures(counts, visible[name])
            measured[name] = known[id(counts)]
        return measured

    def document(self) -> JsonObject:
        """The result as a JSON document."""
        series, measured = self.series(), self.figures()
        body: JsonObject = {
            "histogram": series["luminance"],
            "channels": {name: counts for name, counts in series.items() if name != "luminance"},
            "size": [self.width, self.height],
            "format": self.format,
            "source": self.source,
            "mode": self.histogram.mode,
            "space": dict(self.space),
            "pixels": self.histogram.pixels,
            "visible": sum(self.histogram.seen.luminance),
            "bits": self.histogram.bits,
            "effective_bits": self.histogram.effective_bits,
            "bins": self.choices.bins,
            "complete": self.complete,
            "decoded": self.decoded,
            "warnings": list(self.warnings),
            "verdict": self.verdict(measured),
            "zones": zones(self.histogram.seen.luminance, self.linear),
            "figures": {name: vars(each) if each else None for name, each in measured.items()},
            "colours": [colour._asdict() for colour in self.colours],
            "ignored": self.histogram.ignored,
        }
        if self.raw is not None:
            body["raw"] = dict(self.raw)
        if self.area is not None:
            body["region"] = list(self.area)
        if self.orientation is not None:
            body["orientation"] = self.orientation
        if self.choices.percentiles:
            wanted = self.choices.percentiles
            body["percentiles"] = {name: percentiles(counts, wanted) for name, counts in self._counts().items()}
        if self.histogram.outside:
            body["outside"] = {name: list(pair) for name, pair in self.histogram.outside.items() if name in measured}
        if self.choices.frame:
            body["frame"] = self.choices.frame
        if self.scale is not None:
            body["approximate"] = {"scale": self.scale, "error": list(APPROXIMATION_ERROR[self.scale])}
        if self.histogram.value_range is not None:
            body["range"] = list(self.histogram.value_range)
            if self.histogram.floating:
                body["value_range"] = body["range"]
        return body

    def verdict(self, measured: Mapping[str, Figures | None]) -> str:
        """The exposure of the visible pixels in a sentence, and the share that a range leaves out of it."""
        sentence = self._exposure(measured)
        below, above = self.histogram.outside.get("luminance", (0, 0))
        if not below + above:
            return sentence
        share = 100 * (below + above) / (below + above + sum(self.histogram.luminance))
        return f"{sentence} Pixels outside the range ({share:.1f} %) are not judged."

    def _exposure(self, measured: Mapping[str, Figures | None]) -> str:
        """The exposure in a sentence; more levels than 256 are judged as 256."""
        histogram, linear = self.histogram, self.space["used"] == "linear"
        if histogram.visible is None and len(histogram.luminance) == LEVELS and not self.linear:
            return verdict(measured["luminance"], measured)
        seen = histogram.seen
        if histogram.visible is not None and not any(seen.luminance):
            return "No visible pixel was counted."
        judged = {name: _judged(counts, linear) for name, counts in seen.channels.items() if name in measured}
        return verdict(_judged(seen.luminance, self.linear), judged)

    def chart(self, **how: Any) -> Chart:
        """The plot of the series; `how` are the fields of a `Chart` that are not data."""
        from functions.histogram.plots.chart import Chart

        series = self.series()
        luminance = series.pop("luminance")
        if not self.choices.channels:  # an opaque image's alpha is one spike that would flatten the rest
            series.pop("alpha", None)
        gray = not series or list(series) == ["gray"]
        outlined = not gray and "luminance" in (self.choices.channels or ("luminance",))
        drawn = [*([] if gray else series), *(["luminance"] if gray or outlined else [])]
        return Chart(
            fills={"gray": luminance} if gray else series,
            outline=luminance if outlined else None,
            levels=len(self.histogram.luminance),
            unit="share of pixels" if self.choices.normalize else "pixels",
            clipping=self._clipping(drawn) if how.pop("marks") else None,
            cumulative=self.choices.cumulative,
            **how,
        )

    def _clipping(self, drawn: Sequence[str]) -> dict[str, tuple[float, float]]:
        """Shares of visible pixels at the ends, by drawn series."""
        measured = self.figures()
        present = {name: each for name in drawn if (each := measured[name]) is not None}
        return {name: (each.clipped_shadows, each.clipped_highlights) for name, each in present.items()}

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


def _judged(counts: Sequence[int], linear: bool) -> Figures | None:
    """Figures for the verdict, whose levels are encoded ones: 256, light encoded as sRGB."""
    if not linear:
        return figures(group(counts, LEVELS))
    levels = [0] * LEVELS
    for level, count in enumerate(counts):
        if count:
            light = level / (len(counts) - 1)
            value = 12.92 * light if light <= 0.0031308 else 1.055 * light ** (1 / 2.4) - 0.055
            levels[min(LEVELS - 1, round(value * (LEVELS - 1)))] += count
    return figures(levels)


def restored(found: JsonObject, choices: Choices) -> Analysis:
    """The analysis that another process wrote as JSON."""
    histogram = found.pop("histogram")
    if histogram["visible"] is not None:
        histogram["visible"] = Counts(**histogram["visible"])
    for key in ("value_range",):
        histogram[key] = tuple(histogram[key]) if histogram[key] is not None else None
    histogram["outside"] = {name: tuple(pair) for name, pair in histogram["outside"].items()}
    whole = Histogram(**histogram)
    if whole.luminance == whole.channels.get("gray"):  # the same list, whose figures are computed once
        whole = replace(whole, luminance=whole.channels["gray"])
    found["colours"] = [colours.Colour(*colour) for colour in found["colours"]]
    found["warnings"] = tuple(found["warnings"])
    found["area"] = Region(*found["area"]) if found["area"] is not None else None
    sample = found.get("sample")
    if sample is not None:
        from base64 import b64decode

        from PIL import Image

        found["sample"] = Image.frombytes("RGB", tuple(sample["size"]), b64decode(sample["rgb"]))
    return Analysis(choices=choices, histogram=whole, **found)
