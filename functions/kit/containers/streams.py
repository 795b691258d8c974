"""Where the compressed stream of a picture ends: zlib in PNG, LZW in GIF. Decoders ignore the bytes after it."""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterator, Mapping
from functools import lru_cache
from struct import unpack_from
from types import MappingProxyType
from typing import NamedTuple

from functions.kit.containers.jpeg import EOI, SOS, START_OF_FRAME
from functions.kit.containers.packing import Packing, pack, unpack
from functions.kit.containers.parts import Changes, Document, Kind, Part
from functions.kit.containers.source import Span, blank

MAX_RASTER = 128 * 2**20  # bytes of rows that are inflated to find the end of a PNG's stream
MAX_LZW = 16 * 2**20  # bytes of a GIF's codes that are searched for the end
MAX_WIDTH = 12  # bits of a code
PIECE = 65_536
CHECKSUM = 4  # Adler-32 behind the last block of a zlib stream
DQT, DHT, HIERARCHICAL = 0xDB, 0xC4, frozenset((0xDE, 0xDF))
CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
# Start and step of the seven passes of an interlaced PNG, across and down (PNG 3, 8.1).
PASSES = ((0, 8, 0, 8), (4, 8, 0, 8), (0, 4, 4, 8), (2, 4, 0, 4), (0, 2, 2, 4), (1, 2, 0, 2), (0, 1, 1, 2))
MIN_TEXT, MIN_CHARACTERS = 12, 6  # of a text at the end of data, and how many different ones
PRINTABLE = bytes((9, 10, 13, *range(32, 127)))
_WORD = re.compile(rb"[A-Za-z]{3}")


# Of a table of a JPEG: whether it is of quantisation, and its class and number.
Name = tuple[bool, int]


class Excess(NamedTuple):
    """Bytes in the data of a picture that no decoder shows.

    Args:
        place: the part of the container.
        offset: where they begin in the file; -1 if they are compressed or spread over several places.
        size: in bytes.
        detail: what they are.
        changes: new content of parts, without them; empty where they cannot be taken out.
    """

    place: str
    offset: int
    size: int
    detail: str
    changes: Changes = MappingProxyType({})


def excess(document: Document) -> list[Excess]:
    """What the pixels of a file hold besides the picture, as far as that shows without decoding it."""
    if document.source.holes:
        return []
    pixels = [part for part in document.parts if part.kind is Kind.PIXELS]
    if document.reader == "png":
        return [found for stream in _streams(document) if (found := _zlib(document, *stream)) is not None]
    if document.reader == "gif":
        return list(_frames(document, pixels))
    if document.reader == "jpeg":
        return [*_tables(document), *(found for part in pixels if (found := _text(document, part)) is not None)]
    # The end of these streams shows only in decoding: at least readable text at the end of the data is found.
    return [found for part in pixels if (found := _text(document, part)) is not None]


def _text(document: Document, part: Part) -> Excess | None:
    stop = part.stop if part.stop >= 0 else part.end
    start = part.body if part.body >= 0 else part.start
    tail = document.source.read(max(start, stop - 4096), stop).rstrip(b"\0")
    text = tail[len(tail.rstrip(PRINTABLE)) :]
    if len(text) < MIN_TEXT or len(set(text)) < MIN_CHARACTERS or not _WORD.search(text):
        return None
    return Excess(part.label or "scan", -1, len(text), "text at the end of compressed data")


# PNG.


def _streams(document: Document) -> Iterator[tuple[list[Part], int, int]]:
    """The chunks of each zlib stream, the bytes before the data of each, and the bytes of its rows."""
    size = (document.width or 0, document.height or 0)
    image, frame, frames = list[Part](), list[Part](), list[tuple[list[Part], tuple[int, int]]]()
    for part in document.parts:
        if part.key == b"IDAT":
            image.append(part)
        elif part.key == b"fcTL" and part.stop - part.body >= 12:
            frame = []
            frames.append((frame, unpack_from(">II", document.source.data, part.body + 4)))
        elif part.key == b"fdAT":
            frame.append(part)
    if image:
        yield image, 0, _raster(document, *size)
    yield from ((parts, 4, _raster(document, *size)) for parts, size in frames if parts)


def _raster(document: Document, width: int, height: int) -> int:
    """Bytes of the rows of a picture, each with its filter."""
    details = document.details
    bits = int(details.get("bits_per_sample", 8)) * CHANNELS.get(int(details.get("color_type", 6)), 4)
    passes = PASSES if details.get("interlace") else ((0, 1, 0, 1),)
    total = 0
    for left, across, top, down in passes:
        columns, rows = -(-max(width - left, 0) // across), -(-max(height - top, 0) // down)
        total += rows * (1 + -(-columns * bits // 8)) if columns else 0
    return total


def _zlib(document: Document, parts: list[Part], head: int, raster: int) -> Excess | None:
    """What is behind the end of a zlib stream, or inflates to more than the picture has."""
    engine, made, skipped = zlib.decompressobj(-zlib.MAX_WBITS), 0, 2
    label, whole = parts[0].label, sum(max(part.stop - part.body - head, 0) for part in parts)
    seen = 0
    for part in parts:
        for at in range(part.body + head, part.stop, PIECE):
            piece = document.source.read(at, min(at + PIECE, part.stop))
            seen += len(piece)
            skip = min(skipped, len(piece))
            skipped -= skip
            piece = piece[skip:]
            while piece:
                try:
                    made += len(engine.decompress(piece, PIECE))
                except zlib.error:
                    return Excess(label, -1, whole - seen + len(piece), "data that cannot be inflated")
                if engine.eof:
                    return _behind(document, parts, head, seen - len(engine.unused_data) + CHECKSUM)
                if made > min(raster, MAX_RASTER):
                    break
                piece = engine.unconsumed_tail
            if made > raster:
                changes = {} if raster > MAX_RASTER else _shortened(document, parts, head, raster)
                return Excess(label, -1, max(whole - seen, made - raster), "rows beyond the picture", changes)
            if made > MAX_RASTER:
                return Excess(label, -1, whole - seen, f"data behind the first {MAX_RASTER:,} bytes of rows")
    return None


def _behind(document: Document, parts: list[Part], head: int, length: int) -> Excess | None:
    """The bytes of the chunks behind a length of their data."""
    changes, size, offset = dict[Part, bytes | None](), 0, -1
    empty = True
    for part in parts:
        start = part.body + head
        kept = min(length, max(part.stop - start, 0))
        length -= kept
        if start + kept < part.stop:
            offset = start + kept if offset < 0 else offset
            size += part.stop - start - kept
            empty = empty and blank(document.source.data, start + kept, part.stop)
            # A chunk of an animation has its number in a sequence.
            changes[part] = document.source.read(part.body, start + kept) if kept or head else None
    return None if empty else Excess(parts[0].label, offset, size, "bytes behind the zlib stream", changes)


def _shortened(document: Document, parts: list[Part], head: int, raster: int) -> Changes:
    """The stream compressed again, with only the rows of the picture."""
    data = b"".join(document.source.read(part.body + head, part.stop) for part in parts)
    rows = zlib.decompressobj(-zlib.MAX_WBITS).decompress(data[2:], raster)
    first, *others = parts
    number = document.source.read(first.body, first.body + head)
    changes: dict[Part, bytes | None] = {first: number + zlib.compress(rows)}
    return changes | {part: document.source.read(part.body, part.body + head) if head else None for part in others}


# GIF.


def _frames(document: Document, pixels: list[Part]) -> Iterator[Excess]:
    """What is behind the end code of each frame."""
    left = MAX_LZW
    for number, part in enumerate(pixels, 1):
        if part.body >= part.stop or part.body - part.start < 11:
            continue
        label = f"frame {number}"
        if part.stop - part.body > left:
            yield Excess(label, part.body, part.stop - part.body, f"codes behind the first {MAX_LZW:,} bytes of them")
            return
        left -= part.stop - part.body
        data = unpack(document, Packing.BLOCKS, document.raw(part), label) or b""
        lowest = document.source.data[part.body - 1]
        end = _end_code(data, lowest) if 1 <= lowest < MAX_WIDTH else 0
        rest = data[end:]
        if not end and data:
            yield Excess(label, part.body, len(data), "codes without an end")
        elif rest.strip(b"\0"):
            yield Excess(label, -1, len(rest), "bytes behind the end code", {part: pack(Packing.BLOCKS, data[:end])})


def _end_code(data: bytes, lowest: int) -> int:
    """Bytes of a frame's codes up to and including the end code; 0 without an end code (GIF89a, appendix F).

    The width of a code depends on the number of codes since the table was cleared: each run of codes of one width is
    searched at once for the codes that clear the table and end the frame.
    """
    clear = 1 << lowest
    at, width, count = 0, lowest + 1, clear - 1
    while at + width <= 8 * len(data):
        count = min(count, (8 * len(data) - at) // width)
        size = count * width
        word = int.from_bytes(data[at >> 3 : (at + size + 7) >> 3], "little") >> (at & 7)
        cleared, ended = (_index(word & (1 << size) - 1, code, width, count) for code in (clear, clear + 1))
        if ended < cleared:
            return (at + (ended + 1) * width + 7) >> 3
        if cleared < count:
            at, width, count = at + (cleared + 1) * width, lowest + 1, clear - 1
        else:
            at, width = at + size, min(width + 1, MAX_WIDTH)
            count = 1 << width - 1
    return 0


def _index(word: int, code: int, width: int, count: int) -> int:
    """The index of the first field with this code, among fields of one width; their count if there is none."""
    ones = _ones(width, count)
    # Fields equal to the code become zero; the highest bit of the first zero field is set in `found`.
    word ^= code * ones
    found = (word - ones) & ~word & ones << width - 1
    return ((found & -found).bit_length() - 1) // width if found else count


@lru_cache(maxsize=32)
def _ones(width: int, count: int) -> int:
    """An integer of `count` fields of `width` bits, each holding 1."""
    return ((1 << width * count) - 1) // ((1 << width) - 1)


# JPEG.


def _tables(document: Document) -> Iterator[Excess]:
    """Tables that no scan uses: redefined before any scan, or never referred to (ITU-T T.81, B.2.4)."""
    source, hidden = document.source, _unused(document)
    for part in document.parts if hidden else ():
        gone = [span for span in hidden if part.body <= span.start < part.stop]
        if gone:
            kept, size = bytearray(source.read(part.body, part.stop)), sum(span.end - span.start for span in gone)
            for span in reversed(gone):
                del kept[span.start - part.body : span.end - part.body]
            changes = {part: bytes(kept) or None}
            yield Excess(f"marker FF{part.key:02X}", gone[0].start, size, "tables that no scan uses", changes)


def _unused(document: Document) -> list[Span]:
    """The tables that no scan uses, in order."""
    source, waiting, used = document.source, dict[Name, Span](), set[bytes]()
    components, spare, scans = dict[int, int](), list[Span](), 0
    for part in document.parts:
        if part.key in HIERARCHICAL:
            return []
        if part.key in (DQT, DHT):
            for name, span in _defined(source.read(part.body, part.stop), part):
                spare += [waiting[name]] if name in waiting else []
                waiting[name] = span
        elif part.key in START_OF_FRAME:
            body = source.read(part.body, part.stop)
            components = dict(zip(body[6::3], body[8::3], strict=False))
        elif part.key == SOS:
            scans += 1
            for name in _referred(source.read(part.start + 4, part.start + 13), components) & waiting.keys():
                used.add(source.read(waiting[name].start + 1, waiting.pop(name).end))
    # Of a file that is cut off, the scan that uses the last tables of codes may be missing.
    whole = any(part.key == EOI and part.kind is Kind.STRUCTURE for part in document.parts)
    spare += [span for name, span in waiting.items() if whole or name[0]]
    # A copy of a used table, under another number, cannot hide anything.
    return sorted(span for span in spare if source.read(span.start + 1, span.end) not in used) if scans else []


def _referred(head: bytes, components: Mapping[int, int]) -> set[Name]:
    """The tables that the header of a scan refers to: by each component, and for its two kinds of codes."""
    names, count = set[Name](), 2 * head[0] if head else 0
    for number, tables in zip(head[1 : 1 + count : 2], head[2 : 2 + count : 2], strict=False):
        names |= {(True, components.get(number, 0)), (False, tables >> 4), (False, 16 | tables & 15)}
    return names


def _defined(body: bytes, part: Part) -> Iterator[tuple[Name, Span]]:
    """The tables of a segment, and where each is."""
    at = 0
    while at < len(body):
        if part.key == DQT:
            name, size = (True, body[at] & 15), 129 if body[at] >> 4 else 65
        else:
            name, size = (False, body[at] & 31), 17 + sum(body[at + 1 : at + 17])
        yield name, Span(part.body + at, min(part.body + at + size, part.stop))
        at += size
