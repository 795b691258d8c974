"""What the command line sets for all revisions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from knative.local.autoscaler.spec import PREFIX, ScalingSpec, panic_window
from knative.local.jsontypes import JsonObject
from knative.local.manifests import grammar


@dataclass(frozen=True, kw_only=True)
class Overrides:
    """What a demonstration may set for all revisions without editing manifests; None keeps the manifest's.

    Attributes:
        window: Stable window, seconds.
        grace: scale-to-zero-grace-period, seconds.
        retention: scale-to-zero-pod-retention-period, seconds.
        initial_scale: Pods a new revision starts with.
        min_scale, max_scale: Bounds.
        target_burst_capacity: Spare requests below which the activator stays in the path.
        reports_first: Let a decision see the reports of its own second. On a cluster the phases of both are chance; it
            matters where the panic window is one bucket, which is empty from the turn of a second to its first report.
    """

    window: float | None = None
    grace: float | None = None
    retention: float | None = None
    initial_scale: int | None = None
    min_scale: int | None = None
    max_scale: int | None = None
    target_burst_capacity: float | None = None
    reports_first: bool = False

    def apply(self, spec: ScalingSpec, annotations: Mapping[str, str]) -> ScalingSpec:
        """The spec with these values in place of the manifest's."""
        changes: JsonObject = {
            name: value
            for name, value in (
                ("grace_period", self.grace),
                ("pod_retention", self.retention),
                ("initial_scale", self.initial_scale),
                ("min_scale", self.min_scale),
                ("max_scale", self.max_scale),
                ("target_burst_capacity", self.target_burst_capacity),
            )
            if value is not None
        }
        if self.window is not None:
            percentage = grammar.parse_float(annotations.get(PREFIX + "panic-window-percentage") or "10")
            changes |= {"stable_window": self.window, "panic_window": panic_window(self.window, percentage)}
        return replace(spec, **changes)
