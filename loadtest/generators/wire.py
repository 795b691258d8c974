"""HTTP/1.1 as a load generator speaks it: requests encoded once, answers framed and no more.

A connection carries one request at a time. Of an answer the status and the head are kept and the body is counted
and dropped, which is what makes an upload cost little more than the kernel's copy of it.
"""

from __future__ import annotations

import asyncio
import mimetypes
import ssl
import uuid
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, TypeAlias
from urllib.parse import urlsplit

_HEAD_LIMIT = 64 * 1024
_NO_BODY = {204, 304}
UNVERIFIED = "-"


@dataclass(frozen=True)
class Target:
    """A server and the request that is sent to it."""

    host: str
    port: int
    tls: bool
    head: bytes  # ends before the blank line, so that headers can be added
    body: bytes
    name: str = ""  # in the server's certificate: of the Host header, where an ingress serves many
    trust: str = ""  # a file of certificates in place of the system's, or `-` to verify nothing

    @property
    def label(self) -> str:
        """Method and path, for people."""
        method, path, _ = self.head.decode("latin-1").split(" ", 2)
        return f"{method} {path}"

    def context(self) -> ssl.SSLContext | None:
        """Return what is verified of the server's certificate; None without TLS.

        Raises:
            OSError: the file of certificates cannot be read.
        """
        if not self.tls:
            return None
        context = ssl.create_default_context(cafile=self.trust if self.trust not in {"", UNVERIFIED} else None)
        if self.trust == UNVERIFIED:
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        return context

    @property
    def request(self) -> bytes:
        """The whole request."""
        return self.head + b"\r\n" + self.body

    def with_id(self, name: str) -> bytes:
        """The whole request under an X-Request-ID."""
        return b"%sX-Request-ID: %s\r\n\r\n%s" % (self.head, name.encode(), self.body)


def target(
    url: str,
    *,
    method: str = "GET",
    headers: Mapping[str, str] | None = None,
    body: bytes = b"",
    content_type: str | None = None,
    trust: str = "",
) -> Target:
    """A target of a URL; a `Host` among the headers goes through an ingress's address to another name.

    Raises:
        ValueError: the URL is not http or https, or has no host; a header holds a line break.
    """
    parts = urlsplit(url)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise ValueError(f"{url}: not an http or https URL")
    port = parts.port or (443 if parts.scheme == "https" else 80)
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    fields = {"Host": parts.netloc.rpartition("@")[2], "User-Agent": "pixelamp-loadtest", "Accept": "application/json"}
    if content_type:
        fields["Content-Type"] = content_type
    for name, value in (headers or {}).items():
        fields = {key: old for key, old in fields.items() if key.lower() != name.lower()}
        fields[name] = value
    if body or method in {"POST", "PUT", "PATCH"}:
        fields["Content-Length"] = str(len(body))
    lines = [f"{method} {path} HTTP/1.1", *(f"{name}: {value}" for name, value in fields.items())]
    if any("\r" in line or "\n" in line for line in lines):
        raise ValueError("a header must not hold a line break")
    host = next(value for name, value in fields.items() if name.lower() == "host")
    name = urlsplit(f"//{host}").hostname or parts.hostname
    head = "\r\n".join(lines).encode() + b"\r\n"
    return Target(parts.hostname, port, parts.scheme == "https", head, body, name, trust)


def multipart(file: bytes, name: str, field: str = "file") -> tuple[bytes, str]:
    """One file as multipart/form-data: the body and its content type."""
    boundary = uuid.uuid5(uuid.NAMESPACE_OID, name).hex
    kind = mimetypes.guess_type(name)[0] or "application/octet-stream"
    head = (
        f'--{boundary}\r\nContent-Disposition: form-data; name="{field}"; filename="{Path(name).name}"\r\n'
        f"Content-Type: {kind}\r\n\r\n"
    )
    return b"%s%s\r\n--%s--\r\n" % (head.encode(), file, boundary.encode()), f"multipart/form-data; boundary={boundary}"


@dataclass(frozen=True, eq=False)
class Message:
    """A request of HTTP/2: header fields and a body."""

    headers: tuple[tuple[bytes, bytes], ...]
    body: bytes


Request: TypeAlias = bytes | Message
"""A request as a lane sends it: whole bytes over HTTP/1.1, fields and a body over HTTP/2."""


class Lane(Protocol):
    """What carries one request at a time: a connection of HTTP/1.1, or a stream's place on one of HTTP/2."""

    busy: bool
    closing: bool
    token: object

    def send(self, request: Request, token: object = None) -> None:
        """Send a request; `token` stays on the lane until the response."""

    def close(self) -> None:
        """Drop it; a request on it is lost."""


Connector: TypeAlias = Callable[[], Awaitable[Lane]]


class Owner(Protocol):
    """The receiver of the outcome of each request."""

    def answered(self, lane: Lane, status: int, head: bytes) -> None:
        """The response is complete; the lane can carry the next request unless it is closing."""

    def lost(self, lane: Lane, reason: str) -> None:
        """The lane was closed; `lane.busy` states whether a request was lost with it."""


class Link(asyncio.Protocol):
    """One connection. `send` a request; the owner is notified by `answered` or `lost`."""

    __slots__ = (
        "_bodiless",
        "_body",
        "_head",
        "_last",
        "_owner",
        "_parts",
        "_status",
        "_transport",
        "busy",
        "bytes_in",
        "closing",
        "token",
    )

    def __init__(self, owner: Owner) -> None:
        self._owner = owner
        self._transport: asyncio.Transport = None  # type: ignore[assignment]  # until connection_made
        self._parts = b""  # of a head, or of a line between chunks
        self._head = b""  # of the answer being read; empty between answers
        self._status = 0
        self._body = 0  # bytes of the body, or of this chunk, still to come; _UNTIL_END where only the end tells
        self._last: bool | None = None  # whether the last chunk has begun; None if there are no chunks
        self._bodiless = False  # the answer to a HEAD
        self.busy = False
        self.closing = False
        self.bytes_in = 0
        self.token: object = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The connection is made."""
        self._transport = transport  # type: ignore[assignment]  # a TCP transport is one for reading and writing

    def send(self, request: Request, token: object = None) -> None:
        """Write a request; `token` stays on the link until the answer."""
        assert isinstance(request, bytes)
        self.busy = True
        self.token = token
        self._bodiless = request.startswith(b"HEAD ")
        self._transport.write(request)

    def send_more(self, part: bytes) -> None:
        """Write the next part of a request that `send` began."""
        self._transport.write(part)

    def close(self) -> None:
        """Close the connection; a request on it is lost."""
        self.closing = True
        self._transport.abort()

    def data_received(self, data: bytes) -> None:
        """Find the end of the response in the bytes received."""
        self.bytes_in += len(data)
        while not self._head:  # interim answers come before the one that counts
            data = self._parts + data if self._parts else data
            end = data.find(b"\r\n\r\n")
            self._parts = data if end < 0 else b""
            if end < 0:
                if len(data) > _HEAD_LIMIT:
                    self.close()
                return
            try:
                self._begin(data[: end + 2])
            except ValueError:  # no status, or a length that is no number
                self.close()
                return
            data = data[end + 4 :]
        if self._last is not None:
            try:
                self._chunks(data)
            except ValueError:
                self.close()
        elif self._body != _UNTIL_END:
            self._body -= len(data)
            if self._body <= 0:
                self._finish()

    def _begin(self, head: bytes) -> None:
        """Read a head: how long its answer is, and whether another can follow; one of 1xx is passed over."""
        self._status = int(head[9:12])
        if 100 <= self._status < 200:
            return
        self._head = head
        lowered = head.lower()
        self._last = None
        length = _field(lowered, b"content-length")
        if self._status in _NO_BODY or self._bodiless:
            self._body = 0
        elif b"chunked" in (_field(lowered, b"transfer-encoding") or b""):  # counts before a length (RFC 9112, 6.3)
            self._body, self._last = 0, False
        else:
            self._body = _UNTIL_END if length is None else int(length)
        stays = _field(lowered, b"connection") or (b"close" if head.startswith(b"HTTP/1.0") else b"")
        self.closing = b"close" in stays or self._body == _UNTIL_END

    def _chunks(self, data: bytes) -> None:
        """Follow the chunks of a body by their sizes, and its trailers to their end."""
        while data:
            if self._body:
                taken = min(self._body, len(data))
                self._body -= taken
                data = data[taken:]
                continue
            line, newline, rest = (self._parts + data).partition(b"\n")
            if not newline:
                self._parts = line
                if len(line) > _HEAD_LIMIT:
                    self.close()
                return
            self._parts, data = b"", rest
            if self._last:
                if not line.strip():
                    self._finish()
                    return
            elif size := int(line.partition(b";")[0], 16):
                self._body = size + len(b"\r\n")
            else:
                self._last = True

    def _finish(self) -> None:
        head, self._head = self._head, b""
        self._parts = b""
        self.busy = False
        self._owner.answered(self, self._status, head)
        if self.closing and not self.busy:
            self._transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        """The connection is closed."""
        self.closing = True
        if self._head and self._body == _UNTIL_END and exc is None:
            self._finish()
        self._owner.lost(self, type(exc).__name__ if exc else "closed")


_UNTIL_END = -1


async def connect(owner: Owner, to: Target, context: ssl.SSLContext | None = None) -> Link:
    """A new connection.

    Args:
        owner: notified of the outcome of each request.
        to: the server.
        context: of `to`, where many connections share one.

    Raises:
        OSError: the connection is refused, the name is unknown, or the certificate is not trusted.
    """
    loop = asyncio.get_running_loop()
    secure = (context or to.context()) if to.tls else None
    _, link = await loop.create_connection(
        lambda: Link(owner), to.host, to.port, ssl=secure, server_hostname=to.name or to.host if secure else None
    )
    return link


def header(head: bytes, name: bytes) -> str | None:
    """Return a field of a response's headers; `name` in lower case."""
    lowered = head.lower()
    at = lowered.find(b"\r\n" + name + b":")
    if at < 0:
        return None
    start = at + len(name) + 3
    return head[start : lowered.index(b"\r\n", start)].strip().decode("latin-1")


def _field(lowered: bytes, name: bytes) -> bytes | None:
    """Return a field's value in headers in lower case."""
    at = lowered.find(b"\r\n" + name + b":")
    if at < 0:
        return None
    start = at + len(name) + 3
    return lowered[start : lowered.index(b"\r\n", start)].strip()
