"""This container's CPU and memory: from its cgroup, v2 or v1, or else from the times of its processes.

A number is taken from a cgroup only if that cgroup is this server's own. The machine's root cgroup, a login
session's scope, or one container that several pods share would pass somebody else's load off as the pod's; then
the processes of this server are added up instead. Each controller is looked up by itself, because machines with
both hierarchies mounted are common. The `source` of the figures is part of every answer.

Formula: utilisation = Δusage / (Δwall · quota cores), as `kubectl top` and the HPA take it.
"""

from __future__ import annotations

import os
import resource
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

UNLIMITED = 2**60
"""v1 says "no memory limit" with the largest page-aligned number; anything this large means none."""

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


class Cgroup:
    """The directory of one controller that this process is in.

    Args:
        directory: where its files are.
        top: the mount point; limits are looked for from `directory` up to here.
        version: 1 or 2.
    """

    def __init__(self, directory: Path, top: Path, version: int) -> None:
        self.directory = directory
        self.top = top
        self.version = version

    @property
    def root(self) -> bool:
        """Whether this is the machine's root cgroup, which accounts for everything that runs."""
        if self.version == 2:
            return not (self.directory / "cgroup.events").exists()
        return (self.directory / "release_agent").exists()

    def upwards(self) -> Iterator[Path]:
        """This directory, then those above it up to the mount point."""
        yield self.directory
        if self.directory != self.top:
            for parent in self.directory.parents:
                yield parent
                if parent == self.top:
                    return

    def members(self) -> list[int] | None:
        """Ids of the processes in this cgroup; 0 is one outside our PID namespace. None if it cannot be read."""
        text = _read(self.directory / "cgroup.procs")
        return None if text is None else [int(word) for word in text.split()]


def find(controller: str, root: Path = Path("/")) -> Cgroup | None:
    """The cgroup of this process for a controller: its v1 hierarchy if that is mounted, else the unified one.

    Args:
        controller: `cpu`, `cpuacct` or `memory`.
        root: directory that holds `proc` and what the mounts name.
    """
    paths: dict[str, str] = {}
    for line in (_read(root / "proc/self/cgroup") or "").splitlines():
        _, names, path = line.split(":", 2)
        for name in names.split(","):
            paths[name] = path
    for version in (1, 2):
        name = controller if version == 1 else ""
        if name not in paths:
            continue
        for line in (_read(root / "proc/self/mountinfo") or "").splitlines():
            before, _, after = line.partition(" - ")
            fields, (kind, _, options) = before.split(), after.split(" ", 2)
            wanted = kind == "cgroup" and controller in options.split(",") if version == 1 else kind == "cgroup2"
            if not wanted:
                continue
            top = root / fields[4].lstrip("/")
            directory = _below(top, fields[3], paths[name])
            probe = {"memory": "memory.current"}.get(controller, "cpu.stat")
            if directory.is_dir() and (version == 1 or (directory / probe).exists()):
                return Cgroup(directory, top, version)
    return None


def _below(top: Path, mounted: str, path: str) -> Path:
    """Where `path` lies below the mount point `top`, which shows the hierarchy from `mounted` on."""
    mounted = mounted.rstrip("/")
    if path == mounted or path.startswith(mounted + "/"):
        inside = top / path[len(mounted) :].lstrip("/")
        if ".." not in inside.parts and inside.is_dir():
            return inside
    return top  # a namespace hides the way: what is mounted is our own


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
        usage = find("cpuacct", root) or find("cpu", root)
        self._cpu = find("cpu", root)
        self._memory = find("memory", root)
        self._cpu_usage = usage if usage and self._own(usage) else None
        self._memory_usage = self._memory if self._memory and self._own(self._memory) else None
        self.source = f"cgroup v{self._cpu_usage.version}" if self._cpu_usage else "processes"
        self.memory_source = f"cgroup v{self._memory_usage.version}" if self._memory_usage else "processes"

    def _own(self, cgroup: Cgroup) -> bool:
        """Whether everything in the cgroup belongs to this server (an init process before it may be there)."""
        members = cgroup.members()
        return not cgroup.root and bool(members) and all(self._tree.kin(pid) for pid in members or ())

    def read(self) -> Reading:
        """The counters now."""
        at = time.monotonic()
        memory = _memory_used(self._memory_usage) if self._memory_usage else None
        if memory is None:
            memory = self._tree.memory()
        cpu, throttled = self._cpu_counters()
        return Reading(at, cpu, throttled, memory)

    def _cpu_counters(self) -> tuple[float, float | None]:
        if self._cpu_usage is None:
            return self._tree.cpu(), None
        used = _cpu_used(self._cpu_usage)
        if used is None:  # unmounted since: the processes are still there to be counted
            return self._tree.cpu(), None
        return used, _throttled(self._cpu) if self._cpu else None

    def quota(self) -> float:
        """Cores this container may use: the least of its quota, those above it, and the CPUs it may run on."""
        quota = float(len(os.sched_getaffinity(0)))
        if self._cpu and not self._cpu.root:
            for directory in self._cpu.upwards():
                limit = _quota(directory, self._cpu.version)
                if limit is not None:
                    quota = min(quota, limit)
        return quota

    def memory_limit(self) -> int | None:
        """Bytes this container may hold, or None if nothing below the machine's own memory limits it."""
        if not self._memory:
            return None
        name = "memory.max" if self._memory.version == 2 else "memory.limit_in_bytes"
        limits = [_number(_read(directory / name)) for directory in self._memory.upwards()]
        return min((limit for limit in limits if limit is not None and limit < UNLIMITED), default=None)

    def memory_free(self) -> int:
        """Bytes that may still be taken before the limit, or before the machine has none."""
        available = _field(_read(self._root / "proc/meminfo") or "", "MemAvailable:") * 1024
        limit = self.memory_limit()
        if limit is not None and self._memory:
            available = min(available, limit - (_memory_used(self._memory) or 0))
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


class ProcessTree:
    """The processes of this server: those above it in its process group, and everything below.

    CPU times of the living are read from their CPU clocks (nanoseconds) and not from /proc/PID/stat, whose ticks of
    10 ms are 4 % of a quarter second.
    """

    def __init__(self, proc: Path) -> None:
        self._proc = proc

    def kin(self, pid: int) -> bool:
        """Whether a process is this server's: in its process group, or the init of its session."""
        try:
            return pid > 0 and (os.getpgid(pid) == os.getpgrp() or (pid == 1 and os.getsid(pid) == os.getsid(0)))
        except ProcessLookupError:
            return True  # it has ended since and counts for nobody
        except PermissionError:
            return False

    def top(self) -> int:
        """The highest ancestor of this process in its own process group: gunicorn's arbiter above a worker."""
        pid = os.getpid()
        while True:
            parent = self._parent(pid)
            try:
                if parent <= 0 or os.getpgid(parent) != os.getpgrp():
                    return pid
            except (ProcessLookupError, PermissionError):
                return pid
            pid = parent

    def living(self) -> list[int]:
        """Ids of the processes of this server."""
        found: list[int] = []
        waiting = [self.top()]
        while waiting:
            pid = waiting.pop()
            found.append(pid)
            for task in _tasks(self._proc / str(pid) / "task"):
                waiting += [int(child) for child in (_read(task / "children") or "").split()]
        return found

    def cpu(self) -> float:
        """CPU seconds of the living and of the children they have waited for."""
        while True:
            ended = _seconds(resource.getrusage(resource.RUSAGE_CHILDREN))
            total = ended
            for pid in self.living():
                total += _clock(pid)
                if pid != os.getpid():
                    total += self._waited_for(pid)
            # A child that ended in between would be counted twice, or not at all.
            if ended == _seconds(resource.getrusage(resource.RUSAGE_CHILDREN)):
                return total

    def memory(self) -> int:
        """Bytes of memory that the living do not share with files."""
        pages = 0
        for pid in self.living():
            words = (_read(self._proc / str(pid) / "statm") or "").split()
            if len(words) >= 3:
                pages += int(words[1]) - int(words[2])
        return pages * resource.getpagesize()

    def _stat(self, pid: int) -> list[str]:
        text = _read(self._proc / str(pid) / "stat") or ""
        return text[text.rfind(")") + 1 :].split()  # the name before it may hold spaces and brackets

    def _parent(self, pid: int) -> int:
        fields = self._stat(pid)
        return int(fields[1]) if fields else 0

    def _waited_for(self, pid: int) -> float:
        fields = self._stat(pid)
        return (int(fields[13]) + int(fields[14])) / os.sysconf("SC_CLK_TCK") if fields else 0.0


def process_cpu(pid: int) -> float:
    """CPU seconds a living process has used, to the nanosecond.

    Raises:
        OSError: there is no such process, or no such clock.
    """
    # clock_getcpuclockid(3) on Linux: the process's id inverted, above the three bits of the kind of clock
    # (2: as the scheduler counts).
    return time.clock_gettime(~pid << 3 | 2)


def _clock(pid: int) -> float:
    try:
        return process_cpu(pid)
    except OSError:
        return 0.0  # it has ended since


def _seconds(usage: resource.struct_rusage) -> float:
    return usage.ru_utime + usage.ru_stime


def _tasks(directory: Path) -> list[Path]:
    try:
        return list(directory.iterdir())
    except OSError:
        return []


def _cpu_used(cgroup: Cgroup) -> float | None:
    if cgroup.version == 1:
        nanoseconds = _number(_read(cgroup.directory / "cpuacct.usage"))
        return None if nanoseconds is None else nanoseconds / 1e9
    text = _read(cgroup.directory / "cpu.stat")
    return None if text is None else _field(text, "usage_usec") / 1e6


def _throttled(cgroup: Cgroup) -> float | None:
    text = _read(cgroup.directory / "cpu.stat")
    if text is None:
        return None
    return _field(text, "throttled_usec") / 1e6 if cgroup.version == 2 else _field(text, "throttled_time") / 1e9


def _quota(directory: Path, version: int) -> float | None:
    if version == 2:
        words = (_read(directory / "cpu.max") or "max").split()
        return None if words[0] == "max" else int(words[0]) / int(words[1])
    quota = _number(_read(directory / "cpu.cfs_quota_us"))
    period = _number(_read(directory / "cpu.cfs_period_us"))
    return quota / period if quota and quota > 0 and period else None


def _memory_used(cgroup: Cgroup) -> int | None:
    """The working set: what is charged, without the file pages that would be dropped first."""
    current, dropped = (
        ("memory.current", "inactive_file") if cgroup.version == 2 else ("memory.usage_in_bytes", "total_inactive_file")
    )
    used = _number(_read(cgroup.directory / current))
    if used is None:
        return None
    return max(0, used - _field(_read(cgroup.directory / "memory.stat") or "", dropped))


def _number(text: str | None) -> int | None:
    try:
        return int(text or "")
    except ValueError:
        return None


def _field(text: str, name: str) -> int:
    """The number after a name in lines of `name number`; 0 if it is not there."""
    for line in text.splitlines():
        words = line.split()
        if len(words) >= 2 and words[0] == name:
            return int(words[1])
    return 0


def _read(path: Path) -> str | None:
    try:
        return path.read_text()
    except OSError:
        return None
