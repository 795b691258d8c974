"""A burn under way: its child processes, from their start to their end.

`Burn` is a context manager that ends its children on every way out. If this process dies first, the kernel ends them
(see `burner.die_with`), and each ends by itself when its time is over.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol

from functions.kit.jsontypes import JsonObject
from functions.kit.telemetry.processes import process_cpu, run_delay
from functions.stress.plan import MEBI, Plan, Pressure

ROOT = Path(__file__).parents[2]
COMMAND = (sys.executable, "-S", "-E", "-c", "from functions.stress.burner import start; start()")

OVERTIME = 0.5
"""Seconds that a child may take to notice that its time is over; a starved one is killed then."""


class Child(Protocol):
    """What a spawner returns: a `subprocess.Popen`, or what a test puts in its place."""

    pid: int
    returncode: int | None

    @property
    def stdout(self) -> Any:
        """Where the child reports how many bytes it holds, has written or has sent."""


Spawn = Callable[[Sequence[str]], Child]
KINDS = ("memory", "disk", "network")


def spawn(arguments: Sequence[str]) -> Child:
    """Start a burner with these arguments, in a bare interpreter and with no descriptor of ours but its pipe."""
    return subprocess.Popen(
        [*COMMAND, *arguments], cwd=ROOT, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, close_fds=True
    )


@dataclass(frozen=True)
class Ended:
    """What one child did: CPU seconds as the kernel accounted for them, and its exit status as wait(2) gives it."""

    cpu: float
    status: int


class Burn:
    """The children of one plan.

    Args:
        plan: what to burn and to hold.
        spawner: starts a child process.
        disk_limit: bytes of the largest temporary file.

    Attributes:
        seconds: how long it went on, after its end.
        failed: children that ended by a signal or for lack of memory before their time was over.
    """

    def __init__(self, plan: Plan, spawner: Spawn = spawn, disk_limit: int = 256 * MEBI) -> None:
        self.plan = plan
        self.seconds = 0.0
        self._spawn = spawner
        self._children: list[Child] = []
        self._disk_limit = disk_limit
        self._others: dict[str, Child] = {}
        self._reported: dict[str, int] = {}
        self.failed = 0
        self._ended: dict[int, Ended] = {}
        self._waited: dict[int, float | None] = {}
        self._began = 0.0

    def __enter__(self) -> Burn:
        self._began = time.monotonic()
        common = [str(os.getpid()), repr(self._began), str(self.plan.nice)]
        try:
            pressure = self.plan.pressure
            for kind, values in _pressures(pressure, self._disk_limit):
                self._others[kind] = self._spawn([*common, kind, repr(pressure.hold), *values])
            if self.plan.cpu_seconds:
                burner = [*common, "cpu", repr(self.plan.seconds), repr(self.plan.share), self.plan.curve.text()]
                for _ in range(self.plan.cores):
                    self._children.append(self._spawn(burner))
        except BaseException:
            self.end()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.end()

    @property
    def left(self) -> float:
        """Seconds until the burn is over."""
        return self._began + self.plan.duration - time.monotonic()

    def used(self) -> float:
        """CPU seconds of the burners so far."""
        total = 0.0
        for child in self._children:
            ended = self._ended.get(child.pid)
            if ended is not None:
                total += ended.cpu
                continue
            try:
                total += process_cpu(child.pid)
            except OSError:
                pass  # ended, and not yet waited for
        return total

    def finish(self) -> None:
        """Wait for the children, whose time is over, and kill those that do not notice."""
        deadline = time.monotonic() + OVERTIME
        while not self._collect() and time.monotonic() < deadline:
            time.sleep(0.002)
        self.failed = sum(ended.status != 0 for ended in self._ended.values())
        self.end()

    def end(self) -> None:
        """Kill what is still running and wait for it. Safe to call again."""
        for child in self._all():
            if child.pid not in self._ended:
                os.kill(child.pid, signal.SIGKILL)
        self._collect(block=True)
        for kind, child in self._others.items():
            if child.stdout is not None and not child.stdout.closed:
                lines = child.stdout.read().split()
                self._reported[kind] = int(lines[-1]) if lines else 0
        for child in self._all():
            if child.stdout is not None and not child.stdout.closed:
                child.stdout.close()

    def _all(self) -> list[Child]:
        return [*self._children, *self._others.values()]

    def _collect(self, *, block: bool = False) -> bool:
        """Take in the children that have ended; True when all have."""
        for child in self._all():
            if child.pid in self._ended:
                continue
            self._waited[child.pid] = run_delay(child.pid)
            pid, status, usage = os.wait4(child.pid, 0 if block else os.WNOHANG)
            if pid:
                child.returncode = os.waitstatus_to_exitcode(status)
                self._ended[pid] = Ended(usage.ru_utime + usage.ru_stime, status)
        done = len(self._ended) == len(self._all())
        if done and not self.seconds:
            self.seconds = min(time.monotonic() - self._began, self.plan.duration)
        return done

    @property
    def waited(self) -> float | None:
        """Seconds in which the burners were ready to run and no core was free; None where nothing counts them."""
        known = [self._waited.get(child.pid) for child in self._children]
        return None if None in known else sum(seconds for seconds in known if seconds is not None)

    def achieved(self, quota: float) -> JsonObject:
        """What was done, after the end.

        Args:
            quota: cores this container may use, to which a load may be relative.

        Returns:
            `seconds`, `cpu_seconds`, `load` in the unit of the request, `per_core` with CPU seconds and percent
            of a core, and `memory_mb`,
            `disk_mb` and `network_mb`.
        """
        cores = [self._ended[child.pid].cpu for child in self._children]
        if not cores and self.plan.seconds:
            cores = [0.0] * self.plan.cores  # a load of 0 needs no burners
        # A core that was used for longer than planned shows that the burn took longer: no core gives over 100 %.
        span = max(min(self.seconds, self.plan.seconds), *cores, 0.0)
        whole = (quota if self.plan.relative_to == "quota" else self.plan.cores) * span
        return {
            "seconds": round(max(self.seconds, span), 4),
            "cpu_seconds": round(sum(cores), 4),
            "load": round(100 * sum(cores) / whole, 3) if whole else 0.0,
            "per_core": [
                {"cpu_seconds": round(cpu, 4), "load": round(100 * cpu / span, 3) if span else 0.0} for cpu in cores
            ],
            **{f"{kind}_mb": self._reported.get(kind, 0) // MEBI for kind in KINDS},
        }


def _pressures(pressure: Pressure, disk_limit: int) -> Iterator[tuple[str, list[str]]]:
    """The kinds of load besides the CPU, each with the arguments of its child."""
    if pressure.memory:
        yield "memory", [str(pressure.memory), repr(pressure.leak), "1" if pressure.touch else "0"]
    if pressure.disk:
        yield "disk", [repr(pressure.disk), str(disk_limit)]
    if pressure.network:
        yield "network", [repr(pressure.network)]
