"""The format of a file by its first bytes: what is read, what is decoded, and what has a name to be refused by."""

from __future__ import annotations

import re
from typing import NamedTuple

from functions.kit.containers.source import Buffer

# Junk before a JPEG's first marker is passed over up to here, as far as ExifTool looks for it.
MAX_JUNK = 1024


class Format(NamedTuple):
    """A format of files.

    Args:
        name: as people call it, such as `JPEG` or `Canon raw`.
        reader: module of this package that reads it; empty for none.
        picture: whether it is a format of pictures or of pages.
    """

    name: str
    reader: str = ""
    picture: bool = True


_PREFIXES = (
    (b"\xff\xd8\xff", Format("JPEG", "jpeg")),
    (b"\x89PNG\r\n\x1a\n", Format("PNG", "png")),
    (b"\x8bJNG\r\n\x1a\n", Format("JNG")),
    (b"\x8aMNG\r\n\x1a\n", Format("MNG")),
    (b"GIF87a", Format("GIF", "gif")),
    (b"GIF89a", Format("GIF", "gif")),
    (b"II*\0", Format("TIFF", "tiff")),
    (b"MM\0*", Format("TIFF", "tiff")),
    (b"II+\0", Format("TIFF", "tiff")),
    (b"MM\0+", Format("TIFF", "tiff")),
    (b"IIU\0", Format("Panasonic raw", "tiff")),
    (b"IIRO", Format("Olympus raw", "tiff")),
    (b"IIRS", Format("Olympus raw", "tiff")),
    (b"MMOR", Format("Olympus raw", "tiff")),
    (b"II\xbc\x01", Format("JPEG XR", "tiff")),
    (b"\xff\x01Exiv2", Format("EXV", "jpeg")),
    (b"8BPS\0\2", Format("Photoshop of large size (PSB)", "psd")),
    (b"8BPS", Format("Photoshop", "psd")),
    (b"FUJIFILMCCD-RAW", Format("Fujifilm raw", "raf")),
    (b"\0MRM", Format("Minolta raw", "mrw")),
    (b"\0MRI", Format("Minolta raw", "mrw")),
    (b"FOVb", Format("Sigma raw", "x3f")),
    (b"\xff\x0a", Format("JPEG XL", "jxl")),
    (b"\0\0\0\x0cJXL \r\n\x87\n", Format("JPEG XL", "jxl")),
    (b"\xff\x4f\xff\x51", Format("JPEG 2000", "jp2")),
    (b"\0\0\0\x0cjP  \r\n\x87\n", Format("JPEG 2000", "jp2")),
    (b"\0\0\x01\0", Format("ICO")),
    (b"%PDF-", Format("PDF", "packets")),
    (b"%!PS", Format("PostScript", "packets")),
    (b"\xc5\xd0\xd3\xc6", Format("EPS", "packets")),
    (b"v/1\x01", Format("OpenEXR")),
    (b"#?RADIANCE", Format("Radiance HDR")),
    (b"qoif", Format("QOI")),
    (b"DDS ", Format("DDS")),
    (b"icns", Format("ICNS")),
    (b"AT&TFORM", Format("DjVu")),
    (b"SIMPLE  =", Format("FITS")),
    (b"BPG\xfb", Format("BPG")),
    (b"FLIF", Format("FLIF")),
    (b"\xd7\xcd\xc6\x9a", Format("WMF")),
    (b"gimp xcf", Format("GIMP")),
    (b"PK\3\4", Format("ZIP", picture=False)),
    (b"OggS", Format("Ogg", picture=False)),
    (b"fLaC", Format("FLAC", picture=False)),
    (b"FLV\1", Format("Flash video", picture=False)),
    (b"MZ", Format("Windows program", picture=False)),
    (b"\x7fELF", Format("ELF", picture=False)),
    (b"7z\xbc\xaf", Format("7-Zip", picture=False)),
    (b"Rar!", Format("RAR", picture=False)),
    (b"\xfd7zXZ", Format("xz", picture=False)),
    (b"SQLite format 3", Format("SQLite", picture=False)),
    (b"0&\xb2u\x8ef\xcf\x11", Format("ASF", picture=False)),
    (b"\0\0\1\xba", Format("MPEG", picture=False)),
    (b"bplist", Format("property list", picture=False)),
    (b"ID3", Format("MP3", picture=False)),
    (b"MAC ", Format("Monkey's Audio", picture=False)),
    (b"wvpk", Format("WavPack", picture=False)),
    (b"MPCK", Format("Musepack", picture=False)),
    (b"TTA1", Format("True Audio", picture=False)),
    (b"DSD ", Format("DSD audio", picture=False)),
    (b"caff", Format("Core Audio", picture=False)),
    (b"BLP1", Format("BLP")),
    (b"BLP2", Format("BLP")),
    (b"\x1aE\xdf\xa3", Format("Matroska", picture=False)),
    (b"\x1f\x8b", Format("gzip", picture=False)),
    (b"\xd0\xcf\x11\xe0", Format("OLE", picture=False)),
)

# Format and media type by brand. A still's own brand says more than the structural ones.
BRANDS = {
    b"avif": ("AVIF", "image/avif"),
    b"avis": ("AVIF", "image/avif"),
    b"avio": ("AVIF", "image/avif"),
    b"heic": ("HEIC", "image/heic"),
    b"heix": ("HEIC", "image/heic"),
    b"heim": ("HEIC", "image/heic"),
    b"heis": ("HEIC", "image/heic"),
    b"hevc": ("HEIC", "image/heic-sequence"),
    b"hevx": ("HEIC", "image/heic-sequence"),
    b"hevm": ("HEIC", "image/heic-sequence"),
    b"hevs": ("HEIC", "image/heic-sequence"),
    b"mif1": ("HEIF", "image/heif"),
    b"mif2": ("HEIF", "image/heif"),
    b"mif3": ("HEIF", "image/heif"),
    b"miaf": ("HEIF", "image/heif"),
    b"msf1": ("HEIF", "image/heif-sequence"),
    b"crx ": ("CR3", "image/x-canon-cr3"),
    b"jp2 ": ("JP2", "image/jp2"),
    b"jpx ": ("JPX", "image/jpx"),
    b"jpm ": ("JPM", "image/jpm"),
    b"jxl ": ("JXL", "image/jxl"),
}
STRUCTURAL = frozenset((b"mif1", b"mif2", b"mif3", b"miaf", b"msf1"))
_NAMES = {"CR3": Format("Canon raw", "isobmff"), "JXL": Format("JPEG XL", "jxl")}
_NAMES |= dict.fromkeys(("JP2", "JPX", "JPM"), Format("JPEG 2000", "jp2"))
_MOVIES = frozenset((b"moov", b"mdat", b"free", b"skip", b"wide", b"pnot"))
_BMP_HEADERS = frozenset((12, 16, 40, 52, 56, 64, 108, 124))
_PCX_FORMS = {bytes((1, depth)) for depth in (1, 2, 4, 8)}  # run lengths, bits of a sample
_XMP = re.compile(
    rb"\s*+(?:\xef\xbb\xbf\s*+)?(?:<\?xml[^>]{0,200}>\s*+)?(?:<!--.{0,400}?-->\s*+)?"
    rb"(?:<\?xpacket begin=|<x:x[am]pmeta|<rdf:RDF)",
    re.DOTALL,
)
_SVG = re.compile(rb"\s*+(?:\xef\xbb\xbf\s*+)?(?:<svg|<\?xml.{0,900}<svg)", re.DOTALL)


def brands(data: Buffer) -> list[bytes]:
    """Major and compatible brands of a file that begins with a `ftyp` box; empty for any other."""
    if data[4:8] != b"ftyp":
        return []
    end = min(int.from_bytes(data[:4], "big"), 256)
    # The minor version is where a further brand would be: a reader that writes no type there is read all the same.
    return [bytes(data[8:12]), *(bytes(data[at : at + 4]) for at in range(16, end - 3, 4))]


def brand(data: Buffer) -> tuple[str, str] | None:
    """Format and media type by the brands of a file; None if no brand is known."""
    known = [name for name in brands(data) if name in BRANDS]
    named = next((name for name in known if name not in STRUCTURAL), known[0] if known else b"")
    # The minor version of a minimized image names its codec (ISO/IEC 23008-12, annex on MinimizedImageBox).
    if named == b"mif3" and bytes(data[12:16]) in BRANDS:
        named = bytes(data[12:16])
    return BRANDS.get(named)


def sniff(data: Buffer) -> Format | None:
    """The format that a file begins like, or None.

    Args:
        data: the file; its first KiB is looked at, and its last bytes for a Targa.
    """
    head = data[:1024]
    for prefix, found in _PREFIXES:
        if head.startswith(prefix):
            return Format("Canon raw", "tiff") if found.name == "TIFF" and head[8:10] == b"CR" else found
    if head[4:8] == b"ftyp":
        known = brand(head)
        if known is None:
            return Format(f"ISO media of brand {head[8:12].decode('ascii', 'replace')!r}")
        return _NAMES.get(known[0]) or Format(known[0], "isobmff")
    return _weaker(head) or _last(data)


def _weaker(head: bytes) -> Format | None:
    """Formats that two to four letters are thin evidence of, so that the fields behind them have to make sense."""
    if head[:4] == b"RIFF":
        return Format("WebP", "webp") if head[8:12] == b"WEBP" else Format("RIFF", picture=False)
    if head[4:8] in (b"jP  ", b"JXL "):
        return Format("JPEG XL", "jxl") if head[4:8] == b"JXL " else Format("JPEG 2000", "jp2")
    if head[6:14] in (b"HEAPCCDR", b"HEAPJPGM") and head[:2] in (b"II", b"MM"):
        return Format("Canon raw", "crw")
    if head[:2] == b"BM" and int.from_bytes(head[14:18], "little") in _BMP_HEADERS:
        return Format("BMP", "bmp")
    if head[:1] == b"P" and head[1:2] in {b"1", b"2", b"3", b"4", b"5", b"6", b"f", b"F"} and head[2:3].isspace():
        return Format("PNM")
    if head[:1] == b"\n" and head[1:2] in {b"\0", b"\2", b"\3", b"\4", b"\5"} and head[2:4] in _PCX_FORMS:
        return Format("PCX")
    # A cursor holds at least one; with none this is how a Targa begins, whose only mark is at its end.
    if head[:4] == b"\0\0\2\0" and any(head[4:6]):
        return Format("Windows cursor")
    if head[4:8] == b"jumb" and head[12:16] == b"jumd":
        return Format("content credentials (C2PA)", "jumbf", picture=False)
    if _XMP.match(head):
        return Format("XMP", "packets", picture=False)
    return Format("SVG", "packets") if _SVG.match(head) else None


def _targa(head: Buffer) -> bool:
    """Whether a header without a mark is that of a Targa: type, colour map, depth and descriptor agree."""
    if len(head) < 18:
        return False
    colour_map, kind, bits, descriptor = head[1], head[2], head[16], head[17]
    first, length, depth = int.from_bytes(head[3:5], "little"), int.from_bytes(head[5:7], "little"), head[7]
    if kind in {1, 9}:
        agree = colour_map == 1 and 0 < length <= 256 and depth in {15, 16, 24, 32} and bits == 8
    else:
        depths = {2: {15, 16, 24, 32}, 10: {15, 16, 24, 32}, 3: {8, 16}, 11: {8, 16}}.get(kind, set())
        agree = colour_map == first == length == depth == 0 and bits in depths
    return agree and descriptor & 0xC0 == 0 and descriptor & 15 <= 8 and any(head[12:14]) and any(head[14:16])


def _last(data: Buffer) -> Format | None:
    """A Targa by its footer or by consistent fields, or a JPEG behind bytes that are not text."""
    if data[-18:] == b"TRUEVISION-XFILE.\0" or _targa(data[:18]):
        return Format("Targa")
    if (
        data[:4] != b"\0\0\2\0"
        and data[4:8] not in _MOVIES
        and not data[:64].isascii()
        and b"\xff\xd8\xff" in data[:MAX_JUNK]
    ):
        return Format("JPEG", "jpeg")
    return None
