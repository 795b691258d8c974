"""A gradual rollout: traffic moves from older revisions to the latest one step by step. Pure.

Follows knative/serving, pkg/reconciler/route/traffic/rollout.go, for one Service; times are seconds.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

from knative.local.manifests import grammar

_LEAST_STEP_SECONDS = 1.0


class Rollout:
    """The revisions that share the traffic of `latestRevision`.

    Attributes:
        shares: Name and percent of each revision, the oldest first; the last one is the latest.
        next_step: When more traffic moves; None outside a rollout.
    """

    def __init__(self) -> None:
        self.shares: list[tuple[str, int]] = []
        self.next_step: float | None = None
        self._step_seconds = 0.0
        self._step_size = 0

    @property
    def done(self) -> bool:
        """Whether one revision has all of the traffic."""
        return len(self.shares) < 2

    def move(self, latest: str, percent: int, now: float, duration: float) -> None:
        """Bring the shares into line with what is wanted now.

        Args:
            latest: The latest ready revision.
            percent: Of the Service's traffic, for `latestRevision`.
            now: Seconds.
            duration: Of a whole rollout; 0 moves all at once.
        """
        if duration < 1 or percent <= 1 or not self.shares:
            self._settle(latest, percent)
            return
        self._adjust(percent)
        if not self.shares or (self.shares[-1][0] == latest and self.done):
            self._settle(latest, percent)
        elif self.shares[-1][0] == latest:
            self._step(percent, now)
        else:
            self._begin(latest, percent, now, duration)

    def _settle(self, latest: str, percent: int) -> None:
        self.shares = [(latest, percent)]
        self.next_step = None

    def _adjust(self, percent: int) -> None:
        """Follow a changed percent: more goes to the latest, less comes off the oldest."""
        difference = percent - sum(share for _, share in self.shares)
        if difference > 0:
            name, share = self.shares[-1]
            self.shares[-1] = (name, share + difference)
        while difference < 0 and self.shares:
            name, share = self.shares.pop(0)
            if share > -difference:
                self.shares.insert(0, (name, share + difference))
                break
            difference += share

    def _begin(self, latest: str, percent: int, now: float, duration: float) -> None:
        """Give the new revision one per cent, of the newest that has any, and plan the rest."""
        for index in range(len(self.shares) - 1, -1, -1):
            name, share = self.shares[index]
            if share > 0:
                self.shares[index] = (name, share - 1)
                break
        self.shares = [(name, share) for name, share in self.shares if share > 0] + [(latest, 1)]
        remaining = percent - 1
        seconds = max(1.0, duration - _LEAST_STEP_SECONDS)
        steps = min(max(1.0, seconds / _LEAST_STEP_SECONDS), remaining)
        self._step_size = math.floor(remaining / steps + 0.5)
        self._step_seconds = seconds / steps
        self.next_step = now + self._step_seconds
        if self.done:
            self._settle(latest, percent)

    def _step(self, percent: int, now: float) -> None:
        if self.next_step is None or now < self.next_step:
            return
        latest, share = self.shares[-1]
        older = self.shares[:-1]
        remaining = self._step_size
        while remaining > 0 and older:
            name, held = older.pop()
            if held > remaining:
                older.append((name, held - remaining))
                break
            remaining -= held
        self.shares = [*older, (latest, min(share + self._step_size, percent))]
        self.next_step = None if self.done else now + self._step_seconds


def rollout_seconds(annotations: Mapping[str, str]) -> float:
    """The duration of rollouts that a Service's annotations give, in whole seconds; 0 for none."""
    for key in ("serving.knative.dev/rollout-duration", "serving.knative.dev/rolloutDuration"):
        if annotations.get(key):
            return float(grammar.parse_duration(annotations[key]) // grammar.SECOND)
    return 0.0
