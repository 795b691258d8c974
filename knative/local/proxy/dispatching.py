"""What the route is to the connections of clients, and what they are to it."""

from __future__ import annotations

from typing import Protocol

from knative.local.proxy.exchange import Exchange

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"  # RFC 9113, 3.4: the first bytes of HTTP/2


class Connection(Protocol):
    """A connection of a client, as its dispatcher sees it.

    Attributes:
        deadline: When it expires, by the loop's clock.
    """

    deadline: float

    def expire(self) -> None:
        """The deadline is over."""

    def close_when_idle(self) -> None:
        """Accept no further request, and close after those under way."""

    def abort_now(self) -> None:
        """Break the connection off."""


class Dispatcher(Protocol):
    """Who answers the requests, and who sees the connections."""

    connections: set[Connection]

    def dispatch(self, exchange: Exchange) -> None:
        """Answer the exchange, now or later."""
