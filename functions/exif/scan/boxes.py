"""Boxes of videos and of the `moov` box of a picture, what is broken of them recorded as not read."""

from __future__ import annotations

from functions.exif.scan.result import Scan
from functions.kit.containers.boxes import MAX_BOXES, Box, Walk
from functions.kit.containers.source import Source


class Boxes(Walk):
    """The boxes of a file that belong to a scan.

    Args:
        source: the file.
        result: its scan.
    """

    def __init__(self, source: Source, result: Scan) -> None:
        super().__init__(source)
        self.data, self.result = source.data, result

    def exhausted(self, start: int, end: int) -> None:
        """Record the rest as not read."""
        self.result.warn(f"more than {MAX_BOXES:,} boxes; the rest is ignored")
        self.result.miss("limit", "boxes", start, end - start)

    def broken(self, box: Box, end: int, *, long: bool) -> bool:  # noqa: ARG002 - the base class has it
        """Record it as not read."""
        short = box.end < box.body
        what = (
            f"of {box.end - box.start} bytes at byte {box.start}" if short else f"at byte {box.start} runs over its end"
        )
        self.result.warn(f"box {box.kind.decode('latin-1')!r} {what}")
        self.result.miss("box", box.name, box.start, end - box.start)
        return not short
