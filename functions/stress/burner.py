"""One child process: loads a core, memory, a disk or the network until its time is over or its parent has ended.

Started by `functions.stress.burn` as a bare interpreter without site packages (7 ms), in which only what is needed
here is imported. It gives way to the server by its niceness, and is the first choice of the out-of-memory killer.
"""

from __future__ import annotations

import os
import sys
import time
import zlib

from functions.stress import curve, duty

PR_SET_PDEATHSIG = 1
SIGKILL = 9
WORK = bytes(64 * 1024)  # one checksum of it takes some 30 µs

EXIT_NO_MEMORY, EXIT_NO_DEVICE = 3, 4
TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable


def die_with(parent: int) -> None:
    """Have the kernel kill this process when its parent ends, however that ends.

    Args:
        parent: id of the process that started this one. If that has ended already, this process ends here.
    """
    import ctypes

    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0)
    if os.getppid() != parent:
        os._exit(0)


def give_way(nice: int) -> None:
    """Add `nice` to the niceness, and be the first choice of the out-of-memory killer."""
    os.nice(nice)
    try:
        file = os.open("/proc/self/oom_score_adj", os.O_WRONLY)
        os.write(file, b"1000")
    except OSError:
        pass  # no /proc: the killer decides by itself


def main(arguments: list[str]) -> None:
    """Load what the arguments say.

    Args:
        arguments: id of the parent, monotonic time at which the burn began, niceness, kind of load, seconds, and what
            the kind needs: `cpu` a share of a core and a curve, `memory` bytes, leak and touch, `disk` a rate and a
            limit, `network` a rate. CPU time counts from the start of the process: the start is part of the load.
    """
    parent, began, nice, kind, seconds, *values = arguments
    start, length = float(began), float(seconds)
    die_with(int(parent))
    give_way(int(nice))

    def elapsed() -> float:
        return time.monotonic() - start

    try:
        if kind == "cpu":
            share, form = float(values[0]), curve.parse(values[1])
            duty.run(
                lambda moment: share * form.used_by(moment),
                length,
                elapsed=elapsed,
                used=time.thread_time,
                work=lambda: zlib.crc32(WORK),
                sleep=time.sleep,
            )
        else:
            _press(kind, values, length, elapsed)
    except MemoryError:
        os._exit(EXIT_NO_MEMORY)
    except OSError:
        os._exit(EXIT_NO_DEVICE)
    os._exit(0)


def _press(kind: str, values: list[str], length: float, elapsed: Callable[[], float]) -> None:
    from functions.stress import pressure

    if kind == "memory":
        pressure.hold(int(values[0]), float(values[1]), values[2] == "1", length, elapsed, time.sleep)
    else:
        step = pressure.disk(int(values[1]), elapsed) if kind == "disk" else pressure.network()
        pressure.pace(float(values[0]), length, step, elapsed, time.sleep)


def start() -> None:
    """The command of a child: an interrupt from the terminal, which reaches the whole group, is not an error."""
    try:
        main(sys.argv[1:])
    except KeyboardInterrupt:
        os._exit(130)
