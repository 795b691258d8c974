"""Which bytes of a TIFF structure no directory accounts for, and which values are text in the guise of numbers."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from struct import Struct

from functions.exif.blocks.entries import ASCII, OFFSET, SIZE, TYPE, UNDEFINED, UTF8, VALUE, Entry, Ifd, Ifds
from functions.exif.blocks.gaps import gaps
from functions.exif.blocks.ifd import MAX_ENTRIES
from functions.exif.rows import Reading
from functions.exif.scan.files import scan
from functions.exif.scan.result import Block
from functions.exif.tags import table

# Offsets and sizes of what directories point to: strips, tiles, JPEG pictures, planes of JPEG XR.
RANGES = ((0x111, 0x117), (0x144, 0x145), (0x201, 0x202), (0xBCC0, 0xBCC1), (0xBCC2, 0xBCC3), (0x120, 0x121))
# Raws keep data of their makers beside the directories; only what they point to is known.
WHOLE = frozenset(
    ("TIFF", "BigTIFF", "JPEG", "MPO", "EXV", "PNG", "APNG", "WebP", "HEIC", "HEIF", "AVIF", "JXL", "JP2")
)
_TEXTS = frozenset((ASCII, UNDEFINED, UTF8))
_PRINTABLE = re.compile(rb"[\t\n\r -~]{6,}\0*")
_LETTERS = re.compile(rb"[A-Za-z]{3}")
_PRINTABLE_RUN = re.compile(rb"[ -~]{3}")
COPYRIGHT = 0x8298
# Comments with a code of their character set before them.
CODED_TEXTS = frozenset((0x9286, 0x1B, 0x1C))
UTF16_TEXTS = frozenset(range(0x9C9B, 0x9CA0))
MAX_GAPS = 8
MAX_STRIPS = 1024
COMPRESSION, JPEG_TABLES = 0x103, 0x15B
# How files and streams begin that strips of other compressions are: WebP, JPEG 2000 and JPEG XL, PNG, a codestream.
FILES = (b"RIFF", b"\0\0\0\x0cjP  ", b"\0\0\0\x0cJXL ", b"\x89PNG\r\n", b"\xff\x4f\xff\x51")
# Blocks of a bare picture.
PLAIN = frozenset(("jfif", "jfxx", "adobe"))
MAX_NUMBERS = 1024


def account(reading: Reading, block: Block, ifds: Ifds) -> None:
    """Record what was not read of a structure."""
    data, offset = block.data, max(block.offset, 0)
    for ifd in ifds.ifds:
        for number, entry in ifd.entries.items():
            if _hidden(data, ifd.name, number, entry):
                reading.miss("value", f"{ifd.name} tag {number:#06x}", offset + entry[OFFSET], entry[SIZE])
    if not ifds.ifds:
        reading.miss("exif", block.where, block.offset, len(data))
        return
    _strips(reading, data, ifds)
    if reading.scan.format not in WHOLE:
        if not any(ifd.entries for ifd in ifds.ifds):
            reading.miss("exif", f"{block.where} without an entry", block.offset, len(data))
        return
    found = [
        pair for pair in gaps(list(_claims(data, ifds)), 0, len(data)) if data[pair[0] : pair[1]].strip(b"\0\xff \n")
    ]
    for first, last in found[:MAX_GAPS]:
        reading.miss("gap", f"{block.where} between its parts", offset + first, last - first)
    reading.miss("gap", f"{block.where} between its parts", -1, sum(last - first for first, last in found[MAX_GAPS:]))


def _strips(reading: Reading, data: bytes, ifds: Ifds) -> None:
    """Strips and tiles that are pictures of their own, with segments, chunks or boxes beside the picture."""
    room = MAX_STRIPS
    for ifd in ifds.ifds:
        jpeg = _numbers(ifd, COMPRESSION) in ([6], [7], [34892])
        marks = (b"\xff\xd8", *FILES) if jpeg else FILES
        tables = ifd.entries.get(JPEG_TABLES)
        spans = [(tables[OFFSET], tables[OFFSET] + tables[SIZE])] if tables and jpeg else []
        for number, (start, end) in enumerate((*_pointed(ifd, RANGES[:2]), *spans)):
            if not data.startswith(marks, start):
                continue
            room -= 1
            if room < 0:
                reading.miss("limit", f"{ifd.name} strips and tiles", -1, end - start)
                continue
            found = scan(data[start:end])
            if found is None or any(block.kind not in PLAIN for block in found.blocks) or found.unread or found.inner:
                reading.scan.hold("picture", f"{ifd.name} strip {number}", start, data[start:end])


def _hidden(data: bytes, directory: str, number: int, entry: Entry) -> bool:
    """Whether a value is beyond the walk's limits, or text that its type declares to be numbers."""
    kind, size, value = entry[TYPE], entry[SIZE], entry[VALUE]
    if size < 6 and kind not in _TEXTS:
        return False
    if value is None:
        return kind in _TEXTS
    if isinstance(value, bytes) and (kind == ASCII or number in CODED_TEXTS):
        # What follows the zero that ends a text; a copyright notice has two parts.
        rest = value[8 if number in CODED_TEXTS else 0 :].split(b"\0", 2 if number == COPYRIGHT else 1)[1:]
        return number not in UTF16_TEXTS and bool(rest) and bool(_PRINTABLE_RUN.search(rest[-1]))
    if kind in _TEXTS or not 6 <= size <= MAX_NUMBERS or number in UTF16_TEXTS:
        return False
    raw = data[entry[OFFSET] : entry[OFFSET] + size]
    return bool(_PRINTABLE.fullmatch(raw) and _LETTERS.search(raw)) and not table(directory)[number].name.startswith(
        "XP"
    )


def _claims(data: bytes, ifds: Ifds) -> Iterator[tuple[int, int]]:
    """The header, the entries that were read, their values, and what these point to."""
    head, step, pointer = (8, 20, 8) if ifds.big else (2, 12, 4)
    tag_of = Struct(f"{ifds.order}H{step - 2}x")
    yield 0, 16 if ifds.big else 8
    for ifd in ifds.ifds:
        count = int.from_bytes(data[ifd.offset : ifd.offset + head], "little" if ifds.order == "<" else "big")
        at = ifd.offset + head
        end = at + min(count, MAX_ENTRIES, (len(data) - at) // step) * step
        yield ifd.offset, at
        if end == at + count * step:
            yield end, end + pointer
        tags = [tag for (tag,) in tag_of.iter_unpack(data[at:end])]
        unread = dict.fromkeys(ifd.entries)
        # Most directories have been read whole, with the values in them.
        whole = not ifds.big and len(tags) == len(unread) and unread.keys() == set(tags)
        if whole:
            yield at, end
            tags = []
        for tag in tags:
            if tag in unread:
                del unread[tag]
                # A wide slot has room for more than a short value.
                inline = ifds.big and at <= ifd.entries[tag][OFFSET] < at + step
                yield at, at + (step - 8 if inline else step)
            at += step
        for value in ifd.entries.values():
            if not whole or value[SIZE] > 4:
                yield value[OFFSET], value[OFFSET] + value[SIZE]
        yield from _pointed(ifd)


def _pointed(ifd: Ifd, ranges: Iterable[tuple[int, int]] = RANGES) -> Iterator[tuple[int, int]]:
    """The ranges that a directory points to."""
    for start_tag, size_tag in ranges:
        if start_tag not in ifd.entries:
            continue
        starts, sizes = _numbers(ifd, start_tag), _numbers(ifd, size_tag)
        yield from ((start, start + size) for start, size in zip(starts, sizes, strict=False))


def _numbers(ifd: Ifd, number: int) -> Iterable[int]:
    entry = ifd.entries.get(number)
    value = entry[VALUE] if entry else None
    return [part for part in value if isinstance(part, int)] if isinstance(value, tuple) else ()
