"""This container's CPU and memory: from its cgroup, v2 or v1, or else from the times of its processes.

A number is taken from a cgroup only if that cgroup is this server's own. The machine's root cgroup, a login
session's scope, or one container that several pods share would pass somebody else's load off as the pod's; then
the processes of this server are added up instead. Each controller is looked up by itself, because machines with
both hierarchies mounted are common. The `source` of the figures is part of every answer.

Formula: utilisation = Δusage / (Δwall · quota cores), as `kubectl top` and the HPA take it.
"""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from pathlib import Path

from functions.kit.telemetry import cgroup
from functions.kit.telemetry.processes import ProcessTree
from functions.kit.telemetry.procfs import field, read

WINDOW = 0.25
"""Shortest span, in seconds, over which `Meter.sample` gives a utilisation: below it scheduling slices show."""

LONGEST = 5.0
"""Longest span, in seconds, that `Meter.sample` still calls "now"."""


@dataclass(frozen=True)
class Reading:
    """The counters at one moment.

    Attributes:
        at: monotonic time, seconds.
        cpu: CPU time used so far, seconds.
        throttled: time spent waiting for the next quota period, seconds; None where nothing counts it.
        memory: memory held that cannot be dropped, bytes.
    """

    at: float
    cpu: float
    throttled: float | None
    memory: int


@dataclass(frozen=True)
class Usage:
    """What was used between two readings.

    Attributes:
        seconds: span between the readings.
        cores: mean number of cores in use.
        cpu_percent: the same in percent of the cores this container may use.
        throttled: seconds throttled in the span; None where nothing counts it.
        memory: bytes held at the end.
    """

    seconds: float
    cores: float
    cpu_percent: float
    throttled: float | None
    memory: int


def between(first: Reading, last: Reading, quota: float) -> Usage:
    """The usage from `first` to `last` of a container that may use `quota` cores.

    A span of no length, or a counter that went back, counts as no use rather than as an error.
    """
    seconds = max(0.0, last.at - first.at)
    cores = max(0.0, last.cpu - first.cpu) / seconds if seconds else 0.0
    throttled = None
    if first.throttled is not None and last.throttled is not None:
        throttled = max(0.0, last.throttled - first.throttled)
    return Usage(seconds, cores, 100 * cores / quota, throttled, last.memory)


class Container:
    """What this server uses and may use.

    Args:
        root: directory that holds `proc` and what its mounts name; the tests make their own.

    Attributes:
        source: where CPU time comes from: `cgroup v2`, `cgroup v1` or `processes`.
        memory_source: the same for memory.
    """

    def __init__(self, root: Path = Path("/")) -> None:
        self._root = root
        self._tree = ProcessTree(root / "proc")
        usage = cgroup.find("cpuacct", root) or cgroup.find("cpu", root)
        self._cpu = cgroup.find("cpu", root)
        self._memory = cgroup.find("memory", root)
        self._cpu_usage = usage if usage and self._own(usage) else None
        self._memory_usage = self._memory if self._memory and self._own(self._memory) else None
        self.source = f"cgroup v{self._cpu_usage.version}" if self._cpu_usage else "processes"
        self.memory_source = f"cgroup v{self._memory_usage.version}" if self._memory_usage else "processes"

    def _own(self, group: cgroup.Cgroup) -> bool:
        """Whether everything in the cgroup belongs to this server (an init process before it may be there)."""
        members = group.members()
        return not group.root and bool(members) and all(self._tree.kin(pid) for pid in members or ())

    def read(self) -> Reading:
        """The counters now."""
        at = time.monotonic()
        memory = cgroup.memory_used(self._memory_usage) if self._memory_usage else None
        if memory is None:
            memory = self._tree.memory()
        cpu, throttled = self._cpu_counters()
        return Reading(at, cpu, throttled, memory)

    def _cpu_counters(self) -> tuple[float, float | None]:
        if self._cpu_usage is None:
            return self._tree.cpu(), None
        used = cgroup.cpu_used(self._cpu_usage)
        if used is None:  # unmounted since: the processes are still there to be counted
            return self._tree.cpu(), None
        return used, cgroup.throttled(self._cpu) if self._cpu else None

    def quota(self) -> float:
        """Cores this container may use: the least of its quota, those above it, and the CPUs it may run on."""
        quota = float(len(os.sched_getaffinity(0)))
        if self._cpu and not self._cpu.root:
            for directory in self._cpu.upwards():
                limit = cgroup.quota(directory, self._cpu.version)
                if limit is not None:
                    quota = min(quota, limit)
        return quota

    def memory_limit(self) -> int | None:
        """Bytes this container may hold, or None if nothing below the machine's own memory limits it."""
        if not self._memory:
            return None
        return cgroup.memory_limit(self._memory)

    def memory_total(self) -> int | None:
        """Bytes that there are in all: the limit or, without one, the machine's; None where Linux does not say."""
        return self.memory_limit() or field(read(self._root / "proc/meminfo") or "", "MemTotal:") * 1024 or None

    def memory_free(self) -> int:
        """Bytes that may still be taken before the limit, or before the machine has none."""
        available = field(read(self._root / "proc/meminfo") or "", "MemAvailable:") * 1024
        limit = self.memory_limit()
        if limit is not None and self._memory:
            available = min(available, limit - (cgroup.memory_used(self._memory) or 0))
        return max(0, available)


class Meter:
    """Utilisation "now", for whoever asks whenever: keeps the readings that the next answer is measured from."""

    def __init__(self, container: Container) -> None:
        self.container = container
        self._readings: list[Reading] = []

    def sample(self) -> Usage:
        """Usage over the last quarter second or a little more; waits for it if nobody has asked lately."""
        last = self.container.read()
        recent = [reading for reading in self._readings if last.at - reading.at <= LONGEST]
        old_enough = [reading for reading in recent if last.at - reading.at >= WINDOW]
        if old_enough:
            first = old_enough[-1]
        else:
            first = recent[0] if recent else last
            time.sleep(WINDOW - (last.at - first.at))
            last = self.container.read()
        # The list is replaced, never changed: threads that sample at once each keep a valid one. Readings stand apart,
        # so that however many ask, one that is old enough stays in it.
        if not recent or last.at - recent[-1].at >= WINDOW / 5:
            recent = [*recent, last]
        self._readings = recent
        return between(first, last, self.container.quota())
