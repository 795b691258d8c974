"""The pictures in a JPEG's index, and other data after the end of the image (CIPA DC-007)."""

from __future__ import annotations

from collections.abc import Callable
from struct import pack, unpack_from
from typing import NamedTuple

from functions.kit.containers.parts import Changes, Claims, Document, Kind, Part, Splices, filler
from functions.kit.containers.source import Source

MAX_PICTURES = 64
# Types of the pictures in the index (CIPA DC-007, 5.2.3.3.1), and the marks of other entries: Ultra HDR, ISO 21496-1,
# and Apple's auxiliary images.
PICTURE_TYPES = {0x010001: "thumbnail", 0x010002: "thumbnail", 0x010003: "thumbnail", 0x050000: "gainmap"}
AUXILIARY = (b"hdrgm:Version", b"urn:iso:std:iso:ts:21496", b"hdrgm:GainMap", b"AuxiliaryImageType")


class Indexed(NamedTuple):
    """One entry of an index of pictures: where it stands, and what it states."""

    position: int
    attribute: int
    size: int
    offset: int


class Model(NamedTuple):
    """What the writer needs: the span of the first image, the index's segment, and its entries.

    Args:
        start: of the image's first marker.
        end: after its last one.
        mpf: the segment of the index; None without one.
        entries: of the index.
        order: of its numbers.
        counts: positions of the number of pictures and of the size of the entries, 0 for none.
    """

    start: int
    end: int
    mpf: Part | None = None
    entries: tuple[Indexed, ...] = ()
    order: str = "<"
    counts: tuple[int, int] = (0, 0)


def index(document: Document, start: int, end: int) -> None:
    """The index of a Multi-Picture file: number and places of its pictures (CIPA DC-007, 5.2)."""
    document.model = Model(start, end)
    part = next((part for part in document.parts if part.kind is Kind.MPF), None)
    if part is None or part.stop - part.body < 10:
        return
    data = document.source.data[part.body : part.stop]
    order = "<" if data[:2] == b"II" else ">"
    (first,) = unpack_from(order + "I", data, 4)
    if first + 2 > len(data):
        return
    (count,) = unpack_from(order + "H", data, first)
    entries: list[Indexed] = []
    counts = [0, 0]
    for at in range(first + 2, min(first + 2 + 12 * count, len(data) - 11), 12):
        tag, kind, size, value = unpack_from(order + "HHII", data, at)
        if tag == 0xB001 and kind == 4 and 1 < value <= 1024:
            document.frames = value
            document.format, document.media_type = "MPO", "image/mpo"
            counts[0] = part.body + at + 8
        elif tag == 0xB002:
            counts[1] = part.body + at + 4
            for place in range(value, min(value + min(size, 16 * MAX_PICTURES), len(data)) - 15, 16):
                attribute, length, offset = unpack_from(order + "III", data, place)
                entries.append(Indexed(part.body + place, attribute, length, offset))
    document.model = Model(start, end, part, tuple(entries), order, (counts[0], counts[1]))


def trailer(document: Document, start: int, end: int, scan: Callable[[int, int], int]) -> None:
    """Pictures of the index, other JPEGs, a video, zeros, or bytes of no known kind.

    Args:
        document: whose parts are added to.
        start: of what follows the end of the image.
        end: of it.
        scan: the end of the JPEG that begins at a position, at most at another one.
    """
    source, model = document.source, document.model
    claims = Claims(document, start, end)
    for entry in model.entries:
        place = model.mpf.body + entry.offset
        if entry.offset and source.startswith(b"\xff\xd8\xff", place):
            name = PICTURE_TYPES.get(entry.attribute & 0xFFFFFF, "")
            claims.claim(_picture(source, place, min(place + entry.size, end), name))
    for low, high in claims.free(start, end):
        for part in _unindexed(source, low, high, scan):
            claims.claim(part)
    document.parts += claims.finish()


def _picture(source: Source, start: int, end: int, name: str = "") -> Part:
    head = source.read(start, min(end, start + 65536))
    if not name and any(mark in head for mark in AUXILIARY):
        name = "depth" if b"depth" in head.lower() and b"hdrgm" not in head else "gainmap"
    return Part(Kind.PICTURE, start, end, "after the picture", name)


def _unindexed(source: Source, start: int, end: int, scan: Callable[[int, int], int]) -> list[Part]:
    """Pictures and videos that no index names, each to the next one or to the end."""
    if not source.has(start, end):
        return [Part(Kind.TRAILER, start, end, "after the picture")]
    data, parts, at = source.data, [], start
    # A video begins with the length of its first box.
    video = data.find(b"ftyp", start, end) - 4
    if video < start or data[video : video + 2] != b"\0\0":
        video = end
    for _ in range(MAX_PICTURES):
        picture = data.find(b"\xff\xd8\xff", at, video)
        place = video if picture < 0 else picture
        if place > at:
            parts.append(Part(filler(source, at, place, Kind.TRAILER), at, place, "after the picture"))
        at = place
        if picture < 0:
            break
        at = scan(picture, video)
        parts.append(_picture(source, picture, at))
    if at < video:
        parts.append(Part(Kind.TRAILER, at, video, "after the picture"))
    if video < end:
        parts.append(Part(Kind.VIDEO, video, end, "after the picture"))
    return parts


def repair(document: Document, changes: Changes, splices: Splices) -> None:
    """The index of pictures with their new places and sizes, without those that are dropped."""
    model: Model = document.model
    if model.mpf is None or model.mpf in changes:
        return
    order, base = model.order, model.mpf.body
    pictures = {part.start: part for part in document.parts if part.kind is Kind.PICTURE}
    kept: list[bytes] = []
    for entry in model.entries:
        raw = document.source.read(entry.position + 12, entry.position + 16)
        start = base + entry.offset if entry.offset else model.start
        part = pictures.get(start)
        if entry.offset == 0:
            grown = splices.moved(model.end) - splices.moved(model.start) - (model.end - model.start)
            kept.append(pack(order + "III", entry.attribute, max(entry.size + grown, 0), 0) + raw)
        elif part is None or part not in changes:
            offset = splices.moved(start) - splices.moved(base)
            kept.append(pack(order + "III", entry.attribute, entry.size, offset % 2**32) + raw)
        else:
            content = changes[part]
            if content is not None:
                offset = splices.moved(start) - splices.moved(base)
                kept.append(pack(order + "III", entry.attribute, len(content), offset) + raw)
    if len(kept) < len(model.entries):
        # Numbers of dependent pictures count pictures that were removed.
        kept = [raw[:12] + bytes(4) for raw in kept]
        for place, value in zip(model.counts, (len(kept), 16 * len(kept)), strict=True):
            if place:
                splices.patch(place, pack(order + "I", value))
    for entry, raw in zip(model.entries, [*kept, *[bytes(16)] * len(model.entries)], strict=False):
        splices.patch(entry.position, raw)
