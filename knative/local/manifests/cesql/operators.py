"""Arithmetic in 32 bits, comparison, and LIKE."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

from knative.local.manifests.cesql.values import LOWEST, Value


def wrapped(number: int) -> int:
    """The number in 32 bits, as Go's arithmetic wraps it."""
    return (number - LOWEST) % 2**32 + LOWEST


def _quotient(x: int, y: int) -> int:
    """Divide towards zero."""
    return abs(x) // abs(y) * (1 if (x < 0) == (y < 0) else -1)


INTEGER_OPERATORS: Mapping[str, Callable[[int, int], Value]] = {
    "<": int.__lt__,
    "<=": int.__le__,
    ">": int.__gt__,
    ">=": int.__ge__,
    "+": lambda x, y: wrapped(x + y),
    "-": lambda x, y: wrapped(x - y),
    "*": lambda x, y: wrapped(x * y),
    "/": lambda x, y: wrapped(_quotient(x, y)),
    "%": lambda x, y: x - y * _quotient(x, y),
}
_ANY_RUN, _ANY_ONE = "%%", ""


def pattern_of(text: str) -> tuple[str, ...]:
    r"""A LIKE pattern as single characters, `_ANY_ONE` and `_ANY_RUN`; `\%` and `\_` are literal."""
    parts = re.findall(r"\\[%_]|.", text, re.DOTALL)
    wild = {"%": _ANY_RUN, "_": _ANY_ONE}
    return tuple(wild.get(part, part[-1]) for part in parts)


def like(text: str, pattern: tuple[str, ...]) -> bool:
    """Match with two pointers, in at most len(text) x len(pattern) steps."""
    at = place = 0
    run, resume = -1, 0  # the last % of the pattern, and where its match may grow from
    while at < len(text):
        part = pattern[place] if place < len(pattern) else None
        if part == _ANY_RUN:
            run, resume = place, at
            place += 1
        elif part is not None and part in {_ANY_ONE, text[at]}:
            at, place = at + 1, place + 1
        elif run >= 0:
            resume += 1
            at, place = resume, run + 1
        else:
            return False
    return all(part == _ANY_RUN for part in pattern[place:])
