"""libvips, set up for a server: one thread a decode, no cache of operations, rows fetched in order."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any

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


@lru_cache(maxsize=1)
def library() -> Any:
    """The module pyvips, imported once."""
    import logging

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
