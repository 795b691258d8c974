"""Label selectors and field selectors of list, watch and deletecollection."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

from knative.local.api.definitions import Kind
from knative.local.api.http.status import StatusError, bad_request
from knative.local.jsontypes import Json, JsonMapping
from knative.local.manifests.grammar import label_value, qualified_name

Matches = Callable[[JsonMapping], bool]
"""Whether an object is selected."""

_SET = re.compile(r"(\S+)\s+(in|notin)\s*\(([^()]*)\)")
_EQUAL = re.compile(r"([^\s=!]+)\s*(==|=|!=)\s*([^\s=!,]*)")
_COMPARED = re.compile(r"([^\s<>]+)\s*([<>])\s*(-?[0-9]+)")
_COMMAS = re.compile(r",(?![^()]*\))")
# Fields beside metadata.name and metadata.namespace, as Kubernetes allows them.
_FIELDS: Mapping[str, tuple[str, ...]] = {
    "pods": ("spec.nodeName", "spec.restartPolicy", "status.phase", "status.podIP", "spec.serviceAccountName"),
    "events": (
        *(f"involvedObject.{name}" for name in ("kind", "namespace", "name", "uid", "apiVersion", "resourceVersion")),
        *("involvedObject.fieldPath", "reason", "reportingComponent", "source", "type"),
    ),
    "namespaces": ("status.phase",),
    "secrets": ("type",),
}


def label_selector(text: str) -> Matches:
    """Return what a label selector selects.

    Raises:
        StatusError: the selector cannot be read.
    """
    requirements = [_requirement(part.strip()) for part in _COMMAS.split(text) if part.strip()]

    def matches(obj: JsonMapping) -> bool:
        labels = obj["metadata"].get("labels") or {}
        return all(holds(labels) for holds in requirements)

    return matches


def _requirement(text: str) -> Callable[[Mapping[str, str]], bool]:
    if found := _SET.fullmatch(text):
        key, operator = found[1], found[2]
        values = {_value(part.strip()) for part in found[3].split(",")}
        _key(key)
        if operator == "in":
            return lambda labels: labels.get(key) in values
        return lambda labels: labels.get(key) not in values
    if found := _EQUAL.fullmatch(text):
        key, operator, value = found[1], found[2], _value(found[3])
        _key(key)
        if operator == "!=":
            return lambda labels: labels.get(key) != value
        return lambda labels: labels.get(key) == value
    if found := _COMPARED.fullmatch(text):
        return _comparison(found[1], found[2], int(found[3]))
    absent = text.startswith("!")
    key = _key(text.removeprefix("!").strip())
    return lambda labels: (key in labels) is not absent


def _comparison(key: str, operator: str, bound: int) -> Callable[[Mapping[str, str]], bool]:
    _key(key)

    def holds(labels: Mapping[str, str]) -> bool:
        try:
            value = int(labels[key])
        except (KeyError, ValueError):
            return False
        return value > bound if operator == ">" else value < bound

    return holds


def _key(key: str) -> str:
    if mistakes := qualified_name(key):
        raise _unreadable(f'key: Invalid value: "{key}": {mistakes[0]}')
    return key


def _value(value: str) -> str:
    if value and not label_value(value):
        raise _unreadable(
            f'values: Invalid value: "{value}": a valid label has at most 63 characters of A-Z, a-z, 0-9, -_.'
        )
    return value


def _unreadable(message: str) -> StatusError:
    return bad_request(f"unable to parse requirement: {message}")


def field_selector(text: str, kind: Kind) -> Matches:
    """Return what a field selector selects.

    Raises:
        StatusError: the selector cannot be read, or names a field that the kind has no selector for.
    """
    terms: list[tuple[tuple[str, ...], bool, str]] = []
    for part in filter(None, text.split(",")):
        found = re.fullmatch(r"([^=!]+)(==|=|!=)(.*)", part)
        if not found:
            raise bad_request(f"invalid selector: '{part}'; can't understand \"{part}\"")
        field = found[1]
        if field not in ("metadata.name", "metadata.namespace", *_FIELDS.get(kind.resource, ())):
            raise bad_request(f"field label not supported: {field}")
        terms.append((tuple(field.split(".")), found[2] != "!=", found[3]))

    def matches(obj: JsonMapping) -> bool:
        return all((_at(obj, path) == value) is equal for path, equal, value in terms)

    return matches


def _at(obj: Json, path: tuple[str, ...]) -> str:
    for name in path:
        obj = obj.get(name) if isinstance(obj, Mapping) else None
    if isinstance(obj, Mapping):  # an event's source is selected by its component
        obj = obj.get("component")
    return "" if obj is None else str(obj)
