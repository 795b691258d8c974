"""Boxes: HEIC, HEIF, AVIF and CR3 (ISO/IEC 14496-12 and 23008-12), JPEG 2000 and JPEG XL.

No picture is decoded, and no count in a box is believed before the bytes for it are there.
"""

from __future__ import annotations

from struct import unpack_from

from functions.exif import codestream
from functions.exif.blocks import Scan
from functions.exif.boxes import Boxes
from functions.exif.items import Meta, exif_item

CANON = bytes.fromhex("85c0b687820f11e08111f4ce462b6a48")
ADOBE_XMP = bytes.fromhex("be7acfcb97a942e89c71999491e3afac")
JP2_EXIF = b"JpgTiffExif->JP2"
JP2_IPTC = bytes.fromhex("33c7a4d2b81d4723a0baf1a3e097ad38")
C2PA = bytes.fromhex("d8fec3d61b0e483c92975828877ec481")
BRANDS = {
    b"avif": ("AVIF", "image/avif"),
    b"avis": ("AVIF", "image/avif"),
    b"heic": ("HEIC", "image/heic"),
    b"heix": ("HEIC", "image/heic"),
    b"hevc": ("HEIC", "image/heic-sequence"),
    b"mif1": ("HEIF", "image/heif"),
    b"msf1": ("HEIF", "image/heif-sequence"),
    b"crx ": ("CR3", "image/x-canon-cr3"),
    b"jp2 ": ("JP2", "image/jp2"),
    b"jpx ": ("JPX", "image/jpx"),
    b"jpm ": ("JPM", "image/jpm"),
    b"jxl ": ("JXL", "image/jxl"),
}


def scan(data: bytes) -> Scan:  # noqa: C901 - one branch for each box
    """Read the boxes of a file that begins with `ftyp`, or with JPEG 2000's or JPEG XL's signature box."""
    result = Scan("HEIF", "image/heif")
    boxes = Boxes(data, result)
    meta: tuple[int, int] | None = None
    partial: list[bytes] = []
    for kind, start, end in boxes.within(0, len(data)):
        if kind == b"ftyp":
            _brand(result, data[start : min(end, start + 256)])
        elif kind == b"meta" and meta is None:
            meta = (start + 4, end)
        elif kind == b"moov":
            _movie(boxes, start, end)
        elif kind == b"jp2h":
            _jp2_header(boxes, start, end)
        elif kind == b"uuid":
            _uuid(result, data, start, end)
        elif kind in (b"xml ", b"XML "):
            result.add("xmp", start, data[start:end], "xml")
        elif kind == b"Exif" and end - start > 4:
            exif_item(result, data[start:end], start, "Exif")
        elif kind == b"brob":
            result.warn(f"box {data[start : start + 4].decode('latin-1')!r} is compressed with Brotli and not read")
        elif kind == b"jumb":
            result.add("jumbf", start, data[start:end], "jumb")
        elif kind == b"jxlc":
            codestream.jxl(result, data[start : start + 64])
        elif kind == b"jxlp" and len(partial) < 2:
            partial.append(data[start + 4 : start + 68])
        elif kind == b"jp2c" and result.width is None:
            codestream.jp2(result, data[start : start + 64])
    if partial:
        codestream.jxl(result, partial[0])
    if meta is not None:
        Meta(boxes, *meta).read()
    return result


def _brand(result: Scan, body: bytes) -> None:
    major, compatible = body[:4], [body[at : at + 4] for at in range(8, len(body), 4)]
    for brand in (major, *compatible):
        if brand in BRANDS:
            result.format, result.media_type = BRANDS[brand]
            # A still's own brand says more than the structural one that comes first.
            if brand not in (b"mif1", b"msf1"):
                break
    result.details["brand"] = major.decode("latin-1").strip()


def _uuid(result: Scan, data: bytes, start: int, end: int) -> None:
    if end - start < 16:
        return
    name, body = data[start : start + 16], start + 16
    if name == ADOBE_XMP:
        result.add("xmp", body, data[body:end], "uuid")
    elif name == JP2_EXIF:
        skipped = 6 if data[body : body + 6] == b"Exif\0\0" else 0
        result.add("exif", body + skipped, data[body + skipped : end], "uuid")
    elif name == JP2_IPTC:
        result.add("iptc", body, data[body:end], "uuid")
    elif name == C2PA:
        result.add("jumbf", body, data[body:end], "uuid")


def _movie(boxes: Boxes, start: int, end: int) -> None:
    """CR3: Canon's uuid box in `moov` holds four TIFF structures; tracks tell the pictures' sizes."""
    data, result = boxes.data, boxes.result
    tracks = 0
    for kind, inner, stop in boxes.within(start, end):
        if kind == b"uuid" and data[inner : inner + 16] == CANON:
            for name, at, last in boxes.within(inner + 16, stop):
                if name in (b"CMT1", b"CMT2", b"CMT3", b"CMT4"):
                    result.add("exif", at, data[at:last], name.decode("ascii"))
        elif kind == b"uuid":
            _uuid(result, data, inner, stop)
        elif kind == b"trak":
            tracks += 1
            for name, at, last in boxes.within(inner, stop):
                if name == b"tkhd" and last - at >= 84 and result.format != "CR3":
                    width, height = unpack_from(">II", data, last - 8)
                    if result.width is None and width >> 16:
                        result.width, result.height = width >> 16, height >> 16


def _jp2_header(boxes: Boxes, start: int, end: int) -> None:
    data, result = boxes.data, boxes.result
    for kind, inner, stop in boxes.within(start, end):
        if kind == b"ihdr" and stop - inner >= 14:
            height, width, components, bits = unpack_from(">IIHB", data, inner)
            result.width, result.height = width, height
            result.details.update(components=components, bits_per_sample=(bits & 0x7F) + 1)
        elif kind == b"colr" and stop - inner > 3 and data[inner] == 2:
            result.add("icc", inner + 3, data[inner + 3 : stop], "colr")
        elif kind == b"res ":
            for name, at, last in boxes.within(inner, stop):
                if name in (b"resc", b"resd") and last - at >= 10:
                    _jp2_resolution(result, data, at, "capture" if name == b"resc" else "display")


def _jp2_resolution(result: Scan, data: bytes, at: int, name: str) -> None:
    """Samples a metre, as a fraction and a power of ten (ISO/IEC 15444-1, I.5.3.7)."""
    y_top, y_bottom, x_top, x_bottom, y_power, x_power = unpack_from(">HHHHbb", data, at)
    if x_bottom and y_bottom:
        result.details[f"{name}_resolution_x"] = x_top / x_bottom * 10.0**x_power
        result.details[f"{name}_resolution_y"] = y_top / y_bottom * 10.0**y_power
