"""The cgroup of this process for a controller, v2 or v1: its directory and its counters."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from functions.kit.telemetry.procfs import field, number, read

UNLIMITED = 2**60
"""v1 states the absence of a memory limit as the largest page-aligned number."""


class Cgroup:
    """The directory of one controller that this process is in.

    Args:
        directory: its directory.
        top: the mount point; limits are read from `directory` up to here.
        version: 1 or 2.
    """

    def __init__(self, directory: Path, top: Path, version: int) -> None:
        self.directory = directory
        self.top = top
        self.version = version

    @property
    def root(self) -> bool:
        """Whether this is the machine's root cgroup, which accounts for all processes."""
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
        """Ids of the processes in this cgroup, 0 for one outside the PID namespace; None if unreadable."""
        text = read(self.directory / "cgroup.procs")
        return None if text is None else [int(word) for word in text.split()]


def find(controller: str, root: Path = Path("/")) -> Cgroup | None:
    """The cgroup of this process for a controller: its v1 hierarchy if that is mounted, else the unified one.

    Args:
        controller: `cpu`, `cpuacct` or `memory`.
        root: directory with `proc` and the mounts.
    """
    paths: dict[str, str] = {}
    for line in (read(root / "proc/self/cgroup") or "").splitlines():
        _, names, path = line.split(":", 2)
        for name in names.split(","):
            paths[name] = path
    for version in (1, 2):
        name = controller if version == 1 else ""
        if name not in paths:
            continue
        for line in (read(root / "proc/self/mountinfo") or "").splitlines():
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
    """The directory of `path` below the mount point `top`, which shows the hierarchy from `mounted` on."""
    mounted = mounted.rstrip("/")
    if path == mounted or path.startswith(mounted + "/"):
        inside = top / path[len(mounted) :].lstrip("/")
        if ".." not in inside.parts and inside.is_dir():
            return inside
    return top  # inside a cgroup namespace the mount is this process's own cgroup


def cpu_used(cgroup: Cgroup) -> float | None:
    """CPU seconds used in a cgroup; None if unreadable."""
    if cgroup.version == 1:
        nanoseconds = number(read(cgroup.directory / "cpuacct.usage"))
        return None if nanoseconds is None else nanoseconds / 1e9
    text = read(cgroup.directory / "cpu.stat")
    return None if text is None else field(text, "usage_usec") / 1e6


def throttled(cgroup: Cgroup) -> float | None:
    """Seconds throttled by the CPU quota; None if unreadable."""
    text = read(cgroup.directory / "cpu.stat")
    if text is None:
        return None
    return field(text, "throttled_usec") / 1e6 if cgroup.version == 2 else field(text, "throttled_time") / 1e9


def quota(directory: Path, version: int) -> float | None:
    """CPU quota in cores of one level of the hierarchy; None for no limit."""
    if version == 2:
        words = (read(directory / "cpu.max") or "max").split()
        return None if words[0] == "max" else int(words[0]) / int(words[1])
    allowed = number(read(directory / "cpu.cfs_quota_us"))
    period = number(read(directory / "cpu.cfs_period_us"))
    return allowed / period if allowed and allowed > 0 and period else None


def memory_used(cgroup: Cgroup) -> int | None:
    """The working set in bytes: charged memory without inactive file pages."""
    current, dropped = (
        ("memory.current", "inactive_file") if cgroup.version == 2 else ("memory.usage_in_bytes", "total_inactive_file")
    )
    used = number(read(cgroup.directory / current))
    if used is None:
        return None
    return max(0, used - field(read(cgroup.directory / "memory.stat") or "", dropped))


def memory_limit(cgroup: Cgroup) -> int | None:
    """The least memory limit in bytes of a cgroup and those above it; None for no limit."""
    name = "memory.max" if cgroup.version == 2 else "memory.limit_in_bytes"
    limits = [number(read(directory / name)) for directory in cgroup.upwards()]
    return min((limit for limit in limits if limit is not None and limit < UNLIMITED), default=None)
