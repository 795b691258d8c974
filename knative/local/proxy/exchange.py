"""One request and its answer on the way through the engine, and the headers that way adds and drops.

An exchange is the meeting point of a client (a connection of the route, or a call from inside the engine) and
of a connection to a pod. The body flows through it in both directions piece by piece and is never held whole.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from http import HTTPStatus
from typing import ClassVar, NamedTuple, Protocol

Headers = list[tuple[bytes, bytes]]

# RFC 9110, 7.6.1: what belongs to one connection and not to the message.
HOP_BY_HOP = frozenset(
    {
        b"connection",
        b"keep-alive",
        b"proxy-authenticate",
        b"proxy-authorization",
        b"proxy-connection",
        b"te",
        b"trailer",
        b"transfer-encoding",
        b"upgrade",
    }
)
# What only the data path itself may say; a client's own is dropped.
RESERVED = frozenset({b"k-proxy-request", b"k-kubelet-probe", b"k-network-probe", b"knative-serving-tag"})
# A body is held up to here while its request waits for a pod; then the client's connection is not read further.
PENDING_BYTES = 256 * 1024
# All that are held together. Then no client is read further, and a request with a body does not wait any more.
HELD_BYTES = 2**30

_REASONS = {status.value: status.phrase.encode() for status in HTTPStatus}


class Client(Protocol):
    """Where an exchange's answer goes and its body comes from."""

    def head(self, exchange: Exchange, status: int, reason: bytes, headers: Headers, length: int | None) -> None:
        """Begin the answer. `length` is None for a body whose end only the pod knows."""

    def data(self, exchange: Exchange, chunk: bytes) -> None:
        """Pass on one piece of the answer's body."""

    def end(self, exchange: Exchange) -> None:
        """The answer is whole."""

    def abort(self, exchange: Exchange) -> None:
        """The answer broke off after its head: the client must see that it is not whole."""

    def tunnel(self, exchange: Exchange, reason: bytes, headers: Headers) -> None:
        """The pod switched protocols: bytes flow both ways from here on."""

    def informational(self, exchange: Exchange, status: int, reason: bytes, headers: Headers) -> None:
        """Pass on an interim 1xx answer."""

    def flush(self) -> None:
        """Everything read from the pod in one go has been handed over."""

    def pause_body(self) -> None:
        """The pod does not take more of the request's body for now."""

    def resume_body(self) -> None:
        """The pod takes the request's body again."""


class Upstream(Protocol):
    """The pod's side of an exchange."""

    def body(self, chunk: bytes) -> None:
        """Send a piece of the request's body."""

    def body_end(self) -> None:
        """The request's body is whole."""

    def pause(self) -> None:
        """The client does not take more of the answer for now."""

    def resume(self) -> None:
        """The client takes the answer again."""

    def cancel(self) -> None:
        """Cancel: the answer is not needed any more."""


class Request(NamedTuple):
    """A request as it was received. It never changes; a target in absolute form makes another one.

    A tuple, since a frozen dataclass costs four times as much to make.

    Attributes:
        method, target: As received.
        headers: End-to-end headers, in order, without framing and hop-by-hop ones.
        host: The authority, lower case, as the client wrote it, port included.
        version: `1.0` or `1.1`.
        length: Content-Length in bytes, or None.
        chunked: Whether the last chunk is the end of the body.
        upgrade: The protocol the client asks to switch to (`websocket`), or None.
        peer: The client's address.
        credentials: For a proxy (Proxy-Authorization), which does not pass them on; or None.
    """

    method: bytes
    target: bytes
    headers: tuple[tuple[bytes, bytes], ...] = ()
    host: bytes = b""
    version: str = "1.1"
    length: int | None = None
    chunked: bool = False
    upgrade: bytes | None = None
    peer: str = "127.0.0.1"
    credentials: bytes | None = None

    @property
    def has_body(self) -> bool:
        """Whether the request announced a body."""
        return self.chunked or bool(self.length)


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a request is not passed on: the status and text of its answer."""

    status: int
    text: str


class Exchange:
    """A request on its way, and its answer.

    Args:
        client: Where the answer goes.
        request: As it was received.
        keep_alive: Whether the client's connection is used again.

    Attributes:
        headers: What goes to the pod: the request's headers, and those added on the way.
        refusal: The answer to a request that is not passed on, until its turn comes.
        pinned: Whether its client named the one pod that may answer.
        request_trailers, trailers: Of the request's body and of the answer's.
        status: 0 until an answer has begun.
        touched: When the last piece of the answer came, or the request went to a pod, by the loop's clock; 0 before.
        held: Bytes of bodies that are held, of all exchanges together.
    """

    held: ClassVar[int] = 0

    __slots__ = (
        "at_activator",
        "at_end",
        "at_pod",
        "begun",
        "body_done",
        "bytes_in",
        "bytes_out",
        "client",
        "done",
        "ends",
        "headers",
        "keep_alive",
        "pending",
        "pending_bytes",
        "pinned",
        "proxied",
        "refusal",
        "request",
        "request_trailers",
        "retried",
        "status",
        "timers",
        "touched",
        "trailers",
        "upstream",
    )

    def __init__(self, client: Client, request: Request, *, keep_alive: bool = True) -> None:
        self.client = client
        self.request = request
        self.headers: Headers = list(request.headers)
        self.keep_alive = keep_alive
        self.refusal: Refusal | None = None
        self.request_trailers: Headers = []
        self.trailers: Headers = []
        self.pinned = False
        self.proxied = False
        self.retried = False
        self.pending: list[bytes] = []
        self.pending_bytes = 0
        self.body_done = False
        self.upstream: Upstream | None = None
        self.status = 0
        self.touched = 0.0
        self.bytes_in = 0
        self.bytes_out = 0
        self.begun = 0.0
        self.done = False
        # Callbacks of what holds a slot or a place in a queue for this exchange; called once, at its end.
        self.at_pod: Callable[[Exchange], None] | None = None
        self.at_activator: Callable[[Exchange], None] | None = None
        self.at_end: Callable[[Exchange], None] | None = None
        self.timers: list[asyncio.TimerHandle] = []
        self.ends: dict[Exchange, float] | None = None  # where the end of its time is noted until it is done

    def feed(self, chunk: bytes) -> None:
        """Take a piece of the request's body from the client."""
        self.bytes_in += len(chunk)
        if self.done:
            return
        if self.upstream is not None:
            self.upstream.body(chunk)
        else:
            self.hold(chunk)

    def hold(self, chunk: bytes) -> None:
        """Keep a piece until somebody takes it; with too many, the client is read no further."""
        self.pending.append(chunk)
        self.pending_bytes += len(chunk)
        Exchange.held += len(chunk)
        if self.pending_bytes > PENDING_BYTES or Exchange.held > HELD_BYTES:
            self.client.pause_body()

    def feed_end(self) -> None:
        """The request's body is whole."""
        self.body_done = True
        if self.upstream is not None and not self.done:
            self.upstream.body_end()

    def take_pending(self) -> list[bytes]:
        """The body received so far; the rest goes to the upstream as it comes."""
        pending = self.pending
        self._let_go()
        if pending:
            self.client.resume_body()
        return pending

    def _let_go(self) -> None:
        Exchange.held -= self.pending_bytes
        self.pending, self.pending_bytes = [], 0

    def answer(self, status: int, text: str, headers: Iterable[tuple[bytes, bytes]] = ()) -> None:
        """Answer with a line of text, as Go's `http.Error` does, which Knative's own answers use."""
        if self.done:
            return
        if self.status:
            self.break_off()
            return
        body = text.encode() + b"\n"
        self.reply(
            status,
            [(b"content-type", b"text/plain; charset=utf-8"), (b"x-content-type-options", b"nosniff"), *headers],
            body,
        )

    def reply(self, status: int, headers: Headers, body: bytes) -> None:
        """Answer with a whole body."""
        self.drop_upstream()
        self.status = status
        self.client.head(self, status, _REASONS.get(status, b""), headers, len(body))
        if self.request.method != b"HEAD":
            self.client.data(self, body)
            self.bytes_out += len(body)
        self.complete()
        self.client.end(self)
        self.client.flush()

    def break_off(self) -> None:
        """End an answer that has begun and cannot be finished."""
        if not self.done:
            self.drop_upstream()
            self.complete()
            self.client.abort(self)

    def client_gone(self) -> None:
        """Release the slot and disconnect from the pod: the client has disconnected."""
        if not self.done:
            self.drop_upstream()
            self.complete()

    def drop_upstream(self) -> None:
        """Disconnect from the pod."""
        upstream, self.upstream = self.upstream, None
        if upstream is not None:
            upstream.cancel()

    def complete(self) -> None:
        """Free what is held for this exchange: its place in a queue, its slot at a pod, its timers. Once."""
        if self.done:
            return
        self.done = True
        self._let_go()
        if self.ends is not None:
            self.ends.pop(self, None)
        if self.timers:
            for timer in self.timers:
                timer.cancel()
            self.timers = []
        at_pod, self.at_pod = self.at_pod, None
        if at_pod is not None:
            at_pod(self)
        at_activator, self.at_activator = self.at_activator, None
        if at_activator is not None:
            at_activator(self)
        at_end, self.at_end = self.at_end, None
        if at_end is not None:
            at_end(self)
