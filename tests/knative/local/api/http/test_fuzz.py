"""Objects with any value in any place: each is stored or refused with a Status, and no request is an internal error."""

from __future__ import annotations

import copy
import random
from collections.abc import Iterator
from typing import Any

import pytest

from tests.knative.local.api.http.conftest import SERVICES, service

VALUES: tuple[Any, ...] = (
    *(
        None,
        True,
        0,
        -1,
        1.5,
        2**70,
        "",
        "x",
        "é\n\x00",
        "1Gi",
        [],
        {},
        [None],
        [[]],
        [{}],
        {"": None},
        {"a": {"b": []}},
    ),
    *(["x", 1, {"name": 3}], {"name": [1]}, "9" * 300, {"$patch": "delete"}, {"f:x": {".": 1}}),
)
REFERENCE = {"ref": {"apiVersion": "serving.knative.dev/v1", "kind": "Service", "name": "one"}}


def objects() -> dict[str, dict[str, Any]]:
    """A whole object of each kind that a client writes, by its path."""
    deep = service("one", labels={"a": "b"}, annotations={"c": "d"}, finalizers=["x"])
    deep["metadata"]["ownerReferences"] = [{"apiVersion": "v1", "kind": "ConfigMap", "name": "c", "uid": "u"}]
    deep["metadata"]["managedFields"] = [
        {"manager": "m", "operation": "Update", "apiVersion": "v1", "time": "t", "fieldsV1": {"f:spec": {"f:a": {}}}}
    ]
    pod = deep["spec"]["template"]["spec"]
    pod["volumes"] = [{"name": "tmp", "emptyDir": {"sizeLimit": "1Mi"}}]
    pod["containers"][0] |= {
        "ports": [{"containerPort": 8080}],
        "readinessProbe": {"httpGet": {"path": "/"}, "periodSeconds": 1},
        "volumeMounts": [{"name": "tmp", "mountPath": "/tmp"}],
        "resources": {"limits": {"cpu": "1"}},
    }
    deep["spec"]["traffic"] = [{"latestRevision": True, "percent": 100, "tag": "t"}]
    kinds: dict[str, tuple[str, str, dict[str, Any]]] = {
        "brokers": (
            "eventing",
            "Broker",
            {"config": {"apiVersion": "v1", "kind": "ConfigMap", "name": "c"}, "delivery": {"retry": 3}},
        ),
        "triggers": (
            "eventing",
            "Trigger",
            {"broker": "b", "filter": {"attributes": {"a": "b"}}, "subscriber": REFERENCE},
        ),
        "sequences": ("flows", "Sequence", {"steps": [REFERENCE], "reply": REFERENCE}),
        "parallels": ("flows", "Parallel", {"branches": [{"filter": REFERENCE, "subscriber": REFERENCE}]}),
        "channels": ("messaging", "Channel", {"delivery": {"retry": 1}}),
        "subscriptions": ("messaging", "Subscription", {"channel": REFERENCE["ref"], "subscriber": REFERENCE}),
        "pingsources": ("sources", "PingSource", {"schedule": "* * * * *", "sink": REFERENCE}),
        "sinkbindings": ("sources", "SinkBinding", {"subject": REFERENCE["ref"], "sink": REFERENCE}),
    }
    found = {SERVICES: deep}
    for plural, (area, kind, spec) in kinds.items():
        version = f"{area}.knative.dev/v1"
        obj = {"apiVersion": version, "kind": kind, "metadata": {"name": "one"}, "spec": spec}
        found[f"/apis/{version}/namespaces/rec/{plural}"] = obj
    for plural, kind in (("configmaps", "ConfigMap"), ("secrets", "Secret")):
        body = {
            "apiVersion": "v1",
            "kind": kind,
            "metadata": {"name": "one"},
            "data": {"k": "dg=="},
            "immutable": False,
        }
        found[f"/api/v1/namespaces/rec/{plural}"] = body
    return found


def places(value: Any, path: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    yield path
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in items:
        yield from places(inner, (*path, key))


def changed(value: Any, path: tuple[str | int, ...], new: Any) -> Any:
    if not path:
        return new
    result = copy.deepcopy(value)
    inner = result
    for key in path[:-1]:
        inner = inner[key]
    inner[path[-1]] = new
    return result


@pytest.mark.timeout(600)
@pytest.mark.parametrize("path", objects())
def test_no_value_in_no_place_is_an_internal_error(api, path):
    source = random.Random(path)
    whole = objects()[path]
    kept = api.raw("POST", path, {**whole, "metadata": {"name": "kept"}})
    assert kept.status == 201, kept.body
    for place in places(whole):
        for value in source.sample(VALUES, 3):
            body = changed(whole, place, value)
            check(api, "POST", f"{path}?dryRun=All", body, "application/json")
            check(api, "PATCH", f"{path}/kept?dryRun=All", body, "application/merge-patch+json")
            apply = f"{path}/kept?dryRun=All&fieldManager=x&force=true"
            check(api, "PATCH", apply, named(body), "application/apply-patch+yaml")
            pointer = "".join(f"/{str(key).replace('~', '~0').replace('/', '~1')}" for key in place)
            patch = [{"op": "add", "path": pointer, "value": value}]
            check(api, "PATCH", f"{path}/kept?dryRun=All", patch, "application/json-patch+json")
            if path.startswith("/api/"):
                check(api, "PATCH", f"{path}/kept?dryRun=All", body, "application/strategic-merge-patch+json")


def named(body: Any) -> Any:
    if isinstance(body, dict) and isinstance(body.get("metadata"), dict):
        return {**body, "metadata": {**body["metadata"], "name": "kept"}}
    return body


def check(api: Any, method: str, path: str, body: Any, kind: str) -> None:
    answer = api.raw(method, path, body, {"Content-Type": kind})
    assert answer.status < 500, (method, path, kind, body, answer.body)
    assert answer.json()["kind"], answer.body
