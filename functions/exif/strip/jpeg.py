"""JPEG: the segments that make the picture are copied as they are, the others go or are replaced.

Entropy-coded data are never decoded, so pixels cannot change. What follows the end of the image goes: a second
picture, a video, a gain map. The pictures of an MPO stay, see `mpo`.
"""

from __future__ import annotations

import re
from struct import pack, unpack_from
from typing import NamedTuple

from functions.exif.strip import mpo
from functions.exif.strip.edit import Edit
from functions.exif.strip.layout import Broken

SOI, EOI, SOS, COM = 0xD8, 0xD9, 0xDA, 0xFE
STANDALONE = frozenset((0x01, *range(0xD0, 0xD9)))
# JPG0 to JPG13 are unused but for JPEG-LS's frame and parameters.
RESERVED = frozenset(range(0xF0, 0xFE)) - {0xF7, 0xF8}
EXIF_HEADER = b"Exif\0"
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
    """

    marker: int
    body: bytes
    scan: bytes = b""

    def encode(self) -> bytes:
        """The bytes in the file."""
        if self.marker in STANDALONE or self.marker == EOI:
            return bytes((0xFF, self.marker))
        return bytes((0xFF, self.marker)) + pack(">H", len(self.body) + 2) + self.body + self.scan


def read(data: bytes, start: int = 0) -> tuple[list[Segment], int]:
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
        marker = data[position + 1]
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
            segments.append(Segment(SOS, body, data[stop:position]))
        else:
            segments.append(Segment(marker, body))
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


def clean(data: bytes, edit: Edit) -> bytes:
    """A JPEG or MPO without what `edit` removes.

    Raises:
        Broken: the segments cannot be followed to a picture.
    """
    start = data.find(b"\xff\xd8\xff")
    if start < 0:
        raise Broken("no JPEG begins here")
    if start:
        edit.gone("junk", "before the picture", start, "bytes before the first marker")
    segments, end = read(data, start)
    stray = end - start - sum(len(segment.encode()) for segment in segments)
    if stray:
        edit.gone("junk", "between segments", stray, "fill and stray bytes")
    pictures = mpo.pictures(segments, data, start, edit)
    if pictures is None:
        edit.trailer("after the picture", len(data) - end, trailer_name(data, end))
        return b"".join(segment.encode() for segment in cleaned(segments, edit))
    return mpo.clean(data, segments, end, pictures, edit)


def cleaned(segments: list[Segment], edit: Edit, mpf: bool = False) -> list[Segment]:
    """The segments of one image without what is to go.

    Args:
        segments: of one image.
        edit: the decision.
        mpf: whether an index of further pictures stays, to be filled in by the caller.
    """
    edit.has_exif = False
    kept: list[Segment] = []
    profile, extended = _profile(segments, edit), _extended(segments, edit)
    for index, segment in enumerate(segments):
        marker, body = segment.marker, segment.body
        if index in profile:
            if profile[index]:
                kept.append(Segment(marker, profile[index]))
        elif index in extended:
            if extended[index]:
                kept.append(segment)
        elif 0xE0 <= marker <= 0xEF:
            result = _application(marker - 0xE0, body, edit, mpf)
            if result is not None:
                kept.append(Segment(marker, result))
        elif marker == COM:
            if edit.other("comment", "COM", len(body), "comment"):
                kept.append(segment)
        elif marker in RESERVED:
            if edit.other("app", f"JPG{marker - 0xF0}", len(body), "reserved segment"):
                kept.append(segment)
        else:
            kept.append(segment)
    return kept


def _profile(segments: list[Segment], edit: Edit) -> dict[int, bytes]:
    """Indices of the segments that carry the colour profile, with what becomes of each; empty bytes for gone."""
    parts = {
        index: segment.body
        for index, segment in enumerate(segments)
        if segment.marker == 0xE2 and segment.body.startswith(ICC_HEADER) and len(segment.body) > 14
    }
    if not parts:
        return {}
    ordered = sorted(parts, key=lambda index: parts[index][12])
    result = edit.icc(b"".join(parts[index][14:] for index in ordered), "APP2")
    if result is None:
        return dict.fromkeys(parts, b"")
    at = 0
    for index in ordered:
        size = len(parts[index]) - 14
        parts[index] = parts[index][:14] + result[at : at + size]
        at += size
    return parts


def _extended(segments: list[Segment], edit: Edit) -> dict[int, bool]:
    """Indices of the parts of extended XMP, and whether each stays: all parts of a packet do, or none."""
    packets: dict[bytes, list[tuple[int, int]]] = {}
    for index, segment in enumerate(segments):
        if segment.marker == 0xE1 and segment.body.startswith(XMP_EXTENSION):
            # After the header a digest of the packet, its length, and the part's place in it (XMP, part 3, 1.1.3.1).
            guid, place = segment.body[35:67], int.from_bytes(segment.body[71:75], "big")
            packets.setdefault(guid, []).append((place, index))
    stays: dict[int, bool] = {}
    for parts in packets.values():
        packet = b"".join(segments[index].body[75:] for _, index in sorted(parts))
        stay = edit.xmp(packet, "APP1", extended=True) is not None
        stays.update((index, stay) for _, index in parts)
    return stays


def _application(number: int, body: bytes, edit: Edit, mpf: bool) -> bytes | None:
    """What replaces an APPn segment's body; None where it goes."""
    where = f"APP{number}"
    if number == 0 and body.startswith(b"JFIF\0") and len(body) >= 14:
        return _jfif(body, edit)
    if number == 0 and body.startswith(b"JFXX\0"):
        return body if edit.other("thumbnail", where, len(body), "JFIF extension, a thumbnail") else None
    if number == 1 and body.startswith(EXIF_HEADER):
        result = edit.exif(body[6:], where)
        return None if result is None else b"Exif\0\0" + result
    if number == 1 and (body.startswith(XMP_HEADER) or any(mark in body[:128] for mark in XMP_MARKS)):
        # Some writers spell the header otherwise, or leave it out, and readers find the packet all the same.
        start = len(XMP_HEADER) if body.startswith(XMP_HEADER) else body.find(b"<")
        packet = edit.xmp(body[start:], where)
        return None if packet is None else body[:start] + packet
    if number == 2 and body.startswith(MPF_HEADER):
        if not mpf:
            # An index of pictures that go themselves is void, whatever is asked for.
            edit.gone("mpf", where, len(body), "index of further pictures")
        return body if mpf else None
    if number == 13 and body.startswith(PHOTOSHOP_HEADER):
        resources = edit.resources(body[14:], where)
        return None if resources is None else PHOTOSHOP_HEADER + resources
    if number == 14 and body.startswith(b"Adobe") and len(body) >= 12:
        # It states the colour transform, in 12 bytes; more would be a hiding place.
        if len(body) > 12 and not edit.location_only:
            edit.gone("app", where, len(body) - 12, "bytes after the colour transform")
            return body[:12]
        return body
    if edit.location_only and b"GPS" in body:
        edit.gone("gps", where, len(body), f"segment of {_maker(body)}, which states a location")
        return None
    return body if edit.other("app", where, len(body), f"segment of {_maker(body)}") else None


def _jfif(body: bytes, edit: Edit) -> bytes:
    """Version, unit and density stay; the thumbnail goes."""
    if len(body) > 14 or body[12:14] != b"\0\0":
        if edit.location_only:
            return body
        edit.gone("thumbnail", "APP0", len(body) - 14, "thumbnail of JFIF")
        return body[:12] + b"\0\0"
    return body


def _maker(body: bytes) -> str:
    name = body[:24].split(b"\0")[0]
    return repr(name.decode("ascii")) if name and name.isascii() and name.decode("ascii").isprintable() else "a maker"


def trailer_name(data: bytes, end: int) -> str:
    """What follows the end of the image, by its first bytes."""
    head = data[end : end + 4096]
    if b"ftyp" in head[:64]:
        return "a video after the picture"
    if b"\xff\xd8\xff" in head:
        return "further pictures (preview, gain map or depth)"
    return "bytes after the picture"
