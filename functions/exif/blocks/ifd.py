"""A bounded walk over the image file directories (IFDs) of a TIFF structure, the form of all Exif.

Every entry keeps its type, count and raw value. A bad entry costs a warning, never the file. The walk is bounded in
entries, directories, values and bytes, and visits no directory twice, so that no loop, overlap or count of 2³² takes
time or memory.
"""

from __future__ import annotations

from collections.abc import Container
from struct import Struct

from functions.exif.blocks.entries import (
    ASCII,
    BYTE,
    EMBEDDED,
    IFD,
    LONG,
    RATIONAL,
    SBYTE,
    SHORT,
    SIZES,
    SLONG,
    SRATIONAL,
    SSHORT,
    TAG,
    TYPE,
    UNDEFINED,
    UTF8,
    VALUE,
    Entry,
    Ifd,
    Ifds,
    Value,
)
from functions.kit.containers.source import Buffer, held, is_sparse

MAX_ENTRIES = 4096
MAX_DIRECTORIES = 128
MAX_DEPTH = 6
# Numbers decoded of one entry, and of a whole structure; what has more keeps only its type and count.
MAX_NUMBERS = 100_000
MAX_TOTAL_NUMBERS = 150_000
# Bytes kept of one text or opaque value, and of a whole structure: overlapping entries cannot multiply a block. What
# is longer lies at `offset`, of `size` bytes.
MAX_BYTES = 2 * 2**20
MAX_TOTAL_BYTES = 8 * 2**20

_CODES = {
    1: "B",
    3: "H",
    4: "I",
    5: "II",
    6: "b",
    8: "h",
    9: "i",
    10: "ii",
    11: "f",
    12: "d",
    13: "I",
    16: "Q",
    17: "q",
    18: "Q",
}
_RATIONALS = frozenset((RATIONAL, SRATIONAL))
_OPAQUE = frozenset((ASCII, UNDEFINED, UTF8))
_WHOLE = frozenset((BYTE, SHORT, LONG, SBYTE, SSHORT, SLONG, IFD, 16, 17, 18))
_CLASSIC = {"<": Struct("<HHII"), ">": Struct(">HHII")}
_BIG = {"<": Struct("<HHQQ"), ">": Struct(">HHQQ")}
_STRUCTS: dict[tuple[str, int, int], Struct] = {
    (order, kind, count): Struct(order + code * count)
    for order in "<>"
    for kind, code in _CODES.items()
    for count in (1, 2, 3, 4)
}

_SINGLE = {order: {kind: _STRUCTS[order, kind, 1].unpack_from for kind in _CODES} for order in "<>"}

# The entries that point to further directories, in the order of their numbers, as they stand in a directory.
POINTERS = {0x14A: "SubIFD", 0x190: "GlobParamIFD", 0x8769: "ExifIFD", 0x8825: "GPS", 0xA005: "InteropIFD"}
MAX_SUB_IFDS = 10


def walk(block: Buffer, name: str = "IFD0", wanted: Container[int] | None = None) -> Ifds:
    """Walk all directories of a TIFF structure.

    Args:
        block: from the byte order mark on: an Exif block, or a whole TIFF file.
        name: of the first directory; a chain of directories counts its last digit up.
        wanted: the tags whose values are read, the others' being None; all if it is None.

    Returns:
        The directories; empty, with a warning, where the header is broken. Never raises.
    """
    if block[:2] == b"II":
        order = "<"
    elif block[:2] == b"MM":
        order = ">"
    else:
        result = Ifds("<")
        result.warn("no TIFF header")
        return result
    magic = int.from_bytes(block[2:4], "little" if order == "<" else "big")
    # BigTIFF says how wide its offsets are; what does not is a TIFF with a broken number.
    result = Ifds(order, big=magic == 43 and block[4:8] in (b"\x08\0\0\0", b"\0\x08\0\0"))
    width = 8 if result.big else 4
    start = 8 if result.big else 4
    if len(block) < start + width:
        result.warn("the block ends inside its header")
        return result
    first = int.from_bytes(block[start : start + width], "little" if order == "<" else "big")
    _Walk(block, result, wanted=wanted).chain(first, name)
    return result


def walk_directory(
    block: Buffer, offset: int, order: str, name: str, base: int = 0, wanted: Container[int] | None = None
) -> Ifds:
    """Walk one directory that has no TIFF header, as maker notes do.

    Args:
        block: the bytes that offsets count in.
        offset: of the directory in `block`.
        order: `<` or `>`.
        name: of the directory.
        base: what the directory's own offsets are relative to.
        wanted: as for `walk`.
    """
    result = Ifds(order)
    _Walk(block, result, base, pointers=False, wanted=wanted).directory(offset, name)
    return result


class _Walk:
    def __init__(
        self,
        block: Buffer,
        result: Ifds,
        base: int = 0,
        *,
        pointers: bool = True,
        wanted: Container[int] | None = None,
    ) -> None:
        self.wanted = wanted
        self.block = block
        self.result = result
        self.base = base
        self.pointers = pointers
        # A directory's count, then its entries, then the offset of the next one, in the block's order and width.
        self.head, self.step, self.room = (8, 20, 8) if result.big else (2, 12, 4)
        self.layout = (_BIG if result.big else _CLASSIC)[result.order]
        self.count = _SINGLE[result.order][16 if result.big else SHORT]
        self.offset = _SINGLE[result.order][16 if result.big else LONG]
        self.seen: set[int] = set()
        self.numbers = MAX_TOTAL_NUMBERS
        self.bytes = MAX_TOTAL_BYTES
        self.depth = 0

    def chain(self, offset: int, name: str) -> None:
        """A directory and those that follow it."""
        stem, number = name.rstrip("0123456789"), 0
        if name != stem:
            number = int(name[len(stem) :])
        while offset:
            following = self.directory(offset, name)
            number += 1
            name = f"{stem}{number}"
            offset = following

    def directory(self, offset: int, name: str) -> int:  # noqa: C901, PLR0915 - the walk of the specification in its order
        """One directory; the offset of the next one, or 0."""
        block, result, end = self.block, self.result, len(self.block)
        step, room = self.step, self.room
        first = offset + self.head
        if first > end or offset < 0:
            result.warn(f"{name} starts outside the block")
            return 0
        if offset in self.seen:
            result.warn(f"{name} is a directory that was read before")
            return 0
        if len(self.seen) >= MAX_DIRECTORIES:
            result.warn(f"more than {MAX_DIRECTORIES} directories; the rest is ignored")
            return 0
        if not held(block, offset, first):
            result.warn(f"{name} lies in bytes that were not received")
            return 0
        self.seen.add(offset)
        (count,) = self.count(block, offset)
        stop = first + count * step
        if not held(block, first, min(stop, end)):
            result.warn(f"{name}: its entries lie in bytes that were not received")
            return 0
        if stop > end:
            result.warn(f"{name}: {count:,} entries run over the end of the block")
            count = (end - first) // step
            stop = end
        if count > MAX_ENTRIES:
            result.warn(f"{name}: {count:,} entries; only {MAX_ENTRIES:,} are read")
            count = MAX_ENTRIES
        directory = Ifd(name, offset)
        result.ifds.append(directory)
        entries = directory.entries
        order = result.order
        single, wanted = _SINGLE[order], self.wanted
        embedded = EMBEDDED if self.pointers else ()
        bad = 0
        inline = first - room
        little_endian = order == "<"
        sizes, opaque = SIZES, _OPAQUE
        inlines = () if result.big else (SHORT, LONG)
        following = first + count * step
        sparse = is_sparse(block)
        for tag, kind, number, value in self.layout.iter_unpack(block[first:following]):
            inline += step
            if number == 1 and kind in inlines and tag not in entries and bad <= 10:
                # The commonest cases, already unpacked: a LONG, and a SHORT as the first half of one.
                if kind == LONG:
                    entries[tag] = (tag, LONG, 1, (value,), inline, 4)
                else:
                    raw: Value = (value & 0xFFFF if little_endian else value >> 16,)
                    entries[tag] = (tag, SHORT, 1, raw, inline, 2)
                continue
            size = sizes.get(kind)
            if size is None:
                index = (inline - first) // step
                # Directories are padded with zeros by some cameras; a broken first entry means a broken directory.
                if kind:
                    result.warn(f"{name}: entry {index} (tag {tag:#06x}) has no valid type ({kind})")
                    bad += 1
                if not index:
                    break
                continue
            if bad > 10:
                result.warn(f"{name}: too many bad entries; the rest is ignored")
                break
            if tag in entries:
                result.warn(f"{name}: tag {tag:#06x} occurs twice; the first counts")
                continue
            size *= number
            if size <= room:
                at = inline
            else:
                at = value + self.base
                if at < 0 or at + size > end:
                    result.warn(f"{name}: value of tag {tag:#06x} lies outside the block")
                    bad += 1
                    continue
                if sparse and not held(block, at, at + size):
                    result.warn(f"{name}: value of tag {tag:#06x} lies in bytes that were not received")
                    continue
                if value < 8 or (at < stop and at + size > offset):
                    result.warn(f"{name}: value of tag {tag:#06x} lies inside the directory")
                    bad += 1
                    continue
            if wanted is not None and tag not in wanted:
                raw = None
            elif kind in opaque or tag in embedded:
                if size <= MAX_BYTES and size <= self.bytes:
                    self.bytes -= size
                    raw = block[at : at + size]
                else:
                    raw = None
            elif number == 1:
                raw = single[kind](block, at)
                if kind in _RATIONALS:
                    raw = (raw,)  # type: ignore[assignment]
            else:
                raw = self._numbers(order, kind, number, at)
            entries[tag] = (tag, kind, number, raw, at, size)
        if self.pointers:
            for tag in POINTERS:
                if tag in entries:
                    self._follow(entries[tag], name)
        if count and following + room <= end:
            return int(self.offset(block, following)[0])
        return 0

    def _numbers(self, order: str, kind: int, number: int, at: int) -> Value:
        if number > MAX_NUMBERS or number > self.numbers:
            return None
        self.numbers -= 2 * number if kind in _RATIONALS else number
        if kind == BYTE:
            return tuple(self.block[at : at + number])
        if number <= 4 and number:
            values = _STRUCTS[order, kind, number].unpack_from(self.block, at)
        else:
            # One code with a count: `struct` keeps a cache of formats, so that a run of them is quick.
            code = _CODES[kind]
            values = Struct(f"{order}{number * len(code)}{code[0]}").unpack_from(self.block, at)
        if kind in _RATIONALS:
            return tuple(zip(values[::2], values[1::2], strict=True))
        return values

    def _follow(self, entry: Entry, parent: str) -> None:
        """The directories that an entry points to."""
        name = POINTERS[entry[TAG]]
        if entry[TYPE] not in _WHOLE or not isinstance(entry[VALUE], tuple):
            self.result.warn(f"{parent}: pointer to {name} is no whole number")
            return
        if self.depth >= MAX_DEPTH:
            self.result.warn(f"{parent}: directories nested deeper than {MAX_DEPTH}")
            return
        self.depth += 1
        offsets = [int(offset) for offset in entry[VALUE] if isinstance(offset, int)]
        if entry[TAG] != 0x14A:
            if offsets:
                self.directory(offsets[0] + self.base, name)
        else:
            if len(offsets) > MAX_SUB_IFDS:
                self.result.warn(f"{parent}: {len(offsets)} sub-directories; only {MAX_SUB_IFDS} are read")
            for index, offset in enumerate(offsets[:MAX_SUB_IFDS]):
                following = self.directory(offset + self.base, f"{name}{index or ''}")
                if following and not index and len(offsets) == 1:
                    self.chain(following, f"{name}1")
        self.depth -= 1
