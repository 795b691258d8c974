"""The directories of a TIFF: how its samples are stored, whether it is a camera raw, and how it is rewritten.

Only directories and short values are read, within limits, before a decoder gets the file.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property

from functions.kit.images.metering import HeaderLimitError

MOST_ENTRIES = 16_384  # of all directories that are read
MOST_VALUES = 2**22  # of one entry: strips of a picture of a gigapixel are half a million
RAW_DIRECTORIES = 16  # looked through for a sensor's picture

NEW_SUBFILE_TYPE, WIDTH, HEIGHT, BITS, COMPRESSION, PHOTOMETRIC = 254, 256, 257, 258, 259, 262
MAKE, MODEL, STRIP_OFFSETS, SAMPLES, ROWS_PER_STRIP, STRIP_BYTES, PLANAR, PREDICTOR = (
    *(271, 272, 273, 277, 278, 279, 284, 317),
)
FILL_ORDER, TILE_WIDTH, TILE_HEIGHT, TILE_OFFSETS, TILE_BYTES, SUB_DIRECTORIES, EXTRA, FORMAT = (
    *(266, 322, 323, 324, 325, 330, 338, 339),
)
DNG_VERSION = 50706
ORIENTATION, XMP, PROFILE = 274, 700, 34675
SENSOR = {32803, 34892}  # photometric interpretations: colour filter array, linear raw
_RAW_TAGS = {33421, 33422, 0x8606}  # CFARepeatPatternDim, CFAPattern, Leaf's own block
# Nikon, Sony, Samsung and Epson, Kodak, Pentax, lossy DNG.
_RAW_COMPRESSION = {34713, 32767, 32769, 32770, 32772, 65000, 65535, 34892}
_PHASE_ONE = (b"IIII", b"MMMM")
SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4, 16: 8, 17: 8, 18: 8}
_LETTERS = {1: "B", 3: "H", 4: "I", 6: "b", 7: "B", 8: "h", 9: "i", 13: "I", 16: "Q", 17: "q", 18: "Q"}


@dataclass(frozen=True)
class Directory:
    """One directory.

    Args:
        data: the whole file.
        order: `<` or `>`.
        big: BigTIFF.
        entries: type, count and position of the values by tag.
        following: position of the next directory; 0 for none.
    """

    data: bytes
    order: str
    big: bool
    entries: dict[int, tuple[int, int, int]]
    following: int

    def values(self, tag: int) -> tuple[int, ...]:
        """The whole numbers of a tag; empty where it is absent, of another type, or outside the file."""
        kind, count, at = self.entries.get(tag, (0, 0, 0))
        letter = _LETTERS.get(kind)
        if letter is None or count > MOST_VALUES or at + count * SIZES[kind] > len(self.data):
            return ()
        return struct.unpack_from(f"{self.order}{count}{letter}", self.data, at)

    def value(self, tag: int, default: int) -> int:
        """The first number of a tag."""
        kind, count, at = self.entries.get(tag, (0, 0, 0))
        letter = _LETTERS.get(kind)
        if letter is None or not count or at + SIZES[kind] > len(self.data):
            return default
        return int(struct.unpack_from(f"{self.order}{letter}", self.data, at)[0])

    def text(self, tag: int) -> str:
        """The text of a tag, at most 64 characters."""
        kind, count, at = self.entries.get(tag, (0, 0, 0))
        if kind != 2:
            return ""
        return self.data[at : at + min(count, 64)].split(b"\0")[0].decode("ascii", "replace").strip()

    def content(self, tag: int) -> bytes | None:
        """The bytes of a tag's values; None where it is absent or outside the file."""
        kind, count, at = self.entries.get(tag, (0, 0, 0))
        size = count * SIZES.get(kind, 0)
        return self.data[at : at + size] if size and at + size <= len(self.data) else None

    @cached_property
    def samples(self) -> int:
        """Samples a pixel."""
        return self.value(SAMPLES, 1)

    @cached_property
    def bits(self) -> tuple[int, ...]:
        """Bits of each sample."""
        given = self.values(BITS)[: self.samples] or (1,)
        return given if len(given) == self.samples else given[:1] * min(self.samples, 64)

    @cached_property
    def formats(self) -> tuple[int, ...]:
        """Sample format of each sample: 1 unsigned, 2 signed, 3 floating point, 4 undefined, 5 and 6 complex."""
        given = self.values(FORMAT)[: self.samples] or (1,)
        return given if len(given) == self.samples else given[:1] * min(self.samples, 64)


def _header(data: bytes) -> tuple[str, bool, int] | None:
    """Byte order, BigTIFF, position of the first directory."""
    order = {b"II": "<", b"MM": ">"}.get(data[:2])
    if order is None or len(data) < 16:
        return None
    version = struct.unpack_from(order + "H", data, 2)[0]
    if version == 43:
        return order, True, struct.unpack_from(order + "Q", data, 8)[0]
    return order, False, struct.unpack_from(order + "I", data, 4)[0]


def _directory(data: bytes, order: str, big: bool, at: int) -> Directory | None:
    """The directory at a position; None where it is not inside the file."""
    size, head, where = (20, 8, 12) if big else (12, 2, 8)
    if at < 8 or at + head > len(data):
        return None
    count = struct.unpack_from(order + ("Q" if big else "H"), data, at)[0]
    if count > MOST_ENTRIES:
        raise HeaderLimitError(f"a directory has {count:,} entries; the limit is {MOST_ENTRIES:,}")
    first, end = at + head, at + head + count * size
    if end > len(data):
        return None
    entries: dict[int, tuple[int, int, int]] = {}
    total = 0
    for position in range(first, end, size):
        tag, kind, amount = struct.unpack_from(order + ("HHQ" if big else "HHI"), data, position)
        if tag in entries:
            continue
        place = position + where
        if amount * SIZES.get(kind, 1) > (8 if big else 4):
            place = struct.unpack_from(order + ("Q" if big else "I"), data, place)[0]
        entries[tag] = kind, amount, place
        size = amount * SIZES.get(kind, 1)
        total += size if place + size <= len(data) else 0
        if total > len(data):
            raise HeaderLimitError(f"the values of a directory overlap: they have more than {len(data):,} bytes")
    link = data[end : end + (8 if big else 4)]
    return Directory(data, order, big, entries, int.from_bytes(link, "little" if order == "<" else "big"))


def directories(data: bytes) -> Iterator[Directory]:
    """The pages of a file, in order.

    Raises:
        HeaderLimitError: too many entries.
    """
    header = _header(data)
    if header is None:
        return
    order, big, at = header
    seen: set[int] = set()
    entries = 0
    while at and at not in seen:
        seen.add(at)
        found = _directory(data, order, big, at)
        if found is None:
            return
        entries += len(found.entries)
        if entries > MOST_ENTRIES * 8:
            raise HeaderLimitError(f"its directories have more than {MOST_ENTRIES * 8:,} entries")
        yield found
        at = found.following


def page(data: bytes, frame: int) -> Directory | None:
    """The directory of a page; None if the page does not exist."""
    return next((each for index, each in enumerate(directories(data)) if index == frame), None)


def sensor_pictures(data: bytes) -> Iterator[Directory]:
    """The first pages and their sub-directories."""
    left = RAW_DIRECTORIES
    for found in directories(data):
        yield found
        left -= 1
        for at in found.values(SUB_DIRECTORIES)[:left]:
            below = _directory(data, found.order, found.big, at)
            if below is not None:
                yield below
                left -= 1
        if left <= 0:
            return


def raw_name(data: bytes) -> str | None:
    """The name of the camera raw that a TIFF is; None for a TIFF of another kind.

    A raw is known by its structure: a picture of a sensor in a page or sub-directory, or a compression that only raws
    have. Its first page is then a thumbnail.

    Raises:
        HeaderLimitError: too many entries.
    """
    if data[8:12] in _PHASE_ONE and data[:2] in {b"II", b"MM"}:
        return "Phase One raw"
    if data[8:10] == b"CR":
        return "Canon raw"
    first = next(directories(data), None)
    if first is None:
        return None
    if DNG_VERSION in first.entries:
        return "DNG raw"
    for each in sensor_pictures(data):
        if (
            each.value(PHOTOMETRIC, 0) in SENSOR
            or each.value(COMPRESSION, 1) in _RAW_COMPRESSION
            or not _RAW_TAGS.isdisjoint(each.entries)
        ):
            maker = first.text(MAKE).split(" ")[0].title()
            return f"{maker} raw".strip() if maker else "a camera raw in a TIFF"
    return None


def rewritten(found: Directory, changes: Mapping[int, int | tuple[int, int, int] | None]) -> bytes:
    """A copy of the file whose only page is this one, with changed tags, as classic TIFF.

    Args:
        found: the directory.
        changes: by tag a number, an entry (type, count and position of its values in this file), or None to remove it.
    """
    order, data = found.order, found.data
    start = len(data) + len(data) % 2
    values = bytearray(start - len(data))  # what does not fit into an entry and has to be of another width
    rows: dict[int, bytes] = {}
    for tag, change in {**found.entries, **changes}.items():
        if isinstance(change, int):
            rows[tag] = struct.pack(order + "HHII", tag, 4, 1, change)
        elif change is not None and change[0] in SIZES:
            kind, count, at = change
            size = count * SIZES[kind]
            if at + size > len(data):
                continue
            if kind in {16, 18}:  # 64-bit numbers of BigTIFF
                numbers = struct.unpack_from(f"{order}{count}Q", data, at)
                wide = struct.pack(f"{order}{count}I", *(min(number, 2**32 - 1) for number in numbers))
                kind, size, at = 4, len(wide), len(data) + len(values)
                values += wide
            else:
                wide = data[at : at + size]
            place = wide.ljust(4, b"\0") if size <= 4 else struct.pack(order + "I", at)
            rows[tag] = struct.pack(order + "HHI", tag, kind, count) + place
    values += bytes(len(values) % 2)
    table = struct.pack(order + "H", len(rows)) + b"".join(row for _, row in sorted(rows.items())) + bytes(4)
    head = data[:2] + struct.pack(order + "HI", 42, len(data) + len(values))
    return b"".join((head, data[8:], values, table))
