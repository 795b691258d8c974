"""From the bytes of an image to its result: decoded, counted, described, and ready to be drawn or tabled."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

from functions.histogram import colours, counting
from functions.histogram.counting import LEVELS, Histogram, NotCountable, Region
from functions.histogram.figures import Figures, cumulate, figures, group, verdict
from functions.histogram.plots import scopes
from functions.kit.http import problems
from functions.kit.http.problems import Problem
from functions.kit.http.settings import Settings
from functions.kit.http.spool import mapped
from functions.kit.images import raws
from functions.kit.images.formats import labels
from functions.kit.images.large import Large, Strips
from functions.kit.images.metering import HeaderLimitError
from functions.kit.images.opening import EXTENT, FULL_SIZE, LargeImageError, open_pixels
from functions.kit.images.sample_types import Samples

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
        region: count inside this rectangle alone, in pixels of the stored, unscaled image.
        ignore_transparent: leave out pixels whose alpha is 0.
        approximate: decode a JPEG at 1/2, 1/4 or 1/8 of its size; None is exact.
        frame: index of the frame or page.
        cumulative: running totals instead of counts.
        normalize: shares of the pixels counted instead of counts.
        colours: how many dominant colours at most; 0 for none.
        raw: count the sensor's values of a camera raw instead of its preview.
        scope: keep a sample of the pixels, for a plot of their places or colours.
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
    raw: bool = False
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
    raw: Mapping[str, Any] | None = None
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

    def document(self) -> dict[str, Any]:
        """The result as JSON has it."""
        series, measured = self.series(), self.figures()
        body: dict[str, Any] = {
            "histogram": series["luminance"],
            "channels": {name: counts for name, counts in series.items() if name != "luminance"},
            "size": [self.width, self.height],
            "format": self.format,
            "source": self.source,
            "mode": self.histogram.mode,
            "pixels": self.histogram.pixels,
            "visible": sum(self.histogram.seen.luminance),
            "bits": self.histogram.bits,
            "effective_bits": self.histogram.effective_bits,
            "bins": self.choices.bins,
            "complete": self.complete,
            "decoded": self.decoded,
            "warnings": list(self.warnings),
            "verdict": self.verdict(measured),
            "figures": {name: vars(each) if each else None for name, each in measured.items()},
            "colours": [colour._asdict() for colour in self.colours],
            "ignored": self.histogram.ignored,
        }
        if self.raw is not None:
            body["raw"] = dict(self.raw)
        if self.choices.region is not None:
            body["region"] = list(self.choices.region)
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
        """The exposure of the visible pixels in a sentence; more levels than 256 are judged as 256."""
        histogram = self.histogram
        if histogram.visible is None and len(histogram.luminance) == LEVELS:
            return verdict(measured["luminance"], measured)
        seen = histogram.seen
        if histogram.visible is not None and not any(seen.luminance):
            return "No visible pixel was counted."
        judged = {name: figures(group(counts, LEVELS)) for name, counts in seen.channels.items() if name in measured}
        return verdict(figures(group(seen.luminance, LEVELS)), judged)

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


def _level_transparency(image: Image.Image, data: bytes) -> None:
    """Put a PNG's transparent value on the scale of its pixels, which Pillow alone expands to 8 bits."""
    depth, kind, value = data[24], data[25], image.info.get("transparency")
    if kind == 0 and depth in (2, 4) and isinstance(value, int):
        # Of the two bytes that hold it the low bits count (PNG 11.3.2.1).
        top = 2**depth - 1
        image.info["transparency"] = (value & top) * 255 // top


def analyse(data: bytes, settings: Settings, choices: Choices | None = None) -> Analysis:
    """Decode and count one image.

    Args:
        data: the whole file.
        settings: the limits.
        choices: None for the defaults.

    Raises:
        Problem: as `open_pixels`, and 400 for choices that do not fit this image.
    """
    choices = choices or Choices()
    if mapped(data) is None and not choices.raw:
        try:
            return analyse_here(data, settings, choices)
        except LargeImageError:
            pass
    from functions.histogram import child

    return restored(child.analyse(data, settings, asdict(choices)), choices)


def restored(found: dict[str, Any], choices: Choices) -> Analysis:
    """The analysis that another process wrote as JSON."""
    histogram = found.pop("histogram")
    if histogram["visible"] is not None:
        histogram["visible"] = counting.Counts(**histogram["visible"])
    for key in ("value_range",):
        histogram[key] = tuple(histogram[key]) if histogram[key] is not None else None
    histogram["outside"] = {name: tuple(pair) for name, pair in histogram["outside"].items()}
    whole = Histogram(**histogram)
    if "gray" in whole.channels:  # the same list, whose figures are computed once
        whole = replace(whole, luminance=whole.channels["gray"])
    found["colours"] = [colours.Colour(*colour) for colour in found["colours"]]
    found["warnings"] = tuple(found["warnings"])
    return Analysis(choices=choices, histogram=whole, **found)


def analyse_here(data: bytes, settings: Settings, choices: Choices, large: Large | None = None) -> Analysis:
    """Decode and count one image in this process.

    Args:
        data: the whole file.
        settings: the limits.
        choices: what the client chose.
        large: as for `open_pixels`.

    Raises:
        LargeImageError: the image needs a process of its own.
        Problem: as `analyse`.
    """
    camera = _raw_name(data)
    if choices.raw:
        return _sensor(data, camera, choices)
    if camera is not None:
        return _preview(data, camera, settings, choices, large)
    with open_pixels(data, settings, choices.frame, choices.approximate, large) as pixels:
        try:
            if isinstance(pixels, Samples):
                analysis = _deep(pixels, choices)
            elif isinstance(pixels, Strips):
                analysis = _stripwise(pixels, choices)
            else:
                analysis = _plain(pixels, data, choices)
        except NotCountable as error:
            raise _problem(error) from None
    missing = [name for name in choices.channels if name not in {"luminance", *analysis.histogram.channels}]
    if missing:
        present = ", ".join(["luminance", *analysis.histogram.channels])
        raise problems.bad_option("channels", f"this image has no channel {missing[0]!r}; it has {present}")
    return analysis


def _raw_name(data: bytes) -> str | None:
    try:
        return raws.name(data)
    except HeaderLimitError:
        return None  # refused with the limit when it is opened


@contextmanager
def _stored(data: bytes, large: Large | None) -> Iterator[Large | None]:
    """The means for large images with a preview as the file, where there are any."""
    if large is None:
        yield None
        return
    with os.fdopen(os.memfd_create("preview"), "w+b") as file:
        file.write(data)
        file.flush()
        yield replace(large, path=f"/proc/self/fd/{file.fileno()}")


def _preview(data: bytes, camera: str, settings: Settings, choices: Choices, large: Large | None) -> Analysis:
    """The largest preview of a camera raw."""
    if len(data) > settings.max_bytes:
        raise problems.too_many_bytes(settings.max_bytes, len(data), settings.variable("max_bytes"))
    found = raws.preview(data)
    if found is None:
        raise problems.unsupported_format(f"{camera} without a JPEG preview", labels())
    with _stored(found.data, large) as stored:
        analysis = analyse_here(found.data, settings, choices, stored)
    note = f"counted is the preview of {found.width} × {found.height} pixels inside a {camera}, not the sensor's values"
    return replace(
        analysis,
        source="preview",
        raw={"name": camera, "size": list(found.raw_size) if found.raw_size else None},
        warnings=(*analysis.warnings, note),
    )


def _sensor(data: bytes, camera: str | None, choices: Choices) -> Analysis:
    """The values of a camera raw's sensor."""
    from functions.histogram import sensor

    if camera is None:
        raise problems.bad_option("raw", "raw=1 counts the sensor's values of a camera raw; this file is none")
    if choices.region is not None or choices.approximate or choices.frame:
        raise problems.bad_option("raw", "raw=1 counts the whole sensor: it goes without region, approximate and frame")
    histogram, facts = sensor.count(data, max(LEVELS, choices.bins))
    width, height = histogram.width, histogram.height
    raw = {"name": camera, "size": [width, height], **facts}
    return Analysis(choices, histogram, camera, width, height, [], source="sensor", raw=raw)


def _deep(samples: Samples, choices: Choices) -> Analysis:
    """A picture of more than 8 bits a sample."""
    from functions.histogram import deep

    levels = max(LEVELS, choices.bins)
    histogram, preview = deep.count(
        samples, region=choices.region, ignore_transparent=choices.ignore_transparent, levels=levels
    )
    if not histogram.width * histogram.height:
        raise problems.unreadable_image("the data of this picture end before the region")
    found = colours.dominant(preview, choices.colours) if preview is not None and choices.colours else []
    sample = scopes.sample(preview) if preview is not None and choices.scope else None
    share = samples.rows / samples.height
    return Analysis(
        choices,
        histogram,
        samples.format,
        samples.width,
        samples.height,
        found,
        complete=share == 1,
        decoded=round(share, 6),
        warnings=_incomplete(samples.rows, samples.height) if share < 1 else (),
        sample=sample,
    )


def _stripwise(strips: Strips, choices: Choices) -> Analysis:
    """A picture of at most 8 bits a sample, in strips."""
    _refuse_levels(choices, strips.mode)
    histogram, sample = counting.count_strips(
        strips, region=choices.region, ignore_transparent=choices.ignore_transparent
    )
    found = colours.dominant(sample, choices.colours) if choices.colours else []
    return Analysis(choices, histogram, strips.format, strips.width, strips.height, found)


def _refuse_levels(choices: Choices, mode: str) -> None:
    if choices.bins > LEVELS:
        raise NotCountable(
            "bins", f"{choices.bins} bins need more than 8 bits a sample; this image has 8 (mode {mode})"
        )


def _plain(image: Image.Image, data: bytes, choices: Choices) -> Analysis:
    """A picture of at most 8 bits a sample."""
    width, height = image.info.get(FULL_SIZE, image.size)
    _refuse_levels(choices, image.mode)
    if image.format == "PNG":
        _level_transparency(image, data)
    region = _scaled(choices.region, (width, height), image.size)
    warnings: tuple[str, ...] = ()
    complete, decoded = True, 1.0
    extent = image.info.get(EXTENT)
    if extent is not None:
        region = _inside(region, extent.top, extent.bottom, image.size)
        decoded = (extent.bottom - extent.top) / image.height
        complete = decoded == 1 and extent.known
        warnings = _incomplete(extent.bottom - extent.top, image.height, extent.known)
    histogram = counting.count(image, region=region, ignore_transparent=choices.ignore_transparent)
    shown = image if extent is None else image.crop((0, extent.top, image.width, extent.bottom))
    found = colours.dominant(shown, choices.colours) if choices.colours else []
    # Small images are decoded at less than the fraction asked for, and only JPEG has fractions at all.
    scale = next((n for n in APPROXIMATION_ERROR if -(-width // n) == image.width < width), None)
    sample = scopes.sample(shown) if choices.scope else None
    share = None if extent is not None and not extent.known else round(decoded, 6)
    name = image.format or ""
    return Analysis(choices, histogram, name, width, height, found, scale, complete, share, warnings, sample=sample)


def _incomplete(rows: int, height: int, known: bool = True) -> tuple[str, ...]:
    if not known:
        return ("the data end early, in the last scan of a JPEG: all pixels are counted, some of them in less detail",)
    if rows == height:
        return ("the file lacks its end marker; all rows were decoded",)
    return (f"the data end early: {rows:,} of {height:,} rows were decoded and counted",)


def _inside(region: Region | None, top: int, bottom: int, size: tuple[int, int]) -> Region:
    """The part of the region whose rows were decoded."""
    if region is not None:
        counting.check_region(region, size)
    area = region or Region(0, 0, *size)
    first, last = max(area.y, top), min(area.y + area.height, bottom)
    if last <= first:
        raise problems.unreadable_image(f"the data end early: the region has none of the {bottom - top:,} decoded rows")
    return Region(area.x, first, area.width, last - first)


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
