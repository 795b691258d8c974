"""The path of a request to a pod of its revision: through the activator, or past it.

The activator holds requests while no pod has room for them and wakes a revision that is at zero. It stays in the
path while the autoscaler finds too little spare capacity for a burst; past it, requests go straight to the pods,
whose own queues then take what is too much. Source: knative/serving pkg/activator/net/throttler.go.
"""

from __future__ import annotations

import random
import resource
import sys
from collections import OrderedDict
from collections.abc import Callable

from knative.local.autoscaler.metrics import ActivatorStats, Report
from knative.local.proxy.breaker import ACTIVATOR_QUEUE, QUEUE_FULL
from knative.local.proxy.exchange import HELD_BYTES, Exchange
from knative.local.proxy.queue_proxy import QueueProxy

POD_GONE = "the pod of X-Target-Pod takes no more requests"
_OWN_DESCRIPTORS = 128
_FIRST_AVAILABLE_MAX = 3  # containerConcurrency up to which the first pod with room is taken


class WaitingRoom:
    """The places for requests that wait, of all revisions of an engine together.

    A request keeps its client's connection while it waits and needs another to a pod. Both are descriptors of the one
    process, which the engine and its pods share: a limit of each revision by itself would let clients take them all.

    Attributes:
        most: Requests that may wait.
        taken: Requests that wait.
    """

    def __init__(self) -> None:
        descriptors, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
        unlimited = descriptors == resource.RLIM_INFINITY
        self.most = sys.maxsize if unlimited else max(0, descriptors - _OWN_DESCRIPTORS) // 2
        self.taken = 0


class Activator:
    """One revision's throttle.

    Args:
        concurrency: containerConcurrency; 0 for no limit.
        room: Where requests wait, shared with the other revisions.
        clock: Seconds since the epoch.
        record: Takes the report that the first request after silence causes at once.

    Attributes:
        in_path: Whether requests pass through it while pods are ready.
        stats: What it reports to the autoscaler each second.
    """

    def __init__(
        self, concurrency: int, *, room: WaitingRoom, clock: Callable[[], float], record: Callable[[Report], None]
    ) -> None:
        self.in_path = True
        self.stats = ActivatorStats()
        self._concurrency = concurrency
        self._room = room
        self._clock = clock
        self._record = record
        self._queue: OrderedDict[Exchange, None] = OrderedDict()
        self._pods: list[QueueProxy] = []
        self._tracked: dict[QueueProxy, int] = {}  # requests at each pod, of those that have some
        self._chosen: dict[Exchange, QueueProxy] = {}
        self._next = 0
        self._closed: str | None = None

    @property
    def queued(self) -> int:
        """Requests that wait for a pod."""
        return len(self._queue)

    @property
    def in_flight(self) -> int:
        """Requests that came through it and are not answered."""
        return self.stats.in_flight

    def take(self, exchange: Exchange) -> None:
        """Send a request to a pod, now or when one has room; answer 503 if too many wait."""
        if self._closed is not None:
            exchange.answer(503, self._closed)
            return
        if self._pods and not self.in_path:
            self._direct(exchange)
            return
        exchange.proxied = True
        exchange.headers.append((b"k-proxy-request", b"activator"))
        exchange.at_activator = self._over
        report = self.stats.enter(self._clock())
        if report is not None:
            self._record(report)
        pod = None if self._queue else self._choose()
        if pod is not None:
            self._send(exchange, pod)
        elif self._full() or (exchange.request.has_body and Exchange.held > HELD_BYTES):
            exchange.answer(503, QUEUE_FULL)
        else:
            self._wait(exchange)

    def serve(self, ready: list[QueueProxy]) -> None:
        """Take a new set of pods, all ready, by their queue-proxies; requests that waited for one go out."""
        self._pods = ready
        self._pump()

    def returned(self, exchange: Exchange) -> None:
        """Requeue a request that its pod never received, ahead of those that came later."""
        if exchange.done:
            return
        if exchange.pinned:
            exchange.answer(503, POD_GONE)
            return
        if not exchange.proxied:
            self.take(exchange)
            return
        self._untrack(exchange)
        if self._closed is not None:
            exchange.answer(503, self._closed)
            return
        self._wait(exchange)
        self._queue.move_to_end(exchange, last=False)
        self._pump()

    def refuse_waiting(self, reason: str) -> None:
        """Answer 503 with the reason to everything that waits."""
        while self._queue:
            self._first().answer(503, reason)

    def close(self, reason: str) -> None:
        """Answer 503 with the reason to everything that waits, and to what comes or is given back from now on."""
        self._closed = reason
        self.refuse_waiting(reason)

    def _full(self) -> bool:
        # Without containerConcurrency Knative's activator has no limit of its own.
        return self._room.taken >= self._room.most or (self._concurrency > 0 and len(self._queue) >= ACTIVATOR_QUEUE)

    def _wait(self, exchange: Exchange) -> None:
        self._queue[exchange] = None
        self._room.taken += 1

    def _first(self) -> Exchange:
        exchange, _ = self._queue.popitem(last=False)
        self._room.taken -= 1
        return exchange

    def _direct(self, exchange: Exchange) -> None:
        # A pod with a full queue does not pass its requests on: so it is on a cluster.
        self._next = (self._next + 1) % len(self._pods)
        if not self._pods[self._next].admit(exchange):
            exchange.answer(503, QUEUE_FULL)

    def _send(self, exchange: Exchange, pod: QueueProxy) -> None:
        self._tracked[pod] = self._tracked.get(pod, 0) + 1
        self._chosen[exchange] = pod
        if not pod.admit(exchange):
            exchange.answer(503, QUEUE_FULL)

    def _untrack(self, exchange: Exchange) -> None:
        pod = self._chosen.pop(exchange, None)
        if pod is not None:
            left = self._tracked[pod] - 1
            if left:
                self._tracked[pod] = left
            else:
                del self._tracked[pod]

    def _over(self, exchange: Exchange) -> None:
        """Release what a request held: it is answered, or its client has disconnected."""
        if exchange in self._queue:
            del self._queue[exchange]
            self._room.taken -= 1
        self._untrack(exchange)
        self.stats.leave(self._clock())
        self._pump()

    def _pump(self) -> None:
        while self._queue:
            pod = self._choose()
            if pod is None:
                return
            self._send(self._first(), pod)

    def _choose(self) -> QueueProxy | None:
        pods, tracked = self._pods, self._tracked
        if not pods:
            return None
        if not self._concurrency:
            if len(pods) == 1:
                return pods[0]
            one, other = random.sample(pods, 2)
            return one if tracked.get(one, 0) <= tracked.get(other, 0) else other
        if self._concurrency <= _FIRST_AVAILABLE_MAX:
            return next((pod for pod in pods if tracked.get(pod, 0) < self._concurrency), None)
        for step in range(1, len(pods) + 1):
            index = (self._next + step) % len(pods)
            if tracked.get(pods[index], 0) < self._concurrency:
                self._next = index
                return pods[index]
        return None
