"""Brotli streams, as boxes of JPEG XL hold them, within bounds."""

from __future__ import annotations

from functions.exif.blocks import MAX_INFLATED, Scan


def inflate(result: Scan, data: bytes, where: str, offset: int) -> bytes | None:
    """Decompress a stream within the file's budget; None, a warning and a record where that is not possible."""
    try:
        import brotli
    except ImportError:
        result.warn(f"{where}: compressed with Brotli, and the package `brotli` is not installed")
        result.miss("box", where, offset, len(data))
        return None
    room = MAX_INFLATED - result.inflated
    engine = brotli.Decompressor()
    try:
        body: bytes = engine.process(data, output_buffer_limit=max(room, 1))
    except brotli.error:
        result.warn(f"{where}: broken Brotli data")
        result.miss("box", where, offset, len(data))
        return None
    result.inflated += len(body)
    if len(body) >= room and not engine.is_finished():
        result.warn(f"{where}: inflates to more than {MAX_INFLATED:,} bytes; ignored")
        result.miss("limit", where, offset, len(data))
        return None
    if not engine.is_finished():
        result.warn(f"{where}: Brotli data end early")
        result.miss("box", where, offset, len(data))
    return body
