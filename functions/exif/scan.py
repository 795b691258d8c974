"""From a file's bytes to its container's header and its metadata, whatever the container.

`scan` looks at bytes alone, never at a name or a type that someone claims. It decodes no picture, believes no count
before the bytes for it are there, and never raises: what is broken becomes a warning.
"""

from __future__ import annotations

from collections.abc import Callable

from functions.exif import codestream, isobmff, jpeg, photoshop, png, riff, simple, tiff
from functions.exif.blocks import BEYOND_READING, BROKEN, Block, Scan

__all__ = ["FORMATS", "Block", "Scan", "identify", "scan"]

# What `scan` reads, as it names it.
FORMATS = (
    "JPEG",
    "EXV",
    "MPO",
    "PNG",
    "APNG",
    "WebP",
    "HEIC",
    "HEIF",
    "AVIF",
    "CR3",
    "JP2",
    "JPX",
    "JPM",
    "J2C",
    "JXL",
    "TIFF",
    "BigTIFF",
    "CR2",
    "NEF",
    "DNG",
    "ARW",
    "RW2",
    "ORF",
    "PEF",
    "JXR",
    "RAF",
    "MRW",
    "PSD",
    "PSB",
    "GIF",
    "BMP",
)
# Junk before a JPEG's first marker is passed over up to here, as far as ExifTool looks for it.
MAX_JUNK = 1024
_TIFF_STARTS = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+", b"IIU\0", b"IIRO", b"IIRS", b"MMOR", b"II\xbc\1")
# Files of other kinds that may hold a JPEG.
_OTHERS = (
    b"%PDF",
    b"%!PS",
    b"\xc5\xd0\xd3\xc6",  # EPS with a preview
    b"II\x1a\0\0\0HEAP",  # CIFF: Canon's CRW
    b"MM\0\x1a",
    b"FOVb",  # Sigma's X3F
    b"PK\3\4",
    b"RIFF",
    b"OggS",
    b"ID3",
    b"fLaC",
    b"FLV\1",
    b"MZ",
    b"\x7fELF",
    b"7z\xbc\xaf",
    b"Rar!",
    b"\xfd7zXZ",
    b"SQLite format 3",
    b"0&\xb2u\x8ef\xcf\x11",  # ASF
    b"\x1aE\xdf\xa3",
    b"\0\0\1\0",
    b"\0\0\2\0",
    b"\0\0\1\xba",
    b"\x1f\x8b",
    b"\xd0\xcf\x11\xe0",
    b"\xd7\xcd\xc6\x9a",
    b"bplist",
)
_BOXES = frozenset((b"ftyp", b"moov", b"mdat", b"free", b"skip", b"wide", b"pnot", b"jP  ", b"JXL "))
_BRANDED = frozenset((b"ftyp", b"jP  ", b"JXL "))


def identify(data: bytes) -> str:  # noqa: C901 - one branch for each format
    """The reader for a file, by its first bytes: `jpeg`, `png`, …; empty where none of ours."""
    if data.startswith((b"\xff\xd8\xff", jpeg.EXV_SIGNATURE)):
        return "jpeg"
    if data.startswith(png.SIGNATURE):
        return "png"
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "webp"
    if data[4:8] in _BRANDED and _known_brand(data):
        return "boxes"
    if data.startswith(_TIFF_STARTS):
        return "tiff"
    if data.startswith((b"GIF87a", b"GIF89a")):
        return "gif"
    if data.startswith(b"8BPS"):
        return "psd"
    if data.startswith(b"FUJIFILMCCD-RAW"):
        return "raf"
    if data.startswith((b"\0MRM", b"\0MRI")):
        return "mrw"
    if data.startswith(b"\xff\x0a"):
        return "jxl"
    if data.startswith(b"\xff\x4f\xff\x51"):
        return "j2c"
    if (
        data.startswith(b"BM")
        and len(data) >= 26
        and data[14] in (12, 40, 52, 56, 64, 108, 124)
        and not any(data[15:18])
    ):
        return "bmp"
    # Junk before a JPEG, but no other kind of file that holds one, and no text.
    if data.startswith(_OTHERS) or data[4:8] in _BOXES or data[:64].isascii():
        return ""
    return "jpeg" if b"\xff\xd8\xff" in data[:MAX_JUNK] else ""


def _known_brand(data: bytes) -> bool:
    """Whether a file of boxes is a picture: films and sound have the same first box."""
    if data[4:8] != b"ftyp":
        return True
    size = min(int.from_bytes(data[:4], "big"), 256)
    return any(data[at : at + 4] in isobmff.BRANDS for at in (8, *range(16, size, 4)))


_READERS: dict[str, Callable[..., Scan]] = {
    "jpeg": jpeg.scan,
    "png": png.scan,
    "webp": riff.scan,
    "boxes": isobmff.scan,
    "tiff": tiff.scan,
    "gif": simple.gif,
    "bmp": simple.bmp,
    "psd": photoshop.scan,
    "raf": tiff.raf,
    "mrw": tiff.mrw,
    "jxl": codestream.jxl_scan,
    "j2c": codestream.jp2_scan,
}


# Readers that can leave out what the picture's header does not need.
_PARTIAL = frozenset(("jpeg", "boxes"))


def scan(data: bytes, *, whole: bool = True) -> Scan | None:
    """Find a file's metadata.

    Args:
        data: the whole file.
        whole: also look between and behind the pictures, and account for every byte.

    Returns:
        The scan, or None where the bytes are no image of a known format.
    """
    kind = identify(data)
    if not kind:
        return None
    try:
        return _READERS[kind](data, whole=whole) if kind in _PARTIAL else _READERS[kind](data)
    except BEYOND_READING as error:
        # The readers check what they read; this is for what they overlook, so that no file is lost with a 500.
        result = Scan(kind.upper(), "application/octet-stream")
        result.warn(f"the file is {BROKEN}: {type(error).__name__}")
        result.miss("file", "the whole file", 0, len(data))
        return result
