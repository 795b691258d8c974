"""A client's connection on which reading has an end and writing does not wait for ever.

A socket's timeout counts anew for each piece that comes. gunicorn reads on until it has as much as was asked for, so a
client that sends a byte now and then would hold a thread for days: here all pieces of a body share one deadline.
"""

from __future__ import annotations

import errno
import socket
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer as Buffer

UNKNOWN_BYTES = 8192  # what gunicorn asks for where it does not know how much is to come


class ClientSocket(socket.socket):
    """The socket of one client.

    Attributes:
        deadline: `time.monotonic()` after which nothing is received any more; None for no end. Left in the past, it
            makes gunicorn give the connection up instead of waiting for the rest of a body.
        send_seconds: how long the client may take for one piece of an answer.
    """

    deadline: float | None = None
    _least = 1
    send_seconds = 60.0

    def recv(self, bufsize: int, flags: int = 0, /) -> bytes:
        """What has come, as `socket.recv`.

        Raises:
            TimeoutError: nothing came before the deadline.
        """
        if self.deadline is not None and not flags & socket.MSG_DONTWAIT:
            left = self.deadline - time.monotonic()
            if left <= 0:
                raise TimeoutError("the deadline has passed")
            self.settimeout(left)
            # Where so much of a body is known to come: wake for all of it, not for each segment.
            self._wake_for(bufsize if bufsize > UNKNOWN_BYTES else 1)
        return super().recv(bufsize, flags)

    def _wake_for(self, least: int) -> None:
        """Count as readable only when so many bytes have come, or no more can."""
        if least != self._least:
            self._least = least
            self.setsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT, least)

    def receive_until(self, deadline: float | None) -> None:
        """Receive until then and no longer; None for no end."""
        self.deadline = deadline
        if deadline is None:
            self.settimeout(None)
            self._wake_for(1)

    def sendall(self, data: Buffer, flags: int = 0, /) -> None:
        """Send all of it.

        Raises:
            ConnectionResetError: the client did not take it within `send_seconds`, and counts as gone.
        """
        self.settimeout(self.send_seconds)
        try:
            super().sendall(data, flags)
        except TimeoutError:
            raise ConnectionResetError(errno.ECONNRESET, "the client does not read its answer") from None
        finally:
            self.settimeout(None)


def limit(connection: socket.socket | None, deadline: float | None) -> None:
    """Let a body be received until then and no longer.

    Args:
        connection: of our server; of another (the framework's own command line) each piece has that long anew.
        deadline: of `time.monotonic()`, or None for no end.
    """
    if isinstance(connection, ClientSocket):
        connection.receive_until(deadline)
    elif connection is not None:
        connection.settimeout(None if deadline is None else max(deadline - time.monotonic(), 0.001))
