"""The last changes of each resource, and the watches that read them."""

from __future__ import annotations

import asyncio
import json
from bisect import bisect_right
from collections import deque
from collections.abc import Callable
from typing import NamedTuple

from knative.local.api.errors import GoneError
from knative.local.jsontypes import JsonObject

Object = JsonObject
HISTORY_EVENTS = 1_000
"""Changes of one resource that are kept for watches that begin in the past or read slowly."""
HISTORY_BYTES = 4 * 2**20
"""Bytes of their JSON, of one resource; the newest change is kept whatever its size."""


class Change(NamedTuple):
    """One change of one object."""

    type: str
    object: Object
    version: int


class History:
    """The last changes of one resource, each with a number of its own that never changes."""

    def __init__(self, floor: int) -> None:
        self.floor = floor  # the newest version whose change is no longer here
        self.dropped = 0
        self.waiting: set[asyncio.Future[None]] = set()
        self._changes: deque[Change] = deque()
        self._sizes: deque[int] = deque()
        self._bytes = 0

    @property
    def end(self) -> int:
        """The number of the next change."""
        return self.dropped + len(self._changes)

    def append(self, change: Change) -> None:
        """Add a change, drop the oldest beyond the bounds, and wake the watches that wait."""
        size = len(json.dumps(change.object))
        self._changes.append(change)
        self._sizes.append(size)
        self._bytes += size
        while len(self._changes) > 1 and (len(self._changes) > HISTORY_EVENTS or self._bytes > HISTORY_BYTES):
            self.floor = self._changes.popleft().version
            self._bytes -= self._sizes.popleft()
            self.dropped += 1
        waiting, self.waiting = self.waiting, set()
        for future in waiting:
            if not future.done():
                future.set_result(None)

    def after(self, version: int) -> int:
        """Return the number of the first change after a version.

        Raises:
            GoneError: Some changes after it are no longer here.
        """
        if version < self.floor:
            raise GoneError(version, self.floor)
        return self.dropped + bisect_right(self._changes, version, key=lambda change: change.version)

    def __getitem__(self, number: int) -> Change:
        return self._changes[number - self.dropped]


class Watch:
    """The changes of one resource, in order, each once.

    It holds its place in the store's history and no queue of its own: one that reads too slowly gets `GoneError`.
    Waiting may be cancelled and begun again without losing a change.

    Args:
        history: Of the resource.
        namespace: Of the objects; empty for all.
        since: The version after which it begins.
        newest: Returns the store's version.
    """

    def __init__(self, history: History, namespace: str, since: int, newest: Callable[[], int]) -> None:
        self._newest = newest
        self._history = history
        self._namespace = namespace
        if since > newest():
            raise GoneError(since, newest())  # given by an earlier run whose last changes were not kept
        self._next = history.after(since)
        self._seen = since
        self._closed = False
        self._waiting: asyncio.Future[None] | None = None

    @property
    def version(self) -> int:
        """The version up to which all changes have been handed out: that of a bookmark."""
        return self._newest() if self._next == self._history.end else self._seen

    def __aiter__(self) -> Watch:
        return self

    async def __anext__(self) -> Change:
        while not self._closed:
            if (change := self._take()) is not None:
                return change
            self._waiting = asyncio.get_running_loop().create_future()
            self._history.waiting.add(self._waiting)
            try:
                await self._waiting
            finally:
                self._history.waiting.discard(self._waiting)
        raise StopAsyncIteration

    def _take(self) -> Change | None:
        if self._next < self._history.dropped:
            raise GoneError(self._seen, self._history.floor)
        while self._next < self._history.end:
            change = self._history[self._next]
            self._next += 1
            self._seen = change.version
            if self._namespace in ("", change.object["metadata"].get("namespace", "")):
                return change
        return None

    def close(self) -> None:
        """End the iteration, a waiting one as well."""
        self._closed = True
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_result(None)
