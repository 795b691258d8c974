"""Scenarios of the autoscaler: pods follow the load up and down, from zero and back to it."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from loadtest import verdict
from loadtest.capacity.forecast import forecasts
from loadtest.cluster import new_lab
from loadtest.lab import Run, service
from loadtest.scenarios import cold
from loadtest.scenarios.terms import HELD, WINDOW, ZERO_OPTIONS, Bounds, judged
from loadtest.verdict import Verdict

SETTLED_SECONDS = 2.0
"""The end of a level, in which desired and ready pods must be what its load needs."""


@dataclass(frozen=True)
class Level:
    """A number of clients held for a while, times since the epoch."""

    clients: int
    pods: int
    began: float
    ended: float


async def step(run: Run, folder: Path, bounds: Bounds) -> Verdict:
    """5, 20, 40 and 10 requests held at once; pods follow, then zero."""
    hold = 0.5
    levels: list[Level] = []
    manifest = service(annotations=HELD)
    async with new_lab(run, folder, manifest, maximum=8, options=ZERO_OPTIONS) as lab:
        clients = lab.clients(hold=hold)
        for count in (5, 20, 40, 10):
            began = time.time()
            expected = lab.offer(clients, count)
            await asyncio.sleep(11.0)
            levels.append(Level(count, expected, began, time.time()))
        lab.offer(clients, 0)
        await clients.stop()
    result = judged(run, bounds, lab)
    judge_levels(result, run, levels, bounds)
    answers = [(request.sent, request.done) for request in run.requests if request.good]
    ready_at = [(sample.at, sample.ready) for sample in run.samples]
    for one in forecasts(manifest["spec"]["template"], run.offered, answers, ready_at):
        pods = f"{one.planned} pods planned, {one.simulated} simulated, {one.observed} observed"
        result.at_most(f"forecast off by slack at {one.clients:g} clients", one.error, 1.0, note=pods)
    end = levels[1].ended
    steady = [request for request in run.requests if not request.cold and end - 2 < request.sent < end]
    run.measured["service_seconds"] = verdict.latencies(steady).quantile(0.5) or hold
    return result


def judge_levels(result: Verdict, run: Run, levels: Sequence[Level], bounds: Bounds) -> None:
    """Hold desired and ready pods at the end of each level to what it needs, and the time until all are ready.

    Closed-loop clients keep the concurrency at their number, so there is no slack: one pod too few is a wrong decision.
    """
    previous = 0
    for level in levels:
        settled = [sample for sample in run.samples if level.ended - SETTLED_SECONDS <= sample.at < level.ended]
        slack = bounds["pods_slack"]
        if any(sample.desired is not None for sample in settled):
            desired = Counter(sample.desired for sample in settled).most_common(1)[0][0]
            result.within(f"pods desired at {level.clients} clients", desired, level.pods, slack)
        ready = settled[-1].ready if settled else None
        result.within(f"pods ready at {level.clients} clients", ready, level.pods, slack)
        if level.pods > previous:
            reached = verdict.first_time(run.samples, level.began, level.pods)
            result.at_most(f"time to scale to {level.clients} clients", reached, bounds["scale_up"], "s")
        previous = level.pods


async def burst(run: Run, folder: Path, bounds: Bounds) -> Verdict:
    """200 requests at once to a Service without a pod: all are answered."""
    manifest = service(annotations={**HELD, "max_scale": "5"})
    async with new_lab(run, folder, manifest, maximum=5, options=ZERO_OPTIONS, beside=cold.services()) as lab:
        await lab.ready(0)
        colds = None if run.place else await cold.measure(lab)
        clients = lab.clients(hold=0.2)
        run.offered += [(time.time(), 200.0)]
        run.expected += [(time.time(), 5)]
        run.say("offered", "200 requests at once, from zero")
        began = time.time()
        await clients.burst(200)
        run.offered.append((time.time(), 0.0))
        run.say("answered", f"{sum(request.good for request in run.requests)} answered in {time.time() - began:.1f} s")
        await asyncio.sleep(1.0)
    result = judged(run, bounds, lab)
    answers = verdict.latencies(run.requests)
    result.at_least("answered", answers.count, 200)
    result.at_most("latency p99", answers.quantile(0.99), bounds["burst_p99"], "s")
    if colds is None:
        result.unchecked.append("cold start / that of hello (the cluster has no such image)")
    else:
        cold.judge(result, colds, bounds)
    first = verdict.first_time(run.samples, began, 1)
    if first is not None:
        run.measured["first_pod_seconds"] = first
    return result


async def zero(run: Run, folder: Path, bounds: Bounds) -> Verdict:
    """Idle for a window: no pod is left, and the next request wakes one."""
    async with new_lab(run, folder, service(annotations=HELD), options=ZERO_OPTIONS) as lab:
        clients = lab.clients(hold=0.2)
        lab.offer(clients, 5)
        await asyncio.sleep(5.0)
        lab.offer(clients, 0)
        await clients.stop()
        last = max(request.done for request in run.requests)
        # A sample may still carry the status of before: count from the last answer on.
        gone = await lab.observer.until(lambda sample: sample.at > last and sample.ready == 0, 45.0)
        if gone:
            run.say("zero", f"no pod {gone.at - last:.1f} s after the last answer")
        again = lab.clients(hold=0.0)
        await again.burst(1)
        run.say("woken", f"woken in {run.requests[-1].latency:.2f} s")
        await asyncio.sleep(0.5)
    result = judged(run, bounds, lab)
    idle = gone.at - last if gone else None
    result.at_least("zero not before the window", idle, WINDOW - 1.0, "s")
    result.at_most("zero after the window", None if idle is None else idle - WINDOW, bounds["after_window"], "s")
    if idle is not None:
        run.measured["zero_seconds"] = idle
    return result


async def spike(run: Run, folder: Path, bounds: Bounds) -> Verdict:
    """2 clients, suddenly 40, then 2 again: it panics, never shrinks in panic, and loses nothing."""
    # A quarter of 12 s: a panic window of three buckets is seen whatever the phase of the reports.
    annotations = {**HELD, "window": "12s", "panic_window_percentage": "25"}
    async with new_lab(run, folder, service(annotations=annotations), maximum=8, options=ZERO_OPTIONS) as lab:
        clients = lab.clients(hold=0.5)
        lab.offer(clients, 2)
        await asyncio.sleep(8.0)
        began = time.time()
        expected = lab.offer(clients, 40)
        await asyncio.sleep(14.0)
        lab.offer(clients, 2)
        await asyncio.sleep(10.0)
        await clients.stop()
    result = judged(run, bounds, lab)
    panics = sum(bool(sample.in_panic) for sample in run.samples)
    for before, after in zip(run.samples, run.samples[1:], strict=False):
        if before.in_panic is not after.in_panic and before.in_panic is not None:
            run.events.append((after.at, "panic", "panic begins" if after.in_panic else "panic ends"))
    if any(sample.in_panic is not None for sample in run.samples):
        result.at_least("samples in panic", panics, bounds["panics"])
        result.at_most("shrank in panic", verdict.shrank_in_panic(run.samples), bounds["shrank_in_panic"])
    else:
        result.unchecked.append("panic (only the local engine's status has it)")
    reached = verdict.first_time(run.samples, began, expected)
    result.at_most("time to scale", reached, bounds["scale_up"], "s")
    return result
