"""One revision on a virtual clock: the engine's own autoscaler against an offered load.

    outcome = simulate(World(spec, Profile.parse("100x60s"), service_seconds=0.1))
    outcome.seconds[30].desired, outcome.lost, outcome.latency(0.95)

What decides is knative.local's own `Autoscaler`, `PodAutoscaler`, `RevisionMetrics` and the stats of the proxies; this
module is the world around them: arrivals, queues, pods that take their time to start, scrapes, reports and ticks.
Requests are a fluid (fluid.py), so there is no noise, and an hour costs the same at any rate.
"""

from __future__ import annotations

import math
from collections import deque

from knative.local.autoscaler.decision import TICK_SECONDS, Autoscaler, Decision, excess_burst_capacity
from knative.local.autoscaler.metrics import ActivatorStats, RequestStats, RevisionMetrics
from knative.local.autoscaler.scaler import UNKNOWN, Condition, PodAutoscaler, Step
from knative.local.proxy.breaker import ACTIVATOR_QUEUE, QUEUE_FACTOR
from knative.local.simulation.fluid import NOTHING, HeldWork, SharedWork
from knative.local.simulation.world import Outcome, Second, World, weighted_quantile

_STEPS_A_SECOND = 20
_MOST_STEPS_A_SECOND = 1000
_REFUSED_PAUSE_SECONDS = 0.1  # a client that was refused waits before it tries again


def simulate(world: World) -> Outcome:
    """Run a world from a revision that has been idle for long, until its profile has ended and settled."""
    return _Run(world).run()


def _shares_cores(world: World) -> bool:
    return world.cores is not None and not 0 < world.container_concurrency <= world.cores


def _on_grid(world: World) -> bool:
    """Whether an answer frees a place or a client, which must happen when it does."""
    return world.closed or world.container_concurrency > 0


def work_of(world: World) -> HeldWork | SharedWork:
    """How a world's pods work; requests that never share a core only hold their time."""
    if world.cores is None or not _shares_cores(world):
        rate = steps_a_second(world)
        steps = round(world.service_seconds * rate)
        seconds = steps / rate if _on_grid(world) and steps else world.service_seconds
        return HeldWork(seconds, world.timeout_seconds)
    return SharedWork(world.service_seconds, world.cores, world.timeout_seconds)


def steps_a_second(world: World) -> int:
    """Steps fine enough for the service time.

    Where an answer frees a place or a client, it must do so when it happens: then the step divides the service
    time, to a hundredth. Elsewhere requests end at their own moments within a step, and twenty will do.
    """
    if not _on_grid(world):
        return _STEPS_A_SECOND
    if _shares_cores(world):
        return min(max(_STEPS_A_SECOND, math.ceil(2.0 / world.service_seconds)), _MOST_STEPS_A_SECOND // 5)
    for rate in range(_STEPS_A_SECOND, _MOST_STEPS_A_SECOND):
        steps = world.service_seconds * rate
        if round(steps) >= 1 and abs(steps - round(steps)) <= 0.01 * steps:
            return rate
    return _MOST_STEPS_A_SECOND


class _Run:
    def __init__(self, world: World) -> None:
        self.world = world
        spec = world.spec
        idle_since = -3600.0  # long before the start
        self.autoscaler = Autoscaler(spec, ready=world.start_ready, now=idle_since)
        self.scaler = PodAutoscaler(spec, now=idle_since)
        self.metrics = RevisionMetrics(spec)
        self.activator = ActivatorStats()
        self.pods_stats = RequestStats(0.0)
        self.everything = RequestStats(0.0)
        self.work = work_of(world)
        self.rate = steps_a_second(world)
        self.ready = world.start_ready
        self.starting: deque[list[float]] = deque()  # [ready at, pods]
        self.starting_pods = 0
        self.started_until = 0.0
        self.decision = Decision(
            at=0.0,
            valid=False,
            ready=self.ready,
            desired=0 if not self.ready else UNKNOWN,
            ebc=excess_burst_capacity(spec, self.ready, panic=0.0),
        )
        self.step = Step(self.ready, self.ready, True, Condition.INACTIVE, "", None)
        self.wake_at: float | None = None
        self.queue: deque[list[float]] = deque()  # [arrived, requests, proxied]
        self.queued = 0.0
        self.queued_direct = 0.0
        self.pausing: deque[tuple[float, float]] = deque()  # refused clients and when they come back
        self.paused = 0.0
        self.in_system = 0.0
        self.outcome = Outcome(world)
        self._clear_second()
        self._settle_at_rest()

    def _settle_at_rest(self) -> None:
        """Bring condition and path to where long idleness, or long service of the starting pods, has put them."""
        ready, ebc = self.ready, self.decision.ebc
        self.step = self.scaler.reconcile(-1800.0, desired=ready, ebc=ebc, ready=ready, replicas=ready)

    def _clear_second(self) -> None:
        self.second_answered = self.second_refused = self.second_timed_out = 0.0
        self.second_latencies: list[tuple[float, float]] = []

    def run(self) -> Outcome:
        world, phases, rate = self.world, self.world.phases, self.rate
        tick_every = round(TICK_SECONDS * rate)
        tick = round(phases.tick * rate) % tick_every
        scrape = round(phases.scrape * rate) % rate
        report = round(phases.report * rate) % rate
        now = 0.0
        for number in range(round((world.offered.duration + world.settle_seconds) * rate)):
            now = number / rate
            within = number % rate
            if self.starting:
                self._start_pods(now)
            self._finish(now)
            if number and not within:
                self._close_second(number // rate - 1)
            self._arrive(now)
            self._admit(now)
            # A tick comes before the records of its own instant, as it does where it was made first.
            if number % tick_every == tick:
                self._tick(now)
            if within == scrape:
                self._scrape(now)
            if within == report:
                self._report(now)
            if self.wake_at is not None and now >= self.wake_at:
                self._reconcile(now)
        self._finish(now + 1 / rate)
        self._close_second(round(now))
        self.outcome.left = self.in_system
        return self.outcome

    def _start_pods(self, now: float) -> None:
        came = 0
        while self.starting and self.starting[0][0] <= now + 1e-9:
            came += int(self.starting.popleft()[1])
        if came:
            self.starting_pods -= came
            self.ready += came
            self._reconcile(now)

    def _finish(self, now: float) -> None:
        for ended in self.work.advance(now, self.ready, bool(self.queue)):
            if ended.proxied:
                self.activator.leave(ended.at, requests=ended.proxied)
            if ended.direct:
                self.pods_stats.leave(ended.at, requests=ended.direct)
            requests = ended.requests
            self._leave_system(ended.at, requests)
            if ended.timed_out:
                self.second_timed_out += requests
                continue
            self.second_answered += requests
            self.second_latencies.append((ended.latency, requests))

    def _leave_system(self, at: float, requests: float) -> None:
        self.everything.leave(at, requests=requests)
        self.in_system -= requests
        if self.in_system < NOTHING:
            self.in_system = 0.0

    def _arrive(self, now: float) -> None:
        level = self.world.offered.at(now)
        while self.pausing and self.pausing[0][0] <= now:
            self.paused -= self.pausing.popleft()[1]
        waiting_clients = level - self.in_system - self.paused
        requests = waiting_clients if self.world.closed else level / self.rate
        if requests <= NOTHING:
            return
        proxied = self.scaler.proxied or not self.ready
        room = self._room(proxied)
        if requests > room:
            self._refuse(now, requests - room)
            requests = room
            if requests <= NOTHING:
                return
        self.in_system += requests
        self.everything.enter(now, requests=requests)
        self.queue.append([now, requests, 1.0 if proxied else 0.0])
        self.queued += requests
        if not proxied:
            self.queued_direct += requests
            self.pods_stats.enter(now, requests=requests)
            return
        first = self.activator.enter(now, requests=requests)
        if first is not None:
            self.metrics.record(now, first)
            if self.decision.desired == 0:
                self._tick(now)

    def _room(self, proxied: bool) -> float:
        """Requests that may still come in: free slots and free places in the queue."""
        limit = self.world.container_concurrency
        if not limit:
            return float("inf")
        free = max(0.0, self.ready * limit - self.work.active)
        if proxied:
            return free + max(0.0, ACTIVATOR_QUEUE * self.world.activators - (self.queued - self.queued_direct))
        return free + max(0.0, QUEUE_FACTOR * limit * self.ready - self.queued_direct)

    def _refuse(self, now: float, requests: float) -> None:
        self.second_refused += requests
        if self.world.closed:
            self.pausing.append((now + _REFUSED_PAUSE_SECONDS, requests))
            self.paused += requests

    def _admit(self, now: float) -> None:
        queue = self.queue
        if not queue:
            return
        while queue and now - queue[0][0] >= self.world.timeout_seconds:
            _, requests, proxied = queue.popleft()
            self._dequeue(requests, proxied)
            if proxied:
                self.activator.leave(now, requests=requests)
            else:
                self.pods_stats.leave(now, requests=requests)
            self._leave_system(now, requests)
            self.second_timed_out += requests
        if not self.ready:
            return
        limit = self.world.container_concurrency
        free = self.ready * limit - self.work.active if limit else float("inf")
        while queue and free > NOTHING:
            arrived, requests, proxied = queue[0]
            taken = min(requests, free)
            self.work.admit(now, arrived, taken, proxied=bool(proxied))
            free -= taken
            self._dequeue(taken, proxied)
            if taken < requests:
                queue[0][1] = requests - taken
            else:
                queue.popleft()

    def _dequeue(self, requests: float, proxied: float) -> None:
        self.queued = max(0.0, self.queued - requests)
        if not proxied:
            self.queued_direct = max(0.0, self.queued_direct - requests)

    def _scrape(self, now: float) -> None:
        # Pods are alike in a fluid, so any sample of them reports the whole; what the activator counted would be
        # reported as proxied and taken off again, so only the direct requests are kept here.
        seen = self.pods_stats.report(now)
        if self.ready and self.world.spec.target_burst_capacity != -1:
            self.metrics.record(now, seen)

    def _report(self, now: float) -> None:
        report = self.activator.report(now)
        if report is not None:
            self.metrics.record(now, report)

    def _tick(self, now: float) -> None:
        stable, panic = self.metrics.observe(now)
        decision = self.autoscaler.scale(now, ready=self.ready, stable=stable, panic=panic)
        if not decision.valid:
            return
        before, self.decision = self.decision, decision
        if decision != before or self.outcome.decisions == []:
            self.outcome.decisions.append(decision)
        if decision.desired != before.desired or (decision.ebc < 0) != (before.ebc < 0) or not before.valid:
            self._reconcile(now)

    def _reconcile(self, now: float) -> None:
        self.step = self.scaler.reconcile(
            now,
            desired=self.decision.desired,
            ebc=self.decision.ebc,
            ready=self.ready,
            replicas=self.replicas,
        )
        self.wake_at = None if self.step.wake_after is None else now + self.step.wake_after
        self._set_replicas(now, self.step.replicas)

    @property
    def replicas(self) -> int:
        """Pods that are ready or starting."""
        return self.ready + self.starting_pods

    def _set_replicas(self, now: float, wanted: int) -> None:
        missing = wanted - self.replicas
        if missing > 0:
            self._add_pods(now, missing)
        surplus = -missing
        while surplus > 0 and self.starting:  # a Deployment ends pods that are not ready first
            last = self.starting[-1]
            ended = min(surplus, int(last[1]))
            last[1] -= ended
            self.starting_pods -= ended
            surplus -= ended
            if not last[1]:
                self.starting.pop()
        if surplus > 0:
            direct = self.work.drain(min(1.0, surplus / self.ready))
            if direct:
                self.pods_stats.leave(now, requests=direct)
            self.ready = max(0, self.ready - surplus)

    def _add_pods(self, now: float, pods: int) -> None:
        self.starting_pods += pods
        ready_at = now + self.world.cold_start_seconds
        rate = self.world.start_rate
        if rate is None:
            self.starting.append([ready_at, pods])
            return
        self.started_until = max(self.started_until, ready_at)
        batch = max(1, round(rate / self.rate))
        while pods > 0:
            count = min(pods, batch)
            self.starting.append([self.started_until, count])
            self.started_until += count / rate
            pods -= count

    def _close_second(self, number: int) -> None:
        answered, pairs = self.second_answered, self.second_latencies
        mean = sum(value * weight for value, weight in pairs) / answered if answered > 0 else None
        self.outcome.seconds.append(
            Second(
                at=float(number),
                offered=self.world.offered.at(float(number)),
                answered=answered,
                refused=self.second_refused,
                timed_out=self.second_timed_out,
                in_flight=self.everything.report(number + 1.0).concurrency,
                queued=self.queued,
                desired=self.step.desired,
                ready=self.ready,
                in_panic=self.decision.in_panic,
                proxied=self.scaler.proxied,
                stable=self.decision.stable,
                panic=self.decision.panic,
                latency=mean,
                latency_p95=weighted_quantile(pairs, 0.95),
            )
        )
        self.outcome.latencies += pairs
        self._clear_second()
