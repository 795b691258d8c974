"""Items of a still picture's `meta` box (ISO/IEC 14496-12, 8.11, and 23008-12): its metadata and its size.

`iinf` names them, `iloc` says where their bytes stand, `iprp` how large a picture is.
"""

from __future__ import annotations

from struct import Struct, unpack_from

from functions.exif.blocks import Scan
from functions.exif.boxes import Boxes

MAX_ITEMS = 4096
# An item's number and how many properties it has.
_ITEM, _WIDE_ITEM = Struct(">HB"), Struct(">IB")


def exif_item(result: Scan, body: bytes, offset: int, where: str) -> None:
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


class Meta:
    """The `meta` box of a still picture.

    A picture of a phone is made of dozens of tiles, each an item: only what is said of the primary one and of those of
    metadata is taken in.
    """

    def __init__(self, boxes: Boxes, start: int, end: int) -> None:
        self.boxes, self.data, self.result = boxes, boxes.data, boxes.result
        self.start, self.end = start, end
        self.kinds: dict[int, bytes] = {}
        self.places: dict[int, tuple[int, list[tuple[int, int]]]] = {}
        self.primary = 0
        self.properties: list[tuple[bytes, int, int]] = []
        self.associations: list[int] = []
        self.idat = (0, 0)

    def read(self) -> None:  # noqa: C901 - one branch for each box
        """Find the metadata items and the primary picture's size."""
        data = self.data
        locations, associations = [], []  # read when it is known which items matter
        for kind, start, end in self.boxes.within(self.start, self.end):
            if kind == b"iinf":
                self._names(start, end)
            elif kind == b"iloc":
                locations.append((start, end))
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
                        associations.append((inner, stop))
        for start, end in associations:
            self._associate(start, end)
        self._picture()
        if self.kinds:
            for start, end in locations:
                self._locations(start, end)
        for item, kind in self.kinds.items():
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
                exif_item(self.result, body, at, where)
        elif body:
            self.result.add("xmp", at, body, where)

    def _names(self, start: int, end: int) -> None:
        """`iinf`: the items of metadata among all."""
        if end - start < 6:
            return
        data, kinds = self.data, self.kinds
        first = start + (8 if data[start] else 6)
        left = MAX_ITEMS
        for kind, inner, stop in self.boxes.within(first, end):
            if kind != b"infe" or stop - inner < 12 or not left:
                continue
            version = data[inner]
            if version == 2:
                at = inner + 8
            elif version == 3 and stop - inner >= 14:
                at = inner + 10
            else:
                continue
            left -= 1
            name = data[at : at + 4]
            if name != b"Exif" and name != b"mime" and not kinds:
                continue
            (item,) = unpack_from(">H" if version == 2 else ">I", data, inner + 4)
            # The item's own name, and its type if it is `mime`.
            strings = data[at + 4 : min(stop, inner + 512)].split(b"\0", 2)
            if name == b"Exif" or (
                name == b"mime" and len(strings) > 1 and strings[1].startswith(b"application/rdf+xml")
            ):
                kinds[item] = name
            else:
                kinds.pop(item, None)

    def _locations(self, start: int, end: int) -> None:
        """`iloc`: the sizes of its fields are themselves fields (14496-12, 8.11.3)."""
        if end - start < 8:
            return
        data = self.data
        version, sizes = data[start], unpack_from(">H", data, start + 4)[0]
        offset_size, length_size = sizes >> 12, sizes >> 8 & 15
        base_size, index_size = sizes >> 4 & 15, sizes & 15 if version else 0
        wide = 4 if version >= 2 else 2
        at = start + 6 + wide
        # An item's number and its number of extents, with its method, its file and its base between.
        between = (2 if version else 0) + 2 + base_size
        head = Struct(f">{'I' if wide == 4 else 'H'}{between}xH")
        step = index_size + offset_size + length_size
        for _ in range(min(_number(data, start + 6, wide), MAX_ITEMS)):
            if at + 6 > end or at + head.size > len(data):
                return
            item, extents = head.unpack_from(data, at)
            place = at + head.size
            at = place + min(extents, MAX_ITEMS) * step
            if step and extents and at > end:
                return
            if item not in self.kinds:
                continue
            method = data[place - between - 1] & 15 if version else 0
            base = _number(data, place - 2 - base_size, base_size)
            found = []
            for extent in range(place + index_size, at, step) if step else ():
                length = _number(data, extent + offset_size, length_size)
                found.append((base + _number(data, extent, offset_size), length))
            if not step and extents:
                found.append((base, 0))
            self.places[item] = (method, found[:64])

    def _associate(self, start: int, end: int) -> None:
        """`ipma`: the numbers of the primary picture's properties."""
        if end - start < 8:
            return
        data = self.data
        version, width = data[start], 2 if data[start + 3] & 1 else 1
        head = _WIDE_ITEM if version else _ITEM
        (count,) = unpack_from(">I", data, start + 4)
        at = start + 8
        for _ in range(min(count, MAX_ITEMS)):
            if at + head.size > end:
                return
            item, number = head.unpack_from(data, at)
            at += head.size
            if at + number * width > end:
                return
            if item == self.primary:
                mask = 0x7FFF if width == 2 else 0x7F
                self.associations = [_number(data, at + width * i, width) & mask for i in range(number)]
            at += number * width

    def _picture(self) -> None:
        data, result = self.data, self.result
        for index in self.associations:
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
