"""Boxes of ISO base media files, one after another and one in another (ISO/IEC 14496-12, 4.2)."""

from __future__ import annotations

from collections.abc import Iterator
from struct import Struct, unpack_from

from functions.exif.scan.result import Scan

MAX_BOXES = 20_000
_HEAD = Struct(">I4s")


class Boxes:
    """A budget of boxes over one file, so that no nesting and no run of empty boxes takes long."""

    def __init__(self, data: bytes, result: Scan) -> None:
        self.data = data
        self.result = result
        self.left = MAX_BOXES

    def within(self, start: int, end: int) -> Iterator[tuple[bytes, int, int]]:
        """The boxes from start to end: type, start and end of the content."""
        data = self.data
        while start + 8 <= end and self.left > 0:
            self.left -= 1
            size, kind = _HEAD.unpack_from(data, start)
            content = start + 8
            if size == 1 and start + 16 <= end:
                (size,) = unpack_from(">Q", data, content)
                content += 8
            elif size == 0:
                size = end - start
            if size < content - start:
                self.result.warn(f"box {kind.decode('latin-1')!r} of {size} bytes at byte {start}")
                self.result.miss("box", label(kind), start, end - start)
                return
            stop = start + size
            if stop > end:
                self.result.warn(f"box {kind.decode('latin-1')!r} at byte {start} runs over its end")
                self.result.miss("box", label(kind), start, end - start)
                stop = end
            yield kind, content, stop
            start = stop

    def rest(self, start: int, end: int, place: str) -> None:
        """Record what follows the last box that was read."""
        if self.left <= 0 and start < end:
            self.result.warn(f"more than {MAX_BOXES:,} boxes; the rest is ignored")
            self.result.miss("limit", "boxes", start, end - start)
        elif end - start < 8 and self.data[start:end].strip(b"\0"):
            self.result.miss("gap", place, start, end - start)


def label(kind: bytes) -> str:
    """The type of a box, in hexadecimal where it is no text."""
    text = kind.decode("latin-1")
    return text.strip() if text.isprintable() else kind.hex()
