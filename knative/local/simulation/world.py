"""What a simulated run depends on, and what came of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from knative.local.autoscaler.decision import Decision
from knative.local.autoscaler.spec import ScalingSpec
from knative.local.simulation.arrivals import Profile


@dataclass(frozen=True)
class Phases:
    """When within its period each ticker of the control plane fires, seconds after the turn of an even second.

    They are accidents of when a revision was made. Knative makes the tick first and the scrape right after it; the
    activator's reports have a phase of their own. Reports before the tick of their second let a panic window of one
    bucket be seen (see metrics.py).
    """

    tick: float = 0.45
    scrape: float = 0.5
    report: float = 0.75


@dataclass(frozen=True, kw_only=True)
class World:
    """Everything a run depends on.

    Attributes:
        spec: how the revision scales.
        offered: requests/s, or clients if `closed`.
        closed: clients that send their next request when the last is answered.
        service_seconds: what one request takes, alone in a pod.
        cores: None if requests only hold their time; else the cores of a pod that they share.
        container_concurrency: requests at once in a pod; 0 is no limit.
        cold_start_seconds: from the decision for a pod to its readiness.
        start_rate: pods that become ready a second, at most; None for no limit.
        timeout_seconds: a request that has no answer by then, waiting included, fails with 504 and frees its place.
        activators: each holds a queue of 10,000 where requests at once are limited.
        start_ready: pods ready at the start.
        phases: of the control plane's tickers.
        settle_seconds: time simulated after the profile ended.
    """

    spec: ScalingSpec
    offered: Profile
    closed: bool = False
    service_seconds: float = 0.1
    cores: int | None = None
    container_concurrency: int = 0
    cold_start_seconds: float = 1.5
    start_rate: float | None = None
    timeout_seconds: float = 300.0
    activators: int = 1
    start_ready: int = 0
    phases: Phases = Phases()
    settle_seconds: float = 0.0


@dataclass(frozen=True)
class Second:
    """What one second looked like.

    Counts and the mean `in_flight` are of that second, other levels are those at its end, latencies are in seconds;
    `latency` and `latency_p95` are of the requests answered in it, None if there was none.
    """

    at: float
    offered: float
    answered: float
    refused: float
    timed_out: float
    in_flight: float
    queued: float
    desired: int
    ready: int
    in_panic: bool
    proxied: bool
    stable: float
    panic: float
    latency: float | None
    latency_p95: float | None


@dataclass
class Outcome:
    """A run: its seconds, its decisions, totals, and the requests `left` inside at the end."""

    world: World
    seconds: list[Second] = field(default_factory=list)
    decisions: list[Decision] = field(default_factory=list)
    latencies: list[tuple[float, float]] = field(default_factory=list)
    left: float = 0.0

    @property
    def answered(self) -> float:
        """Requests answered."""
        return sum(second.answered for second in self.seconds)

    @property
    def lost(self) -> float:
        """Requests refused or timed out."""
        return sum(second.refused + second.timed_out for second in self.seconds)

    @property
    def most_pods(self) -> int:
        """The most pods ready."""
        return max(second.ready for second in self.seconds)

    @property
    def most_queued(self) -> float:
        """The longest queue, requests."""
        return max(second.queued for second in self.seconds)

    @property
    def pod_seconds(self) -> float:
        """Seconds of ready pods, what a cluster is paid for."""
        return float(sum(second.ready for second in self.seconds))

    def latency(self, quantile: float) -> float | None:
        """A quantile of the latency over all requests answered, seconds; None if there were none."""
        return weighted_quantile(self.latencies, quantile)

    def desired_each_second(self) -> list[int]:
        """Pods desired at second 0, 1, 2 and so on."""
        return [self.world.start_ready] + [second.desired for second in self.seconds]


def weighted_quantile(pairs: Sequence[tuple[float, float]], quantile: float) -> float | None:
    """The value that a share `quantile` of the weight does not exceed, from (value, weight) pairs."""
    total = sum(weight for _, weight in pairs)
    if total <= 0:
        return None
    reached = 0.0
    for value, weight in sorted(pairs):
        reached += weight
        if reached >= quantile * total * (1.0 - 1e-12):
            return value
    return max(value for value, _ in pairs)
