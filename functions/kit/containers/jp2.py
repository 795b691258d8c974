"""JPEG 2000: boxes (JP2, JPX, JPM), or a bare codestream (ISO/IEC 15444-1)."""

from __future__ import annotations

from collections.abc import Mapping
from struct import pack, unpack_from

from functions.kit.containers.boxes import UUIDS, Box, Boxes, encode, resize
from functions.kit.containers.chunks import splice
from functions.kit.containers.packing import ContainerError
from functions.kit.containers.parts import Changes, Document, Kind, Splices, filler
from functions.kit.containers.sniff import brand
from functions.kit.containers.source import Source

CODESTREAM, END = b"\xff\x4f\xff\x51", b"\xff\xd9"
# Boxes that the file has once, and those of the headers of a picture, a codestream or a layer.
SINGLE = frozenset((b"jP  ", b"ftyp", b"rreq"))
HEADERS = frozenset(
    (b"ihdr", b"bpcc", b"colr", b"pclr", b"cmap", b"cdef", b"res ", b"resc", b"resd", b"cgrp", b"opct", b"creg")
)
STRUCTURES = frozenset((b"dtbl", b"ftbl", b"flst", b"comp", b"copt", b"inst", b"nlst"))
# What JPX puts around metadata: associations, and headers of codestreams and layers (15444-2, annex M).
PARENTS = frozenset((b"asoc", b"jpch", b"jplh", b"uinf"))
TEXTS = {b"lbl ": "Label", b"url ": "URL"}
MAX_DEPTH = 8
COMMENT = 0xFF64
# Marker segments of headers (15444-1, table A.2; 15444-2, A.3; 15444-8 and -11); decoders pass over others.
MARKERS = frozenset((0xFF63, *range(0xFF50, 0xFF54), *range(0xFF55, 0xFF5A), *range(0xFF5C, 0xFF62)))
MARKERS |= frozenset((*range(0xFF65, 0xFF6A), *range(0xFF70, 0xFF7A)))
LAST_MARKER = 0xFF7F
TILE_LENGTHS = b"\xff\x55"
MAX_TILE_PARTS = 65_535
KINDS = {b"jp2c": Kind.PIXELS, b"xml ": Kind.XMP, b"XML ": Kind.XMP, b"jumb": Kind.JUMBF}
KINDS |= {b"free": Kind.FREE, b"skip": Kind.FREE}


def read(source: Source) -> Document:
    """Read the boxes, or the header of a bare codestream."""
    document = Document(source, "J2C", "image/j2c")
    if source.startswith(CODESTREAM, 0):
        _codestream(document, 0, source.size)
        return document
    document.format, document.media_type = brand(source.read(12, 1024)) or ("JP2", "image/jp2")
    document.model = []
    boxes, at = Boxes(document), 0
    for box in boxes.within(0, source.size):
        if box.kind == b"ftyp":
            document.details["brand"] = source.read(box.body, box.body + 4).decode("latin-1").strip()
        if box.kind == b"jp2h":
            _header(document, boxes, box)
        elif box.kind in PARENTS:
            _nested(document, boxes, box, 0)
        elif box.kind == b"jp2c":
            document.add(Kind.STRUCTURE, box.start, box.body, box.name, key=box.kind)
            document.model.append(box)
            _codestream(document, box.body, box.end)
        else:
            _leaf(document, box)
        at = box.end
    boxes.finish(at)
    return document


def _nested(document: Document, boxes: Boxes, outer: Box, depth: int) -> None:
    """The boxes in another one."""
    at = outer.body
    document.model.append(outer)
    document.add(Kind.STRUCTURE, outer.start, outer.body, outer.name, key=outer.kind)
    for box in boxes.within(outer.body, outer.end):
        if box.kind in PARENTS and depth < MAX_DEPTH:
            _nested(document, boxes, box, depth + 1)
        else:
            _leaf(document, box, f"{outer.name}/")
        at = box.end
    if at < outer.end:
        document.add(Kind.GAP, at, outer.end, outer.name)


def _is_structure(document: Document, kind: bytes, parent: str) -> bool:
    """Whether a box is one that the picture needs, in its place."""
    if kind in SINGLE:
        return not parent and not any(part.key == kind for part in document.parts)
    return kind in STRUCTURES or (kind in HEADERS and bool(parent))


def _leaf(document: Document, box: Box, parent: str = "") -> None:
    source, kind, body, label = document.source, KINDS.get(box.kind, Kind.UNKNOWN), box.body, box.name
    if box.kind == b"uuid":
        kind, body = UUIDS.get(source.read(body, body + 16), Kind.APP), min(body + 16, box.end)
        if kind is Kind.EXIF and source.startswith(b"Exif\0\0", body):
            body = min(body + 6, box.end)
    elif box.kind == b"colr" and source.read(body, body + 1) == b"\2":
        kind, body = Kind.ICC, min(body + 3, box.end)
    elif _is_structure(document, box.kind, parent):
        kind = Kind.STRUCTURE
    if box.kind in TEXTS:
        document.add(Kind.TEXT, box.start, box.end, "jpx", TEXTS[box.kind], body=body, stop=box.end, key=box.kind)
        return
    label = "xml" if box.kind in (b"xml ", b"XML ") else label
    if kind is Kind.UNKNOWN:
        label = parent + label
    document.add(kind, box.start, box.end, label, body=body, stop=box.end, key=box.kind)


def _header(document: Document, boxes: Boxes, outer: Box) -> None:
    """Size, colours and resolution."""
    data, at = document.source.data, outer.body
    document.model.append(outer)
    document.add(Kind.STRUCTURE, outer.start, outer.body, outer.name, key=outer.kind)
    for box in boxes.within(outer.body, outer.end):
        if box.kind == b"ihdr" and box.end - box.body >= 14:
            height, width, components, bits = unpack_from(">IIHB", data, box.body)
            document.width, document.height = width, height
            document.details.update(components=components, bits_per_sample=(bits & 0x7F) + 1)
        elif box.kind == b"res ":
            for inner in boxes.within(box.body, box.end):
                if inner.kind in (b"resc", b"resd") and inner.end - inner.body >= 10:
                    _resolution(document, inner.body, "capture" if inner.kind == b"resc" else "display")
        _leaf(document, box, f"{outer.name}/")
        at = box.end
    if at < outer.end:
        document.add(Kind.GAP, at, outer.end, outer.name)


def _resolution(document: Document, at: int, name: str) -> None:
    """Samples a metre, as a fraction and a power of ten (I.5.3.7)."""
    y_top, y_bottom, x_top, x_bottom, y_power, x_power = unpack_from(">HHHHbb", document.source.data, at)
    if x_bottom and y_bottom:
        document.details[f"{name}_resolution_x"] = x_top / x_bottom * 10.0**x_power
        document.details[f"{name}_resolution_y"] = y_top / y_bottom * 10.0**y_power


def _codestream(document: Document, start: int, end: int) -> None:
    """Markers of the main header, whose comments are metadata; then the picture (A.4.1, A.5.1, A.9.2)."""
    source, at = document.source, start + 2
    head = source.read(start, min(start + 64, end))
    if len(head) >= 24 and head[:4] == CODESTREAM and document.width is None:
        width, height, left, top = unpack_from(">IIII", head, 8)
        if width >= left and height >= top:
            document.width, document.height = width - left, height - top
    first = start
    for _ in range(1024):
        word = source.read(at, at + 4)
        if len(word) < 4:
            break
        marker, length = unpack_from(">HH", word)
        if not 0xFF50 <= marker <= LAST_MARKER or length < 2 or at + 2 + length > end:
            break
        stop = at + 2 + length
        if marker not in MARKERS:
            if first < at:
                document.add(Kind.STRUCTURE, first, at, "codestream")
            _segment(document, marker, at, stop)
            first = stop
        at = stop
    at = min(at, end)
    if first < at:
        document.add(Kind.STRUCTURE, first, at, "codestream")
    _tiles(document, at, end)


def _segment(document: Document, marker: int, at: int, stop: int, tile: int = -1) -> None:
    """A comment, or a segment of no known marker."""
    if marker == COMMENT:
        body = min(at + 6, stop)
        document.add(Kind.COMMENT, at, stop, "codestream", "", body=body, stop=stop, key=marker, item=tile)
    else:
        label = f"codestream marker {marker:04X}"
        document.add(Kind.UNKNOWN, at, stop, label, "", body=at + 4, stop=stop, key=marker, item=tile)


def _tiles(document: Document, at: int, end: int) -> None:
    """The picture by its tile-parts, whose headers may hold comments as well, and what follows its end (A.4.2)."""
    source, first = document.source, at
    for _ in range(0 if source.holes else MAX_TILE_PARTS):
        head = source.read(at, at + 12)
        if len(head) < 12 or not head.startswith(b"\xff\x90"):
            break
        (length,) = unpack_from(">I", head, 6)
        place = at + 12
        while place + 4 <= end:
            marker, size = unpack_from(">HH", source.data, place)
            if not 0xFF50 <= marker <= LAST_MARKER or size < 2 or place + 2 + size > end:
                break
            stop = place + 2 + size
            if marker not in MARKERS:
                document.add(Kind.PIXELS, first, place, "codestream")
                _segment(document, marker, place, stop, at)
                first = stop
            place = stop
        if not length:
            # The last tile-part: no code in it is like the marker of the end (15444-1, D.4.1 and B.10.1).
            at = source.data.find(END, place, end)
        if not length or not at + 12 <= at + length <= end:
            at = end if length or at < 0 else at
            break
        at += length
    if first < at and at + 2 < end and not source.holes and source.read(at, at + 2) == END:
        document.add(Kind.PIXELS, first, at + 2, "codestream")
        document.add(filler(source, at + 2, end, Kind.TRAILER), at + 2, end, "after the picture")
    elif first < end:
        document.add(Kind.PIXELS, first, end, "codestream")


def write(document: Document, changes: Changes, added: Mapping[Kind, bytes]) -> bytes:
    """The file with new content in some boxes, and without others."""
    splices = splice(document, changes, added)
    for part, content in changes.items():
        if content is not None and isinstance(part.key, bytes):
            head = document.source.read(part.start + 8, part.body)
            splices.edits[part.start, part.end] = encode(part.key, head + content)
        elif content is not None and part.key == COMMENT:
            head = document.source.read(part.start + 4, part.body)
            body = head + content
            splices.edits[part.start, part.end] = pack(">HH", part.key, len(body) + 2) + body
    moved = Splices(document.source, splices.edits)
    tiles = {part.item for part in changes if part.item >= 0}
    headers = [part for part in document.parts if part.label == "codestream" and part.kind is Kind.STRUCTURE]
    if tiles and any(TILE_LENGTHS in document.raw(part) for part in headers):
        raise ContainerError("its codestream states the lengths of tiles, which would not hold for the copy")
    for tile in tiles:
        grown = sum(
            len(moved.edits[part.start, part.end]) - (part.end - part.start) for part in changes if part.item == tile
        )
        (length,) = unpack_from(">I", document.source.data, tile + 6)
        if length:
            moved.patch(tile + 6, pack(">I", length + grown))
    resize(moved, document.model or [])
    return moved.join()
