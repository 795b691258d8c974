"""The bytes of a file: all of them, or the windows of it that are held."""

from __future__ import annotations

import mmap
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple


class Span(NamedTuple):
    """The bytes from `start` up to `end`."""

    start: int
    end: int


class Mapped(mmap.mmap):
    """A file in a memory map, with what readers and writers of bytes use of them."""

    def startswith(self, prefix: bytes | tuple[bytes, ...], start: int = 0, end: int | None = None) -> bool:
        """As `bytes.startswith`."""
        longest = max(map(len, prefix)) if isinstance(prefix, tuple) else len(prefix)
        stop = start + longest if end is None else min(start + longest, end)
        return self[start:stop].startswith(prefix)

    def endswith(self, suffix: bytes) -> bool:
        """As `bytes.endswith`."""
        return self[max(len(self) - len(suffix), 0) :] == suffix

    def count(self, text: bytes) -> int:
        """As `bytes.count`."""
        found, at = 0, self.find(text, 0)
        while at >= 0:
            found, at = found + 1, self.find(text, at + len(text))
        return found

    def written(self, pieces: Iterable[bytes]) -> bytes:
        """A new file of some pieces, stored as this one is."""
        return b"".join(pieces)

    def editable(self) -> bytearray | Mapped:
        """A copy that can be changed, stored as this one is."""
        return bytearray(self[:])

    def __iadd__(self, more: bytes) -> Mapped:
        """Append bytes to an editable copy."""
        size = len(self)
        self.resize(size + len(more))
        self[size:] = more
        return self

    def cut(self, size: int) -> bytes:
        """The first bytes as a file; an editable copy is not changed any more."""
        return self[:size]


class Sparse(Mapped):
    """A file of which some windows are held; the rest of it takes no memory and reads as zeros.

    Attributes:
        holes: what is not held, in order.
    """

    holes: tuple[Span, ...] = ()

    @classmethod
    def of(cls, size: int) -> Sparse:
        """An empty file of a size."""
        flags = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | getattr(mmap, "MAP_NORESERVE", 0)
        return cls(-1, max(size, 1), flags=flags)

    def held(self, start: int, end: int) -> bool:
        """Whether all bytes between two positions are there."""
        return end <= len(self) and not any(start < hole.end and hole.start < end for hole in self.holes)


Buffer = bytes | Mapped
# Bytes that are copied at once from one file to another.
PIECE = 2**20


def pieces(data: Buffer, start: int, end: int) -> Iterator[bytes]:
    """The bytes between two positions: at once, or in pieces of a file in a map."""
    step = PIECE if isinstance(data, Mapped) else max(end - start, 1)
    for at in range(start, end, step):
        yield data[at : min(at + step, end)]


def editable(data: Buffer | bytearray) -> bytearray | Mapped:
    """A copy that can be changed, in memory or stored as the file is."""
    return data.editable() if isinstance(data, Mapped) else bytearray(data)


def again(data: Buffer) -> bytearray | Mapped:
    """An editable copy that was finished, to be changed further."""
    return data if isinstance(data, Mapped) else bytearray(data)


def finished(out: Buffer | bytearray, size: int = -1) -> bytes:
    """A file out of an editable copy, or a file as it is.

    Args:
        out: the copy, which is not changed any more.
        size: bytes of it; -1 for all.
    """
    if isinstance(out, Mapped):
        return out.cut(len(out) if size < 0 else min(size, len(out)))
    return bytes(out if size < 0 else out[:size])


def zero(out: bytearray | Mapped, start: int, end: int) -> None:
    """Overwrite the bytes between two positions by zeros."""
    for at in range(start, end, PIECE):
        stop = min(at + PIECE, end)
        out[at:stop] = bytes(stop - at)


def blank(data: Buffer | bytearray, start: int, end: int, fill: bytes = b"\0") -> bool:
    """Whether there are fill bytes alone between two positions."""
    return all(not data[at : min(at + PIECE, end)].strip(fill) for at in range(start, end, PIECE))


def held(data: object, start: int, end: int) -> bool:
    """Whether all bytes between two positions of some data are there: those of `bytes` are."""
    return data.held(start, end) if isinstance(data, Sparse) else True


def is_sparse(data: object) -> bool:
    """Whether some data are a file of which windows are held."""
    return isinstance(data, Sparse)


class Source:
    """A file that may be held in part.

    Args:
        data: the whole file; or a buffer of its size in which what is not held reads as zeros.
        holes: what is not held, in order.
        ends: the ends of runs of blocks that were followed as they passed, by their beginnings.
    """

    __slots__ = ("data", "ends", "examined", "holes", "missing", "size")

    def __init__(self, data: Buffer, holes: tuple[Span, ...] = (), ends: Mapping[int, int] | None = None) -> None:
        self.data = data
        self.holes = holes
        self.ends = ends or {}
        # Whether what is not held was followed as it passed, so that nothing but pixels is missing in pixels.
        self.examined = True
        self.size = len(data)
        self.holes = holes
        # What a reader wanted and is not held.
        self.missing: list[Span] = []

    def __len__(self) -> int:
        return self.size

    def held(self, start: int, end: int) -> bool:
        """Whether all bytes between two positions are there; what is not held of them is noted in `missing`."""
        whole = True
        for hole in self.holes:
            low, high = max(start, hole.start), min(end, hole.end)
            if low < high:
                whole = False
                if len(self.missing) < 1024 and Span(low, high) not in self.missing:
                    self.missing.append(Span(low, high))
        return whole and end <= self.size

    def has(self, start: int, end: int) -> bool:
        """The same, without a note."""
        return end <= self.size and not any(start < hole.end and hole.start < end for hole in self.holes)

    def read(self, start: int, end: int) -> bytes:
        """The bytes between two positions, fewer at the end of the file; none where they are not all held."""
        if self.holes and not self.held(start, min(end, self.size)):
            return b""
        return self.data[start:end]

    def search(self, pattern: re.Pattern[bytes], start: int, end: int) -> re.Match[bytes] | None:
        """The first match between two positions, in what is held."""
        for hole in self.holes:
            if hole.end > start and hole.start < end:
                found = pattern.search(self.data, start, max(start, hole.start))
                if found is not None:
                    return found
                start = min(hole.end, end)
        return pattern.search(self.data, start, end)

    def startswith(self, prefix: bytes, start: int) -> bool:
        """Whether the bytes at a position begin like that."""
        return self.data[start : start + len(prefix)] == prefix


def sparse(size: int, windows: list[tuple[int, bytes]]) -> Source:
    """A file of which only some windows are held.

    Args:
        size: of the file.
        windows: position and bytes of each.
    """
    data = Sparse.of(size)
    holes, at = [], 0
    for start, piece in sorted(windows):
        data[start : start + len(piece)] = piece
        if start > at:
            holes.append(Span(at, start))
        at = max(at, start + len(piece))
    if at < size:
        holes.append(Span(at, size))
    data.holes = tuple(holes)
    source = Source(data, data.holes)
    source.examined = not holes
    return source
