"""The picture formats that are accepted, and how the first bytes of a file tell them from others."""

from __future__ import annotations

import struct
from typing import NamedTuple

from functions.kit.http import problems
from functions.kit.http.problems import Problem


class Format(NamedTuple):
    """An accepted format: Pillow's name, the module that registers its decoder, and its usual name."""

    name: str
    module: str
    label: str


ACCEPTED = {
    entry.name: entry
    for entry in (
        Format("JPEG", "PIL.JpegImagePlugin", "JPEG"),
        Format("PNG", "PIL.PngImagePlugin", "PNG"),
        Format("WEBP", "PIL.WebPImagePlugin", "WebP"),
        Format("HEIF", "pi_heif", "HEIC"),
        Format("AVIF", "PIL.AvifImagePlugin", "AVIF"),
        Format("GIF", "PIL.GifImagePlugin", "GIF"),
        Format("TIFF", "PIL.TiffImagePlugin", "TIFF"),
        Format("BMP", "PIL.BmpImagePlugin", "BMP"),
        Format("JPEG2000", "PIL.Jpeg2KImagePlugin", "JPEG 2000"),
        Format("PPM", "PIL.PpmImagePlugin", "PNM"),
        Format("ICO", "PIL.IcoImagePlugin", "ICO"),
        Format("JXL", "pillow_jxl", "JPEG XL"),
        Format("PSD", "PIL.PsdImagePlugin", "Photoshop"),
        Format("TGA", "PIL.TgaImagePlugin", "Targa"),
        Format("PCX", "PIL.PcxImagePlugin", "PCX"),
        Format("DDS", "PIL.DdsImagePlugin", "DDS"),
        Format("FITS", "PIL.FitsImagePlugin", "FITS"),
        Format("QOI", "PIL.QoiImagePlugin", "QOI"),
    )
}

_PREFIXES = (
    (b"\xff\xd8\xff", "JPEG"),
    (b"\x89PNG\r\n\x1a\n", "PNG"),
    (b"GIF87a", "GIF"),
    (b"GIF89a", "GIF"),
    (b"II*\0", "TIFF"),
    (b"MM\0*", "TIFF"),
    (b"II+\0", "TIFF"),
    (b"MM\0+", "TIFF"),
    (b"\0\0\0\x0cjP  \r\n\x87\n", "JPEG2000"),
    (b"\xff\x4f\xff\x51", "JPEG2000"),
    (b"\0\0\x01\0", "ICO"),
    (b"\xff\x0a", "JXL"),
    (b"\0\0\0\x0cJXL \r\n\x87\n", "JXL"),
    (b"8BPS\0\x01", "PSD"),
    (b"DDS |\0\0\0", "DDS"),
    (b"qoif", "QOI"),
    (b"SIMPLE  =", "FITS"),
)
_PCX_FORMS = {bytes((1, depth)) for depth in (1, 2, 4, 8)}  # run lengths, bits of a sample
_HEIF_BRANDS = {b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs", b"mif1", b"msf1"}
_AVIF_BRANDS = {b"avif", b"avis"}

# Formats that are not accepted, by their first bytes.
_REFUSED = (
    (b"%PDF-", "PDF"),
    (b"8BPS\0\x02", "Photoshop of large size (PSB)"),
    (b"%!PS", "PostScript"),
    (b"\xc5\xd0\xd3\xc6", "EPS"),
    (b"FUJIFILMCCD-RAW", "Fujifilm raw"),
    (b"IIU\0", "Panasonic raw"),
    (b"IIRO", "Olympus raw"),
    (b"IIRS", "Olympus raw"),
    (b"MMOR", "Olympus raw"),
    (b"\0MRM", "Minolta raw"),
    (b"FOVb", "Sigma raw"),
    (b"II\x1a\0\0\0HEAPCCDR", "Canon raw"),
    (b"v/1\x01", "OpenEXR"),
    (b"#?RADIANCE", "Radiance HDR"),
    (b"icns", "ICNS"),
    (b"AT&TFORM", "DjVu"),
    (b"BPG\xfb", "BPG"),
    (b"FLIF", "FLIF"),
    (b"\xd7\xcd\xc6\x9a", "WMF"),
    (b"gimp xcf", "GIMP"),
    (b"II\xbc\x01", "JPEG XR"),
)


def labels() -> list[str]:
    """Usual names of the accepted formats."""
    return list(dict.fromkeys(entry.label for entry in ACCEPTED.values()))


def sniff(data: bytes) -> str | None:
    """Pillow's name of the accepted format that the bytes begin like, or None."""
    for prefix, name in _PREFIXES:
        if data.startswith(prefix):
            return None if name == "TIFF" and data[8:10] == b"CR" else name
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "WEBP"
    brands = _brands(data)
    if brands & _AVIF_BRANDS:
        return "AVIF"
    if brands & _HEIF_BRANDS:
        return "HEIF"
    # Two letters are weak evidence: the field behind them must make sense as well.
    if data[:2] == b"BM" and data[14:18] in {struct.pack("<I", size) for size in (12, 16, 40, 52, 56, 64, 108, 124)}:
        return "BMP"
    if data[:1] == b"P" and data[1:2] in {b"1", b"2", b"3", b"4", b"5", b"6", b"f", b"F"} and data[2:3].isspace():
        return "PPM"
    if data[:1] == b"\n" and data[1:2] in {b"\0", b"\2", b"\3", b"\4", b"\5"} and data[2:4] in _PCX_FORMS:
        return "PCX"
    if data[-18:] == b"TRUEVISION-XFILE.\0":
        return "TGA"
    return None


def _brands(data: bytes) -> set[bytes]:
    """Major and compatible brands of an ISO base media file."""
    if data[4:8] != b"ftyp":
        return set()
    end = min(int.from_bytes(data[:4], "big"), 256)
    return {data[8:12], *(data[at : at + 4] for at in range(16, end, 4))}


def refusal(data: bytes, accepted: list[str]) -> Problem:
    """The problem of bytes that are none of the accepted formats: 415 if they have a name, else 422."""
    name = next((label for prefix, label in _REFUSED if data.startswith(prefix)), None)
    head = data[:1024].lstrip(b"\xef\xbb\xbf \t\r\n")
    if name is None and data[8:10] == b"CR" and data[:4] in {b"II*\0", b"MM\0*"}:
        name = "Canon raw"
    elif name is None and data[:4] == b"\0\0\x02\0" and any(data[4:6]):
        # A cursor file holds at least one; with none, it is a Targa, which has its signature at the end.
        name = "Windows cursor"
    elif name is None and data[4:8] == b"ftyp":
        name = "Canon raw" if data[8:11] == b"crx" else f"ISO media of brand {data[8:12].decode('ascii', 'replace')!r}"
    elif name is None and (head.startswith(b"<svg") or (head.startswith(b"<?xml") and b"<svg" in head)):
        name = "SVG"
    if name is not None:
        return problems.unsupported_format(name, accepted)
    if not data:
        return problems.unreadable_image("the file is empty")
    return problems.unreadable_image("unrecognised image format")
