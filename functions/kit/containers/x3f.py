"""Sigma's X3F: sections that a directory at the end of the file names."""

from __future__ import annotations

from struct import unpack_from

from functions.kit.containers import jpeg
from functions.kit.containers.parts import Claims, Document, Kind, Part
from functions.kit.containers.source import Source, Span

MAX_SECTIONS = 256
HEADER, IMAGE_HEADER = 40, 28
# Behind the header: white balance, from version 2.3 on the scene, and numbers and values of adjustments.
EXTENSIONS = (((4, 0), 0), ((2, 3), 32 + 32 + 160), ((2, 1), 32 + 160), ((0, 0), 0))
# The section of the full picture, whose metadata are the file's: its version, type and format.
JPG_FROM_RAW = bytes.fromhex("53454369 00000200 02000000 12000000")


def read(source: Source) -> Document:
    """Read the header and the sections."""
    document, end = Document(source, "X3F", "image/x-sigma-x3f"), source.size
    claims = Claims(document, 0, end)
    header = source.read(0, HEADER).ljust(HEADER, b"\0")
    document.width, document.height = unpack_from("<II", header, 28)
    (at,) = unpack_from("<I", source.read(end - 4, end).rjust(4, b"\0"))
    minor, major = unpack_from("<HH", header, 4)
    extension = next(size for version, size in EXTENSIONS if (major, minor) >= version)
    first = min(HEADER + extension, end)
    claims.claim(Part(Kind.TAG, 0, first, "header", "", 0, first))
    table = source.read(at, min(at + 12, end))
    if table[:4] == b"SECd" and len(table) == 12:
        count = min(unpack_from("<I", table, 8)[0], MAX_SECTIONS, (end - 4 - at - 12) // 12)
        claims.claim(Part(Kind.STRUCTURE, at, end, "directory"))
        for place in range(at + 12, at + 12 + 12 * count, 12):
            start, length, kind = unpack_from("<II4s", source.read(place, place + 12).ljust(12, b"\0"))
            _section(document, claims, Span(start, min(start + length, end)), kind)
    else:
        document.broken = "no directory in it"
    document.parts = claims.finish()
    return document


def _section(document: Document, claims: Claims, span: Span, kind: bytes) -> None:
    label, source = kind.decode("latin-1"), document.source
    if kind in (b"IMAG", b"IMA2"):
        start = min(span.start + IMAGE_HEADER, span.end)
        if not source.startswith(b"\xff\xd8\xff", start):
            claims.claim(Part(Kind.PIXELS, *span, label, "", start, span.end))
            return
        document.previews.append(Span(start, span.end))
        if source.startswith(JPG_FROM_RAW, span.start) and not document.groups:
            claims.claim(Part(Kind.STRUCTURE, span.start, start, label))
            jpeg.within(document, claims, Span(start, span.end))
        else:
            claims.claim(Part(Kind.PREVIEW, *span, label, "PreviewImage", start, span.end))
    else:
        claims.claim(Part(Kind.TAG if kind == b"PROP" else Kind.UNKNOWN, *span, label, "", *span))
