"""The duty cycle: how much CPU time must have been used by when, so that a load comes out as requested.

A burner that works for 30 ms of every 100 ms by the wall clock uses 30 % of an idle machine only: whenever another
process has the core, that time is lost. Here the goal is an amount of CPU time, measured by the scheduler's own
clock, so that what was lost in one cycle is made up in the next.
"""

from __future__ import annotations

TYPE_CHECKING = False  # typing and dataclasses would be two thirds of a burner's start
if TYPE_CHECKING:
    from collections.abc import Callable

PERIOD = 0.02
"""Length of a cycle in seconds: a twelfth of a sample of 0.25 s, a fifth of a quota period of 0.1 s."""


def cycle(elapsed: float, seconds: float, period: float = PERIOD) -> float:
    """The end of the cycle that a moment lies in, in seconds since the burn began.

    Args:
        elapsed: seconds since the burn began.
        seconds: length of the burn; the last cycle ends with it.
        period: length of a cycle in seconds.
    """
    until = (int(elapsed / period) + 1) * period
    if until <= elapsed:  # the division was rounded down: the moment is the end of its cycle
        until += period
    return min(until, seconds)


def run(
    goal: Callable[[float], float],
    seconds: float,
    *,
    elapsed: Callable[[], float],
    used: Callable[[], float],
    work: Callable[[], object],
    sleep: Callable[[float], object],
) -> None:
    """Use CPU time for `seconds` as a goal says.

    Every cycle works until its CPU time is used, or the burn is over, and then sleeps until its end. A cycle that
    could not get its CPU time leaves the rest to the following ones, which work without a pause until it is made up.
    Cycles whose CPU time is used already are slept through at once: waking up in each would be a load of its own.

    Args:
        goal: CPU seconds to have used by a moment, for the load of one core never more than the moment itself.
        seconds: length of the burn.
        elapsed: clock of the burn: seconds since it began.
        used: CPU seconds used since it began.
        work: a piece of work that is short beside a cycle.
        sleep: waits for some seconds without using CPU.
    """
    while (now := elapsed()) < seconds:
        until = cycle(now, seconds)
        due = goal(until)
        while used() < due and elapsed() < seconds:
            work()
        while until < seconds and goal(cycle(until, seconds)) <= used():
            until = cycle(until, seconds)
        pause = until - elapsed()
        if pause > 0:
            sleep(pause)
