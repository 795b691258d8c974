"""Pods that crash, hang, are slow, or cannot start, as real processes."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from tests.engines import POD_SERVER, Start, closed_loop, run_async, service


def test_a_killed_pod_costs_only_what_it_was_answering(start: Start) -> None:
    engine = start(service(concurrency=4, annotations={"min-scale": "3", "window": "6s"}))
    engine.wait_pods(3)

    async def drive() -> tuple[Counter[int], int]:
        load = asyncio.ensure_future(closed_loop(f"{engine.url}/hello?sleep=0.05&brief=1", 9, 3))
        await asyncio.sleep(1)
        victim = (await asyncio.to_thread(engine.pods))[0]
        os.kill(victim["pid"], signal.SIGKILL)
        return await load, victim["port"]

    counts, _ = run_async(drive())
    assert set(counts) <= {200, 502}
    assert counts[502] <= 4
    assert counts[200] > 100
    engine.wait_pods(3)
    assert sum(pod["restarts"] for pod in engine.pods()) == 1


def test_a_pod_that_falls_again_and_again_is_given_time(start: Start) -> None:
    engine = start(service(command=["python", "-c", "print('no luck'); raise SystemExit(3)"]))
    pod = engine.wait(lambda: engine.pods("failed"), "failed pod")[0]
    assert "exited with 3" in pod["reason"]
    engine.wait(lambda: "next try in 2 s" in engine.output, "longer back-off")
    engine.wait_line(f"[{pod['name']}] no luck")


def test_a_missing_command_is_reported(start: Start) -> None:
    engine = start(service(command=["no-such-program"]), arguments=("--runtime", "process"))
    engine.wait(lambda: "no-such-program: command not found" in engine.output, "reason")


def test_a_program_that_is_not_on_this_machine_makes_containers_and_is_named(start: Start) -> None:
    engine = start(service(command=["no-such-program"], container={"imagePullPolicy": "Never"}))
    words = "hello: the program no-such-program is not on this machine: its pods are containers"
    engine.wait(lambda: words in engine.output, "word of it")


@pytest.mark.parametrize(
    "probe", [{"httpGet": {"path": "/ready"}}, {"exec": {"command": ["sh", "-c", 'test ! -e "$UNREADY"']}}]
)
def test_a_pod_that_says_it_is_not_ready_gets_no_requests(start: Start, tmp_path: Path, probe: dict[str, Any]) -> None:
    unready = tmp_path / "unready"
    unready.touch()
    engine = start(
        service(
            environment={"UNREADY": str(unready)},
            container={"readinessProbe": {**probe, "periodSeconds": 1, "failureThreshold": 1}},
            annotations={"min-scale": "1"},
        )
    )
    engine.wait(lambda: "listening" in engine.output, "listening pod")
    assert engine.pods("pending")
    unready.unlink()
    engine.wait_pods(1)
    assert engine.get()[0] == 200
    unready.touch()
    engine.wait(lambda: engine.pods("pending"), "pod that is no longer ready", 5)


def test_a_hung_pod_is_replaced_by_its_liveness_probe(start: Start) -> None:
    liveness = {"tcpSocket": {}, "httpGet": {"path": "/"}, "periodSeconds": 1, "failureThreshold": 1}
    del liveness["tcpSocket"]
    engine = start(service(container={"livenessProbe": liveness}, annotations={"min-scale": "1"}))
    engine.wait_pods(1)
    os.kill(engine.pods()[0]["pid"], signal.SIGSTOP)
    engine.wait(lambda: any(pod["restarts"] for pod in engine.pods()), "restarted pod")
    assert engine.get()[0] == 200


@pytest.mark.slow
@pytest.mark.parametrize(
    "probe", [{"exec": {"command": ["sh", "-c", 'echo $PORT >> "$ASKED"; false']}}, {"tcpSocket": {"port": 8080}}]
)
def test_a_pod_that_does_not_start_in_the_time_its_startup_probe_allows_is_restarted(
    start: Start, tmp_path: Path, probe: dict[str, Any]
) -> None:
    asked = tmp_path / "asked"
    startup = {**probe, "periodSeconds": 1, "failureThreshold": 2, "timeoutSeconds": 10}
    container = {"startupProbe": startup, "ports": [{"containerPort": 8080}]}
    engine = start(service(container=container, environment={"START_SECONDS": "60", "ASKED": str(asked)}))
    engine.wait(lambda: "startup probe failed for 2 s: " in engine.output, "verdict")
    if asked.exists():
        ports = asked.read_text().split()
        assert ports.count(ports[0]) == 2  # once a period, however long each takes
    engine.wait(lambda: any(pod["restarts"] for pod in engine.pods("pending")), "restarted pod")
    assert not engine.pods()


@pytest.mark.slow
def test_a_pod_that_starts_in_the_time_its_startup_probe_allows_is_left_alone(start: Start) -> None:
    startup = {"httpGet": {"path": "/", "port": 8080}, "periodSeconds": 2, "failureThreshold": 3}
    container = {"startupProbe": startup, "ports": [{"containerPort": 8080}]}
    engine = start(service(container=container, environment={"START_SECONDS": "2.5"}, annotations={"min-scale": "1"}))
    engine.wait_pods(1)
    time.sleep(4)  # it has run for more than the 6 s then
    assert [pod["restarts"] for pod in engine.pods()] == [0]


def test_arguments_see_the_environment(start: Start) -> None:
    engine = start(
        service(
            command=["python", "-S", str(POD_SERVER)],
            container={"args": ["--port=$(PORT)", "$$(PORT)", "$(UNKNOWN)"]},
        )
    )
    told = json.loads(engine.get()[1])
    assert told["arguments"] == [f"--port={told['environment']['PORT']}", "$(PORT)", "$(UNKNOWN)"]


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ("\0", "variable A has a null byte"),
        ("x" * 131_072, "variable A has 131,075 bytes with its name; the limit of the kernel is 131,072"),
    ],
)
def test_a_variable_that_the_kernel_does_not_take_is_named(start: Start, value: str, reason: str) -> None:
    engine = start(service(environment={"A": value}))
    engine.wait(lambda: f"cannot start: {reason}" in engine.output, "reason")


def test_limits_hold_or_are_reported_as_not_held(start: Start) -> None:
    container = {"resources": {"limits": {"cpu": "500m", "memory": "256Mi"}}}
    engine = start(service(container=container, annotations={"min-scale": "1"}))
    engine.wait_pods(1)
    groups = Path(f"/proc/{engine.pods()[0]['pid']}/cgroup").read_text()
    assert ("knative-local" in groups) != ("limits are not applied" in engine.output)
