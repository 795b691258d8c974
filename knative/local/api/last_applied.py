"""The annotation of `kubectl apply`, as server-side apply by kubectl treats it.

kubectl's own apply writes the last configuration into an annotation. When the same user goes on with server-side apply,
the server keeps the annotation current, and lets kubectl take over what that configuration had set. Pure.
"""

from __future__ import annotations

import json

from knative.local.api import managed_fields
from knative.local.api.managed_fields import ApplyConflictError, Manager
from knative.local.jsontypes import JsonMapping, JsonObject

Object = JsonObject

ANNOTATION = "kubectl.kubernetes.io/last-applied-configuration"
MANAGER = "kubectl"


def apply(old: JsonMapping | None, applied: Object, manager: Manager, now: str, *, force: bool) -> Object:
    """Return the object after server-side apply; see `managed_fields.apply`.

    Raises:
        ApplyConflictError: other managers own fields that would change, and they may not be taken over.
    """
    try:
        merged = managed_fields.apply(old, applied, manager, now, force=force)
    except ApplyConflictError as error:
        allowed = (
            managed_fields.unchanged(_last(old), old) if manager.name == MANAGER and old is not None else frozenset()
        )
        remaining = [cause for cause in error.causes if cause.path not in allowed]
        if remaining:
            raise ApplyConflictError(remaining) from None
        merged = managed_fields.apply(old, applied, manager, now, force=True)
    annotations = merged["metadata"].get("annotations") or {}
    if manager.name == MANAGER and ANNOTATION in annotations and ANNOTATION not in _annotations(applied):
        merged["metadata"]["annotations"] = {**annotations, ANNOTATION: _written(applied)}
    return merged


def _annotations(obj: JsonMapping) -> JsonMapping:
    return obj["metadata"].get("annotations") or {}


def _last(old: JsonMapping | None) -> Object:
    try:
        found = json.loads(_annotations(old or {"metadata": {}}).get(ANNOTATION, ""))
    except (ValueError, TypeError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _written(applied: Object) -> str:
    text = json.dumps(applied, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    for character in "<>&":  # as Go writes them
        text = text.replace(character, f"\\u{ord(character):04x}")
    return f"{text}\n"
