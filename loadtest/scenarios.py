"""The scenarios: each makes a Service, loads it, and holds what it sees to its thresholds.

`SCENARIOS` maps names to them, `QUICK` are those of `make loadtest` without a name. All of them run against an engine
of their own on this machine; the same Service and Locust file run against a cluster (locustfile.py).
"""

from __future__ import annotations

import asyncio
import contextlib
import csv
import math
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from loadtest import verdict as judge
from loadtest.clients import Request
from loadtest.lab import ROOT, Lab, LabError, Run, service
from loadtest.openloop import Generator, Plan, Result
from loadtest.verdict import Verdict

Bounds = Mapping[str, float]
Scenario = Callable[[Run, Path, Bounds], Awaitable[Verdict]]

WINDOW = 6.0
_HELD = {"window": "6s", "target_utilization_percentage": "70", "max_scale": "8"}
_ZERO_OPTIONS = ("--initial-scale", "0", "--grace", "5s")


@dataclass(frozen=True)
class Named:
    """A scenario, and what it is for."""

    work: Scenario
    summary: str


def _judge(run: Run, bounds: Bounds, lab: Lab | None, failed: bool = True) -> Verdict:
    """A verdict with the checks that every scenario shares."""
    made = Verdict(run.scenario)
    lag = run.lag.quantile(0.99)
    if lag is not None and lag > bounds["generator_lag_p99"]:
        made.invalid.append(f"the generator was {lag:.2f} s late at p99: the machine is too busy")
    if failed:
        kinds = judge.failures(run.requests)
        made.at_most("requests failed", sum(kinds.values()), bounds["failed"], _kinds(kinds))
    if lab is not None:
        seen = judge.executions(lab.log.read_text(errors="replace").splitlines())
        ours = {request.id for request in run.requests}
        doubled = sum(count > 1 for name, count in seen.items() if name in ours)
        made.at_most("requests worked on twice", doubled, bounds["doubled"])
        answered = sum(request.good for request in run.requests)
        known = sum(name in seen for name in (request.id for request in run.requests if request.good))
        run.measured["requests"] = len(run.requests)
        made.at_most("answers that no pod logged", answered - known, 0)
    cold = judge.latencies(request for request in run.requests if request.cold)
    if cold.count:
        run.measured["cold_start_seconds"] = cold.quantile(0.5) or 0.0
        made.at_most("cold start p99", cold.quantile(0.99), bounds["cold_start_p99"], "s")
    return made


def _kinds(kinds: Counter[str]) -> str:
    return f"({', '.join(f'{count} × {kind}' for kind, count in kinds.items())})" if kinds else ""


async def step(run: Run, folder: Path, bounds: Bounds) -> Verdict:
    """5, 20, 40 and 10 requests held at once; pods follow, then zero."""
    hold = 0.5
    made: list[tuple[int, int, float, float]] = []
    manifest = service(annotations=_HELD)
    async with Lab(run, folder, manifest, maximum=8, options=_ZERO_OPTIONS) as lab:
        clients = lab.clients(hold=hold)
        for count in (5, 20, 40, 10):
            began = time.time()
            expected = lab.offer(clients, count)
            await asyncio.sleep(11.0)
            made.append((count, expected, began, time.time()))
        lab.offer(clients, 0)
        await clients.stop()
    result = _judge(run, bounds, lab)
    previous = 0
    for count, expected, began, ended in made:
        settled = judge.ready_between(run.samples, ended - 2.0, ended)
        ready = settled[-1] if settled else None
        result.within(f"pods at {count} clients", ready, expected, bounds["pods_slack"])
        if expected > previous:
            reached = judge.first_time(run.samples, began, expected - int(bounds["pods_slack"]))
            result.at_most(f"time to scale to {count} clients", reached, bounds["scale_up"], "s")
        previous = expected
    steady = [request for request in run.requests if not request.cold and made[1][3] - 2 < request.sent < made[1][3]]
    run.measured["service_seconds"] = judge.latencies(steady).quantile(0.5) or hold
    return result


async def burst(run: Run, folder: Path, bounds: Bounds) -> Verdict:
    """200 requests at once to a Service without a pod: all are answered."""
    manifest = service(annotations={**_HELD, "max_scale": "5"})
    async with Lab(run, folder, manifest, maximum=5, options=_ZERO_OPTIONS) as lab:
        await lab.ready(0)
        clients = lab.clients(hold=0.2)
        run.offered += [(time.time(), 200.0)]
        run.expected += [(time.time(), 5)]
        run.say("offered", "200 requests at once, from zero")
        began = time.time()
        await clients.burst(200)
        run.offered.append((time.time(), 0.0))
        run.say("answered", f"{sum(request.good for request in run.requests)} answered in {time.time() - began:.1f} s")
        await asyncio.sleep(1.0)
    result = _judge(run, bounds, lab)
    answers = judge.latencies(run.requests)
    result.at_least("answered", answers.count, 200)
    result.at_most("latency p99", answers.quantile(0.99), bounds["burst_p99"], "s")
    first = judge.first_time(run.samples, began, 1)
    if first is not None:
        run.measured["first_pod_seconds"] = first
    return result


async def zero(run: Run, folder: Path, bounds: Bounds) -> Verdict:
    """Idle for a window: no pod is left, and the next request wakes one."""
    async with Lab(run, folder, service(annotations=_HELD), options=_ZERO_OPTIONS) as lab:
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
    result = _judge(run, bounds, lab)
    idle = gone.at - last if gone else None
    result.at_least("zero not before the window", idle, WINDOW - 1.0, "s")
    result.at_most("zero after the window", None if idle is None else idle - WINDOW, bounds["after_window"], "s")
    if idle is not None:
        run.measured["zero_seconds"] = idle
    return result


async def spike(run: Run, folder: Path, bounds: Bounds) -> Verdict:
    """2 clients, suddenly 40, then 2 again: it panics, never shrinks in panic, and loses nothing."""
    # A quarter of 12 s: a panic window of three buckets is seen whatever the phase of the reports.
    annotations = {**_HELD, "window": "12s", "panic_window_percentage": "25"}
    async with Lab(run, folder, service(annotations=annotations), maximum=8, options=_ZERO_OPTIONS) as lab:
        clients = lab.clients(hold=0.5)
        lab.offer(clients, 2)
        await asyncio.sleep(8.0)
        began = time.time()
        expected = lab.offer(clients, 40)
        await asyncio.sleep(14.0)
        lab.offer(clients, 2)
        await asyncio.sleep(10.0)
        await clients.stop()
    result = _judge(run, bounds, lab)
    panics = sum(bool(sample.in_panic) for sample in run.samples)
    for before, after in zip(run.samples, run.samples[1:], strict=False):
        if before.in_panic is not after.in_panic and before.in_panic is not None:
            run.events.append((after.at, "panic", "panic begins" if after.in_panic else "panic ends"))
    result.at_least("samples in panic", panics, bounds["panics"])
    result.at_most("shrank in panic", judge.shrank_in_panic(run.samples), bounds["shrank_in_panic"])
    reached = judge.first_time(run.samples, began, expected - 1)
    result.at_most("time to scale", reached, bounds["scale_up"], "s")
    return result


async def slow(run: Run, folder: Path, bounds: Bounds) -> Verdict:
    """Clients that dribble their bodies over seconds do not slow the others down."""
    async with Lab(run, folder, service(concurrency=20, annotations={**_HELD, "min_scale": "2"})) as lab:
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
    before = judge.latencies(request for request in run.requests if run.started + 1 < request.sent < middle)
    beside = judge.latencies(request for request in run.requests if request.sent > middle)
    quick_requests = len(run.requests)
    run.requests += slowly.requests
    result = _judge(run, bounds, lab)
    result.at_least("quick requests", quick_requests, 50)
    result.at_least("slow requests answered", sum(request.good for request in slowly.requests), 12)
    allowed = max((before.quantile(0.95) or 0.0) * bounds["fast_p95_factor"], bounds["fast_p95_floor"])
    result.at_most("p95 beside slow clients", beside.quantile(0.95), allowed, "s")
    return result


async def overload(run: Run, folder: Path, bounds: Bounds) -> Verdict:
    """Three times what the last pod can take: 503 at once for what is too much, as much work as ever, then normal."""
    concurrency, hold, pods = 4, 0.2, 2
    annotations = {**_HELD, "max_scale": str(pods), "min_scale": str(pods), "target_burst_capacity": "0"}
    manifest = service(concurrency=concurrency, annotations=annotations)
    async with Lab(run, folder, manifest, minimum=pods, maximum=pods) as lab:
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
    result = _judge(run, bounds, lab, failed=False)
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
    async with Lab(run, folder, service(annotations={**_HELD, "min_scale": "3"}), minimum=3, maximum=8) as lab:
        await lab.ready(3)
        clients = lab.clients(hold=0.5)
        lab.offer(clients, 18)
        await asyncio.sleep(6.0)
        before = run_ready(run, lab)
        name, pid = await lab.pod_process()
        os.kill(pid, signal.SIGKILL)
        killed = time.time()
        run.say("kill", f"kill -9 {name} ({pid})")
        # A pod that is back between two samples is never seen down; the next sample is then late rather than early.
        await lab.observer.until(lambda sample: sample.ready < before, 2.0)
        up = await lab.observer.until(lambda sample: sample.ready >= before, 20.0)
        if up:
            run.say("recovered", f"{up.ready} pods ready {up.at - killed:.1f} s after the kill")
        await asyncio.sleep(2.0)
        lab.offer(clients, 0)
        await clients.stop()
    result = _judge(run, bounds, lab, failed=False)
    failed = [request for request in run.requests if not request.good]
    # What failed was on its way when the pod died: a request sent later has no part in it.
    in_it = [request for request in failed if request.sent <= killed <= request.done + 1.0]
    result.at_most("failed in the killed pod", len(in_it), bounds["failed_of_pod"], _kinds(judge.failures(in_it)))
    result.at_most("failed elsewhere or later", len(failed) - len(in_it), bounds["failed_elsewhere"])
    result.at_most("capacity back after", up.at - killed if up else None, bounds["recovery"], "s")
    return result


def run_ready(run: Run, lab: Lab) -> int:
    """Pods ready in the last sample.

    Raises:
        LabError: there is no sample.
    """
    if not lab.observer.samples:
        raise LabError(f"{run.scenario}: the engine's status was never read")
    return lab.observer.samples[-1].ready


async def rollout(run: Run, folder: Path, bounds: Bounds) -> Verdict:
    """A new revision under 50 requests/s: no error, and the traffic moves."""
    annotations = {**_HELD, "min_scale": "1"}
    async with Lab(run, folder, service(annotations=annotations)) as lab:
        await lab.ready(1)
        clients = lab.clients(hold=0.1, think=0.1)
        lab.offer(clients, 10)
        await asyncio.sleep(5.0)
        old = run.requests[-1].revision or next(one.revision for one in reversed(run.requests) if one.revision)
        lab.write(service(annotations=annotations, environment={"STRESS_MAX_SECONDS": "30"}))
        lab.reload()
        began = time.time()
        run.say("rollout", f"a new template is applied; {old} answers until the new one is ready")
        await asyncio.sleep(bounds["switched"])
        await clients.stop()
    result = _judge(run, bounds, lab)
    by_old = [request.done for request in run.requests if request.revision == old]
    by_new = [request.done for request in run.requests if request.revision not in {"", old}]
    result.at_least("answers of the new revision", len(by_new), 1)
    if by_new:
        run.events.append((min(by_new), "rollout", "first answer of the new revision"))
        result.at_most("old revision answered until", max(by_old) - began, bounds["switched"], "s")
    return result


async def canary(run: Run, folder: Path, bounds: Bounds) -> Verdict:
    """80 % to one revision and 20 % to another, by name."""
    annotations = {**_HELD, "min_scale": "1"}
    share = 0.2
    async with Lab(run, folder, service(annotations=annotations, revision="v1")) as lab:
        await lab.ready(1)
        traffic = [
            {"revisionName": "load-v1", "percent": 80},
            {"revisionName": "load-v2", "percent": 20, "tag": "canary"},
        ]
        lab.write(
            service(
                annotations=annotations,
                revision="v2",
                environment={"STRESS_MAX_SECONDS": "30"},
                traffic=traffic,
            )
        )
        lab.reload()
        await lab.ready(2)
        await asyncio.sleep(1.0)
        clients = lab.clients(hold=0.0)
        lab.offer(clients, 4)
        await asyncio.sleep(8.0)
        await clients.stop()
    result = _judge(run, bounds, lab)
    good = [request for request in run.requests if request.good]
    observed = sum(request.revision == "load-v2" for request in good) / max(1, len(good))
    slack = bounds["sigmas"] * math.sqrt(share * (1 - share) / max(1, len(good)))
    result.at_least("requests", len(good), 200)
    result.within("share of the canary", observed, share, slack)
    return result


async def mixed(run: Run, folder: Path, bounds: Bounds) -> Verdict:
    """The three functions from their own manifests, under the Locust file's mixed users."""
    async with Lab(run, folder, [ROOT / "knative" / "services"], watch="histogram") as lab:
        out = folder / "locust"
        command = [sys.executable, "-m", "locust", "-f", str(ROOT / "loadtest" / "locustfile.py"), "--headless"]
        command += ["--host", lab.url, "--users", "6", "--spawn-rate", "3", "--run-time", "20s", "--tags", "mixed"]
        command += ["--csv", str(out), "--only-summary", "--exit-code-on-error", "0"]
        run.offered.append((time.time(), 6.0))
        run.say("offered", "6 Locust users over histogram, exif and stress for 20 s")
        process = await asyncio.create_subprocess_exec(
            *command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
        )
        _, errors = await process.communicate()
        run.offered.append((time.time(), 0.0))
    result = _judge(run, bounds, None, failed=False)
    rows: list[dict[str, str]] = []
    with contextlib.suppress(OSError):
        rows = list(csv.DictReader((folder / "locust_stats.csv").read_text().splitlines()))
    total = next((row for row in rows if row["Name"] == "Aggregated"), None)
    if total is None:
        raise LabError(f"Locust wrote no figures: {errors.decode(errors='replace')[-1000:]}")
    requests, failed = int(total["Request Count"]), int(total["Failure Count"])
    run.say("locust", f"{requests} requests, {failed} failed, p95 {total['95%']} ms")
    result.at_least("requests", requests, 50)
    result.at_most("share that failed", failed / max(1, requests), bounds["failed_share"])
    for name in ("histogram", "exif", "stress"):
        count = sum(int(row["Request Count"]) for row in rows if row["Name"].split(" ")[0] == name)
        result.at_least(f"requests to {name}", count, 1)
    return result


SCENARIOS: dict[str, Named] = {
    "step": Named(step, "5, 20, 40, 10 requests at once: pods follow"),
    "burst": Named(burst, "200 requests at once from zero"),
    "zero": Named(zero, "scale to zero, and wake"),
    "overload": Named(overload, "three times the capacity at max-scale"),
    "kill": Named(kill, "kill -9 of a pod under load"),
    "spike": Named(spike, "a spike, and panic"),
    "slow": Named(slow, "slow clients beside quick ones"),
    "mixed": Named(mixed, "all three functions at once, by Locust"),
    "canary": Named(canary, "an 80/20 split"),
    "rollout": Named(rollout, "a new revision under load"),
}
QUICK = ("step", "burst", "zero", "overload", "kill")


async def play(name: str, folder: Path, bounds: Bounds) -> tuple[Run, Verdict]:
    """Run one scenario; what keeps it from measuring makes it INVALID."""
    run = Run(name)
    folder.mkdir(parents=True, exist_ok=True)
    try:
        result = await SCENARIOS[name].work(run, folder, bounds)
    except LabError as error:
        result = Verdict(name, invalid=[str(error)])
    return run, result
