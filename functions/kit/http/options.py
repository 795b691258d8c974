"""Query parameters: one declaration to parse them, check them and describe them in openapi.json."""

from __future__ import annotations

import difflib
import math
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from functions.kit.http.problems import Problem, bad_option
from functions.kit.jsontypes import JsonMapping, JsonObject

# A sign and nineteen digits, the most of 64 bits: int() needs seconds for a million digits.
INTEGER_LENGTH = 20
_DECIMAL = re.compile(r"[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?", re.ASCII)


@dataclass(frozen=True)
class Kind:
    """A type of parameter: `parse` turns its text into a value, or raises ValueError with what is expected."""

    parse: Callable[[str], Any]
    schema: JsonMapping


def integer(low: int, high: int) -> Kind:
    """A whole number from low to high."""

    def parse(text: str) -> int:
        plain = text.isascii() and text.removeprefix("-").isdigit() and len(text) <= INTEGER_LENGTH
        if not plain or not low <= int(text) <= high:
            raise ValueError(f"expected a whole number from {low:,} to {high:,}")
        return int(text)

    return Kind(parse, {"type": "integer", "minimum": low, "maximum": high})


def number(low: float, high: float) -> Kind:
    """A finite number from low to high."""

    def parse(text: str) -> float:
        # float() would also take "1_0", " 1", "١", "nan" and "infinity".
        value = decimal(text) if _DECIMAL.fullmatch(text) else math.nan
        if not low <= value <= high:
            raise ValueError(f"expected a number from {low:g} to {high:g}")
        return value

    return Kind(parse, {"type": "number", "minimum": low, "maximum": high})


def decimal(text: str) -> float:
    """The value of a decimal; -0 is 0, which answers would print as -0.0."""
    return float(text) + 0.0


def choice(*words: str) -> Kind:
    """One of the words."""

    def parse(text: str) -> str:
        if text not in words:
            raise ValueError(f"expected one of {', '.join(words)}")
        return text

    return Kind(parse, {"type": "string", "enum": list(words)})


def numbers(*values: int) -> Kind:
    """One of the whole numbers."""

    def parse(text: str) -> int:
        if text not in map(str, values):
            raise ValueError(f"expected one of {', '.join(map(str, values))}")
        return int(text)

    return Kind(parse, {"type": "integer", "enum": list(values)})


def flag() -> Kind:
    """A boolean: 1, true, yes, on, or the bare name; 0, false, no, off."""

    def parse(text: str) -> bool:
        word = text.lower()
        if word not in {"", "1", "0", "true", "false", "yes", "no", "on", "off"}:
            raise ValueError("expected 1 or 0")
        return word in {"", "1", "true", "yes", "on"}

    return Kind(parse, {"type": "boolean"})


def text(longest: int) -> Kind:
    """Text of at most `longest` characters, without control characters."""

    def parse(value: str) -> str:
        if len(value) > longest:
            raise ValueError(f"expected at most {longest} characters, got {len(value)}")
        if any(ord(character) < 32 or ord(character) == 127 for character in value):
            raise ValueError("expected text without control characters")
        return value

    return Kind(parse, {"type": "string", "maxLength": longest})


def names(*allowed: str, longest: int = 1024) -> Kind:
    """Comma-separated names, as a tuple.

    Args:
        allowed: the names that are accepted; all if none is given.
        longest: limit of characters of the whole list.
    """

    def parse(value: str) -> tuple[str, ...]:
        if len(value) > longest:
            raise ValueError(f"expected at most {longest} characters, got {len(value)}")
        parts = tuple(part.strip() for part in value.split(",") if part.strip())
        unknown = [part for part in parts if allowed and part not in allowed]
        if unknown:
            raise ValueError(f"{unknown[0]!r} is not one of {', '.join(allowed)}")
        return parts

    return Kind(
        parse,
        {"type": "string", "description": f"comma-separated: {', '.join(allowed)}" if allowed else "comma-separated"},
    )


def parsed(parse: Callable[[str], Any], pattern: str) -> Kind:
    """A value with its own syntax, such as `x,y,w,h`; `pattern` is its regular expression for openapi.json."""
    return Kind(parse, {"type": "string", "pattern": pattern})


@dataclass(frozen=True)
class Option:
    """One query parameter of a route."""

    name: str
    kind: Kind
    default: Any = None
    help: str = ""


def parse_options(options: Iterable[Option], given: Iterable[tuple[str, str]]) -> JsonObject:
    """Values of all options of a route, defaults included.

    Args:
        options: those that the route declares.
        given: names and texts of the query.

    Raises:
        Problem: 400 for an undeclared name (the detail suggests the nearest declared one), a repeated name, or a
            value that is not allowed.
    """
    declared = {option.name: option for option in options}
    values = {option.name: option.default for option in declared.values()}
    seen: set[str] = set()
    for name, value in given:
        if name not in declared:
            raise _unknown(name, list(declared))
        if name in seen:
            raise bad_option(name, f"{name} is given twice")
        seen.add(name)
        try:
            values[name] = declared[name].kind.parse(value)
        except ValueError as error:
            raise bad_option(name, f"{name}={value[:100]!r} is not allowed: {error}") from None
    return values


def _unknown(name: str, declared: list[str]) -> Problem:
    near = difflib.get_close_matches(name, declared, 1)
    hint = f"; did you mean {near[0]!r}?" if near else f"; the options are {', '.join(declared)}" if declared else ""
    return bad_option(name[:100], f"unknown option {name[:100]!r}{hint}")
