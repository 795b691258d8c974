"""JSON Schema and OpenAPI in tests. The libraries take seconds to import, and each process collects all tests."""

from __future__ import annotations

import json
import sys
from functools import cache
from typing import Any


def _import_jsonschema() -> None:
    """Import the library without the grammar of IRIs, which takes two seconds to compile; no schema here names IRIs."""
    if "jsonschema" in sys.modules or "rfc3987_syntax" in sys.modules:
        return
    sys.modules["rfc3987_syntax"] = None  # type: ignore[assignment]
    try:
        import jsonschema  # noqa: F401
    finally:
        del sys.modules["rfc3987_syntax"]


@cache
def check_openapi(text: str) -> None:
    """Require a valid OpenAPI document; equal documents are validated once."""
    _import_jsonschema()
    from openapi_spec_validator import validate

    validate(json.loads(text))


def check_schema(schema: dict[str, Any]) -> None:
    """Require a schema of draft 2020-12."""
    _import_jsonschema()
    from jsonschema import Draft202012Validator

    Draft202012Validator.check_schema(schema)


def violations(data: Any, schema: dict[str, Any], others: tuple[dict[str, Any], ...] = ()) -> list[str]:
    """What of a schema the data violate; `others` are schemas that it refers to by their `$id`."""
    _import_jsonschema()
    from jsonschema import Draft202012Validator, FormatChecker
    from referencing import Registry, Resource

    known: Registry[dict[str, Any]] = Registry().with_resources(
        (other["$id"], Resource.from_contents(other)) for other in others
    )
    validator = Draft202012Validator(schema, registry=known, format_checker=FormatChecker())
    return [f"{error.json_path}: {error.message}" for error in validator.iter_errors(data)]
