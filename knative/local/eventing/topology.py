"""Brokers, Triggers, Sequences and Parallels as one graph: nodes that events come to, subscriptions that take them on.

A Broker is a node with a subscription a Trigger; a Sequence a chain of nodes with one subscription each; a Parallel a
node whose branches with a filter have nodes of their own. Takes manifests that validation has accepted.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import urlsplit

from knative.local.eventing.delivery import DEFAULT, Policy
from knative.local.eventing.filters import Filter, FilterError, of_trigger
from knative.local.manifests.grammar import CLUSTER_SUFFIXES
from knative.local.manifests.kinds import EVENTING, FLOWS, SERVING
from knative.local.manifests.resources import Resource

_CLUSTER = ".svc.cluster.local"
_BROKER_INGRESS = "broker-ingress.knative-eventing"


@dataclass(frozen=True)
class Destination:
    """Where an event goes: to a node of this graph, to a Service of this engine, or to a URL elsewhere.

    Attributes:
        node: Key of the node, or empty.
        host: `name.namespace` of the Service, or empty.
        path: Path at the Service.
        url: The URL elsewhere, or empty.
    """

    node: str = ""
    host: str = ""
    path: str = "/"
    url: str = ""

    def __str__(self) -> str:
        """The address as a cluster would give it."""
        return self.url or (f"http://{self.host}{_CLUSTER}{self.path}" if self.host else self.node)


@dataclass(frozen=True)
class Subscription:
    """Who takes a node's events on.

    Attributes:
        name: Unique: `Trigger default/exif`, `Sequence default/describe step 1`.
        filter: Which events it takes.
        subscriber: Where they are delivered.
        reply: Where an answering event goes; None drops it.
        policy: Tries and waits.
        dead_letters: Where what cannot be delivered goes; None drops it.
        filtered: Whether its deliveries pass Knative's broker-filter, as a Trigger's do: an answer must then be an
            event or empty. Of a step's or a sink's, what is no event is passed over.
    """

    name: str
    filter: Filter
    subscriber: Destination
    reply: Destination | None
    policy: Policy
    dead_letters: Destination | None
    filtered: bool = False


@dataclass(frozen=True)
class Topology:
    """The graph.

    Attributes:
        nodes: Subscriptions by node.
        unready: Objects that are not run, with the reason, by their name.
    """

    nodes: Mapping[str, tuple[Subscription, ...]] = field(default_factory=dict)
    unready: Mapping[str, str] = field(default_factory=dict)

    def subscription(self, name: str) -> Subscription | None:
        """The subscription of a name."""
        return next((one for subscriptions in self.nodes.values() for one in subscriptions if one.name == name), None)


class Unready(LookupError):
    """An object refers to something that is not there, or is not run on this machine."""


def broker_node(namespace: str, name: str) -> str:
    """The node of a Broker."""
    return f"broker/{namespace}/{name}"


def build(resources: Iterable[Resource]) -> Topology:
    """The graph of some manifests. What cannot run is left out and named in `unready`."""
    return _Builder(resources).topology()


class _Builder:
    def __init__(self, resources: Iterable[Resource]) -> None:
        self._known = {(one.group, one.kind, one.namespace, one.name): one for one in resources}
        self._nodes: dict[str, list[Subscription]] = {}
        self._unready: dict[str, str] = {}

    def topology(self) -> Topology:
        for one in self._of(EVENTING, "Broker"):
            self._nodes[broker_node(one.namespace, one.name)] = []
        for one in self._of(FLOWS, "Sequence"):
            self._attempt(one, self._sequence)
        for one in self._of(FLOWS, "Parallel"):
            self._attempt(one, self._parallel)
        for one in self._of(EVENTING, "Trigger"):
            self._attempt(one, self._trigger)
        return Topology({node: tuple(subscriptions) for node, subscriptions in self._nodes.items()}, self._unready)

    def _of(self, group: str, kind: str) -> Iterator[Resource]:
        return (one for key, one in self._known.items() if key[:2] == (group, kind))

    def _attempt(self, resource: Resource, add: Any) -> None:
        try:
            added: list[tuple[str, Subscription]] = list(add(resource))
        except (Unready, FilterError) as error:
            self._unready[f"{resource.kind} {resource.namespace}/{resource.name}"] = str(error)
            return
        for node, subscription in added:
            self._nodes.setdefault(node, []).append(subscription)

    def _trigger(self, trigger: Resource) -> Iterator[tuple[str, Subscription]]:
        spec = trigger.data["spec"]
        name = spec.get("broker") or spec["brokerRef"]["name"]
        broker = self._known.get((EVENTING, "Broker", trigger.namespace, name))
        if broker is None:
            raise Unready(f"there is no Broker {trigger.namespace}/{name}")
        node = broker_node(trigger.namespace, name)
        brokers = (broker.data.get("spec") or {}).get("delivery")
        brokers, own = DEFAULT if brokers is None else brokers, spec.get("delivery")
        # A delivery of its own, even an empty one, has none of the Broker's tries and waits, and yet its sink.
        delivery = brokers if own is None else own
        delivery = {**delivery, "deadLetterSink": delivery.get("deadLetterSink") or brokers.get("deadLetterSink")}
        subscription = self._subscription(
            f"Trigger {trigger.namespace}/{trigger.name}",
            trigger.namespace,
            spec["subscriber"],
            Destination(node=node),
            delivery,
            of_trigger(spec),
        )
        yield node, replace(subscription, filtered=True)

    def _sequence(self, sequence: Resource) -> Iterator[tuple[str, Subscription]]:
        spec, namespace = sequence.data["spec"], sequence.namespace
        steps = spec["steps"]
        for index, step in enumerate(steps):
            last = index == len(steps) - 1
            reply = (
                self._destination(spec.get("reply"), namespace)
                if last
                else Destination(node=_step(sequence, index + 1))
            )
            name = f"Sequence {namespace}/{sequence.name} step {index}"
            delivery = step.get("delivery") or {}
            yield _step(sequence, index), self._subscription(name, namespace, step, reply, delivery)

    def _parallel(self, parallel: Resource) -> Iterator[tuple[str, Subscription]]:
        spec, namespace = parallel.data["spec"], parallel.namespace
        node = f"parallel/{namespace}/{parallel.name}"
        for index, branch in enumerate(spec["branches"]):
            name = f"Parallel {namespace}/{parallel.name} branch {index}"
            delivery = branch.get("delivery") or {}
            entry = node
            if "filter" in branch:
                entry = f"{node}/{index}"
                chosen = Destination(node=entry)
                yield node, self._subscription(f"{name} filter", namespace, branch["filter"], chosen, delivery)
            reply = self._destination(branch.get("reply") or spec.get("reply"), namespace)
            yield entry, self._subscription(name, namespace, branch["subscriber"], reply, delivery)

    def _subscription(
        self,
        name: str,
        namespace: str,
        subscriber: Mapping[str, Any],
        reply: Destination | None,
        delivery: Mapping[str, Any],
        filter_: Filter = lambda _event: None,
    ) -> Subscription:
        taken = self._destination(subscriber, namespace)
        if taken is None:
            raise Unready("it has no subscriber")
        sink = self._destination(delivery.get("deadLetterSink"), namespace)
        return Subscription(name, filter_, taken, reply, Policy.of(delivery), sink)

    def _destination(self, destination: Mapping[str, Any] | None, namespace: str) -> Destination | None:
        if not destination:
            return None
        reference, uri = destination.get("ref"), destination.get("uri") or ""
        if reference is None:
            return self._at_url(uri)
        group = str(reference["apiVersion"]).rpartition("/")[0]
        kind, name = reference["kind"], reference["name"]
        key = (group, kind, reference.get("namespace") or namespace, name)
        if key not in self._known:
            raise Unready(f"there is no {kind} {key[2]}/{name} among the manifests")
        if (group, kind) == (SERVING, "Service"):
            return Destination(host=f"{name}.{key[2]}", path=f"/{uri.lstrip('/')}")
        nodes = {(EVENTING, "Broker"): "broker", (FLOWS, "Sequence"): "sequence", (FLOWS, "Parallel"): "parallel"}
        if (group, kind) not in nodes:
            raise Unready(f"events are not delivered to a {kind} ({group or 'core'}) on this machine")
        return Destination(node=f"{nodes[group, kind]}/{key[2]}/{name}")

    def _at_url(self, url: str) -> Destination:
        """A URL; the cluster's own names lead to what runs here."""
        parts = urlsplit(url)
        host = parts.hostname or ""
        suffix = next((one for one in CLUSTER_SUFFIXES if host.endswith(one)), None)
        if suffix is None:
            return Destination(url=url)
        inside = host.removesuffix(suffix)
        if inside == _BROKER_INGRESS:
            node = f"broker{parts.path.rstrip('/')}"
            if node not in self._nodes:
                raise Unready(f"there is no Broker at {url}")
            return Destination(node=node)
        name, _, namespace = inside.partition(".")
        if (SERVING, "Service", namespace, name) not in self._known:
            raise Unready(f"there is no Service {namespace}/{name} among the manifests")
        query = f"?{parts.query}" if parts.query else ""
        return Destination(host=inside, path=(parts.path or "/") + query)


def _step(sequence: Resource, index: int) -> str:
    node = f"sequence/{sequence.namespace}/{sequence.name}"
    return f"{node}/{index}" if index else node
