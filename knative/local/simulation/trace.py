"""A trace of a Service on a real Knative, and how far a simulated or a local run agrees with it.

The file is JSON: `service` (containerConcurrency, target-utilization-percentage, window, max-scale, other autoscaling
annotations by their short names, and each_request_holds_s) and `changes`, rows of t (seconds), want (clients in closed
loop), desired and actual (pods), one at each change of any of them.
"""

from __future__ import annotations

import json
import math
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from knative.local.autoscaler.decision import TICK_SECONDS
from knative.local.autoscaler.spec import PREFIX, ScalingSpec
from knative.local.jsontypes import JsonObject
from knative.local.manifests.annotations import ANNOTATIONS
from knative.local.simulation.arrivals import Profile
from knative.local.simulation.simulator import simulate
from knative.local.simulation.world import Outcome, Phases, World

_POLL_SECONDS = 0.7  # how late a poll may see a change
_DEFAULT_COLD_START_SECONDS = 1.5
_TAIL_SECONDS = 5.0


class TraceError(ValueError):
    """A file that is no trace."""


@dataclass(frozen=True)
class Change:
    """The state from `at` (seconds) on: clients, and pods desired and ready."""

    at: float
    clients: float
    desired: int
    actual: int


@dataclass(frozen=True)
class Trace:
    """A trace; see the module's first lines."""

    annotations: Mapping[str, str]
    container_concurrency: int
    service_seconds: float
    changes: Sequence[Change]

    @classmethod
    def read(cls, path: Path) -> Trace:
        """Read a trace.

        Raises:
            TraceError: the file cannot be read or lacks a member.
        """
        try:
            content: JsonObject = json.loads(path.read_text())
            service = content["service"]
            known = {annotation.name for annotation in ANNOTATIONS}
            return cls(
                annotations={PREFIX + key: str(value) for key, value in service.items() if key in known},
                container_concurrency=int(service.get("containerConcurrency", 0)),
                service_seconds=float(service["each_request_holds_s"]),
                changes=tuple(
                    Change(float(row["t"]), float(row["want"]), int(row["desired"]), int(row["actual"]))
                    for row in content["changes"]
                ),
            )
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise TraceError(f"{path}: {type(error).__name__}: {error}") from None

    @property
    def duration(self) -> float:
        """Seconds from 0 to a little after the last change."""
        return math.ceil(self.changes[-1].at + _TAIL_SECONDS)

    def at(self, now: float) -> Change:
        """The state at `now`; before the first change it is that of the first."""
        index = bisect_right([change.at for change in self.changes], now) - 1
        return self.changes[max(index, 0)]

    def clients(self) -> Profile:
        """Clients over time; a change happened half a poll before it was seen, on average."""
        changes = [(max(0.0, change.at - _POLL_SECONDS / 2), change.clients) for change in self.changes]
        return Profile.steps(changes, self.duration)

    def cold_start(self) -> float:
        """Seconds from a rise of desired to the rise of actual that meets it; the median over the trace."""
        lags = []
        for before, change in zip(self.changes, self.changes[1:], strict=False):
            if change.desired <= before.desired:
                continue
            for later in self.changes:
                if later.at >= change.at and later.actual >= change.desired:
                    lags.append(later.at - change.at)
                    break
        return median(lags) if lags else _DEFAULT_COLD_START_SECONDS

    def tick_phase(self) -> float:
        """When within two seconds the autoscaler ticked, from the changes that only a tick can make.

        A poll sees a change up to 0.7 s late, so the circular mean of the changes is half of that after the tick.
        A wake from zero does not wait for a tick and is left out.
        """
        x = y = 0.0
        for before, change in zip(self.changes, self.changes[1:], strict=False):
            if change.desired != before.desired and before.desired > 0:
                angle = 2 * math.pi * change.at / TICK_SECONDS
                x += math.cos(angle)
                y += math.sin(angle)
        if not (x or y):
            return Phases().tick
        return (math.atan2(y, x) / (2 * math.pi) * TICK_SECONDS - _POLL_SECONDS / 2) % TICK_SECONDS

    def world(self, *, report_first: bool = False) -> World:
        """The trace's Service under its clients, its control plane's clocks in step with the trace's.

        Args:
            report_first: whether the activator's report of a second comes before a tick in it. A trace does not
                say; it matters only where the panic window is one bucket.
        """
        tick = self.tick_phase()
        # Relative to the turn of the second the order is what counts, so time is laid so that the tick falls
        # in the middle of one.
        scrape = (tick + 0.05) % 1.0
        report = (tick - 0.25) % 1.0 if report_first else (tick + 0.3) % 1.0
        return World(
            spec=ScalingSpec.of(self.annotations, container_concurrency=self.container_concurrency),
            offered=self.clients(),
            closed=True,
            service_seconds=self.service_seconds,
            container_concurrency=self.container_concurrency,
            cold_start_seconds=self.cold_start(),
            phases=Phases(tick=tick, scrape=scrape, report=report),
        )


def agreement(trace: Trace, desired: Sequence[int]) -> float:
    """Share of the trace's seconds at which as many pods were desired; `desired` is one value a second from 0."""
    seconds = min(int(trace.duration), len(desired))
    return sum(desired[second] == trace.at(float(second)).desired for second in range(seconds)) / seconds


def replay(trace: Trace) -> tuple[Outcome, float]:
    """Simulate a trace's arrivals: the outcome and its agreement, of the two orders of report and tick the better."""
    outcomes = [simulate(trace.world(report_first=report_first)) for report_first in (False, True)]
    rated = [(outcome, agreement(trace, outcome.desired_each_second())) for outcome in outcomes]
    return max(rated, key=lambda pair: pair[1])
