"""Prometheus metrics of the engine, under the names of Knative's own: `/_knative/metrics`."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING

from aiohttp import web
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import HistogramMetricFamily, Metric

from knative.local.pods.pod import PodState
from knative.local.pods.stats import LATENCY_BOUNDS
from knative.local.proxy.responses import HEADERS

if TYPE_CHECKING:
    from knative.local.engine.engine import Engine
    from knative.local.pods.revision import Revision
    from knative.local.pods.service import Service

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
# The client ends the names of counters in `_total`, as OpenMetrics does; Knative's end in `_count`.
_COUNTER = re.compile(rb"^(# (?:HELP|TYPE) \w+_count)_total", re.MULTILINE)
_LABELS = ("namespace_name", "configuration_name", "revision_name")
Labels = Mapping[str, str]


def mount(engine: Engine) -> None:
    """Serve the metrics of an engine."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(Collector(engine))

    async def metrics(_request: web.Request) -> web.Response:
        body = _COUNTER.sub(rb"\1", generate_latest(registry))
        return web.Response(body=body, headers={**HEADERS, "Content-Type": CONTENT_TYPE})

    engine.app.router.add_get("/_knative/metrics", metrics)


class Collector:
    """The metrics of each revision, and those that other parts of the engine have added."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def collect(self) -> Iterator[Metric]:
        """Yield all metrics with their present values."""
        revisions = [
            (_labels(service, revision), revision)
            for service in self._engine.services
            for revision in service.revisions
        ]
        for name, (kind, documentation, value) in _VALUES.items():
            metric = Metric(name, documentation, kind)
            for labels, revision in revisions:
                found = value(revision)
                if found is not None:
                    metric.add_sample(name, labels, found)
            yield metric
        yield _pods(revisions)
        yield _requests(revisions)
        yield _latencies(revisions)
        for collect in self._engine.collectors:
            yield from collect()


def _labels(service: Service, revision: Revision) -> dict[str, str]:
    return dict(zip(_LABELS, (service.namespace, service.name, revision.name), strict=True))


def _pods(revisions: Iterable[tuple[Labels, Revision]]) -> Metric:
    metric = Metric("autoscaler_pods", "Pods by state.", "gauge")
    for labels, revision in revisions:
        for state in PodState:
            count = sum(pod.state is state for pod in revision.pods)
            metric.add_sample("autoscaler_pods", {**labels, "state": state.value}, count)
    return metric


def _requests(revisions: Iterable[tuple[Labels, Revision]]) -> Metric:
    metric = Metric("revision_request_count", "Requests answered; 499 is a client that disconnected.", "counter")
    for labels, revision in revisions:
        for code, count in sorted(revision.tally.requests.items()):
            metric.add_sample("revision_request_count", {**labels, "response_code": str(code)}, count)
    return metric


def _latencies(revisions: Iterable[tuple[Labels, Revision]]) -> Metric:
    metric = HistogramMetricFamily(
        "revision_request_latencies", "Seconds from arrival to the end of the response.", labels=_LABELS
    )
    for labels, revision in revisions:
        buckets, total = [], 0
        for bound, count in zip((*LATENCY_BOUNDS, "+Inf"), revision.tally.latency_counts, strict=True):
            total += count
            buckets.append((str(bound), float(total)))
        metric.add_metric(list(labels.values()), buckets, revision.tally.latency_sum)
    return metric


def _of_decision(name: str) -> Callable[[Revision], float | None]:
    def value(revision: Revision) -> float | None:
        return None if revision.decision is None else float(getattr(revision.decision, name))

    return value


_VALUES: Mapping[str, tuple[str, str, Callable[[Revision], float | None]]] = {
    "autoscaler_desired_pods": ("gauge", "Desired pods.", lambda revision: max(revision.desired, 0)),
    "autoscaler_requested_pods": ("gauge", "Requested pods.", lambda revision: revision.replicas),
    "autoscaler_actual_pods": ("gauge", "Ready pods.", lambda revision: revision.ready),
    "autoscaler_panic_mode": ("gauge", "1 in panic mode.", _of_decision("in_panic")),
    "autoscaler_stable_request_concurrency": ("gauge", "Average of the stable window.", _of_decision("stable")),
    "autoscaler_panic_request_concurrency": ("gauge", "Average of the panic window.", _of_decision("panic")),
    "autoscaler_target_concurrency_per_pod": ("gauge", "Target of one pod.", _of_decision("target")),
    "autoscaler_excess_burst_capacity": ("gauge", "Capacity above load and burst.", _of_decision("ebc")),
    "activator_request_concurrency": (
        "gauge",
        "Requests in the activator.",
        lambda revision: revision.activator.stats.in_flight,
    ),
    "activator_queue_depth": ("gauge", "Requests waiting for a pod.", lambda revision: revision.activator.queued),
    "activator_in_path": ("gauge", "1 while requests pass the activator.", lambda revision: revision.activator.in_path),
    "revision_cold_start_count": ("counter", "Starts from zero for a request.", lambda revision: revision.cold_starts),
}
