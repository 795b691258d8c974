"""libvips, set up for a server: one thread a decode, no cache of operations, rows fetched in order."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import lru_cache
from queue import Empty, Queue
from typing import Any, cast

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


@lru_cache(maxsize=1)
def library() -> Any:
    """The module pyvips, imported once."""
    import logging

    # Read when libvips starts. With more threads, rows that no thread had filled were handed out before the error
    # of data that end early; and a decode is charged one core beside the one that counts.
    os.environ["VIPS_CONCURRENCY"] = "1"

    import pyvips

    # It logs each operation and warns of odd metadata: no lines of this service's log.
    logging.getLogger("pyvips").setLevel(logging.ERROR)
    pyvips.cache_set_max(0)
    return pyvips


def fetcher(image: Any) -> Callable[[int, int], bytes]:
    """A function from the first row and the number of rows to their pixels; rows are asked for in order."""
    region = library().Region.new(image)
    width = image.width

    def fetch(top: int, rows: int) -> bytes:
        return bytes(region.fetch(0, top, width, rows))

    return fetch


def strips(image: Any, step: int) -> Iterator[bytes]:
    """The pixels in strips of so many rows, the last one of fewer; decoded in a thread, two strips ahead.

    libvips pushes its lines: asked for regions it would keep all that it decoded of a wide picture for a while.

    Raises:
        Exception: of libvips, after the strips of whole rows before it.
    """
    line = image.width * image.bands * DTYPES_SIZE[image.format]
    ready: Queue[bytes | Exception | None] = Queue(maxsize=2)
    left = threading.Event()
    thread = threading.Thread(target=_push, args=(image, line, line * step, ready, left), daemon=True)
    thread.start()
    try:
        while (item := ready.get()) is not None:
            if isinstance(item, Exception):
                raise item
            yield item
    finally:
        left.set()
        while thread.is_alive():
            with suppress(Empty):
                ready.get(timeout=0.05)
        thread.join()


def _push(image: Any, line: int, size: int, ready: Queue[bytes | Exception | None], left: threading.Event) -> None:
    """Put the strips of an image into a queue, then None or the exception that ended them."""
    held, at = bytearray(size), 0

    def write(chunk: bytes) -> int:
        nonlocal held, at
        taken = 0
        while taken < len(chunk):
            part = chunk[taken : taken + size - at]
            held[at : at + len(part)] = part
            at, taken = at + len(part), taken + len(part)
            if at == size:
                ready.put(cast(bytes, held))
                held, at = bytearray(size), 0
            if left.is_set():
                return -1  # nobody reads on: libvips ends with an error
        return taken

    end: Exception | None = None
    try:
        target = library().TargetCustom()
        target.on_write(write)
        image.rawsave_target(target)
    except library().Error as error:
        end = error
    if at >= line:
        ready.put(bytes(held[: at // line * line]))
    ready.put(end)
