"""The counts of requests and what is made of them each second: everything the autoscaler looks at.

Pure; every call takes the time, seconds since the epoch of whichever clock the caller lives by.

    stats = RequestStats(now)                    # one in each queue-proxy
    stats.enter(now, proxied=True)               # a request that came through the activator
    stats.leave(now, proxied=True)
    report = stats.report(now)                   # each second

    activator = ActivatorStats()                 # one a revision
    first = activator.enter(now)                 # a Report to record at once if the revision was idle, or None
    report = activator.report(now)               # each second; None while the revision is idle

    metrics = RevisionMetrics(spec)
    metrics.record(now, report)                  # of the activator, and of the pods by sample()
    stable, panic = metrics.observe(now)         # for Autoscaler.scale; None, None without data

Phase matters where a window is one bucket long, as the panic window of a 12 s stable one is: its average is 0 from
the turn of a second until that second's first record. Knative starts a revision's tick, then its scrape, so that a tick
precedes the records of its second; a caller that ticks last would see panics which a cluster does not have.

Sources: knative/serving pkg/autoscaler/aggregation and pkg/autoscaler/metrics, pkg/activator/handler; and
knative/networking pkg/http/stats.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from knative.local.autoscaler.spec import ScalingSpec
from knative.local.autoscaler.windows import WeightedWindowAverage, WindowAverage

SCRAPE_SECONDS = 1.0
REPORT_SECONDS = 1.0

# Squared Student-t of 95 % over a squared relative error of half a deviation: the X of the sample size.
_SAMPLE_FACTOR = 15.3664
_SAMPLE_ALL = 3


@dataclass(frozen=True)
class Report:
    """What one proxy saw over one reporting period.

    Attributes:
        concurrency: mean requests in flight, those from the activator among them.
        count: requests that arrived (per second, if the period is one).
        proxied_concurrency: mean requests in flight that had come through the activator, which counted them.
        proxied_count: requests that arrived through the activator.
    """

    concurrency: float = 0.0
    count: float = 0.0
    proxied_concurrency: float = 0.0
    proxied_count: float = 0.0


class RequestStats:
    """Concurrency as the integral of requests in flight over time; queued requests count."""

    def __init__(self, now: float) -> None:
        self._changed = now
        self._in_flight = self._proxied_in_flight = 0.0
        self._reset()

    def _reset(self) -> None:
        self._count = self._proxied_count = 0.0
        self._integral = self._proxied_integral = self._elapsed = 0.0

    @property
    def in_flight(self) -> int:
        """Requests in flight now."""
        return round(self._in_flight)

    def _advance(self, now: float) -> None:
        # Events of several tasks may arrive out of order by microseconds; negative steps are ignored.
        step = now - self._changed
        if step > 0:
            self._elapsed += step
            self._integral += self._in_flight * step
            self._proxied_integral += self._proxied_in_flight * step
            self._changed = now

    def enter(self, now: float, *, proxied: bool = False, requests: float = 1) -> None:
        """Requests arrived, as many as they are; `proxied` if an activator counted them already."""
        self._advance(now)
        self._in_flight += requests
        self._count += requests
        if proxied:
            self._proxied_in_flight += requests
            self._proxied_count += requests

    def leave(self, now: float, *, proxied: bool = False, requests: float = 1) -> None:
        """Requests ended; `proxied` as when they entered."""
        self._advance(now)
        self._in_flight -= requests
        if proxied:
            self._proxied_in_flight -= requests

    def report(self, now: float) -> Report:
        """Close the period at `now` and begin the next."""
        self._advance(now)
        elapsed = self._elapsed
        report = Report(
            concurrency=self._integral / elapsed if elapsed > 0 else 0.0,
            count=self._count,
            proxied_concurrency=self._proxied_integral / elapsed if elapsed > 0 else 0.0,
            proxied_count=self._proxied_count,
        )
        self._reset()
        return report


class ActivatorStats:
    """The activator's view of one revision: the first request after silence is reported at once.

    That report of 1 is what wakes a revision from zero before a second is over; the period's own report is
    lowered by it, so that nothing is counted twice.
    """

    def __init__(self) -> None:
        self._stats: RequestStats | None = None
        self._announced = 0.0

    @property
    def in_flight(self) -> int:
        """Requests in the activator, waiting or being served."""
        return self._stats.in_flight if self._stats else 0

    def enter(self, now: float, *, requests: float = 1) -> Report | None:
        """Requests arrived. A report comes back if it must be recorded at once."""
        first = None
        if self._stats is None:
            self._stats = RequestStats(now)
            self._announced = 1.0
            first = Report(concurrency=1.0, count=1.0)
        self._stats.enter(now, requests=requests)
        return first

    def leave(self, now: float, *, requests: float = 1) -> None:
        """Requests ended."""
        if self._stats is not None:
            self._stats.leave(now, requests=requests)

    def report(self, now: float) -> Report | None:
        """Close the second; None if the revision has been silent for longer."""
        if self._stats is None:
            return None
        seen = self._stats.report(now)
        adjusted = Report(concurrency=max(seen.concurrency - self._announced, 0.0), count=seen.count - self._announced)
        self._announced = 0.0
        if seen.concurrency == 0.0 and self._stats.in_flight == 0:
            self._stats = None
        return adjusted


def sample_size(pods: int) -> int:
    """Pods to ask of `pods`, for a mean within half a deviation at 95 %: all up to three, never above 16."""
    if pods <= _SAMPLE_ALL:
        return pods
    return math.ceil(pods * _SAMPLE_FACTOR / (pods + _SAMPLE_FACTOR - 1.0))


def extrapolate(reports: Sequence[Report], pods: int) -> Report:
    """What all `pods` report together, from the reports of a sample of them (at least one)."""
    factor = pods / len(reports)
    return Report(
        concurrency=factor * sum(report.concurrency for report in reports),
        count=factor * sum(report.count for report in reports),
        proxied_concurrency=factor * sum(report.proxied_concurrency for report in reports),
        proxied_count=factor * sum(report.proxied_count for report in reports),
    )


class RevisionMetrics:
    """The stable and the panic window of one revision, in its metric."""

    def __init__(self, spec: ScalingSpec) -> None:
        self._spec = spec
        kind = WeightedWindowAverage if spec.aggregation == "weighted-exponential" else WindowAverage
        self._stable = kind(spec.stable_window)
        self._panic = kind(spec.panic_window)

    def update(self, spec: ScalingSpec, now: float) -> None:
        """Take the windows of a changed spec; metric and aggregation are a revision's for life."""
        self._spec = spec
        self._stable.resize(spec.stable_window, now)
        self._panic.resize(spec.panic_window, now)

    def record(self, now: float, report: Report) -> None:
        """Add a report of the activator or of the pods, less what the activator reported itself."""
        if self._spec.metric == "rps":
            value = report.count - report.proxied_count
        else:
            value = report.concurrency - report.proxied_concurrency
        self._stable.record(now, value)
        self._panic.record(now, value)

    def observe(self, now: float) -> tuple[float, float] | tuple[None, None]:
        """(stable, panic) at `now` in the metric's unit, or (None, None) if a window passed without a report.

        With the activator always in the path (target-burst-capacity -1) no pod is scraped, and silence is 0.
        """
        if self._stable.empty(now) and self._spec.target_burst_capacity != -1:
            return None, None
        return self._stable.average(now), self._panic.average(now)
