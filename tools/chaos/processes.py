"""Processes by procfs: memory, open files and descendants."""

from __future__ import annotations

import contextlib
import os
import re
from pathlib import Path


def resident(pid: int) -> float:
    """MiB of a process that are not shared with files; 0 where it has ended."""
    try:
        words = Path(f"/proc/{pid}/statm").read_text().split()
    except OSError:
        return 0.0
    return (int(words[1]) - int(words[2])) * os.sysconf("SC_PAGESIZE") / 2**20


def below(pid: int) -> list[int]:
    """All descendants of a process."""
    found = [pid]
    for parent in found:
        # Any of them may end at any moment.
        with contextlib.suppress(OSError):
            for task in Path(f"/proc/{parent}/task").iterdir():
                found += map(int, (task / "children").read_text().split())
    return found[1:]


def open_files(pid: int) -> int:
    """How many files, sockets and pipes a process has open; 0 where it has ended."""
    try:
        return len(list(Path(f"/proc/{pid}/fd").iterdir()))
    except OSError:
        return 0


def reset_peaks(pids: list[int]) -> dict[int, int]:
    """Reset the peaks of memory; returns the KiB that each process holds now."""
    held = {}
    for pid in pids:
        try:
            Path(f"/proc/{pid}/clear_refs").write_text("5")
            held[pid] = _kibibytes(pid, "VmRSS")
        except OSError:
            continue  # it has just ended
    return held


def grown(held: dict[int, int]) -> float:
    """MiB by which the peaks of the processes have grown in total since `reset_peaks`, without ended ones."""
    return sum(max(0, _kibibytes(pid, "VmHWM") - before) for pid, before in held.items()) / 1024


def _kibibytes(pid: int, name: str) -> int:
    try:
        found = re.search(rf"^{name}:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text(), re.MULTILINE)
    except OSError:
        return 0
    return int(found[1]) if found else 0
