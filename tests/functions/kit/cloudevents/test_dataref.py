"""What a dataref may reach, and how long and how much."""

from __future__ import annotations

import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from functions.kit.cloudevents import dataref
from functions.kit.cloudevents.dataref import Allowed
from functions.kit.http.problems import Problem
from functions.kit.http.settings import Settings, SettingsError, load

LISTED = Allowed.parse(["store.example"])


def fetch(url: str, allowed: Allowed, *, limit: int, **how: Any) -> bytes:
    return dataref.fetch(dataref.pin(url, allowed, **how), limit)


@contextmanager
def store(talk: Callable[[socket.socket], None], context: ssl.SSLContext | None = None) -> Iterator[int]:
    """A server on loopback that reads one request's head and then talks; yields its port."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            while True:
                try:
                    connection, _ = listener.accept()
                except OSError:
                    return
                with connection:
                    try:
                        if context:
                            connection = context.wrap_socket(connection, server_side=True)
                        seen.append(connection.recv(65536))
                        talk(connection)
                    except OSError:
                        pass
                    finally:
                        connection.close()

        thread = threading.Thread(target=serve)
        thread.start()
        seen.clear()
        try:
            yield listener.getsockname()[1]
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            thread.join()


seen: list[bytes] = []


def says(answer: bytes) -> Callable[[socket.socket], None]:
    return lambda connection: connection.sendall(answer)


def get(port: int, path: str = "/a", limit: int = 1000, seconds: float = 5.0) -> bytes:
    origin = f"http://127.0.0.1:{port}"
    return fetch(origin + path, Allowed.parse([origin]), limit=limit, seconds=seconds)


def refusal(url: str, allowed: Allowed, addresses: list[str] | None = None) -> Problem:
    with pytest.raises(Problem) as caught:
        fetch(url, allowed, limit=10, seconds=1, resolver=lambda host, port: addresses or [])
    return caught.value


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nimage",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nima\r\n2\r\nge\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n\r\nimage",
    ],
)
def test_bytes_arrive(answer):
    with store(says(answer)) as port:
        assert get(port, "/a%20b?sig=1") == b"image"
        assert seen[0].startswith(b"GET /a%20b?sig=1 HTTP/1.1\r\n")
        assert b"Accept-Encoding: identity" in seen[0]


@pytest.mark.parametrize(
    ("answer", "status"),
    [
        (b"HTTP/1.1 302 Found\r\nLocation: http://169.254.169.254/\r\nContent-Length: 0\r\n\r\n", 422),
        (b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n", 422),
        (b"HTTP/1.1 206 Partial\r\nContent-Length: 1\r\n\r\nx", 422),
        (b"HTTP/1.1 429 Slow\r\nContent-Length: 0\r\n\r\n", 503),
        (b"HTTP/1.1 500 Oops\r\nContent-Length: 0\r\n\r\n", 503),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 1001\r\n\r\n", 413),
        (b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * 1001, 413),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nshort", 503),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", 503),
        (b"nonsense\r\n\r\n", 503),
        (b"", 503),
    ],
)
def test_invalid_answers_are_refused(answer, status):
    with store(says(answer)) as port, pytest.raises(Problem) as caught:
        get(port)
    assert caught.value.status == status
    assert ("Retry-After" in caught.value.headers) == (status == 503)


@pytest.mark.parametrize("head", [b"HTTP/1.1 200 OK\r\nX: ", b"HTTP/1.1 200 OK\r\nContent-Length: 900\r\n\r\n"])
def test_a_trickle_ends_at_the_deadline(head):
    def trickle(connection: socket.socket) -> None:
        connection.sendall(head)
        for _ in range(200):
            connection.sendall(b"x")
            time.sleep(0.02)

    with store(trickle) as port, pytest.raises(Problem, match="TimeoutError") as caught:
        get(port, seconds=0.15)
    assert caught.value.status == 503


def test_a_closed_port_is_reported():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    with pytest.raises(Problem, match="ConnectionRefusedError"):
        get(port)


@pytest.mark.parametrize(
    "url",
    [
        "https://other.example/a",
        "https://store.example:8443/a",
        "http://store.example/a",
        "https://store.example.evil.example/a",
        "https://user@store.example/a",
        "https://store.example\\@evil.example/a",
        "ftp://store.example/a",
        "file:///etc/passwd",
        "//store.example/a",
        "/a",
        "",
        "https://[::1/a",
        "https://store.example:99999/a",
        "https://store.example/\r\nX: 1",
        "https://störe.example/a",
        "https://127.0.0.1/a",
        "https://2130706433/a",
        "https://017700000001/a",
        "https://0x7f.1/a",
        "https://[::ffff:7f00:1]/a",
        "https://store.example%00.evil.example/a",
        "https://store.example%2f@evil.example/a",
    ],
)
def test_urls_refused(url):
    assert refusal(url, LISTED, ["93.184.216.34"]).status == 422


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1",
        "10.1.2.3",
        "172.16.0.1",
        "192.168.1.1",
        "169.254.169.254",
        "100.64.0.1",
        "0.0.0.0",
        "224.0.1.1",
        "255.255.255.255",
        "::1",
        "::",
        "fe80::1",
        "fd00:ec2::254",
        "::ffff:127.0.0.1",
        "::ffff:169.254.169.254",
        "64:ff9b::a9fe:a9fe",
        "64:ff9b:1::7f00:1",
        "2002:7f00:1::",
        "ff0e::1",
    ],
)
def test_addresses_refused(address):
    problem = refusal("https://store.example/a", LISTED, [address])
    assert (problem.status, problem.slug) == (422, "dataref-refused")
    assert "public" in problem.detail


def test_nothing_is_allowed_by_default():
    assert refusal("https://store.example/a", Allowed()).slug == "dataref-refused"


def test_a_listed_range_is_reached():
    with store(says(b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx")) as port:
        origin = f"http://store.internal:{port}"
        assert refusal(f"{origin}/a", Allowed.parse([origin]), ["127.0.0.1"]).slug == "dataref-refused"
        allowed = Allowed.parse([origin, "127.0.0.0/8"])
        got = fetch(f"{origin}/a", allowed, limit=10, seconds=5, resolver=lambda host, port: ["127.0.0.1"])
        assert got == b"x"
        assert f"Host: store.internal:{port}".encode() in seen[0]


def test_the_name_is_looked_up_once():
    """A second look-up, which could lead elsewhere, does not take place."""
    answers = iter([["127.0.0.1"]])
    with store(says(b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx")) as port:
        allowed = Allowed.parse([f"http://rebound.example:{port}", "127.0.0.1"])
        url = f"http://rebound.example:{port}/"
        assert fetch(url, allowed, limit=10, seconds=5, resolver=lambda host, port: next(answers)) == b"x"


def test_a_name_without_addresses_is_to_be_retried():
    def nowhere(host: str, port: int) -> list[str]:
        raise OSError("no such name")

    with pytest.raises(Problem) as caught:
        fetch("https://store.example/", LISTED, limit=1, seconds=1, resolver=nowhere)
    assert caught.value.status == 503


@pytest.mark.parametrize("trusted", [True, False])
def test_tls_is_checked_against_the_name(trusted, tmp_path, program):
    import subprocess

    command = [
        program("openssl"),
        "req",
        "-x509",
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:prime256v1",
        "-nodes",
    ]
    name = "store.example" if trusted else "other.example"
    arguments = ["-subj", "/CN=x", "-addext", f"subjectAltName=DNS:{name}", "-days", "2"]
    files = ["-keyout", str(tmp_path / "key"), "-out", str(tmp_path / "cert")]
    subprocess.run([*command, *arguments, *files], check=True, capture_output=True)
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(tmp_path / "cert", tmp_path / "key")
    client = ssl.create_default_context(cafile=str(tmp_path / "cert"))
    with store(says(b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx"), server) as port:
        origin = f"https://store.example:{port}"
        allowed = Allowed.parse([origin, "127.0.0.1"])

        def load() -> bytes:
            resolver = lambda host, port: ["127.0.0.1"]  # noqa: E731
            return fetch(f"{origin}/", allowed, limit=9, seconds=5, resolver=resolver, context=client)

        if trusted:
            assert load() == b"x"
        else:
            with pytest.raises(Problem, match="not trusted") as caught:
                load()
            assert caught.value.status == 422


@pytest.mark.parametrize("entry", ["ftp://store", "https://", "10.0.0.0/33", "https://store/path"])
def test_an_invalid_list_is_refused(entry):
    with pytest.raises(ValueError):
        Allowed.parse([entry])


def test_a_wrong_list_stops_a_function_at_its_start():
    with pytest.raises(SettingsError, match=r"invalid EXIF_DATAREF_HOSTS value.*ftp://store"):
        load(Settings, "exif", {"EXIF_DATAREF_HOSTS": "store.example, ftp://store"})


@given(st.text(max_size=40))
def test_no_url_breaks_it(url):
    with pytest.raises(Problem):
        fetch(url, LISTED, limit=1, seconds=1, resolver=lambda host, port: [])
