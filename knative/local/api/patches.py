"""Patches of objects: JSON patch (RFC 6902), merge patch (RFC 7396) and the strategic merge patch of core kinds.

Pure: each returns a new object.
"""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy

from knative.local.jsontypes import Json, JsonObject

Object = JsonObject


class PatchError(ValueError):
    """A patch that cannot be applied.

    Attributes:
        code: the HTTP status: 400 for a patch of a wrong form, 413 for one too long, 422 for one that does not fit.
    """

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code


JSON_PATCH = "application/json-patch+json"
MERGE_PATCH = "application/merge-patch+json"
STRATEGIC_PATCH = "application/strategic-merge-patch+json"
APPLY_PATCH = "application/apply-patch+yaml"

MOST_OPERATIONS = 10_000  # of a JSON patch, as Kubernetes bounds them
_DELETE_PREFIX = "$deleteFromPrimitiveList/"
_ORDER_PREFIX = "$setElementOrder/"
# Lists that a strategic patch merges, by the field's name, and the key of their items; None for a list of values.
_MERGED: Mapping[str, str | None] = {"ownerReferences": "uid", "finalizers": None, "conditions": "type"}


def json_patch(obj: Object, patch: Json) -> Object:
    """Apply a JSON patch.

    Raises:
        PatchError: the patch has a wrong form (400), or cannot be applied to the object (422).
    """
    import jsonpatch
    from jsonpointer import JsonPointerException

    if not isinstance(patch, list):
        raise PatchError(400, "error decoding patch: json: a JSON patch is an array of operations")
    if len(patch) > MOST_OPERATIONS:
        message = f"a JSON patch has at most {MOST_OPERATIONS} operations; got {len(patch)}: send several patches"
        raise PatchError(413, message)
    try:
        return _object(jsonpatch.JsonPatch(patch).apply(obj))
    except jsonpatch.InvalidJsonPatch as error:
        raise PatchError(400, f"error decoding patch: {error}") from None
    except (jsonpatch.JsonPatchException, JsonPointerException) as error:
        raise PatchError(422, f"the server rejected our request due to an error in our request: {error}") from None
    except (TypeError, AttributeError, KeyError, ValueError, IndexError) as error:
        # A patch whose operations are no objects, or that walks through a value.
        raise PatchError(422, f"the patch cannot be applied: {error}") from None


def merge_patch(obj: Object, patch: Json) -> Object:
    """Apply a merge patch.

    Raises:
        PatchError: the patch is no object.
    """
    return _object(_merge(obj, _object(patch)))


def _merge(value: Json, patch: Json) -> Json:
    if not isinstance(patch, dict):
        return deepcopy(patch)
    merged = dict(value) if isinstance(value, dict) else {}
    for key, change in patch.items():
        if change is None:
            merged.pop(key, None)
        else:
            merged[key] = _merge(merged.get(key), change)
    return merged


def strategic_patch(obj: Object, patch: Json) -> Object:
    """Apply a strategic merge patch.

    Raises:
        PatchError: the patch is no object, or has a directive that Kubernetes does not know.
    """
    return _object(_strategic(obj, _object(patch)))


def _strategic(value: Json, patch: Object) -> Object:
    directive = patch.get("$patch")
    if directive == "delete":
        return {}
    if directive not in (None, "replace", "merge"):
        raise PatchError(422, f"unknown directive $patch: {directive}; known are replace, merge and delete")
    merged: Object = {} if directive == "replace" or not isinstance(value, dict) else dict(value)
    if "$retainKeys" in patch:
        merged = {key: kept for key, kept in merged.items() if key in patch["$retainKeys"]}
    for key, change in patch.items():
        if key in ("$patch", "$retainKeys") or key.startswith(_ORDER_PREFIX):
            continue
        if key.startswith(_DELETE_PREFIX):
            field = key.removeprefix(_DELETE_PREFIX)
            merged[field] = [one for one in merged.get(field) or [] if one not in change]
        elif change is None:
            merged.pop(key, None)
        elif isinstance(change, dict):
            merged[key] = _strategic(merged.get(key), change)
        elif isinstance(change, list) and key in _MERGED:
            merged[key] = _merged_list(merged.get(key), change, _MERGED[key])
        else:
            merged[key] = deepcopy(change)
    return merged


def _merged_list(value: Json, patch: list[Json], key: str | None) -> list[Json]:
    items = list(value) if isinstance(value, list) else []
    if key is None:
        return items + [one for one in patch if one not in items]
    if any(isinstance(one, dict) and one.get("$patch") == "replace" for one in patch):
        return [deepcopy(one) for one in patch if not (isinstance(one, dict) and "$patch" in one)]
    found = {one.get(key): one for one in items if isinstance(one, dict)}
    for one in patch:
        if not isinstance(one, dict) or key not in one:
            raise PatchError(422, f"map: an item of a merged list does not contain declared merge key: {key}")
        if one.get("$patch") == "delete":
            found.pop(one[key], None)
        else:
            found[one[key]] = _strategic(found.get(one[key]), one)
    return [*found.values()]


def _object(value: Json) -> Object:
    if not isinstance(value, dict):
        raise PatchError(400, "error decoding patch: json: cannot unmarshal into an object")
    return value
