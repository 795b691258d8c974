"""HTTP/2 and gRPC through the route: grpcio as client and server, curl, and frames made by hand."""

from __future__ import annotations

import contextlib
import json
import shutil
import socket
import struct
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest

from tests.engines import EngineProcess, service

GRPC = Path(__file__).parents[1] / "grpc_server.py"
STEADY = {"min-scale": "1", "window": "6s"}
H2C = {"ports": [{"name": "h2c", "containerPort": 8080}]}
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, PRIORITY, RST, SETTINGS, PUSH, PING, GOAWAY, WINDOW, CONTINUATION = range(10)
END_STREAM, END_HEADERS, ACK = 0x1, 0x4, 0x1


def grpc_service(name: str = "grpc", **more: Any) -> dict[str, Any]:
    container = {**H2C, **more.pop("container", {})}
    return service(name, command=["python", str(GRPC)], container=container, **more)


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EngineProcess]:
    started = EngineProcess(
        tmp_path_factory.mktemp("http2"),
        grpc_service(annotations=STEADY),
        grpc_service("aging", annotations=STEADY, environment={"GOAWAY_MS": "300"}),
        grpc_service("one", concurrency=1, annotations={**STEADY, "max-scale": "1"}),
        service(annotations=STEADY),
        service("short", annotations=STEADY, spec={"timeoutSeconds": 1, "responseStartTimeoutSeconds": 1}),
        service("wrong", annotations=STEADY, container=H2C),
    )
    for name in ("grpc", "aging", "one", "hello", "short", "wrong"):
        started.wait_pods(1, name, 60)
    yield started
    assert started.stop() == 0


@contextlib.contextmanager
def channel(engine: EngineProcess, name: str = "grpc") -> Iterator[grpc.Channel]:
    host = f"{name}.default.localhost:{engine.port}"
    options = [("grpc.default_authority", host), ("grpc.enable_http_proxy", 0)]
    with grpc.insecure_channel(f"127.0.0.1:{engine.port}", options=options) as opened:
        yield opened


# gRPC


def test_a_unary_call_has_metadata_both_ways(engine: EngineProcess) -> None:
    with channel(engine) as opened:
        answer, call = opened.unary_unary("/echo.Echo/Unary").with_call(
            b"hello", metadata=(("x-asked", "yes"),), timeout=20
        )
    assert answer == b"hello"
    assert dict(call.initial_metadata())["x-pod"].startswith("grpc-00001-deployment-")
    trailing = dict(call.trailing_metadata())
    assert (trailing["x-seen"], trailing["x-bin-bin"]) == ("yes", b"\x00\xff")


def test_a_status_and_its_trailers_arrive(engine: EngineProcess) -> None:
    with channel(engine) as opened, pytest.raises(grpc.RpcError) as error:
        opened.unary_unary("/echo.Echo/Fail")(b"", timeout=20)
    assert (error.value.code(), error.value.details()) == (grpc.StatusCode.FAILED_PRECONDITION, "no: ü\n")
    assert dict(error.value.trailing_metadata())["x-why"] == "because"


def test_an_unknown_method_is_the_servers_to_refuse(engine: EngineProcess) -> None:
    with channel(engine) as opened, pytest.raises(grpc.RpcError) as error:
        opened.unary_unary("/echo.Echo/Nothing")(b"", timeout=20)
    assert error.value.code() is grpc.StatusCode.UNIMPLEMENTED


def test_a_stream_comes_down_and_one_goes_up(engine: EngineProcess) -> None:
    with channel(engine) as opened:
        down = list(opened.unary_stream("/echo.Echo/Download")(b"200x10000", timeout=60))
        up = opened.stream_unary("/echo.Echo/Upload")((bytes(10_000) for _ in range(200)), timeout=60)
    assert [int(message.split(b" ")[0]) for message in down] == list(range(200))
    assert {len(message.split(b" ", 1)[1]) for message in down} == {10_000}
    assert up == b"200 messages, 2000000 bytes"


def test_both_ways_at_once_message_by_message(engine: EngineProcess) -> None:
    """Each message is sent only once the one before it has come back: nothing on the way waits for an end."""
    came = threading.Semaphore(1)

    def messages() -> Iterator[bytes]:
        for number in range(50):
            assert came.acquire(timeout=20)
            yield b"%d" % number

    received = []
    with channel(engine) as opened:
        for message in opened.stream_stream("/echo.Echo/Both")(messages(), timeout=60):
            received.append(message)
            came.release()
    assert received == [b"%d" % number for number in range(50)]


def test_a_slow_reader_slows_its_stream_and_no_other(engine: EngineProcess) -> None:
    with channel(engine) as opened:
        slow = opened.unary_stream("/echo.Echo/Download")(b"400x100000", timeout=110)
        first = next(slow)
        assert opened.unary_unary("/echo.Echo/Unary")(b"passes", timeout=20) == b"passes"
        rest = list(slow)
    assert first.startswith(b"0 ")
    assert len(rest) == 399


def test_a_cancelled_call_is_cancelled_at_the_pod(engine: EngineProcess) -> None:
    def endless() -> Iterator[bytes]:
        yield b"one"
        threading.Event().wait(30)

    with channel(engine, "one") as opened:
        call = opened.stream_stream("/echo.Echo/Both")(endless(), timeout=60)
        assert next(call) == b"one"
        assert engine.revision("one")["pods"][0]["inFlight"] == 1
        call.cancel()
        engine.wait(lambda: engine.revision("one")["pods"][0]["inFlight"] == 0, "the slot is free")
        assert opened.unary_unary("/echo.Echo/Unary")(b"next", timeout=20) == b"next"


def test_streams_count_as_requests_at_once(engine: EngineProcess) -> None:
    """Of containerConcurrency 1, and one connection of the client: the second stream waits for the first."""
    release = threading.Event()

    def held() -> Iterator[bytes]:
        yield b"first"
        assert release.wait(30)

    with channel(engine, "one") as opened:
        first = opened.stream_stream("/echo.Echo/Both")(held(), timeout=60)
        assert next(first) == b"first"
        second = opened.unary_unary("/echo.Echo/Unary").future(b"second", timeout=60)
        engine.wait(lambda: engine.revision("one")["inFlight"] == 2, "both are counted")
        assert not second.done()
        release.set()
        assert second.result() == b"second"
        assert list(first) == []


def test_calls_survive_a_pod_that_sends_goaway(engine: EngineProcess) -> None:
    with channel(engine, "aging") as opened:
        call = opened.unary_unary("/echo.Echo/Unary")
        answers = [call(b"%d" % number, timeout=20) for number in range(400)]
    assert answers == [b"%d" % number for number in range(400)]


def test_a_stream_outlives_the_goaway_of_its_pod(engine: EngineProcess) -> None:
    step = threading.Event()

    def messages() -> Iterator[bytes]:
        for number in range(8):
            yield b"%d" % number
            step.wait(0.25)

    with channel(engine, "aging") as opened:
        received = list(opened.stream_stream("/echo.Echo/Both")(messages(), timeout=60))
    assert received == [b"%d" % number for number in range(8)]


def test_a_hundred_calls_wake_a_service_from_zero(tmp_path: Path) -> None:
    engine = EngineProcess(tmp_path, grpc_service(annotations={"window": "6s"}), arguments=("--initial-scale", "0"))
    try:
        with channel(engine) as opened:
            call = opened.unary_unary("/echo.Echo/Unary")
            futures = [call.future(b"%d" % number, timeout=90) for number in range(100)]
            assert [future.result() for future in futures] == [b"%d" % number for number in range(100)]
    finally:
        assert engine.stop() == 0


def test_the_end_of_the_engine_lets_a_stream_finish(tmp_path: Path) -> None:
    """It sends GOAWAY, and the stream that is under way goes on to its end."""
    engine = EngineProcess(tmp_path, grpc_service(annotations=STEADY))
    try:
        engine.wait_pods(1, "grpc", 60)
        stopping = threading.Event()

        def messages() -> Iterator[bytes]:
            yield b"before"
            assert stopping.wait(30)
            yield b"after"

        with channel(engine) as opened:
            call = opened.stream_stream("/echo.Echo/Both")(messages(), timeout=60)
            assert next(call) == b"before"
            engine.process.terminate()
            engine.wait(lambda: "stopping" in engine.output, "it stops")
            stopping.set()
            assert list(call) == [b"after"]
    finally:
        assert engine.stop() == 0


# Between the versions


def curl(engine: EngineProcess, *arguments: str, name: str = "hello") -> str:
    command = ["curl", "-s", "-S", "--max-time", "20", "-H", f"Host: {name}.default.localhost", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30)
    assert done.returncode == 0, done.stderr
    return done.stdout


needs_curl = pytest.mark.skipif(
    shutil.which("curl") is None
    or "HTTP2" not in subprocess.run(["curl", "--version"], capture_output=True, text=True).stdout,
    reason="curl with HTTP/2 is not installed",
)


@needs_curl
def test_curl_speaks_http2_to_a_pod_of_http1(engine: EngineProcess) -> None:
    url = f"http://127.0.0.1:{engine.port}/a?b=c"
    out = curl(engine, "--http2-prior-knowledge", "-w", "\n%{http_version} %{http_code}", url)
    body, _, version = out.rpartition("\n")
    seen = json.loads(body)
    assert version == "2 200"
    assert (seen["method"], seen["target"]) == ("GET", "/a?b=c")
    assert seen["headers"]["host"] == "hello.default.localhost"


@needs_curl
def test_bodies_pass_both_ways_with_and_without_their_length(engine: EngineProcess, tmp_path: Path) -> None:
    body = tmp_path / "body"
    body.write_bytes(bytes(range(256)) * 4096)
    url = f"http://127.0.0.1:{engine.port}/?size=1000000"
    for more in ((), ("-H", "Transfer-Encoding: chunked")):
        seen = json.loads(
            curl(engine, "--http2-prior-knowledge", "--data-binary", f"@{body}", *more, url[: -len("?size=1000000")])
        )
        assert seen["bytes"] == 2**20
    assert len(curl(engine, "--http2-prior-knowledge", url)) == 1_000_000


@needs_curl
def test_statuses_head_and_timeouts_are_those_of_http1(engine: EngineProcess) -> None:
    url = f"http://127.0.0.1:{engine.port}"
    code = ("--http2-prior-knowledge", "-o", "/dev/null", "-w", "%{http_code}")
    assert curl(engine, *code, f"{url}/?status=418") == "418"
    assert curl(engine, *code, "-I", f"{url}/?size=10") == "200"
    assert curl(engine, *code, f"{url}/?sleep=5", name="short") == "504"
    assert curl(engine, *code, url, name="nowhere") == "404"
    assert curl(engine, *code, f"{url}/_knative/status", name="x").startswith("4")


@needs_curl
def test_the_engines_own_pages_are_served_over_http2(engine: EngineProcess) -> None:
    command = ["curl", "-s", "--http2-prior-knowledge", f"http://127.0.0.1:{engine.port}/_knative/status"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30)
    assert json.loads(done.stdout)["port"] == engine.port


@needs_curl
def test_a_client_of_http1_reaches_a_pod_of_http2(engine: EngineProcess) -> None:
    """gRPC over HTTP/1.1 is nobody's, but it shows that method, body, status and trailers cross over."""
    url = f"http://127.0.0.1:{engine.port}/echo.Echo/Unary"
    message = b"\x00\x00\x00\x00\x02hi"
    command = ["curl", "-s", "-i", "--raw", "--http1.1", "-H", "Host: grpc.default.localhost", "-H", "TE: trailers"]
    command += ["-H", "Content-Type: application/grpc", "--data-binary", "@-", url]
    done = subprocess.run(command, input=message, capture_output=True, timeout=30)
    assert done.stdout.startswith(b"HTTP/1.1 200")
    assert message in done.stdout
    assert b"grpc-status: 0\r\n" in done.stdout.rpartition(b"\r\n0\r\n")[2]


@needs_curl
def test_a_pod_that_does_not_speak_http2_is_a_502(engine: EngineProcess) -> None:
    out = curl(engine, "-w", "%{http_code}", f"http://127.0.0.1:{engine.port}/", name="wrong")
    assert out.endswith("502")


# Frames made by hand


def frame(kind: int, flags: int, stream: int, payload: bytes = b"") -> bytes:
    return struct.pack(">I", len(payload))[1:] + bytes([kind, flags]) + struct.pack(">I", stream) + payload


def literal(name: bytes, value: bytes) -> bytes:
    """A header without index and without Huffman code (RFC 7541, 6.2.2), each part below 127 bytes or not."""

    def text(part: bytes) -> bytes:
        if len(part) < 127:
            return bytes([len(part)]) + part
        rest, out = len(part) - 127, b"\x7f"
        while rest >= 128:
            out += bytes([rest % 128 + 128])
            rest //= 128
        return out + bytes([rest]) + part

    return b"\x00" + text(name) + text(value)


def block(path: bytes = b"/", host: bytes = b"hello.default.localhost", method: bytes = b"GET", *more: bytes) -> bytes:
    pseudo = ((b":method", method), (b":scheme", b"http"), (b":authority", host), (b":path", path))
    return b"".join(literal(*pair) for pair in pseudo) + b"".join(more)


class Raw:
    """A connection that sends what it is given, and reads frames."""

    def __init__(self, engine: EngineProcess, settings: bytes = b"", begin: bytes = PREFACE) -> None:
        self.sock = socket.create_connection(("127.0.0.1", engine.port), timeout=20)
        self.sock.sendall(begin + frame(SETTINGS, 0, 0, settings))
        self._data = b""

    def send(self, *frames: bytes) -> None:
        with contextlib.suppress(ConnectionError):
            self.sock.sendall(b"".join(frames))

    def frames(self) -> Iterator[tuple[int, int, int, bytes]]:
        """Each frame that comes, until the connection ends."""
        while True:
            while len(self._data) >= 9:
                length = int.from_bytes(self._data[:3], "big")
                if len(self._data) < 9 + length:
                    break
                kind, flags = self._data[3], self._data[4]
                stream = int.from_bytes(self._data[5:9], "big") & 0x7FFFFFFF
                payload, self._data = self._data[9 : 9 + length], self._data[9 + length :]
                yield kind, flags, stream, payload
            try:
                chunk = self.sock.recv(65536)
            except ConnectionError:
                return
            if not chunk:
                return
            self._data += chunk

    def until(self, kind: int) -> bytes:
        """The payload of the next frame of a kind."""
        return next(payload for found, _, _, payload in self.frames() if found == kind)

    def ends(self) -> int:
        """The code of the GOAWAY with which the connection ends; the last, and the connection is closed after it."""
        codes = [int.from_bytes(payload[4:8], "big") for kind, _, _, payload in self.frames() if kind == GOAWAY]
        assert codes, "no GOAWAY"
        return codes[-1]

    def close(self) -> None:
        self.sock.close()


@pytest.fixture
def raw(engine: EngineProcess) -> Iterator[Raw]:
    connection = Raw(engine)
    yield connection
    connection.close()
    assert engine.get("/hello")[0] == 200, "the engine serves on"


PROTOCOL_ERROR, FLOW_CONTROL, STREAM_CLOSED, FRAME_SIZE, REFUSED, CALM = 1, 3, 5, 6, 7, 11


def test_a_preface_in_pieces_is_http2(engine: EngineProcess) -> None:
    connection = Raw(engine, begin=b"")
    connection.close()
    with socket.create_connection(("127.0.0.1", engine.port), timeout=20) as sock:
        for index in range(len(PREFACE)):
            sock.sendall(PREFACE[index : index + 1])
        sock.sendall(frame(SETTINGS, 0, 0) + frame(HEADERS, END_STREAM | END_HEADERS, 1, block()))
        assert sock.recv(9)[3] == SETTINGS


def test_a_method_that_begins_like_the_preface_is_http1(engine: EngineProcess) -> None:
    with socket.create_connection(("127.0.0.1", engine.port), timeout=20) as sock:
        sock.sendall(b"P")
        sock.sendall(b"R")
        sock.sendall(b"OPFIND /hello HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert sock.recv(65536).startswith(b"HTTP/1.1 200")


def test_many_streams_that_are_reset_at_once_end_the_connection(raw: Raw) -> None:
    """Rapid reset, CVE-2023-44487."""
    for number in range(1, 2001, 2):
        raw.send(frame(HEADERS, END_STREAM | END_HEADERS, number, block(b"/?sleep=5")), frame(RST, 0, number, bytes(4)))
    assert raw.ends() == CALM


def test_a_client_that_resets_few_of_its_streams_stays(engine: EngineProcess) -> None:
    connection = Raw(engine)
    for index in range(150):
        number = 4 * index + 1
        connection.send(
            frame(HEADERS, END_STREAM | END_HEADERS, number, block(b"/?sleep=5")),
            frame(RST, 0, number, bytes(4)),
            frame(HEADERS, END_STREAM | END_HEADERS, number + 2, block()),
        )
    answered = 0
    for kind, _, _, _ in connection.frames():
        assert kind not in (GOAWAY, RST)
        answered += kind == HEADERS
        if answered == 150:
            break
    connection.close()


def test_a_client_that_cancels_what_has_run_for_long_stays(engine: EngineProcess) -> None:
    """As one that follows events does: each of its streams ends by a reset."""
    connection = Raw(engine)
    for batch in range(2):
        numbers = range(batch * 300 + 1, batch * 300 + 300, 2)
        connection.send(*(frame(HEADERS, END_STREAM | END_HEADERS, number, block(b"/?sleep=60")) for number in numbers))
        engine.wait(lambda: engine.revision()["inFlight"] == 150, "all of them run")
        time.sleep(1.1)
        connection.send(*(frame(RST, 0, number, bytes(4)) for number in numbers))
        engine.wait(lambda: engine.revision()["inFlight"] == 0, "none runs")
    connection.send(frame(HEADERS, END_STREAM | END_HEADERS, 1001, block()))
    assert next(kind for kind, _, stream, _ in connection.frames() if stream == 1001 or kind == GOAWAY) == HEADERS
    connection.close()


def test_a_websocket_is_refused_with_the_way_out(engine: EngineProcess) -> None:
    import socket

    from h2.connection import H2Connection
    from h2.events import DataReceived

    client = H2Connection()
    client.initiate_connection()
    pseudo = {":method": "CONNECT", ":protocol": "websocket", ":scheme": "http", ":path": "/", ":authority": "hello"}
    client.send_headers(1, list(pseudo.items()))
    with socket.create_connection(("127.0.0.1", engine.port), timeout=30) as connection:
        connection.sendall(client.data_to_send())
        text = b""
        while not text and (data := connection.recv(65536)):
            text = b"".join(event.data for event in client.receive_data(data) if isinstance(event, DataReceived))
    assert text.startswith(b"WebSockets over HTTP/2 (RFC 8441) are not supported: open them over HTTP/1.1")


def test_streams_above_the_limit_are_refused_one_by_one(raw: Raw) -> None:
    assert b"\x00\x03\x00\x00\x00\xfa" in raw.until(SETTINGS)
    for index in range(260):
        raw.send(frame(HEADERS, END_STREAM | END_HEADERS, 2 * index + 1, block(b"/?sleep=1")))
    refused, answered = [], set()
    for kind, _, stream, payload in raw.frames():
        if kind == RST:
            refused.append((stream, int.from_bytes(payload, "big")))
        elif kind == HEADERS:
            answered.add(stream)
        if len(answered) + len(refused) == 260:
            break
    assert refused == [(2 * index + 1, REFUSED) for index in range(250, 260)]
    assert len(answered) == 250


def test_a_header_block_above_the_limit_ends_the_connection(raw: Raw) -> None:
    fields = [literal(b"x-%d" % number, bytes(b"a" * 1000)) for number in range(100)]
    whole = block(b"/", b"hello.default.localhost", b"GET", *fields)
    pieces = [whole[start : start + 16_000] for start in range(0, len(whole), 16_000)]
    raw.send(frame(HEADERS, END_STREAM, 1, pieces[0]), *(frame(CONTINUATION, 0, 1, piece) for piece in pieces[1:-1]))
    raw.send(frame(CONTINUATION, END_HEADERS, 1, pieces[-1]))
    assert raw.ends() == CALM


def test_continuations_without_end_are_bounded(raw: Raw) -> None:
    """CVE-2024-27316."""
    raw.send(frame(HEADERS, END_STREAM, 1, block()))
    for _ in range(200):
        raw.send(frame(CONTINUATION, 0, 1, literal(b"x-a", b"b" * 100)))
    assert raw.ends() in (PROTOCOL_ERROR, CALM)


def test_a_small_block_that_expands_is_bounded(raw: Raw) -> None:
    """One entry of the dynamic table, named ten thousand times."""
    stored = b"\x40" + literal(b"x-long", b"a" * 3000)[1:]
    raw.send(frame(HEADERS, END_STREAM | END_HEADERS, 1, block(b"/", b"a", b"GET", stored, b"\xbe" * 10_000)))
    assert raw.ends() == CALM


def test_empty_frames_without_end_are_bounded(raw: Raw) -> None:
    raw.send(frame(HEADERS, END_HEADERS, 1, block(b"/?sleep=5", method=b"POST")))
    for _ in range(30):
        raw.send(frame(DATA, 0, 1) * 1000)
    assert raw.ends() == CALM


@pytest.mark.parametrize(
    "payload", [frame(PING, 0, 0, bytes(8)), frame(SETTINGS, 0, 0), frame(PRIORITY, 0, 3, b"\0\0\0\0\1")]
)
def test_control_frames_without_end_are_bounded(raw: Raw, payload: bytes) -> None:
    for _ in range(30):
        raw.send(payload * 1000)
    assert raw.ends() == CALM


@pytest.mark.parametrize(
    ("name", "frames", "code"),
    [
        ("a frame above the size", [frame(DATA, 0, 1, bytes(16_385))], FRAME_SIZE),
        ("data on no stream", [frame(DATA, 0, 0, b"a")], PROTOCOL_ERROR),
        ("an even stream", [frame(HEADERS, 5, 2, block())], PROTOCOL_ERROR),
        ("a push", [frame(HEADERS, 4, 1, block()), frame(PUSH, 4, 1, bytes(4) + block())], PROTOCOL_ERROR),
        ("settings of another length", [frame(SETTINGS, 0, 0, bytes(5))], FRAME_SIZE),
        ("a window of zero", [frame(WINDOW, 0, 0, bytes(4))], PROTOCOL_ERROR),
        ("a window too large", [frame(WINDOW, 0, 0, b"\x7f\xff\xff\xff")] * 2, FLOW_CONTROL),
        ("a block that is no HPACK", [frame(HEADERS, 5, 1, b"\xff\xff\xff\xff\xff")], PROTOCOL_ERROR),
        ("no path", [frame(HEADERS, 5, 1, literal(b":method", b"GET"))], PROTOCOL_ERROR),
        ("a name in capitals", [frame(HEADERS, 5, 1, block() + literal(b"X-A", b"b"))], PROTOCOL_ERROR),
        ("a line break in a value", [frame(HEADERS, 5, 1, block() + literal(b"x-a", b"b\r\nx-c: d"))], PROTOCOL_ERROR),
        ("a connection header", [frame(HEADERS, 5, 1, block() + literal(b"connection", b"x"))], PROTOCOL_ERROR),
        ("chunks", [frame(HEADERS, 4, 1, block() + literal(b"transfer-encoding", b"chunked"))], PROTOCOL_ERROR),
        ("a reset of no stream", [frame(RST, 0, 1, bytes(4))], PROTOCOL_ERROR),
        (
            "more than the length",
            [frame(HEADERS, 4, 1, block() + literal(b"content-length", b"1")), frame(DATA, 1, 1, b"ab")],
            PROTOCOL_ERROR,
        ),
        ("a continuation of nothing", [frame(CONTINUATION, 4, 1, block())], PROTOCOL_ERROR),
    ],
)
def test_a_violation_ends_the_connection_and_nothing_else(raw: Raw, name: str, frames: list[bytes], code: int) -> None:
    raw.send(*frames)
    assert raw.ends() == code


@pytest.mark.parametrize(
    "garbage",
    [
        b"g",
        frame(DATA, 0, 0, bytes(16_384))[:40],
        frame(SETTINGS, 1, 0),
        b"\x00\x00\x07",
        frame(SETTINGS, 0, 3, bytes(6)),
    ],
    ids=["text", "another frame", "an acknowledgement", "a length that settings never have", "settings of a stream"],
)
def test_a_preface_without_settings_ends_at_once(engine: EngineProcess, garbage: bytes) -> None:
    connection = Raw(engine, begin=PREFACE + garbage)
    # A frame that is waited for until the deadline would end with NO_ERROR.
    assert connection.ends() == PROTOCOL_ERROR
    connection.close()


@pytest.mark.parametrize(
    ("target", "method"), [(b"/a b", b"GET"), (b"/a HTTP/1.1\tb", b"GET"), (b"/", b"GE T"), (b"/\x80", b"GET")]
)
def test_what_http1_could_not_carry_is_refused(raw: Raw, target: bytes, method: bytes) -> None:
    """A target with a space would be another request at a pod of HTTP/1.1."""
    raw.send(frame(HEADERS, END_STREAM | END_HEADERS, 1, block(target, method=method)))
    kind = next(kind for kind, _, stream, _ in raw.frames() if stream == 1 or kind == GOAWAY)
    assert kind in (HEADERS, GOAWAY)


def test_cookies_become_one_header(raw: Raw) -> None:
    raw.send(
        frame(
            HEADERS,
            END_STREAM | END_HEADERS,
            1,
            block() + literal(b"cookie", b"a=1") + literal(b"cookie", b"b=2"),
        )
    )
    assert json.loads(raw.until(DATA))["headers"]["cookie"] == "a=1; b=2"


def test_trailers_of_a_request_reach_a_pod_of_http1(raw: Raw) -> None:
    raw.send(
        frame(HEADERS, END_HEADERS, 1, block(method=b"POST")),
        frame(DATA, 0, 1, b"body"),
        frame(HEADERS, END_STREAM | END_HEADERS, 1, literal(b"x-sum", b"1234") + literal(b"content-length", b"9")),
    )
    seen = json.loads(raw.until(DATA))
    assert seen["bytes"] == 4
    assert seen["headers"]["trailer x-sum"] == "1234"
    assert "trailer content-length" not in seen["headers"]


def test_a_client_that_takes_nothing_costs_little_memory(engine: EngineProcess) -> None:
    """A window of nothing: the answer waits at the pod."""

    def resident() -> int:
        lines = Path(f"/proc/{engine.process.pid}/status").read_text().splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS"))

    before = resident()
    connection = Raw(engine, settings=b"\x00\x04\x00\x00\x00\x00")
    connection.send(frame(HEADERS, END_STREAM | END_HEADERS, 1, block(b"/?size=100000000")))
    assert connection.until(HEADERS)
    assert engine.get("/hello")[0] == 200
    grown = resident() - before
    connection.close()
    assert grown < 20_000
