"""Boxes of ISO base media files, one after another and one in another (ISO/IEC 14496-12, 4.2)."""

from __future__ import annotations

from collections.abc import Iterator
from struct import Struct, pack, unpack_from
from typing import NamedTuple

from functions.kit.containers.parts import Document, Splices

MAX_BOXES = 20_000
# Boxes that hold the picture or lead to it: one of them that is broken breaks the file.
PICTURE = frozenset(
    (b"ftyp", b"meta", b"mdat", b"moov", b"moof", b"mini", b"jp2h", b"jp2c", b"jxlc", b"jxlp", b"trak", b"idat")
)
_HEAD = Struct(">I4s")
_LONG = Struct(">Q")


class Box(NamedTuple):
    """A box: its type, where it begins, where its content begins, and where it ends."""

    kind: bytes
    start: int
    body: int
    end: int

    @property
    def name(self) -> str:
        """The type as text, in hexadecimal where it is none."""
        text = self.kind.decode("latin-1")
        return text.strip() if text.isprintable() else self.kind.hex()


class Boxes:
    """A budget of boxes over one file, so that no nesting and no run of empty boxes takes long."""

    def __init__(self, document: Document) -> None:
        self.document = document
        self.source = document.source
        self.left = MAX_BOXES

    def within(self, start: int, end: int) -> Iterator[Box]:
        """The boxes between two positions; a broken one ends them."""
        data, document, holes = self.source.data, self.document, self.source.holes
        while start + 8 <= end:
            if holes and not self.source.held(start, start + 8):
                return
            if not self.left:
                document.broken = f"more than {MAX_BOXES:,} boxes"
                return
            self.left -= 1
            size, kind = _HEAD.unpack_from(data, start)
            body = start + 8
            if size == 1 and start + 16 <= end:
                (size,) = _LONG.unpack_from(data, body)
                body += 8
            elif size == 0:
                size = end - start
            trailer = end == self.source.size and kind not in PICTURE and size != 1 and start > 0
            if trailer and (size < body - start or start + size > end):
                document.warn(f"no box at byte {start}")
                return  # what follows the last box
            if size < body - start:
                document.warn(f"box {kind.decode('latin-1')!r} of {size} bytes at byte {start}")
                document.broken = document.broken or f"a box of {size} bytes at byte {start:,}"
                return
            stop = start + size
            if stop > end:
                document.warn(f"box {kind.decode('latin-1')!r} at byte {start} runs over its end")
                document.broken = document.broken or f"a box at byte {start:,} runs over its end"
                stop = end
            yield Box(kind, start, body, stop)
            start = stop


def encode(kind: bytes, body: bytes) -> bytes:
    """A box of a type and a content."""
    return pack(">I4s", len(body) + 8, kind) + body


def resize(splices: Splices, boxes: list[Box], *, explicit: bool = False) -> None:
    """Patch the sizes of boxes whose content changed its length.

    Args:
        splices: the changes.
        boxes: around them.
        explicit: state the size of a box that runs to the end of the file, so that another may follow.
    """
    data = splices.source.data
    for box in boxes:
        start, end = splices.moved(box.start), splices.moved(box.end)
        (size,) = unpack_from(">I", data, box.start)
        if end == start or (end - start == box.end - box.start and not (explicit and not size)):
            continue
        if size == 1:
            splices.patch(box.start + 8, pack(">Q", end - start))
        elif size or explicit:
            splices.patch(box.start, pack(">I", end - start))
