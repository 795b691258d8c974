"""Pods of several containers, as processes: order, readiness, crashes, logs, and the health check of gRPC."""

from __future__ import annotations

import functools
import json
import os
import signal
from pathlib import Path
from typing import Any

import pytest

from knative.local.pods.runtimes.ports import free_port
from tests.engines import POD_SERVER, Start, service

GRPC = Path(__file__).parents[1] / "grpc_server.py"
STEADY = {"min-scale": "1", "max-scale": "1", "window": "6s"}
FLAGS = {"kubernetes.podspec-init-containers": "enabled", "multi-container-probing": "enabled"}
FEATURES = {
    "apiVersion": "v1",
    "kind": "ConfigMap",
    "metadata": {"name": "config-features", "namespace": "knative-serving"},
    "data": FLAGS,
}


@pytest.fixture(name="start")
def start_with_features(start: Start) -> Start:
    return functools.partial(start, FEATURES)


def pod_of(
    *sidecars: dict[str, Any], before: list[dict[str, Any]] | None = None, annotations: dict[str, str] | None = None
) -> dict[str, Any]:
    """A Service whose serving container is not the first one."""
    made = service(container={"name": "app", "ports": [{"containerPort": 8080}]}, annotations=annotations or STEADY)
    spec = made["spec"]["template"]["spec"]
    spec["containers"] = [*({"image": "dev.local/side:1", **one} for one in sidecars), *spec["containers"]]
    if before:
        spec["initContainers"] = [{"image": "dev.local/init:1", **one} for one in before]
    return made


def shell(name: str, script: str, **more: Any) -> dict[str, Any]:
    return {"name": name, "command": ["sh", "-c", script], **more}


def test_each_container_has_its_variables_and_one_gets_the_requests(start: Start) -> None:
    side = shell("side", "env; exec sleep 60", env=[{"name": "OWN", "value": "side"}])
    engine = start(pod_of(side))
    engine.wait_pods(1)
    status, body = engine.get("/hello")
    seen = json.loads(body)["environment"]
    assert (status, "OWN" in seen, seen["K_REVISION"]) == (200, False, "hello-00001")
    (pod,) = engine.pods("ready")
    mine = [line for line in engine.lines if line.startswith(f"[{pod['name']}/side]")]
    for variable in ("OWN=side", "K_SERVICE=hello", f"HOSTNAME={pod['name']}"):
        assert f"[{pod['name']}/side] {variable}" in mine
    assert not any("] PORT=" in line for line in mine)


def test_init_containers_run_in_order_and_each_to_its_success(start: Start, tmp_path: Path) -> None:
    log, tries = tmp_path / "log", tmp_path / "tries"
    flaky = f"echo try >>{tries}; [ $(wc -l <{tries}) -ge 3 ] || exit 7; echo first >>{log}"
    engine = start(pod_of(before=[shell("first", flaky), shell("second", f"echo second >>{log}")]))
    engine.wait_pods(1, seconds=30)
    assert log.read_text().split() == ["first", "second"]
    assert tries.read_text().split() == ["try"] * 3
    assert engine.get("/hello?brief=1")[0] == 200
    (pod,) = engine.pods("ready")
    engine.wait_line(f"[{pod['name']}] listening")
    assert engine.output.index("/first] exited with 7; restart 1") < engine.output.index(f"[{pod['name']}] listening")


def test_a_pod_waits_for_an_init_container_that_fails(start: Start) -> None:
    engine = start(pod_of(before=[shell("first", "echo no database; exit 3")]))
    engine.wait(lambda: engine.pods("failed"), "a pod that is down")
    engine.wait(lambda: "first: exited with 3, next try" in str(engine.pods("failed")), "the reason")
    conditions = {one["type"]: one for one in engine.revision()["conditions"]}
    engine.wait(lambda: "no database" in str(engine.revision()["conditions"]), "the last line")
    assert conditions["Ready"]["status"] != "True"


def test_a_pod_is_ready_once_each_of_its_containers_is(start: Start, tmp_path: Path) -> None:
    port = free_port_number()
    sick = tmp_path / "sick"
    sick.touch()
    probe = {"httpGet": {"path": "/ready", "port": port}, "periodSeconds": 1, "failureThreshold": 1}
    side = {
        "name": "side",
        "command": ["sh", "-c", f"PORT={port} UNREADY={sick} exec python -S {POD_SERVER}"],
        "readinessProbe": probe,
    }
    engine = start(pod_of(side))
    engine.wait(lambda: "side: GET /ready answered 503" in str(engine.pods("pending")), "the sidecar's reason")
    sick.unlink()
    engine.wait_pods(1)
    assert engine.get("/hello?brief=1")[0] == 200
    sick.touch()
    engine.wait(lambda: engine.pods("pending"), "the pod is not ready any more")
    sick.unlink()
    engine.wait_pods(1)


def free_port_number() -> int:
    with free_port() as port:
        return port


def test_a_sidecar_that_crashes_is_restarted_and_the_program_goes_on(start: Start, tmp_path: Path) -> None:
    pids = tmp_path / "pids"
    engine = start(pod_of(shell("side", f"echo $$$$ >>{pids}; exec sleep 60")))
    engine.wait_pods(1)
    before = engine.pods("ready")[0]["pid"]
    engine.wait(lambda: pids.exists() and pids.read_text().endswith("\n"), "the sidecar")  # it has no probe to wait for
    os.kill(int(pids.read_text().split()[0]), signal.SIGKILL)
    engine.wait(lambda: len(pids.read_text().split()) == 2, "another sidecar")
    engine.wait_pods(1)
    (pod,) = engine.pods("ready")
    assert (pod["pid"], pod["restarts"]) == (before, 1)
    engine.wait_line(f"[{pod['name']}/side] killed by SIGKILL; restart 1")


def test_a_sidecar_without_probes_that_ends_is_down_until_its_next_start(start: Start) -> None:
    engine = start(pod_of(shell("side", "sleep 0.3; exit 4")))
    engine.wait(lambda: "side: exited with 4, next try in" in str(engine.pods("failed")), "its back-off")


def test_a_liveness_probe_restarts_the_sidecar_alone(start: Start, tmp_path: Path) -> None:
    alive = tmp_path / "alive"
    alive.touch()
    probe = {"exec": {"command": ["test", "-e", str(alive)]}, "periodSeconds": 1, "failureThreshold": 1}
    engine = start(pod_of(shell("side", "exec sleep 60", livenessProbe=probe)))
    engine.wait_pods(1)
    before = engine.pods("ready")[0]["pid"]
    alive.unlink()
    engine.wait(lambda: "/side] liveness probe failed 1 times: test exited with 1; killed" in engine.output, "a kill")
    alive.touch()
    engine.wait_pods(1)
    assert engine.pods("ready")[0]["pid"] == before


def test_all_containers_end_with_their_pod(start: Start, tmp_path: Path) -> None:
    begun, ended = tmp_path / "begun", tmp_path / "ended"
    script = f"trap 'echo side >>{ended}; exit 0' TERM; touch {begun}; while :; do sleep 0.05; done"
    engine = start(pod_of(shell("side", script)))
    engine.wait_pods(1)
    engine.wait(begun.exists, "the sidecar")
    assert engine.stop() == 0
    assert ended.read_text() == "side\n"


def grpc_pod(probe: dict[str, Any], **environment: str) -> dict[str, Any]:
    return service(
        command=["python", str(GRPC)],
        container={"ports": [{"name": "h2c", "containerPort": 8080}], "readinessProbe": probe},
        annotations=STEADY,
        environment=environment,
    )


def test_a_grpc_probe_asks_the_health_service(start: Start, tmp_path: Path) -> None:
    sick = tmp_path / "sick"
    sick.touch()
    probe = {"grpc": {"port": 8080, "service": "shop"}, "periodSeconds": 1, "failureThreshold": 1}
    engine = start(grpc_pod(probe, SERVICES="shop", SICK=str(sick)))
    engine.wait(lambda: "the service is NOT_SERVING" in str(engine.pods("pending")), "its state", 60)
    sick.unlink()
    engine.wait_pods(1)
    sick.touch()
    engine.wait(lambda: engine.pods("pending"), "the pod is not ready any more")


def test_a_grpc_probe_of_an_unknown_service_says_so(start: Start) -> None:
    engine = start(grpc_pod({"grpc": {"port": 8080, "service": "n" * 200}}, SERVICES="shop"))
    words = f"the health check failed: unknown service {'n' * 200}"
    engine.wait(lambda: words in str(engine.pods("pending")), "the reason", 60)


def test_a_grpc_probe_of_a_program_of_http1_says_so(start: Start) -> None:
    command = ["python", "-m", "http.server", "--protocol", "HTTP/1.1", "$(PORT)"]
    probe = {"readinessProbe": {"grpc": {"port": 8080}}}
    engine = start(service(command=command, container=probe, annotations=STEADY))
    engine.wait(lambda: "does not answer in HTTP/2" in str(engine.pods("pending")), "the reason")
