"""The graph of Eventing's objects as data: nodes, subscriptions, destinations and timers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from knative.local.eventing.delivery import Policy
from knative.local.eventing.filters import Filter
from knative.local.manifests.cron import Schedule

_CLUSTER = ".svc.cluster.local"
DEAD_LETTERS, REPLY = "dead letter sink: ", "reply: "
"""What a reason in `Topology.unready` begins with, where not the subscriber or sink of an object is missing."""


@dataclass(frozen=True)
class Destination:
    """The target of an event: a node of this graph, a Service of this engine, or a URL elsewhere.

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
        """Return the address as a cluster would give it."""
        return self.url or (f"http://{self.host}{_CLUSTER}{self.path}" if self.host else self.node)


@dataclass(frozen=True)
class Subscription:
    """A receiver of a node's events.

    Attributes:
        name: Unique: `Trigger default/exif`, `Sequence default/describe step 1`.
        namespace: Of the object that it belongs to; deliveries state it in `Kn-Namespace`.
        filter: which events pass.
        subscriber: where they are delivered.
        reply: where a reply is sent; None drops it.
        policy: tries and waits.
        dead_letters: where undeliverable events are sent; None drops them.
        filtered: whether its deliveries pass Knative's broker-filter, as a Trigger's do: a response must then be an
            event or empty. For a step or a sink, a response that is no event is ignored.
    """

    name: str
    namespace: str
    filter: Filter
    subscriber: Destination
    reply: Destination | None
    policy: Policy
    dead_letters: Destination | None
    filtered: bool = False


@dataclass(frozen=True)
class Ping:
    """A PingSource: when it sends, and what.

    Attributes:
        node: the node that its events enter.
        schedule: its times.
        attributes: of its events, but `id` and `time`.
        data: of its events.
    """

    node: str
    schedule: Schedule
    attributes: Mapping[str, str]
    data: bytes | None


@dataclass(frozen=True)
class Topology:
    """The graph.

    Attributes:
        nodes: Subscriptions by node.
        unready: Objects that are not run, with the reason, by their name.
        pings: PingSources.
        sinks: The sink of each SinkBinding and ContainerSource, by its name: `SinkBinding default/s`.
        aliases: Nodes of flows by the node of the channel that a cluster would implement them with.
    """

    nodes: Mapping[str, tuple[Subscription, ...]] = field(default_factory=dict)
    unready: Mapping[str, str] = field(default_factory=dict)
    pings: tuple[Ping, ...] = ()
    sinks: Mapping[str, Destination] = field(default_factory=dict)
    aliases: Mapping[str, str] = field(default_factory=dict)

    def entry(self, node: str) -> str | None:
        """Return the node that receives events sent to a Broker or channel; None if it does not exist."""
        node = self.aliases.get(node, node) if node not in self.nodes else node
        return node if node in self.nodes else None

    def subscription(self, name: str) -> Subscription | None:
        """The subscription of a name."""
        return next((one for subscriptions in self.nodes.values() for one in subscriptions if one.name == name), None)
