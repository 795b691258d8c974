"""One exchange on an HTTP/2 connection: the half that is written here, and the window of the half that is read.

A body's window is returned only once the other side of the exchange has taken the bytes, so that a slow receiver slows
its sender, each stream by itself.
"""

from __future__ import annotations

import contextlib
from collections import deque
from typing import TYPE_CHECKING

from h2.exceptions import ProtocolError

from knative.local.proxy.exchange import Headers

if TYPE_CHECKING:
    from knative.local.proxy.http2.connection import Connection

WINDOW = 256 * 1024  # bytes of a stream that may be under way to this side
BUFFERED = 256 * 1024  # bytes of a stream that wait for the peer before their source is paused


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
