"""JPEG: the segments that make the picture are copied as they are, the others go or are replaced.

Entropy-coded data are never decoded, so pixels cannot change. What follows the end of the image goes: a second
picture, a video, a gain map. The pictures of an MPO stay, see `mpo`.
"""

from __future__ import annotations

from functions.exif.strip import mpo
from functions.exif.strip.edit import Edit
from functions.exif.strip.layout import Broken
from functions.exif.strip.segments import (
    COM,
    EXIF_IDENTIFIER,
    ICC_HEADER,
    MPF_HEADER,
    PHOTOSHOP_HEADER,
    XMP_EXTENSION,
    XMP_HEADER,
    XMP_MARKS,
    Segment,
    encode,
    read,
)

# JPG0 to JPG13 are unused but for JPEG-LS's frame and parameters.
RESERVED = frozenset(range(0xF0, 0xFE)) - {0xF7, 0xF8}


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
        edit.trailer("after the picture", len(data) - end, _trailer_name(data, end))
        return encode(_cleaned(segments, edit))
    return _several(data, segments, end, pictures, edit)


def _several(data: bytes, segments: list[Segment], end: int, found: list[mpo.Picture], edit: Edit) -> bytes:
    """The first picture and those of `found`, each cleaned, with an index of their new places.

    Args:
        data: the file.
        segments: of the first picture.
        end: of the first picture in the file.
        found: the other pictures.
        edit: the decision.

    Raises:
        Broken: a picture cannot be followed, or two of them overlap.
    """
    at, bodies = end, []
    for picture in sorted(found, key=lambda one: one.start):
        if picture.start < at:
            raise Broken("pictures of the index overlap")
        if data[at : picture.start].strip(b"\0\xff"):
            edit.trailer("between the pictures", picture.start - at, "bytes between the pictures")
        others, stop = read(data[picture.start : picture.start + picture.size])
        at = picture.start + picture.size
        if data[picture.start + stop : at].strip(b"\0\xff"):
            edit.trailer("between the pictures", picture.size - stop, "bytes after a picture")
        # Its own index names the picture's number and place among the others, and in a maker's version also its pose.
        bodies.append((picture.attribute, encode(_cleaned(others, edit))))
    edit.trailer("after the pictures", len(data) - at, _trailer_name(data, at))
    first = mpo.indexed(_cleaned(segments, edit, mpf=True), [(kind, len(body)) for kind, body in bodies], edit)
    return encode(first) + b"".join(body for _, body in bodies)


def _cleaned(segments: list[Segment], edit: Edit, mpf: bool = False) -> list[Segment]:
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
    if number == 1 and (identifier := EXIF_IDENTIFIER.match(body)):
        result = edit.exif(body[identifier.end() :], where)
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


def _trailer_name(data: bytes, end: int) -> str:
    """What follows the end of the image, by its first bytes."""
    head = data[end : end + 4096]
    if b"ftyp" in head[:64]:
        return "a video after the picture"
    if b"\xff\xd8\xff" in head:
        return "further pictures (preview, gain map or depth)"
    return "bytes after the picture"
