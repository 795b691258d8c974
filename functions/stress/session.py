"""One request's life: wait, burn, sample, and end early when its client has left or the server must stop."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from enum import StrEnum

from functions.kit.jsontypes import JsonObject
from functions.kit.telemetry.usage import Container, Reading, Usage, between
from functions.stress.budget import Admission, Budget
from functions.stress.burn import Burn, Spawn, spawn
from functions.stress.deviation import Evidence, excess, shortfall, unreached
from functions.stress.plan import MEBI, Plan

EVERY = 0.25
"""Seconds between samples."""

TICK = 0.1
"""Longest time, in seconds, before a stop of the server is noticed."""


class Ending(StrEnum):
    """How a request ended."""

    COMPLETED = "completed"
    SHORT = "short"
    OVER = "over"
    LEFT = "client left"
    STOPPED = "server stopped"
    DIED = "child died"


class Session:
    """A plan carried out.

    Args:
        plan: what to do.
        container: whose usage the samples show.
        client_left: waits for so many seconds; True at once if the client has left.
        stopping: whether the server is stopping.
        spawner: starts a child process.
        disk_limit: bytes of the largest temporary file.

    Attributes:
        ended: how it ended.
        result: the answer, after the end.
    """

    def __init__(
        self,
        plan: Plan,
        container: Container,
        client_left: Callable[[float], bool],
        stopping: Callable[[], bool],
        spawner: Spawn = spawn,
        disk_limit: int = 256 * MEBI,
    ) -> None:
        self.plan = plan
        self.ended = Ending.COMPLETED
        self.result: JsonObject = {}
        self.cpu_seconds = 0.0
        self._container = container
        self._quota = container.quota()
        self._client_left = client_left
        self._stopping = stopping
        self._spawn = spawner
        self._disk_limit = disk_limit

    def run(self) -> Iterator[Usage]:
        """Carry it out; a sample of the container every quarter second.

        The children have ended when this ends, whether it was used up, closed, or ended by an exception.
        """
        began = time.monotonic()
        self._last = self._container.read()
        yield from self._until(began + self.plan.wait)
        waited = time.monotonic() - began
        first = self._container.read()
        burn = Burn(self.plan, self._spawn, self._disk_limit)
        try:
            with burn:
                yield from self._until(time.monotonic() + burn.left)
                if self.ended == Ending.COMPLETED:
                    burn.finish()
                    if burn.failed:
                        self.ended = Ending.DIED
        finally:
            self.cpu_seconds = burn.used()
        usage = between(first, self._container.read(), self._quota)
        achieved = burn.achieved(self._quota)
        missing = extra = None
        if self.ended == Ending.COMPLETED:
            missing = shortfall(self.plan, achieved, Evidence(self._quota, usage.throttled, burn.waited))
            missing = missing or unreached(self.plan, achieved)
            extra = excess(self.plan, achieved)
            self.ended = Ending.SHORT if missing else Ending.OVER if extra else Ending.COMPLETED
        self.result = {
            "asked": self.plan.asked(),
            "achieved": {**achieved, "slept_ms": round(waited * 1000, 1) if self.plan.wait else 0},
            "ended": self.ended,
            "shortfall": missing,
            "excess": extra,
            "throttled": usage.throttled,
            "container": {"cpu_percent": round(usage.cpu_percent, 2), "cores": round(usage.cores, 4)},
        }

    def _until(self, deadline: float) -> Iterator[Usage]:
        """Samples until a moment, or until the client has left or the server stops."""
        while self.ended == Ending.COMPLETED and (now := time.monotonic()) < deadline:
            due = self._last.at + EVERY
            if self._stopping():
                self.ended = Ending.STOPPED
            elif self._client_left(max(0.0, min(TICK, deadline - now, due - now))):
                self.ended = Ending.LEFT
            elif time.monotonic() >= due:
                yield self._sample()

    def _sample(self) -> Usage:
        reading: Reading = self._container.read()
        usage = between(self._last, reading, self._quota)
        self._last = reading
        return usage


class Admitted:
    """An iterator that gives its admission back when it is used up or closed, even if it never began.

    Args:
        chunks: what is iterated.
        budget: who let it in.
        admission: what it was granted.
        used: the CPU seconds it used, after its end.
    """

    def __init__(
        self, chunks: Iterator[bytes], budget: Budget, admission: Admission, used: Callable[[], float]
    ) -> None:
        self._chunks = chunks
        self._budget = budget
        self._admission = admission
        self._used = used

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        try:
            return next(self._chunks)
        except BaseException:
            self._budget.release(self._admission, self._used())
            raise

    def close(self) -> None:
        """Called by the server when the answer is sent or its client has left."""
        close = getattr(self._chunks, "close", None)
        if close is not None:
            close()
        self._budget.release(self._admission, self._used())
