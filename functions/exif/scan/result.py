"""What a container scan yields: the picture's size and the blocks of metadata that it carries."""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass, field
from typing import NamedTuple

# One decompressed block, and all of a file's: real profiles and XMP packets are far below, a bomb far above.
MAX_INFLATED = 4 * 2**20
MAX_BLOCKS = 1024
MAX_UNREAD = 64
MAX_INNER = 64
MAX_ROWS = 4096
# Exceptions of readers on unforeseen bytes, and the words of the warning.
BEYOND_READING = (struct.error, ArithmeticError, LookupError, TypeError, ValueError)
BROKEN = "broken beyond reading"


class Block(NamedTuple):
    """One block of metadata.

    Args:
        kind: `exif` (a TIFF structure from its byte order on), `xmp` (a packet), `iptc` (IIM records), `icc` (a
            profile), `comment` (text), `text` (a named text), `jfif`, `jfxx`, `mpf` (a TIFF structure), `photoshop`
            (image resources), `adobe`, `jumbf` (C2PA and other JUMBF boxes), or `app` (a segment of some maker).
        offset: of the first byte of `data` in the file; -1 where the data do not stand there as they are
            (compressed, hexadecimal, or put together from several segments).
        data: the bytes, headers of the container taken off.
        where: the part of the container: `APP1`, `eXIf`, `item 2`, …
        name: keyword of a named text, resource or segment.
    """

    kind: str
    offset: int
    data: bytes
    where: str
    name: str = ""


class Unread(NamedTuple):
    """A part of a file that may hold metadata and was not read.

    Args:
        kind: `segment`, `chunk`, `box`, `trailer`, `gap`, `xmp`, `maker note`, `limit`, …
        place: the part of the container.
        offset: in the file; -1 where the bytes are not stored there as they are.
        size: in bytes.
    """

    kind: str
    place: str
    offset: int
    size: int


class Inner(NamedTuple):
    """A whole file inside the file: a second picture, a video, a sound recording.

    Args:
        kind: `picture`, `video` or `sound`.
        place: the part of the container.
        offset: in the file; -1 where the bytes are not stored there as they are.
        data: the bytes; a view of the file's where that is possible.
    """

    kind: str
    place: str
    offset: int
    data: bytes


@dataclass(slots=True)
class Scan:
    """A container's header and its metadata, undecoded.

    Args:
        format: `JPEG`, `PNG`, … as in `functions.exif.scan.files.FORMATS`.
        media_type: of the file, such as `image/jpeg`.
        width: of the first full picture in pixels, before any rotation; None where the header does not tell.
        height: as width.
        frames: pictures in the file: pages of a TIFF, frames of an animation, pictures of an MPO.
        blocks: in the order of the file.
        warnings: what was broken and passed over.
        details: what else the header states, such as `bits_per_sample`, by name.
        tiff: a raw file's own variety of TIFF, such as `RW2`, whose tags have meanings of their own.
        unread: parts that may hold metadata and were not read.
        inner: files inside the file.
        size: of the file in bytes.
        rows: fields of the container: group, name, value and print.
    """

    format: str
    media_type: str
    width: int | None = None
    height: int | None = None
    frames: int = 1
    blocks: list[Block] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    details: dict[str, str | int | float] = field(default_factory=dict)
    tiff: str = ""
    size: int = 0
    inflated: int = 0
    unread: list[Unread] = field(default_factory=list)
    inner: list[Inner] = field(default_factory=list)
    rows: list[tuple[str, str, object, object]] = field(default_factory=list)

    def add(self, kind: str, offset: int, data: bytes, where: str, name: str = "") -> None:
        """Keep a block; past `MAX_BLOCKS` only a warning."""
        if len(self.blocks) < MAX_BLOCKS:
            self.blocks.append(Block(kind, offset, data, where, name))
        elif len(self.blocks) == MAX_BLOCKS:
            self.warn(f"more than {MAX_BLOCKS} blocks of metadata; the rest is ignored")
            self.miss("limit", where, offset, len(data))

    def warn(self, text: str) -> None:
        """Keep a warning once, and at most 64 of them."""
        if len(self.warnings) < 64 and text not in self.warnings:
            self.warnings.append(text)

    def row(self, group: str, name: str, value: object, printed: object) -> None:
        """Keep a field of the container."""
        if len(self.rows) < MAX_ROWS:
            self.rows.append((group, name, value, printed))

    def miss(self, kind: str, place: str, offset: int, size: int) -> None:
        """Record a part that was not read; the last of `MAX_UNREAD` records sums up all further ones."""
        if size <= 0:
            return
        if len(self.unread) < MAX_UNREAD:
            self.unread.append(Unread(kind, place, offset, size))
        else:
            self.unread[-1] = Unread("limit", "further parts", -1, self.unread[-1].size + size)

    def hold(self, kind: str, place: str, offset: int, data: bytes) -> None:
        """Keep a file inside the file; past `MAX_INNER` it is a part that was not read."""
        if len(self.inner) < MAX_INNER:
            self.inner.append(Inner(kind, place, offset, data))
        else:
            self.miss(kind, place, offset, len(data))

    def inflate(self, data: bytes, where: str, offset: int = -1) -> bytes | None:
        """Decompress zlib data within the file's budget; None, and a warning, where it is broken or too large."""
        engine = zlib.decompressobj()
        room = MAX_INFLATED - self.inflated
        try:
            result = engine.decompress(data, max(room, 1))
        except zlib.error:
            self.warn(f"{where}: broken zlib data")
            self.miss("compressed data", where, offset, len(data))
            return None
        self.inflated += len(result)
        if engine.unconsumed_tail or self.inflated > MAX_INFLATED:
            self.warn(f"{where}: inflates to more than {MAX_INFLATED:,} bytes; ignored")
            self.miss("limit", where, offset, len(data))
            return None
        if not engine.eof:
            self.warn(f"{where}: zlib data end early")
            self.miss("compressed data", where, offset, len(data))
        elif engine.unused_data:
            self.miss("gap", f"{where} behind its zlib data", -1, len(engine.unused_data))
        return result
