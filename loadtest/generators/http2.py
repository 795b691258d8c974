"""HTTP/2 of a load generator: each stream of a shared connection is a lane that carries one request at a time.

Framing, header compression and flow control are those of `h2`. Without TLS the server must take HTTP/2 without an
upgrade ("prior knowledge"), as queue-proxy does on a port named h2c; with TLS it must choose `h2` by ALPN.
"""

from __future__ import annotations

import asyncio
import ssl
from contextlib import suppress
from typing import Any

from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.errors import ErrorCodes
from h2.events import (
    ConnectionTerminated,
    DataReceived,
    RemoteSettingsChanged,
    ResponseReceived,
    StreamEnded,
    StreamReset,
    WindowUpdated,
)
from h2.exceptions import ProtocolError
from h2.settings import SettingCodes, Settings
from hpack import Encoder

from loadtest.generators.wire import Message, Owner, Request, Target

_WINDOW = 2**24  # bytes of answers that a server may send ahead
_GREETING_SECONDS = 10.0
_OF_A_CONNECTION = {"connection", "host", "keep-alive", "proxy-connection", "te", "transfer-encoding", "upgrade"}


def message(to: Target) -> Message:
    """The request of a target in the fields of HTTP/2 (RFC 9113, 8.3.1)."""
    line, *lines = to.head.decode("latin-1").rstrip("\r\n").split("\r\n")
    method, path, _ = line.split(" ", 2)
    pairs = [(name.strip().lower(), value.strip()) for name, _, value in (one.partition(":") for one in lines)]
    host = next(value for name, value in pairs if name == "host")
    fields = [(":method", method), (":scheme", "https" if to.tls else "http"), (":authority", host), (":path", path)]
    fields += [(name, value) for name, value in pairs if name not in _OF_A_CONNECTION]
    return Message(tuple((name.encode("latin-1"), value.encode("latin-1")) for name, value in fields), to.body)


class Stream:
    """The right to one request at a time on a connection; each request is a new stream of HTTP/2."""

    __slots__ = ("_connection", "busy", "closing", "number", "status", "token")

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self.number = 0
        self.status = 0
        self.busy = False
        self.closing = False
        self.token: object = None

    def send(self, request: Request, token: object = None) -> None:
        """Send a request; `token` stays until the response."""
        assert isinstance(request, Message)
        self.busy, self.token, self.status = True, token, 0
        self._connection.begin(self, request)

    def close(self) -> None:
        """Give the right back; a request under way is reset."""
        if not self.closing:
            self.closing = True
            self._connection.release(self)


class FieldEncoder(Encoder):
    """An encoder that encodes the same fields once, as long as they and all others are in its table already."""

    def __init__(self) -> None:
        super().__init__()
        self._known: dict[tuple[Any, ...], bytes] = {}

    def encode(self, headers: Any, huffman: bool = True) -> bytes:
        """Return the block of some fields."""
        fields = tuple(headers)
        table = self.header_table
        resized = table.resized  # this block announces the new size
        if not resized and (known := self._known.get(fields)) is not None:
            return known
        newest = table.dynamic_entries[0] if table.dynamic_entries else None
        block = super().encode(fields, huffman)
        if resized or (table.dynamic_entries and table.dynamic_entries[0] is not newest):
            self._known.clear()  # indices of older entries have changed
        else:
            self._known[fields] = block
        return block


class _Client(H2Connection):
    """A client that reads on after GOAWAY: what the server began before is answered (RFC 9113, 6.8)."""

    def _receive_goaway_frame(self, frame: Any) -> Any:
        before = self.state_machine.state
        received = super()._receive_goaway_frame(frame)
        self.state_machine.state = before
        return received


class Connection(asyncio.Protocol):
    """One connection of HTTP/2 and its streams."""

    def __init__(self, owner: Owner, streams: int) -> None:
        self._owner = owner
        self._most = streams
        self._lanes: set[Stream] = set()
        self._busy: dict[int, Stream] = {}
        self._unsent: dict[int, memoryview] = {}
        self._reading = False  # what is sent meanwhile leaves in one write
        self._transport: asyncio.Transport = None  # type: ignore[assignment]  # until connection_made
        self._loop = asyncio.get_running_loop()
        self.greeted: asyncio.Future[None] = self._loop.create_future()
        self.closing = False
        unchecked = dict.fromkeys(
            (
                "validate_outbound_headers",
                "normalize_outbound_headers",
                "validate_inbound_headers",
                "normalize_inbound_headers",
            ),
            False,
        )
        self._h2 = _Client(H2Configuration(client_side=True, header_encoding=None, **unchecked))  # type: ignore[arg-type]
        self._h2.encoder = FieldEncoder()

    @property
    def room(self) -> bool:
        """Whether another lane fits."""
        return not self.closing and len(self._lanes) < self._most

    def lane(self) -> Stream:
        """A new lane."""
        made = Stream(self)
        self._lanes.add(made)
        return made

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Send the preface."""
        self._transport = transport  # type: ignore[assignment]  # a TCP transport is one for reading and writing
        wanted = {SettingCodes.INITIAL_WINDOW_SIZE: _WINDOW, SettingCodes.ENABLE_PUSH: 0}
        self._h2.local_settings = Settings(client=True, initial_values=wanted)
        self._h2.initiate_connection()
        self._h2.increment_flow_control_window(_WINDOW)
        self._flush()

    def begin(self, lane: Stream, request: Message) -> None:
        """Send a request on a new stream."""
        try:
            lane.number = self._h2.get_next_available_stream_id()
            self._h2.send_headers(lane.number, request.headers, end_stream=not request.body)
        except ProtocolError as error:
            self._loop.call_soon(self._end, lane, type(error).__name__)
            return
        self._busy[lane.number] = lane
        if request.body:
            self._unsent[lane.number] = memoryview(request.body)
            self._pump(lane.number)
        self._flush()

    def release(self, lane: Stream) -> None:
        """Take a lane back; close the connection after the last one."""
        if self._busy.pop(lane.number, None) is not None and not self._transport.is_closing():
            self._reset(lane.number, ErrorCodes.CANCEL)
        self._loop.call_soon(self._end, lane, "closed")

    def _end(self, lane: Stream, reason: str) -> None:
        if lane in self._lanes:
            self._lanes.discard(lane)
            lane.closing = True
            self._owner.lost(lane, reason)
        if not self._lanes and not self._transport.is_closing():
            self.closing = True
            self._transport.abort()

    def _pump(self, number: int) -> None:
        """Send as much of a body as the windows allow."""
        rest = self._unsent[number]
        while rest:
            size = min(self._h2.local_flow_control_window(number), self._h2.max_outbound_frame_size, len(rest))
            if size <= 0:
                self._unsent[number] = rest
                return
            self._h2.send_data(number, rest[:size].tobytes(), end_stream=size == len(rest))
            rest = rest[size:]
        del self._unsent[number]

    def _reset(self, number: int, code: ErrorCodes) -> None:
        self._unsent.pop(number, None)
        with suppress(ProtocolError):  # the stream or its connection may have been closed by the server meanwhile
            self._h2.reset_stream(number, code)
        self._flush()

    def _flush(self) -> None:
        if not self._reading and (data := self._h2.data_to_send()):
            self._transport.write(data)

    def data_received(self, data: bytes) -> None:
        """Read frames, and report what has ended."""
        self._reading = True
        try:
            events = self._h2.receive_data(data)
            for event in events:
                self._handle(event)
            for number in list(self._unsent):
                self._pump(number)
        except (ProtocolError, ValueError) as error:  # ValueError: no status, or one that is no number
            self._fail(ConnectionError(f"the server does not speak HTTP/2 ({type(error).__name__})"))
            return
        finally:
            self._reading = False
        self._flush()

    def _handle(self, event: object) -> None:
        if isinstance(event, ResponseReceived):
            if lane := self._busy.get(event.stream_id):
                lane.status = int(next((value for name, value in event.headers if name == b":status"), b""))
        elif isinstance(event, DataReceived):
            self._h2.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
        elif isinstance(event, StreamEnded):
            self._finish(event.stream_id)
        elif isinstance(event, StreamReset):
            if lane := self._busy.pop(event.stream_id, None):
                self._unsent.pop(event.stream_id, None)
                self._end(lane, f"stream reset: {getattr(event.error_code, 'name', event.error_code)}")
        elif isinstance(event, RemoteSettingsChanged):
            self._greet()
        elif isinstance(event, ConnectionTerminated):
            self.closing = True
            begun = {lane for number, lane in self._busy.items() if number <= (event.last_stream_id or 0)}
            for lane in self._lanes - begun:
                self._busy.pop(lane.number, None)
                self._unsent.pop(lane.number, None)
                self._loop.call_soon(self._end, lane, "GOAWAY")
        elif not isinstance(event, WindowUpdated):
            return

    def _greet(self) -> None:
        if self.greeted.done():
            return
        allowed = self._h2.remote_settings.get(SettingCodes.MAX_CONCURRENT_STREAMS)
        if allowed is not None and allowed < self._most:
            self._fail(ConnectionError(f"the server allows {allowed} streams a connection, and {self._most} are meant"))
        else:
            self.greeted.set_result(None)

    def _finish(self, number: int) -> None:
        lane = self._busy.pop(number, None)
        if lane is None:
            return
        if number in self._unsent:  # answered before it had the whole body
            self._reset(number, ErrorCodes.NO_ERROR)
        lane.busy = False
        lane.closing = lane.closing or self.closing
        self._owner.answered(lane, lane.status, b"")
        if self.closing:
            self._end(lane, "GOAWAY")

    def _fail(self, error: ConnectionError) -> None:
        if not self.greeted.done():
            self.greeted.set_exception(error)
        self._transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        """Every lane is lost, with its request if it has one."""
        self.closing = True
        if not self.greeted.done():
            self.greeted.set_exception(ConnectionError("the server closed the connection: it does not speak HTTP/2"))
        self._busy.clear()
        for lane in list(self._lanes):
            self._end(lane, type(exc).__name__ if exc else "closed")


class Connections:
    """The connections to one server.

    Args:
        owner: notified of the outcome of each request.
        to: the server.
        streams: requests at once on each connection.

    Raises:
        OSError: the file of certificates cannot be read.
    """

    def __init__(self, owner: Owner, to: Target, streams: int) -> None:
        self._owner = owner
        self._to = to
        self._streams = streams
        self._context = to.context()
        if self._context is not None:
            self._context.set_alpn_protocols(["h2"])
        self._open: set[Connection] = set()
        self._lock = asyncio.Lock()

    async def lane(self) -> Stream:
        """A lane of a connection that has room for it, or of a new one.

        Raises:
            OSError: no connection can be made, or the server does not speak HTTP/2.
        """
        async with self._lock:
            self._open = {one for one in self._open if not one.closing}
            found = next((one for one in self._open if one.room), None)
            if found is None:
                found = await self._connect()
                if found.closing:
                    raise ConnectionError("the server closed the connection at once")
                self._open.add(found)
            return found.lane()

    async def _connect(self) -> Connection:
        to, context = self._to, self._context
        transport, made = await asyncio.get_running_loop().create_connection(
            lambda: Connection(self._owner, self._streams),
            to.host,
            to.port,
            ssl=context,
            server_hostname=to.name or to.host if context else None,
        )
        try:
            await self._greet(transport, made)
        except BaseException:  # a cancelled attempt, too: a connection that is left open keeps the loop from closing
            made.greeted.cancel()
            transport.abort()
            raise
        return made

    @staticmethod
    async def _greet(transport: asyncio.Transport, made: Connection) -> None:
        secured: ssl.SSLObject | None = transport.get_extra_info("ssl_object")
        if secured is not None and secured.selected_alpn_protocol() != "h2":
            raise ConnectionError("the server does not choose h2 by ALPN: it does not speak HTTP/2")
        try:
            async with asyncio.timeout(_GREETING_SECONDS):
                await made.greeted
        except TimeoutError:
            raise ConnectionError(f"the server sent no settings of HTTP/2 within {_GREETING_SECONDS:g} s") from None
