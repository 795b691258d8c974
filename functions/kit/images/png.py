"""A PNG before it is decoded: the chunks that a decoder needs, and the header's depth."""

from __future__ import annotations

import struct
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


def whole(data: bytes) -> bool:
    """Whether the chunks run to IEND inside the file; their number is that of `lean`, which bounds it."""
    at = 8
    while at + 12 <= len(data):
        end = at + 12 + int.from_bytes(data[at : at + 4], "big")
        if data[at + 4 : at + 8] == b"IEND":
            return end <= len(data)
        at = end
    return False
