"""Where everything stands in a TIFF structure: the positions that an edit in place has to know.

`functions.exif.ifd` reads values; this reads places. Both TIFF (32-bit offsets) and BigTIFF (64-bit) are known, as
an Exif block or as a whole file.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from struct import pack, unpack_from

from functions.exif.edit.errors import Broken

SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4, 16: 8, 17: 8, 18: 8, 129: 1}
"""Bytes of one value of each TIFF type; 129 is the UTF-8 of Exif 3.0."""

SUB_IFDS, EXIF, GPS, INTEROP, GLOBAL = 0x014A, 0x8769, 0x8825, 0xA005, 0x0190
POINTERS = {EXIF: "exif", GPS: "gps", INTEROP: "interop", SUB_IFDS: "image", GLOBAL: "image"}
"""The kind of directory that an entry points to, by its tag."""
# A real directory has at most a few hundred entries and a real scan at most thousands of pages.
MAX_ENTRIES = 4096
MAX_DIRECTORIES = 20_000
MAX_VALUES = 1_000_000

# Signed and short offsets are against the rules and in real files.
POINTER_TYPES = frozenset((3, 4, 9, 13, 16, 18))

Span = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Entry:
    """One directory entry.

    Args:
        position: of the entry in the data.
        tag: its number.
        kind: its TIFF type.
        count: of values.
        start: of the value, in the entry itself or elsewhere; -1 where it is not inside the data.
        size: of the value in bytes.
        inline: whether the value stands in the entry.
    """

    position: int
    tag: int
    kind: int
    count: int
    start: int
    size: int
    inline: bool

    @property
    def span(self) -> Span:
        """First byte of the value and the first after it."""
        return self.start, self.start + self.size


@dataclass(slots=True)
class Directory:
    """One image file directory.

    Args:
        kind: `image` (the chain and sub-IFDs), `exif`, `gps` or `interop`.
        position: of its count of entries.
        entries: in file order, those of known type alone.
        end: of the directory, its link to the next one included.
        next: position of the next directory, 0 for none and for what is none.
        links: whether the data hold the link to the next directory.
        children: directories that an entry points to, by the tag of the entry.
    """

    kind: str
    position: int
    entries: list[Entry]
    end: int
    next: int
    links: bool = True
    children: dict[int, list[Directory]] = field(default_factory=dict)

    def find(self, tag: int) -> Entry | None:
        """The first entry of a tag whose value is inside the data."""
        return next((entry for entry in self.entries if entry.tag == tag and entry.start >= 0), None)


class Layout:
    """The directories of a TIFF structure.

    Args:
        data: the structure from its byte order on.
        chain: whether to follow the chain of images; an Exif block's second one is its thumbnail.

    Raises:
        Broken: no TIFF header, or more directories and values than any real file holds.
    """

    def __init__(self, data: bytes | bytearray, chain: bool = True) -> None:
        self.data = data
        head = bytes(data[:4])
        if len(data) < 8 or head[:2] not in (b"II", b"MM"):
            raise Broken("no TIFF header")
        self.order = "<" if head[:2] == b"II" else ">"
        (magic,) = unpack_from(self.order + "H", head, 2)
        self.big = magic == 43
        if self.big and (len(data) < 16 or unpack_from(self.order + "HH", data, 4) != (8, 0)):
            raise Broken("no BigTIFF header")
        self.header = 16 if self.big else 8
        self.offset_format, self.offset_size = ("Q", 8) if self.big else ("I", 4)
        self.nowhere = 2 ** (8 * self.offset_size) - 1
        self.count_format, self.count_size = ("Q", 8) if self.big else ("H", 2)
        self.entry_size = 20 if self.big else 12
        self._seen: set[int] = set()
        self._values = 0
        self.images: list[Directory] = []
        (position,) = unpack_from(self.order + self.offset_format, data, self.header - self.offset_size)
        while position:
            directory = self._directory(position, "image")
            if directory is None:
                # A link to no directory ends the chain: written again, it is none, lest zeros become one.
                if self.images:
                    self.images[-1].next = 0
                break
            self.images.append(directory)
            if not chain:
                break
            position = directory.next

    def walk(self) -> Iterator[Directory]:
        """Every directory, parents first."""
        pending = list(reversed(self.images))
        while pending:
            directory = pending.pop()
            yield directory
            for children in directory.children.values():
                pending.extend(children)

    def raw(self, entry: Entry) -> bytes:
        """The bytes of a value."""
        return bytes(self.data[entry.start : entry.start + entry.size]) if entry.start >= 0 else b""

    def integers(self, entry: Entry | None) -> list[int]:
        """The values of an entry of an unsigned integer type; empty for any other.

        Raises:
            Broken: the file holds more values than it has bytes for, as overlapping arrays do.
        """
        letters = {1: "B", 3: "H", 4: "I", 9: "I", 13: "I", 16: "Q", 18: "Q"}
        if entry is None or entry.start < 0 or entry.kind not in letters:
            return []
        self._values += entry.count
        if self._values > MAX_VALUES:
            raise Broken(f"more than {MAX_VALUES:,} values in arrays")
        return list(unpack_from(f"{self.order}{entry.count}{letters[entry.kind]}", self.data, entry.start))

    def _directory(self, position: int, kind: str, depth: int = 0) -> Directory | None:
        data, order, end = self.data, self.order, len(self.data)
        if position in self._seen or not self.header <= position <= end - self.count_size or depth > 8:
            return None
        if len(self._seen) >= MAX_DIRECTORIES:
            raise Broken(f"more than {MAX_DIRECTORIES:,} directories")
        self._seen.add(position)
        (count,) = unpack_from(order + self.count_format, data, position)
        first = position + self.count_size
        room = (end - first) // self.entry_size
        # A count beyond the data or beyond any real one: what stands there is no directory.
        if count > min(room, MAX_ENTRIES):
            return None
        after = first + count * self.entry_size
        follows = after + self.offset_size <= end
        link = unpack_from(order + self.offset_format, data, after)[0] if follows else 0
        entries = []
        for at in range(first, after, self.entry_size):
            tag, type_, number = unpack_from(order + ("HHQ" if self.big else "HHI"), data, at)
            size = SIZES.get(type_, 0) * number
            place = at + self.entry_size - self.offset_size
            inline = size <= self.offset_size
            start = place if inline else unpack_from(order + self.offset_format, data, place)[0]
            inside = type_ in SIZES and start + size <= end
            entries.append(Entry(at, tag, type_, number, start if inside else -1, size, inline))
        stop = after + self.offset_size if follows else after
        directory = Directory(kind, position, entries, stop, link, follows)
        for entry in entries:
            if entry.tag in POINTERS and entry.kind in POINTER_TYPES and entry.count <= 1024:
                children = [self._directory(place, POINTERS[entry.tag], depth + 1) for place in self.integers(entry)]
                found = [child for child in children if child is not None]
                if found:
                    directory.children.setdefault(entry.tag, []).extend(found)
        return directory


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


def wipe(data: bytearray, spans: Iterable[Span], keep: Iterable[Span]) -> None:
    """Zero the bytes of `spans` that no span of `keep` covers."""
    kept, size = merged(keep), len(data)
    free = outside(kept, size)
    at = 0
    for start, end in merged(spans):
        while at < len(free) and free[at][1] <= start:
            at += 1
        index = at
        while index < len(free) and free[index][0] < end:
            low, high = max(start, free[index][0]), min(end, free[index][1])
            data[low:high] = bytes(high - low)
            index += 1


def compact(layout: Layout, out: bytearray, directory: Directory, keep: list[Entry]) -> Span:
    """Write a directory again in its own place with the entries to keep; return what it covers now.

    The order stays, so a sorted directory stays sorted; values stay where they are, the freed bytes become zero.
    """
    data, order = layout.data, layout.order
    body = b"".join(_moved(layout, entry, data) for entry in keep)
    first = directory.position + layout.count_size
    link = pack(order + layout.offset_format, directory.next)
    written = pack(order + layout.count_format, len(keep)) + body + link
    # A directory cut off by the end of the data has no link.
    written = written[: directory.end - directory.position]
    out[directory.position : directory.end] = written + bytes(directory.end - directory.position - len(written))
    return directory.position, min(first + len(body) + layout.offset_size, directory.end)


def _moved(layout: Layout, entry: Entry, data: bytes | bytearray) -> bytes:
    return bytes(data[entry.position : entry.position + layout.entry_size])
