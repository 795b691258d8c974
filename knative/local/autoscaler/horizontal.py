"""The decision of Kubernetes' HorizontalPodAutoscaler, which scales Services of the class hpa by CPU or memory. Pure.

Follows kubernetes/kubernetes pkg/controller/podautoscaler: the ratio of use to target with a tolerance of 10 %, the
default policies of growth, and stabilization windows; Knative sets both windows by the annotation `window`.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

SYNC_SECONDS = 15.0
TARGET_PERCENT = 80.0  # of the CPU that a pod requests, where no target is given
_TOLERANCE = 0.1
_DOWN_SECONDS = 300.0
_MOST_PODS_AT_ONCE = 4


@dataclass(frozen=True, kw_only=True)
class HorizontalSpec:
    """How a revision scales.

    Attributes:
        metric: `cpu` (per cent of the request) or `memory` (MiB a pod).
        target: In the metric's unit.
        minimum, maximum: Pods; a maximum of 0 is no limit.
        window: Stabilization window of both directions, seconds; None for Kubernetes' defaults.
    """

    metric: str = "cpu"
    target: float = TARGET_PERCENT
    minimum: int = 1
    maximum: int = 0
    window: float | None = None


class HorizontalAutoscaler:
    """The recommendations of the last minutes, and what they come to."""

    def __init__(self, spec: HorizontalSpec) -> None:
        self.spec = spec
        self._recommended: deque[tuple[float, int]] = deque()

    def decide(self, now: float, replicas: int, used: Sequence[float]) -> tuple[int, str]:
        """Decide.

        Args:
            now: Seconds.
            replicas: Pods asked for by now.
            used: Use of each ready pod, in the metric's unit.

        Returns:
            Pods, and an explanation.
        """
        spec = self.spec
        if not used or not replicas:
            return max(replicas, spec.minimum), f"no use of {spec.metric} has been measured yet"
        if not (math.isfinite(spec.target) and spec.target > 0):
            return max(replicas, spec.minimum), "the target is no number to scale by"
        average = sum(used) / len(used)
        ratio = average / spec.target
        recommended = replicas if abs(1.0 - ratio) <= _TOLERANCE else math.ceil(ratio * len(used))
        recommended = self._bounded(recommended)
        desired = self._bounded(min(self._stabilized(now, recommended, replicas), self._most(replicas)))
        unit = "%" if spec.metric == "cpu" else " MiB"
        text = f"{spec.metric} {average:.0f}{unit} a pod / target {spec.target:.0f}{unit} → {recommended}"
        return desired, text if desired == recommended else f"{text}; the stabilization window holds {desired}"

    def _bounded(self, pods: int) -> int:
        pods = max(pods, self.spec.minimum, 1)
        return min(pods, self.spec.maximum) if self.spec.maximum else pods

    @staticmethod
    def _most(replicas: int) -> int:
        """Pods that growth allows in one period: twice as many, or four more."""
        return max(2 * replicas, replicas + _MOST_PODS_AT_ONCE)

    def _stabilized(self, now: float, recommended: int, replicas: int) -> int:
        """The recommendation that holds: for growth the least of its window, for shrinking the greatest."""
        up = self.spec.window or 0.0
        down = _DOWN_SECONDS if self.spec.window is None else self.spec.window
        if not self._recommended:
            self._recommended.append((now, replicas))  # what is there is the first recommendation
        self._recommended.append((now, recommended))
        while self._recommended[0][0] < now - max(up, down):
            self._recommended.popleft()
        least = min([pods for at, pods in self._recommended if at > now - up] or [recommended])
        greatest = max([pods for at, pods in self._recommended if at > now - down] or [recommended])
        return min(max(replicas, least), greatest) if least <= greatest else replicas
