"""Latencies in an HDR histogram: every value to three digits, whatever its size, and mergeable.

Locust rounds percentiles of 100 ms and above to two digits and k6 keeps every sample; a verdict needs neither.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterable
from typing import Any

try:
    from hdrh.histogram import HdrHistogram
except ModuleNotFoundError as error:  # `make serve` installs what the functions need alone
    sys.stderr.write(f"{error}: `make .venv/.dev` installs what the load suite needs\n")
    sys.exit(2)

LOWEST_MICROSECONDS = 1
HIGHEST_MICROSECONDS = 3_600_000_000
DIGITS = 3
QUANTILES = (0.5, 0.75, 0.9, 0.95, 0.99, 0.999, 1.0)


class Latencies:
    """Latencies in seconds; what lies above an hour counts as an hour."""

    def __init__(self) -> None:
        self._histogram = HdrHistogram(LOWEST_MICROSECONDS, HIGHEST_MICROSECONDS, DIGITS)

    def record(self, seconds: float) -> None:
        """Add one latency; a negative one, which only a clock can make, counts as none."""
        self.extend((seconds,))

    def extend(self, seconds: Iterable[float]) -> None:
        """Add many; much faster than one by one, for each value is looked up once."""
        for microseconds, count in Counter(int(one * 1e6 + 0.5) for one in seconds).items():
            bounded = min(max(microseconds, LOWEST_MICROSECONDS), HIGHEST_MICROSECONDS)
            self._histogram.record_value(bounded, count)

    def merge(self, other: Latencies) -> None:
        """Add all of another's."""
        self._histogram.add(other._histogram)

    @property
    def count(self) -> int:
        """How many were recorded."""
        return int(self._histogram.get_total_count())

    def quantile(self, share: float) -> float | None:
        """The latency in seconds that a share of the requests did not exceed; None if there are none."""
        if not self.count:
            return None
        return float(self._histogram.get_value_at_percentile(share * 100.0)) / 1e6

    @property
    def mean(self) -> float | None:
        """Mean in seconds; None if there are none."""
        return float(self._histogram.get_mean_value()) / 1e6 if self.count else None

    def spectrum(self) -> dict[str, float | None]:
        """The usual quantiles by name (p50, p99.9, max), in seconds."""
        return {quantile_name(share): self.quantile(share) for share in QUANTILES}

    def __reduce__(self) -> tuple[Any, ...]:
        """By the compressed text: the histogram's own buffers cannot be sent to another process."""
        return Latencies.decoded, (self.encoded(),)

    def encoded(self) -> str:
        """The histogram in HdrHistogram's own compressed text, for files and for merging."""
        return bytes(self._histogram.encode()).decode()

    @classmethod
    def decoded(cls, text: str) -> Latencies:
        """What `encoded` wrote."""
        latencies = cls()
        latencies._histogram.decode_and_add(text)
        return latencies


def quantile_name(share: float) -> str:
    """`p95` for 0.95, `max` for 1."""
    return "max" if share == 1.0 else f"p{share * 100:.4g}"


def milliseconds(seconds: float | None) -> str:
    """Seconds for people: `1.53 ms`, `250 ms`, or a dash for None."""
    return "–" if seconds is None else f"{seconds * 1000:.3g} ms" if seconds < 0.1 else f"{seconds * 1000:.0f} ms"
