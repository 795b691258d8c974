"""A file that is held in part while it arrives: its head, its tail, and what its format's elements hold between.

Every piece is written where it belongs in a mapping of the file's size. What is neither kept nor near the end is given
back to the system, so that a file of any size takes no more memory than its windows. Formats that are a sequence of
elements are followed as their bytes pass, and only pixels are given back; of any other format head and tail are held.
"""

from __future__ import annotations

import mmap
import re
from collections.abc import Callable, Generator
from typing import NamedTuple

from functions.kit.containers import jpeg, webp
from functions.kit.containers.sniff import sniff
from functions.kit.containers.source import Source, Span, Sparse

HEAD, TAIL, BETWEEN = 16 * 2**20, 4 * 2**20, 4 * 2**20
# Of the budget between the two, this is left for short elements, such as headers of frames.
RESERVE, SHORT = 2**19, 4096
PAGE = mmap.PAGESIZE
# How many bytes a format is recognised by.
FIRST = 4096


class Take(NamedTuple):
    """So many bytes are wanted at once, and are kept."""

    size: int


class Keep(NamedTuple):
    """So many bytes are kept, as far as the budget reaches."""

    size: int


class Skip(NamedTuple):
    """So many bytes are given back."""

    size: int


class Until(NamedTuple):
    """What comes before a pattern of two bytes is given back."""

    pattern: re.Pattern[bytes]


class SubBlocks(NamedTuple):
    """A run of blocks, each behind its length in one byte, is given back; it ends with an empty one."""


Want = Take | Keep | Skip | Until | SubBlocks
Steps = Generator[Want, bytes, None]


class Windows:
    """The bytes of one file as they arrive.

    Args:
        most: bytes of the largest file; the announced size, if there is one.
        head: bytes that are held at the beginning.
        tail: bytes that are held at the end.
        between: bytes that are held of elements between the two.
    """

    def __init__(self, most: int, head: int = HEAD, tail: int = TAIL, between: int = BETWEEN) -> None:
        self.data = Sparse.of(most)
        self.head, self.tail, self.left = head, tail, between
        self.size = 0
        self.kept: list[Span] = []
        self._ends: dict[int, int] = {}
        self._run = -1  # the beginning of the run of blocks that the walk is in
        self._given = 0  # up to here what is not kept was given back
        self._at = 0  # position of the walk over the format's elements
        self._steps: Steps | None = None
        self._want: Want | None = None
        self._known = False

    def feed(self, piece: bytes) -> None:
        """Take in the next bytes.

        Raises:
            ValueError: more bytes than the largest file has.
        """
        if self.size + len(piece) > len(self.data):
            raise ValueError("more bytes than were announced")
        self.data[self.size : self.size + len(piece)] = piece
        self.size += len(piece)
        if not self._known and self.size >= FIRST:
            self._recognise()
        if self._steps is not None:
            self._walk()
        if self.size - self.tail > max(self.head, self._given) + 2**20:
            self._give_back(self.size - self.tail)

    def source(self) -> Source:
        """The file, when all of it has arrived."""
        if not self._known:
            self._recognise()
            self._walk()
        self._give_back(self.size - self.tail)
        if self.size <= self.head + self.tail:
            data = self.data[: self.size]
            self.data.close()
            return Source(data)
        self.data.resize(self.size)
        self.data.holes = tuple(self._holes())
        return Source(self.data, self.data.holes, self._ends)

    def _recognise(self) -> None:
        self._known = True
        found = sniff(self.data[: min(self.size, FIRST)])
        walk = _WALKS.get(found.reader) if found is not None else None
        if walk is not None:
            self._steps = walk()
            self._want = next(self._steps)

    def _walk(self) -> None:
        """Follow the elements as far as their bytes are there."""
        while self._steps is not None and self._want is not None:
            answer = self._serve(self._want)
            if answer is None or self._steps is None:
                return
            try:
                self._want = self._steps.send(answer)
            except StopIteration:
                self._steps = None

    def _serve(self, want: Want) -> bytes | None:
        """The answer to what is wanted; None while its bytes have not arrived."""
        at, size = self._at, self.size
        if isinstance(want, Take):
            if at + want.size > size:
                return None
            self._at = at + want.size
            self._keep(at, self._at, self.left)
            if not self.left:
                self._steps = None  # more elements than there is room for their headers
            return self.data[at : self._at]
        if isinstance(want, Keep | Skip):
            # The position may run ahead of what has arrived.
            if isinstance(want, Keep):
                room = self.left if want.size <= SHORT else max(self.left - RESERVE, 0) // 2
                self._keep(at, at + want.size, room)
            self._at = at + want.size
            return b""
        return self._search(want) if isinstance(want, Until) else self._blocks()

    def _search(self, want: Until) -> bytes | None:
        if self._at >= self.size:
            return None
        found = want.pattern.search(self.data, self._at, self.size)
        # A pattern may begin with the last byte that has arrived.
        self._at = max(self.size - 1, self._at) if found is None else found.start()
        return None if found is None else b"\1"

    def _blocks(self) -> bytes | None:
        data, at, size = self.data, self._at, self.size
        self._run = at if self._run < 0 else self._run
        while at < size and data[at]:
            at += data[at] + 1
        self._at = at
        if at >= size:
            return None
        self._at += 1
        self._ends[self._run], self._run = self._at, -1
        return b"\1"

    def _keep(self, start: int, end: int, room: int) -> None:
        start = max(start, self.head)
        end = min(end, start + room)
        if start >= end:
            return
        self.left -= end - start
        if self.kept and self.kept[-1].end == start:
            self.kept[-1] = Span(self.kept[-1].start, end)
        else:
            self.kept.append(Span(start, end))

    def _give_back(self, end: int) -> None:
        """Give back the pages up to a position that are not kept."""
        for hole in self._between(max(self.head, self._given), end):
            low, high = -(-hole.start // PAGE) * PAGE, hole.end // PAGE * PAGE
            if low < high:
                self.data.madvise(mmap.MADV_DONTNEED, low, high - low)
        self._given = max(self._given, end)

    def _between(self, start: int, end: int) -> list[Span]:
        """What is not kept between two positions."""
        holes = []
        for span in self.kept:
            if span.end <= start or start >= end:
                continue
            if span.start > start:
                holes.append(Span(start, min(span.start, end)))
            start = span.end
        if start < end:
            holes.append(Span(start, end))
        return holes

    def _holes(self) -> list[Span]:
        return self._between(self.head, max(self.size - self.tail, self.head))


def _png() -> Steps:
    yield Take(8)
    while True:
        head = yield Take(8)
        length, kind = int.from_bytes(head[:4], "big"), head[4:]
        yield Skip(length) if kind in (b"IDAT", b"fdAT") else Keep(length)
        yield Keep(4)
        if kind == b"IEND":
            return


def _webp() -> Steps:
    yield Take(12)
    while True:
        head = yield Take(8)
        length = int.from_bytes(head[4:], "little")
        yield Skip(length + (length & 1)) if head[:4] in (*webp.PIXELS, b"ANMF") else Keep(length + (length & 1))


def _jpeg() -> Steps:
    yield Until(re.compile(rb"\xff\xd8"))
    yield Take(2)
    while True:
        marker = yield Take(2)
        if marker[0] != 0xFF or not 0xC0 <= marker[1] < 0xFF:
            yield Until(jpeg.MARKER)
            marker = yield Take(2)
        if marker[1] == jpeg.EOI:
            return
        if marker[1] in jpeg.STANDALONE:
            continue
        length = int.from_bytes((yield Take(2)), "big")
        if length < 2:
            return
        yield Keep(length - 2)
        if marker[1] == jpeg.SOS:
            yield Until(jpeg.END_OF_SCAN)


def _gif() -> Steps:
    head = yield Take(13)
    if head[10] & 0x80:
        yield Keep(3 << (head[10] & 7) + 1)
    while True:
        kind = yield Take(1)
        if kind == b",":
            local = yield Take(9)
            yield Keep((3 << (local[8] & 7) + 1 if local[8] & 0x80 else 0) + 1)
            yield SubBlocks()
        elif kind == b"!":
            yield Take(1)
            # Extensions are kept: their blocks are short.
            while size := (yield Take(1))[0]:
                yield Keep(size)
        else:
            return


def _boxes() -> Steps:
    while True:
        head = yield Take(8)
        size, kind, read = int.from_bytes(head[:4], "big"), head[4:], 8
        if size == 1:
            size, read = int.from_bytes((yield Take(8)), "big"), 16
        if size < read:
            return
        yield Skip(size - read) if kind in _PIXEL_BOXES else Keep(size - read)


_PIXEL_BOXES = frozenset((b"mdat", b"jxlc", b"jxlp", b"jp2c", b"free", b"skip"))
_WALKS: dict[str, Callable[[], Steps]] = {
    "png": _png,
    "webp": _webp,
    "jpeg": _jpeg,
    "gif": _gif,
    "isobmff": _boxes,
    "jxl": _boxes,
    "jp2": _boxes,
}
