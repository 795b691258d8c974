"""Writing HEIC, HEIF and AVIF: items with new content and new places (ISO/IEC 14496-12, 8.11)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from struct import pack, unpack_from

from functions.kit.containers import items, mini
from functions.kit.containers.boxes import Boxes, encode, resize
from functions.kit.containers.packing import ContainerError
from functions.kit.containers.parts import Changes, Document, Kind, Part, Splices
from functions.kit.containers.tracks import numbers


def write(document: Document, changes: Changes, added: Mapping[Kind, bytes]) -> bytes:
    """The file with new content in some parts, without others, and with new items; places and sizes follow.

    Raises:
        ContainerError: a part to be changed shares its bytes with another, or the file has fragments.
    """
    model: items.Model = document.model
    if model.mini is not None:
        return mini.write(document, model.mini, changes, added)
    spans = {(part.start, part.end) for change in changes for part in document.members(change)}
    for other in document.references:
        if any(start < other.end and other.start < end for start, end in spans):
            raise ContainerError(f"{other.label} shares its bytes with a part to be changed")
    edits, gone = _edits(document, changes)
    tail = _added(document, edits, gone, added)
    if any(len(new) != end - start for (start, end), new in edits.items()) or tail.data:
        if model.fragments:
            raise ContainerError("a file of fragments cannot change its length")
        return _moved(document, changes, edits, gone, tail)
    return Splices(document.source, edits).join()


@dataclass(slots=True)
class _Tail:
    """New items at the end of the file: their bytes, and their place in them by number."""

    data: bytes = b""
    spans: dict[int, tuple[int, int]] = field(default_factory=dict)


def _edits(document: Document, changes: Changes) -> tuple[dict[tuple[int, int], bytes], set[int]]:
    """New bytes by span, and the numbers of the items that are dropped."""
    edits: dict[tuple[int, int], bytes] = {}
    gone: set[int] = set()
    tracks = any(part.key == b"trak" and new is None for part, new in changes.items())
    properties = {box.start for box in document.model.properties}
    for part, content in changes.items():
        if part.key == "item":
            for member in document.members(part):
                edits[member.start, member.end] = b""
            if content is None:
                gone.add(part.item)
            else:
                head = pack(">I", 0) if part.kind is Kind.EXIF else b""
                edits[part.start, part.end] = head + content
        elif part.key == "time" or (part.key == "sample" and not tracks):
            edits[part.start, part.end] = (content or b"").ljust(part.end - part.start, b"\0")
        elif part.key == "name":
            edits[part.start, part.end] = (content or b"").ljust(part.end - part.start)
        elif part.key == "inner":
            # Of a JPEG: its marker and length stay.
            kept = part.start if part.body < 0 else part.start + 4 if content is None else part.body
            new = document.source.read(part.start, kept) + (content or b"")
            if len(new) > part.end - part.start:
                raise ContainerError(f"{part.label}: {len(new):,} bytes; there is room for {part.end - part.start:,}")
            edits[part.start, part.end] = new.ljust(part.end - part.start, b"\0")
        elif content is None and part.start in properties:
            # Properties are counted by their places: one that goes leaves an empty box.
            edits[part.start, part.end] = encode(b"free", b"")
        elif content is None or part.body < 0:
            edits[part.start, part.end] = content or b""
        else:
            head = document.source.read(part.start + 8, part.body)
            edits[part.start, part.end] = encode(part.key, head + content)
    return edits, gone


Edits = dict[tuple[int, int], bytes]


def _added(document: Document, edits: Edits, gone: set[int], added: Mapping[Kind, bytes]) -> _Tail:
    """Put new tables of items among the edits; what is added becomes a box of data at the end."""
    model: items.Model = document.model
    tail, data = _Tail(), document.source.data
    if not gone and not added:
        return tail
    found = model.items
    if model.meta is None or b"iinf" not in found.tables or b"iloc" not in found.tables:
        raise ContainerError("no table of items in it")
    names = found.tables[b"iinf"]
    nameless = [span for span in edits if names.start < span[0] < names.end]
    for span in nameless:
        del edits[span]
    new = items.without(found, Boxes(document), gone, {start for start, _ in nameless})
    body = b""
    for kind, content in added.items():
        if kind not in (Kind.EXIF, Kind.XMP):
            raise ContainerError(f"a block of kind {kind} cannot be added to an item")
        exif = kind is Kind.EXIF
        number, infe, reference = items.new_item(
            found, data, b"Exif" if exif else b"mime", b"" if exif else b"application/rdf+xml"
        )
        found.items[number] = items.Item(number, spans=[])
        stored = (bytes(4) + content) if exif else content
        tail.spans[number] = (len(body), len(body) + len(stored))
        body += stored
        new[b"iinf"] = _with(new[b"iinf"], infe, counted=True)
        new[b"iref"] = _with(new.get(b"iref") or encode(b"iref", bytes(4)), reference, counted=False)
    tail.data = encode(b"mdat", body) if body else b""
    behind = b""
    for name, table in new.items():
        box = found.tables.get(name)
        if box is not None:
            edits[box.start, box.end] = table
        else:
            behind += table
    edits[names.start, names.end] = new[b"iinf"] + behind
    return tail


def _with(table: bytes, entry: bytes, *, counted: bool) -> bytes:
    """A table of items with one more entry."""
    body = table[8:]
    if counted:
        form, size = (">I", 4) if body[0] else (">H", 2)
        (count,) = unpack_from(form, body, 4)
        body = body[:4] + pack(form, count + 1) + body[4 + size :]
    return encode(table[4:8], body + entry)


def _moved(
    document: Document, changes: Changes, edits: dict[tuple[int, int], bytes], gone: set[int], tail: _Tail
) -> bytes:
    """The edited file with new places: of items, of chunks, and the sizes of the boxes around them."""
    source, model = document.source, document.model
    table = model.items.tables.get(b"iloc")
    wide = source.size + len(tail.data) >= 2**31
    version = source.data[table.body] if table is not None else 0
    replaced = {part.item: part for part, new in changes.items() if part.key == "item" and new is not None}
    if table is not None:
        rows = _rows(model.items, Splices(source, edits), gone, replaced, tail)
        edits[table.start, table.end] = items.places(version, [_zeros(row) for row in rows], wide=wide)
    splices = Splices(source, edits)
    if table is not None:
        rows = _rows(model.items, splices, gone, replaced, tail)
        splices.edits[table.start, table.end] = items.places(version, rows, wide=wide)
    gone_tracks = [part for part, new in changes.items() if part.key == b"trak" and new is None]
    for box in model.chunks:
        if any(part.start < box.start < part.end for part in gone_tracks):
            continue
        width = 8 if box.kind == b"co64" else 4
        moved = [splices.moved(place) for place in numbers(source.data, box, width, 4)]
        splices.patch(box.body + 8, pack(f">{len(moved)}{'Q' if width == 8 else 'I'}", *moved))
    resize(splices, model.outer, explicit=bool(tail.data))
    return splices.join(tail.data)


def _zeros(row: items.Row) -> items.Row:
    number, method, reference, extents = row
    return number, method, reference, [(0, 0)] * len(extents)


def _rows(
    found: items.Items, splices: Splices, gone: set[int], replaced: Mapping[int, Part], tail: _Tail
) -> list[items.Row]:
    """The places of all items that stay."""
    store = found.tables.get(b"idat")
    end = splices.moved(splices.source.size) + 8
    rows: list[items.Row] = []
    for number, item in found.items.items():
        if number in gone:
            continue
        origin = splices.moved(store.body) if item.method == 1 and store else 0
        if number in tail.spans:
            low, high = tail.spans[number]
            extents = [(end + low, high - low)]
        elif number in replaced:
            part = replaced[number]
            extents = [(splices.moved(part.start) - origin, len(splices.edits[part.start, part.end]))]
        elif item.spans is None:
            extents = item.extents
        else:
            extents = [(splices.moved(low) - origin, high - low) for low, high in item.spans]
        rows.append((number, item.method, item.reference, extents))
    return rows
