"""The connections to one server: those that wait for a request, those in use, and new ones."""

from __future__ import annotations

import errno
from collections.abc import Awaitable, Callable
from typing import Protocol

from knative.local.proxy.exchange import Exchange
from knative.local.tasks import TaskSet

IDLE_CONNECTIONS = 128
# queue-proxy keeps an idle connection for 90 s; a server that closes earlier is noticed and believed.
IDLE_SECONDS = 90.0


class Connection(Protocol):
    """A connection to the server, which carries one exchange at a time."""

    def usable(self, idle_seconds: float) -> bool:
        """Whether a request can still be sent, after at most so many seconds of idleness."""

    def send(self, exchange: Exchange) -> None:
        """Send the request; its answer goes to the exchange's client."""

    def close(self) -> None:
        """Close once everything is written."""

    def break_off(self) -> None:
        """The server is dead: whatever is under way is over."""


Connect = Callable[["Pool"], Awaitable[Connection]]


class Pool:
    """The connections to one server.

    Args:
        connect: Opens one more.
        refused: Takes back an exchange whose connection could not be made; the server has not seen it.
        name: What the server is called in an error's text.
        log: Takes a line about the server, without its name.
    """

    def __init__(
        self, connect: Connect, refused: Callable[[Exchange], None], name: str, log: Callable[[str], None]
    ) -> None:
        self._connect = connect
        self.refused = refused
        self.log = log
        self.name = name
        self._idle: list[Connection] = []
        self._all: set[Connection] = set()
        self._tasks = TaskSet()
        self._idle_seconds = IDLE_SECONDS

    def send(self, exchange: Exchange) -> None:
        """Send an exchange on an idle connection, or on a new one."""
        while self._idle:
            connection = self._idle.pop()
            if connection.usable(self._idle_seconds):
                connection.send(exchange)
                return
            connection.close()
        self.send_fresh(exchange)

    def send_fresh(self, exchange: Exchange) -> None:
        """Send an exchange on a new connection."""
        self._tasks.spawn(self._open(exchange))

    async def _open(self, exchange: Exchange) -> None:
        try:
            connection = await self._connect(self)
        except OSError as error:
            if exchange.done:
                return
            if error.errno in (errno.EMFILE, errno.ENFILE, errno.EADDRNOTAVAIL):
                exchange.answer(503, f"no connection to {self.name}: {error.strerror}")
            else:
                self.refused(exchange)
            return
        if exchange.done:
            self.release(connection)
        else:
            connection.send(exchange)

    def opened(self, connection: Connection) -> None:
        """Note a new connection."""
        self._all.add(connection)

    def lost(self, connection: Connection, idle_for: float | None) -> None:
        """Forget a closed connection; `idle_for` seconds of idleness if its server closed it while idle."""
        self._all.discard(connection)
        if connection in self._idle:
            self._idle.remove(connection)
        if idle_for is not None and idle_for > 0.2:
            # Half of that time: a request must not be on its way when the server closes.
            self._idle_seconds = min(self._idle_seconds, idle_for / 2)

    def release(self, connection: Connection) -> None:
        """Keep a connection for the next exchange."""
        if len(self._idle) < IDLE_CONNECTIONS:
            self._idle.append(connection)
        else:
            connection.close()

    def close(self) -> None:
        """Close idle connections; those in use go on."""
        for connection in self._idle:
            connection.close()
        self._idle.clear()

    def abort(self) -> None:
        """Break off everything: the server is dead."""
        for connection in list(self._all):
            connection.break_off()
        self._idle.clear()
