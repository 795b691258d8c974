"""A PNG before it is decoded: the chunks that a decoder needs, and the header's depth."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from contextlib import suppress
from importlib import import_module
from types import ModuleType
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
_END = bytes(4) + b"\0\0\0\0IEND\xae\x42\x60\x82"  # a checksum that is not looked at, and the last chunk
_PIECE = 2**20  # bytes of rows that are inflated at once to count them
_LAST_FILTER = 4
_ADAM7 = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2))


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
    while at + 8 <= len(data):
        length, kind = int.from_bytes(data[at : at + 4], "big"), data[at + 4 : at + 8]
        end = at + 12 + length
        if kind in _PIXELS:
            pixels += 1
            _check_chunks(pixels, data)
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


def _check_chunks(pixels: int, data: bytes) -> None:
    most = MOST_CHUNKS + len(data) // PIXEL_BYTES
    if pixels > most:
        raise HeaderLimitError(f"it has more than {most:,} chunks of pixels")


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
    if found is None or found.interlaced or not 0 < found.width * found.height <= max_pixels:
        return data
    ((_, row),) = _passes(found)
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
    at, start, pixels = 8, 0, 0
    while at + 8 <= len(data):
        kind = data[at + 4 : at + 8]
        if kind == b"acTL":
            return None
        if kind == b"IDAT":
            start, pixels = start or at, pixels + 1
            _check_chunks(pixels, data)
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
    """How many rows the chunks of pixels hold; of an interlaced picture all or none. Decoders leave the others at zero.

    Raises:
        OSError: the data are broken, or are not whole in an interlaced picture.
    """
    found, span = header(data), _pixel_chunks(data)
    if found is None or span is None:
        return found.height if found else 0  # broken, or an animation: the decoder's to read
    passes = _passes(found)
    if not passes:
        return 0
    wanted, held = sum(rows * row for rows, row in passes), 0
    for piece in _unpacked(data, span):
        _check_filters(piece, held, passes)
        held += len(piece)
        if held > wanted:  # more rows than the picture has
            break
    if found.interlaced and held < wanted:
        raise OSError("its data end early, and it is interlaced")
    return found.height if found.interlaced else min(held // passes[0][1], found.height)


def mended(data: bytes) -> list[tuple[bytes, int, int]]:
    """Ranges of bytes that joined are a file without the chunks that follow the pixels, of which the last one is whole.

    libpng reads in blocks, and would drop the last rows with the block that is cut.
    """
    span = _pixel_chunks(data) or range(len(data), len(data))
    at = following = span.start
    while following + 8 <= span.stop:
        at, following = following, following + 12 + int.from_bytes(data[following : following + 4], "big")
    end = min(following - 4, len(data))
    length = struct.pack(">I", max(0, end - at - 8))
    return [(data, 0, at), (length, 0, 4), (data, at + 4, end), (_END, 0, len(_END))]


def palette_missing(data: bytes) -> bool:
    """Whether pixels are indices of a palette that the file does not have."""
    found = header(data)
    return found is not None and found.colour_type == 3 and data.find(b"PLTE", 8, max(8, data.find(b"IDAT"))) < 0


def _passes(found: Header) -> list[tuple[int, int]]:
    """The number of rows and the bytes of one, for the picture or for each pass of an interlaced one."""
    bits = _CHANNELS.get(found.colour_type, 0) * found.depth
    sizes = [(found.width, found.height)]
    if found.interlaced:
        sizes = [(-(-(found.width - x) // across), -(-(found.height - y) // down)) for x, y, across, down in _ADAM7]
    return [(rows, (columns * bits + 7) // 8 + 1) for columns, rows in sizes if columns > 0 and rows > 0]


def _unpacked(data: bytes, span: range) -> Iterator[bytes]:
    """The rows that chunks of pixels hold, in pieces.

    Raises:
        OSError: the stream or its checksum is broken.
    """
    packing: ModuleType = zlib
    with suppress(ImportError):  # not in the extra of every function that opens pictures
        packing = import_module("isal.isal_zlib")
    stream, at = packing.decompressobj(), span.start
    try:
        while at + 8 <= span.stop and not stream.eof:
            end = min(at + 8 + int.from_bytes(data[at : at + 4], "big"), span.stop)
            for first in range(at + 8, end, _PIECE):
                piece = stream.decompress(data[first : min(first + _PIECE, end)], _PIECE)
                yield piece
                while len(piece) == _PIECE:
                    piece = stream.decompress(stream.unconsumed_tail, _PIECE)
                    yield piece
            at = end + 4
    except packing.error as error:
        raise OSError(f"its data are broken: {error}") from None


def _check_filters(piece: bytes, at: int, passes: list[tuple[int, int]]) -> None:
    """Refuse rows with an unknown filter, at which decoders stop.

    Args:
        piece: bytes of the rows.
        at: position of the first one in all rows.
        passes: as `_passes` gives them.

    Raises:
        OSError: an unknown filter.
    """
    start = 0
    for rows, row in passes:
        end = start + rows * row
        first, last = max(at, start), min(at + len(piece), end)
        first += (start - first) % row
        if max(piece[first - at : max(first, last) - at : row], default=0) > _LAST_FILTER:
            raise OSError("its data are broken: a row has an unknown filter")
        start = end
