"""CPU and memory limits of a pod, by cgroup, where this machine lets us: version 1 controllers or version 2."""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

_ROOT = Path("/sys/fs/cgroup")
_PERIOD_US = 100_000


@dataclass(frozen=True, kw_only=True)
class Limits:
    """A container's limits.

    Attributes:
        cpu: Cores, or None.
        memory: Bytes, or None.
    """

    cpu: float | None = None
    memory: float | None = None


@cache
def _engine_groups() -> dict[str, Path] | str:
    """The cgroup folders below which pods get theirs, by controller, or why there are none."""
    name = f"knative-local-{os.getpid()}"
    try:
        if (_ROOT / "cgroup.controllers").exists():
            return {"": _version_2(name)}
        groups = {}
        for controller in ("cpu", "memory"):
            parent = _ROOT / controller / _own_group(controller).lstrip("/")
            if not parent.is_dir():
                return f"there is no cgroup controller {controller}"
            folder = parent / name
            folder.mkdir()
            groups[controller] = folder
    except OSError as error:
        return f"{error.filename or _ROOT}: {error.strerror}"
    return groups


def _children() -> set[str]:
    return set(Path(f"/proc/self/task/{os.getpid()}/children").read_text().split())


def _own_group(controller: str) -> str:
    for line in Path("/proc/self/cgroup").read_text().splitlines():
        _, controllers, path = line.split(":", 2)
        if controller in controllers.split(","):
            return path
    return "/"


def _version_2(name: str) -> Path:
    own = _ROOT / _own_group("").lstrip("/")
    folder = own / name
    ours = {str(os.getpid())} | _children()
    if others := set((own / "cgroup.procs").read_text().split()) - ours:
        raise OSError(errno.EBUSY, f"shared with {len(others)} other processes", str(own))
    folder.mkdir()
    try:
        # A group with controllers for its children holds no process itself: the engine moves into a leaf first.
        leaf = own / f"{name}-engine"
        leaf.mkdir()
        for pid in (own / "cgroup.procs").read_text().split():
            (leaf / "cgroup.procs").write_text(pid)
        (own / "cgroup.subtree_control").write_text("+cpu +memory")
        (folder / "cgroup.subtree_control").write_text("+cpu +memory")
    except OSError:
        with contextlib.suppress(OSError):
            folder.rmdir()
        raise
    return folder


def unavailable() -> str | None:
    """Why limits cannot be applied here, or None if they can."""
    groups = _engine_groups()
    return groups if isinstance(groups, str) else None


@contextlib.contextmanager
def limit(name: str, pid: int, limits: Limits) -> Iterator[None]:
    """Hold a process and its children to limits for as long as the block lasts.

    Where the machine does not permit it, nothing happens; `unavailable` says why.
    """
    groups = _engine_groups() if limits.cpu or limits.memory else "no limits"
    if isinstance(groups, str):
        yield
        return
    folders: list[Path] = []
    try:
        for controller, group in groups.items():
            folder = group / name
            with contextlib.suppress(OSError):
                folder.mkdir(exist_ok=True)
                folders.append(folder)
                _apply(folder, controller, limits)
                (folder / "cgroup.procs").write_text(str(pid))
        yield
    finally:
        for folder in folders:
            with contextlib.suppress(OSError):
                folder.rmdir()


def _apply(folder: Path, controller: str, limits: Limits) -> None:
    if controller in ("", "cpu") and limits.cpu:
        quota = max(1000, int(limits.cpu * _PERIOD_US))
        if controller:
            (folder / "cpu.cfs_period_us").write_text(str(_PERIOD_US))
            (folder / "cpu.cfs_quota_us").write_text(str(quota))
        else:
            (folder / "cpu.max").write_text(f"{quota} {_PERIOD_US}")
    if controller in ("", "memory") and limits.memory:
        name = "memory.limit_in_bytes" if controller else "memory.max"
        (folder / name).write_text(str(int(limits.memory)))


def close() -> None:
    """Remove the engine's cgroups."""
    groups = _engine_groups()
    if not isinstance(groups, str):
        for folder in groups.values():
            for child in [*folder.glob("*/"), folder]:
                with contextlib.suppress(OSError):
                    child.rmdir()
