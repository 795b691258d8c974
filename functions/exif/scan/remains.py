"""What of a file's parts no block accounts for: slack in segments and chunks, unknown elements, a broken end."""

from __future__ import annotations

from collections.abc import Collection

from functions.exif.scan import forms
from functions.exif.scan.result import Scan
from functions.kit.containers import Document, Kind, Part, jpeg, png, streams

# Chunks of a PNG that have a fixed form, with the most bytes that each may have.
_CHUNKS = {
    b"IEND": 0,
    b"IHDR": 13,
    b"acTL": 8,
    b"fcTL": 26,
    b"bKGD": 6,
    b"cHRM": 32,
    b"cICP": 4,
    b"cLLI": 8,
    b"mDCV": 24,
    b"gAMA": 4,
    b"sBIT": 4,
    b"sRGB": 1,
    b"sTER": 1,
    b"oFFs": 9,
    b"pHYs": 9,
    b"tIME": 7,
    b"gIFg": 4,
    b"vpAg": 9,
    b"iDOT": 28,
    b"orNT": 1,
    b"sPLT": 0,  # it has a name
    # Those of a WebP.
    b"VP8X": 10,
    b"ANIM": 6,
    # Boxes.
    b"jP  ": 4,
    b"JXL ": 4,
    b"jxll": 1,
    b"jbrd": 0,
}
# Bytes of a JPEG's segments of a fixed form; arithmetic conditioning has two bytes a table.
_SEGMENTS = {0xDD: 2, 0xDC: 2, 0xDF: 1, 0xCC: 8}
_ELEMENTS = {"jpeg": "segment", "png": "chunk", "webp": "chunk", "jxl": "box", "jp2": "box", "gif": "extension"}
_ELEMENTS["mrw"] = "block"

_FIXED = frozenset((Kind.STRUCTURE, Kind.TIME, Kind.PIXELS))
_BEHIND = frozenset((Kind.TRAILER, Kind.PICTURE, Kind.VIDEO, Kind.PADDING))


def account(document: Document, result: Scan, parts: Collection[Part]) -> None:
    """Record what parts other than blocks may hold besides the picture."""
    word = _ELEMENTS.get(document.reader, "part")
    if document.reader == "psd" and document.model is not None:
        start, end = document.model.start, document.model.end
        result.miss("layers", "layer and mask information", start, end - start)
    for part in parts:
        if part.kind not in _FIXED:
            _other(document, result, part, word)
        elif slack := unused(document, part):
            place, end = (part.label, part.stop) if word != "segment" else (f"marker FF{_marker(part):02X}", part.end)
            result.miss(word, place, end - slack, slack)


def beside(document: Document, result: Scan) -> None:
    """Record what the data of the picture hold besides it."""
    for found in streams.excess(document):
        result.miss("gap", f"{found.place}: {found.detail}", found.offset, found.size)


def unused(document: Document, part: Part) -> int:
    """How many bytes at the end of an element of structure its fields do not account for."""
    if document.reader == "jpeg":
        return max(_unused(document, part), 0) if part.kind in _FIXED else 0
    if part.body < 0 or part.kind not in _FIXED or part.kind is Kind.PIXELS or not isinstance(part.key, bytes):
        return 0
    size = part.stop - part.body
    if document.reader in forms.BOXED:
        expected = forms.expected(document, part.key, document.source.read(part.body, part.stop))
    elif document.reader == "png":
        expected = png.longest(document, part.key)
    else:
        expected = -1
    expected = _CHUNKS.get(part.key, size) if expected < 0 else min(expected, size)
    # Zeros are what a clean copy has there.
    return size - expected if document.source.read(part.body + expected, part.stop).strip(b"\0") else 0


def _other(document: Document, result: Scan, part: Part, word: str) -> None:
    """An element that is neither structure nor pixels."""
    reader, kind, source = document.reader, part.kind, document.source
    body, stop = (part.body, part.stop) if part.body >= 0 else (part.start, part.end)
    if kind is Kind.GAP:
        place = "between segments" if reader == "jpeg" else f"after the last {word}"
        result.miss("gap", place, part.start, part.end - part.start)
    elif kind is Kind.UNKNOWN and part.name == "junk":
        result.miss("gap", "before the picture", part.start, part.end - part.start)
    elif kind is Kind.UNKNOWN and reader == "jpeg":
        result.miss(word, f"marker FF{part.key:02X}", body, stop - body)
    elif kind in (Kind.UNKNOWN, Kind.ESSENTIAL) and not (reader == "mrw" and part.label == "PAD"):
        expected = _CHUNKS.get(part.key, 0) if isinstance(part.key, bytes) else 0
        if reader == "png" and png.longest(document, part.key) >= 0:
            expected = png.longest(document, part.key)
        result.miss(word, part.label, body + expected, stop - body - expected)
    elif kind is Kind.FREE and source.read(body, stop).strip(b"\0"):
        result.miss(word, part.label, body, stop - body)


def _marker(part: Part) -> int:
    return part.key if isinstance(part.key, int) else 0


def _unused(document: Document, part: Part) -> int:
    """How many bytes of a JPEG's segment its tables and fields do not account for."""
    marker, data = _marker(part), document.source.data
    if part.body < 0 and marker != jpeg.SOS:
        return 0
    start, stop = part.start + 4, part.end
    if marker == jpeg.SOS:
        stop = min(part.start + 2 + int.from_bytes(data[part.start + 2 : start], "big"), part.end)
        return _beyond(stop - start, 4 + 2 * data[start]) if stop > start else 0
    if marker in (0xDB, 0xC4):
        return _tables(data[start:stop], marker)
    if marker in jpeg.START_OF_FRAME and stop - start >= 6:
        return _beyond(stop - start, 6 + 3 * data[start + 5])
    return max(stop - start - _SEGMENTS.get(marker, 0), 0)


def _beyond(size: int, stated: int) -> int:
    """The bytes behind the components that a header states; all of it where it has no room for them."""
    return size - stated if size >= stated else size


def _tables(data: bytes, marker: int) -> int:
    at, stop = 0, len(data)
    while at < stop:
        if data[at] & 0xEC:  # no class or precision and number of a table
            return stop - at
        if marker == 0xDB:
            at += 129 if data[at] >> 4 else 65
        else:
            symbols = data[at + 17 : at + 17 + sum(data[at + 1 : at + 17])]
            if len(set(symbols)) < len(symbols):  # a code has one symbol
                return stop - at
            at += 17 + sum(data[at + 1 : at + 17])
    return stop if at > stop else 0


def ended(document: Document, result: Scan, behind: int) -> bool:
    """Whether the picture has an end; else what may follow it is recorded as not read.

    Args:
        document: of the file.
        result: its scan.
        behind: where what follows the end of the picture begins.
    """
    end = document.source.size
    if document.reader == "jpeg":
        return _ended_jpeg(document, result)
    if document.reader == "png":
        return _ended_png(document, result)
    if document.reader != "gif":
        return True
    if behind < end and document.source.read(behind - 1, behind) != b";":
        result.miss("gap", "after the last block", behind, end - behind)
    if not document.warnings:
        return True
    frames = [part.start for part in document.parts if part.kind is Kind.PIXELS]
    last = max(frames, default=13)
    result.miss("picture", f"frame {len(frames)}", last, end - last)
    return False


def _ended_jpeg(document: Document, result: Scan) -> bool:
    """Whether a JPEG has an end; else it has no scan, or breaks off."""
    last = document.parts[-1]
    _cut(document, result, last)
    if document.format == "EXV":
        return True
    for part in reversed(document.parts):
        if part.key == jpeg.EOI and part.kind is Kind.STRUCTURE:
            return True
    pixels = [part for part in document.parts if part.kind is Kind.PIXELS]
    rest = min((part.start for part in document.parts if part.kind in _BEHIND), default=last.end)
    if not pixels:
        result.miss("picture", "a picture without a scan", 0, rest)
    elif last is pixels[-1] and last.key == jpeg.SOS:
        result.warn("the file ends inside the picture")
        result.miss("picture", "a scan without an end", last.start, last.end - last.start)
    if rest < document.source.size and last.kind is not Kind.PADDING:
        result.miss("gap", "between segments", rest, document.source.size - rest)
    return False


def _cut(document: Document, result: Scan, part: Part) -> None:
    """Record a segment that the file ends in."""
    if part.end == document.source.size and part.key is not None and part.key not in (jpeg.EOI, *jpeg.STANDALONE):
        stated = int.from_bytes(document.source.read(part.start + 2, part.start + 4), "big")
        if part.start + 2 + stated > part.end:
            result.miss("segment", f"marker FF{_marker(part):02X}", part.start, part.end - part.start)


def _ended_png(document: Document, result: Scan) -> bool:
    """Whether a PNG has an end; else its last chunk may be anything."""
    chunks = [part for part in document.parts if part.key is not None]
    if any(part.key == b"IEND" for part in chunks):
        return True
    end = document.source.size
    last = chunks[-1] if chunks else document.parts[0]
    if chunks and last.start + 8 + int.from_bytes(document.source.read(last.start, last.start + 4), "big") > end:
        result.miss("chunk", last.label, last.start + 8, end - last.start - 8)
    result.miss("picture", "a picture without IEND", last.start, end - last.start)
    return False
