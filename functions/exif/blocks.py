"""What a container scan yields: the picture's size and the blocks of metadata that it carries."""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass, field
from typing import NamedTuple

# One decompressed block, and all of a file's: real profiles and XMP packets are far below, a bomb far above.
MAX_INFLATED = 4 * 2**20
MAX_BLOCKS = 1024
# What reading bytes that nobody foresaw may raise, and how a warning then says so.
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


@dataclass(slots=True)
class Scan:
    """A container's header and its metadata, undecoded.

    Args:
        format: `JPEG`, `PNG`, … as in `functions.exif.scan.FORMATS`.
        media_type: of the file, such as `image/jpeg`.
        width: of the first full picture in pixels, before any rotation; None where the header does not tell.
        height: as width.
        frames: pictures in the file: pages of a TIFF, frames of an animation, pictures of an MPO.
        blocks: in the order of the file.
        warnings: what was broken and passed over.
        details: what else the header says, such as `bits_per_sample`, by name.
        tiff: a raw file's own variety of TIFF, such as `RW2`, whose tags have meanings of their own.
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
    inflated: int = 0

    def add(self, kind: str, offset: int, data: bytes, where: str, name: str = "") -> None:
        """Keep a block; past `MAX_BLOCKS` only a warning."""
        if len(self.blocks) < MAX_BLOCKS:
            self.blocks.append(Block(kind, offset, data, where, name))
        elif len(self.blocks) == MAX_BLOCKS:
            self.warn(f"more than {MAX_BLOCKS} blocks of metadata; the rest is ignored")

    def warn(self, text: str) -> None:
        """Keep a warning once, and at most 64 of them."""
        if len(self.warnings) < 64 and text not in self.warnings:
            self.warnings.append(text)

    def inflate(self, data: bytes, where: str) -> bytes | None:
        """Decompress zlib data within the file's budget; None, and a warning, where it is broken or too large."""
        engine = zlib.decompressobj()
        room = MAX_INFLATED - self.inflated
        try:
            result = engine.decompress(data, max(room, 1))
        except zlib.error:
            self.warn(f"{where}: broken zlib data")
            return None
        self.inflated += len(result)
        if engine.unconsumed_tail or self.inflated > MAX_INFLATED:
            self.warn(f"{where}: inflates to more than {MAX_INFLATED:,} bytes; ignored")
            return None
        if not engine.eof:
            self.warn(f"{where}: zlib data end early")
        return result
