"""Admission: slots and CPU seconds a minute, on a clock of our own."""

from __future__ import annotations

import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from functions.kit.http.problems import Problem
from functions.stress.budget import Budget


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def refused(budget: Budget, cpu: float, duration: float = 10) -> Problem:
    with pytest.raises(Problem) as caught:
        budget.admit(cpu, duration)
    return caught.value


def test_slots_are_bounded_and_say_when_one_will_be_free(clock: Clock) -> None:
    budget = Budget(2, 1000, clock)
    budget.admit(1, 10)
    first = budget.admit(1, 4.2)
    clock.now += 1
    problem = refused(budget, 1)
    assert (problem.status, problem.headers["Retry-After"]) == (429, "4")
    budget.release(first, 1)
    budget.admit(1, 1)


def test_retry_after_is_at_least_a_second(clock: Clock) -> None:
    budget = Budget(1, 1000, clock)
    budget.admit(1, 0.1)
    clock.now += 5
    assert refused(budget, 1).headers["Retry-After"] == "1"


def test_a_minutes_cpu_seconds_flow_back_evenly(clock: Clock) -> None:
    budget = Budget(100, 60, clock)
    budget.release(budget.admit(50, 50), 50)
    problem = refused(budget, 30)
    assert (problem.status, problem.headers["Retry-After"]) == (429, "20")
    clock.now += 19.9
    assert refused(budget, 30).status == 429
    clock.now += 0.2
    budget.admit(30, 30)


def test_what_was_not_used_is_given_back_once(clock: Clock) -> None:
    budget = Budget(100, 60, clock)
    admission = budget.admit(60, 60)
    budget.release(admission, 10)
    budget.release(admission, 10)
    assert refused(budget, 51).status == 429
    budget.admit(50, 1)


def test_more_than_a_minutes_worth_is_never_let_in(clock: Clock) -> None:
    problem = refused(Budget(1, 60, clock), 61)
    assert problem.status == 400
    assert problem.extensions == {"option": "seconds", "limit": 60, "actual": 61}


@given(st.lists(st.tuples(st.floats(0, 30), st.floats(0, 40), st.floats(0, 20)), max_size=60))
def test_no_history_lets_more_through_than_the_bucket_and_its_flow(steps: list[tuple[float, float, float]]) -> None:
    clock = Clock()
    budget = Budget(1000, 60, clock)
    began, used = clock.now, 0.0
    for asked, spent, pause in steps:
        try:
            admission = budget.admit(asked, 1)
        except Problem as problem:
            assert int(problem.headers["Retry-After"]) >= 1
        else:
            budget.release(admission, min(asked, spent))
            used += min(asked, spent)
        clock.now += pause
        assert used <= 60 + (clock.now - began) + 1e-6
    assert budget.running == 0


def test_threads_never_get_more_slots_than_there_are() -> None:
    budget = Budget(3, 1e9, Clock())
    together = threading.Barrier(8)
    admitted = []

    def ask() -> None:
        together.wait()
        for _ in range(50):
            try:
                admission = budget.admit(1, 1)
            except Problem:
                continue
            admitted.append(budget.running)
            budget.release(admission, 1)

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert admitted
    assert max(admitted) <= 3
    assert budget.running == 0
