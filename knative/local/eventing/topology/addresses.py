"""The addresses that Brokers, channels and flows have in a cluster, and the nodes that have them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from knative.local.eventing.topology.graph import Destination

_BROKER = "http://broker-ingress.knative-eventing.svc.cluster.local/{namespace}/{name}"
_CHANNEL = "http://{name}-kn-channel.{namespace}.svc.cluster.local"


def channel_of(node: str) -> tuple[str, str] | None:
    """Return the namespace and the name of the channel by which a cluster implements a node.

    Args:
        node: Of a channel, or of a step of a Sequence or a branch of a Parallel, whose channels have names of
            Knative's making.
    """
    kind, namespace, name, *index = node.split("/")
    if kind == "channel":
        return namespace, name
    if kind == "sequence":
        return namespace, f"{name}-kn-sequence-{index[0] if index else 0}"
    if kind == "parallel":
        return namespace, "-".join((f"{name}-kn-parallel", *index))
    return None


def address_of(node: str) -> str:
    """Return the address of a node in a cluster; empty for one that has none, such as a source's."""
    kind, namespace, name = node.split("/")[:3]
    if kind == "broker":
        return _BROKER.format(namespace=namespace, name=name)
    channel = channel_of(node)
    return _CHANNEL.format(namespace=channel[0], name=channel[1]) if channel is not None else ""


def uri(destination: Destination | None) -> str:
    """Return the address of a destination as a cluster would give it."""
    if destination is None:
        return ""
    if destination.node:
        return address_of(destination.node)
    return str(destination).removesuffix("/") if destination.host else destination.url


def aliases(nodes: Iterable[str]) -> Mapping[str, str]:
    """Return the nodes that are reached under the name of another channel, by the node of that channel."""
    found = {}
    for node in nodes:
        channel = channel_of(node)
        if channel is not None and not node.startswith("channel/"):
            found["/".join(("channel", *channel))] = node
    return found
