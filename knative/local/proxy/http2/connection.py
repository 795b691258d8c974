"""What both ends of an HTTP/2 connection share: frames, flow control, bounded buffers, and the end of a connection.

Frames are those of the package h2, which holds the state machine and no socket. A body's window is returned only once
the other side of the exchange has taken the bytes, so that a slow receiver slows its sender, each stream by itself.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import Callable
from typing import Any, ClassVar

from h2 import events
from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.errors import ErrorCodes
from h2.exceptions import ProtocolError
from h2.settings import SettingCodes, Settings
from hyperframe.frame import Frame, GoAwayFrame

from knative.local.proxy.exchange import Headers

STREAMS = 250  # at once on a connection, as Go's server allows
WINDOW = 256 * 1024  # bytes of a stream that may be under way to this side
BUFFERED = 256 * 1024  # bytes of a stream that wait for the peer before their source is paused
HEADER_BYTES = 64 * 1024
_CONNECTION_WINDOW = 4 * 2**20
_UNREAD_BYTES = 2**20  # answers to control frames for a peer that does not read
_EMPTY_FRAMES = 10_000  # frames in a row, within some seconds, that carry nothing
_EMPTY_SECONDS = 10.0
_LINGER_BYTES = 2**20  # read and dropped after the end, so that the GOAWAY reaches its receiver
_LINGER_SECONDS = 2.0


class _Frames(H2Connection):
    """Goes on after a GOAWAY: streams that it does not end are to be finished, which h2 does not allow."""

    def _receive_goaway_frame(self, frame: GoAwayFrame) -> tuple[list[Frame], list[events.Event]]:
        event = events.ConnectionTerminated()
        event.error_code = frame.error_code
        event.last_stream_id = frame.last_stream_id
        return [], [event]


class Stream:
    """One exchange on a connection: the half that is written here, and the window of the half that is read."""

    def __init__(self, connection: Connection, number: int) -> None:
        self.connection = connection
        self.number = number
        self._out: deque[bytes] = deque()
        self._out_bytes = 0
        self._offset = 0  # of the first piece, already sent
        self._full = False
        self._ending = False
        self._trailers: Headers = []
        self._owed = 0  # bytes of window that are not returned yet
        self._held = False

    # Writing

    def write(self, chunk: bytes) -> None:
        """Send a piece of the body, as soon as the peer's window allows."""
        self._out.append(chunk)
        self._out_bytes += len(chunk)
        if self._out_bytes > BUFFERED and not self._full:
            self._full = True
            self.pause_source()

    def finish(self, trailers: Headers) -> None:
        """End this side's half once everything is sent."""
        self._ending = True
        self._trailers = trailers

    def push(self) -> None:
        """Send what the windows and the socket allow."""
        frames = self.connection.frames
        while self._out and self.connection.writable:
            room = min(frames.local_flow_control_window(self.number), frames.max_outbound_frame_size)
            if room <= 0:
                break
            piece = self._out[0][self._offset : self._offset + room]
            self._offset += len(piece)
            self._out_bytes -= len(piece)
            if self._offset == len(self._out[0]):
                self._out.popleft()
                self._offset = 0
            last = self._ending and not self._out and not self._trailers
            frames.send_data(self.number, piece, end_stream=last)
            if last:
                self._sent_all()
                return
        if self._full and self._out_bytes < BUFFERED // 2:
            self._full = False
            self.resume_source()
        if self._ending and not self._out:
            if self._trailers:
                frames.send_headers(self.number, self._trailers, end_stream=True)
            else:
                frames.end_stream(self.number)
            self._sent_all()

    def _sent_all(self) -> None:
        self._ending = False
        self.sent()

    # Reading

    def hold(self) -> None:
        """Return no window: the receiver is slow."""
        self._held = True

    def release(self) -> None:
        """Return window again, and what is owed."""
        self._held = False
        self._settle()

    def taken(self, size: int) -> None:
        """Count bytes that came in, and return their window unless the receiver is slow."""
        self._owed += size
        if self._owed >= WINDOW // 4:
            self._settle()

    def _settle(self) -> None:
        if self._owed and not self._held:
            owed, self._owed = self._owed, 0
            with contextlib.suppress(ProtocolError):  # the peer has ended its half
                self.connection.frames.increment_flow_control_window(owed, self.number)
            self.connection.flush_soon()

    # What a side does

    def pause_source(self) -> None:
        """Stop what is written here from coming."""

    def resume_source(self) -> None:
        """Let it come again."""

    def sent(self) -> None:
        """This side's half is sent."""

    def closed(self) -> None:
        """The connection is gone."""


class Connection(asyncio.Protocol):
    """One HTTP/2 connection.

    Attributes:
        frames: The state machine.
        streams: Exchanges under way, by the number of their stream.
        writable: Whether the socket takes more.
        ended: Whether this side has ended the connection; what still comes is dropped.
    """

    client_side: ClassVar[bool]

    def __init__(self) -> None:
        self.frames: H2Connection = _Frames(
            H2Configuration(
                client_side=self.client_side,
                header_encoding=None,
                validate_outbound_headers=False,
                normalize_outbound_headers=False,
            )
        )
        self.streams: dict[int, Any] = {}
        self.writable = True
        self.loop = asyncio.get_running_loop()
        self.transport: asyncio.Transport = None  # type: ignore[assignment]
        self.ended = False
        self._dropped = 0
        self._empty = 0
        self._empty_since = self.loop.time()
        self._unreturned = 0
        self._flushing: asyncio.Handle | None = None
        self._handlers: dict[type[events.Event], Callable[[Any], None]] = {
            events.DataReceived: self._data,
            events.WindowUpdated: self._window_updated,
            events.RemoteSettingsChanged: self._settings,
            events.PingReceived: self._nothing,
            events.PriorityUpdated: self._nothing,
            events.UnknownFrameReceived: self._nothing,
            **self.handlers(),
        }

    def handlers(self) -> dict[type[events.Event], Callable[[Any], None]]:
        """The events of one side."""
        return {}

    def _initiate(self) -> None:
        """Send the preface and settings."""
        values = {
            SettingCodes.MAX_CONCURRENT_STREAMS: STREAMS,
            SettingCodes.INITIAL_WINDOW_SIZE: WINDOW,
            SettingCodes.MAX_HEADER_LIST_SIZE: HEADER_BYTES,
            **({SettingCodes.ENABLE_PUSH: 0} if self.client_side else {}),
        }
        self.frames.local_settings = Settings(client=self.client_side, initial_values=values)
        self.frames.initiate_connection()
        # A stream too many is refused by itself, where h2 would end the whole connection.
        values[SettingCodes.MAX_CONCURRENT_STREAMS] = 2 * STREAMS
        self.frames.local_settings = Settings(client=self.client_side, initial_values=values)
        self.frames.increment_flow_control_window(_CONNECTION_WINDOW)

    # The socket

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin to speak."""
        self.transport = transport  # type: ignore[assignment]
        self._initiate()
        self.flush()

    def data_received(self, data: bytes) -> None:
        """Handle the frames in what came."""
        if self.ended:
            self._dropped += len(data)
            if self._dropped > _LINGER_BYTES:
                self.transport.abort()
            return
        try:
            for event in self.frames.receive_data(data):
                handler = self._handlers.get(type(event))
                if handler is not None:
                    handler(event)
        except ProtocolError as error:
            self.flush()  # h2 has written a GOAWAY
            self._linger(str(error))
            return
        self.flush()

    def broken(self, reason: str) -> None:
        """End every exchange: nothing more can be sent on the connection."""
        streams, self.streams = self.streams, {}
        for stream in streams.values():
            stream.closed()

    def eof_received(self) -> bool:
        """Close: the peer has."""
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        """End every exchange."""
        if self._flushing is not None:
            self._flushing.cancel()
        self.broken("the connection was closed")

    def pause_writing(self) -> None:
        """The peer reads slower than this side writes."""
        self.writable = False

    def resume_writing(self) -> None:
        """The peer reads again."""
        self.writable = True
        self._push_all()
        self.flush()

    def flush(self) -> None:
        """Write what has gathered in one call."""
        data = self.frames.data_to_send()
        if not data or self.ended or self.transport.is_closing():
            return
        self.transport.write(data)
        if not self.writable and self.transport.get_write_buffer_size() > _UNREAD_BYTES:
            self.transport.abort()  # bodies wait in their streams: these are answers to control frames

    def flush_soon(self) -> None:
        """Write at the end of this turn of the loop."""
        if self._flushing is None:
            self._flushing = self.loop.call_soon(self._flush_now)

    def _flush_now(self) -> None:
        self._flushing = None
        self.flush()

    def goaway(self, code: ErrorCodes = ErrorCodes.NO_ERROR) -> None:
        """Accept no further stream; those under way go on, which h2's own GOAWAY would end."""
        self.flush()
        if not self.ended and not self.transport.is_closing():
            last = self.frames.highest_inbound_stream_id
            self.transport.write(GoAwayFrame(0, last_stream_id=last, error_code=int(code)).serialize())

    def end(self, code: ErrorCodes) -> None:
        """Close the connection with an error."""
        self.goaway(code)
        self._linger(code.name)

    def _linger(self, reason: str) -> None:
        """Close for writing: closing with unread bytes would reset the connection and lose the GOAWAY."""
        if self.ended or self.transport.is_closing():
            return
        self.ended = True
        self.broken(reason)
        self.transport.write_eof()
        self.loop.call_later(_LINGER_SECONDS, self.transport.abort)

    def reset(self, number: int, code: ErrorCodes) -> None:
        """Break off a stream, unless it is over."""
        with contextlib.suppress(ProtocolError):
            self.frames.reset_stream(number, code)

    # Frames

    def _data(self, event: events.DataReceived) -> None:
        size = event.flow_controlled_length
        if size:
            self._unreturned += size
            if self._unreturned >= _CONNECTION_WINDOW // 4:
                self.frames.increment_flow_control_window(self._unreturned)
                self._unreturned = 0
        stream = self.streams.get(event.stream_id)
        if not event.data:
            self._nothing(event)
        if stream is not None:
            if event.data:
                self._empty = 0
                self.body(stream, event.data)
            if event.stream_ended is None:
                stream.taken(size)

    def body(self, stream: Any, data: bytes) -> None:
        """Pass on a piece of the peer's half."""

    def _nothing(self, _event: events.Event) -> None:
        """Count frames that carry nothing: a flood of them costs the peer less than it costs this side."""
        if self.loop.time() - self._empty_since > _EMPTY_SECONDS:
            self._empty, self._empty_since = 0, self.loop.time()  # the pings of a stream that lives for days
        self._empty += 1
        if self._empty > _EMPTY_FRAMES:
            self.end(ErrorCodes.ENHANCE_YOUR_CALM)

    def useful(self) -> None:
        """Note a frame that carries something."""
        self._empty = 0

    def _window_updated(self, event: events.WindowUpdated) -> None:
        if event.stream_id:
            stream = self.streams.get(event.stream_id)
            if stream is not None:
                stream.push()
        else:
            self._push_all()

    def _settings(self, event: events.RemoteSettingsChanged) -> None:
        self._nothing(event)
        if SettingCodes.INITIAL_WINDOW_SIZE in event.changed_settings:
            self._push_all()

    def _push_all(self) -> None:
        for stream in list(self.streams.values()):
            stream.push()
