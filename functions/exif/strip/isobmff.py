"""HEIC, HEIF and AVIF: items of metadata overwritten where they stand (ISO 14496-12, ISO 23008-12).

Nothing moves, so every offset stays true. An Exif item becomes a valid empty block, since readers that find zeros
there refuse the whole file; boxes of metadata become `free` boxes of zeros.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from struct import unpack_from

from functions.exif.strip.edit import Edit
from functions.exif.strip.layout import Broken, Span, merged, outside

BRANDS = frozenset(
    (
        *(b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs", b"mif1", b"mif2", b"msf1"),
        *(b"miaf", b"avif", b"avis", b"avio", b"MiHB", b"MiHE"),
    )
)
EMPTY = b"II*\0\x08\0\0\0\0\0\0\0\0\0"
EMPTY_XMP = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"/>'
TOP = frozenset((b"ftyp", b"meta", b"mdat", b"moov", b"moof", b"mfra", b"sidx", b"styp"))
META = frozenset((b"hdlr", b"pitm", b"iloc", b"iinf", b"iref", b"iprp", b"idat", b"dinf", b"grpl", b"ipro"))
FREE = frozenset((b"free", b"skip"))
# Properties that describe and do not show: user description, alternative text, times.
DESCRIPTIONS = frozenset((b"udes", b"altt", b"crtt", b"mdft", b"uuid"))
CONTAINERS = frozenset((b"moov", b"trak", b"mdia", b"minf", b"stbl", b"edts", b"mvex", b"moof", b"traf"))
TIMED = frozenset((b"mvhd", b"tkhd", b"mdhd"))
TRACK_METADATA = frozenset((b"udta", b"meta", b"uuid", b"name"))
MAX_BOXES = 20_000
MAX_ITEMS = 65_536
MAX_ITEM_BYTES = 16 * 2**20


@dataclass(slots=True)
class Item:
    """One item of the meta box.

    Args:
        number: its id.
        kind: four letters: `hvc1`, `Exif`, `mime`, …
        content: its media type where `kind` is `mime`.
        spans: where its bytes stand in the file, in order.
        known: whether `spans` is all of it.
    """

    number: int
    kind: bytes = b""
    content: bytes = b""
    spans: list[Span] = field(default_factory=list)
    known: bool = False


@dataclass(frozen=True, slots=True)
class Box:
    """A box: its type, and where it, its contents and its end are."""

    kind: bytes
    position: int
    start: int
    end: int


def boxes(data: bytes | bytearray, start: int, end: int) -> Iterator[Box]:
    """The boxes between two positions; a broken one ends them."""
    for _ in range(MAX_BOXES):
        if start + 8 > end:
            return
        size, kind = unpack_from(">I4s", data, start)
        header = 8
        if size == 1 and start + 16 <= end:
            (size,), header = unpack_from(">Q", data, start + 8), 16
        elif size == 0:
            size = end - start
        if size < header or start + size > end:
            return
        yield Box(kind, start, start + header, start + size)
        start += size


def is_image(data: bytes) -> bool:
    """Whether the brands are those of HEIF or AVIF."""
    if data[4:8] != b"ftyp":
        return False
    size = min(int.from_bytes(data[:4], "big"), 256)
    names = {data[8:12], *(data[at : at + 4] for at in range(16, size - 3, 4))}
    return bool(names & BRANDS) and data[8:12] != b"crx "


def media_type(data: bytes) -> str:
    """By the brands: AVIF, HEIC or HEIF."""
    size = min(int.from_bytes(data[:4], "big"), 256)
    names = [data[8:12], *(data[at : at + 4] for at in range(16, size - 3, 4))]
    if any(name in (b"avif", b"avis") for name in names):
        return "image/avif"
    return "image/heic" if any(name[:3] in (b"hei", b"hev") for name in names) else "image/heif"


def clean(data: bytes, edit: Edit) -> bytes:
    """A HEIC or AVIF without what `edit` removes, all offsets as they were.

    Raises:
        Broken: no items and no tracks, or an item of metadata that shares its bytes with a picture.
    """
    out = bytearray(data)
    top = list(boxes(data, 0, len(data)))
    if not any(box.kind in (b"meta", b"moov") for box in top):
        raise Broken("no picture in it")
    meta = next((box for box in top if box.kind == b"meta"), None)
    items = _items(data, meta) if meta else {}
    stores = merged((box.start, box.end) for box in top if box.kind in (b"mdat", b"meta"))
    if any(_outside(span, stores) for item in items.values() for span in item.spans):
        # Boxes that cannot be followed end before it: to cut there would cut the picture.
        raise Broken("an item stands outside the boxes of its file")
    metadata = [item for item in items.values() if _is_metadata(item)]
    pictures = merged(span for item in items.values() if not _is_metadata(item) for span in item.spans)
    for item in metadata:
        if not item.known or any(_touches(span, pictures) for span in item.spans):
            raise Broken(f"item {item.number} shares its bytes with the picture, or its place is unknown")
    places = sorted({span for item in metadata for span in item.spans})
    if any(first[1] > second[0] for first, second in pairwise(places)):
        raise Broken("two items of metadata share a part of their bytes")
    for item in metadata:
        _overwrite(out, data, item, edit)
    if meta:
        _meta(out, data, meta, edit)
    for box in top:
        if box.kind in (b"moov", b"moof"):
            _tracks(out, data, box, edit)
        elif box.kind not in TOP:
            _free(out, box, edit, "top")
    if not edit.location_only:
        _gaps(out, top, items, edit)
    return _cut(bytes(out), top, edit)


def _is_metadata(item: Item) -> bool:
    return item.kind in (b"Exif", b"mime", b"uri ", b"XMP ") or item.content == b"application/rdf+xml"


def _touches(span: Span, others: list[Span]) -> bool:
    """Whether a span shares a byte with any of those, which are sorted and do not touch one another."""
    # Tens of thousands of either in a small file: one look at each other one would take minutes.
    at = bisect_left(others, (span[1],))
    return at > 0 and others[at - 1][1] > span[0] and span[0] < span[1]


def _outside(span: Span, stores: list[Span]) -> bool:
    """Whether bytes do not stand in one of some stores, all of them."""
    return not any(start <= span[0] and span[1] <= end for start, end in stores)


def _overwrite(out: bytearray, data: bytes, item: Item, edit: Edit) -> None:
    """Replace an item's bytes by what is left of them, padded to the old length."""
    body = b"".join(data[start:end] for start, end in item.spans)
    where = f"item {item.number}"
    if item.kind == b"Exif":
        # Four bytes give the distance from there to the TIFF header (ISO 23008-12, annex A).
        skip = int.from_bytes(body[:4], "big") + 4
        if skip > len(body) or body[skip : skip + 2] not in (b"II", b"MM"):
            at = next((body.find(mark) for mark in (b"II*\0", b"MM\0*") if 0 <= body.find(mark) < 64), -1)
            skip = at if at >= 0 else len(body)
        block = body[skip:]
        if block[: len(EMPTY)] == EMPTY and not block[len(EMPTY) :].strip(b"\0"):
            return
        result = edit.exif(block, where)
        head = body[:skip] if edit.location_only else bytes(4)
        new = head + (EMPTY if result is None else result)
        padding = b"\0"
    elif item.content == b"application/rdf+xml" or item.kind == b"XMP ":
        if body.rstrip(b" ") == EMPTY_XMP:
            return
        packet = edit.xmp(body.rstrip(b" "), where)
        new, padding = EMPTY_XMP if packet is None else packet, b" "
    elif not edit.other("app", where, len(body), f"item of {(item.content or item.kind).decode('latin-1')!r}"):
        new, padding = b"", b"\0"
    else:
        return
    if len(new) > len(body):
        new = b""
    new = new.ljust(len(body), padding)
    at = 0
    for start, end in item.spans:
        out[start:end] = new[at : at + end - start]
        at += end - start


def _meta(out: bytearray, data: bytes, meta: Box, edit: Edit) -> None:
    for box in boxes(data, meta.start + 4, meta.end):
        if box.kind not in META:
            _free(out, box, edit, "meta")
        elif box.kind == b"iprp":
            for inner in boxes(data, box.start, box.end):
                if inner.kind == b"ipco":
                    _properties(out, data, inner, edit)


def _properties(out: bytearray, data: bytes, container: Box, edit: Edit) -> None:
    """Properties are counted by place: one that goes becomes a `free` box in its place."""
    for box in boxes(data, container.start, container.end):
        if box.kind in DESCRIPTIONS:
            _free(out, box, edit, "ipco")
        elif box.kind == b"colr" and data[box.start : box.start + 4] in (b"prof", b"rICC"):
            profile = edit.icc(data[box.start + 4 : box.end], "colr")
            if profile is None:
                _blank(out, box)
            else:
                out[box.start + 4 : box.end] = profile


def _free(out: bytearray, box: Box, edit: Edit, where: str) -> None:
    """A box becomes `free` and its contents zero; one of zeros already is left without a word."""
    if box.kind in FREE and not out[box.start : box.end].strip(b"\0"):
        return
    name = box.kind.decode("latin-1")
    size = box.end - box.position
    if edit.location_only:
        # What maker's boxes and videos hold is not known to be without a location.
        if box.kind in FREE or not _may_locate(out, box):
            return
        edit.gone("gps", f"{where} {name!r}", size, "a box that may state a location")
    else:
        edit.gone("free" if box.kind in FREE else "box", f"{where} {name!r}", size, f"box {name!r}")
    _blank(out, box)


def _may_locate(out: bytearray, box: Box) -> bool:
    body = bytes(out[box.start : box.end])
    return any(mark in body for mark in (b"GPS", b"\xa9xyz", b"loci", b"location", b"atitude"))


def _blank(out: bytearray, box: Box) -> None:
    out[box.position + 4 : box.position + 8] = b"free"
    out[box.start : box.end] = bytes(box.end - box.start)


def _tracks(out: bytearray, data: bytes, parent: Box, edit: Edit, depth: int = 0) -> None:
    """Image sequences: times of creation zeroed, user data freed."""
    for box in boxes(data, parent.start, parent.end):
        if box.kind in TRACK_METADATA:
            _free(out, box, edit, parent.kind.decode("latin-1"))
        elif box.kind in TIMED and not edit.location_only:
            width = 16 if data[box.start] == 1 else 8
            if box.start + 4 + width <= box.end and out[box.start + 4 : box.start + 4 + width].strip(b"\0"):
                out[box.start + 4 : box.start + 4 + width] = bytes(width)
                edit.gone("date", box.kind.decode("latin-1"), width, "times of creation and change")
        elif box.kind in CONTAINERS and depth < 8:
            _tracks(out, data, box, edit, depth + 1)


def _gaps(out: bytearray, top: list[Box], items: dict[int, Item], edit: Edit) -> None:
    """Zero what no item covers in `mdat`, where all of it is known to belong to items."""
    if any(box.kind in (b"moov", b"moof") for box in top) or not all(item.known for item in items.values()):
        return
    covered = [span for item in items.values() for span in item.spans]
    total, stores = 0, [box for box in top if box.kind == b"mdat"]
    at = 0
    for low, high in outside(covered, len(out)):
        while at < len(stores) and stores[at].end <= low:
            at += 1
        # A gap may begin before one box and end behind another.
        for index in range(at, len(stores)):
            first, last = max(low, stores[index].start), min(high, stores[index].end)
            if first >= high:
                break
            if out[first:last].strip(b"\0"):
                total += last - first
                out[first:last] = bytes(last - first)
    if total:
        edit.gone("junk", "mdat", total, "bytes that belong to no item")


def _cut(data: bytes, top: list[Box], edit: Edit) -> bytes:
    """Without what follows the last box, and without `free` boxes at the end."""
    end = top[-1].end
    edit.trailer("after the last box", len(data) - end, "bytes after the last box")
    if not edit.location_only:
        for box in reversed(top):
            if data[box.position + 4 : box.position + 8] != b"free":
                break
            end = box.position
    return data[:end]


def _items(data: bytes, meta: Box) -> dict[int, Item]:
    """The items of a meta box with their places.

    Raises:
        Broken: more of them than any real file has.
    """
    inner = {box.kind: box for box in boxes(data, meta.start + 4, meta.end)}
    items: dict[int, Item] = {}
    if b"iinf" in inner:
        box = inner[b"iinf"]
        start = box.start + (6 if data[box.start] == 0 else 8)
        for entry in boxes(data, start, box.end):
            if entry.kind == b"infe" and (item := _info(data, entry)) is not None:
                items[item.number] = item
    if b"iloc" in inner:
        store = inner.get(b"idat")
        try:
            _places(data, inner[b"iloc"], store, items)
        except (IndexError, ValueError) as error:
            raise Broken(f"the places of its items cannot be read: {error}") from None
    return items


def _info(data: bytes, box: Box) -> Item | None:
    version = data[box.start]
    if version < 2:
        return None
    wide = 4 if version == 3 else 2
    at = box.start + 4
    number = int.from_bytes(data[at : at + wide], "big")
    at += wide + 2
    kind = data[at : at + 4]
    names = data[at + 4 : box.end].split(b"\0")
    return Item(number, kind, names[1] if kind == b"mime" and len(names) > 1 else b"")


class _Cursor:
    """Reads integers of given widths one after another, within a box."""

    def __init__(self, data: bytes, position: int, end: int) -> None:
        self.data, self.position, self.end = data, position, end

    def take(self, width: int) -> int:
        """The next integer; width 0 is zero."""
        stop = self.position + width
        if stop > self.end:
            raise IndexError("the box ends early")
        value = int.from_bytes(self.data[self.position : stop], "big")
        self.position = stop
        return value


def _places(data: bytes, box: Box, store: Box | None, items: dict[int, Item]) -> None:
    cursor = _Cursor(data, box.start, box.end)
    version = cursor.take(1)
    cursor.take(3)
    sizes = cursor.take(2)
    offset_size, length_size, base_size, index_size = sizes >> 12, sizes >> 8 & 15, sizes >> 4 & 15, sizes & 15
    count = cursor.take(2 if version < 2 else 4)
    if count > MAX_ITEMS:
        raise Broken(f"more than {MAX_ITEMS:,} items")
    extents = 0
    for _ in range(count):
        number = cursor.take(2 if version < 2 else 4)
        method = cursor.take(2) & 15 if version in (1, 2) else 0
        reference, base = cursor.take(2), cursor.take(base_size)
        item = items.setdefault(number, Item(number))
        item.known = not reference and method in (0, 1) and (method == 0 or store is not None)
        origin = store.start if method == 1 and store else 0
        pieces = cursor.take(2)
        if pieces > 1 and not offset_size + length_size:
            raise Broken("pieces of an item that have no places")
        for _ in range(pieces):
            extents += 1
            if extents > MAX_ITEMS:
                raise Broken(f"more than {MAX_ITEMS:,} extents")
            if version in (1, 2):
                cursor.take(index_size)
            start, length = origin + base + cursor.take(offset_size), cursor.take(length_size)
            if length == 0 or start + length > len(data):
                item.known = False
            elif item.known:
                item.spans.append((start, start + length))
        if method == 2:
            item.known = True  # made of other items, with no bytes of its own
    if sum(end - start for item in items.values() if _is_metadata(item) for start, end in item.spans) > MAX_ITEM_BYTES:
        raise Broken(f"more than {MAX_ITEM_BYTES:,} bytes of metadata")
