"""Client sockets with a deadline for a whole body and a timeout for each write.

A socket's timeout restarts with each piece received, and gunicorn reads until it has the requested size: a client that
sends a byte now and then would hold a thread indefinitely. Here all pieces of a body share one deadline.
"""

from __future__ import annotations

import errno
import socket
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer as Buffer

UNKNOWN_BYTES = 8192  # the size of gunicorn's reads of a body of unknown length


class ClientSocket(socket.socket):
    """The socket of one client.

    Attributes:
        deadline: `time.monotonic()` after which `recv` fails; None for no deadline. A past deadline makes gunicorn
            close the connection instead of waiting for the rest of a body.
        send_seconds: time limit for the client to receive one piece of a response.
    """

    deadline: float | None = None
    _least = 1
    send_seconds = 60.0

    def recv(self, bufsize: int, flags: int = 0, /) -> bytes:
        """Receive as `socket.recv` does.

        Raises:
            TimeoutError: no data before the deadline.
        """
        if self.deadline is not None and not flags & socket.MSG_DONTWAIT:
            left = self.deadline - time.monotonic()
            if left <= 0:
                raise TimeoutError("the deadline has passed")
            self.settimeout(left)
            # For a body of known length: wake up once, not for each segment.
            self._wake_for(bufsize if bufsize > UNKNOWN_BYTES else 1)
        return super().recv(bufsize, flags)

    def _wake_for(self, least: int) -> None:
        """Set the number of bytes from which the socket is readable (SO_RCVLOWAT)."""
        if least != self._least:
            self._least = least
            self.setsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT, least)

    def receive_until(self, deadline: float | None) -> None:
        """Set the deadline of all further reads; None for none."""
        self.deadline = deadline
        if deadline is None:
            self.settimeout(None)
            self._wake_for(1)

    def sendall(self, data: Buffer, flags: int = 0, /) -> None:
        """Send all of it.

        Raises:
            ConnectionResetError: the client did not receive it within `send_seconds`.
        """
        try:
            # Usually the kernel takes it all: three system calls less than with a timeout.
            sent = self.send(data, flags | socket.MSG_DONTWAIT)
        except BlockingIOError:
            sent = 0
        rest = memoryview(data)[sent:]
        if not rest:
            return
        self.settimeout(self.send_seconds)
        try:
            super().sendall(rest, flags)
        except TimeoutError:
            raise ConnectionResetError(errno.ECONNRESET, "the client does not read its response") from None
        finally:
            self.settimeout(None)


def limit(connection: socket.socket | None, deadline: float | None) -> None:
    """Set the deadline for receiving a body.

    Args:
        connection: the client's socket; other than a `ClientSocket` (the framework's own CLI), each piece
            has that time.
        deadline: a value of `time.monotonic()`, or None for none.
    """
    if isinstance(connection, ClientSocket):
        connection.receive_until(deadline)
    elif connection is not None:
        connection.settimeout(None if deadline is None else max(deadline - time.monotonic(), 0.001))
