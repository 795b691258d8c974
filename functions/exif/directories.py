"""Directories of an Exif block as rows, with the pictures, packets and notes that they hold."""

from __future__ import annotations

from hashlib import md5
from struct import unpack_from

from functions.exif import accounting, dispatch
from functions.exif.blocks.entries import (
    EMBEDDED,
    ICC_PROFILE,
    IPTC_RECORDS,
    MAKER_NOTE,
    OFFSET,
    PRIVATE_DATA,
    RESOURCES,
    SIZE,
    VALUE,
    XMP_PACKET,
    Entry,
    Ifd,
    Ifds,
)
from functions.exif.blocks.ifd import POINTERS, walk
from functions.exif.blocks.values import binary, plain
from functions.exif.fields import printim
from functions.exif.printing import show
from functions.exif.rows import MakerNote, Preview, Reading, Row
from functions.exif.scan.result import Block, Scan
from functions.exif.tags import table
from functions.kit.containers.source import held, is_sparse

# What in a directory is an offset from the block's start: shown as an offset in the file, as ExifTool does.
OFFSETS = frozenset((0x111, 0x120, 0x144, 0x201, 0xA010, 0xBCC0, 0xBCC2))


# Of directories with one name, as several pages' SubIFDs, ExifTool shows the last one's tags, but for these.
FIRST_COUNTS = frozenset((0x100, 0x101, 0x102, 0x103, 0x106, 0x10E, 0x112, 0x115, 0x116, 0x11A, 0x11B, 0x11C, 0x128))


COMPRESSION, STRIP_OFFSETS, STRIP_BYTES, JPEG_OFFSET, JPEG_BYTES = 0x103, 0x111, 0x117, 0x201, 0x202


JPEG_FROM_RAW = 0x2E


NEW_SUBFILE, OLD_SUBFILE = 0xFE, 0xFF


# CR3 keeps each directory in a structure of its own.
_CANON_BOXES = {"CMT1": "IFD0", "CMT2": "ExifIFD", "CMT3": "MakerNotes", "CMT4": "GPS"}


def read(reading: Reading, block: Block) -> None:
    """Add the rows of an Exif block, and what its directories lead to."""
    name = _CANON_BOXES.get(block.where, "IFD0")
    if name == "MakerNotes":
        order = "<" if block.data[:2] == b"II" else ">"
        reading.maker = MakerNote(block.data, 8, len(block.data) - 8, order, 0, max(block.offset, 0))
        return
    ifds = walk(block.data, name)
    if not reading.order:
        reading.order = ifds.order
    _directories(reading, block, ifds)


def _again(reading: Reading, group: str, row: Row) -> None:
    """A tag that a directory of the same name has had."""
    rows, name = reading.groups[group], row[0]
    if row[3] in FIRST_COUNTS:
        reading.repeat(group, row)
    else:
        reading.repeat(group, rows[name])
        rows[name] = row


def _directories(reading: Reading, block: Block, ifds: Ifds) -> None:  # noqa: C901 - one branch for each kind of entry
    reading.warnings += ifds.warnings
    if not (reading.exif_only or reading.rows_only or is_sparse(block.data)):
        accounting.account(reading, block, ifds)
    # Offsets in an image resource are shown as they stand.
    base = 0 if "8BIM" in block.where else max(block.offset, 0)
    order = ifds.order
    if block.where == "TIFF" and not reading.exif_only:
        _pages(reading, ifds)
    for ifd in ifds.ifds:
        own = ifd.name == "IFD0" and reading.scan.tiff == "RW2"
        tags = table("PanasonicRaw" if own else ifd.name)
        special = frozenset() if own else _SPECIAL
        rows = reading.groups.setdefault(ifd.name, {})
        for number, entry in ifd.entries.items():
            description = tags[number]
            name = description.name
            if own and number == JPEG_FROM_RAW:
                _jpeg_from_raw(reading, block, entry)
            if number not in special:
                value, printed = show(entry, description, order)
                row: Row = (name, value, printed, number, entry)
                if name not in rows:
                    rows[name] = row
                else:
                    _again(reading, ifd.name, row)
                continue
            if number in POINTERS:
                continue
            if number == printim.NUMBER:
                for found in printim.rows(block.data[entry[OFFSET] : entry[OFFSET] + entry[SIZE]], order):
                    reading.add("PrintIM", *found)
                continue
            if number in EMBEDDED:
                _embedded(reading, block, ifds, number, entry)
                if number == MAKER_NOTE:
                    continue
            elif number in _PLACES:
                name = _place(number, ifd, reading.scan.format)
            shown = entry
            if number in OFFSETS and base and isinstance(entry[VALUE], tuple):
                moved = tuple(place + base for place in entry[VALUE] if isinstance(place, int))
                shown = (*entry[:VALUE], moved, *entry[OFFSET:])
            if name == description.name:
                value, printed = show(shown, description, order)
            else:  # a single place, and no table of them
                value = printed = plain(shown)
            rows[name] = (name, value, printed, number, entry)
        _previews(reading, block, ifd)


def _pages(reading: Reading, ifds: Ifds) -> None:
    """The number of pages, where a directory says that it is one of several."""
    count, several = 0, False
    for ifd in ifds.ifds:
        kind, old = _whole(ifd, NEW_SUBFILE), _whole(ifd, OLD_SUBFILE)
        page = kind in (0, 2) or old in (1, 3)
        count += page
        several = several or (page and (kind == 2 or old == 3 or count > 1))
    if several:
        reading.add("File", "PageCount", count, count)


def _jpeg_from_raw(reading: Reading, block: Block, entry: Entry) -> None:
    """Panasonic's RW2: a whole JPEG, whose Exif and maker note are the raw's."""
    from functions.exif.scan.files import scan

    start = max(block.offset, 0) + entry[OFFSET]
    inner = scan(block.data[entry[OFFSET] : entry[OFFSET] + entry[SIZE]], whole=not reading.exif_only)
    if inner is None:
        reading.miss("picture", "JpgFromRaw", start, entry[SIZE])
        return
    for found in inner.blocks:
        at = found.offset + start if found.offset >= 0 else -1
        moved = found._replace(offset=at, where=f"JpgFromRaw {found.where}")
        if found.kind == "exif":
            read(reading, moved)
        elif not reading.exif_only:
            dispatch.read(reading, found.kind, found.data, moved)
    for part in inner.unread:
        reading.miss(part.kind, f"JpgFromRaw {part.place}", part.offset + start if part.offset >= 0 else -1, part.size)


_PLACES = frozenset((STRIP_OFFSETS, STRIP_BYTES, JPEG_OFFSET, JPEG_BYTES))


_SPECIAL = EMBEDDED | _PLACES | OFFSETS | frozenset((*POINTERS, printim.NUMBER))


def _whole(ifd: Ifd, number: int) -> int | None:
    """A whole number of a directory."""
    entry = ifd.entries.get(number)
    value = plain(entry) if entry else None
    return value if isinstance(value, int) else None


def _place(number: int, ifd: Ifd, container: str) -> str:
    """What the strips or the JPEG of a directory hold decides their names."""
    end = "Length" if number in (STRIP_BYTES, JPEG_BYTES) else "Start"
    name = ifd.name
    if number in (STRIP_OFFSETS, STRIP_BYTES):
        compression = _whole(ifd, COMPRESSION)
        if compression == 34892:
            return f"OtherImage{end}"
        reduced = compression == 7 and _whole(ifd, 0xFE) != 0 and container in ("DNG", "TIFF")
        if container == "CR2" and name == "IFD0":
            return f"PreviewImage{end}"
        if reduced:
            return f"JpgFromRaw{end}" if name == "SubIFD2" else f"PreviewImage{end}"
        if name == "IFD2" and container in ("JPEG", "MPO"):
            return f"PreviewImage{end}"
        return "StripByteCounts" if end == "Length" else "StripOffsets"
    if name == "IFD1" or (
        name == "IFD0" and container not in ("TIFF", "BigTIFF", "DNG", "NEF", "ARW", "CR2", "PEF", "ORF")
    ):
        return "ThumbnailLength" if end == "Length" else "ThumbnailOffset"
    if name == "IFD0" and container == "ARW":
        return f"PreviewImage{end}"
    if name in ("SubIFD", "IFD2"):
        return f"JpgFromRaw{end}"
    return f"OtherImage{end}"


def _embedded(reading: Reading, block: Block, ifds: Ifds, number: int, entry: Entry) -> None:
    """Blocks of other kinds inside a directory."""
    if number == MAKER_NOTE:
        reading.maker = MakerNote(block.data, entry[OFFSET], entry[SIZE], ifds.order, 0, max(block.offset, 0))
        return
    if reading.exif_only:
        return
    # A value longer than the walk keeps is read at the entry's offset.
    data = entry[VALUE] if isinstance(entry[VALUE], bytes) else block.data[entry[OFFSET] : entry[OFFSET] + entry[SIZE]]
    inside = Block("", -1, data, block.where)
    if number == PRIVATE_DATA:
        if data.startswith(b"PENTAX \0"):
            reading.maker = MakerNote(block.data, entry[OFFSET], entry[SIZE], ifds.order, 0, max(block.offset, 0))
        else:
            _adobe(reading, data)
    elif number == XMP_PACKET:
        dispatch.read(reading, "xmp", data, inside)
    elif number == IPTC_RECORDS:
        digest = md5(data, usedforsecurity=False).hexdigest()
        reading.add("File", "CurrentIPTCDigest", digest, digest)
        dispatch.read(reading, "iptc", data, inside)
    elif number == ICC_PROFILE:
        dispatch.read(reading, "icc", data, inside)
    elif number == RESOURCES:
        from functions.exif.scan import photoshop

        found = Scan("", "")
        photoshop.resources(found, data, -1, "8BIM")
        reading.scan.rows += found.rows
        for part in found.unread:
            reading.miss(*part)
        for resource in found.blocks:
            if resource.kind in ("xmp", "iptc", "icc"):
                dispatch.read(reading, resource.kind, resource.data, resource)


def _adobe(reading: Reading, data: bytes) -> None:
    """DNG: Adobe's private data keep the maker note, with its byte order and where it stood."""
    at = 6
    while data.startswith(b"Adobe\0") and at + 14 <= len(data):
        name, size = unpack_from(">4sI", data, at)
        if name == b"MakN":
            order = "<" if data[at + 8 : at + 10] == b"II" else ">"
            (place,) = unpack_from(">I", data, at + 10)
            reading.maker = MakerNote(data, at + 14, size - 6, order, at + 14 - place)
            return
        at += 8 + size + (size & 1)


# What a directory's two entries for a picture may be called, and the picture.
_PAIRS = (
    ("ThumbnailOffset", "ThumbnailLength", "ThumbnailImage"),
    ("PreviewImageStart", "PreviewImageLength", "PreviewImage"),
    ("JpgFromRawStart", "JpgFromRawLength", "JpgFromRaw"),
    ("OtherImageStart", "OtherImageLength", "OtherImage"),
)


def _previews(reading: Reading, block: Block, ifd: Ifd) -> None:
    """The pictures that a directory points to: a row for each, and those that are whole JPEGs."""
    rows = reading.groups[ifd.name]
    for start_name, size_name, name in _PAIRS:
        if start_name not in rows or size_name not in rows:
            continue
        *_, start_entry = rows[start_name]
        *_, size_entry = rows[size_name]
        start, size = _first(start_entry), _first(size_entry)
        if not start or not size:
            continue
        text = binary(size)
        reading.add(ifd.name, name, text, text)
        if not held(block.data, start, start + size):
            reading.miss("picture", f"{ifd.name}:{name}", start, size)
        elif block.data.startswith(b"\xff\xd8", start) and start + size <= len(block.data) and size > 1:
            reading.previews.append(Preview(ifd.name, name, block.data, start, size))
        else:
            reading.warnings.append(f"{ifd.name}: no whole JPEG where its {name} should be")


def _first(entry: Entry | None) -> int:
    """The first number of an entry, as stored in the block; 0 without a value."""
    if entry is None or not isinstance(entry[VALUE], tuple) or not entry[VALUE]:
        return 0
    number = entry[VALUE][0]
    return number if isinstance(number, int) and number > 0 else 0
