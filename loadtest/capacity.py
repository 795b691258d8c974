"""What a load needs: concurrency and target to set, pods, nodes, proxies, bandwidth, and which limit binds first.

    python -m loadtest.capacity --rate 1000 --service-time 20ms --body 400kB --objective 100ms
    python -m loadtest.capacity --table                     the README's table, 10³ … 10⁶ requests/s
    python -m loadtest.capacity --run loadtest/out/step     predicted against observed pods of a finished run

The work is CPU-bound: a pod of one core is M/M/1 with processor sharing at service rate μ = 1 / service time. Held at
concurrency T it is busy ρ = T / (1 + T) of the time and answers in W = (1 + T) / μ on average, so a mean objective W
allows T = μW − 1, and a rate R needs R / (μρ) pods. The target is never set above one request a core: with T > 1 a pod
count above equilibrium lowers the concurrency so far that the autoscaler shrinks below what the load needs, and then
panics (`knative simulate` shows the cycle). `--held` is for requests that wait instead of computing: pods = R·S / T.
"""

from __future__ import annotations

import argparse
import itertools
import json
import math
import statistics
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from knative.local import grammar
from knative.local.arrivals import Profile
from knative.local.autoscaler import activators_needed
from knative.local.scaling import PREFIX, ScalingSpec
from knative.local.simulation import Outcome, World, simulate

EXIT_MISTAKE = 2
POD_SLACK, POD_SHARE = 1, 0.1  # a prediction holds within one pod or a tenth
_STABLE_TARGET = 1.0  # requests a core, above which the autoscaler swings
_QUEUED_SHARE = 0.01  # of the requests that may find every place of their pod taken
_RAMP_SECONDS, _HOLD_SECONDS = 300, 300
_TABLE_RATES = (1_000, 10_000, 100_000, 1_000_000)


class CapacityError(ValueError):
    """A load that cannot be planned for, or a run that cannot be read."""


@dataclass(frozen=True, kw_only=True)
class Assumptions:
    """What one cluster is made of; every number is a choice that can be changed.

    Attributes:
        node_cores: cores of a node; a tenth is the system's.
        node_pods: Kubernetes' default.
        node_gbits: network of a node, Gbit/s.
        ingress_rate: requests/s of an ingress replica of one core; `ingress_gbits` its share of the network.
        pod_overhead_cores: queue-proxy's, beside the function's.
        start_rate: pods a second that scheduler and registry bring up.
        cold_start: seconds from decision to readiness.
        most_nodes, most_pods: of one cluster, as Kubernetes documents them.
        most_endpoints: of one Service, above which Kubernetes truncates Endpoints.
        most_activators: of Knative's default autoscaling of the activator.
    """

    node_cores: float = 16.0
    node_pods: int = 110
    node_gbits: float = 10.0
    ingress_rate: float = 8_000.0
    ingress_gbits: float = 2.0
    pod_overhead_cores: float = 0.1
    start_rate: float = 50.0
    cold_start: float = 2.0
    most_nodes: int = 5_000
    most_pods: int = 150_000
    most_endpoints: int = 1_000
    most_activators: int = 20


@dataclass(frozen=True, kw_only=True)
class Capacity:
    """The plan for a load; see the module's first lines for the formulas.

    Attributes:
        target: requests in flight a pod, to be set with 100 % utilisation.
        container_concurrency: at which 99 % of the requests find a place at once.
        load: ρ, the busy share of a pod.
        latency: mean, seconds.
        pods, nodes, ingresses, activators: how many.
        gbits: inbound, Gbit/s.
        scale_seconds: from nothing to all pods.
        queue: requests waiting when a burst of this rate meets no pod at all.
        binds: what a node runs out of first: cores, pods or network.
        beyond: limits of one cluster that this exceeds.
    """

    rate: float
    target: float
    container_concurrency: int
    load: float
    latency: float
    pods: int
    nodes: int
    ingresses: int
    activators: int
    gbits: float
    scale_seconds: float
    queue: float
    binds: str
    beyond: tuple[str, ...]


def plan(
    rate: float,
    service_seconds: float,
    *,
    objective: float,
    body_bytes: float = 0.0,
    held: bool = False,
    target: float | None = None,
    assumptions: Assumptions | None = None,
) -> Capacity:
    """The plan for `rate` requests/s that each take `service_seconds` of one core (or hold a place so long).

    Args:
        rate: requests/s.
        service_seconds: of one request alone.
        objective: mean latency to keep, seconds.
        body_bytes: size of a request.
        held: requests wait instead of computing.
        target: requests in flight a pod; None chooses it.
        assumptions: the cluster.

    Raises:
        CapacityError: the objective is shorter than the service, or a number is not above 0.
    """
    given = assumptions or Assumptions()
    if rate <= 0 or service_seconds <= 0 or (target is not None and target <= 0):
        raise CapacityError("rate, service time and target must be above 0")
    if objective <= service_seconds:
        raise CapacityError(f"an objective of {objective:g} s cannot be met by a service of {service_seconds:g} s")
    if held:
        target = target or 10.0
        load, latency = 1.0, service_seconds
        pods = math.ceil(rate * service_seconds / target - 1e-9)
        concurrency = math.ceil(target / 0.7)
        cores = given.pod_overhead_cores
    else:
        target = target or min(objective / service_seconds - 1.0, _STABLE_TARGET)
        load = target / (1.0 + target)
        latency = (1.0 + target) * service_seconds
        pods = math.ceil(rate * service_seconds / load - 1e-9)
        # M/M/1: more than k inside with probability ρ^(k + 1).
        concurrency = max(2, math.ceil(math.log(_QUEUED_SHARE) / math.log(load)) - 1)
        cores = 1.0 + given.pod_overhead_cores
    gbits = rate * body_bytes * 8 / 1e9
    needs = {
        "cores": pods * cores / (given.node_cores * 0.9),
        "pods": pods / given.node_pods,
        "network": gbits / given.node_gbits,
    }
    nodes = math.ceil(max(needs.values()))
    spec = ScalingSpec(total=float(concurrency), target=target)
    ingresses = math.ceil(max(rate / given.ingress_rate, gbits / given.ingress_gbits))
    activators = min(activators_needed(spec, pods), given.most_activators)
    beyond = [
        name
        for name, exceeded in (
            (f"{given.most_nodes:,} nodes", nodes > given.most_nodes),
            (f"{given.most_pods:,} pods", pods > given.most_pods),
            (f"{given.most_endpoints:,} endpoints of one Service", pods > given.most_endpoints),
            (f"{given.most_activators} activators", activators_needed(spec, pods) > given.most_activators),
        )
        if exceeded
    ]
    return Capacity(
        rate=rate,
        target=target,
        container_concurrency=concurrency,
        load=load,
        latency=latency,
        pods=pods,
        nodes=nodes,
        ingresses=ingresses,
        activators=activators,
        gbits=gbits,
        scale_seconds=given.cold_start + pods / given.start_rate,
        queue=rate * (given.cold_start + 2.0),
        binds=max(needs, key=lambda name: needs[name]),
        beyond=tuple(beyond),
    )


def simulated(
    capacity: Capacity, service_seconds: float, *, held: bool = False, assumptions: Assumptions | None = None
) -> Outcome:
    """The plan under `knative simulate`: a ramp to the rate within five minutes, then five minutes at it."""
    given = assumptions or Assumptions()
    annotations = {
        PREFIX + "target": f"{max(capacity.target, 0.01):.4f}",
        PREFIX + "target-utilization-percentage": "100",
        PREFIX + "scale-down-delay": "2m",
    }
    concurrency = max(capacity.container_concurrency, math.ceil(capacity.target))
    profile = f"0..{capacity.rate}x{_RAMP_SECONDS}s,{capacity.rate}x{_HOLD_SECONDS}s"
    return simulate(
        World(
            spec=ScalingSpec.of(annotations, container_concurrency=concurrency),
            offered=Profile.parse(profile),
            service_seconds=service_seconds,
            cores=None if held else 1,
            container_concurrency=concurrency,
            cold_start_seconds=given.cold_start,
            activators=capacity.activators,
        )
    )


def settled_pods(outcome: Outcome) -> float:
    """Median of the ready pods over the last two minutes of a simulated run."""
    return statistics.median(second.ready for second in outcome.seconds[-120:])


@dataclass(frozen=True)
class Comparison:
    """Predicted and observed pods at one level of a finished run."""

    clients: float
    predicted: int
    observed: float

    @property
    def holds(self) -> bool:
        """Within one pod or a tenth."""
        return abs(self.predicted - self.observed) <= max(POD_SLACK, POD_SHARE * self.predicted)


def compare(folder: Path, *, target: float = 7.0) -> list[Comparison]:
    """Predicted against observed pods of a run's levels, from its raw files.

    The prediction knows what a planner knows: the rate that was answered and the service time, not the clients.

    Raises:
        CapacityError: the folder holds no finished run.
    """
    try:
        events: dict[str, Any] = json.loads((folder / "events.json").read_text())
        samples = [json.loads(line) for line in (folder / "samples.jsonl").read_text().splitlines()]
        requests = [json.loads(line) for line in (folder / "requests.jsonl").read_text().splitlines()]
    except (OSError, ValueError) as error:
        raise CapacityError(f"{folder}: no finished run: {error}") from None
    levels = events["offered"]
    found = []
    for (began, clients), (ended, _) in itertools.pairwise(levels):
        middle = began + (ended - began) * 0.6
        steady = [one for one in requests if middle <= one["done"] < ended and one["status"] == 200]
        ready = [sample["ready"] for sample in samples if middle <= sample["at"] < ended]
        if not steady or not ready or not clients:
            continue
        rate = len(steady) / (ended - middle)
        service = statistics.median(one["done"] - one["sent"] for one in steady)
        planned = plan(rate, service, objective=service * 2, held=True, target=target)
        found.append(Comparison(clients, planned.pods, ready[-1]))
    if not found:
        raise CapacityError(f"{folder}: the run has no level with clients")
    return found


def table(service_seconds: float, body_bytes: float, objective: float) -> str:
    """The README's table: one row a rate, each checked by simulation."""
    header = (
        "requests/s",
        "target",
        "pods",
        "simulated",
        "nodes",
        "binds",
        "ingress",
        "activators",
        "Gbit/s in",
        "time to scale",
        "queue from zero",
        "beyond one cluster",
    )
    rows: list[tuple[str, ...]] = [header, tuple("---" for _ in header)]
    for rate in _TABLE_RATES:
        cell = plan(rate, service_seconds, objective=objective, body_bytes=body_bytes)
        outcome = simulated(cell, service_seconds)
        rows.append(
            (
                f"{rate:,}",
                f"{cell.target:.3g}",
                f"{cell.pods:,}",
                f"{settled_pods(outcome):,.0f}",
                f"{cell.nodes:,}",
                cell.binds,
                f"{cell.ingresses:,}",
                f"{cell.activators:,}",
                f"{cell.gbits:.3g}",
                f"{cell.scale_seconds:,.0f} s",
                f"{cell.queue:,.0f}",
                ", ".join(cell.beyond) or "–",
            )
        )
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def describe(cell: Capacity) -> str:
    """A plan for people."""
    beyond = f"\nbeyond one cluster: {', '.join(cell.beyond)}" if cell.beyond else ""
    return (
        f"set        target {cell.target:.3g}, target-utilization-percentage 100,"
        f" containerConcurrency {cell.container_concurrency}\n"
        f"pods       {cell.pods:,}, each busy {cell.load:.0%}; mean latency {cell.latency * 1000:.3g} ms\n"
        f"nodes      {cell.nodes:,}; {cell.binds} bind first\n"
        f"proxies    {cell.ingresses:,} ingress, {cell.activators:,} activators\n"
        f"network    {cell.gbits:.3g} Gbit/s in\n"
        f"scaling    {cell.scale_seconds:,.0f} s from nothing; a burst from zero queues {cell.queue:,.0f} requests"
        f"{beyond}"
    )


def _seconds(text: str) -> float:
    try:
        return grammar.parse_duration(text) / grammar.SECOND
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def _bytes(text: str) -> float:
    for suffix, factor in (("kB", 1e3), ("MB", 1e6), ("KiB", 2**10), ("MiB", 2**20), ("B", 1.0), ("", 1.0)):
        if text.endswith(suffix):
            try:
                return float(text.removesuffix(suffix)) * factor
            except ValueError:
                break
    raise argparse.ArgumentTypeError(f"{text}: a size such as 400kB or 2MiB is wanted")


def parser() -> argparse.ArgumentParser:
    """The command's arguments."""
    made = argparse.ArgumentParser(
        prog="python -m loadtest.capacity", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    made.add_argument("--rate", type=float, metavar="N", help="requests/s")
    made.add_argument("--service-time", type=_seconds, default=0.02, metavar="20ms", help="CPU time of a request")
    made.add_argument("--body", type=_bytes, default=400e3, metavar="400kB", help="size of a request")
    made.add_argument("--objective", type=_seconds, default=0.1, metavar="100ms", help="mean latency to keep")
    made.add_argument("--held", action="store_true", help="requests wait instead of computing")
    made.add_argument("--target", type=float, metavar="N", help="requests in flight a pod; default: chosen")
    made.add_argument("--simulate", action="store_true", help="check the plan on the virtual clock")
    made.add_argument("--table", action="store_true", help="the table of the README")
    made.add_argument("--run", type=Path, metavar="FOLDER", help="predicted against observed pods of a run")
    return made


def main(argv: Sequence[str] | None = None) -> int:
    """The command; returns the exit status."""
    made = parser()
    options = made.parse_args(argv)
    try:
        if options.run:
            compared = compare(options.run, target=options.target or 7.0)
            for one in compared:
                word = "holds" if one.holds else "DOES NOT HOLD"
                print(f"{one.clients:g} clients: {one.predicted} predicted, {one.observed:g} observed: {word}")
            return 0 if all(one.holds for one in compared) else 1
        if options.table:
            print(table(options.service_time, options.body, options.objective))
            return 0
        if options.rate is None:
            made.error("one of --rate, --table and --run is wanted")
        cell = plan(
            options.rate,
            options.service_time,
            objective=options.objective,
            body_bytes=options.body,
            held=options.held,
            target=options.target,
        )
    except CapacityError as error:
        print(f"capacity: {error}", file=sys.stderr)
        return EXIT_MISTAKE
    print(describe(cell))
    if options.simulate:
        outcome = simulated(cell, options.service_time, held=options.held)
        latency = outcome.latency(0.95) or 0.0
        print(
            f"simulated  {settled_pods(outcome):,.0f} pods at the rate, at most {outcome.most_pods:,};"
            f" p95 {latency * 1000:.3g} ms, lost {outcome.lost:,.0f}"
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
