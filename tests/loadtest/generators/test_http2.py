"""The open loop over HTTP/2, against nghttp2 as Node.js has it: Playwright brings that along."""

from __future__ import annotations

import asyncio
import json
import socket
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import playwright
import pytest
from hpack import Decoder

from loadtest.generators.http2 import Connections, FieldEncoder, message
from loadtest.generators.open_loop import generate
from loadtest.generators.plan import Plan
from loadtest.generators.result import Result
from loadtest.generators.wire import target
from loadtest.openloop import EXIT_MISTAKE, EXIT_UNREACHABLE, main

NODE = Path(playwright.__file__).parent / "driver" / "node"
SERVER = Path(__file__).with_name("http2_server.mjs")
OFF = ["--no-live", "--objective", "p99<60s", "--objective", "errors<=0"]


@dataclass
class Served:
    url: str
    seen: dict[str, int]


@contextmanager
def serving(pem: Path | None = None, streams: int = 100) -> Iterator[Served]:
    command = [str(NODE), str(SERVER), *([str(pem)] if pem else [])]
    pipes: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    with subprocess.Popen(command, env={"STREAMS": str(streams)}, **pipes) as process:
        try:
            assert process.stdout is not None
            assert process.stderr is not None
            served = Served(f"{'https' if pem else 'http'}://127.0.0.1:{int(process.stdout.readline())}", {})
            errors = process.stderr
            reader = threading.Thread(target=lambda: [served.seen.update(json.loads(line)) for line in errors])
            reader.start()
            yield served
            threading.Event().wait(0.15)  # the last line of the server's count
        finally:
            process.kill()
            process.wait()
            reader.join()


def play(url: str, **options: Any) -> Result:
    defaults = {"rate": 100.0, "duration": 0.5, "connections": 2, "streams": 5, "timeout": 5.0}
    to = options.pop("target", None) or target(url)
    return generate(Plan(**{"target": to, **defaults, **options}))


def test_streams_share_their_connections() -> None:
    with serving() as served:
        result = play(served.url + "/", rate=400.0)
    assert (result.answered, dict(result.statuses), dict(result.errors)) == (200, {200: 200}, {})
    assert served.seen == {"sessions": 2, "streams": 200}


@pytest.mark.parametrize("size", [1, 16_385, 300_000])
def test_bodies_pass_the_windows_of_flow_control(size: int) -> None:
    body = bytes(number % 251 for number in range(size))
    with serving() as served:
        to = target(f"{served.url}/large", method="POST", body=body)
        result = play("", target=to, rate=20.0, connections=1, streams=3)
    assert (dict(result.statuses), dict(result.errors)) == ({200: 10}, {})


def test_answered_before_the_body_was_sent() -> None:
    with serving() as served:
        to = target(f"{served.url}/early", method="POST", body=b"x" * 500_000)
        result = play("", target=to, rate=20.0, connections=1, streams=2)
    assert result.statuses[413] + sum(result.errors.values()) == 10
    assert result.statuses[413] >= 1


def test_failures_have_their_names_and_lanes_are_replaced() -> None:
    with serving() as served:
        assert dict(play(served.url + "/busy").statuses) == {503: 50}
        assert dict(play(served.url + "/reset").errors) == {"stream reset: INTERNAL_ERROR": 50}
        silent = play(served.url + "/silent", rate=20.0, timeout=0.3, connections=1)
        assert (silent.answered, sum(silent.errors.values())) == (0, 10)
        assert silent.errors["timeout"] >= 5
        broken = play(served.url + "/break")
    assert broken.answered + sum(broken.errors.values()) == 50
    assert broken.answered >= 20
    assert sum(broken.errors.values()) >= 5


def test_requests_begun_before_goaway_are_answered() -> None:
    with serving() as served:
        result = play(served.url + "/goaway", connections=1, streams=4)
    refused = result.errors["GOAWAY"]  # those that it had not begun
    assert (result.answered, sum(result.errors.values())) == (50 - refused, refused)
    assert refused <= 3
    assert served.seen["sessions"] >= 2


def test_without_reuse_every_request_has_a_connection() -> None:
    with serving() as served:
        result = play(served.url + "/", rate=40.0, streams=1, reuse=False)
    assert result.answered == 20
    assert served.seen["sessions"] >= 20


def test_over_tls_by_alpn_and_from_two_processes(certificate: Path, tmp_path: Path) -> None:
    figures = tmp_path / "o.json"
    host = ["--header", "Host: exif.example.com", "--cacert", str(certificate), "--http2", "--streams", "4"]
    load = ["--rate", "80", "--duration", "1", "--connections", "2", "--processes", "2", "--json", str(figures)]
    with serving(certificate) as served:
        assert main([served.url, *host, *load, *OFF]) in {0, 3}
    found = json.loads(figures.read_text())
    assert (found["good"], found["errors"]) == (80, {})
    assert served.seen == {"sessions": 2, "streams": 80}


class Plain(BaseHTTPRequestHandler):
    def log_message(self, *_: Any) -> None:
        pass


class Server(ThreadingHTTPServer):
    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that leaves before its answer is the test's own."""


def test_a_server_of_http1_is_named_as_such(certificate: Path, capsys: pytest.CaptureFixture[str]) -> None:
    import ssl

    load = ["--rate", "10", "--duration", "0.2", "--connections", "1", "--http2", *OFF]
    for secure in (False, True):
        with Server(("127.0.0.1", 0), Plain) as server:
            if secure:
                context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
                context.load_cert_chain(certificate)
                context.set_alpn_protocols(["http/1.1"])
                server.socket = context.wrap_socket(server.socket, server_side=True)
            threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
            url = f"{'https' if secure else 'http'}://127.0.0.1:{server.server_address[1]}/"
            assert main([url, *load, "--insecure"]) == EXIT_UNREACHABLE
            server.shutdown()
        assert "does not speak HTTP/2" in capsys.readouterr().err


def test_more_streams_than_the_server_allows_are_named(capsys: pytest.CaptureFixture[str]) -> None:
    with serving(streams=3) as served:
        assert main([served.url, "--rate", "9", "--http2", "--streams", "5", *OFF]) == EXIT_UNREACHABLE
    assert "the server allows 3 streams a connection, and 5 are meant" in capsys.readouterr().err


@pytest.mark.parametrize(
    "arguments",
    [["--streams", "2"], ["--http2", "--streams", "0"], ["--http2", "--streams", "2", "--no-reuse"]],
)
def test_mistakes(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["http://127.0.0.1:1/", "--rate", "5", *arguments]) == EXIT_MISTAKE
    assert "--streams" in capsys.readouterr().err


def test_fields_of_one_connection_are_left_out() -> None:
    headers = {
        "Host": "exif.example.com",
        "Connection": "keep-alive",
        "X-A": "1",
        "Transfer-Encoding": "x",
        "TE": "gzip",
    }
    made = message(target("https://10.0.0.1/a?b=1", method="POST", headers=headers, body=b"xy"))
    assert made.headers[:4] == (
        (b":method", b"POST"),
        (b":scheme", b"https"),
        (b":authority", b"exif.example.com"),
        (b":path", b"/a?b=1"),
    )
    assert {name for name, _ in made.headers[4:]} == {b"user-agent", b"accept", b"x-a", b"content-length"}
    assert made.body == b"xy"


def test_a_cancelled_attempt_leaves_no_connection_open() -> None:
    """Of a server that accepts and says nothing; one that is left open keeps uvloop's loop from closing."""

    async def run() -> None:
        accepted, closed = asyncio.Event(), asyncio.Event()

        async def mute(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            accepted.set()
            with suppress(ConnectionError):
                await reader.read()
            closed.set()
            writer.close()

        async with await asyncio.start_server(mute, "127.0.0.1", 0) as server:
            port = server.sockets[0].getsockname()[1]
            attempt = asyncio.ensure_future(Connections(Mock(), target(f"http://127.0.0.1:{port}/"), 1).lane())
            await accepted.wait()
            attempt.cancel()
            await asyncio.wait([attempt])
            async with asyncio.timeout(25):
                await closed.wait()

    asyncio.run(run())


def test_the_same_fields_are_encoded_once_and_mean_the_same() -> None:
    """A decoder that follows reads each block, also after an entry was added or the table became smaller."""
    encoder, decoder = FieldEncoder(), Decoder()
    first = [(b":method", b"GET"), (b":path", b"/a"), (b"accept", b"*/*")]
    second = [(b":method", b"POST"), (b":path", b"/b"), (b"x-name", b"value")]
    for fields in (first, first, first, second, first, second, second, first):
        assert decoder.decode(encoder.encode(fields), raw=True) == fields
    assert encoder.encode(iter(first)) is encoder.encode(first)
    encoder.header_table_size = 64
    for fields in (first, first, second, first):
        assert decoder.decode(encoder.encode(fields), raw=True) == fields


def test_a_response_without_a_status_is_invalid() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            client, _ = listener.accept()
            with client:
                client.sendall(bytes.fromhex("000000040000000000"))  # settings
                received = b""
                while b"\x01\x05\x00\x00\x00\x01" not in received and (part := client.recv(4096)):
                    received += part
                client.sendall(bytes.fromhex("000005010500000001") + b"\x00\x01x\x01y")  # headers: x: y
                while client.recv(4096):
                    pass

        thread = threading.Thread(target=serve)
        thread.start()
        port = listener.getsockname()[1]
        result = play(f"http://127.0.0.1:{port}/", rate=1.0, duration=1.0, connections=1, streams=1)
        thread.join()
    assert (result.meant, result.answered, sum(result.errors.values())) == (1, 0, 1)
