"""The range of values that the levels of a deep histogram divide evenly, and the bits that the values use.

==============  ==================================================================================================
samples         effective range
==============  ==================================================================================================
unsigned        0 to 2^n - 1, n being the least of 8, 10, 12, 14, 16, 24, 32, 64 that holds every colour value; a
                stated highest value (PNM) is the end of the range instead
signed          as unsigned where no value is negative, else -2^(n-1) to 2^(n-1) - 1
floating point  the least to the greatest finite value of the colours; infinities count at the ends, NaN not at all
==============  ==================================================================================================

More levels than such a range has values extend it, so that no level is narrower than a whole number.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from functions.histogram.counting.model import LEVELS

if TYPE_CHECKING:
    import numpy as np

    from functions.kit.images.samples.model import Samples

    Array = np.ndarray[Any, Any]

DEPTHS = (8, 10, 12, 14, 16, 24, 32, 64)


@dataclass
class Seen:
    """The results of a pass over the picture beside the counts."""

    low: float = float("inf")
    high: float = float("-inf")
    bits: int = 0  # bitwise or of all values
    replicated: bool = True  # every value is one byte, twice
    undefined: int = 0
    transparent: int = 0
    rows: list[Array] = field(default_factory=list)


def effective_range(samples: Samples, low: float, high: float, levels: int = LEVELS) -> tuple[float, float]:
    """The range of the values, see the head of this module."""
    if samples.kind == "float":
        return low, high
    if samples.level is not None:
        return 0, max(samples.level, levels - 1)
    if low >= 0 or low > high:
        bits = depth(int(high).bit_length() if low <= high and high > 0 else samples.bits)
        return 0, max(2**bits, levels) - 1
    bits = depth(max(int(high).bit_length(), int(-low - 1).bit_length()) + 1)
    return -max(2 ** (bits - 1), levels // 2), max(2 ** (bits - 1), levels // 2) - 1


def depth(bits: int) -> int:
    """The least of the usual depths with at least this many bits."""
    return next((each for each in DEPTHS if each >= bits), DEPTHS[-1])


def effective_bits(samples: Samples, seen: Seen) -> int | None:
    """Bits that the values use: from the lowest that is set in any of them to the highest; None for floats."""
    if samples.kind == "float":
        return None
    if not seen.bits:
        return 1
    if samples.bits == 16 and seen.replicated and seen.bits.bit_length() > 8:
        return 8
    used = seen.bits.bit_length() - (seen.bits & -seen.bits).bit_length() + 1
    return used + (seen.low < 0)
