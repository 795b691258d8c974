"""Large bodies on disk: one spool for a pod, with a budget, so that uploads do not add up in memory.

A body is in memory up to `IN_MEMORY` bytes; beyond, it moves to a file without a name that is read through a memory
map. The file and its share of the budget are released when the map is no longer referenced.
"""

from __future__ import annotations

import io
import mmap
import tempfile
import threading
import weakref
from pathlib import Path
from typing import IO, TYPE_CHECKING, cast

if TYPE_CHECKING:
    from functions.kit.http.settings import Settings

IN_MEMORY = 32 * 2**20
_lock = threading.Lock()
_used = 0


class Mapped(mmap.mmap):
    """A spooled body; `file` is where it is stored."""

    file: IO[bytes]


def used() -> int:
    """Bytes of the budget that are reserved."""
    return _used


def _reserve(size: int, settings: Settings) -> None:
    """Reserve bytes of the budget.

    Raises:
        Problem: 503 where they are not left.
    """
    from functions.kit.http.problems import busy, quantity

    global _used  # noqa: PLW0603 - one budget for the process
    with _lock:
        if _used + size > settings.spool_bytes:
            raise busy(
                f"the spool holds {quantity(_used, 'bytes')} of other requests and has no room for {size:,} more; the "
                f"limit is {quantity(settings.spool_bytes, 'bytes')} ({settings.variable('spool_bytes')})",
                retry_after=5,
            )
        _used += size


def _release(size: int) -> None:
    global _used  # noqa: PLW0603 - as above
    with _lock:
        _used -= size


def _new_file(settings: Settings) -> IO[bytes]:
    """A file without a name; in the system's folder where the spool's own is not there, as outside a pod."""
    folder = settings.spool_folder
    return tempfile.TemporaryFile(dir=folder if folder and Path(folder).is_dir() else None)


class Store:
    """Where the bytes of one file are put together.

    Args:
        settings: `spool_bytes`; 0 keeps all of them in memory.
        size: of the file, as far as it is known.
    """

    def __init__(self, settings: Settings, size: int) -> None:
        self._settings = settings
        self._file: IO[bytes] | None = None
        self._share = _Share()
        weakref.finalize(self, self._share.release)
        if settings.spool_bytes and size > IN_MEMORY:
            self._share.grow(size, settings)
            self._file = self._share.file = _new_file(settings)
        # The bytes object has no other owner, so BytesIO writes into it and `filled` hands it out without a copy.
        self._buffer = io.BytesIO(b"" if self._file else bytes(size))

    def tell(self) -> int:
        """Bytes written."""
        return (self._file or self._buffer).tell()

    def write(self, data: bytes) -> None:
        """Append bytes.

        Raises:
            Problem: 503 where the spool has no room for them.
        """
        if self._file is None and self._settings.spool_bytes and self._buffer.tell() + len(data) > IN_MEMORY:
            self._share.grow(self._buffer.tell(), self._settings)
            self._file = self._share.file = _new_file(self._settings)
            self._append(self._buffer.getbuffer()[: self._buffer.tell()])
            self._buffer = io.BytesIO()
        if self._file is not None:
            self._share.grow(self._file.tell() + len(data), self._settings)
            self._append(data)
        else:
            self._buffer.write(data)

    def _append(self, data: bytes | memoryview) -> None:
        from functions.kit.http.problems import busy

        assert self._file is not None  # noqa: S101 - the callers'
        try:
            self._file.write(data)
            self._file.flush()
        except OSError as error:
            raise busy(f"the spool cannot store {len(data):,} more bytes: {error.strerror}", retry_after=5) from None

    def filled(self) -> bytes:
        """What was written: bytes, or a `Mapped`, which has their length and slices. The store takes no more."""
        if self._file is None:
            self._buffer.truncate()
            return self._buffer.getvalue()
        whole = Mapped(self._file.fileno(), 0, access=mmap.ACCESS_READ)
        whole.file = self._file
        weakref.finalize(whole, self._share.handed().release)
        return cast(bytes, whole)


def mapped(data: object) -> Mapped | None:
    """The data as a spooled body; None where they are in memory."""
    return data if isinstance(data, Mapped) else None


class _Share:
    """A part of the budget and its file, released once."""

    def __init__(self, size: int = 0, file: IO[bytes] | None = None) -> None:
        self.size = size
        self.file = file

    def grow(self, size: int, settings: Settings) -> None:
        """Hold at least so many bytes."""
        if size > self.size:
            _reserve(size - self.size, settings)
            self.size = size

    def handed(self) -> _Share:
        """The same bytes under another owner."""
        other = _Share(self.size, self.file)
        self.size, self.file = 0, None
        return other

    def release(self) -> None:
        """Return the bytes to the budget."""
        _release(self.size)
        if self.file is not None:
            self.file.close()
        self.size, self.file = 0, None
