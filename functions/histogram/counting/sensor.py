"""Counts of a camera raw's own values, by the colour of each sensor element. rawpy is in the extra `histogram-raw`."""

from __future__ import annotations

from io import BytesIO
from math import log2
from typing import Any

from functions.histogram.counting.model import LEVELS, Histogram
from functions.histogram.counting.ranges import depth
from functions.kit.http import problems
from functions.kit.http.problems import Problem
from functions.kit.images import pieces
from functions.kit.jsontypes import JsonObject

_NAMES = {"R": "red", "G": "green", "B": "blue", "C": "cyan", "M": "magenta", "Y": "yellow"}
_PERIODS = (2, 6, 8)  # of the colour filter array: Bayer, X-Trans, others


def count(data: bytes, levels: int = LEVELS) -> tuple[Histogram, JsonObject]:
    """Counts by sensor channel at full depth, and what the raw states and they say.

    Args:
        data: the raw file.
        levels: how many levels the range of the values has.

    Raises:
        Problem: 415 without rawpy, or for a raw that LibRaw does not read; 422 for a broken one.
    """
    try:
        import rawpy
    except ModuleNotFoundError:
        raise Problem(
            415,
            "unsupported-format",
            "Format not accepted",
            "counts of the sensor's values need rawpy, of the extra histogram-raw; without raw=1 the embedded preview "
            "is counted",
        ) from None
    if pieces.sensor_is_cut(data):
        raise problems.unreadable_image("the camera raw ends before its sensor's values do")
    try:
        with rawpy.imread(BytesIO(data)) as raw:
            return _counted(raw, levels)
    except rawpy.LibRawFileUnsupportedError as error:
        raise problems.unsupported_format(f"this camera raw ({_text(error)})", ["raws that LibRaw reads"]) from None
    except (rawpy.LibRawError, ValueError, OSError, MemoryError) as error:
        raise problems.unreadable_image(f"the camera raw cannot be decoded: {_text(error)}") from None


def _text(error: Exception) -> str:
    """LibRaw's message, which rawpy gives as bytes."""
    first = error.args[0] if error.args else type(error).__name__
    return first.decode("ascii", "replace") if isinstance(first, bytes) else str(first)


def _counted(raw: Any, levels: int) -> tuple[Histogram, JsonObject]:
    import numpy as np

    values, colours = raw.raw_image_visible, raw.raw_colors_visible
    if values.ndim != 2:
        raise ValueError("its values are not those of a colour filter array")
    names = _channel_names(raw.color_desc.decode("ascii", "replace"), int(colours.max()) + 1)
    size = 2 ** max(8, int(values.max()).bit_length())
    period = next((each for each in _PERIODS if _repeats(colours, each)), None)
    tables = {each: np.zeros(size, np.int64) for each in names}
    if period is None:
        for index, each in enumerate(names):
            tables[each] += np.bincount(values[colours == index], minlength=size)
    else:
        for row in range(period):
            for column in range(period):
                each = names[int(colours[row, column])]
                tables[each] += np.bincount(values[row::period, column::period].ravel(), minlength=size)
    black = [int(level) for level in raw.black_level_per_channel][: len(names)]
    white = int(raw.white_level)
    facts = {
        "levels": {
            each: _facts(table, black[index] if index < len(black) else 0, white)
            for index, (each, table) in enumerate(tables.items())
        },
        "white_level": white,
    }
    top = max(levels, 2 ** depth(max(int(values.max()), 1).bit_length()))
    channels = {each: _levels(table, top, levels) for each, table in tables.items()}
    every = _levels(sum(tables.values()), top, levels)
    height, width = values.shape
    bits = max(8, white.bit_length())
    histogram = Histogram(
        "CFA", width, height, every, channels, value_range=(0, top - 1), bits=bits, effective_bits=size.bit_length() - 1
    )
    return histogram, facts


def _channel_names(description: str, count: int) -> list[str]:
    """Names of the channels; the two greens of a Bayer pattern are numbered."""
    letters = (description + "????")[:count]
    names = []
    for index, letter in enumerate(letters):
        plain = _NAMES.get(letter, f"channel{index}")
        twice = letters.count(letter) > 1
        names.append(f"{plain}{letters[: index + 1].count(letter)}" if twice else plain)
    return names


def _repeats(colours: Any, period: int) -> bool:
    height, width = colours.shape
    if height <= period or width <= period:
        return False
    return bool((colours[period:] == colours[:-period]).all() and (colours[:, period:] == colours[:, :-period]).all())


def _levels(table: Any, top: int, levels: int) -> list[int]:
    import numpy as np

    padded = np.zeros(top, np.int64)
    padded[: len(table)] = table[:top]
    counts: list[int] = padded.reshape(levels, -1).sum(axis=1).tolist()
    return counts


def _facts(table: Any, black: int, white: int) -> dict[str, float | int | None]:
    """Black level, shares in percent, and the exposure that is left below white."""
    import numpy as np

    pixels = int(table.sum())
    present = np.flatnonzero(table)
    highest = int(present[-1]) if present.size else 0
    room = None
    if highest > black and white > black:
        room = round(max(0.0, log2((white - black) / (highest - black))), 3)
    return {
        "pixels": pixels,
        "black_level": black,
        "min": int(present[0]) if present.size else None,
        "max": highest,
        "clipped": round(100 * int(table[white:].sum()) / pixels, 4) if pixels else 0.0,
        "under_black": round(100 * int(table[: black + 1].sum()) / pixels, 4) if pixels else 0.0,
        "headroom_ev": room,
    }
