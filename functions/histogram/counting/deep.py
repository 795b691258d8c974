"""Exact histograms of pictures of more than 8 bits a sample, by numpy, strip by strip.

The levels of a histogram divide a range of values evenly; by default it is the effective range, see `ranges`. The
luminance of RGB is Rec. 601 luma at full depth; of CMYK it is that of R = (top - C) (top - K) / top, G and B alike; of
LAB it is L*.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from functions.histogram.counting.model import LEVELS, SAMPLE, Counts, Histogram, Region, check_region
from functions.histogram.counting.ranges import Seen, effective_bits, effective_range
from functions.histogram.counting.spaces import PLAIN, Tone

if TYPE_CHECKING:
    import numpy as np
    from PIL import Image

    from functions.kit.images.samples.model import Samples

    Array = np.ndarray[Any, Any]

_TABLE_BITS = 16  # up to this depth every value has a counter of its own


def count(
    samples: Samples,
    *,
    region: Region | None = None,
    ignore_transparent: bool = False,
    levels: int = LEVELS,
    value_range: tuple[float, float] | None = None,
    tone: Tone = PLAIN,
) -> tuple[Histogram, Image.Image | None]:
    """Histogram of a picture, and a few of its pixels in 8 bits for its dominant colours (None for gray).

    Args:
        samples: the picture.
        region: count inside this rectangle alone, in pixels of the whole picture.
        ignore_transparent: do not count pixels whose alpha is 0.
        levels: how many levels the range has.
        value_range: the range; None for the effective one.
        tone: what is counted of the values; a conversion for display is made before.

    Raises:
        NotCountable: the region is not inside the picture.
    """
    if region is not None:
        check_region(region, (samples.width, samples.height))
    area = _Area(samples, region, tone)
    seen = Seen()
    if samples.kind == "uint" and samples.bits <= _TABLE_BITS:
        tables = _tables(area, seen, ignore_transparent)
        low, high = value_range or effective_range(samples, seen.low, seen.high, levels)
        every, outside = _reduced(tables[0], low, high, levels)
        visible = _reduced(tables[1], low, high, levels)[0] if tables[1] else None
    else:
        for strip in area.strips():
            _look(strip, area, seen)
        low, high = value_range or effective_range(samples, seen.low, seen.high, levels)
        every, visible, outside = _binned(area, low, high, levels, ignore_transparent, value_range is not None)
    ignored = seen.undefined + (seen.transparent if ignore_transparent else 0)
    histogram = Histogram(
        samples.mode,
        area.width,
        area.height,
        every.luminance,
        every.channels,
        ignored,
        value_range=(low, high) if low <= high else None,
        bits=samples.bits,
        effective_bits=effective_bits(samples, seen),
        floating=samples.kind == "float",
        visible=visible if seen.transparent and not ignore_transparent else None,
        outside=outside if value_range is not None else {},
    )
    return histogram, _preview(samples, seen, low, high)


class _Area:
    """The part of a picture that is counted."""

    def __init__(self, samples: Samples, region: Region | None, tone: Tone = PLAIN) -> None:
        self.samples, self.tone = samples, tone
        self.values = (samples.level or 2**samples.bits - 1) + 1  # how many there are of integers
        first = samples.height - samples.rows if samples.bottom_up else 0
        whole = Region(0, 0, samples.width, samples.height)
        self.left, top, self.width, height = region or whole
        self.top = max(0, top - first)  # in rows that are in the file
        self.bottom = max(self.top, min(samples.rows, top + height - first))
        self.height = self.bottom - self.top
        self.colours = len(samples.names) - ("alpha" in samples.names)
        self.has_alpha = "alpha" in samples.names or samples.masked

    def strips(self) -> Iterator[Array]:
        """Arrays of shape (pixels, bands), in order."""
        at = 0
        for strip in self.samples.read(self.bottom):
            first = max(self.top - at, 0)
            part = strip[first:, self.left : self.left + self.width]
            at += strip.shape[0]
            if part.size:
                yield part.reshape(-1, strip.shape[2])

    def hidden(self, pixels: Array) -> Array | None:
        """Which pixels are fully transparent; None where none is."""
        if self.has_alpha:
            hidden = pixels[:, -1] == 0
        elif self.samples.key is not None:
            hidden = pixels[:, 0] == self.samples.key
        else:
            return None
        return hidden if hidden.any() else None

    def luminance(self, pixels: Array) -> Any:
        """The luminance of pixels, in the scale of their samples."""
        import numpy as np

        names, kind = self.samples.names, self.samples.kind
        if names[0] in {"gray", "lightness"}:
            return pixels[:, 0]
        if names[0] == "cyan":
            top = 1.0 if kind == "float" else float(2**self.samples.bits - 1)
            ink = pixels[:, :4].astype(np.float64)
            colour = (top - ink[:, :3]) * (top - ink[:, 3:4]) / top
            if kind != "float":
                colour = np.rint(colour)
        elif kind == "uint" and self.samples.bits <= _TABLE_BITS:
            if self.tone.light:
                return self.tone.luminous(np.minimum(pixels[:, :3], self.values - 1), self.values)
            red, green, blue = (pixels[:, band].astype(np.uint32) for band in range(3))
            if self.tone.luminance == "709":
                shares = red * np.uint32(2126) + green * np.uint32(7152) + blue * np.uint32(722)
                return (shares + np.uint32(5000)) // np.uint32(10000)
            return red * np.uint32(19595) + green * np.uint32(38470) + blue * np.uint32(7471) + np.uint32(32768) >> 16
        else:
            colour = pixels[:, :3].astype(np.float64)
            if self.tone.luminance != "601":
                return colour @ np.array(self.tone.weights)
        return (colour[:, 0] * 19595 + colour[:, 1] * 38470 + colour[:, 2] * 7471) / 65536


def _look(pixels: Array, area: _Area, seen: Seen) -> None:
    """Note range, bits, undefined and transparent pixels, and a few rows."""
    import numpy as np

    colour = pixels[:, : area.colours]
    hidden = area.hidden(pixels)
    if hidden is not None:
        seen.transparent += int(np.count_nonzero(hidden))
    if area.samples.kind == "float":
        seen.undefined += int(np.isnan(colour).any(axis=1).sum())
        colour = colour[np.isfinite(colour)]
    else:
        seen.bits |= int(np.bitwise_or.reduce(np.abs(colour.ravel().astype(np.int64))))
    if colour.size:
        seen.low, seen.high = min(seen.low, float(colour.min())), max(seen.high, float(colour.max()))
    _keep_rows(pixels, area, seen)


def _keep_rows(pixels: Array, area: _Area, seen: Seen) -> None:
    if area.colours > 1:
        width = area.width
        step, across = max(1, area.height // SAMPLE), max(1, width // SAMPLE)
        seen.rows.extend(pixels.reshape(-1, width, pixels.shape[1])[::step, ::across].copy())


Tables = dict[str, "Array"]


def _tables(area: _Area, seen: Seen, ignore_transparent: bool) -> tuple[Tables, Tables]:
    """Counts of every value: of all pixels counted, and of the visible ones where some are not."""
    import numpy as np

    names, size = area.samples.names, 2 ** max(8, area.samples.bits)
    every = {name: np.zeros(size, np.int64) for name in ("luminance", *names)}
    hidden_counts = {name: np.zeros(size, np.int64) for name in every}
    for pixels in area.strips():
        hidden = area.hidden(pixels)
        if hidden is not None:
            seen.transparent += int(np.count_nonzero(hidden))
            _tally(pixels[hidden], area, hidden_counts, size)
        _tally(pixels if hidden is None else pixels[~hidden], area, every, size)
        _keep_rows(pixels, area, seen)
    visible = {name: counts.copy() for name, counts in every.items()} if seen.transparent else {}
    if not ignore_transparent:
        every = {name: counts + hidden_counts[name] for name, counts in every.items()}  # gray is its own luminance
    stored = np.flatnonzero(sum(every[name] for name in names if name != "alpha"))
    if stored.size:
        seen.bits = int(np.bitwise_or.reduce(stored))
        seen.replicated = area.samples.bits == 16 and bool((stored >> 8 == stored & 255).all())
    if area.tone.light:
        every, visible = _lit(every, area), _lit(visible, area)
    counted = np.flatnonzero(sum(every[name] for name in names if name != "alpha"))
    if counted.size:
        seen.low, seen.high = float(counted[0]), float(counted[-1])
    return every, visible


def _lit(tables: Tables, area: _Area) -> Tables:
    """Tables by light from those of encoded values, where these are to be counted so."""
    import numpy as np

    if not tables:
        return tables
    lit = dict(tables)
    for index, name in enumerate(area.samples.names[: area.colours]):
        levels, table = area.tone.levels(index, area.values), tables[name]
        lit[name] = np.bincount(levels, weights=table[: area.values], minlength=len(table)).astype(np.int64)
    if area.colours == 1:
        lit["luminance"] = lit["gray"]
    return lit if area.tone.used == "linear" else {**tables, "luminance": lit["luminance"]}


def _tally(pixels: Array, area: _Area, into: Tables, size: int) -> None:
    import numpy as np

    for band, name in enumerate(area.samples.names):
        into[name] += np.bincount(pixels[:, band], minlength=size)[:size]
    if area.colours == 1:
        into["luminance"] = into["gray"]
    else:
        into["luminance"] += np.bincount(area.luminance(pixels).astype(np.int64), minlength=size)[:size]


def _reduced(tables: Tables, low: float, high: float, levels: int) -> tuple[Counts, dict[str, tuple[int, int]]]:
    """Counts of levels from counts of values, and those below and above the range."""
    import numpy as np

    known: dict[int, tuple[list[int], tuple[int, int]]] = {}
    lists, outside = {}, {}
    first, last = int(low), int(high)
    for name, table in tables.items():
        if id(table) not in known:
            values = np.arange(len(table))
            inside = (values >= low) & (values <= high)
            index = (values[inside] - first) * levels // (last - first + 1)
            counts = np.bincount(index, weights=table[inside], minlength=levels)[:levels].astype(np.int64).tolist()
            known[id(table)] = counts, (int(table[values < low].sum()), int(table[values > high].sum()))
        lists[name], outside[name] = known[id(table)]
    return Counts(lists.pop("luminance"), lists), outside


def _binned(
    area: _Area, low: float, high: float, levels: int, ignore_transparent: bool, bounded: bool
) -> tuple[Counts, Counts, dict[str, tuple[int, int]]]:
    """Counts of levels of floating point and wide numbers: of all pixels counted, and of the visible ones."""
    import numpy as np

    names = ("luminance", *area.samples.names)
    every = {name: np.zeros(levels, np.int64) for name in names}
    visible = {name: np.zeros(levels, np.int64) for name in names}
    outside = dict.fromkeys(names, (0, 0))
    for strip in area.strips():
        pixels = strip
        if area.samples.kind == "float":
            pixels = pixels[~np.isnan(pixels[:, : area.colours]).any(axis=1)]
        hidden = area.hidden(pixels)
        bands = {name: pixels[:, band] for band, name in enumerate(area.samples.names)}
        bands["luminance"] = area.luminance(pixels)
        for name, values in bands.items():
            ends = _alpha_range(area.samples) if name == "alpha" else (low, high)
            index = _index(values, *ends, levels, area.samples.kind == "float")
            shown = np.ones(len(values), bool) if hidden is None else ~hidden
            counted = shown if ignore_transparent else np.ones(len(values), bool)
            if bounded and name != "alpha":
                below, above = values < low, values > high
                outside[name] = (
                    outside[name][0] + int((below & counted).sum()),
                    outside[name][1] + int((above & counted).sum()),
                )
                shown, counted = shown & ~below & ~above, counted & ~below & ~above
            every[name] += np.bincount(index[counted], minlength=levels)
            visible[name] += np.bincount(index[shown], minlength=levels)
    return _counts(every), _counts(visible), outside


def _alpha_range(samples: Samples) -> tuple[float, float]:
    if samples.kind == "float":
        return 0.0, 1.0
    return 0, 2 ** (samples.bits - (samples.kind == "int")) - 1


def _index(values: Array, low: float, high: float, levels: int, floating: bool) -> Array:
    """The level of each value; those outside the range at its ends."""
    import numpy as np

    wide = values.astype(np.float64)
    if floating and not high > low:  # one value, or none that is finite
        scaled = np.where(wide > (high if high == low else 0), levels - 1, 0)
    else:
        width = high - low if floating else high - low + 1
        scaled = np.floor((wide - low) / width * levels)
    return scaled.clip(0, levels - 1).astype(np.int64)


def _counts(tables: Mapping[str, Array]) -> Counts:
    lists = {name: table.tolist() for name, table in tables.items()}
    return Counts(lists.pop("luminance"), lists)


def _preview(samples: Samples, seen: Seen, low: float, high: float) -> Image.Image | None:
    """A few pixels in 8 bits; None for gray and LAB."""
    if not seen.rows or samples.names[0] not in {"red", "cyan"} or not high > low:
        return None
    import numpy as np
    from PIL import Image

    rows = np.stack(seen.rows)
    bands = len(samples.names)
    mode = {3: "RGB", 4: "RGBA" if samples.names[0] == "red" else "CMYK", 5: "CMYK"}[bands]
    rows = np.nan_to_num(rows[..., : len(mode)].astype(np.float64), nan=low, posinf=high, neginf=low)
    levels = np.floor((rows - low) / (high - low + (samples.kind != "float")) * LEVELS).clip(0, 255)
    return Image.fromarray(levels.astype(np.uint8), mode)
