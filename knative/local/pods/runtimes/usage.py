"""CPU and memory of a process and all its descendants, read from /proc."""

from __future__ import annotations

import contextlib
import os
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

_TICKS = os.sysconf("SC_CLK_TCK")
_PAGE = os.sysconf("SC_PAGE_SIZE")
_PARENT, _USER, _SYSTEM, _ENDED_USER, _ENDED_SYSTEM, _RESIDENT = 1, 11, 12, 13, 14, 21


@dataclass(frozen=True)
class Usage:
    """CPU seconds used by now, and resident bytes."""

    cpu_seconds: float = 0.0
    memory_bytes: int = 0


def of_trees(roots: Iterable[int]) -> dict[int, Usage]:
    """The use of each process with its descendants, those that have ended included for CPU."""
    children: dict[int, list[int]] = defaultdict(list)
    single: dict[int, Usage] = {}
    for pid, fields in _stats():
        children[int(fields[_PARENT])].append(pid)
        ticks = sum(int(fields[index]) for index in (_USER, _SYSTEM, _ENDED_USER, _ENDED_SYSTEM))
        single[pid] = Usage(ticks / _TICKS, int(fields[_RESIDENT]) * _PAGE)
    found = {}
    for root in roots:
        waiting, cpu, memory = [root], 0.0, 0
        while waiting:
            pid = waiting.pop()
            usage = single.get(pid, Usage())
            cpu, memory = cpu + usage.cpu_seconds, memory + usage.memory_bytes
            waiting += children.get(pid, [])
        found[root] = Usage(cpu, memory)
    return found


def _stats() -> Iterator[tuple[int, list[str]]]:
    for entry in os.scandir("/proc"):
        if entry.name.isdigit():
            with contextlib.suppress(OSError):
                yield int(entry.name), Path(entry.path, "stat").read_text().rpartition(")")[2].split()
