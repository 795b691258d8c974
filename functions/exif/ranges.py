"""Ranges of a file in place of the file: what they hold, and which further ranges would complete the answer.

The first request sends one range, the next one repeats it in `multipart/byteranges` (RFC 9110, 14.6) with those that
the answer named. Nothing is kept between the two.
"""

from __future__ import annotations

from functions.kit.containers import METADATA, Kind, Source, Span, read
from functions.kit.http.byteranges import MAX_RANGES
from functions.kit.http.problems import Problem, malformed

# What is requested of the file's start, which holds the metadata of most formats.
FIRST = 480 * 2**10
# Bytes requested in all, and of the end of a file whose elements follow one another.
MAX_NEEDED, TAIL = 448 * 2**10, 64 * 2**10
# A directory is requested with what usually follows it; nearer ranges are merged.
AROUND, NEAR = 32 * 2**10, 4096
_WANTED = METADATA | {Kind.TAG, Kind.TIME}
_SEQUENCES = frozenset(("jpeg", "png", "webp", "gif", "jxl", "jp2", "isobmff"))


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
