"""Faults on request: status codes, failure shares, the exit of the pod, and unreadiness; off unless STRESS_FAULTS=1.

What all processes of the server must know is in memory that they share: it is made before the workers are forked.
"""

from __future__ import annotations

import mmap
import os
import random
import struct
import time

from functions.kit.http.problems import Problem

_LAYOUT = struct.Struct("=di")  # monotonic time until which the pod is unready, and the exit code plus 1


class Faults:
    """The faults of one pod.

    Args:
        start_seconds: how long the pod is unready after its start.
    """

    def __init__(self, start_seconds: float = 0.0) -> None:
        self._shared = mmap.mmap(-1, _LAYOUT.size)
        self._write(time.monotonic() + start_seconds if start_seconds else 0.0, 0)

    def _write(self, until: float, code: int) -> None:
        self._shared[:] = _LAYOUT.pack(until, code)

    def _read(self) -> tuple[float, int]:
        until, code = _LAYOUT.unpack(self._shared[:])
        return until, code

    @property
    def unready(self) -> float:
        """Seconds for which the pod is still unready; 0 if it is ready."""
        return max(0.0, self._read()[0] - time.monotonic())

    def be_unready(self, seconds: float) -> None:
        """Make readiness false for some seconds; 0 ends it."""
        self._write(time.monotonic() + seconds, self._read()[1])

    @property
    def exit_code(self) -> int | None:
        """The code that the pod must exit with; None if it must not."""
        code = self._read()[1]
        return code - 1 if code else None

    def panic(self, code: int) -> None:
        """End this process; the server follows with the same code."""
        self._write(self._read()[0], code + 1)
        os._exit(code)


def refuse_unless(enabled: bool, what: str) -> None:
    """Refuse a fault where faults are off.

    Raises:
        Problem: 403.
    """
    if not enabled:
        raise Problem(403, "faults-off", "Faults are off", f"{what} is a fault: it needs STRESS_FAULTS=1")


def injected(status: int) -> Problem:
    """The answer of a fault that was requested."""
    headers = {"Retry-After": "1"} if status in {429, 503} else {}
    return Problem(status, "fault", "Requested fault", f"status {status} was requested", headers=headers)


def fail_by_chance(percent: float | None, status: int, seed: int | None) -> None:
    """Fail a share of the requests.

    Raises:
        Problem: the status, by chance.
    """
    if percent and random.Random(seed).uniform(0, 100) < percent:
        raise injected(status)
