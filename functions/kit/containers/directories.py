"""Places of everything in a TIFF structure (TIFF 6.0, BigTIFF, Exif 3.0): directories, entries and their values.

Values are not decoded here; the structure may be a whole file or an Exif block.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from struct import Struct, unpack_from
from typing import NamedTuple

from functions.kit.containers.source import Source, Span

SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4, 16: 8, 17: 8, 18: 8, 129: 1}
"""Bytes of one value of each TIFF type; 129 is the UTF-8 of Exif 3.0."""

SUB_IFDS, EXIF, GPS, INTEROP, GLOBAL = 0x014A, 0x8769, 0x8825, 0xA005, 0x0190
POINTERS = {SUB_IFDS: "image", GLOBAL: "image", EXIF: "exif", GPS: "gps", INTEROP: "interop"}
NAMES = {SUB_IFDS: "SubIFD", GLOBAL: "GlobParamIFD", EXIF: "ExifIFD", GPS: "GPS", INTEROP: "InteropIFD"}
# A real directory has at most a few hundred entries and a real scan at most thousands of pages.
MAX_ENTRIES = 4096
MAX_TOTAL_ENTRIES = 200_000
MAX_DIRECTORIES = 20_000
MAX_DEPTH = 8
MAX_CHILDREN = 1024
MAX_VALUES = 1_000_000
# Signed and short offsets are against the rules and in real files.
POINTER_TYPES = frozenset((3, 4, 9, 13, 16, 18))
# Signed ones too, as decoders accept them for places and sizes.
_LETTERS = {1: "B", 3: "H", 4: "I", 6: "B", 8: "H", 9: "I", 13: "I", 16: "Q", 17: "Q", 18: "Q"}
_ENTRIES = {(order, big): Struct(order + ("HHQQ" if big else "HHII")) for order in "<>" for big in (False, True)}


class Entry(NamedTuple):
    """One entry of a directory.

    Args:
        position: of the entry.
        tag: its number.
        type: its TIFF type.
        count: of values.
        start: of the value, in the entry itself or elsewhere; -1 where it is not inside the data.
        size: of the value in bytes.
        inline: whether the value is in the entry itself.
    """

    position: int
    tag: int
    type: int
    count: int  # type: ignore[assignment]
    start: int
    size: int
    inline: bool

    @property
    def span(self) -> Span:
        """Where the value stands."""
        return Span(self.start, self.start + self.size)


@dataclass(slots=True)
class Directory:
    """One image file directory.

    Args:
        name: `IFD0`, `ExifIFD`, `SubIFD1`, …
        kind: `image` (the chain and sub-IFDs), `exif`, `gps` or `interop`.
        position: of its count of entries.
        entries: in the order of the file, those of known type alone.
        end: of the directory, its link to the next one included.
        next: position of the next directory; 0 where it has no valid one.
        parent: position of the entry that points to it; 0 in the chain.
    """

    name: str
    kind: str
    position: int
    entries: list[Entry]
    end: int
    next: int
    parent: int = 0
    children: dict[int, list[Directory]] = field(default_factory=dict)

    def find(self, tag: int) -> Entry | None:
        """The first entry of a tag whose value is inside the data."""
        for entry in self.entries:
            if entry.tag == tag and entry.start >= 0:
                return entry
        return None


class Directories:
    """The directories of a TIFF structure.

    Args:
        source: the structure from its byte order on.
        chain: whether to follow the chain of images; an Exif block's second one is its thumbnail.
    """

    def __init__(self, source: Source, *, chain: bool = True) -> None:
        self.source, self.data = source, source.data
        self.problem = ""
        self.images: list[Directory] = []
        self._seen: set[int] = set()
        self._left, self._values = MAX_TOTAL_ENTRIES, MAX_VALUES
        head = source.read(0, 16)
        self.order = ">" if head[:2] == b"MM" else "<"
        magic = int.from_bytes(head[2:4], "big" if self.order == ">" else "little")
        # BigTIFF states how wide its offsets are; what does not is a TIFF with a broken number.
        self.big = magic == 43 and head[4:8] in (b"\x08\0\0\0", b"\0\x08\0\0")
        self.header = 16 if self.big else 8
        self.offset_format, self.offset_size = ("Q", 8) if self.big else ("I", 4)
        self.count_format, self.count_size = ("Q", 8) if self.big else ("H", 2)
        self.entry_size = 20 if self.big else 12
        if len(head) < self.header or head[:2] not in (b"II", b"MM"):
            self.problem = "no TIFF header" if head[:2] not in (b"II", b"MM") else "the file ends inside its header"
            return
        (position,) = unpack_from(self.order + self.offset_format, head, self.header - self.offset_size)
        while position:
            directory = self._directory(position, f"IFD{len(self.images)}", "image", 0, 0)
            if directory is None:
                # A link to no directory ends the chain, and is written as zero.
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
        return self.source.read(entry.start, entry.start + entry.size) if entry.start >= 0 else b""

    def integers(self, entry: Entry | None) -> list[int]:
        """The values of an entry of an integer type, as unsigned; empty for any other, and past a budget of values."""
        if entry is None or entry.start < 0 or entry.type not in _LETTERS:
            return []
        if entry.count > self._values:
            self.problem = self.problem or f"more than {MAX_VALUES:,} values in arrays"
            return []
        self._values -= entry.count
        if self.source.holes and not self.source.held(entry.start, entry.start + entry.size):
            return []
        return list(unpack_from(f"{self.order}{entry.count}{_LETTERS[entry.type]}", self.data, entry.start))

    def one(self, directory: Directory, tag: int, default: int = 0) -> int:
        """The first value of a tag."""
        found = self.integers(directory.find(tag))
        return found[0] if found else default

    def _directory(self, position: int, name: str, kind: str, parent: int, depth: int) -> Directory | None:
        data, order, end = self.data, self.order, self.source.size
        if position in self._seen or not self.header <= position <= end - self.count_size or depth > MAX_DEPTH:
            return None
        if self.source.holes and not self.source.held(position, position + self.count_size):
            return None
        if len(self._seen) >= MAX_DIRECTORIES:
            self.problem = self.problem or f"more than {MAX_DIRECTORIES:,} directories"
            return None
        (count,) = unpack_from(order + self.count_format, data, position)
        first = position + self.count_size
        room = min((end - first) // self.entry_size, MAX_ENTRIES)
        if count > room:
            # A count beyond the data or beyond any real one: there is no directory at that place, but for the first.
            if self.images or kind != "image" or parent:
                return None
            self.problem = self.problem or f"{name}: {count:,} entries; at most {room:,} can be there"
            count = room
        self._seen.add(position)
        self._left -= count
        if self._left < 0:
            self.problem = self.problem or f"more than {MAX_TOTAL_ENTRIES:,} entries in directories"
            return None
        after = first + count * self.entry_size
        follows = after + self.offset_size <= end
        if self.source.holes and not self.source.held(first, after + self.offset_size * follows):
            return None
        link = unpack_from(order + self.offset_format, data, after)[0] if follows else 0
        stop = after + self.offset_size if follows else after
        directory = Directory(name, kind, position, self._entries(first, after), stop, link, parent)
        self._children(directory, depth)
        return directory

    def _entries(self, first: int, after: int) -> list[Entry]:
        end, room, step = self.source.size, self.offset_size, self.entry_size
        entries, at = [], first
        for tag, type_, number, value in _ENTRIES[self.order, self.big].iter_unpack(self.data[first:after]):
            size = SIZES.get(type_, 0) * number
            inline = size <= room
            start = at + step - room if inline else value
            inside = type_ in SIZES and start + size <= end
            entries.append(Entry(at, tag, type_, number, start if inside else -1, size, inline))
            at += step
        return entries

    def _children(self, directory: Directory, depth: int) -> None:
        for entry in directory.entries:
            kind = POINTERS.get(entry.tag)
            if kind and entry.type in POINTER_TYPES and entry.count <= MAX_CHILDREN:
                name = NAMES[entry.tag]
                places = self.integers(entry)
                found = [
                    self._directory(place, f"{name}{index or ''}", kind, entry.position, depth + 1)
                    for index, place in enumerate(places)
                ]
                directory.children.setdefault(entry.tag, []).extend(child for child in found if child is not None)
