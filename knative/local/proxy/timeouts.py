"""The time limits of a request: all of it, the first byte of its answer, and the silence within it."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from knative.local.proxy.exchange import Exchange

REQUEST_TIMEOUT = "activator request timeout"  # Knative's bodies of a 504
DIRECT_TIMEOUT = "request timeout"
_RECHECK_SECONDS = 0.05  # between two looks at whether a request with an idle timeout has come to a pod


@dataclass(frozen=True)
class Timeouts:
    """A revision's limits, in seconds.

    Attributes:
        whole: From a request's arrival to the end of its answer.
        start: To the first byte of the answer, or None.
        idle: Without a byte of the answer, or None.
    """

    whole: float
    start: float | None
    idle: float | None

    def begin(self, exchange: Exchange) -> None:
        """Answer 504, or break off, once one of them has passed."""
        loop = asyncio.get_running_loop()
        exchange.timers.append(loop.call_later(self.whole, _timed_out, exchange))
        if self.start is not None:
            exchange.timers.append(loop.call_later(self.start, _not_begun, exchange))
        if self.idle is not None:
            exchange.timers.append(loop.call_later(self.idle, _idle, exchange, self.idle))


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
