"""A pod's connection to the proxy: plain requests, and tunnels by CONNECT."""

from __future__ import annotations

import asyncio
import re
from typing import TYPE_CHECKING

from knative.local.mesh.callers import Caller
from knative.local.proxy.opening import OpeningConnection, UndecidedConnection

if TYPE_CHECKING:
    from knative.local.mesh.mesh import Mesh

_HEAD_BYTES = 8 * 1024
_CONNECT = re.compile(rb"CONNECT ([A-Za-z0-9.\-_]{1,253}|\[[0-9A-Fa-f:.]{2,45}\]):([0-9]{1,5}) HTTP/1\.[01]\r\n")
_CREDENTIALS = re.compile(rb"\r\nproxy-authorization:([^\r\n]*)\r\n", re.IGNORECASE)
_OPEN = b"HTTP/1.1 200 OK\r\n\r\n"


class ProxyConnection(UndecidedConnection):
    """A connection whose first bytes distinguish a tunnel from requests."""

    def __init__(self, mesh: Mesh) -> None:
        super().__init__(mesh.connections)
        self._mesh = mesh
        self._opening = False

    def data_received(self, data: bytes) -> None:
        """Hand requests on, and read the head of a tunnel."""
        self._received += data
        if self._opening or b"CONNECT ".startswith(self._received):
            return
        if not self._received.startswith(b"CONNECT "):
            self.hand_on(OpeningConnection(self._mesh.dispatcher(None)), self._received)
        elif b"\r\n\r\n" in self._received:
            self._tunnel()
        elif len(self._received) > _HEAD_BYTES:
            self.refuse(b"431 Request Header Fields Too Large")

    def _tunnel(self) -> None:
        head, _, rest = self._received.partition(b"\r\n\r\n")
        asked = _CONNECT.match(head + b"\r\n")
        credentials = _CREDENTIALS.search(head + b"\r\n")
        caller = self._mesh.callers.of(credentials[1].strip(b" \t") if credentials else None)
        if asked is None:
            self.refuse(b"400 Bad Request")
        elif caller is None:
            self.refuse(b"407 Proxy Authentication Required", b'proxy-authenticate: Basic realm="pods"\r\n')
        else:
            host, port = asked[1].decode().lower().strip("[]"), int(asked[2])
            if self._mesh.inside(host, caller) is not None:
                self._transport.write(_OPEN)
                self.hand_on(OpeningConnection(self._mesh.dispatcher(caller)), rest)
            else:
                self._opening = True
                self._received = rest
                self._transport.pause_reading()
                self._mesh.tasks.spawn(self._relay(host, port, caller))

    async def _relay(self, host: str, port: int, caller: Caller) -> None:
        """Connect to a name outside the cluster, and pass bytes both ways."""
        try:
            sock = await self._mesh.reach(host, port, caller)
            far = Relay()
            await asyncio.get_running_loop().create_connection(lambda: far, sock=sock)
        except OSError:
            self.refuse(b"502 Bad Gateway")
            return
        near = Relay()
        near.other, far.other = far.transport, self._transport
        self._transport.write(_OPEN)
        self.hand_on(near, self._received)
        self._transport.resume_reading()

    def refuse(self, status: bytes, more: bytes = b"") -> None:
        """Answer with an error, and close."""
        self._transport.write(b"HTTP/1.1 %s\r\n%scontent-length: 0\r\nconnection: close\r\n\r\n" % (status, more))
        self._transport.close()


class Relay(asyncio.Protocol):
    """One side of a tunnel to a name outside the cluster.

    Attributes:
        transport: Its own.
        other: Where its bytes go.
    """

    def __init__(self) -> None:
        self.transport: asyncio.Transport = None  # type: ignore[assignment]
        self.other: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Record the transport."""
        self.transport = transport  # type: ignore[assignment]

    def data_received(self, data: bytes) -> None:
        """Pass bytes on."""
        if self.other is not None:
            self.other.write(data)

    def eof_received(self) -> bool:
        """Pass the end on; the other direction goes on."""
        if self.other is not None and not self.other.is_closing():
            self.other.write_eof()
        return True

    def connection_lost(self, exc: Exception | None) -> None:
        """End the other side."""
        if self.other is not None:
            self.other.close()

    def pause_writing(self) -> None:
        """Read the other side no further: this one is slower."""
        if self.other is not None and not self.other.is_closing():
            self.other.pause_reading()

    def resume_writing(self) -> None:
        """Read the other side on."""
        if self.other is not None and not self.other.is_closing():
            self.other.resume_reading()
