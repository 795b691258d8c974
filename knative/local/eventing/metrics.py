"""Counts and latencies of events under the names of Knative Eventing's own metrics.

Source: Knative's documentation, "Eventing metrics": `event_count` and `event_dispatch_latencies` of the broker's
ingress and of its filter. Latencies are in milliseconds.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field

from prometheus_client.core import Metric

Labels = tuple[tuple[str, str], ...]
BOUNDS = (1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0, 500.0, 1000.0, 5000.0, 10000.0)
"""Upper bounds of the buckets of a latency, in milliseconds."""


@dataclass
class Latency:
    """A histogram of latencies.

    Attributes:
        counts: observations by bucket; the last is above all bounds.
        total: sum of all observations, in milliseconds.
    """

    counts: list[int] = field(default_factory=lambda: [0] * (len(BOUNDS) + 1))
    total: float = 0.0

    def observe(self, milliseconds: float) -> None:
        """Count an observation."""
        bucket = sum(milliseconds > bound for bound in BOUNDS)
        self.counts[bucket] += 1
        self.total += milliseconds


class EventMetrics:
    """What a broker has received and delivered since its start.

    Attributes:
        received: latency by labels, of events that publishers sent.
        delivered: latency by labels, of deliveries to subscribers.
    """

    def __init__(self) -> None:
        self.received: defaultdict[Labels, Latency] = defaultdict(Latency)
        self.delivered: defaultdict[Labels, Latency] = defaultdict(Latency)

    def receive(self, node: str, event_type: str, status: int, seconds: float) -> None:
        """Count an event that a publisher sent to a Broker's node, with the status that it was answered with."""
        _, namespace, name = node.split("/", 2)
        labels = (("broker_name", name), ("namespace_name", namespace), ("event_type", event_type), *_code(status))
        self.received[labels].observe(seconds * 1000)

    def deliver(self, node: str, subscription: str, status: int | None, seconds: float) -> None:
        """Count an attempt to deliver; no answer counts as status 500, as in a dead letter."""
        parts = node.split("/", 2)
        kind, _, name = subscription.partition(" ")
        namespace, _, own = name.partition("/")
        labels: Labels = (("namespace_name", namespace), *_code(status or 500))
        if kind == "Trigger":
            labels = (("broker_name", parts[-1]), ("trigger_name", own), *labels)
        else:
            labels = ((f"{kind.lower()}_name", own), *labels)
        self.delivered[labels].observe(seconds * 1000)

    def collect(self) -> Iterator[Metric]:
        """Yield the metrics with their present values."""
        series = [*self.received.items(), *self.delivered.items()]
        count = Metric("event_count", "Events received by a Broker, and deliveries to subscribers.", "counter")
        latencies = Metric(
            "event_dispatch_latencies", "Milliseconds until an event was kept, or a subscriber answered.", "histogram"
        )
        for labels, latency in series:
            named, total = dict(labels), 0
            count.add_sample(count.name, named, sum(latency.counts))
            for bound, observed in zip((*BOUNDS, "+Inf"), latency.counts, strict=True):
                total += observed
                latencies.add_sample(f"{latencies.name}_bucket", {**named, "le": str(bound)}, total)
            latencies.add_sample(f"{latencies.name}_sum", named, latency.total)
            latencies.add_sample(f"{latencies.name}_count", named, total)
        yield count
        yield latencies


def _code(status: int) -> Labels:
    return (("response_code", str(status)), ("response_code_class", f"{status // 100}xx"))
