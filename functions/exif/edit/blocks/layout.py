"""TIFF structures for edits in place: where everything stands, spans of bytes, and directories written again."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from struct import pack

from functions.exif.edit.errors import Broken
from functions.kit.containers.directories import (
    EXIF,
    GPS,
    INTEROP,
    MAX_ENTRIES,
    POINTERS,
    SIZES,
    Directories,
    Directory,
    Entry,
)
from functions.kit.containers.source import Buffer, Mapped, Source, zero

__all__ = ["EXIF", "GPS", "INTEROP", "MAX_ENTRIES", "POINTERS", "SIZES", "Directory", "Entry", "Layout", "Span"]
Span = tuple[int, int]


class Layout(Directories):
    """The directories of a TIFF structure that is to be edited: one that cannot be followed raises.

    Args:
        data: the structure from its byte order on.
        chain: whether to follow the chain of images; an Exif block's second one is its thumbnail.

    Raises:
        Broken: no TIFF header, or more directories and values than any real file holds.
    """

    def __init__(self, data: Buffer | bytearray, *, chain: bool = True) -> None:
        super().__init__(Source(bytes(data) if isinstance(data, bytearray) else data), chain=chain)
        self._raise()
        self.nowhere = 2 ** (8 * self.offset_size) - 1

    def integers(self, entry: Entry | None) -> list[int]:
        """The values of an entry of an unsigned integer type; empty for any other.

        Raises:
            Broken: the file holds more values than it has bytes for, as overlapping arrays do.
        """
        values = super().integers(entry)
        self._raise()
        return values

    def _raise(self) -> None:
        if self.problem:
            raise Broken(self.problem)


def merged(spans: Iterable[Span]) -> list[Span]:
    """The same bytes as sorted spans that do not touch."""
    result: list[Span] = []
    for start, end in sorted(span for span in spans if span[0] < span[1]):
        if result and start <= result[-1][1]:
            if end > result[-1][1]:
                result[-1] = (result[-1][0], end)
        else:
            result.append((start, end))
    return result


def outside(spans: Iterable[Span], size: int) -> list[Span]:
    """The bytes of `size` that no span covers."""
    gaps, position = [], 0
    for start, end in merged(spans):
        if start > position:
            gaps.append((position, min(start, size)))
        position = max(position, end)
    if position < size:
        gaps.append((position, size))
    return [gap for gap in gaps if gap[0] < gap[1]]


def common(first: Sequence[Span], second: Sequence[Span]) -> Iterator[Span]:
    """What two lists of spans, each sorted and without overlaps, have in common."""
    at = 0
    for start, end in first:
        while at < len(second) and second[at][1] <= start:
            at += 1
        index = at
        while index < len(second) and second[index][0] < end:
            yield max(start, second[index][0]), min(end, second[index][1])
            index += 1


def wipe(data: bytearray | Mapped, spans: Iterable[Span], keep: Iterable[Span]) -> None:
    """Zero the bytes of `spans` that no span of `keep` covers."""
    for low, high in common(merged(spans), outside(keep, len(data))):
        zero(data, low, high)


def compact(layout: Layout, out: bytearray | Mapped, directory: Directory, keep: list[Entry]) -> Span:
    """Write a directory again in its own place with the entries to keep; return what it covers now.

    The order stays, so a sorted directory stays sorted; values stay where they are, the freed bytes become zero.
    """
    data, order = layout.data, layout.order
    body = b"".join(bytes(data[entry.position : entry.position + layout.entry_size]) for entry in keep)
    first = directory.position + layout.count_size
    link = pack(order + layout.offset_format, directory.next)
    written = pack(order + layout.count_format, len(keep)) + body + link
    # A directory cut off by the end of the data has no link.
    written = written[: directory.end - directory.position]
    out[directory.position : directory.end] = written + bytes(directory.end - directory.position - len(written))
    return directory.position, min(first + len(body) + layout.offset_size, directory.end)
