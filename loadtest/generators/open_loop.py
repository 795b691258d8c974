"""The open-loop generator: requests leave when they were meant to, not when the server allows it.

Each request has an intended time, constant or Poisson. If no connection is free it waits, and its latency counts from
the intended time all the same: that is what a user would have waited. The latency from the actual sending is kept
beside it, as closed-loop tools report it.
"""

from __future__ import annotations

import asyncio
import math
import time
from array import array
from bisect import bisect_right
from collections.abc import Callable
from pathlib import Path

from knative.local.tasks import TaskSet
from loadtest.generators.plan import Plan
from loadtest.generators.result import Result
from loadtest.generators.wire import Connector, Lane, Owner, Target, connect

_SWEEP_SECONDS = 0.1
_TICK_SECONDS = 0.001  # what is due within one leaves together
_SAMPLE_SECONDS = 1.0
_RECONNECT_SECONDS = 0.05
_CONNECTS_AT_ONCE = 50  # fewer than any listen queue holds
_TIMED_OUT = "timeout"


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
        self._free: list[Lane] = []
        self._lanes: set[Lane] = set()
        self._times = plan.intended()
        self._requests = plan.requests(len(self._times))
        self._next = 0  # those before it are sent or have failed; those from it on that are due wait for a lane
        self._timer = False  # whether a dispatch is scheduled
        self._open = 0  # requests without an outcome
        self._began = 0.0
        self._swept = False
        self._freed: dict[Lane, float] = {}
        self._sent: dict[Lane, tuple[float, float]] = {}  # intended, sent
        self._done: asyncio.Event = asyncio.Event()
        self._tasks = TaskSet()
        self._connect: Connector = None  # type: ignore[assignment]  # until run
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
        self._connect = connector(self, plan.target, plan.streams)
        for first in range(0, plan.lanes, _CONNECTS_AT_ONCE):
            count = min(_CONNECTS_AT_ONCE, plan.lanes - first)
            await self._make(count)
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
        await self._close()
        result.corrected.extend(self._corrected)
        result.uncorrected.extend(self._uncorrected)
        result.lag.extend(self._lag)
        return result

    async def _make(self, count: int) -> None:
        """Make so many lanes at once.

        Raises:
            OSError: one of them cannot be made; no other attempt goes on.
        """
        attempts = [asyncio.ensure_future(self._connect()) for _ in range(count)]
        try:
            made = await asyncio.gather(*attempts)
        except OSError:
            for attempt in attempts:
                attempt.cancel()
            outcomes = await asyncio.gather(*attempts, return_exceptions=True)
            self._lanes.update(one for one in outcomes if not isinstance(one, BaseException))
            await self._close()
            raise
        self._lanes.update(made)
        self._free += made

    async def _close(self) -> None:
        """Close all lanes; a loop that is closed before its connections are may never end."""
        self._done.set()
        self._tasks.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for lane in list(self._lanes):
            lane.close()
        while self._lanes:
            await asyncio.sleep(0)

    def _dispatch(self) -> None:
        """Send what is due on the free lanes."""
        self._timer = False
        elapsed = self._clock() - self._began
        while self._free and self._due(elapsed):
            self._send(self._free.pop())
        self._schedule()

    def _schedule(self) -> None:
        """Schedule the next dispatch. While no lane is free none is needed: each response sends what is due."""
        if self._free and not self._timer and self._next < len(self._times):
            self._timer = True
            # The loop's timers count whole milliseconds and round to the nearest: half of one would be none, and the
            # generator would spin until the time has come.
            delay = self._times[self._next] - (self._clock() - self._began)
            self._loop.call_later(max(_TICK_SECONDS, math.ceil(delay * 1000) / 1000), self._dispatch)

    def _due(self, elapsed: float) -> bool:
        """Whether the next request is due at a time, in seconds since the beginning."""
        return self._next < len(self._times) and self._times[self._next] <= elapsed

    def _use(self, lane: Lane, now: float) -> None:
        """Send the request that waits on a lane that has become free."""
        self._freed[lane] = now
        if self._due(now):
            self._send(lane)
        else:
            self._free.append(lane)
            self._schedule()

    def _send(self, lane: Lane) -> None:
        number = self._next
        self._next += 1
        intended = self._times[number]
        lane.send(self._requests[number])
        now = self._clock() - self._began
        self._sent[lane] = (intended, now)
        self._lag.append(now - max(intended, self._freed.get(lane, 0.0)))

    def answered(self, lane: Lane, status: int, _head: bytes) -> None:
        """Record a response, and send the next request that waits."""
        now = self._clock() - self._began
        intended, sent = self._sent.pop(lane)
        result = self.result
        self._corrected.append(now - intended)
        self._uncorrected.append(now - sent)
        result.statuses[status] += 1
        if self._saw is not None:
            self._saw(now - sent, status)
        if not self.plan.reuse:
            lane.close()
        if not lane.closing:
            self._use(lane, now)
        self._outcome()

    def lost(self, lane: Lane, reason: str) -> None:
        """Count the request that was lost with a lane, and replace the lane."""
        self._lanes.discard(lane)
        self._freed.pop(lane, None)
        if lane in self._free:
            self._free.remove(lane)
        if self._sent.pop(lane, None) is not None:
            self.result.errors[str(lane.token or reason)] += 1
            self._outcome()
        if not self._done.is_set():
            self._tasks.spawn(self._reconnect())

    async def _reconnect(self) -> None:
        while True:
            try:
                lane = await self._connect()
                break
            except OSError as error:
                if not self._lanes:  # while no server listens, requests that are due are refused and do not wait
                    self._fail_due(self._clock() - self._began, type(error).__name__)
                await asyncio.sleep(_RECONNECT_SECONDS)
        self._lanes.add(lane)
        self._use(lane, self._clock() - self._began)

    def _fail_due(self, until: float, reason: str) -> None:
        """Count the requests that wait and were due at a time as failed."""
        while self._due(until):
            self._next += 1
            self.result.errors[reason] += 1
            self._outcome()

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
        """End requests that time out, and sample the generator's own CPU."""
        sampled, used_before, answered, seen = self._clock(), cpu, 0, 0
        while True:
            await asyncio.sleep(_SWEEP_SECONDS)
            now = self._clock()
            deadline = now - self._began - self.plan.timeout
            for lane in [lane for lane, (_, sent) in self._sent.items() if sent < deadline]:
                lane.token = _TIMED_OUT
                lane.close()
            self._fail_due(deadline, "timeout before sending")
            waiting = bisect_right(self._times, now - self._began, self._next) - self._next
            second = now - sampled >= _SAMPLE_SECONDS
            if (self._next < len(self._times) and second) or waiting:
                self._shares(cpu, waited)
            if second:
                used, total = self._cpu(), self.result.answered
                share = (used - used_before) / (now - sampled)
                self.result.busiest = max(self.result.busiest, share)
                fresh = sorted(self._corrected[seen:])
                self.result.timeline.append(
                    {
                        "t": now - self._began,
                        "rate": (total - answered) / (now - sampled),
                        "in_flight": len(self._sent),
                        "waiting": waiting,
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


def connector(owner: Owner, to: Target, streams: int = 0) -> Connector:
    """What makes lanes to a server: connections of HTTP/1.1 or, with `streams` on each connection, HTTP/2.

    Raises:
        OSError: the file of certificates cannot be read.
    """
    if streams:
        from loadtest.generators.http2 import Connections

        return Connections(owner, to, streams).lane
    context = to.context()

    async def lane() -> Lane:
        return await connect(owner, to, context)

    return lane
