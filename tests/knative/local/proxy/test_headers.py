"""What goes on to the next hop, and what is refused before it could be read in two ways."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from knative.local.proxy.exchange import HOP_BY_HOP, RESERVED
from knative.local.proxy.headers import HEAD_BYTES, RefusedError, read_answer, read_request, trailers_of

HOST = (b"Host", b"Example.test:80")


def test_names_are_lowered_values_kept_and_order_kept() -> None:
    head = read_request(b"GET", [HOST, (b"X-B", b"One "), (b"Accept", b"a"), (b"x-b", b"two")], "1.1")
    assert head.headers == [(b"x-b", b"One "), (b"accept", b"a"), (b"x-b", b"two")]
    assert head.host == b"example.test:80"
    assert (head.length, head.chunked, head.upgrade) == (None, False, None)


@given(st.sampled_from(sorted((HOP_BY_HOP | RESERVED) - {b"trailer"})))
def test_what_belongs_to_one_hop_does_not_go_on(name: bytes) -> None:
    value = b"chunked" if name == b"transfer-encoding" else b"x"
    assert read_request(b"GET", [HOST, (name.title(), value)], "1.1").headers == []


@pytest.mark.parametrize(
    ("value", "passed"),
    [
        (b"trailers", [(b"te", b"trailers")]),
        (b"gzip, Trailers;q=1", [(b"te", b"trailers")]),
        (b"gzip", []),
        (b"", []),
    ],
)
def test_of_te_only_the_acceptance_of_trailers_goes_on(value: bytes, passed: list[tuple[bytes, bytes]]) -> None:
    lines = [HOST, (b"TE", value), (b"Connection", b"TE")]
    assert read_request(b"GET", lines, "1.1").headers == passed


def test_trailers_never_frame_route_or_authenticate() -> None:
    kept = (b"x-sum", b"1")
    refused = sorted(HOP_BY_HOP | RESERVED | {b"content-length", b"host", b"authorization", b"set-cookie"})
    assert trailers_of([*((name, b"x") for name in refused), kept]) == [kept]


def test_the_connection_s_own_headers_do_not_go_on() -> None:
    lines = [HOST, (b"Connection", b"close, X-Mine"), (b"X-Mine", b"1"), (b"X-Other", b"2")]
    assert read_request(b"GET", lines, "1.1").headers == [(b"x-other", b"2")]
    assert read_answer(200, lines[1:]).headers == [(b"x-other", b"2")]


@pytest.mark.parametrize(
    ("upgrade", "connection", "passed"),
    [(b"WebSocket", b"keep-alive, Upgrade", b"websocket"), (b"h2c", b"Upgrade", None), (b"websocket", b"close", None)],
)
def test_only_a_websocket_is_an_upgrade(upgrade: bytes, connection: bytes, passed: bytes | None) -> None:
    lines = [HOST, (b"Upgrade", upgrade), (b"Connection", connection)]
    assert read_request(b"GET", lines, "1.1").upgrade == passed
    assert read_request(b"GET", [*lines, (b"Content-Length", b"0")], "1.1").upgrade == passed
    assert read_request(b"GET", [*lines, (b"Content-Length", b"1")], "1.1").upgrade is None
    assert read_request(b"GET", [*lines, (b"Transfer-Encoding", b"chunked")], "1.1").upgrade is None


@pytest.mark.parametrize(
    ("method", "lines", "version", "status"),
    [
        (b"GET", [], "1.1", 400),
        (b"GET", [], "0.9", 505),
        (b"GET", [HOST], "2.0", 505),
        (b"GET", [HOST, HOST], "1.1", 400),
        (b"CONNECT", [HOST], "1.1", 405),
        (b"GET", [(b"Host", b'x";for="6.6.6.6')], "1.1", 400),
        (b"GET", [(b"Host", b"a b")], "1.1", 400),
        (b"GET", [(b"Host", b"a/b")], "1.1", 400),
        (b"GET", [(b"Host", b"a@b")], "1.1", 400),
        (b"GET", [(b"Host", b"\xc3\xa4")], "1.1", 400),
        (b"POST", [HOST, (b"Transfer-Encoding", b"gzip, chunked")], "1.1", 501),
        (b"POST", [HOST, (b"Transfer-Encoding", b"chunked")], "1.0", 501),
        (b"GET", [HOST, (b"X", b"y" * HEAD_BYTES)], "1.1", 431),
    ],
)
def test_what_is_refused(method: bytes, lines: list[tuple[bytes, bytes]], version: str, status: int) -> None:
    with pytest.raises(RefusedError) as refused:
        read_request(method, lines, version)
    assert refused.value.status == status


def test_http_1_0_needs_no_host() -> None:
    assert read_request(b"GET", [], "1.0").host == b""


def test_an_answer_s_length_is_unknown_where_it_is_chunked() -> None:
    assert read_answer(200, [(b"Content-Length", b"5")]).length == 5
    assert read_answer(200, [(b"Transfer-Encoding", b"chunked")]).length is None
    assert read_answer(101, [(b"Upgrade", b"websocket")]).headers == [(b"upgrade", b"websocket")]
    assert read_answer(200, [(b"Upgrade", b"h2c")]).headers == []
