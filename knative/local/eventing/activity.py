"""What happens to events, counted, and told to whoever follows."""

from __future__ import annotations

import asyncio
from collections import Counter, deque
from collections.abc import AsyncIterator, Callable
from typing import Any

_KEPT = 2000


class Activity:
    """The latest happenings.

    Args:
        clock: Seconds since the epoch.

    Attributes:
        counts: How often each has happened since the start.
        latest: Oldest first, each with what happened, when, and a rising `n`.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self.counts: Counter[str] = Counter()
        self.latest: deque[dict[str, Any]] = deque(maxlen=_KEPT)
        self._clock = clock
        self._followers: set[asyncio.Event] = set()
        # Rising from run to run, so that a follower that comes back after a restart misses nothing.
        self._number = int(clock() * 1000)
        self._over = False

    def tell(self, what: str, **more: Any) -> None:
        """Something has happened."""
        self.counts[what] += 1
        self._number += 1
        self.latest.append({"n": self._number, "at": round(self._clock(), 3), "what": what, **more})
        self._wake()

    def end(self) -> None:
        """Nothing more will happen: let the followers go."""
        self._over = True
        self._wake()

    def _wake(self) -> None:
        for follower in self._followers:
            follower.set()

    async def follow(self, after: int) -> AsyncIterator[dict[str, Any]]:
        """Happenings after a number, as they come, to the end.

        A follower slower than the happenings misses the oldest, which the gap in `n` shows.
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
