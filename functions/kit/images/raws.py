"""Camera raws: what they are called, and the largest JPEG preview inside them."""

from __future__ import annotations

from typing import NamedTuple

from functions.kit.images import jpeg, tiff
from functions.kit.images.metering import HeaderLimitError

_PREFIXES = (
    (b"FUJIFILMCCD-RAW", "Fujifilm raw"),
    (b"IIU\0", "Panasonic raw"),
    (b"IIRO", "Olympus raw"),
    (b"IIRS", "Olympus raw"),
    (b"MMOR", "Olympus raw"),
    (b"\0MRM", "Minolta raw"),
    (b"FOVb", "Sigma raw"),
    (b"II\x1a\0\0\0HEAPCCDR", "Canon raw"),
)
_START = b"\xff\xd8\xff"
_LEAD = 64  # bytes of a box's own fields before a preview
_MOST_CANDIDATES = 64
_FUJI_PREVIEW = 84  # where a RAF states its JPEG's position and length


class Preview(NamedTuple):
    """A JPEG inside a raw, and the size of the raw's own picture (None where it is not stated)."""

    data: bytes
    width: int
    height: int
    raw_size: tuple[int, int] | None


def name(data: bytes) -> str | None:
    """The name of the camera raw that the bytes are; None for other files.

    Raises:
        HeaderLimitError: the directories of a TIFF exceed a limit.
    """
    for prefix, label in _PREFIXES:
        if data[: len(prefix)] == prefix:
            return label
    if data[4:11] == b"ftypcrx":
        return "Canon raw"
    if data[:4] in {b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"}:
        return tiff.raw_name(data)
    return None


def preview(data: bytes) -> Preview | None:
    """The JPEG with the most pixels inside a raw; None if none decodes as a photograph."""
    # Imported here: a cold start with another picture needs no container.
    from functions.kit.containers import read

    document = read(data)
    stated = (document.width, document.height) if document is not None else (None, None)
    size = (int(stated[0]), int(stated[1])) if stated[0] and stated[1] else None
    best: Preview | None = None
    for start, end in _candidates(data, document):
        found = _size(data[start:end])
        if found is not None and (best is None or found[0] * found[1] > best.width * best.height):
            best = Preview(data[start:end], *found, size)
    return best


def _candidates(data: bytes, document: object) -> list[tuple[int, int]]:
    """Spans that may be JPEGs: parts that begin like one, else all places that do."""
    from functions.kit.containers import Kind

    spans = []
    for part in getattr(document, "parts", ()):
        if part.kind in {Kind.PREVIEW, Kind.THUMBNAIL, Kind.PIXELS, Kind.PICTURE}:
            at = data.find(_START, part.start, min(part.start + _LEAD, part.end))
            if at >= 0:
                spans.append((at, part.end))
    if data.startswith(b"FUJIFILM"):
        start = int.from_bytes(data[_FUJI_PREVIEW : _FUJI_PREVIEW + 4], "big")
        spans.append((start, start + int.from_bytes(data[_FUJI_PREVIEW + 4 : _FUJI_PREVIEW + 8], "big")))
    if spans:
        return spans[:_MOST_CANDIDATES]
    at = data.find(_START)
    while at >= 0 and len(spans) < _MOST_CANDIDATES:
        spans.append((at, len(data)))
        at = data.find(_START, at + 3)
    return spans


def _size(data: bytes) -> tuple[int, int] | None:
    """Width and height of a JPEG of 8 bits by DCT; None for others, such as the lossless ones of sensors."""
    try:
        for segment in jpeg.segments(data):
            if segment.marker in {0xC0, 0xC1, 0xC2} and segment.end - segment.start > 9:
                body = data[segment.start + 4 : segment.end]
                height, width = int.from_bytes(body[1:3], "big"), int.from_bytes(body[3:5], "big")
                return (width, height) if body[0] == 8 and width and height else None
            if segment.marker in {0xC3, 0xC7, 0xCB, 0xCF}:
                return None
    except HeaderLimitError:
        return None
    return None
