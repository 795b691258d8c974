"""Scenarios on a cluster: an API whose Services a real engine runs, with its pods, a node and an ingress."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import sys
import threading
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from knative.local.arguments import EXIT_MISTAKE
from loadtest.__main__ import main
from loadtest.cluster import cores, on_a_cluster
from loadtest.lab import Place, service
from loadtest.observe.kubernetes import Access
from tests.engines import EngineProcess
from tests.loadtest.cluster import ServedByAnEngine, serving

CONFIG = {
    "apiVersion": "v1",
    "kind": "Config",
    "current-context": "here",
    "contexts": [{"name": "here", "context": {"cluster": "c", "namespace": "default"}}],
}


@pytest.fixture
def cluster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[ServedByAnEngine, str]]:
    """A cluster by its API, and the URL of its ingress; $KUBECONFIG leads to it."""
    first = service(annotations={"window": "6s", "max_scale": "8", "target_utilization_percentage": "70"})
    container = first["spec"]["template"]["spec"]["containers"][0]
    container |= {"command": [sys.executable, "-m", "functions.kit.server"], "args": ["stress"]}
    engine = EngineProcess(tmp_path, first, arguments=("--grace", "5s"), api=True)

    async def status() -> dict[str, Any]:
        def read() -> Any:
            with urllib.request.urlopen(f"{engine.url}/_knative/status", timeout=5) as answer:
                return json.load(answer)

        return await asyncio.to_thread(read)

    api = ServedByAnEngine(status=status)
    ready, stop, urls = threading.Event(), threading.Event(), []

    async def serve() -> None:
        async with serving(api) as url:
            urls.append(url)
            ready.set()
            await asyncio.to_thread(stop.wait)

    thread = threading.Thread(target=lambda: asyncio.run(serve()))
    thread.start()
    ready.wait(10)
    config = {**CONFIG, "clusters": [{"name": "c", "cluster": {"server": urls[0]}}]}
    (tmp_path / "kubeconfig").write_text(yaml.safe_dump(config))
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "kubeconfig"))
    try:
        yield api, engine.url
    finally:
        stop.set()
        thread.join()
        engine.stop()


def played(arguments: list[str], folder: Path) -> tuple[int, dict[str, Any]]:
    status = main([*arguments, "--out", str(folder)])
    (scenario,) = json.loads((folder / "verdict.json").read_text())["scenarios"]
    return status, scenario


@pytest.mark.slow
@pytest.mark.timeout(240)
def test_step_on_a_cluster_states_its_path_and_what_it_did_not_check(
    cluster: tuple[ServedByAnEngine, str], tmp_path: Path
) -> None:
    api, ingress = cluster
    _, scenario = played(["step", "--cluster", "--ingress", ingress], tmp_path / "out")
    assert scenario["invalid"] == []
    names = {check["name"] for check in scenario["checks"]}
    assert {"requests failed", "pods desired at 40 clients", "time to scale to 40 clients"} <= names
    assert scenario["requests"] > 100
    assert scenario["failed"] == {}
    assert scenario["path"].startswith(f"ingress {ingress} (Host: load.default.localhost) → the activator → ")
    assert any(one.startswith("requests worked on twice") for one in scenario["unchecked"])
    assert api.applied[0]["metadata"]["namespace"] == "default"


@pytest.mark.slow
@pytest.mark.timeout(240)
def test_the_engine_is_a_cluster_by_its_own_api(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Over TLS with the kubeconfig that the engine writes: apply, observe, delete; what it does not serve is named."""
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    other = {**service(), "metadata": {"name": "other"}}
    other["spec"]["template"]["spec"]["containers"][0]["args"] = []
    engine = EngineProcess(
        tmp_path, other, arguments=("--state", str(tmp_path / "state"), "--grace", "5s"), api=True, PATH=path
    )
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "state" / "kubeconfig"))
    try:
        _, scenario = played(["slow", "--cluster", "--ingress", engine.url], tmp_path / "out")
        names = {one["name"] for one in engine.status()["services"]}
    finally:
        assert engine.stop() == 0
    assert scenario["invalid"] == []
    assert (scenario["failed"], scenario["most_pods"]) == ({}, 2)
    assert scenario["path"].endswith("2 pods by X-Pod-Name")
    assert names == {"other"}, "the Service of the run is deleted"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        ({"usage": "1980m"}, "node n1 used more than 95% of its CPU in "),
        ({"unschedulable": True}, "a pod fitted on no node: 0/1 nodes are available: 1 Insufficient cpu."),
    ],
)
@pytest.mark.timeout(180)
def test_a_node_without_room_makes_a_run_invalid(
    cluster: tuple[ServedByAnEngine, str], tmp_path: Path, fault: dict[str, Any], reason: str
) -> None:
    api, ingress = cluster
    for name, value in fault.items():
        setattr(api, name, value)
    status, scenario = played(["slow", "--cluster", "--ingress", ingress], tmp_path / "out")
    assert status == 1
    assert scenario["verdict"] == "INVALID"
    assert any(one.startswith(reason) for one in scenario["invalid"])


def test_what_cannot_be_read_is_named_and_a_service_that_is_not_ready_is_invalid(tmp_path: Path) -> None:
    from loadtest.scenarios import play
    from loadtest.verdict import thresholds

    place = Place(Access(server="http://127.0.0.1:9"), "default", "http://127.0.0.1:9")
    run, verdict = asyncio.run(play("slow", tmp_path, thresholds("slow"), place))
    assert verdict.word == "INVALID"
    assert verdict.invalid[0].startswith("http://127.0.0.1:9: ")
    assert run.requests == []


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--cluster"], "--cluster needs --ingress"),
        (["--ingress", "http://10.0.0.1"], "belong to --cluster"),
        (["--cluster", "--ingress", "ftp://10.0.0.1"], "not an http or https URL"),
        (["--cluster", "elsewhere", "--ingress", "10.0.0.1"], "elsewhere"),
        (["photos", "--cluster", "--ingress", "10.0.0.1"], "no scenario photos on a cluster"),
    ],
)
def test_mistakes(
    arguments: list[str], said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "k").write_text(
        yaml.safe_dump({**CONFIG, "clusters": [{"name": "c", "cluster": {"server": "http://h"}}]})
    )
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "k"))
    status = None
    with contextlib.suppress(SystemExit):
        status = main([*arguments, "--out", str(tmp_path / "out")])
    assert status in {None, EXIT_MISTAKE}
    assert said in capsys.readouterr().err


def test_the_service_has_the_image_and_its_command() -> None:
    place = Place(Access(server="http://h"), "load-tests", "http://h", "registry.example.com/stress:1")
    made = on_a_cluster(service(), place)
    (container,) = made["spec"]["template"]["spec"]["containers"]
    assert (container["image"], container["args"]) == ("registry.example.com/stress:1", ["stress"])
    assert (made["metadata"]["namespace"], made["metadata"]["name"]) == ("load-tests", "load")


def test_cpu_quantities() -> None:
    found = [cores(text) for text in ("2", "250m", "1937524n", "5u", "0.5")]
    assert found == pytest.approx([2.0, 0.25, 0.001937524, 5e-06, 0.5])
