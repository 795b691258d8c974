"""The HorizontalPodAutoscaler's decision, by the cases of its documentation and source."""

from __future__ import annotations

import pytest

from knative.local.autoscaler.horizontal import HorizontalAutoscaler, HorizontalSpec
from knative.local.autoscaler.spec import PREFIX, ScalingSpec


@pytest.mark.parametrize(
    ("spec", "replicas", "used", "desired"),
    [
        # Kubernetes' own example: 200 of 100 doubles the pods, 50 of 100 halves them.
        (HorizontalSpec(target=100, window=0), 2, [200, 200], 4),
        (HorizontalSpec(target=100, window=0), 4, [50, 50, 50, 50], 2),
        # Within 10 % nothing changes.
        (HorizontalSpec(target=50, window=0), 3, [54, 54, 54], 3),
        (HorizontalSpec(target=50, window=0), 3, [46, 46, 46], 3),
        (HorizontalSpec(target=50, window=0), 3, [56, 56, 56], 4),
        # Never below one pod, never beyond the bounds.
        (HorizontalSpec(target=50, window=0), 2, [0, 0], 1),
        (HorizontalSpec(target=50, window=0, minimum=2), 3, [1, 1, 1], 2),
        (HorizontalSpec(target=50, window=0, maximum=5), 4, [400, 400, 400, 400], 5),
        # Growth in one period: twice as many, or four more.
        (HorizontalSpec(target=10, window=0), 1, [1000], 5),
        (HorizontalSpec(target=10, window=0), 10, [1000] * 10, 20),
        # Shrinking waits for five minutes unless a window says otherwise.
        (HorizontalSpec(target=100), 4, [50, 50, 50, 50], 4),
        (HorizontalSpec(target=50), 2, [], 2),
        (HorizontalSpec(target=float("nan")), 2, [50, 50], 2),
        (HorizontalSpec(target=0), 2, [50, 50], 2),
    ],
)
def test_a_decision(spec: HorizontalSpec, replicas: int, used: list[float], desired: int) -> None:
    autoscaler = HorizontalAutoscaler(spec)
    assert autoscaler.decide(1000.0, replicas, used)[0] == desired


def test_a_lower_number_has_to_last_for_the_window() -> None:
    autoscaler = HorizontalAutoscaler(HorizontalSpec(target=50))
    assert autoscaler.decide(0.0, 2, [100, 100])[0] == 4
    held, text = autoscaler.decide(15.0, 4, [10] * 4)
    assert (held, "the stabilization window holds 4" in text) == (4, True)
    assert autoscaler.decide(299.0, 4, [10] * 4)[0] == 4
    assert autoscaler.decide(316.0, 4, [10] * 4)[0] == 1


def test_a_window_holds_growth_back_too() -> None:
    autoscaler = HorizontalAutoscaler(HorizontalSpec(target=50, window=60.0))
    assert autoscaler.decide(0.0, 2, [50, 50])[0] == 2
    assert autoscaler.decide(15.0, 2, [200, 200])[0] == 2
    assert autoscaler.decide(75.0, 2, [200, 200])[0] == 6


def test_the_class_is_read_from_the_annotations_and_never_reaches_zero() -> None:
    given = {"class": "hpa.autoscaling.knative.dev", "metric": "cpu", "target": "50", "max-scale": "6"}
    spec = ScalingSpec.of({PREFIX + name: value for name, value in given.items()})
    assert spec.horizontal == HorizontalSpec(metric="cpu", target=50.0, minimum=1, maximum=6)
    assert spec.min_scale == 1
    assert ScalingSpec.of({}).horizontal is None
