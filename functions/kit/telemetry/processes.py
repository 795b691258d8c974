"""The processes of this server, their CPU time and memory."""

from __future__ import annotations

import os
import resource
import time
from pathlib import Path

from functions.kit.telemetry.procfs import read


class ProcessTree:
    """The processes of this server: those above it in its process group, and everything below.

    CPU times of running processes come from their CPU clocks (nanoseconds), not from /proc/PID/stat, whose ticks of
    10 ms are 4 % of a quarter second.
    """

    def __init__(self, proc: Path) -> None:
        self._proc = proc

    def kin(self, pid: int) -> bool:
        """Whether a process belongs to this server: in its process group, or the init of its session."""
        try:
            return pid > 0 and (os.getpgid(pid) == os.getpgrp() or (pid == 1 and os.getsid(pid) == os.getsid(0)))
        except ProcessLookupError:
            return True  # ended meanwhile
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
                waiting += [int(child) for child in (read(task / "children") or "").split()]
        return found

    def cpu(self) -> float:
        """CPU seconds of the running processes and of the children that they have waited for."""
        while True:
            ended = _seconds(resource.getrusage(resource.RUSAGE_CHILDREN))
            total = ended
            for pid in self.living():
                total += _clock(pid)
                if pid != os.getpid():
                    total += self._waited_for(pid)
            # A child that ends between two reads would be counted twice or not at all.
            if ended == _seconds(resource.getrusage(resource.RUSAGE_CHILDREN)):
                return total

    def memory(self) -> int:
        """Bytes of anonymous memory of the running processes."""
        pages = 0
        for pid in self.living():
            words = (read(self._proc / str(pid) / "statm") or "").split()
            if len(words) >= 3:
                pages += int(words[1]) - int(words[2])
        return pages * resource.getpagesize()

    def _stat(self, pid: int) -> list[str]:
        text = read(self._proc / str(pid) / "stat") or ""
        return text[text.rfind(")") + 1 :].split()  # the name before it may contain spaces and brackets

    def _parent(self, pid: int) -> int:
        fields = self._stat(pid)
        return int(fields[1]) if fields else 0

    def _waited_for(self, pid: int) -> float:
        fields = self._stat(pid)
        return (int(fields[13]) + int(fields[14])) / os.sysconf("SC_CLK_TCK") if fields else 0.0


def process_cpu(pid: int) -> float:
    """CPU seconds a living process has used, to the nanosecond.

    Raises:
        OSError: no such process, or no such clock.
    """
    # clock_getcpuclockid(3) on Linux: the inverted process id, above the three bits of the clock type
    # (2: as the scheduler counts).
    return time.clock_gettime(~pid << 3 | 2)


def run_delay(pid: int) -> float | None:
    """Seconds in which a process was runnable without a free core; None if the kernel does not count them."""
    words = (read(Path(f"/proc/{pid}/schedstat")) or "").split()
    return int(words[1]) / 1e9 if len(words) >= 2 else None


def _clock(pid: int) -> float:
    try:
        return process_cpu(pid)
    except OSError:
        return 0.0  # ended meanwhile


def _seconds(usage: resource.struct_rusage) -> float:
    return usage.ru_utime + usage.ru_stime


def _tasks(directory: Path) -> list[Path]:
    try:
        return list(directory.iterdir())
    except OSError:
        return []
