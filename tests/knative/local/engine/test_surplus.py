"""Bytes that a pod sends beyond the end of a response never reach a client, whatever they look like."""

from __future__ import annotations

import base64
import http.client
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.engines import EngineProcess, service

RAW_POD = Path(__file__).with_name("raw_pod.py")
FORGED = b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nFORGED"
LOG = "sent bytes beyond the end of a response"


def response(body: bytes, status: bytes = b"200 OK") -> bytes:
    return b"HTTP/1.1 %s\r\nContent-Length: %d\r\n\r\n%s" % (status, len(body), body)


TWO = response(b"abc") + response(FORGED)
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n"
INTERIM = b"HTTP/1.1 100 Continue\r\n\r\n"
# Method, pieces as the pod writes them, and the status and body that the client is to see.
CASES = {
    "two responses in one read": ("GET", [TWO], 200, b"abc"),
    "the second response later": ("GET", [response(b"abc"), response(FORGED)], 200, b"abc"),
    "a body longer than announced": ("GET", [b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabcFORGED"], 200, b"abc"),
    "the rest of a body later": ("GET", [b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc", b"FORGED"], 200, b"abc"),
    "after the last chunk": ("GET", [CHUNKED + FORGED], 200, b"abc"),
    "after the last chunk, no HTTP": ("GET", [CHUNKED + b"FORGED"], 200, b"abc"),
    "after the last chunk, chunked": ("GET", [CHUNKED + CHUNKED.replace(b"abc", b"FOR")], 200, b"abc"),
    "after a 204": ("GET", [b"HTTP/1.1 204 No Content\r\n\r\n" + FORGED], 204, b""),
    "the body of a 204": ("GET", [b"HTTP/1.1 204 No Content\r\nContent-Length: 6\r\n\r\nFORGED"], 204, b""),
    "after a 304": ("GET", [b"HTTP/1.1 304 Not Modified\r\nContent-Length: 3\r\n\r\n" + FORGED], 304, b""),
    "the body of a response to HEAD": ("HEAD", [response(b"FORGED")], 200, b""),
    "after a response to HEAD": ("HEAD", [b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n" + FORGED], 200, b""),
    "an interim response": ("GET", [TWO + b"HTTP/1.1 103 Early Hints\r\nLink: </FORGED>\r\n\r\n"], 200, b"abc"),
    "after an interim response": ("GET", [INTERIM + TWO], 200, b"abc"),
    "a switch of protocols": (
        "GET",
        [response(b"abc") + b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\nFORGED"],
        200,
        b"abc",
    ),
    "an empty body": ("POST", [response(b"") + FORGED], 200, b""),
}


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EngineProcess]:
    one_pod = {"min-scale": "1", "max-scale": "1"}
    started = EngineProcess(
        tmp_path_factory.mktemp("surplus"),
        service("raw", command=["python", "-S", str(RAW_POD)], annotations=one_pod),
        service("victim", annotations=one_pod),
    )
    started.wait_pods(1, "raw")
    started.wait_pods(1, "victim")
    yield started
    assert started.stop() == 0


def path(*pieces: bytes) -> str:
    return "/raw/" + ",".join(base64.urlsafe_b64encode(piece).decode() for piece in pieces)


@pytest.fixture
def client(engine: EngineProcess) -> Iterator[http.client.HTTPConnection]:
    connection = http.client.HTTPConnection("127.0.0.1", engine.port, timeout=10)
    yield connection
    connection.close()


def ask(client: http.client.HTTPConnection, method: str, target: str, body: bytes = b"") -> tuple[int, bytes]:
    client.request(method, target, body)
    answer = client.getresponse()
    return answer.status, answer.read()


def logged(engine: EngineProcess) -> int:
    return sum(LOG in line for line in engine.lines)


@pytest.mark.parametrize("case", CASES)
def test_surplus_bytes_reach_no_client(engine: EngineProcess, client: http.client.HTTPConnection, case: str) -> None:
    method, pieces, status, body = CASES[case]
    before = logged(engine)
    assert ask(client, method, path(*pieces)) == (status, body)
    # On the same connection another Service answers, then the same one: neither answer is the forged one.
    assert ask(client, "GET", "/victim?brief=1&id=genuine")[1].endswith(b'"id": "genuine"}')
    engine.wait(lambda: logged(engine) > before, "a line in the log", 5)
    assert ask(client, "GET", path(response(b"fresh"))) == (200, b"fresh")


def test_surplus_after_an_early_response_reaches_no_client(
    engine: EngineProcess, client: http.client.HTTPConnection
) -> None:
    before = logged(engine)
    client.putrequest("POST", path(TWO) + "?early=1")
    client.putheader("Content-Length", "100")
    client.endheaders(b"x")
    answer = client.getresponse()
    assert (answer.status, answer.read()) == (200, b"abc")
    other = http.client.HTTPConnection("127.0.0.1", engine.port, timeout=10)
    assert ask(other, "GET", path(response(b"fresh"))) == (200, b"fresh")
    other.close()
    engine.wait(lambda: logged(engine) > before, "a line in the log", 5)


def test_a_well_behaved_pod_keeps_its_connection_and_logs_nothing(
    engine: EngineProcess, client: http.client.HTTPConnection
) -> None:
    before = logged(engine)
    for whole in (response(b"abc"), CHUNKED, INTERIM + response(b"abc")):
        assert ask(client, "GET", path(whole)) == (200, b"abc")
    assert logged(engine) == before


# What a pod writes, and the status and the text in the body that its client gets: as of Go's reverse proxy.
ODD = {
    "bare line feeds": (b"HTTP/1.1 200 OK\nContent-Length: 2\n\nok", 200, b"ok"),
    "chunks beside a length": (
        b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
        200,
        b"ok",
    ),
    "no reason": (b"HTTP/1.1 200\r\nContent-Length: 2\r\n\r\nok", 200, b"ok"),
    "a status beyond 599": (b"HTTP/1.1 999 Odd\r\nContent-Length: 2\r\n\r\nok", 999, b"ok"),
    "a status below 100": (b"HTTP/1.1 099 Odd\r\nContent-Length: 2\r\n\r\nok", 502, b"the status 99; the least is 100"),
    "another coding": (
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
        502,
        b"a transfer coding other than chunked",
    ),
    "two lengths": (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nok", 502, b"not HTTP: "),
    "another protocol": (b"SSH-2.0-OpenSSH_9.2\r\n", 502, b"not HTTP: "),
    "headers beyond the limit": (
        b"HTTP/1.1 200 OK\r\n" + b"X-A: %s\r\n" % (b"a" * 9000) * 100 + b"\r\n",
        502,
        b"more than 262,144 bytes of headers",
    ),
}


@pytest.mark.parametrize("case", ODD)
def test_odd_answers_are_read_as_go_reads_them_or_refused_with_the_reason(
    odd: tuple[EngineProcess, Path], case: str
) -> None:
    engine, file = odd
    written, status, text = ODD[case]
    file.write_bytes(written)
    answered, body = engine.get("/odd/file")
    assert answered == status
    assert text in body


@pytest.fixture(scope="module")
def odd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[EngineProcess, Path]]:
    """An engine whose pod answers with the bytes of a file, and the file."""
    folder = tmp_path_factory.mktemp("odd")
    command = ["python", "-S", str(RAW_POD)]
    started = EngineProcess(folder, service("odd", command=command, environment={"ANSWER": str(folder / "answer")}))
    yield started, folder / "answer"
    assert started.stop() == 0
