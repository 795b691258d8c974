"""WebP: the chunks of a RIFF container."""

from __future__ import annotations

from struct import unpack_from

from functions.exif import jpeg, trailer
from functions.exif.blocks import Scan

MAX_CHUNKS = 100_000


def scan(data: bytes) -> Scan:
    """Read a WebP's chunks."""
    result = Scan("WebP", "image/webp")
    end = min(8 + unpack_from("<I", data, 4)[0], len(data))
    position = _chunks(result, data, 12, end)
    frames = int(result.details.pop("animation_frames", 0))
    result.frames = max(frames, 1)
    # The size in the header may be odd where the last chunk's padding is not counted.
    trailer.after(result, data, max(position, end), jpeg.picture_end)
    return result


def _chunks(result: Scan, data: bytes, position: int, end: int, *, frame: bool = False) -> int:
    """Read the chunks from a position to an end; where they stop."""
    for _ in range(MAX_CHUNKS):
        if position + 8 > end:
            result.miss(
                "gap", "after the last chunk", position, 0 if not data[position:end].strip(b"\0") else end - position
            )
            return position
        kind, length = unpack_from("<4sI", data, position)
        start = position + 8
        if start + length > end:
            result.warn(f"the file ends inside chunk {kind.decode('latin-1')!r}")
            length = end - start
            result.miss("chunk", kind.decode("latin-1"), start, length)
        _chunk(result, data, kind, start, length, frame=frame)
        position = start + length + (length & 1)
    result.warn(f"more than {MAX_CHUNKS:,} chunks; the rest is ignored")
    result.miss("limit", "chunks", position, end - position)
    return position


def _chunk(result: Scan, data: bytes, kind: bytes, start: int, length: int, *, frame: bool) -> None:
    expected = length
    if kind == b"VP8X" and length >= 10:
        canvas = data[start + 4 : start + 10]
        result.width = int.from_bytes(canvas[:3], "little") + 1
        result.height = int.from_bytes(canvas[3:], "little") + 1
        result.details["flags"] = data[start]
        expected = 10
    elif kind in (b"VP8 ", b"VP8L"):
        if result.width is None:
            _bitstream(result, kind, data[start : start + 10])
    elif kind == b"ANMF" and not frame:
        result.details["animation_frames"] = int(result.details.get("animation_frames", 0)) + 1
        _chunks(result, data, start + 16, start + length, frame=True)
    elif kind == b"ANIM":
        expected = 6
    elif kind == b"EXIF":
        skipped = 6 if data[start : start + 6].lower() == b"exif\0\0" else 0
        result.add("exif", start + skipped, data[start + skipped : start + length], "EXIF")
    elif kind in (b"XMP ", b"XMP\0"):
        result.add("xmp", start, data[start : start + length], "XMP")
    elif kind == b"ICCP":
        result.add("icc", start, data[start : start + length], "ICCP")
    elif kind == b"C2PA":
        result.add("jumbf", start, data[start : start + length], "C2PA")
    elif kind != b"ALPH":
        expected = 0
    if length > expected:
        result.miss("chunk", kind.decode("latin-1"), start + expected, length - expected)


def _bitstream(result: Scan, kind: bytes, head: bytes) -> None:
    """Width and height out of a VP8 key frame's header (RFC 6386, 9.1) or a lossless one's (14 bits each)."""
    if kind == b"VP8 " and len(head) == 10 and head[3:6] == b"\x9d\x01\x2a":
        width, height = unpack_from("<HH", head, 6)
        result.width, result.height = width & 0x3FFF, height & 0x3FFF
    elif kind == b"VP8L" and len(head) >= 5 and head[0] == 0x2F:
        (bits,) = unpack_from("<I", head, 1)
        result.width, result.height = (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
