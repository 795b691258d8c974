"""The latest happenings to events: counted, and streamed to followers."""

from __future__ import annotations

import asyncio
from collections import Counter, deque
from collections.abc import AsyncIterator, Callable

from knative.local.jsontypes import JsonObject

_KEPT = 2000


class Activity:
    """The latest happenings.

    Args:
        clock: seconds since the epoch.

    Attributes:
        counts: number of each since the start.
        latest: oldest first, each with what happened, when, and a rising `n`.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self.counts: Counter[str] = Counter()
        self.latest: deque[JsonObject] = deque(maxlen=_KEPT)
        self._clock = clock
        self._followers: set[asyncio.Event] = set()
        # Rising from run to run, so that a follower that reconnects after a restart misses nothing.
        self._number = int(clock() * 1000)
        self._over = False

    def emit(self, what: str, **more: object) -> None:
        """Record a happening and wake the followers."""
        self.counts[what] += 1
        self._number += 1
        self.latest.append({"n": self._number, "at": round(self._clock(), 3), "what": what, **more})
        self._wake()

    def end(self) -> None:
        """End the streams of all followers."""
        self._over = True
        self._wake()

    def _wake(self) -> None:
        for follower in self._followers:
            follower.set()

    async def follow(self, after: int) -> AsyncIterator[JsonObject]:
        """Yield happenings after a number as they occur, until the end.

        A follower that is too slow misses the oldest, which a gap in `n` shows.
        """
        news = asyncio.Event()
        self._followers.add(news)
        try:
            while not self._over:
                news.clear()
                for happening in [one for one in self.latest if one["n"] > after]:
                    after = happening["n"]
                    yield happening
                await news.wait()
        finally:
            self._followers.discard(news)
