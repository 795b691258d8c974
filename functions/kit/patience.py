"""gunicorn's threads, given only to requests whose head has arrived.

gunicorn hands each new connection to a thread, which waits there for the request: ten clients that say nothing, or a
byte now and then, keep ten threads. Here a connection waits in the poller, at no cost, until its head is complete; a
head that takes too long or grows too large ends the connection. Bodies are bounded by `functions.kit.uploads`.
"""

from __future__ import annotations

import selectors
import socket
import time
from collections import deque
from functools import partial
from typing import Any

from gunicorn.workers.gthread import ThreadWorker

HEAD_SECONDS = 10.0
HEAD_BYTES = 64 * 1024
END = b"\r\n\r\n"
TOO_LARGE = b"HTTP/1.1 431 Request Header Fields Too Large\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"


class PatientWorker(ThreadWorker):  # type: ignore[misc]
    """A worker whose threads never wait for a head."""

    pending_conns: deque[Any]

    def enqueue_req(self, conn: Any) -> None:
        """Give a connection to a thread, or back to the poller until there is a whole head to read."""
        head = self._arrived(conn)
        if head is None:
            self._end(conn)
        elif END in head or (head and len(head) == getattr(conn, "head_seen", 0)):  # whole, or ended before its end
            conn.head_seen = 0
            conn.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT, 1)
            super().enqueue_req(conn)
        elif len(head) >= HEAD_BYTES:
            self._refuse(conn)
        else:
            self._wait(conn, len(head))

    def murder_pending(self) -> None:
        """Close the connections that are late, of which gunicorn expects the first to be the first in the queue."""
        self.pending_conns = deque(sorted(self.pending_conns, key=lambda conn: conn.timeout))
        super().murder_pending()

    def _arrived(self, conn: Any) -> bytes | None:
        """What has come of the next head and was not read yet; None where the connection has ended without any."""
        ahead = conn.parser.unreader.buf.getvalue() if conn.parser is not None else b""
        try:
            peeked = conn.sock.recv(HEAD_BYTES, socket.MSG_PEEK | socket.MSG_DONTWAIT)
        except BlockingIOError:
            return bytes(ahead)
        except OSError:
            return None
        return bytes(ahead + peeked) or None

    def _wait(self, conn: Any, arrived: int) -> None:
        """Wait in the poller for more than has arrived."""
        now = time.monotonic()
        if not getattr(conn, "head_seen", 0):
            conn.timeout = now + (HEAD_SECONDS if arrived else self.cfg.keepalive)
        conn.head_seen = arrived
        ahead = len(conn.parser.unreader.buf.getvalue()) if conn.parser is not None else 0
        # Readable means: a byte more than is there, or the end.
        conn.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT, arrived - ahead + 1)
        conn.sock.setblocking(False)
        self.pending_conns.append(conn)
        self.poller.register(conn.sock, selectors.EVENT_READ, partial(self.on_pending_socket_readable, conn))

    def _refuse(self, conn: Any) -> None:
        try:
            conn.sock.setblocking(False)
            conn.sock.send(TOO_LARGE)
        except OSError:
            pass  # it does not listen
        self._end(conn)

    def _end(self, conn: Any) -> None:
        self.nr_conns -= 1
        conn.close()
