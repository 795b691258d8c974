"""The bounds of one input: CPU time and memory."""

from __future__ import annotations

import resource
import sys
import time
from collections.abc import Callable

GROWTH = 64 * 2**20


def peak() -> int:
    """Peak memory of this process in bytes: leaks and single expensive inputs raise it."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


class Watch:
    """Runs a target, and raises if an input exceeds its bounds.

    Args:
        run: takes an input.
        seconds: of CPU time for one input.
        growth: bytes by which memory may grow after the first input, whatever the number of inputs.
        clock: seconds of CPU time.
        memory: bytes at the most so far.
    """

    def __init__(
        self,
        run: Callable[[bytes], None],
        seconds: float,
        growth: int = GROWTH,
        clock: Callable[[], float] = time.process_time,
        memory: Callable[[], int] = peak,
    ) -> None:
        self._run = run
        self._seconds = seconds
        self._growth = growth
        self._clock = clock
        self._memory = memory
        self._base = 0
        self.seen = 0
        self.slowest = 0.0
        self.grown = 0

    def once(self, data: bytes) -> None:
        """One input.

        Raises:
            TimeoutError: it took too much CPU time.
            MemoryError: memory has grown too far.
        """
        began = self._clock()
        self._run(data)
        took = self._clock() - began
        self.seen += 1
        self._base = self._base or self._memory()
        grown = self._memory() - self._base
        if took > self.slowest or grown >= self.grown + 2**20:
            self.slowest, self.grown = max(took, self.slowest), max(grown, self.grown)
            # libFuzzer ends the process itself, so there is no later moment to report it.
            print(f"watch::slowest: {self.slowest:.4f}\nwatch::grown: {self.grown >> 20}", file=sys.stderr, flush=True)
        if took > self._seconds:
            raise TimeoutError(f"took {took:.2f} s of CPU time")
        if grown > self._growth:
            raise MemoryError(f"grew by {grown >> 20} MiB within {self.seen:,} inputs")
