"""Boxes: HEIC, HEIF, AVIF and CR3 (ISO/IEC 14496-12 and 23008-12), JPEG 2000 and JPEG XL.

No picture is decoded, and no count in a box is believed before the bytes for it are there.
"""

from __future__ import annotations

from struct import unpack_from

from functions.exif import codestream, mini, movie
from functions.exif.blocks import Scan
from functions.exif.boxes import Boxes, label
from functions.exif.brotlis import inflate
from functions.exif.fields import heif
from functions.exif.items import Meta, exif_item
from functions.exif.uuids import uuid

BRANDS = {
    b"avif": ("AVIF", "image/avif"),
    b"avis": ("AVIF", "image/avif"),
    b"heic": ("HEIC", "image/heic"),
    b"heix": ("HEIC", "image/heic"),
    b"hevc": ("HEIC", "image/heic-sequence"),
    b"heim": ("HEIC", "image/heic"),
    b"heis": ("HEIC", "image/heic"),
    b"mif1": ("HEIF", "image/heif"),
    b"mif2": ("HEIF", "image/heif"),
    b"mif3": ("HEIF", "image/heif"),
    b"msf1": ("HEIF", "image/heif-sequence"),
    b"crx ": ("CR3", "image/x-canon-cr3"),
    b"jp2 ": ("JP2", "image/jp2"),
    b"jpx ": ("JPX", "image/jpx"),
    b"jpm ": ("JPM", "image/jpm"),
    b"jxl ": ("JXL", "image/jxl"),
}


def scan(data: bytes, *, whole: bool = True) -> Scan:
    """Read the boxes of a file that begins with `ftyp`, or with JPEG 2000's or JPEG XL's signature box.

    Args:
        data: the file.
        whole: also account for the bytes that belong to no item.
    """
    result = Scan("HEIF", "image/heif")
    reader = _Reader(result, data, whole=whole)
    position = 0
    for kind, start, end in reader.boxes.within(0, len(data)):
        reader.box(kind, start, end)
        position = end
    reader.boxes.rest(position, len(data), "after the last box")
    reader.finish(whole=whole)
    return result


class _Reader:
    """Reads the boxes of a file's top level."""

    def __init__(self, result: Scan, data: bytes, *, whole: bool) -> None:
        self.whole = whole
        self.result = result
        self.data = data
        self.boxes = Boxes(data, result)
        self.meta: tuple[int, int] | None = None
        self.stores: list[tuple[int, int]] = []
        self.has_movie = False
        self.partial: list[bytes] = []

    def box(self, kind: bytes, start: int, end: int) -> None:  # noqa: C901 - one branch for each box
        """One box: its content from start to end."""
        result, data = self.result, self.data
        if kind == b"ftyp":
            _brand(result, data[start : min(end, start + 256)])
            if self.whole:
                heif.brands(result, data[start : min(end, start + 256)], _brand_group(result))
        elif kind == b"meta" and self.meta is None:
            self.meta = (start + 4, end)
        elif kind == b"mini":
            mini.read(result, data, start, end)
        elif kind == b"mdat":
            self.stores.append((start, end))
            if self.whole:
                heif.store(result, start, end)
        elif kind == b"moov":
            self.has_movie = True
            movie.read(self.boxes, start, end)
        elif kind == b"mpvd":
            result.hold("video", "mpvd", start, data[start:end])
        elif kind in (b"free", b"skip", b"wide", b"pnot"):
            if data[start:end].strip(b"\0"):
                result.miss("box", kind.decode("ascii"), start, end - start)
        elif kind == b"jp2h":
            _jp2_header(self.boxes, start, end)
        elif kind in _JPX_PARENTS:
            self.labels(start, end, kind)
        elif kind == b"jp2c":
            codestream.jp2(result, data, start, end)
        elif not self.metadata(kind, start, end):
            self.codestream(kind, start, end)

    def metadata(self, kind: bytes, start: int, end: int) -> bool:
        """A box of metadata, if it is one."""
        result, data = self.result, self.data
        if kind == b"uuid":
            uuid(result, data, start, end)
        elif kind in (b"xml ", b"XML "):
            result.add("xmp", start, data[start:end], "xml")
        elif kind == b"Exif" and end - start > 4:
            exif_item(result, data[start:end], start, "Exif")
        elif kind == b"brob" and end - start > 4:
            self.compressed(data[start : start + 4], start, end)
        elif kind == b"jumb":
            result.add("jumbf", start, data[start:end], "jumb")
        else:
            return False
        return True

    def compressed(self, kind: bytes, start: int, end: int) -> None:
        """A box of JPEG XL whose content is compressed with Brotli: its type comes first."""
        result = self.result
        where = f"brob {label(kind)}"
        body = inflate(result, self.data[start + 4 : end], where, start + 4)
        if body is None:
            return
        if kind == b"Exif" and len(body) > 4:
            exif_item(result, body, -1, where)
        elif kind == b"xml ":
            result.add("xmp", -1, body, where)
        elif kind == b"jumb":
            result.add("jumbf", -1, body, where)
        else:
            result.miss("box", where, start, end - start)

    def codestream(self, kind: bytes, start: int, end: int) -> None:
        """A box of the picture itself; any other is recorded as not read."""
        data, result = self.data, self.result
        if kind == b"jxlc":
            codestream.jxl(result, data[start : start + 64])
        elif kind == b"jxlp":
            if len(self.partial) < 2:
                self.partial.append(data[start + 4 : start + 68])
        elif kind not in _SILENT or end - start > _SILENT[kind]:
            result.miss("box", label(kind), start, end - start)

    def labels(self, start: int, end: int, parent: bytes) -> None:
        """Labels, addresses and other metadata in the boxes that JPX puts around them."""
        for kind, inner, stop in self.boxes.within(start, end):
            if kind in _JPX_PARENTS:
                self.labels(inner, stop, kind)
            elif kind in (b"lbl ", b"url "):
                name = "Label" if kind == b"lbl " else "URL"
                self.result.add("text", inner, self.data[inner:stop], "jpx", name)
            elif not self.metadata(kind, inner, stop) and kind not in _JPX_SILENT:
                self.result.miss("box", f"{label(parent)}/{label(kind)}", inner, stop - inner)

    def finish(self, *, whole: bool) -> None:
        """What can be read when all boxes are known."""
        if self.partial:
            codestream.jxl(self.result, self.partial[0])
        if self.meta is not None:
            meta = Meta(self.boxes, *self.meta)
            meta.read(self.stores if whole and not self.has_movie else [])
            if whole:
                meta.rows()
        elif whole and not self.has_movie:
            for start, end in self.stores:
                self.result.miss("box", "mdat", start, end - start)


# Boxes that cannot hold metadata, with the most bytes that each has.
_SILENT = {b"jP  ": 4, b"JXL ": 4, b"jxll": 1, b"jxli": 2**20, b"rreq": 256}
_JPX_PARENTS = frozenset((b"asoc", b"jpch", b"jplh", b"uinf", b"res "))
_JPX_SILENT = frozenset((b"cgrp", b"colr", b"opct", b"creg", b"nlst", b"ihdr", b"bpcc", b"pclr", b"cmap", b"cdef"))


def _brand_group(result: Scan) -> str:
    return "Jpeg2000" if result.format in ("JP2", "JPX", "JPM", "JXL") else "QuickTime"


def _brand(result: Scan, body: bytes) -> None:
    major, compatible = body[:4], [body[at : at + 4] for at in range(8, len(body), 4)]
    # A file of a MinimizedImageBox names its brand in place of a version.
    for brand in (major, *([body[4:8]] if major == b"mif3" else []), *compatible):
        if brand in BRANDS:
            result.format, result.media_type = BRANDS[brand]
            # A still's own brand says more than the structural one that comes first.
            if brand not in (b"mif1", b"mif2", b"mif3", b"msf1"):
                break
    result.details["brand"] = major.decode("latin-1").strip()


def _jp2_header(boxes: Boxes, start: int, end: int) -> None:
    data, result = boxes.data, boxes.result
    for kind, inner, stop in boxes.within(start, end):
        if kind == b"ihdr" and stop - inner >= 14:
            height, width, components, bits = unpack_from(">IIHB", data, inner)
            result.width, result.height = width, height
            result.details.update(components=components, bits_per_sample=(bits & 0x7F) + 1)
        elif kind == b"colr" and stop - inner > 3 and data[inner] == 2:
            result.add("icc", inner + 3, data[inner + 3 : stop], "colr")
        elif kind not in (b"res ", b"bpcc", b"colr", b"pclr", b"cmap", b"cdef", b"ihdr"):
            result.miss("box", f"jp2h/{label(kind)}", inner, stop - inner)
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
