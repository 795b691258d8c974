"""Ranges of a file in place of the file: what they hold, and which further ranges would complete the answer.

The first request sends one range, the next one repeats it in `multipart/byteranges` (RFC 9110, 14.6) with those that
the answer asked for. Nothing is kept between the two.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from functions.kit.containers import METADATA, Kind, Source, Span, read, sparse
from functions.kit.http.problems import Problem, malformed, too_many_bytes
from functions.kit.http.uploads import parameter_of

MAX_RANGES = 16
# What is asked for in all, and of the end of a file whose elements follow one another.
MAX_NEEDED, TAIL = 448 * 2**10, 64 * 2**10
# A directory is asked for with what usually follows it; ranges that are nearer than this are one.
AROUND, NEAR = 32 * 2**10, 4096
_WANTED = METADATA | {Kind.TAG, Kind.TIME}
_SEQUENCES = frozenset(("jpeg", "png", "webp", "gif", "jxl", "jp2", "isobmff"))
_CONTENT_RANGE = re.compile(r"bytes (\d{1,19})-(\d{1,19})/(\d{1,19})")


class Piece(NamedTuple):
    """One range of a file of a size."""

    start: int
    data: bytes
    size: int


def received(body: bytes, content_range: str | None, content_type: str, most: int, variable: str) -> Source:
    """The file of a request, of which its ranges are held.

    Args:
        body: of the request.
        content_range: its header `Content-Range`.
        content_type: its header `Content-Type`.
        most: bytes of the largest file.
        variable: the setting of that limit.

    Raises:
        Problem: 400 for ranges that do not fit together, 413 for a file that is too large.
    """
    pieces = [_piece(content_range, body)] if content_range else list(_parts(body, content_type))
    sizes = {piece.size for piece in pieces}
    if len(sizes) != 1:
        raise malformed(f"the ranges are of files of {len(sizes)} sizes; expected one")
    size = sizes.pop()
    if size > most:
        raise too_many_bytes(most, size, variable)
    return sparse(size, [(piece.start, piece.data) for piece in pieces])


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
    pieces = []
    for chunk in chunks[1:-1]:
        head, separator, data = chunk.partition(b"\r\n\r\n")
        lines = [line.partition(":") for line in head.decode("latin-1").split("\r\n")]
        fields = {name.strip().lower(): value.strip() for name, _, value in lines}
        if not separator or "content-range" not in fields:
            raise malformed("a part of multipart/byteranges has no Content-Range")
        pieces.append(_piece(fields["content-range"], data))
    return pieces


def needed(source: Source) -> list[Span]:
    """The ranges that would complete what is read of a file: at most `MAX_RANGES`, and `MAX_NEEDED` bytes."""
    document = read(source)
    if document is None or not source.holes:
        return []
    small = [span for span in source.missing if span.end - span.start <= MAX_NEEDED]
    spans = [Span(span.start, max(span.end, min(span.start + AROUND, source.size))) for span in small]
    spans += [Span(part.start, part.end) for part in document.not_held() if part.kind in _WANTED]
    if document.reader in _SEQUENCES:
        spans.append(Span(max(source.size - TAIL, 0), source.size))
    return _bounded(_missing(source, spans))


def _missing(source: Source, spans: list[Span]) -> list[Span]:
    """What is not held of some spans, near ones as one."""
    cut = sorted(
        Span(max(span.start, hole.start), min(span.end, hole.end))
        for span in spans
        for hole in source.holes
        if span.start < hole.end and hole.start < span.end
    )
    merged: list[Span] = []
    for span in cut:
        if merged and span.start <= merged[-1].end + NEAR:
            merged[-1] = Span(merged[-1].start, max(merged[-1].end, span.end))
        else:
            merged.append(span)
    return merged


def _bounded(spans: list[Span]) -> list[Span]:
    """The shortest of the spans, as many as fit into the limits, in their order."""
    chosen: list[Span] = []
    room = MAX_NEEDED
    for span in sorted(spans, key=lambda span: span.end - span.start):
        if len(chosen) == MAX_RANGES - 1 or span.end - span.start > room:
            break
        chosen.append(span)
        room -= span.end - span.start
    return sorted(chosen)


def report(source: Source) -> dict[str, object]:
    """What an answer states of the ranges: the size of the file, the bytes received, and the ranges that it needs."""
    held = source.size - sum(hole.end - hole.start for hole in source.holes)
    needs = [{"offset": span.start, "bytes": span.end - span.start} for span in needed(source)]
    return {"bytes": source.size, "received": held, "needs": needs}


def unsupported(kind: str) -> Problem:
    """The problem of a form of answer that ranges have not."""
    return malformed(f"ranges are answered in JSON; {kind} needs the whole file")
