"""The header of a BMP in ExifTool's File group."""

from __future__ import annotations

from collections.abc import Iterable
from struct import unpack_from
from typing import Any

from functions.exif.blocks.values import binary, shorten
from functions.exif.scan.result import Scan

Row = tuple[str, object, object]
_VERSIONS = {
    12: "OS/2 V1",
    40: "Windows V3",
    64: "OS/2 V2",
    68: "AVI BMP structure?",
    108: "Windows V4",
    124: "Windows V5",
}
_COMPRESSIONS = ("None", "8-Bit RLE", "4-Bit RLE", "Bitfields", "JPEG", "PNG")
_SPACES = {
    0: "Calibrated RGB",
    1: "Device RGB",
    2: "Device CMYK",
    "LINK": "Linked Color Profile",
    "MBED": "Embedded Color Profile",
    "sRGB": "sRGB",
    "Win ": "Windows Color Space",
}
_INTENTS = {
    1: "Graphic (LCS_GM_BUSINESS)",
    2: "Proof (LCS_GM_GRAPHICS)",
    4: "Picture (LCS_GM_IMAGES)",
    8: "Absolute Colorimetric (LCS_GM_ABS_COLORIMETRIC)",
}
_MASKS = ("RedMask", "GreenMask", "BlueMask", "AlphaMask")
# Where the header of the picture begins.
START = 14


def add(scan: Scan, head: bytes) -> None:
    """Add the rows of a file's first bytes."""
    for row in _rows(head):
        scan.row("File", *row)


def _rows(head: bytes) -> Iterable[Row]:
    if len(head) < 26:
        return
    (size,) = unpack_from("<I", head, START)
    yield "BMPVersion", size, _VERSIONS.get(size, f"Unknown ({size})")
    at = 22 if size == 12 else 26
    if len(head) < at + 4:
        return
    planes, depth = unpack_from("<HH", head, at)
    yield "Planes", planes, planes
    yield "BitDepth", depth, depth
    if size < 40 or len(head) < 54:
        return
    compression, length, x, y, colours, important = unpack_from("<6I", head, 30)
    shown = _COMPRESSIONS[compression] if compression < len(_COMPRESSIONS) else compression
    yield "Compression", compression, shown
    yield "ImageLength", length, length
    yield "PixelsPerMeterX", x, x
    yield "PixelsPerMeterY", y, y
    yield "NumColors", colours, colours or "Use BitDepth"
    yield "NumImportantColors", important, important or "All"
    end = START + size if size != 68 else 0
    for index, name in enumerate(_MASKS):
        if 58 + 4 * index <= min(end, len(head)):
            (mask,) = unpack_from("<I", head, 54 + 4 * index)
            yield name, mask, f"0x{mask:08x}"
    if min(end, len(head)) >= 122:
        yield from _colours(head, min(end, len(head)))


def _colours(head: bytes, end: int) -> Iterable[Row]:
    """Colour space, endpoints, gamma and intent of the later versions."""
    space = head[70:74]
    value: Any = int.from_bytes(space, "little") if b"\0" in space else space[::-1].decode("latin-1")
    yield "ColorSpace", value, _SPACES.get(value, f"Unknown ({value})")
    if value == 0:
        for index, name in enumerate(("RedEndpoint", "GreenEndpoint", "BlueEndpoint")):
            parts = [part / 2**30 for part in unpack_from("<3I", head, 74 + 12 * index)]
            yield name, " ".join(f"{part:.15g}" for part in parts), " ".join(f"{part:.6f}" for part in parts)
        for index, name in enumerate(("GammaRed", "GammaGreen", "GammaBlue")):
            gamma = shorten(f"{round(unpack_from('<I', head, 110 + 4 * index)[0] / 65536, 5):.15g}")
            yield name, gamma, gamma
    if end < 138:
        return
    intent, offset, size = unpack_from("<3I", head, 122)
    yield "RenderingIntent", intent, _INTENTS.get(intent, f"Unknown ({intent})")
    if value in ("LINK", "MBED"):
        yield "ProfileDataOffset", offset, offset
        yield "ProfileSize", size, size
        if value == "MBED":
            yield "EmbeddedColorProfile", binary(size), binary(size)
