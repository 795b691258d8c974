"""The variables of a container: its `envFrom` and `env`, from the ConfigMaps and Secrets that they name. Pure.

As the kubelet makes them: `envFrom` first, then `env` in order. `$(NAME)` in a `value` refers to a variable
that was defined before it, and is kept if no such variable exists; values of ConfigMaps and Secrets are not expanded.
Source: kubernetes/kubernetes pkg/kubelet/kubelet_pods.go, makeEnvironmentVariables.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import TypeAlias

from knative.local.jsontypes import JsonMapping

# ConfigMaps and Secrets as plain data, by kind, namespace and name. Nothing in a Secret has been checked: only what a
# container asks for has to make sense.
Objects: TypeAlias = Mapping[tuple[str, str, str], JsonMapping]

SINK = "K_SINK"
"""The variable that holds the address of a sink of events."""
_IN_FROM = (("ConfigMap", "configMapRef"), ("Secret", "secretRef"))
_IN_VALUE = (("ConfigMap", "configMapKeyRef"), ("Secret", "secretKeyRef"))


def environment(container: JsonMapping, namespace: str, objects: Objects) -> dict[str, str]:
    """The variables of a container of a Service in a namespace.

    Raises:
        ValueError: An object or a key is not there, or its value can be no variable's.
    """
    variables: dict[str, str] = {}
    for source in container.get("envFrom") or ():
        for kind, field in _IN_FROM:
            if field in source:
                found = _look_up(objects, kind, namespace, source[field])
                prefix = source.get("prefix") or ""
                for key in _keys(found):
                    variables[f"{prefix}{key}"] = _value(found, key) or ""
    for variable in container.get("env") or ():
        origin = variable.get("valueFrom") or {}
        value = None if origin else expand(variable.get("value") or "", variables)
        for kind, field in _IN_VALUE:
            if field in origin:
                key = str(origin[field].get("key") or "")
                value = _value(_look_up(objects, kind, namespace, origin[field]), key)
                if value is None and not origin[field].get("optional"):
                    raise ValueError(f"{kind} {origin[field].get('name')} has no key {key}")
        if value is not None:
            variables[variable["name"]] = value
    return variables


def _look_up(objects: Objects, kind: str, namespace: str, reference: JsonMapping) -> JsonMapping:
    """The object that a container refers to; an empty one if it may do without."""
    name = str(reference.get("name") or "")
    found = objects.get((kind, namespace, name))
    if found is None and not reference.get("optional"):
        raise ValueError(f"there is no {kind} {name}")
    return found or {}


def _subject(found: JsonMapping) -> str:
    return f"{found['kind']} {found['metadata']['name']}"


def _field(found: JsonMapping, field: str) -> JsonMapping:
    values = found.get(field)
    if values is None:
        return {}
    if not isinstance(values, Mapping):
        raise ValueError(f"{_subject(found)}: {field} is not a map")
    return values


def _keys(found: JsonMapping) -> list[str]:
    return list(dict.fromkeys([*_field(found, "data"), *_field(found, "stringData")]))


def _value(found: JsonMapping, key: str) -> str | None:
    """The text of a key; None without the key. A Secret's `data` is base64, `stringData` overrides it."""
    plain = _field(found, "stringData")
    values = plain if key in plain else _field(found, "data")
    if key not in values:
        return None
    value = values[key]
    if not isinstance(value, str):
        raise ValueError(f"{_subject(found)}: the value of {key} is not text")
    if found["kind"] != "Secret" or values is plain:
        return value
    try:
        raw = base64.b64decode(value.replace("\n", "").replace("\r", ""), validate=True)
    except ValueError:
        raise ValueError(f"{_subject(found)}: the value of {key} is not base64") from None
    try:
        return raw.decode()
    except UnicodeDecodeError:
        raise ValueError(f"{_subject(found)}: the value of {key} is binary, which no variable can be") from None


def expand(word: str, environment: Mapping[str, str]) -> str:
    """Kubernetes' `$(NAME)`; `$$(NAME)` stays as it is, and so does an unknown name."""
    out = ""
    position = 0
    while (dollar := word.find("$", position)) >= 0:
        out += word[position:dollar]
        if word[dollar : dollar + 2] == "$$":
            out += "$"
            position = dollar + 2
            continue
        end = word.find(")", dollar)
        name = word[dollar + 2 : end]
        if word[dollar : dollar + 2] == "$(" and end > 0:
            out += environment.get(name, f"$({name})")
            position = end + 1
        else:
            out += "$"
            position = dollar + 1
    return out + word[position:]
