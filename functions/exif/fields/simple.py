"""Headers of GIF, WebP and JPEG 2000 in ExifTool's GIF, RIFF and Jpeg2000 groups."""

from __future__ import annotations

from collections.abc import Iterable
from struct import unpack_from
from typing import Any

from functions.exif.blocks.values import shorten
from functions.exif.fields.tracks import duration
from functions.exif.scan.result import Scan

Row = tuple[str, object, object]
_VERSIONS = (
    "0 (bicubic reconstruction, normal loop)",
    "1 (bilinear reconstruction, simple loop)",
    "2 (bilinear reconstruction, no loop)",
    "3 (no reconstruction, no loop)",
)
_FLAGS = {1: "Animation", 2: "XMP", 3: "EXIF", 4: "Alpha", 5: "ICC Profile"}
_FILTERS = ("none", "Horizontal", "Vertical", "Gradient")
_COMPRESSIONS = (
    *("Uncompressed", "Modified Huffman", "Modified READ", "Modified Modified READ", "JBIG", "JPEG", "JPEG-LS"),
    *("JPEG 2000", "JBIG2"),
)
_METHODS = {1: "Enumerated", 2: "Restricted ICC", 3: "Any ICC", 4: "Vendor Color"}
_APPROXIMATIONS = ("Not Specified", "Accurate", "Exceptional Quality", "Reasonable Quality", "Poor Quality")
_SPACES = {
    0: "Bi-level",
    1: "YCbCr(1)",
    3: "YCbCr(2)",
    4: "YCbCr(3)",
    9: "PhotoYCC",
    11: "CMY",
    12: "CMYK",
    13: "YCCK",
    14: "CIELab",
    15: "Bi-level(2)",
    16: "sRGB",
    17: "Grayscale",
    18: "sYCC",
    19: "CIEJab",
    20: "e-sRGB",
    21: "ROMM-RGB",
    24: "e-sYCC",
}
HEAD = 4096


def add(scan: Scan, reader: str, head: bytes) -> None:
    """Add the rows of a file's first bytes.

    Args:
        scan: that they are added to.
        reader: of the container.
        head: the file's first `HEAD` bytes.
    """
    found = READERS.get(reader)
    if found is not None:
        group, rows = found
        for row in rows(scan, head):
            scan.row(group, *row)


def _named(names: tuple[str, ...], number: int) -> str:
    return names[number] if number < len(names) else f"Unknown ({number})"


def _gif(scan: Scan, head: bytes) -> Iterable[Row]:
    if len(head) < 13:
        return
    version, flags = head[3:6].decode("latin-1"), head[10]
    yield "GIFVersion", version, version
    yield "HasColorMap", flags >> 7, ("No", "Yes")[flags >> 7]
    yield "ColorResolutionDepth", (flags >> 4 & 7) + 1, (flags >> 4 & 7) + 1
    yield "BackgroundColor", head[11], head[11]
    if head[12]:
        ratio = shorten(f"{(head[12] + 15) / 64:.15g}")
        yield "PixelAspectRatio", ratio, ratio
    if "loops" in scan.details:
        yield "AnimationIterations", scan.details["loops"], scan.details["loops"] or "Infinite"
    if scan.frames > 1:
        yield "FrameCount", scan.frames, scan.frames
    if "transparent" in scan.details:
        yield "TransparentColor", scan.details["transparent"], scan.details["transparent"]
    if scan.details.get("duration"):
        seconds = int(scan.details["duration"]) / 100
        yield "Duration", shorten(f"{seconds:.15g}"), duration(seconds)


# The chunks of a WebP that have rows.
WEBP_CHUNKS = frozenset((b"VP8X", b"ALPH", b"VP8 ", b"VP8L", b"ANIM"))


def webp_chunk(scan: Scan, kind: bytes, body: bytes) -> None:
    """Add the rows of a chunk of a WebP."""
    for row in _webp(kind, body):
        scan.row("RIFF", *row)


def shown(scan: Scan, seconds: float) -> None:
    """Add the row of how long an animation takes."""
    scan.row("RIFF", "Duration", shorten(f"{seconds:.15g}"), duration(seconds))


def _webp(kind: bytes, body: bytes) -> Iterable[Row]:
    if kind == b"VP8X" and len(body) >= 10:
        flags = int.from_bytes(body[:4], "little")
        names = [_FLAGS.get(bit, f"[{bit}]") for bit in range(32) if flags >> bit & 1]
        yield "WebP_Flags", flags, ", ".join(names) or "(none)"
    elif kind == b"ALPH" and body:
        yield "AlphaPreprocessing", body[0] & 3, ("none", "Level Reduction")[body[0] & 1]
        yield "AlphaFiltering", body[0] & 3, _FILTERS[body[0] & 3]
        yield "AlphaCompression", body[0] & 3, ("none", "Lossless")[body[0] & 1]
    elif kind == b"VP8 " and len(body) >= 10:
        yield "VP8Version", body[0] >> 1 & 7, _named(_VERSIONS, body[0] >> 1 & 7)
        yield "HorizontalScale", body[7] >> 6, body[7] >> 6
        yield "VerticalScale", body[9] >> 6, body[9] >> 6
    elif kind == b"VP8L" and len(body) >= 5:
        yield "AlphaIsUsed", body[4] >> 4 & 1, ("No", "Yes")[body[4] >> 4 & 1]
    elif kind == b"ANIM" and len(body) >= 6:
        text = " ".join(map(str, body[:4]))
        yield "BackgroundColor", text, text
        yield "AnimationLoopCount", body[4], body[4] or "inf"


def _jp2(_scan: Scan, head: bytes) -> Iterable[Row]:
    at = head.find(b"ihdr")
    if at >= 0 and at + 18 <= len(head):
        height, width, components, bits, compression = unpack_from(">IIHBB", head, at + 4)
        yield "ImageHeight", height, height
        yield "ImageWidth", width, width
        yield "NumberOfComponents", components, components
        sign = "Signed" if bits & 0x80 else "Unsigned"
        yield "BitsPerComponent", bits, "Variable" if bits == 0xFF else f"{(bits & 0x7F) + 1} Bits, {sign}"
        yield "Compression", compression, _named(_COMPRESSIONS, compression)
    at = head.find(b"colr")
    if at >= 0 and at + 7 <= len(head):
        method, precedence, approximation = unpack_from(">3b", head, at + 4)
        yield "ColorSpecMethod", method, _METHODS.get(method, f"Unknown ({method})")
        yield "ColorSpecPrecedence", precedence, precedence
        shown = _named(_APPROXIMATIONS, approximation) if approximation >= 0 else f"Unknown ({approximation})"
        yield "ColorSpecApproximation", approximation, shown
        if method == 1 and at + 11 <= len(head):
            space = int.from_bytes(head[at + 7 : at + 11], "big")
            yield "ColorSpace", space, _SPACES.get(space, f"Unknown ({space})")
    yield from _resolution(head, b"resc", "Capture")
    yield from _resolution(head, b"resd", "Display")


_RESOLUTIONS = {
    -3: "km",
    -2: "100 m",
    -1: "10 m",
    0: "m",
    1: "10 cm",
    2: "cm",
    3: "mm",
    4: "0.1 mm",
    5: "0.01 mm",
    6: "um",
}


def _resolution(head: bytes, kind: bytes, name: str) -> Iterable[Row]:
    """Resolution of the capture or of a display: a fraction and a power of ten for each direction."""
    at = head.find(kind)
    if at < 0 or at + 14 > len(head):
        return
    numbers = unpack_from(">4H2b", head, at + 4)
    for index, axis in enumerate("YX"):
        top, bottom = numbers[2 * index : 2 * index + 2]
        value = shorten(f"{top / bottom:.7g}") if bottom else "undef"
        yield f"{name}{axis}Resolution", value, value
    for index, axis in enumerate("YX"):
        unit = numbers[4 + index]
        yield f"{name}{axis}ResolutionUnit", unit, _RESOLUTIONS.get(unit, f"Unknown ({unit})")


READERS: dict[str, tuple[str, Any]] = {
    "gif": ("GIF", _gif),
    "jp2": ("Jpeg2000", _jp2),
}
