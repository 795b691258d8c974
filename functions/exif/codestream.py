"""The size of a picture out of a JPEG 2000 or JPEG XL codestream's header."""

from __future__ import annotations

from struct import unpack_from

from functions.exif.blocks import Scan

# Width over height, by JPEG XL's three-bit ratio (ISO/IEC 18181-1, SizeHeader); 0 means that a width follows.
RATIOS = {1: (1, 1), 2: (12, 10), 3: (4, 3), 4: (3, 2), 5: (16, 9), 6: (5, 4), 7: (2, 1)}


MAX_MARKERS = 4096
_SIZE, _COMMENT, _TILE = 0xFF51, 0xFF64, 0xFF90


def jp2(result: Scan, data: bytes, start: int, end: int) -> None:
    """JPEG 2000: SOC, then the main header's segments up to the first tile, SIZ and comments among them."""
    if data[start : start + 4] != b"\xff\x4f\xff\x51":
        result.miss("codestream", "jp2c", start, end - start)
        return
    at = start + 2
    for _ in range(MAX_MARKERS):
        if at + 4 > end:
            return
        marker, length = unpack_from(">HH", data, at)
        if marker == _TILE or marker < 0xFF00:
            return
        body, stop = at + 4, at + 2 + length
        if marker == _SIZE and length >= 38 and result.width is None:
            width, height, left, top = unpack_from(">IIII", data, at + 6)
            if width >= left and height >= top:
                result.width, result.height = width - left, height - top
        elif marker == _COMMENT and length >= 4:
            if data[body + 1] == 1:
                result.add("comment", body + 2, data[body + 2 : stop], "codestream")
            else:
                result.miss("segment", "codestream comment", body, length - 2)
        at = max(stop, at + 4)
    result.miss("limit", "codestream", at, end - at)


def jxl(result: Scan, head: bytes) -> None:
    """JPEG XL: FF 0A, then SizeHeader, least significant bit first."""
    if head[:2] != b"\xff\x0a" or len(head) < 12:
        return
    bits = int.from_bytes(head[2:16], "little")

    def take(count: int) -> int:
        nonlocal bits
        value = bits & ((1 << count) - 1)
        bits >>= count
        return value

    def size(small: int) -> int:
        return (take(5) + 1) * 8 if small else take((9, 13, 18, 30)[take(2)]) + 1

    small = take(1)
    height = size(small)
    ratio = take(3)
    if ratio:
        top, bottom = RATIOS[ratio]
        width = height * top // bottom
    else:
        width = size(small)
    result.width, result.height = width, height


def jxl_scan(data: bytes) -> Scan:
    """A bare JPEG XL codestream, which has no room for metadata."""
    result = Scan("JXL", "image/jxl")
    jxl(result, data[:64])
    return result


def jp2_scan(data: bytes) -> Scan:
    """A bare JPEG 2000 codestream."""
    result = Scan("J2C", "image/j2c")
    jp2(result, data, 0, len(data))
    return result
