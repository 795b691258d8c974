"""HTTP/1.1 as a load generator speaks it: requests encoded once, answers framed and no more.

A connection carries one request at a time. Of an answer the status and the head are kept and the body is counted
and dropped, which is what makes an upload cost little more than the kernel's copy of it.
"""

from __future__ import annotations

import asyncio
import mimetypes
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol
from urllib.parse import urlsplit

_HEAD_LIMIT = 64 * 1024
_NO_BODY = {204, 304}


@dataclass(frozen=True)
class Target:
    """Where requests go: an address, and what they say."""

    host: str
    port: int
    tls: bool
    head: bytes  # ends before the blank line, so that headers can be added
    body: bytes

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
    return Target(parts.hostname, port, parts.scheme == "https", "\r\n".join(lines).encode() + b"\r\n", body)


def multipart(file: bytes, name: str, field: str = "file") -> tuple[bytes, str]:
    """One file as multipart/form-data: the body and its content type."""
    boundary = uuid.uuid5(uuid.NAMESPACE_OID, name).hex
    kind = mimetypes.guess_type(name)[0] or "application/octet-stream"
    head = (
        f'--{boundary}\r\nContent-Disposition: form-data; name="{field}"; filename="{Path(name).name}"\r\n'
        f"Content-Type: {kind}\r\n\r\n"
    )
    return b"%s%s\r\n--%s--\r\n" % (head.encode(), file, boundary.encode()), f"multipart/form-data; boundary={boundary}"


class Owner(Protocol):
    """Who is told what became of a request."""

    def answered(self, link: Link, status: int, head: bytes) -> None:
        """The answer is complete; the link can carry the next request unless it is closing."""

    def lost(self, link: Link, reason: str) -> None:
        """The connection is gone; `link.busy` says whether a request went with it."""


class Link(asyncio.Protocol):
    """One connection. `send` a request, and the owner hears `answered` or `lost`."""

    __slots__ = ("_body", "_head", "_owner", "_parts", "_status", "_transport", "busy", "bytes_in", "closing", "token")

    def __init__(self, owner: Owner) -> None:
        self._owner = owner
        self._transport: asyncio.Transport = None  # type: ignore[assignment]  # until connection_made
        self._parts = b""
        self._head = b""  # of the answer being read; empty between answers
        self._status = 0
        self._body = 0  # bytes of the body still to come; below 0 it is chunked, or lasts until the end
        self.busy = False
        self.closing = False
        self.bytes_in = 0
        self.token: object = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The connection stands."""
        self._transport = transport  # type: ignore[assignment]  # a TCP transport is one for reading and writing

    def send(self, request: bytes, token: object = None) -> None:
        """Write a request; `token` stays on the link until the answer."""
        self.busy = True
        self.token = token
        self._transport.write(request)

    def send_more(self, part: bytes) -> None:
        """Write the next part of a request that `send` began."""
        self._transport.write(part)

    def close(self) -> None:
        """Drop the connection; a request on it is lost."""
        self.closing = True
        self._transport.abort()

    def data_received(self, data: bytes) -> None:
        """Frame what came."""
        self.bytes_in += len(data)
        if not self._head:
            data = self._parts + data if self._parts else data
            end = data.find(b"\r\n\r\n")
            if end < 0:
                self._parts = data
                if len(data) > _HEAD_LIMIT:
                    self.close()
                return
            rest = data[end + 4 :]
            self._parts = b""
            if not self._begin(data[: end + 2]):
                if not self.closing:
                    self.data_received(rest)
                return
            data = rest
        if self._body >= 0:
            self._body -= len(data)
            if self._body <= 0:
                self._finish()
        elif self._body == _CHUNKED:
            # Only the end matters: the last chunk is empty, and trailers are not asked for.
            self._parts = (self._parts + data)[-7:]
            if self._parts in {b"\r\n0\r\n\r\n", b"0\r\n\r\n"}:
                self._parts = b""
                self._finish()

    def _begin(self, head: bytes) -> bool:
        """Read a head; False if the answer is still to come, or if it is no head and the connection was dropped."""
        try:
            self._status = int(head[9:12])
        except ValueError:
            self.close()
            return False
        if 100 <= self._status < 200:
            return False
        self._head = head
        lowered = head.lower()
        at = lowered.find(b"\r\ncontent-length:")
        if self._status in _NO_BODY:
            self._body = 0
        elif at >= 0:
            self._body = int(lowered[at + 17 : lowered.index(b"\r\n", at + 17)])
        elif b"\r\ntransfer-encoding: chunked" in lowered:
            self._body = _CHUNKED
        else:
            self._body = _UNTIL_END
        self.closing = b"\r\nconnection: close" in lowered or self._body == _UNTIL_END
        return True

    def _finish(self) -> None:
        head, self._head = self._head, b""
        self._parts = b""
        self.busy = False
        self._owner.answered(self, self._status, head)
        if self.closing and not self.busy:
            self._transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        """The connection is gone."""
        self.closing = True
        if self._head and self._body == _UNTIL_END and exc is None:
            self._finish()
        self._owner.lost(self, type(exc).__name__ if exc else "closed")


_CHUNKED = -1
_UNTIL_END = -2


async def connect(owner: Owner, to: Target) -> Link:
    """A new connection.

    Raises:
        OSError: nobody listens there, or the name is unknown.
    """
    loop = asyncio.get_running_loop()
    _, link = await loop.create_connection(lambda: Link(owner), to.host, to.port, ssl=True if to.tls else None)
    return link


def header(head: bytes, name: bytes) -> str | None:
    """A field of an answer's head; `name` in lower case."""
    lowered = head.lower()
    at = lowered.find(b"\r\n" + name + b":")
    if at < 0:
        return None
    start = at + len(name) + 3
    return head[start : lowered.index(b"\r\n", start)].strip().decode("latin-1")
