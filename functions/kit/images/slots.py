"""Decode slots: how many images are decoded at once, and the memory that is kept for them."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache

from functions.kit.deferred import deferred
from functions.kit.http import problems
from functions.kit.http.settings import Settings
from functions.kit.telemetry import cgroup

ARENA_BLOCK = 16 * 2**20  # bytes; Pillow's own block size
ARENA_BLOCKS_PER_DECODE = 8  # a 24 megapixel RGB image (six blocks) and its luminance (two)


@lru_cache(maxsize=64)
def _gate(slots: int) -> threading.BoundedSemaphore:
    return threading.BoundedSemaphore(slots)


@lru_cache(maxsize=64)
def _keep_arena(decodes: int) -> None:
    """Make Pillow keep its memory between images.

    It releases each 16 MiB block of an image to the system and faults it in again for the next: keeping them saves a
    third of the time of a 24 megapixel image.
    """
    with deferred("PIL.ExifTags", "PIL.TiffTags"):  # a third of the import, for what is read elsewhere
        from PIL import Image

    group = cgroup.find("memory")
    limit = cgroup.memory_limit(group) if group else None
    blocks = arena_blocks(decodes, limit)
    Image.core.set_blocks_max(blocks)  # type: ignore[attr-defined]
    BUFFERS.most_bytes = blocks * ARENA_BLOCK


def arena_blocks(decodes: int, memory_limit: int | None) -> int:
    """Blocks of the arena to keep: enough for every concurrent decode, in a quarter of the memory limit (bytes)."""
    blocks = ARENA_BLOCKS_PER_DECODE * decodes
    return blocks if memory_limit is None else min(blocks, memory_limit // 4 // ARENA_BLOCK)


class Buffers:
    """Buffers for pixels that are kept between images, since new memory of that size costs a sixth of a decode."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._free: list[bytearray] = []
        self.most_bytes = ARENA_BLOCKS_PER_DECODE * ARENA_BLOCK  # that are kept in all

    def take(self, size: int) -> bytearray:
        """A buffer of at least so many bytes."""
        with self._lock:
            fits = [index for index, each in enumerate(self._free) if len(each) >= size]
            if fits:
                return self._free.pop(min(fits, key=lambda index: len(self._free[index])))
        return bytearray(size)

    def give(self, buffer: bytearray) -> None:
        """Keep a buffer that is not used any more; smaller ones make room for it."""
        if len(buffer) > self.most_bytes:
            return
        with self._lock:
            self._free.append(buffer)
            self._free.sort(key=len)
            while sum(map(len, self._free)) > self.most_bytes:
                del self._free[0]


BUFFERS = Buffers()


@contextmanager
def slot(settings: Settings) -> Iterator[None]:
    """Hold a decode slot.

    Raises:
        Problem: 503 no slot became free in time.
    """
    _keep_arena(settings.decodes)
    gate = _gate(settings.decodes)
    if not gate.acquire(timeout=settings.timeout_seconds):
        raise problems.busy(
            f"no decode slot became free within {settings.timeout_seconds} s (limit {settings.decodes}, "
            f"{settings.variable('decodes')})",
            retry_after=1,
        )
    try:
        yield
    finally:
        gate.release()
