"""What Knative's webhook refuses in Channels, Subscriptions, Sequences and Parallels.

Follows `pkg/apis/{messaging,flows}/v1` of eventing. The data has been decoded: fields exist and have their types. Where
Knative prints a whole Go struct for a wrong step or branch, the reason inside it is given instead.
"""

from __future__ import annotations

from collections.abc import Iterator

from knative.local.check.destinations import CROSS_NAMESPACE, delivery, destination, named, reference
from knative.local.jsontypes import JsonMapping
from knative.local.manifests.cluster import Cluster
from knative.local.manifests.findings import Finding, disallowed, missing

_SCOPE = "eventing.knative.dev/scope"

Data = JsonMapping


def channel(data: Data, cluster: Cluster) -> Iterator[Finding]:
    """Refusals in a Channel, at paths from its root; a template left out is the cluster's default."""
    yield from named(data)
    spec = data.get("spec", {})
    yield from _template(spec)
    if spec.get("subscribers"):
        yield disallowed(("spec", "subscribable", "subscribers"))
    yield from delivery(spec.get("delivery", {}), ("spec", "delivery"), cluster)


def in_memory_channel(data: Data, cluster: Cluster) -> Iterator[Finding]:
    """Refusals in an InMemoryChannel, at paths from its root."""
    del cluster
    yield from named(data)
    for index, subscriber in enumerate(data.get("spec", {}).get("subscribers", [])):
        if "replyUri" not in subscriber and "subscriberUri" not in subscriber:
            path = ("spec", "subscribable", f"subscriber[{index}]")
            yield Finding(
                "missing field(s)",
                ((*path, "replyURI"), (*path, "subscriberURI")),
                "expected at least one of, got none",
            )
    scope = data.get("metadata", {}).get("annotations", {}).get(_SCOPE)
    if scope not in {None, "namespace", "cluster"}:
        path = ("metadata", "annotations", _SCOPE)
        yield Finding(f"invalid value: {scope}", (path,), "expected either 'cluster' or 'namespace'")


def subscription(data: Data, cluster: Cluster) -> Iterator[Finding]:
    """Refusals in a Subscription, at paths from its root."""
    yield from named(data)
    spec = data.get("spec", {})
    target = spec.get("channel")
    if not target:
        yield Finding("missing field(s)", (("spec", "channel"),), "the Subscription must reference a channel")
        return
    yield from reference(target, ("spec", "channel"), cluster)
    if target.get("namespace") and not cluster.eventing("cross-namespace-event-links"):
        yield Finding("must not set the field(s)", (("spec", "channel", "namespace"),), CROSS_NAMESPACE)
    if not spec.get("subscriber"):
        yield Finding("missing field(s)", (("spec", "subscriber"),), "the Subscription must reference a subscriber")
    for key in ("subscriber", "reply"):
        if spec.get(key):
            yield from destination(spec[key], ("spec", key), cluster)
    yield from delivery(spec.get("delivery", {}), ("spec", "delivery"), cluster)


def sequence(data: Data, cluster: Cluster) -> Iterator[Finding]:
    """Refusals in a Sequence, at paths from its root."""
    yield from named(data)
    spec = data.get("spec", {})
    if not spec.get("steps"):
        yield missing(("spec", "steps"))
    for index, step in enumerate(spec.get("steps", [])):
        yield from destination(step, ("spec", "steps", index), cluster)
        yield from delivery(step.get("delivery", {}), ("spec", "steps", index, "delivery"), cluster)
    yield from _flow(spec, cluster)


def parallel(data: Data, cluster: Cluster) -> Iterator[Finding]:
    """Refusals in a Parallel, at paths from its root."""
    yield from named(data)
    spec = data.get("spec", {})
    if not spec.get("branches"):
        yield missing(("spec", "branches"))
    for index, branch in enumerate(spec.get("branches", [])):
        path = ("spec", "branches", index)
        yield from destination(branch.get("subscriber", {}), (*path, "subscriber"), cluster)
        for key in ("filter", "reply"):
            if key in branch:
                yield from destination(branch[key], (*path, key), cluster)
        yield from delivery(branch.get("delivery", {}), (*path, "delivery"), cluster)
    yield from _flow(spec, cluster)


def _flow(spec: Data, cluster: Cluster) -> Iterator[Finding]:
    yield from _template(spec)
    if "reply" in spec:
        yield from destination(spec["reply"], ("spec", "reply"), cluster)


def _template(spec: Data) -> Iterator[Finding]:
    """Refusals in a channel template; one left out is the cluster's default."""
    if "channelTemplate" in spec:
        for key in ("apiVersion", "kind"):
            if not spec["channelTemplate"].get(key):
                yield missing(("spec", "channelTemplate", key))
