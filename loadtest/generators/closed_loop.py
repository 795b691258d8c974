"""Clients in closed loop: each sends its next request when the last is answered; their number can change at any time.

Every request has an id of its own, by which lost, failed and doubled requests are found.
"""

from __future__ import annotations

import asyncio
import itertools
import os
import time
from collections.abc import Callable
from dataclasses import dataclass

from knative.local.tasks import TaskSet
from loadtest.generators.wire import Lane, Link, Target, connect, header

_REFUSED_PAUSE_SECONDS = 0.1
_TOO_MANY = 429


@dataclass(slots=True)
class Request:
    """One request: times in seconds since the epoch; `status` 0 and a `reason` where no answer came."""

    id: str
    sent: float
    done: float = 0.0
    status: int = 0
    reason: str = ""
    pod: str = ""
    revision: str = ""
    cold: bool = False

    @property
    def good(self) -> bool:
        """Whether it was answered with 2xx or 3xx."""
        return 200 <= self.status < 400

    @property
    def latency(self) -> float:
        """Seconds from sending to the end of the answer."""
        return self.done - self.sent


class Clients:
    """Up to any number of clients against one target.

    Args:
        to: the request that they send.
        think: seconds between an answer and the next request.
        clock: seconds since the epoch.
        paced: seconds over which a request's body is sent, in twenty parts; 0 sends it at once.
    """

    def __init__(
        self, to: Target, *, think: float = 0.0, clock: Callable[[], float] = time.time, paced: float = 0.0
    ) -> None:
        self.requests: list[Request] = []
        self._to = to
        self._think = think
        self._clock = clock
        self._paced = paced
        self._wanted = 0
        self._running = 0
        self._ids = itertools.count()
        self._prefix = os.urandom(6).hex()
        self._waiters: dict[Lane, asyncio.Future[tuple[int, bytes]]] = {}
        self._tasks = TaskSet()

    def set(self, count: int) -> None:
        """Change the number of clients; a surplus client ends after its response."""
        self._wanted = count
        while self._running < count:
            self._running += 1
            self._tasks.spawn(self._live())

    @property
    def running(self) -> int:
        """Clients that have not ended."""
        return self._running

    async def burst(self, count: int) -> None:
        """Send one request from each of so many clients at once; return when all have an outcome."""
        await asyncio.gather(*(self._once() for _ in range(count)))

    async def stop(self) -> None:
        """Let every client finish its request, then end."""
        self.set(0)
        while self._tasks:
            await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _once(self) -> None:
        link = await self._request(None)
        if link is not None:
            link.close()

    async def _live(self) -> None:
        link: Link | None = None
        try:
            while self._running <= self._wanted:
                link = await self._request(link)
                if self._think:
                    await asyncio.sleep(self._think)
                if self.requests and link is None:
                    await asyncio.sleep(_REFUSED_PAUSE_SECONDS)
        finally:
            self._running -= 1
            if link is not None:
                link.close()

    async def _request(self, link: Link | None) -> Link | None:
        """Send one request, on the given connection or a new one; return the connection if it can be reused."""
        request = Request(f"{self._prefix}-{next(self._ids)}", self._clock())
        self.requests.append(request)
        try:
            if link is None or link.closing:
                link = await connect(self, self._to)
        except OSError as error:
            request.done, request.reason = self._clock(), type(error).__name__
            return None
        future = asyncio.get_running_loop().create_future()
        self._waiters[link] = future
        request.sent = self._clock()
        whole = self._to.with_id(request.id)
        if self._paced:
            await self._dribble(link, whole)
        else:
            link.send(whole)
        status, head = await future
        request.done = self._clock()
        if not status:
            request.reason = head.decode()
            return None
        request.status = status
        request.pod = header(head, b"x-pod-name") or ""
        request.revision = header(head, b"x-revision") or ""
        request.cold = header(head, b"x-cold-start") is not None
        if status == _TOO_MANY or status >= 500:
            await asyncio.sleep(_REFUSED_PAUSE_SECONDS)
        return None if link.closing else link

    async def _dribble(self, link: Link, whole: bytes) -> None:
        size = max(1, len(whole) // 20)
        link.send(whole[:size])
        for at in range(size, len(whole), size):
            await asyncio.sleep(self._paced / 20)
            if link.closing:
                return
            link.send_more(whole[at : at + size])

    def answered(self, lane: Lane, status: int, head: bytes) -> None:
        """An answer is complete."""
        future = self._waiters.pop(lane, None)
        if future is not None and not future.done():
            future.set_result((status, head))

    def lost(self, lane: Lane, reason: str) -> None:
        """The connection was closed, perhaps with a request on it."""
        future = self._waiters.pop(lane, None)
        if future is not None and not future.done():
            future.set_result((0, reason.encode()))
