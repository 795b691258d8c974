"""Trigger filters as Knative Eventing evaluates them: pure functions over an event's attributes.

Follows `pkg/eventfilter` of knative/eventing. A filter passes, fails, or does not count (an empty dialect): by the
third, `any: []` passes every event. Attributes are compared in their canonical string form.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, TypeAlias

from knative.local.jsontypes import JsonMapping
from knative.local.manifests.cesql.parsing import parse as parse_cesql
from knative.local.manifests.cesql.values import CesqlError

Attributes: TypeAlias = Mapping[str, str]
Verdict: TypeAlias = bool | None
Filter: TypeAlias = Callable[[Attributes], Verdict]

# Attributes that `filter.attributes` finds in each event, empty if the event has none.
_ALWAYS = ("specversion", "type", "source", "subject", "id", "time", "datacontenttype")


class FilterError(ValueError):
    """A filter that cannot be evaluated; the text says why."""


def passes(verdict: Verdict) -> bool:
    """Return whether an event passes: only a failed filter stops it."""
    return verdict is not False


def of_trigger(spec: JsonMapping) -> Filter:
    """Return the filter of a Trigger's `spec`: `filters` overrides `filter`; without both every event passes.

    Raises:
        FilterError: a CESQL expression cannot be parsed.
    """
    if spec.get("filters"):
        return _both([_dialect(item) for item in spec["filters"]])
    return _attributes((spec.get("filter") or {}).get("attributes") or {})


def _dialect(item: JsonMapping) -> Filter:
    for name, make in _DIALECTS.items():
        if item.get(name) or (name == "not" and "not" in item):
            return make(item[name])
    return _no_filter


def _no_filter(_event: Attributes) -> Verdict:
    return None


def _attributes(wanted: Attributes) -> Filter:
    """Return the filter of `filter.attributes`: exact, and an empty value matches any value of a present attribute."""
    if not wanted:
        return _no_filter

    def matches(event: Attributes) -> Verdict:
        known = dict.fromkeys(_ALWAYS, "") | dict(event)
        return all(name in known and value in ("", known[name]) for name, value in wanted.items())

    return matches


def _compare(holds: Callable[[str, str], bool]) -> Callable[[Attributes], Filter]:
    def make(wanted: Attributes) -> Filter:
        return lambda event: all(name in event and holds(event[name], value) for name, value in wanted.items())

    return make


def _both(filters: Sequence[Filter]) -> Filter:
    return lambda event: _decided((one(event) for one in filters), all)


def _either(filters: Sequence[Filter]) -> Filter:
    return lambda event: _decided((one(event) for one in filters), any)


def _decided(verdicts: Iterable[Verdict], join: Callable[[Iterable[bool]], bool]) -> Verdict:
    counted = [verdict for verdict in verdicts if verdict is not None]
    return join(counted) if counted else None


def _inverse(item: JsonMapping) -> Filter:
    inner = _dialect(item)

    def matches(event: Attributes) -> Verdict:
        verdict = inner(event)
        return None if verdict is None else not verdict

    return matches


def _cesql(text: str) -> Filter:
    try:
        expression = parse_cesql(text)
    except CesqlError as error:
        raise FilterError(f"the cesql filter {text!r} cannot be parsed: {error}") from None
    return expression.matches


_DIALECTS: Mapping[str, Callable[[Any], Filter]] = {
    "exact": _compare(str.__eq__),
    "prefix": _compare(str.startswith),
    "suffix": _compare(str.endswith),
    "all": lambda items: _both([_dialect(item) for item in items]),
    "any": lambda items: _either([_dialect(item) for item in items]),
    "not": _inverse,
    "cesql": _cesql,
}
