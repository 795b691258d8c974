"""A load that is missed or exceeded is reported with its reason; one that is held is not."""

from __future__ import annotations

import pytest

from functions.stress.deviation import NO_CORE, QUOTA, START, Evidence, excess, shortfall, unreached
from functions.stress.plan import MEBI, Plan, Pressure


def missed(load: float, achieved: float, evidence: Evidence, seconds: float = 10.0, cores: int = 1) -> str | None:
    """The reason for a burn of one or more cores."""
    plan = Plan(seconds, load, "core", cores, load / 100)
    used = {"load": achieved, "cpu_seconds": seconds * cores * achieved / 100}
    found = shortfall(plan, used, evidence)
    if found is None:
        return None
    assert found["missing_cpu_seconds"] == pytest.approx(seconds * cores * (load - achieved) / 100)
    assert found["detail"]
    return str(found["reason"])


FREE = Evidence(2.0, 0.0, 0.0)


@pytest.mark.parametrize(
    ("load", "achieved", "short"),
    [
        (100, 99, False),
        (100, 98.99, True),
        (80, 79.001, False),
        (80, 78.9, True),
        (10, 9.8, False),
        (10, 9.79, True),
        (1, 0.981, False),
        (1, 0.97, True),
        (50, 50.3, False),
        (0, 0, False),
    ],
)
def test_more_than_a_point_or_two_percent_is_short(load: float, achieved: float, short: bool) -> None:
    assert (missed(load, achieved, FREE) is not None) is short


def test_the_reason_is_what_the_kernel_counted() -> None:
    assert missed(100, 60, Evidence(2.0, 3.0, 0.5)) == QUOTA
    assert missed(100, 60, Evidence(0.5, None, None)) == QUOTA, "more than the quota cannot be had"
    assert missed(100, 60, Evidence(2.0, 0.0, 3.9)) == NO_CORE
    assert missed(100, 60, Evidence(2.0, None, 2.1)) == NO_CORE
    assert missed(100, 60, Evidence(2.0, None, None)) == NO_CORE
    assert missed(100, 90, Evidence(2.0, 0.0, 0.0), seconds=0.1) == START


def test_nothing_to_burn_is_never_short() -> None:
    plan = Plan(0.0, 100.0, "core", 1, 1.0, wait=1.0)
    assert shortfall(plan, {"load": 0.0, "cpu_seconds": 0.0}, FREE) is None
    assert excess(plan, {"load": 0.0, "cpu_seconds": 0.0}) is None


@pytest.mark.parametrize(
    ("load", "achieved", "over"),
    [(100, 100, False), (80, 80.9, False), (80, 81.1, True), (10, 10.19, False), (10, 10.21, True), (1, 0.5, False)],
)
def test_more_than_a_point_or_two_percent_above_is_over(load: float, achieved: float, over: bool) -> None:
    plan = Plan(10.0, load, "core", 2, load / 100)
    found = excess(plan, {"load": achieved, "cpu_seconds": 10.0 * 2 * achieved / 100})
    assert (found is not None) is over
    if found:
        assert (found["requested"], found["achieved"], found["reason"]) == (load, achieved, START)
        assert found["extra_points"] == pytest.approx(achieved - load)
        assert found["extra_cpu_seconds"] == pytest.approx(0.2 * (achieved - load))
        assert shortfall(plan, {"load": achieved, "cpu_seconds": 0.2 * achieved}, FREE) is None


def test_a_burn_that_became_longer_is_over_by_its_cpu_time() -> None:
    found = excess(Plan(0.001, 100.0, "core", 1, 1.0), {"load": 100.0, "cpu_seconds": 0.015})
    assert found is not None
    assert (found["extra_points"], found["extra_cpu_seconds"]) == (0, 0.014)


MEMORY = Pressure(100 * MEBI, 2.0)
LEAK = Pressure(100 * MEBI, 2.0, leak=10.0 * MEBI)
RATES = Pressure(hold=2.0, disk=10.0 * MEBI, network=5.0 * MEBI)


@pytest.mark.parametrize(
    ("pressure", "memory", "disk", "network", "detail"),
    [
        (MEMORY, 100, 0, 0, None),
        (MEMORY, 90, 0, 0, "memory: 90 of 100 MiB within 2 s"),
        (LEAK, 18, 0, 0, None),
        (LEAK, 9, 0, 0, "memory: 9 of 20 MiB within 2 s"),
        (RATES, 0, 19, 10, None),
        (RATES, 0, 8, 3, "disk: 8 of 20 MiB, network: 3 of 10 MiB within 2 s"),
    ],
)
def test_memory_disk_and_network_that_were_not_reached_are_short(
    pressure: Pressure, memory: int, disk: int, network: int, detail: str | None
) -> None:
    plan = Plan(0.0, 100.0, "core", 1, 1.0, pressure)
    found = unreached(plan, {"load": 0.0, "memory_mb": memory, "disk_mb": disk, "network_mb": network})
    assert (found and found["detail"]) == detail
    assert unreached(Plan(1.0, 50.0, "core", 1, 0.5), {"load": 50.0}) is None
