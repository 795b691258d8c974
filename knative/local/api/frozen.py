"""JSON values that cannot be changed, so that one object may be shared by the store and all of its readers.

They are dicts and lists: they compare equal to plain ones, and `json` and `orjson` write them.
"""

from __future__ import annotations

from typing import NoReturn

from knative.local.jsontypes import Json, JsonObject

_REFUSAL = "objects of the store are read-only; change a copy made by thaw()"


def _refuse(*_arguments: object, **_named: object) -> NoReturn:
    raise TypeError(_REFUSAL)


class FrozenDict(JsonObject):
    """A JSON object that cannot be changed."""

    __slots__ = ()
    __setitem__ = __delitem__ = clear = pop = popitem = setdefault = update = __ior__ = _refuse

    def __deepcopy__(self, _memo: object) -> JsonObject:
        return {key: thaw(value) for key, value in self.items()}


class FrozenList(list[Json]):
    """A JSON array that cannot be changed."""

    __slots__ = ()
    __setitem__ = __delitem__ = __iadd__ = __imul__ = _refuse
    append = extend = insert = pop = remove = clear = sort = reverse = _refuse

    def __deepcopy__(self, _memo: object) -> list[Json]:
        return [thaw(value) for value in self]


def freeze(value: Json) -> Json:
    """Return a read-only copy; what is read-only already is returned as it is."""
    if isinstance(value, FrozenDict | FrozenList):
        return value
    if isinstance(value, dict):
        return FrozenDict({str(key): freeze(item) for key, item in value.items()})
    if isinstance(value, list | tuple):
        return FrozenList([freeze(item) for item in value])
    return value


def thaw(value: Json) -> Json:
    """Return a copy as plain dicts and lists, which the caller may change."""
    if isinstance(value, dict):
        return {key: thaw(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [thaw(item) for item in value]
    return value
