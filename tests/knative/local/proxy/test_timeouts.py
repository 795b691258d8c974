"""When a request's idle timeout ends it, on a clock of the test."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from knative.local.proxy import timeouts
from knative.local.proxy.exchange import Exchange, Request


class Clock:
    """An event loop of one timer."""

    def __init__(self) -> None:
        self.now = 100.0
        self.due: list[tuple[float, Any, tuple[Any, ...]]] = []

    def time(self) -> float:
        return self.now

    def call_later(self, delay: float, call: Any, *arguments: Any) -> SimpleNamespace:
        self.due.append((self.now + delay, call, arguments))
        return SimpleNamespace(when=lambda at=self.now + delay: at)

    def run(self) -> None:
        at, call, arguments = self.due.pop(0)
        self.now = at
        call(*arguments)


def test_each_request_ends_at_its_own_time_by_one_timer(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock()
    monkeypatch.setattr(timeouts.asyncio, "get_running_loop", lambda: clock)
    limits = timeouts.Timeouts(10.0)
    ends: list[tuple[str, float]] = []

    def begin(name: str, at: float) -> Exchange:
        clock.now = 100.0 + at
        exchange = Exchange(SimpleNamespace(), Request(method=b"GET", target=b"/"))  # type: ignore[arg-type]
        monkeypatch.setattr(Exchange, "answer", lambda self, status, text: ends.append((names[self], clock.now - 100)))
        names[exchange] = name
        limits.begin(exchange)
        return exchange

    names: dict[Exchange, str] = {}
    begin("first", 0.0)
    answered = begin("answered", 1.0)
    begin("last", 3.0)
    answered.complete()
    assert len(clock.due) == 1
    while clock.due:
        clock.run()
    assert ends == [("first", 10.0), ("last", 13.0)]
    begin("later", 50.0)
    clock.run()
    assert ends[-1] == ("later", 60.0)


@pytest.mark.parametrize(
    ("at_pod", "pieces", "ended"),
    [
        (0.0, [], 2.0),
        (0.0, [1.9], 3.9),
        (0.0, [0.5, 1.0, 2.9], 4.9),
        (1.3, [], 3.3),  # it waited for a pod before
        (1.3, [1.4], 3.4),
    ],
)
def test_a_silent_answer_is_ended_exactly_at_the_timeout(
    monkeypatch: pytest.MonkeyPatch, at_pod: float, pieces: list[float], ended: float
) -> None:
    clock = Clock()
    monkeypatch.setattr(timeouts.asyncio, "get_running_loop", lambda: clock)
    events = sorted([at_pod, *pieces])
    ends: list[float] = []
    exchange = SimpleNamespace(upstream=None, touched=0.0, timers=[], proxied=False)
    exchange.answer = lambda status, _text: ends.append(clock.now) if status == 504 else None
    clock.call_later(2.0, timeouts._idle, exchange, 2.0)
    while not ends:
        came = [100.0 + event for event in events if 100.0 + event <= clock.due[0][0]]
        if came:
            exchange.upstream, exchange.touched = object(), came[-1]
        clock.run()
    assert ends == [pytest.approx(100.0 + ended, abs=0.0501)]
