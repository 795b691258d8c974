"""Values out of bytes: what every reader of a maker's note shares."""

from __future__ import annotations

import struct
from typing import Any

from functions.exif.blocks.values import FORMAT_NAMES, binary, fraction, real

# Bytes and the code of `struct`; a rational is a pair of numbers.
FORMATS: dict[str, tuple[int, str]] = {
    "int8u": (1, "B"),
    "int8s": (1, "b"),
    "int16u": (2, "H"),
    "int16s": (2, "h"),
    "int16uRev": (2, "H"),
    "int32u": (4, "I"),
    "int32s": (4, "i"),
    "int32uRev": (4, "I"),
    "int64u": (8, "Q"),
    "int64s": (8, "q"),
    "ifd": (4, "I"),
    "ifd64": (8, "Q"),
    "float": (4, "f"),
    "double": (8, "d"),
    "rational64u": (8, "II"),
    "rational64s": (8, "ii"),
    "rational32u": (4, "HH"),
    "rational32s": (4, "hh"),
    "fixed16s": (2, "h"),
    "fixed32u": (4, "I"),
    "fixed32s": (4, "i"),
    "string": (1, ""),
    "undef": (1, ""),
    "binary": (1, ""),
    "utf8": (1, ""),
    "unicode": (2, ""),
}
# By the number of a TIFF type.
NAMES = {**FORMAT_NAMES, 2: "string", 7: "undef", 129: "utf8"}
# Bytes that one value may have, and numbers: longer ones stand for themselves by their size.
MAX_BYTES, MAX_NUMBERS = 65536, 20000
# Fixed-point numbers: the value of 1, and decimal places that they are rounded to.
_SCALE = {"fixed16s": (256, 3), "fixed32u": (65536, 5), "fixed32s": (65536, 5)}
_OTHER = {"<": ">", ">": "<"}
# Of formats of one number, by byte order: bytes, what unpacks them, and whether they are a whole number as they are.
SINGLE: dict[str, dict[str, tuple[int, Any, bool]]] = {
    order: {
        name: (
            size,
            struct.Struct((_OTHER[order] if name.endswith("Rev") else order) + code).unpack_from,
            code not in "fd" and name not in _SCALE,
        )
        for name, (size, code) in FORMATS.items()
        if len(code) == 1
    }
    for order in "<>"
}


def value(data: bytes, at: int, shape: str, count: int, order: str, room: int) -> Any:
    """A value: one number, several as text with spaces between, or bytes as Latin-1 text.

    Args:
        data: that holds it.
        at: its first byte.
        shape: its format, such as `int16u`.
        count: of its numbers or bytes.
        order: `<` or `>`.
        room: bytes that it may take: as many numbers as fit are read.

    Returns:
        The value; None where not one number fits, or the format is unknown.
    """
    if count == 1 and at >= 0:
        single = SINGLE[order].get(shape)
        if single is not None and single[0] <= room:
            (number,) = single[1](data, at)
            return number if single[2] else _number(number, shape)
    found = FORMATS.get(shape)
    if found is None or at < 0:
        return None
    size, code = found
    if shape.endswith("Rev"):
        order = _OTHER[order]
    if size * count > room:
        count = room // size
        if count < 1:
            return None
    if not code:
        return _text(data, at, shape, count)
    if count > MAX_NUMBERS:
        return f"(large array of {count} {shape} values)"
    numbers = struct.unpack_from(f"{order}{count * len(code)}{code[0]}", data, at)
    if len(code) == 2:
        shown = [fraction(top, bottom) for top, bottom in zip(numbers[::2], numbers[1::2], strict=True)]
        return shown[0] if count == 1 else " ".join(map(str, shown))
    if code in "fd" or shape in _SCALE:
        return " ".join([str(_number(number, shape)) for number in numbers])
    return " ".join(map(str, numbers))


def _text(data: bytes, at: int, shape: str, count: int) -> str:
    if shape == "unicode":
        count *= 2
    if count > MAX_BYTES and shape != "string":
        return binary(count)
    raw = data[at : at + min(count, MAX_BYTES)]
    return (raw.partition(b"\0")[0] if shape == "string" else raw).decode("latin-1")


def _number(number: Any, shape: str) -> Any:
    if type(number) is float:
        return real(number) if number else 0
    return _scaled(number, shape) if shape in _SCALE else number


def _scaled(number: int, shape: str) -> int | float | str:
    one, places = _SCALE[shape]
    scaled = number / one * 10**places
    return real(int(scaled + (0.5 if scaled > 0 else -0.5)) / 10**places)
