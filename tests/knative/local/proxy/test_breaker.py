"""The breaker against a plain model of it; Knative's own cases are in test_kpa_vectors.py."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from knative.local.proxy.breaker import Breaker, Entry


@given(
    st.integers(1, 4),
    st.integers(1, 4),
    st.lists(st.one_of(st.sampled_from(["enter", "leave", "forget"]), st.integers(0, 4)), max_size=60),
)
def test_first_come_first_served_and_none_lost(depth: int, limit: int, ops: list[str | int]) -> None:
    subject = Breaker(queue_depth=depth, max_concurrency=limit, initial_capacity=limit)
    waiting: list[int] = []
    running = 0
    for number, op in enumerate(ops):
        admitted: list[object] = []
        if op == "enter":
            full = running + len(waiting) >= depth + limit
            entry = subject.enter(number)
            if full:
                assert entry is Entry.REJECTED
            elif running < subject.capacity:
                assert entry is Entry.RUNNING
                running += 1
            else:
                assert entry is Entry.QUEUED
                waiting.append(number)
        elif op == "leave":
            if not running:
                with pytest.raises(RuntimeError):
                    subject.leave()
                continue
            running -= 1
            admitted = subject.leave()
        elif op == "forget":
            if waiting:
                assert subject.forget(waiting.pop())
            assert not subject.forget("nobody")
        else:
            admitted = subject.resize(min(int(op), limit))
        assert admitted == waiting[: len(admitted)]
        del waiting[: len(admitted)]
        running += len(admitted)
        assert (subject.running, subject.waiting) == (running, len(waiting))
        assert not waiting or running >= subject.capacity


def test_queue_proxy_takes_ten_times_as_many_as_it_runs() -> None:
    breaker = Breaker.for_pod(3)
    assert breaker is not None
    entries = [breaker.enter(number) for number in range(34)]
    assert [entries.count(kind) for kind in Entry] == [3, 30, 1]
    assert Breaker.for_pod(0) is None
