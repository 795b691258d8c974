"""A thousand events through channels, a Sequence and a Parallel while pods and the engine are killed: none is lost."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import sys
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import requests

from tests.engines import EngineProcess, service
from tests.knative.local.eventing.test_eventing_chaos import listed, totals
from tests.knative.local.eventing.test_topology import flow, ref
from tests.servers import free_port

EVENTS = 1000
KILLS = 10
DELIVERY = {"retry": 40, "backoffPolicy": "exponential", "backoffDelay": "PT0.05S"}
MESSAGING = "messaging.knative.dev/v1"
STEP = [sys.executable, "-S", str(Path(__file__).with_name("step_server.py"))]
PATHS = ("first>second>third>left", "first>second>third>right")


def channel(name: str) -> dict[str, Any]:
    return {"apiVersion": MESSAGING, "kind": "InMemoryChannel", "metadata": {"name": name}}


def to_channel(name: str) -> dict[str, Any]:
    return {"ref": {"apiVersion": MESSAGING, "kind": "InMemoryChannel", "name": name}}


def subscription(name: str, of: str, **spec: Any) -> dict[str, Any]:
    whole = {"channel": to_channel(of)["ref"], "delivery": DELIVERY, **spec}
    return {"apiVersion": MESSAGING, "kind": "Subscription", "metadata": {"name": name}, "spec": whole}


def to_flow(kind: str, name: str) -> dict[str, Any]:
    return {"ref": {"apiVersion": "flows.knative.dev/v1", "kind": kind, "name": name}}


def objects() -> list[dict[str, Any]]:
    """In → first → a Sequence of second and third → a Parallel of left and right → out."""
    names = ("first", "second", "third", "left", "right")
    steps = [{**ref("Service", name), "delivery": DELIVERY} for name in ("second", "third")]
    branches = [{"subscriber": ref("Service", name), "delivery": DELIVERY} for name in ("left", "right")]
    return [
        *(service(name, command=STEP, environment={"STEP": name}) for name in names),
        *(channel(name) for name in ("in", "middle", "out")),
        subscription("begin", "in", subscriber=ref("Service", "first"), reply=to_channel("middle")),
        subscription("go-on", "middle", subscriber=to_flow("Sequence", "steps")),
        flow("Sequence", "steps", steps=steps, reply=to_flow("Parallel", "both")),
        flow("Parallel", "both", branches=branches, reply=to_channel("out")),
    ]


def publish(url: str, number: int) -> None:
    """Send an event until it is accepted."""
    headers = {"ce-specversion": "1.0", "ce-id": str(number), "ce-source": "/chaos", "ce-type": "t"}
    while True:
        with contextlib.suppress(requests.RequestException):
            answer = requests.post(f"{url}/_knative/channel/default/in", headers=headers, data=b"x" * 100, timeout=30)
            if answer.status_code == 202:
                return
        time.sleep(0.1)


def kill_pods(engine: EngineProcess, chance: random.Random, stop: threading.Event, killed: list[str]) -> None:
    """Kill a ready pod of any step several times a second."""
    while not stop.wait(chance.uniform(0.1, 0.4)):
        with contextlib.suppress(OSError, ValueError):
            pods = [pod for name in ("first", "second", "third", "left", "right") for pod in engine.pods(name=name)]
            if pods:
                pod = chance.choice(pods)
                os.kill(pod["pid"], signal.SIGKILL)
                killed.append(pod["name"])


@pytest.mark.slow
@pytest.mark.timeout(420)
def test_every_event_comes_out_of_both_branches(tmp_path: Path) -> None:
    chance, stop, killed = random.Random(11), threading.Event(), []
    port = free_port()
    arguments = ("--port", str(port), "--state", str(tmp_path / "state"), "--initial-scale", "0", "--max-scale", "2")

    def begin() -> tuple[EngineProcess, threading.Thread]:
        engine = EngineProcess(tmp_path, *objects(), arguments=arguments)
        killer = threading.Thread(target=kill_pods, args=(engine, chance, stop, killed))
        killer.start()
        return engine, killer

    engine, killer = begin()
    with ThreadPoolExecutor(8) as pool:
        first = [pool.submit(publish, engine.url, number) for number in range(EVENTS // 2)]
        for sent in first[: EVENTS // 4]:
            sent.result()
        stop.set()
        killer.join()
        engine.process.kill()  # in the middle of everything
        engine.process.wait()
        engine.stop()
        stop.clear()
        engine, killer = begin()
        for sent in [*first, *(pool.submit(publish, engine.url, number) for number in range(EVENTS // 2, EVENTS))]:
            sent.result()

    def settled() -> bool:
        return not totals(engine)["pending"]

    engine.wait(lambda: len(killed) >= KILLS or settled(), "kills", seconds=120)
    stop.set()
    killer.join()
    engine.wait(settled, "end of all deliveries", seconds=240)
    events, states = listed(engine.url), totals(engine)
    assert engine.stop() == 0
    assert len(killed) >= KILLS // 2, "too little was killed: this shows nothing"
    assert (states["dead"], states["dropped"]) == (0, 0)
    out = Counter(one["id"] for one in events if one["node"] == "channel/default/out")
    assert set(out) == {f"{number}>{path}" for number in range(EVENTS) for path in PATHS}
    into = Counter(one["id"] for one in events if one["node"] == "channel/default/in")
    # A publisher that did not hear of the acceptance sends again; nothing else doubles an event.
    assert all(out[f"{number}>{path}"] == into[str(number)] for number in range(EVENTS) for path in PATHS)
