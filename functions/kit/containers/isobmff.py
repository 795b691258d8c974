"""HEIC, HEIF, AVIF and CR3: boxes, items and tracks (ISO/IEC 14496-12 and 23008-12)."""

from __future__ import annotations

from struct import unpack_from

from functions.kit.containers import items, jpeg, mini
from functions.kit.containers.boxes import (
    CONTAINERS,
    DESCRIPTIONS,
    FREE,
    GROUPS,
    STRUCTURES,
    TIMED,
    UUIDS,
    Box,
    Boxes,
)
from functions.kit.containers.packing import Packing
from functions.kit.containers.parts import Claims, Document, Kind, Part
from functions.kit.containers.relocation import write
from functions.kit.containers.sniff import brand
from functions.kit.containers.source import Source, Span, blank
from functions.kit.containers.tracks import MAX_CHUNKS, numbers, per_chunk

__all__ = ["read", "write"]

CANON = bytes.fromhex("85c0b687820f11e08111f4ce462b6a48")
CANON_PREVIEW = bytes.fromhex("eaf42b5e1c984b88b9fbb7dc406e4d16")
METADATA_BOXES = {b"xml ": Kind.XMP, b"XML ": Kind.XMP, b"jumb": Kind.JUMBF}
TABLES = frozenset((b"pitm", b"iinf", b"iloc", b"iref", b"ipma", b"idat"))
EXIF_BOXES = frozenset((b"CMT1", b"CMT2", b"CMT3", b"CMT4"))
MAX_DEPTH = 10
# Of a JPEG that is an item.
_SHOWN = frozenset((Kind.STRUCTURE, Kind.PIXELS, Kind.JFIF, Kind.ADOBE, Kind.PADDING))
# Handlers of tracks that show pictures.
_HANDLERS = frozenset((b"pict", b"vide", b"auxv"))


def read(source: Source) -> Document:
    """Read the boxes of a file that begins with `ftyp`."""
    document = Document(source, "HEIF", "image/heif")
    known = brand(source.data)
    if known is not None:
        document.format, document.media_type = known
    document.details["brand"] = source.read(8, 12).decode("latin-1").strip()
    document.model = items.Model()
    _Reader(document).run()
    return document


class _Reader:
    def __init__(self, document: Document) -> None:
        self.document, self.source, self.data = document, document.source, document.source.data
        self.model: items.Model = document.model
        self.boxes = Boxes(document)
        self.claims = Claims(document, 0, self.source.size)
        self.tables: dict[bytes, Box] = {}
        self.tracks: list[dict[bytes, Box]] = []
        self.others: list[dict[bytes, Box]] = []  # tables of tracks that show nothing
        self.placed = True  # whether the places of all samples are known
        self.stores: list[Box] = []
        self.end = 0

    def run(self) -> None:
        """All parts."""
        document = self.document
        for box in self.boxes.within(0, self.source.size):
            self._visit(box, b"", 0)
            self.end = box.end
        if self.model.meta is not None:
            self.model.items = items.read(self.boxes, self.tables)
            self._names()
            self._items()
            self._primary()
        for tables in self.tracks:
            self._chunks(tables)
        for tables in self.others:
            self._chunks(tables, Kind.APP)
        if self.model.mini is not None:
            mini.read(document, self.claims, self.model.mini)
        elif self.model.meta is None and not self.tracks and document.format != "CR3":
            document.broken = document.broken or "no picture in it"
        for store in self.stores if self.model.fragments or not self.placed else ():
            # What fragments and broken tables state no place of may be pictures as well.
            for low, high in self.claims.free(store.body, store.end):
                self.claims.claim(Part(Kind.PIXELS, low, high, "mdat", "unplaced"))
        if self.end < self.source.size:
            label = "after the last box"
            self.claims.claim(Part(Kind.TRAILER, self.end, self.source.size, label))
        document.parts = self.claims.finish()

    def _claim(self, kind: Kind, box: Box, parent: bytes, body: int = -1, name: str = "") -> None:
        at = box.body if body < 0 else min(body, box.end)
        label = box.name if not parent else f"{parent.decode('latin-1')} {box.name}"
        self.claims.claim(Part(kind, box.start, box.end, label, name, at, box.end, key=box.kind))

    def _outer(self, box: Box, body: int) -> None:
        self.model.outer.append(box)
        self.claims.claim(Part(Kind.STRUCTURE, box.start, min(body, box.end), box.name, key=box.kind))

    def _visit(self, box: Box, parent: bytes, depth: int) -> None:
        """One box, and those in it."""
        kind = box.kind
        if kind == b"meta" and not parent and self.model.meta is None:
            self.model.meta = box
            self._inside(box, box.body + 4, depth)
        elif kind == b"uuid":
            self._uuid(box, parent, depth)
        elif kind == b"trak" and self._is_other(box):
            self._claim(Kind.APP, box, parent, name="track that shows no picture")
        elif kind in CONTAINERS and depth < MAX_DEPTH:
            self._inside(box, box.body, depth)
        elif kind in (b"mdat", b"idat"):
            self._outer(box, box.body)
            self.stores.append(box)
            if kind == b"idat":
                self.tables.setdefault(kind, box)
        elif kind in TIMED:
            self._timed(box)
        elif kind == b"colr" and self.data[box.body : box.body + 4] in (b"prof", b"rICC"):
            self._claim(Kind.ICC, box, b"", box.body + 4)
            self._note(box, parent)
        elif kind in METADATA_BOXES and parent in (b"", b"meta"):
            self._claim(METADATA_BOXES[kind], box, b"")
        elif kind == b"mini" and not parent:
            self.model.mini = box
            self.model.outer.append(box)
        else:
            self._leaf(box, parent)

    def _leaf(self, box: Box, parent: bytes) -> None:
        kind = box.kind
        self.model.fragments |= kind in (b"moof", b"sidx", b"mfra")
        if parent == b"meta" or parent == b"iprp":
            self.tables.update({kind: box} if kind in TABLES and kind not in self.tables else {})
        if kind in (b"stco", b"co64"):
            self.model.chunks.append(box)
        if self.tracks and parent == b"stbl":
            self.tracks[-1].setdefault(kind, box)
        if kind == b"iinf" and self.tables.get(kind) == box:
            return  # claimed with the names in it
        if (kind in GROUPS) if parent == b"grpl" else kind in STRUCTURES and (kind != b"ftyp" or not box.start):
            self._claim(Kind.STRUCTURE, box, parent)
        elif kind in FREE:
            self._claim(Kind.FREE, box, parent)
        else:
            self._claim(Kind.APP if kind in DESCRIPTIONS or kind == b"meta" else Kind.UNKNOWN, box, parent)
        self._note(box, parent)

    def _note(self, box: Box, parent: bytes) -> None:
        if parent == b"ipco":
            self.model.properties.append(box)

    def _inside(self, box: Box, body: int, depth: int) -> None:
        self._outer(box, body)
        if box.kind == b"trak":
            self.tracks.append({})
        for inner in self.boxes.within(body, box.end):
            self._visit(inner, box.kind, depth + 1)

    def _is_other(self, box: Box) -> bool:
        """Whether a track is one of sound, text or metadata; its tables are noted, and its samples are not pictures."""
        tables: dict[bytes, Box] = {}
        waiting, handler = [box], b""
        while waiting:
            outer = waiting.pop()
            for inner in self.boxes.within(outer.body, outer.end):
                if inner.kind in (b"mdia", b"minf", b"stbl"):
                    waiting.append(inner)
                elif inner.kind == b"hdlr" and outer.kind == b"mdia":
                    handler = bytes(self.data[inner.body + 8 : inner.body + 12])
                elif outer.kind == b"stbl":
                    tables.setdefault(inner.kind, inner)
        other = self.document.format != "CR3" and handler not in (b"", *_HANDLERS)
        if other:
            self.others.append(tables)
            self.model.chunks += [found for kind, found in tables.items() if kind in (b"stco", b"co64")]
        return other

    def _uuid(self, box: Box, parent: bytes, depth: int) -> None:
        name = self.data[box.body : box.body + 16]
        if name == CANON and depth < MAX_DEPTH:
            self._outer(box, box.body + 16)
            for inner in self.boxes.within(box.body + 16, box.end):
                if inner.kind in EXIF_BOXES:
                    self._claim(Kind.EXIF, inner, b"")
                else:
                    self._claim(Kind.THUMBNAIL if inner.kind == b"THMB" else Kind.APP, inner, b"")
        elif name in UUIDS or name == CANON_PREVIEW:
            self._claim(UUIDS.get(name, Kind.PREVIEW), box, b"", box.body + 16)
        else:
            self._claim(Kind.APP, box, parent, box.body + 16)
        self._note(box, parent)

    def _timed(self, box: Box) -> None:
        """Times of creation and change are a part of their own in the header of a film or track."""
        document, data = self.document, self.data
        width = 16 if box.end > box.body and data[box.body] == 1 else 8
        low, high = min(box.body + 4, box.end), min(box.body + 4 + width, box.end)
        self.claims.claim(Part(Kind.STRUCTURE, box.start, low, box.name, key=box.kind))
        self.claims.claim(Part(Kind.TIME, low, high, box.name, body=low, stop=high, key="time"))
        self.claims.claim(Part(Kind.STRUCTURE, high, box.end, box.name))
        if box.kind == b"tkhd" and box.end - box.body >= 84 and document.format != "CR3" and document.width is None:
            width, height = unpack_from(">II", data, box.end - 8)
            if width >> 16:
                document.width, document.height = width >> 16, height >> 16

    def _names(self) -> None:
        """The table of items; a name in it is a part of its own."""
        box = self.tables.get(b"iinf")
        if box is None:
            return
        at = box.start
        for item in self.model.items.items.values():
            if item.name.strip() and item.name.lower() not in items.NAMES and at <= item.place:
                stop = item.place + len(item.name)
                self.claims.claim(Part(Kind.STRUCTURE, at, item.place, "iinf", key=b"iinf"))
                self.claims.claim(
                    Part(Kind.TEXT, item.place, stop, "infe", "name of an item", item.place, stop, key="name")
                )
                at = stop
        self.claims.claim(Part(Kind.STRUCTURE, at, box.end, "iinf", key=b"iinf"))

    def _items(self) -> None:
        """The bytes of each item: those of metadata first, lest a picture's claim hide them."""
        found = self.model.items
        describes, thumbnails = found.referring(b"cdsc"), found.referring(b"thmb")
        auxiliary = found.referring(b"auxl")
        short = 0
        for item in sorted(found.items.values(), key=lambda item: _kind(item) is Kind.PIXELS):
            kind = _kind(item)
            if item.number in found.short:
                self.document.broken = self.document.broken or f"item {item.number} is not whole"
                short += kind is Kind.PIXELS
                if kind is not Kind.PIXELS:
                    self.document.warn(f"item {item.number}: its bytes are not in the file")
            if kind is Kind.PIXELS:
                name = "thumbnail" if item.number in thumbnails else "auxiliary" if item.number in auxiliary else ""
            else:
                others = describes.get(item.number, ())
                name = "" if not others or found.primary in others else f"of item {others[0]}"
            self._item(item, kind, name)
        if short:
            self.document.warn(f"{short} of {len(found.items)} items of the picture are not whole in the file")

    def _item(self, item: items.Item, kind: Kind, name: str) -> None:
        spans = item.spans or []
        packed = Packing.ZLIB if item.encoding in (b"deflate", b"zlib") else Packing.PLAIN
        if item.encoding == b"br":
            packed = Packing.BROTLI
        lead, group = -1, []
        if item.kind == b"jpeg" and kind is Kind.PIXELS and len(spans) == 1 and not self.source.holes:
            self._jpeg(item, spans[0], name)
            return
        for span in spans:
            body = span.start
            if kind is Kind.EXIF and lead < 0:
                body = self._header(item, spans)
            part = Part(
                kind,
                span.start,
                span.end,
                f"item {item.number}",
                name,
                body,
                span.end,
                packed,
                lead,
                "item",
                item.number,
            )
            if self.claims.claim(part):
                group.append(part)
                lead = group[0].start
        if len(group) > 1:
            self.document.groups[lead] = group

    def _jpeg(self, item: items.Item, span: Span, name: str) -> None:
        """The bytes of an item that is a whole JPEG: metadata in it are parts that keep their length."""
        label, at = f"item {item.number}", span.start

        def shown(start: int, end: int) -> None:
            self.claims.claim(Part(Kind.PIXELS, start, end, label, name, start, end, key="item", item=item.number))

        for part in jpeg.read(self.source, *span).parts:
            head = part.start + (4 if part.body >= 0 else 0)
            if part.kind not in _SHOWN and not blank(self.data, head, part.end):
                shown(at, part.start)
                self.claims.claim(part._replace(label=f"{label} {part.label}".strip(), lead=-1, key="inner"))
                at = part.end
        shown(at, span.end)

    def _header(self, item: items.Item, spans: list[Span]) -> int:
        """Where the TIFF structure of an Exif item begins: after the distance that its first four bytes state."""
        first = spans[0]
        head = self.source.read(first.start, min(first.end, first.start + 65536))
        start = 4 + int.from_bytes(head[:4], "big")
        if head[start : start + 2] not in (b"II", b"MM"):
            # Writers get the distance wrong: look where the header usually stands.
            start = next((at for at in (4, 10, 0, 6) if head[at : at + 2] in (b"II", b"MM")), -1)
            if start < 0:
                if sum(span.end - span.start for span in spans) > 4:
                    self.document.warn(f"item {item.number}: no TIFF header in the Exif item")
                start = 0
        return min(first.start + start, first.end)

    def _primary(self) -> None:
        """What the properties of the primary picture state."""
        data, document, found = self.data, self.document, self.model.items
        for index, _ in found.associations.get(found.primary, ()):
            if not 1 <= index <= len(self.model.properties):
                continue
            box = self.model.properties[index - 1]
            kind, start, size = box.kind, box.body, box.end - box.body
            if kind == b"ispe" and size >= 12:
                document.width, document.height = unpack_from(">II", data, start + 4)
            elif kind == b"irot" and size:
                document.details["rotation"] = (data[start] & 3) * 90
            elif kind == b"imir" and size:
                document.details["mirroring"] = data[start] & 1
            elif kind == b"pixi" and size >= 6:
                document.details["bits_per_sample"] = data[start + 5]

    def _chunks(self, tables: dict[bytes, Box], shown: Kind = Kind.PIXELS) -> None:
        """The bytes of a track, by its tables of chunks and sizes."""
        data = self.data
        offsets = tables.get(b"stco") or tables.get(b"co64")
        sizes, runs = tables.get(b"stsz"), tables.get(b"stsc")
        if offsets is None or sizes is None or sizes.end - sizes.body < 12 or b"saio" in tables:
            self.placed = False
            return
        places = numbers(data, offsets, 8 if offsets.kind == b"co64" else 4, 4)
        fixed, count = unpack_from(">II", data, sizes.body + 4)
        each = [fixed] * min(count, MAX_CHUNKS) if fixed else numbers(data, sizes, 4, 8)
        samples = per_chunk(data, runs, len(places))
        at = 0
        for place, number in zip(places, samples, strict=True):
            size = sum(each[at : at + number])
            at += number
            if 0 <= place < place + size <= self.source.size:
                preview = self.document.format == "CR3" and self.source.startswith(b"\xff\xd8\xff", place)
                kind, name = (Kind.PREVIEW, "JpgFromRaw") if preview else (shown, "")
                if preview:
                    self.document.previews.append(Span(place, place + size))
                self.claims.claim(Part(kind, place, place + size, "mdat", name, key="sample"))


def _kind(item: items.Item) -> Kind:
    if item.kind == b"Exif":
        return Kind.EXIF
    if item.kind == b"XMP " or item.content.startswith(b"application/rdf+xml"):
        return Kind.XMP
    return Kind.APP if item.is_metadata() else Kind.PIXELS
