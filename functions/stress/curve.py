"""A load over time: straight lines between points, once or again and again, and the CPU time that it amounts to.

A burner imports this in a bare interpreter, so that nothing is imported here.
"""

from __future__ import annotations


class Curve:
    """A load that may change.

    Args:
        points: (seconds, load) in order of time, the first at 0; loads are shares of the peak, 0 to 1. Two points at
            the same time are a jump. After the last one its load is held.
        period: seconds after which it begins again; 0 for never.
    """

    def __init__(self, points: list[tuple[float, float]], period: float = 0.0) -> None:
        self.points = points
        self.period = period
        self._sums = [0.0]
        for (start, low), (end, high) in zip(points, points[1:], strict=False):  # noqa: RUF007 - itertools would be imported for this alone
            self._sums.append(self._sums[-1] + (end - start) * (low + high) / 2)
        self._each = self._once(period) if period else 0.0

    def __eq__(self, other: object) -> bool:
        """Whether the other is the same load over time."""
        return isinstance(other, Curve) and (self.points, self.period) == (other.points, other.period)

    def __hash__(self) -> int:
        """Equal curves have equal hashes."""
        return hash((tuple(self.points), self.period))

    def used_by(self, seconds: float) -> float:
        """The integral from 0: CPU seconds of one core that should have been used by then."""
        if not self.period:
            return self._once(seconds)
        turns = int(seconds / self.period)
        return turns * self._each + self._once(seconds - turns * self.period)

    def _once(self, seconds: float) -> float:
        points = self.points
        low, high = 0, len(points)
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (middle, high) if points[middle][0] <= seconds else (low, middle)
        start, level = points[low]
        into = seconds - start
        if low + 1 < len(points):
            end, next_level = points[low + 1]
            way = into / (end - start) if end > start else 0.0  # a slope would overflow where the points are close
            return self._sums[low] + into * (level + (next_level - level) * way / 2)
        return self._sums[low] + into * level

    def text(self) -> str:
        """The curve as one argument of a command."""
        return f"{self.period!r};" + ",".join(f"{seconds!r}:{load!r}" for seconds, load in self.points)


def constant(load: float) -> Curve:
    """One load all the time."""
    return Curve([(0.0, load)])


def parse(text: str) -> Curve:
    """What `Curve.text` wrote."""
    period, _, points = text.partition(";")
    pairs = (point.split(":") for point in points.split(","))
    return Curve([(float(seconds), float(load)) for seconds, load in pairs], float(period))
