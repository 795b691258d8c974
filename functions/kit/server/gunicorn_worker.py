"""A gunicorn worker that starts a thread only for a request whose headers are complete.

gunicorn gives each new connection to a thread, which waits for the request: ten silent clients hold ten threads. Here a
connection waits in the poller until its headers are complete; headers that take too long or grow too large end the
connection. Bodies are bounded by `functions.kit.http.body`. Closing also waits in the poller; gunicorn would block
its loop for two seconds.
"""

from __future__ import annotations

import io
import re
import select
import selectors
import socket
import time
from collections import deque
from functools import partial
from typing import Protocol

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
# Of a request line, of a field of headers, and how many of these. Envoy allows 60 KiB for all, so that a long trace
# context passes.
LINE_BYTES, FIELD_BYTES, FIELDS = 4094, 16380, 100
HEADER_NAME = re.compile(r"[A-Za-z][A-Za-z-]{0,40}")
USUAL_HEAD_BYTES = 4096  # leaves most of a body that arrived with the headers in the socket
PEEK = socket.MSG_PEEK | socket.MSG_DONTWAIT
DRAIN_READS = 16
FOLLOW_MILLISECONDS = 5
END = b"\r\n\r\n"
# Requests refused before dispatch: status, slug and title by gunicorn's type of error.
REFUSALS: tuple[tuple[type[Exception], int, str, str], ...] = (
    (errors.LimitRequestLine, 414, "target-too-long", "URI Too Long"),
    (errors.LimitRequestHeaders, 431, "head-too-large", "Request Header Fields Too Large"),
    (errors.UnsupportedTransferCoding, 501, "transfer-coding", "Not Implemented"),
    (errors.ExpectationFailed, 417, "expectation", "Expectation Failed"),
    (errors.ParseException, 400, "malformed-request", "Bad Request"),
)
CONFIGURATION_ERRORS = (errors.ConfigurationProblem, errors.InvalidResponseHeader, errors.InvalidResponseHeaderName)


def refusal(error: errors.ParseException) -> bytes:
    """A complete response to a request that could not be parsed; the connection ends after it."""
    _, status, slug, title = next(row for row in REFUSALS if isinstance(error, row[0]))
    body = Problem(status, slug, title, _detail(error)).encode()
    head = (
        f"HTTP/1.1 {status} {title}\r\nConnection: close\r\nContent-Type: {MEDIA_TYPE}\r\n"
        f"Content-Length: {len(body)}\r\nX-Content-Type-Options: nosniff\r\nCache-Control: no-store\r\n"
        "Content-Security-Policy: default-src 'none'; frame-ancestors 'none'; sandbox\r\n\r\n"
    )
    return head.encode() + body


def _detail(error: errors.ParseException) -> str:
    """What of a request exceeds which limit, or cannot be parsed; nothing of its values but names of headers."""
    if isinstance(error, errors.LimitRequestLine):
        return f"the request line exceeds {LINE_BYTES:,} bytes; shorten the query"
    if isinstance(error, errors.LimitRequestHeaders):
        return (
            f"the headers exceed {HEAD_BYTES:,} bytes, {FIELD_BYTES:,} in one field, or {FIELDS} fields; "
            "send fewer or shorter ones"
        )
    if isinstance(error, errors.ExpectationFailed):
        return "the only expectation that is supported is 100-continue; send no other Expect header"
    if isinstance(error, errors.UnsupportedTransferCoding):
        return "the only transfer coding that is supported is chunked; send the body without another"
    fault = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", type(error).__name__).lower()
    header = str(getattr(error, "hdr", ""))
    return f"the request cannot be parsed: {fault}{f' {header}' if HEADER_NAME.fullmatch(header) else ''}"


class Unreader(Protocol):
    """gunicorn's buffer of bytes that were received and not parsed yet."""

    buf: io.BytesIO


class Parser(Protocol):
    """gunicorn's parser of a connection."""

    unreader: Unreader


class Connection(Protocol):
    """gunicorn's connection, with what this worker adds.

    Attributes:
        head_seen: bytes of headers at the last look, 0 when they are complete.
        dropped: bytes discarded after the last response.
        lingers: whether the connection only waits for its client to close.
    """

    sock: socket.socket
    parser: Parser | None
    timeout: float
    data_ready: bool
    head_seen: int
    dropped: int
    lingers: bool

    def set_timeout(self) -> None:
        """Set the timeout of an idle connection."""

    def close(self) -> None:
        """Close the socket."""


class PollingWorker(ThreadWorker):  # type: ignore[misc]
    """A worker that waits for request headers in the poller."""

    pending_conns: deque[Connection]
    _next_look = 0.0

    def enqueue_req(self, conn: Connection) -> None:
        """Give a connection to a thread, or back to the poller until its headers are complete."""
        if not isinstance(conn.sock, ClientSocket):
            conn.sock = sock = ClientSocket(fileno=conn.sock.detach())
            # A response may take as long as the whole request.
            sock.send_seconds = float(self.app.service.settings.timeout_seconds)
        head = self._arrived(conn)
        if head is None:
            self._end(conn)
        elif END in head or (head and len(head) == getattr(conn, "head_seen", 0)):  # complete, or the client closed
            if getattr(conn, "head_seen", 0):
                conn.head_seen = 0
                conn.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT, 1)
            conn.data_ready = True
            self.tpool.submit(self._serve, conn)
        elif len(head) >= HEAD_BYTES:
            self._refuse(conn)
        else:
            self._wait(conn, len(head))

    def _serve(self, conn: Connection) -> None:
        """Answer the requests of a connection in a thread, as long as one follows another.

        Then the connection returns to the poller, or to the loop, which alone removes connections.
        """
        while True:
            try:
                keep = self.handle(conn)
            except Exception:  # noqa: BLE001 - gunicorn closes the connection after any exception
                self.method_queue.defer(self._end, conn)
                return
            if not keep:
                self.method_queue.defer(self._linger, conn)
            elif self._ahead(conn):  # bytes that no longer make the socket readable
                self.method_queue.defer(self.enqueue_req, conn)
            elif not self.alive:
                self.method_queue.defer(self._keep, conn)
            elif self._follows(conn):
                continue
            else:
                self._keep(conn)
            return

    def _follows(self, conn: Connection) -> bool:
        """Whether the headers of the next request arrive at once and no other request waits for a thread.

        Handling them here saves two context switches and three system calls. A thread waits only while there is one
        for each connection, so that no other request waits for it.
        """
        if self.tpool._work_queue.qsize():  # noqa: SLF001 - no public way to read it
            return False
        if self.nr_conns <= self.cfg.threads:
            poll = select.poll()
            poll.register(conn.sock, select.POLLIN)
            if not poll.poll(FOLLOW_MILLISECONDS):
                return False
        return END in (self._arrived(conn) or b"")

    def _keep(self, conn: Connection) -> None:
        """Wait in the poller for the next request."""
        conn.sock.setblocking(False)
        conn.set_timeout()
        self.keepalived_conns.append(conn)
        if not self.alive:  # the loop may have shortened the other timeouts already
            conn.timeout = min(conn.timeout, time.monotonic() + STOP_KEEPALIVE_LINGER)
        try:
            self.poller.register(conn.sock, selectors.EVENT_READ, partial(self.on_client_socket_readable, conn))
        except (OSError, ValueError):
            self.keepalived_conns.remove(conn)
            self.method_queue.defer(self._end, conn)

    def murder_pending(self) -> None:
        """Close connections after their timeout; gunicorn expects them in the order of their timeouts."""
        now = time.monotonic()
        if now < self._next_look and self.alive:
            return  # runs at every turn of the loop, over thousands of connections
        self._next_look = now + LOOK_SECONDS
        self.pending_conns = deque(sorted(self.pending_conns, key=lambda conn: conn.timeout))
        super().murder_pending()

    def notify(self) -> None:
        """Skip the heartbeat if there is no timeout: it costs a system call at every turn of the loop."""
        if self.cfg.timeout:
            super().notify()

    def handle_error(self, req: object, client: socket.socket, addr: object, exc: Exception) -> None:
        """Answer a request that cannot be parsed with a problem in place of gunicorn's page."""
        if not isinstance(exc, errors.ParseException) or isinstance(exc, CONFIGURATION_ERRORS):
            super().handle_error(req, client, addr, exc)
            return
        self.log.warning("Refused a request: %s", type(exc).__name__)
        try:
            util.write_nonblock(client, refusal(exc))
        except OSError:
            pass  # the client does not read

    @staticmethod
    def _ahead(conn: Connection) -> bytes:
        """Bytes that gunicorn has received and not parsed yet."""
        return conn.parser.unreader.buf.getvalue() if conn.parser is not None else b""

    def _arrived(self, conn: Connection) -> bytes | None:
        """Unread bytes of the next request; None if the connection has ended without any."""
        ahead = self._ahead(conn)
        try:
            peeked = conn.sock.recv(USUAL_HEAD_BYTES, PEEK)
            if len(peeked) == USUAL_HEAD_BYTES and END not in peeked:
                peeked = conn.sock.recv(HEAD_BYTES, PEEK)
        except BlockingIOError:
            return ahead
        except OSError:
            return None
        return ahead + peeked or None

    def _wait(self, conn: Connection, arrived: int) -> None:
        """Wait in the poller for more bytes than have arrived."""
        now = time.monotonic()
        if not getattr(conn, "head_seen", 0):
            conn.timeout = now + (HEAD_SECONDS if arrived else self.cfg.keepalive)
        conn.head_seen = arrived
        ahead = len(self._ahead(conn))
        # Readable from one more byte on, or at the end.
        conn.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT, arrived - ahead + 1)
        conn.sock.setblocking(False)
        self.pending_conns.append(conn)
        self.poller.register(conn.sock, selectors.EVENT_READ, partial(self.on_pending_socket_readable, conn))

    def _refuse(self, conn: Connection) -> None:
        try:
            conn.sock.setblocking(False)
            conn.sock.send(refusal(errors.LimitRequestHeaders("all")))
            # Closing with unread bytes would reset the connection, and the client could lose the response.
            conn.sock.shutdown(socket.SHUT_WR)
            for _ in range(DRAIN_READS):
                if not conn.sock.recv(HEAD_BYTES):
                    break
        except OSError:
            pass  # the client does not read, or has sent no more
        self._end(conn)

    def _linger(self, conn: Connection) -> None:
        """Shut down writing, and close once the client closes or after LINGER_SECONDS.

        Closing with unread bytes would reset the connection, and the client could lose the end of its response
        (https://www.rfc-editor.org/rfc/rfc9112#section-9.6).
        """
        try:
            conn.sock.shutdown(socket.SHUT_WR)
            conn.sock.setblocking(False)
            self.poller.register(conn.sock, selectors.EVENT_READ, partial(self._drop, conn))
        except (OSError, ValueError):
            self._end(conn)  # the client has disconnected
            return
        conn.lingers = True
        conn.timeout = time.monotonic() + LINGER_SECONDS
        self.pending_conns.append(conn)

    def _drop(self, conn: Connection, client: socket.socket) -> None:
        """Discard what the client still sends, up to LINGER_BYTES, until it closes."""
        try:
            while data := client.recv(HEAD_BYTES, socket.MSG_DONTWAIT):
                conn.dropped = getattr(conn, "dropped", 0) + len(data)
                if conn.dropped > LINGER_BYTES:
                    break
        except BlockingIOError:
            return
        except OSError:
            pass  # disconnected
        self.poller.unregister(client)
        self.pending_conns.remove(conn)
        self._end(conn)

    def _end(self, conn: Connection) -> None:
        self.nr_conns -= 1
        conn.close()
