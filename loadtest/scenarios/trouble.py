"""Scenarios of trouble: more load than fits, slow clients, a pod that dies."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import time
from pathlib import Path

from loadtest import verdict
from loadtest.cluster import new_lab
from loadtest.generators.closed_loop import Request
from loadtest.generators.open_loop import Generator
from loadtest.generators.plan import Plan
from loadtest.generators.result import Result
from loadtest.lab import Lab, LabError, Run, service
from loadtest.scenarios.terms import HELD, Bounds, judged, kinds_of
from loadtest.verdict import Verdict

_DEATH_SECONDS = 10.0


async def slow(run: Run, folder: Path, bounds: Bounds) -> Verdict:
    """Clients that dribble their bodies over seconds do not slow the others down."""
    async with new_lab(run, folder, service(concurrency=20, annotations={**HELD, "min_scale": "2"}), minimum=2) as lab:
        quick = lab.clients(hold=0.05)
        await lab.ready(2)
        lab.offer(quick, 4)
        await asyncio.sleep(6.0)
        middle = time.time()
        slowly = lab.clients(hold=0.05, body=b" " * 20_000, paced=3.0)
        slowly.requests = []
        slowly.set(12)
        run.say("slow", "12 clients take 3 s for each body")
        await asyncio.sleep(8.0)
        await asyncio.gather(quick.stop(), slowly.stop())
    before = verdict.latencies(request for request in run.requests if run.started + 1 < request.sent < middle)
    beside = verdict.latencies(request for request in run.requests if request.sent > middle)
    quick_requests = len(run.requests)
    run.requests += slowly.requests
    result = judged(run, bounds, lab)
    result.at_least("quick requests", quick_requests, 50)
    result.at_least("slow requests answered", sum(request.good for request in slowly.requests), 12)
    allowed = max((before.quantile(0.95) or 0.0) * bounds["fast_p95_factor"], bounds["fast_p95_floor"])
    result.at_most("p95 beside slow clients", beside.quantile(0.95), allowed, "s")
    return result


async def overload(run: Run, folder: Path, bounds: Bounds) -> Verdict:
    """Three times what the last pod can take: 503 at once for what is too much, as much work as ever, then normal."""
    concurrency, hold, pods = 4, 0.2, 2
    annotations = {**HELD, "max_scale": str(pods), "min_scale": str(pods), "target_burst_capacity": "0"}
    manifest = service(concurrency=concurrency, annotations=annotations)
    async with new_lab(run, folder, manifest, minimum=pods, maximum=pods) as lab:
        await lab.ready(pods)
        await asyncio.sleep(2.5)  # the activator leaves the path
        clients = lab.clients(hold=hold)
        lab.offer(clients, concurrency * pods)
        began = time.time()
        await asyncio.sleep(5.0)
        capacity = sum(request.good for request in run.requests) / (time.time() - began)
        await clients.stop()
        run.say("capacity", f"{capacity:.0f} requests/s at {concurrency * pods} at once")
        run.say("overload", f"{3 * capacity:.0f} requests/s for 8 s, in open loop")
        flooded = await _open_loop(run, lab, hold, 3 * capacity, 8.0, connections=400)
        run.say("answered", f"answers by status: {dict(flooded.statuses)}")
        after = time.time()
        calm = lab.clients(hold=hold)
        lab.offer(calm, concurrency)
        await asyncio.sleep(7.0)
        await calm.stop()
    result = judged(run, bounds, lab, failed=False)
    unexpected = sum(count for status, count in flooded.statuses.items() if status not in {200, 503})
    unexpected += sum(flooded.errors.values())
    result.at_most("answers other than 200 and 503", unexpected, bounds["unexpected"])
    result.at_least("refused", flooded.statuses[503], 1)
    goodput = flooded.statuses[200] / flooded.seconds
    result.at_least("goodput of capacity", goodput / capacity, bounds["goodput_share"])
    late = [request for request in run.requests if request.sent > after + bounds["recovery"]]
    bad = sum(not request.good or request.latency > hold * 3 + 0.25 for request in late)
    result.at_least("requests after recovery", len(late), 1)
    result.at_most(f"slow or failed {bounds['recovery']:g} s later", bad, 0)
    run.measured["capacity_per_second"] = capacity
    return result


async def _open_loop(run: Run, lab: Lab, hold: float, rate: float, seconds: float, *, connections: int = 100) -> Result:
    run.offered.append((time.time(), rate * hold))

    def saw(latency: float, status: int) -> None:
        now = time.time()
        run.flood.append(Request("", now - latency, now, status))

    plan = Plan(target=lab.target(hold=hold), rate=rate, duration=seconds, connections=connections, timeout=20.0)
    generator = Generator(plan, saw=saw)
    result = await generator.run()
    run.lag.merge(result.lag)
    run.offered.append((time.time(), 0.0))
    return result


async def kill(run: Run, folder: Path, bounds: Bounds) -> Verdict:
    """Kill -9 of a pod under load: only what was in it fails, and capacity comes back."""
    async with new_lab(run, folder, service(annotations={**HELD, "min_scale": "3"}), minimum=3, maximum=8) as lab:
        await lab.ready(3)
        clients = lab.clients(hold=0.5)
        lab.offer(clients, 18)
        await asyncio.sleep(6.0)
        before = run_ready(run, lab)
        name, pid = await lab.pod_process()
        family, killed = _family(pid), time.time()
        os.kill(pid, signal.SIGKILL)
        run.say("kill", f"kill -9 {name} ({pid})")
        dead = await _gone(family)
        # A pod that is back between two samples is never seen down; the next sample is then late rather than early.
        await lab.observer.until(lambda sample: sample.ready < before, 2.0)
        up = await lab.observer.until(lambda sample: sample.ready >= before, 20.0)
        if up:
            run.say("recovered", f"{up.ready} pods ready {up.at - killed:.1f} s after the kill")
        await asyncio.sleep(2.0)
        lab.offer(clients, 0)
        await clients.stop()
    result = judged(run, bounds, lab, failed=False)
    failed = [request for request in run.requests if not request.good]
    # What failed was on its way until the pod was dead: a request sent later has no part in it.
    in_it = [request for request in failed if request.sent <= dead and killed <= request.done]
    result.at_most(
        "failed in the killed pod", len(in_it), bounds["failed_of_pod"], note=kinds_of(verdict.failures(in_it))
    )
    result.at_most("failed elsewhere or later", len(failed) - len(in_it), bounds["failed_elsewhere"])
    result.at_most("capacity back after", up.at - killed if up else None, bounds["recovery"], "s")
    return result


def _family(pid: int) -> list[int]:
    """A process and all that descend from it: a server's workers outlive it for a moment, and take requests."""
    found = [pid]
    for one in found:
        with contextlib.suppress(OSError):
            found += map(int, Path(f"/proc/{one}/task/{one}/children").read_text().split())
    return found


async def _gone(processes: list[int]) -> float:
    """The time at which none of them runs any more.

    Raises:
        LabError: some still do.
    """

    def runs(pid: int) -> bool:
        try:
            state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        except OSError:
            return False
        return state not in "ZX"  # neither a zombie nor dead

    deadline = time.monotonic() + _DEATH_SECONDS
    while any(map(runs, processes)):
        if time.monotonic() > deadline:
            raise LabError(f"killed, and not dead after {_DEATH_SECONDS:g} s: {processes}")
        await asyncio.sleep(0.001)
    return time.time()


def run_ready(run: Run, lab: Lab) -> int:
    """Pods ready in the last sample.

    Raises:
        LabError: there is no sample.
    """
    if not lab.observer.samples:
        raise LabError(f"{run.scenario}: the engine's status was never read")
    return lab.observer.samples[-1].ready
