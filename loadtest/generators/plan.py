"""The plan of an open loop: its targets, its rate over time, its connections."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from loadtest.generators.schedule import constant, intended
from loadtest.generators.wire import Request, Target

if TYPE_CHECKING:
    from knative.local.simulation.arrivals import Profile


@dataclass(frozen=True, kw_only=True)
class Plan:
    """A plan of requests.

    Attributes:
        target: the server and the request; the first of `targets` where there are several.
        rate: requests/s.
        duration: seconds in which they are due.
        profile: the rate over time, in place of rate and duration.
        targets: requests to choose from by their `weights`; all lead to one server.
        reuse: whether a connection carries more than one request.
        share: which of how many processes this is: (0, 2) sends every other request from the first on.
        begin: monotonic time of the first request, for several processes; 0 for as soon as all are connected.
        connections: to the server; each carries one request at a time, or `streams` over HTTP/2.
        streams: requests at once on each connection of HTTP/2; 0 for HTTP/1.1.
        poisson: exponential gaps instead of even ones.
        timeout: seconds from sending after which a request has failed.
        objective: the shortest latency in seconds that the run is held to, beside which the generator must be quick.
        seed: makes the Poisson gaps repeatable.
    """

    target: Target
    rate: float
    duration: float
    connections: int = 100
    poisson: bool = False
    timeout: float = 30.0
    objective: float = 1.0
    seed: int = 1

    profile: Profile | None = None
    targets: tuple[Target, ...] = ()
    weights: tuple[float, ...] = ()
    reuse: bool = True
    streams: int = 0
    share: tuple[int, int] = (0, 1)
    begin: float = 0.0

    @property
    def load(self) -> Profile:
        """The rate over time."""
        return self.profile or constant(self.rate, self.duration)

    def intended(self) -> list[float]:
        """Seconds from the start at which this process means its requests to leave."""
        index, processes = self.share
        return intended(self.load, poisson=self.poisson, seed=self.seed)[index::processes]

    @property
    def lanes(self) -> int:
        """Requests at once."""
        return self.connections * max(1, self.streams)

    def requests(self, count: int) -> Sequence[Request]:
        """So many requests, as this process sends them: whole messages, chosen by weight."""
        whole = [self._encoded(one) for one in self.targets or (self.target,)]
        if len(whole) == 1:
            return whole * count
        index, processes = self.share
        chosen = random.Random(self.seed).choices(whole, self.weights or None, k=count * processes)
        return chosen[index::processes]

    def _encoded(self, to: Target) -> Request:
        if not self.streams:
            return to.request
        from loadtest.generators.http2 import message

        return message(to)
