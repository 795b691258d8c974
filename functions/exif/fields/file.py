"""The File group: the type of a file, its media type, and the byte order of its Exif."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from functions.exif.scan.result import Scan

Put = Callable[[str, str, Any, Any], None]
# ExifTool's type, the end of names, and media type, by the name of the scan's format, where they differ from it.
TYPES = {
    "JPEG": ("JPEG", "jpg", "image/jpeg"),
    "MPO": ("JPEG", "jpg", "image/jpeg"),
    "WebP": ("WEBP", "webp", "image/webp"),
    "TIFF": ("TIFF", "tif", "image/tiff"),
    "BigTIFF": ("BTF", "btf", "image/x-tiff-big"),
    "J2C": ("J2C", "j2c", "image/x-j2c"),
    "JPM": ("JPM", "jpm", "image/jpm"),
    "RAF": ("RAF", "raf", "image/x-fujifilm-raf"),
    "PSD": ("PSD", "psd", "application/vnd.adobe.photoshop"),
    "PSB": ("PSB", "psb", "application/vnd.adobe.photoshop"),
}
# Types that the first brand of a file of boxes stands for.
BRANDS = {
    "heic": ("HEIC", "heic", "image/heic"),
    "heix": ("HEIC", "heic", "image/heic"),
    "hevc": ("HEICS", "heics", "image/heic-sequence"),
    "mif1": ("HEIF", "heif", "image/heif"),
    "msf1": ("HEIFS", "heifs", "image/heif-sequence"),
    "avif": ("AVIF", "avif", "image/avif"),
    "avis": ("AVIF", "avif", "image/avif"),
    "crx": ("CR3", "cr3", "image/x-canon-cr3"),
}
_ORDERS = {"<": ("II", "Little-endian (Intel, II)"), ">": ("MM", "Big-endian (Motorola, MM)")}


def add(scan: Scan, order: str, put: Put) -> None:
    """Add the rows.

    Args:
        scan: of the file.
        order: of its first Exif block, `<` or `>`; empty without one.
        put: called with group, name, value and print of each row.
    """
    name, suffix, media = TYPES.get(scan.format) or (scan.format, scan.format.lower(), scan.media_type)
    if scan.format == "WebP" and "flags" in scan.details:
        name = "Extended WEBP"
    brand = BRANDS.get(str(scan.details.get("brand", "")))
    if brand is not None and scan.format in ("HEIC", "HEIF", "AVIF", "CR3"):
        name, suffix, media = brand
    put("File", "FileType", name, name)
    put("File", "FileTypeExtension", suffix.upper(), suffix)
    put("File", "MIMEType", media, media)
    if order:
        put("File", "ExifByteOrder", *_ORDERS[order])
