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
from collections.abc import Iterable
from pathlib import Path
from typing import IO, TYPE_CHECKING, cast

from functions.kit.containers import source

if TYPE_CHECKING:
    from functions.kit.http.settings import Settings

IN_MEMORY = 32 * 2**20
_lock = threading.Lock()
_used = 0


class Mapped(source.Mapped):
    """A spooled body.

    Attributes:
        file: where it is stored.
        settings: of the spool.
        share: of the budget.
    """

    file: IO[bytes]
    settings: Settings
    share: _Share

    def written(self, pieces: Iterable[bytes]) -> bytes:
        """A new file of some pieces in the spool.

        Raises:
            Problem: 503 where the spool has no room for it.
        """
        store = Store(self.settings, len(self), room=0)
        for piece in pieces:
            store.write(piece)
        return store.filled()

    def editable(self) -> Mapped:
        """A copy in the spool that can be changed.

        Raises:
            Problem: 503 where the spool has no room for it.
        """
        store = Store(self.settings, len(self), room=0)
        for piece in source.pieces(self, 0, len(self)):
            store.write(piece)
        return store.mapped(writable=True)

    def __iadd__(self, more: bytes) -> Mapped:
        """Append bytes to an editable copy.

        Raises:
            Problem: 503 where the spool has no room for them.
        """
        self.share.grow(len(self) + len(more), self.settings)
        super().__iadd__(more)
        return self

    def cut(self, size: int) -> bytes:
        """The first bytes as a file; an editable copy is not changed any more."""
        if size < len(self):
            self.resize(size)
        return cast(bytes, self)


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
        room: bytes of it that may stay in memory.
    """

    def __init__(self, settings: Settings, size: int, room: int = IN_MEMORY) -> None:
        self._settings = settings
        self._room = room
        self._file: IO[bytes] | None = None
        self._share = _Share()
        weakref.finalize(self, self._share.release)
        if settings.spool_bytes and size > room:
            self._share.grow(size, settings)
            self._file = self._share.file = _new_file(settings)
        # The bytes object has no other owner, so BytesIO writes into it and `filled` hands it out without a copy.
        self._buffer = io.BytesIO(b"" if self._file else bytes(size))

    def tell(self) -> int:
        """Bytes written; after `seek`, the position."""
        return (self._file or self._buffer).tell()

    def seek(self, position: int) -> int:
        """Seek to a position to overwrite what follows; the last position is the end of the file."""
        return (self._file or self._buffer).seek(position)

    def flush(self) -> None:
        """Nothing to do: what was written is there."""

    def write(self, data: bytes) -> None:
        """Append bytes.

        Raises:
            Problem: 503 where the spool has no room for them.
        """
        if self._file is None and self._settings.spool_bytes and self._buffer.tell() + len(data) > self._room:
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

        assert self._file is not None
        try:
            self._file.write(data)
            self._file.flush()
        except OSError as error:
            raise busy(f"the spool cannot store {len(data):,} more bytes: {error.strerror}", retry_after=5) from None

    def filled(self) -> bytes:
        """What was written: bytes, or a `Mapped`, which has their length and slices. The store takes no more."""
        if self._file is None or not self._file.tell():
            self._buffer.truncate()
            return self._buffer.getvalue()
        return cast(bytes, self.mapped())

    def mapped(self, *, writable: bool = False) -> Mapped:
        """What was written, which is in the spool."""
        assert self._file is not None
        whole = Mapped(self._file.fileno(), 0, access=mmap.ACCESS_WRITE if writable else mmap.ACCESS_READ)
        whole.file, whole.settings, whole.share = self._file, self._settings, self._share.handed()
        weakref.finalize(whole, whole.share.release)
        return whole


def mapped(data: object) -> Mapped | None:
    """The data as a spooled body; None where they are in memory."""
    return data if isinstance(data, Mapped) else None


class _Share:
    """A part of the budget and its file, released once."""

    def __init__(self, size: int = 0, file: IO[bytes] | None = None) -> None:
        self.size = size
        self.file = file

    def grow(self, size: int, settings: Settings) -> None:
        """Make room for at least `size` bytes."""
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
