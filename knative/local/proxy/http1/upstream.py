"""Connections to a pod: requests written anew from their parsed form, answers parsed and passed on as they come.

A connection carries one exchange at a time and is kept for the next. A pod that refuses the connection has not
seen the request, which goes elsewhere; one that breaks off has, and the client gets a 502.
"""

from __future__ import annotations

import asyncio
import socket

from knative.local.proxy.exchange import Exchange
from knative.local.proxy.http1 import writing
from knative.local.proxy.http1.response_reader import (
    BODY,
    CLOSED,
    COMPLETE,
    HEADERS,
    IDLE,
    TUNNEL,
    WAITING,
    ResponseReader,
)
from knative.local.proxy.pool import Pool

HEAD_BYTES = 256 * 1024
# A second response in the first one's bytes would become the answer to another client's request.
SURPLUS = "sent bytes beyond the end of a response: they were dropped and the connection was closed"
_PEEK = int(socket.MSG_PEEK | socket.MSG_DONTWAIT)
_IDEMPOTENT = frozenset({b"GET", b"HEAD", b"OPTIONS", b"TRACE"})


async def connect_tcp(pool: Pool, host: str, port: int) -> UpstreamConnection:
    """Open a connection to a TCP server.

    Raises:
        OSError: Nothing listens there.
    """
    loop = asyncio.get_running_loop()
    sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC)
    try:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        await loop.sock_connect(sock, (host, port))
        _, outbound = await loop.create_connection(lambda: UpstreamConnection(pool, sock), sock=sock)
    except BaseException:
        sock.close()
        raise
    return outbound


class UpstreamConnection(ResponseReader, asyncio.Protocol):
    """One connection to a server."""

    def __init__(self, pool: Pool, sock: socket.socket) -> None:
        super().__init__()
        self._pool = pool
        self._sock = sock
        self._transport: asyncio.Transport = None  # type: ignore[assignment]
        self._reused = False
        self._idle_since = self._loop.time()

    # The connection

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The server accepted it."""
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
        self._state = CLOSED
        self._transport.close()

    def break_off(self) -> None:
        """Close at once: the server is dead."""
        if self._exchange is None:
            self._state = CLOSED
        self._transport.abort()

    def send(self, exchange: Exchange) -> None:
        """Send the request; the response goes to the exchange's client."""
        self._expect(exchange)
        exchange.upstream = self
        exchange.touched = self._loop.time()
        self._transport.write(writing.request(exchange))

    def body(self, chunk: bytes) -> None:
        """Send a piece of the body, or of the tunnel."""
        exchange = self._exchange
        if exchange is None:
            return
        if self._state is TUNNEL:
            self._transport.write(chunk)
        elif exchange.request.upgrade is not None:
            exchange.hold(chunk)  # until the server has agreed to switch
        elif exchange.request.chunked:
            self._transport.write(writing.chunk(chunk))
        else:
            self._transport.write(chunk)

    def body_end(self) -> None:
        """Send the end of the body, with its trailers."""
        exchange = self._exchange
        if exchange is not None and exchange.request.chunked:
            self._transport.write(writing.last_chunk(exchange.request_trailers))

    def cancel(self) -> None:
        """Close at once: the response is not needed, and the server sees its client disconnect."""
        self._exchange = None
        self._state = CLOSED
        self._transport.abort()

    def pause(self) -> None:
        """Stop reading: the client is slower than the server."""
        if not self._transport.is_closing():
            self._transport.pause_reading()

    def resume(self) -> None:
        """Read on."""
        if not self._transport.is_closing():
            self._transport.resume_reading()

    def pause_writing(self) -> None:
        """Stop reading the client: it is faster than the server."""
        if self._exchange is not None:
            self._exchange.client.pause_body()

    def resume_writing(self) -> None:
        """Read the client on."""
        if self._exchange is not None:
            self._exchange.client.resume_body()

    def data_received(self, data: bytes) -> None:
        """Parse the response and pass it on."""
        exchange = self._exchange
        if exchange is None:
            if self._state is not CLOSED:
                self._pool.log(SURPLUS)
            self.close()
            return
        if self._state is TUNNEL:
            exchange.client.data(exchange, data)
            exchange.client.flush()
            return
        if self._state is WAITING:
            self._state = HEADERS
        if self._state is not BODY:
            self._counted += len(data)
        if self._parse(exchange, data) and self._exchange is exchange:
            self._proceed(exchange)

    def _proceed(self, exchange: Exchange) -> None:
        """Continue after a piece of the response."""
        if self._failure is not None:
            self._fail(f"{self._pool.name} {self._failure}")
        elif self._state is COMPLETE:
            self._finish(exchange)
        elif self._state is HEADERS and self._counted > HEAD_BYTES:
            self._fail(f"{self._pool.name} answered with more than {HEAD_BYTES:,} bytes of headers")
        else:
            exchange.client.flush()

    def _switch(self, exchange: Exchange, rest: bytes) -> None:
        """Handle a 101 response and the bytes after it."""
        if self._state is not TUNNEL:
            self._fail(f"{self._pool.name} switched protocols unasked")
            return
        exchange.client.flush()
        for chunk in exchange.take_pending():
            self._transport.write(chunk)
        if rest:
            self.data_received(rest)

    def eof_received(self) -> bool:
        """Close: the server has."""
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        """The server closed, or died."""
        exchange, self._exchange = self._exchange, None
        idle_for = self._loop.time() - self._idle_since if self._state is IDLE and self._reused else None
        self._pool.lost(self, idle_for)
        if exchange is None or exchange.done:
            return
        exchange.upstream = None
        tunnel = self._state is TUNNEL
        if tunnel or (self._until_close and self._state is BODY and exc is None):
            exchange.keep_alive = exchange.keep_alive and not tunnel
            exchange.body_done = exchange.body_done or tunnel
            exchange.complete()
            exchange.client.end(exchange)
        elif exchange.status:
            exchange.break_off()
        elif self._may_retry(exchange):
            # As Go's transport does: the server closed an idle connection just as the request went out.
            exchange.retried = True
            self._pool.send_fresh(exchange)
        else:
            exchange.answer(502, f"{self._pool.name} broke off before it answered")

    def _may_retry(self, exchange: Exchange) -> bool:
        request = exchange.request
        unanswered = self._reused and self._state is WAITING and not exchange.retried
        return unanswered and request.method in _IDEMPOTENT and not request.has_body and request.upgrade is None

    def _finish(self, exchange: Exchange) -> None:
        self._exchange = None
        exchange.upstream = None
        reusable = not self._surplus and exchange.body_done and self._keep_alive
        if reusable and exchange.request.upgrade is None:
            self._reused = True
            self._state = IDLE
            self._idle_since = self._loop.time()
            if self._bodiless:
                self._parser = None  # it would read the body that the next response has not, too
            self._pool.release(self)
        else:
            if self._surplus:
                self._pool.log(SURPLUS)
            self.close()
        exchange.complete()
        exchange.client.end(exchange)

    def _fail(self, text: str) -> None:
        exchange, self._exchange = self._exchange, None
        self._state = CLOSED
        self._transport.abort()
        if exchange is not None:
            exchange.upstream = None
            exchange.answer(502, text)
