"""TIFF, BigTIFF and the raw files made like them: CR2, NEF, DNG, ARW, RW2, ORF, PEF; and RAF and MRW around them."""

from __future__ import annotations

from struct import iter_unpack, unpack_from

from functions.exif import jpeg
from functions.exif.blocks import Scan

# The two bytes after the byte order: 42, BigTIFF's 43, and makers' own.
MAGICS = {
    42: "TIFF",
    43: "BigTIFF",
    0x55: "RW2",
    0x4F52: "ORF",
    0x5352: "ORF",
    0xBC: "JXR",
}
MEDIA_TYPES = {
    "CR2": "image/x-canon-cr2",
    "RW2": "image/x-panasonic-rw2",
    "ORF": "image/x-olympus-orf",
    "DNG": "image/x-adobe-dng",
    "NEF": "image/x-nikon-nef",
    "ARW": "image/x-sony-arw",
    "PEF": "image/x-pentax-pef",
    "JXR": "image/jxr",
}
MAX_PAGES = 1024
SUBFILE, WIDTH, HEIGHT, COMPRESSION, MAKE, SUB_IFDS, DNG_VERSION = 0xFE, 0x100, 0x101, 0x103, 0x10F, 0x14A, 0xC612
TYPE_SIZES = {1: 1, 3: 2, 4: 4, 13: 4, 16: 8, 18: 8}
TYPE_CODES = {1: "B", 3: "H", 4: "I", 13: "I", 16: "Q", 18: "Q"}


def scan(data: bytes) -> Scan:
    """Read the directories of a TIFF for its kind, size and pages; the whole file is its one `exif` block."""
    order = "<" if data[:2] == b"II" else ">"
    magic = unpack_from(order + "H", data, 2)[0] if len(data) >= 4 else 42
    result = Scan(MAGICS.get(magic, "TIFF"), "image/tiff")
    result.add("exif", 0, data, "TIFF")
    if result.format in ("RW2", "JXR"):
        result.tiff = result.format
    if data[8:10] == b"CR":
        result.format = "CR2"
    _directories(result, data, order, big=magic == 43 and data[4:8] in (b"\x08\0\0\0", b"\0\x08\0\0"))
    result.media_type = MEDIA_TYPES.get(result.format, "image/tiff")
    return result


def _directories(result: Scan, data: bytes, order: str, *, big: bool) -> None:
    """Follow the chain of directories, and the first one's sub-directories, for the largest full picture."""
    head, entry, pointer = (16, 20, "Q") if big else (8, 12, "I")
    width = 8 if big else 4
    if len(data) < head:
        result.warn("the file ends inside its header")
        return
    (at,) = unpack_from(order + pointer, data, head - width)
    seen: set[int] = set()
    waiting = [at]
    pages, best = 0, (-1, 0)
    while waiting and len(seen) < MAX_PAGES:
        at = waiting.pop(0)
        if not at or at in seen or at + (8 if big else 2) > len(data):
            continue
        seen.add(at)
        (count,) = unpack_from(order + ("Q" if big else "H"), data, at)
        first = at + (8 if big else 2)
        count = min(count, (len(data) - first) // entry)
        fields = _fields(data, order, first, min(count, 256), big=big)
        subfile = fields.get(SUBFILE, (0,))[0]
        size = fields.get(WIDTH, (0,))[0], fields.get(HEIGHT, (0,))[0]
        main = not subfile & 1
        pages += main and size[0] > 0
        area = size[0] * size[1] if main else 0
        if size[0] and (area, 0) > best and (result.width is None or (result.format != "TIFF" and main)):
            result.width, result.height = size
            best = (area, 0)
        _kind(result, data, fields, first_directory=len(seen) == 1)
        following = first + count * entry
        if following + width <= len(data):
            waiting.append(unpack_from(order + pointer, data, following)[0])
        waiting.extend(fields.get(SUB_IFDS, ())[:10])
    if result.format in ("TIFF", "BigTIFF"):
        result.frames = max(pages, 1)


def _kind(result: Scan, data: bytes, fields: dict[int, tuple[int, ...]], *, first_directory: bool) -> None:
    """Which raw file a TIFF is: by DNG's own tag, or by the maker and compression of a directory."""
    if result.format != "TIFF":
        return
    if DNG_VERSION in fields and first_directory:
        result.format = "DNG"
        return
    compression = fields.get(COMPRESSION, (0,))[0]
    raw = {34713: "NEF", 32767: "ARW", 65535: "PEF"}.get(compression)
    if raw:
        result.format = raw
    elif first_directory and MAKE in fields and SUB_IFDS in fields:
        at = fields[MAKE][0]
        if data[at : at + 5] == b"NIKON":
            result.format = "NEF"
        elif data[at : at + 4] == b"SONY":
            result.format = "ARW"


def _fields(data: bytes, order: str, first: int, count: int, *, big: bool) -> dict[int, tuple[int, ...]]:
    """The whole-numbered entries of a directory that matter here; text as the offset of its bytes."""
    layout, step, room = ("HHQQ", 20, 8) if big else ("HHII", 12, 4)
    pointer = order + ("Q" if big else "I")
    found: dict[int, tuple[int, ...]] = {}
    entries = iter_unpack(order + layout, data[first : first + count * step])
    for index, (tag, kind, number, _) in enumerate(entries, 1):
        if tag not in _WANTED:
            continue
        value = first + index * step - room
        if tag in (MAKE, DNG_VERSION):
            found[tag] = (unpack_from(pointer, data, value)[0] if number > room else value,)
            continue
        size = TYPE_SIZES.get(kind)
        if size is None or not 1 <= number <= 64:
            continue
        if size * number > room:
            (value,) = unpack_from(pointer, data, value)
        if value + size * number <= len(data):
            found[tag] = unpack_from(f"{order}{number}{TYPE_CODES[kind]}", data, value)
    return found


_WANTED = frozenset((SUBFILE, WIDTH, HEIGHT, COMPRESSION, MAKE, SUB_IFDS, DNG_VERSION))


def raf(data: bytes) -> Scan:
    """Fujifilm's RAF: a header that points to a whole JPEG, whose metadata are the file's."""
    result = Scan("RAF", "image/x-fuji-raf")
    if len(data) < 108:
        result.warn("the file ends inside its header")
        return result
    offset, length, directory, directory_length = unpack_from(">IIII", data, 84)
    if offset + 4 <= len(data):
        inner = jpeg.scan(data[offset : offset + length])
        for block in inner.blocks:
            at = block.offset + offset if block.offset >= 0 else -1
            result.add(block.kind, at, block.data, f"JPEG {block.where}", block.name)
        for warning in inner.warnings:
            result.warn(warning)
        for part in inner.unread:
            result.miss(part.kind, f"JPEG {part.place}", part.offset + offset if part.offset >= 0 else -1, part.size)
        for held in inner.inner:
            result.hold(held.kind, f"JPEG {held.place}", held.offset + offset if held.offset >= 0 else -1, held.data)
        result.width, result.height = inner.width, inner.height
    _raf_size(result, data, directory, min(directory + directory_length, len(data)))
    return result


def _raf_size(result: Scan, data: bytes, start: int, end: int) -> None:
    """The raw picture's size stands in the table of the header: records of tag, length, bytes; 0x0100 is it."""
    if start + 4 > end:
        return
    (count,) = unpack_from(">I", data, start)
    at = start + 4
    for _ in range(min(count, 256)):
        if at + 4 > end:
            return
        tag, length = unpack_from(">HH", data, at)
        if tag == 0x100 and length >= 4 and at + 8 <= end:
            result.height, result.width = unpack_from(">HH", data, at + 4)
        at += 4 + length


def mrw(data: bytes) -> Scan:
    """Minolta's MRW: blocks before the picture, one of which (TTW) is a TIFF structure."""
    result = Scan("MRW", "image/x-minolta-mrw")
    order = "<" if data[1:4] == b"MRI" else ">"
    at = 8
    end = min(8 + unpack_from(order + "I", data, 4)[0], len(data)) if len(data) >= 8 else 0
    for _ in range(64):
        if at + 8 > end:
            break
        name = data[at : at + 4]
        (length,) = unpack_from(order + "I", data, at + 4)
        start = at + 8
        if name == b"\0TTW":
            result.add("exif", start, data[start : start + length], "TTW")
        elif name == b"\0PRD" and start + 16 <= len(data):
            result.height, result.width = unpack_from(order + "HH", data, start + 8)
        elif name not in (b"\0PAD", b"\0PRD"):
            result.miss("block", name.strip(b"\0").decode("latin-1"), start, length)
        at = start + length
    return result
