"""When requests are meant to leave: a rate over time as numbers, even or Poisson."""

from __future__ import annotations

import math
import random
import re
from collections.abc import Iterator

from knative.local.simulation.arrivals import Profile, ProfileError, Segment

MOST_STAGES = 10_000
_COLON = re.compile(r"(?<=\d):(?=\d)")


def stages(text: str) -> Profile:
    """Rates over time such as `0:100x30s,100x2m` (or `0..100x30s`), in requests/s.

    Raises:
        ProfileError: a stage cannot be read, or there are too many.
    """
    count = text.count(",") + 1
    if count > MOST_STAGES:
        raise ProfileError(f"--stages has {count:,} stages; the limit is {MOST_STAGES:,}")
    return Profile.parse(text if text.startswith("csv:") else _COLON.sub("..", text))


def constant(rate: float, seconds: float) -> Profile:
    """One rate all the time."""
    return Profile([Segment(0.0, seconds, rate, rate)])


def requests(profile: Profile) -> float:
    """The number of requests that a profile means to send, on average."""
    return sum((part.first + part.last) / 2 * (part.end - part.start) for part in profile.segments)


def intended(profile: Profile, *, poisson: bool = False, seed: int = 1) -> list[float]:
    """Seconds from the start at which the requests are meant to leave.

    The number of requests due by a moment is the integral of the rate; a request leaves where that reaches its number
    (or, for Poisson arrivals, a sum of exponential gaps of mean 1).

    Args:
        profile: requests/s over time.
        poisson: exponential gaps instead of even ones.
        seed: makes the gaps repeatable.
    """
    units = _gaps(seed) if poisson else iter(map(float, range(2**62)))
    times: list[float] = []
    before = 0.0
    unit = next(units)
    for part in profile.segments:
        length = part.end - part.start
        area = (part.first + part.last) / 2 * length
        slope = (part.last - part.first) / length
        while unit - before < area - 1e-9:
            times.append(part.start + _reach(unit - before, part.first, slope))
            unit = next(units)
        before += area
    return times


def _gaps(seed: int) -> Iterator[float]:
    gaps = random.Random(seed)
    at = 0.0
    while True:
        at += gaps.expovariate(1.0)
        yield at


def _reach(area: float, rate: float, slope: float) -> float:
    """The x for which rate·x + slope·x²/2 is the area; written so that a slope of 0 divides nothing by 0."""
    if area <= 0:
        return 0.0
    return 2 * area / (rate + math.sqrt(max(0.0, rate * rate + 2 * slope * area)))
