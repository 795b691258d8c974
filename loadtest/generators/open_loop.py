"""The open-loop generator: requests leave when they were meant to, not when the server allows it.

Each request has an intended time, constant or Poisson. If no connection is free it waits, and its latency counts from
the intended time all the same: that is what a user would have waited. The latency from the actual sending is kept
beside it, as closed-loop tools report it.
"""

from __future__ import annotations

import asyncio
import random
import time
from array import array
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import zip_longest
from pathlib import Path
from typing import TYPE_CHECKING, Any

from knative.local.tasks import TaskSet
from loadtest.generators.latency import Latencies, milliseconds
from loadtest.generators.schedule import constant, intended
from loadtest.generators.wire import Link, Target, connect

if TYPE_CHECKING:
    from knative.local.simulation.arrivals import Profile

LAG_SHARE = 0.1  # of the objective: a generator later than this measures itself
CPU_SHARE = 0.95  # of one core, the most a single-threaded generator can use
_SWEEP_SECONDS = 0.1
_SAMPLE_SECONDS = 1.0
_RECONNECT_SECONDS = 0.05
_CONNECTS_AT_ONCE = 50  # fewer than any listen queue holds
_TIMED_OUT = "timeout"


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What to send.

    Attributes:
        target: where to, and what; the first of `targets` where there are several.
        rate: requests/s.
        duration: seconds in which they are meant to leave.
        profile: the rate over time, in place of rate and duration.
        targets: requests to choose from by their `weights`; all lead to one server.
        reuse: whether a connection carries more than one request.
        share: which of how many processes this is: (0, 2) sends every other request from the first on.
        begin: monotonic time of the first request, for several processes; 0 for as soon as all are connected.
        connections: at most so many requests at once.
        poisson: exponential gaps instead of even ones.
        timeout: seconds from sending after which a request has failed.
        objective: the shortest latency in seconds that the run is held to, beside which the generator must be quick.
        seed: makes the Poisson gaps repeatable.
    """

    target: Target
    rate: float
    duration: float
    connections: int = 100
    poisson: bool = False
    timeout: float = 30.0
    objective: float = 1.0
    seed: int = 1

    profile: Profile | None = None
    targets: tuple[Target, ...] = ()
    weights: tuple[float, ...] = ()
    reuse: bool = True
    share: tuple[int, int] = (0, 1)
    begin: float = 0.0

    @property
    def load(self) -> Profile:
        """The rate over time."""
        return self.profile or constant(self.rate, self.duration)

    def intended(self) -> list[float]:
        """Seconds from the start at which this process means its requests to leave."""
        index, processes = self.share
        return intended(self.load, poisson=self.poisson, seed=self.seed)[index::processes]

    def requests(self, count: int) -> list[bytes]:
        """So many requests, as this process sends them: whole messages, chosen by weight."""
        if not self.targets:
            return [self.target.request] * count
        index, processes = self.share
        whole = [one.request for one in self.targets]
        chosen = random.Random(self.seed).choices(whole, self.weights or None, k=count * processes)
        return chosen[index::processes]


@dataclass
class Result:
    """What came of a run; latencies are of requests that were answered, whatever the status.

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

    def as_dict(self, objective: float) -> dict[str, Any]:
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


class Generator:
    """Sends a plan's requests at their times; `run` it on a loop.

    Args:
        plan: what to send.
        clock: seconds of any monotonic clock.
        saw: called at each answer with its latency from the sending, seconds, and its status.
        cpu: CPU seconds of this process.
        tick: called each second with the figures of that second.
    """

    def __init__(
        self,
        plan: Plan,
        clock: Callable[[], float] = time.monotonic,
        saw: Callable[[float, int], None] | None = None,
        cpu: Callable[[], float] = time.process_time,
        tick: Callable[[dict[str, float]], None] | None = None,
    ) -> None:
        self.plan = plan
        self._saw = saw
        self.result = Result()
        self._clock = clock
        self._cpu = cpu
        self._tick = tick
        self._context = plan.target.context()
        self._free: list[Link] = []
        self._links: set[Link] = set()
        self._waiting: deque[int] = deque()  # numbers of requests that are due
        self._times = plan.intended()
        self._requests = plan.requests(len(self._times))
        self._next = 0
        self._open = 0  # requests without an outcome
        self._began = 0.0
        self._swept = False
        self._freed: dict[Link, float] = {}
        self._sent: dict[Link, tuple[float, float]] = {}  # intended, sent
        self._done: asyncio.Event = asyncio.Event()
        self._tasks = TaskSet()
        self._loop: asyncio.AbstractEventLoop = None  # type: ignore[assignment]  # until run
        # Figures are kept as they come and put into histograms at the end, off the clock.
        self._corrected, self._uncorrected, self._lag = array("d"), array("d"), array("d")

    async def run(self) -> Result:
        """Connect, send all, and wait for the last outcome.

        Raises:
            OSError: not one connection can be made.
        """
        plan, result = self.plan, self.result
        loop = self._loop = asyncio.get_running_loop()
        for first in range(0, plan.connections, _CONNECTS_AT_ONCE):
            count = min(_CONNECTS_AT_ONCE, plan.connections - first)
            made = await asyncio.gather(*(connect(self, plan.target, self._context) for _ in range(count)))
            self._links.update(made)
            self._free += made
        result.meant = self._open = len(self._times)
        if plan.begin:
            await asyncio.sleep(max(0.0, plan.begin - self._clock()))
        cpu, waited = self._cpu(), _waited()
        self._began = plan.begin or self._clock()
        sweeper = loop.create_task(self._watch(cpu, waited))
        if self._open:
            self._dispatch()
            await self._done.wait()
        result.seconds = self._clock() - self._began
        result.cpu_seconds = self._cpu() - cpu
        if not self._swept:  # all was sent before the first look
            self._shares(cpu, waited)
        sweeper.cancel()
        self._tasks.cancel()
        for link in list(self._links):
            link.close()
        result.corrected.extend(self._corrected)
        result.uncorrected.extend(self._uncorrected)
        result.lag.extend(self._lag)
        return result

    def _dispatch(self) -> None:
        """Send all that is due, and come back for the next."""
        elapsed = self._clock() - self._began
        times, total = self._times, len(self._times)
        while self._next < total and times[self._next] <= elapsed:
            number = self._next
            self._next += 1
            if self._free:
                self._send(self._free.pop(), number)
            else:
                self._waiting.append(number)
        if self._next < total:
            delay = max(0.0, times[self._next] - (self._clock() - self._began))
            self._loop.call_later(delay, self._dispatch)

    def _send(self, link: Link, number: int) -> None:
        intended = self._times[number]
        link.send(self._requests[number])
        now = self._clock() - self._began
        self._sent[link] = (intended, now)
        self._lag.append(now - max(intended, self._freed.get(link, 0.0)))

    def answered(self, link: Link, status: int, _head: bytes) -> None:
        """An answer is complete."""
        now = self._clock() - self._began
        intended, sent = self._sent.pop(link)
        result = self.result
        self._corrected.append(now - intended)
        self._uncorrected.append(now - sent)
        result.statuses[status] += 1
        if self._saw is not None:
            self._saw(now - sent, status)
        self._freed[link] = now
        if not self.plan.reuse:
            link.close()
        if not link.closing:
            if self._waiting:
                self._send(link, self._waiting.popleft())
            else:
                self._free.append(link)
        self._outcome()

    def lost(self, link: Link, reason: str) -> None:
        """A connection is gone; another takes its place."""
        self._links.discard(link)
        self._freed.pop(link, None)
        if link in self._free:
            self._free.remove(link)
        if self._sent.pop(link, None) is not None:
            self.result.errors[str(link.token or reason)] += 1
            self._outcome()
        if not self._done.is_set():
            self._tasks.spawn(self._reconnect())

    async def _reconnect(self) -> None:
        while True:
            try:
                link = await connect(self, self.plan.target, self._context)
                break
            except OSError as error:
                # While no server listens, requests that are due are refused and do not wait.
                while self._waiting and not self._links:
                    self._waiting.popleft()
                    self.result.errors[type(error).__name__] += 1
                    self._outcome()
                await asyncio.sleep(_RECONNECT_SECONDS)
        self._links.add(link)
        self._freed[link] = self._clock() - self._began
        if self._waiting:
            self._send(link, self._waiting.popleft())
        else:
            self._free.append(link)

    def _outcome(self) -> None:
        self._open -= 1
        if not self._open:
            self._done.set()

    def _shares(self, cpu: float, waited: float) -> None:
        """CPU used and waited for since the beginning, when they stood at `cpu` and `waited`."""
        elapsed = max(self._clock() - self._began, _SWEEP_SECONDS)
        self.result.sending_share = (self._cpu() - cpu) / elapsed
        self.result.waiting_share = (_waited() - waited) / elapsed
        self._swept = True

    async def _watch(self, cpu: float, waited: float) -> None:
        """End what takes too long, and sample the generator's own CPU."""
        sampled, used_before, answered, seen = self._clock(), cpu, 0, 0
        while True:
            await asyncio.sleep(_SWEEP_SECONDS)
            now = self._clock()
            deadline = now - self._began - self.plan.timeout
            for link in [link for link, (_, sent) in self._sent.items() if sent < deadline]:
                link.token = _TIMED_OUT
                link.close()
            while self._waiting and self._times[self._waiting[0]] < deadline:
                self._waiting.popleft()
                self.result.errors["timeout before sending"] += 1
                self._outcome()
            if self._waiting or self._next < len(self._times):
                self._shares(cpu, waited)
            if now - sampled >= _SAMPLE_SECONDS:
                used, total = self._cpu(), self.result.answered
                share = (used - used_before) / (now - sampled)
                self.result.busiest = max(self.result.busiest, share)
                fresh = sorted(self._corrected[seen:])
                self.result.timeline.append(
                    {
                        "t": now - self._began,
                        "rate": (total - answered) / (now - sampled),
                        "in_flight": len(self._sent),
                        "waiting": len(self._waiting),
                        "p99": fresh[int(len(fresh) * 0.99)] if fresh else 0.0,
                        "cpu": share,
                    }
                )
                if self._tick is not None:
                    self._tick(self.result.timeline[-1])
                sampled, used_before, answered, seen = now, used, total, seen + len(fresh)


def _waited() -> float:
    """Seconds in which this thread could have run and no core was free; 0 where Linux does not say."""
    try:
        return int(Path("/proc/thread-self/schedstat").read_text().split()[1]) / 1e9
    except (OSError, IndexError, ValueError):
        return 0.0


def generate(plan: Plan, tick: Callable[[dict[str, float]], None] | None = None) -> Result:
    """Run a plan on a loop of its own."""
    import uvloop

    async def run() -> Result:
        return await Generator(plan, tick=tick).run()

    return uvloop.run(run())
