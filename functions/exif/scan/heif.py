"""From the parts of a HEIC, HEIF, AVIF or CR3 to its blocks of metadata: items, properties, tracks."""

from __future__ import annotations

from bisect import bisect_right
from datetime import UTC, datetime, timedelta
from struct import unpack_from

from functions.exif.fields import heif as fields
from functions.exif.scan import movie, remains, trailer
from functions.exif.scan.boxes import Boxes
from functions.exif.scan.result import Scan
from functions.kit.containers import Document, Kind, Part, jpeg
from functions.kit.containers.items import NAMES, Item, Items

# Items that are coded pictures or made of such.
PICTURES = frozenset(
    (
        *(b"hvc1", b"av01", b"av02", b"grid", b"iovl", b"iden", b"tmap", b"avc1", b"vvc1", b"evc1", b"j2k1", b"unci"),
        *(b"lhv1", b"hvc2", b"tili", b"mski"),
    )
)
MAX_PROFILES = 16
# Texts of properties that describe an item, in their order (23008-12, 6.5.20 and 6.5.21).
_ALTERNATE = ("AlternateText", "AlternateTextLanguage")
_DESCRIBED = ("UserLanguage", "UserName", "UserDescription", "UserKeywords")
# Times of an item in microseconds since 1904 (23008-12, 6.5.22 and 6.5.23).
_TIMES = {b"crtt": "CreateDate", b"mdft": "ModifyDate"}
_STATING = frozenset((b"udes", b"altt", *_TIMES))
_EPOCH = datetime(1904, 1, 1, tzinfo=UTC)


def exif_item(result: Scan, body: bytes, offset: int, where: str) -> None:
    """An Exif item: four bytes that say how far it is to the TIFF header, then usually JPEG's `Exif` header."""
    (skipped,) = unpack_from(">I", body)
    start = 4 + skipped
    if body[start : start + 2] not in (b"II", b"MM"):
        # Writers get the distance wrong: look where the header usually stands.
        start = next((at for at in (4, 10, 0, 6) if body[at : at + 2] in (b"II", b"MM")), -1)
        if start < 0:
            result.warn(f"{where}: no TIFF header in the Exif item")
            result.miss("exif", where, offset, len(body))
            return
    result.add("exif", offset + start if offset >= 0 else -1, body[start:], where)


def read(document: Document, result: Scan, *, whole: bool) -> None:
    """Add what the parts hold to a scan.

    Args:
        document: of the file.
        result: its scan.
        whole: also the fields of the boxes.
    """
    reader = _Reader(document, result)
    if whole:
        brands(document, result, "QuickTime")
        for start, end in reader.stores:
            fields.store(result, start, end)
    reader.run()
    if whole and document.model.meta is not None:
        reader.rows()


def brands(document: Document, result: Scan, group: str) -> None:
    """The fields of the `ftyp` box.

    Args:
        document: of the file.
        result: its scan.
        group: of the rows.
    """
    part = next((part for part in document.parts if part.key == b"ftyp"), None)
    if part is not None:
        fields.brands(result, document.source.read(part.body, min(part.stop, part.body + 256)), group)


class _Reader:
    def __init__(self, document: Document, result: Scan) -> None:
        self.document, self.result, self.source = document, result, document.source
        self.items: Items = document.model.items
        self.describes: dict[int, tuple[int, ...]] = {}
        for kind, item, targets in self.items.references:
            if kind == b"cdsc":
                self.describes[item] = self.describes.get(item, ()) + targets
        tracks = [box for box in document.model.outer if box.kind == b"moov"]
        self.movies = [(box.start, box.end) for box in tracks]
        for box in tracks:
            if not self.source.held(box.start, box.end):
                continue  # named with what was not received
            movie.read(Boxes(self.source, result), box.body, box.end)
        self.shown = self._primary_properties()
        self.stores = sorted((box.body, box.end) for box in document.model.outer if box.kind == b"mdat")

    def run(self) -> None:
        """All parts, items in the order of their table."""
        for item in self.items.items.values():
            if item.name.strip() and item.name.lower() not in NAMES:
                self.result.add("value", -1, item.name, "infe", f"Meta:ItemName{item.number}")
        by_item = {part.item: part for part in self.document.parts if part.key == "item" and part.lead < 0}
        for part in self.document.parts:
            inside = any(low <= part.start < high for low, high in self.movies)
            if part.key != "item" and not inside:
                self._part(part)
        self._profile()
        for number in self.items.short & by_item.keys():
            part = by_item[number]
            self.result.miss("picture", f"item {number}, which is not whole", part.start, part.end - part.start)
        for number, item in self.items.items.items():
            if number in by_item:
                self._item(item, by_item[number])

    def _profile(self) -> None:
        """The profiles of other pictures, behind the primary one's, which may leave its own to its tiles."""
        read = {block.offset for block in self.result.blocks if block.kind == "icc"}
        others = [part for part in self.document.parts if part.kind is Kind.ICC and part.key == b"colr"]
        for part in others[:MAX_PROFILES]:
            if part.body not in read:
                self.result.add("icc", part.body, self.document.content(part) or b"", "colr")
        for part in others[MAX_PROFILES:]:
            self.result.miss("icc", "colr", part.body, part.stop - part.body)

    def rows(self) -> None:
        """The fields of the `meta` box: the primary picture and the properties of all pictures."""
        model, result = self.document.model, self.result
        result.row("Meta", "PrimaryItemReference", self.items.primary, self.items.primary)
        if model.meta is not None:
            fields.grid(result, self.source.read(model.meta.start, model.meta.end))
        tiles = [
            to[0] for kind, item, to in self.items.references if kind == b"dimg" and item == self.items.primary and to
        ]
        ranks: dict[int, int] = {}
        for rank, number in ((1, tiles[0] if tiles else 0), (2, self.items.primary)):
            ranks.update((index, rank) for index, _ in self.items.associations.get(number, ()))
        boxes = [(box.kind, box.body, box.end) for box in model.properties]
        fields.properties(result, self.source.data, boxes, ranks)  # type: ignore[arg-type]

    def _primary_properties(self) -> set[int]:
        """Where the properties of the primary picture stand."""
        boxes = self.document.model.properties
        indices = [index for index, _ in self.items.associations.get(self.items.primary, ())]
        return {boxes[index - 1].start for index in indices if 1 <= index <= len(boxes)}

    def _part(self, part: Part) -> None:
        """A part that is not an item."""
        result, kind, size = self.result, part.kind, part.end - part.start
        body, stop = (part.body, part.stop) if part.body >= 0 else (part.start, part.end)
        where = part.label.replace(" ", "/")
        if kind in (Kind.ICC, Kind.EXIF, Kind.XMP, Kind.JUMBF):
            self._block(part, where)
        elif where == "meta/hdlr":
            self._handler(body, stop)
        elif part.key in _STATING and self._statement(part, body, stop):
            pass
        elif part.key == b"sefd":
            data = self.source.read(body, stop)
            result.miss("box", where, body, trailer.samsung(result, data, 0, len(data), jpeg.end, body))
        elif part.key == b"mpvd":
            result.hold("video", "mpvd", body, self.source.read(body, stop))
        elif kind in (Kind.GAP, Kind.TRAILER):
            at = bisect_right(self.stores, (part.start, self.source.size)) - 1
            stored = at >= 0 and part.start < self.stores[at][1]
            result.miss("gap", "mdat" if stored else "after the last box", part.start, size)
        elif kind in (Kind.UNKNOWN, Kind.ESSENTIAL, Kind.APP, Kind.FREE):
            if part.key == b"uuid":
                where, body = f"uuid {self.source.read(body - 16, body).hex()}", body - 16
            if self.source.read(body, stop).strip(b"\0") or (kind is not Kind.FREE and not where.startswith("ipco")):
                result.miss("box", where, body, stop - body)
        elif slack := remains.unused(self.document, part):
            result.miss("box", where, stop - slack, slack)

    def _statement(self, part: Part, start: int, end: int) -> bool:
        """A property that describes its item; whether it has the form of its kind."""
        if part.key in _TIMES:
            return end - start == 12 and self._time(part, start, end)
        self._description(start, end, _DESCRIBED if part.key == b"udes" else _ALTERNATE)
        return True

    def _block(self, part: Part, where: str) -> None:
        """A box of metadata, or a part of a minimized image."""
        result, kind = self.result, part.kind
        if kind is Kind.ICC:
            where = "mini" if part.key == "icc" else "colr"
            if part.start not in self.shown and where == "colr":
                return
        data = self.document.content(part)
        if data is not None and kind is Kind.EXIF and data[:2] not in (b"II", b"MM"):
            exif_item(result, data.ljust(4, b"\0"), part.body, where)
        elif data is not None:
            result.add(str(kind), self.document.offset(part), data, where)

    def _handler(self, start: int, end: int) -> None:
        """The name behind the handler's type, which programs fill with their own."""
        fields.handler(self.result, self.source.read(start, end))
        name = self.source.read(start + 24, end).strip(b"\0")
        if name:
            self.result.add("value", start + 24, name, "hdlr", "QuickTime:HandlerDescription")

    def _description(self, start: int, end: int, names: tuple[str, ...]) -> None:
        texts = self.source.read(start + 4, end).split(b"\0")
        for text, name in zip(texts, names, strict=False):
            if text:
                self.result.add("value", -1, text, "udes", f"Meta:{name}")
        further = [text for text in texts[len(names) :] if text]
        self.result.miss("box", "text behind a description", end - len(b"".join(further)), len(b"".join(further)))

    def _time(self, part: Part, start: int, end: int) -> bool:
        """The time of an item, one of zero was not set; whether it is one."""
        (stated,) = unpack_from(">Q", self.source.read(start + 4, end))
        try:
            moment = _EPOCH + timedelta(microseconds=stated)
        except OverflowError:
            return False
        if stated:
            text = moment.strftime("%Y:%m:%d %H:%M:%S").encode()
            self.result.add("value", start + 4, text, part.label, f"Meta:{_TIMES[bytes(part.key)]}")
        return True

    def _of_another(self, item: int) -> bool:
        """Whether an item describes pictures, and the primary one is not among them, while others describe that."""
        mine, primary = self.describes.get(item, ()), self.items.primary
        others = (targets for other, targets in self.describes.items() if self._is_read(other))
        return bool(mine) and primary not in mine and any(primary in targets for targets in others)

    def _is_read(self, number: int) -> bool:
        item = self.items.items.get(number)
        return item is not None and item.kind not in PICTURES

    def _item(self, item: Item, part: Part) -> None:
        """Keep the bytes of an item by its kind."""
        result, where = self.result, f"item {item.number}"
        if item.kind in PICTURES:
            return
        name = item.kind.decode("latin-1").strip()
        if item.kind == b"mime":
            media = item.content.decode("latin-1")
            name = "xmp" if media.startswith("application/rdf+xml") else media or "mime"
        encoding = item.encoding.decode("latin-1")
        whole = self.document.groups.get(part.start, [part])
        if not all(self.source.held(one.start, one.end) for one in whole):
            return  # named with what was not received
        at = part.start if len(whole) == 1 else -1
        stored = b"".join(self.source.read(one.start, one.end) for one in whole)
        if encoding and encoding != "deflate":
            result.miss("item", f"{where} ({name} {encoding})", at, len(stored))
            return
        body = stored
        if encoding:
            unpacked = self.document.content(part)
            if unpacked is None:
                return
            body, at = unpacked, -1
        if self._of_another(item.number) and name == "Exif":
            pictures = ", ".join(map(str, self.describes[item.number]))
            result.hold(name.lower(), f"{where} (picture {pictures})", at, body)
        elif name == "Exif":
            if len(body) > 4:
                exif_item(result, body, at, where)
        elif name == "xmp":
            result.add("xmp", at, body, where)
        elif name == "jpeg":
            result.hold("picture", where, at, body)
        else:
            result.miss("item", f"{where} ({name})", at, len(body))
