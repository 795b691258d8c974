"""The status of each kind of Eventing, of objects that run and of some that cannot."""

from __future__ import annotations

from typing import Any

import pytest

from knative.local.api.store import Store
from knative.local.controllers.eventing.children import write_children
from knative.local.controllers.eventing.status import RESOURCES, write_status
from knative.local.controllers.objects import place_of
from knative.local.controllers.written import as_resource
from knative.local.eventing.topology.builder import build

TO = {"ref": {"apiVersion": "serving.knative.dev/v1", "kind": "Service", "name": "exif"}}
DEAD = {"delivery": {"deadLetterSink": TO}}
CHANNEL = {"apiVersion": "messaging.knative.dev/v1", "kind": "InMemoryChannel", "name": "c"}
TRIGGER = {"broker": "b", "subscriber": TO}
OBJECTS: dict[str, tuple[str, dict[str, Any]]] = {
    "Broker": ("eventing.knative.dev/v1", {}),
    "Trigger": ("eventing.knative.dev/v1", TRIGGER),
    "Channel": ("messaging.knative.dev/v1", DEAD),
    "InMemoryChannel": ("messaging.knative.dev/v1", {}),
    "Subscription": ("messaging.knative.dev/v1", {"channel": CHANNEL, "subscriber": TO, "reply": TO}),
    "Sequence": ("flows.knative.dev/v1", {"steps": [TO, TO]}),
    "Parallel": ("flows.knative.dev/v1", {"branches": [{"subscriber": TO}]}),
    "PingSource": ("sources.knative.dev/v1", {"schedule": "* * * * *", "sink": TO}),
    "SinkBinding": ("sources.knative.dev/v1", {"subject": {"apiVersion": "v1", "kind": "Service"}, "sink": TO}),
}
NAMES = {"Broker": "b", "InMemoryChannel": "c"}
HOST = "http://exif.default.svc.cluster.local"


def filled(*left_out: str) -> Store:
    store = Store()
    made = {kind: value for kind, value in OBJECTS.items() if kind not in left_out}
    for kind, (version, spec) in {**made, "Service": ("serving.knative.dev/v1", {})}.items():
        name = "exif" if kind == "Service" else NAMES.get(kind, "x")
        if name in left_out:
            continue
        obj = {"apiVersion": version, "kind": kind, "metadata": {"name": name, "namespace": "default"}, "spec": spec}
        store.create(place_of(version, kind, obj["metadata"])[0], obj)
    return store


def written(store: Store, problems: dict[str, str] | None = None, everywhere: str = "") -> dict[str, dict[str, Any]]:
    topology = build([as_resource(obj) for _, obj in store.everything()])
    write_status(store, topology, problems or {}, everywhere)
    return {kind: one["status"] for resource, (_, kind) in RESOURCES.items() for one in store.list(resource)}


def ready(status: dict[str, Any]) -> tuple[str, str]:
    (found,) = [one for one in status["conditions"] if one["type"] == "Ready"]
    return found["status"], found.get("reason", "")


@pytest.mark.parametrize("kind", OBJECTS)
def test_what_runs_is_ready_in_each_of_its_conditions(kind: str) -> None:
    status = written(filled())[kind]
    assert {one["status"] for one in status["conditions"]} == {"True"}
    assert status["observedGeneration"] == 1


@pytest.mark.parametrize(
    ("kind", "url"),
    [
        ("Broker", "http://broker-ingress.knative-eventing.svc.cluster.local/default/b"),
        ("Channel", "http://x-kn-channel.default.svc.cluster.local"),
        ("InMemoryChannel", "http://c-kn-channel.default.svc.cluster.local"),
        ("Sequence", "http://x-kn-sequence-0-kn-channel.default.svc.cluster.local"),
        ("Parallel", "http://x-kn-parallel-kn-channel.default.svc.cluster.local"),
    ],
)
def test_what_takes_events_has_an_address(kind: str, url: str) -> None:
    assert written(filled())[kind]["address"] == {"name": "http", "url": url}


def test_where_events_go_is_named() -> None:
    found = written(filled())
    assert found["Trigger"]["subscriberUri"] == HOST
    assert found["Subscription"]["physicalSubscription"] == {"subscriberUri": HOST, "replyUri": HOST}
    assert found["PingSource"]["sinkUri"] == found["SinkBinding"]["sinkUri"] == HOST
    assert found["Channel"]["deadLetterSinkUri"] == HOST
    assert found["Channel"]["channel"] == {**CHANNEL, "name": "x", "namespace": "default"}


@pytest.mark.parametrize(
    ("kind", "reason"),
    [
        ("Trigger", "Unable to get the Subscriber's URI"),
        ("Subscription", "SubscriberResolveFailed"),
        ("Sequence", "SubscriptionsNotReady"),
        ("Parallel", "SubscriptionsNotReady"),
        ("PingSource", "NotFound"),
    ],
)
def test_what_refers_to_nothing_says_so(kind: str, reason: str) -> None:
    assert ready(written(filled("exif"))[kind]) == ("False", reason)


def test_a_trigger_without_its_broker_and_a_subscription_without_its_channel() -> None:
    assert ready(written(filled("Broker"))["Trigger"]) == ("False", "BrokerDoesNotExist")
    assert ready(written(filled("InMemoryChannel"))["Subscription"]) == ("False", "ChannelReferenceFetchFailed")


GONE = {"ref": {**TO["ref"], "name": "gone"}}
NO_SINK = ("False", "Unable to get the dead letter sink's URI")


@pytest.mark.parametrize(
    ("kind", "spec", "false"),
    [
        ("Broker", {"delivery": {"deadLetterSink": GONE}}, {"DeadLetterSinkResolved"}),
        ("Trigger", {**TRIGGER, "delivery": {"deadLetterSink": GONE}}, {"DeadLetterSinkResolved"}),
        ("Trigger", {**TRIGGER, "subscriber": GONE, **DEAD}, {"SubscriberResolved"}),
        ("Trigger", {**TRIGGER, "broker": "other"}, {"BrokerReady"}),
        ("InMemoryChannel", {"delivery": {"deadLetterSink": GONE}}, {"DeadLetterSinkResolved"}),
        ("Subscription", {**OBJECTS["Subscription"][1], "reply": GONE}, {"ReferencesResolved"}),
        ("PingSource", {**OBJECTS["PingSource"][1], "sink": GONE}, {"SinkProvided"}),
    ],
)
def test_one_condition_names_the_end_that_is_missing(kind: str, spec: dict[str, Any], false: set[str]) -> None:
    """Conditions that a cluster sets after it are Unknown, and none claims what was not looked at."""
    store = filled(kind)
    metadata = {"name": NAMES.get(kind, "x"), "namespace": "default"}
    obj = {"apiVersion": OBJECTS[kind][0], "kind": kind, "metadata": metadata, "spec": spec}
    store.create(place_of(OBJECTS[kind][0], kind, metadata)[0], obj)
    status = written(store)[kind]
    found = {one["type"]: one["status"] for one in status["conditions"] if one["type"] != "Ready"}
    assert {name for name, value in found.items() if value == "False"} == false
    assert ready(status)[0] == "False"
    after = {"Trigger": "SubscriptionReady", "Subscription": "AddedToChannel", "PingSource": "Deployed"}
    assert found.get(after.get(kind, ""), "Unknown") == "Unknown"


def test_a_broker_without_its_sink_for_dead_letters_holds_up_its_triggers() -> None:
    store = filled("Broker")
    spec = {"delivery": {"deadLetterSink": GONE}}
    metadata = {"name": "b", "namespace": "default"}
    broker = {"apiVersion": OBJECTS["Broker"][0], "kind": "Broker", "metadata": metadata, "spec": spec}
    store.create(place_of(OBJECTS["Broker"][0], "Broker", metadata)[0], broker)
    found = written(store)
    assert ready(found["Broker"]) == ready(found["Trigger"]) == NO_SINK
    assert "deadLetterSinkUri" not in found["Broker"]


def test_a_binding_without_its_subject_and_a_log_that_cannot_be_opened() -> None:
    found = written(filled(), {"SinkBinding default/x": "there is no Service x among the manifests"})
    assert ready(found["SinkBinding"]) == ("False", "SubjectMissing")
    closed = written(filled(), everywhere="the event log cannot be opened: it is a file")
    assert {ready(status)[0] for status in closed.values()} == {"False"}


def test_a_status_that_stays_is_not_written_again() -> None:
    store = filled()
    written(store)
    version = store.version
    written(store)
    assert store.version == version


BACKED = {"channelTemplate": {"apiVersion": "messaging.knative.dev/v1", "kind": "InMemoryChannel"}}
CHANNELS, SUBSCRIPTIONS = "inmemorychannels.messaging.knative.dev", "subscriptions.messaging.knative.dev"
FLOWS = {"Sequence": "sequences.flows.knative.dev", "Parallel": "parallels.flows.knative.dev"}


def made(kind: str, spec: dict[str, Any], *more: tuple[str, dict[str, Any]]) -> Store:
    """A store with an object of Eventing named `f`, the Service `exif` and others."""
    store = Store()
    objects = [(kind, {"apiVersion": OBJECTS[kind][0], "metadata": {"name": "f"}, "spec": {**spec, **BACKED}}), *more]
    service = {"apiVersion": "serving.knative.dev/v1", "metadata": {"name": "exif"}, "spec": {}}
    for one, obj in (*objects, ("Service", service)):
        whole = {**obj, "kind": one, "metadata": {**obj["metadata"], "namespace": "default"}}
        store.create(place_of(obj["apiVersion"], one, whole["metadata"])[0], whole)
    return store


def names(store: Store, resource: str) -> list[str]:
    return [one["metadata"]["name"] for one in store.list(resource)]


def test_a_channel_is_backed_by_an_object_and_a_foreign_one_of_its_name_blocks_it() -> None:
    store = made("Channel", {"delivery": {"retry": 3}})
    written(store)
    (backing,) = store.list(CHANNELS)
    assert (backing["metadata"]["name"], backing["spec"]) == ("f", {"delivery": {"retry": 3}})
    assert backing["metadata"]["ownerReferences"][0]["kind"] == "Channel"
    assert backing["status"]["address"]["url"] == "http://f-kn-channel.default.svc.cluster.local"
    store.delete("channels.messaging.knative.dev", "default", "f")
    assert not store.list(CHANNELS)

    foreign = {"apiVersion": "messaging.knative.dev/v1", "metadata": {"name": "f"}, "spec": {}}
    blocked = made("Channel", {}, ("InMemoryChannel", foreign))
    assert ready(written(blocked)["Channel"]) == ("False", "ChannelFailure")


def test_a_flow_whose_child_belongs_to_another_object_neither_is_ready_nor_forwards() -> None:
    foreign = {"apiVersion": "messaging.knative.dev/v1", "metadata": {"name": "f-kn-sequence-0"}, "spec": {}}
    store = made("Sequence", {"steps": [TO]}, ("InMemoryChannel", foreign))
    blocked = write_children(store)
    (reason,) = blocked.values()
    assert reason == "InMemoryChannel default/f-kn-sequence-0 is not owned by Sequence default/f"
    topology = build([as_resource(obj) for _, obj in store.everything()], blocked)
    assert topology.unready == blocked
    assert "sequence/default/f" not in topology.nodes
    assert topology.entry("channel/default/f-kn-sequence-0") == "channel/default/f-kn-sequence-0", "the other object's"
    write_status(store, topology, {}, blocked=blocked)
    (flow,) = store.list(FLOWS["Sequence"])
    assert ready(flow["status"]) == ("False", "ChannelsNotReady")


def test_a_sequence_shows_its_channels_and_subscriptions_and_events_enter_it_by_the_first() -> None:
    store = made("Sequence", {"steps": [TO, {**TO, "delivery": {"retry": 2}}], "reply": TO})
    status = written(store)["Sequence"]
    parts = ["f-kn-sequence-0", "f-kn-sequence-1"]
    assert (names(store, CHANNELS), names(store, SUBSCRIPTIONS)) == (parts, parts)
    for field, kind in (("channelStatuses", "channel"), ("subscriptionStatuses", "subscription")):
        assert [one[kind]["name"] for one in status[field]] == parts
        assert {(one["ready"]["type"], one["ready"]["status"]) for one in status[field]} == {("Ready", "True")}
    first, last = (one["spec"] for one in store.list(SUBSCRIPTIONS))
    assert (first["reply"]["ref"]["name"], last["reply"], last["delivery"]) == (parts[1], TO, {"retry": 2})
    to = "http://f-kn-sequence-1-kn-channel.default.svc.cluster.local"
    assert store.list(SUBSCRIPTIONS)[0]["status"]["physicalSubscription"] == {"subscriberUri": HOST, "replyUri": to}
    topology = build([as_resource(obj) for _, obj in store.everything()])
    assert topology.entry("channel/default/f-kn-sequence-0") == "sequence/default/f"
    assert [len(one) for one in topology.nodes.values()] == [1, 1], "what is shown does not deliver a second time"

    shorter = {**store.get(FLOWS["Sequence"], "default", "f")}
    store.update(FLOWS["Sequence"], {**shorter, "spec": {"steps": [TO], **BACKED}})
    written(store)
    assert (names(store, CHANNELS), names(store, SUBSCRIPTIONS)) == (parts[:1], parts[:1])


def test_a_parallel_shows_its_branches_and_which_of_them_is_not_ready() -> None:
    missing = {"ref": {**TO["ref"], "name": "missing"}}
    store = made("Parallel", {"branches": [{"subscriber": TO}, {"filter": TO, "subscriber": missing}]})
    status = written(store)["Parallel"]
    assert status["ingressChannelStatus"]["channel"]["name"] == "f-kn-parallel"
    found = [
        {field: (next(iter(one.values()))["name"], one["ready"]["status"]) for field, one in branch.items()}
        for branch in status["branchStatuses"]
    ]
    assert found == [
        {
            "filterSubscriptionStatus": (f"f-kn-parallel-filter-{index}", "True"),
            "filterChannelStatus": (f"f-kn-parallel-{index}", "True"),
            "subscriberSubscriptionStatus": (f"f-kn-parallel-{index}", subscribed),
        }
        for index, subscribed in enumerate(("True", "False"))
    ]
    assert ready(status) == ("False", "SubscriptionsNotReady")
