"""A gradual rollout, step by step as serving's rollout_test.go has it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from knative.local.pods.rollout import Rollout


def rolled(rollout: Rollout, latest: str, percent: int, duration: float, now: float) -> list[tuple[float, list[int]]]:
    """The shares after each step until the rollout is done."""
    rollout.move(latest, percent, now, duration)
    seen = [(now, [share for _, share in rollout.shares])]
    while rollout.next_step is not None:
        now = rollout.next_step
        rollout.move(latest, percent, now, duration)
        seen.append((now, [share for _, share in rollout.shares]))
    return seen


def test_the_first_revision_gets_everything_at_once() -> None:
    rollout = Rollout()
    rollout.move("a", 100, 0.0, 120.0)
    assert (rollout.shares, rollout.next_step) == ([("a", 100)], None)


def test_without_a_duration_traffic_moves_at_once() -> None:
    rollout = Rollout()
    rollout.move("a", 100, 0.0, 0.0)
    rollout.move("b", 100, 0.0, 0.0)
    assert rollout.shares == [("b", 100)]


def test_steps_are_equal_and_begin_with_one_per_cent() -> None:
    rollout = Rollout()
    rollout.move("a", 100, 0.0, 5.0)
    # One second passes with the first per cent; the rest goes in four steps of a second each.
    assert rolled(rollout, "b", 100, 5.0, 100.0) == [
        (100.0, [99, 1]),
        (101.0, [74, 26]),
        (102.0, [49, 51]),
        (103.0, [24, 76]),
        (104.0, [100]),
    ]


def test_a_long_rollout_moves_one_per_cent_at_a_time() -> None:
    rollout = Rollout()
    rollout.move("a", 100, 0.0, 1000.0)
    steps = rolled(rollout, "b", 100, 1000.0, 0.0)
    assert len(steps) == 100
    assert steps[-1] == (pytest.approx(999.0), [100])


def test_a_newer_revision_takes_from_the_newest_first() -> None:
    rollout = Rollout()
    rollout.move("a", 100, 0.0, 5.0)
    rollout.move("b", 100, 0.0, 5.0)
    rollout.move("b", 100, 1.0, 5.0)
    assert rollout.shares == [("a", 74), ("b", 26)]
    rollout.move("c", 100, 1.5, 5.0)
    assert rollout.shares == [("a", 74), ("b", 25), ("c", 1)]
    rollout.move("c", 100, 2.5, 5.0)
    assert rollout.shares == [("a", 74), ("c", 26)]


def test_a_changed_percent_is_followed() -> None:
    rollout = Rollout()
    rollout.move("a", 100, 0.0, 5.0)
    rollout.move("b", 100, 0.0, 5.0)
    rollout.move("b", 50, 0.5, 5.0)
    assert rollout.shares == [("a", 49), ("b", 1)]
    rollout.move("b", 80, 0.5, 5.0)
    assert rollout.shares == [("a", 49), ("b", 31)]
    rollout.move("b", 1, 0.5, 5.0)
    assert rollout.shares == [("b", 1)]


@given(
    st.lists(st.tuples(st.sampled_from("abcd"), st.integers(0, 100), st.floats(0, 3)), max_size=30), st.floats(0, 20)
)
def test_the_shares_add_up_to_the_percent_and_the_latest_is_last(
    changes: list[tuple[str, int, float]], duration: float
) -> None:
    rollout, now = Rollout(), 0.0
    for latest, percent, passed in changes:
        now += passed
        rollout.move(latest, percent, now, duration)
        assert sum(share for _, share in rollout.shares) == percent
        assert rollout.shares[-1][0] == latest
        assert all(share > 0 for _, share in rollout.shares) or len(rollout.shares) == 1
