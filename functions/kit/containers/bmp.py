"""BMP: its headers, its pixels, and the profile that a V5 header points to."""

from __future__ import annotations

from struct import unpack_from

from functions.kit.containers.parts import Claims, Document, Kind, Part
from functions.kit.containers.source import Source


def read(source: Source) -> Document:
    """Read a BMP's headers."""
    document, end = Document(source, "BMP", "image/bmp"), source.size
    claims = Claims(document, 0, end)
    data = source.data
    if end < 26:
        document.warn("the file ends inside its header")
        document.broken = "it ends before its picture"
    else:
        offset, size = unpack_from("<II", data, 10)
        _header(document, size)
        claims.claim(Part(Kind.STRUCTURE, 0, min(14 + size, end), "header"))
        if size >= 124 and end >= 138 and data[70:74] in (b"DEBM", b"KNIL"):
            start, length = unpack_from("<II", data, 126)
            start += 14
            if length and start + length <= end:
                kind = Kind.ICC if data[70:74] == b"DEBM" else Kind.APP  # embedded, or the path of a file
                claims.claim(Part(kind, start, start + length, "V5 header", "", start, start + length))
        claims.claim(Part(Kind.STRUCTURE, min(14 + size, end), min(offset, end), "colours"))
        stated = unpack_from("<I", data, 2)[0]
        stop = end if stated <= offset or stated > end else stated
        claims.claim(Part(Kind.PIXELS, offset, stop, "pixels"))
        claims.claim(Part(Kind.TRAILER, stop, end, "after the picture"))
    document.parts = claims.finish()
    return document


def _header(document: Document, size: int) -> None:
    data, end = document.source.data, document.source.size
    if size == 12:
        document.width, document.height, _, bits = unpack_from("<HHHH", data, 18)
    elif end >= 30:
        width, height, _, bits = unpack_from("<iiHH", data, 18)
        document.width, document.height = abs(width), abs(height)
        if size >= 40 and end >= 46:
            x, y = unpack_from("<ii", data, 38)
            document.details.update(pixels_per_unit_x=x, pixels_per_unit_y=y, pixel_units=1)
    else:
        return
    document.details["bits_per_sample"] = bits
