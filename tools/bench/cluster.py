"""Cold starts on the cluster of KUBECONFIG: each function from zero, beside a bare hello and a static peer.

`make deploy` puts the functions there. The peers are Services that the cluster's owner names in BENCH_PEERS, such as
`hello,static-go`; a request from zero is timed from here, the pods' own start from their conditions.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import time
import urllib.error
import urllib.request
from datetime import datetime
from itertools import pairwise
from typing import Any

from functions import registry
from tools.bench.harness import Bench

ROUNDS = 7
SMOKE = {"ROUNDS": 1}
ZERO_SECONDS = 300
ABOVE_PEER_SECONDS = 0.11  # of the last named peer, the fastest that the platform allows
STEPS = ("PodScheduled", "Initialized", "PodReadyToStartContainers", "ContainersReady", "Ready")


def kubectl(*arguments: str) -> Any:
    """Return what kubectl answers as JSON."""
    done = subprocess.run(["kubectl", *arguments, "-o", "json"], capture_output=True, text=True, check=True)
    return json.loads(done.stdout)


def pods(service: str) -> list[dict[str, Any]]:
    """The pods of a Service."""
    return kubectl("get", "pods", "-l", f"serving.knative.dev/service={service}")["items"]


def steps(pod: dict[str, Any]) -> dict[str, float]:
    """Seconds from the pod's creation to each of its conditions; Kubernetes states whole seconds."""
    created = _time(pod["metadata"]["creationTimestamp"])
    held = {one["type"]: one for one in pod["status"].get("conditions", ()) if one.get("status") == "True"}
    return {name: _time(held[name]["lastTransitionTime"]) - created for name in STEPS if name in held}


def _time(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()


def _from_zero(service: str, url: str, path: str) -> float:
    """Seconds of one request to a Service without pods."""
    deadline = time.monotonic() + ZERO_SECONDS
    while pods(service):
        if time.monotonic() > deadline:
            raise RuntimeError(f"{service} has pods after {ZERO_SECONDS} s; is its min-scale 0?")
        time.sleep(2)
    began = time.perf_counter()
    with urllib.request.urlopen(url + path, timeout=60) as response:
        response.read()
    return time.perf_counter() - began


def run(bench: Bench) -> None:
    """Print each function's cold start beside the peers', and the steps of its pods."""
    if not os.environ.get("KUBECONFIG") or not shutil.which("kubectl"):
        bench.note("cluster: skipped, KUBECONFIG names no cluster, or kubectl is not installed")
        return
    peers = [name for name in os.environ.get("BENCH_PEERS", "").split(",") if name]
    urls = {one["metadata"]["name"]: one["status"].get("url") for one in kubectl("get", "ksvc")["items"]}
    missing = [name for name in (*registry.names(), *peers) if not urls.get(name)]
    if missing:
        bench.note(f"cluster: skipped, these Services are not ready there: {', '.join(missing)} (make deploy)")
        return
    seconds: dict[str, list[float]] = {}
    traces: dict[str, list[dict[str, float]]] = {}
    for _ in range(ROUNDS):
        for name in (*registry.names(), *peers):
            path = "/readyz" if name in registry.names() else "/"
            try:
                seconds.setdefault(name, []).append(_from_zero(name, urls[name], path))
            except (urllib.error.URLError, RuntimeError) as error:
                bench.note(f"{name}: {error}")
                return
            traces.setdefault(name, []).extend(map(steps, pods(name)))
    for name, taken in seconds.items():
        bench.figure(f"{name}: a request from zero", taken, None, "s")
        for one in traces[name][-1:]:
            parts = [f"{later} +{one[later] - one[sooner]:.0f} s" for sooner, later in pairwise(one)]
            bench.note(f"{name}: {', '.join(parts)}")
    for name in registry.names() if peers else ():
        above = [mine - theirs for mine, theirs in zip(seconds[name], seconds[peers[-1]], strict=True)]
        bench.figure(f"{name}: above {peers[-1]}", above, ABOVE_PEER_SECONDS, "s")
