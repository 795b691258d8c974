"""The queue-proxy of a pod: it counts requests, queues those above the limit, and forwards the others.

On a cluster it is a sidecar; here it is a part of the engine, which spares each request a hop. It does not depend on
how the process is run: the pod sets the port, aborts it at the end of the process, and is notified of refusals.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial
from typing import Protocol

from knative.local.autoscaler.metrics import RequestStats
from knative.local.proxy.breaker import REJECTED, RUNNING, Breaker
from knative.local.proxy.exchange import Exchange
from knative.local.proxy.http1.upstream import connect_tcp
from knative.local.proxy.pool import Pool


class Requests(Protocol):
    """The connections to a process, whichever protocol it speaks."""

    def send(self, exchange: Exchange) -> None:
        """Send a request."""

    def close(self) -> None:
        """Close idle connections; those in use go on."""

    def abort(self) -> None:
        """Break off everything: the process is dead."""


class QueueProxy:
    """The queue-proxy of one pod.

    Args:
        name: The pod's name, for the text of an error.
        concurrency: containerConcurrency; 0 for no limit.
        refused: Called when the process does not take a connection.
        returned: Takes back a request that the process has not seen.
        log: Takes a line about the process, without the pod's name.
        http2: Whether the process speaks HTTP/2 (a port named h2c).
        clock: Seconds since the epoch.

    Attributes:
        stats: Its count of requests, which the autoscaler scrapes; those in the queue are among them.
        direct: Requests inside that did not come through the activator.
        served: Requests answered, or broken off.
    """

    def __init__(
        self,
        name: str,
        concurrency: int,
        *,
        refused: Callable[[], None],
        returned: Callable[[Exchange], None],
        log: Callable[[str], None],
        clock: Callable[[], float],
        http2: bool = False,
    ) -> None:
        self.stats = RequestStats(clock())
        self.direct = 0
        self.served = 0
        self._name = name
        self._breaker = Breaker.for_pod(concurrency)
        self._refused = refused
        self._returned = returned
        self._log = log
        self._clock = clock
        self._held: set[Exchange] = set()
        self._http2 = http2
        self._pool: Requests | None = None
        self._draining = False
        self._drained = asyncio.Event()

    @property
    def queued(self) -> int:
        """Requests its breaker holds back."""
        return self._breaker.waiting if self._breaker is not None else 0

    # Requests

    def admit(self, exchange: Exchange) -> bool:
        """Send the request, or hold it back.

        Returns:
            False if the queue is full.
        """
        entry = RUNNING if self._breaker is None else self._breaker.enter(exchange)
        if entry is REJECTED:
            return False
        self.stats.enter(self._clock(), proxied=exchange.proxied)
        self.direct += not exchange.proxied
        if entry is RUNNING:
            self._send(exchange)
        else:
            self._held.add(exchange)
            exchange.at_pod = self._withdrawn
        return True

    def _send(self, exchange: Exchange) -> None:
        exchange.at_pod = self._left
        assert self._pool is not None
        self._pool.send(exchange)

    def _withdrawn(self, exchange: Exchange) -> None:
        """The client of a request that was held back went away."""
        self._held.discard(exchange)
        if self._breaker is not None:
            self._breaker.forget(exchange)
        self._count_out(exchange)

    def _left(self, exchange: Exchange) -> None:
        """A request that was sent is over."""
        self.served += 1
        self._count_out(exchange)
        self._free_slot()

    def _free_slot(self) -> None:
        if self._breaker is not None:
            for follower in self._breaker.leave():
                assert isinstance(follower, Exchange)
                self._held.discard(follower)
                self._send(follower)

    def _count_out(self, exchange: Exchange) -> None:
        self.stats.leave(self._clock(), proxied=exchange.proxied)
        self.direct -= not exchange.proxied
        if self._draining and not self.stats.in_flight:
            self._drained.set()

    def _unseen(self, exchange: Exchange) -> None:
        """The process does not listen: it never saw the request."""
        exchange.at_pod = None
        self._refused()
        self._count_out(exchange)
        self._free_slot()
        self._returned(exchange)

    # The process behind it

    def forward_to(self, port: int) -> None:
        """Send requests to a process that has just been started, and listens on this port once it is ready."""
        if self._http2:
            from knative.local.proxy.http2.upstream import Http2Pool

            self._pool = Http2Pool(port, self._unseen, self._name)
        else:
            self._pool = Pool(partial(connect_tcp, host="127.0.0.1", port=port), self._unseen, self._name, self._log)

    def give_back(self) -> None:
        """Hand the requests that are held back to other pods."""
        held, self._held = self._held, set()
        for exchange in held:
            if self._breaker is not None:
                self._breaker.forget(exchange)
            exchange.at_pod = None
            self._count_out(exchange)
        for exchange in sorted(held, key=lambda exchange: exchange.begun):
            self._returned(exchange)

    async def drain(self) -> None:
        """Wait until no request is inside, and hang up: a server that ends waits for kept connections otherwise."""
        self._draining = True
        if self.stats.in_flight:
            await self._drained.wait()
        if self._pool is not None:
            self._pool.close()

    def abort(self) -> None:
        """Break off what has been sent: the process is gone."""
        if self._pool is not None:
            self._pool.abort()
