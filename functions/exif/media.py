"""Media types of files in responses, with their suffixes."""

from __future__ import annotations

ZIP = "application/zip"
SUFFIXES = {
    "image/jpeg": ".jpg",
    "image/png": ".png",
    "image/webp": ".webp",
    "image/tiff": ".tif",
    "image/gif": ".gif",
    "image/heic": ".heic",
    "image/heif": ".heif",
    "image/avif": ".avif",
    "image/jxl": ".jxl",
    "image/jp2": ".jp2",
    "image/jpx": ".jpx",
    "image/j2c": ".j2c",
    "image/vnd.adobe.photoshop": ".psd",
    "image/x-adobe-dng": ".dng",
}
