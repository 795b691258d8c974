"""The generator against servers that behave in known ways."""

from __future__ import annotations

import asyncio
import itertools
import json
import random
import socket
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from loadtest.generators.latency import Latencies, milliseconds
from loadtest.generators.open_loop import Generator
from loadtest.generators.plan import Plan
from loadtest.generators.result import Result
from loadtest.generators.wire import header, multipart, target
from loadtest.objectives import complete, parse, shortest
from loadtest.openloop import EXIT_FAILED, EXIT_MISTAKE, EXIT_UNREACHABLE, main, parser, plan_of, report
from tests.servers import ROOT, clean_environment

Handler = Callable[[bytes, asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def serving(handler: Handler) -> Any:
    """A server that hands each request's head and body to `handler`; its URL."""

    sessions: dict[asyncio.Task[None] | None, asyncio.StreamWriter] = {}

    async def session(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        sessions[asyncio.current_task()] = writer
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                length = header(b"\r\n" + head, b"content-length")
                body = await reader.readexactly(int(length)) if length else b""
                await handler(head + body, writer)
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            pass  # the client has gone, or the test has ended
        finally:
            writer.close()

    server = await asyncio.start_server(session, "127.0.0.1", 0)
    async with server:
        try:
            yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
        finally:
            # Here and not when the loop is closed, where what is still open would be complained of.
            server.close()
            await asyncio.sleep(0.05)  # what has been accepted comes to its session
            for writer in sessions.values():
                writer.transport.abort()
            left = [task for task in sessions if task is not None and not task.done()]
            for task in left:
                task.cancel()
            await asyncio.gather(*left)


def ok(body: bytes = b"ok") -> bytes:
    return b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)


async def play(handler: Handler, **options: Any) -> Result:
    async with serving(handler) as url:
        return await Generator(Plan(**{"target": target(url), "rate": 100.0, "duration": 0.3, **options})).run()


async def answer(request: bytes, writer: asyncio.StreamWriter) -> None:
    writer.write(ok())


def test_every_request_is_sent_once_and_answered() -> None:
    seen: list[bytes] = []

    async def handler(request: bytes, writer: asyncio.StreamWriter) -> None:
        seen.append(request)
        writer.write(ok())

    result = asyncio.run(play(handler, rate=200.0, duration=0.5, connections=5))
    assert (result.meant, result.answered, result.good, len(seen)) == (100, 100, 100, 100)
    assert result.seconds >= 0.49
    assert result.corrected.count == result.uncorrected.count == result.lag.count == 100
    assert not result.errors


def test_waiting_for_a_connection_counts_as_latency() -> None:
    """One connection, 100 ms a request, 20 requests/s: request k waits k times 50 ms."""

    async def slow(request: bytes, writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(0.1)
        writer.write(ok())

    result = asyncio.run(play(slow, rate=20.0, duration=0.5, connections=1))
    assert result.answered == 10
    assert (result.corrected.quantile(1.0) or 0) >= 0.5
    assert (result.uncorrected.quantile(0.5) or 1) < (result.corrected.quantile(0.5) or 0)
    # That wait is the server's, not the generator's.
    assert (result.lag.quantile(0.5) or 1) < (result.corrected.quantile(0.5) or 0) / 2


@pytest.mark.parametrize(
    ("response", "status"),
    [
        (b"HTTP/1.1 204 No Content\r\n\r\n", 204),
        (b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", 200),
        (b"HTTP/1.1 503 Busy\r\ncontent-length:4\r\n\r\nfull", 503),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n", 200),
        (b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok", 200),
        (b"HTTP/1.1 200 OK\r\nConnection:close\r\nContent-Length:2\r\n\r\nok", 200),
        (b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok", 200),
        (b"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 2\r\n\r\nok", 200),
        # What looks like the last chunk inside of one; extensions; trailers; a length that does not count.
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n9\r\nx\r\n0\r\n\r\ny\r\n1\r\nz\r\n0\r\n\r\n", 200),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: Chunked\r\n\r\nA;n=1\r\n0123456789\r\n00\r\nX-Sum: 7\r\n\r\n", 200),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n0\r\n\r\n", 200),
        (b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 404 No\r\nContent-Length: 0\r\n\r\n", 404),
    ],
)
def test_answers_are_framed_however_they_arrive(response: bytes, status: int) -> None:
    cuts = random.Random(5)

    async def handler(request: bytes, writer: asyncio.StreamWriter) -> None:
        rest = response
        while rest:
            size = cuts.randint(1, len(rest))
            writer.write(rest[:size])
            await writer.drain()
            await asyncio.sleep(0.0005)
            rest = rest[size:]
        if b"close" in response or (b"HTTP/1.0" in response and b"keep-alive" not in response):
            writer.close()

    result = asyncio.run(play(handler, connections=3))
    assert dict(result.statuses) == {status: 30}


def test_an_answer_without_a_length_ends_with_the_connection() -> None:
    async def handler(request: bytes, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\n\r\nuntil the end")
        writer.close()

    result = asyncio.run(play(handler, rate=20.0, connections=3))
    assert dict(result.statuses) == {200: 6}


def test_connections_that_break_are_errors_and_are_replaced() -> None:
    count = 0

    async def handler(request: bytes, writer: asyncio.StreamWriter) -> None:
        nonlocal count
        count += 1
        if count % 5 == 0:
            writer.close()
            raise ConnectionResetError
        writer.write(ok())

    result = asyncio.run(play(handler, rate=100.0, duration=0.5, connections=2))
    assert result.answered + sum(result.errors.values()) == result.meant == 50
    assert sum(result.errors.values()) == count // 5


def test_a_slow_response_is_a_timeout() -> None:
    async def never(request: bytes, writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(30)

    result = asyncio.run(play(never, rate=20.0, duration=0.2, connections=2, timeout=0.3))
    assert result.answered == 0
    assert sum(result.errors.values()) == 4
    assert set(result.errors) <= {"timeout", "timeout before sending"}
    assert result.errors["timeout"] >= 2


@pytest.mark.parametrize(
    "garbage",
    [
        b"hello there, general\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: many\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nsome\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + b"1" * 70_000,
        b"X" * 70_000,
    ],
)
def test_garbage_is_not_an_answer(garbage: bytes) -> None:
    async def handler(request: bytes, writer: asyncio.StreamWriter) -> None:
        writer.write(garbage)

    result = asyncio.run(play(handler, rate=20.0, duration=0.2, connections=2))
    assert (result.answered, sum(result.errors.values())) == (0, 4)


def test_connections_are_kept() -> None:
    peers: set[object] = set()

    async def handler(request: bytes, writer: asyncio.StreamWriter) -> None:
        peers.add(writer.get_extra_info("peername"))
        writer.write(ok())

    result = asyncio.run(play(handler, rate=200.0, duration=0.5, connections=3))
    assert result.answered == 100
    assert len(peers) <= 3


def test_huge_bodies_arrive_whole() -> None:
    body = random.Random(3).randbytes(6_000_000)

    async def handler(request: bytes, writer: asyncio.StreamWriter) -> None:
        good = request.partition(b"\r\n\r\n")[2] == body
        writer.write(ok() if good else b"HTTP/1.1 400 No\r\nContent-Length: 0\r\n\r\n")

    async def run() -> Result:
        async with serving(handler) as url:
            to = target(url, method="POST", body=body)
            return await Generator(Plan(target=to, rate=20.0, duration=0.4, connections=4)).run()

    result = asyncio.run(run())
    assert dict(result.statuses) == {200: 8}
    assert not result.errors


def test_a_response_to_head_has_no_body_whatever_its_length() -> None:
    async def handler(request: bytes, writer: asyncio.StreamWriter) -> None:
        assert request.startswith(b"HEAD ")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 5000\r\n\r\n")

    async def run() -> Result:
        async with serving(handler) as url:
            to = target(url, method="HEAD")
            return await Generator(Plan(target=to, rate=20.0, duration=0.3, connections=2, timeout=2.0)).run()

    assert dict(asyncio.run(run()).statuses) == {200: 6}


def test_a_stopped_server_refuses_and_a_restarted_one_answers() -> None:
    """While no server listens, those who are due then are refused at once, the others are served."""

    async def run() -> tuple[Result, int]:
        async def session(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writers.append(writer)
            try:
                while await reader.readuntil(b"\r\n\r\n"):
                    writer.write(ok())
            except (asyncio.IncompleteReadError, ConnectionError):
                pass
            finally:
                writer.close()

        writers: list[asyncio.StreamWriter] = []
        server = await asyncio.start_server(session, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        plan = Plan(target=target(f"http://127.0.0.1:{port}/"), rate=50.0, duration=1.5, connections=3)
        generator = Generator(plan)
        running = asyncio.create_task(generator.run())
        while generator.result.answered < 10:
            await asyncio.sleep(0.01)
        server.close()
        for writer in writers:
            writer.transport.abort()
        while generator.result.errors["ConnectionRefusedError"] < 10:
            await asyncio.sleep(0.01)
        again = await asyncio.start_server(session, "127.0.0.1", port)
        async with again:
            return await running, port

    result, _ = asyncio.run(run())
    assert result.answered + sum(result.errors.values()) == result.meant == 75
    assert result.errors["ConnectionRefusedError"] >= 10
    assert result.statuses[200] >= 20
    assert not {"timeout", "timeout before sending"} & set(result.errors)


def test_a_server_that_stalls_shows_in_the_one_spectrum_and_not_in_the_other() -> None:
    """200 ms without an answer in every second, four connections: who was due meanwhile waited on average 100 ms."""

    async def run() -> Result:
        began = asyncio.get_running_loop().time()

        async def handler(request: bytes, writer: asyncio.StreamWriter) -> None:
            inside = (asyncio.get_running_loop().time() - began) % 1.0
            if inside < 0.2:
                await asyncio.sleep(0.2 - inside)
            writer.write(ok())

        return await play(handler, rate=100.0, duration=3.0, connections=4)

    result = asyncio.run(run())
    assert result.answered == 300
    # A fifth of the requests waits 100 ms on average, and one in ten longer; only four of each stall were sent before.
    assert (result.corrected.quantile(0.92) or 0.0) >= 0.1
    assert (result.corrected.mean or 0.0) - (result.uncorrected.mean or 0.0) > 0.01


def test_constant_times_are_even_and_poisson_times_are_exponential() -> None:
    to = target("http://127.0.0.1:1/")
    even = Plan(target=to, rate=4.0, duration=1.0).intended()
    assert even == [0.0, 0.25, 0.5, 0.75]
    poisson = Plan(target=to, rate=1000.0, duration=20.0, poisson=True, seed=7)
    times = poisson.intended()
    assert times == poisson.intended()
    assert len(times) == pytest.approx(20_000, rel=0.03)
    gaps = [later - earlier for earlier, later in itertools.pairwise(times)]
    mean = sum(gaps) / len(gaps)
    variance = sum((gap - mean) ** 2 for gap in gaps) / len(gaps)
    assert variance**0.5 == pytest.approx(mean, rel=0.05)


def test_a_late_generator_is_invalid() -> None:
    result = Result(seconds=10.0, cpu_seconds=1.0, sending_share=0.1)
    result.lag.extend([0.001] * 98 + [0.2] * 2)
    reasons = result.invalid(objective=1.0)
    assert len(reasons) == 1
    assert reasons[0].startswith("send lag p99 200 ms exceeds a tenth of the objective of 1000 ms: ")
    assert result.invalid(objective=10.0) == []
    result.sending_share = 0.98
    (reason,) = result.invalid(objective=10.0)
    assert reason.endswith("it used 98% of a core and waited for one 0% of the time; lower the rate")
    result.sending_share, result.waiting_share = 0.4, 0.57
    (reason,) = result.invalid(objective=10.0)
    assert reason.endswith("it used 40% of a core and waited for one 57% of the time; end what else runs here")
    printed = report(Plan(target=target("http://h/"), rate=1.0, duration=1.0), result)
    assert "INVALID: the generator had no CPU left" in printed
    lateness = next(line for line in printed.splitlines() if line.startswith("p99 "))
    assert lateness.endswith("200 ms"), "each report has the p99 of the lateness"
    assert result.as_dict(1.0)["send_lag"]["p99"] == pytest.approx(0.2, rel=0.002)


def test_a_generator_without_cpu_is_distinguished_from_a_slow_server() -> None:
    """A process that never rests: the run says so, though every answer came."""

    async def run(cpu: Callable[[], float]) -> Result:
        async with serving(answer) as url:
            plan = Plan(target=target(url), rate=50.0, duration=0.5, connections=20, timeout=60.0)
            return await Generator(plan, cpu=cpu).run()

    working = asyncio.run(run(time.monotonic))
    assert working.answered == working.meant == 25
    assert any("had no CPU left" in reason for reason in working.invalid(60.0))
    assert working.cpu_seconds >= 0.48
    resting = asyncio.run(run(lambda: 7.0))
    assert (resting.sending_share, resting.cpu_seconds) == (0.0, 0.0)


def test_requests_are_encoded_once_with_host_and_length() -> None:
    body, content_type = multipart(b"\x89PNG", "a photo.png", "image")
    to = target("http://10.0.0.1/exif?x=1", method="POST", headers={"Host": "exif.example.com"}, body=body)
    assert (to.host, to.port, to.tls) == ("10.0.0.1", 80, False)
    assert to.request.startswith(b"POST /exif?x=1 HTTP/1.1\r\n")
    assert to.request.count(b"Host:") == 1
    assert b"Host: exif.example.com\r\n" in to.request
    assert b"Content-Length: %d\r\n" % len(body) in to.request
    assert to.with_id("7-1").split(b"\r\n\r\n", 1)[0].endswith(b"X-Request-ID: 7-1")
    assert content_type.partition("boundary=")[2].encode() in body
    assert target("https://h/").port == 443


@pytest.mark.parametrize("url", ["ftp://h/", "h:80", "", "http://"])
def test_an_invalid_url_is_refused(url: str) -> None:
    with pytest.raises(ValueError):
        target(url)


def test_a_header_cannot_smuggle_another() -> None:
    with pytest.raises(ValueError):
        target("http://h/", headers={"X": "a\r\nY: b"})


def test_latencies_keep_three_digits_and_survive_encoding() -> None:
    latencies = Latencies()
    latencies.extend(number / 1000 for number in range(1, 1001))
    assert latencies.quantile(0.5) == pytest.approx(0.5, rel=0.002)
    assert latencies.quantile(0.99) == pytest.approx(0.99, rel=0.002)
    again = Latencies.decoded(latencies.encoded())
    again.merge(latencies)
    assert again.count == 2000
    assert again.quantile(0.95) == latencies.quantile(0.95)
    assert Latencies().quantile(0.5) is None
    assert Latencies().mean is None


def test_command_prints_both_spectra_and_json(tmp_path: Path) -> None:
    async def run() -> tuple[int, bytes]:
        async with serving(answer) as url:
            picture = tmp_path / "img.png"
            picture.write_bytes(b"\x89PNG" * 1000)
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "loadtest.openloop", url, "--rate", "100", "--duration", "0.5"),
                *(
                    "--connections",
                    "4",
                    "--file",
                    str(picture),
                    "--json",
                    str(tmp_path / "out.json"),
                    "--objective",
                    "9",
                ),
                cwd=ROOT,
                env=clean_environment(),
                stdout=subprocess.PIPE,
            )
            out, _ = await process.communicate()
            return process.returncode or 0, out

    status, out = asyncio.run(run())
    assert status == 0
    assert b"from the intended time" in out
    assert b"from the sending" in out
    figures = json.loads((tmp_path / "out.json").read_text())
    assert (figures["good"], figures["invalid"]) == (50, [])
    assert Latencies.decoded(figures["histogram"]).count == 50


@pytest.mark.parametrize(
    "arguments",
    [
        ["--rate", "0"],
        ["--rate", "inf"],
        ["--rate", "nan"],
        ["--rate", "1e300"],
        ["--rate", "5", "--duration", "inf"],
        ["--rate", "5", "--timeout", "nan"],
        ["--rate", "5", "--objective", "0"],
        ["--rate", "5", "--json", "/nowhere/out.json"],
        ["--rate", "5", "--json", "/"],
        ["--rate", "5", "--file", "/nowhere.png"],
        ["ftp://x", "--rate", "5"],
        ["--rate", "5", "--header", "broken"],
        ["--rate", "5", "--objective", "p95<fast"],
        ["--rate", "5", "--objective", "p95<-1ms"],
        ["--rate", "5", "--objective", "p101<1s"],
        ["--rate", "5", "--objective", "latency<1s"],
        ["--rate", "5", "--objective", "errors<1s"],
        ["--rate", "5", "--objective", "nan"],
    ],
)
def test_the_command_names_mistakes(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(arguments) == EXIT_MISTAKE
    assert capsys.readouterr().err.startswith("openloop: ")


def test_a_refused_connection_has_its_own_exit_code(capsys: pytest.CaptureFixture[str]) -> None:
    with socket.socket() as probe:  # bound and not listening: a connection is refused
        probe.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{probe.getsockname()[1]}/"
        assert main([url, "--rate", "5", "--duration", "0.1"]) == EXIT_UNREACHABLE
    assert f"openloop: no connection to {url[7:-1]}: " in capsys.readouterr().err


@pytest.mark.parametrize(
    ("text", "value", "met"),
    [
        ("1", 0.9, True),
        ("1", 1.1, False),
        ("p95<200ms", 0.19, True),
        ("p95<200ms", 0.21, False),
        ("p50>1ms", 0.002, True),
        ("p99.9<=1.5s", 1.6, False),
        ("max<1m", 59.0, True),
        ("mean<300us", 0.0004, False),
    ],
)
def test_objectives_of_latency(text: str, value: float, met: bool) -> None:
    result = Result(meant=100, seconds=10.0)
    result.corrected.extend([value] * 100)
    failure = parse(text).failure(result)
    assert (not failure) is met
    if not met:
        assert milliseconds(result.corrected.quantile(0.5)) in failure


def test_objectives_of_errors_and_rate() -> None:
    result = Result(meant=1000, seconds=10.0)
    result.statuses.update({200: 998, 503: 1})
    result.errors["timeout"] = 1
    assert parse("errors<=2").failure(result) == ""
    assert parse("errors<0.3%").failure(result) == ""
    assert parse("errors<0.2%").failure(result) == "objective errors<0.2% was missed: errors is 0.200%"
    assert parse("rate>=99").failure(result) == ""
    assert "rate is 99.9/s" in parse("rate>100").failure(result)
    assert "no request was answered" in parse("p99<1s").failure(Result(meant=5))
    assert [one.text for one in complete([])] == ["p99<=1s", "errors<=0"]
    assert [one.text for one in complete([parse("errors<1%")])] == ["errors<1%"]
    assert shortest([parse("p95<200ms"), parse("p99<1s"), parse("rate>5")]) == 0.2


def test_the_command_that_replaces_wrk2_runs_as_documented(tmp_path: Path) -> None:
    (tmp_path / "img.png").write_bytes(b"\x89PNG")
    words = f"--rate 1000 --connections 100 --duration 60 --file {tmp_path}/img.png"
    plan = plan_of(parser().parse_args(words.split()))
    assert (plan.rate, plan.connections, plan.duration, plan.poisson) == (1000.0, 100, 60.0, False)
    assert (plan.target.host, plan.target.port) == ("127.0.0.1", 8080)
    assert plan.target.head.startswith(b"POST /histogram HTTP/1.1\r\n")
    assert b'name="file"; filename="img.png"' in plan.target.body


def test_raw_bodies_and_methods() -> None:
    plan = plan_of(parser().parse_args(["--rate", "1", "--file", str(ROOT / "LICENSE"), "--raw"]))
    assert plan.target.body == (ROOT / "LICENSE").read_bytes()
    assert plan.target.head.startswith(b"POST ")
    assert plan_of(parser().parse_args(["--rate", "1"])).target.head.startswith(b"GET ")


def test_failed_requests_fail_the_command(capsys: pytest.CaptureFixture[str]) -> None:
    import socketserver
    import threading

    class Refuses(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            while self.rfile.readline().strip():
                pass
            self.wfile.write(b"HTTP/1.1 503 Full\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")

    class Server(socketserver.ThreadingTCPServer):
        daemon_threads = True

    with Server(("127.0.0.1", 0), Refuses) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        url = f"http://127.0.0.1:{server.server_address[1]}/"
        status = main([url, "--rate", "20", "--duration", "0.2", "--connections", "1", "--objective", "30"])
        server.shutdown()
    assert status == EXIT_FAILED
    assert "FAILED: objective errors<=0 was missed: errors is 4 (4 × status 503)" in capsys.readouterr().out
