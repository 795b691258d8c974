"""libvips, set up for a server: one thread a decode, no cache of operations, rows fetched in order."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, cast

from functions.kit.images.samples.model import strip_rows

DTYPES = {
    "uchar": "u1",
    "char": "i1",
    "ushort": "u2",
    "short": "i2",
    "uint": "u4",
    "int": "i4",
    "float": "f4",
    "double": "f8",
}

DTYPES_SIZE = {name: int(kind[1]) for name, kind in DTYPES.items()}
_AT_ONCE = 8  # rows of a JPEG
warned = 0  # JPEG closed so far whose decoder warned of something
# What libvips says of data that end.
EARLY = ("premature end", "read error", "truncated", "unexpected end")


@lru_cache(maxsize=1)
def library() -> Any:
    """The module pyvips, imported once."""
    import logging

    # Read when libvips starts. With more threads, rows that no thread had filled were handed out before the error
    # of data that end early; and a decode is charged one core beside the one that counts.
    os.environ["VIPS_CONCURRENCY"] = "1"

    import pyvips

    # It logs each operation and warns of odd metadata: no lines of this service's log.
    logger = logging.getLogger("pyvips")
    logger.setLevel(logging.WARNING)
    logger.propagate = False

    class Heard(logging.Handler):
        """Counts the JPEG whose decoder warned of something, which libvips logs where they are closed."""

        def emit(self, record: logging.LogRecord) -> None:
            global warned  # noqa: PLW0603
            warned += "read gave" in record.getMessage()

    logger.addHandler(Heard())
    pyvips.cache_set_max(0)
    return pyvips


@dataclass
class Source:
    """A file made of ranges of bytes, which libvips reads in pieces.

    Args:
        left: the ranges that were not read yet.
        slow: the position of an end, before which the pieces get smaller: what is left tells how far a decoder came.
    """

    left: list[tuple[bytes, int, int]]
    slow: int = 0

    def read(self, size: int) -> bytes:
        """The next bytes."""
        while self.left:
            data, first, end = self.left[0]
            if first < self.slow:
                size = min(size, max(1, (self.slow - first) // 2))
            piece = data[first : min(first + size, end)]
            if piece:
                self.left[0] = (data, first + len(piece), end)
                return piece
            self.left.pop(0)
        return b""

    def image(self, loader: str, **options: Any) -> Any:
        """An image that is read from top to bottom."""
        source = library().SourceCustom()
        source.on_read(self.read)
        image = getattr(library().Image, f"{loader}_source")(source, access="sequential", **options)
        image._references.append(source)  # noqa: SLF001 - its callback is freed with it
        return image


def fetcher(image: Any) -> Callable[[int, int], bytes]:
    """A function from the first row and the number of rows to their pixels; rows are asked for in order."""
    region = library().Region.new(image)

    def fetch(top: int, rows: int) -> bytes:
        return bytes(region.fetch(0, top, image.width, rows))  # the image, and with it its source, has to stay

    return fetch


def strips(image: Any, step: int) -> Iterator[bytes]:
    """The pixels in strips of `step` rows, the last one shorter; decoded in a thread.

    libvips writes its lines to a socket, without a lock that the counting holds: asked for regions it would keep all
    that it decoded of a wide picture for a while.

    Raises:
        Exception: of libvips, after the strips of whole rows before it.
    """
    line = image.width * image.bands * DTYPES_SIZE[image.format]
    left = line * image.height
    ours, theirs = socket.socketpair()
    failed: list[Exception] = []
    thread = threading.Thread(target=_write, args=(image, theirs, failed), daemon=True)
    thread.start()
    try:
        while left:
            wanted = min(left, line * step)
            held = bytearray(wanted)
            count = _filled(ours, memoryview(held))
            left -= count
            whole = count - count % line
            if whole:
                yield cast(bytes, held if count == wanted else held[:whole])
            if count < wanted:
                break
        thread.join()
        if failed:
            raise failed[0]
    finally:
        ours.close()  # the next write fails once the reader has stopped
        thread.join()
        theirs.close()


def _filled(source: socket.socket, buffer: memoryview) -> int:
    """Bytes read into a buffer: all that it holds, or fewer at the end of the stream."""
    at = 0
    while at < len(buffer):
        count = source.recv_into(buffer[at:])
        if not count:
            break
        at += count
    return at


def _write(image: Any, to: socket.socket, failed: list[Exception]) -> None:
    """Write the pixels of an image to a socket, then end its stream."""
    try:
        image.rawsave_target(library().Target.new_to_descriptor(to.fileno()))
    except library().Error as error:
        failed.append(error)
    finally:
        with suppress(OSError):
            to.shutdown(socket.SHUT_WR)


def fetched(load: Callable[[], Any], rows: int, early: tuple[str, ...] = EARLY) -> Iterator[tuple[int, bytes]]:
    """Strips of rows: how many, and their bytes. Where the data end early, so do the strips, after the last whole row.

    Args:
        load: makes the image, anew each time.
        rows: from the top.
        early: a part of the message, in small letters, of an error that the end of the data raises.

    Raises:
        Exception: of libvips, where not even one row is decoded.
    """
    image = load()
    height, step = min(image.height, rows), strip_rows(image.width)
    line = image.width * image.bands * DTYPES_SIZE[image.format]
    top = 0
    try:
        for pixels in strips(image if height == image.height else image.crop(0, 0, image.width, height), step):
            count = len(pixels) // line
            top += count
            yield count, pixels
    except library().Error as error:
        if not any(text in str(error).lower() for text in early):
            raise
        found = top
        for count, pixels in _before_the_end(load, top, height):
            found += count
            yield count, pixels
        if not found:
            raise


def _before_the_end(load: Callable[[], Any], top: int, height: int) -> Iterator[tuple[int, bytes]]:
    """The rows from `top` that a second decode yields one by one before the data end, in strips.

    libvips discards the rows that it decoded but had not written yet, which may be more than a strip of a wide picture.
    """
    image = load()
    step, fetch = strip_rows(image.width), fetcher(image)
    known: list[bytes] = []
    try:
        for first in range(0, top, step):
            fetch(first, min(step, top - first))
        for row in range(top, height):
            if len(known) == step:
                yield step, b"".join(known)
                known = []
            known.append(fetch(row, 1))
    except library().Error:
        pass
    if known:
        yield len(known), b"".join(known)


def rows_before_warning(load: Callable[[], Any]) -> int | None:
    """How many rows of a JPEG are decoded before the first warning; None without one, or with one in the last rows.

    libvips decodes eight rows at once, and raises a warning with the eight after those that it came with.
    """
    image = load()
    fetch = fetcher(image)
    for top in range(0, image.height, _AT_ONCE):
        try:
            fetch(top, min(_AT_ONCE, image.height - top))
        except library().Error:
            return max(0, top - _AT_ONCE)
    return None


def whole_strips(height: int) -> int:
    """The rows of a JPEG before the last ones that libvips decodes at once."""
    return (height - 1) // _AT_ONCE * _AT_ONCE
