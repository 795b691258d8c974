"""Real processes from zero and back, under more load, and by another class; one pod addressed by name."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import time
from pathlib import Path

import aiohttp
import pytest
import requests

from tests.engines import POD_SERVER, EngineProcess, Start, closed_loop, run_async, service

QUICK = ("--window", "2s", "--grace", "1s")


def test_a_request_wakes_a_service_from_zero_and_it_goes_back(start: Start) -> None:
    engine = start(service(), arguments=("--initial-scale", "0", *QUICK))
    assert engine.revision()["pods"] == []
    status, body = engine.get("/hello")
    assert status == 200
    assert json.loads(body)["pod"] == engine.pods()[0]["name"]
    assert engine.revision()["coldStarts"] == 1
    engine.wait(lambda: not engine.revision()["pods"], "zero pods", 15)
    decisions = engine.revision()["decisions"]
    assert [decision["desired"] for decision in decisions][-1] == 0
    assert all("stable" in decision["words"] for decision in decisions)
    assert engine.get("/hello")[0] == 200


def test_a_burst_from_zero_is_answered_whole(start: Start, tmp_path: Path) -> None:
    ledger = tmp_path / "ledger"
    engine = start(
        service(concurrency=10, annotations={"max-scale": "4"}, environment={"LEDGER": str(ledger)}),
        arguments=("--initial-scale", "0"),
    )

    async def burst() -> list[tuple[int, str]]:
        async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:

            async def one(number: int) -> tuple[int, str]:
                async with session.get(f"{engine.url}/hello?brief=1&sleep=0.05&id=r{number}") as response:
                    return response.status, (await response.json())["id"]

            return await asyncio.gather(*(one(number) for number in range(200)))

    answers = run_async(burst())
    assert answers == [(200, f"r{number}") for number in range(200)]
    assert sorted(ledger.read_text().split()) == sorted(f"r{number}" for number in range(200))


def to_pod(engine: EngineProcess, name: str) -> requests.Response:
    return requests.get(f"{engine.url}/hello", headers={"X-Target-Pod": name}, timeout=30)


def test_a_request_that_names_a_pod_goes_to_that_pod_alone(start: Start) -> None:
    engine = start(service(annotations={"min-scale": "3"}, environment={}))
    engine.wait(lambda: len([pod for pod in engine.pods() if pod["state"] == "ready"]) == 3, "three pods", 20)
    names = sorted(pod["name"] for pod in engine.pods())
    for name in names:
        answers = [to_pod(engine, name).json()["pod"] for _ in range(8)]
        assert answers == [name] * 8
    refused = to_pod(engine, "hello-00001-deployment-elsewhere")
    assert refused.status_code == 404
    ready = f"ready pods: {', '.join(names)}"
    assert refused.text.strip() == f"X-Target-Pod: no pod hello-00001-deployment-elsewhere of hello; {ready}"


def test_a_pod_named_that_is_not_ready_is_not_replaced_by_another(start: Start) -> None:
    engine = start(service(annotations={"min-scale": "1"}, environment={"START_SECONDS": "60"}))
    engine.wait(lambda: bool(engine.revision()["pods"]), "a pod", 20)
    (pod,) = engine.revision()["pods"]
    refused = to_pod(engine, pod["name"])
    assert (refused.status_code, refused.headers["retry-after"]) == (503, "1")
    assert refused.text.strip() == f"X-Target-Pod: {pod['name']} is not ready (pending)"


def test_a_request_that_waits_costs_little(start: Start) -> None:
    engine = start(service(environment={"START_SECONDS": "60"}))
    head = b"GET /hello HTTP/1.1\r\nhost: localhost\r\nuser-agent: Mozilla/5.0 (Linux)\r\naccept: */*\r\n\r\n"
    clients = 800

    def resident() -> int:
        status = Path(f"/proc/{engine.process.pid}/status").read_text()
        return 1024 * int(status.partition("VmRSS:")[2].split()[0])

    before = resident()
    with contextlib.ExitStack() as stack:
        for _ in range(clients):
            client = stack.enter_context(socket.create_connection(("127.0.0.1", engine.port)))
            client.sendall(head)
        engine.wait(lambda: engine.revision()["queued"] == clients, "clients that wait")
        assert (resident() - before) / clients < 16 * 1024


@pytest.mark.slow
def test_more_load_than_a_pod_is_held_at_brings_more_pods(start: Start) -> None:
    engine = start(
        service(concurrency=10, annotations={"target-utilization-percentage": "70", "max-scale": "6"}),
        arguments=QUICK,
    )

    async def drive() -> list[int]:
        load = asyncio.ensure_future(closed_loop(f"{engine.url}/hello?sleep=0.2&brief=1", 20, 8))
        await asyncio.sleep(6)
        ready = []
        for _ in range(5):
            ready.append(await asyncio.to_thread(lambda: engine.revision()["ready"]))
            await asyncio.sleep(0.3)
        await load
        return ready

    ready = run_async(drive())
    # ⌈20 / 7⌉, within the one of a tick.
    assert max(ready) <= 4
    assert min(ready) >= 2


def test_the_activator_is_passed_where_the_pods_can_take_a_burst(start: Start) -> None:
    bursts = {"0": False, "50": False, "211": True}
    scaled = {"min-scale": "2", "max-scale": "2"}
    engine = start(
        *(service(f"burst-{burst}", annotations={**scaled, "target-burst-capacity": burst}) for burst in bursts)
    )
    for burst, passed in bursts.items():
        name = f"burst-{burst}"
        engine.wait_pods(2, name)
        engine.wait(lambda name=name: engine.revision(name)["decision"], "a decision")
        headers = json.loads(engine.get(f"/{name}")[1])["headers"]
        assert ("k-proxy-request" in headers) is passed, burst


def test_the_class_hpa_keeps_a_pod_and_is_explained(start: Start) -> None:
    scaled = {"class": "hpa.autoscaling.knative.dev", "metric": "cpu", "target": "50"}
    requested = {"resources": {"requests": {"cpu": "100m"}}}
    engine = start(service(annotations=scaled, container=requested), arguments=QUICK)
    engine.wait_pods(1)
    engine.wait(lambda: engine.revision()["decision"], "a decision")
    assert engine.revision()["decision"]["metric"] == "cpu"
    time.sleep(4)  # twice the window, after which the KPA would have gone to zero
    assert len(engine.pods()) == 1
    engine.wait(lambda: not engine.revision()["proxied"], "a path past the activator")


@pytest.mark.slow
def test_the_class_hpa_adds_pods_for_cpu(start: Start) -> None:
    scaled = {"class": "hpa.autoscaling.knative.dev", "metric": "cpu", "target": "50", "max-scale": "3"}
    busy = ["sh", "-c", f"(while :; do :; done) & exec python -S {POD_SERVER}"]
    requested = {"resources": {"requests": {"cpu": "100m"}}}
    engine = start(service(annotations=scaled, container=requested, command=busy))
    engine.wait_pods(3, seconds=90)
    assert "cpu " in engine.revision()["decision"]["words"]
