"""Which TCP ports a process listens on, read from /proc: no connection is made, and no privilege is needed."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

_LISTEN = "0A"
_PORT, _STATE, _INODE = 1, 3, 9


def _listeners(pid: int) -> Iterator[tuple[int, str]]:
    """Port and inode of each listening TCP socket in the network namespace of a process."""
    for table in ("tcp", "tcp6"):
        with contextlib.suppress(OSError):
            for line in Path(f"/proc/{pid}/net/{table}").read_text().splitlines()[1:]:
                fields = line.split()
                if len(fields) > _INODE and fields[_STATE] == _LISTEN:
                    yield int(fields[_PORT].rpartition(":")[2], 16), fields[_INODE]


def of_namespace(pid: int) -> set[int]:
    """The ports that anything listens on in the network namespace of a process."""
    return {port for port, _ in _listeners(pid)}


def addresses(pid: int) -> set[str]:
    """The IPv4 addresses of the network namespace of a process, the loopback's among them."""
    found: set[str] = set()
    with contextlib.suppress(OSError):
        last = ""
        for line in Path(f"/proc/{pid}/net/fib_trie").read_text().splitlines():
            if "|--" in line:
                last = line.rpartition(" ")[2]
            elif "/32 host LOCAL" in line:
                found.add(last)
    return found


def of_session(session: int) -> set[int]:
    """The ports that the processes of a session listen on."""
    inodes = {inode for pid in _members(session) for inode in _sockets(pid)}
    return {port for port, inode in _listeners(session) if inode in inodes} if inodes else set()


def _members(session: int) -> Iterator[int]:
    for entry in os.scandir("/proc"):
        if entry.name.isdigit():
            with contextlib.suppress(OSError, ValueError, IndexError):
                fields = Path(entry.path, "stat").read_text().rpartition(")")[2].split()
                if int(fields[3]) == session:
                    yield int(entry.name)


def _sockets(pid: int) -> Iterator[str]:
    with contextlib.suppress(OSError):
        for entry in os.scandir(f"/proc/{pid}/fd"):
            with contextlib.suppress(OSError):
                target = os.readlink(entry.path)  # noqa: PTH115 - a text, not a path
                if target.startswith("socket:["):
                    yield target[len("socket:[") : -1]
