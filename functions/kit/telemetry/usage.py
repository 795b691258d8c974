"""CPU and memory of this container: from its cgroup, v2 or v1, otherwise from its processes.

A cgroup is read only if all its processes belong to this server. The machine's root cgroup, the scope of a login
session or a container shared by several pods would report foreign load; then the processes of this server are added up.
Each controller is located separately, since machines with both hierarchies mounted are common. Responses state the
`source` of the figures.

Formula: utilisation = Δusage / (Δwall · quota cores), as in `kubectl top` and the HPA.
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
"""Shortest span in seconds of a utilisation: below it, scheduling slices dominate."""

LONGEST = 5.0
"""Longest span in seconds of a present utilisation."""


@dataclass(frozen=True)
class Reading:
    """The counters at one moment.

    Attributes:
        at: monotonic time in seconds.
        cpu: CPU time used so far, seconds.
        throttled: seconds throttled by the CPU quota; None if not counted.
        memory: working set in bytes.
    """

    at: float
    cpu: float
    throttled: float | None
    memory: int


@dataclass(frozen=True)
class Usage:
    """The usage between two readings.

    Attributes:
        seconds: span between the readings.
        cores: mean number of cores in use.
        cpu_percent: the same in percent of the cores this container may use.
        throttled: seconds throttled in the span; None if not counted.
        memory: working set in bytes at the end.
    """

    seconds: float
    cores: float
    cpu_percent: float
    throttled: float | None
    memory: int


def between(first: Reading, last: Reading, quota: float) -> Usage:
    """The usage from `first` to `last` of a container that may use `quota` cores.

    A span of length 0, or a counter that decreased, counts as no usage.
    """
    seconds = max(0.0, last.at - first.at)
    cores = max(0.0, last.cpu - first.cpu) / seconds if seconds else 0.0
    throttled = None
    if first.throttled is not None and last.throttled is not None:
        throttled = max(0.0, last.throttled - first.throttled)
    return Usage(seconds, cores, 100 * cores / quota, throttled, last.memory)


class Container:
    """The usage and limits of this server.

    Args:
        root: directory with `proc` and the mounts.

    Attributes:
        source: source of CPU time: `cgroup v2`, `cgroup v1` or `processes`.
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
        """Whether all processes of the cgroup belong to this server, apart from an init process above it."""
        members = group.members()
        return not group.root and bool(members) and all(self._tree.kin(pid) for pid in members or ())

    def read(self) -> Reading:
        """Read the counters."""
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
        if used is None:  # unmounted meanwhile: count the processes
            return self._tree.cpu(), None
        return used, cgroup.throttled(self._cpu) if self._cpu else None

    def quota(self) -> float:
        """Cores available to this container: the least of its quota, those above it, and its CPU affinity."""
        quota = float(len(os.sched_getaffinity(0)))
        if self._cpu and not self._cpu.root:
            for directory in self._cpu.upwards():
                limit = cgroup.quota(directory, self._cpu.version)
                if limit is not None:
                    quota = min(quota, limit)
        return quota

    def memory_limit(self) -> int | None:
        """Memory limit in bytes; None if no limit is below the machine's memory."""
        if not self._memory:
            return None
        return cgroup.memory_limit(self._memory)

    def memory_total(self) -> int | None:
        """Total memory in bytes: the limit, or the machine's; None if unknown."""
        return self.memory_limit() or field(read(self._root / "proc/meminfo") or "", "MemTotal:") * 1024 or None

    def memory_free(self) -> int:
        """Bytes available below the limit, or on the machine."""
        available = field(read(self._root / "proc/meminfo") or "", "MemAvailable:") * 1024
        limit = self.memory_limit()
        if limit is not None and self._memory:
            available = min(available, limit - (cgroup.memory_used(self._memory) or 0))
        return max(0, available)


class Meter:
    """The present utilisation, measured from kept readings."""

    def __init__(self, container: Container) -> None:
        self.container = container
        self._readings: list[Reading] = []

    def sample(self) -> Usage:
        """Return the usage over the last quarter second or a little more; wait for it without a recent reading."""
        last = self.container.read()
        recent = [reading for reading in self._readings if last.at - reading.at <= LONGEST]
        old_enough = [reading for reading in recent if last.at - reading.at >= WINDOW]
        if old_enough:
            first = old_enough[-1]
        else:
            first = recent[0] if recent else last
            time.sleep(WINDOW - (last.at - first.at))
            last = self.container.read()
        # The list is replaced, never changed, so that concurrent samples each have a valid one. Readings have a least
        # distance, so that one that is old enough remains however many samples are taken.
        if not recent or last.at - recent[-1].at >= WINDOW / 5:
            recent = [*recent, last]
        self._readings = recent
        return between(first, last, self.container.quota())
