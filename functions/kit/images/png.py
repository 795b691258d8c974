"""A PNG before it is decoded: the chunks that a decoder needs, and the header's depth."""

from __future__ import annotations

import struct
import zlib
from typing import NamedTuple

from functions.kit.images.metering import HeaderLimitError

SIGNATURE = b"\x89PNG\r\n\x1a\n"
MOST_CHUNKS = 4096  # of others than pixels
PIXEL_BYTES = 1024  # average size of a chunk of pixels below which a file is refused
_PIXELS = {b"IDAT", b"fdAT"}
# All that pixels and their meaning depend on; a profile is read where it is needed.
_NEEDED = {b"IHDR", b"PLTE", b"tRNS", b"IEND", b"acTL", b"fcTL", b"gAMA", b"cHRM", b"sRGB", b"sBIT"}
_LARGEST = 1024  # bytes of such a chunk; a palette has 768
_LARGE_TEXT = 4096
_CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
INFLATED = 16 * 2**20  # bytes of rows up to which they are inflated at once
_STORED = 65_535  # bytes of a deflate block without compression


class Header(NamedTuple):
    """What IHDR states."""

    width: int
    height: int
    depth: int
    colour_type: int
    interlaced: bool


def header(data: bytes) -> Header | None:
    """The first chunk; None where it is not IHDR."""
    if data[12:16] != b"IHDR" or len(data) < 29:
        return None
    width, height, depth, colour_type, _, _, interlace = struct.unpack_from(">IIBBBBB", data, 16)
    return Header(width, height, depth, colour_type, interlace != 0)


def lean(data: bytes) -> bytes:
    """The file without text, profile and private chunks where it has large or packed ones; else the file itself.

    A decoder inflates text and profiles before the pixels and refuses the picture where they are too large.

    Raises:
        HeaderLimitError: too many chunks.
    """
    at, kept_from, pixels, others, large = 8, 0, 0, 0, False
    kept = []
    most_pixels = MOST_CHUNKS + len(data) // PIXEL_BYTES
    while at + 8 <= len(data):
        length, kind = int.from_bytes(data[at : at + 4], "big"), data[at + 4 : at + 8]
        end = at + 12 + length
        if kind in _PIXELS:
            pixels += 1
            if pixels > most_pixels:
                raise HeaderLimitError(f"it has more than {most_pixels:,} chunks of pixels")
        else:
            others += 1
            if others > MOST_CHUNKS:
                raise HeaderLimitError(f"it has more than {MOST_CHUNKS:,} chunks beside its pixels")
            if kind not in _NEEDED or length > _LARGEST:
                large = large or length > _LARGE_TEXT or kind in {b"zTXt", b"iTXt", b"iCCP"}
                kept.append(data[kept_from:at])
                kept_from = end
        if kind == b"IEND":
            break
        at = end
    return b"".join((*kept, data[kept_from:])) if large else data


def inflated(data: bytes, max_pixels: int) -> bytes:
    """The file with its rows in deflate blocks without compression, where they are few, whole and not interlaced.

    Pillow inflates row by row, in the slow loop of its library at the end of each; ISA-L inflates them at once, in a
    third of the time. Every other file is returned as it is: what is wrong with it is the decoder's to say.
    """
    try:
        from isal import isal_zlib
    except ImportError:  # not in the extra of every function that opens pictures
        return data
    found = header(data)
    if found is None or found.interlaced or found.width * found.height > max_pixels:
        return data
    row = (found.width * _CHANNELS.get(found.colour_type, 0) * found.depth + 7) // 8 + 1
    size = row * found.height
    span = _pixel_chunks(data)
    if span is None or not 1 < size <= INFLATED or span.stop - span.start > 2 * size:
        return data
    rows = _inflate(data, span, size)
    if rows is None:
        return data
    view = memoryview(rows)
    blocks: list[bytes | memoryview] = [b"\x78\x01"]
    for at in range(0, size, _STORED):
        block = view[at : at + _STORED]
        blocks += [struct.pack("<BHH", at + _STORED >= size, len(block), len(block) ^ 0xFFFF), block]
    blocks.append(isal_zlib.adler32(rows).to_bytes(4, "big"))
    check = isal_zlib.crc32(b"IDAT")
    for part in blocks:
        check = isal_zlib.crc32(part, check)
    length = struct.pack(">I4s", sum(map(len, blocks)), b"IDAT")
    return b"".join((data[: span.start], length, *blocks, struct.pack(">I", check), data[span.stop :]))


def _pixel_chunks(data: bytes) -> range | None:
    """The first chunks of pixels, as a range of bytes; None in an animation."""
    at, start = 8, 0
    while at + 8 <= len(data):
        kind = data[at + 4 : at + 8]
        if kind == b"acTL":
            return None
        if kind == b"IDAT":
            start = start or at
        elif start:
            break
        at += 12 + int.from_bytes(data[at : at + 4], "big")
    return range(start, min(at, len(data))) if start else None


def _inflate(data: bytes, span: range, size: int) -> bytes | None:
    """What the chunks of pixels hold; None unless it is a whole stream of that size."""
    from isal import isal_zlib

    pieces, at = [], span.start
    while at + 8 <= span.stop:
        end = at + 8 + int.from_bytes(data[at : at + 4], "big")
        pieces.append(data[at + 8 : end])
        at = end + 4
    stream = isal_zlib.decompressobj()
    try:
        rows: bytes = stream.decompress(b"".join(pieces), size + 1)
    except isal_zlib.error:  # type: ignore[misc] # its stub has no base
        return None
    return rows if stream.eof and len(rows) == size else None


def whole(data: bytes) -> bool:
    """Whether the chunks run to IEND inside the file; their number is that of `lean`, which bounds it."""
    at = 8
    while at + 12 <= len(data):
        end = at + 12 + int.from_bytes(data[at : at + 4], "big")
        if data[at + 4 : at + 8] == b"IEND":
            return end <= len(data)
        at = end
    return False


def rows_held(data: bytes) -> int:
    """How many rows the chunks of pixels hold, whatever else the file has: decoders leave the others at zero.

    Those of the header where the picture is interlaced or its data are broken, which decoders do say.
    """
    found = header(data)
    span = _pixel_chunks(data)
    if found is None or found.interlaced or span is None:
        return found.height if found else 0
    row = (found.width * _CHANNELS.get(found.colour_type, 0) * found.depth + 7) // 8 + 1
    size, stream, at = 0, zlib.decompressobj(), span.start
    try:
        while at + 8 <= span.stop and size < row * found.height:
            end = at + 8 + int.from_bytes(data[at : at + 4], "big")
            piece = data[at + 8 : end]
            while piece:
                size += len(stream.decompress(piece, INFLATED))
                piece = stream.unconsumed_tail if size < row * found.height else b""
            at = end + 4
    except zlib.error:
        return found.height
    return min(size // row, found.height)
