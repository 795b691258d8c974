"""Printers that formulas of the tag tables name: text, numbers, and what several makers write alike.

A printer takes a value (a number; text; several numbers as text with spaces between; bytes as Latin-1 text) and gives
what is shown, or None where it says nothing of that value.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

from functions.exif.blocks.values import MAX_SEARCHED, Scalar, Value
from functions.exif.blocks.values import number_of as _number
from functions.exif.blocks.values import settled as _settled

_PIECE = re.compile(r"%%|%[-+ 0#]{0,5}\d{0,4}(?:\.\d{1,4})?([a-zA-Z])")
exp, log, sqrt, sin, cos, tan, atan2 = math.exp, math.log, math.sqrt, math.sin, math.cos, math.tan, math.atan2


def absolute(v: Value) -> int | float:
    """A number without its sign."""
    return abs(_number(v))


def whole(v: Value) -> int:
    """A number without its fraction."""
    return int(_number(v))


def number(v: Value) -> int | float:
    """The number that a text begins with."""
    return _number(v)


def times(first: Value, second: Value) -> int | float:
    """A product; text counts as the number that it begins with."""
    return _number(first) * _number(second)


def power(base: Value, exponent: Value) -> float:
    """A power."""
    return float(float(_number(base)) ** _number(exponent))


def text(v: Value) -> str:
    """A value as text."""
    return " ".join(str(_settled(item)) for item in v) if isinstance(v, list) else str(_settled(v))


_NUMERIC = re.compile(r"[-+]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][-+]?\d+)?").fullmatch
# Characters of a word or text whose meaning is remembered.
_SHORT = 48


def is_number(v: Value) -> bool:
    """Whether a value is a number or its text."""
    return type(v) is not str or bool(_NUMERIC(v))


def is_whole(v: Value) -> bool:
    """Whether a value is a whole number or its text."""
    return isinstance(v, int) or (isinstance(v, str) and bool(re.fullmatch(r"[-+]?\d+", v)))


def fmt(template: str, *values: Value) -> str:
    """Values by a template of `printf`; several numbers in one text are spread by `words`."""
    kinds = _kinds(template)
    given = list(values[: len(kinds)])
    for index, kind in enumerate(kinds):
        item = given[index]
        if kind == "s":
            given[index] = text(item)
        elif kind in "dixXou":
            given[index] = int(_number(item))
        elif kind == "c":
            given[index] = chr(int(_number(item)))
        else:
            given[index] = float(_number(item))
    return template % tuple(given)


@lru_cache(maxsize=1024)
def _kinds(template: str) -> tuple[str, ...]:
    return tuple(match[1] for match in _PIECE.finditer(template) if match[1])


@lru_cache(maxsize=4096)
def _pattern(pattern: str) -> re.Pattern[str]:
    return re.compile(pattern)


def has(pattern: str, v: Value) -> re.Match[str] | None:
    """A pattern's first match in a value."""
    if type(v) is not str:
        v = "" if v is None else v.decode("latin-1") if isinstance(v, bytes) else text(v)
    return _pattern(pattern).search(v[:MAX_SEARCHED])


def group(pattern: str, v: Value, index: int = 1) -> str | None:
    """A group of a pattern's match; None without a match."""
    match = has(pattern, v)
    return match[index] if match else None


def replace(pattern: str, instead: str, v: Value, count: int = 0) -> str:
    """Text with a pattern's matches replaced, the first `count` of them or all; long text is unchanged."""
    shown = text(v)
    return _pattern(pattern).sub(instead, shown, count=count) if len(shown) <= MAX_SEARCHED else shown


def join(separator: str, *values: Value) -> str:
    """Values as one text."""
    return separator.join(text(v) for v in values)


def words(v: Value) -> list[Any]:
    """The numbers or words of a text."""
    if type(v) is int:
        return [v]
    return [_word(word) if len(word) < _SHORT else _meant(word) for word in (v if type(v) is str else text(v)).split()]


def _meant(word: str) -> Value:
    """A word as the number that it is, if it is one."""
    return _number(word) if _NUMERIC(word) else word


_word = lru_cache(maxsize=4096)(_meant)


def word(v: Value, index: int) -> Value:
    """One of the numbers of a text, counted from 0; None where there are fewer."""
    found = words(v)
    return found[index] if index < len(found) else None


def each(v: Value, change: Callable[[Value], Value] | str) -> str:
    """A printer's or a template's result for each of several numbers; `int16s` reads them as signed."""
    if change == "int16s":
        return " ".join(text(item - 65536 if item > 32767 else item) for item in words(v))
    if isinstance(change, str):
        return " ".join(fmt(change, item) for item in words(v))
    return " ".join(text(change(item)) for item in words(v))


def _quantity(v: Value) -> int | float:
    """A number of a list, which has words as well where a formula does not fit it."""
    if isinstance(v, int | float):
        return v
    raise TypeError(f"{v!r} is no number")


def scaled(v: Value, factor: float) -> str:
    """Several numbers, each divided by one."""
    return each(v, lambda item: _quantity(item) / factor)


def shifted(v: Value, offset: float) -> str:
    """Several numbers, each with one added."""
    return each(v, lambda item: _quantity(item) + offset)


def fixed(v: Value, places: int) -> str:
    """Several numbers with a fixed number of decimal places."""
    return each(v, lambda item: f"{_quantity(item):.{places}f}")


def backwards(v: Value, separator: str = " ") -> str:
    """Several numbers in the opposite order."""
    return separator.join(reversed(text(v).split()))


def split(separator: str, v: Value) -> list[str]:
    """The parts of a text; a single space matches any blanks."""
    return text(v).split(None if separator == " " else separator)


def part(v: Value, start: int, size: int | None = None) -> str:
    """A stretch of a text or of bytes."""
    whole_text = text(v)
    start = start if start >= 0 else max(len(whole_text) + start, 0)
    if size is None:
        return whole_text[start:]
    return whole_text[start : start + size] if size >= 0 else whole_text[start:size]


def length(v: Value) -> int:
    """Characters of a text."""
    return len(text(v))


def lower(v: Value) -> str:
    """Text in small letters."""
    return text(v).lower()


def upper(v: Value) -> str:
    """Text in capitals."""
    return text(v).upper()


def lookup(names: dict[Value, Value], v: Value, otherwise: Value = None) -> Value:
    """A value's entry in a small table."""
    return names.get(v, otherwise)


def bitrate(v: Value) -> Value:
    """Bits a second with a unit."""
    if not is_number(v):
        return v
    number, units = float(_number(v)), ["bps", "kbps", "Mbps", "Gbps"]
    while number >= 1000 and len(units) > 1:
        number /= 1000
        del units[0]
    return f"{number:.0f} {units[0]}" if number >= 100 else f"{number:.3g} {units[0]}"


def zone(minutes: Value) -> str:
    """Minutes from UTC as `+02:00`."""
    number = int(_number(minutes))
    hours, rest = divmod(abs(number), 60)
    return f"{'-' if number < 0 else '+'}{hours:02d}:{rest:02d}"


def shortened(v: Value) -> Value:
    """Text of a tag without a name, cut where it is long."""
    return f"{v[:55]}[...]" if isinstance(v, str) and len(v) > 60 else v


def trimmed(v: Value) -> str:
    """Text without blanks and zeros at its end."""
    return text(v).rstrip(" \0")


def unix_time(v: Value, zoned: int = 0, places: int = 0) -> str:
    """Seconds since 1970 as a date and time in UTC: with its offset if asked for, and decimal places of the second."""
    seconds = _number(v)
    if not seconds:
        return "0000:00:00 00:00:00"
    whole_seconds = int(seconds)
    moment = datetime.fromtimestamp(whole_seconds, UTC)
    part = f"{seconds - whole_seconds:.{places}f}"[1:] if places else ""
    return f"{moment.year:04d}:{moment:%m:%d %H:%M:%S}{part}{'+00:00' * bool(zoned)}"


def date_time(*values: Value) -> str:
    """Year, month, day, hour, minute, second as a date and time."""
    return fmt("%.4d:%.2d:%.2d %.2d:%.2d:%.2d", *values)


def duration(v: Value) -> Value:
    """Seconds as hours, minutes and seconds; few of them with two places."""
    if not is_number(v):
        return v
    seconds = float(_number(v))
    sign, seconds = ("-" if seconds < 0 else ""), abs(seconds)
    if not seconds:
        return "0 s"
    if seconds < 30:
        return f"{sign}{seconds:.2f} s"
    rounded = int(seconds + 0.5)
    hours, rest = divmod(rounded, 3600)
    days, hours = divmod(hours, 24)
    prefix = f"{days} days " if days else ""
    return f"{sign}{prefix}{hours}:{rest // 60:02d}:{rest % 60:02d}"


def parameter(v: Value) -> Value:
    """A setting around normal: `Normal`, `+1`, `-2`."""
    if not is_number(v):
        return v
    number = _number(v)
    if not number:
        return "Normal"
    if isinstance(number, int) and number > 0:
        return f"{number:+d}"
    return number if number < 0xFFF0 else number - 0x10000


def exposure_time(value: Scalar) -> Scalar:
    """Seconds: `1/200`, `0.5`, `30`."""
    if not is_number(value):
        return value
    seconds = float(value)
    if 0 < seconds < 0.25001:
        return f"1/{int(0.5 + 1 / seconds)}"
    return f"{seconds:.1f}".removesuffix(".0")


def f_number(value: Scalar) -> Scalar:
    """An f-number to one place, below 1 to two."""
    if not is_number(value) or float(value) <= 0:
        return value
    return f"{float(value):.2f}" if float(value) < 1 else f"{float(value):.1f}"


def compensation(value: Scalar) -> Scalar:
    """Exposure compensation in steps: `0`, `+1`, `-1/3`, `+0.7`."""
    if not is_number(value):
        return value if value in ("inf", "undef") else str(value)
    steps = float(value) * 1.00001  # so that 0.33333 is a third
    if not steps:
        return "0"
    for parts in (1, 2, 3):
        whole = int(steps * parts)
        if whole / (steps * parts) > 0.999:
            return f"{whole:+d}" if parts == 1 else f"{whole:+d}/{parts}"
    return f"{steps:+.3g}"


def lens_range(value: Scalar) -> Scalar:
    """A LensSpecification: `24-105mm f/4`, `50mm f/1.4`; a question mark for what is not known."""
    parts = str(value).split(" ")
    if len(parts) != 4 or not all(is_number(part) or part in ("inf", "undef") for part in parts):
        return value
    short, long, wide, tele = ("?" if part in ("inf", "undef") else part for part in parts)
    focal = f"{short}-{long}" if long not in ("0", short) else short
    aperture = f"{wide}-{tele}" if tele not in ("0", wide) else wide
    return f"{focal}mm f/{aperture}"


def first(values: Iterable[Value]) -> Value:
    """The first of several values that is not empty."""
    return next((v for v in values if v), None)


def counted(v: Value, *factors: float) -> str:
    """Several numbers, each multiplied by its own factor."""
    found = words(v)
    return " ".join(text(item * factors[index] if index < len(factors) else item) for index, item in enumerate(found))
