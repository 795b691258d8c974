"""The File group: the type of a file, its media type, and the byte order of its Exif."""

from __future__ import annotations

from collections.abc import Callable

from functions.exif.scan.result import Scan

Put = Callable[[str, str, object, object], None]
# ExifTool's type where it is not the name of the scan's format, and those that the first brand of a file of boxes has.
TYPES = {"MPO": "JPEG", "WebP": "WEBP", "BigTIFF": "BTF", "PostScript": "PS"}
BRANDS = {
    "heic": "HEIC",
    "heix": "HEIF",
    "hevc": "HEICS",
    "mif1": "HEIF",
    "msf1": "HEIFS",
    "avif": "AVIF",
    "avis": "AVIF",
    "crx": "CR3",
}
# The end of names by type, where it is not the type in small letters, and ExifTool's own media types.
SUFFIXES = {"JPEG": "jpg", "TIFF": "tif", "Extended WEBP": "webp", "WEBP (lossless)": "webp", "APNG": "png"}
SUFFIXES["Extended WEBP (lossless)"] = "webp"
MEDIA_TYPES = {
    "JPEG": "image/jpeg",
    "BTF": "image/x-tiff-big",
    "J2C": "image/x-j2c",
    "RAF": "image/x-fujifilm-raf",
    "PSD": "application/vnd.adobe.photoshop",
    "PSB": "application/vnd.adobe.photoshop",
    "HEIF": "image/heif",
    "HEIFS": "image/heif-sequence",
}
ORDERS = {"<": ("II", "Little-endian (Intel, II)"), ">": ("MM", "Big-endian (Motorola, MM)")}


def add(scan: Scan, order: str, put: Put) -> None:
    """Add the rows.

    Args:
        scan: of the file.
        order: of its first Exif block, `<` or `>`; empty without one.
        put: called with group, name, value and print of each row.
    """
    name = TYPES.get(scan.format, scan.format)
    if scan.format == "WebP" and "flags" in scan.details:
        name = "Extended WEBP"
    if scan.format == "WebP" and any(row[1] == "AlphaIsUsed" for row in scan.rows):
        name = f"{name} (lossless)"
    if scan.format in ("HEIC", "HEIF", "AVIF", "CR3"):
        name = BRANDS.get(str(scan.details.get("brand", "")), name)
    suffix, media = SUFFIXES.get(name, name.lower()), MEDIA_TYPES.get(name, scan.media_type)
    put("File", "FileType", name, name)
    put("File", "FileTypeExtension", suffix.upper(), suffix)
    put("File", "MIMEType", media, media)
    if order:
        put("File", "ExifByteOrder", *ORDERS[order])
