"""Arithmetic as Go does it where a number may be NaN or infinite, which annotations may ask for."""

from __future__ import annotations

import math

_LEAST_INT32 = -(2**31)
_MOST_INT32 = 2**31 - 1


def to_int32(value: float) -> int:
    """Convert as Go does on amd64: towards zero; the least int32 for NaN and for what does not fit."""
    if not math.isfinite(value) or not _LEAST_INT32 <= value <= _MOST_INT32:
        return _LEAST_INT32
    return int(value)


def ceil(value: float) -> float:
    """Round up; NaN and infinities stay."""
    return float(math.ceil(value)) if math.isfinite(value) else value


def floor(value: float) -> float:
    """Round down; NaN and infinities stay."""
    return float(math.floor(value)) if math.isfinite(value) else value


def larger(one: float, other: float) -> float:
    """Return the larger of two numbers; NaN if one of them is."""
    return math.nan if math.isnan(one) or math.isnan(other) else max(one, other)


def smaller(one: float, other: float) -> float:
    """Return the smaller of two numbers; NaN if one of them is."""
    return math.nan if math.isnan(one) or math.isnan(other) else min(one, other)
