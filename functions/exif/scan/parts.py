"""From a file's parts to its blocks of metadata, what was not read of it, and the files inside it.

Containers are read in `functions.kit.containers`; here it is decided what their parts are to a reader of metadata.
The readers of rare formats are imported with their first file: a JPEG needs none of them.
"""

from __future__ import annotations

import re

from functions.exif.fields import simple
from functions.exif.scan import remains, trailer
from functions.exif.scan.result import Scan
from functions.kit.containers import METADATA, Document, Kind, Packing, Part, jpeg
from functions.kit.containers.source import finished

# Blocks that a JPEG's reader puts first and last: Exif, and what may span several segments.
_FIRST, _LAST = -1, 1
MAX_EXTENDED_XMP = 8 * 2**20
MAX_TABLE = 65536
# Rows of chunks, of which only the first of each name counts.
MAX_CHUNK_ROWS = 32
RAW_PROFILE = "Raw profile type "
# Keywords whose language is part of the tag's name, and languages (RFC 3066), whose second part is a country.
_TRANSLATED = frozenset(
    (
        *("Title", "Author", "Description", "Copyright", "Creation time", "Software", "Disclaimer", "Warning"),
        *("Source", "Comment", "Collection", "Artist", "Document", "Label", "Make", "Model", "Url"),
    )
)
_LANGUAGE = re.compile(r"([A-Za-z]{2,8}|[xi])(-[A-Za-z]{2}\b)?((?:-\w{1,8})*)", re.ASCII)
# Blocks of raws with a form of their own, by reader: Canon's CRW, Sigma's X3F.
_RECORDS = {"crw": "ciff", "x3f": "x3f", "mrw": "mrw"}
# Blocks of Minolta's raws that are records, not needed to read the picture.
_MINOLTA = frozenset(("PRD", "WBG", "RIF"))
_BOXED = frozenset(("isobmff", "jxl", "jp2"))
# Kinds of parts that may hold Exif.
_WITH_EXIF = frozenset((Kind.EXIF, Kind.PHOTOSHOP, Kind.IPTC))
_HELD = frozenset((Kind.TRAILER, Kind.PICTURE, Kind.VIDEO))


def scan(document: Document, *, whole: bool = True, accounted: bool = True, exif_only: bool = False) -> Scan:
    """The scan of a document.

    Args:
        document: of any container.
        whole: also the fields of its boxes.
        accounted: record which bytes of its elements were not read.
        exif_only: leave out blocks that hold no Exif.
    """
    result = Scan(document.format, document.media_type, document.width, document.height, document.frames)
    result.details = document.details
    result.size = document.source.size
    if document.reader == "isobmff":
        from functions.exif.scan import heif

        heif.read(document, result, whole=whole)
    else:
        if whole and document.reader in ("jp2", "jxl"):
            from functions.exif.scan import heif

            heif.brands(document, result, "Jpeg2000")
        if whole:
            _fields(document, result)
        _Reader(document, result, exif_only=exif_only).run(whole=whole, accounted=accounted)
    if accounted:
        remains.beside(document, result)
    for warning in document.warnings:
        result.warn(warning)
    for kind, where, size in document.lost:
        result.miss(kind, where, -1, size)
    # A box or a table of items that is broken may hide what it should lead to.
    if document.broken and document.reader in _BOXED and not result.unread:
        result.miss("structure", document.broken, 0, document.source.size)
    for part in document.not_held():
        result.miss("not received", part.label or str(part.kind), part.start, part.end - part.start)
    return result


def _fields(document: Document, result: Scan) -> None:
    """The container's own fields, beside those that all containers have."""
    source = document.source
    if document.reader in simple.READERS:
        simple.add(result, document.reader, source.read(0, min(source.size, simple.HEAD)))
    if document.reader == "png":
        from functions.exif.fields import png

        for part in document.parts:
            if isinstance(part.key, bytes) and part.key in png.CHUNKS:
                png.add(result, part.key, source.read(part.start + 8, min(part.end - 4, part.start + png.MAX_FIELD)))
    elif document.reader == "bmp":
        from functions.exif.fields import bmp

        bmp.add(result, source.read(0, min(source.size, simple.HEAD)))
    elif document.reader == "webp":
        _webp(document, result)
    elif document.reader == "raf":
        _fujifilm(document, result)
    elif document.reader == "psd" and document.width:
        from functions.exif.fields import layers, resources

        numbers = (document.details.get(name, 0) for name in ("channels", "bits_per_sample", "color_mode"))
        resources.header(result, *map(int, numbers))
        if document.model is not None:
            start, end = document.model.start, document.model.end
            layers.add(result, source.read(start, min(end, start + layers.HEAD)), wide=document.format == "PSB")
        for part in document.parts:
            if part.label == "merged picture":
                resources.compression(result, int.from_bytes(source.read(part.start, part.start + 2), "big"))


_RECORD_KINDS = (Kind.TAG, Kind.PREVIEW, Kind.THUMBNAIL)
_MINOLTA_KINDS = (Kind.STRUCTURE, Kind.UNKNOWN)


def _webp(document: Document, result: Scan) -> None:
    """The chunks of a WebP, those of the first frame among them."""
    for part in document.parts:
        if part.key in simple.WEBP_CHUNKS and len(result.rows) < MAX_CHUNK_ROWS:
            simple.webp_chunk(result, part.key, document.source.read(part.start + 8, min(part.end, part.start + 18)))
    if result.details.get("duration"):
        simple.shown(result, int(result.details["duration"]) / 1000)


def _fujifilm(document: Document, result: Scan) -> None:
    """Fujifilm's header, and what it points to beside the JPEG and the sensor's data."""
    source = document.source
    head = source.read(0, min(source.size, 160))
    picture = int.from_bytes(head[84:88], "big")
    result.add("raf", 0, head, "header")
    turn = 0
    for at, name in ((0x48, "M-RAW"), (0x5C, "RAF"), (0x64, "FujiIFD"), (0x78, "RAF"), (0x80, "FujiIFD")):
        if len(head) < at + 8 or (picture and at >= picture):
            return
        start, length = int.from_bytes(head[at : at + 4], "big"), int.from_bytes(head[at + 4 : at + 8], "big")
        stop = min(start + min(length, MAX_TABLE), source.size)
        if not 0 < start < stop or not source.held(start, stop):
            continue
        data = source.read(start, stop)
        if name == "FujiIFD" and data[:4] not in (b"II*\0", b"MM\0*"):
            continue
        turn += name == "RAF"
        result.add("raf", start, data, name, "2" if name == "RAF" and turn > 1 else "")


class _Reader:
    def __init__(self, document: Document, result: Scan, *, exif_only: bool) -> None:
        self.document, self.result, self.source = document, result, document.source
        self.exif_only = exif_only

    def run(self, *, whole: bool, accounted: bool) -> None:
        """All parts, or the blocks of metadata alone."""
        document = self.document
        if document.reader == "tiff":
            self._directories(whole=whole)
            return
        blocks: list[Part] = []
        others: list[Part] = []
        behind = len(self.source.data)
        for part in document.parts:
            if part.kind in METADATA:
                # Of layers, fields alone are read.
                if part.lead < 0 and part.label != "layers":
                    blocks.append(part)
            elif part.kind in _HELD:
                behind = min(behind, part.start)
            else:
                others.append(part)
        self._blocks(blocks)
        if whole:
            self._others(others, behind, accounted=accounted)

    def _blocks(self, blocks: list[Part]) -> None:
        """The parts that hold metadata, or of these the ones that may hold Exif."""
        if self.exif_only:
            blocks = [part for part in blocks if part.kind in _WITH_EXIF]
        if self.document.reader == "jpeg":
            blocks.sort(key=_order)
        for part in blocks:
            self._block(part)

    def _others(self, others: list[Part], behind: int, *, accounted: bool) -> None:
        """The parts that are not blocks, and what follows the end of the picture, from `behind` on."""
        document, result = self.document, self.result
        if document.reader == "webp" and any("ends inside chunk" in warning for warning in document.warnings):
            last = document.parts[-1]
            result.miss("chunk", last.label or "the last chunk", last.start, last.end - last.start)
        if document.reader in _RECORDS:
            if document.broken:
                result.miss("picture", document.broken, 0, self.source.size)
            others = [part for part in others if not self._record(part)]
        if accounted:
            remains.account(document, result, others)
        self._end(behind)

    def _directories(self, *, whole: bool) -> None:
        """A TIFF, which is one block, and what programs append to it."""
        self.result.add("exif", 0, self.source.data, "TIFF")  # type: ignore[arg-type]
        self.result.tiff = self.document.format if self.document.format in ("RW2", "JXR") else ""
        if whole and not self.source.holes:
            trailer.behind_directories(self.result, finished(self.source.data))

    def _record(self, part: Part) -> bool:
        """Add a record of a raw's own form, or a preview in it, as a block; whether the part is one."""
        reader = self.document.reader
        kinds = _RECORD_KINDS if reader != "mrw" else _MINOLTA_KINDS if part.label in _MINOLTA else ()
        if part.kind not in kinds or not self.source.held(part.start, part.end):
            return False
        kind = "preview" if part.kind in (Kind.PREVIEW, Kind.THUMBNAIL) else _RECORDS[reader]
        self.result.add(kind, part.body, self.document.raw(part), part.label, part.name)
        return True

    def _end(self, behind: int) -> None:
        """What a broken end hides, and what follows the end of the picture."""
        document, result, end = self.document, self.result, self.source.size
        ended = remains.ended(document, result, behind)
        if behind >= end or not ended:
            return
        if document.reader == "webp" and behind < 8 + int.from_bytes(self.source.read(4, 8), "little"):
            result.miss("gap", "after the last chunk", behind, end - behind)
        elif self.source.holes:
            self._held_behind()
        elif document.reader in ("jxl", "jp2"):
            result.miss("trailer", "after the last box", behind, end - behind)
        else:
            trailer.after(result, finished(self.source.data), behind, jpeg.end)

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
        """One block of metadata, or the Exif in it."""
        document, result = self.document, self.result
        data = document.content(part)
        if data is None or (self.source.holes and not self.source.held(part.start, part.end)):
            return  # named with what was not received
        offset, where, kind = document.offset(part), part.label, part.kind
        if kind is Kind.PHOTOSHOP:
            from functions.exif.scan import photoshop

            if document.reader == "jpeg" and not self.exif_only:
                result.add("photoshop", offset, data, where)
            photoshop.resources(result, data, offset, where, exif_only=self.exif_only)
        elif part.packing in (Packing.HEX, Packing.ZLIB_HEX) or part.name.startswith(RAW_PROFILE):
            self._raw_profile(part, data)
        elif document.reader == "jxl" and kind is Kind.EXIF:
            where = "brob Exif" if part.packing else where
            if part.packing:
                from functions.exif.scan import heif

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
        name = self._translated(part) if kind is Kind.TEXT and part.key == b"iTXt" else part.name
        if kind is Kind.ICC and not data:
            return
        if (
            self.document.reader == "jp2"
            and kind is Kind.COMMENT
            and self.source.read(part.body - 1, part.body) != b"\1"
        ):
            result.miss("segment", "codestream comment", part.body - 2, len(data) + 2)
            return
        result.add(str(kind), offset, data, where, name)

    def _tiff(self, data: bytes, offset: int, where: str) -> None:
        if data[:2] in (b"II", b"MM"):
            self.result.add("exif", offset, data, where)
        elif len(data) > 4:
            self.result.warn(f"{where}: no TIFF header in the Exif item")
            self.result.miss("exif", where, offset, len(data))

    def _translated(self, part: Part) -> str:
        """The name of a PNG's international text, with its language; its keyword in that language is a text, too."""
        # Behind the keyword: flag and method of compression, language, and keyword, each ended by a zero.
        _, _, rest = self.source.read(part.start + 8, part.body).partition(b"\0")
        language, _, keyword = rest[2:].partition(b"\0")
        if keyword.rstrip(b"\0"):
            self.result.add("text", -1, keyword.rstrip(b"\0"), "iTXt", f"{part.name} (translated keyword)")
        match = _LANGUAGE.fullmatch(language.decode("latin-1").replace("_", "-"))
        if match is None or part.name.capitalize() not in _TRANSLATED:
            return part.name
        return f"{part.name}-{match[1].lower()}{(match[2] or '').upper()}{match[3].lower()}"

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
            from functions.exif.scan import photoshop

            photoshop.resources(result, profile, -1, where)
        else:
            if part.kind is Kind.TEXT:
                result.miss("raw profile", f"{where} {name}", -1, len(profile))
                name = RAW_PROFILE + name
            result.add(str(part.kind), -1, profile, where, name)


_BROTLI = {Kind.XMP: "xml", Kind.JUMBF: "jumb"}


def _order(part: Part) -> int:
    if part.kind is Kind.EXIF:
        return _FIRST
    spanning = part.kind in (Kind.ICC, Kind.PHOTOSHOP) or part.name == "extended"
    return _LAST * (1 + (part.kind is Kind.PHOTOSHOP) + (part.kind is not Kind.ICC)) if spanning else 0
