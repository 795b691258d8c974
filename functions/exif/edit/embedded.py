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
from functions.kit.containers.source import Mapped, blank, zero

# JPEG 2000, JPEG XL and PNG: their chunks have checksums, their boxes meaning for one another.
FILES = (b"\0\0\0\x0cjP  ", b"\0\0\0\x0cJXL ", b"\x89PNG\r\n")
STAYS = frozenset((Kind.STRUCTURE, Kind.PIXELS, Kind.JFIF, Kind.ADOBE, Kind.PADDING, Kind.ESSENTIAL))
REPORTED = {Kind.EXIF: "exif", Kind.XMP: "xmp", Kind.COMMENT: "comment", Kind.ICC: "icc", Kind.PHOTOSHOP: "photoshop"}


def clear(out: bytearray | Mapped, span: Span, edit: Edit) -> None:
    """Overwrite the metadata of the compressed stream in a span of a file.

    Raises:
        Broken: a container whose metadata and picture cannot be separated.
    """
    where = f"strip at byte {span[0]:,}"
    first = bytes(out[span[0] : min(span[0] + 12, span[1])])
    if first.startswith(FILES):
        raise Broken(f"the {where} holds a whole file, whose metadata cannot be overwritten in place")
    found = _document(out, span, first)
    if found is None:
        return
    document, base, head = found
    for part in document.parts:
        if part.kind in STAYS:
            continue
        # Marker and length of a segment, or type and length of a chunk, stay.
        start = base + (part.start + head if part.body >= 0 else part.start)
        stop = base + (part.stop if part.stop >= 0 else part.end)
        if not blank(out, start, stop):
            edit.gone(REPORTED.get(part.kind, "app"), where, stop - start, f"{part.label or part.kind} inside a strip")
            zero(out, start, stop)


def _document(out: bytearray | Mapped, span: Span, first: bytes) -> tuple[Document, int, int] | None:
    """The stream as parts, where their places count from, and the length of what precedes a part's own bytes."""
    if first[:4] == b"RIFF" and first[8:12] == b"WEBP":
        return webps.read(Source(bytes(out[span[0] : span[1]]))), span[0], 8
    if first.startswith(jp2s.CODESTREAM):
        return jp2s.read(Source(bytes(out[span[0] : span[1]]))), span[0], 4
    # Readers pass over junk before the first marker.
    start = max(out.find(b"\xff\xd8\xff", *span), span[0])
    if out[start : start + 2] != b"\xff\xd8":
        return None
    if isinstance(out, Mapped):
        return jpegs.read(Source(out), start, span[1]), 0, 4
    return jpegs.read(Source(bytes(out[start : span[1]]))), start, 4
