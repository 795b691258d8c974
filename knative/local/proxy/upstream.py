"""Connections to a pod: requests written anew from their parsed form, answers parsed and passed on as they come.

A connection carries one exchange at a time and is kept for the next. A pod that refuses the connection has not
seen the request, which goes elsewhere; one that breaks off has, and the client gets a 502.
"""

from __future__ import annotations

import asyncio
import enum
import socket
from typing import Any

import httptools

from knative.local.proxy import writing
from knative.local.proxy.exchange import Exchange, Headers
from knative.local.proxy.headers import read_answer, trailers_of
from knative.local.proxy.pool import Pool

HEAD_BYTES = 256 * 1024
# A second response in the first one's bytes would become the answer to another client's request.
SURPLUS = "sent bytes beyond the end of a response: they were dropped and the connection was closed"
TRAILER_BYTES = 64 * 1024
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


def _parser(connection: UpstreamConnection) -> Any:
    """A parser of answers that, as Go's, reads bare line feeds, and chunks beside a length.

    The answer is written anew and what follows it is dropped, so that its client cannot read it in another way.
    """
    parser = httptools.HttpResponseParser(connection)
    parser.set_dangerous_leniencies(lenient_chunked_length=True, lenient_optional_cr_before_lf=True)
    return parser


class State(enum.Enum):
    """What a connection is doing."""

    IDLE = "idle"  # carries no exchange
    WAITING = "waiting"  # the request is sent, and no byte of a response has come
    HEADERS = "headers"  # reads the headers of a response
    INTERIM = "interim"  # has read those of an interim response (1xx)
    BODY = "body"
    COMPLETE = "complete"  # the response is whole: what follows is surplus
    TUNNEL = "tunnel"  # bytes pass as they are
    CLOSED = "closed"  # closed by this side


# To look up a member of an enum costs 0.1 µs in Python 3.11, as much as a header's whole handling.
IDLE, WAITING, HEADERS, INTERIM, BODY, COMPLETE, TUNNEL, CLOSED = State


class UpstreamConnection(asyncio.Protocol):
    """One connection to a server."""

    def __init__(self, pool: Pool, sock: socket.socket) -> None:
        self._pool = pool
        self._sock = sock
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport = None  # type: ignore[assignment]
        self._parser: Any = None
        self._exchange: Exchange | None = None
        self._state = IDLE
        self._reused = False
        self._idle_since = self._loop.time()
        self._reason = b""
        self._raw: Headers = []
        self._trailers: Headers = []
        self._counted = 0  # bytes of headers or trailers
        self._until_close = False  # the end of the connection is the end of the response
        self._keep_alive = False
        self._bodiless = False
        self._surplus = False
        self._failure: str | None = None

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
        self._exchange = exchange
        if self._parser is None:
            self._parser = _parser(self)
        self._state = WAITING
        self._until_close = self._surplus = False
        self._failure = None
        self._counted = 0
        self._trailers = []
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

    def _parse(self, exchange: Exchange, data: bytes) -> bool:
        """Feed the parser; False where what follows is not the parser's any more."""
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            if self._state is not COMPLETE:
                self._switch(exchange, data[upgrade.args[0] :])
                return False
            self._surplus = True
        except httptools.HttpParserError as error:
            self._surplus = True
            if self._state is not COMPLETE and self._failure is None:
                self._failure = f"answered something that is not HTTP: {error}"
        return True

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

    # The parser's calls

    def on_message_begin(self) -> None:
        """A response begins."""
        if self._state is COMPLETE:
            self._surplus = True
            return
        self._raw = []
        self._reason = b""
        self._state = HEADERS

    def on_status(self, reason: bytes) -> None:
        """Collect the reason."""
        self._reason += reason

    def on_header(self, name: bytes, value: bytes) -> None:
        """Collect a header or, after the body, a trailer."""
        if self._state is HEADERS:
            self._raw.append((name, value))
        elif self._state is BODY:
            self._counted += len(name) + len(value)
            self._trailers.append((name.lower(), value))
            if self._counted > TRAILER_BYTES:
                self._failure = f"answered with more than {TRAILER_BYTES:,} bytes of trailers"
                raise ValueError(self._failure)

    def on_headers_complete(self) -> None:
        """Pass the headers on."""
        exchange = self._exchange
        if exchange is None or self._state is COMPLETE:
            self._surplus = True
            return
        status = self._parser.get_status_code()
        answer = read_answer(status, self._raw)
        self._counted = 0
        exchange.touched = self._loop.time()
        if answer.mistake is not None:
            self._failure = answer.mistake
            raise ValueError(answer.mistake)
        if status == 101:
            self._begin_tunnel(exchange, answer.headers)
        elif status < 200:
            self._state = INTERIM
            exchange.client.informational(exchange, status, self._reason, answer.headers)
        else:
            exchange.status = status
            self._bodiless = bodiless = exchange.request.method == b"HEAD" or status in (204, 304)
            self._until_close = answer.length is None and not answer.chunked and not bodiless
            exchange.client.head(exchange, status, self._reason, answer.headers, answer.length)
            self._state = BODY
            if bodiless:
                self._state = COMPLETE
                self._keep_alive = self._parser.should_keep_alive()

    def _begin_tunnel(self, exchange: Exchange, headers: Headers) -> None:
        if exchange.request.upgrade is None:
            self._failure = "switched protocols unasked"
            return
        exchange.status = 101
        self._state = TUNNEL
        exchange.client.tunnel(exchange, self._reason, headers)

    def on_body(self, chunk: bytes) -> None:
        """Pass a piece of the body on."""
        exchange = self._exchange
        if exchange is None or self._state is COMPLETE:
            self._surplus = True
            return
        exchange.bytes_out += len(chunk)
        exchange.touched = self._loop.time()
        exchange.client.data(exchange, chunk)

    def on_message_complete(self) -> None:
        """Note that the response is whole, unless it was an interim one."""
        if self._state is BODY:
            self._state = COMPLETE
            # Only now: the parser forgets it with the message.
            self._keep_alive = self._parser.should_keep_alive()
            if self._exchange is not None:
                self._exchange.trailers = trailers_of(self._trailers)

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
