"""Objects from files, applied to the store as `kubectl apply` applies them.

A field whose value a file has changed is set; one that the file no longer names is removed; all others stay as the API
left them. An object that no file names any more is removed if files brought it.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from knative.local.api.frozen import thaw
from knative.local.api.history import Object
from knative.local.api.store import Store
from knative.local.controllers.objects import LAST_APPLIED, NAMESPACES, annotations_of, find
from knative.local.jsontypes import JsonMapping

Place = tuple[str, str, str]  # resource, namespace, name
Admit = Callable[[Object, Object | None], Object]
"""Returns an object as it is to be stored, given the stored one for an update."""


@dataclass(frozen=True)
class Plan:
    """What applying files changes.

    Attributes:
        writes: The place of each object, the stored object or None, and the object that is to be stored.
        removed: What no file names any more.
    """

    writes: Sequence[tuple[Place, Object | None, Object]]
    removed: Sequence[Place]


@dataclass
class Files:
    """What files have brought.

    Attributes:
        uids: The uid of each object by its place.
    """

    uids: dict[Place, str] = field(default_factory=dict)

    def plan(self, store: Store, objects: Iterable[tuple[Place, JsonMapping]], admit: Admit) -> Plan:
        """Return what applying all files changes, without changing anything.

        Args:
            store: Holds all objects.
            objects: Those of all files.
            admit: Refuses an object by an exception.
        """
        wanted = {place: _as_applied(place, data) for place, data in objects}
        writes = []
        for place, data in wanted.items():
            existing = find(store, *place)
            made = self._changed(place, data, existing, admit)
            if made is not None:
                writes.append((place, existing, made))
        return Plan(writes, [place for place in self.uids if place not in wanted])

    def commit(self, store: Store, plan: Plan) -> None:
        """Bring the store into line with a plan, which must be made from the current store."""
        for place in plan.removed:
            uid = self.uids.pop(place)
            existing = find(store, *place)
            if existing is not None and existing["metadata"]["uid"] == uid:
                store.delete(*place)
        for namespace in sorted({place[1] for place, _, _ in plan.writes if place[1]}):
            ensure_namespace(store, namespace)
        for place, existing, made in plan.writes:
            exists = existing is not None or find(store, *place) is not None  # a Namespace that was just created
            stored = store.update(place[0], made) if exists else store.create(place[0], made)
            self.uids[place] = stored["metadata"]["uid"]

    def _changed(self, place: Place, data: Object, existing: Object | None, admit: Admit) -> Object | None:
        """Return the object to write, or None where there is nothing to do."""
        if existing is None:
            return admit(data, None)
        text = annotations_of(data)[LAST_APPLIED]
        last = annotations_of(existing).get(LAST_APPLIED)
        if last == text and self.uids.get(place) == existing["metadata"]["uid"]:
            return None
        return admit(merge(_parsed(last), data, existing), existing)


def _as_applied(place: Place, data: JsonMapping) -> Object:
    """Return an object with the annotation in which kubectl keeps what it applied."""
    made: Object = thaw(dict(data))
    made.pop("status", None)
    metadata = made.setdefault("metadata", {})
    if place[1]:
        metadata["namespace"] = place[1]
    metadata.setdefault("annotations", {}).pop(LAST_APPLIED, None)
    text = json.dumps(made, separators=(",", ":"), sort_keys=True, default=str) + "\n"
    metadata["annotations"][LAST_APPLIED] = text
    return made


def _parsed(text: str | None) -> Object:
    try:
        value = json.loads(text) if text else {}
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}


def merge(last: JsonMapping, new: JsonMapping, live: JsonMapping) -> Object:
    """Return the live object with what changed from the last applied one to the new one. Lists are replaced."""
    merged = {key: value for key, value in live.items() if key in new or key not in last}
    for key, value in new.items():
        inner = live.get(key)
        if key in live and key in last and last[key] == value:
            continue
        if isinstance(value, Mapping) and isinstance(inner, Mapping):
            before = last.get(key)
            merged[key] = merge(before if isinstance(before, Mapping) else {}, value, inner)
        else:
            merged[key] = value
    return merged


def ensure_namespace(store: Store, name: str) -> None:
    """Create a Namespace, unless it is there."""
    if find(store, NAMESPACES, "", name) is None:
        store.create(
            NAMESPACES,
            {
                "apiVersion": "v1",
                "kind": "Namespace",
                "metadata": {"name": name, "labels": {"kubernetes.io/metadata.name": name}},
                "spec": {"finalizers": ["kubernetes"]},
                "status": {"phase": "Active"},
            },
        )
