"""MPO: a JPEG followed by further pictures, found by the index in its APP2 segment (CIPA DC-007).

Pictures of the same rank (stereo pairs, panoramas, frames) stay, each cleaned, and the index is written anew with
their new places. Previews, gain maps and depth maps go: they are copies of the picture or statements about it.
"""

from __future__ import annotations

from struct import pack, unpack_from
from typing import NamedTuple

from functions.exif.strip.edit import Edit
from functions.exif.strip.layout import Broken, Layout
from functions.exif.strip.segments import MPF_HEADER, Segment

APP2 = 0xE2
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
    index = next((segment.body for segment in segments if _is_index(segment)), None)
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


def indexed(segments: list[Segment], others: list[tuple[int, int]], edit: Edit) -> list[Segment]:
    """The first picture's segments, with one index in place of theirs.

    Args:
        segments: of the first picture, cleaned but for its index.
        others: attribute and size in bytes of each further picture, in the order they follow.
        edit: the decision.
    """
    place = next(i for i, segment in enumerate(segments) if _is_index(segment))
    first = [segment for i, segment in enumerate(segments) if i <= place or not _is_index(segment)]
    old = first[place].body
    attributes, sizes = [PRIMARY, *(attribute for attribute, _ in others)], [size for _, size in others]
    # An index is as long whatever it states: the first tells how long the picture will be.
    first[place] = Segment(APP2, _index(attributes, [0, *sizes], 0))
    size = sum(len(segment.encode()) for segment in first)
    before = sum(len(segment.encode()) for segment in first[:place]) + 4 + len(MPF_HEADER)
    first[place] = Segment(APP2, _index(attributes, [size, *sizes], before))
    if len(old) > len(first[place].body):
        edit.gone("mpf", "APP2", len(old) - len(first[place].body), "further fields of the index of pictures")
    return first


def _is_index(segment: Segment) -> bool:
    return segment.marker == APP2 and segment.body.startswith(MPF_HEADER)


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
