"""HTTP/2 connections to a pod whose port is named h2c: exchanges share them, each on a stream of its own."""

from __future__ import annotations

import asyncio
import errno
import socket
from collections import deque
from collections.abc import Callable
from typing import Any, ClassVar

from h2 import events
from h2.errors import ErrorCodes

from knative.local.proxy.exchange import Exchange
from knative.local.proxy.headers import trailers_of
from knative.local.proxy.http2.connection import STREAMS, Connection
from knative.local.proxy.http2.headers import answer_of, block_of_request, plain
from knative.local.proxy.http2.stream import Stream
from knative.local.tasks import TaskSet

_REPLAYED_BYTES = 64 * 1024  # of a body that is sent again where the pod has not processed its request
_UNCONFIRMED = 100  # streams before the pod has stated its limit


class UpstreamStream(Stream):
    """The pod's side of an exchange."""

    def __init__(self, connection: UpstreamHttp2, number: int, exchange: Exchange) -> None:
        super().__init__(connection, number)
        self._pod = connection
        self.exchange = exchange
        self.bodiless = exchange.request.method == b"HEAD"
        self.replay: list[bytes] | None = []  # the body so far, while it can be sent again
        self._replay_bytes = 0

    def body(self, chunk: bytes) -> None:
        """Send a piece of the request's body."""
        if self.replay is not None:
            self._replay_bytes += len(chunk)
            self.replay.append(chunk)
            if self._replay_bytes > _REPLAYED_BYTES:
                self.replay = None
        self.write(chunk)
        self._pod.push_soon(self)

    def body_end(self) -> None:
        """End the request, with its trailers."""
        self.finish(self.exchange.request_trailers)
        self._pod.push_soon(self)

    def pause(self) -> None:
        """The client is slower than the pod."""
        self.hold()

    def resume(self) -> None:
        """The client takes more."""
        self.release()

    def cancel(self) -> None:
        """Reset the stream: the answer is not needed."""
        self._pod.over(self, ErrorCodes.CANCEL)

    def pause_source(self) -> None:
        """The pod is slower than the client."""
        self.exchange.client.pause_body()

    def resume_source(self) -> None:
        """The pod takes more."""
        self.exchange.client.resume_body()

    def fail(self, reason: str) -> None:
        """End the exchange: the pod will not finish it."""
        exchange = self.exchange
        if exchange.done:
            return
        exchange.upstream = None
        if exchange.status:
            exchange.break_off()
        else:
            exchange.answer(502, f"{self._pod.pool.name} {reason}")

    def again(self) -> None:
        """Send the exchange anew: the pod has not processed it."""
        exchange = self.exchange
        if exchange.done:
            return
        if exchange.retried or exchange.status or self.replay is None:
            self.fail("refused the request")
            return
        exchange.retried = True
        exchange.upstream = None
        for chunk in self.replay:
            exchange.hold(chunk)
        self._pod.pool.send(exchange)


class UpstreamHttp2(Connection):
    """One connection to a pod."""

    client_side: ClassVar[bool] = True

    def __init__(self, pool: Http2Pool) -> None:
        super().__init__()
        self.pool = pool
        self._leaving = False  # the pod takes no further stream on it
        self._limit = _UNCONFIRMED
        self._dirty: dict[int, UpstreamStream] = {}
        self._touched: dict[Exchange, None] = {}  # whose answer has come a piece further

    def handlers(self) -> dict[type[events.Event], Callable[[Any], None]]:
        """The events of a client."""
        return {
            events.ResponseReceived: self._response,
            events.InformationalResponseReceived: self._informational,
            events.TrailersReceived: self._trailers,
            events.StreamEnded: self._ended,
            events.StreamReset: self._reset,
            events.ConnectionTerminated: self._goaway,
            events.RemoteSettingsChanged: self._limits,
        }

    @property
    def has_room(self) -> bool:
        """Whether the pod takes another stream on it."""
        return not (self._leaving or self.ended or self.transport.is_closing()) and len(self.streams) < self._limit

    def send(self, exchange: Exchange) -> None:
        """Send a request; its answer goes to the exchange's client."""
        number = self.frames.get_next_available_stream_id()
        stream = UpstreamStream(self, number, exchange)
        self.streams[number] = stream
        exchange.upstream = stream
        exchange.touched = self.loop.time()
        pending = exchange.take_pending()
        bodiless = exchange.body_done and not pending and not exchange.request_trailers
        self.frames.send_headers(number, block_of_request(exchange), end_stream=bodiless)
        for chunk in pending:
            stream.body(chunk)
        if exchange.body_done and not bodiless:
            stream.body_end()
        self.flush_soon()

    def push_soon(self, stream: UpstreamStream) -> None:
        """Send a stream's pieces at the end of this turn of the loop."""
        self._dirty[stream.number] = stream
        self.flush_soon()

    def flush(self) -> None:
        """Write what has gathered."""
        dirty, self._dirty = self._dirty, {}
        for number, stream in dirty.items():
            if number in self.streams:
                stream.push()
        super().flush()

    def over(self, stream: UpstreamStream, code: ErrorCodes | None) -> None:
        """Forget a stream that is over."""
        if self.streams.pop(stream.number, None) is None:
            return
        if code is not None:
            self.reset(stream.number, code)
            self.flush_soon()
        if not self.streams and self._leaving:
            self.flush()
            self.transport.close()
        self.pool.room(self)

    def leave(self) -> None:
        """Send nothing more on it, and close it once it is idle."""
        self._leaving = True
        if not self.streams and not self.transport.is_closing():
            self.goaway()
            self.transport.close()

    def data_received(self, data: bytes) -> None:
        """Handle the frames in what came, and pass on together what they bring each client."""
        super().data_received(data)
        touched, self._touched = self._touched, {}
        for exchange in touched:
            exchange.client.flush()

    def broken(self, reason: str) -> None:
        """End every exchange: the pod has closed the connection or violated the protocol."""
        self.pool.lost(self)
        streams, self.streams = self.streams, {}
        for stream in streams.values():
            stream.fail(f"broke off before it answered: {reason}")

    # Frames

    def _limits(self, event: events.RemoteSettingsChanged) -> None:
        self._limit = min(self.frames.remote_settings.max_concurrent_streams, STREAMS * 4)
        self._settings(event)
        self.pool.room(self)

    def _response(self, event: events.ResponseReceived) -> None:
        self.useful()
        stream = self.streams.get(event.stream_id)
        if stream is None:
            return
        exchange: Exchange = stream.exchange
        exchange.touched = self.loop.time()
        stream.replay = None
        status, head = answer_of(event.headers)
        exchange.status = status
        exchange.client.head(exchange, status, b"", head.headers, head.length)
        self._touched[exchange] = None

    def _informational(self, event: events.InformationalResponseReceived) -> None:
        stream = self.streams.get(event.stream_id)
        if stream is not None:
            status, head = answer_of(event.headers)
            stream.exchange.client.informational(stream.exchange, status, b"", head.headers)
            self._touched[stream.exchange] = None

    def body(self, stream: UpstreamStream, data: bytes) -> None:
        """Pass on a piece of the answer."""
        exchange = stream.exchange
        exchange.bytes_out += len(data)
        exchange.touched = self.loop.time()
        exchange.client.data(exchange, data)
        self._touched[exchange] = None

    def _trailers(self, event: events.TrailersReceived) -> None:
        stream = self.streams.get(event.stream_id)
        if stream is not None:
            stream.exchange.trailers = trailers_of(plain(event.headers))

    def _ended(self, event: events.StreamEnded) -> None:
        stream = self.streams.get(event.stream_id)
        if stream is None:
            return
        exchange: Exchange = stream.exchange
        self.over(stream, None if exchange.body_done else ErrorCodes.NO_ERROR)
        exchange.upstream = None
        exchange.complete()
        exchange.client.end(exchange)

    def _reset(self, event: events.StreamReset) -> None:
        stream = self.streams.get(event.stream_id)
        if stream is None:
            return
        self.over(stream, None)
        if event.error_code == ErrorCodes.REFUSED_STREAM:
            stream.again()
        else:
            stream.fail("reset the stream")

    def _goaway(self, event: events.ConnectionTerminated) -> None:
        """Finish what the pod still processes, and send the rest elsewhere."""
        self._leaving = True
        self.pool.lost(self)
        for stream in [one for number, one in self.streams.items() if number > (event.last_stream_id or 0)]:
            self.over(stream, None)
            stream.again()
        if not self.streams:
            self.transport.close()


class Http2Pool:
    """The connections to one pod. See `pool.Pool`, whose face it has.

    Args:
        port: Where the pod listens on 127.0.0.1.
        refused: Takes back an exchange whose connection could not be made; the pod has not seen it.
        name: What the pod is called in an error's text.
    """

    def __init__(self, port: int, refused: Callable[[Exchange], None], name: str) -> None:
        self._port = port
        self._refused = refused
        self.name = name
        self._open: list[UpstreamHttp2] = []
        self._all: set[UpstreamHttp2] = set()
        self._waiting: deque[Exchange] = deque()
        self._connecting = False
        self._tasks = TaskSet()

    def send(self, exchange: Exchange) -> None:
        """Send an exchange on a connection with room, or on a new one."""
        for connection in self._open:
            if connection.has_room:
                connection.send(exchange)
                return
        self._waiting.append(exchange)
        if not self._connecting:
            self._connecting = True
            self._tasks.spawn(self._connect())

    async def _connect(self) -> None:
        loop = asyncio.get_running_loop()
        sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC)
        try:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            await loop.sock_connect(sock, ("127.0.0.1", self._port))
            _, connection = await loop.create_connection(lambda: UpstreamHttp2(self), sock=sock)
        except OSError as error:
            sock.close()
            self._connecting = False
            self._fail(error)
            return
        self._connecting = False
        self._open.append(connection)
        self._all.add(connection)
        self.room(connection)
        if self._waiting and not self._connecting:
            self._connecting = True
            self._tasks.spawn(self._connect())

    def _fail(self, error: OSError) -> None:
        waiting, self._waiting = self._waiting, deque()
        for exchange in waiting:
            if exchange.done:
                continue
            if error.errno in (errno.EMFILE, errno.ENFILE, errno.EADDRNOTAVAIL):
                exchange.answer(503, f"no connection to {self.name}: {error.strerror}")
            else:
                self._refused(exchange)

    def room(self, connection: UpstreamHttp2) -> None:
        """Send what waits on a connection that has room."""
        while self._waiting and connection.has_room:
            exchange = self._waiting.popleft()
            if not exchange.done:
                connection.send(exchange)

    def lost(self, connection: UpstreamHttp2) -> None:
        """Use a connection no more."""
        if connection in self._open:
            self._open.remove(connection)
        if connection.transport.is_closing():
            self._all.discard(connection)

    def close(self) -> None:
        """Close idle connections; those in use go on."""
        for connection in list(self._open):
            connection.leave()

    def abort(self) -> None:
        """Break off everything: the pod is dead."""
        for connection in list(self._all):
            connection.transport.abort()
        self._open.clear()
