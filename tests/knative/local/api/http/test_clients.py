"""The API by Kubernetes' Python client: typed, dynamic and watching."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from kubernetes import client, watch
from kubernetes.client.rest import ApiException
from kubernetes.dynamic.exceptions import ConflictError, NotFoundError

from tests.knative.local.api.http.conftest import service


def services(dynamic: Any) -> Any:
    return dynamic.resources.get(api_version="serving.knative.dev/v1", kind="Service")


def test_the_dynamic_client_finds_every_kind(dynamic):
    found = {(one.group, one.kind) for one in dynamic.resources.search() if not one.kind.endswith("List")}
    assert {
        ("serving.knative.dev", kind) for kind in ("Service", "Route", "Configuration", "Revision", "DomainMapping")
    } < found
    assert {("eventing.knative.dev", "Broker"), ("eventing.knative.dev", "Trigger")} < found
    assert {("flows.knative.dev", "Sequence"), ("flows.knative.dev", "Parallel")} < found
    assert {("messaging.knative.dev", "Channel"), ("messaging.knative.dev", "Subscription")} < found
    assert {("sources.knative.dev", "PingSource"), ("sources.knative.dev", "SinkBinding")} < found
    assert {(None, "ConfigMap"), (None, "Secret"), (None, "Pod"), (None, "Event"), ("apps", "Deployment")} <= {
        (group or None, kind) for group, kind in found
    }


def test_typed_objects_of_the_core(core):
    made = core.create_namespaced_config_map(
        "rec", client.V1ConfigMap(metadata=client.V1ObjectMeta(name="one"), data={"a": "1"})
    )
    assert made.metadata.uid
    assert made.metadata.creation_timestamp.tzinfo is not None
    core.patch_namespaced_config_map("one", "rec", {"data": {"b": "2", "a": None}})
    assert core.read_namespaced_config_map("one", "rec").data == {"b": "2"}
    secret = client.V1Secret(metadata=client.V1ObjectMeta(generate_name="s-"), string_data={"k": "v"})
    name = core.create_namespaced_secret("rec", secret).metadata.name
    assert name.startswith("s-")
    assert core.read_namespaced_secret(name, "rec").data == {"k": "dg=="}
    core.delete_namespaced_secret(name, "rec")
    assert core.list_namespaced_secret("rec").items == []
    core.create_namespace(client.V1Namespace(metadata=client.V1ObjectMeta(name="other")))
    assert core.read_namespace("other").status.phase == "Active"
    core.delete_namespace("other")
    with pytest.raises(ApiException) as caught:
        core.read_namespace("other")
    assert caught.value.status == 404


def test_a_namespace_takes_its_objects_along_and_objects_need_one(core):
    core.create_namespace(client.V1Namespace(metadata=client.V1ObjectMeta(name="other")))
    one = client.V1ConfigMap(metadata=client.V1ObjectMeta(name="one"))
    core.create_namespaced_config_map("other", one)
    core.delete_namespace("other")
    assert core.list_config_map_for_all_namespaces().items == []
    with pytest.raises(ApiException) as caught:
        core.create_namespaced_config_map("other", one)
    assert 'namespaces \\"other\\" not found' in caught.value.body


def test_a_service_is_created_replaced_patched_and_deleted(dynamic):
    resource = services(dynamic)
    made = resource.create(body=service("exif"), namespace="rec")
    assert made.spec.template.spec.containers[0].name == "user-container"
    assert made.metadata.generation == 1
    body = made.to_dict()
    body["spec"]["template"]["spec"]["timeoutSeconds"] = 60
    assert resource.replace(body=body, namespace="rec").metadata.generation == 2
    with pytest.raises(ConflictError) as caught:
        resource.replace(body=body, namespace="rec")
    assert "the object has been modified; please apply your changes to the latest version" in str(
        caught.value.summary()
    )
    changed = {"metadata": {"name": "exif", "labels": {"team": "a"}}}
    patched = resource.patch(body=changed, namespace="rec", content_type="application/merge-patch+json")
    assert (patched.metadata.generation, patched.metadata.labels["team"]) == (2, "a")
    assert [one.metadata.name for one in resource.get(namespace="rec", label_selector="team=a").items] == ["exif"]
    assert resource.get(namespace="rec", label_selector="team!=a").items == []
    resource.delete(name="exif", namespace="rec")
    with pytest.raises(NotFoundError):
        resource.get(name="exif", namespace="rec")


def test_server_side_apply_by_two_managers(dynamic):
    resource = services(dynamic)
    first = service("exif", labels={"team": "a"})
    made = resource.server_side_apply(body=first, namespace="rec", field_manager="one")
    assert made.metadata.managedFields[0].manager == "one"
    other = {key: first[key] for key in ("apiVersion", "kind")}
    other["metadata"] = {"name": "exif", "namespace": "rec", "labels": {"team": "b"}}
    with pytest.raises(ConflictError) as caught:
        resource.server_side_apply(body=other, namespace="rec", field_manager="two")
    assert 'conflict with \\"one\\": .metadata.labels.team' in str(caught.value.body)
    taken = resource.server_side_apply(body=other, namespace="rec", field_manager="two", force_conflicts=True)
    assert taken.metadata.labels["team"] == "b"
    bare = {**other, "metadata": {"name": "exif", "namespace": "rec"}}
    dropped = resource.server_side_apply(body=bare, namespace="rec", field_manager="two")
    assert "labels" not in dropped.to_dict()["metadata"]
    assert dropped.spec.template.spec.containers[0].image == "dev.local/pixelamp-exif:0.1.0"


def test_lists_go_on_where_a_page_ended_in_one_version(core, api):
    for number in range(5):
        metadata = client.V1ObjectMeta(name=f"c{number}")
        core.create_namespaced_config_map("rec", client.V1ConfigMap(metadata=metadata))
    page = core.list_namespaced_config_map("rec", limit=2)
    assert (len(page.items), page.metadata.remaining_item_count) == (2, 3)
    core.delete_namespaced_config_map("c4", "rec")
    core.create_namespaced_config_map("rec", client.V1ConfigMap(metadata=client.V1ObjectMeta(name="c9")))
    names, token = [one.metadata.name for one in page.items], page.metadata._continue
    while token:
        page = core.list_namespaced_config_map("rec", limit=2, _continue=token)
        names += [one.metadata.name for one in page.items]
        token = page.metadata._continue
    assert names == ["c0", "c1", "c2", "c3", "c4"]
    with pytest.raises(ApiException) as caught:
        core.list_namespaced_config_map("rec", limit=2, _continue="unknown")
    assert (caught.value.status, caught.value.reason) == (410, "Gone")


def test_a_watch_sees_each_change_once_and_in_order(core, dynamic):
    resource = services(dynamic)
    version = resource.get(namespace="rec").metadata.resourceVersion
    seen: list[tuple[str, str, str]] = []
    stream = dynamic.watch(resource, namespace="rec", resource_version=version, timeout=20)
    reader = threading.Thread(
        target=lambda: seen.extend(
            (event["type"], event["object"].metadata.name, event["object"].metadata.resourceVersion)
            for event in _until(stream, "last")
        )
    )
    reader.start()
    for name in ("a", "b"):
        resource.create(body=service(name), namespace="rec")
        patch = {"metadata": {"name": name, "labels": {"x": "y"}}}
        resource.patch(body=patch, namespace="rec", content_type="application/merge-patch+json")
        resource.delete(name=name, namespace="rec")
    resource.create(body=service("last"), namespace="rec")
    reader.join(20)
    assert [(kind, name) for kind, name, _ in seen] == [
        *((kind, name) for name in ("a", "b") for kind in ("ADDED", "MODIFIED", "DELETED")),
        ("ADDED", "last"),
    ]
    versions = [int(one) for _, _, one in seen]
    assert versions == sorted(set(versions))


def _until(stream: Any, name: str) -> Any:
    for event in stream:
        yield event
        if event["object"].metadata.name == name:
            return


def test_the_typed_watch_ends_when_its_time_is_over(core):
    core.create_namespaced_config_map("rec", client.V1ConfigMap(metadata=client.V1ObjectMeta(name="one")))
    watching = watch.Watch()
    events = watching.stream(core.list_namespaced_config_map, "rec", timeout_seconds=1)
    assert [(event["type"], event["object"].metadata.name) for event in events] == [("ADDED", "one")]


def test_delete_collection_takes_what_the_selector_names(core):
    for name, team in (("a", "x"), ("b", "y"), ("c", "x")):
        metadata = client.V1ObjectMeta(name=name, labels={"team": team})
        core.create_namespaced_config_map("rec", client.V1ConfigMap(metadata=metadata))
    core.delete_collection_namespaced_config_map("rec", label_selector="team in (x)")
    assert [one.metadata.name for one in core.list_namespaced_config_map("rec").items] == ["b"]


def test_a_delete_has_preconditions(core):
    made = core.create_namespaced_config_map("rec", client.V1ConfigMap(metadata=client.V1ObjectMeta(name="one")))
    wrong = client.V1DeleteOptions(preconditions=client.V1Preconditions(uid="other"))
    with pytest.raises(ApiException) as caught:
        core.delete_namespaced_config_map("one", "rec", body=wrong)
    assert caught.value.status == 409
    right = client.V1DeleteOptions(preconditions=client.V1Preconditions(uid=made.metadata.uid))
    core.delete_namespaced_config_map("one", "rec", body=right)


def test_a_log_by_the_typed_client(api, core):
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p", "namespace": "rec"}}
    api.call(api.store.create, "pods", {**pod, "spec": {"containers": [{"name": "function"}]}})
    for number in range(3):
        api.call(api.logs, "p", b"line %d" % number)
    assert core.read_namespaced_pod_log("p", "rec") == "line 0\nline 1\nline 2\n"
    assert core.read_namespaced_pod_log("p", "rec", tail_lines=1, container="function") == "line 2\n"
    assert core.read_namespaced_pod_log("p", "rec", tail_lines=0) == ""
    assert core.read_namespaced_pod_log("p", "rec", since_seconds=60).count("\n") == 3
    stamped = core.read_namespaced_pod_log("p", "rec", timestamps=True).splitlines()[0]
    assert stamped[10] == "T"
    assert stamped.endswith("Z line 0")
    with pytest.raises(ApiException) as caught:
        core.read_namespaced_pod_log("p", "rec", previous=True)
    assert "previous terminated container" in caught.value.body
    followed = core.read_namespaced_pod_log("p", "rec", follow=True, _preload_content=False)
    api.call(api.logs, "p", b"later")
    lines = followed.stream()
    text = b""
    while b"later" not in text:
        text += next(lines)
    api.call(api.store.delete, "pods", "rec", "p")
    assert text.decode() == "line 0\nline 1\nline 2\nlater\n"
    followed.close()


def test_each_container_of_a_pod_has_a_log_of_its_own(api, core):
    containers = [{"name": "side"}, {"name": "function", "ports": [{"containerPort": 8080}]}]
    spec = {"containers": containers, "initContainers": [{"name": "first"}]}
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p", "namespace": "rec"}, "spec": spec}
    api.call(api.store.create, "pods", pod)
    for source in ("p", "p/side", "p/first"):
        api.call(api.logs, source, f"of {source}".encode())
    assert core.read_namespaced_pod_log("p", "rec") == "of p\n"
    assert core.read_namespaced_pod_log("p", "rec", container="function") == "of p\n"
    assert core.read_namespaced_pod_log("p", "rec", container="side") == "of p/side\n"
    assert core.read_namespaced_pod_log("p", "rec", container="first") == "of p/first\n"
    with pytest.raises(ApiException) as caught:
        core.read_namespaced_pod_log("p", "rec", container="other")
    assert "container other is not valid for pod p" in caught.value.body
