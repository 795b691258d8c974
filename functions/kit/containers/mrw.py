"""Minolta's MRW: blocks before the picture, one of which (TTW) is a TIFF structure."""

from __future__ import annotations

from struct import unpack_from

from functions.kit.containers.parts import Document, Kind
from functions.kit.containers.source import Source

MAX_BLOCKS = 64
KINDS = {b"\0TTW": Kind.EXIF, b"\0PRD": Kind.STRUCTURE}


def read(source: Source) -> Document:
    """Read the blocks."""
    document, end, data = Document(source, "MRW", "image/x-minolta-mrw"), source.size, source.data
    order = "<" if data[1:4] == b"MRI" else ">"
    document.details["byte_order"] = order
    last = min(8 + unpack_from(order + "I", data, 4)[0], end) if end >= 8 else 0
    at = min(8, end)
    document.add(Kind.STRUCTURE, 0, at, "header")
    for _ in range(MAX_BLOCKS):
        if at + 8 > last:
            break
        name = data[at : at + 4]
        (length,) = unpack_from(order + "I", data, at + 4)
        start, stop = at + 8, min(at + 8 + length, last)
        if name == b"\0PRD" and start + 12 <= stop:
            document.height, document.width = unpack_from(order + "HH", data, start + 8)
        label = name.strip(b"\0").decode("latin-1")
        document.add(KINDS.get(name, Kind.UNKNOWN), at, stop, label, body=start, stop=stop)
        at = stop
    if at < end:
        document.add(Kind.PIXELS if at == last else Kind.GAP, at, end, "raw")
    return document
