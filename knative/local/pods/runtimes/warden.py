"""Kills what an engine leaves behind: run as a process of its own, it waits for the engine's end.

Started as `python -I -S warden.py NAME=value` with a pipe from the engine as its standard input; the pipe ends
when the engine does, however it ends. Standard library only, so that it starts in 10 ms and holds 9 MB.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from pathlib import Path

_ROUNDS = 50


def sweep(token: bytes) -> int:
    """Kill every process whose environment holds `token`, until none is left.

    Returns:
        How many were killed.
    """
    killed: set[int] = set()
    for _ in range(_ROUNDS):
        found = [pid for pid in _carriers(token) if pid != os.getpid()]
        if not found:
            break
        for pid in found:
            try:
                os.kill(pid, signal.SIGKILL)
                killed.add(pid)
            except (ProcessLookupError, PermissionError):
                continue
        time.sleep(0.02)
    return len(killed)


def _carriers(token: bytes) -> list[int]:
    found = []
    for entry in os.scandir("/proc"):
        if not entry.name.isdigit():
            continue
        try:
            environment = Path(entry.path, "environ").read_bytes()
        except OSError:
            continue
        if token in environment.split(b"\0"):
            found.append(int(entry.name))
    return found


def main() -> None:
    """Wait for the end of standard input, then sweep."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    while os.read(0, 4096):
        pass
    sweep(sys.argv[1].encode())


if __name__ == "__main__":
    main()
