"""The server under attack, and its answers to bytes that no client library would send."""

from __future__ import annotations

import re
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from tools.chaos.processes import below, grown, reset_peaks

REFUSED = {400, 405, 411, 413, 414, 417, 421, 431, 501, 505}


@dataclass(frozen=True)
class Victim:
    """The server under attack.

    Attributes:
        port: on 127.0.0.1.
        path: of a function that takes a POST, such as `/exif`.
        patience: seconds after which it should give a silent client up.
        pid: of the process that listens.
        timeout: seconds that a request may take in all.
    """

    port: int
    path: str
    patience: float
    pid: int
    timeout: float

    def connect(self, seconds: float = 15.0) -> socket.socket:
        """A connection whose reads time out."""
        return socket.create_connection(("127.0.0.1", self.port), timeout=seconds)

    def post(self, headers: str, body: bytes = b"") -> bytes:
        """A POST with these header lines, sent unchanged."""
        return f"POST {self.path} HTTP/1.1\r\nHost: x\r\n{headers}\r\n".encode("latin-1") + body

    def get(self, path: str | None = None) -> bytes:
        """A GET of its health."""
        return f"GET {path or self.path + '/healthz'} HTTP/1.1\r\nHost: x\r\n\r\n".encode("latin-1")

    def alive(self) -> None:
        """It answers another client in time."""
        with self.connect() as client:
            client.sendall(self.get())
            assert statuses(receive(client, 1)) == [200], "it no longer answers others"

    @contextmanager
    def within(self, mebibytes: float) -> Iterator[None]:
        """The body of the block raises the memory of its processes by at most this much, at any moment."""
        held = reset_peaks([self.pid, *below(self.pid)])
        yield
        assert grown(held) <= mebibytes, f"memory grew by {grown(held):.0f} MiB"


def receive(client: socket.socket, answers: int = 99, seconds: float = 8.0) -> bytes:
    """The bytes received: up to so many answers, or all until the connection ends or is silent."""
    data = bytearray()
    client.settimeout(seconds)
    found = 0
    try:
        while found < answers or not complete(data):
            chunk = client.recv(2**20)
            if not chunk:
                break
            # No status line is shorter: what was counted is not counted again.
            found += len(statuses(data[-12:] + chunk))
            data += chunk
    except (TimeoutError, ConnectionError):
        pass
    return bytes(data)


def statuses(data: bytes | bytearray) -> list[int]:
    """Status codes of the answers in a stream."""
    return [int(code) for code in re.findall(rb"HTTP/1\.[01] (\d{3}) ", data)]


def complete(data: bytes | bytearray) -> bool:
    """Whether the last answer is complete: its head and the announced bytes."""
    begin = data.rfind(b"HTTP/1.")
    end = data.find(b"\r\n\r\n", begin)
    length = re.search(rb"(?i)content-length: *(\d+)", data[begin:end])
    if begin < 0 or end < 0:
        return False
    return data.endswith(b"0\r\n\r\n") if length is None else len(data) - end - 4 >= int(length[1])


def closed(client: socket.socket, seconds: float) -> bool:
    """Whether the other side ends the connection within so many seconds."""
    client.settimeout(seconds)
    try:
        while client.recv(65536):
            pass
    except TimeoutError:
        return False
    except ConnectionError:
        return True
    return True


def exchange(victim: Victim, data: bytes, answers: int = 99, seconds: float = 3.0) -> list[int]:
    """Status codes of the answers to some bytes on a new connection."""
    with victim.connect() as client:
        try:
            client.sendall(data)
        except ConnectionError:
            pass  # refused before it was all said
        return statuses(receive(client, answers, seconds))


def refused(victim: Victim, data: bytes) -> None:
    """One refusal and no further answer: the following bytes must not be read as a request."""
    smuggled = data + victim.get("/smuggled")
    got = exchange(victim, smuggled)
    assert len(got) <= 1, f"a second request was read out of a broken one: {got}"
    assert not got or got[0] in REFUSED, f"answered {got}"
    victim.alive()
