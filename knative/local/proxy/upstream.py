"""Connections to a pod: requests written anew from their parsed form, answers parsed and passed on as they come.

A connection carries one exchange at a time and is kept for the next. A pod that refuses the connection has not
seen the request, which goes elsewhere; one that breaks off has, and the client gets a 502.
"""

from __future__ import annotations

import asyncio
import socket
from typing import Any

import httptools

from knative.local.proxy.exchange import Exchange, Headers
from knative.local.proxy.headers import read_answer
from knative.local.proxy.pool import Pool

HEAD_BYTES = 256 * 1024
# A second response in the first one's bytes would become the answer to another client's request.
SURPLUS = "sent bytes beyond the end of a response: they were dropped and the connection was closed"
_PEEK = int(socket.MSG_PEEK | socket.MSG_DONTWAIT)
_IDEMPOTENT = frozenset({b"GET", b"HEAD", b"OPTIONS", b"TRACE"})


async def connect_tcp(pool: Pool, host: str, port: int) -> Outbound:
    """Open a connection to a TCP server.

    Raises:
        OSError: Nobody listens there.
    """
    loop = asyncio.get_running_loop()
    sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC)
    try:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        await loop.sock_connect(sock, (host, port))
        _, outbound = await loop.create_connection(lambda: Outbound(pool, sock), sock=sock)
    except BaseException:
        sock.close()
        raise
    return outbound


class Outbound(asyncio.Protocol):
    """One connection to a server."""

    def __init__(self, pool: Pool, sock: socket.socket) -> None:
        self._pool = pool
        self._sock = sock
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport = None  # type: ignore[assignment]
        self._parser: Any = None
        self._exchange: Exchange | None = None
        self._reused = False
        self._idle_since = self._loop.time()
        self._reason = b""
        self._raw: Headers = []
        self._in_head = True
        self._head_bytes = 0
        self._interim = False
        self._head_only = False
        self._whole = False
        self._open_ended = False
        self._answered = False
        self._tunnel = False
        self._stray = False
        self._keep_alive = False
        self._given_up = False
        self._unasked = False

    # The connection

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The server took it."""
        self._transport = transport  # type: ignore[assignment]
        self._pool.opened(self)

    def usable(self, idle_seconds: float) -> bool:
        """Whether a request can still be sent: the server has neither closed it nor is about to."""
        if self._transport.is_closing() or self._loop.time() - self._idle_since > idle_seconds:
            return False
        try:
            # Nothing to read is the good case; an end, a reset and surplus bytes are all bad.
            surplus = self._sock.recv(1, _PEEK)
        except BlockingIOError:
            return True
        except OSError:
            return False
        if surplus:
            self._pool.log(SURPLUS)
        return False

    def close(self) -> None:
        """Close once everything is written."""
        self._given_up = True
        self._transport.close()

    def break_off(self) -> None:
        """The server is dead: whatever is under way is over."""
        self._given_up = True
        self._transport.abort()

    def send(self, exchange: Exchange) -> None:
        """Send the request; its answer goes to the exchange's client."""
        self._exchange = exchange
        self._parser = httptools.HttpResponseParser(self)
        self._in_head = True
        self._answered = self._whole = self._head_only = self._open_ended = False
        self._head_bytes = 0
        exchange.upstream = self
        head = [b"%s %s HTTP/1.1\r\nhost: %s\r\n" % (exchange.method, exchange.target, exchange.host)]
        head += [b"%s: %s\r\n" % header for header in exchange.headers]
        if exchange.chunked:
            head.append(b"transfer-encoding: chunked\r\n")
        elif exchange.length is not None:
            head.append(b"content-length: %d\r\n" % exchange.length)
        if exchange.upgrade is not None:
            head.append(b"connection: Upgrade\r\nupgrade: %s\r\n" % exchange.upgrade)
        head.append(b"\r\n")
        if exchange.upgrade is None:
            for chunk in exchange.take_pending():
                head.append(b"%x\r\n%s\r\n" % (len(chunk), chunk) if exchange.chunked else chunk)
            if exchange.body_done and exchange.chunked:
                head.append(b"0\r\n\r\n")
        self._transport.write(b"".join(head))

    def body(self, chunk: bytes) -> None:
        """Send a piece of the body, or of the tunnel."""
        exchange = self._exchange
        if exchange is None:
            return
        if self._tunnel:
            self._transport.write(chunk)
        elif exchange.upgrade is not None:
            exchange.hold(chunk)  # until the server has agreed to switch
        elif exchange.chunked:
            self._transport.write(b"%x\r\n%s\r\n" % (len(chunk), chunk))
        else:
            self._transport.write(chunk)

    def body_end(self) -> None:
        """The body is whole."""
        if self._exchange is not None and self._exchange.chunked:
            self._transport.write(b"0\r\n\r\n")

    def cancel(self) -> None:
        """Nobody waits for the answer: the server sees its client disconnect."""
        self._exchange = None
        self._given_up = True
        self._transport.abort()

    def pause(self) -> None:
        """The client is slower than the server."""
        if not self._transport.is_closing():
            self._transport.pause_reading()

    def resume(self) -> None:
        """The client takes more."""
        if not self._transport.is_closing():
            self._transport.resume_reading()

    def pause_writing(self) -> None:
        """The server is slower than the client."""
        if self._exchange is not None:
            self._exchange.client.pause_body()

    def resume_writing(self) -> None:
        """The server takes more."""
        if self._exchange is not None:
            self._exchange.client.resume_body()

    def data_received(self, data: bytes) -> None:  # noqa: C901 - one branch for each event of the parser
        """Parse the answer and pass it on."""
        exchange = self._exchange
        if exchange is None:
            if not self._given_up:
                self._pool.log(SURPLUS)
            self._given_up = True
            self._transport.abort()
            return
        if self._switched():
            exchange.client.data(exchange, data)
            exchange.client.flush()
            return
        self._answered = True
        if self._in_head:
            self._head_bytes += len(data)
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            if not self._whole:
                self._switch(exchange, data[upgrade.args[0] :])
                return
            self._stray = True
        except httptools.HttpParserError:
            self._stray = True
            if not self._whole:
                self._fail(f"{self._pool.name} answered something that is not HTTP")
                return
        if self._exchange is not exchange:
            return
        if self._unasked:
            self._fail(f"{self._pool.name} switched protocols unasked")
            return
        if self._in_head and self._head_bytes > HEAD_BYTES:
            self._fail(f"{self._pool.name} answered with too large a head")
            return
        if self._whole:
            self._finish(exchange)
        else:
            exchange.client.flush()

    def _switch(self, exchange: Exchange, rest: bytes) -> None:
        """Handle a 101 response and the bytes after it."""
        if not self._switched():
            self._fail(f"{self._pool.name} switched protocols unasked")
            return
        exchange.client.flush()
        for chunk in exchange.take_pending():
            self._transport.write(chunk)
        if rest:
            self.data_received(rest)

    def _switched(self) -> bool:
        return self._tunnel

    def eof_received(self) -> bool:
        """The server is done; so is the connection."""
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        """The server closed, or died."""
        exchange, self._exchange = self._exchange, None
        closed_idle = exchange is None and self._reused and not self._given_up
        idle_for = self._loop.time() - self._idle_since if closed_idle else None
        self._pool.lost(self, idle_for)
        if exchange is None or exchange.done:
            return
        exchange.upstream = None
        if self._tunnel or (self._open_ended and exc is None):
            exchange.keep_alive = exchange.keep_alive and not self._tunnel
            exchange.body_done = exchange.body_done or self._tunnel
            exchange.complete()
            exchange.client.end(exchange)
        elif exchange.status:
            exchange.break_off()
        elif (
            self._reused
            and not self._answered
            and not exchange.retried
            and exchange.method in _IDEMPOTENT
            and not exchange.has_body
            and exchange.upgrade is None
        ):
            # As Go's transport does: the server closed an idle connection just as the request went out.
            exchange.retried = True
            self._pool.send_fresh(exchange)
        else:
            exchange.answer(502, f"{self._pool.name} broke off before it answered")

    # The parser's calls

    def on_message_begin(self) -> None:
        """An answer begins."""
        if self._whole:
            self._stray = True
            return
        self._raw = []
        self._reason = b""
        self._in_head = True

    def on_status(self, reason: bytes) -> None:
        """Collect the reason."""
        self._reason += reason

    def on_header(self, name: bytes, value: bytes) -> None:
        """Collect a header; a trailer is dropped."""
        if self._in_head:
            self._raw.append((name, value))

    def on_headers_complete(self) -> None:
        """The head is whole: the client gets it."""
        exchange = self._exchange
        if exchange is None or self._whole:
            self._stray = True
            return
        self._in_head = False
        status = self._parser.get_status_code()
        head = read_answer(status, self._raw)
        self._interim = status < 200 and status != 101
        if self._interim:
            exchange.client.informational(exchange, status, self._reason, head.headers)
            return
        if status == 101:
            if exchange.upgrade is None:
                self._unasked = True
                return
            exchange.status = status
            self._tunnel = True
            exchange.client.tunnel(exchange, self._reason, head.headers)
            return
        exchange.status = status
        self._head_only = exchange.method == b"HEAD" or status in (204, 304)
        self._open_ended = head.length is None and not head.chunked and not self._head_only
        exchange.client.head(exchange, status, self._reason, head.headers, head.length)
        if self._head_only:
            self._whole = True
            self._keep_alive = self._parser.should_keep_alive()

    def on_body(self, chunk: bytes) -> None:
        """Pass a piece of the body on."""
        exchange = self._exchange
        if exchange is None or self._whole:
            self._stray = True
            return
        exchange.bytes_out += len(chunk)
        exchange.client.data(exchange, chunk)

    def on_message_complete(self) -> None:
        """The answer is whole, unless it was an interim one."""
        if self._whole:
            return
        if not self._interim and not self._tunnel:
            self._whole = True
            # Only now: the parser forgets it with the message.
            self._keep_alive = self._parser.should_keep_alive()

    def _finish(self, exchange: Exchange) -> None:
        self._exchange = None
        exchange.upstream = None
        reusable = not self._stray and exchange.body_done and self._keep_alive
        if reusable and exchange.upgrade is None:
            self._reused = True
            self._idle_since = self._loop.time()
            self._pool.release(self)
        else:
            if self._stray:
                self._pool.log(SURPLUS)
            self._given_up = True
            self._transport.close()
        exchange.complete()
        exchange.client.end(exchange)

    def _fail(self, text: str) -> None:
        exchange, self._exchange = self._exchange, None
        self._transport.abort()
        if exchange is not None:
            exchange.upstream = None
            exchange.answer(502, text)
