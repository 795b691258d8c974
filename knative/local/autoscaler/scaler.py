"""From the autoscaler's wish to the number of pods: bounds, the steps to zero, and what state a revision is in.

Pure; the caller passes the time, the pods and two observations of the world.

    revision = PodAutoscaler(spec, now=now)
    step = revision.reconcile(now, desired=decision.desired, ebc=decision.ebc, ready=2, replicas=3)
    step.replicas          # run this many pods
    step.desired           # what Knative's status would say; -1 while it knows nothing
    step.proxied           # whether the activator is in the path
    step.condition         # inactive, activating, active
    step.wake_after        # look again after so many seconds even if nothing changes, or None
    step.words             # why

Reconcile at each change of desired, of the sign of ebc, of the ready pods, and after `wake_after`.

Source: knative/serving, pkg/reconciler/autoscaling/kpa/scaler.go and kpa.go.
"""

from __future__ import annotations

import enum
from collections.abc import Callable
from dataclasses import dataclass

from knative.local.autoscaler.spec import ScalingSpec

UNKNOWN = -1
PROXY_RECHECK_SECONDS = 3.0
PROBE_RECHECK_SECONDS = 1.0


class Condition(enum.Enum):
    """Knative's Active condition of a PodAutoscaler: False, Unknown, True."""

    INACTIVE = "inactive"
    ACTIVATING = "activating"
    ACTIVE = "active"


@dataclass(frozen=True)
class Scale:
    """What to do about the pods: `desired` of them, to be carried out if `apply`, else looked at again later."""

    desired: int
    apply: bool
    words: str
    wake_after: float | None = None


def active_condition(*, want: int, ready: int, minimum: int, current: Condition) -> Condition:
    """The next Active condition.

    Args:
        want: pods wanted, -1 if unknown.
        ready: pods ready.
        minimum: pods that make a revision active: min-scale or, until it was reached once, initial-scale.
        current: the condition before.
    """
    if want == 0 or minimum == 0:
        return Condition.INACTIVE
    if want < 0 and current is Condition.INACTIVE:
        return Condition.INACTIVE
    return Condition.ACTIVE if ready >= minimum else Condition.ACTIVATING


def bounded(pods: int, minimum: int, maximum: int) -> int:
    """`pods` within [minimum, maximum]; a maximum of 0 is no limit."""
    if pods < minimum:
        return minimum
    return min(pods, maximum) if maximum else pods


def scale_step(
    spec: ScalingSpec,
    *,
    desired: int,
    condition: Condition,
    condition_for: float,
    proxied_for: float,
    initialized: bool,
    reachable: bool,
    probe: Callable[[], bool],
) -> Scale:
    """Turn the autoscaler's wish into pods, holding back the last ones as long as Knative does.

    Args:
        spec: how the revision scales.
        desired: the autoscaler's wish, -1 if it has no data.
        condition: the Active condition, which holds for `condition_for` seconds.
        condition_for: seconds since the condition last changed.
        proxied_for: seconds the activator has been in the path, 0 if it is not.
        initialized: see `PodAutoscaler.initialized`.
        reachable: whether any route leads to the revision.
        probe: asks the activator whether it answers for the revision; an OSError counts as no.
    """
    if desired < 0 and condition is not Condition.ACTIVATING:
        return Scale(desired, apply=False, words="no metrics yet")
    minimum = spec.min_scale if reachable else 0
    if spec.initial_scale > 1 and not initialized and reachable:
        minimum = max(minimum, spec.initial_scale)
    pods = bounded(desired, minimum, spec.max_scale)
    if pods != 0:
        return Scale(pods, apply=True, words=_bounds_words(desired, pods, minimum))
    if not spec.enable_scale_to_zero:
        return Scale(1, apply=True, words="scale to zero is switched off")
    if condition is Condition.ACTIVATING:
        if condition_for >= spec.activation_timeout:
            return Scale(0, apply=True, words=f"not active within {spec.activation_timeout:g} s: given up")
        return Scale(UNKNOWN, apply=False, words="activating", wake_after=spec.activation_timeout - condition_for)
    if condition is Condition.ACTIVE:
        return _leave_active(spec, condition_for, proxied_for)
    return _leave_inactive(spec, condition_for, proxied_for, reachable, probe)


def _bounds_words(desired: int, pods: int, minimum: int) -> str:
    if pods == desired:
        return f"as the autoscaler decides: {pods}"
    if pods == minimum:
        return f"{desired} raised to the minimum of {pods}"
    return f"{desired} lowered to max-scale {pods}"


def _leave_active(spec: ScalingSpec, active_for: float, proxied_for: float) -> Scale:
    remaining = spec.stable_window - active_for
    if remaining > 0:
        return Scale(1, apply=True, words="idle: one pod for the rest of the window", wake_after=remaining)
    return Scale(
        0,
        apply=False,
        words="idle for a window: inactive, the activator takes over",
        wake_after=PROXY_RECHECK_SECONDS if proxied_for > 0 else None,
    )


def _leave_inactive(
    spec: ScalingSpec, inactive_for: float, proxied_for: float, reachable: bool, probe: Callable[[], bool]
) -> Scale:
    if spec.target_burst_capacity != -1 and not _answers(probe):
        return Scale(
            0,
            apply=False,
            words="the activator does not answer for it yet",
            wake_after=PROBE_RECHECK_SECONDS,
        )
    retention = spec.pod_retention if reachable else 0.0
    if inactive_for >= max(spec.grace_period, retention):
        return Scale(0, apply=True, words=f"inactive for {inactive_for:.0f} s: to zero")
    if inactive_for < retention:
        return Scale(0, apply=False, words="the last pod is retained", wake_after=retention - inactive_for)
    if proxied_for >= spec.grace_period:
        return Scale(0, apply=True, words=f"activator in the path for {proxied_for:.0f} s: to zero")
    return Scale(
        0,
        apply=False,
        words="grace period of the last pod",
        wake_after=spec.grace_period - max(proxied_for, inactive_for),
    )


def _answers(probe: Callable[[], bool]) -> bool:
    try:
        return probe()
    except OSError:
        return False


@dataclass(frozen=True)
class Step:
    """Outcome of one reconciliation; see the module's first lines."""

    replicas: int
    desired: int
    proxied: bool
    condition: Condition
    words: str
    wake_after: float | None


def always() -> bool:
    """The probe of a caller whose activator is always there."""
    return True


class PodAutoscaler:
    """The state between reconciliations of one revision: its condition, its first scale, the activator's place.

    Attributes:
        spec: How the revision scales; another one holds from the next reconciliation.
    """

    def __init__(self, spec: ScalingSpec, *, now: float) -> None:
        self.spec = spec
        self._condition = Condition.ACTIVATING if spec.initial_scale > 0 else Condition.INACTIVE
        self._since = now
        self._initialized = False
        self._proxied_since: float | None = now

    def resume(self, *, active: bool) -> None:
        """Go on as a revision that has had its first scale; without traffic it is at zero."""
        self._initialized = True
        if not active:
            self._condition = Condition.INACTIVE

    @property
    def condition(self) -> Condition:
        """The Active condition."""
        return self._condition

    @property
    def initialized(self) -> bool:
        """Whether min-scale and initial-scale, the greater of them, was ready once: no traffic moves to it before."""
        return self._initialized

    @property
    def proxied(self) -> bool:
        """Whether the activator is in the path."""
        return self._proxied_since is not None

    def reconcile(
        self,
        now: float,
        *,
        desired: int,
        ebc: int,
        ready: int,
        replicas: int,
        reachable: bool = True,
        probe: Callable[[], bool] = always,
    ) -> Step:
        """Bring pods, condition and path into line with the last decision.

        Args:
            now: seconds.
            desired: pods of the last valid decision, -1 before the first.
            ebc: its excess burst capacity.
            ready: pods ready now.
            replicas: pods asked for by now, ready or not.
            reachable: whether any route leads to the revision.
            probe: see `scale_step`.
        """
        scale = Scale(UNKNOWN, apply=False, words="")
        # A change of condition is itself a reason to look again, as Knative's status update is: at most
        # activating → active → inactive → zero.
        for _ in range(4):
            scale, changed = self._pass(now, desired, ebc, ready, reachable, probe)
            if scale.apply:
                replicas = scale.desired
            if not changed:
                break
        return Step(
            replicas=replicas,
            desired=scale.desired,
            proxied=self.proxied,
            condition=self._condition,
            words=scale.words,
            wake_after=scale.wake_after,
        )

    def _pass(
        self, now: float, desired: int, ebc: int, ready: int, reachable: bool, probe: Callable[[], bool]
    ) -> tuple[Scale, bool]:
        spec = self.spec
        scale = scale_step(
            spec,
            desired=desired,
            condition=self._condition,
            condition_for=now - self._since,
            proxied_for=0.0 if self._proxied_since is None else now - self._proxied_since,
            initialized=self._initialized,
            reachable=reachable,
            probe=probe,
        )
        serves = scale.desired > 0 and ebc >= 0 and ready > 0
        if serves:
            self._proxied_since = None
        elif self._proxied_since is None:
            self._proxied_since = now
        floor = spec.min_scale if reachable else 0
        minimum = max(floor, 1 if self._initialized else spec.initial_scale)
        if ready >= minimum:
            self._initialized = True
        condition = active_condition(want=scale.desired, ready=ready, minimum=minimum, current=self._condition)
        changed = condition is not self._condition
        if changed:
            self._condition, self._since = condition, now
        return scale, changed
