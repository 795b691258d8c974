"""Tables of a track: where its chunks stand, and how long they are (ISO/IEC 14496-12, 8.7)."""

from __future__ import annotations

from struct import unpack_from

from functions.kit.containers.boxes import Box
from functions.kit.containers.source import Buffer

MAX_CHUNKS = 500_000


def numbers(data: Buffer, box: Box, width: int, skipped: int) -> list[int]:
    """A table of numbers after its count."""
    start = box.body + skipped + 4
    if start > box.end:
        return []
    (count,) = unpack_from(">I", data, start - 4)
    count = min(count, (box.end - start) // width, MAX_CHUNKS)
    return list(unpack_from(f">{count}{'Q' if width == 8 else 'I'}", data, start))


def per_chunk(data: Buffer, runs: Box | None, chunks: int) -> list[int]:
    """Samples in each chunk, from runs of chunks with as many."""
    table = numbers(data, runs, 12, 4) if runs else []
    if runs is None or not table:
        return [1] * chunks
    rows = [unpack_from(">III", data, runs.body + 8 + 12 * row) for row in range(len(table))]
    result: list[int] = []
    for (first, samples, _), following in zip(rows, [*rows[1:], (chunks + 1, 0, 0)], strict=True):
        result += [samples] * max(min(following[0], chunks + 1) - max(first, len(result) + 1), 0)
    return (result + [1] * chunks)[:chunks]
