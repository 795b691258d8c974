"""A file behind a URL, read by ranges: its beginning, and the ranges that this shows to be needed (RFC 9110, 14).

The URL is checked as any dataref, and every request goes to the address that was checked. A store that does not serve
ranges is read whole, within a limit.
"""

from __future__ import annotations

import http.client
from collections.abc import Callable
from typing import NamedTuple

from functions.kit.cloudevents.dataref import RETRY_SECONDS, Target, check_status, read
from functions.kit.containers.source import Source, Span
from functions.kit.http.body import Limit
from functions.kit.http.byteranges import Piece, joined, pieces
from functions.kit.http.problems import Problem, busy

# Bytes of a response of several ranges beside their content: for the whole, and for each.
HEADERS, HEADER = 1024, 512


class Fetched(NamedTuple):
    """What was read of a file.

    Args:
        source: the file, held as far as it was read.
        fetched: bytes of response bodies.
        requests: that were made.
    """

    source: Source
    fetched: int
    requests: int

    @property
    def data(self) -> bytes | None:
        """The file, where all of it was read."""
        return None if self.source.holes else self.source.read(0, self.source.size)

    def document(self) -> dict[str, int]:
        """What an answer states of it."""
        return {"bytes": self.source.size, "fetched": self.fetched, "requests": self.requests}


def fetch(target: Target, first: int, needed: Callable[[Source], list[Span]], most: Limit, limit: int) -> Fetched:
    """Read the beginning of a file, then the ranges that it needs.

    Args:
        target: the checked URL.
        first: bytes of the beginning.
        needed: returns the further ranges.
        most: bytes of the largest file.
        limit: bytes of a file whose store serves no ranges.

    Raises:
        Problem: 422 for a permanent error of the store, 413 above a limit, 503 if the store does not answer, is
            overloaded or disconnects, or the file changes meanwhile.
    """
    with target.get({"Range": f"bytes=0-{first - 1}"}) as response:
        if response.status == http.client.OK:
            data = read(response, limit)
            return Fetched(Source(data), len(data), 1)
        check_status(response.status, target, http.client.PARTIAL_CONTENT)
        data = read(response, first)
        held = _pieces(target, response, data)
        tag = response.headers.get("ETag", "")
    source = joined(held, *most)
    spans = needed(source)
    if not spans:
        return Fetched(source, len(data), 1)
    # A weak tag does not tell whether two ranges are of the same bytes.
    same = {"If-Range": tag} if tag.startswith('"') else {}
    fetched, requests = len(data), 1
    waiting = [spans, *([span] for span in spans)] if len(spans) > 1 else [spans]
    while waiting:
        asked = waiting.pop(0)
        found = _ranges(target, asked, same)
        requests += 1
        if found is None:
            if asked is spans and waiting:
                continue  # a store that serves one range at a time
            raise _changed(target)
        body, more = found
        if any(piece.size != source.size for piece in more):
            raise _changed(target)
        fetched += body
        held += more
        if asked is spans:
            break
    return Fetched(joined(held, *most), fetched, requests)


def _changed(target: Target) -> Problem:
    return busy(f"the file at {target} changed while it was read", RETRY_SECONDS)


def _ranges(target: Target, spans: list[Span], same: dict[str, str]) -> tuple[int, list[Piece]] | None:
    """Some ranges, with the bytes of the body; None where the store answers with the whole file."""
    asked = ",".join(f"{span.start}-{span.end - 1}" for span in spans)
    with target.get({"Range": f"bytes={asked}", **same}) as response:
        if response.status == http.client.OK:
            return None
        check_status(response.status, target, http.client.PARTIAL_CONTENT)
        most = sum(span.end - span.start for span in spans) + HEADERS + HEADER * len(spans)
        body = read(response, most)
        return len(body), _pieces(target, response, body)


def _pieces(target: Target, response: http.client.HTTPResponse, body: bytes) -> list[Piece]:
    try:
        return pieces(body, response.headers.get("Content-Range"), response.headers.get("Content-Type", ""))
    except Problem as problem:
        detail = f"the dataref at {target} answered with ranges that cannot be read: {problem.detail}"
        raise Problem(422, "dataref-refused", "Event data not fetched", detail) from None
