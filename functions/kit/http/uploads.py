"""The bounded body of a request: raw bytes, or the files of a multipart form.

The limit is enforced while reading, before the body is in memory, with or without a Content-Length. A truncated body is
refused.
"""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Container, Iterator
from dataclasses import dataclass
from mmap import mmap
from typing import IO, TYPE_CHECKING, NamedTuple, cast

from functions.kit.http.problems import Problem, bad_option, malformed, no_image, quantity, too_many_bytes
from functions.kit.http.settings import Settings
from functions.kit.http.spool import IN_MEMORY, Store
from functions.kit.server.deadlines import limit

if TYPE_CHECKING:
    from functions.kit.containers.source import Source

# As much as gunicorn receives at once: smaller reads make it copy the rest each time.
CHUNK = 2**20
# Bytes of an unwanted body that are drained, so that a client that sends before it reads gets its response.
DRAIN_BYTES = 64 * 2**20
DRAIN_SECONDS = 10.0
MAX_FIELDS = 100
_importing = threading.Lock()


@dataclass(frozen=True)
class Upload:
    """One file of a request.

    Where the function has a spool, `data` of a large one is a `spool.Mapped`; where it reads by windows, a `Source`.
    """

    data: bytes
    name: str | None = None
    content_type: str | None = None
    field: str | None = None


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

    def chunks(self) -> Iterator[bytes]:
        """The body in pieces of at most 1 MiB.

        Raises:
            Problem: 413 above the limit, 408 after the deadline, 400 for a truncated body.
        """
        most, variable = self.windows[:2] if self.windows is not None else self.limit
        if self._length is not None and self._length > most:
            raise too_many_bytes(most, self._length, variable)
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
        """
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
                f"{quantity(self.bytes_read, 'bytes')} did",
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


def boundary_of(content_type: str) -> str | None:
    """The boundary of a multipart/form-data Content-Type; None for any other type.

    Raises:
        Problem: 400 for multipart/form-data without a boundary.
    """
    if not content_type[:19].lower().startswith("multipart/form-data"):
        return None
    boundary = parameter_of(content_type, "boundary")
    if not boundary:
        raise malformed("multipart/form-data without a boundary")
    return boundary


def parameter_of(content_type: str, name: str) -> str | None:
    """A parameter of a Content-Type."""
    # One thread at a time: if python-multipart is installed too, its package `multipart` loads the real one, and
    # another thread could see a half-initialised module.
    with _importing:
        from multipart import parse_options_header

    _, options = parse_options_header(content_type)
    value = options.get(name)
    return str(value) if value else None


def read_uploads(body: Body, content_type: str, max_files: int, options: Container[str] = ()) -> list[Upload]:
    """Return the files of a request: those of a form, or the raw body as the only file.

    A body that is not multipart/form-data is a raw image, whatever its Content-Type.

    Args:
        body: body of the request.
        content_type: its Content-Type.
        max_files: limit of files in one form.
        options: names that a text field must not have: options go in the query, and would be ignored here.

    Raises:
        Problem: 400 for a malformed form, an empty body, and a form without a file, with more than `max_files` or with
            an option.
    """
    boundary = boundary_of(content_type)
    if boundary is None:
        data = body.store()
        if not data:
            raise no_image("the body is empty; send an image as the body or as a file of a form")
        return [Upload(data, content_type=content_type or None)]
    files = _read_form(body, boundary, max_files, options)
    if not files:
        raise no_image("the form has no file; send it as the field 'file' or 'image'")
    return files


def _read_form(body: Body, boundary: str, max_files: int, options: Container[str]) -> list[Upload]:
    from multipart import MultipartError, MultipartSegment, PushMultipartParser

    files: list[Upload] = []
    nameless: list[Upload] = []
    buffer = body.buffer()
    segment: MultipartSegment | None = None
    keep = False
    try:
        # Latin-1 accepts any byte: names are decoded separately, so that one cannot fail the form.
        most = max_files + MAX_FIELDS
        with PushMultipartParser(boundary, max_segment_count=most, header_charset="latin-1") as parser:
            for chunk in body.chunks():
                for event in parser.parse(chunk):
                    if isinstance(event, MultipartSegment):
                        segment = event
                        if event.filename is None and event.name in options:
                            raise _misplaced(str(event.name))
                        if buffer.tell():
                            buffer = body.buffer()
                        keep = event.filename is not None or event.name in ("file", "image")
                    elif event:
                        if keep:
                            buffer.write(event)
                    elif segment is not None and keep:
                        kind = nameless if segment.filename is None else files
                        if len(kind) == max_files:
                            raise malformed(f"more than {max_files} files in one request, the limit")
                        data = buffer.filled()
                        _check_held(body, files, data)
                        # Browsers send an empty file input as a part without file name and bytes.
                        if data or segment.filename:
                            name, field = _decoded(segment.filename or ""), _decoded(segment.name or "")
                            kind.append(Upload(data, name or None, segment.content_type, field))
    except MultipartError as error:
        raise malformed(f"malformed multipart form: {error}") from None
    # Some clients send a file without a name. Next to a named file, an unnamed part is a text field, such as a caption.
    return files or nameless


def _check_held(body: Body, files: list[Upload], data: bytes) -> None:
    """Refuse several files that are held in part, but together are more than a body may be.

    Raises:
        Problem: 413.
    """
    most, variable = body.limit
    total = sum(held_bytes(upload.data) for upload in files) + held_bytes(data)
    if body.windows is not None and files and total > most:
        raise too_many_bytes(most, total, variable)


def first_bytes(data: bytes | Source) -> bytes:
    """The file, or its first bytes where it is held in part."""
    if isinstance(data, bytes | mmap):
        return data
    return data.read(0, data.holes[0].start if data.holes else data.size)


def held_bytes(data: bytes | Source) -> int:
    """How many bytes of a file are held."""
    if isinstance(data, bytes | mmap):
        return len(data)
    return data.size - sum(hole.end - hole.start for hole in data.holes)


def _misplaced(option: str) -> Problem:
    return bad_option(option, f"options go in the query: ?{option}=…; the form field {option!r} would be ignored")


def _decoded(name: str) -> str:
    """Decode a name that was read as Latin-1: as UTF-8, else as Windows-1252."""
    raw = name.encode("latin-1")
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return raw.decode("cp1252", "replace")


def the_image(files: list[Upload]) -> Upload:
    """Return the one image of a form: the field `file`, or `image`, or the only file.

    Raises:
        Problem: 400 for several files without such a name, and for an empty file.
    """
    for field in ("file", "image"):
        for upload in files:
            if upload.field == field:
                return _not_empty(upload)
    if len(files) == 1:
        return _not_empty(files[0])
    named = ", ".join(repr(upload.field) for upload in files)
    raise malformed(f"the form has {len(files)} files ({named}); name the image 'file' or 'image'")


def _not_empty(upload: Upload) -> Upload:
    if not upload.data:
        raise no_image("the file is empty")
    return upload
