"""Exif blocks: the smallest one with the kept tags, and one without its location."""

from __future__ import annotations

import re
from collections.abc import Collection
from struct import pack

from functions.exif.edit.blocks import notes, xmp
from functions.exif.edit.blocks.layout import EXIF, GPS, INTEROP, Directory, Layout, Span, compact, wipe
from functions.exif.edit.errors import Broken
from functions.kit.containers import Kind, Source, jpeg
from functions.kit.containers.source import Buffer, Mapped, editable, finished, zero

# Tags by the name that keeps them: (directory, tag). CIPA DC-008, tables 3, 4 and 5.
KEPT_TAGS: dict[str, dict[str, tuple[int, ...]]] = {
    "orientation": {"image": (0x0112,)},
    "colorspace": {"exif": (0xA001,), "interop": (0x0001, 0x0002)},
    "copyright": {"image": (0x8298,)},
    "artist": {"image": (0x013B, 0x9C9D), "exif": (0xA437,)},
    "description": {"image": (0x010E, 0x9C9B, 0x9C9C), "exif": (0xA436,)},
    "date": {
        "image": (0x0132,),
        "exif": (0x9003, 0x9004, 0x9010, 0x9011, 0x9012, 0x9290, 0x9291, 0x9292),
    },
    "camera": {"image": (0x010F, 0x0110)},
    "lens": {"exif": (0xA432, 0xA433, 0xA434)},
    "exposure": {
        "exif": (
            *(0x829A, 0x829D, 0x8822, 0x8827, 0x8830, 0x8831, 0x8832, 0x9201, 0x9202, 0x9203, 0x9204, 0x9205),
            *(0x9207, 0x9208, 0x9209, 0x920A, 0xA402, 0xA403, 0xA405),
        ),
    },
    "resolution": {"image": (0x011A, 0x011B, 0x0128)},
}
# GeoTIFF and similar tags, which place the pixels on the earth.
GEO_TAGS = frozenset({0x830E, 0x8482, 0x85D8, 0x87AF, 0x87B0, 0x87B1})
MAX_KEPT = 4096
MAKER_NOTE = 0x927C


# What containers put before the structure: JPEG's header, and the distance to it of boxes (ISO 23008-12, annex A).
_HEAD = re.compile(rb"Exif\0\0(?=II|MM)|.{4}(?=II\*\0|MM\0\*)", re.DOTALL)


def head_of(content: bytes) -> bytes:
    """What precedes the TIFF structure in the content of an Exif part."""
    found = _HEAD.match(content)
    return found[0] if found else b""


def wanted(keep: Collection[str]) -> dict[str, set[int]]:
    """Return the tags of names of `keep`, by kind of directory."""
    tags: dict[str, set[int]] = {"image": set(), "exif": set(), "gps": set(), "interop": set()}
    for name in keep:
        for kind, numbers in KEPT_TAGS.get(name, {}).items():
            tags[kind].update(numbers)
    return tags


def minimal(block: bytes, keep: Collection[str]) -> bytes | None:
    """Make a new Exif block of the tags that `keep` names.

    Args:
        block: a TIFF structure, however broken.
        keep: names of `KEPT_TAGS`.

    Returns:
        The block, or None where there is nothing to keep: no such tag, or an orientation of 1 alone.
    """
    try:
        layout = Layout(block, chain=False)
    except Broken:
        return None
    if layout.big or not layout.images:
        return None
    tags = wanted(keep)
    found: dict[str, dict[int, tuple[int, int, bytes]]] = {"image": {}, "exif": {}, "interop": {}}
    for directory in layout.walk():
        if directory.kind not in found or (directory.kind == "image" and directory is not layout.images[0]):
            continue
        for entry in directory.entries:
            if entry.tag in tags[directory.kind] and entry.start >= 0 and 0 < entry.size <= MAX_KEPT:
                if entry.tag == 0x0112 and layout.integers(entry)[:1] not in ([2], [3], [4], [5], [6], [7], [8]):
                    continue
                found[directory.kind].setdefault(entry.tag, (entry.type, entry.count, layout.raw(entry)))
    built = build(layout.order, found["image"], found["exif"], found["interop"])
    return built if built is None or len(built) <= len(block) else None


Values = dict[int, tuple[int, int, bytes]]
"""Tag to (TIFF type, count, raw bytes in the block's byte order)."""


def build(order: str, image: Values, exif: Values, interop: Values) -> bytes | None:
    """Build a TIFF structure of IFD0, Exif and Interop directories; None where all are empty.

    Args:
        order: `<` or `>`.
        image: values of IFD0.
        exif: values of the Exif directory.
        interop: values of the Interop directory.
    """
    if not (image or exif or interop):
        return None
    image, exif = dict(image), dict(exif)
    size = 8
    if exif or interop:
        image[EXIF] = (4, 1, pack(order + "I", size + _size(image, 1)))
        size += _size(image)
        if interop:
            exif[INTEROP] = (4, 1, pack(order + "I", size + _size(exif, 1)))
    parts = [b"II*\0" if order == "<" else b"MM\0*", pack(order + "I", 8)]
    at = 8
    for values in (image, exif, interop):
        if values:
            parts.append(_directory(order, values, at))
            at += len(parts[-1])
    return b"".join(parts)


def _size(values: Values, more: int = 0) -> int:
    return 6 + 12 * (len(values) + more) + sum((len(raw) + 1) & ~1 for _, _, raw in values.values() if len(raw) > 4)


def _directory(order: str, values: Values, at: int) -> bytes:
    head, tail = [pack(order + "H", len(values))], b""
    place = at + 6 + 12 * len(values)
    for tag, (kind, count, raw) in sorted(values.items()):
        if len(raw) <= 4:
            value = raw + bytes(4 - len(raw))
        else:
            value = pack(order + "I", place + len(tail))
            tail += raw + bytes(len(raw) & 1)
        head.append(pack(order + "HHI", tag, kind, count) + value)
    return b"".join(head) + bytes(4) + tail


def without_location(block: Buffer) -> tuple[bytes, int]:
    """Remove the GPS directory, the tags that place pixels on the earth, and place names of maker notes from a block.

    Nothing moves and the length stays, so that maker notes with offsets of their own stay readable.

    Returns:
        The block, and how many fields are gone.

    Raises:
        Broken: no TIFF structure.
    """
    layout = Layout(block)
    if not layout.images:
        raise Broken("no directory")
    out = editable(block)
    gone: list[Span] = []
    kept: list[Span] = [(0, layout.header)]
    fields = 0
    for directory in layout.walk():
        if directory.kind == "gps":
            continue
        drop = [entry for entry in directory.entries if entry.tag == GPS or entry.tag in GEO_TAGS]
        if drop:
            keep = [entry for entry in directory.entries if entry not in drop]
            kept.append(compact(layout, out, directory, keep))
        else:
            kept.append((directory.position, directory.end))
        for entry in directory.entries:
            if entry.start >= 0 and not entry.inline:
                (gone if entry in drop else kept).append(entry.span)
        fields += sum(entry.tag in GEO_TAGS for entry in drop)
        for child in directory.children.get(GPS, []):
            fields += max(len(child.entries), 1)
            gone += _covered(child)
        # A pointer to no directory counts as a field.
        fields += sum(entry.tag == GPS for entry in drop) if not directory.children.get(GPS) else 0
        kept += _pictures(layout, directory)
        for start, end in _thumbnails(layout, directory):
            fields += _clear_thumbnail(out, start, end)
        note = directory.find(MAKER_NOTE)
        for start, end in notes.places(block, *note.span, layout.order) if note is not None else ():
            zero(out, start, end)
            fields += 1
    wipe(out, gone, kept)
    return finished(out), fields


def _thumbnails(layout: Layout, directory: Directory) -> list[Span]:
    """Return the spans of JPEG thumbnails."""
    places, lengths = layout.integers(directory.find(0x0201)), layout.integers(directory.find(0x0202))
    return [(at, min(at + size, len(layout.data))) for at, size in zip(places, lengths, strict=False)]


def _clear_thumbnail(out: bytearray | Mapped, start: int, end: int) -> int:
    """Remove the location from the Exif and XMP of a thumbnail, in place; return the number of fields."""
    data, fields = bytes(out[start:end]), 0
    if not data.startswith(b"\xff\xd8\xff"):
        return 0
    for part in jpeg.read(Source(data)).parts:
        body = data[part.body : part.stop]
        new, count = body, 0
        if part.kind is Kind.EXIF:
            try:
                new, count = without_location(body)
            except Broken:
                new, count = bytes(len(body)), 1
        elif part.kind is Kind.XMP:
            packet, names = xmp.without_location(body)
            new, count = packet or bytes(len(body)), len(names) if packet else 1
        if count:
            out[start + part.body : start + part.stop] = new
            fields += count
    return fields


def _covered(directory: Directory) -> list[Span]:
    outer = [entry.span for entry in directory.entries if entry.start >= 0 and not entry.inline]
    return [(directory.position, directory.end), *outer]


def _pictures(layout: Layout, directory: Directory) -> list[Span]:
    """Return the spans of strips, tiles and a thumbnail, by the sizes that the directory states."""
    spans: list[Span] = []
    for starts, sizes in ((0x0111, 0x0117), (0x0144, 0x0145), (0x0201, 0x0202)):
        places, lengths = layout.integers(directory.find(starts)), layout.integers(directory.find(sizes))
        spans += [(place, min(place + size, len(layout.data))) for place, size in zip(places, lengths, strict=False)]
    return spans
