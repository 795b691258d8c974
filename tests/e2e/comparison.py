"""Comparison of the engine's responses with recorded ones, field by field."""

from __future__ import annotations

import re
from typing import Any

from tests.e2e.replay import is_steady, ready

# The fields that are compared, by kind. The others differ by nature: uids, versions, times, addresses, nodes.
_METADATA = ("apiVersion", "kind", "metadata.name", "metadata.namespace", "metadata.labels", "metadata.annotations")
_SPECIFIED = (*_METADATA, "metadata.generation", "metadata.managedFields", "spec")
FIELDS: dict[str, tuple[str, ...]] = {
    "Service": (
        *_SPECIFIED,
        *(f"status.{name}" for name in ("conditions", "observedGeneration", "traffic", "address")),
        *(f"status.latest{name}RevisionName" for name in ("Created", "Ready")),
    ),
    "Revision": (*_METADATA, "spec", "status.conditions", "status.observedGeneration", "status.containerStatuses"),
    "Configuration": (*_SPECIFIED, "status.conditions", "status.latestCreatedRevisionName"),
    "Route": (*_SPECIFIED, "status.conditions", "status.traffic"),
    "Broker": (*_SPECIFIED, "status.conditions", "status.address"),
    "Trigger": (*_SPECIFIED, "status.subscriberUri"),
    "Namespace": ("apiVersion", "kind", "metadata.name", "metadata.labels", "status.phase"),
    "Pod": ("apiVersion", "kind", "metadata.namespace", "metadata.labels", "status.phase"),
    "Status": ("kind", "status", "reason", "code", "message", "details"),
}
# Labels and annotations whose values are uids, times and names of users; their names are compared.
_FREE = re.compile(r"UID$|/creator$|/lastModifier$|pod-template-hash|routingStateModified$")
_FREE_COLUMNS = {"URL", "Age", "Actual Replicas", "Desired Replicas", "Ready", "Status", "IP", "Node", "Name", "Reason"}
# Annotations that only the engine's objects have.
_OWN = {"pixelamp/code"}


def compare(recorded: dict[str, Any], own: dict[str, Any]) -> None:
    kind = recorded["kind"]
    if kind == "Table":
        compare_tables(recorded, own)
    elif kind == "APIGroupDiscoveryList":
        compare_discovery(recorded, own)
    elif kind.endswith("List"):
        assert own["kind"] == kind
        assert own["apiVersion"] == recorded["apiVersion"]
        if kind == "PodList":  # how many pods there are is the autoscaler's business
            return
        names = [one["metadata"]["name"] for one in recorded["items"]]
        assert [one["metadata"]["name"] for one in own["items"]] == names
        for first, second in zip(recorded["items"], own["items"], strict=True):
            compare_objects(kind.removesuffix("List"), first, second)
    else:
        compare_objects(kind, recorded, own)


def compare_objects(kind: str, recorded: dict[str, Any], own: dict[str, Any]) -> None:
    for field in FIELDS[kind]:
        if field.startswith("status.") and ready(recorded) and set(ready(recorded).values()) != {"True"}:
            continue  # on the way to being ready
        if field.startswith("status.") and kind == "Service" and not is_steady(recorded):
            continue
        assert shown(field, own) == shown(field, recorded), field


def shown(field: str, obj: Any) -> Any:
    """The value of a field without the parts that differ by nature."""
    value = obj
    for name in field.split("."):
        value = value.get(name) if isinstance(value, dict) else None
    if field in ("metadata.labels", "metadata.annotations"):
        kept = {key: one for key, one in (value or {}).items() if key not in _OWN}
        return {key: "" if _FREE.search(key) else one for key, one in kept.items()}
    if field == "metadata.managedFields":
        entries = [one for one in value or [] if re.match(r"kn$|kubectl", one["manager"])]
        return sorted(((one["manager"], one["operation"], one["fieldsV1"]) for one in entries), key=repr)
    if field == "status.conditions":
        # Whether a revision without traffic is still active depends on the second.
        return {one["type"]: one["status"] for one in value or [] if one["type"] != "Active"}
    if field == "status.traffic":
        return [{key: one for key, one in target.items() if key != "url"} for target in value or []]
    if field == "status.containerStatuses":
        return [one["name"] for one in value or []]
    if field == "details" and isinstance(value, dict):
        return {key: one for key, one in value.items() if key != "uid"}
    return value


def compare_tables(recorded: dict[str, Any], own: dict[str, Any]) -> None:
    columns, mine = recorded["columnDefinitions"], own["columnDefinitions"]
    for field in ("name", "type", "format", "priority"):
        assert [one[field] for one in mine] == [one[field] for one in columns]
    names = [column["name"] for column in columns]
    if "Restarts" in names:
        return
    kept = [index for index, name in enumerate(names) if name not in _FREE_COLUMNS or index == 0]
    rows = [[[row["cells"][index] for index in kept] for row in one["rows"]] for one in (recorded, own)]
    assert rows[1] == rows[0]
    for first, second in zip(recorded["rows"], own["rows"], strict=True):
        assert second["object"]["kind"] == first["object"]["kind"]
        assert set(second["object"]) == set(first["object"])


def compare_discovery(recorded: dict[str, Any], own: dict[str, Any]) -> None:
    """Require equal descriptions of the engine's resources; it may serve fewer kinds, and fewer verbs of some."""

    def resources(document: Any) -> dict[tuple[str, str, str], Any]:
        return {
            (group["metadata"].get("name", ""), version["version"], resource["resource"]): resource
            for group in document["items"]
            for version in group["versions"]
            for resource in version["resources"]
        }

    theirs, mine = resources(recorded), resources(own)
    assert mine
    for key, resource in mine.items():
        if key[0] == "apiextensions.k8s.io":
            continue  # cut from the recording
        for field in ("responseKind", "scope", "singularResource", "shortNames", "categories"):
            assert resource.get(field) == theirs[key].get(field), (key, field)
        verbs, full = set(resource["verbs"]), set(theirs[key]["verbs"])
        written = key[0].endswith("knative.dev") and "internal" not in key[0]
        assert verbs == full if written else verbs <= full, key
