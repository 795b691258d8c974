"""Any value in any place of an object that admission accepts: its status says what is wrong, and nothing fails."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

import pytest

from knative.local.api.admission import AdmissionError, Operation, admission
from knative.local.api.store import Store
from knative.local.controllers.eventing.status import write_status
from knative.local.controllers.objects import place_of
from knative.local.controllers.written import as_resource
from knative.local.eventing.topology.bindings import bind_sinks
from knative.local.eventing.topology.builder import build
from knative.local.manifests.cluster import Cluster
from knative.local.manifests.cluster_config import Defaults
from knative.local.manifests.resources import Manifests
from knative.local.pods.runtimes.selection import Mode
from knative.local.pods.standing.reading import read
from knative.local.pods.template import template

VALUES = [None, "", "a b", "http://[", -1, 1.5, True, [None], [{}], {"a": 1}, "x" * 300]
TO = {"ref": {"apiVersion": "eventing.knative.dev/v1", "kind": "Broker", "name": "b"}}
SERVICE = {"ref": {"apiVersion": "serving.knative.dev/v1", "kind": "Service", "name": "s"}}
BACKED = {
    "apiVersion": "messaging.knative.dev/v1",
    "kind": "InMemoryChannel",
    "spec": {"delivery": {"retry": 1, "deadLetterSink": TO}},
}
CONTAINER = {
    "name": "c",
    "image": "dev.local/test:1",
    "command": ["bin/sleep", "1"],
    "workingDir": "work",
    "env": [{"name": "A", "valueFrom": {"secretKeyRef": {"name": "n", "key": "k", "optional": True}}}],
    "ports": [{"containerPort": 80}],
    "readinessProbe": {"httpGet": {"path": "/", "httpHeaders": [{"name": "a", "value": "b"}]}},
    "resources": {"limits": {"cpu": "1"}},
    "securityContext": {"runAsUser": 1, "capabilities": {"drop": ["ALL"]}},
    "volumeMounts": [{"name": "v", "mountPath": "/v"}],
}
POD = {
    "containers": [CONTAINER],
    "volumes": [{"name": "v", "configMap": {"name": "n", "optional": True, "items": [{"key": "k", "path": "p"}]}}],
}
SELECTOR = {"matchLabels": {"a": "b"}, "matchExpressions": [{"key": "a", "operator": "In", "values": ["b"]}]}
SPECS: dict[str, tuple[str, dict[str, Any]]] = {
    "ContainerSource": ("sources.knative.dev/v1", {"sink": TO, "template": {"spec": {**POD, "initContainers": []}}}),
    "SinkBinding": (
        "sources.knative.dev/v1",
        {"sink": TO, "subject": {"apiVersion": "serving.knative.dev/v1", "kind": "Service", "selector": SELECTOR}},
    ),
    "Sequence": ("flows.knative.dev/v1", {"steps": [SERVICE, SERVICE], "reply": TO, "channelTemplate": BACKED}),
    "Parallel": (
        "flows.knative.dev/v1",
        {"branches": [{"filter": SERVICE, "subscriber": SERVICE, "reply": TO}], "channelTemplate": BACKED},
    ),
    "Channel": ("messaging.knative.dev/v1", {"channelTemplate": BACKED, "delivery": {"deadLetterSink": TO}}),
    "Service": ("serving.knative.dev/v1", {"template": {"spec": POD}}),
}


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    for key, item in value.items() if isinstance(value, dict) else enumerate(value):
        yield (*path, key)
        if isinstance(item, dict | list):
            yield from places(item, (*path, key))


def accepted(kind: str) -> Iterator[dict[str, Any]]:
    version, spec = SPECS[kind]
    for path in places(spec):
        for value in VALUES:
            obj = {"apiVersion": version, "kind": kind, "metadata": {"name": "x", "namespace": "default"}}
            holder = obj["spec"] = copy.deepcopy(spec)
            for key in path[:-1]:
                holder = holder[key]
            holder[path[-1]] = value
            try:
                yield admission(Cluster(), obj, None, Operation.CREATE)
            except AdmissionError:
                continue


def others() -> Iterator[dict[str, Any]]:
    metadata = {"namespace": "default", "labels": {"a": "b"}}
    yield {"apiVersion": TO["ref"]["apiVersion"], "kind": "Broker", "metadata": {**metadata, "name": "b"}, "spec": {}}
    pod = {"containers": [{"image": "dev.local/test:1"}]}
    spec = {"template": {"spec": pod}}
    version = SERVICE["ref"]["apiVersion"]
    yield {"apiVersion": version, "kind": "Service", "metadata": {**metadata, "name": "s"}, "spec": spec}


@pytest.mark.parametrize("kind", [kind for kind in SPECS if kind != "Service"])
def test_the_status_of_any_accepted_object_is_written(kind: str) -> None:
    count = 0
    for count, obj in enumerate(accepted(kind), 1):  # noqa: B007 - counted for the assertion below
        store = Store()
        for one in (*others(), obj):
            store.create(place_of(one["apiVersion"], one["kind"], one["metadata"])[0], one)
        for _ in range(2):  # with the objects that the first turn has made
            resources = tuple(as_resource(one) for _, one in store.everything())
            bind_sinks(Manifests(resources, Cluster(), ()))
            write_status(store, build(resources), {})
        if kind == "ContainerSource":
            pod = obj["spec"]["template"]["spec"]
            made = read("x", "default", pod, {"K_SINK": "u"}, directory="/", objects={}, mode=Mode.AUTO)
            assert made.problem is not None or made.spec.program.container.image
    assert count > 20


def test_the_pods_of_any_accepted_service_are_read() -> None:
    made = [template(one, "/", Defaults(), {}, Mode.AUTO).pod_spec("x-00001", {}) for one in accepted("Service")]
    assert len(made) > 20


def test_what_a_pod_lacks_and_a_wrong_channel_template_are_named() -> None:
    spec = {"containers": [{**CONTAINER, "volumeMounts": [{"name": "v"}]}]}
    made = read("x", "default", spec, {}, directory="/", objects={}, mode=Mode.AUTO)
    assert made.problem is not None
    assert made.problem.message == "spec.template.spec.containers[0].volumeMounts[0].mountPath: Required value"

    store = Store()
    wrong = {"steps": [SERVICE], "channelTemplate": {**BACKED, "spec": {"delivery": {"retry": "x"}}}}
    metadata = {"name": "x", "namespace": "default"}
    flow = {"apiVersion": "flows.knative.dev/v1", "kind": "Sequence", "metadata": metadata, "spec": wrong}
    for one in (*others(), flow):
        store.create(place_of(one["apiVersion"], one["kind"], one["metadata"])[0], one)
    write_status(store, build([as_resource(one) for _, one in store.everything()]), {})
    (written,) = store.list("sequences.flows.knative.dev")
    found = {one["type"]: one.get("message", "") for one in written["status"]["conditions"] if one["status"] == "False"}
    assert found["ChannelsReady"].startswith("spec.channelTemplate.spec: ")
    assert "retry" in found["ChannelsReady"]
    assert "address" not in written["status"]
