"""Names of the options `keep` and `remove` of a clean copy, and media types of what is written."""

from __future__ import annotations

KEEP = {
    "orientation": "which way up the picture is shown",
    "icc": "the colour profile, without it colours may change",
    "colorspace": "Exif's own statement of sRGB or Adobe RGB",
    "copyright": "copyright notice and rights",
    "artist": "who made it",
    "description": "title and description",
    "date": "when it was taken, with its offset from UTC",
    "camera": "make and model",
    "lens": "make and model of the lens",
    "exposure": "exposure time, aperture, sensitivity, focal length, flash",
    "resolution": "dots per inch",
    "gainmap": "the gain map of an HDR picture, with its parameters",
    "panorama": "the projection of a panorama",
}
"""Values of `keep`, and what each keeps."""
DEFAULT_KEEP = frozenset({"orientation", "icc", "resolution"})
REMOVE = {"gps": "the location: position, direction, place names"}
"""Values of `remove`."""
MEDIA_TYPES = {
    "JPEG": "image/jpeg",
    "MPO": "image/jpeg",
    "PNG": "image/png",
    "APNG": "image/png",
    "WebP": "image/webp",
    "GIF": "image/gif",
    "HEIC": "image/heic",
    "HEIF": "image/heif",
    "AVIF": "image/avif",
    "JXL": "image/jxl",
    "JP2": "image/jp2",
    "JPX": "image/jpx",
    "J2C": "image/j2c",
    "PSD": "image/vnd.adobe.photoshop",
    "PSB": "image/vnd.adobe.photoshop",
    "TIFF": "image/tiff",
    "BigTIFF": "image/tiff",
    "DNG": "image/x-adobe-dng",
}
"""Of files in responses, by format."""
