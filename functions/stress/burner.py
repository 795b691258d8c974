"""One child process: uses a share of a core, or holds memory, until its time is over or its parent is gone.

Started by `functions.stress.burn` as a bare interpreter without site packages (7 ms), in which only what is needed
here is imported. It gives way to the server by its niceness, and is the first choice of the out-of-memory killer.
"""

from __future__ import annotations

import os
import sys
import time
import zlib

from functions.stress import duty

PR_SET_PDEATHSIG = 1
SIGKILL = 9
PAGE = 4096
WORK = bytes(64 * 1024)  # one checksum of it takes some 30 µs

TOUCHED = b"touched"
EXIT_NO_MEMORY = 3


def die_with(parent: int) -> None:
    """Have the kernel kill this process when its parent ends, however that ends.

    Args:
        parent: id of the process that started this one. If it is gone already, the kernel will not say so any more,
            and this process ends here.
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


def touch(size: int) -> bytearray:
    """Memory of `size` bytes of which every page is really there.

    Raises:
        MemoryError: there is not so much.
    """
    block = bytearray(size)
    block[::PAGE] = b"\x01" * len(range(0, size, PAGE))
    return block


def main(arguments: list[str]) -> None:
    """Burn and hold as told.

    Args:
        arguments: id of the parent, monotonic time at which the burn began, niceness, seconds, load from 0 to 1, and
            bytes of memory. The CPU time counts from the start of the process, so that the start is part of the load.
    """
    parent, began, nice, seconds, load, memory = arguments
    start = float(began)
    die_with(int(parent))
    give_way(int(nice))
    if int(memory):
        try:
            held = touch(int(memory))
        except MemoryError:
            os._exit(EXIT_NO_MEMORY)
        os.write(1, TOUCHED)
    duty.run(
        float(load),
        float(seconds),
        elapsed=lambda: time.monotonic() - start,
        used=time.thread_time,
        work=lambda: zlib.crc32(WORK),
        sleep=time.sleep,
    )
    if int(memory):
        del held
    os._exit(0)


def start() -> None:
    """What the child is told to call: an interrupt from the terminal, which reaches the whole group, is no error."""
    try:
        main(sys.argv[1:])
    except KeyboardInterrupt:
        os._exit(130)
