"""From a file's parts to its blocks of metadata, what was not read of it, and the files inside it.

Containers are read in `functions.kit.containers`; here it is decided what their parts are to a reader of metadata.
"""

from __future__ import annotations

from functions.exif.fields import png, resources, simple
from functions.exif.scan import heif, photoshop, trailer
from functions.exif.scan.result import Scan
from functions.kit.containers import METADATA, Document, Kind, Packing, Part, jpeg

# Blocks that a JPEG's reader puts first and last: Exif, and what may span several segments.
_FIRST, _LAST = -1, 1
MAX_EXTENDED_XMP = 8 * 2**20
RAW_PROFILE = "Raw profile type "
# Chunks of a PNG that have a fixed form, with the most bytes that each may have.
_CHUNKS = {
    b"IEND": 0,
    b"IHDR": 13,
    b"PLTE": 768,
    b"tRNS": 256,
    b"hIST": 512,
    b"acTL": 8,
    b"fcTL": 26,
    b"bKGD": 6,
    b"cHRM": 32,
    b"cICP": 4,
    b"cLLI": 8,
    b"mDCV": 24,
    b"gAMA": 4,
    b"sBIT": 4,
    b"sRGB": 1,
    b"sTER": 1,
    b"oFFs": 9,
    b"pHYs": 9,
    b"tIME": 7,
    b"gIFg": 4,
    b"vpAg": 9,
    b"iDOT": 28,
    b"orNT": 1,
    b"sPLT": 0,  # it has a name
    # Those of a WebP.
    b"VP8X": 10,
    b"ANIM": 6,
    # Boxes.
    b"jP  ": 4,
    b"JXL ": 4,
    b"jxll": 1,
    b"jxli": 2**20,
    b"jbrd": 0,
    b"rreq": 256,
}
# Bytes of a JPEG's segments of a fixed form; arithmetic conditioning has two bytes a table.
_SEGMENTS = {0xDD: 2, 0xDC: 2, 0xDF: 1, 0xCC: 8}
_ELEMENTS = {"jpeg": "segment", "png": "chunk", "webp": "chunk", "jxl": "box", "jp2": "box", "gif": "extension"}
_ELEMENTS["mrw"] = "block"


def scan(document: Document, *, whole: bool = True) -> Scan:
    """The scan of a document.

    Args:
        document: of any container.
        whole: also the fields of its boxes.
    """
    result = Scan(document.format, document.media_type, document.width, document.height, document.frames)
    result.details = document.details
    result.size = document.source.size
    if document.reader == "isobmff":
        heif.read(document, result, whole=whole)
    else:
        if whole and document.reader in ("jp2", "jxl"):
            heif.brands(document, result, "Jpeg2000")
        if whole:
            _fields(document, result)
        _Reader(document, result).run()
    for warning in document.warnings:
        result.warn(warning)
    for kind, where, size in document.lost:
        result.miss(kind, where, -1, size)
    for part in document.not_held():
        result.miss("not received", part.label or str(part.kind), part.start, part.end - part.start)
    return result


def _fields(document: Document, result: Scan) -> None:
    """The container's own fields, beside those that all containers have."""
    source = document.source
    simple.add(result, document.reader, source.read(0, min(source.size, simple.HEAD)))
    if document.reader == "png":
        for part in document.parts:
            if isinstance(part.key, bytes) and part.key in png.CHUNKS:
                png.add(result, part.key, source.read(part.start + 8, min(part.end - 4, part.start + png.MAX_FIELD)))
    elif document.reader == "psd" and document.width:
        numbers = (document.details.get(name, 0) for name in ("channels", "bits_per_sample", "color_mode"))
        resources.header(result, *map(int, numbers))
        for part in document.parts:
            if part.label == "merged picture":
                resources.compression(result, int.from_bytes(source.read(part.start, part.start + 2), "big"))


class _Reader:
    def __init__(self, document: Document, result: Scan) -> None:
        self.document, self.result, self.source = document, result, document.source

    def run(self) -> None:
        """All parts."""
        document, result = self.document, self.result
        if document.reader == "tiff":
            result.add("exif", 0, document.source.data, "TIFF")  # type: ignore[arg-type]
            result.tiff = document.format if document.format in ("RW2", "JXR") else ""
            return
        blocks = [part for part in document.parts if part.kind in METADATA and part.lead < 0]
        if document.reader == "jpeg":
            blocks.sort(key=_order)
        for part in blocks:
            self._block(part)
        if document.reader == "webp" and any("ends inside chunk" in warning for warning in document.warnings):
            last = document.parts[-1]
            result.miss("chunk", last.label or "the last chunk", last.start, last.end - last.start)
        behind = len(self.source.data)
        for part in document.parts:
            if part.kind in (Kind.TRAILER, Kind.PICTURE, Kind.VIDEO):
                behind = min(behind, part.start)
            elif part.kind not in METADATA:
                self._other(part)
        self._end(behind)

    def _end(self, behind: int) -> None:
        """What a broken end hides, and what follows the end of the picture."""
        document, result, end = self.document, self.result, self.source.size
        ended = True
        if document.reader == "jpeg":
            ended = _unended(document, result)
        elif document.reader == "png":
            ended = _unfinished(document, result)
        elif document.reader == "gif" and behind < end and self.source.read(behind - 1, behind) != b";":
            result.miss("gap", "after the last block", behind, end - behind)
        if document.reader == "gif" and document.warnings:
            last = max((part.start for part in document.parts if part.kind is Kind.PIXELS), default=13)
            result.miss(
                "picture", f"frame {sum(part.kind is Kind.PIXELS for part in document.parts)}", last, end - last
            )
        elif behind >= end or not ended:
            return
        elif document.reader == "webp" and behind < 8 + int.from_bytes(self.source.read(4, 8), "little"):
            result.miss("gap", "after the last chunk", behind, end - behind)
        elif self.source.holes:
            self._held_behind()
        elif document.reader in ("jxl", "jp2"):
            result.miss("trailer", "after the last box", behind, end - behind)
        else:
            trailer.after(result, document.source.read(0, end), behind, jpeg.end)

    def _held_behind(self) -> None:
        """What is held of the files and bytes behind the picture."""
        names = {Kind.PICTURE: "picture", Kind.VIDEO: "video"}
        for part in self.document.parts:
            if part.kind in names and self.source.held(part.start, part.end):
                data = self.source.read(part.start, part.end)
                self.result.hold(names[part.kind], "after the picture", part.start, data)
            elif part.kind is Kind.TRAILER and self.source.held(part.start, part.end):
                self.result.miss("trailer", "after the picture", part.start, part.end - part.start)

    def _block(self, part: Part) -> None:
        """One block of metadata."""
        document, result = self.document, self.result
        data = document.content(part)
        if data is None or (self.source.holes and not self.source.held(part.start, part.end)):
            return  # named with what was not received
        offset, where, kind = document.offset(part), part.label, part.kind
        if kind is Kind.PHOTOSHOP:
            if document.reader == "jpeg":
                result.add("photoshop", offset, data, where)
            photoshop.resources(result, data, offset, where)
        elif part.packing in (Packing.HEX, Packing.ZLIB_HEX) or part.name.startswith(RAW_PROFILE):
            self._raw_profile(part, data)
        elif document.reader == "jxl" and kind is Kind.EXIF:
            where = "brob Exif" if part.packing else where
            if part.packing:
                heif.exif_item(result, data, -1, where)
            else:
                self._tiff(data, offset, where)
        elif kind is Kind.XMP and part.name == "extended":
            if len(data) > MAX_EXTENDED_XMP or any("extended XMP" in warning for warning in document.warnings):
                result.miss("xmp", where, -1, len(data))
            if len(data) <= MAX_EXTENDED_XMP:
                result.add("xmp", -1, data, where, "extended")
        elif part.name == "ICC_PROFILE" and kind is Kind.APP:
            result.miss("icc", where, part.body + 14, part.stop - part.body - 14)
        else:
            self._plain(part, data, offset)

    def _plain(self, part: Part, data: bytes, offset: int) -> None:
        result, where, kind = self.result, part.label, part.kind
        if self.document.reader in ("jxl", "jp2") and part.packing:
            where = f"brob {part.label if part.kind is Kind.UNKNOWN else _BROTLI.get(part.kind, '')}"
        if kind is Kind.ICC and self.document.reader == "jpeg":
            stated = self.source.data[min(self.document.members(part))[1] + 17]
            if stated != len(self.document.members(part)):
                result.miss("icc", where, part.body, len(data))
        if kind is Kind.TEXT and part.key == b"iTXt":
            self._translated(part)
        if kind is Kind.ICC and not data:
            return
        if (
            self.document.reader == "jp2"
            and kind is Kind.COMMENT
            and self.source.read(part.body - 1, part.body) != b"\1"
        ):
            result.miss("segment", "codestream comment", part.body - 2, len(data) + 2)
            return
        result.add(str(kind), offset, data, where, part.name)

    def _tiff(self, data: bytes, offset: int, where: str) -> None:
        if data[:2] in (b"II", b"MM"):
            self.result.add("exif", offset, data, where)
        elif len(data) > 4:
            self.result.warn(f"{where}: no TIFF header in the Exif item")
            self.result.miss("exif", where, offset, len(data))

    def _translated(self, part: Part) -> None:
        """The keyword of a PNG's international text in another language."""
        fields = self.source.read(part.start + 8, part.body).split(b"\0")
        if len(fields) > 3 and fields[-2]:
            self.result.add("text", -1, fields[-2], "iTXt", f"{part.name} (translated keyword)")

    def _raw_profile(self, part: Part, profile: bytes) -> None:
        """A profile that ImageMagick and others put into text."""
        result, where = self.result, part.label
        name = part.name[len(RAW_PROFILE) :].lower()
        if part.kind is Kind.EXIF:
            if profile.startswith(b"Exif\0\0"):
                result.add("exif", -1, profile[6:], where, name)
            elif profile[:2] in (b"II", b"MM"):
                result.add("exif", -1, profile, where, name)
            elif b"<" in profile[:256]:
                packet = profile.partition(b"\0")[2] if profile.startswith(b"http://") else profile
                result.add("xmp", -1, packet, where, name)
            else:
                result.miss("raw profile", where, -1, len(profile))
        elif part.kind is Kind.IPTC and profile.startswith(b"8BIM"):
            photoshop.resources(result, profile, -1, where)
        else:
            if part.kind is Kind.TEXT:
                result.miss("raw profile", f"{where} {name}", -1, len(profile))
                name = RAW_PROFILE + name
            result.add(str(part.kind), -1, profile, where, name)

    def _other(self, part: Part) -> None:
        """A part that is no block: what of it may hold metadata is not read."""
        result, reader, kind = self.result, self.document.reader, part.kind
        body, stop = (part.body, part.stop) if part.body >= 0 else (part.start, part.end)
        word = _ELEMENTS.get(reader, "part")
        if kind in (Kind.STRUCTURE, Kind.TIME, Kind.PIXELS) and part.label != "layers":
            slack = _slack(self.document, part)
            where = f"marker FF{_marker(part):02X}" if reader == "jpeg" else part.label
            result.miss(word, where, part.end - slack if reader == "jpeg" else stop - slack, slack)
        elif reader == "psd" and part.label == "layers":
            result.miss("layers", "layer and mask information", body, stop - body)
        elif kind is Kind.GAP:
            places = {"jpeg": "between segments"}
            result.miss("gap", places.get(reader, "after the last " + word), part.start, part.end - part.start)
        elif kind is Kind.UNKNOWN and part.name == "junk":
            result.miss("gap", "before the picture", part.start, part.end - part.start)
        elif kind is Kind.UNKNOWN and reader == "jpeg":
            result.miss(word, f"marker FF{part.key:02X}", body, stop - body)
        elif kind in (Kind.UNKNOWN, Kind.ESSENTIAL) and not (reader == "mrw" and part.label == "PAD"):
            expected = _CHUNKS.get(part.key, 0) if isinstance(part.key, bytes) else 0
            result.miss(word, part.label, body + expected, stop - body - expected)
        elif kind is Kind.FREE and self.source.read(body, stop).strip(b"\0"):
            result.miss(word, part.label, body, stop - body)


_BROTLI = {Kind.XMP: "xml", Kind.JUMBF: "jumb"}


def _order(part: Part) -> int:
    if part.kind is Kind.EXIF:
        return _FIRST
    spanning = part.kind in (Kind.ICC, Kind.PHOTOSHOP) or part.name == "extended"
    return _LAST * (1 + (part.kind is Kind.PHOTOSHOP) + (part.kind is not Kind.ICC)) if spanning else 0


def _marker(part: Part) -> int:
    return part.key if isinstance(part.key, int) else 0


def _slack(document: Document, part: Part) -> int:
    """How many bytes of an element its tables and fields do not account for."""
    if document.reader == "jpeg":
        return _unused(document, part)
    body, stop = part.body, part.stop
    if part.kind is Kind.PIXELS or body < 0 or not isinstance(part.key, bytes):
        return 0
    expected = _CHUNKS.get(part.key)
    return max(stop - body - expected, 0) if expected is not None else 0


def _unused(document: Document, part: Part) -> int:
    """The same of a JPEG's segment."""
    marker, data = _marker(part), document.source.data
    if part.body < 0 and marker != jpeg.SOS:
        return 0
    start, stop = part.start + 4, part.end
    if marker == jpeg.SOS:
        stop = min(part.start + 2 + int.from_bytes(data[part.start + 2 : start], "big"), part.end)
        return max(stop - start - 4 - 2 * data[start], 0) if stop > start else 0
    if marker in (0xDB, 0xC4):
        return _tables(data[start:stop], marker)
    if marker in jpeg.START_OF_FRAME and stop - start >= 6:
        return max(stop - start - 6 - 3 * data[start + 5], 0)
    return max(stop - start - _SEGMENTS.get(marker, 0), 0)


def _tables(data: bytes, marker: int) -> int:
    at, stop = 0, len(data)
    while at < stop:
        if data[at] & 0xEC:  # no class or precision and number of a table
            return stop - at
        if marker == 0xDB:
            at += 129 if data[at] >> 4 else 65
        else:
            at += 17 + sum(data[at + 1 : at + 17])
    return stop if at > stop else 0


def _unended(document: Document, result: Scan) -> bool:
    """Whether the picture has an end; else it has no scan, or breaks off."""
    parts = [part for part in document.parts if part.kind in (Kind.STRUCTURE, Kind.PIXELS)]
    pixels = [part for part in parts if part.kind is Kind.PIXELS]
    for part in document.parts[-1:]:
        _cut(document, result, part)
    if document.format == "EXV" or any(part.key == jpeg.EOI for part in parts):
        return True
    last = document.parts[-1]
    rest = min((part.start for part in document.parts if part.kind in _BEHIND), default=last.end)
    if not pixels:
        result.miss("picture", "a picture without a scan", 0, rest)
    elif last is pixels[-1] and last.key == jpeg.SOS:
        result.warn("the file ends inside the picture")
        result.miss("picture", "a scan without an end", last.start, last.end - last.start)
    if rest < document.source.size and last.kind is not Kind.PADDING:
        result.miss("gap", "between segments", rest, document.source.size - rest)
    return False


def _cut(document: Document, result: Scan, part: Part) -> None:
    """Record a segment that the file ends in."""
    if part.end == document.source.size and part.key is not None and part.key not in (jpeg.EOI, *jpeg.STANDALONE):
        stated = int.from_bytes(document.source.read(part.start + 2, part.start + 4), "big")
        if part.start + 2 + stated > part.end:
            result.miss("segment", f"marker FF{_marker(part):02X}", part.start, part.end - part.start)


def _unfinished(document: Document, result: Scan) -> bool:
    """Whether a PNG has an end; else its last chunk may be anything."""
    chunks = [part for part in document.parts if part.key is not None]
    if any(part.key == b"IEND" for part in chunks):
        return True
    end = document.source.size
    last = chunks[-1] if chunks else document.parts[0]
    if chunks and last.start + 8 + int.from_bytes(document.source.read(last.start, last.start + 4), "big") > end:
        result.miss("chunk", last.label, last.start + 8, end - last.start - 8)
    result.miss("picture", "a picture without IEND", last.start, end - last.start)
    return False


_BEHIND = (Kind.TRAILER, Kind.PICTURE, Kind.VIDEO, Kind.PADDING)
