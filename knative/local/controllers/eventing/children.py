"""The channels and Subscriptions by which a cluster implements Channels, Sequences and Parallels, as objects.

The graph runs a flow by itself; these objects show it as a cluster does. Names and forms follow knative/eventing,
pkg/reconciler/{channel,sequence,parallel}.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from knative.local.api.frozen import thaw
from knative.local.api.history import Object
from knative.local.api.store import Store
from knative.local.controllers.objects import controlled_by, ensure, find, key_of, reference
from knative.local.eventing.topology.builder import BACKING, wrong_template
from knative.local.jsontypes import JsonMapping

CHANNELS = "inmemorychannels.messaging.knative.dev"
SUBSCRIPTIONS = "subscriptions.messaging.knative.dev"
_OWNERS = ("channels.messaging.knative.dev", "sequences.flows.knative.dev", "parallels.flows.knative.dev")
_SUBSCRIBABLE = {"messaging.knative.dev/subscribable": "v1"}


def write_children(store: Store) -> dict[str, str]:
    """Bring the objects of all Channels and flows into line.

    Returns:
        Those that an object of the same name keeps from their own, with the reason, by their name in the topology.
    """
    blocked = {}
    for resource in _OWNERS:
        for owner in store.list(resource):
            name = f"{owner['kind']} {'/'.join(key_of(owner))}"
            if (wrong := wrong_template(owner["spec"])) is not None:
                blocked[name] = wrong
            desired = list(_desired(owner))
            for place, child in desired:
                existing = find(store, place, *key_of(child))
                if existing is None or controlled_by(existing, owner):
                    ensure(store, place, _with_what_is_set(child, existing))
                else:
                    blocked[name] = f"{child['kind']} {'/'.join(key_of(child))} is not owned by {name}"
            kept = {(place, *key_of(child)) for place, child in desired}
            for place, child in store.owned(owner["metadata"]["uid"]):
                if place in (CHANNELS, SUBSCRIPTIONS) and (place, *key_of(child)) not in kept:
                    store.delete(place, *key_of(child))
    return blocked


def _with_what_is_set(child: Object, existing: Object | None) -> Object:
    """A child with the labels, annotations and fields that others have added to it."""
    if existing is None:
        return child
    metadata = {**existing["metadata"], **child["metadata"]}
    return {**thaw(existing), **child, "metadata": metadata}


def _desired(owner: Object) -> Iterator[tuple[str, Object]]:
    spec = owner["spec"]
    template = spec.get("channelTemplate") or {}
    if not template or wrong_template(spec) is not None:
        return
    name = key_of(owner)[1]
    if owner["kind"] == "Channel":
        given = {**(template.get("spec") or {}), **({"delivery": spec["delivery"]} if spec.get("delivery") else {})}
        yield _channel(owner, name, given)
    elif owner["kind"] == "Sequence":
        yield from _sequence(owner, name, spec, template)
    else:
        yield from _parallel(owner, name, spec, template)


def _sequence(owner: Object, name: str, spec: Object, template: Object) -> Iterator[tuple[str, Object]]:
    steps = spec["steps"]
    for index, step in enumerate(steps):
        own = f"{name}-kn-sequence-{index}"
        yield _channel(owner, own, template.get("spec"))
        after = _to_channel(owner, f"{name}-kn-sequence-{index + 1}")
        reply = after if index < len(steps) - 1 else spec.get("reply")
        subscriber = {key: value for key, value in step.items() if key != "delivery"}
        yield _subscription(owner, own, own, subscriber, reply, step.get("delivery"))


def _parallel(owner: Object, name: str, spec: Object, template: Object) -> Iterator[tuple[str, Object]]:
    entry = f"{name}-kn-parallel"
    yield _channel(owner, entry, template.get("spec"))
    for index, branch in enumerate(spec["branches"]):
        own, filtering = f"{entry}-{index}", branch.get("filter")
        yield _channel(owner, own, template.get("spec"))
        to = _to_channel(owner, own)
        yield _subscription(owner, f"{entry}-filter-{index}", entry, filtering or to, to if filtering else None, None)
        reply = branch.get("reply") or spec.get("reply")
        yield _subscription(owner, own, own, branch["subscriber"], reply, branch.get("delivery"))


def _channel(owner: Object, name: str, spec: JsonMapping | None) -> tuple[str, Object]:
    metadata: Object = {"name": name, "namespace": key_of(owner)[0], "ownerReferences": [reference(owner)]}
    metadata["annotations"] = dict(_SUBSCRIBABLE)
    # What the template lists as subscribers belongs to the owner, which the graph reads.
    given = {key: value for key, value in (spec or {}).items() if key != "subscribers"}
    return CHANNELS, {"apiVersion": BACKING[0], "kind": BACKING[1], "metadata": metadata, "spec": thaw(given)}


def _to_channel(owner: Object, name: str) -> Object:
    return {"ref": {"apiVersion": BACKING[0], "kind": BACKING[1], "name": name, "namespace": key_of(owner)[0]}}


def _subscription(
    owner: Object, name: str, channel: str, subscriber: Object, reply: Object | None, delivery: Object | None
) -> tuple[str, Object]:
    spec = {
        "channel": {"apiVersion": BACKING[0], "kind": BACKING[1], "name": channel},
        "subscriber": subscriber,
        **({"reply": reply} if reply else {}),
        **({"delivery": delivery} if delivery else {}),
    }
    metadata = {"name": name, "namespace": key_of(owner)[0], "ownerReferences": [reference(owner)]}
    made = {"apiVersion": BACKING[0], "kind": "Subscription", "metadata": metadata, "spec": thaw(spec)}
    return SUBSCRIPTIONS, made


def stands_for(subscription: Object) -> str:
    """Return the name in the topology of what a Subscription shows: a step or branch of a flow, or itself."""
    namespace, name = key_of(subscription)
    owners = subscription["metadata"].get("ownerReferences") or ()
    owner = next((one for one in owners if one.get("controller")), {"kind": "", "name": ""})
    index = name.rpartition("-")[2]
    if owner["kind"] == "Sequence":
        return f"Sequence {namespace}/{owner['name']} step {index}"
    if owner["kind"] == "Parallel":
        ending = " filter" if name == f"{owner['name']}-kn-parallel-filter-{index}" else ""
        return f"Parallel {namespace}/{owner['name']} branch {index}{ending}"
    return f"Subscription {namespace}/{name}"


def flow_status(store: Store, flow: Object) -> Object:
    """Return the status of a Sequence or Parallel that follows from the objects that it is made of."""
    own = [child for place, child in _desired(flow) if place == CHANNELS]
    channels = [_state(store, CHANNELS, child, "channel") for child in own]
    made = [child for place, child in _desired(flow) if place == SUBSCRIPTIONS]
    subscriptions = [_state(store, SUBSCRIPTIONS, child, "subscription") for child in made]
    if flow["kind"] == "Sequence":
        return {"channelStatuses": channels, "subscriptionStatuses": subscriptions}
    if not channels:
        return {}
    return {"ingressChannelStatus": channels[0], "branchStatuses": _branches(channels[1:], subscriptions)}


def _branches(channels: Sequence[Object], subscriptions: Sequence[Object]) -> list[Object]:
    return [
        {
            "filterSubscriptionStatus": subscriptions[2 * index],
            "filterChannelStatus": channel,
            "subscriberSubscriptionStatus": subscriptions[2 * index + 1],
        }
        for index, channel in enumerate(channels)
    ]


def _state(store: Store, resource: str, child: Object, field: str) -> Object:
    namespace, name = key_of(child)
    found = (find(store, resource, namespace, name) or {}).get("status") or {}
    ready = next((thaw(one) for one in found.get("conditions") or () if one["type"] == "Ready"), None)
    place = {"apiVersion": child["apiVersion"], "kind": child["kind"], "name": name, "namespace": namespace}
    message = f"{child['kind']} does not have Ready condition"
    unknown = {"type": "Ready", "status": "Unknown", "reason": "NoReady", "message": message}
    return {field: place, "ready": ready or unknown}
