"""The autoscaler's own cost, and how fast its decisions are simulated."""

from __future__ import annotations

import time
from pathlib import Path

from knative.local.autoscaler.decision import Autoscaler
from knative.local.autoscaler.metrics import Report, RevisionMetrics
from knative.local.autoscaler.spec import PREFIX, ScalingSpec
from knative.local.simulation.arrivals import Profile
from knative.local.simulation.simulator import simulate
from knative.local.simulation.trace import Trace, replay
from knative.local.simulation.world import World
from tools.bench.harness import Bench

HOUR_SECONDS = 5.0
TRACE = Path(__file__).parents[2] / "tests/vectors" / "real_trace_steps.json"


def run(bench: Bench) -> None:
    """One decision, one simulated hour at a million requests a second, and a real trace followed."""
    spec = ScalingSpec()
    metrics, autoscaler = RevisionMetrics(spec), Autoscaler(spec, ready=0, now=0.0)

    def decide(number: int) -> None:
        now = float(number)
        metrics.record(now, Report(concurrency=number % 50))
        stable, panic = metrics.observe(now)
        autoscaler.scale(now, ready=3, stable=stable, panic=panic)

    began = time.process_time()
    for number in range(20_000):
        decide(number)
    bench.figure("record, average and decide", (time.process_time() - began) / 20_000 * 1e6, None, "µs")

    for name, concurrency, cores in (("requests that hold 50 ms", 10, None), ("requests that share a core", 0, 1)):
        world = World(
            spec=ScalingSpec.of({PREFIX + "target": "1"}, container_concurrency=concurrency),
            offered=Profile.parse("0..1000000x10m,1000000x50m"),
            service_seconds=0.05,
            container_concurrency=concurrency,
            cores=cores,
        )
        began = time.perf_counter()
        simulate(world)
        bench.figure(f"one simulated hour at 10⁶ requests/s, {name}", time.perf_counter() - began, HOUR_SECONDS, "s")

    _, agreement = replay(Trace.read(TRACE))
    bench.figure("desired pods as a real cluster's, share of seconds", agreement, 0.9, "", at_most=False)
