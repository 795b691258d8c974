"""Which pod gets a request, and which requests wait: the activator with pods that are only counted."""

from __future__ import annotations

from collections import Counter
from typing import Any
from unittest.mock import Mock

import pytest
from hypothesis import given
from hypothesis import strategies as st

from knative.local.autoscaler.metrics import Report
from knative.local.proxy.activator import Activator, WaitingRoom
from knative.local.proxy.breaker import ACTIVATOR_QUEUE
from knative.local.proxy.exchange import Exchange, Headers, Request
from knative.local.proxy.http1.downstream import DownstreamConnection
from tests.engines import run_async


class Listener:
    """A client that remembers its answer."""

    def __init__(self) -> None:
        self.status = 0
        self.body = b""
        self.paused = False

    def head(self, exchange: Exchange, status: int, reason: bytes, headers: Headers, length: int | None) -> None:
        assert not self.status, "answered twice"
        self.status = status

    def data(self, exchange: Exchange, chunk: bytes) -> None:
        self.body += chunk

    def pause_body(self) -> None:
        self.paused = True

    def resume_body(self) -> None:
        self.paused = False

    def __getattr__(self, name: str) -> Any:
        return lambda *arguments: None


class CountedPod:
    """Holds what it is given, up to a limit."""

    def __init__(self, name: str, limit: int = 10**9) -> None:
        self.name = name
        self.limit = limit
        self.held: list[Exchange] = []

    def admit(self, exchange: Exchange) -> bool:
        if len(self.held) >= self.limit:
            return False
        self.held.append(exchange)
        return True


class Bench:
    """An activator and what came of its requests."""

    def __init__(self, concurrency: int, pods: int, room: WaitingRoom | None = None) -> None:
        self.reports: list[Report] = []
        self.room = room or WaitingRoom()
        self.activator = Activator(concurrency, room=self.room, clock=lambda: 0.0, record=self.reports.append)
        self.pods: list[Any] = [CountedPod(f"pod-{number}") for number in range(pods)]
        self.activator.serve(self.pods)

    def request(self) -> tuple[Exchange, Listener]:
        listener = Listener()
        exchange = Exchange(listener, Request(method=b"GET", target=b"/", host=b"x"))  # type: ignore[arg-type]
        exchange.feed_end()
        self.activator.take(exchange)
        return exchange, listener

    @property
    def loads(self) -> list[int]:
        return [sum(not exchange.done for exchange in pod.held) for pod in self.pods]


def test_the_first_request_after_silence_is_reported_at_once() -> None:
    bench = Bench(10, 0)
    bench.request()
    bench.request()
    assert bench.reports == [Report(concurrency=1.0, count=1.0)]


def test_requests_wait_for_a_pod_and_go_out_in_order() -> None:
    bench = Bench(2, 0)
    sent = [bench.request()[0] for _ in range(5)]
    assert bench.activator.queued == 5
    pod: Any = CountedPod("pod")
    bench.activator.serve([pod])
    assert pod.held == sent[:2]
    sent[0].complete()
    assert pod.held == sent[:3]


def test_a_small_concurrency_fills_the_first_pod_first() -> None:
    bench = Bench(3, 3)
    for _ in range(4):
        bench.request()
    assert bench.loads == [3, 1, 0]


def test_a_larger_concurrency_goes_round() -> None:
    bench = Bench(4, 3)
    for _ in range(7):
        bench.request()
    assert sorted(bench.loads) == [2, 2, 3]


def test_without_a_limit_the_better_of_two_is_taken() -> None:
    bench = Bench(0, 2)
    for _ in range(100):
        bench.request()
    assert bench.loads == [50, 50]


@given(st.integers(1, 12), st.integers(1, 6), st.lists(st.integers(0, 3), max_size=60))
def test_no_pod_gets_more_than_its_concurrency_and_none_is_idle_while_requests_wait(
    concurrency: int, pods: int, steps: list[int]
) -> None:
    bench = Bench(concurrency, pods)
    open_: list[Exchange] = []
    for step in steps:
        if step and open_:
            open_.pop(step % len(open_)).complete()
        else:
            open_ += [bench.request()[0] for _ in range(3)]
        assert max(bench.loads) <= concurrency
        assert bench.activator.queued == 0 or min(bench.loads) == concurrency
        assert sum(bench.loads) + bench.activator.queued == len(open_)
        assert bench.room.taken == bench.activator.queued
    assert bench.activator.in_flight == len(open_)


def test_the_queue_has_an_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("resource.getrlimit", lambda _: (10**6, 10**6))
    bench = Bench(1, 0)
    for _ in range(ACTIVATOR_QUEUE):
        bench.request()
    _, listener = bench.request()
    assert (listener.status, listener.body) == (503, b"pending request queue full\n")
    assert bench.activator.queued == ACTIVATOR_QUEUE


def test_requests_waiting_at_the_end_are_answered_with_the_reason() -> None:
    bench = Bench(1, 1)
    served, first = bench.request()
    _, second = bench.request()
    bench.activator.serve([])
    bench.activator.close("it was removed")
    _, third = bench.request()
    assert [(each.status, each.body) for each in (second, third)] == [(503, b"it was removed\n")] * 2
    assert not first.status
    bench.activator.returned(served)
    assert first.status == 503
    assert bench.activator.in_flight == 0


def test_without_a_limit_of_concurrency_as_many_wait_as_the_process_could_serve(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("resource.getrlimit", lambda _: (2 * ACTIVATOR_QUEUE + 20 + 128, 10**6))
    bench = Bench(0, 0)
    listeners = [bench.request()[1] for _ in range(ACTIVATOR_QUEUE + 11)]
    assert Counter(listener.status for listener in listeners) == {0: ACTIVATOR_QUEUE + 10, 503: 1}
    pod: Any = CountedPod("pod")
    bench.activator.serve([pod])
    assert len(pod.held) == ACTIVATOR_QUEUE + 10


@pytest.mark.parametrize("concurrency", [0, 1])
def test_the_waiting_requests_of_all_revisions_share_the_descriptors_of_the_process(
    monkeypatch: pytest.MonkeyPatch, concurrency: int
) -> None:
    monkeypatch.setattr("resource.getrlimit", lambda _: (2 * 10 + 128, 10**6))
    room = WaitingRoom()
    one, other = Bench(concurrency, 0, room), Bench(0, 0, room)
    waiting = [one.request() for _ in range(7)] + [other.request() for _ in range(4)]
    assert [listener.status for _, listener in waiting] == [0] * 10 + [503]
    assert [one.request()[1].status, other.request()[1].status] == [503, 503]
    waiting[0][0].client_gone()  # in the one's queue, which leaves a place in both
    assert [other.request()[1].status, one.request()[1].status] == [0, 503]
    pod: Any = CountedPod("pod")
    one.activator.serve([pod])
    assert room.taken == one.activator.queued + other.activator.queued
    one.activator.serve([])
    for exchange in list(pod.held):
        one.activator.returned(exchange)  # its pod was gone: it has its connection already
    assert (one.activator.queued, other.activator.queued, room.taken) == (6, 4, 10)
    one.activator.close("it was removed")
    assert room.taken == 4
    assert [other.request()[1].status for _ in range(7)] == [0] * 6 + [503]


def test_bodies_that_are_held_are_bounded_together(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("knative.local.proxy.exchange.HELD_BYTES", 1000)
    monkeypatch.setattr("knative.local.proxy.activator.HELD_BYTES", 1000)
    bench = Bench(0, 0)

    def upload() -> tuple[Exchange, Listener]:
        listener = Listener()
        exchange = Exchange(listener, Request(method=b"POST", target=b"/", length=600))  # type: ignore[arg-type]
        bench.activator.take(exchange)
        exchange.feed(b"x" * 600)
        return exchange, listener

    before = Exchange.held
    waiting = [upload() for _ in range(3)]
    assert [listener.status for _, listener in waiting] == [0, 0, 503]
    assert bench.request()[1].status == 0  # one without a body costs next to nothing
    assert waiting[1][1].paused
    waiting[0][0].client_gone()
    assert upload()[1].status == 0
    assert waiting[1][0].take_pending() == [b"x" * 600]
    assert not waiting[1][1].paused
    assert Exchange.held == before + 600


def test_bodies_of_a_client_that_is_gone_are_let_go_with_those_of_the_requests_in_its_pipeline() -> None:
    before = Exchange.held

    async def drive() -> int:
        bench = Bench(0, 0)
        client = DownstreamConnection(Mock(connections=set(), dispatch=bench.activator.take), "127.0.0.1")
        client.connection_made(Mock())
        client.data_received((b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 1000\r\n\r\n" + b"x" * 1000) * 3)
        held = Exchange.held - before
        client.connection_lost(None)
        return held

    assert run_async(drive()) == 3000
    assert Exchange.held == before


def test_a_client_that_leaves_gives_up_its_place() -> None:
    bench = Bench(1, 0)
    first, _ = bench.request()
    second, _ = bench.request()
    first.client_gone()
    pod: Any = CountedPod("pod")
    bench.activator.serve([pod])
    assert pod.held == [second]
    assert bench.activator.in_flight == 1


def test_a_request_that_its_pod_never_saw_goes_before_the_others() -> None:
    bench = Bench(1, 1)
    first, _ = bench.request()
    second, _ = bench.request()
    bench.activator.serve([])
    bench.activator.returned(first)
    other: Any = CountedPod("other")
    bench.activator.serve([other])
    assert other.held == [first]
    first.complete()
    assert other.held == [first, second]


def test_past_the_activator_pods_are_taken_in_turn_and_a_full_one_answers_503() -> None:
    bench = Bench(2, 2)
    bench.activator.in_path = False
    bench.pods[0].limit = 1
    listeners = [bench.request()[1] for _ in range(4)]
    assert Counter(listener.status for listener in listeners) == {0: 3, 503: 1}
    assert bench.activator.in_flight == 0
    assert bench.reports == []


def test_past_the_activator_requests_still_wait_where_no_pod_is_ready() -> None:
    bench = Bench(2, 0)
    bench.activator.in_path = False
    exchange, _ = bench.request()
    assert exchange.proxied
    assert bench.activator.queued == 1


@pytest.mark.parametrize("status", [200, 404])
def test_an_exchange_is_answered_once(status: int) -> None:
    listener = Listener()
    exchange = Exchange(listener, Request(method=b"GET", target=b"/"))  # type: ignore[arg-type]
    exchange.answer(status, "first")
    exchange.answer(503, "second")
    exchange.break_off()
    assert (listener.status, listener.body) == (status, b"first\n")
