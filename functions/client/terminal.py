"""A histogram drawn with block characters, as wide as the terminal."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

_EIGHTHS = " ▁▂▃▄▅▆▇█"


def draw(counts: Sequence[float], width: int, height: int = 8) -> list[str]:
    """Return the lines of a bar chart, the highest first, and its axis.

    Args:
        counts: the bins; neighbours are added up where there are more than columns.
        width: columns at most.
        height: lines of bars.
    """
    columns = min(width, len(counts))
    edges = [index * len(counts) // columns for index in range(columns + 1)]
    # The mean, not the sum: where the bins do not divide evenly, a wider column is not a higher one.
    bars = [sum(counts[first:last]) / (last - first) for first, last in pairwise(edges)]
    peak = max(bars) or 1
    # A bin that is not empty is at least an eighth high.
    eighths = [max(1, round(8 * height * bar / peak)) if bar else 0 for bar in bars]
    lines = [
        "".join(_EIGHTHS[min(8, max(0, filled - 8 * line))] for filled in eighths) for line in reversed(range(height))
    ]
    axis = f"0{str(len(counts) - 1).rjust(columns - 1)}" if columns > 4 else "─" * columns
    return [*lines, axis]
