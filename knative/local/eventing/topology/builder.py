"""From the objects of Eventing to their graph.

A Broker is a node with a subscription for each Trigger, a Channel one with its Subscriptions, a Sequence a chain of
nodes with one subscription each, a Parallel a node whose branches with a filter have nodes of their own, and a
PingSource a node with its sink. Takes manifests that validation has accepted.
"""

from __future__ import annotations

import base64
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import Any
from urllib.parse import urlsplit

from knative.local.eventing.delivery import DEFAULT, Policy
from knative.local.eventing.filters import Filter, FilterError, of_trigger
from knative.local.eventing.topology.addresses import aliases
from knative.local.eventing.topology.graph import DEAD_LETTERS, REPLY, Destination, Ping, Subscription, Topology
from knative.local.jsontypes import JsonMapping
from knative.local.manifests import cron
from knative.local.manifests.decoding import decode
from knative.local.manifests.eventing_schema import IN_MEMORY_CHANNEL
from knative.local.manifests.grammar import CLUSTER_SUFFIXES
from knative.local.manifests.kinds import EVENTING, FLOWS, MESSAGING, SERVING, SINKS, SOURCES
from knative.local.manifests.resources import Resource

_BROKER_INGRESS = "broker-ingress.knative-eventing"
_CHANNEL_SUFFIX = "-kn-channel"
BACKING = (f"{MESSAGING}/v1", "InMemoryChannel")
CHANNELS = ((MESSAGING, "Channel"), (MESSAGING, "InMemoryChannel"))
NODES: Mapping[tuple[str, str], str] = {
    **dict.fromkeys(CHANNELS, "channel"),
    (EVENTING, "Broker"): "broker",
    (FLOWS, "Sequence"): "sequence",
    (FLOWS, "Parallel"): "parallel",
}
NOT_RUN: Mapping[tuple[str, str], str] = {
    (SOURCES, "ApiServerSource"): "the engine does not watch its Kubernetes API for sources",
    (SOURCES, "IntegrationSource"): "its image is a connector of a cluster's release, which the engine does not hold",
    (SINKS, "IntegrationSink"): "its image is a connector of a cluster's release, which the engine does not hold",
    (SINKS, "JobSink"): "Jobs are not run on this machine",
    (EVENTING, "EventTransform"): "JSONata is not evaluated on this machine",
    (EVENTING, "RequestReply"): "synchronous replies are not run on this machine",
    (EVENTING, "EventPolicy"): "events are not authenticated on this machine",
}
"""Kinds of Eventing that this engine does not run, with the reason."""


class UnreadyError(LookupError):
    """An object refers to something that is missing, or is not run on this machine."""


def broker_node(namespace: str, name: str) -> str:
    """Return the key of a Broker's node."""
    return f"broker/{namespace}/{name}"


def wrong_template(spec: JsonMapping) -> str | None:
    """Return what is wrong with the channel template of a Channel, Sequence or Parallel, or None.

    Knative leaves the spec of a template to the channel's own webhook.
    """
    template = spec.get("channelTemplate") or {}
    if (template.get("apiVersion", BACKING[0]), template.get("kind", BACKING[1])) != BACKING:
        given = " of ".join(str(template[key]) for key in ("kind", "apiVersion") if key in template)
        return f"a {given} is not run on this machine; an {BACKING[1]} of {BACKING[0]} is"
    if template.get("spec") is None:
        return None
    _, mistakes = decode({"spec": template["spec"]}, IN_MEMORY_CHANNEL, BACKING[1])
    return f"spec.channelTemplate.spec: {mistakes[0].message}" if mistakes else None


def build(resources: Iterable[Resource], blocked: Mapping[str, str] | None = None) -> Topology:
    """Return the graph of some manifests; objects that cannot run are named in `unready`.

    Args:
        resources: The manifests.
        blocked: Channels and flows that another object keeps from their own, with the reason, by their name: they
            have no address and forward nothing.
    """
    return _Builder(resources, blocked or {}).topology()


class _Builder:
    def __init__(self, resources: Iterable[Resource], blocked: Mapping[str, str]) -> None:
        # The channels and Subscriptions of a flow show what the flow itself runs.
        own = [one for one in resources if not _is_made_for(one, FLOWS)]
        self._known = {(one.group, one.kind, one.namespace, one.name): one for one in own}
        self._nodes: dict[str, list[Subscription]] = {}
        self._blocked = blocked
        self._unready: dict[str, str] = dict(blocked)
        self._pings: list[Ping] = []
        self._sinks: dict[str, Destination] = {}
        self._flows = aliases(self._nodes_of_flows())

    def topology(self) -> Topology:
        for one in self._of(EVENTING, "Broker"):
            self._nodes[broker_node(one.namespace, one.name)] = []
        for group, kind in CHANNELS:
            for one in self._of(group, kind):
                if self._fault(one) is None:
                    self._nodes.setdefault(f"channel/{one.namespace}/{one.name}", [])
                self._attempt(one, self._channel)
        for group, kind, add in (
            *((group, kind, self._dead_letters) for group, kind in ((EVENTING, "Broker"), *CHANNELS)),
            (FLOWS, "Sequence", self._sequence),
            (FLOWS, "Parallel", self._parallel),
            (EVENTING, "Trigger", self._trigger),
            (MESSAGING, "Subscription", self._channel_subscription),
            (SOURCES, "PingSource", self._ping),
            (SOURCES, "SinkBinding", self._sink),
            (SOURCES, "ContainerSource", self._sink),
        ):
            for one in self._of(group, kind):
                self._attempt(one, add)
        for (group, kind), reason in NOT_RUN.items():
            for one in self._of(group, kind):
                self._unready[f"{kind} {one.namespace}/{one.name}"] = reason
        nodes = {node: tuple(subscriptions) for node, subscriptions in self._nodes.items()}
        return Topology(nodes, self._unready, tuple(self._pings), self._sinks, aliases(nodes))

    def _nodes_of_flows(self) -> Iterator[str]:
        for kind, parts in (("Sequence", "steps"), ("Parallel", "branches")):
            for one in self._of(FLOWS, kind):
                if self._fault(one) is None:
                    node = f"{kind.lower()}/{one.namespace}/{one.name}"
                    numbers = range(kind == "Sequence", len(one.data["spec"][parts]))  # the first step is the Sequence
                    yield from (node, *(f"{node}/{number}" for number in numbers))

    def _fault(self, resource: Resource) -> str | None:
        """Why a channel or flow has no node, or None."""
        name = f"{resource.kind} {resource.namespace}/{resource.name}"
        return wrong_template(resource.data.get("spec") or {}) or self._blocked.get(name)

    def _require(self, resource: Resource, what: str = "") -> None:
        if (fault := self._fault(resource)) is not None:
            raise UnreadyError(what + fault)

    def _of(self, group: str, kind: str) -> Iterator[Resource]:
        return (one for key, one in self._known.items() if key[:2] == (group, kind))

    def _attempt(self, resource: Resource, add: Any) -> None:
        try:
            added: list[tuple[str, Subscription]] = list(add(resource))
        except (UnreadyError, FilterError) as error:
            self._unready[f"{resource.kind} {resource.namespace}/{resource.name}"] = str(error)
            return
        for node, subscription in added:
            self._nodes.setdefault(node, []).append(subscription)

    def _trigger(self, trigger: Resource) -> Iterator[tuple[str, Subscription]]:
        spec = trigger.data["spec"]
        name = spec.get("broker") or spec["brokerRef"]["name"]
        broker = self._known.get((EVENTING, "Broker", trigger.namespace, name))
        if broker is None:
            raise UnreadyError(f'Broker "{name}" does not exist')
        if (problem := self._unready.get(f"Broker {trigger.namespace}/{name}")) is not None:
            raise UnreadyError(f'Broker "{name}" is not ready: {problem}')
        node = broker_node(trigger.namespace, name)
        brokers = (broker.data.get("spec") or {}).get("delivery")
        brokers, own = DEFAULT if brokers is None else brokers, spec.get("delivery")
        # An own delivery, even an empty one, replaces the Broker's tries and waits, but not its sink.
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

    def _dead_letters(self, resource: Resource) -> Iterator[tuple[str, Subscription]]:
        """No subscription; a Broker or channel whose sink for dead letters is missing is unready."""
        delivery = (resource.data.get("spec") or {}).get("delivery") or {}
        self._other(DEAD_LETTERS, delivery.get("deadLetterSink"), resource.namespace)
        yield from ()

    def _channel(self, channel: Resource) -> Iterator[tuple[str, Subscription]]:
        """The subscribers that an InMemoryChannel lists itself, as a cluster's controller does."""
        spec = channel.data.get("spec") or {}
        self._require(channel)
        for index, one in enumerate(spec.get("subscribers") or ()):
            name = f"{channel.kind} {channel.namespace}/{channel.name} subscriber {index}"
            urls = [{"uri": one[key]} if one.get(key) else None for key in ("subscriberUri", "replyUri")]
            reply = self._destination(urls[1], channel.namespace)
            delivery = one.get("delivery") or spec.get("delivery") or {}
            subscriber = urls[0] or urls[1] or {}
            yield (
                f"channel/{channel.namespace}/{channel.name}",
                self._subscription(name, channel.namespace, subscriber, reply if urls[0] else None, delivery),
            )

    def _channel_subscription(self, subscription: Resource) -> Iterator[tuple[str, Subscription]]:
        spec, namespace = subscription.data["spec"], subscription.namespace
        target = spec["channel"]
        key = (str(target["apiVersion"]).rpartition("/")[0], target["kind"], namespace, target["name"])
        if key[:2] not in CHANNELS:
            raise UnreadyError(f"a {target['kind']} is not run on this machine; a Channel or InMemoryChannel is")
        if key not in self._known:  # on a cluster a Channel is backed by an InMemoryChannel of its name
            key = (MESSAGING, "Channel", namespace, target["name"])
        if key not in self._known:
            raise UnreadyError(f"there is no {target['kind']} {namespace}/{target['name']}")
        channel = self._known[key].data.get("spec") or {}
        self._require(self._known[key], f"Channel {namespace}/{target['name']}: ")
        self._destination(spec["subscriber"], namespace)  # its reason comes before that of the reply
        reply = self._other(REPLY, spec.get("reply"), namespace)
        delivery = spec.get("delivery") or channel.get("delivery") or {}
        name = f"Subscription {namespace}/{subscription.name}"
        yield (
            f"channel/{namespace}/{target['name']}",
            self._subscription(name, namespace, spec["subscriber"], reply, delivery),
        )

    def _ping(self, source: Resource) -> Iterator[tuple[str, Subscription]]:
        spec, namespace = source.data["spec"], source.namespace
        node = f"ping/{namespace}/{source.name}"
        yield node, self._subscription(f"PingSource {namespace}/{source.name}", namespace, spec["sink"], None, DEFAULT)
        attributes = {
            "specversion": "1.0",
            "type": "dev.knative.sources.ping",
            "source": f"/apis/v1/namespaces/{namespace}/pingsources/{source.name}",
            **(spec.get("ceOverrides") or {}).get("extensions", {}),
        }
        data = base64.b64decode(spec["dataBase64"]) if spec.get("dataBase64") else spec.get("data", "").encode() or None
        if data and spec.get("contentType"):
            attributes["datacontenttype"] = spec["contentType"]
        schedule = cron.parse(spec.get("schedule") or cron.DEFAULT, spec.get("timezone", ""))
        self._pings.append(Ping(node, schedule, attributes, data))

    def _sink(self, source: Resource) -> Iterator[tuple[str, Subscription]]:
        """The sink of an object whose events come from pods: it has no node."""
        sink = self._destination(source.data["spec"]["sink"], source.namespace)
        if sink is None:
            raise UnreadyError("it has no sink")
        if not _is_made_for(source, SOURCES):  # the SinkBinding of a ContainerSource says what the source says
            self._sinks[f"{source.kind} {source.namespace}/{source.name}"] = sink
        yield from ()

    def _sequence(self, sequence: Resource) -> Iterator[tuple[str, Subscription]]:
        self._require(sequence)
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
            with self._part(namespace, f"{sequence.name}-kn-sequence-{index}"):
                made = self._subscription(name, namespace, step, reply, delivery)
            yield _step(sequence, index), made

    def _parallel(self, parallel: Resource) -> Iterator[tuple[str, Subscription]]:
        self._require(parallel)
        spec, namespace = parallel.data["spec"], parallel.namespace
        node = f"parallel/{namespace}/{parallel.name}"
        for index, branch in enumerate(spec["branches"]):
            name = f"Parallel {namespace}/{parallel.name} branch {index}"
            delivery = branch.get("delivery") or {}
            entry = node
            if "filter" in branch:
                entry = f"{node}/{index}"
                chosen = Destination(node=entry)
                with self._part(namespace, f"{parallel.name}-kn-parallel-filter-{index}"):
                    made = self._subscription(f"{name} filter", namespace, branch["filter"], chosen, delivery)
                yield node, made
            with self._part(namespace, f"{parallel.name}-kn-parallel-{index}"):
                reply = self._destination(branch.get("reply") or spec.get("reply"), namespace)
                made = self._subscription(name, namespace, branch["subscriber"], reply, delivery)
            yield entry, made

    @contextmanager
    def _part(self, namespace: str, subscription: str) -> Iterator[None]:
        """What fails within makes a Subscription of a flow unready as well."""
        try:
            yield
        except (UnreadyError, FilterError) as error:
            self._unready[f"Subscription {namespace}/{subscription}"] = str(error)
            raise

    def _subscription(
        self,
        name: str,
        namespace: str,
        subscriber: JsonMapping,
        reply: Destination | None,
        delivery: JsonMapping,
        filter_: Filter = lambda _event: None,
    ) -> Subscription:
        taken = self._destination(subscriber, namespace)
        if taken is None:
            raise UnreadyError("it has no subscriber")
        sink = self._other(DEAD_LETTERS, delivery.get("deadLetterSink"), namespace)
        return Subscription(name, namespace, filter_, taken, reply, Policy.of(delivery), sink)

    def _other(self, what: str, destination: JsonMapping | None, namespace: str) -> Destination | None:
        """A destination beside the subscriber; the reason why it is not there begins with `what`."""
        try:
            return self._destination(destination, namespace)
        except UnreadyError as error:
            raise UnreadyError(f"{what}{error}") from None

    def _destination(self, destination: JsonMapping | None, namespace: str) -> Destination | None:
        if not destination:
            return None
        reference, uri = destination.get("ref"), destination.get("uri") or ""
        if reference is None:
            return self._at_url(uri)
        group = str(reference["apiVersion"]).rpartition("/")[0]
        kind, name = reference["kind"], reference["name"]
        key = (group, kind, reference.get("namespace") or namespace, name)
        if key not in self._known:
            raise UnreadyError(f"there is no {kind} {key[2]}/{name}")
        if (group, kind) == (SERVING, "Service"):
            return Destination(host=f"{name}.{key[2]}", path=f"/{uri.lstrip('/')}")
        if (group, kind) in NODES:
            self._require(self._known[key], f"{kind} {key[2]}/{name} has no address: ")
        else:
            raise UnreadyError(f"events are not delivered to a {kind} ({group or 'core'}) on this machine")
        return Destination(node=f"{NODES[group, kind]}/{key[2]}/{name}")

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
                raise UnreadyError(f"there is no Broker at {url}")
            return Destination(node=node)
        name, _, namespace = inside.partition(".")
        if name.endswith(_CHANNEL_SUFFIX):
            channel = f"channel/{namespace}/{name.removesuffix(_CHANNEL_SUFFIX)}"
            entry = channel if channel in self._nodes else self._flows.get(channel)
            if entry is None:
                raise UnreadyError(f"there is no channel at {url}")
            return Destination(node=entry)
        if (SERVING, "Service", namespace, name) not in self._known:
            raise UnreadyError(f"there is no Service {namespace}/{name}")
        query = f"?{parts.query}" if parts.query else ""
        return Destination(host=inside, path=(parts.path or "/") + query)


def _is_made_for(resource: Resource, group: str) -> bool:
    """Whether an object of a group controls a resource."""
    owners = resource.metadata.get("ownerReferences") or ()
    return any(one.get("controller") and str(one.get("apiVersion", "")).startswith(f"{group}/") for one in owners)


def _step(sequence: Resource, index: int) -> str:
    node = f"sequence/{sequence.namespace}/{sequence.name}"
    return f"{node}/{index}" if index else node
