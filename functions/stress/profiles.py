"""Load profiles: ramp, sine, steps and burst by name, or levels one after the other, as curves."""

from __future__ import annotations

import math
import re

from functions.kit.http.problems import bad_option
from functions.kit.jsontypes import JsonMapping
from functions.stress.curve import Curve

CONSTANT, RAMP, SINE, STEPS, BURST = "constant", "ramp", "sine", "steps", "burst"
NAMES = (CONSTANT, RAMP, SINE, STEPS, BURST)
MOST_LEVELS = 500
SINE_POINTS = 64
_LEVEL = re.compile(r"(\d+(?:\.\d+)?)(?:\.\.(\d+(?:\.\d+)?))?x(\d+(?:\.\d+)?)(ms|s|m)", re.ASCII)
_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0}
SHAPED = ("low", "period", "steps", "on")
"""Options that only a profile by name has."""


def named(name: str, peak: float, seconds: float, options: JsonMapping) -> Curve:
    """The curve of a profile by name, in shares of the peak.

    Args:
        name: one of `NAMES`.
        peak: highest load, percent.
        seconds: length of the burn.
        options: `low` (percent), `period` (seconds), `steps` and `on` (percent of each period); None where not given.

    Raises:
        Problem: 400 for options that do not go together.
    """
    low = options["low"] or 0.0
    if low > peak:
        raise bad_option("low", f"low is {low:g} %, above the load of {peak:g} %", limit=peak, actual=low)
    base = low / peak if peak else 0.0
    period = options["period"] or seconds
    if name == RAMP:
        return Curve([(0.0, base), (seconds, 1.0)])
    if name == STEPS:
        count = options["steps"] or 4
        loads = [base + (1 - base) * (number + 1) / count for number in range(count)]
        return _staircase([(load, load, seconds / count) for load in loads])
    if name == SINE:
        phases = [number / SINE_POINTS for number in range(SINE_POINTS + 1)]
        return Curve(
            [(phase * period, base + (1 - base) * (1 - math.cos(2 * math.pi * phase)) / 2) for phase in phases], period
        )
    share = (20.0 if options["on"] is None else options["on"]) / 100
    return Curve([(0.0, 1.0), (share * period, 1.0), (share * period, base), (period, base)], period)


def levels(text: str) -> tuple[Curve, float, float]:
    """Levels such as `10x5s,20..80x10s`: the curve in shares of its peak, the peak in percent, and the seconds.

    Raises:
        Problem: 400 with the number of the level that cannot be read, and why.
    """
    parts = text.split(",")
    if len(parts) > MOST_LEVELS:
        raise bad_option("levels", f"the limit is {MOST_LEVELS} levels; this has {len(parts):,}", limit=MOST_LEVELS)
    found = [_level(number, part.strip()) for number, part in enumerate(parts, 1)]
    peak = max(max(start, end) for start, end, _ in found)
    scale = peak or 1.0
    curve = _staircase([(start / scale, end / scale, seconds) for start, end, seconds in found])
    return curve, peak, sum(seconds for _, _, seconds in found)


def _level(number: int, text: str) -> tuple[float, float, float]:
    match = _LEVEL.fullmatch(text)
    if match is None:
        raise bad_option("levels", f"level {number}, {text[:40]!r}: use LOADxDURATION or FROM..TOxDURATION, as 80x10s")
    start, end, length, unit = match.groups()
    loads = float(start), float(end or start)
    if max(loads) > 100:
        raise bad_option("levels", f"level {number}: the limit is 100 %; this asks for {max(loads):g} %", limit=100)
    seconds = float(length) * _UNITS[unit]
    if not seconds:
        raise bad_option("levels", f"level {number}, {text[:40]!r}: its duration must be above 0")
    return *loads, seconds


def _staircase(parts: list[tuple[float, float, float]]) -> Curve:
    points: list[tuple[float, float]] = []
    at = 0.0
    for start, end, seconds in parts:
        points += [(at, start), (at + seconds, end)]
        at += seconds
    return Curve(points)
