"""Boxes of HEIC, HEIF and AVIF as ExifTool's QuickTime and Meta groups show them: brands, codecs, properties, data."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from functions.exif.blocks.values import binary
from functions.exif.scan.result import Scan

Labels = dict[int, str]
BRANDS = {
    "heic": "High Efficiency Image Format HEVC still image (.HEIC)",
    "hevc": "High Efficiency Image Format HEVC sequence (.HEICS)",
    "mif1": "High Efficiency Image Format still image (.HEIF)",
    "msf1": "High Efficiency Image Format sequence (.HEIFS)",
    "heix": "High Efficiency Image Format still image (.HEIF)",
    "avif": "AV1 Image File Format (.AVIF)",
    "avis": "AV1 Image Sequence (.AVIF)",
    "crx ": "Canon Raw (.CRX)",
    "jp2 ": "JPEG 2000 Image (.JP2)",
    "jpx ": "JPEG 2000 with extensions (.JPX)",
    "jpm ": "JPEG 2000 Compound Image (.JPM)",
    "jxl ": "JPEG XL Image (.JXL)",
}
_PROFILES = {
    0: "No Profile",
    1: "Main",
    2: "Main 10",
    3: "Main Still Picture",
    4: "Format Range Extensions",
    5: "High Throughput",
    6: "Multiview Main",
    7: "Scalable Main",
    8: "3D Main",
    9: "Screen Content Coding Extensions",
    10: "Scalable Format Range Extensions",
    11: "High Throughput Screen Content Coding Extensions",
}
_NO_YES = {0: "No", 1: "Yes"}
# Name, byte, bytes, mask and labels of each field of a decoder's configuration.
Field = tuple[str, int, int, int, Labels | None]
_HEVC: tuple[Field, ...] = (
    ("HEVCConfigurationVersion", 0, 1, 0, None),
    ("GeneralProfileSpace", 1, 1, 0xC0, {0: "Conforming"}),
    ("GeneralTierFlag", 1, 1, 0x20, {0: "Main Tier", 1: "High Tier"}),
    ("GeneralProfileIDC", 1, 1, 0x1F, _PROFILES),
    ("MinSpatialSegmentationIDC", 13, 2, 0x0FFF, None),
    ("ParallelismType", 15, 1, 3, None),
    ("ChromaFormat", 16, 1, 3, {0: "Monochrome", 1: "4:2:0", 2: "4:2:2", 3: "4:4:4"}),
    (
        "ConstantFrameRate",
        21,
        1,
        0xC0,
        {0: "Unknown", 1: "Constant Frame Rate", 2: "Each Temporal Layer is Constant Frame Rate"},
    ),
    ("NumTemporalLayers", 21, 1, 0x38, None),
    ("TemporalIDNested", 21, 1, 0x04, _NO_YES),
)
_AV1: tuple[Field, ...] = (
    ("AV1ConfigurationVersion", 0, 1, 0x7F, None),
    ("SeqProfile", 1, 1, 0xE0, None),
    ("SeqLevelIdx0", 1, 1, 0x1F, None),
    ("SeqTier0", 2, 1, 0x80, None),
    ("HighBitDepth", 2, 1, 0x40, None),
    ("TwelveBit", 2, 1, 0x20, None),
    ("ChromaFormat", 2, 1, 0x1C, {0: "YUV 4:4:4", 2: "YUV 4:2:2", 3: "YUV 4:2:0", 7: "Monochrome 4:0:0"}),
    ("ChromaSamplePosition", 2, 1, 3, {0: "Unknown", 1: "Vertical", 2: "Colocated", 3: "(reserved)"}),
)
_PRIMARIES = {
    1: "BT.709",
    2: "Unspecified",
    4: "BT.470 System M (historical)",
    5: "BT.470 System B, G (historical)",
    6: "BT.601",
    7: "SMPTE 240",
    8: "Generic film (color filters using illuminant C)",
    9: "BT.2020, BT.2100",
    10: "SMPTE 428 (CIE 1931 XYZ)",
    11: "SMPTE RP 431-2",
    12: "SMPTE EG 432-1",
    22: "EBU Tech. 3213-E",
}
_TRANSFER = {
    0: "For future use (0)",
    1: "BT.709",
    2: "Unspecified",
    3: "For future use (3)",
    4: "BT.470 System M (historical)",
    5: "BT.470 System B, G (historical)",
    6: "BT.601",
    7: "SMPTE 240 M",
    8: "Linear",
    9: "Logarithmic (100 : 1 range)",
    10: "Logarithmic (100 * Sqrt(10) : 1 range)",
    11: "IEC 61966-2-4",
    12: "BT.1361",
    13: "sRGB or sYCC",
    14: "BT.2020 10-bit systems",
    15: "BT.2020 12-bit systems",
    16: "SMPTE ST 2084, ITU BT.2100 PQ",
    17: "SMPTE ST 428",
    18: "BT.2100 HLG, ARIB STD-B67",
}
_MATRIX = {
    0: "Identity matrix",
    1: "BT.709",
    2: "Unspecified",
    3: "For future use (3)",
    4: "US FCC 73.628",
    5: "BT.470 System B, G (historical)",
    6: "BT.601",
    7: "SMPTE 240 M",
    8: "YCgCo",
    9: "BT.2020 non-constant luminance, BT.2100 YCbCr",
    10: "BT.2020 constant luminance",
    11: "SMPTE ST 2085 YDzDx",
    12: "Chromaticity-derived non-constant luminance",
    13: "Chromaticity-derived constant luminance",
    14: "BT.2100 ICtCp",
}
_COLOURS: tuple[Field, ...] = (
    ("ColorPrimaries", 4, 2, 0, _PRIMARIES),
    ("TransferCharacteristics", 6, 2, 0, _TRANSFER),
    ("MatrixCoefficients", 8, 2, 0, _MATRIX),
    ("VideoFullRangeFlag", 10, 1, 0x80, {0: "Limited", 1: "Full"}),
)
_ROTATIONS = {0: "Horizontal (normal)", 1: "Rotate 270 CW", 2: "Rotate 180", 3: "Rotate 90 CW"}
_HANDLERS = {"pict": "Picture", "vide": "Video Track", "soun": "Audio Track", "auxv": "Auxiliary Video"}
Row = tuple[str, object, object]


def brands(scan: Scan, body: bytes, group: str) -> None:
    """The file type box: its brand, version and compatible brands."""
    major = body[:4].decode("latin-1")
    version = body[4:8]
    scan.row(group, "MajorBrand", major, BRANDS.get(major, major))
    text = f"{version[0]:x}.{version[1]:x}.{version[2] << 8 | version[3]:x}" if len(version) == 4 else ""
    scan.row(group, "MinorVersion", text, text)
    others = [body[at : at + 4].decode("latin-1") for at in range(8, len(body) - 3, 4)]
    shown: Any = [name.rstrip(" \0") for name in others if name.strip(" \0")]
    if group == "Jpeg2000":
        shown = [name for name in others if name.strip(" \0")]
    if shown:
        shown = shown if len(shown) > 1 or group == "Jpeg2000" else shown[0]
        scan.row(group, "CompatibleBrands", shown, shown)


def handler(scan: Scan, body: bytes) -> None:
    """What the `meta` box describes."""
    kind = body[8:12].decode("latin-1")
    scan.row("QuickTime", "HandlerType", kind, _HANDLERS.get(kind, kind))


def store(scan: Scan, start: int, end: int) -> None:
    """Where the data of items are."""
    text = binary(end - start)
    scan.row("QuickTime", "MediaDataSize", end - start, end - start)
    scan.row("QuickTime", "MediaDataOffset", start, start)
    scan.row("QuickTime", "MediaData", text, text)


def grid(scan: Scan, meta: bytes) -> None:
    """The size of a picture of tiles, which its `meta` box may hold itself."""
    at = meta.find(b"\0\0\0\x10idat")
    if at >= 0 and at + 16 <= len(meta):
        numbers = [int.from_bytes(meta[place : place + 2], "big") for place in range(at + 8, at + 16, 2)]
        scan.row("Meta", "MetaImageSize", " ".join(map(str, numbers)), f"{numbers[2]}x{numbers[3]}")


def properties(scan: Scan, data: bytes, found: Sequence[tuple[bytes, int, int]], ranks: dict[int, int]) -> None:
    """Properties of pictures: of those with one name, the primary picture's counts, then its tiles', then the last.

    Args:
        scan: that the rows are added to.
        data: the file.
        found: type, start and end of each property.
        ranks: by the property's number, from 1 on: 2 for the primary picture's, 1 for its tiles'.
    """
    chosen: dict[str, tuple[int, Any, Any]] = {}
    for number, (kind, start, end) in enumerate(found, 1):
        rank = ranks.get(number, 0)
        for name, value, printed in _rows(kind, data[start:end]):
            if name not in chosen or rank >= chosen[name][0]:
                chosen[name] = (rank, value, printed)
    for name, (_, value, printed) in chosen.items():
        scan.row("QuickTime", name, value, printed)


def _rows(kind: bytes, body: bytes) -> Iterable[Row]:
    reader = _READERS.get(kind)
    return reader(body) if reader is not None else ()


def _fields(body: bytes, fields: tuple[Field, ...]) -> Iterable[Row]:
    for name, at, size, mask, labels in fields:
        if at + size > len(body):
            continue
        value = int.from_bytes(body[at : at + size], "big")
        if mask:
            value = (value & mask) >> (mask & -mask).bit_length() - 1
        yield name, value, labels.get(value, f"Unknown ({value})") if labels else value


def _hevc(body: bytes) -> Iterable[Row]:
    yield from _fields(body, _HEVC)
    if len(body) < 22:
        return
    flags = int.from_bytes(body[2:6], "big")
    names = [_PROFILES.get(31 - bit, f"[{bit}]") for bit in range(32) if flags >> bit & 1]
    yield "GenProfileCompatibilityFlags", flags, ", ".join(names) or "(none)"
    text = " ".join(map(str, body[6:12]))
    yield "ConstraintIndicatorFlags", text, text
    yield "GeneralLevelIDC", body[12], f"{body[12]} (level {body[12] / 30:.1f})"
    yield "BitDepthLuma", (body[17] & 7) + 8, (body[17] & 7) + 8
    yield "BitDepthChroma", (body[18] & 7) + 8, (body[18] & 7) + 8
    rate = int.from_bytes(body[19:21], "big") / 256
    shown = int(rate) if rate == int(rate) else rate
    yield "AverageFrameRate", shown, shown


def _av1(body: bytes) -> Iterable[Row]:
    yield from _fields(body, _AV1)
    if len(body) > 3 and not body[3] & 0x10:
        yield "InitialDelaySamples", (body[3] & 15) + 1, (body[3] & 15) + 1


def _colours(body: bytes) -> Iterable[Row]:
    if body[:4] in (b"prof", b"rICC"):
        return
    name = body[:4].decode("latin-1")
    yield "ColorProfiles", name, name
    yield from _fields(body, _COLOURS)


def _extent(body: bytes) -> Iterable[Row]:
    if len(body) >= 12:
        width, height = int.from_bytes(body[4:8], "big"), int.from_bytes(body[8:12], "big")
        yield "ImageSpatialExtent", f"{width} {height}", f"{width}x{height}"


def _depth(body: bytes) -> Iterable[Row]:
    if len(body) > 5:
        text: int | str = " ".join(map(str, body[5:])) if len(body) > 6 else body[5]
        yield "ImagePixelDepth", text, text


def _auxiliary(body: bytes) -> Iterable[Row]:
    text = body[4:].split(b"\0")[0].decode("latin-1")
    yield "AuxiliaryImageType", text, text


def _light(body: bytes) -> Iterable[Row]:
    if len(body) >= 4:
        for name, at in (("MaxContentLightLevel", 0), ("MaxPicAverageLightLevel", 2)):
            value = int.from_bytes(body[at : at + 2], "big")
            yield name, value, value


def _numbers(name: str) -> Any:
    def read(body: bytes) -> Iterable[Row]:
        text = " ".join(str(int.from_bytes(body[at : at + 4], "big")) for at in range(0, len(body) - 3, 4))
        yield name, text, text

    return read


def _aperture(body: bytes) -> Iterable[Row]:
    """The part of the picture that is shown: width, height, left and top as fractions."""
    numbers = (
        [int.from_bytes(body[at : at + 4], "big", signed=True) for at in range(0, 32, 4)] if len(body) >= 32 else []
    )
    parts = [f"{top / bottom:.10g}" for top, bottom in zip(numbers[::2], numbers[1::2], strict=True) if bottom]
    if len(parts) == 4:
        yield "CleanAperture", " ".join(parts), " ".join(parts)


_READERS: dict[bytes, Any] = {
    b"hvcC": _hevc,
    b"av1C": _av1,
    b"colr": _colours,
    b"ispe": _extent,
    b"pixi": _depth,
    b"auxC": _auxiliary,
    b"clli": _light,
    b"pasp": _numbers("PixelAspectRatio"),
    b"clap": _aperture,
    b"irot": lambda body: [("Rotation", body[0] & 3, _ROTATIONS[body[0] & 3])] if body else [],
    b"imir": lambda body: [("Mirroring", body[0] & 1, ("Vertical", "Horizontal")[body[0] & 1])] if body else [],
}
