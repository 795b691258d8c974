"""Photoshop's image resources in ExifTool's Photoshop group: resolution, printing, slices, version, digests."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from struct import unpack_from
from typing import Any

from functions.exif.blocks.values import binary, real, shorten, text_of
from functions.exif.scan.result import Scan

Row = tuple[str, object, object]
Reader = Callable[[bytes], Iterable[Row]]
GROUP = "Photoshop"
COLOUR_MODES = {
    0: "Bitmap",
    1: "Grayscale",
    2: "Indexed",
    3: "RGB",
    4: "CMYK",
    7: "Multichannel",
    8: "Duotone",
    9: "Lab",
}
_UNITS = {1: "inches", 2: "cm"}
_FLAGS = (
    *("Labels", "Corner crop marks", "Color bars", "Registration marks", "Negative", "Emulsion down"),
    *("Interpolate", "Description", "Print flags"),
)
# Resources whose content ExifTool shows unchanged.
OPAQUE = {
    0x03E8: "Photoshop2Info",
    0x03E9: "MacintoshPrintInfo",
    0x03EF: "DisplayInfo",
    0x03F0: "PStringCaption",
    0x03F1: "BorderInformation",
    0x03F2: "BackgroundColor",
    0x03F4: "BW_HalftoningInfo",
    0x03F5: "ColorHalftoningInfo",
    0x03F7: "BW_TransferFunc",
    0x03F8: "ColorTransferFuncs",
    0x03F9: "DuotoneTransferFuncs",
    0x03FA: "DuotoneImageInfo",
    0x03FD: "EPSOptions",
    0x03FE: "QuickMaskInfo",
    0x0401: "WorkingPath",
    0x0405: "RawImageMode",
    0x0408: "GridGuidesInfo",
    0x040E: "ColorSamplersResource",
    0x0413: "SpotHalftone",
    0x0415: "UnicodeAlphaNames",
    0x041C: "JumpToXPEP",
    0x041D: "AlphaIdentifiers",
    0x0429: "LayerComps",
    0x042A: "AlternateDuotoneColors",
    0x042B: "AlternateSpotColors",
    0x042E: "HDRToningInfo",
    0x042F: "PrintInfo",
    0x0431: "ColorSamplersResource2",
    0x0432: "MeasurementScale",
    0x0433: "TimelineInfo",
    0x0434: "SheetDisclosure",
    0x0436: "OnionSkins",
    0x0438: "CountInfo",
    0x043A: "PrintInfo2",
    0x043C: "MacintoshNSPrintInfo",
    0x043D: "WindowsDEVMODE",
    0x043E: "AutoSaveFilePath",
    0x043F: "AutoSaveFormat",
    0x0440: "PathSelectionState",
    0x0BB8: "OriginPathInfo",
    0x1B58: "ImageReadyVariables",
    0x1B59: "ImageReadyDataSets",
    0x1F40: "LightroomWorkflow",
    0x2710: "PrintFlagsInfo",
}
# Whole numbers of one size, by name and bytes of each.
NUMBERS = {
    0x03FB: ("EffectiveBW", 1),
    0x0400: ("TargetLayerID", 2),
    0x0402: ("LayersGroupInfo", 2),
    0x040D: ("GlobalAngle", 4),
    0x0410: ("Watermark", 1),
    0x0411: ("ICC_Untagged", 1),
    0x0412: ("EffectsVisible", 1),
    0x0414: ("IDsBaseValue", 4),
    0x0416: ("IndexedColorTableCount", 2),
    0x0417: ("TransparentIndex", 2),
    0x0419: ("GlobalAltitude", 4),
    0x0430: ("LayerGroupsEnabledID", 1),
}


def add(scan: Scan, number: int, body: bytes) -> bool:
    """Add the rows of a resource; whether its content is understood."""
    if number == 0x0404:
        digest = hashlib.md5(body, usedforsecurity=False).hexdigest()
        scan.row("File", "CurrentIPTCDigest", digest, digest)
        return True
    reader = _READERS.get(number)
    if reader is not None:
        for name, value, printed in reader(body):
            scan.row(GROUP, name, value, printed)
        return True
    if number in NUMBERS:
        name, size = NUMBERS[number]
        values = [int.from_bytes(body[at : at + size], "big") for at in range(0, len(body) - size + 1, size)]
        text: Any = values[0] if len(values) == 1 else " ".join(map(str, values))
        scan.row(GROUP, name, text, text)
        return True
    if number in OPAQUE:
        text = text_of(body)
        scan.row(GROUP, OPAQUE[number], text, text)
    return False


def header(scan: Scan, channels: int, bits: int, mode: int) -> None:
    """The fields of a PSD's header."""
    scan.row(GROUP, "NumChannels", channels, channels)
    scan.row(GROUP, "ImageHeight", scan.height, scan.height)
    scan.row(GROUP, "ImageWidth", scan.width, scan.width)
    scan.row(GROUP, "BitDepth", bits, bits)
    scan.row(GROUP, "ColorMode", mode, COLOUR_MODES.get(mode, f"Unknown ({mode})"))


def compression(scan: Scan, number: int) -> None:
    """How the merged picture of a PSD is compressed."""
    names = ("Uncompressed", "RLE", "ZIP without prediction", "ZIP with prediction")
    scan.row(GROUP, "Compression", number, names[number] if number < 4 else f"Unknown ({number})")


def _resolution(body: bytes) -> Iterable[Row]:
    if len(body) < 14:
        return
    for axis, at in (("X", 0), ("Y", 8)):
        value = shorten(f"{int.from_bytes(body[at : at + 4], 'big') / 65536:.15g}")
        printed = shorten(f"{int(float(value) * 100 + 0.5) / 100:.15g}")
        yield f"{axis}Resolution", value, printed
        unit = int.from_bytes(body[at + 4 : at + 6], "big")
        yield f"DisplayedUnits{axis}", unit, _UNITS.get(unit, f"Unknown ({unit})")


def _print_flags(body: bytes) -> Iterable[Row]:
    names = [_FLAGS[bit] if bit < len(_FLAGS) else f"[{bit}]" for bit, byte in enumerate(body[:9]) if byte]
    yield "PrintFlags", " ".join(map(str, body)), ", ".join(names) or "(none)"


def _quality(body: bytes) -> Iterable[Row]:
    if len(body) < 6:
        return
    quality, form, scans = unpack_from(">hHH", body)
    yield "PhotoshopQuality", quality, quality + 4
    forms = {0: "Standard", 1: "Optimized", 0x101: "Progressive"}
    yield "PhotoshopFormat", form, forms.get(form, f"Unknown ({form})")
    if form == 0x101:
        yield "ProgressiveScans", scans, f"{scans + 2} Scans" if 1 <= scans <= 3 else f"Unknown ({scans})"


def _copyright(body: bytes) -> Iterable[Row]:
    value = " ".join(map(str, body))
    yield "CopyrightFlag", value, {"0": "False", "1": "True"}.get(value, f"Unknown ({value})")


def _slices(body: bytes) -> Iterable[Row]:
    name, at = _unicode(body, 20)
    yield "SlicesGroupName", name, name
    if at + 4 <= len(body):
        count = int.from_bytes(body[at : at + 4], "big")
        yield "NumSlices", count, count


def _version(body: bytes) -> Iterable[Row]:
    if len(body) < 5:
        return
    yield "HasRealMergedData", body[4], ("No", "Yes")[body[4]] if body[4] < 2 else f"Unknown ({body[4]})"
    writer, at = _unicode(body, 5)
    yield "WriterName", writer, writer
    reader, _ = _unicode(body, at)
    yield "ReaderName", reader, reader


def _unicode(body: bytes, at: int) -> tuple[str, int]:
    """A text in UTF-16 with its length before it, and where it ends."""
    size = 2 * int.from_bytes(body[at : at + 4], "big")
    text = body[at + 4 : at + 4 + size]
    return text[: len(text) & ~1].decode("utf-16-be", "replace").split("\0")[0], at + 4 + size


def _print_scale(body: bytes) -> Iterable[Row]:
    if len(body) < 14:
        return
    style, x, y, scale = unpack_from(">Hfff", body)
    names = ("Centered", "Size to Fit", "User Defined")
    yield "PrintStyle", style, names[style] if style < 3 else f"Unknown ({style})"
    position = f"{real(x)} {real(y)}"
    yield "PrintPosition", position, position
    yield "PrintScale", real(scale), real(scale)


def _pixels(body: bytes) -> Iterable[Row]:
    if len(body) >= 12:
        value = real(unpack_from(">d", body, 4)[0])
        yield "PixelAspectRatio", value, value


def _text(name: str) -> Reader:
    def read(body: bytes) -> Iterable[Row]:
        text = text_of(body.split(b"\0")[0])
        yield name, text, text

    return read


def _wide(name: str) -> Reader:
    def read(body: bytes) -> Iterable[Row]:
        text, _ = _unicode(body, 0)
        yield name, text, text

    return read


def _addresses(body: bytes) -> Iterable[Row]:
    found, at = [], 4
    for _ in range(min(int.from_bytes(body[:4], "big"), 256)):
        if at + 12 > len(body):
            break
        text, at = _unicode(body, at + 8)
        found.append(text)
    yield "URL_List", found, found


def _digest(body: bytes) -> Iterable[Row]:
    yield "IPTCDigest", body.hex(), body.hex()


def _thumbnail(name: str) -> Reader:
    def read(body: bytes) -> Iterable[Row]:
        text = binary(max(len(body) - 28, 0))
        yield name, text, text

    return read


def _pascal(name: str) -> Reader:
    def read(body: bytes) -> Iterable[Row]:
        names, at = [], 0
        while at < len(body):
            names.append(body[at + 1 : at + 1 + body[at]].decode("mac_roman"))
            at += 1 + body[at]
        text = ", ".join(names)
        yield name, text, text

    return read


def _selection(body: bytes) -> Iterable[Row]:
    text = " ".join(str(int.from_bytes(body[at : at + 4], "big")) for at in range(2, len(body) - 3, 4))
    yield "LayerSelectionIDs", text, text


def _xml(body: bytes) -> Iterable[Row]:
    yield "XMLData", binary(len(body)), binary(len(body))


_READERS: dict[int, Reader] = {
    0x03EA: _xml,
    0x03ED: _resolution,
    0x03EE: _pascal("AlphaChannelsNames"),
    0x03F3: _print_flags,
    0x0406: _quality,
    0x0409: _thumbnail("PhotoshopBGRThumbnail"),
    0x040A: _copyright,
    0x040B: _text("URL"),
    0x040C: _thumbnail("PhotoshopThumbnail"),
    0x041A: _slices,
    0x041B: _wide("WorkflowURL"),
    0x041E: _addresses,
    0x0421: _version,
    0x0425: _digest,
    0x0426: _print_scale,
    0x0428: _pixels,
    0x042D: _selection,
    0x0BB7: _pascal("ClippingPathName"),
}
