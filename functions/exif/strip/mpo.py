"""MPO: a JPEG followed by further pictures, found by the index in its APP2 segment (CIPA DC-007).

Pictures of the same rank (stereo pairs, panoramas, frames) stay, each cleaned, and the index is written anew with
their new places. Previews, gain maps and depth maps go: they are copies of the picture or statements about it.
"""

from __future__ import annotations

from struct import pack, unpack_from
from typing import TYPE_CHECKING, NamedTuple

from functions.exif.strip.edit import Edit
from functions.exif.strip.layout import Broken, Layout

if TYPE_CHECKING:
    from functions.exif.strip.jpeg import Segment

MPF_HEADER = b"MPF\0"
VERSION, NUMBER, ENTRIES = 0xB000, 0xB001, 0xB002
TYPE_MASK = 0xFFFFFF
PRIMARY = 0x030000
THUMBNAILS = frozenset((0x010001, 0x010002))
MAX_PICTURES = 64
# What says that the second picture is no picture: Ultra HDR, ISO 21496-1, and Apple's auxiliary images.
AUXILIARY = (b"hdrgm:Version", b"urn:iso:std:iso:ts:21496", b"AuxiliaryImageType", b"hdrgm:GainMap")


class Picture(NamedTuple):
    """One entry of the index.

    Args:
        attribute: flags and type of the picture.
        start: of the picture in the file.
        size: in bytes.
    """

    attribute: int
    start: int
    size: int


def pictures(segments: list[Segment], data: bytes, start: int, edit: Edit) -> list[Picture] | None:
    """The pictures after the first that stay; None where there is no index, or none of them does."""
    index = next((s.body for s in segments if s.marker == 0xE2 and s.body.startswith(MPF_HEADER)), None)
    if index is None:
        return None
    base = data.find(index, start) + len(MPF_HEADER)
    try:
        layout = Layout(index[4:], chain=False)
    except Broken:
        edit.warn("the index of further pictures cannot be read: only the first picture is in the copy")
        return None
    entry = layout.images[0].find(ENTRIES) if layout.images else None
    if entry is None:
        return None
    raw = layout.raw(entry)[: 16 * MAX_PICTURES]
    found, left = [], 0
    for at in range(0, len(raw) - 15, 16):
        attribute, size, offset = unpack_from(layout.order + "III", raw, at)
        if not offset:
            continue  # the first picture's own offset is zero
        first = base + offset
        picture = data[first : first + size]
        is_picture = picture.startswith(b"\xff\xd8\xff") and attribute & TYPE_MASK not in THUMBNAILS
        head = picture[:65536]
        if is_picture and not any(mark in head for mark in AUXILIARY):
            found.append(Picture(attribute, first, len(picture)))
        else:
            left += 1
    if left:
        edit.warn(f"{left} further pictures (previews, gain or depth maps) are not in the copy")
    return found or None


def clean(data: bytes, segments: list[Segment], end: int, found: list[Picture], edit: Edit) -> bytes:
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
    from functions.exif.strip import jpeg

    at, bodies = end, []
    for picture in sorted(found, key=lambda one: one.start):
        if picture.start < at:
            raise Broken("pictures of the index overlap")
        if data[at : picture.start].strip(b"\0\xff"):
            edit.trailer("between the pictures", picture.start - at, "bytes between the pictures")
        others, stop = jpeg.read(data[picture.start : picture.start + picture.size])
        at = picture.start + picture.size
        if data[picture.start + stop : at].strip(b"\0\xff"):
            edit.trailer("between the pictures", picture.size - stop, "bytes after a picture")
        # Its own index names the picture's number and place among the others, and in a maker's version also its pose.
        bodies.append((picture, b"".join(segment.encode() for segment in jpeg.cleaned(others, edit))))
    edit.trailer("after the pictures", len(data) - at, jpeg.trailer_name(data, at))
    first = jpeg.cleaned(segments, edit, mpf=True)
    place = next(i for i, segment in enumerate(first) if segment.marker == 0xE2 and segment.body.startswith(MPF_HEADER))
    first = [
        segment
        for i, segment in enumerate(first)
        if i <= place or not (segment.marker == 0xE2 and segment.body.startswith(MPF_HEADER))
    ]
    old = first[place].body
    first[place] = jpeg.Segment(0xE2, _index([PRIMARY, *(p.attribute for p, _ in bodies)], [0] * (len(bodies) + 1), 0))
    size = sum(len(segment.encode()) for segment in first)
    before = sum(len(segment.encode()) for segment in first[:place]) + 4 + len(MPF_HEADER)
    first[place] = jpeg.Segment(
        0xE2, _index([PRIMARY, *(p.attribute for p, _ in bodies)], [size, *(len(b) for _, b in bodies)], before)
    )
    if len(old) > len(first[place].body):
        edit.gone("mpf", "APP2", len(old) - len(first[place].body), "further fields of the index of pictures")
    return b"".join(segment.encode() for segment in first) + b"".join(body for _, body in bodies)


def _index(attributes: list[int], sizes: list[int], base: int) -> bytes:
    """An index with version, number and entries alone.

    Args:
        attributes: of each picture.
        sizes: of each picture in bytes; the first's includes this index.
        base: of the index's TIFF header in the file, which offsets count from.
    """
    entries, start = b"", 0
    for number, (attribute, size) in enumerate(zip(attributes, sizes, strict=True)):
        entries += pack("<IIIHH", attribute, size, start - base if number else 0, 0, 0)
        start += size
    at = 8 + 2 + 3 * 12 + 4
    return (
        MPF_HEADER
        + b"II*\0\x08\0\0\0"
        + pack("<H", 3)
        + pack("<HHI4s", VERSION, 7, 4, b"0100")
        + pack("<HHII", NUMBER, 4, 1, len(attributes))
        + pack("<HHII", ENTRIES, 7, len(entries), at)
        + bytes(4)
        + entries
    )
