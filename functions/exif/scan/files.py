"""From a file's bytes to its container's header and its metadata, for every container.

`scan` looks at bytes alone, never at a name or a type that someone claims. It decodes no picture, believes no count
before the bytes for it are there, and never raises: what is broken becomes a warning.
"""

from __future__ import annotations

from functions.exif.scan import parts
from functions.exif.scan.result import BEYOND_READING, BROKEN, Block, Scan
from functions.kit.containers import Buffer, Source, read, sniff

__all__ = ["FORMATS", "Block", "Scan", "identify", "scan"]

# What `scan` reads, as it names it.
FORMATS = (
    *("JPEG", "EXV", "MPO", "PNG", "APNG", "WebP", "HEIC", "HEIF", "AVIF", "CR3", "JP2", "JPX", "JPM", "J2C", "JXL"),
    *("TIFF", "BigTIFF", "CR2", "NEF", "DNG", "ARW", "RW2", "ORF", "PEF", "JXR", "RAF", "MRW", "CRW", "X3F"),
    *("PSD", "PSB", "GIF", "BMP", "EPS", "PostScript", "PDF", "SVG", "XMP", "C2PA"),
)


def identify(data: Buffer) -> str:
    """The reader for a file, by its first bytes: `jpeg`, `png`, …; empty where none of ours."""
    found = sniff(data)
    return found.reader if found is not None else ""


def scan(data: bytes | Source, *, whole: bool = True, accounted: bool = True, exif_only: bool = False) -> Scan | None:
    """Find a file's metadata.

    Args:
        data: the file.
        whole: also look between and behind the pictures.
        accounted: record which bytes of the container's own elements were not read.
        exif_only: leave out blocks that hold no Exif.

    Returns:
        The scan, or None where the bytes are no image of a known format.
    """
    source = data if isinstance(data, Source) else Source(data)
    found = sniff(source.data)
    if found is None or not found.reader:
        return None
    try:
        document = read(source, whole=bool(source.holes) or (whole and found.reader != "tiff"), found=found)
        return None if document is None else parts.scan(document, whole=whole, accounted=accounted, exif_only=exif_only)
    except BEYOND_READING as error:
        # The readers check what they read; this is for what they overlook, so that no file is lost with a 500.
        result = Scan(found.reader.upper(), "application/octet-stream")
        result.warn(f"the file is {BROKEN}: {type(error).__name__}")
        result.miss("file", "the whole file", 0, source.size)
        return result
