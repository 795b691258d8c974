"""HEIC, HEIF and AVIF: items of metadata overwritten where they stand (ISO 14496-12, ISO 23008-12).

Nothing moves, so every offset stays true. An Exif item becomes a valid empty block, since readers that find zeros
there refuse the whole file; boxes of metadata become `free` boxes of zeros.
"""

from __future__ import annotations

from bisect import bisect_left
from itertools import pairwise

from functions.exif.edit.blocks.layout import Span, merged, outside
from functions.exif.edit.decide import Edit
from functions.exif.edit.errors import Broken
from functions.exif.strip.items import Box, Item, boxes, located

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
    items = located(data, meta) if meta else {}
    stores = merged((box.start, box.end) for box in top if box.kind in (b"mdat", b"meta"))
    if any(_outside(span, stores) for item in items.values() for span in item.spans):
        # Boxes that cannot be followed end before it: to cut there would cut the picture.
        raise Broken("an item stands outside the boxes of its file")
    metadata = [item for item in items.values() if item.is_metadata()]
    pictures = merged(span for item in items.values() if not item.is_metadata() for span in item.spans)
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
