"""The functions of CESQL."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

from knative.local.manifests.cesql.values import HIGHEST, LOWEST, CesqlError, ErrorKind, Value, cast


class Function(NamedTuple):
    """The types of a function's arguments (None for any), the type of its result, and what it does."""

    types: tuple[type[Value] | None, ...]
    result: type[Value]
    run: Callable[..., Value]
    rest: type[Value] | None = None
    variadic: bool = False


def _castable(value: Value, target: type[Value]) -> bool:
    try:
        cast(value, target)
    except CesqlError:
        return False
    return True


def _absolute(x: int) -> int:
    if x == LOWEST:
        raise CesqlError(ErrorKind.MATH, "integer overflow while computing ABS", HIGHEST)
    return abs(x)


def _part(text: str, count: int, taken: Callable[[str, int], str]) -> str:
    if count < 0:
        raise CesqlError(ErrorKind.FUNCTION_EVALUATION, f"a count of characters below 0: {count}", text)
    return text if count >= len(text) else taken(text, count)


def _substring(text: str, position: int, length: int | None = None) -> str:
    if position == 0:
        return ""
    if abs(position) > len(text) or (length is not None and length < 0):
        place = f"position {position}" if abs(position) > len(text) else f"length {length}"
        raise CesqlError(ErrorKind.FUNCTION_EVALUATION, f"{place} is outside a text of {len(text)} characters", "")
    start = position - 1 if position > 0 else len(text) + position
    return text[start:] if length is None else text[start : start + length]


_FUNCTIONS: Mapping[str, tuple[Function, ...]] = {
    "INT": (Function((None,), int, lambda value: cast(value, int)),),
    "BOOL": (Function((None,), bool, lambda value: cast(value, bool)),),
    "STRING": (Function((None,), str, lambda value: cast(value, str)),),
    "IS_INT": (Function((None,), bool, lambda value: _castable(value, int)),),
    "IS_BOOL": (Function((None,), bool, lambda value: _castable(value, bool)),),
    "ABS": (Function((int,), int, _absolute),),
    "LENGTH": (Function((str,), int, len),),
    "CONCAT": (Function((), str, lambda *texts: "".join(texts), str, variadic=True),),
    "CONCAT_WS": (Function((str,), str, lambda by, *texts: str(by).join(texts), str, variadic=True),),
    "LOWER": (Function((str,), str, str.lower),),
    "UPPER": (Function((str,), str, str.upper),),
    "TRIM": (Function((str,), str, str.strip),),
    "LEFT": (Function((str, int), str, lambda text, n: _part(text, n, lambda t, k: t[:k])),),
    "RIGHT": (Function((str, int), str, lambda text, n: _part(text, n, lambda t, k: t[len(t) - k :])),),
    "SUBSTRING": (Function((str, int), str, _substring), Function((str, int, int), str, _substring)),
}


def function_of(name: str, count: int) -> Function | None:
    """Return the function of a name that takes so many arguments, or None."""
    for function in _FUNCTIONS.get(name, ()):
        if count == len(function.types) or (function.variadic and count > len(function.types)):
            return function
    return None
