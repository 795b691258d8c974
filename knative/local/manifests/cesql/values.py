"""Values of CESQL, their casts, and its errors."""

from __future__ import annotations

import re
from collections.abc import Mapping
from enum import StrEnum

Value = str | int | bool
Attributes = Mapping[str, Value]

LOWEST, HIGHEST = -(2**31), 2**31 - 1


class ErrorKind(StrEnum):
    """The kinds of error that the specification names."""

    PARSE = "parse"
    MATH = "math"
    CAST = "cast"
    MISSING_ATTRIBUTE = "missingAttribute"
    MISSING_FUNCTION = "missingFunction"
    FUNCTION_EVALUATION = "functionEvaluation"


class CesqlError(ValueError):
    """An expression that cannot be parsed or evaluated.

    Attributes:
        kind: what went wrong, in the specification's terms.
        value: the value that accompanies the error.
    """

    def __init__(self, kind: ErrorKind, message: str, value: Value = False) -> None:
        super().__init__(message)
        self.kind = kind
        self.value = value


def cast(value: Value, target: type[Value]) -> Value:
    """Convert a value to a type by section 3.7 of the specification.

    Raises:
        CesqlError: the text is no integer of 32 bits, or neither `true` nor `false`.
    """
    if type(value) is target:
        return value
    if target is str:
        return str(value).lower() if isinstance(value, bool) else str(value)
    if not isinstance(value, str):
        return target(value)
    if target is bool and value.lower() in {"true", "false"}:
        return value.lower() == "true"
    if target is int and re.fullmatch(r"[+-]?[0-9]{1,1000}", value) and LOWEST <= int(value) <= HIGHEST:
        return int(value)
    kinds = {bool: "Boolean", int: "Integer"}
    raise CesqlError(ErrorKind.CAST, f"cannot cast {value!r} to {kinds[target]}", target())
