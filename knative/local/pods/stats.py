"""What a revision has answered: by status, by latency, and second by second for plots."""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import asdict, dataclass

from knative.local.proxy.exchange import Exchange

# Seconds; from a warm answer on loopback to the longest timeout.
LATENCY_BOUNDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0)
CLIENT_GONE = 499
_HISTORY = 600


@dataclass(frozen=True, slots=True)
class Moment:
    """One second of a revision, for plots. Concurrency in requests, latency in seconds."""

    at: float
    concurrency: float
    requests: int
    errors: int
    latency: float | None
    queued: int
    desired: int
    ready: int
    panic: bool

    def as_dict(self) -> dict[str, float | bool | None]:
        """For JSON."""
        return asdict(self)


@dataclass(slots=True)
class _Second:
    """Answers of the present second; `seconds` is the sum of their latencies."""

    requests: int = 0
    errors: int = 0
    seconds: float = 0.0


class Tally:
    """One revision's count of answers.

    Args:
        clock: Seconds since the epoch.

    Attributes:
        requests: Answers by status, since the start.
        latency_sum, latency_counts: Of all answers: seconds, and how many up to each of `LATENCY_BOUNDS`.
        moments: One `Moment` a second, the last ten minutes while the revision is alive.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self.requests: Counter[int] = Counter()
        self.latency_sum = 0.0
        self.latency_counts = [0] * (len(LATENCY_BOUNDS) + 1)
        self.moments: deque[Moment] = deque(maxlen=_HISTORY)
        self._clock = clock
        self._second = _Second()

    def ended(self, exchange: Exchange) -> None:
        """A request is answered, or its client went away."""
        latency = self._clock() - exchange.begun
        # 499 is nginx's number for a client that did not wait for the answer.
        self.requests[exchange.status or CLIENT_GONE] += 1
        self.latency_sum += latency
        self.latency_counts[bisect_left(LATENCY_BOUNDS, latency)] += 1
        self._second.requests += 1
        self._second.errors += exchange.status >= 500
        self._second.seconds += latency

    def remember(
        self, at: float, concurrency: float, *, queued: int, desired: int, ready: int, panic: bool, pods: int
    ) -> None:
        """Close the present second; one in which there was nothing, as in those before, is not kept."""
        second = self._second
        if not (pods or second.requests or concurrency or (self.moments and self.moments[-1].ready)):
            return
        self._second = _Second()
        self.moments.append(
            Moment(
                at=at,
                concurrency=concurrency,
                requests=second.requests,
                errors=second.errors,
                latency=second.seconds / second.requests if second.requests else None,
                queued=queued,
                desired=desired,
                ready=ready,
                panic=panic,
            )
        )

    def quantile(self, share: float) -> float | None:
        """An upper bound of a quantile of the latency in seconds, as the buckets allow; None without data."""
        total = sum(self.latency_counts)
        if not total:
            return None
        seen = 0
        for bound, count in zip(LATENCY_BOUNDS, self.latency_counts, strict=False):
            seen += count
            if seen >= share * total:
                return bound
        return None
