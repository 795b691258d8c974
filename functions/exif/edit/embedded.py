"""Metadata inside the compressed strips and tiles of a TIFF, overwritten where they stand: no offset may change.

A JPEG in a strip may have segments of applications and comments, a WebP chunks beside its picture. No reader of a
TIFF shows them, so all of them become zero, whatever is kept elsewhere.
"""

from __future__ import annotations

from functions.exif.edit.blocks.layout import Span
from functions.exif.edit.decide import Edit
from functions.exif.edit.errors import Broken
from functions.kit.containers import Document, Kind, Source
from functions.kit.containers import jp2 as jp2s
from functions.kit.containers import jpeg as jpegs
from functions.kit.containers import webp as webps

BOXES = (b"\0\0\0\x0cjP  ", b"\0\0\0\x0cJXL ")
STAYS = frozenset((Kind.STRUCTURE, Kind.PIXELS, Kind.JFIF, Kind.ADOBE, Kind.PADDING, Kind.ESSENTIAL))
REPORTED = {Kind.EXIF: "exif", Kind.XMP: "xmp", Kind.COMMENT: "comment", Kind.ICC: "icc", Kind.PHOTOSHOP: "photoshop"}


def clear(out: bytearray, span: Span, edit: Edit) -> None:
    """Overwrite the metadata of the compressed stream in a span of a file.

    Raises:
        Broken: a container whose metadata cannot be told from its picture.
    """
    data = bytes(out[span[0] : span[1]])
    where = f"strip at byte {span[0]:,}"
    if data.startswith(BOXES):
        raise Broken(f"the {where} holds a file of boxes, whose metadata cannot be overwritten in place")
    # Readers pass over junk before the first marker.
    skipped = max(data.find(b"\xff\xd8\xff"), 0) if data[:4] not in (b"RIFF", b"\xff\x4f\xff\x51") else 0
    start_of_stream = span[0] + skipped
    data = data[skipped:]
    document, head = _document(data)
    for part in document.parts if document is not None else ():
        if part.kind in STAYS:
            continue
        # Marker and length of a segment, or type and length of a chunk, stay.
        start = part.start + head if part.body >= 0 else part.start
        stop = part.stop if part.stop >= 0 else part.end
        if data[start:stop].strip(b"\0"):
            edit.gone(REPORTED.get(part.kind, "app"), where, stop - start, f"{part.label or part.kind} inside a strip")
            out[start_of_stream + start : start_of_stream + stop] = bytes(stop - start)


def _document(data: bytes) -> tuple[Document | None, int]:
    """The stream as parts, and the length of what stands in front of a part's own bytes."""
    if data.startswith(b"\xff\xd8"):
        return jpegs.read(Source(data)), 4
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return webps.read(Source(data)), 8
    if data.startswith(jp2s.CODESTREAM):
        return jp2s.read(Source(data)), 4
    return None, 0
