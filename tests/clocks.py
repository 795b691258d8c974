"""A machine of another speed: the clocks that measure work run slower or faster in the process of the tests."""

from __future__ import annotations

import time
from collections.abc import Callable

SCALED = ("process_time", "thread_time", "perf_counter")


def scale_clocks(factor: float) -> None:
    """Multiply what `SCALED` and their `_ns` twins return; `time.monotonic`, by which waits end, is left alone."""
    for name in SCALED:
        setattr(time, name, _seconds(getattr(time, name), factor))
        setattr(time, f"{name}_ns", _nanoseconds(getattr(time, f"{name}_ns"), factor))


def _seconds(clock: Callable[[], float], factor: float) -> Callable[[], float]:
    return lambda: clock() * factor


def _nanoseconds(clock: Callable[[], int], factor: float) -> Callable[[], int]:
    return lambda: int(clock() * factor)
