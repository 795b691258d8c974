"""A plain client on uvloop, the peer for the open loop's CPU a request: fixed bytes, timers, no figures.

    python -m tools.plain_client PORT RATE SECONDS CONNECTIONS BYTES

It prints the CPU seconds of a request.
"""

from __future__ import annotations

import asyncio
import sys
import time

import uvloop


class _Paced(asyncio.Protocol):
    """Sends its next request at its time after the last response."""

    def __init__(self, request: bytes, gap: float, count: int) -> None:
        self._request = request
        self._gap = gap
        self._left = count
        self._due = 0.0
        self._loop = asyncio.get_running_loop()
        self.over: asyncio.Future[None] = self._loop.create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport: asyncio.Transport = transport  # type: ignore[assignment]  # a TCP transport

    def start(self, due: float) -> None:
        self._due = due
        self._loop.call_later(max(0.0, due - time.monotonic()), self._send)

    def _send(self) -> None:
        self._left -= 1
        self._transport.write(self._request)

    def data_received(self, data: bytes) -> None:
        if b"\r\n\r\n" not in data:
            return
        if self._left > 0:
            self.start(self._due + self._gap)
        else:
            self.over.set_result(None)


async def run(port: int, rate: float, seconds: float, connections: int, size: int) -> float:
    """CPU seconds of a request."""
    loop = asyncio.get_running_loop()
    request = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%s" % (size, b"x" * size)
    each = int(rate * seconds / connections)
    clients = []
    for _ in range(connections):
        _, client = await loop.create_connection(lambda: _Paced(request, connections / rate, each), "127.0.0.1", port)
        clients.append(client)
    cpu, began = time.process_time(), time.monotonic()
    for number, client in enumerate(clients):
        client.start(began + number / rate)
    await asyncio.gather(*(client.over for client in clients))
    return (time.process_time() - cpu) / (each * connections)


if __name__ == "__main__":
    port, rate, seconds, connections, size = sys.argv[1:]
    print(uvloop.run(run(int(port), float(rate), float(seconds), int(connections), int(size))))
