"""WebP: the chunks of a RIFF container."""

from __future__ import annotations

from struct import unpack_from

from functions.exif.blocks import Scan

MAX_CHUNKS = 100_000


def scan(data: bytes) -> Scan:
    """Read a WebP's chunks."""
    result = Scan("WebP", "image/webp")
    position, end, frames = 12, len(data), 0
    for _ in range(MAX_CHUNKS):
        if position + 8 > end:
            break
        kind, length = unpack_from("<4sI", data, position)
        start = position + 8
        if start + length > end:
            result.warn(f"the file ends inside chunk {kind.decode('latin-1')!r}")
            length = end - start
        if kind == b"VP8X" and length >= 10:
            canvas = data[start + 4 : start + 10]
            result.width = int.from_bytes(canvas[:3], "little") + 1
            result.height = int.from_bytes(canvas[3:], "little") + 1
            result.details["flags"] = data[start]
        elif kind in (b"VP8 ", b"VP8L") and result.width is None:
            _bitstream(result, kind, data[start : start + 10])
        elif kind == b"ANMF":
            frames += 1
        elif kind == b"EXIF":
            skipped = 6 if data[start : start + 6] == b"Exif\0\0" else 0
            result.add("exif", start + skipped, data[start + skipped : start + length], "EXIF")
        elif kind in (b"XMP ", b"XMP\0"):
            result.add("xmp", start, data[start : start + length], "XMP")
        elif kind == b"ICCP":
            result.add("icc", start, data[start : start + length], "ICCP")
        position = start + length + (length & 1)
    result.frames = max(frames, 1)
    return result


def _bitstream(result: Scan, kind: bytes, head: bytes) -> None:
    """Width and height out of a VP8 key frame's header (RFC 6386, 9.1) or a lossless one's (14 bits each)."""
    if kind == b"VP8 " and len(head) == 10 and head[3:6] == b"\x9d\x01\x2a":
        width, height = unpack_from("<HH", head, 6)
        result.width, result.height = width & 0x3FFF, height & 0x3FFF
    elif kind == b"VP8L" and len(head) >= 5 and head[0] == 0x2F:
        (bits,) = unpack_from("<I", head, 1)
        result.width, result.height = (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
