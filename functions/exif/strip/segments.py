"""JPEG's segments: from a file to its markers with their bodies, and back.

Entropy-coded data are never decoded: of a scan only the end is looked for.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from struct import pack, unpack_from
from typing import NamedTuple

from functions.exif.edit.errors import Broken

SOI, EOI, SOS, COM = 0xD8, 0xD9, 0xDA, 0xFE
STANDALONE = frozenset((0x01, *range(0xD0, 0xD9)))
# What the segments of applications begin with.
# Some writers spell it in capitals or put up to four bytes before it, and readers accept both.
EXIF_IDENTIFIER = re.compile(rb".{0,4}?Exif\0.", re.DOTALL | re.IGNORECASE)
XMP_HEADER = b"http://ns.adobe.com/xap/1.0/\0"
XMP_EXTENSION = b"http://ns.adobe.com/xmp/extension/\0"
XMP_MARKS = (b"<x:xmpmeta", b"<?xpacket")
ICC_HEADER = b"ICC_PROFILE\0"
PHOTOSHOP_HEADER = b"Photoshop 3.0\0"
MPF_HEADER = b"MPF\0"
# A marker, or fill, within entropy-coded data: not a stuffed zero, not a restart, and none of the reserved ones, which
# only damage puts there and decoders pass over. A literal first byte lets `re` search as fast as memchr; with `\xff+`
# it takes twenty times as long.
MARKER_OR_FILL = re.compile(rb"\xff[\xc0-\xcf\xd8-\xff]")
NOT_FILL = re.compile(rb"[^\xff]")
MAX_SEGMENTS = 20_000
MAX_FILLS = 100_000


class Segment(NamedTuple):
    """A marker with its body, or a scan: SOS with the entropy-coded data that follow.

    Args:
        marker: second byte of the marker.
        body: without marker and length.
        scan: entropy-coded data after an SOS, up to the next marker.
        position: of the marker in the file that was read.
    """

    marker: int
    body: bytes
    scan: bytes = b""
    position: int = 0

    def encode(self) -> bytes:
        """The bytes in the file."""
        if self.marker in STANDALONE or self.marker == EOI:
            return bytes((0xFF, self.marker))
        return bytes((0xFF, self.marker)) + pack(">H", len(self.body) + 2) + self.body + self.scan


def encode(segments: Iterable[Segment]) -> bytes:
    """The file that the segments make."""
    return b"".join(segment.encode() for segment in segments)


def read(data: bytes, start: int = 0) -> tuple[list[Segment], int]:  # noqa: C901 - one branch for each marker
    """The segments of the image that begins at `start`, and where it ends.

    Raises:
        Broken: no image there, or it ends before its first scan.
    """
    if data[start : start + 2] != b"\xff\xd8":
        raise Broken("no JPEG begins here")
    segments = [Segment(SOI, b"")]
    position, end, scans = start + 2, len(data), 0
    for _ in range(MAX_SEGMENTS):
        position = data.find(b"\xff", position)
        while 0 <= position < end - 1 and data[position + 1] == 0xFF:
            block = data[position : position + 4096]
            rest = block.lstrip(b"\xff")
            position += len(block) - len(rest) - (1 if rest else 0) if rest else len(block)
        if position < 0 or position >= end - 1:
            break
        first, marker = position, data[position + 1]
        if marker == EOI:
            segments.append(Segment(EOI, b""))
            return segments, position + 2
        if marker == 0 or marker in STANDALONE:
            position += 2
            continue
        if marker < 0xC0:
            raise Broken(f"an unknown marker {marker:#04x} at byte {position:,}")
        if position + 4 > end:
            break
        (length,) = unpack_from(">H", data, position + 2)
        stop = position + 2 + length
        if length < 2 or stop > end:
            if scans:
                break
            raise Broken(f"the segment at byte {position:,} runs over the end")
        body = data[position + 4 : stop]
        if marker == SOS:
            scans += 1
            position = _end_of_scan(data, stop)
            segments.append(Segment(SOS, body, data[stop:position], first))
        else:
            segments.append(Segment(marker, body, b"", first))
            position = stop
    else:
        raise Broken(f"more than {MAX_SEGMENTS:,} segments")
    if not scans:
        raise Broken("it ends before its picture")
    # A picture cut off is copied as far as it goes, and readers will say what they said before.
    return segments, end


def _end_of_scan(data: bytes, start: int) -> int:
    """Where the entropy-coded data from `start` end: at a marker with its fill, or with the file.

    Raises:
        Broken: more fill inside them than any encoder writes.
    """
    for _ in range(MAX_FILLS):
        found = MARKER_OR_FILL.search(data, start)
        if found is None:
            return len(data)
        if data[found.start() + 1] != 0xFF:
            return found.start()
        # Fill before a stuffed zero or a restart belongs to the data, as decoders take it.
        rest = NOT_FILL.search(data, found.end())
        if rest is None:
            return len(data)
        following = data[rest.start()]
        if following >= 0xC0 and not 0xD0 <= following <= 0xD7:
            return found.start()
        start = rest.end()
    raise Broken(f"more than {MAX_FILLS:,} runs of fill inside its picture")
