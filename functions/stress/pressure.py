"""Memory, disk and network load, in a child process that reports how much it has done.

A child imports this in a bare interpreter: only what its kind of load needs is imported.
"""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

PAGE = 4096
CHUNK = 64 * 1024
TURN = 0.02
"""Seconds between two looks at how much is due."""
SYNC = 0.25
"""Seconds after which what was written is forced to the disk."""


REPORT = 0.5
"""Least seconds between two reports: the parent reads them at the end, so all must fit into the pipe."""


def report(done: int) -> None:
    """Report to the parent how many bytes are held, written or sent by now."""
    os.write(1, b"%d\n" % done)


def touch(block: bytearray) -> None:
    """Write to every page of a block, so that it is really there."""
    block[::PAGE] = b"\x01" * len(range(0, len(block), PAGE))


def hold(
    size: int, leak: float, again: bool, seconds: float, elapsed: Callable[[], float], sleep: Callable[[float], object]
) -> None:
    """Hold memory until the time is over.

    Args:
        size: bytes.
        leak: bytes a second by which it grows to that size; 0 for all at once.
        again: whether every page is written to again each second.
        seconds: when it ends.
        elapsed: seconds since the beginning.
        sleep: waits.

    Raises:
        MemoryError: there is not so much.
    """
    blocks: list[bytearray] = []
    held, touched, reported = 0, elapsed(), -REPORT
    while elapsed() < seconds:
        due = min(size, int(leak * elapsed())) if leak else size
        if due > held:
            blocks.append(bytearray(due - held))
            touch(blocks[-1])
            held = due
            if held == size or elapsed() - reported >= REPORT:
                reported = elapsed()
                report(held)
        if again and elapsed() - touched >= 1.0:
            touched = elapsed()
            for block in blocks:
                touch(block)
        sleep(max(0.0, min(TURN if held < size or again else seconds, seconds - elapsed())))
    report(held)


def pace(
    rate: float,
    seconds: float,
    step: Callable[[int], int],
    elapsed: Callable[[], float],
    sleep: Callable[[float], object],
) -> None:
    """Do `rate` bytes a second until the time is over; what could not be done in time is made up.

    Args:
        rate: bytes a second.
        seconds: when it ends.
        step: does at most so many bytes; returns how many.
        elapsed: seconds since the beginning.
        sleep: waits.
    """
    done, reported = 0, -REPORT
    while (now := elapsed()) < seconds:
        due = int(rate * min(now, seconds))
        while done < due and elapsed() < seconds:
            done += step(min(CHUNK, due - done))
        if elapsed() - reported >= REPORT:
            reported = elapsed()
            report(done)
        sleep(max(0.0, min(TURN, seconds - elapsed())))
    while done < int(rate * seconds) and elapsed() < seconds + TURN:
        done += step(min(CHUNK, int(rate * seconds) - done))
    report(done)


def disk(limit: int, elapsed: Callable[[], float]) -> Callable[[int], int]:
    """A step that writes to a temporary file without a name, and from its beginning again at the limit.

    Raises:
        OSError: there is no folder for temporary files that can be written.
    """
    folder = os.environ.get("TMPDIR") or "/tmp"  # noqa: S108 - the file never has a name
    try:
        file = os.open(folder, os.O_RDWR | os.O_TMPFILE)
    except OSError:
        path = f"{folder}/pixelamp-stress-{os.getpid()}"
        file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
        os.unlink(path)  # noqa: PTH108 - pathlib would cost most of the start
    data = os.urandom(CHUNK)
    at = 0
    synced = elapsed()

    def write(size: int) -> int:
        nonlocal at, synced
        if at + size > limit:
            at = 0
        written = os.pwrite(file, data[: min(size, limit)], at)
        at += written
        if elapsed() - synced >= SYNC:
            synced = elapsed()
            os.fdatasync(file)
        return written

    return write


def network() -> Callable[[int], int]:
    """A step that sends bytes over a TCP connection of the loopback interface and receives them."""
    import socket

    with socket.create_server(("127.0.0.1", 0)) as server:
        sender = socket.create_connection(server.getsockname())
        receiver, _ = server.accept()
    data = bytes(CHUNK)

    def send(size: int) -> int:
        sent = sender.send(data[:size])
        left = sent
        while left:
            left -= len(receiver.recv(left))
        return sent

    return send
