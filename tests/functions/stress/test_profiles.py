"""Profiles and levels: each is the load over time that its name says, and bad ones are refused by name."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from functions.kit.http.options import parse_options
from functions.kit.http.problems import Problem
from functions.kit.http.settings import load
from functions.stress import profiles
from functions.stress.curve import Curve, constant, parse
from functions.stress.plan import MEBI, Plan, Room, StressSettings, decide
from functions.stress.request import PARAMETERS

SETTINGS = load(StressSettings, "stress", {})


def plan(query: str) -> Plan:
    options = parse_options(PARAMETERS, [tuple(pair.split("=")) for pair in query.split("&")])  # type: ignore[misc]
    return decide(options, Room(2.0, 1024 * MEBI), SETTINGS)


def refused(query: str) -> str:
    with pytest.raises(Problem) as caught:
        plan(query)
    assert caught.value.status == 400
    return caught.value.detail


def percent(made: Plan, second: int) -> float:
    """Mean load of one second."""
    return made.load * (made.curve.used_by(second + 1) - made.curve.used_by(second))


def test_levels_are_held_one_after_the_other() -> None:
    made = plan("levels=10x2s,80x1500ms,20..60x4s")
    assert (made.seconds, made.load) == (7.5, 80)
    assert [percent(made, second) for second in range(2)] == pytest.approx([10, 10])
    assert percent(made, 2) == pytest.approx(80)
    assert made.cpu_seconds == pytest.approx(0.2 + 1.2 + 1.6)
    assert made.mean == pytest.approx(100 * 3.0 / 7.5)


@pytest.mark.parametrize(
    ("query", "truth"),
    [
        ("profile=ramp&load=80&low=20&seconds=6", lambda t: 20 + 60 * (t + 0.5) / 6),
        ("profile=steps&load=80&steps=3&seconds=6", lambda t: 80 * (t // 2 + 1) / 3),
        ("profile=burst&load=90&low=10&period=2&on=50&seconds=6", lambda t: 90 if t % 2 == 0 else 10),
        ("profile=constant&load=50&seconds=6", lambda t: 50),
        (
            "profile=sine&load=80&low=20&period=3&seconds=6",
            lambda t: (
                50 - 30 * 3 / (2 * math.pi) * (math.sin(2 * math.pi * (t + 1) / 3) - math.sin(2 * math.pi * t / 3))
            ),
        ),
    ],
)
def test_a_profile_is_within_half_a_point_of_its_formula_in_each_second(query: str, truth: Any) -> None:
    made = plan(query)
    assert [percent(made, second) for second in range(6)] == pytest.approx([truth(t) for t in range(6)], abs=0.1)


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("levels=10x5s,80x", "level 2, '80x'"),
        ("levels=-10x5s", "level 1, '-10x5s'"),
        ("levels=10x5s,101x2s", "level 2: the limit is 100 %; this asks for 101 %"),
        ("levels=10x0s", "above 0"),
        ("levels=10x5h", "level 1"),
        ("levels=" + ",".join(["1x1ms"] * 501), "the limit is 500 levels; this has 501"),
        ("levels=10x5s&load=5", "leave load out"),
        ("levels=10x5s&seconds=5", "leave seconds out"),
        ("levels=10x5s&profile=ramp", "leave profile out"),
        ("levels=10x61s", "STRESS_MAX_SECONDS"),
        ("profile=ramp&load=20&low=30", "above the load of 20 %"),
        ("profile=saw", "profile"),
        ("low=5", "give profile="),
        ("profile=burst&period=0", "period"),
        ("leak_mb_s=5", "give memory_mb too"),
        ("touch=1", "give memory_mb too"),
        ("disk_mb_s=201", "STRESS_MAX_MB_S"),
        ("network_mb_s=-1", "network_mb_s"),
    ],
)
def test_an_impossible_profile_is_refused_by_name(query: str, said: str) -> None:
    assert said in refused(query)


def test_a_million_levels_are_refused_before_any_is_read() -> None:
    with pytest.raises(Problem, match="1,000,000"):
        profiles.levels(",".join(["junk"] * 1_000_000))


def test_what_is_loaded_besides_the_cpu_burns_nothing() -> None:
    made = plan("disk_mb_s=5&network_mb_s=2&hold=3")
    assert (made.seconds, made.duration) == (0, 3)
    assert (made.pressure.disk, made.pressure.network) == (5 * MEBI, 2 * MEBI)
    assert plan("memory_mb=10&leak_mb_s=5&touch=1&seconds=2&load=10").pressure.leak == 5 * MEBI


points = st.lists(st.tuples(st.floats(0.01, 10), st.floats(0, 1)), min_size=1, max_size=20)


@given(points, st.booleans(), st.floats(0, 300))
def test_a_curve_survives_as_an_argument_and_grows_by_at_most_a_core(
    parts: list[tuple[float, float]], again: bool, at: float
) -> None:
    times = [0.0]
    for gap, _ in parts[1:]:
        times.append(times[-1] + gap)
    pairs = [(time, share) for time, (_, share) in zip(times, parts, strict=True)]
    curve = Curve(pairs, times[-1] if again and times[-1] else 0.0)
    assert parse(curve.text()) == curve
    assert 0 <= curve.used_by(at) <= at + 1e-6
    assert curve.used_by(at) <= curve.used_by(at + 1) + 1e-6
    assert constant(0.3).used_by(10) == pytest.approx(3)
