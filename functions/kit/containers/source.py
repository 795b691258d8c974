"""The bytes of a file: all of them, or the windows of it that are held."""

from __future__ import annotations

import mmap
import re
from collections.abc import Mapping
from typing import NamedTuple


class Span(NamedTuple):
    """The bytes from `start` up to `end`."""

    start: int
    end: int


class Sparse(mmap.mmap):
    """A file of which some windows are held; the rest of it takes no memory and reads as zeros.

    It has what readers of bytes use of them.

    Attributes:
        holes: what is not held, in order.
    """

    holes: tuple[Span, ...] = ()

    @classmethod
    def of(cls, size: int) -> Sparse:
        """An empty file of a size."""
        flags = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | getattr(mmap, "MAP_NORESERVE", 0)
        return cls(-1, max(size, 1), flags=flags)

    def startswith(self, prefix: bytes | tuple[bytes, ...], start: int = 0, end: int | None = None) -> bool:
        """As `bytes.startswith`."""
        longest = max(map(len, prefix)) if isinstance(prefix, tuple) else len(prefix)
        stop = start + longest if end is None else min(start + longest, end)
        return self[start:stop].startswith(prefix)

    def held(self, start: int, end: int) -> bool:
        """Whether all bytes between two positions are there."""
        return end <= len(self) and not any(start < hole.end and hole.start < end for hole in self.holes)


Buffer = bytes | Sparse


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
