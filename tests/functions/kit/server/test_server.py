"""Our server as a process: settings, signals, keep-alive, slow clients, large headers."""

from __future__ import annotations

import http.client
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import requests

from tests.images import encoded, gradient, noise
from tests.servers import ROOT, FunctionServer, clean_environment


def serve(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "functions.kit.server", *arguments],
        cwd=ROOT, env=clean_environment(**environment), capture_output=True, text=True, timeout=30,
    )  # fmt: skip


def test_all_wrong_settings_are_reported_at_once_and_the_exit_code_is_2():
    ended = serve("stress", STRESS_MAX_BYTES="lots", STRESS_CONCURRENCY="0")
    assert ended.returncode == 2
    assert "invalid STRESS_MAX_BYTES value ('lots')" in ended.stderr
    assert "invalid STRESS_CONCURRENCY value ('0')" in ended.stderr
    assert "Traceback" not in ended.stderr


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("no-such-function",), "no function"),
        (("../exif",), "no function"),
        (("stress", "--port", "99999"), "invalid port"),
    ],
)
def test_wrong_arguments_are_one_line_and_2(arguments: tuple[str, ...], said: str):
    ended = serve(*arguments)
    assert ended.returncode == 2
    assert said in ended.stderr
    assert "Traceback" not in ended.stderr


def test_sigterm_lets_requests_in_flight_finish_and_exits_0():
    server = FunctionServer("exif")
    image = encoded(gradient(), "JPEG")
    with socket.create_connection(("127.0.0.1", server.port), timeout=15) as connection:
        connection.sendall(f"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: {len(image)}\r\n\r\n".encode() + image[:99])
        in_flight = 'pixelamp_requests_in_flight{function="exif"} 1.0'
        deadline = time.monotonic() + 10
        while in_flight not in server.get("/metrics").text:
            assert time.monotonic() < deadline
        server.process.terminate()
        time.sleep(0.5)
        connection.sendall(image[99:])
        assert read_answer(connection).startswith(b"HTTP/1.1 200")
    assert server.stop() == 0


@pytest.mark.slow
def test_a_connection_that_never_asks_does_not_hold_up_the_drain():
    server = FunctionServer("stress")
    with socket.create_connection(("127.0.0.1", server.port)):
        time.sleep(6)  # after five seconds gunicorn takes it from its thread and waits for it elsewhere
        assert server.stop() == 0


def test_no_process_is_left_when_the_server_is_killed_outright():
    server = FunctionServer("stress")
    group = os.getpgid(server.process.pid)
    server.process.kill()
    server.process.wait()
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        try:
            os.killpg(group, 0)
        except ProcessLookupError:
            break
        time.sleep(0.05)
    else:
        os.killpg(group, signal.SIGKILL)
        pytest.fail("the worker outlived its master")
    server.stop()


def test_the_log_is_one_json_line_a_request_without_the_image():
    server = FunctionServer("stress")
    trace = "4bf92f3577b34da6a3ce929d0e0e4736"
    headers = {"traceparent": f"00-{trace}-00f067aa0ba902b7-01", "X-Request-ID": "r-1"}
    server.post("/?seconds=0", headers=headers)
    server.stop()
    lines = [json.loads(line) for line in server.log().splitlines() if '"operation"' in line]
    assert [(line["request_id"], line["trace_id"], line["status"]) for line in lines] == [("r-1", trace, 200)]
    assert {"time", "level", "message", "function", "pod", "milliseconds", "bytes_in", "outcome"} <= set(lines[0])


@pytest.fixture(scope="module")
def server():
    server = FunctionServer("stress", {"STRESS_BODY_SECONDS": "1"})
    yield server
    server.stop()


def test_a_connection_is_kept_between_requests(server: FunctionServer):
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=10)
    ports = set()
    for _ in range(3):
        connection.request("GET", "/healthz")
        answer = connection.getresponse()
        answer.read()
        assert answer.getheader("Connection") == "keep-alive"
        ports.add(connection.sock.getsockname())
    connection.close()
    assert len(ports) == 1


ASK = b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"


def test_more_busy_connections_than_threads_all_get_their_answers():
    """Each asks anew as soon as it has its answer, so that its thread always has more to do."""
    server = FunctionServer("stress", {"STRESS_CONCURRENCY": "1"})  # and two threads more

    def busy(_: int) -> int:
        with socket.create_connection(("127.0.0.1", server.port), timeout=15) as connection:
            for _ in range(200):
                connection.sendall(ASK)
                assert read_answer(connection).startswith(b"HTTP/1.1 200")
        return 200

    try:
        with ThreadPoolExecutor(8) as pool:
            assert sum(pool.map(busy, range(8))) == 1600
    finally:
        server.stop()


def test_a_busy_connection_is_answered_to_the_end_and_does_not_hold_up_the_drain():
    server = FunctionServer("stress")
    answered = 0
    with socket.create_connection(("127.0.0.1", server.port), timeout=15) as connection:
        while True:
            if answered == 50:
                server.process.terminate()
            connection.sendall(ASK)
            answer = read_answer(connection)
            assert answer.startswith(b"HTTP/1.1 200")
            answered += 1
            if b"\r\nConnection: close\r\n" in answer:
                break
    assert answered > 50
    assert server.stop() == 0


def read_answer(connection: socket.socket) -> bytes:
    """One final answer of a connection, its body by Content-Length, informational ones before it."""
    answer = b""
    while chunk := connection.recv(65536):
        answer += chunk
        head, _, body = answer[answer.rfind(b"HTTP/1.1 ") :].partition(b"\r\n\r\n")
        length = re.search(rb"Content-Length: (\d+)", head)
        if length and len(body) >= int(length[1]):
            break
    return answer


def raw(server: FunctionServer, *pieces: bytes, pause: float = 0.0) -> bytes:
    """What the server answers to bytes sent piece by piece."""
    with socket.create_connection(("127.0.0.1", server.port), timeout=15) as connection:
        for piece in pieces:
            connection.sendall(piece)
            time.sleep(pause)
        return read_answer(connection)


def test_a_body_over_the_limit_is_answered_before_any_of_it_is_sent():
    """The refused body is sent after the answer, and the connection serves the next request."""
    server = FunctionServer("stress", {"STRESS_MAX_BYTES": "1000"})
    with socket.create_connection(("127.0.0.1", server.port), timeout=60) as connection:
        connection.sendall(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 3000\r\n\r\n")
        answer = read_answer(connection)
        assert answer.startswith(b"HTTP/1.1 413")
        assert b"1,000 bytes" in answer
        connection.sendall(b"x" * 3000 + b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
        assert read_answer(connection).startswith(b"HTTP/1.1 200")
    server.stop()


@pytest.mark.parametrize("length", [10**12, 10**23])
def test_a_length_that_no_buffer_can_have_is_413(length: int):
    server = FunctionServer("exif")
    answer = raw(server, b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\nabc" % length)
    assert answer.startswith(b"HTTP/1.1 413"), answer
    server.stop()


def test_a_body_that_stalls_is_answered_408_and_holds_no_thread(server: FunctionServer):
    answer = raw(server, b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n", b"{")
    assert answer.startswith(b"HTTP/1.1 408")
    assert b"STRESS_BODY_SECONDS" in answer


@pytest.mark.parametrize("framing", ["Content-Length: 100000", "Transfer-Encoding: chunked"])
def test_a_body_that_drips_is_answered_408_as_one_that_stalls(server: FunctionServer, framing: str):
    drop = b"1\r\nx\r\n" if framing.endswith("chunked") else b"x"
    with socket.create_connection(("127.0.0.1", server.port), timeout=15) as connection:
        connection.sendall(f"POST / HTTP/1.1\r\nHost: x\r\n{framing}\r\n\r\n".encode())
        connection.settimeout(0.1)
        deadline = time.monotonic() + 15
        answer = b""
        while not answer and time.monotonic() < deadline:
            connection.sendall(drop)
            try:
                answer = connection.recv(65536)
            except TimeoutError:
                continue
        assert answer.startswith(b"HTTP/1.1 408"), "the body may drip for ever"
        connection.settimeout(15)
        try:
            while connection.recv(65536):
                pass
        except ConnectionResetError:
            pass  # closed with our last drops unread


def test_clients_that_do_not_close_ended_connections_delay_no_other(server: FunctionServer):
    asked = [socket.create_connection(("127.0.0.1", server.port), timeout=15) for _ in range(20)]
    try:
        for connection in asked:
            connection.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        # Waited for one after the other, in the loop that all share, these would take two seconds each.
        with socket.create_connection(("127.0.0.1", server.port), timeout=8) as other:
            other.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
            assert read_answer(other).startswith(b"HTTP/1.1 200")
        for connection in asked:
            assert read_answer(connection).startswith(b"HTTP/1.1 200")
            assert connection.recv(1) == b"", "the server's half is not closed"
    finally:
        for connection in asked:
            connection.close()


def test_those_who_do_not_read_their_answers_hold_no_thread_for_longer_than_a_request():
    picture = encoded(noise((1500, 1500)), "PNG", compress_level=0)
    head = f"POST /strip HTTP/1.1\r\nHost: x\r\nContent-Length: {len(picture)}\r\n\r\n".encode()
    silent = []
    with FunctionServer("exif", {"EXIF_CONCURRENCY": "1", "EXIF_TIMEOUT_SECONDS": "2"}) as server:
        for _ in range(3):  # as many as it has threads
            client = socket.socket()
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
            client.connect(("127.0.0.1", server.port))
            client.sendall(head + picture)
            silent.append(client)
        assert server.get("/healthz").status_code == 200
        log = server.log()
        for client in silent:
            client.close()
    assert "Traceback" not in log


def test_threads_share_one_arena_of_memory():
    """A thread's own arena is a reservation of 64 MiB, of which the kernel tells what is not used yet."""
    picture = encoded(noise((400, 400)), "PNG")
    with FunctionServer("histogram") as server:
        with ThreadPoolExecutor(10) as clients:
            answers = clients.map(lambda _: requests.post(server.url, data=picture, timeout=60).status_code, range(60))
            assert set(answers) == {200}
        worker = Path(f"/proc/{server.process.pid}/task/{server.process.pid}/children").read_text().split()[0]
        assert len(list(Path(f"/proc/{worker}/task").iterdir())) > 4, "several threads answered"
        reserved = re.findall(r"^(\w+)-(\w+) ---p .* 0 *$", Path(f"/proc/{worker}/maps").read_text(), re.MULTILINE)
    large = [start for start, end in reserved if int(end, 16) - int(start, 16) > 2**24]
    assert large == [], "arenas beside the first, which grows with the heap"


@pytest.mark.parametrize(
    ("head", "status"),
    [
        (b"GET / HTTP/1.1\r\n\r\n", 400),
        (b"GET / HTTP/1.0\r\n\r\n", 200),
        (b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", 501),
    ],
)
def test_requests_that_http_forbids_are_refused(server: FunctionServer, head: bytes, status: int):
    assert raw(server, head, b"").split(b" ")[1] == b"%d" % status


def test_expect_100_continue_is_answered(server: FunctionServer):
    head = b"POST /?seconds=0 HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n"
    answer = raw(server, head, b"{}", pause=0.2)
    assert answer.startswith(b"HTTP/1.1 100")
    assert b"HTTP/1.1 200" in answer


def test_a_long_header_passes_and_an_endless_one_is_431(server: FunctionServer):
    assert server.get("/healthz", headers={"tracestate": "x" * 12_000}).status_code == 200
    assert server.get("/healthz", headers={"tracestate": "x" * 20_000}).status_code == 431


def test_the_frameworks_own_cli_serves_the_same_function():
    # The port comes from $PORT, which the CLI reads as our server does.
    source = str(ROOT / "functions/stress/main.py")
    framework = str(Path(sys.executable).parent / "functions-framework")
    server = FunctionServer("stress", command=[framework, "--source", source, "--target", "stress"])
    assert server.post("/stress?seconds=0").status_code == 200
    assert server.get("/").json()["function"] == "stress"
    server.stop()
