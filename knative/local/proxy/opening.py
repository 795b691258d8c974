"""The beginning of a client's connection: HTTP/1.1 or HTTP/2 with prior knowledge, on one port."""

from __future__ import annotations

import asyncio

from knative.local.proxy.dispatching import PREFACE, Connection, Dispatcher
from knative.local.proxy.http1.downstream import DownstreamConnection

FIRST_SECONDS = 10.0  # to the end of the first head: one that takes longer is a slow loris


class UndecidedConnection(asyncio.Protocol):
    """A connection until its first bytes decide its protocol, to which it hands the socket on.

    Args:
        connections: the open connections, of which this is one until then.
    """

    def __init__(self, connections: set[Connection]) -> None:
        self._connections = connections
        self._transport: asyncio.Transport = None  # type: ignore[assignment]
        self._received = b""
        self.deadline = asyncio.get_running_loop().time() + FIRST_SECONDS

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Record the connection."""
        self._transport = transport  # type: ignore[assignment]
        self._connections.add(self)

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the connection."""
        self._connections.discard(self)

    def hand_on(self, successor: asyncio.Protocol, rest: bytes) -> None:
        """Give the socket, and what has been read of it, to another protocol."""
        self._connections.discard(self)
        if self._transport.is_closing():
            return
        self._transport.set_protocol(successor)
        successor.connection_made(self._transport)
        if rest:
            successor.data_received(rest)

    def expire(self) -> None:
        """Close: the first bytes did not arrive before the deadline."""
        self._transport.close()

    def close_when_idle(self) -> None:
        """Close: no request is in progress."""
        self._transport.close()

    def abort_now(self) -> None:
        """Abort the connection."""
        self._transport.abort()


class OpeningConnection(UndecidedConnection):
    """A client's connection: HTTP/1.1, or HTTP/2 with prior knowledge."""

    def __init__(self, dispatcher: Dispatcher) -> None:
        super().__init__(dispatcher.connections)
        self._dispatcher = dispatcher

    def data_received(self, data: bytes) -> None:
        """Choose the protocol, as soon as the bytes decide it."""
        if self._received:
            data = self._received + data
        if PREFACE.startswith(data) and len(data) < len(PREFACE):
            self._received = data
            return
        self.hand_on(self._successor(data), data)

    def _successor(self, data: bytes) -> asyncio.Protocol:
        peername = self._transport.get_extra_info("peername")
        peer = peername[0] if peername else "127.0.0.1"
        if data.startswith(PREFACE):
            # Loaded with the first such connection: 30 ms that HTTP/1.1 does not pay.
            from knative.local.proxy.http2.downstream import DownstreamHttp2

            return DownstreamHttp2(self._dispatcher, peer)
        return DownstreamConnection(self._dispatcher, peer)
