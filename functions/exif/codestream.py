"""The size of a picture out of a JPEG 2000 or JPEG XL codestream's header."""

from __future__ import annotations

from struct import unpack_from

from functions.exif.blocks import Scan

# Width over height, by JPEG XL's three-bit ratio (ISO/IEC 18181-1, SizeHeader); 0 means that a width follows.
RATIOS = {1: (1, 1), 2: (12, 10), 3: (4, 3), 4: (3, 2), 5: (16, 9), 6: (5, 4), 7: (2, 1)}


def jp2(result: Scan, head: bytes) -> None:
    """JPEG 2000: SOC, then SIZ with the reference grid and the picture's offset on it."""
    if len(head) >= 24 and head[:4] == b"\xff\x4f\xff\x51":
        width, height, left, top = unpack_from(">IIII", head, 8)
        if width >= left and height >= top:
            result.width, result.height = width - left, height - top


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
    jp2(result, data[:64])
    return result
