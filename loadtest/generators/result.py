"""The result of an open loop: latencies, outcomes, and whether the generator itself was the bottleneck."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from itertools import zip_longest

from knative.local.jsontypes import JsonObject
from loadtest.generators.latency import Latencies, milliseconds

LAG_SHARE = 0.1  # of the objective: a generator later than this measures itself
CPU_SHARE = 0.95  # of one core, the most a single-threaded generator can use


@dataclass
class Result:
    """The outcome of a run; latencies are of requests with a response, whatever its status.

    Attributes:
        corrected: from the intended time.
        uncorrected: from the sending.
        lag: how late the generator itself sent: after the intended time, or after a connection became free.
        statuses: answers by status.
        errors: requests without an answer, by reason.
        meant: requests meant to leave.
        seconds: from the first intended time to the last answer.
        cpu_seconds: of this process.
        sending_share: CPU used until the last request was sent, as a share of a core: the wait for the last answers
            costs nothing.
        waiting_share: of the same time the share in which it could have run, and others had the cores.
        busiest: the greatest CPU share of one second.
    """

    corrected: Latencies = field(default_factory=Latencies)
    uncorrected: Latencies = field(default_factory=Latencies)
    lag: Latencies = field(default_factory=Latencies)
    statuses: Counter[int] = field(default_factory=Counter)
    errors: Counter[str] = field(default_factory=Counter)
    meant: int = 0
    seconds: float = 0.0
    cpu_seconds: float = 0.0
    sending_share: float = 0.0
    waiting_share: float = 0.0
    busiest: float = 0.0
    timeline: list[dict[str, float]] = field(default_factory=list)

    @property
    def answered(self) -> int:
        """Requests with an answer."""
        return sum(self.statuses.values())

    @property
    def good(self) -> int:
        """Answers of 2xx and 3xx."""
        return sum(count for status, count in self.statuses.items() if 200 <= status < 400)

    def merge(self, other: Result) -> None:
        """Add the result of another process of the same run."""
        for mine, theirs in zip(
            (self.corrected, self.uncorrected, self.lag), (other.corrected, other.uncorrected, other.lag), strict=True
        ):
            mine.merge(theirs)
        self.statuses.update(other.statuses)
        self.errors.update(other.errors)
        self.meant += other.meant
        self.cpu_seconds += other.cpu_seconds
        for name in ("seconds", "sending_share", "waiting_share", "busiest"):  # the worst process counts
            setattr(self, name, max(getattr(self, name), getattr(other, name)))
        for mine_then, theirs_then in zip_longest(self.timeline, other.timeline):
            if mine_then is None:
                self.timeline.append(theirs_then)
            elif theirs_then is not None:
                for name in ("rate", "in_flight", "waiting"):
                    mine_then[name] += theirs_then[name]
                for name in ("cpu", "p99"):
                    mine_then[name] = max(mine_then[name], theirs_then[name])

    def invalid(self, objective: float) -> list[str]:
        """Why the figures say more about the generator than about the server; empty if they do not."""
        reasons = []
        lag = self.lag.quantile(0.99)
        if lag is not None and lag > objective * LAG_SHARE:
            reasons.append(
                f"send lag p99 {milliseconds(lag)} exceeds a tenth of the objective of {milliseconds(objective)}: "
                "it was kept from its CPU, end what else runs here or lower the rate"
            )
        # A generator that is always at work reads answers late, and takes that for the server's time.
        if self.sending_share + self.waiting_share > CPU_SHARE:
            advice = "end what else runs here" if self.waiting_share > self.sending_share else "lower the rate"
            reasons.append(
                f"the generator had no CPU left: it used {self.sending_share:.0%} of a core and waited for one "
                f"{self.waiting_share:.0%} of the time; {advice}"
            )
        return reasons

    def as_dict(self, objective: float) -> JsonObject:
        """Every figure, for JSON; latencies in seconds."""
        return {
            "meant": self.meant,
            "answered": self.answered,
            "good": self.good,
            "statuses": {str(status): count for status, count in sorted(self.statuses.items())},
            "errors": dict(self.errors),
            "seconds": self.seconds,
            "rate": self.answered / self.seconds if self.seconds else 0.0,
            "corrected": self.corrected.spectrum(),
            "uncorrected": self.uncorrected.spectrum(),
            "send_lag": self.lag.spectrum(),
            "cpu_seconds": self.cpu_seconds,
            "sending_share": self.sending_share,
            "waiting_share": self.waiting_share,
            "busiest_second": self.busiest,
            "timeline": self.timeline,
            "invalid": self.invalid(objective),
            "histogram": self.corrected.encoded(),
        }
