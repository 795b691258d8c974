"""The probes of a running program, asked over and over: until it is ready, while it is, and as long as it lives."""

from __future__ import annotations

import asyncio
import math
from typing import Protocol

from knative.local.pods.probes.probe import Probe

_EAGER_SECONDS = 0.02  # Knative asks every 50 ms; a request may be waiting
_COMMAND_SECONDS = 1.0
PERIOD_SECONDS = 10.0  # the kubelet's, where a manifest names none
_LISTENING_SECONDS = 0.005
_LOOK_ELSEWHERE = 80  # looks at its own port between two at the others that it may listen on


class Probed(Protocol):
    """A program that is probed."""

    def listens(self) -> bool:
        """Whether it listens on its own port."""

    def look_elsewhere(self) -> None:
        """Look for a port that it listens on instead of its own."""

    async def ask(self, probe: Probe) -> str | None:
        """Ask a probe once; None if the answer is good."""

    def waits(self, reason: str) -> None:
        """Note why it is not ready yet."""

    @property
    def was_ready(self) -> bool:
        """Whether it has been ready since its last start."""


class Prober:
    """Asks the probes of one program.

    Attributes:
        suspect: Set when the program refuses a connection, so that it is asked at once.
    """

    def __init__(self, program: Probed) -> None:
        self._program = program
        self.suspect = asyncio.Event()

    async def until_good(self, probe: Probe, allowed: float = math.inf) -> bool:
        """Ask until the answer is good, or until it was bad for the seconds allowed and failureThreshold times.

        The kubelet only counts, and each attempt has timeoutSeconds to succeed: one that is under way when the time is
        over is not cut off. Here attempts come more often than there, so that the count alone would end it too soon.
        """
        if probe.initial_delay and not self._program.was_ready:
            await asyncio.sleep(probe.initial_delay)
        time_of = asyncio.get_running_loop().time
        deadline = time_of() + allowed
        good = bad = 0
        while not probe.command and probe.port is None and not self._program.listens():
            self._program.waits("not listening yet")
            bad += 1
            await asyncio.sleep(_LISTENING_SECONDS)
            if bad % _LOOK_ELSEWHERE == 0:
                self._program.look_elsewhere()
            if bad >= probe.failure_threshold and time_of() >= deadline:
                return False
        # A command is a process each time.
        pause = min(probe.period or PERIOD_SECONDS, _COMMAND_SECONDS) if probe.command else _EAGER_SECONDS
        while True:
            wrong = await self._program.ask(probe)
            good, bad = (good + 1, 0) if wrong is None else (0, bad + 1)
            if good >= probe.success_threshold:
                return True
            if wrong is not None:
                self._program.waits(wrong)
            await asyncio.sleep(pause)
            if bad >= probe.failure_threshold and time_of() >= deadline:
                return False

    async def until_bad(self, probe: Probe) -> str:
        """Watch a ready program; a period of 0 means that only a refused connection makes it unready."""
        bad = 0
        while True:
            try:
                await asyncio.wait_for(self.suspect.wait(), probe.period or None)
            except TimeoutError:
                pass
            else:
                self.suspect.clear()
                return "it refuses connections"
            wrong = await self._program.ask(probe)
            bad = 0 if wrong is None else bad + 1
            if wrong is not None and bad >= probe.failure_threshold:
                return wrong

    async def until_dead(self, probe: Probe) -> str:
        """Ask for as long as the program lives; says why it does not any more."""
        await asyncio.sleep(probe.initial_delay)
        bad = 0
        while True:
            await asyncio.sleep(probe.period or PERIOD_SECONDS)
            wrong = await self._program.ask(probe)
            bad = 0 if wrong is None else bad + 1
            if wrong is not None and bad >= probe.failure_threshold:
                return f"liveness probe failed {bad} times: {wrong}"
