"""Plans for a load: the formulas, and the same plan on the virtual clock.

The work is CPU-bound: a pod of one core is M/M/1 with processor sharing at service rate μ = 1 / service time. Held at
concurrency T it is busy ρ = T / (1 + T) of the time and answers in W = (1 + T) / μ on average, so a mean objective W
allows T = μW − 1, and a rate R needs R / (μρ) pods. The target is never set above one request a core: with T > 1 a pod
count above equilibrium lowers the concurrency so far that the autoscaler shrinks below what the load needs, and then
panics (`knative simulate` shows the cycle). Requests that are held, waiting instead of computing: pods = R·S / T.
"""

from __future__ import annotations

import math
import statistics
from dataclasses import dataclass

from knative.local.autoscaler.decision import activators_needed
from knative.local.autoscaler.spec import PREFIX, ScalingSpec
from knative.local.simulation.arrivals import Profile
from knative.local.simulation.simulator import simulate
from knative.local.simulation.world import Outcome, World

_STABLE_TARGET = 1.0  # requests a core, above which the autoscaler swings
_QUEUED_SHARE = 0.01  # of the requests that may find every place of their pod taken
_RAMP_SECONDS, _HOLD_SECONDS = 300, 300


class CapacityError(ValueError):
    """A load that cannot be planned for."""


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
        # M/M/1: k or more are inside with probability ρ^k, and an arrival sees what the average moment is like.
        concurrency = max(2, math.ceil(math.log(_QUEUED_SHARE) / math.log(load) - 1e-9))
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
