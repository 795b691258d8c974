"""Selectors, ages, protobuf and field managers: pure parts of the API, by values of Kubernetes' own documentation."""

from __future__ import annotations

import time
from typing import Any

import pytest

from knative.local.api import managed_fields, protobuf
from knative.local.api.http.selectors import field_selector, label_selector
from knative.local.api.http.status import StatusError
from knative.local.api.kinds import BY_RESOURCE
from knative.local.api.managed_fields import APPLY, UPDATE, ApplyConflictError, Manager, after_update
from knative.local.api.tables import age, duration, json_path


@pytest.mark.parametrize(
    ("selector", "matched"),
    [
        ("", True),
        ("environment=production", True),
        ("environment==production,tier!=frontend", True),
        ("environment in (production, qa)", True),
        ("tier notin (frontend,backend)", True),
        ("partition", False),
        ("!partition", True),
        ("environment,!partition", True),
        ("environment=qa", False),
        ("environment in (qa),tier", False),
        ("size>3", True),
        ("size<3", False),
        ("other!=x", True),
        ("empty=", True),
    ],
)
def test_label_selectors(selector: str, matched: bool):
    labels = {"environment": "production", "tier": "middle", "size": "4", "empty": ""}
    assert label_selector(selector)({"metadata": {"labels": labels}}) is matched


@pytest.mark.parametrize("selector", ["a in b", "a=b=c", "=", "a b", "a in (b c!)", "-x", "a=$", "/x", "!"])
def test_a_selector_that_cannot_be_read_is_refused(selector: str):
    with pytest.raises(StatusError, match="requirement"):
        label_selector(selector)


def test_field_selectors():
    event = {"metadata": {"name": "a"}, "involvedObject": {"kind": "Service"}, "source": {"component": "c"}}
    kind = BY_RESOURCE["events"]
    assert field_selector("involvedObject.kind=Service,metadata.name!=b,source=c", kind)(event)
    assert not field_selector("involvedObject.kind=Route", kind)(event)
    with pytest.raises(StatusError, match=r"field label not supported: spec\.x"):
        field_selector("spec.x=1", kind)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0s"),
        (119, "119s"),
        (120, "2m"),
        (190, "3m10s"),
        (600, "10m"),
        (10_799, "179m"),
        (10_800, "3h"),
        (11_100, "3h5m"),
        (28_800, "8h"),
        (172_799, "47h"),
        (176_400, "2d1h"),
        (691_200, "8d"),
        (63_072_000, "2y"),
        (63_158_400, "2y1d"),
    ],
)
def test_ages_are_written_as_kubernetes_writes_them(seconds: int, text: str):
    assert duration(seconds) == text


def test_an_age_is_the_time_since():
    now = time.time()
    stamp = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(now - 61))
    assert age(stamp, now) in ("61s", "62s")
    assert age(None, now) == "<unknown>"


def test_paths_of_printer_columns():
    obj = {
        "metadata": {"labels": {"serving.knative.dev/configuration": "exif"}, "annotations": {"a.b/c.d": "x"}},
        "status": {"conditions": [{"type": "Other"}, {"type": "Ready", "status": "True"}]},
    }
    assert json_path(".metadata.labels['serving\\.knative\\.dev/configuration']", obj) == "exif"
    assert json_path(".metadata.annotations.a\\.b/c\\.d", obj) == "x"
    assert json_path(".status.conditions[?(@.type=='Ready')].status", obj) == "True"
    assert json_path('.status.conditions[?(@.type=="Ready")].reason', obj) is None
    assert json_path(".status.nothing.here", obj) is None


# What `kubectl create configmap one --from-literal=a=b` (1.32) sends.
CONFIG_MAP = (
    b"k8s\x00\n\x0f\n\x02v1\x12\tConfigMap\x12\x1d\n\x13\n\x03one\x12\x00\x1a\x00"
    b'"\x00*\x002\x008\x00B\x00\x12\x06\n\x01a\x12\x01b\x1a\x00"\x00'
)


def test_protobuf_of_kubectl_is_read():
    assert protobuf.decode(CONFIG_MAP) == {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "one"},
        "data": {"a": "b"},
    }


@pytest.mark.parametrize("end", range(len(CONFIG_MAP)))
def test_protobuf_cut_anywhere_is_refused_or_read_in_part(end: int):
    try:
        found = protobuf.decode(CONFIG_MAP[:end])
    except ValueError:
        return
    assert found["kind"] == "ConfigMap"


def test_protobuf_of_other_kinds_is_refused():
    with pytest.raises(ValueError, match="Pod of v1 is read as JSON alone"):
        protobuf.decode(b"k8s\x00\n\x09\n\x02v1\x12\x03Pod")
    with pytest.raises(ValueError, match="ten bytes"):
        protobuf.decode(b"k8s\x00" + b"\xff" * 20)


# Field managers

MINE = Manager(APPLY, "one", "v1")
OTHER = Manager(UPDATE, "kubectl-edit", "v1")
NOW, LATER = "2026-11-30T12:00:00Z", "2026-11-30T13:00:00Z"


def config(data: dict[str, Any], **metadata: Any) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "one", **metadata}, "data": data}


def entry(obj: dict[str, Any], name: str) -> dict[str, Any]:
    return next(one for one in obj["metadata"]["managedFields"] if one["manager"] == name)


def test_a_manager_owns_what_it_applies_and_loses_what_it_drops():
    first = managed_fields.apply(None, config({"a": "1", "b": "1"}), MINE, NOW, force=False)
    assert entry(first, "one")["fieldsV1"] == {"f:data": {"f:a": {}, "f:b": {}}}
    second = managed_fields.apply(first, config({"a": "1"}), MINE, LATER, force=False)
    assert second["data"] == {"a": "1"}
    assert entry(second, "one")["time"] == LATER
    third = managed_fields.apply(second, config({"a": "1"}), MINE, "2027-01-01T00:00:00Z", force=False)
    assert entry(third, "one")["time"] == LATER


def test_what_two_managers_hold_stays_when_one_drops_it():
    first = managed_fields.apply(None, config({"a": "1"}), MINE, NOW, force=False)
    both = managed_fields.apply(first, config({"a": "1"}), Manager(APPLY, "two", "v1"), NOW, force=False)
    assert managed_fields.apply(both, config({}), MINE, LATER, force=False)["data"] == {"a": "1"}


def test_a_field_of_another_manager_is_a_conflict_unless_forced():
    first = managed_fields.apply(None, config({"a": "1"}), MINE, NOW, force=False)
    edited = config({"a": "2"}, managedFields=first["metadata"]["managedFields"])
    edited["metadata"]["managedFields"] = after_update(first, edited, OTHER, NOW)
    assert entry(edited, "kubectl-edit")["fieldsV1"] == {"f:data": {"f:a": {}}}
    with pytest.raises(ApplyConflictError) as caught:
        managed_fields.apply(edited, config({"a": "3"}), MINE, LATER, force=False)
    assert str(caught.value) == 'Apply failed with 1 conflict: conflict with "kubectl-edit" using v1: .data.a'
    forced = managed_fields.apply(edited, config({"a": "3"}), MINE, LATER, force=True)
    assert forced["data"] == {"a": "3"}
    assert [one["manager"] for one in forced["metadata"]["managedFields"]] == ["one"]


def test_items_of_volumes_are_managed_one_by_one_and_containers_as_a_whole():
    spec = {"volumes": [{"name": "tmp", "emptyDir": {}}], "containers": [{"name": "a", "image": "b"}]}
    made = {"apiVersion": "serving.knative.dev/v1", "kind": "Service", "metadata": {"name": "one"}, "spec": spec}
    fields = managed_fields.apply(None, made, MINE, NOW, force=False)["metadata"]["managedFields"][0]["fieldsV1"]
    assert fields == {
        "f:spec": {"f:containers": {}, "f:volumes": {'k:{"name":"tmp"}': {".": {}, "f:emptyDir": {}, "f:name": {}}}}
    }


@pytest.mark.parametrize(
    "broken", [None, 3, [3], [{"manager": "x"}], [{"fieldsV1": {"f:a": 3, "x": {}}}], [{"fieldsV1": []}]]
)
def test_managed_fields_of_any_form_are_read(broken: Any):
    sent = config({"a": "1"}, managedFields=broken)
    entries = after_update(None, sent, OTHER, NOW)
    assert entries[-1]["manager"] == "kubectl-edit"
