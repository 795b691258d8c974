"""Where the items of a HEIC, HEIF or AVIF stand, for those who overwrite them (ISO 14496-12, ISO 23008-12).

Stricter than the reader: what cannot be placed for certain is no item that may be overwritten.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from struct import unpack_from

from functions.exif.edit.blocks.layout import Span
from functions.exif.edit.errors import Broken

BRANDS = frozenset(
    (
        *(b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs", b"mif1", b"mif2", b"msf1"),
        *(b"miaf", b"avif", b"avis", b"avio", b"MiHB", b"MiHE"),
    )
)
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

    def is_metadata(self) -> bool:
        """Whether it is no picture, nor a part of one."""
        return self.kind in (b"Exif", b"mime", b"uri ", b"XMP ") or self.content == b"application/rdf+xml"


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


def located(data: bytes, meta: Box) -> dict[int, Item]:
    """The items of a meta box with their places.

    Raises:
        Broken: more of them than any real file has.
    """
    inner = {box.kind: box for box in boxes(data, meta.start + 4, meta.end)}
    found: dict[int, Item] = {}
    if b"iinf" in inner:
        box = inner[b"iinf"]
        start = box.start + (6 if data[box.start] == 0 else 8)
        for entry in boxes(data, start, box.end):
            if entry.kind == b"infe" and (item := _info(data, entry)) is not None:
                found[item.number] = item
    if b"iloc" in inner:
        store = inner.get(b"idat")
        try:
            _places(data, inner[b"iloc"], store, found)
        except (IndexError, ValueError) as error:
            raise Broken(f"the places of its items cannot be read: {error}") from None
    return found


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
    if sum(end - start for item in items.values() if item.is_metadata() for start, end in item.spans) > MAX_ITEM_BYTES:
        raise Broken(f"more than {MAX_ITEM_BYTES:,} bytes of metadata")
