"""Scenarios of traffic: a new revision, two at once, and all functions together."""

from __future__ import annotations

import asyncio
import json
import math
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

from loadtest import verdict
from loadtest.cluster import new_lab
from loadtest.generators.closed_loop import Request
from loadtest.lab import ROOT, LabError, Run, service
from loadtest.scenarios.terms import HELD, Bounds, judged, kinds_of
from loadtest.verdict import Verdict


async def rollout(run: Run, folder: Path, bounds: Bounds) -> Verdict:
    """A new revision under 50 requests/s: no error, and the traffic moves."""
    annotations = {**HELD, "min_scale": "1"}
    async with new_lab(run, folder, service(annotations=annotations), minimum=1) as lab:
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
    result = judged(run, bounds, lab)
    by_old = [request.done for request in run.requests if request.revision == old]
    by_new = [request.done for request in run.requests if request.revision not in {"", old}]
    result.at_least("answers of the new revision", len(by_new), 1)
    if by_new:
        run.events.append((min(by_new), "switched", "first answer of the new revision"))
        result.at_most("old revision answered until", max(by_old) - began, bounds["switched"], "s")
    return result


async def canary(run: Run, folder: Path, bounds: Bounds) -> Verdict:
    """80 % to one revision and 20 % to another, by name."""
    annotations = {**HELD, "min_scale": "1"}
    share = 0.2
    both = 2  # revisions, each with a pod of its own
    async with new_lab(run, folder, service(annotations=annotations, revision="v1"), minimum=both) as lab:
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
        await lab.ready(both)
        await asyncio.sleep(1.0)
        clients = lab.clients(hold=0.0)
        lab.offer(clients, 4)
        await asyncio.sleep(8.0)
        await clients.stop()
    result = judged(run, bounds, lab)
    good = [request for request in run.requests if request.good]
    observed = sum(request.revision == "load-v2" for request in good) / max(1, len(good))
    slack = bounds["sigmas"] * math.sqrt(share * (1 - share) / max(1, len(good)))
    result.at_least("requests", len(good), 200)
    result.within("share of the canary", observed, share, slack)
    return result


async def mixed(run: Run, folder: Path, bounds: Bounds) -> Verdict:
    """The three functions from their own manifests, under the Locust file's mixed users."""
    async with new_lab(run, folder, [ROOT / "knative" / "services"], watch="histogram") as lab:
        log = folder / "locust.jsonl"
        log.unlink(missing_ok=True)
        command = [sys.executable, "-m", "locust", "-f", str(ROOT / "loadtest" / "locustfile.py"), "--headless"]
        command += ["--host", lab.url, "--users", "6", "--spawn-rate", "3", "--run-time", "20s", "--tags", "mixed"]
        command += ["--requests", str(log), "--only-summary", "--exit-code-on-error", "0"]
        run.offered.append((time.time(), 6.0))
        run.say("offered", "6 Locust users over histogram, exif and stress for 20 s")
        process = await asyncio.create_subprocess_exec(
            *command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
        )
        _, errors = await process.communicate()
        run.offered.append((time.time(), 0.0))
    names: Counter[str] = Counter()
    if not log.exists():
        raise LabError(f"Locust made no request: {errors.decode(errors='replace')[-1000:]}")
    for line in log.read_text().splitlines():
        request = json.loads(line)
        names[request.pop("name").split(" ")[0]] += 1
        run.requests.append(Request(id="", **request))
    result = judged(run, bounds, None, failed=False)
    failed = verdict.failures(run.requests)
    share = sum(failed.values()) / max(1, len(run.requests))
    result.at_least("requests", len(run.requests), 50)
    result.at_most("share that failed", share, bounds["failed_share"], note=kinds_of(failed))
    for name in ("histogram", "exif", "stress"):
        result.at_least(f"requests to {name}", names[name], 1)
    return result
