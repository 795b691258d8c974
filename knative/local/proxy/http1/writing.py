"""Messages of HTTP/1.1 as bytes: requests for a pod, and the answers on a client's connection."""

from __future__ import annotations

import time
from email.utils import formatdate
from functools import lru_cache

from knative.local.proxy.exchange import Exchange, Headers


@lru_cache(1)
def date(now: int) -> bytes:
    """A second as the value of a Date header, made once in it."""
    return formatdate(now, usegmt=True).encode()


def chunk(data: bytes) -> bytes:
    """One chunk of a body."""
    return b"%x\r\n%s\r\n" % (len(data), data)


def last_chunk(trailers: Headers) -> bytes:
    """The end of a chunked body."""
    return b"0\r\n%s\r\n" % b"".join(b"%s: %s\r\n" % trailer for trailer in trailers)


def request(exchange: Exchange) -> bytes:
    """A request with what has come of its body so far."""
    asked = exchange.request
    out = [b"%s %s HTTP/1.1\r\nhost: %s\r\n" % (asked.method, asked.target, asked.host)]
    for name, value in exchange.headers:
        out += name, b": ", value, b"\r\n"
    if asked.chunked:
        out.append(b"transfer-encoding: chunked\r\n")
    elif asked.length is not None:
        out.append(b"content-length: %d\r\n" % asked.length)
    if asked.upgrade is not None:
        out.append(b"connection: Upgrade\r\nupgrade: %s\r\n" % asked.upgrade)
    out.append(b"\r\n")
    if asked.upgrade is None:
        out += [chunk(piece) if asked.chunked else piece for piece in exchange.take_pending()]
        if exchange.body_done and asked.chunked:
            out.append(last_chunk(exchange.request_trailers))
    return b"".join(out)


class ResponseWriter:
    """The answers on one connection, gathered until they are taken."""

    def __init__(self) -> None:
        self._out: list[bytes] = []
        self._chunked = False

    def head(self, exchange: Exchange, status: int, reason: bytes, headers: Headers, length: int | None) -> None:
        """Add the head of an answer; `keep_alive` of the exchange becomes False where its end closes the connection."""
        out = [b"HTTP/1.1 %d %s\r\n" % (status, reason)]
        dated = False
        for name, value in headers:
            out += name, b": ", value, b"\r\n"
            dated = dated or name == b"date"
        if not dated:
            out.append(b"date: %s\r\n" % date(int(time.time())))
        bodiless = exchange.request.method == b"HEAD" or status in (204, 304)
        self._chunked = False
        if length is not None and status != 204:
            out.append(b"content-length: %d\r\n" % length)
        elif length is None and not bodiless:
            if exchange.request.version == "1.1":
                self._chunked = True
                out.append(b"transfer-encoding: chunked\r\n")
            else:
                exchange.keep_alive = False
        if not exchange.keep_alive:
            out.append(b"connection: close\r\n")
        elif exchange.request.version == "1.0":
            out.append(b"connection: keep-alive\r\n")
        out.append(b"\r\n")
        self._out.append(b"".join(out))

    def informational(self, exchange: Exchange, status: int, reason: bytes, headers: Headers) -> None:
        """Add an interim answer; HTTP/1.0 has none."""
        if exchange.request.version != "1.0":
            lines = b"".join(b"%s: %s\r\n" % header for header in headers)
            self._out.append(b"HTTP/1.1 %d %s\r\n%s\r\n" % (status, reason, lines))

    def switch(self, reason: bytes, headers: Headers) -> None:
        """Add a 101; what follows is not framed."""
        lines = b"".join(b"%s: %s\r\n" % header for header in headers)
        self._out.append(b"HTTP/1.1 101 %s\r\nconnection: Upgrade\r\n%s\r\n" % (reason, lines))
        self._chunked = False

    def data(self, piece: bytes) -> None:
        """Add a piece of the body."""
        self._out.append(chunk(piece) if self._chunked else piece)

    def end(self, trailers: Headers) -> None:
        """Add the end of the body."""
        if self._chunked:
            self._out.append(last_chunk(trailers))
        self._chunked = False

    def take(self) -> bytes:
        """All that has gathered since the last time."""
        out = self._out
        if not out:
            return b""
        self._out = []
        return out[0] if len(out) == 1 else b"".join(out)
