"""The limit of requests at once in front of a pod, and the queue of those that wait their turn.

Pure: a waiter is whatever the caller wants back when its turn comes, a future in the route and a number in a test.

    breaker = Breaker.for_pod(container_concurrency=10)
    match breaker.enter(waiter):
        case Entry.RUNNING: ...                     # go; call leave() at the end
        case Entry.QUEUED: ...                      # wait until leave() or resize() hands the waiter out
        case Entry.REJECTED: ...                    # 503
    for waiter in breaker.leave(): ...              # its turn has come, and its slot is already taken
    breaker.forget(waiter)                          # a client that went away while it waited

Source: knative/serving pkg/queue/breaker.go.
"""

from __future__ import annotations

import enum
from collections import OrderedDict
from collections.abc import Hashable

QUEUE_FACTOR = 10  # waiting requests in front of a pod, as a multiple of containerConcurrency
ACTIVATOR_QUEUE = 10_000  # waiting requests of one revision in the activator, where containerConcurrency is not 0
CAPACITY_LIMIT = 2**31 - 1
QUEUE_FULL = "pending request queue full"  # the body of the 503


class Entry(enum.Enum):
    """What became of a request that asked to enter."""

    RUNNING = "running"
    QUEUED = "queued"
    REJECTED = "rejected"


RUNNING, QUEUED, REJECTED = Entry  # a member is looked up for each request, which costs 0.1 µs in Python 3.11


class Breaker:
    """At most `capacity` requests run, at most `queue_depth` + `max_concurrency` are inside, first come first.

    While the capacity is below its maximum the queue may hold the difference too.

    Raises:
        ValueError: a queue depth below 1, or a capacity outside 0 and `max_concurrency`.
    """

    def __init__(self, *, queue_depth: int, max_concurrency: int, initial_capacity: int) -> None:
        if queue_depth <= 0:
            raise ValueError(f"queue depth must be greater than 0, got {queue_depth}")
        if max_concurrency < 0:
            raise ValueError(f"max concurrency must be 0 or greater, got {max_concurrency}")
        if not 0 <= initial_capacity <= max_concurrency:
            raise ValueError(f"initial capacity must be between 0 and {max_concurrency}, got {initial_capacity}")
        self._slots = queue_depth + max_concurrency
        self._capacity = initial_capacity
        self._running = 0
        self._waiting: OrderedDict[Hashable, None] = OrderedDict()

    @classmethod
    def for_pod(cls, container_concurrency: int) -> Breaker | None:
        """queue-proxy's breaker; None where containerConcurrency is 0, which limits nothing."""
        if container_concurrency == 0:
            return None
        return cls(
            queue_depth=QUEUE_FACTOR * container_concurrency,
            max_concurrency=container_concurrency,
            initial_capacity=container_concurrency,
        )

    @property
    def capacity(self) -> int:
        """Requests that may run at once."""
        return self._capacity

    @property
    def running(self) -> int:
        """Requests running now."""
        return self._running

    @property
    def waiting(self) -> int:
        """Requests in the queue now."""
        return len(self._waiting)

    def reserve(self) -> bool:
        """Take a slot if one is free at once; never queues."""
        if self._running >= self._capacity:
            return False
        self._running += 1
        return True

    def enter(self, waiter: Hashable) -> Entry:
        """Ask for a slot; `waiter` is handed out by `leave` or `resize` when its turn comes."""
        if self._running + len(self._waiting) >= self._slots:
            return REJECTED
        if self.reserve():
            return RUNNING
        if len(self._waiting) >= self._slots:
            return REJECTED
        self._waiting[waiter] = None
        return QUEUED

    def forget(self, waiter: Hashable) -> bool:
        """Drop a waiter from the queue; False if it was not waiting, so that its slot must be left."""
        if waiter not in self._waiting:
            return False
        del self._waiting[waiter]
        return True

    def leave(self) -> list[Hashable]:
        """Give a slot back.

        Returns:
            Waiters whose turn it is; they run already and must leave in their turn.

        Raises:
            RuntimeError: nothing was running.
        """
        if self._running == 0:
            raise RuntimeError("a request left that had not entered")
        self._running -= 1
        return self._admit()

    def resize(self, capacity: int) -> list[Hashable]:
        """Change the capacity; what runs above a lower one ends undisturbed. Returns waiters as `leave` does."""
        self._capacity = min(capacity, CAPACITY_LIMIT)
        return self._admit()

    def _admit(self) -> list[Hashable]:
        admitted: list[Hashable] = []
        while self._waiting and self._running < self._capacity:
            waiter, _ = self._waiting.popitem(last=False)
            self._running += 1
            admitted.append(waiter)
        return admitted
