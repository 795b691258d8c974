"""HTTP as an attacker speaks it. Each attack says what a right answer is, and raises AssertionError for any other.

They run against a function's own server and against the local route alike: neither stands in front of the other.
"""

from __future__ import annotations

import re
import resource
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass

REFUSED = {400, 405, 411, 413, 414, 417, 421, 431, 501, 505}


@dataclass(frozen=True)
class Victim:
    """Who is attacked.

    Attributes:
        port: on 127.0.0.1.
        path: of a function that takes a POST, such as `/exif`.
        patience: seconds after which it should give a silent client up.
    """

    port: int
    path: str
    patience: float

    def connect(self, seconds: float = 15.0) -> socket.socket:
        """A connection whose reads give up."""
        return socket.create_connection(("127.0.0.1", self.port), timeout=seconds)

    def post(self, headers: str, body: bytes = b"") -> bytes:
        """A POST with these header lines, written as they are."""
        return f"POST {self.path} HTTP/1.1\r\nHost: x\r\n{headers}\r\n".encode("latin-1") + body

    def get(self, path: str | None = None) -> bytes:
        """A GET of its health."""
        return f"GET {path or self.path + '/healthz'} HTTP/1.1\r\nHost: x\r\n\r\n".encode("latin-1")

    def alive(self) -> None:
        """It answers somebody else, soon."""
        with self.connect() as client:
            client.sendall(self.get())
            assert statuses(receive(client, 1)) == [200], "it no longer answers others"


def receive(client: socket.socket, answers: int = 99, seconds: float = 8.0) -> bytes:
    """What comes back: so many answers, or all until the connection ends or falls silent."""
    data = b""
    client.settimeout(seconds)
    try:
        while len(statuses(data)) < answers or not complete(data):
            chunk = client.recv(65536)
            if not chunk:
                break
            data += chunk
    except (TimeoutError, ConnectionError):
        pass
    return data


def statuses(data: bytes) -> list[int]:
    """Status codes of the answers in a stream."""
    return [int(code) for code in re.findall(rb"HTTP/1\.[01] (\d{3}) ", data)]


def complete(data: bytes) -> bool:
    """Whether the last answer has its head and as many bytes as it said."""
    head, mark, body = data[data.rfind(b"HTTP/1.") :].partition(b"\r\n\r\n")
    length = re.search(rb"(?i)content-length: *(\d+)", head)
    return bool(mark) and (body.endswith(b"0\r\n\r\n") if length is None else len(body) >= int(length[1]))


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
    """Statuses of the answers to some bytes on a new connection."""
    with victim.connect() as client:
        try:
            client.sendall(data)
        except ConnectionError:
            pass  # refused before it was all said
        return statuses(receive(client, answers, seconds))


def refused(victim: Victim, data: bytes) -> None:
    """One refusal, and nothing after it: what follows on the connection must not be read as a request."""
    smuggled = data + victim.get("/smuggled")
    got = exchange(victim, smuggled)
    assert len(got) <= 1, f"a second request was read out of a broken one: {got}"
    assert not got or got[0] in REFUSED, f"answered {got}"
    victim.alive()


def slow_loris(victim: Victim) -> None:
    """Twenty clients that send one byte of a header now and then: all are let go, and nobody else waits."""
    clients = [victim.connect() for _ in range(20)]
    for client in clients:
        client.sendall(b"GET / HTTP/1.1\r\nHost: x\r\nX-Slow: ")
    victim.alive()
    deadline = time.monotonic() + 2 * victim.patience + 10
    try:
        while clients and time.monotonic() < deadline:
            for client in list(clients):
                try:
                    client.sendall(b"a")
                    client.settimeout(0.01)
                    if not client.recv(4096):
                        raise ConnectionError
                except TimeoutError:
                    continue
                except ConnectionError:
                    client.close()
                    clients.remove(client)
            victim.alive()
            time.sleep(0.25)
        assert not clients, f"{len(clients)} of 20 slow clients still hold a connection"
    finally:
        for client in clients:
            client.close()


def slow_body(victim: Victim) -> None:
    """A body that stops coming: 408 or the end of the connection, within its time."""
    with victim.connect() as client:
        client.sendall(victim.post("Content-Length: 100000\r\nContent-Type: image/jpeg\r\n", b"\xff\xd8"))
        victim.alive()
        got = statuses(receive(client, 1, victim.patience + 8))
        assert got in ([], [400], [408]), f"answered {got}"
        assert closed(client, 3), "the connection stays open"


def half_closed(victim: Victim) -> None:
    """A client that ends its sending in the middle of a body: refused, and let go."""
    with victim.connect() as client:
        client.sendall(victim.post("Content-Length: 100\r\n", b"abc"))
        client.shutdown(socket.SHUT_WR)
        got = statuses(receive(client, 1))
        assert got in ([], [400], [499]), f"answered {got}"
        assert closed(client, 5)
    victim.alive()


def pipelined(victim: Victim) -> None:
    """Ten requests in one packet: ten answers, in order, none lost."""
    got = exchange(victim, victim.get() * 10, 10, 10)
    assert got == [200] * 10, f"answered {got}"


def headers_too_large(victim: Victim) -> None:
    """A header of 300 kB, and 5,000 headers: refused without reading on."""
    for lines in ("X-Large: " + "a" * 300_000 + "\r\n", "".join(f"X-{number}: 1\r\n" for number in range(5000))):
        got = exchange(victim, victim.post(lines + "Content-Length: 0\r\n"))
        assert got in ([], [400], [431]), f"answered {got}"
    victim.alive()


def target_too_long(victim: Victim) -> None:
    """A path of 200 kB."""
    got = exchange(victim, victim.get(victim.path + "/" + "a" * 200_000))
    assert got in ([], [400], [414], [431]), f"answered {got}"
    victim.alive()


def two_lengths(victim: Victim) -> None:
    """Two Content-Lengths that differ, a list of them, signs, spaces and letters in one."""
    for lines in (
        "Content-Length: 3\r\nContent-Length: 4\r\n",
        "Content-Length: 3, 4\r\n",
        "Content-Length: +3\r\n",
        "Content-Length: -1\r\n",
        "Content-Length: 0x3\r\n",
        "Content-Length: 3 3\r\n",
        "Content-Length: 99999999999999999999999\r\n",
    ):
        refused(victim, victim.post(lines, b"abc"))


def length_and_chunks(victim: Victim) -> None:
    """The two pairs of request smuggling: a length beside chunks, either first."""
    body = b"0\r\n\r\n"
    for lines in (
        "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n",
        "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n",
    ):
        got = exchange(victim, victim.post(lines, body) + victim.get("/smuggled"))
        # RFC 9112 6.3: refuse, or take the chunks and close; never go on with the connection.
        assert len(got) <= 1, f"a second request was read behind an ambiguous one: {got}"
    victim.alive()


def transfer_encodings(victim: Victim) -> None:
    """Spellings of Transfer-Encoding that one reader might know and the next might not."""
    for line in (
        "Transfer-Encoding: xchunked",
        "Transfer-Encoding: chunked, identity",
        "Transfer-Encoding : chunked",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity",
        "Transfer-Encoding: \x0bchunked",
        "Transfer-Encoding: gzip",
        " Transfer-Encoding: chunked",
        "X: y\r\n Transfer-Encoding: chunked",
    ):
        refused(victim, victim.post(line + "\r\nContent-Length: 4\r\n", b"0\r\n\r\n"))


def bad_chunks(victim: Victim) -> None:
    """Chunk sizes that are no numbers, are too large, or lie about what follows."""
    for body in (
        b"zz\r\nabc\r\n0\r\n\r\n",
        b"-3\r\nabc\r\n0\r\n\r\n",
        b"0x3\r\nabc\r\n0\r\n\r\n",
        b"ffffffffffffffffff\r\nabc\r\n0\r\n\r\n",
        b"3\r\nabcdef\r\n0\r\n\r\n",
    ):
        got = exchange(victim, victim.post("Transfer-Encoding: chunked\r\n", body) + victim.get("/smuggled"))
        assert 404 not in got, f"a request was read out of a broken body: {got}"
        assert not got or got[0] in REFUSED | {408, 415, 422}, f"answered {got}"
    victim.alive()


def bare_line_feeds(victim: Victim) -> None:
    """Line feeds without carriage returns, and a null in a header."""
    for data in (
        victim.post("X: a\nTransfer-Encoding: chunked\r\nContent-Length: 4\r\n"),
        victim.post("X: a\x00b\r\nContent-Length: 0\r\n"),
    ):
        got = exchange(victim, data + b"0\r\n\r\n" + victim.get("/smuggled"))
        assert len(got) <= 1, f"a second request was read: {got}"
    victim.alive()


def odd_requests(victim: Victim) -> None:
    """Noise, TLS, HTTP/2, versions that do not exist, no host, methods of any letters."""
    for data in (
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(200),
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"GET / HTTP/9.9\r\nHost: x\r\n\r\n",
        b"\r\n" * 50 + b"\x00\xff\r\n\r\n",
        b"GE\x00T / HTTP/1.1\r\nHost: x\r\n\r\n",
        b"G(T / HTTP/1.1\r\nHost: x\r\n\r\n",
        b"CONNECT 127.0.0.1:22 HTTP/1.1\r\nHost: x\r\n\r\n",
    ):
        got = exchange(victim, data, 1, 2)
        assert all(status < 500 or status in (501, 505) for status in got), f"{data[:20]!r} was answered {got}"
        assert 200 not in got, f"{data[:20]!r} was answered 200"
    victim.alive()


def paths(victim: Victim) -> None:
    """Ways out of the tree, and other hosts' names as a target: never a file, never elsewhere."""
    for path in (
        "/../../../../etc/passwd",
        victim.path + "/..%2f..%2f..%2fetc/passwd",
        victim.path + "/%2e%2e/%2e%2e/etc/passwd",
        victim.path + "//etc/passwd",
        "//etc/passwd",
        "/%00",
        "/%ff%fe",
        victim.path + "/healthz%00.html",
        victim.path + ";/healthz",
        "http://169.254.169.254/latest/meta-data/",
        "http://[::1/",
        "*",
        "/" + "a/" * 500,
    ):
        with victim.connect() as client:
            client.sendall(victim.get(path))
            data = receive(client, 1, 4)
        assert b"root:x:0" not in data, f"{path} answered a file"
        assert all(status < 500 for status in statuses(data)), f"{path} was answered {statuses(data)}"
    victim.alive()


def thousand_idle(victim: Victim) -> None:
    """A thousand connections that say nothing: others are served, and they cost little."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < 1200:
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(4096, hard), hard))
    clients: list[socket.socket] = []
    try:
        clients += [victim.connect() for _ in range(1000)]
        for _ in range(5):
            victim.alive()
    finally:
        for client in clients:
            client.close()
    victim.alive()


def reset_storm(victim: Victim) -> None:
    """Three hundred clients that send a request and reset the connection at once."""
    for number in range(300):
        client = victim.connect()
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")
        client.sendall(victim.get() if number % 2 else victim.post("Content-Length: 50\r\n", b"abc"))
        client.close()
    victim.alive()


ATTACKS: dict[str, Callable[[Victim], None]] = {
    attack.__name__: attack
    for attack in (
        slow_loris,
        slow_body,
        half_closed,
        pipelined,
        headers_too_large,
        target_too_long,
        two_lengths,
        length_and_chunks,
        transfer_encodings,
        bad_chunks,
        bare_line_feeds,
        odd_requests,
        paths,
        thousand_idle,
        reset_storm,
    )
}
