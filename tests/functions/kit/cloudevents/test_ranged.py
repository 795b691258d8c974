"""A file behind a URL is read by ranges: how much, in how many requests, and what a store may answer."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from functions.kit.cloudevents.dataref import Allowed, pin
from functions.kit.cloudevents.ranged import Fetched, fetch
from functions.kit.containers.source import Source, Span
from functions.kit.http.body import Limit
from functions.kit.http.problems import Problem

DATA = bytes(range(256)) * 4000
FIRST = 1000
SPANS = [Span(5000, 5100), Span(900_000, 901_000)]


class Store(ThreadingHTTPServer):
    """A server of one file.

    Attributes:
        ranges: what it serves: `many`, `one` at a time, or `none`.
        seen: the ranges asked for.
        sent: bytes of bodies.
    """

    data = DATA
    ranges = "many"
    tag = '"v1"'
    status = 0
    later: bytes | None = None

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.seen: list[tuple[str | None, str | None]] = []
        self.sent = 0


class Handler(BaseHTTPRequestHandler):
    server: Store

    def do_GET(self) -> None:
        store, asked = self.server, self.headers.get("Range")
        store.seen.append((asked, self.headers.get("If-Range")))
        data = store.later if store.later is not None and len(store.seen) > 1 else store.data
        spans = [tuple(map(int, span.split("-"))) for span in (asked or "bytes=0-0")[6:].split(",")]
        if store.status:
            self.reply(store.status, b"", {"Location": "http://elsewhere.example/"})
        elif store.ranges == "none" or (store.ranges == "one" and len(spans) > 1):
            self.reply(200, data, {})
        elif len(spans) == 1:
            low, high = spans[0][0], min(spans[0][1], len(data) - 1)
            self.reply(206, data[low : high + 1], {"Content-Range": f"bytes {low}-{high}/{len(data)}"})
        else:
            body = b"".join(
                b"\r\n--B\r\nContent-Range: bytes %d-%d/%d\r\n\r\n" % (low, high, len(data)) + data[low : high + 1]
                for low, high in spans
            )
            self.reply(206, body + b"\r\n--B--\r\n", {"Content-Type": "multipart/byteranges; boundary=B"})

    def reply(self, status: int, body: bytes, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in {"Content-Length": str(len(body)), "ETag": self.server.tag, **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.server.sent += len(body)  # before the client can have read it
        try:
            self.wfile.write(body)
        except OSError:
            self.server.sent -= len(body)

    def log_message(self, *_: Any) -> None:
        pass


@contextmanager
def serving(**settings: Any) -> Iterator[Store]:
    with Store() as store:
        for name, value in settings.items():
            setattr(store, name, value)
        thread = threading.Thread(target=store.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield store
        finally:
            store.shutdown()
            thread.join()


def fetched(store: Store, needs: list[Span] = SPANS, most: int = 2**30, limit: int = 2**20) -> Fetched:
    origin = f"http://127.0.0.1:{store.server_address[1]}"
    target = pin(f"{origin}/a.dng?key=1", Allowed.parse([origin]), seconds=20)
    return fetch(target, FIRST, lambda source: needs if source.holes else [], Limit(most, "EXIF_READ_BYTES"), limit)


def held(source: Source, *spans: Span) -> bool:
    return all(source.read(*span) == DATA[span.start : span.end] for span in spans)


def test_two_requests_read_the_beginning_and_what_it_needs():
    with serving() as store:
        found = fetched(store)
    assert [asked for asked, _ in store.seen] == ["bytes=0-999", "bytes=5000-5099,900000-900999"]
    assert [condition for _, condition in store.seen] == [None, '"v1"']
    assert held(found.source, Span(0, FIRST), *SPANS)
    assert not found.source.held(1000, 1001)
    assert (found.requests, found.fetched, found.data) == (2, store.sent, None)


def test_a_store_of_single_ranges_is_asked_for_each():
    with serving(ranges="one", tag='W/"weak"') as store:
        found = fetched(store)
    assert [asked for asked, _ in store.seen][2:] == ["bytes=5000-5099", "bytes=900000-900999"]
    assert held(found.source, Span(0, FIRST), *SPANS)
    assert (found.requests, found.fetched) == (4, FIRST + 1100)
    assert {condition for _, condition in store.seen} == {None}


def test_a_store_without_ranges_is_read_whole_within_the_limit():
    with serving(ranges="none") as store:
        found = fetched(store)
        assert (found.data, found.fetched, found.requests) == (DATA, len(DATA), 1)
        with pytest.raises(Problem, match="limit") as refused:
            fetched(store, limit=1000)
    assert refused.value.status == 413


def test_a_small_file_is_whole_after_one_request():
    with serving(data=DATA[:600]) as store:
        found = fetched(store)
    assert (found.data, found.requests) == (DATA[:600], 1)


def test_a_file_above_the_limit_is_refused_after_its_beginning():
    with serving() as store, pytest.raises(Problem) as refused:
        fetched(store, most=100_000)
    assert refused.value.status == 413
    assert store.sent == FIRST


@pytest.mark.parametrize("later", [DATA + b"x", DATA[:950_000]])
def test_a_file_that_changes_meanwhile_is_tried_again_later(later: bytes):
    with serving(later=later) as store, pytest.raises(Problem, match="changed") as refused:
        fetched(store)
    assert refused.value.status == 503


@pytest.mark.parametrize(("status", "expected"), [(302, 422), (404, 422), (416, 422), (500, 503), (429, 503)])
def test_an_error_of_the_store_is_permanent_or_not(status: int, expected: int):
    with serving(status=status) as store, pytest.raises(Problem) as refused:
        fetched(store)
    assert refused.value.status == expected
    assert len(store.seen) == 1


def test_ranges_that_cannot_be_read_are_refused():
    class Odd(Handler):
        def reply(self, status: int, body: bytes, headers: dict[str, str]) -> None:
            super().reply(status, body, {"Content-Range": "bytes 0-999/*"} if status == 206 else headers)

    with serving() as store:
        store.RequestHandlerClass = Odd
        with pytest.raises(Problem, match="cannot be read") as refused:
            fetched(store)
    assert refused.value.status == 422
