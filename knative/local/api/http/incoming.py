"""Objects that clients send: decoded, with unknown fields handled, identity checked, ready for admission."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from copy import deepcopy

from knative.local.api.definitions import STATUS, Kind
from knative.local.api.http.request import Target, Validation
from knative.local.api.http.status import StatusError, bad_request, invalid, invalid_value
from knative.local.api.kinds import group_of
from knative.local.jsontypes import Json, JsonMapping, JsonObject
from knative.local.manifests import grammar
from knative.local.manifests.decoding import BOOL, STRING, Anything, MapOf, Schema, Struct
from knative.local.manifests.decoding import decode as fit
from knative.local.manifests.findings import dotted
from knative.local.manifests.kinds import KINDS
from knative.local.manifests.schema import CONFIG_MAP, METADATA

Object = JsonObject

_STRINGS = MapOf(STRING)
_OBJECT: Mapping[str, Schema] = {"apiVersion": STRING, "kind": STRING, "metadata": METADATA}
SECRET = Struct({**_OBJECT, "data": _STRINGS, "stringData": _STRINGS, "type": STRING, "immutable": BOOL})
NAMESPACE = Struct({**_OBJECT, "spec": Anything(), "status": Anything()})
_CORE: Mapping[str, Struct] = {"ConfigMap": CONFIG_MAP, "Secret": SECRET, "Namespace": NAMESPACE}

MOST_ANNOTATIONS = 256 * 2**10
"""Bytes of all annotations of an object, as Kubernetes bounds them."""
_STATUS: Mapping[str, type] = {
    **dict.fromkeys(("conditions", "traffic"), list),
    **dict.fromkeys(("latestCreatedRevisionName", "latestReadyRevisionName", "url"), str),
    "observedGeneration": int,
    "address": dict,
}
_LISTED: Mapping[str, tuple[str, ...]] = {"conditions": ("type", "status"), "traffic": ("revisionName",)}


def fields_of(kind: Kind, version: str) -> Struct | None:
    """Return the fields of a kind; None where they are not known here."""
    if not kind.group:
        return _CORE.get(kind.name)
    known = KINDS.get((kind.group, kind.name))
    return known.versions.get(version) if known is not None else None


def check_status(obj: Object, at: Target) -> None:
    """Refuse a status whose fields, of those that the engine reads, have other types than Knative's.

    Raises:
        StatusError: the status is written, and does not fit.
    """
    status = obj.get("status", {})
    if at.subresource != STATUS:
        return
    if not isinstance(status, dict):
        raise _of_type(at, "status", "object")
    for name, needed in _STATUS.items():
        value = status.get(name)
        if value is not None and (not isinstance(value, needed) or isinstance(value, bool)):
            raise _of_type(at, f"status.{name}", _TYPES[needed])
        listed = value if name in _LISTED and isinstance(value, list) else ()
        for index, one in enumerate(listed):
            place = f"status.{name}[{index}]"
            if not isinstance(one, dict):
                raise _of_type(at, place, "object")
            for field in _LISTED[name]:
                if not isinstance(one.get(field), str):
                    raise _of_type(at, f"{place}.{field}", "string")


_TYPES: Mapping[type, str] = {list: "array", str: "string", int: "integer", dict: "object"}


def _of_type(at: Target, place: str, wanted: str) -> StatusError:
    message = f"Invalid value: must be of type {wanted}"
    return invalid(at.kind, at.name, place, "FieldValueTypeInvalid", message)


def check_object(value: Json, at: Target) -> Object:
    """Return a body as an object of the kind and version that the path names.

    Raises:
        StatusError: it is another kind's, or no object.
    """
    if not isinstance(value, dict):
        raise bad_request("the body is not a JSON object")
    kind, version = str(value.get("kind", "")), str(value.get("apiVersion", ""))
    expected = at.kind.api_version(at.version)
    if kind in ("", at.kind.name) and version in ("", expected):
        metadata = value.get("metadata")
        if metadata is not None and not isinstance(metadata, dict):
            raise bad_request(_unfit(at, "json: cannot unmarshal into Go struct field .metadata of type v1.ObjectMeta"))
        return {**value, "apiVersion": expected, "kind": at.kind.name, "metadata": dict(metadata or {})}
    given_group, given_version = group_of(version)
    described = f"{given_group}/{given_version}, Kind={kind}"
    message = f"the API version in the data ({version}) does not match the expected API version ({expected})"
    if kind != at.kind.name:
        message = f"the object provided is unrecognized (must be of type {at.kind.name}): no kind match for {described}"
    raise bad_request(message)


def pruned(obj: Object, at: Target, validation: Validation, twice: Iterable[str] = ()) -> tuple[Object, list[str]]:
    """Drop unknown fields, and refuse metadata of wrong types.

    Args:
        obj: the object; it is not changed.
        at: whose object it is.
        validation: what is done about unknown fields.
        twice: keys that occur twice in the body.

    Returns:
        The object, and a warning for each unknown field where validation asks for warnings.

    Raises:
        StatusError: there are unknown fields and validation is strict, or metadata has values of wrong types.
    """
    fields = fields_of(at.kind, at.version)
    if fields is None:
        return obj, []
    _, mistakes = fit(obj, fields, at.kind.name)
    # Knative's webhook refuses values of wrong types in what its own kinds have; the API all others.
    for finding in mistakes:
        if finding.rule == "wrong-type" and (not at.kind.custom or finding.paths[0][:1] == ("metadata",)):
            raise bad_request(_unfit(at, finding.message.removeprefix("cannot decode incoming new object: ")))
    unknown = [finding.paths[0] for finding in mistakes if finding.rule == "unknown-field"]
    notes = [f'unknown field "{dotted(path)}"' for path in unknown] + [f'duplicate field "{key}"' for key in twice]
    if notes and validation is Validation.STRICT:
        raise bad_request(_unfit(at, f"strict decoding error: {', '.join(notes)}"))
    kept = deepcopy(obj)
    for path in unknown:
        _drop(kept, path)
    _check_metadata(at.kind, kept["metadata"])
    return kept, notes if validation is Validation.WARN else []


def _unfit(at: Target, reason: str) -> str:
    kind = at.kind.name
    return f'{kind} in version "{at.version}" cannot be handled as a {kind}: {reason}'


def _drop(obj: Json, path: tuple[str | int, ...]) -> None:
    for part in path[:-1]:
        obj = obj[part]
    obj.pop(path[-1], None)


def _check_metadata(kind: Kind, metadata: Object) -> None:
    name = str(metadata.get("name") or "")
    for key, value in (metadata.get("labels") or {}).items():
        if grammar.qualified_name(key) or (value and not grammar.label_value(value or "")):
            text = f'Invalid value: "{key}={value}": labels have at most 63 characters of A-Z, a-z, 0-9, -, _ and .'
            raise invalid(kind, name, "metadata.labels", "FieldValueInvalid", text)
    size = sum(len(key) + len(str(value)) for key, value in (metadata.get("annotations") or {}).items())
    if size > MOST_ANNOTATIONS:
        text = f"Too long: may not be more than {MOST_ANNOTATIONS} bytes; they have {size}"
        raise invalid(kind, name, "metadata.annotations", "FieldValueTooLong", text)
    references = metadata.get("ownerReferences") or []
    required = ("apiVersion", "kind", "name", "uid")
    for index, one in enumerate(references if isinstance(references, list) else [None]):
        missing = [field for field in required if not (isinstance(one, dict) and isinstance(one.get(field), str))]
        if missing:
            field = f"metadata.ownerReferences[{index}].{missing[0]}"
            raise invalid(kind, name, field, "FieldValueRequired", "Required value: must be a text that is not empty")


def identified(obj: Object, at: Target, *, creating: bool) -> Object:
    """Give an object the name and namespace of the path, and refuse others and wrong ones.

    Raises:
        StatusError: name or namespace differ from the path's, or are no valid ones.
    """
    metadata = obj["metadata"]
    kind = at.kind
    name = str(metadata.get("name") or "")
    if at.name and name not in ("", at.name):
        raise bad_request(f"the name of the object ({name}) does not match the name on the URL ({at.name})")
    namespace = str(metadata.get("namespace") or "")
    if kind.namespaced and namespace not in ("", at.namespace):
        raise bad_request("the namespace of the provided object does not match the namespace sent on the request")
    metadata["name"] = name or at.name
    if not metadata["name"]:
        del metadata["name"]
        if not metadata.get("generateName"):
            text = "Required value: name or generateName is required"
            raise invalid(kind, "", "metadata.name", "FieldValueRequired", text)
    if kind.namespaced:
        metadata["namespace"] = at.namespace
    else:
        metadata.pop("namespace", None)
    if creating:
        _check_name(kind, metadata)
        metadata.pop("resourceVersion", None)
    return obj


def _check_name(kind: Kind, metadata: Object) -> None:
    field = "name" if metadata.get("name") else "generateName"
    name = str(metadata[field])
    tested = name if field == "name" else f"{name}x"
    check = grammar.dns1123_label if kind.resource == "namespaces" else grammar.dns1123_subdomain
    if mistakes := check(tested):
        messages = [f'Invalid value: "{name}": {mistake}' for mistake in mistakes]
        raise invalid_value(kind, name, f"metadata.{field}", messages)


def core_rules(kind: Kind, obj: Object, old: JsonMapping | None) -> Object:
    """Return a ConfigMap, Secret or Namespace as Kubernetes stores it.

    Raises:
        StatusError: a key or a value is not allowed, or an immutable object is changed.
    """
    name = str(obj["metadata"].get("name", ""))
    if kind.resource == "secrets":
        obj = _secret(obj)
    if kind.resource == "namespaces":
        labels = {**(obj["metadata"].get("labels") or {}), "kubernetes.io/metadata.name": name}
        obj["metadata"]["labels"] = labels
        obj["spec"] = {"finalizers": ["kubernetes"]}
        obj["status"] = {"phase": "Active"}
    if kind.resource in ("configmaps", "secrets"):
        for key in (*(obj.get("data") or {}), *(obj.get("binaryData") or {})):
            if not re.fullmatch(r"[-._a-zA-Z0-9]{1,253}", key) or key in (".", ".."):
                text = f'Invalid value: "{key}": a valid config key must consist of alphanumeric characters, -, _ or .'
                raise invalid(kind, name, f"data[{key}]", "FieldValueInvalid", text)
        contents = ("data", "binaryData", "type")
        if old is not None and old.get("immutable") and any(old.get(one) != obj.get(one) for one in contents):
            text = "Forbidden: field is immutable when `immutable` is set"
            raise invalid(kind, name, "data", "FieldValueForbidden", text)
    return obj


def _secret(obj: Object) -> Object:
    import base64
    import binascii

    data = dict(obj.get("data") or {})
    for key, value in data.items():
        try:
            base64.b64decode(value or "", validate=True)
        except (binascii.Error, ValueError):
            message = f'Secret in version "v1" cannot be handled as a Secret: illegal base64 data of "{key}"'
            raise bad_request(message) from None
    for key, value in (obj.pop("stringData", None) or {}).items():
        data[key] = base64.b64encode(value.encode()).decode()
    obj |= {"data": data} if data else {}
    obj["type"] = obj.get("type") or "Opaque"
    return obj
