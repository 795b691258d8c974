"""A JPEG before it is decoded: how many scans it has, and the segments that a decoder needs.

A progressive JPEG refines the picture in scans; each costs a pass over every block, yet takes as little as 36 bytes. A
file of 30 kB can keep a core busy for seconds, one of megabytes for hours, within every limit of bytes and pixels.
"""

from __future__ import annotations

from collections.abc import Iterator
from struct import unpack_from
from typing import NamedTuple

from functions.kit.images.metering import HeaderLimitError

MOST_SCANS = 100  # encoders write ten or so
MOST_SEGMENTS = 4096  # a profile, a large XMP packet and previews in 64 kB pieces are a few hundred
MOST_FILL = 2**16  # bytes between segments, of all gaps
METADATA_BYTES = 2**16  # above this, segments that a decoder does not need are left out of what it gets

END = b"\xff\xd9"
_START, _END, _SCAN, _JFIF, _ADOBE, _COMMENT = 0xD8, 0xD9, 0xDA, 0xE0, 0xEE, 0xFE
_JFIF_ALONE = b"\xff\xe0\0\x10JFIF\0\1\1\0\0\1\0\1\0\0"
_PROFILE = b"ICC_PROFILE\0"
_FRAMES = {*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC}
_PROGRESSIVE = {0xC2, 0xC6, 0xCA, 0xCE}
_BARE = {0x01, *range(0xD0, 0xD8)}  # markers without a length
_WINDOW = 2**20
# Entropy-coded data by what ends them: 0xFF before anything but 0, a restart marker or another 0xFF.
_CLASSES = bytes(0 if byte in {0, *range(0xD0, 0xD8)} else 2 if byte == 0xFF else 1 for byte in range(256))


class Segment(NamedTuple):
    """A marker segment: its marker and its bytes from the 0xFF on."""

    marker: int
    start: int
    end: int


def segments(data: bytes, at: int = 2) -> Iterator[Segment]:
    """The segments up to the first scan's header, which is the last; fewer where the file ends or is broken.

    Raises:
        HeaderLimitError: too many segments, or too many bytes between them.
    """
    fill = 0
    for _ in range(MOST_SEGMENTS):
        start = data.find(b"\xff", at)
        if start < 0:
            return
        code = start + 1
        if data[code : code + 1] == b"\xff":
            rest = data[code : code + MOST_FILL + 1].lstrip(b"\xff")
            code += len(data[code : code + MOST_FILL + 1]) - len(rest)
        fill += code - 1 - at
        if fill > MOST_FILL:
            raise HeaderLimitError(f"it has more than {MOST_FILL:,} bytes between its segments")
        if code >= len(data):
            return
        marker = data[code]
        at = code + 1
        if marker == _END:
            return
        if marker in _BARE or marker in {0, _START}:
            continue
        length = int.from_bytes(data[at : at + 2], "big")
        if length < 2 or at + length > len(data):
            return
        at += length
        yield Segment(marker, code - 1, at)
        if marker == _SCAN:
            return
    raise HeaderLimitError(f"it has more than {MOST_SEGMENTS:,} segments before its first scan")


def too_many_scans(data: bytes) -> bool:
    """Whether a JPEG has more than `MOST_SCANS` scans; a broken one is left for the decoder to refuse.

    Raises:
        HeaderLimitError: as `segments`.
    """
    components, repeats, scans, at = 0, False, 0, 2
    while True:
        last = None
        for last in segments(data, at):
            if last.marker in _FRAMES:
                components = data[last.start + 9] if last.end - last.start > 9 else 0
                repeats = last.marker in _PROGRESSIVE
        if last is None or last.marker != _SCAN:
            return False
        repeats = repeats or data[last.start + 4 : last.end][:1] != bytes([components])
        # What looks like a scan may be in data that are never decoded, but too few of them are harmless.
        if not repeats or (scans == 0 and not _may_have_many(data, last.end)):
            return False
        scans += 1
        if scans > MOST_SCANS:
            return True
        at = end_of_scan(data, last.end)


def _may_have_many(data: bytes, at: int) -> bool:
    """Whether the beginning of a scan's header occurs often enough after a position."""
    found = 0
    while found < MOST_SCANS and (at := data.find(b"\xff\xda", at)) >= 0:
        found, at = found + 1, at + 2
    return found == MOST_SCANS


def scan_headers(data: bytes) -> Iterator[Segment]:
    """The frame header and the headers of all scans, at most `MOST_SCANS` of these.

    Raises:
        HeaderLimitError: as `segments`.
    """
    at = 2
    for _ in range(MOST_SCANS):
        last = None
        for last in segments(data, at):
            if last.marker in _FRAMES or last.marker == _SCAN:
                yield last
        if last is None or last.marker != _SCAN:
            return
        at = end_of_scan(data, last.end)


def buffered(data: bytes) -> bool:
    """Whether a decoder holds all rows back until the last scan: a progressive JPEG, or one scan for each component."""
    components = 0
    for segment in scan_headers(data):
        if segment.marker in _PROGRESSIVE:
            return True
        if segment.marker == _SCAN:
            return data[segment.start + 4 : segment.end][:1] != bytes([components])
        components = data[segment.start + 9] if segment.end - segment.start > 9 else 0
    return False


def size(data: bytes) -> tuple[int, int]:
    """Width and height of the frame header; zeros without one."""
    for segment in segments(data):
        if segment.marker in _FRAMES and segment.end - segment.start > 9:
            height, width = unpack_from(">HH", data, segment.start + 5)
            return width, height
    return 0, 0


def components(data: bytes) -> int:
    """The number of components in the frame header; 0 without a frame header."""
    for segment in segments(data):
        if segment.marker in _FRAMES:
            return data[segment.start + 9] if segment.end - segment.start > 9 else 0
    return 0


def scans_complete(data: bytes) -> bool:
    """Whether the scans that begin in the file give every coefficient of every component its last bit."""
    components: set[int] = set()
    done: dict[int, set[int]] = {}
    for segment in scan_headers(data):
        body = data[segment.start + 4 : segment.end]
        if segment.marker != _SCAN:
            if len(body) < 6:
                return False
            components = set(body[6 : 6 + 3 * body[5] : 3])
            continue
        count = body[0] if body else 0
        if len(body) < 4 + 2 * count:
            return False
        first, last, shifts = body[1 + 2 * count : 4 + 2 * count]
        if shifts & 15 == 0:
            for component in body[1 : 1 + 2 * count : 2]:
                done.setdefault(component, set()).update(range(first, last + 1))
    return bool(components) and all(done.get(each, set()) >= set(range(64)) for each in components)


def ended(data: bytes) -> bool:
    """Whether an end marker follows the header of the first scan."""
    scan = next((segment for segment in segments(data) if segment.marker == _SCAN), None)
    return scan is None or data.rfind(END, scan.end) >= 0


def without_last_scan(data: bytes) -> bytes:
    """The file without the last one of its scans."""
    scans = [segment for segment in scan_headers(data) if segment.marker == _SCAN]
    return data[: end_of_scan(data, scans[-2].end)] + END if len(scans) > 1 else data


def plain(data: bytes) -> bytes:
    """The file without what its pixels do not depend on before its first scan, and with an end marker."""
    return b"".join(part[start:end] for part, start, end in ranges(data))


def ranges(data: bytes) -> list[tuple[bytes, int, int]]:
    """What `plain` returns, as ranges of bytes."""
    kept, at = [data[:2]], len(data)
    for segment in segments(data):
        if segment.marker == _JFIF and data.startswith(b"JFIF\0", segment.start + 4):
            kept.append(_JFIF_ALONE)  # the version may be unknown to the decoder
        elif segment.marker == _ADOBE or not (_JFIF <= segment.marker <= 0xEF or segment.marker == _COMMENT):
            kept.append(data[segment.start : segment.end])
        at = segment.end
    head, end = b"".join(kept), b"" if data.rfind(END, at) >= 0 else END
    return [(head, 0, len(head)), (data, at, len(data)), (end, 0, len(end))]


def end_of_scan(data: bytes, at: int) -> int:
    """Where the entropy-coded data end: at the next marker, or at the end of the file."""
    while at < len(data):
        found = data[at : at + _WINDOW].translate(_CLASSES).find(b"\2\1")
        if found >= 0:
            return at + found
        at += _WINDOW - 1  # a pair may lie across two windows
    return len(data)


def lean(data: bytes) -> bytes:
    """The file without metadata where these are large or several Exif blocks; else the file itself.

    Pillow joins all Exif segments and reads their directory for the resolution, which counting does not need.

    Raises:
        HeaderLimitError: as `segments`.
    """
    kept, dropped, exif, at = [], 0, 0, 0
    for segment in segments(data):
        if _needed(data, segment):
            continue
        kept.append(data[at : segment.start])
        at = segment.end
        dropped += segment.end - segment.start
        exif += data.startswith(b"Exif\0", segment.start + 4)
    if dropped <= METADATA_BYTES and exif < 2:
        return data
    return b"".join((*kept, data[at:]))


def _needed(data: bytes, segment: Segment) -> bool:
    marker = segment.marker
    if marker == 0xE2:
        return data.startswith(_PROFILE, segment.start + 4)
    return not (0xE0 <= marker <= 0xEF or marker == _COMMENT) or marker in {0xE0, _ADOBE}
