"""The beginning of a client's connection: HTTP/1.1 or HTTP/2 with prior knowledge, on one port."""

from __future__ import annotations

import asyncio

from knative.local.proxy.dispatching import PREFACE, Dispatcher
from knative.local.proxy.downstream import DownstreamConnection

FIRST_SECONDS = 10.0  # to the end of the first head: one that takes longer is a slow loris


class OpeningConnection(asyncio.Protocol):
    """A connection whose protocol is not known yet; hands the socket on with its first bytes."""

    def __init__(self, dispatcher: Dispatcher) -> None:
        self._dispatcher = dispatcher
        self._transport: asyncio.Transport = None  # type: ignore[assignment]
        self._received = b""
        self.deadline = asyncio.get_running_loop().time() + FIRST_SECONDS

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Record the connection."""
        self._transport = transport  # type: ignore[assignment]
        self._dispatcher.connections.add(self)

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the connection."""
        self._dispatcher.connections.discard(self)

    def data_received(self, data: bytes) -> None:
        """Choose the protocol, as soon as the bytes decide it."""
        if self._received:
            data = self._received + data
        if PREFACE.startswith(data) and len(data) < len(PREFACE):
            self._received = data
            return
        successor = self._successor(data)
        self._dispatcher.connections.discard(self)
        self._transport.set_protocol(successor)
        successor.connection_made(self._transport)
        successor.data_received(data)

    def _successor(self, data: bytes) -> asyncio.Protocol:
        peername = self._transport.get_extra_info("peername")
        peer = peername[0] if peername else "127.0.0.1"
        if data.startswith(PREFACE):
            # Loaded with the first such connection: 30 ms that HTTP/1.1 does not pay.
            from knative.local.proxy.http2.downstream import DownstreamHttp2

            return DownstreamHttp2(self._dispatcher, peer)
        return DownstreamConnection(self._dispatcher, peer)

    def expire(self) -> None:
        """Close: nothing has come in time."""
        self._transport.close()

    def close_when_idle(self) -> None:
        """Close: no request is under way."""
        self._transport.close()

    def abort_now(self) -> None:
        """Break the connection off."""
        self._transport.abort()
