"""From the bytes of an image to its result: decoded, counted, described, and ready to be drawn or tabled."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, replace
from typing import TYPE_CHECKING

from functions.histogram import colours
from functions.histogram.counting import plain, spaces
from functions.histogram.counting.model import LEVELS, NotCountable, Region, Share, check_region
from functions.histogram.plots import scopes
from functions.kit.http import problems
from functions.kit.http.problems import Problem
from functions.kit.http.settings import Settings
from functions.kit.http.spool import mapped
from functions.kit.images import partial, raws
from functions.kit.images.colour import orientation
from functions.kit.images.formats import labels
from functions.kit.images.metering import HeaderLimitError
from functions.kit.images.opening import EXTENT, FULL_SIZE, REDUCED, LargeImageError, open_pixels
from functions.kit.images.samples.model import EarlyEndError, Samples
from functions.kit.images.strips.large import Large
from functions.kit.images.strips.model import Strips

if TYPE_CHECKING:
    from PIL import Image

    from functions.histogram.counting.spaces import Tone


from functions.histogram.result import APPROXIMATION_ERROR, Analysis, Choices, restored
from functions.kit.jsontypes import JsonObject

_PALETTE = 3  # colour type of a PNG


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

    asked = asdict(choices)
    if isinstance(choices.region, Share):
        asked["region"] = [float(value) for value in choices.region]  # by which the other process tells it from pixels
    return restored(child.analyse(data, settings, asked), choices)


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
                analysis = _deep(pixels, data, choices)
            elif isinstance(pixels, Strips):
                analysis = _stripwise(pixels, data, choices)
            else:
                analysis = _plain(pixels, data, choices)
        except NotCountable as error:
            raise _problem(error) from None
    if choices.value_range is not None and analysis.histogram.value_range is None:
        low, high = map(int, choices.value_range)
        if high > LEVELS - 1 or low < 0:
            raise problems.bad_option("range", f"range={low},{high} is not within the values of 8 bits, 0,255")
        analysis = replace(analysis, histogram=plain.ranged(analysis.histogram, low, high))
    if analysis.complete and not analysis.warnings and not partial.ended(data, analysis.format):
        analysis = replace(analysis, warnings=_incomplete(analysis.height, analysis.height))
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
    from functions.histogram.counting import sensor

    if camera is None:
        raise problems.bad_option("raw", "raw=1 counts the sensor's values of a camera raw; this file is not one")
    if choices.region is not None or choices.value_range or choices.approximate or choices.frame:
        raise problems.bad_option("raw", "raw=1 counts the whole sensor: without region, range, approximate and frame")
    if (choices.space, choices.luminance) != (Choices.space, Choices.luminance):
        raise problems.bad_option("raw", "raw=1 counts the sensor's own values: without space and luminance")
    histogram, facts = sensor.count(data, max(LEVELS, choices.bins))
    width, height = histogram.width, histogram.height
    raw = {"name": camera, "size": [width, height], **facts}
    return Analysis(choices, histogram, camera, width, height, [], source="sensor", raw=raw, linear=True)


def _tone(data: bytes, form: str, choices: Choices) -> Tone:
    return spaces.tone(data, form, choices.space, choices.luminance, choices.frame)


def _deep(samples: Samples, data: bytes, choices: Choices) -> Analysis:
    """A picture of more than 8 bits a sample."""
    from functions.histogram.counting import deep

    tone = _tone(data, spaces.form(samples), choices)
    if tone.used == "display":
        samples = spaces.displayed(samples, tone)

    levels = max(LEVELS, choices.bins)
    region, turned = _area(choices, data, samples.format, (samples.width, samples.height))
    how: JsonObject = {
        "value_range": choices.value_range,
        "region": region,
        "ignore_transparent": choices.ignore_transparent,
        "levels": levels,
        "tone": tone,
    }
    try:
        histogram, preview = deep.count(samples, **how)
    except EarlyEndError as early:
        samples = replace(samples, rows=early.rows)
        histogram, preview = deep.count(samples, **how)
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
        warnings=(*samples.notes, *(_incomplete(samples.rows, samples.height) if share < 1 else ())),
        area=region,
        orientation=turned,
        space=tone.facts(),
        linear=tone.light or samples.kind == "float",
        sample=sample,
    )


def _stripwise(strips: Strips, data: bytes, choices: Choices) -> Analysis:
    """A picture of at most 8 bits a sample, in strips."""
    _refuse_levels(choices, strips.mode)
    region, turned = _area(choices, data, strips.format, (strips.width, strips.height))
    tone = _tone(data, strips.mode, choices)
    histogram, sample, rows = plain.count_strips(
        strips, region=region, ignore_transparent=choices.ignore_transparent, tone=tone
    )
    if strips.format == "PNG" and data[25] == _PALETTE:
        histogram = replace(histogram, mode="P")  # libvips has put the colours in place of their numbers
    found = colours.dominant(sample, choices.colours) if choices.colours else []
    facts, size = tone.facts(), (strips.width, strips.height)
    how: JsonObject = {"area": region, "orientation": turned, "space": facts, "linear": tone.light}
    if rows < strips.height:
        how |= {"complete": False, "decoded": round(rows / strips.height, 6)}
        how["warnings"] = _incomplete(rows, strips.height)
    elif strips.damaged:
        how |= {"complete": False, "decoded": None, "warnings": _incomplete(rows, strips.height, known=False)}
    return Analysis(choices, histogram, strips.format, *size, found, **how)


def _area(choices: Choices, data: bytes, name: str, size: tuple[int, int]) -> tuple[Region | None, int | None]:
    """The region in stored pixels, and the orientation where it was given in the displayed picture."""
    region = choices.region
    if region is None or choices.orientation == "stored":
        return (region.of(size) if isinstance(region, Share) else region), None
    turned = orientation(data, name, choices.frame)
    shown = size if turned < 5 else (size[1], size[0])
    if isinstance(region, Share):
        region = region.of(shown)
    check_region(region, shown)
    return region.stored(size, turned), turned


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
    tone = _tone(data, image.mode, choices)
    if tone.convert is not None:
        image = tone.convert(image)
    chosen, turned = _area(choices, data, image.format or "", (width, height))
    region = _scaled(chosen, (width, height), image.size)
    warnings: tuple[str, ...] = (image.info[REDUCED],) if REDUCED in image.info else ()
    complete, decoded = True, 1.0
    extent = image.info.get(EXTENT)
    if extent is not None:
        region = _inside(region, extent.top, extent.bottom, image.size)
        decoded = (extent.bottom - extent.top) / image.height
        complete = decoded == 1 and extent.known
        warnings = _incomplete(extent.bottom - extent.top, image.height, extent.known)
    histogram = plain.count(image, region=region, ignore_transparent=choices.ignore_transparent, tone=tone)
    shown = image if extent is None else image.crop((0, extent.top, image.width, extent.bottom))
    found = colours.dominant(shown, choices.colours) if choices.colours else []
    # Small images are decoded at less than the fraction asked for, and only JPEG has fractions at all.
    scale = next((n for n in APPROXIMATION_ERROR if -(-width // n) == image.width < width), None)
    sample = scopes.sample(shown if region is None else image.crop(region.box)) if choices.scope else None
    share = None if extent is not None and not extent.known else round(decoded, 6)
    name = image.format or ""
    seen = (found, scale, complete, share, warnings)
    how: JsonObject = {"area": chosen, "orientation": turned, "space": tone.facts(), "linear": tone.light}
    return Analysis(choices, histogram, name, width, height, *seen, sample=sample, **how)


def _incomplete(rows: int, height: int, known: bool = True) -> tuple[str, ...]:
    if not known:
        return ("the data end early or are damaged: all pixels are counted, some of them may be wrong or lack detail",)
    if rows == height:
        return ("the file lacks its end marker; all rows were decoded",)
    return (f"the data end early or are damaged: {rows:,} of {height:,} rows were decoded and counted",)


def _inside(region: Region | None, top: int, bottom: int, size: tuple[int, int]) -> Region:
    """The part of the region whose rows were decoded."""
    if region is not None:
        check_region(region, size)
    area = region or Region(0, 0, *size)
    first, last = max(area.y, top), min(area.y + area.height, bottom)
    if last <= first:
        raise problems.unreadable_image(f"the data end early: the region has none of the {bottom - top:,} decoded rows")
    return Region(area.x, first, area.width, last - first)


def _scaled(region: Region | None, full: tuple[int, int], decoded: tuple[int, int]) -> Region | None:
    """The region in pixels of an image decoded at a fraction: every decoded pixel that it touches."""
    if region is None or full == decoded:
        return region
    check_region(region, full)
    left, top = region.x * decoded[0] // full[0], region.y * decoded[1] // full[1]
    right = -(-(region.x + region.width) * decoded[0] // full[0])
    bottom = -(-(region.y + region.height) * decoded[1] // full[1])
    return Region(left, top, right - left, bottom - top)


def _problem(error: NotCountable) -> Problem:
    if error.option is None:
        return problems.unreadable_image(str(error))
    return problems.bad_option(error.option, str(error))
