"""Files inside the file: second pictures, previews with metadata of their own, videos, sound."""

from __future__ import annotations

from collections.abc import Callable

from functions.exif.accounting import PLAIN
from functions.exif.rows import Embedded, Reading
from functions.exif.scan import movie
from functions.exif.scan.files import scan
from functions.exif.scan.heif import exif_item
from functions.exif.scan.result import BEYOND_READING, Inner, Scan

MAX_PREVIEWS = 16

Read = Callable[..., Reading]


def read(reading: Reading, read_scan: Read) -> None:
    """Read the files inside a file.

    Args:
        reading: of the outer file, to which they are added.
        read_scan: the reader of a scan.
    """
    for inner in reading.scan.inner:
        reading.embedded.append(Embedded(inner, _read(reading, inner, read_scan)))
    known = {inner.offset for inner in reading.scan.inner}
    for preview in reading.previews[:MAX_PREVIEWS]:
        if preview.start in known:
            continue
        data = preview.data
        found = scan(data)
        place = f"{preview.group}:{preview.name}"
        if found is None:
            reading.miss("picture", place, preview.start, preview.size)
        elif any(block.kind not in PLAIN for block in found.blocks) or found.unread or found.inner:
            inner = Inner("picture", place, preview.start, data)
            reading.embedded.append(Embedded(inner, _guarded(reading, inner, found, read_scan)))


def _read(reading: Reading, inner: Inner, read_scan: Read) -> Reading | None:
    if inner.kind == "video":
        try:
            found: Scan | None = movie.video(inner.data)
        except BEYOND_READING:
            found = None
    elif inner.kind == "exif":
        found = Scan("Exif", "application/octet-stream")
        exif_item(found, inner.data, inner.offset, inner.place)
    elif inner.kind == "xmp":
        found = Scan("XMP", "application/rdf+xml")
        found.add("xmp", inner.offset, inner.data, inner.place)
    else:
        found = scan(inner.data) if inner.kind == "picture" else None
    return _guarded(reading, inner, found, read_scan)


def _guarded(reading: Reading, inner: Inner, found: Scan | None, read_scan: Read) -> Reading | None:
    """The reading of an inner file; what it could not read is not read of the outer one either."""
    if found is None:
        reading.miss(inner.kind, inner.place, inner.offset, len(inner.data))
        return None
    result = read_scan(found, inside=True)
    for part in found.unread:
        at = part.offset + inner.offset if part.offset >= 0 and inner.offset >= 0 and inner.kind == "picture" else -1
        reading.miss(part.kind, f"{inner.place}: {part.place}", at, part.size)
    for held in found.inner:
        reading.miss(held.kind, f"{inner.place}: {held.place}", -1, len(held.data))
    return result
