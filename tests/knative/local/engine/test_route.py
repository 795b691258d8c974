"""The data path over real sockets: what reaches a pod, what comes back, and what is refused on the way."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import hashlib
import io
import json
import re
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from tests.engines import EngineProcess, run_async, service

ALLOWED = [part for name in ("a", "x", "example.com") for part in ("--allow-host", name)]
RAW_POD = Path(__file__).with_name("raw_pod.py")
STEADY = {"min-scale": "1", "window": "6s"}


@pytest.fixture(scope="module")
def ledger(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("ledger") / "ledger"


CONFIG_DOMAIN = {"name": "config-domain", "namespace": "knative-serving"}


def domain_mapping(host: str, name: str) -> dict[str, Any]:
    reference = {"apiVersion": "serving.knative.dev/v1", "kind": "Service", "name": name}
    mapping = {"apiVersion": "serving.knative.dev/v1beta1", "kind": "DomainMapping", "metadata": {"name": host}}
    return {**mapping, "spec": {"ref": reference}}


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory, ledger: Path) -> Iterator[EngineProcess]:
    started = EngineProcess(
        tmp_path_factory.mktemp("route"),
        service(annotations=STEADY, environment={"LEDGER": str(ledger), "GREETING": "hi $(NAME)", "NAME": "x"}),
        service("single", concurrency=1, annotations={**STEADY, "max-scale": "1", "target-burst-capacity": "0"}),
        service("short", annotations=STEADY, spec={"timeoutSeconds": 1, "responseStartTimeoutSeconds": 1}),
        service("idle", annotations=STEADY, spec={"timeoutSeconds": 20, "idleTimeoutSeconds": 1}),
        service("hidden", annotations=STEADY, labels={"networking.knative.dev/visibility": "cluster-local"}),
        service(
            "raw",
            command=["python", "-S", str(RAW_POD)],
            annotations={**STEADY, "max-scale": "1"},
            environment={"ANSWER": str(ledger.with_name("answer"))},
        ),
        domain_mapping("shop.example.net", "hello"),
        {"apiVersion": "v1", "kind": "ConfigMap", "metadata": CONFIG_DOMAIN, "data": {"knative.test": ""}},
        service("impatient", annotations=STEADY, environment={"IDLE_SECONDS": "0.3"}),
        arguments=("--host", "127.0.0.1", *ALLOWED),
    )
    for name in ("hello", "single", "short", "idle", "hidden", "impatient", "raw"):
        started.wait_pods(1, name)
    yield started
    assert started.stop() == 0


def exchange(engine: EngineProcess, data: bytes, *, seconds: float = 5.0, half_close: bool = False) -> bytes:
    """Send bytes as they are; everything that comes back until the connection ends or falls silent."""
    with socket.create_connection(("127.0.0.1", engine.port), timeout=seconds) as sock:
        sock.sendall(data)
        if half_close:
            sock.shutdown(socket.SHUT_WR)
        answer = b""
        with contextlib.suppress(TimeoutError, ConnectionError):
            while chunk := sock.recv(65536):
                answer += chunk
                if _whole(answer):
                    sock.settimeout(0.3)
        return answer


def _whole(answer: bytes) -> bool:
    head, _, body = answer.partition(b"\r\n\r\n")
    length = next((int(line[15:]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")), None)
    return length is not None and len(body) >= length


def statuses(answer: bytes) -> list[int]:
    """The status of each answer on a connection."""
    return [int(status) for status in re.findall(rb"HTTP/1\.1 (\d{3}) ", answer)]


def told(engine: EngineProcess, path: str = "/hello", host: str | None = None) -> dict[str, Any]:
    status, body = engine.get(path, host)
    assert status == 200, body
    return json.loads(body)


# Where a request goes


def test_the_first_segment_of_the_path_names_a_service_and_stays_in_it(engine: EngineProcess) -> None:
    assert told(engine, "/hello/a/b?c=d%20e")["target"] == "/hello/a/b?c=d%20e"


@pytest.mark.parametrize(
    "host",
    [
        "hello.default.localhost",
        "hello.default.localhost:8080",
        "HELLO.Default.localhost.",
        "hello.default.example.com",
        "hello.default.knative.test",
        "shop.example.net",
        "shop.example.net:8080",
    ],
)
def test_a_host_names_a_service(engine: EngineProcess, host: str) -> None:
    answer = told(engine, "/x", host)
    assert answer["target"] == "/x"
    assert answer["environment"]["K_SERVICE"] == "hello"


@pytest.mark.parametrize("host", ["none.default.localhost", "hello.other.localhost", "tag-hello.default.localhost"])
def test_an_unknown_host_is_not_found(engine: EngineProcess, host: str) -> None:
    assert engine.get("/", host)[0] == 404


@pytest.mark.parametrize(
    "path", ["/nothing", "/hell", "/helloo", "/%68ello", "//hello", "/_hello", "/_knative/nothing"]
)
def test_an_unknown_path_is_not_found(engine: EngineProcess, path: str) -> None:
    assert engine.get(path)[0] == 404


@pytest.mark.parametrize(
    ("path", "host"),
    [("/hidden", None), ("/", "hidden.default.localhost"), ("/", "hidden.default.svc.cluster.local")],
)
def test_a_cluster_local_service_is_not_on_the_route(engine: EngineProcess, path: str, host: str | None) -> None:
    status, body = engine.get(path, host)
    assert status == 404 or b"hidden-00001" not in body


def test_a_target_in_absolute_form_overrides_the_host_header(engine: EngineProcess) -> None:
    answer = exchange(engine, b"GET http://hello.default.localhost/y HTTP/1.1\r\nHost: nowhere\r\n\r\n")
    assert b'"target": "/y"' in answer


@pytest.mark.parametrize("path", ["/", "/hello", "/_knative/status", "/nothing"])
@pytest.mark.parametrize(
    "host",
    [
        "rebound.test",
        "rebound.test:80",
        "hello.default.rebound.test",
        "localhost.rebound.test",
        "notexample.com",
        "10.1.2.3",
        "[2001:db8::1]:80",
        "hello.default.svc.cluster.local",
    ],
)
def test_a_foreign_host_gets_421_by_host_and_by_path(engine: EngineProcess, path: str, host: str) -> None:
    status, body = engine.get(path, host)
    assert status == 421
    assert b"--allow-host" in body
    absolute = f"GET http://{host}{path} HTTP/1.1\r\nHost: localhost\r\n\r\n"
    assert statuses(exchange(engine, absolute.encode())) == [421]


@pytest.mark.parametrize(
    "host", ["127.0.0.1:1", "127.8.9.1", "localhost", "LOCALHOST.", "[::1]:8", "any.localhost", "a"]
)
def test_hosts_of_this_machine_and_allowed_ones_are_answered(engine: EngineProcess, host: str) -> None:
    assert engine.get("/hello", host)[0] == 200


# What a pod sees


def test_a_pod_knows_who_it_is(engine: EngineProcess) -> None:
    environment = told(engine)["environment"]
    assert environment["K_SERVICE"] == environment["K_CONFIGURATION"] == "hello"
    assert environment["K_REVISION"] == "hello-00001"
    assert environment["HOSTNAME"].startswith("hello-00001-deployment-")
    assert environment["PORT"] == str(engine.pods()[0]["port"])


def test_nothing_of_the_shell_reaches_a_pod(tmp_path: Path) -> None:
    engine = EngineProcess(tmp_path, service(annotations=STEADY), AWS_SECRET_ACCESS_KEY="secret")
    try:
        assert "AWS_SECRET_ACCESS_KEY" not in told(engine)["environment"]
    finally:
        engine.stop()


def test_forwarding_headers_tell_the_client_and_are_not_believed_from_outside(engine: EngineProcess) -> None:
    request = (
        b"GET /hello HTTP/1.1\r\nHost: localhost\r\nForwarded: for=6.6.6.6\r\nX-Forwarded-For: 1.2.3.4\r\n"
        b"K-Proxy-Request: forged\r\nK-Network-Probe: queue\r\nConnection: close, X-Private\r\nX-Private: 1\r\n\r\n"
    )
    headers = json.loads(exchange(engine, request).partition(b"\r\n\r\n")[2])["headers"]
    assert headers["forwarded"] == "for=127.0.0.1;host=localhost;proto=http"
    assert headers["x-forwarded-for"] == "1.2.3.4, 127.0.0.1"
    assert headers["k-proxy-request"] == "activator"
    assert "k-network-probe" not in headers
    assert "x-private" not in headers


@pytest.mark.parametrize("host", ["x;for=6.6.6.6.localhost", "x,for=6.6.6.6.x", "[::1]:80"])
def test_a_host_adds_nothing_to_the_forwarded_headers(engine: EngineProcess, host: str) -> None:
    answer = exchange(engine, f"GET /hello HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode())
    headers = json.loads(answer.partition(b"\r\n\r\n")[2])["headers"]
    assert headers["forwarded"] == f'for=127.0.0.1;host="{host}";proto=http'


def test_a_target_that_is_not_a_url_is_refused(engine: EngineProcess) -> None:
    request = b'GET http://hello.default.x";for=1/ HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n'
    assert exchange(engine, request).startswith(b"HTTP/1.1 400 ")


@pytest.mark.parametrize(
    ("request_line", "fields", "words"),
    [
        ("BREW /hello", "", b"400 Bad Request, bad request: Invalid method encountered"),
        ("GET /hello", "Content-Length: 1\r\nContent-Length: 2\r\n", b"400 Bad Request, bad request: Duplicate"),
        ("GET /" + "a" * 17_000, "", b"414 Request-URI Too Long, request target too long: the limit is 16,384 bytes;"),
        (
            "GET /",
            "X: a\r\n" * 201,
            b"431 Request Header Fields Too Large, too many request header fields: the limit is 200",
        ),
        ("GET /", f"X: {'a' * 66_000}\r\n", b"fields too large: the limit is 65,536 bytes;"),
    ],
)
def test_a_refusal_names_its_reason_or_its_limit(
    engine: EngineProcess, request_line: str, fields: str, words: bytes
) -> None:
    head, _, body = exchange(engine, f"{request_line} HTTP/1.1\r\nHost: x\r\n{fields}\r\n".encode()).partition(
        b"\r\n\r\n"
    )
    assert words in head.partition(b"\r\n")[0].partition(b" ")[2] + b", " + body


def test_no_more_than_a_hundred_requests_wait_in_a_pipeline(engine: EngineProcess) -> None:
    first = b"GET /hello?sleep=0.2 HTTP/1.1\r\nHost: x\r\n\r\n"
    answer = exchange(engine, first + b"GET /x HTTP/1.1\r\nHost: localhost\r\n\r\n" * 500)
    assert statuses(answer) == [200, *[404] * 100, 429]


def test_what_came_before_a_broken_request_is_answered_before_its_refusal(engine: EngineProcess) -> None:
    whole = b"GET /hello?sleep=0.1 HTTP/1.1\r\nHost: x\r\n\r\n"
    assert statuses(exchange(engine, whole * 3 + b"BROKEN\r\n\r\n" + whole)) == [200, 200, 200, 400]


def test_past_the_activator_no_header_says_that_a_request_came_through_it(engine: EngineProcess) -> None:
    engine.wait(lambda: not engine.revision("single")["proxied"], "a path past the activator")
    assert "k-proxy-request" not in told(engine, "/single")["headers"]


@pytest.mark.parametrize("size", [0, 1, 65536, 5_000_000])
@pytest.mark.parametrize("chunked", [False, True])
def test_a_body_arrives_whole(engine: EngineProcess, size: int, chunked: bool) -> None:
    body = bytes(i % 251 for i in range(size))

    async def send() -> dict[str, Any]:
        async def pieces() -> Any:
            for start in range(0, size, 100_000):
                yield body[start : start + 100_000]

        async with (
            aiohttp.ClientSession() as session,
            session.post(f"{engine.url}/hello", data=pieces() if chunked else io.BytesIO(body)) as response,
        ):
            return await response.json()

    answer = run_async(send())
    assert answer["sha256"] == hashlib.sha256(body).hexdigest()


def test_a_large_answer_comes_whole(engine: EngineProcess) -> None:
    status, body = engine.get("/hello?size=20000000")
    assert status == 200
    assert len(body) == 20_000_000


def test_an_answer_is_passed_on_as_it_comes(engine: EngineProcess) -> None:
    async def read() -> tuple[bytes, bytes]:
        async with aiohttp.ClientSession() as session, session.get(f"{engine.url}/hello?events=200") as response:
            assert response.headers["Content-Type"] == "text/event-stream"
            return await response.content.readany(), await response.content.read()

    first, rest = run_async(read())  # the pod takes four seconds to write them
    assert (first + rest).count(b"data") == 200
    assert first.startswith(b"data: 0\n")
    assert rest, "all of it came in one piece"


def test_an_upload_is_passed_on_as_it_comes(engine: EngineProcess) -> None:
    with socket.create_connection(("127.0.0.1", engine.port), timeout=5) as sock:
        sock.sendall(b"POST /hello HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 6\r\n\r\n")
        assert sock.recv(100).startswith(b"HTTP/1.1 100 ")
        sock.sendall(b"abc")
        time.sleep(0.05)
        sock.sendall(b"def")
        answer = b""
        while not _whole(answer):
            answer += sock.recv(65536)
    assert b'"bytes": 6' in answer


def test_a_websocket_carries_bytes_both_ways(engine: EngineProcess) -> None:
    head = (
        b"GET /hello HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
    )
    with socket.create_connection(("127.0.0.1", engine.port), timeout=5) as sock:
        sock.sendall(head + b"early")
        received = b""
        while b"early" not in received:
            received += sock.recv(4096)
        assert b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo=" in received
        for message in (b"one", b"x" * 300_000, b"\x00\xff"):
            sock.sendall(message)
            echoed = b""
            while len(echoed) < len(message):
                echoed += sock.recv(65536)
            assert echoed == message


@pytest.mark.parametrize("method", ["GET", "HEAD", "DELETE", "OPTIONS", "PATCH"])
def test_every_method_passes_and_the_connection_is_kept(engine: EngineProcess, method: str) -> None:
    one = f"{method} /hello?n=1 HTTP/1.1\r\nHost: x\r\n\r\n".encode()
    answer = exchange(engine, one + one, seconds=1)
    assert statuses(answer) == [200, 200]


@pytest.mark.parametrize("status", [204, 304, 418, 500])
def test_a_status_passes(engine: EngineProcess, status: int) -> None:
    request = f"GET /hello?size=0&status={status} HTTP/1.1\r\nHost: x\r\n\r\n".encode()
    assert statuses(exchange(engine, request * 2, seconds=1)) == [status, status]


def test_http_1_0_is_answered_without_chunks(engine: EngineProcess) -> None:
    answer = exchange(engine, b"GET /hello?chunks=3 HTTP/1.0\r\n\r\n")
    head, _, body = answer.partition(b"\r\n\r\n")
    assert b"chunked" not in head.lower()
    assert body == b"0\n1\n2\n"


def test_pipelined_requests_are_answered_in_order(engine: EngineProcess) -> None:
    requests = b"".join(
        b"GET /hello?brief=1&id=p%d&sleep=%s HTTP/1.1\r\nHost: x\r\n\r\n" % (i, b"0.1" if i == 0 else b"0")
        for i in range(20)
    )
    answer = exchange(engine, requests, seconds=2)
    order = [int(part.split(b'"')[0]) for part in answer.split(b'"id": "p')[1:]]
    assert order == list(range(20))


def test_a_pod_that_switches_protocols_unasked_is_a_bad_gateway(engine: EngineProcess) -> None:
    assert engine.get("/hello?status=101")[0] == 502


# Who is not served


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (b"GET /hello HTTP/1.1\r\n\r\n", 400),
        (b"GET /hello HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400),
        (b"GET /hello HTTP/1.1\r\nHost: a\r\nX : b\r\n\r\n", 400),
        (b"GET /hello HTTP/1.1\r\nHost: a\r\nX: b\r\n c\r\n\r\n", 400),
        (b"GET /hello HTTP/1.1\nHost: a\n\n", 400),
        (b"GET /hello HTTP/9.9\r\nHost: a\r\n\r\n", 400),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 400),
        (b"CONNECT example.com:443 HTTP/1.1\r\nHost: a\r\n\r\n", 405),
        (b"GET /hello HTTP/1.1\r\nHost: a\r\nX: " + b"y" * 70_000 + b"\r\n\r\n", 431),
        (b"GET /hello HTTP/1.1\r\nHost: a\r\n" + b"X: y\r\n" * 300 + b"\r\n", 431),
        (b"GET /" + b"y" * 20_000 + b" HTTP/1.1\r\nHost: a\r\n\r\n", 414),
        (b"POST /hello HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nContent-Length: 3\r\n\r\nabc", 400),
        (b"POST /hello HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabcd", 400),
        (b"POST /hello HTTP/1.1\r\nHost: a\r\nContent-Length: +3\r\n\r\nabc", 400),
        (b"POST /hello HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n", 400),
        (b"POST /hello HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999999999999999\r\n\r\n", 400),
        (b"POST /hello HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
        (b"POST /hello HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n0\r\n\r\n", 400),
        (b"POST /hello HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", 501),
        (b"POST /hello HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n", 501),
        (b"POST /hello HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nabc\r\n0\r\n\r\n", 400),
        (b"POST /hello HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\nabc\n0\n\n", 400),
        (b"POST /hello HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 501),
    ],
)
def test_what_could_be_read_in_two_ways_is_refused_and_the_connection_closed(
    engine: EngineProcess, request_: bytes, status: int
) -> None:
    answer = exchange(engine, request_ + b"GET /hello?smuggled=1 HTTP/1.1\r\nHost: a\r\n\r\n")
    assert statuses(answer) == [status]
    assert b"smuggled" not in answer
    assert b"connection: close" in answer.lower()
    assert engine.get("/hello?brief=1")[0] == 200


@pytest.mark.parametrize("protocol", [b"h2c", b"websocket"])
def test_an_upgrade_that_is_not_passed_on_keeps_its_body(engine: EngineProcess, protocol: bytes) -> None:
    """A websocket's handshake has no body: with one it is an ordinary request."""
    for framing, body in (
        (b"Content-Length: 3", b"abc"),
        (b"Transfer-Encoding: chunked", b"3\r\nabc\r\n0\r\n\r\n"),
    ):
        asks = b"Connection: Upgrade\r\nUpgrade: %s\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n" % protocol
        request = b"POST /hello HTTP/1.1\r\nHost: a\r\n" + asks + framing + b"\r\n\r\n"
        answer = exchange(engine, request + body + b"GET /hello?after=1 HTTP/1.1\r\nHost: a\r\n\r\n")
        assert statuses(answer) == [200, 200]
        assert b'"bytes": 3' in answer
        assert b'"upgrade"' not in answer


def test_a_half_closed_client_still_gets_its_answer(engine: EngineProcess) -> None:
    answer = exchange(engine, b"GET /hello?sleep=0.1 HTTP/1.1\r\nHost: a\r\n\r\n", half_close=True)
    assert statuses(answer) == [200]


def test_a_client_that_leaves_is_noticed_by_the_pod(engine: EngineProcess, ledger: Path) -> None:
    with socket.create_connection(("127.0.0.1", engine.port)) as sock:
        sock.sendall(b"GET /hello?sleep=20&gone=1 HTTP/1.1\r\nHost: a\r\n\r\n")
        engine.wait(lambda: engine.revision()["inFlight"] == 1, "request in flight")
    engine.wait(lambda: ledger.exists() and "gone" in ledger.read_text(), "word of the disconnect", 5)
    engine.wait(lambda: engine.revision()["inFlight"] == 0, "free slot", 5)
    assert engine.revision()["requests"]["499"] >= 1


def test_trailers_of_a_request_reach_the_pod(engine: EngineProcess) -> None:
    request = b"POST /hello HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nTE: trailers, deflate\r\n"
    request += b"Trailer: X-Sum\r\nConnection: TE\r\n\r\n3\r\nabc\r\n0\r\n"
    answer = exchange(engine, request + b"X-Sum: 42\r\nHost: evil\r\nAuthorization: evil\r\n\r\n")
    headers = json.loads(answer.partition(b"\r\n\r\n")[2])["headers"]
    assert headers["trailer x-sum"] == "42"
    assert (headers["te"], headers["trailer"]) == ("trailers", "X-Sum")
    assert not {"trailer host", "trailer authorization"} & set(headers)


@pytest.mark.parametrize("fields", [b"X: %s\r\n" % (b"y" * 1000) * 70, b"X: y\r\n" * 201])
def test_trailers_of_a_request_are_limited_in_total(engine: EngineProcess, fields: bytes) -> None:
    request = b"POST /hello HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n"
    assert b" 431 " in exchange(engine, request + fields + b"\r\n")


@pytest.mark.parametrize("size", [65_536, 70_000, 200_000])
def test_the_size_of_a_head_counts_its_white_space(engine: EngineProcess, size: int) -> None:
    head = b"GET /hello HTTP/1.1\r\nHost: a\r\nX: v\r\n\r\n"
    answer = exchange(engine, head.replace(b"v", b" " * (size - len(head)) + b"v"))
    assert answer.startswith(b"HTTP/1.1 200" if size == 65_536 else b"HTTP/1.1 431"), answer[:200]


@pytest.mark.parametrize("version", [b"1.1", b"1.0"])
def test_trailers_of_an_answer_reach_a_client_that_can_have_them(engine: EngineProcess, version: bytes) -> None:
    pod = b"HTTP/1.1 200 OK\r\nTrailer: X-T\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nX-T: 1\r\n"
    pod += b"Transfer-Encoding: gzip\r\nSet-Cookie: a=b\r\n\r\n"
    path = b"/raw/" + base64.urlsafe_b64encode(pod)
    answer = exchange(engine, b"GET %s HTTP/%s\r\nHost: a\r\n\r\n" % (path, version))
    head, _, body = answer.partition(b"\r\n\r\n")
    if version == b"1.1":
        assert b"\r\ntrailer: X-T" in head
        assert body == b"3\r\nabc\r\n0\r\nx-t: 1\r\n\r\n"
    else:
        assert body == b"abc"


def test_trailers_without_an_end_are_given_up(engine: EngineProcess, ledger: Path) -> None:
    many = b"".join(b"X-%d: %s\r\n" % (number, b"y" * 1000) for number in range(100))
    head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n"
    ledger.with_name("answer").write_bytes(head + many + b"\r\n")
    answer = exchange(engine, b"GET /raw/file HTTP/1.1\r\nHost: a\r\n\r\n")
    assert b"x-99" not in answer
    assert not answer.endswith(b"0\r\n\r\n")


@pytest.mark.parametrize(("pause", "status"), [("0.6", 200), ("3", 504)])
def test_an_idle_timeout_counts_from_the_last_byte(engine: EngineProcess, pause: str, status: int) -> None:
    assert engine.get(f"/idle?sleep={pause}&brief=1")[0] == status


def test_an_idle_timeout_spares_an_answer_that_comes_on(engine: EngineProcess) -> None:
    status, body = engine.get("/idle?chunks=80")  # 1.6 s in pieces of 20 ms
    assert (status, body.count(b"\n")) == (200, 80)


# Limits


def test_a_pod_takes_its_concurrency_and_ten_times_as_many_wait(engine: EngineProcess) -> None:
    engine.wait(lambda: not engine.revision("single")["proxied"], "a path past the activator")

    async def burst() -> list[tuple[int, str]]:
        async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:

            async def one() -> tuple[int, str]:
                async with session.get(f"{engine.url}/single?sleep=0.05&brief=1") as response:
                    return response.status, await response.text()

            return await asyncio.gather(*(one() for _ in range(20)))

    answers = run_async(burst())
    assert sorted(status for status, _ in answers) == [200] * 11 + [503] * 9
    assert {text for status, text in answers if status == 503} == {"pending request queue full\n"}


@pytest.mark.parametrize("path", ["/short?sleep=5", "/idle?sleep=5"])
def test_a_request_over_time_is_answered_504(engine: EngineProcess, path: str) -> None:
    # A pod that may finish answers 200 after its five seconds.
    status, body = engine.get(path)
    assert status == 504
    assert body == b"activator request timeout\n"


def test_an_answer_over_time_is_broken_off(engine: EngineProcess) -> None:
    answer = exchange(engine, b"GET /short?chunks=200 HTTP/1.1\r\nHost: a\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 200 ")
    assert not answer.endswith(b"0\r\n\r\n")


def test_a_body_that_never_ends_does_not_hold_its_slot_for_ever(engine: EngineProcess) -> None:
    answer = exchange(engine, b"POST /short HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nabc")
    assert statuses(answer) == [504]
    engine.wait(lambda: engine.revision("short")["inFlight"] == 0, "free slot", 5)


def test_an_answer_that_breaks_off_is_not_taken_for_whole(engine: EngineProcess) -> None:
    answer = exchange(engine, b"GET /hello?size=1000&partial=1 HTTP/1.1\r\nHost: a\r\n\r\n")
    head, _, body = answer.partition(b"\r\n\r\n")
    assert b"content-length: 1000" in head.lower()
    assert len(body) < 1000


def test_a_server_that_closes_idle_connections_early_costs_no_request(engine: EngineProcess) -> None:
    async def post() -> list[int]:
        async with aiohttp.ClientSession() as session:
            found = []
            for turn in range(12):
                async with session.post(f"{engine.url}/impatient?brief=1", data=b"x") as response:
                    found.append(response.status)
                await asyncio.sleep(0.27 + 0.01 * (turn % 6))
            return found

    assert run_async(post()) == [200] * 12


def test_a_thousand_idle_connections_cost_little_and_others_are_served(engine: EngineProcess) -> None:
    socks = []
    try:
        for _ in range(1000):
            sock = socket.create_connection(("127.0.0.1", engine.port), timeout=5)
            sock.sendall(b"GET /hello")
            socks.append(sock)
        assert engine.get("/hello?brief=1")[0] == 200
    finally:
        for sock in socks:
            sock.close()


@pytest.mark.slow
def test_a_head_that_takes_for_ever_is_given_up(engine: EngineProcess) -> None:
    with socket.create_connection(("127.0.0.1", engine.port), timeout=30) as sock:
        answer = b""
        sock.sendall(b"GET /hello HTTP/1.1\r\nHost: a\r\n")
        sock.settimeout(0.5)
        for number in range(50):
            with contextlib.suppress(TimeoutError):
                answer += sock.recv(4096)
            if answer:
                break
            sock.sendall(b"X-%d: y\r\n" % number)
    assert statuses(answer) == [408]
