"""From parameters to a plan: what is not asked for has a sensible value, and every cap says its name."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from functions.kit.http.options import parse_options
from functions.kit.http.problems import Problem
from functions.kit.http.settings import load
from functions.stress.plan import MEBI, Plan, Room, StressSettings, decide
from functions.stress.request import PARAMETERS

NOTHING: dict[str, Any] = parse_options(PARAMETERS, [])
SETTINGS = load(StressSettings, "stress", {})
ROOM = Room(quota=2.0, memory_free=1024 * MEBI, memory_total=None)


def plan(room: Room = ROOM, settings: StressSettings = SETTINGS, **options: Any) -> Plan:
    return decide({**NOTHING, **options}, room, settings)


def refused(room: Room = ROOM, settings: StressSettings = SETTINGS, **options: Any) -> Problem:
    with pytest.raises(Problem) as caught:
        plan(room, settings, **options)
    return caught.value


def test_the_default_is_one_core_for_ten_seconds() -> None:
    assert plan() == Plan(10.0, 100.0, "core", 1, 1.0)


@pytest.mark.parametrize("options", [{"sleep_ms": 500.0}, {"memory_mb": 10, "hold": 1.0}, {"jitter_ms": 5.0}])
def test_only_a_wait_or_memory_burns_nothing(options: dict[str, Any]) -> None:
    assert plan(**options).seconds == 0
    assert plan(**options).cpu_seconds == 0


@pytest.mark.parametrize("options", [{"load": 50.0}, {"load": 100.0}, {"cores": 2}, {"relative_to": "quota"}])
def test_a_load_named_beside_a_wait_is_burnt(options: dict[str, Any]) -> None:
    assert plan(sleep_ms=100.0, **options).seconds == 10
    assert plan(sleep_ms=100.0, **options).cpu_seconds > 0


def test_there_is_nothing_to_hold_without_memory() -> None:
    assert "memory_mb" in refused(hold=0.2).detail


def test_the_default_length_keeps_the_cap() -> None:
    assert plan(settings=load(StressSettings, "stress", {"STRESS_MAX_SECONDS": "3"})).seconds == 3


def test_relative_to_the_quota_is_spread_over_its_cores() -> None:
    decided = plan(Room(1.5, 2**30), load=50.0, relative_to="quota", seconds=4.0)
    assert (decided.cores, decided.share) == (2, pytest.approx(0.375))
    assert decided.cpu_seconds == pytest.approx(0.5 * 1.5 * 4)


@given(st.floats(0.01, 64), st.floats(0, 100))
def test_relative_to_the_quota_never_asks_more_than_a_core_of_a_process(quota: float, percent: float) -> None:
    decided = plan(Room(quota, 2**30), load=percent, relative_to="quota", seconds=1.0)
    assert 0 <= decided.share <= 1
    assert decided.share * decided.cores == pytest.approx(percent / 100 * quota)


def test_too_few_cores_for_a_share_of_the_quota() -> None:
    problem = refused(Room(4.0, 2**30), load=80.0, relative_to="quota", cores=2)
    assert problem.status == 400
    assert "ask for 4 cores" in problem.detail


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"seconds": 60.5}, "STRESS_MAX_SECONDS"),
        ({"memory_mb": 1, "hold": 61.0}, "STRESS_MAX_SECONDS"),
        ({"sleep_ms": 61_000.0}, "STRESS_MAX_SECONDS"),
        ({"cores": 3}, "the CPU quota of 2, rounded up"),
    ],
)
def test_caps_are_named_with_limit_and_actual(options: dict[str, Any], said: str) -> None:
    problem = refused(**options)
    assert (problem.status, problem.slug) == (400, "bad-option")
    assert said in problem.detail
    assert problem.extensions["actual"] > problem.extensions["limit"]


def test_a_fraction_of_a_core_is_rounded_up() -> None:
    assert plan(Room(0.2, 2**30), cores=1).cores == 1
    assert refused(Room(0.2, 2**30), cores=2).status == 400


def test_cores_from_the_settings() -> None:
    settings = load(StressSettings, "stress", {"STRESS_MAX_CORES": "1"})
    assert "STRESS_MAX_CORES" in refused(settings=settings, cores=2).detail
    assert plan(Room(8.0, 2**30), settings, relative_to="quota", load=10.0).cores == 1


def test_memory_is_half_of_what_is_free_and_may_come_later() -> None:
    assert plan(memory_mb=512).pressure.memory == 512 * MEBI
    problem = refused(memory_mb=513)
    assert (problem.status, problem.headers["Retry-After"]) == (503, "5")


def test_memory_beyond_half_of_the_limit_never_comes() -> None:
    assert refused(Room(1.0, 800 * MEBI, 1000 * MEBI), memory_mb=501).status == 400
    settings = load(StressSettings, "stress", {"STRESS_MAX_MEMORY_MB": "64"})
    assert "STRESS_MAX_MEMORY_MB" in refused(settings=settings, memory_mb=65).detail


def test_memory_is_held_as_long_as_the_burn() -> None:
    assert plan(memory_mb=1, seconds=3.0).pressure.hold == 3
    assert plan(memory_mb=1, seconds=3.0, hold=5.0).duration == 5


def test_jitter_is_the_same_for_the_same_seed() -> None:
    waits = [plan(sleep_ms=100.0, jitter_ms=50.0, seed=seed).wait for seed in (7, 7, 8)]
    assert waits[0] == waits[1] != waits[2]
    assert all(0.1 <= wait <= 0.15 for wait in waits)
    assert len({plan(jitter_ms=50.0).wait for _ in range(5)}) == 5, "without a seed it differs"


def test_the_answer_repeats_what_was_understood() -> None:
    asked = plan(seconds=2.0, load=50.0, memory_mb=3, sleep_ms=20.0).asked()
    assert asked == {
        "seconds": 2.0,
        "load": 50.0,
        "mean_load": 50.0,
        "profile": "constant",
        "relative_to": "core",
        "cores": 1,
        "cpu_seconds": 1.0,
        "memory_mb": 3,
        "hold": 2.0,
        "leak_mb_s": 0.0,
        "touch": False,
        "disk_mb_s": 0.0,
        "network_mb_s": 0.0,
        "sleep_ms": 20.0,
        "nice": 10,
    }
