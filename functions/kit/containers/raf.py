"""Fujifilm's RAF: a header that points to a whole JPEG, a table of fields, and the sensor's data."""

from __future__ import annotations

from struct import unpack_from

from functions.kit.containers import jpeg
from functions.kit.containers.parts import Claims, Document, Kind, Part
from functions.kit.containers.source import Source, Span

MAX_FIELDS = 256
SIZE = 0x0100


def read(source: Source) -> Document:
    """Read the header, the JPEG whose metadata are the file's, and the table that states the raw picture's size."""
    document, end = Document(source, "RAF", "image/x-fuji-raf"), source.size
    claims = Claims(document, 0, end)
    if end < 108:
        document.warn("the file ends inside its header")
        document.broken = "it ends before its picture"
        document.parts = claims.finish()
        return document
    offset, length, table, table_length, raw, raw_length = unpack_from(">IIIIII", source.data, 84)
    claims.claim(Part(Kind.STRUCTURE, 0, min(108, offset or 108, end), "header"))
    if 108 <= offset < end - 4:
        stop = min(offset + length, end)
        document.previews.append(Span(offset, stop))
        inner = jpeg.within(document, claims, Span(offset, stop))
        document.width, document.height = inner.width, inner.height
    claims.claim(Part(Kind.STRUCTURE, table, min(table + table_length, end), "table"))
    _size(document, table, min(table + table_length, end))
    claims.claim(Part(Kind.PIXELS, raw, min(raw + raw_length, end), "raw"))
    document.parts = claims.finish()
    return document


def _size(document: Document, start: int, end: int) -> None:
    """Records of tag, length and bytes."""
    data, source = document.source.data, document.source
    if start + 4 > end or not source.held(start, end):
        return
    (count,) = unpack_from(">I", data, start)
    at = start + 4
    for _ in range(min(count, MAX_FIELDS)):
        if at + 4 > end:
            return
        tag, length = unpack_from(">HH", data, at)
        if tag == SIZE and length >= 4 and at + 8 <= end:
            document.height, document.width = unpack_from(">HH", data, at + 4)
        at += 4 + length
