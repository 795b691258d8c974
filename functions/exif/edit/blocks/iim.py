"""IPTC-IIM records and Photoshop's image resources, filtered."""

from __future__ import annotations

from collections.abc import Callable, Collection
from struct import pack, unpack_from

# Data sets of record 2 (IPTC-IIM 4.2) by the name that keeps them.
KEPT = {
    "copyright": frozenset((116,)),
    "artist": frozenset((80, 85)),
    "description": frozenset((5, 105, 120)),
    "date": frozenset((55, 60, 62, 63)),
}
# ContentLocationCode, ContentLocationName, City, Sub-location, Province-State, Country code and name.
LOCATION = frozenset((26, 27, 90, 92, 95, 100, 101))
CHARACTER_SET = (1, 90)
MAX_RECORDS = 4096
IPTC, PROFILE, EXIF, EXIF_3, XMP, DIGEST = 0x0404, 0x040F, 0x0422, 0x0423, 0x0424, 0x0425
RESOLUTION = 0x03ED
# What a Photoshop file's picture needs: resolution, names and colours of channels, layers, masks, angle of light,
# indexed colours, transparency, pixel aspect ratio (Adobe Photoshop File Formats, image resources).
STRUCTURE = frozenset(
    (
        *(
            0x03ED,
            0x03EE,
            0x03EF,
            0x03F2,
            0x03F5,
            0x03F8,
            0x0400,
            0x0402,
            0x040D,
            0x0411,
            0x0413,
            0x0415,
            0x0416,
            0x0417,
        ),
        *(0x0419, 0x041D, 0x0428, 0x042B, 0x042D, 0x0430, 0x0435),
    )
)
THUMBNAILS = frozenset((0x0409, 0x040C))


def filtered(data: bytes, keep: Collection[str], location_only: bool) -> tuple[bytes, int]:
    """Filter records.

    Returns:
        The rest, empty where nothing that says anything is left, and how many records are gone.
    """
    stays = frozenset().union(*(KEPT.get(name, frozenset()) for name in keep))
    parts, dropped, stated = [], 0, 0
    position, end = 0, len(data)
    for _ in range(MAX_RECORDS):
        if position + 5 > end or data[position] != 0x1C:
            break
        record, number, size = unpack_from(">BBH", data, position + 1)
        start = position + 5
        if size & 0x8000:  # an extended record: the length of its length
            width = size & 0x7FFF
            if width > 4:
                break
            size = int.from_bytes(data[start : start + width], "big")
            start += width
        stop = start + size
        if stop > end:
            break
        frame = (record, number) == CHARACTER_SET or (record, number) == (2, 0)
        go = record == 2 and number in LOCATION if location_only else not (record == 2 and number in stays)
        if frame or not go:
            parts.append(data[position:stop])
            stated += not frame
        else:
            dropped += 1
        position = stop
    if data[position:].strip(b"\0"):
        dropped += 1  # bytes outside any record are dropped
    if not dropped and (location_only or stated):
        return data, 0
    return (b"".join(parts) if stated else b""), dropped or len(parts)


def image_resources(
    data: bytes, decide: Callable[[int, bytes], bytes | None], *, named: bool
) -> tuple[bytes, int, int]:
    """Filter or replace Photoshop's image resources.

    Args:
        data: the resources.
        decide: from a resource's number and content to what replaces it, or None.
        named: whether resources keep their names, which may be any text.

    Returns:
        What is left, how many bytes at the end are no resource and are gone, and those of names that are gone.
    """
    parts, position, end, changed, names = [], 0, len(data), False, 0
    for _ in range(MAX_RECORDS):
        if position + 12 > end or data[position : position + 4] not in (b"8BIM", b"PHUT", b"DCSR", b"AgHg", b"MeSa"):
            break
        (number,) = unpack_from(">H", data, position + 4)
        start = position + 6 + ((data[position + 6] + 2) & ~1)
        if start + 4 > end:
            break
        (size,) = unpack_from(">I", data, start)
        head, start = data[position:start], start + 4
        if start + size > end:
            break
        body = data[start : start + size]
        result = decide(number, body)
        changed = changed or (number == IPTC and result != body)
        if result is not None and data[position + 6] and not named:
            names += data[position + 6]
            head = head[:6] + b"\0\0"
        if result is not None:
            parts.append((number, head + pack(">I", len(result)) + result + bytes(len(result) & 1)))
        position = start + size + (size & 1)
    broken = end - position if data[position:].strip(b"\0") else 0
    # Changed IPTC records make their digest invalid, and readers would warn.
    return b"".join(part for number, part in parts if not (changed and number == DIGEST)), broken, names
