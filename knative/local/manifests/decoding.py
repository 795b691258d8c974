"""Reading an object as Knative decodes it: fields that exist, values of their types.

Unknown fields and values of the wrong type are refused before any rule is asked, in the words of Go's decoder.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Union

from knative.local.jsontypes import Json
from knative.local.manifests import grammar
from knative.local.manifests.findings import Finding, Path

Schema = Union["Scalar", "Struct", "ListOf", "MapOf", "Anything"]


@dataclass(frozen=True)
class Scalar:
    """A single value; `go` is the type's name in Go, which the messages use."""

    go: str


@dataclass(frozen=True)
class Struct:
    """An object with known fields; one that is `open` may have others, which are taken as they are."""

    fields: Mapping[str, Schema]
    open: bool = False


@dataclass(frozen=True)
class ListOf:
    """A list of values of one schema."""

    item: Schema


@dataclass(frozen=True)
class MapOf:
    """An object whose keys are the user's."""

    value: Schema


@dataclass(frozen=True)
class Anything:
    """A value that is taken as it is."""


STRING = Scalar("string")
INT32 = Scalar("int32")
INT64 = Scalar("int64")
BOOL = Scalar("bool")
INT_OR_STRING = Scalar("intstr.IntOrString")
QUANTITY = Scalar("resource.Quantity")
ANYTHING = Anything()

_DECODE = "cannot decode incoming new object: json:"


def decode(data: Json, schema: Schema, kind: str) -> tuple[Json, list[Finding]]:
    """Read an object as the API server does.

    Args:
        data: plain data, as it came from YAML.
        schema: the fields and types of the object.
        kind: the object's kind, which messages name.

    Returns:
        The data without nulls and without what does not fit, so that rules may trust its types; and a finding for
        each part that did not fit.
    """
    findings: list[Finding] = []
    return _decode(data, schema, (), kind, findings.append), findings


_MISFIT = object()


def _decode(data: Any, schema: Schema, path: Path, kind: str, report: Callable[[Finding], None]) -> Any:
    if isinstance(schema, Anything):
        return data
    if isinstance(schema, Scalar):
        if isinstance(data, float) and data.is_integer() and schema.go.startswith("int"):
            data = int(data)  # JSON has one kind of number: 600.0 is 600
        problem = _scalar_problem(data, schema)
        if problem is None:
            return data
        report(_type_finding(data, problem, schema.go, path, kind))
        return _MISFIT
    if isinstance(schema, ListOf):
        if not isinstance(data, list):
            report(_type_finding(data, "", f"[]{_go_name(schema.item)}", path, kind))
            return _MISFIT
        items = (_decode(item, schema.item, (*path, index), kind, report) for index, item in enumerate(data))
        # A misfit keeps its place, or the positions of those after it would be wrong.
        return [{} if item is _MISFIT else item for item in items]
    return _decode_fields(data, schema, path, kind, report)


def _decode_fields(data: Any, schema: Struct | MapOf, path: Path, kind: str, report: Callable[[Finding], None]) -> Any:
    if not isinstance(data, dict):
        report(_type_finding(data, "", _go_name(schema), path, kind))
        return _MISFIT
    result = {}
    for key, value in data.items():
        if isinstance(schema, Struct) and key not in schema.fields:
            if schema.open:
                result[key] = value
            else:
                report(Finding(f'{_DECODE} unknown field "{key}"', ((*path, key),), rule="unknown-field"))
        elif value is not None:
            inner = schema.fields[key] if isinstance(schema, Struct) else schema.value
            decoded = _decode(value, inner, (*path, key), kind, report)
            if decoded is not _MISFIT:
                result[key] = decoded
    return result


def opened(schema: Schema) -> Schema:
    """Return a schema whose objects may have further fields, at any depth."""
    if isinstance(schema, Struct):
        return Struct({name: opened(inner) for name, inner in schema.fields.items()}, open=True)
    if isinstance(schema, ListOf):
        return ListOf(opened(schema.item))
    return MapOf(opened(schema.value)) if isinstance(schema, MapOf) else schema


def _go_name(schema: Schema) -> str:
    if isinstance(schema, Scalar):
        return schema.go
    return "map[string]string" if isinstance(schema, MapOf) else "object"


def _json_name(value: Json) -> str:
    if isinstance(value, bool):
        return "bool"
    if isinstance(value, str):
        return "string"
    if isinstance(value, list):
        return "array"
    return "object" if isinstance(value, dict) else "number"


def _scalar_problem(data: Json, schema: Scalar) -> str | None:
    """None if the value fits; else what is added to the type's name, or nothing."""
    number = isinstance(data, int) and not isinstance(data, bool)
    fits = {
        "string": isinstance(data, str),
        "bool": isinstance(data, bool),
        "int32": number and -(2**31) <= data < 2**31,
        "int64": number and -(2**63) <= data < 2**63,
        "intstr.IntOrString": number or isinstance(data, str),
        "resource.Quantity": number or (isinstance(data, str | float) and not isinstance(data, bool)),
    }[schema.go]
    if not fits:
        return f" {data}" if schema.go.startswith("int") and isinstance(data, int | float) else ""
    if schema.go == "resource.Quantity":
        try:
            grammar.parse_quantity(str(data))
        except ValueError:
            return "malformed"
    return None


def _type_finding(data: Json, problem: str, go: str, path: Path, kind: str) -> Finding:
    if problem == "malformed":
        reason = "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'"
        return Finding(f"cannot decode incoming new object: {reason}", (path,), rule="wrong-type")
    field = ".".join(str(part) for part in path if isinstance(part, str))
    message = f"{_DECODE} cannot unmarshal {_json_name(data)}{problem} into Go struct field {kind}.{field} of type {go}"
    return Finding(message, (path,), rule="wrong-type")
