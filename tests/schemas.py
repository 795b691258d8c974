"""JSON Schema in tests. The library is imported at its first use: that takes two seconds of every process otherwise."""

from __future__ import annotations

from typing import Any


def check_schema(schema: dict[str, Any]) -> None:
    """Require a schema of draft 2020-12."""
    from jsonschema import Draft202012Validator

    Draft202012Validator.check_schema(schema)


def violations(data: Any, schema: dict[str, Any], others: tuple[dict[str, Any], ...] = ()) -> list[str]:
    """What of a schema the data violate; `others` are schemas that it refers to by their `$id`."""
    from jsonschema import Draft202012Validator, FormatChecker
    from referencing import Registry, Resource

    known: Registry[dict[str, Any]] = Registry().with_resources(
        (other["$id"], Resource.from_contents(other)) for other in others
    )
    validator = Draft202012Validator(schema, registry=known, format_checker=FormatChecker())
    return [f"{error.json_path}: {error.message}" for error in validator.iter_errors(data)]
