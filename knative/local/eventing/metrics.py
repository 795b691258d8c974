"""Counts and latencies of events under the names of Knative Eventing's own metrics.

Source: Knative's documentation, "Eventing metrics": `event_count` and `event_dispatch_latencies` of the broker's
ingress and of its filter. Latencies are in milliseconds.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field

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

    def exposition(self) -> Iterator[str]:
        """Lines in Prometheus' text format."""
        yield "# HELP event_count Events received by a Broker, and deliveries to subscribers."
        yield "# TYPE event_count counter"
        series = [*self.received.items(), *self.delivered.items()]
        for labels, latency in series:
            yield f"event_count{{{_text(labels)}}} {sum(latency.counts)}"
        yield "# HELP event_dispatch_latencies Milliseconds until an event was kept, or a subscriber answered."
        yield "# TYPE event_dispatch_latencies histogram"
        for labels, latency in series:
            total = 0
            for bound, count in zip((*BOUNDS, "+Inf"), latency.counts, strict=True):
                total += count
                yield f'event_dispatch_latencies_bucket{{{_text(labels)},le="{bound}"}} {total}'
            yield f"event_dispatch_latencies_sum{{{_text(labels)}}} {latency.total:g}"
            yield f"event_dispatch_latencies_count{{{_text(labels)}}} {total}"


def _code(status: int) -> Labels:
    return (("response_code", str(status)), ("response_code_class", f"{status // 100}xx"))


def _text(labels: Labels) -> str:
    escaped = ((name, value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")) for name, value in labels)
    return ",".join(f'{name}="{value}"' for name, value in escaped)
