"""The bounded body of a request.

The limit is enforced while reading, before the body is in memory, with or without a Content-Length. A truncated body is
refused.
"""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from typing import IO, NamedTuple, cast

from functions.kit.http.problems import Problem, malformed, quantity, too_many_bytes
from functions.kit.http.settings import Settings
from functions.kit.http.spool import IN_MEMORY, Store
from functions.kit.server.deadlines import limit

# As much as gunicorn receives at once: smaller reads make it copy the rest each time.
CHUNK = 2**20
# Bytes of an unwanted body that are drained, so that a client that sends before it reads gets its response.
DRAIN_BYTES = 64 * 2**20
DRAIN_SECONDS = 10.0


class Limit(NamedTuple):
    """The largest body of an operation, and the setting of that limit."""

    most: int
    variable: str


class Reading(NamedTuple):
    """How a function reads files that are larger than what it holds of them.

    Args:
        most: bytes of the largest body.
        variable: the setting of that limit.
        head: bytes that are held at the beginning of a file.
        tail: bytes that are held at its end.
    """

    most: int
    variable: str
    head: int
    tail: int


class Body:
    """The body of one request, read at most once.

    Args:
        stream: the bytes, ending with the body.
        length: Content-Length in bytes, or None (chunked).
        settings: the limits.
        connection: the client's socket, for the deadline of a stalled body; None outside `functions.kit.server`.
    """

    def __init__(
        self,
        stream: IO[bytes],
        length: int | None,
        settings: Settings,
        connection: socket.socket | None = None,
    ) -> None:
        self._stream = stream
        self._length = length
        self._settings = settings
        self._connection = connection
        self._ended = False
        self.bytes_read = 0
        self.limit = Limit(settings.max_bytes, settings.variable("max_bytes"))
        # Files are held in windows, and the body may be as large as that allows.
        self.windows: Reading | None = None

    def _deadline(self, start: float) -> float:
        """When the body must have arrived, by what has: a time for it to begin, and a rate from then on."""
        settings = self._settings
        seconds = settings.body_seconds + self.bytes_read / settings.body_rate
        return start + min(seconds, max(settings.timeout_seconds, settings.body_seconds))

    def _within(self) -> tuple[int, str]:
        """The limit of the body and its setting.

        Raises:
            Problem: 413 if Content-Length is above it.
        """
        most, variable = self.windows[:2] if self.windows is not None else self.limit
        if self._length is not None and self._length > most:
            raise too_many_bytes(most, self._length, variable)
        return most, variable

    def chunks(self) -> Iterator[bytes]:
        """The body in pieces of at most 1 MiB.

        Raises:
            Problem: 413 above the limit, 408 after the deadline, 400 for a truncated body.
        """
        most, variable = self._within()
        start = time.monotonic()
        while chunk := self._read(self._deadline(start)):
            self.bytes_read += len(chunk)
            if self.bytes_read > most:
                raise too_many_bytes(most, None, variable)
            yield chunk
        if self._length is not None and self.bytes_read < self._length:
            raise malformed(f"the body ended after {self.bytes_read:,} of {quantity(self._length, 'bytes')}")

    def read(self) -> bytes:
        """The whole body in memory."""
        return bytes(self.store())

    def store(self) -> bytes:
        """The whole body, in memory or in the spool.

        Raises:
            Problem: as `chunks`, and 503 where the spool has no room.
        """
        buffer = self.buffer()
        for chunk in self.chunks():
            buffer.write(chunk)
        return buffer.filled()

    def buffer(self) -> Store | Held:
        """Return a buffer for the body or one of its files, allocated at the announced size.

        A growing buffer is copied repeatedly, which costs more than parsing.

        Raises:
            Problem: 413 if Content-Length is above the limit.
        """
        self._within()
        # Of the bytes read so far, only the piece being parsed can still belong to this file.
        size = max((self._length or 0) - max(self.bytes_read - CHUNK, 0), 0)
        windows = self.windows
        if windows is not None and (self._length is None or size > windows.head + windows.tail):
            return Held(size or windows.most, windows.head, windows.tail)
        # All files of a body have the room in memory of one.
        return Store(self._settings, min(size, self.limit.most), max(IN_MEMORY - self.bytes_read, 0))

    def _read(self, deadline: float) -> bytes:
        try:
            if deadline <= time.monotonic():
                raise TimeoutError
            limit(self._connection, deadline)
            chunk = self._stream.read(CHUNK)
            if not chunk:
                self._ended = True
                limit(self._connection, None)
            return chunk
        except TimeoutError:
            self._ended = True
            seconds = quantity(self._settings.body_seconds, "s")
            raise Problem(
                408,
                "slow-body",
                "Body too slow",
                f"the body must arrive within {seconds} ({self._settings.variable('body_seconds')}) and a second "
                f"for each {quantity(self._settings.body_rate, 'bytes')} ({self._settings.variable('body_rate')}); "
                f"{quantity(self.bytes_read, 'bytes')} arrived",
            ) from None
        except Exception as error:  # noqa: BLE001 - servers raise their own types for broken chunks and disconnected clients
            self._ended = True
            raise malformed(f"the body could not be read: {type(error).__name__}") from None

    def drain(self) -> None:
        """Discard the unread rest of the body, within bounds.

        Without this, a client that sends its whole body before it reads would lose the response: the server closes a
        connection with unread bytes by a reset.
        """
        now = time.monotonic()
        drained = 0
        try:
            while not self._ended and drained < DRAIN_BYTES:
                drained += len(self._read(now + DRAIN_SECONDS))
        except Problem:
            return
        if not self._ended:
            limit(self._connection, now)  # otherwise gunicorn continues to read


class Held:
    """Where the bytes of a large file pass, of which windows are held.

    Args:
        most: bytes of the file, at most.
        head: bytes that are held at its beginning.
        tail: bytes that are held at its end.
    """

    def __init__(self, most: int, head: int, tail: int) -> None:
        from functions.kit.containers.windows import Windows

        self._windows = Windows(most, head, tail)

    def tell(self) -> int:
        """Bytes that have passed."""
        return self._windows.size

    def write(self, data: bytes) -> None:
        """Take in bytes."""
        self._windows.feed(data)

    def filled(self) -> bytes:
        """The file: its bytes where all are held, else a `Source`, which has their length."""
        source = self._windows.source()
        return cast(bytes, source if source.holes else source.data)
