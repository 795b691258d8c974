"""The duty cycle: how much CPU time must have been used by when, so that a load comes out exactly.

A burner that works for 30 ms of every 100 ms by the wall clock uses 30 % only of an idle machine: whenever another
process has the core, that time is lost. Here the goal is an amount of CPU time, measured by the scheduler's own
clock, so that what was lost in one cycle is made up in the next.
"""

from __future__ import annotations

TYPE_CHECKING = False  # typing and dataclasses would be two thirds of a burner's start
if TYPE_CHECKING:
    from collections.abc import Callable

PERIOD = 0.02
"""Length of a cycle in seconds: a twelfth of a sample of 0.25 s, a fifth of a quota period of 0.1 s."""


def cycle(elapsed: float, load: float, seconds: float, period: float = PERIOD) -> tuple[float, float]:
    """The cycle that a moment lies in.

    Args:
        elapsed: seconds since the burn began.
        load: share of one core to use, 0 to 1.
        seconds: length of the burn; the last cycle ends with it.
        period: length of a cycle in seconds.

    Returns:
        When the cycle ends, and the CPU time that should have been used by then, both in seconds since the burn began.
    """
    until = (int(elapsed / period) + 1) * period
    if until <= elapsed:  # the division was rounded down: the moment is the end of its cycle
        until += period
    until = min(until, seconds)
    return until, load * until


def run(
    load: float,
    seconds: float,
    *,
    elapsed: Callable[[], float],
    used: Callable[[], float],
    work: Callable[[], object],
    sleep: Callable[[float], object],
) -> None:
    """Use `load` of a core for `seconds`.

    Every cycle works until its CPU time is used, or the burn is over, and then sleeps until its end. A cycle that
    could not get its CPU time leaves the rest to the following ones, which work without a pause until it is made up.

    Args:
        load: share of one core to use, 0 to 1.
        seconds: length of the burn.
        elapsed: clock of the burn: seconds since it began.
        used: CPU seconds used since it began.
        work: a piece of work that is short beside a cycle.
        sleep: waits for some seconds without using CPU.
    """
    while (now := elapsed()) < seconds:
        until, goal = cycle(now, load, seconds)
        while used() < goal and elapsed() < seconds:
            work()
        pause = until - elapsed()
        if pause > 0:
            sleep(pause)
