"""Raw values as plain text and numbers, before any rule: what `exiftool -n` shows of most tags.

Nothing here raises on what a file may hold: bytes that are no text, rationals without a value, numbers that are none.
"""

from __future__ import annotations

import math
import re
from operator import itemgetter
from typing import Any, TypeAlias

from functions.exif.blocks.entries import (
    ASCII,
    BYTE,
    COUNT,
    DOUBLE,
    FLOAT,
    RATIONAL,
    SIZE,
    SRATIONAL,
    TYPE,
    UNDEFINED,
    VALUE,
    Entry,
)

# What formulas and printers of the tag tables work on; None drops a tag.
Value: TypeAlias = "int | float | str | bytes | list[Value] | None"
Scalar = int | float | str
Shown = tuple[Scalar, Scalar]
_WHOLE = frozenset((1, 3, 4, 6, 8, 9, 16, 17))
FORMAT_NAMES = {
    1: "int8u",
    3: "int16u",
    4: "int32u",
    5: "rational64u",
    6: "int8s",
    8: "int16s",
    9: "int32s",
    10: "rational64s",
    11: "float",
    12: "double",
    13: "ifd",
    16: "int64u",
    17: "int64s",
    18: "ifd64",
}
_BYTES = tuple(map(str, range(256)))
# Whole powers of ten that fit a rational's denominator: quotients by them are decimals as they were written.
_TENS = frozenset(10**power for power in range(1, 10))
# Size in bytes above which invalid text is repaired in the fast way.
LONG_TEXT = 4096
# Characters that patterns of the tag tables search: some take the square of a text's length.
MAX_SEARCHED = 1024
_FLOAT = re.compile(r"[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:[Ee][+-]?\d+)?")
_DIGITS = "-0123456789"
_NUMBER = re.compile(r"-?(?:\d|[1-9]\d{1,14})(?:\.\d{1,16})?(?:[eE][-+]?\d{1,3})?")


def plain(entry: Entry) -> Scalar:
    """A value without a printer: one number unchanged, several as text with spaces, text up to its first zero."""
    _, kind, _, raw, _, _ = entry
    if raw is None:
        if kind in (ASCII, UNDEFINED):
            return binary(entry[SIZE])
        return large(entry)
    if isinstance(raw, bytes):
        if kind == UNDEFINED:
            return raw[0] if entry[COUNT] == 1 and raw else text_of(raw)
        text, _, _ = raw.partition(b"\0")
        return text.decode("ascii") if text.isascii() else text_of(text)
    if kind in (RATIONAL, SRATIONAL):
        if len(raw) == 1:
            return fraction(*raw[0])  # type: ignore[misc]
        return " ".join([str(fraction(*pair)) for pair in raw])  # type: ignore[misc]
    if kind in (FLOAT, DOUBLE):
        return real(raw[0]) if len(raw) == 1 else " ".join([str(real(value)) for value in raw])  # type: ignore[arg-type]
    if len(raw) == 1:
        return raw[0]  # type: ignore[return-value]
    if kind == BYTE and raw:  # but 256 forms, and long tables of them
        try:
            return " ".join(itemgetter(*raw)(_BYTES))
        except IndexError:
            pass  # an offset, counted from the start of the file, may exceed a byte
    return " ".join(map(str, raw))


def byte_text(entry: Entry) -> str:
    """An opaque value as the numbers of its bytes; any other value unchanged."""
    raw = entry[VALUE]
    return " ".join(map(str, raw)) if isinstance(raw, bytes) else str(plain(entry))


def text_of(data: bytes) -> str:
    """Bytes as UTF-8 text, with a question mark for each invalid byte."""
    if data.isascii():
        return data.decode("ascii")
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        return _mend(data)


def _mend(data: bytes) -> str:
    if len(data) > LONG_TEXT:
        # A value this long is not text: one question mark for a run, in one pass.
        return data.decode("utf-8", "replace").replace("\ufffd", "?")
    # A surrogate represents each byte that is not UTF-8.
    return _SURROGATE.sub("?", data.decode("utf-8", "surrogateescape"))


_SURROGATE = re.compile("[\udc80-\udcff]")


def fraction(numerator: int, denominator: int) -> Scalar:
    """A rational to ten significant digits; `inf` and `undef` where it has no value."""
    if not denominator:
        return "inf" if numerator else "undef"
    if not numerator % denominator:
        return numerator // denominator
    if denominator in _TENS and -(10**10) < numerator < 10**10:
        return numerator / denominator
    return shorten(f"{numerator / denominator:.10g}")


def real(value: float) -> Scalar:
    """A floating-point number to fifteen significant digits."""
    if not math.isfinite(value):
        return "NaN" if math.isnan(value) else "Inf" if value > 0 else "-Inf"
    return shorten(f"{value:.15g}")


def shorten(text: str) -> Scalar:
    """Text of a number as a number that prints the same; text where Python would print it otherwise."""
    # Of at most fifteen digits and without an exponent, a decimal prints as it was written.
    if "." in text and "e" not in text:
        return float(text)
    number: int | float = float(text) if "e" in text else int(text)
    return number if str(number) == text else text


def number_or_text(value: Scalar) -> Scalar:
    """What `exiftool -j` writes without quotes as a number, all else as text without zeros."""
    if isinstance(value, str):
        # Most texts that begin with a digit are dates, lists, or have a unit: what no number has in it tells at once.
        if " " not in value and ":" not in value and value and value[0] in _DIGITS and _NUMBER.fullmatch(value):
            number = int(value) if value.removeprefix("-").isdigit() else float(value)
            return number if math.isfinite(number) else value
        return value.replace("\0", "") if "\0" in value else value
    if isinstance(value, int) and abs(value) >= 10**15:
        return str(value)
    return value


def whole(text: str) -> int | None:
    """A whole number that may have a label: decimal digits alone, and few of them."""
    return int(text) if len(text) <= 20 and text.isdecimal() else None


def is_number(value: Scalar) -> bool:
    """Whether a shown value is a finite number."""
    return not isinstance(value, str) or bool(_FLOAT.fullmatch(value))


def large(entry: Entry) -> str:
    """The placeholder of a long table of numbers."""
    return f"(large array of {entry[COUNT]} {FORMAT_NAMES.get(entry[TYPE], 'byte')} values)"


def binary(size: int) -> str:
    """The placeholder of bytes that are not text."""
    return f"(Binary data {size} bytes, use -b option to extract)"


_LEADING = re.compile(r"\s*([-+]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][-+]?\d+)?)")


def number_of(v: Any) -> int | float:
    """The number that a text begins with; 0 where it begins with none."""
    if type(v) is int or not isinstance(v, str):
        return v
    if v.isdecimal() and v.isascii():
        return int(v)
    match = _LEADING.match(v)
    if match is None:
        return 0
    text = match[1]
    return int(text) if text.lstrip("+-").isdigit() else float(text)


def settled(v: Any) -> Any:
    """A formula's result as a number or text: floats to fifteen digits, truth as 1 or nothing."""
    if type(v) is float:
        return real(v) if v else 0
    if type(v) is bool:
        return 1 if v else ""
    if isinstance(v, bytes):
        return v.decode("latin-1")
    if isinstance(v, list):
        return [settled(item) for item in v]
    if isinstance(v, tuple):
        return " ".join(str(settled(item)) for item in v)
    return v
