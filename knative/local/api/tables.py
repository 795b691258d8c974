"""Tables: the columns and cells that `kubectl get` prints."""

from __future__ import annotations

import re
import time
from calendar import timegm
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from knative.local.api.definitions import Column, Kind
from knative.local.jsontypes import Json, JsonMapping, JsonObject

Object = JsonObject

_NAME = Column(
    "Name",
    description="Name must be unique within a namespace. It cannot be updated.",
)
_NONE = "<none>"
_UNKNOWN = "<unknown>"
_STEP = re.compile(r"""\.((?:\\.|[^.\[\\])+)|\['((?:\\.|[^'\\])*)'\]|\[\?\(@\.(\w+)==['"](\w+)['"]\)\]""")


def table(
    kind: Kind, objects: Iterable[Object], metadata: JsonMapping, *, include: str = "Metadata", head: bool = True
) -> Object:
    """Return objects as a `Table`.

    Args:
        kind: of the objects.
        objects: the rows.
        metadata: of the table, such as its resourceVersion.
        include: what each row holds of its object: `None`, `Metadata` or `Object`.
        head: whether the table has column definitions.
    """
    now = time.time()
    found: Object = {"kind": "Table", "apiVersion": "meta.k8s.io/v1", "metadata": dict(metadata)}
    found["columnDefinitions"] = [_definition(column) for column in _columns(kind)] if head else None
    rows = [{"cells": [one["metadata"]["name"], *_cells(kind, one, now)], **_object(one, include)} for one in objects]
    return {**found, "rows": rows}


def partial(obj: Object) -> Object:
    """Return the metadata of an object alone."""
    return {"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": obj["metadata"]}


def _object(obj: Object, include: str) -> Object:
    if include == "None":
        return {}
    return {"object": obj if include == "Object" else partial(obj)}


def _columns(kind: Kind) -> tuple[Column, ...]:
    return (_NAME, *kind.columns)


def _definition(column: Column) -> Object:
    described = column.description or f"Custom resource definition column (in JSONPath format): {column.path}"
    form = "name" if column is _NAME else ""
    return {
        "name": column.name,
        "type": column.type,
        "format": form,
        "description": described,
        "priority": column.priority,
    }


def _cells(kind: Kind, obj: Object, now: float) -> list[Json]:
    computed = _COMPUTED.get(kind.resource)
    if computed is not None:
        return computed(obj, now)
    return [_cell(column, obj, now) for column in kind.columns]


def _cell(column: Column, obj: Object, now: float) -> Json:
    value = json_path(column.path, obj)
    if column.type == "date":
        return age(value, now)
    if value is None or column.type == "integer":
        return value
    return value if isinstance(value, str) else str(value)


def json_path(path: str, obj: Json) -> Json:
    """Return what a JSONPath of a printer column finds; None for nothing."""
    for step in _STEP.finditer(path):
        if step[3]:
            items = obj if isinstance(obj, list) else ()
            obj = next((one for one in items if isinstance(one, dict) and str(one.get(step[3])) == step[4]), None)
        else:
            key = re.sub(r"\\(.)", r"\1", step[1] or step[2])
            obj = obj.get(key) if isinstance(obj, dict) else None
    return obj


def age(timestamp: Json, now: float) -> str:
    """Return the time since a timestamp as kubectl prints it: `5s`, `3m10s`, `2d`."""
    try:
        # Microseconds, which some timestamps have, are below a second.
        seconds = int(now - timegm(time.strptime(str(timestamp)[:19], "%Y-%m-%dT%H:%M:%S")))
    except ValueError:
        return _UNKNOWN
    return duration(max(0, seconds))


def duration(seconds: int) -> str:
    """Return a duration in two units at most, as Kubernetes writes it for people."""
    minutes, hours, days = seconds // 60, seconds // 3600, seconds // 86400
    if seconds < 120:
        return f"{seconds}s"
    if minutes < 10:
        return f"{minutes}m{seconds % 60}s" if seconds % 60 else f"{minutes}m"
    if minutes < 180:
        return f"{minutes}m"
    if hours < 8:
        return f"{hours}h{minutes % 60}m" if minutes % 60 else f"{hours}h"
    if hours < 48:
        return f"{hours}h"
    if hours < 192:
        return f"{days}d{hours % 24}h" if hours % 24 else f"{days}d"
    years = days // 365
    if years < 2:
        return f"{days}d"
    if years < 8:
        return f"{years}y{days % 365}d" if days % 365 else f"{years}y"
    return f"{years}y"


# The core's kinds, whose cells no JSONPath gives


def _created(obj: Object, now: float) -> str:
    return age(obj["metadata"].get("creationTimestamp"), now)


def _config_map(obj: Object, now: float) -> list[Json]:
    return [len(obj.get("data") or {}) + len(obj.get("binaryData") or {}), _created(obj, now)]


def _secret(obj: Object, now: float) -> list[Json]:
    return [obj.get("type", "Opaque"), len(obj.get("data") or {}), _created(obj, now)]


def _namespace(obj: Object, now: float) -> list[Json]:
    return [obj.get("status", {}).get("phase", "Active"), _created(obj, now)]


def _definition_of_kind(obj: Object, now: float) -> list[Json]:
    del now
    return [obj["metadata"].get("creationTimestamp", _UNKNOWN)]


def _pod(obj: Object, now: float) -> list[Json]:
    spec, status = obj.get("spec", {}), obj.get("status", {})
    statuses = status.get("containerStatuses") or []
    ready = sum(bool(one.get("ready")) for one in statuses)
    restarts = sum(int(one.get("restartCount", 0)) for one in statuses)
    total = max(len(spec.get("containers") or []), len(statuses))
    rest = [status.get("podIP") or _NONE, spec.get("nodeName") or _NONE, _NONE, _NONE]
    return [f"{ready}/{total}", _phase(obj, statuses), str(restarts), _created(obj, now), *rest]


def _phase(obj: Object, statuses: list[Object]) -> str:
    """Return the state that kubectl prints: the phase, or the reason why a container waits or has ended."""
    if obj["metadata"].get("deletionTimestamp"):
        return "Terminating"
    reason = str(obj.get("status", {}).get("reason") or obj.get("status", {}).get("phase") or "Unknown")
    for one in statuses:
        state = one.get("state", {})
        found = state.get("waiting", {}).get("reason") or state.get("terminated", {}).get("reason")
        if found:
            reason = str(found)
    return reason


def _event(obj: Object, now: float) -> list[Json]:
    about = obj.get("involvedObject", {})
    source = obj.get("source", {})
    component = source.get("component") or obj.get("reportingComponent") or ""
    last = obj.get("lastTimestamp") or obj.get("eventTime") or obj["metadata"].get("creationTimestamp")
    first = obj.get("firstTimestamp") or obj.get("eventTime") or last
    return [
        age(last, now),
        obj.get("type", ""),
        obj.get("reason", ""),
        f"{about.get('kind', '').lower()}/{about.get('name', '')}",
        about.get("fieldPath", ""),
        ", ".join(filter(None, (component, source.get("host")))),
        str(obj.get("message", "")).strip(),
        age(first, now),
        int(obj.get("count") or 1),
        obj["metadata"]["name"],
    ]


def _deployment(obj: Object, now: float) -> list[Json]:
    spec, status = obj.get("spec", {}), obj.get("status", {})
    containers = spec.get("template", {}).get("spec", {}).get("containers") or []
    labels = spec.get("selector", {}).get("matchLabels") or {}
    return [
        f"{status.get('readyReplicas', 0)}/{spec.get('replicas', 0)}",
        status.get("updatedReplicas", 0),
        status.get("availableReplicas", 0),
        _created(obj, now),
        ",".join(str(one.get("name", "")) for one in containers),
        ",".join(str(one.get("image", "")) for one in containers),
        ",".join(f"{key}={value}" for key, value in sorted(labels.items())) or _NONE,
    ]


_COMPUTED: Mapping[str, Callable[[Object, float], list[Any]]] = {
    "configmaps": _config_map,
    "events": _event,
    "namespaces": _namespace,
    "pods": _pod,
    "secrets": _secret,
    "deployments.apps": _deployment,
    "customresourcedefinitions.apiextensions.k8s.io": _definition_of_kind,
}
