"""The status of Brokers, Triggers, channels, flows and sources, from the graph that the engine runs.

Follows knative/eventing, pkg/apis/*/v1/*_lifecycle.go.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from knative.local.api.history import Object
from knative.local.api.store import Store
from knative.local.controllers.eventing.children import flow_status, stands_for, write_children
from knative.local.controllers.objects import conditions, key_of, set_status
from knative.local.eventing.topology.addresses import address_of, uri
from knative.local.eventing.topology.builder import NODES
from knative.local.eventing.topology.graph import DEAD_LETTERS, REPLY, Destination, Topology
from knative.local.jsontypes import JsonMapping
from knative.local.manifests.kinds import EVENTING, FLOWS, MESSAGING, SOURCES
from knative.local.pods.conditions import Condition, Status, ready_of

_NO_SINK = Condition(
    "DeadLetterSinkResolved", Status.TRUE, "DeadLetterSinkNotConfigured", "No dead letter sink is configured."
)
_NO_OIDC = 'Feature "authentication-oidc" must be enabled to support Authorization'
_OIDC = Condition("OIDCIdentityCreated", Status.TRUE, "authentication-oidc feature disabled")
_POLICIES = Condition("EventPoliciesReady", Status.TRUE, "OIDCDisabled", _NO_OIDC)
# By group and kind: the conditions, and the one that is False where the object cannot run, with its reason.
_CONDITIONS: Mapping[tuple[str, str], tuple[tuple[str, ...], str, str]] = {
    (EVENTING, "Broker"): (
        (
            "Addressable",
            "DeadLetterSinkResolved",
            "EventPoliciesReady",
            "FilterReady",
            "IngressReady",
            "TriggerChannelReady",
        ),
        "IngressReady",
        "IngressUnavailable",
    ),
    (EVENTING, "Trigger"): (
        (
            "BrokerReady",
            "DeadLetterSinkResolved",
            "DependencyReady",
            "OIDCIdentityCreated",
            "SubscriberResolved",
            "SubscriptionReady",
        ),
        "SubscriberResolved",
        "Unable to get the Subscriber's URI",
    ),
    (MESSAGING, "Channel"): (
        ("Addressable", "BackingChannelReady", "DeadLetterSinkResolved", "EventPoliciesReady"),
        "BackingChannelReady",
        "BackingChannelNotConfigured",
    ),
    (MESSAGING, "InMemoryChannel"): (
        (
            "Addressable",
            "ChannelServiceReady",
            "DeadLetterSinkResolved",
            "DispatcherReady",
            "EndpointsReady",
            "EventPoliciesReady",
            "ServiceReady",
        ),
        "DispatcherReady",
        "DispatcherNotReady",
    ),
    (MESSAGING, "Subscription"): (
        ("AddedToChannel", "ChannelReady", "OIDCIdentityCreated", "ReferencesResolved"),
        "ReferencesResolved",
        "SubscriberResolveFailed",
    ),
    (FLOWS, "Sequence"): (
        ("Addressable", "ChannelsReady", "EventPoliciesReady", "SubscriptionsReady"),
        "SubscriptionsReady",
        "SubscriptionsNotReady",
    ),
    (FLOWS, "Parallel"): (
        ("Addressable", "ChannelsReady", "EventPoliciesReady", "SubscriptionsReady"),
        "SubscriptionsReady",
        "SubscriptionsNotReady",
    ),
    (SOURCES, "PingSource"): (("Deployed", "OIDCIdentityCreated", "SinkProvided"), "SinkProvided", "NotFound"),
    (SOURCES, "SinkBinding"): (
        ("Available", "OIDCIdentityCreated", "OIDCTokenSecretCreated", "SinkProvided", "TrustBundlePropagated"),
        "Available",
        "SubjectMissing",
    ),
}
# The order in which a cluster's controllers set conditions: those after one that is False stay Unknown.
_ORDER: Mapping[str, tuple[str, ...]] = {
    "Trigger": (
        *("BrokerReady", "SubscriberResolved", "DeadLetterSinkResolved", "SubscriptionReady", "DependencyReady"),
    ),
    "Subscription": ("ReferencesResolved", "AddedToChannel", "ChannelReady"),
    "PingSource": ("SinkProvided", "Deployed"),
}
_NO_DEAD_LETTERS = "Unable to get the dead letter sink's URI"
_BLOCKED = {"Channel": "BackingChannelReady", "Sequence": "ChannelsReady", "Parallel": "ChannelsReady"}
RESOURCES: Mapping[str, tuple[str, str]] = {f"{kind.lower()}s.{group}": (group, kind) for group, kind in _CONDITIONS}


def write_status(
    store: Store,
    topology: Topology,
    problems: Mapping[str, str],
    everywhere: str = "",
    *,
    blocked: Mapping[str, str] | None = None,
) -> None:
    """Write the status of all objects of Eventing.

    Args:
        store: Holds the objects.
        topology: What the engine runs.
        problems: Further objects that do not run, with the reason, by their name in the topology.
        everywhere: Why nothing of Eventing runs, or empty.
        blocked: What `write_children` returned; None to call it.
    """
    blocked = write_children(store) if blocked is None else blocked
    unready = {**problems, **topology.unready, **blocked}
    now = store.timestamp()
    for resource, kind in RESOURCES.items():
        for obj in store.list(resource):
            namespace, name = key_of(obj)
            problem = everywhere or unready.get(f"{kind[1]} {namespace}/{name}", "")
            failing = _failing(kind, problem, topology, blocked)
            status = _status(kind, obj, topology, Condition(failing[0], Status.FALSE, failing[1], problem), now)
            if kind[0] == FLOWS:
                status |= flow_status(store, obj)
            set_status(store, resource, obj, status)


def _failing(kind: tuple[str, str], problem: str, topology: Topology, blocked: Mapping[str, str]) -> tuple[str, str]:
    """The condition that a problem of an object makes False, and its reason."""
    names, failing, reason = _CONDITIONS[kind]
    if problem in blocked.values():
        return _BLOCKED.get(kind[1], failing), "ChannelsNotReady" if kind[0] == FLOWS else "ChannelFailure"
    if kind[1] == "Trigger" and problem.startswith('Broker "'):
        return "BrokerReady", "BrokerDoesNotExist" if problem.endswith("does not exist") else _NO_DEAD_LETTERS
    if problem.startswith(DEAD_LETTERS) and "DeadLetterSinkResolved" in names:
        return "DeadLetterSinkResolved", _NO_DEAD_LETTERS
    if kind[1] == "Subscription" and problem.startswith((DEAD_LETTERS, REPLY)):
        return failing, "ReplyResolveFailed" if problem.startswith(REPLY) else "DeadLetterSinkResolveFailed"
    if kind[1] == "SinkBinding" and problem in topology.unready.values():
        return "SinkProvided", "NoAddressable"
    if kind[1] == "Subscription" and "Channel" in problem:
        reason = "ChannelReferenceFetchFailed"
    return failing, reason


def _status(kind: tuple[str, str], obj: Object, topology: Topology, failing: Condition, now: str) -> Object:
    """The status of an object; `failing` holds where it has a message."""
    names, problem = _CONDITIONS[kind][0], failing.message
    known = {one.type: one for one in (_NO_SINK, _OIDC, _POLICIES)}
    details = {} if problem else _DETAILS.get(kind[1], _nothing)(obj, topology)
    if details.get("deadLetterSinkUri"):
        known["DeadLetterSinkResolved"] = Condition("DeadLetterSinkResolved", Status.TRUE)
    found = [known.get(name, Condition(name, Status.TRUE)) for name in names]
    if problem:
        order = _ORDER.get(kind[1], ())
        later = order[order.index(failing.type) + 1 :] if failing.type in order else ()
        found = [Condition(one.type, Status.UNKNOWN) if one.type in later else one for one in found]
        found = [failing if one.type == failing.type else one for one in found]
    return {
        "observedGeneration": obj["metadata"]["generation"],
        "conditions": conditions(obj.get("status") or {}, [ready_of(*found), *found], now),
        **details,
    }


def _address(obj: Object, kind: str) -> Object:
    return {"address": {"name": "http", "url": address_of("/".join((kind, *key_of(obj))))}}


def _nothing(_obj: Object, _topology: Topology) -> Object:
    return {}


def _broker(obj: Object, _topology: Topology) -> Object:
    namespace, name = key_of(obj)
    channel = {"namespace": namespace, "name": f"{name}-kne-trigger"}
    annotations = {
        "knative.dev/channelAPIVersion": "messaging.knative.dev/v1",
        "knative.dev/channelAddress": address_of("channel/{namespace}/{name}".format(**channel)),
        "knative.dev/channelKind": "InMemoryChannel",
        "knative.dev/channelName": channel["name"],
    }
    return {**_address(obj, "broker"), "annotations": annotations, **_dead_letters(obj)}


def _dead_letters(obj: Object) -> Object:
    delivery = ((obj.get("spec") or {}).get("delivery") or {}).get("deadLetterSink")
    if not delivery:
        return {}
    return {"deadLetterSinkUri": _resolved(delivery, key_of(obj)[0])}


def _resolved(destination: JsonMapping, namespace: str) -> str:
    """The address of a destination that an object names."""
    reference, path = destination.get("ref"), str(destination.get("uri") or "")
    if not reference:
        return path
    place, name = reference.get("namespace") or namespace, reference["name"]
    node = NODES.get((str(reference["apiVersion"]).rpartition("/")[0], reference["kind"]))
    if node is not None:
        return address_of(f"{node}/{place}/{name}")
    return uri(Destination(host=f"{name}.{place}", path=f"/{path.lstrip('/')}"))


def _of(kind: str) -> Callable[[Object, Topology], Object]:
    def details(obj: Object, _topology: Topology) -> Object:
        return {**_address(obj, kind), **_dead_letters(obj)}

    return details


def _channel(obj: Object, _topology: Topology) -> Object:
    namespace, name = key_of(obj)
    backing = {"apiVersion": "messaging.knative.dev/v1", "kind": "InMemoryChannel", "name": name}
    return {**_address(obj, "channel"), **_dead_letters(obj), "channel": {**backing, "namespace": namespace}}


def _trigger(obj: Object, topology: Topology) -> Object:
    found = topology.subscription("Trigger {}/{}".format(*key_of(obj)))
    if found is None:
        return {}
    sink = {"deadLetterSinkUri": uri(found.dead_letters)} if found.dead_letters else {}
    return {"subscriberUri": uri(found.subscriber), **sink}


def _channel_subscription(obj: Object, topology: Topology) -> Object:
    found = topology.subscription(stands_for(obj))
    if found is None:
        return {}
    ends = {"subscriberUri": found.subscriber, "replyUri": found.reply, "deadLetterSinkUri": found.dead_letters}
    return {"physicalSubscription": {name: uri(end) for name, end in ends.items() if end is not None}}


def _ping(obj: Object, topology: Topology) -> Object:
    namespace, name = key_of(obj)
    found = topology.subscription(f"PingSource {namespace}/{name}")
    source = f"/apis/v1/namespaces/{namespace}/pingsources/{name}"
    attributes = [{"type": "dev.knative.sources.ping", "source": source}]
    return {"sinkUri": uri(found.subscriber) if found is not None else "", "ceAttributes": attributes}


def _binding(obj: Object, _topology: Topology) -> Object:
    return {"sinkUri": _resolved(obj["spec"].get("sink") or {}, key_of(obj)[0])}


_DETAILS: Mapping[str, Callable[[Object, Topology], Object]] = {
    "Broker": _broker,
    "Channel": _channel,
    "InMemoryChannel": _of("channel"),
    "Sequence": _of("sequence"),
    "Parallel": _of("parallel"),
    "Trigger": _trigger,
    "Subscription": _channel_subscription,
    "PingSource": _ping,
    "SinkBinding": _binding,
}
