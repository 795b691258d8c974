"""Ranges of a file: `Content-Range`, and bodies of `multipart/byteranges` (RFC 9110, 14.4 and 14.6)."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import NamedTuple

from functions.kit.containers.source import Source, sparse
from functions.kit.http.problems import malformed, too_many_bytes
from functions.kit.http.uploads import parameter_of

MAX_RANGES = 16
_CONTENT_RANGE = re.compile(r"bytes (\d{1,19})-(\d{1,19})/(\d{1,19})")


class Piece(NamedTuple):
    """One range of a file of a size."""

    start: int
    data: bytes
    size: int


def is_ranged(content_range: str | None, content_type: str) -> bool:
    """Whether a body is a range of a file, or several."""
    return bool(content_range) or content_type.lower().startswith("multipart/byteranges")


def pieces(body: bytes, content_range: str | None, content_type: str) -> list[Piece]:
    """The ranges in a body.

    Args:
        body: of the message.
        content_range: its header `Content-Range`.
        content_type: its header `Content-Type`.

    Raises:
        Problem: 400 for ranges that are malformed.
    """
    return [_piece(content_range, body)] if content_range else _parts(body, content_type)


def joined(found: Iterable[Piece], most: int, variable: str) -> Source:
    """The file of some ranges, held as far as they reach.

    Args:
        found: the ranges.
        most: bytes of the largest file.
        variable: the setting of that limit.

    Raises:
        Problem: 400 for ranges of different files, 413 for a file that is too large.
    """
    held = list(found)
    sizes = {piece.size for piece in held}
    if len(sizes) != 1:
        raise malformed(f"the ranges are of files of {len(sizes)} sizes; expected one")
    size = sizes.pop()
    if size > most:
        raise too_many_bytes(most, size, variable)
    return sparse(size, [(piece.start, piece.data) for piece in held])


def _piece(content_range: str, data: bytes) -> Piece:
    matched = _CONTENT_RANGE.fullmatch(content_range.strip())
    if matched is None:
        raise malformed(f"Content-Range: {content_range[:80]!r}; expected bytes FIRST-LAST/SIZE")
    first, last, size = (int(number) for number in matched.groups())
    if not first <= last < size:
        raise malformed(f"Content-Range: {content_range[:80]}; FIRST, LAST and SIZE must ascend")
    if last - first + 1 != len(data):
        raise malformed(
            f"Content-Range: {content_range[:80]} is {last - first + 1:,} bytes; the body has {len(data):,}"
        )
    return Piece(first, data, size)


def _parts(body: bytes, content_type: str) -> list[Piece]:
    """The parts of a body of several ranges."""
    boundary = parameter_of(content_type, "boundary")
    if not boundary:
        raise malformed("multipart/byteranges without a boundary")
    line = b"\r\n--" + boundary.encode("latin-1", "replace")
    # The first delimiter has no line before it.
    chunks = (b"\r\n" + body).split(line, MAX_RANGES + 2)
    if len(chunks) < 3 or not chunks[-1].startswith(b"--"):
        raise malformed(f"multipart/byteranges of no part, without an end, or of more than {MAX_RANGES} ranges")
    found = []
    for chunk in chunks[1:-1]:
        head, separator, data = chunk.partition(b"\r\n\r\n")
        lines = [line.partition(":") for line in head.decode("latin-1").split("\r\n")]
        fields = {name.strip().lower(): value.strip() for name, _, value in lines}
        if not separator or "content-range" not in fields:
            raise malformed("a part of multipart/byteranges has no Content-Range")
        found.append(_piece(fields["content-range"], data))
    return found
