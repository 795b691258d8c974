"""Ambiguous requests, which two readers could read differently, and invalid ones.

Each attack says what a right answer is, and raises AssertionError for any other.
"""

from __future__ import annotations

from tools.chaos.victim import REFUSED, Victim, exchange, receive, refused, statuses


def pipelined(victim: Victim) -> None:
    """Ten requests in one packet get ten answers, in order."""
    got = exchange(victim, victim.get() * 10, 10, 10)
    assert got == [200] * 10, f"answered {got}"


def two_lengths(victim: Victim) -> None:
    """Two different Content-Lengths, a list of them, and one with signs, spaces or letters."""
    for lines in (
        "Content-Length: 3\r\nContent-Length: 4\r\n",
        "Content-Length: 3, 4\r\n",
        "Content-Length: +3\r\n",
        "Content-Length: -1\r\n",
        "Content-Length: 0x3\r\n",
        "Content-Length: 3 3\r\n",
        "Content-Length: 99999999999999999999999\r\n",
        "Content-Length: 3_0\r\n",
        "Content-Length: 3\r\nContent-Length: 3\r\n",
        "Content-Length: \r\n",
        "Content-Length : 3\r\n",
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
        "Transfer-Encoding: gzip, chunked",
        "Transfer-Encoding: identity, chunked",
        "Transfer-Encoding: chunked, chunked",
        "Transfer-Encoding: chunked;q=1",
        "Transfer-Encoding: 'chunked'",
        "Transfer-Encoding:\r\n chunked",
        "Transfer-Encoding\x00: chunked",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked",
        " Transfer-Encoding: chunked",
        "X: y\r\n Transfer-Encoding: chunked",
    ):
        refused(victim, victim.post(line + "\r\nContent-Length: 4\r\n", b"0\r\n\r\n"))


def bad_chunks(victim: Victim) -> None:
    """Chunk sizes that are not numbers, are too large, or do not match the data."""
    for body in (
        b"zz\r\nabc\r\n0\r\n\r\n",
        b"-3\r\nabc\r\n0\r\n\r\n",
        b"0x3\r\nabc\r\n0\r\n\r\n",
        b"ffffffffffffffffff\r\nabc\r\n0\r\n\r\n",
        b"3\r\nabcdef\r\n0\r\n\r\n",
        b"3 \r\nabc\r\n0\r\n\r\n",
        b" 3\r\nabc\r\n0\r\n\r\n",
        b"1_0\r\n" + b"a" * 16 + b"\r\n0\r\n\r\n",
        b"3\nabc\n0\n\n",
        b'3;a="\r\nabc\r\n0\r\n\r\n',
        b"3;\nab\r\nabc\r\n0\r\n\r\n",
    ):
        got = exchange(victim, victim.post("Transfer-Encoding: chunked\r\n", body) + victim.get("/smuggled"))
        assert 404 not in got, f"a request was read out of a broken body: {got}"
        assert not got or got[0] in REFUSED | {408, 415, 422}, f"answered {got}"
    victim.alive()


def bare_line_feeds(victim: Victim) -> None:
    """Bare line feeds and carriage returns, folded lines, and other characters that a header may not hold."""
    for line in (b"X: a\r\n b", b"X Y: a", b"no colon", b": a", b"X: a\rY: b", b"X\t: a", b"\xe9: a"):
        refused(victim, victim.get()[:-2] + line + b"\r\n\r\n")
    refused(victim, victim.get().replace(b"\r\n", b"\n"))
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
    """Path traversal and other hosts' names as a target: no file is served and nothing is forwarded elsewhere."""
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


def hosts(victim: Victim) -> None:
    """No Host, two, an invalid one, and a target that names another host: refused, or the target's host is used."""
    line = f"GET {victim.path}/healthz HTTP/1.1\r\n".encode()
    refused(victim, line + b"Host: a\r\nHost: b\r\n\r\n")
    got = exchange(victim, f"GET {victim.path} HTTP/1.1\r\n\r\n".encode(), 1)
    assert got == [400], f"without a host it answered {got}"
    for host in (b'x";for="6.6.6.6', b"a b", b"a/../b", b"x\\y", b"a@b"):
        got = exchange(victim, line + b"Host: " + host + b"\r\n\r\n", 1)
        assert got in ([400], [404], [200], [421]), f"for the host {host!r} it answered {got}"
    got = exchange(
        victim, f"GET http://nobody.default.localhost{victim.path}/x HTTP/1.1\r\nHost: x\r\n\r\n".encode(), 1
    )
    assert got == [404], f"a target of another host was answered {got}"


def underscores(victim: Victim) -> None:
    """Headers whose names differ from others' by an underscore: WSGI could not tell them apart, so they are dropped."""
    lines = (
        f"GET {victim.path} HTTP/1.1\r\nHost: x\r\nX_Request_ID: forged\r\nX-Request-ID: mine\r\n"
        "Content_Length: 30\r\nTransfer_Encoding: chunked\r\n\r\n"
    )
    with victim.connect() as client:
        client.sendall(lines.encode())
        data = receive(client, 1, 3)
        assert statuses(data) == [200]
        assert b"forged" not in data
        assert b"\r\nx-request-id: mine\r\n" in data.lower()
        # Neither was a length: the next request is read where it begins.
        client.sendall(victim.get())
        assert statuses(receive(client, 1, 3)) == [200]


def older_versions(victim: Victim) -> None:
    """HTTP/1.0 with chunks, which it does not have, and HTTP/1.0 with keep-alive."""
    head = f"POST {victim.path} HTTP/1.0\r\nHost: x\r\nConnection: keep-alive\r\n"
    refused(victim, f"{head}Transfer-Encoding: chunked\r\n\r\n".encode() + b"3\r\nabc\r\n0\r\n\r\n")
    ask = f"GET {victim.path}/healthz HTTP/1.0\r\nHost: x\r\nConnection: keep-alive\r\n\r\n".encode()
    assert exchange(victim, ask * 2, 2) == [200, 200]


def upgrades(victim: Victim) -> None:
    """Upgrades to unsupported protocols, with a second request inside: answered as without the upgrade."""
    for name, settings in (("h2c", "HTTP2-Settings: AAMAAABkAAQAAP__\r\n"), ("TLS/1.0", ""), ("websocket", "")):
        lines = f"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: {name}\r\n{settings}Content-Length: 3\r\n"
        with victim.connect() as client:
            client.sendall(victim.post(lines, b"abc") + victim.get("/smuggled"))
            data = receive(client, 2, 3)
        assert b" 101 " not in data, f"it switched to {name}"
        assert statuses(data)[:1] in ([422], [400], [502]), f"for {name} it answered {statuses(data)}"


def expectations(victim: Victim) -> None:
    """Expect: a requested body that never arrives, one sent without waiting, and unknown expectations."""
    got = exchange(victim, victim.post("Expect: 100-continue\r\nContent-Length: 3\r\n", b"abc"), 2)
    assert got in ([100, 422], [422]), f"answered {got}"
    got = exchange(victim, victim.post("Expect: 100-continue\r\nContent-Length: 30\r\n"), 2, victim.patience + 5)
    assert got in ([100, 408], [408], [100]), f"answered {got}"
    got = exchange(victim, victim.post("Expect: a-pony\r\nContent-Length: 3\r\n", b"abc"), 1)
    assert got == [417], f"answered {got}"
    victim.alive()


def unwanted_bodies(victim: Victim) -> None:
    """Bodies with methods that have none: discarded, never read as the next request."""
    inner = victim.get("/smuggled")
    for method in ("GET", "HEAD", "DELETE", "OPTIONS", "PUT", "PATCH", "TRACE", "PROPFIND"):
        head = f"{method} {victim.path} HTTP/1.1\r\nHost: x\r\nContent-Length: {len(inner)}\r\n\r\n"
        got = exchange(victim, head.encode() + inner + victim.get(), 2)
        assert got[1:] in ([200], []), f"behind the body of a {method} it answered {got}"
        assert got[0] in (200, 204, 405, 501), f"a {method} was answered {got}"


def injected_headers(victim: Victim) -> None:
    """Line breaks injected into response headers through an id, a trace, a file name or an option."""
    form = (
        b'--x\r\nContent-Disposition: form-data; name="file"; filename="a%0d%0aEvil: 1\\r\\nEvil: 1\xc2\x85Evil: 1.gif"'
        b"\r\n\r\nGIF89a\x01\0\x01\0\0\0\0,\0\0\0\0\x01\0\x01\0\0\x02\x02D\x01\0;\r\n--x--\r\n"
    )
    head = (
        f"POST {victim.path}/strip?keep=icc%0d%0aEvil:1 HTTP/1.1\r\nHost: x\r\n"
        f"Content-Type: multipart/form-data; boundary=x\r\nContent-Length: {len(form)}\r\n\r\n"
    ).encode()
    ids = b"X-Request-ID: a%0d%0aEvil: 1\r\ntraceparent: 00-\xc4\x8d\xc4\x8aEvil: 1\r\n\r\n"
    for data in (head + form, head.replace(b"?keep=icc%0d%0aEvil:1", b"") + form, victim.get(victim.path)[:-2] + ids):
        with victim.connect() as client:
            client.sendall(data)
            top = receive(client, 1, 4).partition(b"\r\n\r\n")[0]
        assert statuses(top)[0] < 500, f"answered {top!r}"
        assert not [line for line in top.replace(b"\x85", b"\n").splitlines() if line.lower().startswith(b"evil")], top
