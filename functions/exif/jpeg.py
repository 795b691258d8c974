"""JPEG and MPO: segments up to the first scan, put together where a block spans several of them."""

from __future__ import annotations

import re
from struct import unpack_from

from functions.exif import photoshop, trailer
from functions.exif.blocks import Block, Scan

# Exiv2's file of metadata alone: JPEG's segments without a picture.
EXV_SIGNATURE = b"\xff\x01Exiv2"
# Some writers spell it in capitals or put up to four bytes before it, and readers accept both.
EXIF_IDENTIFIER = re.compile(rb".{0,4}?Exif\0.", re.DOTALL | re.IGNORECASE)
XMP_HEADER = b"http://ns.adobe.com/xap/1.0/\0"
XMP_EXTENSION = b"http://ns.adobe.com/xmp/extension/\0"
ICC_HEADER = b"ICC_PROFILE\0"
PHOTOSHOP_HEADERS = (b"Photoshop 3.0\0", b"Adobe_Photoshop2.5:")
# SOF0…SOF15 without DHT (C4), JPG (C8) and DAC (CC).
START_OF_FRAME = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
STANDALONE = frozenset(range(0xD0, 0xD9))  # RST0…RST7 and SOI
# A marker, after any fill of FF; found by a search in C, so that fill and junk are quick, however much there is.
MARKER = re.compile(rb"\xff[\xc0-\xfe]")
# In coded data a zero byte follows each FF that is no marker, and restart markers are part of the data.
CODED_MARKER = re.compile(rb"\xff[\xc0-\xcf\xd8-\xfe]")
MAX_SEGMENTS = 10_000
MAX_EXTENDED_XMP = 8 * 2**20


def scan(data: bytes, *, whole: bool = True) -> Scan:
    """Read a JPEG's segments.

    Args:
        data: the file, from its first byte; what stands before the first marker is passed over.
        whole: also read what lies between and behind the scans; else stop at the first scan.
    """
    result = Scan("JPEG", "image/jpeg")
    segments = _Segments(result, data)
    if data.startswith(EXV_SIGNATURE):
        result.format, result.media_type = "EXV", "image/x-exv"
        position = len(EXV_SIGNATURE)
    else:
        position = data.find(b"\xff\xd8") + 2
        result.miss("gap", "before the picture", 0, position - 2)
    walk = _Walk(result, data, segments)
    end = walk.follow(position, whole=whole)
    segments.finish()
    if whole and end < len(data):
        trailer.after(result, data, end, picture_end)
    return result


def picture_end(data: bytes, start: int) -> int:
    """Where the JPEG that starts at an offset ends; the end of the file where it has no end marker."""
    return _Walk(Scan("JPEG", "image/jpeg"), data, None).follow(start + 2, whole=True)


class _Walk:
    """Follows the markers of a file."""

    def __init__(self, result: Scan, data: bytes, segments: _Segments | None) -> None:
        self.result = result
        self.data = data
        self.segments = segments
        self.coded = False

    def follow(self, position: int, *, whole: bool) -> int:
        """Take the segments from a position on; the end of the picture."""
        data, result, end = self.data, self.result, len(self.data)
        for _ in range(MAX_SEGMENTS):
            start, position = self._marker(position)
            if position < 0:
                break
            marker = data[position - 1]
            if marker == 0xD9:
                return position
            if marker == 0xD8 and self.coded:
                return start
            if marker in STANDALONE:
                continue
            if marker == 0xDA and not whole:
                return end
            stop = self._segment(marker, start, position)
            if stop < 0:
                result.miss("segment", f"byte {start}", start, end - start)
                break
            position = stop
        else:
            result.warn(f"more than {MAX_SEGMENTS:,} segments; the rest is ignored")
            result.miss("limit", "segments", position, end - position)
        return end

    def _marker(self, position: int) -> tuple[int, int]:
        """The next marker's start and end; the end is negative where there is none."""
        data, result = self.data, self.result
        # Markers stand side by side but for fill, junk and coded data.
        if (
            position + 4 <= len(data)
            and data[position] == 0xFF
            and 0xC0 <= data[position + 1] < 0xFF
            and not (self.coded and 0xD0 <= data[position + 1] < 0xD8)
        ):
            return position, position + 2
        found = (CODED_MARKER if self.coded else MARKER).search(data, position)
        if found is None or (found.end() + 2 > len(data) and data[found.end() - 1] != 0xD9):
            if not self.coded:
                if result.format != "EXV":
                    result.warn("the file ends before the picture")
                    result.miss("picture", "a picture without a scan", 0, position)
                if data[position:].strip(b"\0\xff"):
                    result.miss("gap", "between segments", position, len(data) - position)
            elif found is None:
                result.warn("the file ends inside the picture")
                result.miss("picture", "a scan without an end", position, len(data) - position)
            return position, -1
        if not self.coded and data[position : found.start()].strip(b"\xff"):
            result.warn("junk between segments")
            result.miss("gap", "between segments", position, found.start() - position)
        return found.span()

    def _segment(self, marker: int, start: int, position: int) -> int:
        """Take one segment; its end, negative where its length is impossible."""
        data, result = self.data, self.result
        length = data[position] << 8 | data[position + 1]
        stop = position + length
        if length < 2:
            result.warn(f"segment of length {length} at byte {start}")
            return -1
        if stop > len(data):
            result.warn(f"the file ends inside the segment at byte {start}")
            stop = len(data)
            result.miss("segment", f"marker FF{marker:02X}", start, stop - start)
        if self.segments is not None:
            if marker >= 0xE0 or marker in START_OF_FRAME:
                self.segments.take(marker, position + 2, stop)
            unused = _unused(data, marker, position + 2, stop)
            if unused:
                result.miss("segment", f"marker FF{marker:02X}", stop - unused, unused)
        self.coded = self.coded or marker == 0xDA
        return stop


def _unused(data: bytes, marker: int, start: int, stop: int) -> int:
    """How many bytes of a segment its tables and fields do not account for."""
    at = start
    if marker in (0xDB, 0xC4):
        while at < stop:
            if data[at] & 0xEC:  # no class or precision and number of a table
                return stop - at
            if marker == 0xDB:
                at += 129 if data[at] >> 4 else 65
            else:
                at += 17 + sum(data[at + 1 : at + 17])
        return stop - start if at > stop else 0
    if marker in START_OF_FRAME and stop - start >= 6:
        at += 6 + 3 * data[start + 5]
    elif marker == 0xDA and stop > start:
        at += 4 + 2 * data[start]
    elif marker in _FIXED:
        at += _FIXED[marker]
    elif marker >= 0xE0 and not 0xF0 <= marker <= 0xFD:
        return 0
    return max(stop - at, 0)


# Restart interval, number of lines, expansion; arithmetic conditioning has two bytes a table.
_FIXED = {0xDD: 2, 0xDC: 2, 0xDF: 1, 0xCC: 8}


class _Segments:
    """Gathers what may span several segments: Exif, extended XMP, ICC, image resources."""

    def __init__(self, result: Scan, data: bytes) -> None:
        self.result = result
        self.data = data
        self.icc: dict[int, memoryview] = {}
        self.icc_count = 0
        self.icc_offset = 0
        self.extensions: dict[bytes, list[tuple[int, bytes]]] = {}
        self.extension_sizes: dict[bytes, int] = {}
        self.resources: list[tuple[int, bytes]] = []
        self.exif: list[tuple[int, bytes]] = []

    def take(self, marker: int, start: int, end: int) -> None:
        """One segment, its body from start to end: copied once, without its header."""
        data = self.data
        if marker == 0xE1:
            self._app1(start, end)
        elif marker == 0xE2 and data.startswith(ICC_HEADER, start, end) and end - start > 14:
            if not self.icc:
                self.icc_offset = start + 14
            self.icc_count = data[start + 13]
            if data[start + 12] in self.icc:
                self.result.miss("icc", "APP2", start + 14, end - start - 14)
            self.icc.setdefault(data[start + 12], memoryview(data)[start + 14 : end])
        elif marker in START_OF_FRAME:
            self._frame(marker, data[start:end])
        elif marker == 0xED and data.startswith(PHOTOSHOP_HEADERS, start, end):
            start += 14 if data.startswith(PHOTOSHOP_HEADERS[0], start) else 27
            self.resources.append((start, data[start:end]))
        elif marker == 0xFE:
            self.result.add("comment", start, data[start:end], "COM")
        elif 0xE0 <= marker <= 0xEF:
            self._other(marker - 0xE0, start, data[start:end])

    def _app1(self, start: int, end: int) -> None:
        data = self.data
        # The second byte after "Exif" may be anything: Ricoh and others write other than two zeros.
        identifier = EXIF_IDENTIFIER.match(data, start, end)
        if identifier is not None:
            start = identifier.end()
            if self.exif and not data.startswith((b"II", b"MM"), start, end):
                self.exif[-1] = (-1, self.exif[-1][1] + data[start:end])
            else:
                self.exif.append((start, data[start:end]))
        elif data.startswith(XMP_HEADER, start, end):
            start += len(XMP_HEADER)
            self.result.add("xmp", start, data[start:end], "APP1")
        elif data.startswith(XMP_EXTENSION, start, end) and end - start > 75:
            guid = data[start + 35 : start + 67]
            size, at = unpack_from(">II", data, start + 67)
            parts = self.extensions.setdefault(guid, [])
            parts.append((at, data[start + 75 : end]))
            self.extension_sizes[guid] = size
        else:
            self._nameless(start, data[start:end])

    def _nameless(self, offset: int, body: bytes) -> None:
        """An APP1 of no standard's: XMP without its header, or some maker's."""
        if b"<x:xmpmeta" in body[:128] or b"<?xpacket" in body[:128]:
            start = body.find(b"<")
            self.result.add("xmp", offset + start, body[start:], "APP1")
        else:
            self.result.add("app", offset, body, "APP1", _name(body))

    def _frame(self, marker: int, body: bytes) -> None:
        if len(body) < 6 or self.result.width is not None:
            return
        bits, height, width, components = unpack_from(">BHHB", body)
        self.result.width, self.result.height = width, height
        details = self.result.details
        details["bits_per_sample"], details["components"], details["process"] = bits, components, marker - 0xC0
        if components == 3 and len(body) >= 15:
            first, second = body[7], body[10]
            if second >> 4 and second & 15:
                details["subsampling"] = f"{(first >> 4) // (second >> 4)} {(first & 15) // (second & 15)}"

    def _other(self, number: int, offset: int, body: bytes) -> None:
        where = f"APP{number}"
        if number == 0 and body.startswith(b"JFIF\0"):
            self.result.add("jfif", offset + 5, body[5:], where)
        elif number == 0 and body.startswith(b"JFXX\0"):
            self.result.add("jfxx", offset + 5, body[5:], where)
        elif number == 2 and body.startswith(b"MPF\0"):
            self.result.add("mpf", offset + 4, body[4:], where)
        elif number == 11 and body[:2] == b"JP":
            self.result.add("jumbf", offset + 8, body[8:], where)
        elif number == 14 and body.startswith(b"Adobe"):
            self.result.add("adobe", offset + 5, body[5:], where)
        else:
            self.result.add("app", offset, body, where, _name(body))

    def finish(self) -> None:
        """Put the spanning blocks together; Exif first, as it stands in the file."""
        result = self.result
        for offset, data in reversed(self.exif):
            result.blocks.insert(0, Block("exif", offset, data, "APP1"))
        if self.icc:
            profile = b"".join(self.icc[number] for number in sorted(self.icc))
            if len(self.icc) != self.icc_count:
                result.warn(f"ICC profile: {len(self.icc)} of {self.icc_count} segments")
                result.miss("icc", "APP2", self.icc_offset, len(profile))
            result.add("icc", self.icc_offset if len(self.icc) == 1 else -1, profile, "APP2")
        for guid, parts in self.extensions.items():
            size = self.extension_sizes[guid]
            total = sum(len(part) for _, part in parts)
            if size > MAX_EXTENDED_XMP or total != size:
                result.warn(f"extended XMP: {total:,} of {size:,} bytes")
                result.miss("xmp", "APP1", -1, total)
            if total <= MAX_EXTENDED_XMP:
                result.add("xmp", -1, b"".join(part for _, part in sorted(parts)), "APP1", "extended")
        if self.resources:
            data = b"".join(part for _, part in self.resources)
            offset = self.resources[0][0] if len(self.resources) == 1 else -1
            result.add("photoshop", offset, data, "APP13")
            photoshop.resources(result, data, offset, "APP13")
        _multi_picture(result)


def _name(body: bytes) -> str:
    """The identifier a maker begins its segment with: printable text up to a zero."""
    name = body[:32].split(b"\0")[0]
    return name.decode("ascii") if name.isascii() and name.decode("ascii").isprintable() else ""


def _multi_picture(result: Scan) -> None:
    """Frames of a Multi-Picture file: NumberOfImages of its index (CIPA DC-007, tag B001)."""
    for block in result.blocks:
        if block.kind != "mpf" or len(block.data) < 10:
            continue
        order = "<" if block.data[:2] == b"II" else ">"
        (first,) = unpack_from(order + "I", block.data, 4)
        if first + 2 > len(block.data):
            continue
        (count,) = unpack_from(order + "H", block.data, first)
        for at in range(first + 2, min(first + 2 + 12 * count, len(block.data) - 11), 12):
            tag, kind, _, value = unpack_from(order + "HHII", block.data, at)
            if tag == 0xB001 and kind == 4 and 1 < value <= 1024:
                result.frames = value
                result.format, result.media_type = "MPO", "image/mpo"
        return
