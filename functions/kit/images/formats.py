"""The picture formats that are accepted, and how the first bytes of a file tell them from others."""

from __future__ import annotations

from typing import NamedTuple

from functions.kit import containers
from functions.kit.containers.sniff import MAX_JUNK
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
        Format("EXR", "OpenEXR", "OpenEXR"),  # by `samples.exr`, not by Pillow
        Format("QOI", "PIL.QoiImagePlugin", "QOI"),
    )
}

_NAMES = {entry.label: entry.name for entry in ACCEPTED.values()}
_NAMES |= {"HEIF": "HEIF", "Photoshop of large size (PSB)": "PSD"}


def labels() -> list[str]:
    """Usual names of the accepted formats."""
    return list(dict.fromkeys(entry.label for entry in ACCEPTED.values()))


def sniff(data: bytes) -> str | None:
    """Pillow's name of the accepted format that the bytes begin like, or None."""
    found = containers.sniff(data)
    name = _NAMES.get(found.name) if found is not None else None
    # No decoder passes over junk.
    return None if name == "JPEG" and data[:3] != b"\xff\xd8\xff" else name


def refusal(data: bytes, accepted: list[str]) -> Problem:
    """The problem of bytes that are none of the accepted formats: 415 if they have a name, else 422."""
    found = containers.sniff(data)
    at = data[:MAX_JUNK].find(b"\xff\xd8\xff") if found is not None and found.name == "JPEG" else -1
    if at > 0:
        return problems.unreadable_image(f"the JPEG begins after {problems.quantity(at, 'bytes')} of other data")
    if found is not None and found.picture:
        return problems.unsupported_format(found.name, accepted)
    if not data:
        return problems.unreadable_image("the file is empty")
    return problems.unreadable_image("unrecognised image format")
