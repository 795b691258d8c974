"""Videos beside a picture (MP4, QuickTime): the location overwritten where it stands, everything else as it was.

A motion photo's video is found by its place or its length, so no byte moves (ISO 14496-12, QuickTime File Format).
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from struct import unpack_from
from typing import NamedTuple

CONTAINERS = frozenset((b"moov", b"trak", b"mdia", b"minf", b"stbl", b"udta", b"meta", b"edts", b"gmhd"))
TOP = frozenset(
    (
        b"ftyp",
        b"moov",
        b"mdat",
        b"free",
        b"skip",
        b"wide",
        b"uuid",
        b"moof",
        b"mfra",
        b"sidx",
        b"styp",
        b"meta",
        b"pnot",
    )
)
# User data that states where: Apple's, 3GPP's, and those of cameras.
LOCATIONS = frozenset(
    (b"\xa9xyz", b"loci", b"GPS ", b"gps ", b"gps0", b"gpsl", b"gpmf", b"GPMF", b"\xa9dji", b"SNAL", b"MCC ", b"INFO")
)
MARKS = (b"GPS", b"gps", b"location", b"ISO6709", b"atitude", b"ongitude", b"\xa9xyz", b"loci")
# Tracks that are seen or heard, and the clock.
PLAYED = frozenset((b"vide", b"soun", b"auxv", b"pict", b"tmcd", b"clcp"))
MAX_BOXES = 20_000
MAX_SAMPLES = 200_000


class Box(NamedTuple):
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


class Located(NamedTuple):
    """A video without its location.

    Args:
        data: the video, of the same length; None where it has a form that is not searched.
        end: of its boxes; what follows is something else.
    """

    data: bytes | None
    end: int


def without_location(data: bytes) -> Located:
    """Overwrite by zeros what states a location: user data, keys, and tracks that are neither seen nor heard."""
    top = []
    for box in boxes(data, 0, len(data)):
        if box.kind not in TOP:
            break
        top.append(box)
    end = top[-1].end if top else 0
    if any(box.kind == b"moof" for box in top) or not any(box.kind == b"moov" for box in top):
        return Located(None, end)
    out = bytearray(data)
    for box in top:
        if box.kind == b"moov":
            for inner in boxes(data, box.start, box.end):
                if inner.kind == b"trak" and not _clear_track(out, data, inner):
                    return Located(None, end)
            _clear(out, data, box, 0)
        elif box.kind in (b"uuid", b"free", b"skip", b"meta") and _located(data, box):
            _zero(out, box)
    return Located(bytes(out), end)


def _located(data: bytes, box: Box) -> bool:
    body = data[box.start : box.end]
    return any(mark in body for mark in MARKS)


def _zero(out: bytearray, box: Box) -> None:
    """A box becomes free space of zeros."""
    out[box.position + 4 : box.position + 8] = b"free"
    out[box.start : box.end] = bytes(box.end - box.start)


def _clear(out: bytearray, data: bytes, parent: Box, depth: int) -> None:
    start = parent.start
    if parent.kind == b"meta" and data[start + 4 : start + 8] not in (b"hdlr", b"keys"):
        start += 4  # a full box, except in QuickTime
    keys: list[bytes] = []
    for box in boxes(data, start, parent.end):
        if box.kind == b"keys":
            keys = _keys(data, box)
        elif box.kind == b"ilst":
            _items(out, data, box, keys)
        elif (
            box.kind in LOCATIONS
            or (parent.kind == b"udta" and box.kind != b"meta" and _located(data, box))
            or (box.kind == b"uuid" and _located(data, box))
        ):
            _zero(out, box)
        elif box.kind in CONTAINERS and depth < 8:
            _clear(out, data, box, depth + 1)


def _keys(data: bytes, box: Box) -> list[bytes]:
    """Names of a `keys` box, whose items an `ilst` numbers."""
    return [data[inner.start : inner.end] for inner in boxes(data, box.start + 8, box.end)]


def _items(out: bytearray, data: bytes, box: Box, keys: list[bytes]) -> None:
    for item in boxes(data, box.start, box.end):
        index = int.from_bytes(item.kind, "big") - 1
        name = keys[index] if 0 <= index < len(keys) else item.kind
        if any(mark in name for mark in (*MARKS, b"direction", b"place")) or (not keys and _located(data, item)):
            _zero(out, item)


def _clear_track(out: bytearray, data: bytes, track: Box) -> bool:
    """Overwrite the samples of a track of data; False where they cannot be found."""
    found = {box.kind: box for box in _inner(data, track, 0)}
    handler = found.get(b"hdlr")
    if handler is None:
        return False
    if data[handler.start + 8 : handler.start + 12] in PLAYED:
        return True
    spans = _samples(data, found)
    if spans is None:
        return False
    for start, size in spans:
        out[start : start + size] = bytes(len(out[start : start + size]))
    return True


def _inner(data: bytes, parent: Box, depth: int) -> Iterator[Box]:
    for box in boxes(data, parent.start, parent.end):
        yield box
        if box.kind in (b"mdia", b"minf", b"stbl") and depth < 4:
            yield from _inner(data, box, depth + 1)


def _samples(data: bytes, found: dict[bytes, Box]) -> list[tuple[int, int]] | None:
    """Places and sizes of a track's chunks (ISO 14496-12, 8.7)."""
    sizes, chunks, offsets = found.get(b"stsz"), found.get(b"stsc"), found.get(b"stco") or found.get(b"co64")
    if sizes is None or chunks is None or offsets is None:
        return None
    size, count = unpack_from(">II", data, sizes.start + 4)
    wide = offsets.kind == b"co64"
    (number,) = unpack_from(">I", data, offsets.start + 4)
    (runs,) = unpack_from(">I", data, chunks.start + 4)
    room = (sizes.end - sizes.start - 12) // 4
    if max(count, number, runs) > MAX_SAMPLES or (not size and count > room):
        return None
    each = iter([size] * count if size else unpack_from(f">{count}I", data, sizes.start + 12))
    places = unpack_from(f">{number}{'Q' if wide else 'I'}", data, offsets.start + 8)
    table = [unpack_from(">III", data, chunks.start + 8 + 12 * index)[:2] for index in range(runs)]
    spans, run = [], -1
    for chunk, place in enumerate(places, 1):
        while run + 1 < len(table) and table[run + 1][0] <= chunk:
            run += 1
        if run < 0:
            return None
        spans.append((place, sum(islice(each, table[run][1]))))
    return None if any(start + length > len(data) for start, length in spans) else spans
