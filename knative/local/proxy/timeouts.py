"""The time limits of a request: all of it, the first byte of its answer, and the silence within it."""

from __future__ import annotations

import asyncio

from knative.local.proxy.exchange import Exchange

REQUEST_TIMEOUT = "activator request timeout"  # Knative's bodies of a 504
DIRECT_TIMEOUT = "request timeout"
_RECHECK_SECONDS = 0.05  # between two looks at whether a request with an idle timeout has come to a pod


class Timeouts:
    """A revision's limits, in seconds.

    Args:
        whole: From a request's arrival to the end of its answer.
        start: To the first byte of the answer, or None.
        idle: Without a byte of the answer, or None.
    """

    def __init__(self, whole: float, start: float | None = None, idle: float | None = None) -> None:
        self._whole = whole
        self._start = start
        self._idle = idle
        # In order of arrival and so of their ends: one timer for all of them costs less than one for each.
        self._ends: dict[Exchange, float] = {}
        self._timer: asyncio.TimerHandle | None = None

    def begin(self, exchange: Exchange) -> None:
        """Answer 504, or break off, once one of them has passed."""
        loop = asyncio.get_running_loop()
        exchange.ends = self._ends
        self._ends[exchange] = loop.time() + self._whole
        if self._timer is None:
            self._timer = loop.call_later(self._whole, self._expire)
        if self._start is not None:
            exchange.timers.append(loop.call_later(self._start, _not_begun, exchange))
        if self._idle is not None:
            exchange.timers.append(loop.call_later(self._idle, _idle, exchange, self._idle))

    def _expire(self) -> None:
        """End the requests whose time is over, and wait for the next one's end."""
        loop = asyncio.get_running_loop()
        self._timer = None
        while self._ends:
            exchange, end = next(iter(self._ends.items()))
            left = end - loop.time()
            if left > 0:
                self._timer = loop.call_later(left, self._expire)
                return
            del self._ends[exchange]
            _timed_out(exchange)


def _timed_out(exchange: Exchange) -> None:
    exchange.answer(504, REQUEST_TIMEOUT if exchange.proxied else DIRECT_TIMEOUT)


def _not_begun(exchange: Exchange) -> None:
    if not exchange.status:
        _timed_out(exchange)


def _idle(exchange: Exchange, timeout: float) -> None:
    """End a request whose answer has been silent for the idle timeout, which begins once it is at a pod."""
    loop = asyncio.get_running_loop()
    remaining = exchange.touched + timeout - loop.time() if exchange.upstream is not None else _RECHECK_SECONDS
    if remaining <= 0:
        _timed_out(exchange)
    else:
        exchange.timers = [timer for timer in exchange.timers if timer.when() > loop.time()]
        exchange.timers.append(loop.call_later(min(remaining, timeout), _idle, exchange, timeout))
