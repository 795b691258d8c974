"""Cold starts of the Service under test beside those of a bare hello Service on the same engine.

Each Service is asked once, from zero, in turns. The least of each kind is compared, since noise only adds.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping

from knative.local.jsontypes import JsonObject
from loadtest.generators.closed_loop import Clients
from loadtest.generators.wire import target
from loadtest.lab import ROOT, Lab, service
from loadtest.scenarios.terms import HELD, Bounds
from loadtest.verdict import Verdict

PAIRS = 3
OURS, HELLO = "ours", "hello"


def services() -> list[JsonObject]:
    """The manifests: `PAIRS` Services of each kind, so that each cold start is one from zero."""
    made = []
    for number in range(PAIRS):
        for kind in (OURS, HELLO):
            manifest = service(annotations=HELD)
            manifest["metadata"]["name"] = f"{kind}-{number}"
            container = manifest["spec"]["template"]["spec"]["containers"][0]
            if kind == HELLO:
                source = str(ROOT / "loadtest" / "scenarios" / "hello.py")
                container["command"] = [sys.executable, "-m", "functions_framework", "--source", source]
                container["command"] += ["--target", "hello"]
                container.pop("env")
                container["readinessProbe"] = {"httpGet": {"path": "/"}}
            made.append(manifest)
    return made


async def measure(lab: Lab) -> dict[str, list[float]]:
    """The latency of the first request to each Service, in seconds, by kind; a request that failed is left out."""
    found: dict[str, list[float]] = {OURS: [], HELLO: []}
    for number in range(PAIRS):
        for kind in (OURS, HELLO):
            host = f"{kind}-{number}.default.localhost"
            clients = Clients(target(f"{lab.url}/", headers={"Host": host}))
            await clients.burst(1)
            found[kind] += [request.latency for request in clients.requests if request.good]
    for kind, latencies in found.items():
        lab.run.say("cold", f"cold starts of {kind}: {', '.join(f'{one:.2f} s' for one in latencies) or 'none'}")
    return found


def judge(result: Verdict, found: Mapping[str, list[float]], bounds: Bounds) -> None:
    """Hold the least cold start of the Service to a multiple of the least of hello."""
    for kind in (OURS, HELLO):
        result.at_least(f"cold starts of {kind}", len(found[kind]), PAIRS)
    if found[OURS] and found[HELLO]:
        ours, hello = min(found[OURS]), min(found[HELLO])
        result.at_most(
            "cold start / that of hello", ours / hello, bounds["cold_ratio"], "×", f"{ours:.2f} s / {hello:.2f} s"
        )
