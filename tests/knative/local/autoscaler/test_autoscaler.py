"""What must hold of every decision, whatever comes in; Knative's own cases are in test_kpa_vectors.py."""

from __future__ import annotations

import itertools
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from knative.local.autoscaler.decision import Autoscaler, Decision, MaxWindow, initial_excess_burst_capacity
from knative.local.autoscaler.scaler import Condition, PodAutoscaler, bounded
from knative.local.autoscaler.spec import ScalingSpec

load = st.floats(min_value=0, max_value=1e6)
history = st.lists(st.tuples(st.integers(0, 500), load, load), min_size=1, max_size=40)


def decisions(spec: ScalingSpec, steps: list[tuple[int, float, float]]) -> list[Decision]:
    autoscaler = Autoscaler(spec, ready=0, now=0)
    return [
        autoscaler.scale(2.0 * number, ready=ready, stable=stable, panic=panic)
        for number, (ready, stable, panic) in enumerate(steps)
    ]


@given(history)
def test_never_shrinks_in_panic(steps: list[tuple[int, float, float]]) -> None:
    made = decisions(ScalingSpec(), steps)
    for before, after in itertools.pairwise(made):
        if before.in_panic and after.in_panic:
            assert after.desired >= before.desired


@given(history, st.floats(1.1, 10), st.floats(1.1, 10))
def test_rates_bound_every_decision_outside_panic(
    steps: list[tuple[int, float, float]], up: float, down: float
) -> None:
    for decision in decisions(ScalingSpec(max_scale_up_rate=up, max_scale_down_rate=down), steps):
        if not decision.in_panic:
            pods = max(1, decision.ready)
            assert math.floor(pods / down) <= decision.desired <= math.ceil(pods * up)


@given(history)
def test_a_delay_only_ever_holds_more(steps: list[tuple[int, float, float]]) -> None:
    plain = decisions(ScalingSpec(), steps)
    delayed = decisions(ScalingSpec(scale_down_delay=10.0), steps)
    for at, (without, held) in enumerate(zip(plain, delayed, strict=True)):
        assert held.desired == max(decision.desired for decision in plain[max(0, at - 4) : at + 1])
        assert held.desired >= without.desired


@given(st.lists(st.integers(0, 100), min_size=1, max_size=200), st.integers(1, 20))
def test_max_window_is_the_maximum_of_its_window(values: list[int], size: int) -> None:
    window = MaxWindow(size)
    for index, value in enumerate(values):
        assert window.record(index, value) == max(values[max(0, index - size + 1) : index + 1])


@given(st.integers(-1, 1000), st.integers(0, 20), st.integers(0, 20))
def test_bounds_hold(pods: int, minimum: int, extra: int) -> None:
    maximum = minimum + extra
    assert minimum <= bounded(pods, minimum, maximum) <= (maximum or max(pods, minimum))


@given(
    st.lists(st.tuples(st.integers(0, 50), st.integers(0, 50), st.floats(0.5, 100)), max_size=60),
    st.integers(0, 3),
    st.integers(0, 5),
)
def test_replicas_stay_within_their_bounds(steps: list[tuple[int, int, float]], minimum: int, extra: int) -> None:
    spec = ScalingSpec(min_scale=minimum, max_scale=minimum + extra)
    revision = PodAutoscaler(spec, now=0.0)
    now, replicas = 0.0, spec.initial_scale
    for desired, ready, passed in steps:
        now += passed
        step = revision.reconcile(now, desired=desired, ebc=-1, ready=min(ready, replicas), replicas=replicas)
        if step.replicas != replicas:
            assert step.replicas >= minimum
            assert not spec.max_scale or step.replicas <= spec.max_scale
        replicas = step.replicas


def test_words_carry_the_numbers() -> None:
    autoscaler = Autoscaler(ScalingSpec(target=7.0, total=10.0), ready=1, now=100.0)
    decision = autoscaler.scale(103.0, ready=1, stable=13.2, panic=28.0)
    assert decision.words(lambda now: f"t={now:g}") == (
        "stable 13.2 / target 7 → 2 pods; panic window 28 → 4; panicking since t=103, never below 4"
    )
    assert decision.as_dict()["in_panic"] is True


@pytest.mark.parametrize(
    ("ready", "stable", "panic"),
    [(0, None, None), (3, None, 1.0), (3, 1.0, None), (None, 1.0, 1.0), (None, None, None)],
)
def test_without_data_or_known_pods_the_decision_is_zero_and_not_valid(
    ready: int | None, stable: float | None, panic: float | None
) -> None:
    autoscaler = Autoscaler(ScalingSpec(), ready=5, now=0.0)
    decision = autoscaler.scale(0.0, ready=ready, stable=stable, panic=panic)
    assert (decision.desired, decision.ebc, decision.valid) == (0, 0, False)
    assert autoscaler.panic_since == 0.0  # it has not been touched


LEAST_INT32 = -(2**31)


@pytest.mark.parametrize(
    ("spec", "desired", "ebc"),
    [
        # As Go computes in float64 and converts to int32 on amd64: NaN and infinities become the least int32.
        (ScalingSpec(target=math.nan, total=math.nan), LEAST_INT32, LEAST_INT32),
        (ScalingSpec(target=math.inf, total=math.inf), 0, LEAST_INT32),
        (ScalingSpec(target_burst_capacity=math.inf), 1, LEAST_INT32),
        (ScalingSpec(target_burst_capacity=math.nan), 1, -1),
        (ScalingSpec(panic_threshold=math.nan), 1, -122),
        (ScalingSpec(max_scale_up_rate=math.inf), 1, -122),
        (ScalingSpec(target=1e308, total=1e308), 1, LEAST_INT32),
    ],
)
def test_numbers_that_are_not_finite_are_decided_as_in_go(spec: ScalingSpec, desired: int, ebc: int) -> None:
    decision = Autoscaler(spec, ready=1, now=0.0).scale(2.0, ready=1, stable=11.0, panic=11.0, reachable=False)
    assert (decision.valid, decision.desired, decision.ebc) == (True, desired, ebc)
    assert decision.words()


def test_steps_to_zero_where_the_activator_was_in_the_path_all_along() -> None:
    revision = PodAutoscaler(ScalingSpec(stable_window=12.0), now=0.0)
    revision.reconcile(1.0, desired=1, ebc=-200, ready=1, replicas=1)
    early = revision.reconcile(8.0, desired=0, ebc=-200, ready=1, replicas=1)
    assert (early.replicas, early.desired, early.condition) == (1, 1, Condition.ACTIVE)
    assert early.wake_after == pytest.approx(5.0)
    late = revision.reconcile(60.0, desired=0, ebc=-200, ready=1, replicas=1)
    assert (late.replicas, late.desired, late.condition, late.proxied) == (0, 0, Condition.INACTIVE, True)


def test_steps_to_zero_wait_for_the_grace_where_the_activator_had_left() -> None:
    revision = PodAutoscaler(ScalingSpec(stable_window=12.0), now=0.0)
    served = revision.reconcile(1.0, desired=4, ebc=10, ready=4, replicas=4)
    assert not served.proxied
    idle = revision.reconcile(60.0, desired=0, ebc=-200, ready=1, replicas=1)
    assert (idle.replicas, idle.proxied, idle.condition) == (1, True, Condition.INACTIVE)
    gone = revision.reconcile(90.0, desired=0, ebc=-200, ready=1, replicas=1)
    assert gone.replicas == 0


def test_a_probe_that_fails_keeps_the_last_pod() -> None:
    def refuses() -> bool:
        raise ConnectionRefusedError

    revision = PodAutoscaler(ScalingSpec(stable_window=12.0), now=0.0)
    revision.reconcile(1.0, desired=1, ebc=-200, ready=1, replicas=1)
    step = revision.reconcile(600.0, desired=0, ebc=-200, ready=1, replicas=1, probe=refuses)
    assert (step.replicas, step.wake_after) == (1, 1.0)


@pytest.mark.parametrize(
    ("burst", "scale", "ebc"),
    [(0.0, 1, 0), (-1.0, 5, -1), (211.0, 1, -111), (211.0, 3, 89), (0.5, 0, 0), (100.5, 1, 0)],
)
def test_before_the_first_decision_spare_capacity_is_that_of_the_initial_scale(
    burst: float, scale: int, ebc: int
) -> None:
    spec = ScalingSpec(target_burst_capacity=burst, initial_scale=scale, total=100.0)
    assert initial_excess_burst_capacity(spec) == ebc
