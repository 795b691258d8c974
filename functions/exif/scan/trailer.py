"""What follows the end of a picture: further pictures, videos, sound, makers' records."""

from __future__ import annotations

import re
from collections.abc import Callable
from struct import unpack_from

from functions.exif.blocks.values import binary
from functions.exif.scan.result import Scan
from functions.exif.tags.formulas import Members
from functions.exif.tags.tables import table
from functions.kit.containers import sef

# Padding: zeros, blanks, fill bytes that begin no JPEG.
PADDING = re.compile(rb"(?:[\0 \r\n\t]|\xff(?!\xd8))*")
# How files begin, what is before that, and how far behind the beginning more of it must be.
BEGINNINGS = ((b"\xff\xd8\xff", 0), (b"ftyp", 4), (b"moov", 4), (b"RIFF", 0))
SOUNDS = (b"WAVE", b"AVI ")
# Bytes that are searched at once: what is near is found without a look at all that follows.
WINDOW = 2**16
# Runs of records of programs, with Samsung's between them.
MAX_APPENDED = 4
# What is in the last bytes of records that programs append.
_MARKS = re.compile(rb"AXS[!*]|\xa1\xb2\xc3\xd4|cbipcbbl|CANON OPTIONAL DATA\0|zmie|fu\x84\x93\xa2\xb1")
MAX_BOXES = 4096
# The end of a JPEG in a file, by its start.
PictureEnd = Callable[[bytes, int], int]


def after(result: Scan, data: bytes, start: int, picture_end: PictureEnd, place: str = "after the picture") -> None:
    """Find the files and records behind a picture; what is neither is a part that was not read.

    Args:
        result: the scan that they are added to.
        data: the whole file.
        start: the end of the picture.
        picture_end: where a JPEG that starts at an offset ends.
        place: name of the part of the file.
    """
    end = len(data)
    for _ in range(MAX_APPENDED):
        before = end
        if _MARKS.search(data, max(start, end - 64), end):
            from functions.exif.scan import records

            end = records.read(result, data, start, end)
        end = samsung(result, data, start, end, picture_end)
        if end == before:
            break
    while start < end:
        start = _padded(data, start, end)
        if start >= end:
            return
        known = _known(data, start, end)
        result.miss("trailer", place, start, known - start)
        if known >= end:
            return
        start = _inner(result, data, known, end, picture_end, place)


def behind_directories(result: Scan, data: bytes) -> None:
    """Keep the records that programs append to a raw or a TIFF, whose directories lead to all else."""
    if _MARKS.search(data, max(len(data) - 64, 0)):
        from functions.exif.scan import records

        records.read(result, data, 0, len(data))


def _known(data: bytes, start: int, end: int) -> int:
    """The start of the first file of a known kind; the end if there is no such file."""
    at = start
    while at < end:
        stop = min(at + WINDOW, end)
        places = [_beginning(data, at, min(stop + 8, end), word, lead) for word, lead in BEGINNINGS]
        first = min((place for place in places if place >= start), default=end)
        if first < stop:
            return first
        at = stop
    return end


def _beginning(data: bytes, start: int, end: int, word: bytes, lead: int) -> int:
    """Where a file of one kind begins, `lead` bytes before its word; -1 where none does."""
    at = data.find(word, start + lead, end)
    while at >= 0:
        size = data[at - lead : at]
        if (not lead or size.isascii()) and (word != b"RIFF" or data[at + 8 : at + 12] in SOUNDS):
            return at - lead
        at = data.find(word, at + 1, end)
    return -1


def _padded(data: bytes, start: int, end: int) -> int:
    """The end of padding, but for the zeros that a box's size begins with."""
    matched = PADDING.match(data, start, end)
    stop = matched.end() if matched else start
    for at in range(max(stop - 3, start), stop):
        if data[at + 4 : at + 8] in (b"ftyp", b"moov"):
            return at
    return stop


def _inner(
    result: Scan, data: bytes, start: int, end: int, picture_end: PictureEnd, place: str, origin: int = 0
) -> int:
    """Keep the file that starts here; its end."""
    if data.startswith(b"\xff\xd8\xff", start):
        stop, kind = min(picture_end(data, start), end), "picture"
    elif data.startswith(b"RIFF", start):
        stop = min(start + 8 + unpack_from("<I", data, start + 4)[0], end)
        kind = "sound" if data.startswith(b"WAVE", start + 8) else "video"
    else:
        stop, kind = _boxes_end(data, start, end), "video"
    stop = max(stop, start + 4)
    result.hold(kind, place, start + origin, data[start:stop])
    return stop


def _boxes_end(data: bytes, start: int, end: int) -> int:
    """The end of a run of ISO media boxes."""
    for _ in range(MAX_BOXES):
        if start + 8 > end:
            break
        size, kind = unpack_from(">I4s", data, start)
        if size == 1 and start + 16 <= end:
            (size,) = unpack_from(">Q", data, start + 8)
        elif size == 0:
            return end
        if size < 8 or not kind.isalnum() or start + size > end:
            return end if kind.isalnum() and size >= 8 else start
        start += size
    return start


def samsung(result: Scan, data: bytes, start: int, end: int, picture_end: PictureEnd, origin: int = 0) -> int:
    """Samsung's records; where the first of them starts, or their end where there are none.

    Args:
        result: the scan that they are added to.
        data: that holds them, from `start` to `end`.
        start: of what may be records.
        end: of the records.
        picture_end: where a JPEG that starts at an offset ends.
        origin: of `data` in the file.
    """
    found = sef.records(data, start, end)
    if found is None:
        return end
    first, records = found
    for record in records:
        if record.name is None:
            size = record.end - max(record.start, 0)
            at = record.start + origin if record.start >= 0 else -1
            result.miss("record", f"Samsung record {record.kind:#06x}", at, size)
        else:
            _record(result, data, record, picture_end, origin)
        first = min(first, record.start) if record.start >= 0 else first
    return first


def _record(result: Scan, data: bytes, record: sef.Record, picture_end: PictureEnd, origin: int) -> None:
    """One of Samsung's records: a picture, a video, a sound recording, or a short text."""
    name, start, end = record.name or "", record.body, record.end
    place, found = f"Samsung {name}", table("Samsung.Trailer")
    row = found.find(record.kind, Members({"RecordName": name, "size": end - start}))
    if f"{record.kind:#06x}-name" in found.rows:
        named = found.rows[f"{record.kind:#06x}-name"][0].name
        result.row(found.group, named, name, name)
    head = data[start : start + 12]
    known = row is not None and "binary" in row.flags
    if row is not None and known:
        text = binary(end - start)
        result.row(found.group, row.name, text, text)
    if head[:3] == b"\xff\xd8\xff" or head[4:8] == b"ftyp" or head[:4] == b"RIFF":
        _inner(result, data, start, end, picture_end, place, origin)
    elif not known and end - start <= 4096 and data[start:end].isascii():
        result.add("samsung", start + origin, data[start:end], f"{record.kind:#06x}", name)
    else:
        result.miss("record", place, start + origin, end - start)
