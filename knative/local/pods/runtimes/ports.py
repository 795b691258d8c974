"""Ports for pods: each is one pod's alone for as long as it keeps it."""

from __future__ import annotations

import contextlib
import random
import socket
from collections.abc import Iterator

# Below the kernel's range for outgoing connections, which would otherwise take a port between its choice and its use.
_PORTS = range(20000, 32768)
_taken: set[int] = set()


@contextlib.contextmanager
def free_port() -> Iterator[int]:
    """A port on which nothing listens, and which no other pod of this engine is given meanwhile.

    Raises:
        OSError: No port is free.
    """
    first = random.randrange(len(_PORTS))
    candidates = (_PORTS[first + index - len(_PORTS)] for index in range(len(_PORTS)))  # a negative index wraps
    port = next((port for port in candidates if port not in _taken and _is_free(port)), None)
    if port is None:
        raise OSError("no free port left")
    _taken.add(port)
    try:
        yield port
    finally:
        _taken.discard(port)


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("0.0.0.0", port))
        except OSError:
            return False
    return True
