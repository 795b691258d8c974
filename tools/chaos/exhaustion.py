"""Clients that exhaust time, memory or connections: each costs little, and others are served."""

from __future__ import annotations

import gzip
import resource
import socket
import time

from tools.chaos.victim import Victim, closed, exchange, receive, statuses


def slow_loris(victim: Victim) -> None:
    """Twenty clients that send header bytes slowly: all are disconnected, and no other client waits."""
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
    """A body that stalls: 408 or the end of the connection within the time limit."""
    with victim.connect() as client:
        client.sendall(victim.post("Content-Length: 100000\r\nContent-Type: image/jpeg\r\n", b"\xff\xd8"))
        victim.alive()
        got = statuses(receive(client, 1, victim.patience + 8))
        assert got in ([], [400], [408]), f"answered {got}"
        assert closed(client, 3), "the connection stays open"


def half_closed(victim: Victim) -> None:
    """A client that half-closes in the middle of a body: refused and disconnected."""
    with victim.connect() as client:
        client.sendall(victim.post("Content-Length: 100\r\n", b"abc"))
        client.shutdown(socket.SHUT_WR)
        got = statuses(receive(client, 1))
        assert got in ([], [400], [499]), f"answered {got}"
        assert closed(client, 5)
    victim.alive()


def headers_too_large(victim: Victim) -> None:
    """A header of 300 kB, and 5,000 headers: refused without reading further."""
    for lines in ("X-Large: " + "a" * 300_000 + "\r\n", "".join(f"X-{number}: 1\r\n" for number in range(5000))):
        got = exchange(victim, victim.post(lines + "Content-Length: 0\r\n"))
        assert got in ([], [400], [431]), f"answered {got}"
    victim.alive()


def target_too_long(victim: Victim) -> None:
    """A path of 200 kB."""
    got = exchange(victim, victim.get(victim.path + "/" + "a" * 200_000))
    assert got in ([], [400], [414], [431]), f"answered {got}"
    victim.alive()


def thousand_idle(victim: Victim) -> None:
    """A thousand silent connections: others are served, and the memory stays bounded."""
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


def pipeline_flood(victim: Victim) -> None:
    """Nine thousand pipelined requests, twenty times: the first are answered, and few of the others are buffered."""
    packet = victim.get() * 9000
    with victim.within(32):
        clients = [victim.connect() for _ in range(20)]
        for client in clients:
            client.settimeout(0.1)
            try:
                client.sendall(packet)
            except OSError:
                pass  # it is not read on
        victim.alive()
        for client in clients:
            client.close()
    victim.alive()


def trailers_without_end(victim: Victim) -> None:
    """Chunk extensions and trailers of a hundred megabytes: never buffered, and the connection ends."""
    for body in (b"3\r\nabc\r\n0\r\nX: ", b"3\r\nabc\r\n0\r\nX: a\r\n", b"3;"):
        more = b"X: a\r\n" * 8192 if body.endswith(b"\n") else b"a" * 65536
        with victim.within(16), victim.connect() as client:
            client.sendall(victim.post("Transfer-Encoding: chunked\r\n", body))
            client.settimeout(2)
            sent = 0
            try:
                while sent < 100 * 2**20:
                    client.sendall(more)
                    sent += len(more)
            except OSError:
                pass
            assert sent < 100 * 2**20, "it listens for ever"
        victim.alive()


def slow_readers(victim: Victim) -> None:
    """A dozen clients that request megabytes and do not read: they are disconnected, and others are answered."""
    from tests.images import encoded, noise

    picture = encoded(noise((1800, 1800)), "PNG", compress_level=0)
    head = f"POST {victim.path}/strip HTTP/1.1\r\nHost: x\r\nContent-Length: {len(picture)}\r\n\r\n".encode()
    clients = []
    try:
        for _ in range(12):
            client = socket.socket()
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
            client.settimeout(victim.timeout)
            client.connect(("127.0.0.1", victim.port))
            clients.append(client)
            try:
                client.sendall(head + picture)
            except OSError:
                pass  # all threads are taken by those before it
        deadline = time.monotonic() + 2 * victim.timeout + 10
        while True:
            try:
                victim.alive()
                break
            except AssertionError:
                assert time.monotonic() < deadline, "those who do not read hold every thread"
    finally:
        for client in clients:
            client.close()
    victim.alive()


def compressed_bodies(victim: Victim) -> None:
    """A gzip bomb of a quarter gigabyte: never decompressed."""
    packed = gzip.compress(gzip.compress(bytes(2**28)))
    for coding in ("gzip", "deflate", "br", "zstd", "gzip, gzip"):
        with victim.within(16):
            got = exchange(
                victim, victim.post(f"Content-Encoding: {coding}\r\nContent-Length: {len(packed)}\r\n", packed), 1
            )
        assert got in ([415], [422]), f"answered {got}"


def ranges(victim: Victim) -> None:
    """A thousand overlapping ranges: the whole answer, once."""
    wanted = b",".join(b"0-%d" % end for end in range(1000))
    got = exchange(victim, victim.get()[:-2] + b"Range: bytes=" + wanted + b"\r\n\r\n", 1)
    assert got == [200], f"answered {got}"


def nested_json(victim: Victim) -> None:
    """Events of a million brackets, and numbers of a million digits."""
    for body in (
        b"[" * 1_000_000,
        b'{"a":' * 200_000,
        b"9" * 1_000_000,
        b'{"specversion":"1.0","data":' + b"[" * 500_000,
    ):
        for kind in ("application/cloudevents+json", "application/json"):
            binary = "ce-specversion: 1.0\r\nce-id: 1\r\nce-source: /a\r\nce-type: dev.pixelamp.image.uploaded\r\n"
            lines = f"Content-Type: {kind}\r\nContent-Length: {len(body)}\r\n{binary if kind.endswith('/json') else ''}"
            got = exchange(victim, victim.post(lines, body), 1, 8)
            assert got in ([400], [415], [422]), f"answered {got}"
    victim.alive()


def many_fields(victim: Victim) -> None:
    """Forms, queries and headers of as many fields as fit: refused in little time."""
    parts = b"".join(b'--x\r\nContent-Disposition: form-data; name="%d"\r\n\r\n\r\n' % n for n in range(100_000))
    form = victim.post(f"Content-Type: multipart/form-data; boundary=x\r\nContent-Length: {len(parts)}\r\n", parts)
    query = victim.post("Content-Length: 3\r\n", b"abc").replace(
        b" HTTP/1.1", b"?" + b"&".join(b"a%d" % n for n in range(600)) + b" HTTP/1.1", 1
    )
    digits = victim.post("Content-Length: 3\r\n", b"abc").replace(
        b" HTTP/1.1", b"/set?orientation=" + b"0" * 3000 + b"6 HTTP/1.1", 1
    )
    for data in (form, query, digits):
        got = exchange(victim, data, 1, 5)
        assert got == [400], f"answered {got}"
    victim.alive()


def bombs(victim: Victim) -> None:
    """Files with endless compression, nesting, repetition or overlap: a status below 500, in bounded memory."""
    from tests.functions.exif.containers import BOMBS

    for name, make in BOMBS.items():
        bomb = make()
        for path in ("", "/strip", "/set?artist=a"):
            head = f"POST {victim.path}{path} HTTP/1.1\r\nHost: x\r\nContent-Length: {len(bomb)}\r\n\r\n"
            with victim.within(64 + 6 * len(bomb) / 2**20):
                began = time.monotonic()
                got = exchange(victim, head.encode() + bomb, 1, 15)
                took = time.monotonic() - began
            assert [status < 500 for status in got] == [True], f"{name} was answered {got} by {path or '/'}"
            assert took < 12, f"{name} took {took:.1f} s of {path or '/'}"
