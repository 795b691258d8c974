"""Canon's CRW: heaps of records, one in another, each with its directory at the end (CIFF 1.0)."""

from __future__ import annotations

from struct import unpack_from

from functions.kit.containers import packets
from functions.kit.containers.parts import Claims, Document, Kind, Part
from functions.kit.containers.source import Source, Span

MAX_RECORDS = 20_000
MAX_DEPTH = 8
HEADER = 26
OPTIONAL, MAX_OPTIONAL = b"CANON OPTIONAL DATA\0", 2**20
RAW, JPG_FROM_RAW, THUMBNAIL, IMAGE, DESCRIPTION = 0x2005, 0x2007, 0x2008, 0x1810, 0x2804
KINDS = {RAW: Kind.PIXELS, JPG_FROM_RAW: Kind.PREVIEW, THUMBNAIL: Kind.THUMBNAIL}
NAMES = {JPG_FROM_RAW: "JpgFromRaw", THUMBNAIL: "ThumbnailImage"}


def read(source: Source) -> Document:
    """Read the records of all heaps."""
    document, end = Document(source, "CRW", "image/x-canon-crw"), source.size
    order = ">" if source.startswith(b"MM", 0) else "<"
    document.details["byte_order"] = order
    (first,) = unpack_from(order + "I", source.read(2, 6).ljust(4, b"\0"))
    claims = Claims(document, 0, end)
    claims.claim(Part(Kind.STRUCTURE, 0, min(max(first, 14), HEADER, end), "header"))
    heaps, left = [(Span(first, end), 0, 0)], MAX_RECORDS
    while heaps:
        heap, name, depth = heaps.pop()
        inner, left = _heap(document, claims, order, heap, left, "description" if name == DESCRIPTION else "")
        heaps += [(one, number, depth + 1) for number, one in inner if depth < MAX_DEPTH]
    # What no heap names may hold a packet, as ExifTool and others write it.
    tail = max(end - MAX_OPTIONAL, 0)
    optional = source.data.find(OPTIONAL, tail) if source.has(tail, end) else -1
    for packet in packets.find(source, optional, end) if optional >= 0 else ():
        claims.claim(Part(Kind.XMP, *packet, "optional data", "", *packet))
    document.parts = claims.finish()
    if document.width is None:
        document.broken = "no picture in it"
    return document


def _heap(
    document: Document, claims: Claims, order: str, heap: Span, left: int, name: str
) -> tuple[list[tuple[int, Span]], int]:
    """Claim the directory of a heap and its records, named as it; the heaps in it, and how many may come."""
    source = document.source
    tail = source.read(heap.end - 4, heap.end) if heap.end - heap.start >= 6 else b""
    at = heap.start + unpack_from(order + "I", tail)[0] if len(tail) == 4 else heap.end
    if at + 2 > heap.end:
        return [], left
    count = unpack_from(order + "H", source.read(at, at + 2).ljust(2, b"\0"))[0]
    count = min(count, (heap.end - at - 2) // 10, left)
    if not claims.claim(Part(Kind.STRUCTURE, at, at + 2, "directory")):
        return [], left
    heaps: list[tuple[int, Span]] = []
    for place in range(at + 2, at + 2 + 10 * count, 10):
        tag, size, offset = unpack_from(order + "HII", source.read(place, place + 10).ljust(10, b"\0"))
        number = tag & 0x3FFF
        label = f"record {number:#06x}"
        # The entry holds either the value of eight bytes or its place.
        inside = tag & 0xC000 == 0x4000
        body = place + 2 if inside else place + 10
        kind = Kind.TAG if inside else Kind.STRUCTURE
        claims.claim(Part(kind, place, place + 10, label, "entry" if inside else "", body, place + 10, key=number))
        start, stop = heap.start + offset, heap.start + offset + size
        if inside or stop > heap.end or not size:
            continue
        if number >> 8 in (0x28, 0x30):
            heaps.append((number, Span(start, stop)))
            continue
        if number == IMAGE and size >= 8:
            document.width, document.height = unpack_from(order + "II", source.read(start, start + 8).ljust(8, b"\0"))
        if number == JPG_FROM_RAW:
            document.previews.append(Span(start, stop))
        own = NAMES.get(number, name)
        claims.claim(Part(KINDS.get(number, Kind.TAG), start, stop, label, own, start, stop, key=number))
    claims.claim(Part(Kind.STRUCTURE, heap.end - 4, heap.end, "directory"))
    return heaps, left - count
