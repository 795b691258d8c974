"""Printed values: conversions of raw values by ExifTool's rules and in its spelling.

Each entry has two readable forms: its value (what `exiftool -n` shows: numbers, resolved as far as arithmetic goes)
and its print (what `exiftool` shows: labels, units, fractions). Both are text or plain numbers. Nothing here raises: a
value that no rule matches is shown unchanged.
"""

from __future__ import annotations

import re
import struct
from bisect import bisect_left
from dataclasses import replace
from typing import Any

from functions.exif.blocks.entries import COUNT, OFFSET, SIZE, TYPE, UNDEFINED, VALUE, Entry
from functions.exif.blocks.values import Scalar, Shown, binary, byte_text, large, plain, shorten, text_of, whole
from functions.exif.printing import photography, places, structures
from functions.exif.tags import Rule, Tag

_UNSIGNED = frozenset((1, 3, 4, 13, 16, 18))
_WHOLE = frozenset((1, 3, 4, 6, 8, 9, 16, 17))
# Tables with more numbers than this are counted, not listed.
LONG_ARRAY = 500
# Characters printed of a tag without a name.
CUT = 60


def show(entry: Entry, tag: Tag, order: str) -> Shown:
    """An entry's value and its print.

    Args:
        entry: as the walk found it.
        tag: what the number means in its directory.
        order: `<` or `>`, for numbers inside opaque values.
    """
    rule = tag.show
    if rule:
        try:
            return RULES[rule](entry, tag, order)
        except (ValueError, IndexError, OverflowError, ZeroDivisionError, struct.error, TypeError, KeyError):
            return (plain(entry),) * 2
    _, kind, _, raw, _, _ = entry
    # The common case first: one whole number.
    value: Scalar = raw[0] if kind in _WHOLE and raw is not None and len(raw) == 1 else plain(entry)  # type: ignore[assignment]
    labels = tag.labels
    if not labels:
        return value, value
    label = labels.get(value)
    return value, _label(value, labels) if label is None else label


def _label(value: Scalar, labels: dict[Any, str]) -> str:
    text = labels.get(value)
    if text is None and isinstance(value, str):
        text = labels.get(whole(value))
    if text is None:
        return f"Unknown ({value})"
    return text


def _version(entry: Entry, _tag: Tag, _order: str) -> Shown:
    value = entry[VALUE]
    text = text_of(value.rstrip(b"\0")) if isinstance(value, bytes) else plain(entry)
    return text, text


def _trimmed(entry: Entry, _tag: Tag, _order: str) -> Shown:
    value = plain(entry)
    if isinstance(value, str):
        value = value.rstrip(" \t\n\r\f")
    return value, value


def _blanks(entry: Entry, _tag: Tag, _order: str) -> Shown:
    value = plain(entry)
    if isinstance(value, str):
        value = value.rstrip(" ")
    return value, value


def _sized(entry: Entry, longest: int) -> Shown:
    raw = entry[VALUE]
    if entry[TYPE] in _UNSIGNED and isinstance(raw, tuple) and len(raw) > longest:
        value: Scalar = binary(_written(raw))  # type: ignore[arg-type]
        return value, value
    value = plain(entry)
    if not isinstance(value, int) and len(str(value)) > longest:
        value = binary(len(str(value)))
    return value, value


def _written(numbers: tuple[int, ...]) -> int:
    """The length of whole numbers written with spaces between, without writing them: a TIFF has 10,000s of strips.

    Offsets stand in order, which makes the sort one pass.
    """
    ordered = sorted(numbers)
    length, power = 2 * len(ordered) - 1, 10
    while power <= ordered[-1]:
        length += len(ordered) - bisect_left(ordered, power)
        power *= 10
    return length


def _offsets(entry: Entry, _tag: Tag, _order: str) -> Shown:
    return _sized(entry, 32)


def _long(entry: Entry, _tag: Tag, _order: str) -> Shown:
    if entry[COUNT] > LONG_ARRAY and not isinstance(entry[VALUE], bytes):
        value = large(entry)
        return value, value
    return _sized(entry, 64)


def _long_printed(entry: Entry, _tag: Tag, _order: str) -> Shown:
    return plain(entry), _sized(entry, 64)[1]


def _binary(entry: Entry, _tag: Tag, _order: str) -> Shown:
    raw = entry[VALUE]
    if isinstance(raw, bytes):
        size = len(raw) if entry[TYPE] == UNDEFINED else len(raw.split(b"\0", 1)[0])
    elif raw is None:
        size = entry[SIZE]
    elif raw and entry[TYPE] in _UNSIGNED:
        size = _written(raw)  # type: ignore[arg-type]
    else:
        size = len(str(plain(entry)))
    return binary(size), binary(size)


def _opaque(entry: Entry, _tag: Tag, _order: str) -> Shown:
    return binary(entry[SIZE]), binary(entry[SIZE])


def _tagged(entry: Entry, _tag: Tag, _order: str) -> Shown:
    # GeoTIFF's arrays go with the byte order that they are written in: two more bytes.
    return binary(entry[SIZE] + 2), binary(entry[SIZE] + 2)


def _bits(entry: Entry, tag: Tag, _order: str) -> Shown:
    value = plain(entry)
    names: list[str] = []
    for index, number in enumerate(str(value).split()):
        bits = int(number) & 0xFFFFFFFF
        while bits:
            bit = (bits & -bits).bit_length() - 1 + 32 * index
            names.append(tag.labels.get(bit, f"[{bit}]"))
            bits &= bits - 1
    return value, ", ".join(names) or "(none)"


def _bytes(entry: Entry, _tag: Tag, _order: str) -> Shown:
    value = byte_text(entry)
    return value, value


def _dotted(entry: Entry, _tag: Tag, _order: str) -> Shown:
    value = plain(entry)
    return value, str(value).replace(" ", ".")


def _dotted_bytes(entry: Entry, _tag: Tag, _order: str) -> Shown:
    value = byte_text(entry)
    return value, value.replace(" ", ".")


def _iso_date(entry: Entry, _tag: Tag, _order: str) -> Shown:
    value = re.sub(r"^(\d{4})-(\d\d)-(\d\d)T?", r"\1:\2:\3 ", str(plain(entry)))
    return value, value


def _kinds(entry: Entry, tag: Tag, order: str) -> Shown:
    """NewSubfileType: a label for the usual values, for others one for each of their bits."""
    value = plain(entry)
    if value in tag.labels:
        return value, tag.labels[value]
    return _bits(entry, replace(tag, labels=_SUBFILE_BITS), order)


_SUBFILE_BITS = {
    0: "Reduced resolution",
    1: "Single page",
    2: "Transparency mask",
    3: "TIFF/IT final page",
    4: "TIFF-FX mixed raster content",
}


def _cr2_pattern(entry: Entry, _tag: Tag, _order: str) -> Shown:
    """Canon's number of a colour filter's pattern."""
    value = plain(entry)
    return _CR2_PATTERNS.get(value, (value, f"Unknown ({value})"))


_CR2_PATTERNS: dict[Scalar, Shown] = {
    1: ("0 1 1 2", "[Red,Green][Green,Blue]"),
    2: ("2 1 1 0", "[Blue,Green][Green,Red]"),
    3: ("1 2 0 1", "[Green,Blue][Red,Green]"),
    4: ("1 0 2 1", "[Green,Red][Blue,Green]"),
}


def _each(entry: Entry, tag: Tag, _order: str) -> Shown:
    """A label for each of the first four values."""
    value = plain(entry)
    parts = str(value).split()
    shown = [_label(int(part), tag.labels) if index < 4 else part for index, part in enumerate(parts)]
    return value, "; ".join(shown)


def _per_256(entry: Entry, _tag: Tag, _order: str) -> Shown:
    value = float(plain(entry)) / 256
    shown = shorten(f"{value:.15g}")
    return shown, shown


def _panasonic_gamma(entry: Entry, _tag: Tag, _order: str) -> Shown:
    value = float(plain(entry))
    shown = shorten(f"{value / (1024 if value >= 1024 else 256 if value >= 256 else 100):.15g}")
    return shown, shown


def _unknown(entry: Entry, _tag: Tag, _order: str) -> Shown:
    """A tag without a name: its print is cut, and a long table of numbers is summarised."""
    if entry[COUNT] > LONG_ARRAY and isinstance(entry[VALUE], tuple):
        return large(entry), _cut(plain((*entry[:VALUE], entry[VALUE][:CUT], *entry[OFFSET:])))
    value = plain(entry)
    return value, _cut(value)


def _cut(value: Scalar) -> Scalar:
    return f"{value[: CUT - 5]}[...]" if isinstance(value, str) and len(value) > CUT else value


def _hexadecimal_label(entry: Entry, tag: Tag, _order: str) -> Shown:
    value = plain(entry)
    text = tag.labels.get(value)
    if text is not None:
        return value, text
    if not isinstance(value, int) or not value:
        return value, _label(value, tag.labels)
    return value, f"Unknown (0x{value:x})"


RULES: dict[str, Rule] = {
    **photography.RULES,
    **places.RULES,
    **structures.RULES,
    "version": _version,
    "trimmed": _trimmed,
    "blanks": _blanks,
    "offsets": _offsets,
    "long": _long,
    "long_printed": _long_printed,
    "kinds": _kinds,
    "cr2_pattern": _cr2_pattern,
    "binary": _binary,
    "opaque": _opaque,
    "tagged": _tagged,
    "bits": _bits,
    "bytes": _bytes,
    "dotted": _dotted,
    "dotted_bytes": _dotted_bytes,
    "iso_date": _iso_date,
    "each": _each,
    "per_256": _per_256,
    "panasonic_gamma": _panasonic_gamma,
    "unknown": _unknown,
    "hexadecimal": _hexadecimal_label,
}
