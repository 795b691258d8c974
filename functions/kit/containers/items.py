"""The items of a `meta` box: what they are, where they stand, and how they belong together (ISO/IEC 14496-12, 8.11).

Nothing is believed before the bytes for it are there; what is read can be written again with other places.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from struct import pack

from functions.kit.containers.boxes import Box, Boxes, encode
from functions.kit.containers.packing import ContainerError
from functions.kit.containers.source import Buffer, Span

MAX_ITEMS = 8192
MAX_EXTENTS = 8192
# Names that encoders give to items.
NAMES = frozenset(
    (
        *(b"color", b"alpha", b"exif", b"xmp", b"gmap", b"tmap", b"grid", b"hevc image", b"image", b"thumbnail"),
        *(b"depth", b"primary", b"gain map", b"auxiliary"),
    )
)


@dataclass(slots=True)
class Item:
    """One item.

    Args:
        number: its id.
        kind: four letters: `hvc1`, `Exif`, `mime`, …
        name: of the item, as its writer calls it.
        place: of the name in the file.
        content: its media type where `kind` is `mime`.
        encoding: of that content, such as `deflate`.
        method: 0 for offsets in the file, 1 in `idat`, 2 in another item.
        reference: number of a file that the bytes are in; 0 for this one.
        extents: offset and length as stated, without the base.
        spans: places of its bytes in the file, in order; None if unknown.
    """

    number: int
    kind: bytes = b""
    name: bytes = b""
    place: int = 0
    content: bytes = b""
    encoding: bytes = b""
    method: int = 0
    reference: int = 0
    extents: list[tuple[int, int]] = field(default_factory=list)
    spans: list[Span] | None = None

    def is_metadata(self) -> bool:
        """Whether it is neither a picture nor a part of one."""
        return self.kind in (b"Exif", b"mime", b"uri ", b"XMP ")


class Reader:
    """Integers of given widths one after another, within a box."""

    def __init__(self, data: bytes, position: int, end: int) -> None:
        self.data, self.position, self.end = data, position, end

    def take(self, width: int) -> int:
        """The next integer; width 0 is zero.

        Raises:
            ContainerError: the box ends before it.
        """
        stop = self.position + width
        if stop > self.end:
            raise ContainerError("a table of items ends early")
        value = int.from_bytes(self.data[self.position : stop], "big")
        self.position = stop
        return value


@dataclass(slots=True)
class Items:
    """All that a `meta` box states of its items.

    Args:
        tables: the boxes that hold it, by type.
        items: by number.
        primary: number of the picture that the file is shown as.
        references: type, from, to; as in `iref`.
        associations: property index and whether it is essential, by item.
        short: the items whose bytes are not all in the file.
    """

    tables: dict[bytes, Box] = field(default_factory=dict)
    items: dict[int, Item] = field(default_factory=dict)
    primary: int = 0
    references: list[tuple[bytes, int, tuple[int, ...]]] = field(default_factory=list)
    associations: dict[int, list[tuple[int, bool]]] = field(default_factory=dict)
    short: set[int] = field(default_factory=set)

    def referring(self, kind: bytes) -> dict[int, tuple[int, ...]]:
        """The items that another one points to, by its number."""
        return {start: to for name, start, to in self.references if name == kind}


@dataclass(slots=True)
class Model:
    """What the writer needs: the boxes around other boxes and parts, the items, and the tables of chunks."""

    outer: list[Box] = field(default_factory=list)
    items: Items = field(default_factory=Items)
    properties: list[Box] = field(default_factory=list)
    chunks: list[Box] = field(default_factory=list)
    meta: Box | None = None
    fragments: bool = False
    mini: Box | None = None


def read(boxes: Boxes, tables: dict[bytes, Box]) -> Items:
    """The items of a `meta` box.

    Args:
        boxes: the budget.
        tables: the boxes in it that hold tables of items, by type.
    """
    found = Items(tables)
    data = boxes.source.data
    for kind, parse in (
        (b"pitm", _primary),
        (b"iinf", _names),
        (b"iloc", _places),
        (b"iref", _references),
        (b"ipma", _associations),
    ):
        box = tables.get(kind)
        if box is None or not boxes.source.held(box.body, box.end):
            continue
        try:
            parse(found, boxes, Reader(data[box.body : box.end], 0, box.end - box.body), box)
        except ContainerError as error:
            boxes.document.warn(f"box {box.name!r}: {error}")
            boxes.document.broken = boxes.document.broken or f"box {box.name!r}: {error}"
    return found


def _bounded(count: int) -> int:
    """A count of items.

    Raises:
        ContainerError: it exceeds the limit.
    """
    if count > MAX_ITEMS:
        raise ContainerError(f"more than {MAX_ITEMS:,} items")
    return count


def _primary(found: Items, _boxes: Boxes, reader: Reader, _box: Box) -> None:
    version = reader.take(1)
    reader.take(3)
    found.primary = reader.take(4 if version and reader.end - reader.position >= 4 else 2)


def _names(found: Items, boxes: Boxes, reader: Reader, box: Box) -> None:
    version = reader.take(1)
    reader.take(3)
    reader.take(4 if version else 2)
    data = boxes.source.data
    for entry in boxes.within(box.body + reader.position, box.end):
        version = data[entry.body] if entry.end > entry.body else 0
        if entry.kind != b"infe" or version < 2 or entry.end - entry.body < 12 or len(found.items) >= MAX_ITEMS:
            boxes.document.lose("box", f"iinf/{entry.name}", entry.end - entry.body)
            continue
        wide = 4 if version == 3 else 2
        at = entry.body + 4
        number = int.from_bytes(data[at : at + wide], "big")
        at += wide + 2
        # The item's own name, then its type and encoding if it is `mime`.
        kind, names = data[at : at + 4], data[at + 4 : min(entry.end, at + 512)].split(b"\0")
        mime = kind == b"mime" and len(names) > 1
        boxes.document.lose("box", "iinf/infe", entry.end - at - 512)
        found.items[number] = Item(
            number, kind, names[0], at + 4, names[1] if mime else b"", names[2] if mime and len(names) > 2 else b""
        )


def _places(found: Items, boxes: Boxes, reader: Reader, _box: Box) -> None:
    """`iloc`: the sizes of its fields are themselves fields (14496-12, 8.11.3)."""
    version = reader.take(1)
    reader.take(3)
    sizes = reader.take(2)
    offset_size, length_size, base_size = sizes >> 12, sizes >> 8 & 15, sizes >> 4 & 15
    index_size = sizes & 15 if version in (1, 2) else 0
    store = found.tables.get(b"idat")
    extents = 0
    for _ in range(_bounded(reader.take(2 if version < 2 else 4))):
        number = reader.take(2 if version < 2 else 4)
        method = reader.take(2) & 15 if version in (1, 2) else 0
        item = found.items.setdefault(number, Item(number))
        item.method, item.reference = method, reader.take(2)
        base, count = reader.take(base_size), reader.take(2)
        if count > 1 and not offset_size + length_size:
            raise ContainerError("extents without places")
        item.spans = [] if not item.reference and (method == 0 or (method == 1 and store)) else None
        origin, limit = (store.body, store.end) if method == 1 and store else (0, boxes.source.size)
        for _ in range(count):
            extents += 1
            if extents > MAX_EXTENTS:
                raise ContainerError(f"more than {MAX_EXTENTS:,} extents")
            reader.take(index_size)
            offset, length = base + reader.take(offset_size), reader.take(length_size)
            item.extents.append((offset, length))
            if item.spans is None:
                continue
            start = origin + offset
            # Without a length an item runs to the end; pictures that state none have no bytes of their own.
            stop = start + length if length or not item.is_metadata() else limit
            if max(start, stop) > limit and (length or item.is_metadata()):
                found.short.add(number)
            if start <= min(stop, limit):
                item.spans.append(Span(start, min(stop, limit)))


def _references(found: Items, boxes: Boxes, reader: Reader, box: Box) -> None:
    wide = 4 if reader.take(1) else 2
    data = boxes.source.data
    for entry in boxes.within(box.body + 4, box.end):
        inner = Reader(data[entry.body : entry.end], 0, entry.end - entry.body)
        start = inner.take(wide)
        to = tuple(inner.take(wide) for _ in range(_bounded(inner.take(2))))
        found.references.append((entry.kind, start, to))


def _associations(found: Items, _boxes: Boxes, reader: Reader, _box: Box) -> None:
    version = reader.take(1)
    wide = 2 if reader.take(3) & 1 else 1
    top = 0x8000 if wide == 2 else 0x80
    for _ in range(_bounded(reader.take(4))):
        number = reader.take(4 if version else 2)
        values = [reader.take(wide) for _ in range(reader.take(1))]
        found.associations.setdefault(number, []).extend((value & (top - 1), value >= top) for value in values)


def without(found: Items, boxes: Boxes, gone: Collection[int], nameless: Collection[int]) -> dict[bytes, bytes]:
    """The tables that name items, by type; the table of places is not among them.

    Args:
        found: the items.
        boxes: the budget.
        gone: items that are left out.
        nameless: places of names that become blank.
    """
    data, tables, new = boxes.source.data, found.tables, {}
    if b"iinf" in tables:
        box = tables[b"iinf"]
        version = data[box.body]
        first = box.body + (8 if version else 6)
        kept = []
        for entry in Boxes(boxes.document).within(first, box.end):
            wide = 4 if data[entry.body] == 3 else 2
            number = int.from_bytes(data[entry.body + 4 : entry.body + 4 + wide], "big")
            if entry.kind != b"infe" or number not in gone:
                raw, item = data[entry.start : entry.end], found.items.get(number)
                if item is not None and item.place in nameless:
                    raw = raw.replace(item.name, b" " * len(item.name), 1)
                kept.append(raw)
        count = pack(">I" if version else ">H", len(kept))
        new[b"iinf"] = encode(b"iinf", data[box.body : box.body + 4] + count + b"".join(kept))
    if b"iref" in tables:
        box = tables[b"iref"]
        form = ">I" if data[box.body] else ">H"
        body = data[box.body : box.body + 4]
        for kind, start, to in found.references:
            rest = [number for number in to if number not in gone]
            if start not in gone and rest:
                ids = b"".join(pack(form, number) for number in rest)
                body += encode(kind, pack(form, start) + pack(">H", len(rest)) + ids)
        new[b"iref"] = encode(b"iref", body) if len(body) > 4 else b""
    if b"ipma" in tables:
        new[b"ipma"] = _ipma(found, data, gone)
    return new


def _ipma(found: Items, data: Buffer, gone: Collection[int]) -> bytes:
    box = found.tables[b"ipma"]
    version, wide = data[box.body], data[box.body + 3] & 1
    rows = [(number, values) for number, values in found.associations.items() if number not in gone]
    body = data[box.body : box.body + 4] + pack(">I", len(rows))
    for number, values in rows:
        body += pack(">IB" if version else ">HB", number, len(values))
        top = 0x8000 if wide else 0x80
        body += b"".join(pack(">H" if wide else ">B", value | (top if must else 0)) for value, must in values)
    return encode(b"ipma", body)


Row = tuple[int, int, int, list[tuple[int, int]]]
"""An item's number, method, number of a file, and its extents: offset and length."""


def places(version: int, rows: list[Row], *, wide: bool) -> bytes:
    """A table of places, `iloc`, without bases.

    Args:
        version: of the table.
        rows: of the items.
        wide: whether offsets and lengths take eight bytes.

    Raises:
        ContainerError: an item's number does not fit into a table of that version.
    """
    if version < 2 and any(row[0] > 0xFFFF for row in rows):
        raise ContainerError("an item's number takes more than two bytes")
    width = ">QQ" if wide else ">II"
    body = bytes((version, 0, 0, 0, 0x88 if wide else 0x44, 0)) + pack(">H" if version < 2 else ">I", len(rows))
    for number, method, reference, extents in rows:
        body += pack(">H" if version < 2 else ">I", number) + (pack(">H", method) if version else b"")
        body += pack(">HH", reference, len(extents)) + b"".join(pack(width, *extent) for extent in extents)
    return encode(b"iloc", body)


def new_item(found: Items, data: Buffer, kind: bytes, content: bytes) -> tuple[int, bytes, bytes]:
    """A further item that describes the primary one: its number, its `infe` and its entry of `iref`.

    Args:
        found: the items.
        data: the file.
        kind: `Exif` or `mime`.
        content: media type of a `mime` item.
    """
    number = max(found.items, default=0) + 1
    wide = number > 0xFFFF
    name = b"\0" + (content + b"\0" if content else b"")
    infe = encode(b"infe", bytes((3 if wide else 2, 0, 0, 0 if content else 1)) + pack(">I" if wide else ">H", number))
    infe = encode(b"infe", infe[8:] + bytes(2) + kind + name)
    box = found.tables.get(b"iref")
    form = ">IHI" if box is not None and data[box.body] else ">HHH"
    shown = found.primary or min(found.items, default=1)
    return number, infe, encode(b"cdsc", pack(form, number, 1, shown))
