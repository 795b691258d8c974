"""The ranges that no claim covers."""

from __future__ import annotations

from collections.abc import Iterator


def gaps(claims: list[tuple[int, int]], start: int, end: int) -> Iterator[tuple[int, int]]:
    """The ranges between start and end that no claim covers."""
    at = start
    for first, last in sorted(claims):
        if first >= end:
            break
        if first > at:
            yield at, first
        at = max(at, last)
    if at < end:
        yield at, end
