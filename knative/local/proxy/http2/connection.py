"""What both ends of an HTTP/2 connection share: frames, the connection's flow control, and its end.

Frames are those of the package h2, which holds the state machine and no socket.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from typing import Any, ClassVar

from h2 import events
from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.errors import ErrorCodes
from h2.exceptions import ProtocolError
from h2.settings import SettingCodes, Settings
from hyperframe.frame import Frame, GoAwayFrame

from knative.local.proxy.http2.stream import WINDOW

STREAMS = 250  # at once on a connection, as Go's server allows
HEADER_BYTES = 64 * 1024
_CONNECTION_WINDOW = 4 * 2**20
_UNREAD_BYTES = 2**20  # answers to control frames for a peer that does not read
_EMPTY_FRAMES = 10_000  # frames in a row, within some seconds, that carry nothing
_EMPTY_SECONDS = 10.0
_LINGER_BYTES = 2**20  # read and dropped after the end, so that the GOAWAY reaches its receiver
_LINGER_SECONDS = 1.0  # as Go's server


class _Frames(H2Connection):
    """Goes on after a GOAWAY: streams that it does not end are to be finished, which h2 does not allow."""

    def _receive_goaway_frame(self, frame: GoAwayFrame) -> tuple[list[Frame], list[events.Event]]:
        event = events.ConnectionTerminated()
        event.error_code = frame.error_code
        event.last_stream_id = frame.last_stream_id
        return [], [event]


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
