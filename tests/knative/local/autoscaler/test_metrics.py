"""Windows and counts against their plain definitions; Knative's own cases are in test_kpa_vectors.py."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from knative.local.autoscaler.metrics import ActivatorStats, Report, RequestStats, RevisionMetrics, extrapolate
from knative.local.autoscaler.spec import ScalingSpec
from knative.local.autoscaler.windows import WindowAverage


@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 100)), min_size=1, max_size=60), st.integers(1, 12))
def test_average_is_the_sum_over_the_seconds_since_the_first_write(writes: list[tuple[int, int]], window: int) -> None:
    subject = WindowAverage(window)
    seconds: dict[int, float] = {}
    now = first = 0
    for gap, value in writes:
        if not seconds or gap >= window:
            first = now + gap
        now += gap
        subject.record(now, value)
        seconds[now] = seconds.get(now, 0) + value
        inside = range(max(first, now - window + 1), now + 1)
        want = sum(seconds.get(second, 0) for second in inside) / len(inside)
        assert subject.average(now) == pytest.approx(want, abs=1e-6)


@given(st.lists(st.tuples(st.floats(0.001, 3), st.booleans()), min_size=1, max_size=50))
def test_concurrency_is_the_integral_over_time(events: list[tuple[float, bool]]) -> None:
    stats = RequestStats(0.0)
    now, inside, area, arrived = 0.0, 0, 0.0, 0
    for gap, arrives in events:
        now += gap
        area += inside * gap
        if arrives or not inside:
            stats.enter(now)
            inside += 1
            arrived += 1
        else:
            stats.leave(now)
            inside -= 1
    report = stats.report(now)
    assert report.concurrency == pytest.approx(area / now)
    assert (report.count, stats.in_flight) == (arrived, inside)


def test_the_first_request_is_reported_at_once_and_not_twice() -> None:
    stats = ActivatorStats()
    assert stats.enter(0.5) == Report(concurrency=1.0, count=1.0)
    assert stats.enter(0.5) is None
    assert stats.report(1.5) == Report(concurrency=1.0, count=1.0)
    assert stats.report(2.5) == Report(concurrency=2.0, count=0.0)
    stats.leave(2.5)
    stats.leave(2.5)
    assert stats.report(3.5) == Report()
    assert stats.report(4.5) is None
    assert stats.enter(5.0) is not None


def test_a_request_that_comes_and_goes_within_a_second_is_not_taken_off() -> None:
    stats = ActivatorStats()
    stats.enter(0.0)
    stats.leave(0.1)
    report = stats.report(1.0)
    assert report is not None
    assert report.concurrency == 0.0  # 0.1 on average, of which 1 was announced


def test_what_the_activator_counted_is_counted_once() -> None:
    metrics = RevisionMetrics(ScalingSpec(stable_window=60.0, panic_window=6.0))
    metrics.record(10.0, Report(concurrency=8.0))
    metrics.record(10.0, Report(concurrency=8.0, proxied_concurrency=8.0))
    assert metrics.observe(10.9) == (8.0, 8.0)


def test_rps_counts_arrivals() -> None:
    metrics = RevisionMetrics(ScalingSpec(metric="rps"))
    metrics.record(1.0, Report(concurrency=500.0, count=20.0))
    assert metrics.observe(1.0) == (20.0, 20.0)


def test_silence_means_no_data_unless_the_activator_is_always_in_the_path() -> None:
    assert RevisionMetrics(ScalingSpec()).observe(5.0) == (None, None)
    assert RevisionMetrics(ScalingSpec(target_burst_capacity=-1.0)).observe(5.0) == (0.0, 0.0)


def test_a_sample_represents_all_pods() -> None:
    assert extrapolate([Report(2.0, 10.0, 1.0, 5.0), Report(4.0, 30.0, 3.0, 15.0)], 10) == Report(
        30.0, 200.0, 20.0, 100.0
    )


def test_a_changed_window_keeps_what_it_still_spans() -> None:
    metrics = RevisionMetrics(ScalingSpec(stable_window=10.0, panic_window=2.0))
    for second in range(10):
        metrics.record(float(second), Report(concurrency=float(second)))
    metrics.update(ScalingSpec(stable_window=4.0, panic_window=1.0), 9.0)
    assert metrics.observe(9.0) == (7.5, 9.0)
