"""Items of a still picture's `meta` box (ISO/IEC 14496-12, 8.11, and 23008-12): its metadata and its size.

`iinf` names them, `iloc` says where their bytes stand, `iprp` how large a picture is.
"""

from __future__ import annotations

from collections.abc import Iterator
from struct import Struct, unpack_from

from functions.exif.blocks import Scan
from functions.exif.boxes import Boxes, label
from functions.exif.fields import heif

MAX_ITEMS = 4096
MAX_EXTENTS = 64
# Items that are coded pictures or made of such; boxes of `meta` and properties that hold no metadata.
_PICTURES = frozenset(
    (
        *(b"hvc1", b"av01", b"av02", b"grid", b"iovl", b"iden", b"tmap", b"avc1", b"vvc1", b"evc1", b"j2k1", b"unci"),
        *(b"lhv1", b"hvc2", b"tili", b"mski"),
    )
)
# Names that encoders give to items.
_NAMES = frozenset(
    (
        *(
            b"color",
            b"alpha",
            b"exif",
            b"xmp",
            b"gmap",
            b"tmap",
            b"grid",
            b"hevc image",
            b"image",
            b"thumbnail",
            b"depth",
        ),
        *(b"primary", b"gain map", b"auxiliary"),
    )
)
_SILENT = frozenset((b"dinf", b"grpl", b"free", b"skip", b"ipro"))
PROPERTIES = frozenset(
    (
        *(b"ispe", b"pixi", b"colr", b"irot", b"imir", b"clap", b"pasp", b"auxC", b"hvcC", b"av1C", b"avcC", b"vvcC"),
        *(b"evcC", b"j2kH", b"lhvC", b"clli", b"mdcv", b"cclv", b"amve", b"reve", b"ndwt", b"lsel", b"a1op", b"a1lx"),
        *(b"rloc", b"oinf", b"tols", b"subs", b"free", b"skip", b"iscl", b"rref", b"crtt", b"mdft", b"hdrp", b"cmpC"),
        *(b"cmpd", b"uncC", b"tilC", b"mskC", b"cmin", b"cmex", b"pred", b"prfr", b"elng", b"altt", b"disi", b"ster"),
        *(b"dpnd", b"blnd", b"fpac", b"cpat", b"cloc", b"splz"),
    )
)
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
            result.miss("exif", where, offset, len(body))
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
        self.kinds: dict[int, str] = {}
        self.places: dict[int, tuple[int, list[tuple[int, int]]]] = {}
        self.pictures: set[int] = set()
        self.primary = 0
        self.properties: list[tuple[bytes, int, int]] = []
        self.associations: list[int] = []
        self.idat = (0, 0)
        self.tiles: tuple[int, ...] = ()
        self.ranks: dict[int, int] = {}
        # Which pictures each item describes.
        self.described: dict[int, tuple[int, ...]] = {}
        self.claims: list[tuple[int, int]] | None = None

    def read(self, stores: list[tuple[int, int]] | None = None) -> None:  # noqa: C901 - one branch for each box
        """Find the metadata items and the primary picture's size.

        Args:
            stores: where the `mdat` boxes stand whose bytes are to be accounted for.
        """
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
            elif kind == b"iref":
                self._references(start, end)
            elif kind == b"iprp":
                for name, inner, stop in self.boxes.within(start, end):
                    if name == b"ipco":
                        self.properties = list(self.boxes.within(inner, stop))
                    elif name == b"ipma":
                        associations.append((inner, stop))
            elif kind == b"hdlr":
                self._handler(start, end)
            elif kind not in _SILENT and data[start:end].strip(b"\0"):
                self.result.miss("box", f"meta/{label(kind)}", start, end - start)
        for start, end in associations:
            self._associate(start, end)
        self._picture()
        if stores:
            self.claims = []
        if self.kinds or stores:
            for start, end in locations:
                self._locations(start, end)
        for item, described in self.kinds.items():
            self._item(item, described)
        if stores:
            self._gaps(stores)

    def _handler(self, start: int, end: int) -> None:
        """The name behind the handler's type, which programs fill with their own."""
        name = self.data[start + 24 : end].strip(b"\0")
        heif.handler(self.result, self.data[start:end])
        if name:
            self.result.add("value", start + 24, name, "hdlr", "QuickTime:HandlerDescription")

    def rows(self) -> None:
        """The box's own fields: the primary picture and the properties of all pictures."""
        self.result.row("Meta", "PrimaryItemReference", self.primary, self.primary)
        heif.properties(self.result, self.data, self.properties, self.ranks)

    def _gaps(self, stores: list[tuple[int, int]]) -> None:
        """Bytes of the stores that belong to no item."""
        # What lies outside the stores is claimed too: one pass over all of them.
        outside = zip([0, *(end for _, end in stores)], [*(start for start, _ in stores), len(self.data)], strict=True)
        for first, last in gaps([*(self.claims or []), *outside], 0, len(self.data)):
            if self.data[first:last].strip(b"\0"):
                self.result.miss("gap", "mdat", first, last - first)

    def _references(self, start: int, end: int) -> None:
        """`iref`: of which pictures an item is the description."""
        if end - start < 4:
            return
        form, width = (">I", 4) if self.data[start] else (">H", 2)
        for kind, inner, stop in self.boxes.within(start + 4, end):
            if kind not in (b"cdsc", b"dimg") or stop - inner < width + 2:
                continue
            (item,) = unpack_from(form, self.data, inner)
            first = inner + width + 2
            count = min(unpack_from(">H", self.data, inner + width)[0], (stop - first) // width)
            targets = tuple(_number(self.data, first + width * index, width) for index in range(count))
            if kind == b"dimg":
                if item == self.primary:
                    self.tiles = targets[:1]
                continue
            self.described[item] = self.described.get(item, ()) + targets

    def _of_another(self, item: int) -> bool:
        """Whether an item describes pictures, and the primary one is not among them, while others describe that."""
        mine = self.described.get(item, ())
        return (
            bool(mine)
            and self.primary not in mine
            and any(self.primary in targets for other, targets in self.described.items() if other in self.kinds)
        )

    def _item(self, item: int, kind: str) -> None:
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
        if parts:
            at = base + extents[0][0] if len(extents) == 1 else -1
            self._keep(item, kind, b"".join(parts), at)

    def _keep(self, item: int, kind: str, body: bytes, at: int) -> None:
        """Keep the bytes of an item by its kind."""
        where = f"item {item}"
        name, _, encoding = kind.partition(" ")
        if encoding == "deflate":
            unpacked = self.result.inflate(body, where, at)
            if unpacked is None:
                return
            body, at = unpacked, -1
        elif encoding:
            self.result.miss("item", f"{where} ({kind})", at, len(body))
            return
        if self._of_another(item) and name == "Exif":
            pictures = ", ".join(map(str, self.described[item]))
            self.result.hold(name.lower(), f"{where} (picture {pictures})", at, body)
        elif name == "Exif":
            if len(body) > 4:
                exif_item(self.result, body, at, where)
        elif name == "xmp":
            self.result.add("xmp", at, body, where)
        elif name == "jpeg":
            self.result.hold("picture", where, at, body)
        else:
            self.result.miss("item", f"{where} ({kind})", at, len(body))

    def _names(self, start: int, end: int) -> None:
        """`iinf`: the items of metadata among all."""
        if end - start < 6:
            return
        data, kinds = self.data, self.kinds
        first = start + (8 if data[start] else 6)
        left = MAX_ITEMS
        for kind, inner, stop in self.boxes.within(first, end):
            if kind != b"infe" or stop - inner < 12 or not left:
                self.result.miss("box", f"iinf/{label(kind)}", inner, stop - inner)
                continue
            version = data[inner]
            if version == 2:
                at = inner + 8
            elif version == 3 and stop - inner >= 14:
                at = inner + 10
            else:
                self.result.miss("box", "iinf/infe", inner, stop - inner)
                continue
            left -= 1
            name = data[at : at + 4]
            (item,) = unpack_from(">H" if version == 2 else ">I", data, inner + 4)
            if name in _PICTURES:
                self.pictures.add(item)
                if not kinds and stop - at <= 5:
                    continue
            described = self._kind(item, name, data[at + 4 : min(stop, inner + 512)], stop - inner - 512)
            if described:
                kinds[item] = described
            else:
                kinds.pop(item, None)

    def _kind(self, item: int, name: bytes, text: bytes, more: int) -> str:
        """How an item is read: `Exif`, `xmp` and its encoding, `jpeg`, or its own type; empty for coded pictures."""
        # The item's own name, and its type and encoding if it is `mime`.
        strings = text.split(b"\0")
        if strings[0].strip() and strings[0].lower() not in _NAMES:
            self.result.add("value", -1, strings[0], "infe", f"Meta:ItemName{item}")
        self.result.miss("box", "iinf/infe", -1, more)
        if name in _PICTURES:
            return ""
        if name != b"mime":
            return label(name)
        media = strings[1].decode("latin-1") if len(strings) > 1 else ""
        encoding = strings[2].decode("latin-1") if len(strings) > 2 else ""
        return f"{'xmp' if media.startswith('application/rdf+xml') else media or 'mime'} {encoding}".strip()

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
            if item not in self.kinds and self.claims is None:
                continue
            method = data[place - between - 1] & 15 if version else 0
            base = _number(data, place - 2 - base_size, base_size)
            found = []
            for extent in range(place + index_size, at, step) if step else ():
                length = _number(data, extent + offset_size, length_size)
                found.append((base + _number(data, extent, offset_size), length))
            if not step and extents:
                found.append((base, 0))
            if self.claims is not None and method == 0 and (item in self.pictures or item in self.kinds):
                self.claims += [(first, first + size if size else len(data)) for first, size in found]
            if item in self.kinds:
                self.places[item] = (method, found[:MAX_EXTENTS])
                for first, size in found[MAX_EXTENTS:]:
                    self.result.miss("limit", f"item {item}", first, size)

    def _associate(self, start: int, end: int) -> None:
        """`ipma`: the numbers of the properties of the primary picture and of its tiles."""
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
            if item == self.primary or item in self.tiles:
                mask = 0x7FFF if width == 2 else 0x7F
                numbers = [_number(data, at + width * i, width) & mask for i in range(number)]
                if item == self.primary:
                    self.associations = numbers
                for index in numbers:
                    self.ranks[index] = max(self.ranks.get(index, 0), 2 if item == self.primary else 1)
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
            elif kind == b"imir" and end > start:
                result.details["mirroring"] = data[start] & 1
            elif kind == b"pixi" and end - start >= 6:
                result.details["bits_per_sample"] = data[start + 5]
        self._described()

    def _described(self) -> None:
        """Properties of any picture that hold text, and those of an unknown kind."""
        data, result = self.data, self.result
        for kind, start, end in self.properties:
            if kind == b"udes":
                texts = data[start + 4 : end].split(b"\0")
                for text, name in zip(texts, ("Language", "Name", "Description", "Keywords"), strict=False):
                    if text:
                        result.add("value", -1, text, "udes", f"Meta:User{name}")
            elif kind == b"colr" and data[start : start + 4] in (b"prof", b"rICC"):
                # A picture of tiles may leave its profile to them.
                if not any(block.kind == "icc" for block in result.blocks):
                    result.add("icc", start + 4, data[start + 4 : end], "colr")
            elif kind not in PROPERTIES and data[start:end].strip(b"\0"):
                result.miss("box", f"ipco/{label(kind)}", start, end - start)


def gaps(claims: list[tuple[int, int]], start: int, end: int) -> Iterator[tuple[int, int]]:
    """The ranges between start and end that no claim covers."""
    at = start
    for first, last in sorted(claims):
        if first >= end:
            break
        if first > at:
            yield at, first
        at = max(at, last)
    if at < end:
        yield at, end


def _number(data: bytes, at: int, size: int) -> int:
    return int.from_bytes(data[at : at + size], "big")
