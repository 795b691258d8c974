"""A client's HTTP/2 connection to the route, with prior knowledge: each stream is an exchange of its own."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any, ClassVar

from h2 import events
from h2.errors import ErrorCodes

from knative.local.proxy.dispatching import PREFACE, Dispatcher
from knative.local.proxy.exchange import Exchange, Headers, Request
from knative.local.proxy.headers import RefusedError, trailers_of
from knative.local.proxy.http1.writing import date
from knative.local.proxy.http2.connection import STREAMS, Connection
from knative.local.proxy.http2.headers import block_of_answer, plain, request_of
from knative.local.proxy.http2.stream import Stream

IDLE_SECONDS = 120.0
FIRST_SECONDS = 10.0  # to the first request, and of a header block
_FIRST_FRAME = len(PREFACE) + 9  # bytes: the preface and the header of the SETTINGS that must follow it
_SETTINGS_BYTES = 16384
_RESETS = 200  # from here on a client that breaks off most of its requests at once is an attack (CVE-2023-44487)
_AT_ONCE_SECONDS = 1.0


def _begins_with_settings(data: bytes) -> bool:
    """Whether the preface is followed by the beginning of a SETTINGS frame; no byte is waited for that cannot help."""
    header = data[len(PREFACE) :]
    length = int.from_bytes(header[:3].ljust(3, b"\0"), "big")
    if length > _SETTINGS_BYTES or (len(header) >= 3 and length % 6):
        return False
    kind, flags, stream = header[3:4], header[4:5], header[5:9]
    return kind in (b"", b"\x04") and not (flags and flags[0] & 1) and not any(stream)


class DownstreamStream(Stream):
    """The client of an exchange: one stream."""

    def __init__(self, connection: DownstreamHttp2, number: int) -> None:
        super().__init__(connection, number)
        self._server = connection
        self.exchange: Exchange = None  # type: ignore[assignment]
        self.began = connection.loop.time()
        self._head: Headers | None = None  # written with the first piece, or with the end of an empty body

    # What the exchange calls

    def head(self, exchange: Exchange, status: int, reason: bytes, headers: Headers, length: int | None) -> None:
        """Begin the answer."""
        if not any(name == b"date" for name, _ in headers):
            headers = [*headers, (b"date", date(int(time.time())))]
        self._head = block_of_answer(status, headers, length)

    def informational(self, exchange: Exchange, status: int, reason: bytes, headers: Headers) -> None:
        """Pass on an interim answer."""
        self.connection.frames.send_headers(self.number, block_of_answer(status, headers, None))

    def data(self, exchange: Exchange, chunk: bytes) -> None:
        """Pass on a piece of the answer."""
        self.write(chunk)

    def end(self, exchange: Exchange) -> None:
        """End the answer."""
        self.finish(exchange.trailers)
        self.flush()

    def abort(self, exchange: Exchange) -> None:
        """Reset the stream: the client sees that the answer is not whole."""
        self._server.over(self, ErrorCodes.INTERNAL_ERROR)

    def tunnel(self, exchange: Exchange, reason: bytes, headers: Headers) -> None:
        """Break off: an exchange of HTTP/2 does not switch protocols."""
        exchange.break_off()

    def flush(self) -> None:
        """Write what has gathered."""
        if self.number in self.connection.streams:
            self.push()
            self.connection.flush()

    def pause_body(self) -> None:
        """The pod is slower than the client."""
        self.hold()

    def resume_body(self) -> None:
        """The pod takes more."""
        self.release()

    # What the stream calls

    def push(self) -> None:
        """Send the head, and as much of the body as the client takes."""
        if self._head is not None:
            block, self._head = self._head, None
            alone = self._ending and not self._out and not self._trailers
            self.connection.frames.send_headers(self.number, block, end_stream=alone)
            if alone:
                self._sent_all()
                return
        super().push()

    def pause_source(self) -> None:
        """The client is slower than the pod."""
        if self.exchange.upstream is not None:
            self.exchange.upstream.pause()

    def resume_source(self) -> None:
        """The client takes more."""
        if self.exchange.upstream is not None:
            self.exchange.upstream.resume()

    def sent(self) -> None:
        """The answer is out; a body that is not wanted any more is stopped."""
        self._server.over(self, None if self.exchange.body_done else ErrorCodes.NO_ERROR)

    def closed(self) -> None:
        """The client has disconnected."""
        self.exchange.client_gone()


class DownstreamHttp2(Connection):
    """One HTTP/2 connection of one client.

    Args:
        dispatcher: Answers the requests.
        peer: The client's address.
    """

    client_side: ClassVar[bool] = False

    def __init__(self, dispatcher: Dispatcher, peer: str) -> None:
        super().__init__()
        self._dispatcher = dispatcher
        self._peer = peer
        self._draining = False
        self._opened = 0
        self._broken_off = 0
        self._beginning: bytes | None = b""
        self.deadline = self.loop.time() + FIRST_SECONDS

    def handlers(self) -> dict[type[events.Event], Callable[[Any], None]]:
        """The events of a server."""
        return {
            events.RequestReceived: self._request,
            events.TrailersReceived: self._trailers,
            events.StreamEnded: self._ended,
            events.StreamReset: self._reset,
        }

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin to speak."""
        self._dispatcher.connections.add(self)
        super().connection_made(transport)

    def connection_lost(self, exc: Exception | None) -> None:
        """Cancel the requests of a client that has disconnected."""
        self._dispatcher.connections.discard(self)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Handle the frames in what came, once they begin as RFC 9113 3.4 requires."""
        if self._beginning is not None:
            self._beginning += data[: _FIRST_FRAME - len(self._beginning)]
            if not _begins_with_settings(self._beginning):
                self._beginning = None
                self.end(ErrorCodes.PROTOCOL_ERROR)
                return
            if len(self._beginning) == _FIRST_FRAME:
                self._beginning = None
        super().data_received(data)

    # Frames

    def _request(self, event: events.RequestReceived) -> None:
        number = event.stream_id
        self.useful()
        self._opened += 1
        if self._draining or len(self.streams) >= STREAMS:
            self._count_broken_off()
            self.reset(number, ErrorCodes.REFUSED_STREAM)
            return
        stream = DownstreamStream(self, number)
        refusal = None
        try:
            block = [(bytes(name), bytes(value)) for name, value in event.headers]
            request = request_of(block, ended=event.stream_ended is not None, peer=self._peer)
        except RefusedError as error:
            refusal = error
            request = Request(method=b"GET", target=b"", version="2", peer=self._peer)
        stream.exchange = exchange = Exchange(stream, request)
        self.streams[number] = stream
        self.deadline = float("inf")
        if event.stream_ended is not None:
            exchange.feed_end()
        if refusal is not None:
            exchange.answer(refusal.status, refusal.text)
        else:
            self._dispatcher.dispatch(exchange)

    def body(self, stream: DownstreamStream, data: bytes) -> None:
        """Pass on a piece of a request's body."""
        stream.exchange.feed(data)

    def _trailers(self, event: events.TrailersReceived) -> None:
        stream = self.streams.get(event.stream_id)
        if stream is not None:
            stream.exchange.request_trailers = trailers_of(plain(event.headers))

    def _ended(self, event: events.StreamEnded) -> None:
        stream = self.streams.get(event.stream_id)
        if stream is not None and not stream.exchange.body_done:
            stream.exchange.feed_end()

    def _reset(self, event: events.StreamReset) -> None:
        stream = self.streams.pop(event.stream_id, None)
        if stream is not None:
            stream.exchange.client_gone()
            self._rest()
            if self.loop.time() - stream.began > _AT_ONCE_SECONDS:
                return
        self._count_broken_off()

    def _count_broken_off(self) -> None:
        self._broken_off += 1
        if self._broken_off >= _RESETS and self._broken_off * 2 > self._opened:
            self.end(ErrorCodes.ENHANCE_YOUR_CALM)

    # The end of streams and of the connection

    def over(self, stream: DownstreamStream, code: ErrorCodes | None) -> None:
        """Forget a stream that is over, resetting it with a code unless both halves have ended."""
        if self.streams.pop(stream.number, None) is None:
            return
        if code is not None:
            self.reset(stream.number, code)
            self.flush_soon()
        self._rest()

    def _rest(self) -> None:
        if self.streams:
            return
        self.deadline = self.loop.time() + IDLE_SECONDS
        if self._draining:
            self.flush()
            self.transport.close()

    def expire(self) -> None:
        """Close a connection that is idle, or on which a header block has not become whole."""
        if not self.streams:
            self.end(ErrorCodes.NO_ERROR)

    def close_when_idle(self) -> None:
        """Accept no further request on this connection."""
        if not self._draining:
            self._draining = True
            self.goaway()
            self._rest()

    def abort_now(self) -> None:
        """Break the connection off."""
        self.transport.abort()
