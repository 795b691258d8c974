"""Boxes: HEIC, HEIF, AVIF and CR3 (ISO/IEC 14496-12 and 23008-12), JPEG 2000 and JPEG XL.

Items are found through `meta`: `iinf` names them, `iloc` says where their bytes stand, `iprp` how large a picture is.
No picture is decoded, and no count in a box is believed before the bytes for it are there.
"""

from __future__ import annotations

from collections.abc import Iterator
from struct import unpack_from

from functions.exif import codestream
from functions.exif.blocks import Scan

MAX_BOXES = 20_000
MAX_ITEMS = 4096
MAX_DEPTH = 8
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


class Boxes:
    """A budget of boxes over one file, so that no nesting and no run of empty boxes takes long."""

    def __init__(self, data: bytes, result: Scan) -> None:
        self.data = data
        self.result = result
        self.left = MAX_BOXES

    def within(self, start: int, end: int) -> Iterator[tuple[bytes, int, int]]:
        """The boxes from start to end: type, start and end of the content."""
        data = self.data
        while start + 8 <= end and self.left > 0:
            self.left -= 1
            size, kind = unpack_from(">I4s", data, start)
            content = start + 8
            if size == 1 and start + 16 <= end:
                (size,) = unpack_from(">Q", data, content)
                content += 8
            elif size == 0:
                size = end - start
            if size < content - start:
                self.result.warn(f"box {kind.decode('latin-1')!r} of {size} bytes at byte {start}")
                return
            stop = start + size
            if stop > end:
                self.result.warn(f"box {kind.decode('latin-1')!r} at byte {start} runs over its end")
                stop = end
            yield kind, content, stop
            start = stop


def scan(data: bytes) -> Scan:
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
            _exif_item(result, data[start:end], start, "Exif")
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
        _Meta(boxes, *meta).read()
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


def _exif_item(result: Scan, body: bytes, offset: int, where: str) -> None:
    """An Exif item: four bytes that say how far it is to the TIFF header, then usually JPEG's `Exif` header."""
    (skipped,) = unpack_from(">I", body)
    start = 4 + skipped
    if body[start : start + 2] not in (b"II", b"MM"):
        # Writers get the distance wrong: look where the header usually stands.
        start = next((at for at in (4, 10, 0, 6) if body[at : at + 2] in (b"II", b"MM")), -1)
        if start < 0:
            result.warn(f"{where}: no TIFF header in the Exif item")
            return
    result.add("exif", offset + start if offset >= 0 else -1, body[start:], where)


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


class _Meta:
    """The `meta` box of a still picture."""

    def __init__(self, boxes: Boxes, start: int, end: int) -> None:
        self.boxes, self.data, self.result = boxes, boxes.data, boxes.result
        self.start, self.end = start, end
        self.kinds: dict[int, tuple[bytes, bytes]] = {}
        self.places: dict[int, tuple[int, list[tuple[int, int]]]] = {}
        self.primary = 0
        self.properties: list[tuple[bytes, int, int]] = []
        self.associations: dict[int, list[int]] = {}
        self.idat = (0, 0)

    def read(self) -> None:
        """Find the metadata items and the primary picture's size."""
        data = self.data
        for kind, start, end in self.boxes.within(self.start, self.end):
            if kind == b"iinf":
                self._names(start, end)
            elif kind == b"iloc":
                self._locations(start, end)
            elif kind == b"pitm" and end - start >= 6:
                wide = data[start] and end - start >= 8
                (self.primary,) = unpack_from(">I" if wide else ">H", data, start + 4)
            elif kind == b"idat":
                self.idat = (start, end)
            elif kind == b"iprp":
                for name, inner, stop in self.boxes.within(start, end):
                    if name == b"ipco":
                        self.properties = list(self.boxes.within(inner, stop))
                    elif name == b"ipma":
                        self._associate(inner, stop)
        self._picture()
        for item, (kind, content_type) in self.kinds.items():
            if kind == b"Exif" or (kind == b"mime" and content_type.startswith(b"application/rdf+xml")):
                self._item(item, kind)

    def _item(self, item: int, kind: bytes) -> None:
        method, extents = self.places.get(item, (0, []))
        base, limit = (0, len(self.data)) if method == 0 else self.idat
        parts = []
        for offset, length in extents:
            start = base + offset
            stop = start + length if length else limit
            if method > 1 or start >= limit or stop > limit:
                self.result.warn(f"item {item}: its bytes are not in the file")
            if method <= 1 and start < limit:
                parts.append(self.data[start : min(stop, limit)])
        body = b"".join(parts)
        where = f"item {item}"
        at = base + extents[0][0] if len(extents) == 1 else -1
        if kind == b"Exif":
            if len(body) > 4:
                _exif_item(self.result, body, at, where)
        elif body:
            self.result.add("xmp", at, body, where)

    def _names(self, start: int, end: int) -> None:
        if end - start < 6:
            return
        version = self.data[start]
        first = start + (8 if version else 6)
        for kind, inner, stop in self.boxes.within(first, end):
            if kind != b"infe" or stop - inner < 12 or len(self.kinds) >= MAX_ITEMS:
                continue
            body = self.data[inner : min(stop, inner + 512)]
            if body[0] == 2:
                (item,) = unpack_from(">H", body, 4)
                at = 8
            elif body[0] == 3 and len(body) >= 14:
                (item,) = unpack_from(">I", body, 4)
                at = 10
            else:
                continue
            kind_of_item = body[at : at + 4]
            strings = body[at + 4 :].split(b"\0")
            self.kinds[item] = (kind_of_item, strings[1] if len(strings) > 1 else b"")

    def _locations(self, start: int, end: int) -> None:
        """`iloc`: the sizes of its fields are themselves fields (14496-12, 8.11.3)."""
        if end - start < 8:
            return
        data = self.data
        version, sizes = data[start], unpack_from(">H", data, start + 4)[0]
        offset_size, length_size = sizes >> 12, sizes >> 8 & 15
        base_size, index_size = sizes >> 4 & 15, sizes & 15 if version else 0
        wide = version >= 2
        at = start + 6
        count = _number(data, at, 4 if wide else 2)
        at += 4 if wide else 2
        for _ in range(min(count, MAX_ITEMS)):
            if at + 6 > end:
                return
            item = _number(data, at, 4 if wide else 2)
            at += 4 if wide else 2
            method = 0
            if version:
                method = data[at + 1] & 15
                at += 2
            base = _number(data, at + 2, base_size)
            at += 2 + base_size
            extents = _number(data, at, 2)
            at += 2
            step = index_size + offset_size + length_size
            found = []
            for _ in range(min(extents, MAX_ITEMS) if step else 0):
                if at + step > end:
                    return
                offset = _number(data, at + index_size, offset_size)
                found.append((base + offset, _number(data, at + index_size + offset_size, length_size)))
                at += step
            if not step and extents:
                found.append((base, 0))
            self.places[item] = (method, found[:64])

    def _associate(self, start: int, end: int) -> None:
        if end - start < 8:
            return
        data = self.data
        version, wide = data[start], data[start + 3] & 1
        (count,) = unpack_from(">I", data, start + 4)
        at = start + 8
        for _ in range(min(count, MAX_ITEMS)):
            size = 4 if version else 2
            if at + size + 1 > end:
                return
            item = _number(data, at, size)
            number = data[at + size]
            at += size + 1
            width = 2 if wide else 1
            if at + number * width > end:
                return
            mask = 0x7FFF if wide else 0x7F
            self.associations[item] = [_number(data, at + width * i, width) & mask for i in range(number)]
            at += number * width

    def _picture(self) -> None:
        data, result = self.data, self.result
        for index in self.associations.get(self.primary, []):
            if not 1 <= index <= len(self.properties):
                continue
            kind, start, end = self.properties[index - 1]
            if kind == b"ispe" and end - start >= 12:
                result.width, result.height = unpack_from(">II", data, start + 4)
            elif kind == b"colr" and data[start : start + 4] in (b"prof", b"rICC"):
                result.add("icc", start + 4, data[start + 4 : end], "colr")
            elif kind == b"irot" and end > start:
                result.details["rotation"] = (data[start] & 3) * 90
            elif kind == b"pixi" and end - start >= 6:
                result.details["bits_per_sample"] = data[start + 5]


def _number(data: bytes, at: int, size: int) -> int:
    return int.from_bytes(data[at : at + size], "big")
