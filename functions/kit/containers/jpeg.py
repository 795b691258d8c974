"""JPEG, MPO and EXV: segments, scans, and what follows the end of the image (ITU-T T.81; CIPA DC-007 for MPO)."""

from __future__ import annotations

import re
from struct import unpack_from
from typing import Any

from functions.kit.containers import mpo
from functions.kit.containers.packing import Packing
from functions.kit.containers.parts import Claims, Document, Kind, Part
from functions.kit.containers.source import Source, Span

EXV_SIGNATURE = b"\xff\x01Exiv2"
# In any case, behind up to four bytes, and the byte after its zero may be anything: Ricoh and others write so.
EXIF_IDENTIFIER = re.compile(rb".{0,4}?Exif\0.?", re.DOTALL | re.IGNORECASE)
XMP_HEADER = b"http://ns.adobe.com/xap/1.0/\0"
XMP_EXTENSION = b"http://ns.adobe.com/xmp/extension/\0"
ICC_HEADER = b"ICC_PROFILE\0"
PHOTOSHOP_HEADERS = (b"Photoshop 3.0\0", b"Adobe_Photoshop2.5:")
XMP_MARKS = (b"<x:xmpmeta", b"<?xpacket")
SOI, EOI, SOS, APP0, COM = 0xD8, 0xD9, 0xDA, 0xE0, 0xFE
# SOF0…SOF15 without DHT (C4), JPG (C8) and DAC (CC).
START_OF_FRAME = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
STANDALONE = frozenset((0x01, *range(0xD0, 0xD9)))
# JPG and JPG0 to JPG13 are unused but for JPEG-LS's frame and parameters.
RESERVED = frozenset((0xC8, *range(0xF0, 0xFE))) - {0xF7, 0xF8}
# A marker, after any fill of FF; found by a search in C, so that fill and junk are quick, however much there is.
MARKER = re.compile(rb"\xff[\xc0-\xfe]")
# What ends entropy-coded data: no stuffed zero, no restart, and no reserved marker, which decoders pass over. A literal
# first byte lets `re` search as fast as memchr.
END_OF_SCAN = re.compile(rb"\xff[\xc0-\xcf\xd8-\xfe]")
MAX_SEGMENTS = 20_000
# Kinds of blocks that may span several segments.
_SPANNING = frozenset((Kind.EXIF, Kind.XMP, Kind.ICC, Kind.PHOTOSHOP, Kind.JUMBF))


def read(source: Source, start: int = 0, end: int = -1, *, whole: bool = True) -> Document:
    """Read a JPEG's segments.

    Args:
        source: the file.
        start: of the JPEG in it; junk before its first marker is a part.
        end: of the JPEG with what follows it; -1 for that of the file.
        whole: go on after the first scan; else all that follows is one part of pixels.
    """
    document = Document(source, "JPEG", "image/jpeg")
    reader = _Reader(document, start, source.size if end < 0 else min(end, source.size))
    reader.run(whole=whole)
    if reader.at < reader.end:
        mpo.trailer(document, reader.at, reader.end, lambda start, end: _end(source, start, end))
    return document


def within(document: Document, claims: Claims, span: Span) -> Document:
    """Claim the parts of a whole JPEG inside another file, whose metadata are that file's; return it."""
    inner = read(document.source, *span)
    for part in inner.parts:
        claims.claim(part._replace(label=f"JPEG {part.label}".strip()))
    document.groups.update(inner.groups)
    document.details.update(inner.details)
    if inner.width is not None and inner.height is not None:
        document.details.update(jpeg_width=inner.width, jpeg_height=inner.height, jpeg_bytes=span.end - span.start)
    for warning in inner.warnings:
        document.warn(warning)
    return inner


def end(data: bytes, start: int) -> int:
    """The end of the JPEG that begins at a position; the end of the data where it has none."""
    return _end(Source(data), start, len(data))


def _end(source: Source, start: int, end: int) -> int:
    """The end of the image that begins at a position."""
    reader = _Reader(Document(source, "JPEG", "image/jpeg"), start, end)
    reader.run(whole=True)
    return reader.at


class _Reader:
    def __init__(self, document: Document, start: int, end: int) -> None:
        self.document, self.source, self.data = document, document.source, document.source.data
        self.start, self.at, self.end = start, start, end
        self.icc: dict[int, Part] = {}
        self.icc_count = 0
        self.joined: dict[Any, list[tuple[int, Part]]] = {}

    def run(self, *, whole: bool) -> None:
        """The parts of the image, up to its end."""
        document, data = self.document, self.data
        exv = self.source.startswith(EXV_SIGNATURE, self.start)
        if exv:
            document.format, document.media_type = "EXV", "image/x-exv"
            self._step(Kind.STRUCTURE, self.start + len(EXV_SIGNATURE))
        else:
            # The first bytes begin the image in any case: decoders skip junk before the next marker.
            first = self.start
            if not self.source.startswith(b"\xff\xd8", first):
                first = data.find(b"\xff\xd8\xff", self.start, self.end)
                first = data.find(b"\xff\xd8", self.start, self.end) if first < 0 else first
            if first < 0:
                document.broken = "no JPEG begins here"
                self._step(Kind.UNKNOWN, self.end)
                return
            if first > self.at:
                self._step(Kind.UNKNOWN, first, name="junk")
            self.start = first
            self._step(Kind.STRUCTURE, first + 2, key=SOI)
        scans = self._segments(whole=whole)
        if not scans and not exv:
            document.broken = document.broken or "it ends before its picture"
        self._join()
        mpo.index(document, self.start, self.at)

    def _step(self, kind: Kind, end: int, name: str = "", key: int | None = None) -> None:
        if end > self.at:
            self.document.parts.append(Part(kind, self.at, end, "", name, -1, -1, Packing.PLAIN, -1, key))
            self.at = end

    def _segments(self, *, whole: bool) -> int:
        """The segments up to the end of the image; the number of scans."""
        document, data, end, holes = self.document, self.data, self.end, self.source.holes
        scans = 0
        for _ in range(MAX_SEGMENTS):
            at = self.at
            if holes and not self.source.held(at, min(at + 4, end)):
                return scans
            if not (at + 4 <= end and data[at] == 0xFF and 0xC0 <= data[at + 1] < 0xFF):
                at = self._marker(scans)
                if at < 0:
                    return scans
            marker = data[at + 1]
            if marker in STANDALONE or marker == EOI:
                self._step(Kind.STRUCTURE, at + 2, key=marker)
                if marker == EOI:
                    return scans
                continue
            length = data[at + 2] << 8 | data[at + 3]
            stop = at + 2 + length
            if length < 2:
                document.warn(f"segment of length {length} at byte {at}")
                document.broken = f"the segment at byte {at:,} has no length"
                return scans
            if stop > end:
                document.warn(f"the file ends inside the segment at byte {at}")
                if scans:
                    # Its marker and length stay, and a table: what a decoder shows of a file cut there depends on them.
                    self._step(Kind.STRUCTURE, end if marker < APP0 else at + 4, key=marker)
                    self._step(Kind.GAP, end)
                    return scans
                document.broken = f"the segment at byte {at:,} runs over the end"
                stop = end
            if marker == SOS:
                scans += 1
                if not whole:
                    self._step(Kind.PIXELS, end)
                    return scans
                found = self.source.search(END_OF_SCAN, stop, end)
                self._step(Kind.PIXELS, end if found is None else found.start(), key=SOS)
                continue
            self._segment(marker, at, stop)
            self.at = stop
        document.warn(f"more than {MAX_SEGMENTS:,} segments; the rest is ignored")
        document.broken = f"more than {MAX_SEGMENTS:,} segments"
        return scans

    def _marker(self, scans: int) -> int:
        """The next marker after fill or junk, which become parts; -1 if no marker follows."""
        document, data, at, end = self.document, self.data, self.at, self.end
        found = self.source.search(MARKER, at, end)
        place = end if found is None else found.start()
        whole = found is not None and (place + 4 <= end or data[place + 1] in STANDALONE or data[place + 1] == EOI)
        if whole or (found is not None and scans):
            junk = not self.source.has(at, place) or bool(data[at:place].strip(b"\xff"))
            if junk:
                document.warn("junk between segments")
            self._step(Kind.GAP if junk else Kind.PADDING, place)
            if whole:
                return place
            self._step(Kind.STRUCTURE, end, key=data[place + 1])  # cut off in its length
        elif document.format != "EXV" and not scans:
            document.warn("the file ends before the picture")
        return -1

    def _segment(self, marker: int, at: int, stop: int) -> None:
        """One segment as a part."""
        document, data, start = self.document, self.data, at + 4
        if 0xE0 <= marker <= 0xEF:
            kind, name, skipped = self._application(marker - 0xE0, data[start : min(start + 128, stop)])
            body = min(start + skipped, stop)
            part = Part(kind, at, stop, f"APP{marker - 0xE0}", name, body, stop, Packing.PLAIN, -1, marker)
            document.parts.append(part)
            if kind in _SPANNING:
                self._spanning(part, start)
            return
        if marker in START_OF_FRAME:
            _frame(document, marker, data[start:stop])
        elif marker == COM:
            document.add(Kind.COMMENT, at, stop, "COM", body=start, stop=stop, key=marker)
            return
        elif marker in RESERVED:
            document.add(Kind.UNKNOWN, at, stop, f"marker {marker:#04x}", body=start, stop=stop, key=marker)
            return
        document.parts.append(Part(Kind.STRUCTURE, at, stop, "", "", start, stop, Packing.PLAIN, -1, marker))

    def _application(self, number: int, head: bytes) -> tuple[Kind, str, int]:
        """Kind, name and length of the identifier of an APPn segment."""
        if number == 1:
            if exif := EXIF_IDENTIFIER.match(head):
                return Kind.EXIF, "", exif.end()
            if head.startswith(XMP_HEADER):
                return Kind.XMP, "", len(XMP_HEADER)
            if head.startswith(XMP_EXTENSION) and len(head) > 75:
                return Kind.XMP, "extended", 75
            if any(mark in head for mark in XMP_MARKS):
                return Kind.XMP, "", head.find(b"<")
        for own, prefix, kind, skipped in _APPLICATIONS:
            if number == own and head.startswith(prefix) and len(head) >= skipped:
                return kind, "", skipped
        return Kind.APP, identifier(head), 0

    def _spanning(self, part: Part, start: int) -> None:
        """Note a segment whose block may span several."""
        data, order = self.data, len(self.document.parts)
        if part.kind is Kind.ICC:
            self.icc_count = data[start + 13]
            if data[start + 12] in self.icc:
                self.document.parts[-1] = part._replace(kind=Kind.APP, name="ICC_PROFILE", body=start)
            self.icc.setdefault(data[start + 12], part)
        elif part.name == "extended":
            size, at = unpack_from(">II", data, start + 67)
            self.joined.setdefault((part.kind, data[start + 35 : start + 67], size), []).append((at, part))
        elif part.kind is Kind.EXIF:
            key = (Kind.EXIF,)
            if data[part.body : part.body + 2] in (b"II", b"MM") or key not in self.joined:
                self.joined[key] = [(0, part)]
                self.joined[Kind.EXIF, part.start] = self.joined[key]
            else:
                self.joined[key].append((order, part))
        elif part.kind is Kind.PHOTOSHOP:
            self.joined.setdefault((part.kind,), []).append((order, part))
        elif part.kind is Kind.JUMBF:
            # A box that spans segments repeats its length and type in each (ISO/IEC 19566-5, annex D).
            again = self.joined.setdefault((part.kind, data[start + 2 : start + 4]), [])
            again.append((order, part._replace(body=min(part.body + 8, part.stop)) if again else part))

    def _join(self) -> None:
        """Put together what spans several segments."""
        document = self.document
        if self.icc and len(self.icc) != self.icc_count:
            document.warn(f"ICC profile: {len(self.icc)} of {self.icc_count} segments")
        groups = {id(group): group for group in self.joined.values() if len(group) > 1}
        self._group([self.icc[number] for number in sorted(self.icc)])
        for key, group in self.joined.items():
            if len(key) == 3:
                total = sum(part.stop - part.body for _, part in group)
                if total != key[2]:
                    document.warn(f"extended XMP: {total:,} of {key[2]:,} bytes")
        for group in groups.values():
            self._group([part for _, part in sorted(group, key=lambda pair: pair[0])])

    def _group(self, parts: list[Part]) -> None:
        if len(parts) < 2:
            return
        # The first in the file leads, at any place in the content.
        lead = min(part.start for part in parts)
        changed = {part.start: part if part.start == lead else part._replace(lead=lead) for part in parts}
        self.document.groups[lead] = [changed[part.start] for part in parts]
        self.document.parts = [changed.get(part.start, part) for part in self.document.parts]


_APPLICATIONS = (
    (0, b"JFIF\0", Kind.JFIF, 5),
    (0, b"JFXX\0", Kind.JFXX, 5),
    (2, ICC_HEADER, Kind.ICC, 14),
    (2, b"MPF\0", Kind.MPF, 4),
    (11, b"JP", Kind.JUMBF, 8),
    (13, PHOTOSHOP_HEADERS[0], Kind.PHOTOSHOP, 14),
    (13, PHOTOSHOP_HEADERS[1], Kind.PHOTOSHOP, 27),
    (14, b"Adobe", Kind.ADOBE, 5),
)


def identifier(body: bytes) -> str:
    """The identifier at the start of a maker's segment: printable text up to a zero."""
    name = body[:32].split(b"\0")[0]
    return name.decode("ascii") if name.isascii() and name.decode("ascii").isprintable() else ""


def _frame(document: Document, marker: int, body: bytes) -> None:
    if len(body) < 6 or document.width is not None:
        return
    bits, height, width, components = unpack_from(">BHHB", body)
    document.width, document.height = width, height
    details = document.details
    details["bits_per_sample"], details["components"], details["process"] = bits, components, marker - 0xC0
    if components == 3 and len(body) >= 15:
        first, second = body[7], body[10]
        if second >> 4 and second & 15:
            details["subsampling"] = f"{(first >> 4) // (second >> 4)} {(first & 15) // (second & 15)}"
