"""What only segments of JPEGs print: names, coded text, coordinates, versions."""

from __future__ import annotations

import re

from functions.exif.blocks.values import Value
from functions.exif.printing.functions import text
from functions.exif.printing.places import sexagesimal

_CODES = {"ASCII\0\0\0": "latin-1", "UNICODE\0": "utf-16-be", "JIS\0\0\0\0\0": "shift_jis", "\0" * 8: "latin-1"}


def charset(v: Value) -> str:
    """Text behind the eight characters that name its code."""
    shown = text(v)
    code = _CODES.get(shown[:8])
    if code is None:
        return shown.rstrip("\0 ")
    return shown[8:].encode("latin-1", "replace").decode(code, "replace").rstrip("\0 ")


def name(v: Value) -> str | None:
    """A name of a fixed field; None for an unknown field."""
    shown = text(v).partition("\0")[0]
    return shown if re.fullmatch(r"[ -~]{3,31}", shown) else None


def dotted(v: Value) -> str:
    """Characters with dots between."""
    return ".".join(text(v))


def side(v: float, sides: str) -> str:
    """A signed coordinate in degrees, with its side."""
    return f"{sexagesimal(v)} {sides[v < 0]}"


def digits(v: Value) -> str:
    """Numbers of 32 bits as hexadecimal digits."""
    return "".join(f"{int(part):08x}" for part in text(v).split())
