"""Field managers: which client set which field, and server-side apply by them.

A set of fields is a set of paths. A step of a path is `f:name` for a field, or `k:{"name":"tmp"}` for an item of a list
whose items have keys, as in `metadata.managedFields`. Lists without keys are atomic: one field with one owner. Pure.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from copy import deepcopy
from dataclasses import dataclass
from typing import NamedTuple

from knative.local.jsontypes import Json, JsonMapping, JsonObject

Object = JsonObject
Path = tuple[str, ...]
Fields = frozenset[Path]

APPLY, UPDATE = "Apply", "Update"
# The keys of lists whose items are managed one by one, as Knative's custom resource definitions declare them.
_KEYS: Mapping[str, str] = {"f:volumes": "name", "f:imagePullSecrets": "name", "f:ownerReferences": "uid"}
_ATOMIC = frozenset({"f:nodeSelector"})
# Fields without a manager: the server sets them, or they are the object's identity.
_UNMANAGED = frozenset(
    ("f:metadata", f"f:{name}")
    for name in (
        *("name", "namespace", "uid", "resourceVersion", "generation", "creationTimestamp", "selfLink"),
        *("managedFields", "deletionTimestamp", "deletionGracePeriodSeconds"),
    )
) | {("f:apiVersion",), ("f:kind",), ("f:metadata",)}


class Conflict(NamedTuple):
    """A field of another manager that an apply would change."""

    manager: str
    field: str
    path: Path


class ApplyConflictError(ValueError):
    """Server-side apply would change fields of other managers.

    Attributes:
        causes: each conflict.
    """

    def __init__(self, causes: list[Conflict]) -> None:
        self.causes = causes
        plural = "s" if len(causes) > 1 else ""
        grouped: dict[str, list[str]] = {}
        for manager, field, _ in causes:
            grouped.setdefault(manager, []).append(field)
        if len(causes) == 1:
            text = f"conflict with {causes[0][0]}: {causes[0][1]}"
        else:
            parts = (
                f"conflicts with {name}:\n" + "\n".join(f"- {one}" for one in them) for name, them in grouped.items()
            )
            text = "\n".join(parts)
        super().__init__(f"Apply failed with {len(causes)} conflict{plural}: {text}")


@dataclass(frozen=True, order=True)
class Manager:
    """A client that sets fields, by the name it gives and the operation by which it sets them."""

    operation: str
    name: str
    api_version: str
    subresource: str = ""

    def __str__(self) -> str:
        shown = f'"{self.name}"'
        if self.subresource:
            shown += f' with subresource "{self.subresource}"'
        return shown if self.operation == APPLY else f"{shown} using {self.api_version}"


@dataclass(frozen=True)
class _Owned:
    fields: Fields
    time: str


def after_update(old: JsonMapping | None, new: Object, manager: Manager, now: str) -> list[Object]:
    """Return the `managedFields` of an object after a create, an update or a patch.

    Args:
        old: the stored object; None for a create.
        new: the object as the client wants it, with the managedFields that it sent.
        manager: the client.
        now: the time of the change.
    """
    # A client that sends an empty list takes all managers away; one that changes it, as kubectl does, edits them.
    sent = new["metadata"].get("managedFields")
    entries = sent if sent is not None else (old or {}).get("metadata", {}).get("managedFields")
    managers = _read(entries)
    status = manager.subresource == "status"
    base: JsonMapping = old or {"metadata": {}}
    added, changed, removed = _compare(_part(base, status), _part(new, status))
    set_ = _managed(added | changed)
    # Moved by the client itself from one manager to another: nothing was set, so no manager changes.
    if not set_ and not removed:
        return _write(managers)
    for other, owned in list(managers.items()):
        fields = owned.fields - removed
        if other != manager:
            fields -= {path for path in set_ if path in owned.fields}
        managers[other] = _Owned(fields, owned.time)
    mine = managers.get(manager)
    if set_:
        managers[manager] = _Owned((mine.fields if mine else frozenset()) | set_, now)
    return _write(managers)


def apply(old: JsonMapping | None, applied: Object, manager: Manager, now: str, *, force: bool) -> Object:
    """Return the object after server-side apply, with its `managedFields`.

    Args:
        old: the stored object; None for a new object.
        applied: the fields that the client states.
        manager: the client.
        now: the time of the change.
        force: whether fields of other managers are taken over.

    Raises:
        ApplyConflictError: other managers own fields that would change, and `force` is not set.
    """
    base: Object = deepcopy(dict(old)) if old is not None else {"metadata": {}}
    managers = _read(base["metadata"].get("managedFields"))
    stated = deepcopy(applied)
    stated["metadata"].pop("managedFields", None)
    fields = _managed(frozenset(_fields(_part(stated, status=manager.subresource == "status"))))
    merged: Object = _merge(base, stated, ())
    before = managers.get(manager, _Owned(frozenset(), now))
    dropped = before.fields - fields
    held = {path for other, owned in managers.items() if other != manager for path in owned.fields}
    for path in sorted(dropped, key=len, reverse=True):
        if path not in held and not any(other[: len(path)] == path for other in (*fields, *held)):
            _remove(merged, path)
    for field in ("labels", "annotations"):
        if merged["metadata"].get(field) == {}:
            del merged["metadata"][field]
    added, changed, _ = _compare(base, merged)
    causes: list[Conflict] = []
    for other, owned in sorted(managers.items()):
        disputed = owned.fields & fields & (changed | added)
        if other != manager and disputed:
            causes += [Conflict(str(other), _shown(path), path) for path in sorted(disputed)]
            managers[other] = _Owned(owned.fields - disputed, owned.time)
    if causes and not force:
        raise ApplyConflictError(causes)
    same = merged == base and before.fields == fields and manager in managers
    managers[manager] = _Owned(fields, before.time if same else now)
    merged["metadata"]["managedFields"] = _write(managers)
    return merged


def unchanged(stated: Object, obj: JsonMapping) -> Fields:
    """Return the fields that a configuration states and an object still has."""
    added, changed, removed = _compare(stated, dict(obj))
    return frozenset(_fields(_part(stated, status=False))) - added - changed - removed


# Sets of fields


def _part(obj: JsonMapping, status: bool) -> Object:
    """Return what a manager may set: the status alone, or all but the status."""
    if status:
        return {"status": obj["status"]} if "status" in obj else {}
    return {key: value for key, value in obj.items() if key != "status"}


def _managed(fields: Iterable[Path]) -> Fields:
    return frozenset(path for path in fields if path not in _UNMANAGED and path[:2] not in _UNMANAGED)


def _children(value: Json, step: str) -> JsonObject | None:
    """Return the parts of a value that are managed one by one; None for one that is managed as a whole."""
    if isinstance(value, dict):
        return None if step in _ATOMIC else {f"f:{key}": item for key, item in value.items()}
    key = _KEYS.get(step)
    if not isinstance(value, list) or key is None:
        return None
    items = {_item(key, one[key]): one for one in value if isinstance(one, dict) and key in one}
    return items if len(items) == len(value) else None


def _item(key: str, value: Json) -> str:
    return f"k:{json.dumps({key: value}, separators=(',', ':'))}"


def _fields(value: Json, path: Path = ()) -> Iterator[Path]:
    """Yield the leaves of a value, and the items of lists with keys."""
    children = _children(value, path[-1] if path else "")
    if not children:
        if path:
            yield path
        return
    if path and path[-1].startswith("k:"):
        yield path
    for step, child in children.items():
        yield from _fields(child, (*path, step))


def _nodes(value: Json, path: Path) -> Iterator[Path]:
    """Yield a value and everything in it."""
    yield path
    for step, child in (_children(value, path[-1]) or {}).items():
        yield from _nodes(child, (*path, step))


def _compare(old: Json, new: Json, path: Path = ()) -> tuple[Fields, Fields, Fields]:
    """Return the fields that were added, changed and removed."""
    step = path[-1] if path else ""
    before, after = _children(old, step), _children(new, step)
    if before is None or after is None:
        return (frozenset(), frozenset() if old == new else frozenset({path}), frozenset())
    added: set[Path] = set()
    changed: set[Path] = set()
    removed: set[Path] = set()
    for step in before.keys() | after.keys():
        inner = (*path, step)
        if step not in before:
            added.update(_nodes(after[step], inner))
        elif step not in after:
            removed.update(_nodes(before[step], inner))
        elif before[step] != after[step]:
            for total, part in zip((added, changed, removed), _compare(before[step], after[step], inner), strict=True):
                total.update(part)
    return frozenset(added), frozenset(changed), frozenset(removed)


def _merge(base: Json, stated: Json, path: Path) -> Json:
    step = path[-1] if path else ""
    before, after = _children(base, step), _children(stated, step)
    if before is None or after is None:
        return stated
    merged = {key: before[key] for key in before}
    for key, value in after.items():
        merged[key] = _merge(before[key], value, (*path, key)) if key in before else value
    if isinstance(stated, list):
        return [*merged.values()]
    return {key[2:]: value for key, value in merged.items()}


def _remove(obj: Json, path: Path) -> None:
    for step in path[:-1]:
        obj = (_children(obj, "") or {}).get(step) if step.startswith("f:") else _listed(obj, step)
        if obj is None:
            return
    if path[-1].startswith("f:") and isinstance(obj, dict):
        obj.pop(path[-1][2:], None)
    elif isinstance(obj, list):
        found = _listed(obj, path[-1])
        if found is not None:
            obj.remove(found)


def _listed(items: Json, step: str) -> Json:
    key = json.loads(step[2:])
    matching = (one for one in items if isinstance(one, dict) and key.items() <= one.items())
    return next(matching, None) if isinstance(items, list) else None


def _shown(path: Path) -> str:
    text = ""
    for step in path:
        if step.startswith("f:"):
            text += f".{step[2:]}"
        else:
            inside = ",".join(f"{key}={json.dumps(value)}" for key, value in json.loads(step[2:]).items())
            text += f"[{inside}]"
    return text


# The form of metadata.managedFields


def _read(entries: Json) -> dict[Manager, _Owned]:
    managers: dict[Manager, _Owned] = {}
    for entry in entries if isinstance(entries, list) else ():
        if not isinstance(entry, dict):
            continue
        operation, name = str(entry.get("operation", "")), str(entry.get("manager", ""))
        manager = Manager(operation, name, str(entry.get("apiVersion", "")), str(entry.get("subresource", "")))
        managers[manager] = _Owned(frozenset(_unfolded(entry.get("fieldsV1"), ())), str(entry.get("time", "")))
    return managers


def _unfolded(tree: Json, path: Path) -> Iterator[Path]:
    if not isinstance(tree, dict):
        return
    if not tree:
        if path:
            yield path
        return
    for step, inner in tree.items():
        if step == ".":
            yield path
        elif step[:2] in ("f:", "k:", "v:"):
            yield from _unfolded(inner, (*path, step))


def _folded(fields: Fields) -> Object:
    tree: Object = {}
    for path in sorted(fields):
        node = tree
        for step in path:
            node = node.setdefault(step, {})
    for path in fields:
        node = tree
        for step in path:
            node = node[step]
        if node:
            node["."] = {}
    return tree


def _write(managers: Mapping[Manager, _Owned]) -> list[Object]:
    entries = []
    for manager, owned in sorted(managers.items(), key=lambda item: (item[0].operation, item[1].time, item[0])):
        if not owned.fields:
            continue
        entry = {
            "manager": manager.name,
            "operation": manager.operation,
            "apiVersion": manager.api_version,
            "time": owned.time,
            "fieldsType": "FieldsV1",
            "fieldsV1": _folded(owned.fields),
        }
        entries.append({**entry, **({"subresource": manager.subresource} if manager.subresource else {})})
    return entries
