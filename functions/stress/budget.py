"""Admission: bounds on burns at once and on CPU time a minute."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable
from dataclasses import dataclass

from functions.kit.http.problems import Problem, bad_option, busy

TOO_MANY_REQUESTS = 429


@dataclass(eq=False)
class Admission:
    """One admitted burn.

    Attributes:
        cpu_seconds: what it was granted.
        ends: clock at which it will be over.
    """

    cpu_seconds: float
    ends: float


class Budget:
    """Admit burns, or answer when to retry.

    CPU time is a bucket that holds a minute's worth and refills evenly. What is requested is taken at once; what was
    not used, because the burn was stopped or throttled, is returned.

    Args:
        burns: how many at the same time.
        cpu_seconds_per_minute: size of the bucket, and what flows into it in a minute.
        clock: monotonic time in seconds.
    """

    def __init__(self, burns: int, cpu_seconds_per_minute: float, clock: Callable[[], float]) -> None:
        self._burns = burns
        self._size = cpu_seconds_per_minute
        self._clock = clock
        self._level = cpu_seconds_per_minute
        self._filled = clock()
        self._running: list[Admission] = []
        self._lock = threading.Lock()

    @property
    def running(self) -> int:
        """Admitted burns that have not ended."""
        return len(self._running)

    def admit(self, cpu_seconds: float, duration: float, variables: tuple[str, str] = ("burns", "budget")) -> Admission:
        """Admit a burn.

        Args:
            cpu_seconds: CPU time requested.
            duration: seconds until it is over.
            variables: names of the two limits, for the answer.

        Raises:
            Problem: 429 with Retry-After where it would be admitted later, 400 where it never would.
        """
        with self._lock:
            now = self._clock()
            self._level = min(self._size, self._level + (now - self._filled) * self._size / 60)
            self._filled = now
            if cpu_seconds > self._size:
                raise bad_option(
                    "seconds",
                    f"the limit is {self._size:,g} CPU seconds a minute ({variables[1]}); "
                    f"this asks for {cpu_seconds:,g}",
                    limit=self._size,
                    actual=cpu_seconds,
                )
            if len(self._running) >= self._burns:
                wait = min(admission.ends for admission in self._running) - now
                raise _later(f"{self._burns} burns are running, which is the limit ({variables[0]})", wait)
            if cpu_seconds > self._level:
                wait = (cpu_seconds - self._level) * 60 / self._size
                raise _later(
                    f"{max(0.0, self._level):.1f} of {self._size:,g} CPU seconds a minute ({variables[1]}) are left; "
                    f"this asks for {cpu_seconds:,g}",
                    wait,
                )
            self._level -= cpu_seconds
            admission = Admission(cpu_seconds, now + duration)
            self._running.append(admission)
            return admission

    def release(self, admission: Admission, used: float) -> None:
        """The burn is over and has used this many CPU seconds. A second release changes nothing."""
        with self._lock:
            if admission not in self._running:
                return
            self._running.remove(admission)
            self._level = min(self._size, self._level + max(0.0, admission.cpu_seconds - used))


def _later(detail: str, seconds: float) -> Problem:
    return busy(detail, max(1, math.ceil(seconds)), TOO_MANY_REQUESTS)
