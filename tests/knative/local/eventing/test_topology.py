"""Manifests as a graph: the project's own, and what cannot run."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from knative.local.check.admission import load
from knative.local.eventing.topology.bindings import bind_sinks
from knative.local.eventing.topology.builder import build
from knative.local.eventing.topology.graph import Destination, Topology
from tests.engines import service
from tests.servers import ROOT

BROKER = {"apiVersion": "eventing.knative.dev/v1", "kind": "Broker", "metadata": {"name": "b"}}


def ref(kind: str, name: str, api: str = "serving.knative.dev/v1") -> dict:
    return {"ref": {"apiVersion": api, "kind": kind, "name": name}}


def trigger(name: str, subscriber: dict, **spec: object) -> dict:
    return {
        "apiVersion": "eventing.knative.dev/v1",
        "kind": "Trigger",
        "metadata": {"name": name},
        "spec": {"broker": "b", "subscriber": subscriber, **spec},
    }


def flow(kind: str, name: str, **spec: object) -> dict:
    return {"apiVersion": "flows.knative.dev/v1", "kind": kind, "metadata": {"name": name}, "spec": spec}


@pytest.fixture
def graph(tmp_path: Path):
    def make(*objects: dict) -> Topology:
        path = tmp_path / "objects.yaml"
        path.write_text(yaml.safe_dump_all([service("f"), service("g"), BROKER, *objects]))
        return build(load([path]).resources)

    return make


def only(topology: Topology, node: str):
    (subscription,) = topology.nodes[node]
    return subscription


def test_the_projects_own_manifests_all_run():
    topology = build(load([ROOT / "knative", ROOT / "knative" / "eventing"]).resources)
    assert topology.unready == {}
    taken = {
        (one.name.partition("/")[2], str(one.subscriber).removesuffix(".svc.cluster.local/"))
        for one in topology.nodes["broker/default/images"]
    }
    assert taken == {
        ("exif", "http://exif.default"),
        ("exif-clean", "http://exif.default"),
        ("histogram", "http://histogram.default"),
        ("stress", "http://stress.default"),
        ("describe", "sequence/default/describe"),
    }
    last = only(topology, "sequence/default/describe/1")
    assert str(last.reply) == "http://mailbox.default.svc.cluster.local/results"
    for subscriptions in topology.nodes.values():
        for one in subscriptions:
            assert (one.policy.retry, one.policy.exponential, one.policy.delay) == (10, True, 0.2)
            assert one.dead_letters == Destination(host="mailbox.default", path="/dead-letters")


@pytest.mark.parametrize("folder", ["eventing", "eventing/sequence", "eventing/sources", "overlays/kafka"])
def test_eventing_takes_each_folder_by_itself(folder):
    assert load([ROOT / "knative" / folder]).resources


def test_a_triggers_own_delivery_replaces_the_brokers(graph):
    own = {"retry": 2, "backoffPolicy": "linear", "backoffDelay": "PT1S", "timeout": "PT5S"}
    topology = graph(trigger("t", ref("Service", "f"), delivery=own))
    one = only(topology, "broker/default/b")
    assert (one.policy.retry, one.policy.exponential, one.policy.delay, one.policy.timeout) == (2, False, 1, 5)
    assert one.reply == Destination(node="broker/default/b")
    assert graph(trigger("t", ref("Service", "f"))).nodes["broker/default/b"][0].policy.retry == 10


@pytest.mark.parametrize("own", [{"retry": 2}, {}, {"retry": 2, "deadLetterSink": None}])
def test_a_trigger_with_a_delivery_of_its_own_keeps_the_brokers_dead_letter_sink_and_nothing_else(graph, own):
    delivery = {"retry": 7, "backoffPolicy": "linear", "backoffDelay": "PT1S", "deadLetterSink": ref("Service", "g")}
    broker = {**BROKER, "metadata": {"name": "c"}, "spec": {"delivery": delivery}}
    one = only(graph(broker, trigger("t", ref("Service", "f"), broker="c", delivery=own)), "broker/default/c")
    assert one.dead_letters == Destination(host="g.default")
    assert (one.policy.retry, one.policy.delay) == (own.get("retry", 0), 0.0)


def test_a_sequence_is_a_chain_of_nodes(graph):
    steps = [ref("Service", "f"), ref("Service", "g")]
    topology = graph(flow("Sequence", "s", steps=steps, reply=ref("Broker", "b", "eventing.knative.dev/v1")))
    first, second = only(topology, "sequence/default/s"), only(topology, "sequence/default/s/1")
    assert (str(first.subscriber), first.reply) == (
        "http://f.default.svc.cluster.local/",
        Destination(node="sequence/default/s/1"),
    )
    assert (str(second.subscriber), second.reply) == (
        "http://g.default.svc.cluster.local/",
        Destination(node="broker/default/b"),
    )


def test_a_branch_with_a_filter_has_a_node_of_its_own(graph):
    branches = [
        {"filter": ref("Service", "f"), "subscriber": ref("Service", "g"), "reply": ref("Service", "f")},
        {"subscriber": ref("Service", "f")},
    ]
    topology = graph(flow("Parallel", "p", branches=branches, reply=ref("Service", "g")))
    chosen, plain = topology.nodes["parallel/default/p"]
    assert chosen.reply == Destination(node="parallel/default/p/0")
    assert only(topology, "parallel/default/p/0").reply == Destination(host="f.default")
    assert plain.reply == Destination(host="g.default")


@pytest.mark.parametrize(
    ("uri", "wanted"),
    [
        ("http://example.org/x?y=1", Destination(url="http://example.org/x?y=1")),
        ("http://f.default.svc.cluster.local/x?y=1", Destination(host="f.default", path="/x?y=1")),
        ("http://f.default.svc/x?y=1", Destination(host="f.default", path="/x?y=1")),
        ("http://broker-ingress.knative-eventing.svc/default/b", Destination(node="broker/default/b")),
        (
            "http://broker-ingress.knative-eventing.svc.cluster.local/default/b",
            Destination(node="broker/default/b"),
        ),
    ],
)
def test_addresses_of_the_cluster_lead_to_what_runs_here(graph, uri, wanted):
    assert only(graph(trigger("t", {"uri": uri})), "broker/default/b").subscriber == wanted


def test_a_path_below_a_service(graph):
    one = only(graph(trigger("t", {**ref("Service", "f"), "uri": "/strip"})), "broker/default/b")
    assert one.subscriber == Destination(host="f.default", path="/strip")


@pytest.mark.parametrize(
    ("wrong", "reason"),
    [
        (trigger("t", ref("Service", "missing")), "no Service default/missing"),
        (trigger("t", ref("Service", "f"), broker="missing"), 'Broker "missing" does not exist'),
        (trigger("t", ref("Sequence", "s", "flows.knative.dev/v1")), "no Sequence default/s"),
        (trigger("t", {"uri": "http://missing.default.svc.cluster.local"}), "no Service default/missing"),
        (trigger("t", {"uri": "http://missing.default.svc"}), "no Service default/missing"),
    ],
)
def test_what_cannot_run_is_named_and_the_rest_runs(graph, wrong, reason):
    topology = graph(wrong, trigger("good", ref("Service", "g")))
    (said,) = topology.unready.values()
    assert reason in said
    assert only(topology, "broker/default/b").name == "Trigger default/good"


KAFKA = {"channelTemplate": {"apiVersion": "messaging.knative.dev/v1beta1", "kind": "KafkaChannel"}}
WRONG_SPEC = {
    "channelTemplate": {
        "apiVersion": "messaging.knative.dev/v1", "kind": "InMemoryChannel", "spec": {"delivery": {"retry": "x"}}
    }
}  # fmt: skip


@pytest.mark.parametrize(
    ("template", "reason"),
    [(KAFKA, "a KafkaChannel of messaging.knative.dev/v1beta1 is not run"), (WRONG_SPEC, "retry")],
)
@pytest.mark.parametrize(
    ("kind", "spec"),
    [("Sequence", {"steps": [ref("Service", "f")]}), ("Parallel", {"branches": [{"subscriber": ref("Service", "f")}]})],
)
def test_a_flow_whose_channels_are_not_run_forwards_nothing_and_has_no_address(graph, kind, spec, template, reason):
    version = "flows.knative.dev/v1"
    by_url = {"uri": f"http://s-kn-{kind.lower()}-0-kn-channel.default.svc.cluster.local"}
    topology = graph(flow(kind, "s", **spec, **template), trigger("t", ref(kind, "s", version)), trigger("u", by_url))
    assert reason in topology.unready[f"{kind} default/s"]
    assert topology.unready["Trigger default/t"].startswith(f"{kind} default/s has no address: ")
    assert topology.unready["Trigger default/u"].startswith("there is no channel at ")
    assert set(topology.nodes) == {"broker/default/b"}


SINKS = "sinks.knative.dev/v1alpha1"
NOT_RUN = [
    ({"kind": "JobSink", "apiVersion": SINKS, "spec": {"job": {}}}, "Jobs are not run"),
    (
        {
            "kind": "ApiServerSource",
            "apiVersion": "sources.knative.dev/v1",
            "spec": {"resources": [{"apiVersion": "v1", "kind": "Pod"}], "sink": ref("Service", "f")},
        },
        "does not watch its Kubernetes API",
    ),
    (
        {
            "kind": "Channel",
            "apiVersion": "messaging.knative.dev/v1",
            "spec": KAFKA,
        },
        "a KafkaChannel of messaging.knative.dev/v1beta1 is not run",
    ),
    (
        {
            "kind": "Subscription",
            "apiVersion": "messaging.knative.dev/v1",
            "spec": {
                "channel": {"apiVersion": "messaging.knative.dev/v1", "kind": "Channel", "name": "none"},
                "subscriber": ref("Service", "f"),
            },
        },
        "there is no Channel default/none",
    ),
]


@pytest.mark.parametrize(("wrong", "reason"), NOT_RUN, ids=[wrong["kind"] for wrong, _ in NOT_RUN])
def test_what_is_not_run_is_named_with_its_reason(graph, wrong, reason):
    topology = graph({**wrong, "metadata": {"name": "x"}})
    assert reason in topology.unready[f"{wrong['kind']} default/x"]


def test_a_channel_is_reached_by_its_address_in_the_cluster(graph):
    channel = {"apiVersion": "messaging.knative.dev/v1", "kind": "Channel", "metadata": {"name": "c"}, "spec": {}}
    topology = graph(channel, trigger("t", {"uri": "http://c-kn-channel.default.svc.cluster.local"}))
    assert only(topology, "broker/default/b").subscriber == Destination(node="channel/default/c")


def binding(**subject: object) -> dict:
    return {
        "apiVersion": "sources.knative.dev/v1",
        "kind": "SinkBinding",
        "metadata": {"name": "s"},
        "spec": {
            "subject": {"apiVersion": "serving.knative.dev/v1", "kind": "Service", **subject},
            "sink": ref("Broker", "b", "eventing.knative.dev/v1"),
            "ceOverrides": {"extensions": {"sink": "bound"}},
        },
    }


def test_a_sink_binding_gives_its_service_the_address_of_the_sink(tmp_path):
    path = tmp_path / "objects.yaml"
    path.write_text(yaml.safe_dump_all([service("f"), service("g"), BROKER, binding(name="f")]))
    manifests, unbound = bind_sinks(load([path]))
    variables = {}
    for one in manifests.services:
        (container,) = one.data["spec"]["template"]["spec"]["containers"]
        variables[one.name] = {item["name"]: item["value"] for item in container.get("env", [])}
    assert unbound == {}
    assert variables["f"]["K_SINK"] == "http://broker-ingress.knative-eventing.svc.cluster.local/default/b"
    assert variables["f"]["K_CE_OVERRIDES"] == '{"extensions":{"sink":"bound"}}'
    assert "K_SINK" not in variables["g"]


@pytest.mark.parametrize(
    ("subject", "reason"),
    [
        ({"name": "missing"}, "there is no Service missing"),
        ({"apiVersion": "apps/v1", "kind": "Deployment", "name": "f"}, "a Deployment .apps/v1. is not run"),
        ({"selector": {"matchLabels": {"app": "x"}}}, "there is no Service of its labels"),
    ],
)
def test_a_sink_binding_without_a_service_is_named_with_its_reason(tmp_path, subject, reason):
    path = tmp_path / "objects.yaml"
    path.write_text(yaml.safe_dump_all([service("f"), BROKER, binding(**subject)]))
    _, unbound = bind_sinks(load([path]))
    assert re.search(reason, unbound["SinkBinding default/s"])
