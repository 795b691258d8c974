"""The steps to zero: each case of `TestScaler` and `TestDisableScaleToZero` in Knative's scaler_test.go (98e5ef9).

A row states what the revision was when the autoscaler's wish came, and what is then wanted, whether the pods are
changed, and whether the revision is looked at again by itself. Numbers are seconds: the tests there use a grace period
of 60, a window of 300, and a progress deadline of 121, after which an activation has 30 more.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest

from knative.local.autoscaler.decision import Autoscaler
from knative.local.autoscaler.scaler import Condition, scale_step
from knative.local.autoscaler.spec import ScalingSpec

GRACE, WINDOW, OWN_WINDOW, DEADLINE, BUFFER = 60.0, 300.0, 45.0, 121.0, 30.0


def never() -> bool:
    raise AssertionError("the activator is asked")


def broken() -> bool:
    raise OSError("no route to it")


@dataclass(frozen=True)
class Case:
    """One row.

    Attributes:
        wish: Pods that the autoscaler wants, -1 without metrics.
        pods: Pods that there are.
        state: The Active condition: `active`, `inactive` or `activating`.
        since: For how long it has been that.
        want: Pods that are wanted then, -1 for unknown.
        change: Whether the pods are changed.
        again: Whether it is looked at again by itself.
        probe: What the activator answers.
        proxied: For how long the activator has been in the path.
        reachable: False where no traffic leads to it.
        initialized: Whether it once had its initial scale.
        more: Fields of the spec.
    """

    name: str
    pods: int
    wish: int
    want: int
    change: bool
    again: bool = False
    state: str = "active"
    since: float = 0.0
    probe: Callable[[], bool] = lambda: True
    proxied: float = 0.0
    reachable: bool = True
    initialized: bool = False
    more: dict[str, Any] = field(default_factory=dict)


def row(name: str, pods: int, wish: int, want: int, change: bool, **more: Any) -> Case:
    known = {key: more.pop(key) for key in list(more) if key in Case.__dataclass_fields__}
    return Case(name, pods, wish, want, change, **known, more=more)


OWN = {"stable_window": OWN_WINDOW}
CASES = [
    row("idle, a second before the window ends", 1, 0, 1, False, since=WINDOW - 1, again=True),
    row("idle, a second before its own window ends", 1, 0, 1, False, since=OWN_WINDOW - 1, again=True, **OWN),
    row("idle, its own window is shorter than the cluster's", 1, 0, 0, False, since=WINDOW, **OWN),
    row("ten pods, one is kept until the window ends", 10, 0, 1, True, since=WINDOW - 1, again=True),
    row("idle for a window: inactive first", 1, 0, 0, False, since=WINDOW),
    row("idle for a window, the activator in the path", 1, 0, 0, False, since=WINDOW, proxied=1.0, again=True),
    row("idle for its own window", 1, 0, 0, False, since=OWN_WINDOW, **OWN),
    row("inactive for the grace period, its own retention is 0", 1, 0, 0, True, state="inactive", since=GRACE),
    row(
        "inactive for the grace period, retained for longer",
        *(1, 0, 0, False),
        state="inactive",
        since=GRACE,
        again=True,
        pod_retention=2 * GRACE,
    ),
    row(
        "inactive for grace period and retention",
        *(1, 0, 0, True),
        state="inactive",
        since=GRACE,
        pod_retention=GRACE,
    ),
    row("inactive for the grace period", 1, 0, 0, True, state="inactive", since=GRACE),
    row(
        "inactive, a second before the grace period ends", 1, 0, 0, False, state="inactive", since=GRACE - 1, again=True
    ),
    row(
        "the activator in the path for a second less than the grace period",
        *(1, 0, 0, False),
        state="inactive",
        since=GRACE - 1,
        proxied=GRACE - 1,
        again=True,
    ),
    row(
        "retention over, the activator in the path for the grace period",
        *(1, 0, 0, True),
        state="inactive",
        since=GRACE - 1,
        proxied=GRACE,
        pod_retention=42.0,
    ),
    row(
        "the activator in the path for the grace period",
        *(1, 0, 0, True),
        state="inactive",
        since=GRACE - 1,
        proxied=GRACE,
    ),
    row(
        "always behind the activator, which is not asked",
        *(1, 0, 0, True),
        state="inactive",
        since=GRACE,
        probe=never,
        target_burst_capacity=-1.0,
    ),
    # Knative asks again in the background, and looks when that is done.
    row("the activator cannot be asked", 1, 0, 0, False, state="inactive", since=GRACE, probe=broken, again=True),
    row("another answers", 1, 0, 0, False, state="inactive", since=GRACE, probe=lambda: False, again=True),
    row("activating", 1, 0, -1, False, state="activating", since=(DEADLINE + BUFFER) / 2, again=True),
    row("activating for too long", 1, 0, 0, True, state="activating", since=DEADLINE + BUFFER + 1),
    row(
        "activating for longer than its own deadline",
        *(1, 0, 0, True),
        state="activating",
        since=5 + BUFFER + 1,
        activation_timeout=5 + BUFFER,
    ),
    row("min-scale before the grace period ends", 10, 0, 2, True, state="inactive", since=GRACE - 1, min_scale=2),
    row("min-scale after the grace period", 10, 0, 2, True, state="inactive", since=GRACE, min_scale=2),
    row(
        "unreachable: retention does not count",
        *(1, 0, 0, True),
        state="inactive",
        since=GRACE,
        reachable=False,
        pod_retention=10 * GRACE,
    ),
    row(
        "unreachable: the grace period does",
        *(1, 0, 0, False),
        state="inactive",
        since=GRACE - 1,
        reachable=False,
        again=True,
        pod_retention=10 * GRACE,
    ),
    row(
        "unreachable: min-scale does not count",
        *(10, 0, 0, True),
        state="inactive",
        since=GRACE,
        reachable=False,
        min_scale=2,
    ),
    row("min-scale where reachability is unknown", 10, 0, 2, True, state="inactive", since=GRACE, min_scale=2),
    row("up", 1, 10, 10, True),
    row("up to max-scale", 1, 10, 8, True, max_scale=8),
    row("up from inactive", 1, 10, 10, True, state="inactive", since=GRACE / 2),
    row("no metrics at zero", 0, -1, -1, False, state="inactive"),
    row("from zero to one", 0, 1, 1, True),
    row("from zero to many", 0, 10, 10, True),
    row("no metrics while active", 12, -1, -1, False),
    row(
        "initial scale once reached, and idle",
        *(2, 0, 1, True),
        since=120.0,
        again=True,
        initialized=True,
        initial_scale=2,
    ),
    row("initial scale not reached yet", 0, 1, 2, True, state="activating", initial_scale=2),
    row("initial scale just reached", 5, 1, 5, False, state="activating", initial_scale=5),
    row("initial scale of zero", 0, 0, 0, False, state="inactive", again=True, initial_scale=0),
    row(
        "unreachable: initial scale does not count",
        *(2, 0, 1, True),
        since=120.0,
        again=True,
        reachable=False,
        initial_scale=2,
    ),
    row("scale to zero switched off", 10, 0, 1, True, enable_scale_to_zero=False),
    row("scale to zero switched off, and min-scale", 10, 0, 2, True, enable_scale_to_zero=False, min_scale=2),
    row("scale to zero switched off, no metrics", 10, -1, -1, False, enable_scale_to_zero=False),
]


@pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])
def test_a_wish_becomes_pods_as_in_knative(case: Case) -> None:
    values = {"stable_window": WINDOW, "grace_period": GRACE, "activation_timeout": DEADLINE + BUFFER} | case.more
    scale = scale_step(
        ScalingSpec(**values),
        desired=case.wish,
        condition=Condition(case.state),
        condition_for=case.since,
        proxied_for=case.proxied,
        initialized=case.initialized,
        reachable=case.reachable,
        probe=case.probe,
    )
    assert scale.desired == case.want
    assert (scale.apply and scale.desired != case.pods) == case.change
    assert (scale.wake_after is not None) == case.again


@pytest.mark.parametrize(
    ("ready", "stable", "panic"),
    [(None, 5.0, 5.0), (3, None, 5.0), (3, 5.0, None), (3, None, None), (None, None, None)],
)
def test_without_data_or_ready_pods_nothing_is_decided(
    ready: int | None, stable: float | None, panic: float | None
) -> None:
    """As Go's zero value: no pod, not valid, and the panic of before goes on."""
    autoscaler = Autoscaler(ScalingSpec(), ready=4, now=0.0)
    decision = autoscaler.scale(2.0, ready=ready, stable=stable, panic=panic)
    assert (decision.valid, decision.desired, decision.ebc) == (False, 0, 0)
    assert (autoscaler.panic_since, autoscaler.panic_maximum) == (0.0, 4)
