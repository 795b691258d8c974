"""A client's connection to the route: HTTP/1.1 requests in, answers out, in order.

After a request that is refused the connection is closed, and what goes on to a pod is written anew from the parsed
message, so that two readings of one message cannot differ.
"""

from __future__ import annotations

import asyncio
from collections import deque

import httptools

from knative.local.proxy.dispatching import Dispatcher
from knative.local.proxy.exchange import Exchange, Headers, Refusal, Request, Upstream
from knative.local.proxy.headers import HEAD_BYTES, RefusedError, head_too_large
from knative.local.proxy.http1.request_reader import HEADERS, LINGERING, RESUMED, TUNNEL, RequestReader
from knative.local.proxy.http1.writing import ResponseWriter

PIPELINED = 100  # requests that wait for the one before them
HEAD_SECONDS = 10.0  # a head that takes longer is a slow loris
IDLE_SECONDS = 120.0  # longer than the 90 s for which proxies reuse an idle connection
# Of an unread body, so that the answer reaches a client that sends all of it before it reads.
LINGER_BYTES = 64 << 20
LINGER_SECONDS = 10.0
# Half-closing and leaving look the same to a server. An answer that comes this soon still goes out.
HALF_CLOSED_SECONDS = 0.5


class DownstreamConnection(RequestReader, asyncio.Protocol):
    """One connection of one client. Requests that come pipelined wait for the one before them.

    Args:
        dispatcher: Answers the requests.
        peer: The client's address.
    """

    def __init__(self, dispatcher: Dispatcher, peer: str) -> None:
        super().__init__(peer)
        self._dispatcher = dispatcher
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport = None  # type: ignore[assignment]
        self._writer = ResponseWriter()
        self._current: Exchange | None = None
        self._backlog: deque[Exchange] = deque()
        self._tunnel: Upstream | None = None
        self._half_closed = False
        self._paused = 0
        self._linger = 0
        self.deadline = self._loop.time() + HEAD_SECONDS

    # The connection

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Record the connection."""
        self._transport = transport  # type: ignore[assignment]
        self._dispatcher.connections.add(self)

    def connection_lost(self, exc: Exception | None) -> None:
        """Cancel the requests of a client that has disconnected."""
        self._dispatcher.connections.discard(self)
        self._phase = LINGERING
        current, self._current = self._current, None
        backlog, self._backlog = self._backlog, deque()
        if self._tunnel is not None:
            self._tunnel.cancel()
        for exchange in (*backlog, *([current] if current is not None else [])):
            exchange.client_gone()

    def eof_received(self) -> bool:
        """Wait a moment: the client has half-closed the connection or has disconnected."""
        if self._current is None:
            return False
        self._half_closed = True
        if self._receiving is not None and not self._receiving.body_done:
            return False  # the body can never be whole
        self._loop.call_later(HALF_CLOSED_SECONDS, self._give_up)
        return True

    def _give_up(self) -> None:
        if self._current is not None and self._tunnel is None and not self._current.status:
            self._transport.abort()

    def data_received(self, data: bytes) -> None:
        """Parse what came, or hand it on if the connection is a tunnel."""
        if self._tunnel is not None:
            self._tunnel.body(data)
            return
        if self._phase is LINGERING:
            self._linger += len(data)
            if self._linger > LINGER_BYTES:
                self._transport.abort()
            return
        if self._phase is HEADERS:
            room = HEAD_BYTES + 1 - self._head_bytes
            if len(data) > room > 0:  # the limit is that of a head, not of one read: look again where it is passed
                self.data_received(data[:room])
                self.data_received(data[room:])
                return
            self._head_bytes += len(data)
            if self._receiving is None and self._head_bytes == len(data):
                self.deadline = self._loop.time() + HEAD_SECONDS
        else:
            self._between += len(data)
        self._parse(data)

    def _parse(self, data: bytes) -> None:
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            self._switched(data[upgrade.args[0] :])
        except httptools.HttpParserCallbackError as error:
            if self._refusal is None:
                self._refusal = RefusedError(500, "internal error")
                context = {"message": "internal error in a request", "exception": error.__context__ or error}
                self._loop.call_exception_handler(context)
            self._refuse()
        except httptools.HttpParserError as error:
            self._refuse(str(error))
        else:
            if (size := max(self._head_bytes, self._between)) > HEAD_BYTES:
                self._refusal = head_too_large(size)
                self._refuse()

    def _switched(self, rest: bytes) -> None:
        """The parser stopped after a head that asks for another protocol."""
        exchange = self._receiving
        if exchange is None:
            self._refuse()
            return
        self._parser = httptools.HttpRequestParser(self)
        request = exchange.request
        if request.upgrade is not None:
            exchange.body_done = False  # what follows is the tunnel's, once the pod agrees
            if rest:
                exchange.feed(rest)
            return
        # Not a protocol that is passed on: the message is an ordinary one, and its body follows.
        length = b"content-length: %d" % (request.length or 0)
        framing = b"transfer-encoding: chunked" if request.chunked else length
        self._phase = RESUMED
        self.data_received(b"%s / HTTP/1.1\r\n%s\r\n\r\n%s" % (request.method, framing, rest))

    def _refuse(self, reason: str = "") -> None:
        refusal = self._refusal or RefusedError(400, f"bad request: {reason}" if reason else "bad request")
        self._phase = LINGERING
        if self._receiving is not None and not self._receiving.body_done:
            # Its framing is broken: what has begun cannot be finished.
            if self._receiving is self._current and not self._current.done and not self._current.status:
                self._current.keep_alive = False
                self._current.answer(refusal.status, refusal.text)
                return
            self._transport.abort()
            return
        refused = Exchange(self, Request(method=b"GET", target=b"", peer=self._peer), keep_alive=False)
        if self._current is None:
            self._current = refused
            refused.answer(refusal.status, refusal.text)
        else:
            self._transport.pause_reading()
            refused.refusal = Refusal(refusal.status, refusal.text)
            self._backlog.append(refused)

    # What the reader calls

    @property
    def _client(self) -> DownstreamConnection:
        return self

    def _full(self) -> RefusedError | None:
        if len(self._backlog) < PIPELINED:
            return None
        return RefusedError(429, f"too many requests in the pipeline: at most {PIPELINED} wait for the one before them")

    def _received(self, exchange: Exchange) -> None:
        exchange.keep_alive = exchange.keep_alive and not self._half_closed
        self.deadline = float("inf")
        if self._current is None:
            self._begin(exchange)
        else:
            self._backlog.append(exchange)
            if len(self._backlog) == 1:
                self._transport.pause_reading()

    def _received_whole(self, exchange: Exchange) -> None:
        if exchange is not self._current and exchange.done:
            self._after(exchange)

    # The answers

    def _begin(self, exchange: Exchange) -> None:
        self._current = exchange
        self._dispatcher.dispatch(exchange)

    def head(self, exchange: Exchange, status: int, reason: bytes, headers: Headers, length: int | None) -> None:
        """Write the answer's head."""
        if not exchange.body_done and (status >= 400 or self._phase is LINGERING):
            exchange.keep_alive = False
        self._writer.head(exchange, status, reason, headers, length)

    def informational(self, exchange: Exchange, status: int, reason: bytes, headers: Headers) -> None:
        """Write an interim answer."""
        self._writer.informational(exchange, status, reason, headers)

    def data(self, exchange: Exchange, chunk: bytes) -> None:
        """Write a piece of the answer."""
        self._writer.data(chunk)

    def end(self, exchange: Exchange) -> None:
        """Write the answer's end, and turn to the next request."""
        self._writer.end(exchange.trailers)
        self.flush()
        self._after(exchange)

    def _after(self, exchange: Exchange) -> None:
        if exchange is self._current:
            self._current = None
        # What came whole before something that is refused is answered before it.
        ending = self._phase is LINGERING and not self._backlog
        if not exchange.keep_alive or ending or self._half_closed:
            self._shut(exchange.body_done)
            return
        if not exchange.body_done:
            # The answer is out before the whole body is in. What comes is read and dropped.
            self._shut(False)
            return
        if self._paused:
            self.resume_body()
        if self._backlog:
            follower = self._backlog.popleft()
            if not self._backlog:
                self._transport.resume_reading()
            if follower.refusal is not None:
                self._current = follower
                follower.answer(follower.refusal.status, follower.refusal.text)
            else:
                self._begin(follower)
        else:
            self.deadline = self._loop.time() + IDLE_SECONDS

    def _shut(self, whole: bool) -> None:
        self._phase = LINGERING
        if whole or self._transport.is_closing():
            self._transport.close()
            return
        # Closing with unread bytes resets the connection, and the client may lose the answer.
        self._paused = 0
        self._transport.resume_reading()
        if self._transport.can_write_eof():
            self._transport.write_eof()
        self._loop.call_later(LINGER_SECONDS, self._transport.abort)

    def abort(self, exchange: Exchange) -> None:
        """Break off: the client sees a connection that ended before its message did."""
        self.flush()
        self._current = None
        self._transport.abort()

    def tunnel(self, exchange: Exchange, reason: bytes, headers: Headers) -> None:
        """Answer 101; from here on bytes pass as they are."""
        self._writer.switch(reason, headers)
        self._tunnel = exchange.upstream
        self._phase = TUNNEL

    def flush(self) -> None:
        """Write what has gathered in one call."""
        out = self._writer.take()
        if out:
            self._transport.write(out)

    # Flow control

    def pause_body(self) -> None:
        """Stop reading: the pod is slower than the client."""
        if not self._paused:
            self._paused = 1
            self._transport.pause_reading()

    def resume_body(self) -> None:
        """Read on."""
        if self._paused:
            self._paused = 0
            if not self._backlog:
                self._transport.resume_reading()

    def pause_writing(self) -> None:
        """The client is slower than the pod."""
        upstream = self._current.upstream if self._current is not None else None
        if upstream is not None:
            upstream.pause()

    def resume_writing(self) -> None:
        """The client takes more."""
        upstream = self._current.upstream if self._current is not None else None
        if upstream is not None:
            upstream.resume()

    # The dispatcher's calls

    def expire(self) -> None:
        """The deadline is over: an idle connection is closed, a slow head is answered 408."""
        if self._current is not None:
            return
        if self._head_bytes and self._phase is not LINGERING:
            self._refusal = RefusedError(408, "request head took too long")
            self._refuse()
        else:
            self._transport.close()

    def close_when_idle(self) -> None:
        """Take no further request on this connection."""
        if self._current is None:
            self._transport.close()
        else:
            self._current.keep_alive = False

    def abort_now(self) -> None:
        """Break the connection off."""
        self._transport.abort()
