"""What only raws print: Minolta's white balance, Fujifilm's colour filter."""

from __future__ import annotations

import math

from functions.exif.blocks.values import Value
from functions.exif.printing.functions import text

_BALANCES = (
    *("Auto", "Daylight", "Cloudy", "Tungsten", "Flash/Fluorescent", "Fluorescent", "Shade"),
    *("User 1", "User 2", "User 3", "Temperature"),
)


def minolta_balance(v: int) -> str:
    """A white balance, with its fine adjustment in the upper bits."""
    kind, adjusted = v & 15, v >> 4
    name = _BALANCES[kind] if kind < len(_BALANCES) else f"Unknown ({kind})"
    return f"{name} ({adjusted - 8})" if 6 <= adjusted <= 12 else name


def layout(v: Value) -> str:
    """The letters of a colour filter of 6 × 6 cells, a space between its rows."""
    letters = text(v).replace(" ", "").translate(str.maketrans("012", "RGB"))
    return " ".join(letters[at : at + 6] for at in range(0, len(letters), 6))


def stops(v: float) -> float:
    """A factor as exposure values."""
    return math.log2(v)
