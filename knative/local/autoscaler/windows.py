"""Averages over a sliding window of buckets, as Knative's autoscaler takes them.

Pure; every call takes the time in seconds. Source: knative/serving pkg/autoscaler/aggregation.
"""

from __future__ import annotations

import math

from knative.local.autoscaler.spec import BUCKET_SECONDS

_AVERAGE_DIGITS = 6
_SMOOTHING_MINIMUM = 0.2
_SMOOTHING_REMAINDER = 0.0001  # of the weights, left to what is older than the window


def round_digits(digits: int, value: float) -> float:
    """Round half away from zero, as Go's math.Round does."""
    scale = 10.0**digits
    return math.copysign(math.floor(abs(value) * scale + 0.5), value) / scale + 0.0  # no -0


def smoothing_coefficient(buckets: int) -> float:
    """Weight of the newest of `buckets` in a weighted-exponential average."""
    return float(max(1.0 - _SMOOTHING_REMAINDER ** (1.0 / buckets), _SMOOTHING_MINIMUM))


class WindowAverage:
    """A ring of buckets over the last `window` seconds, and the average of the buckets written.

    Only the span between the first and the last write counts, so a young window is not diluted by zeros; a
    window without writes starts anew. The average costs O(buckets since the last write).
    """

    def __init__(self, window: float, granularity: float = BUCKET_SECONDS) -> None:
        self.window = window
        self._granularity = granularity
        self._buckets = [0.0] * math.ceil(window / granularity)
        self._total = 0.0
        # Bucket numbers, not seconds: every comparison below is one of whole buckets.
        self._first: int | None = None
        self._last: int | None = None

    @property
    def size(self) -> int:
        """Number of buckets."""
        return len(self._buckets)

    def _index(self, now: float) -> int:
        return math.floor(now / self._granularity)

    def _reaches(self, buckets: int) -> bool:
        """Whether so many buckets span the whole window."""
        return buckets * self._granularity >= self.window

    def record(self, now: float, value: float) -> None:
        """Add to the bucket of `now`; values a window older than the newest are dropped."""
        index = self._index(now)
        if self._last is None:
            self._first = self._last = index
        elif index != self._last:
            if self._reaches(self._last - index):
                return
            if self._first is None or index < self._first:
                self._first = index
            if index > self._last:
                if self._reaches(index - self._last):
                    self._first = index
                    self._buckets = [0.0] * self.size
                    self._total = 0.0
                else:
                    for stale in range(self._last + 1, index + 1):
                        self._total -= self._buckets[stale % self.size]
                        self._buckets[stale % self.size] = 0.0
                self._last = index
        self._buckets[index % self.size] += value
        self._total += value

    def empty(self, now: float) -> bool:
        """Whether more than a window passed since the last write."""
        return self._last is None or (self._index(now) - self._last) * self._granularity > self.window

    def average(self, now: float) -> float:
        """Average over the written buckets of the window that ends at `now`, to six digits."""
        if self._last is None or self._first is None:
            return 0.0
        index = self._index(now)
        silent = max(0, index - self._last)
        if silent and self._reaches(silent):
            return 0.0
        total = self._total - sum(self._buckets[i % self.size] for i in range(self._last + 1, index + 1))
        valid = min(self._last - self._first + 1, self.size - silent)
        return round_digits(_AVERAGE_DIGITS, total / valid)

    def resize(self, window: float, now: float) -> None:
        """Change the window, keeping what it still spans."""
        if window == self.window:
            return
        size = math.ceil(window / self._granularity)
        buckets = [0.0] * size
        total = 0.0
        if self._last is not None and not self.empty(now):
            for index in range(self._last, self._last - min(size, self.size), -1):
                buckets[index % size] = self._buckets[index % self.size]
                total += buckets[index % size]
            self._first = self._last - (self.size - 1)
        else:
            self._first = None
        self.window, self._buckets, self._total = window, buckets, total


class WeightedWindowAverage(WindowAverage):
    """Exponentially weighted: the newest bucket counts most, and zeros between count too."""

    def average(self, now: float) -> float:
        """Weighted average over the window that ends at `now`, not rounded."""
        if self._last is None or self.empty(now):
            return 0.0
        coefficient = smoothing_coefficient(self.size)
        silent = max(0, self._index(now) - self._last)
        weight = coefficient * (1.0 - coefficient) ** silent
        result = 0.0
        for age in range(self.size - silent):
            result += self._buckets[(self._last - age) % self.size] * weight
            weight *= 1.0 - coefficient
        return result
