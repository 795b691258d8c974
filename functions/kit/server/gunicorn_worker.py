"""gunicorn's threads, given only to requests whose head has arrived.

gunicorn hands each new connection to a thread, which waits there for the request: ten clients that say nothing, or a
byte now and then, keep ten threads. Here a connection waits in the poller, at no cost, until its head is complete; a
head that takes too long or grows too large ends the connection. Bodies are bounded by `functions.kit.http.uploads`. The
client of a last answer is waited for in the poller as well, where gunicorn's loop would stand still for two seconds.
"""

from __future__ import annotations

import selectors
import socket
import time
from collections import deque
from concurrent.futures import Future
from functools import partial
from typing import Any

from gunicorn import util
from gunicorn.http import errors
from gunicorn.workers.gthread import STOP_KEEPALIVE_LINGER, ThreadWorker

from functions.kit.http.problems import MEDIA_TYPE, Problem
from functions.kit.server.deadlines import ClientSocket

HEAD_SECONDS = 10.0
LINGER_SECONDS = 2.0
LINGER_BYTES = 2**20
LOOK_SECONDS = 0.5
HEAD_BYTES = 64 * 1024
USUAL_HEAD_BYTES = 4096  # without most of the body that may have come with it
PEEK = socket.MSG_PEEK | socket.MSG_DONTWAIT
DRAIN_READS = 16
END = b"\r\n\r\n"
# What the server refuses before any function sees it: status, slug and title by gunicorn's kind of error.
REFUSALS: tuple[tuple[type[Exception], int, str, str], ...] = (
    (errors.LimitRequestLine, 414, "target-too-long", "URI Too Long"),
    (errors.LimitRequestHeaders, 431, "head-too-large", "Request Header Fields Too Large"),
    (errors.UnsupportedTransferCoding, 501, "transfer-coding", "Not Implemented"),
    (errors.ExpectationFailed, 417, "expectation", "Expectation Failed"),
    (errors.ParseException, 400, "malformed-request", "Bad Request"),
)
OUR_OWN = (errors.ConfigurationProblem, errors.InvalidResponseHeader, errors.InvalidResponseHeaderName)


def refusal(kind: type[Exception]) -> bytes:
    """A whole response to a request that could not be read, after which the connection ends."""
    _, status, slug, title = next(row for row in REFUSALS if issubclass(kind, row[0]))
    body = Problem(status, slug, title, f"the request cannot be read: {kind.__name__}").encode()
    head = (
        f"HTTP/1.1 {status} {title}\r\nConnection: close\r\nContent-Type: {MEDIA_TYPE}\r\n"
        f"Content-Length: {len(body)}\r\nX-Content-Type-Options: nosniff\r\nCache-Control: no-store\r\n"
        "Content-Security-Policy: default-src 'none'; frame-ancestors 'none'; sandbox\r\n\r\n"
    )
    return head.encode() + body


class PatientWorker(ThreadWorker):  # type: ignore[misc]
    """A worker whose threads never wait for a head."""

    pending_conns: deque[Any]
    _next_look = 0.0

    def enqueue_req(self, conn: Any) -> None:
        """Give a connection to a thread, or back to the poller until there is a whole head to read."""
        if not isinstance(conn.sock, ClientSocket):
            conn.sock = ClientSocket(fileno=conn.sock.detach())
            # No answer may be waited for longer than its whole request.
            conn.sock.send_seconds = float(self.app.service.settings.timeout_seconds)
        head = self._arrived(conn)
        if head is None:
            self._end(conn)
        elif END in head or (head and len(head) == getattr(conn, "head_seen", 0)):  # whole, or ended before its end
            if getattr(conn, "head_seen", 0):
                conn.head_seen = 0
                conn.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT, 1)
            conn.data_ready = True
            self.tpool.submit(self.handle, conn).add_done_callback(partial(self._answered, conn))
        elif len(head) >= HEAD_BYTES:
            self._refuse(conn)
        else:
            self._wait(conn, len(head))

    def _answered(self, conn: Any, done: Future[Any]) -> None:
        """Go on with a connection that has been answered, in the thread that has: to wake the loop costs two switches.

        Its next request, if that is there, is handled here too; else the connection goes back into the poller.
        What is not plain keeping is left to the loop. Of all that this touches the loop alone takes things away.
        """
        while True:
            try:
                keep = done.result() is True and self.alive and not conn.parser.unreader.buf.getvalue()
            except Exception:  # noqa: BLE001 - gunicorn closes such a connection, whatever it was
                keep = False
            if not keep:
                self.method_queue.defer(self.finish_request, conn, done)
                return
            if not self._follows(conn):
                break
            done = Future()
            try:
                done.set_result(self.handle(conn))
            except Exception as error:  # noqa: BLE001 - as the executor does
                done.set_exception(error)
        conn.sock.setblocking(False)
        conn.set_timeout()
        self.keepalived_conns.append(conn)
        if not self.alive:  # since a moment ago: the loop may have shortened all waiting before this one's
            conn.timeout = min(conn.timeout, time.monotonic() + STOP_KEEPALIVE_LINGER)
        try:
            self.poller.register(conn.sock, selectors.EVENT_READ, partial(self.on_client_socket_readable, conn))
        except (OSError, ValueError):
            self.keepalived_conns.remove(conn)
            self.method_queue.defer(self._end, conn)

    def _follows(self, conn: Any) -> bool:
        """Whether the head of the next request is there already, and no other request waits for this thread."""
        waiting = self.tpool._work_queue.qsize()  # noqa: SLF001 - nothing else tells
        return not waiting and END in (self._arrived(conn) or b"")

    def finish_request(self, conn: Any, fs: Future[Any]) -> None:
        """Keep the connection, or end it without waiting for its client in the loop that all others need."""
        try:
            ended = not fs.result()
        except Exception:  # noqa: BLE001 - gunicorn closes such a connection, whatever it was
            ended = False
        if ended:
            self._linger(conn)
        else:
            super().finish_request(conn, fs)

    def murder_pending(self) -> None:
        """Close the connections that are late, of which gunicorn expects the first to be the first in the queue."""
        now = time.monotonic()
        if now < self._next_look and self.alive:
            return  # there may be thousands, and this runs at every turn of the loop
        self._next_look = now + LOOK_SECONDS
        self.pending_conns = deque(sorted(self.pending_conns, key=lambda conn: conn.timeout))
        super().murder_pending()

    def notify(self) -> None:
        """Nothing where no timeout reads the heartbeat: it costs a system call at every turn of the loop."""
        if self.cfg.timeout:
            super().notify()

    def handle_error(self, req: Any, client: Any, addr: Any, exc: Exception) -> None:
        """Answer what cannot be read with a problem, like everything else, and not with gunicorn's page."""
        if not isinstance(exc, errors.ParseException) or isinstance(exc, OUR_OWN):
            super().handle_error(req, client, addr, exc)
            return
        self.log.warning("Refused a request: %s", type(exc).__name__)
        try:
            util.write_nonblock(client, refusal(type(exc)))
        except OSError:
            pass  # it does not listen

    def _arrived(self, conn: Any) -> bytes | None:
        """What has come of the next head and was not read yet; None where the connection has ended without any."""
        ahead = conn.parser.unreader.buf.getvalue() if conn.parser is not None else b""
        try:
            peeked = conn.sock.recv(USUAL_HEAD_BYTES, PEEK)
            if len(peeked) == USUAL_HEAD_BYTES and END not in peeked:
                peeked = conn.sock.recv(HEAD_BYTES, PEEK)
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
            conn.sock.send(refusal(errors.LimitRequestHeaders))
            # Closing with bytes unread would reset the connection, and the answer with it.
            conn.sock.shutdown(socket.SHUT_WR)
            for _ in range(DRAIN_READS):
                if not conn.sock.recv(HEAD_BYTES):
                    break
        except OSError:
            pass  # it does not listen, or there is no more for now
        self._end(conn)

    def _linger(self, conn: Any) -> None:
        """Say that no more comes, and close when the client has read that and closes too, or after a while.

        Closing with bytes unread would reset the connection, and what the client has not read of its answer with it
        (https://www.rfc-editor.org/rfc/rfc9112#section-9.6).
        """
        try:
            conn.sock.shutdown(socket.SHUT_WR)
            conn.sock.setblocking(False)
            self.poller.register(conn.sock, selectors.EVENT_READ, partial(self._drop, conn))
        except (OSError, ValueError):
            self._end(conn)  # the client is gone
            return
        conn.lingers = True
        conn.timeout = time.monotonic() + LINGER_SECONDS
        self.pending_conns.append(conn)

    def _drop(self, conn: Any, client: Any) -> None:
        """Throw away what an ended connection still sends, up to a mebibyte, until its client closes it."""
        try:
            while data := client.recv(HEAD_BYTES, socket.MSG_DONTWAIT):
                conn.dropped = getattr(conn, "dropped", 0) + len(data)
                if conn.dropped > LINGER_BYTES:
                    break
        except BlockingIOError:
            return
        except OSError:
            pass  # it is gone
        self.poller.unregister(client)
        self.pending_conns.remove(conn)
        self._end(conn)

    def _end(self, conn: Any) -> None:
        self.nr_conns -= 1
        conn.close()
