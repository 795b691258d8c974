"""OpenAPI documents of the API: enough for kubectl's validation and `kubectl explain`.

They are made from the fields that `check` decodes objects with; a few fields have a description of their own.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from functools import lru_cache

import orjson

from knative.local.api.definitions import Kind
from knative.local.api.http.incoming import fields_of
from knative.local.api.kinds import ALL, groups, in_version, versions
from knative.local.jsontypes import JsonObject
from knative.local.manifests.decoding import Anything, ListOf, MapOf, Scalar, Schema, Struct

Object = JsonObject

PROTOBUF_NAME = "application/com.github.proto-openapi.spec.v2"
PROTOBUF = f"{PROTOBUF_NAME}.v1.0+protobuf"
_TITLE, _VERSION = "Pixelamp", "v1.36.0"
_SCALARS: Mapping[str, Object] = {
    "string": {"type": "string"},
    "bool": {"type": "boolean"},
    "int32": {"type": "integer", "format": "int32"},
    "int64": {"type": "integer", "format": "int64"},
    "intstr.IntOrString": {"x-kubernetes-int-or-string": True},
    "resource.Quantity": {"x-kubernetes-int-or-string": True},
}
_ANYTHING: Object = {"x-kubernetes-preserve-unknown-fields": True}
_DEEPEST = 24  # filters of Triggers hold filters


def paths() -> Iterator[str]:
    """Yield the paths of all groups and their versions."""
    for group in groups():
        yield f"/apis/{group}"
        yield from (f"/apis/{group}/{version}" for version in versions(group))


def _documents() -> Iterator[tuple[str, str, str]]:
    """Yield the name of each document with its group and version."""
    yield "api/v1", "", "v1"
    for group in groups():
        yield from ((f"apis/{group}/{version}", group, version) for version in versions(group))


@lru_cache
def index() -> Object:
    """Return the list of the documents of OpenAPI 3, each with the hash of its content."""
    found = {}
    for name, _, _ in _documents():
        digest = hashlib.sha256(orjson.dumps(v3(name))).hexdigest().upper()
        found[name] = {"serverRelativeURL": f"/openapi/v3/{name}?hash={digest}"}
    return {"paths": found}


def v3(name: str) -> Object | None:
    """Return the document of a group and version; None where it is not served."""
    found = next((document for document in _documents() if document[0] == name), None)
    if found is None:
        return None
    _, group, version = found
    schemas: Object = {}
    operations: Object = {}
    for kind in in_version(group, version):
        schemas[_name(kind, version)] = _schema(kind, version)
        operations |= _paths(kind, version, "#/components/schemas/")
    return {
        "openapi": "3.0.0",
        "info": {"title": _TITLE, "version": _VERSION},
        "paths": operations,
        "components": {"schemas": schemas},
    }


def v2() -> Object:
    """Return everything as one document of OpenAPI 2."""
    definitions: Object = {}
    operations: Object = {}
    for kind in ALL:
        for version in kind.versions:
            definitions[_name(kind, version)] = _schema(kind, version)
            operations |= _paths(kind, version, "#/definitions/")
    info = {"title": _TITLE, "version": _VERSION}
    return {"swagger": "2.0", "info": info, "paths": operations, "definitions": definitions}


@lru_cache
def v2_json() -> bytes:
    """Return the encoded document of version 2."""
    return orjson.dumps(v2())


@lru_cache
def v3_json(name: str) -> bytes | None:
    """Return the encoded document of version 3 for a group and version, or None for an unknown name."""
    document = v3(name)
    return None if document is None else orjson.dumps(document)


def v2_protobuf() -> bytes:
    """Return a document of OpenAPI 2 without paths in protobuf, the one form that some versions of kubectl ask for.

    With it kubectl computes its patches as for any custom resource; what validation needs is in OpenAPI 3.
    """
    title, version = _TITLE.encode(), _VERSION.encode()
    info = _field(1, title) + _field(2, version)
    return _field(1, b"2.0") + _field(2, info) + _field(8, b"")


def _field(number: int, value: bytes) -> bytes:
    """Return a field of protobuf that holds bytes, shorter than 128."""
    return bytes((number << 3 | 2, len(value))) + value


def _name(kind: Kind, version: str) -> str:
    if not kind.custom:
        package = {"": "io.k8s.api.core", "apps": "io.k8s.api.apps"}.get(
            kind.group, "io.k8s.apiextensions-apiserver.pkg.apis.apiextensions"
        )
        return f"{package}.{version}.{kind.name}"
    return ".".join([*reversed(kind.group.split(".")), version, kind.name])


def _gvk(kind: Kind, version: str) -> Object:
    return {"group": kind.group, "version": version, "kind": kind.name}


def _schema(kind: Kind, version: str) -> Object:
    fields = fields_of(kind, version)
    found = _converted(fields, (), kind.name) if fields is not None else {"type": "object", **_ANYTHING}
    found.setdefault("description", _DESCRIPTIONS.get(kind.name, f"A {kind.name} of {kind.group or 'the core group'}."))
    return {**found, "x-kubernetes-group-version-kind": [_gvk(kind, version)]}


def _converted(schema: Schema, path: tuple[str, ...], root: str) -> Object:
    if isinstance(schema, Scalar):
        return dict(_SCALARS[schema.go])
    if isinstance(schema, Anything) or len(path) > _DEEPEST or path[-2:] in (("all", "all"), ("any", "any")):
        # A status, say, of which no field is written by hand.
        return {"type": "object", **_ANYTHING} if path == ("status",) else dict(_ANYTHING)
    if isinstance(schema, ListOf):
        return {"type": "array", "items": _converted(schema.item, path, root)}
    if isinstance(schema, MapOf):
        return {"type": "object", "additionalProperties": _converted(schema.value, path, root)}
    found: Object = {"type": "object"}
    if isinstance(schema, Struct) and not _nested(schema, path):
        found["properties"] = {
            name: _described(_converted(inner, (*path, name), root), (*path, name), root)
            for name, inner in schema.fields.items()
        }
        found |= _ANYTHING if schema.open else {}
    else:
        found |= _ANYTHING
    return found


def _nested(schema: Struct, path: tuple[str, ...]) -> bool:
    """Return whether a schema holds itself, as a filter does; below the first level it is left open."""
    return {"all", "any", "not", "cesql"} <= set(schema.fields) and path[-1:] in (("all",), ("any",), ("not",))


def _described(schema: Object, path: tuple[str, ...], root: str) -> Object:
    text = _DESCRIPTIONS.get(f"{root}.{'.'.join(path)}") or _DESCRIPTIONS.get(path[-1])
    return {**schema, "description": text} if text else schema


def _paths(kind: Kind, version: str, reference: str) -> Object:
    """Return the operations on an object; kubectl looks in `patch` for the parameters that the server has."""
    root = f"/apis/{kind.group}/{version}" if kind.group else f"/api/{version}"
    path = f"{root}/namespaces/{{namespace}}/{kind.plural}" if kind.namespaced else f"{root}/{kind.plural}"
    named = {name: _operation(kind, version, name, reference) for name in ("get", "put", "patch", "delete")}
    found: Object = {f"{path}/{{name}}": named}
    found[path] = {"post": _operation(kind, version, "post", reference)}
    return found


def _operation(kind: Kind, version: str, name: str, reference: str) -> Object:
    schema = {"$ref": f"{reference}{_name(kind, version)}"}
    two = reference.startswith("#/definitions")
    ok = {"description": "OK", **({"schema": schema} if two else {"content": {"application/json": {"schema": schema}}})}
    found: Object = {
        "responses": {"200": ok},
        "x-kubernetes-action": name,
        "x-kubernetes-group-version-kind": _gvk(kind, version),
    }
    if name in ("put", "patch", "post"):
        typed = {"type": "string", "uniqueItems": True} if two else {"schema": {"type": "string", "uniqueItems": True}}
        found["parameters"] = [
            {"name": parameter, "in": "query", **typed} for parameter in ("dryRun", "fieldManager", "fieldValidation")
        ]
    return found


_DESCRIPTIONS: Mapping[str, str] = {
    "apiVersion": "Group and version of the object's form.",
    "kind": "The kind of the object.",
    "metadata": "Name, namespace, labels and annotations of the object.",
    "status": "What is observed; written by the server alone.",
    "Service": "A Knative Service: a program that is scaled by its requests, with a URL and numbered revisions.",
    "Configuration": "The template of a Service's revisions.",
    "Revision": "One version of a program and its configuration. It cannot be changed.",
    "Route": "The URL of a Service and the shares of its revisions in the traffic.",
    "DomainMapping": "A host name for a Service.",
    "Broker": "A place that accepts events and hands them to Triggers.",
    "Trigger": "A subscription to the events of a Broker that its filters select.",
    "Sequence": "Steps that an event passes one after the other.",
    "Parallel": "Branches that an event passes at the same time.",
    "Channel": "A place that hands each event to all of its Subscriptions.",
    "Subscription": "A subscriber to the events of a Channel.",
    "PingSource": "A source that sends an event by a schedule.",
    "ContainerSource": "A pod that sends events to the sink in its K_SINK.",
    "SinkBinding": "The address of a sink in the environment of a subject.",
    "containerConcurrency": "The most requests that a pod works on at once; 0 for no limit, at most 1000.",
    "timeoutSeconds": "The most seconds from a request to the end of its response, queueing included.",
    "responseStartTimeoutSeconds": "The most seconds from a request to the first byte of its response.",
    "idleTimeoutSeconds": "The most seconds without a byte between a request and the end of its response.",
    "template": "The template of the next revision; a change of it makes one.",
    "traffic": "The shares of revisions in the traffic; without it the latest ready revision gets all.",
    "percent": "Share of the traffic in percent; all shares sum to 100.",
    "latestRevision": "Whether the target is the latest ready revision.",
    "revisionName": "Name of the target revision.",
    "tag": "Name under which the target has a URL of its own.",
    "containers": "The containers of a pod; one of them has a port and gets the requests.",
    "image": "Name of the container's image.",
    "env": "Environment variables; PORT and K_* are set by Knative.",
    "broker": "Name of the Broker in the namespace.",
    "subscriber": "Who gets the events: a reference or a URI.",
    "filter": "Attributes and the exact values that an event must have.",
    "filters": "Filters that an event must all pass; `filter` does not count beside them.",
    "delivery": "Retries, their delays and the sink of events that could not be delivered.",
    "schedule": "When events are sent, as cron writes it.",
}
