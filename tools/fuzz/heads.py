"""HTTP through the local route: a pod must read exactly the messages that the route forwarded.

The oracle is gunicorn's own parser, which is what reads the pod's side: each exchange that the route forwards, as an
`UpstreamConnection` writes it, is one message to it, of the same method, target and length, with nothing behind. That
is what a smuggled request would break.
"""

from __future__ import annotations

import asyncio
import atexit
import functools
import re
import socket
from collections.abc import Iterator
from typing import TYPE_CHECKING

from tools.fuzz.target import Target

if TYPE_CHECKING:
    from gunicorn.config import Config

    from knative.local.proxy.dispatching import Connection
    from knative.local.proxy.exchange import Exchange
    from knative.local.proxy.http1.upstream import UpstreamConnection

OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"
REFUSALS = {400, 405, 408, 413, 414, 417, 431, 501, 505}


class Wire(asyncio.Transport):
    """A transport that records what was written."""

    def __init__(self) -> None:
        super().__init__({"peername": ("127.0.0.1", 5)})
        self.written = bytearray()
        self.paused = self.closed = False

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Record the bytes."""
        self.written += data

    def close(self) -> None:
        """Mark it closed."""
        self.closed = True

    def abort(self) -> None:
        """Mark it closed."""
        self.closed = True

    def is_closing(self) -> bool:
        """Whether it was closed."""
        return self.closed

    def pause_reading(self) -> None:
        """Pause the reading."""
        self.paused = True

    def resume_reading(self) -> None:
        """Resume the reading."""
        self.paused = False

    def can_write_eof(self) -> bool:
        """A TCP connection can be half closed."""
        return True

    def write_eof(self) -> None:
        """Half closed."""


class Pods:
    """The upstream side: forwards each exchange on its own connection, and answers it once its body is complete."""

    name = "a pod"

    def __init__(self) -> None:
        self.connections: set[Connection] = set()
        self.taken: list[tuple[Exchange, UpstreamConnection, Wire]] = []

    def dispatch(self, exchange: Exchange) -> None:
        """Forward it, as `Route.dispatch` does for a Service."""
        from knative.local.proxy.http1.upstream import UpstreamConnection

        wire = Wire()
        upstream = UpstreamConnection(self, _socket())  # type: ignore[arg-type]
        upstream.connection_made(wire)
        self.taken.append((exchange, upstream, wire))
        upstream.send(exchange)

    def opened(self, connection: UpstreamConnection) -> None:
        """Nothing to keep."""

    def lost(self, connection: UpstreamConnection, idle_for: float | None) -> None:
        """Nothing to keep."""

    def release(self, connection: UpstreamConnection) -> None:
        """Nothing to keep."""

    def log(self, text: str) -> None:
        """Discard it."""


@functools.cache
def _socket() -> socket.socket:
    made = socket.socket()
    atexit.register(made.close)
    return made


@functools.cache
def _loop() -> asyncio.AbstractEventLoop:
    made = asyncio.new_event_loop()
    atexit.register(made.close)
    return made


@functools.cache
def _gunicorn() -> Config:
    from gunicorn.config import Config

    from functions.kit.server.gunicorn_worker import FIELD_BYTES

    config = Config()
    config.set("limit_request_field_size", FIELD_BYTES)
    return config


def conversation(data: bytes) -> None:
    """Send some bytes to the route, in two pieces, cut at the place that the first byte gives."""
    _loop().run_until_complete(_converse(data))


async def _converse(data: bytes) -> None:
    from knative.local.proxy.http1.downstream import DownstreamConnection

    pods = Pods()
    downstream, wire = DownstreamConnection(pods, "127.0.0.1"), Wire()
    downstream.connection_made(wire)
    cut = 1 + (data[0] if data else 0)
    pieces = [piece for piece in (data[1:cut], data[cut:]) if piece]
    while not wire.closed:
        waiting = [
            (exchange, upstream) for exchange, upstream, _ in pods.taken if exchange.body_done and not exchange.done
        ]
        if pieces and not wire.paused:
            downstream.data_received(pieces.pop(0))
        elif waiting and waiting[0][0].request.upgrade is None:
            waiting[0][1].data_received(OK)
        else:
            break
    answers = [int(status) for status in re.findall(rb"HTTP/1\.1 (\d{3}) ", wire.written)]
    assert set(answers) <= REFUSALS | {200}, f"answered {answers}"
    assert answers.count(200) <= len(pods.taken)
    for exchange, _, passed in pods.taken:
        if exchange.body_done and exchange.request.upgrade is None:
            _agrees(exchange, bytes(passed.written))
    downstream.connection_lost(None)


def _agrees(exchange: Exchange, passed: bytes) -> None:
    """The pod's reader reads the forwarded bytes as exactly one message, or refuses them."""
    from gunicorn.http import RequestParser
    from gunicorn.http.errors import NoMoreData, ParseException

    parser = RequestParser(_gunicorn(), iter([passed]), ("127.0.0.1", 5))
    try:
        message = next(parser)
        body = message.body.read()
    except NoMoreData as error:
        raise AssertionError(f"the pod waits for more than it was sent: {passed!r}") from error
    except ParseException:
        return
    assert message.method.encode() == exchange.request.method
    assert message.uri.encode("latin-1") == exchange.request.target
    assert len(body) == exchange.bytes_in, f"the pod reads {len(body)} bytes of a body of {exchange.bytes_in}"
    rest = message.unreader.buf.getvalue()
    assert not rest, f"the pod would read another request: {rest!r}"
    for name, _ in message.headers:
        assert name not in ("K-PROXY-REQUEST", "K-NETWORK-PROBE", "TRANSFER-ENCODINGS"), f"{name} was passed on"
        assert "_" not in name, f"{name} would pass for another header"


def conversations() -> Iterator[bytes]:
    """Valid and invalid requests; the first byte is the place of the cut."""
    get = b"GET /exif/healthz HTTP/1.1\r\nHost: x\r\n\r\n"
    post = b"POST /exif HTTP/1.1\r\nHost: exif.default.localhost:8080\r\n"
    yield b"\x20" + get
    yield b"\x40" + get * 3
    yield b"\x08" + post + b"Content-Length: 3\r\nX-Request-ID: a\r\n\r\nabc" + get
    yield b"\x90" + post + b"Transfer-Encoding: chunked\r\n\r\n3;ext=1\r\nabc\r\n0\r\nX: y\r\n\r\n" + get
    yield b"\x80" + post + b"Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n"
    yield b"\x10GET http://exif.default.localhost/a?b HTTP/1.1\r\nHost: other\r\n\r\n"
    yield b"\x30" + post + b"Connection: Upgrade, X-Request-ID\r\nUpgrade: h2c\r\nContent-Length: 3\r\n\r\nabc" + get
    yield b"\x30" + post + b"Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n\x81\x05hello"
    yield (b"\x30" + post + b"Expect: 100-continue\r\nK-Proxy-Request: a\r\nK_Network_Probe: b\r\n\r\n")
    yield b"\x05GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n" + get
    yield b"\x05OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n"
    yield b"\x05PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"


TARGETS = {"route": Target(conversation, conversations)}
