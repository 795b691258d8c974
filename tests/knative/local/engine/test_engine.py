"""The engine's promises, kept by real processes: from zero and back, crashes, rollouts, traffic, and a clean end."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import requests
import yaml

from knative.local.engine import serve as serving
from knative.local.engine.engine import Engine
from knative.local.manifests.resources import Manifests
from tests.engines import POD_SERVER, EngineProcess, run_async, service
from tests.servers import ROOT, clean_environment

QUICK = ("--window", "2s", "--grace", "1s")
Start = Callable[..., EngineProcess]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Engines that are ended after the test, and must end well."""
    engines: list[EngineProcess] = []

    def begin(*services: Any, arguments: tuple[str, ...] = (), whole_folder: bool = False) -> EngineProcess:
        engines.append(EngineProcess(tmp_path, *services, arguments=arguments, whole_folder=whole_folder))
        return engines[-1]

    yield begin
    for engine in engines:
        if engine.process.poll() is None:
            assert engine.stop() == 0
        engine.stop()


def one_after_another(folder: Path, go: Path) -> list[str]:
    """A command whose first process serves, while the others wait for a file."""
    wait = f"mkdir {folder}/first 2>/dev/null || while [ ! -e {go} ]; do sleep 0.05; done"
    return ["sh", "-c", f"{wait}; exec python -S {POD_SERVER}"]


def pod_processes(ledger_or_marker: str) -> list[int]:
    """Processes that carry a word in their environment."""
    found = []
    for entry in Path("/proc").iterdir():
        try:
            if entry.name.isdigit() and ledger_or_marker.encode() in (entry / "environ").read_bytes():
                found.append(int(entry.name))
        except OSError:
            continue
    return found


async def closed_loop(
    url: str, clients: int, seconds: float, *, pause: float = 0.0, body: bytes | None = None
) -> Counter[int]:
    """Clients that each send the next request when the last is answered; answers by status, 0 for none."""
    counts: Counter[int] = Counter()
    end = time.monotonic() + seconds

    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:

        async def client() -> None:
            while time.monotonic() < end:
                try:
                    async with session.post(url, data=body) as response:
                        await response.read()
                        counts[response.status] += 1
                except aiohttp.ClientError:
                    counts[0] += 1
                await asyncio.sleep(pause)

        await asyncio.gather(*(client() for _ in range(clients)))
    return counts


# From zero, and back


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


@pytest.mark.parametrize(("burst", "passed"), [("0", False), ("50", False), ("211", True)])
def test_the_activator_is_passed_where_the_pods_can_take_a_burst(start: Start, burst: str, passed: bool) -> None:
    engine = start(service(annotations={"min-scale": "2", "target-burst-capacity": burst}))
    engine.wait_pods(2)
    engine.wait(lambda: engine.revision()["decision"], "a decision")
    assert ("k-proxy-request" in json.loads(engine.get()[1])["headers"]) is passed


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


# Pods


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
    assert f"[{pod['name']}] no luck" in engine.output


def test_a_command_that_is_not_there_is_said(start: Start) -> None:
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


def test_a_null_byte_in_a_variable_is_said(start: Start) -> None:
    engine = start(service(environment={"A": "\0"}))
    engine.wait(lambda: "cannot start: embedded null byte" in engine.output, "reason")


def test_limits_hold_or_are_said_not_to(start: Start) -> None:
    container = {"resources": {"limits": {"cpu": "500m", "memory": "256Mi"}}}
    engine = start(service(container=container, annotations={"min-scale": "1"}))
    engine.wait_pods(1)
    groups = Path(f"/proc/{engine.pods()[0]['pid']}/cgroup").read_text()
    assert ("knative-local" in groups) != ("limits are not applied" in engine.output)


# Revisions and traffic


def test_a_changed_manifest_is_rolled_out_without_an_error(start: Start) -> None:
    engine = start(service(annotations={"min-scale": "1"}), arguments=("--watch", *QUICK))
    engine.wait_pods(1)

    async def drive() -> Counter[int]:
        # 50 requests a second from ten clients.
        load = asyncio.ensure_future(closed_loop(f"{engine.url}/hello?brief=1&sleep=0.02", 10, 4, pause=0.18))
        await asyncio.sleep(1)
        engine.write(service(annotations={"min-scale": "1"}, environment={"START_SECONDS": "0.5"}))
        return await load

    counts = run_async(drive())
    assert set(counts) == {200}
    assert json.loads(engine.get()[1])["environment"]["K_REVISION"] == "hello-00002"
    engine.wait(lambda: {pod["name"][:11] for pod in engine.pods()} == {"hello-00002"}, "new pods only", 30)


@pytest.mark.slow
def test_the_old_revision_serves_until_the_new_one_has_its_min_scale(start: Start, tmp_path: Path) -> None:
    engine = start(service(annotations={"min-scale": "2"}), arguments=QUICK)
    engine.wait_pods(2)
    go = tmp_path / "go"
    engine.write(service(annotations={"min-scale": "2"}, command=one_after_another(tmp_path, go)))
    engine.process.send_signal(signal.SIGHUP)
    engine.wait(lambda: engine.revision()["name"] == "hello-00002" and engine.revision()["ready"] == 1, "its first pod")
    time.sleep(1)  # far longer than a shift of traffic takes
    assert engine.revision(index=0)["ready"] == 2
    assert json.loads(engine.get()[1])["environment"]["K_REVISION"] == "hello-00001"
    # A third revision that never comes up does not hurry it.
    engine.write(service(annotations={"min-scale": "2"}, command=["false"]))
    engine.process.send_signal(signal.SIGHUP)
    engine.wait(lambda: "revision hello-00003" in engine.output, "third revision")
    time.sleep(1)
    assert engine.revision(index=1)["replicas"] == 2
    assert json.loads(engine.get()[1])["environment"]["K_REVISION"] == "hello-00001"
    go.touch()
    engine.wait(lambda: "hello-00002 is ready and gets 100 % of the traffic" in engine.output, "shift of the traffic")
    assert engine.revision(index=1)["ready"] == 2
    assert json.loads(engine.get()[1])["environment"]["K_REVISION"] == "hello-00002"


def test_a_rollout_moves_traffic_step_by_step(start: Start) -> None:
    def rolled(value: str) -> dict[str, Any]:
        made = service(annotations={"min-scale": "1"}, environment={"A": value})
        made["metadata"]["annotations"] = {"serving.knative.dev/rollout-duration": "4s"}
        return made

    engine = start(rolled("1"))
    engine.wait_pods(1)
    engine.write(rolled("2"))
    engine.process.send_signal(signal.SIGHUP)
    seen: list[tuple[int, ...]] = []

    def finished() -> bool:
        (described,) = engine.status()["services"]
        shares = tuple(target["percent"] for target in described["traffic"])
        if not seen or seen[-1] != shares:
            seen.append(shares)
            if len(shares) == 2:
                ready = next(one for one in described["conditions"] if one["type"] == "RoutesReady")
                assert (ready["status"], ready["reason"]) == ("Unknown", "RolloutInProgress")
        return described["latestReadyRevision"] == "hello-00002" and shares == (100,)

    engine.wait(finished, "the end of the rollout")
    assert seen[0] == (100,)
    assert set(seen[1:-1]) <= {(99, 1), (66, 34), (33, 67)}
    assert len(seen) >= 4
    assert json.loads(engine.get()[1])["environment"]["A"] == "2"


def test_a_revision_that_does_not_come_up_gets_no_traffic(start: Start) -> None:
    engine = start(service(annotations={"min-scale": "1"}))
    engine.wait_pods(1)
    engine.write(service(annotations={"min-scale": "1"}, command=["false"]))
    engine.process.send_signal(signal.SIGHUP)
    engine.wait(lambda: "revision hello-00002" in engine.output, "second revision")
    engine.wait(lambda: engine.pods("failed"), "failed pod")
    assert json.loads(engine.get()[1])["environment"]["K_REVISION"] == "hello-00001"


def test_a_bad_manifest_changes_nothing(start: Start) -> None:
    engine = start(service(annotations={"min-scale": "1"}))
    engine.write(service(annotations={"min-scale": "-1"}))
    engine.process.send_signal(signal.SIGHUP)
    engine.wait(lambda: "not applied" in engine.output, "refusal")
    assert engine.get()[0] == 200


def test_a_secret_that_nothing_refers_to_does_no_harm_and_one_that_is_wrong_is_said(start: Start) -> None:
    secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s"}, "data": {"key": "/w8P/w=="}}
    engine = start(service(), secret, arguments=("--watch", "--initial-scale", "0"))
    asks = {"env": [{"name": "A", "valueFrom": {"secretKeyRef": {"name": "s", "key": "key"}}}]}
    engine.write(service(container=asks), secret)
    words = "[hello-00002] not ready: CreateContainerConfigError: Secret s: the value of key is binary"
    engine.wait(lambda: words in engine.output, "the reason")
    assert engine.get("/hello?brief=1")[0] == 200  # the first revision serves
    engine.write(service(container=asks), {**secret, "data": {"key": "ZmluZQ=="}})
    engine.wait(lambda: "hello-00002 is ready and gets 100 % of the traffic" in engine.output, "second revision")
    assert json.loads(engine.get()[1])["environment"]["A"] == "fine"


def test_a_changed_config_map_makes_no_revision_and_new_pods_have_it(start: Start) -> None:
    def values(text: str) -> dict[str, Any]:
        return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c"}, "data": {"key": text}}

    reads = {"env": [{"name": "A", "valueFrom": {"configMapKeyRef": {"name": "c", "key": "key"}}}]}
    engine = start(service(container=reads), values("old"), arguments=("--min-scale", "1"))
    engine.wait_pods(1)
    engine.write(service(container=reads), values("new"))
    engine.process.send_signal(signal.SIGHUP)
    engine.wait(
        lambda: "pods of hello-00001 that start from now on have the changed variables" in engine.output, "word"
    )
    assert json.loads(engine.get()[1])["environment"]["A"] == "old"
    os.kill(engine.pods()[0]["pid"], signal.SIGTERM)
    engine.wait(lambda: engine.pods() and json.loads(engine.get()[1])["environment"]["A"] == "new", "the new value")
    assert [one["name"] for one in engine.status()["services"][0]["revisions"]] == ["hello-00001"]


def test_what_the_engine_itself_does_wrong_ends_no_watch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []

    async def follow() -> None:
        engine = Engine(str(tmp_path), say=said.append)
        mended = asyncio.Event()

        def apply(manifests: Manifests, code: str = "") -> list[str]:
            if not said:
                raise KeyError("name")
            mended.set()
            return ["mended"]

        monkeypatch.setattr(engine, "apply", apply)
        reload = asyncio.Event()
        follower = asyncio.ensure_future(serving._follow(engine, [], reload, (), watch=False))
        for done in (lambda: said == ["not applied: KeyError: 'name'"], mended.is_set):
            reload.set()
            async with asyncio.timeout(10):
                while not done():
                    await asyncio.sleep(0.01)
        follower.cancel()
        await engine.stop()

    run_async(follow())
    assert said[-1] == "mended"


def test_a_watched_folder_is_seen_to_gain_a_manifest_and_one_that_was_refused_to_be_mended(start: Start) -> None:
    engine = start(service(), arguments=("--watch", "--initial-scale", "0"), whole_folder=True)
    later = engine.manifest.with_name("later.yaml")
    later.write_text(yaml.safe_dump(service("later", annotations={"min-scale": "-1"})))
    engine.wait(lambda: "not applied" in engine.output, "refusal")
    assert "later" not in {each["name"] for each in engine.status()["services"]}
    later.write_text(yaml.safe_dump(service("later")))
    engine.wait(lambda: "later" in {each["name"] for each in engine.status()["services"]}, "the later Service")
    assert engine.get("/later?brief=1")[0] == 200


def test_traffic_is_split_by_percent_and_by_tag(start: Start) -> None:
    engine = start(service(annotations={"min-scale": "1"}, revision="hello-one"))
    engine.wait_pods(1)
    traffic = [
        {"revisionName": "hello-one", "percent": 70, "tag": "old"},
        {"revisionName": "hello-two", "percent": 30},
        {"latestRevision": True, "percent": 0, "tag": "new"},
    ]
    engine.write(service(annotations={"min-scale": "1"}, revision="hello-two", environment={"A": "B"}, traffic=traffic))
    engine.process.send_signal(signal.SIGHUP)
    engine.wait_pods(2)

    def revision(host: str) -> str:
        return str(json.loads(engine.get("/", host)[1])["environment"]["K_REVISION"])

    engine.wait(lambda: engine.get("/", "new-hello.default.localhost")[0] == 200, "tag's host")
    assert revision("old-hello.default.localhost") == "hello-one"
    assert revision("new-hello.default.localhost") == "hello-two"
    counts = Counter(revision("hello.default.localhost") for _ in range(300))
    # Six standard deviations of the binomial: one failure in a billion.
    assert 40 < counts["hello-two"] < 140


def test_traffic_for_a_revision_that_is_not_there_leaves_the_routing_as_it_was(start: Start) -> None:
    nowhere = [{"latestRevision": True, "percent": 90}, {"revisionName": "hello-00009", "percent": 10, "tag": "old"}]
    engine = start(service(annotations={"min-scale": "1"}), service("fresh", traffic=nowhere))
    engine.wait_pods(1)
    nothing = 'fresh: RevisionMissing: Revision "hello-00009" referenced in traffic not found.: there is no traffic yet'
    engine.wait(lambda: nothing in engine.output, "the reason")
    for _ in range(20):  # its revision is started, and becomes ready meanwhile
        assert engine.get("/fresh") == (503, b"no revision of fresh takes this request\n")
    engine.write(service(annotations={"min-scale": "1"}, environment={"A": "B"}, traffic=nowhere), service("fresh"))
    engine.process.send_signal(signal.SIGHUP)
    engine.wait(lambda: "hello-00002 is ready" in engine.output, "second revision")
    stays = (
        'hello: RevisionMissing: Revision "hello-00009" referenced in traffic not found.: the traffic stays as it was'
    )
    engine.wait(lambda: stays in engine.output, "the reason")
    assert {json.loads(engine.get()[1])["environment"]["K_REVISION"] for _ in range(20)} == {"hello-00001"}
    assert engine.get("/fresh")[0] == 200
    engine.write(service(annotations={"min-scale": "1"}, environment={"A": "B"}), service("fresh"))
    engine.process.send_signal(signal.SIGHUP)
    engine.wait(
        lambda: json.loads(engine.get()[1])["environment"]["K_REVISION"] == "hello-00002", "routing to the new revision"
    )


def test_a_template_that_has_changed_under_its_name_is_refused_and_nothing_is_applied(start: Start) -> None:
    def named(revision: str, value: str) -> dict[str, Any]:
        return service(annotations={"min-scale": "1"}, revision=revision, environment={"A": value})

    ready = "hello-one is ready and gets 100 % of the traffic"
    engine = start(named("hello-one", "1"))
    engine.wait(lambda: ready in engine.output, "first revision")
    engine.write(named("hello-one", "2"), service("other"))
    engine.process.send_signal(signal.SIGHUP)
    words = (
        "validation failed: Saw the following changes without a name change (-old +new): spec.template.metadata.name"
    )
    engine.wait(lambda: f"not applied: Service hello: {DENIED} {words}" in engine.output, "refusal")
    engine.wait(lambda: re.search(r'\+: .*"name": "A", "value": "2"', engine.output), "the change")
    assert [each["name"] for each in engine.status()["services"]] == ["hello"]
    engine.write(named("hello-two", "2"))
    engine.process.send_signal(signal.SIGHUP)
    engine.wait(lambda: "hello-two is ready" in engine.output, "second revision")
    engine.write(named("hello-one", "3"))
    engine.process.send_signal(signal.SIGHUP)
    engine.wait(lambda: 'revisions.serving.knative.dev "hello-one" already exists' in engine.output, "refusal")
    engine.write(named("hello-one", "1"))  # back to what it was
    engine.process.send_signal(signal.SIGHUP)
    engine.wait(lambda: engine.output.count(ready) == 2, "first revision again")
    assert json.loads(engine.get()[1])["environment"]["A"] == "1"


def test_changed_code_under_a_revision_s_name_is_said_and_no_change(start: Start) -> None:
    engine = start(service(revision="hello-one"), arguments=("--watch", "--initial-scale", "0"))
    (engine.manifest.parent / "code.py").write_text("")
    engine.wait(lambda: "nothing has changed" in engine.output, "second look")
    assert "hello: the code has changed, and hello-one keeps its own: rename the revision" in engine.output


@pytest.mark.slow
def test_a_changed_config_autoscaler_holds_for_revisions_that_run(start: Start) -> None:
    def config(**data: str) -> dict[str, Any]:
        metadata = {"name": "config-autoscaler", "namespace": "knative-serving"}
        named = {key.replace("_", "-"): value for key, value in data.items()}
        return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": named}

    engine = start(service(), config(min_scale="1"), arguments=("--grace", "1s"))
    engine.wait_pods(1)
    assert engine.get()[0] == 200  # which the window of 60 s would remember for so long
    engine.write(service(), config(min_scale="3", stable_window="6s"))
    engine.process.send_signal(signal.SIGHUP)
    engine.wait_pods(3)
    assert "hello: scaling of hello-00001" in engine.output
    assert engine.revision()["window"] == 6
    engine.write(service(), config(stable_window="6s", container_concurrency_target_default="10"))
    engine.process.send_signal(signal.SIGHUP)
    engine.wait(lambda: "target 7 " in str(engine.revision()["decision"]), "decision by the new target")
    engine.wait(lambda: not engine.revision()["pods"], "zero pods")


DENIED = 'admission webhook "validation.webhook.serving.knative.dev" denied the request:'

# The end


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_lets_requests_finish_and_leaves_nothing(start: Start, number: int) -> None:
    engine = start(service(annotations={"min-scale": "2"}, environment={"MARKER": "clean-end"}))
    engine.wait_pods(2)

    async def drive() -> int:
        async with aiohttp.ClientSession() as session:
            request = asyncio.ensure_future(session.get(f"{engine.url}/hello?sleep=1"))
            await asyncio.sleep(0.3)
            engine.process.send_signal(number)
            async with await request as response:
                return response.status

    assert run_async(drive()) == 200
    assert engine.stop() == 0
    assert pod_processes("MARKER=clean-end") == []


@pytest.mark.slow
@pytest.mark.parametrize("change", ["another revision", "removed"])
def test_a_signal_lets_even_requests_on_a_draining_pod_finish(start: Start, change: str) -> None:
    # A request on each of two pods; by its rate of requests the revision needs one.
    scaling = {"min-scale": "2", "metric": "rps"}
    engine = start(service(concurrency=1, annotations=scaling), service("other"))
    engine.wait_pods(2)
    removed = change == "removed"

    async def drive() -> list[int]:
        async with aiohttp.ClientSession() as session:

            async def one() -> int:
                async with session.get(f"{engine.url}/hello?sleep=4") as response:
                    return response.status

            requests = [asyncio.ensure_future(one()) for _ in range(2)]
            await asyncio.sleep(0.3)
            later = [] if removed else [service(concurrency=1, annotations=scaling, environment={"A": "B"})]
            engine.write(*later, service("other"))
            engine.process.send_signal(signal.SIGHUP)
            done = (lambda: "hello: removed" in engine.output) if removed else (lambda: engine.pods("draining"))
            await asyncio.to_thread(engine.wait, done, "draining pod")
            engine.process.send_signal(signal.SIGTERM)
            return await asyncio.gather(*requests)

    assert run_async(drive()) == [200, 200]
    assert engine.stop() == 0


def test_a_request_that_waits_for_a_service_which_is_removed_is_told_so(start: Start) -> None:
    engine = start(service(environment={"START_SECONDS": "60"}), service("other"))

    async def drive() -> tuple[int, str]:
        async with aiohttp.ClientSession() as session:
            request = asyncio.ensure_future(session.get(f"{engine.url}/hello"))
            await asyncio.sleep(0.3)
            engine.write(service("other"))
            engine.process.send_signal(signal.SIGHUP)
            async with await request as response:
                return response.status, await response.text()

    assert run_async(drive()) == (503, "the Service hello was removed\n")


def test_what_fails_at_the_end_is_said_and_all_else_ends(tmp_path: Path) -> None:
    said: list[str] = []
    ended: list[str] = []

    async def fails(_: float) -> None:
        raise OSError("the disk is full")

    async def takes_its_time(_: float) -> None:
        await asyncio.sleep(0.2)
        ended.append("the other")

    async def run() -> None:
        with socket.create_server(("127.0.0.1", 0)) as sock:
            engine = Engine(str(tmp_path), say=said.append)
            engine.on_stop += [fails, takes_its_time]
            await engine.start(sock)
            stray = subprocess.Popen(["sleep", "300"], env=dict(engine.environment), start_new_session=True)
            await engine.stop()
        assert stray.wait(10) == -signal.SIGKILL, "the warden has swept"
        with pytest.raises(ConnectionRefusedError):
            await asyncio.open_connection("127.0.0.1", engine.port)

    run_async(run())
    assert said == ["while stopping: OSError: the disk is full"]
    assert ended == ["the other"]


def test_a_pod_is_hung_up_on_before_it_is_ended(start: Start, tmp_path: Path) -> None:
    """So that no server waits for its clients: gunicorn has two seconds' patience with a connection that is kept."""
    told = tmp_path / "told"
    engine = start(service(annotations={"min-scale": "1"}, environment={"AT_THE_END": str(told)}))
    engine.wait_pods(1)
    assert engine.get("/hello")[0] == 200
    assert engine.stop() == 0
    assert told.read_text() == "0"


def test_even_a_killed_engine_leaves_nothing(start: Start) -> None:
    # The pod has a child in a session of its own, which no signal to the pod's group reaches.
    command = ["sh", "-c", f"setsid sleep 300 & exec python -S {POD_SERVER}"]
    engine = start(service(command=command, annotations={"min-scale": "2"}, environment={"MARKER": "hard-end"}))
    engine.wait_pods(2)
    assert len(pod_processes("MARKER=hard-end")) == 4
    engine.process.kill()
    engine.process.wait()
    deadline = time.monotonic() + 10
    while pod_processes("MARKER=hard-end"):
        assert time.monotonic() < deadline
        time.sleep(0.05)


def serve(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "knative", "serve", *arguments],
        cwd=ROOT,
        env=clean_environment(),
        capture_output=True,
        text=True,
        timeout=30,
    )


def test_a_busy_port_is_one_line(start: Start) -> None:
    engine = start(service())
    ended = serve(str(engine.manifest), "--port", str(engine.port))
    assert ended.returncode == 1
    assert ended.stderr == f"cannot listen on 127.0.0.1:{engine.port}: Address already in use\n"


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("kind: [", "services.yaml:2"),
        ("apiVersion: serving.knative.dev/v1\nkind: Service\nmetadata: {name: UPPER}\n", "services.yaml"),
        ("", "no Knative Service"),
        (yaml.safe_dump({**service(), "metadata": {"generateName": "hello-"}}), "generateName"),
    ],
)
def test_a_bad_manifest_is_said_and_nothing_starts(tmp_path: Path, text: str, word: str) -> None:
    manifest = tmp_path / "services.yaml"
    manifest.write_text(text)
    ended = serve(str(manifest), "--port", "0", "--api", "off")
    assert ended.returncode == 2
    assert word in ended.stderr
    assert "Traceback" not in ended.stderr


def test_a_working_directory_that_is_not_there_is_said_and_nothing_starts(tmp_path: Path) -> None:
    manifest = tmp_path / "services.yaml"
    manifest.write_text(yaml.safe_dump(service()))
    ended = serve(str(manifest), "--port", "0", "--workdir", str(tmp_path / "typo"))
    assert ended.returncode == 2
    assert ended.stderr == f"--workdir: {tmp_path / 'typo'} is not a folder\n"


# The whole load


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_hundred_thousand_requests_none_lost_none_doubled(start: Start, tmp_path: Path) -> None:
    ledger = tmp_path / "ledger"
    engine = start(
        service(concurrency=10, annotations={"max-scale": "4"}, environment={"LEDGER": str(ledger)}),
        arguments=("--initial-scale", "0", "--window", "6s"),
    )
    total = 100_000

    async def drive() -> Counter[str]:
        got: Counter[str] = Counter()
        numbers = iter(range(total))
        async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:

            async def one(number: int) -> None:
                async with session.get(f"{engine.url}/hello?brief=1&id=r{number}") as response:
                    assert response.status == 200
                    assert (await response.json())["id"] == f"r{number}"
                    got[f"r{number}"] += 1

            async def client() -> None:
                for number in numbers:
                    await one(number)

            await asyncio.gather(*(one(next(numbers)) for _ in range(200)))
            await asyncio.gather(*(client() for _ in range(40)))
        return got

    got = run_async(drive())
    assert len(got) == total
    assert set(got.values()) == {1}
    assert Counter(ledger.read_text().split()) == got


@pytest.mark.slow
def test_overload_is_answered_200_or_503_and_passes(start: Start) -> None:
    # Work of 20 ms that excludes other work: one pod of concurrency 4 answers 50 a second, however it is asked.
    engine = start(
        service(
            concurrency=4,
            annotations={"max-scale": "1", "min-scale": "1", "target-burst-capacity": "0"},
            environment={"WORK_SECONDS": "0.02"},
        )
    )
    engine.wait_pods(1)
    url = f"{engine.url}/hello?brief=1&work=1"
    peak = run_async(closed_loop(url, 4, 5))[200]
    over = run_async(closed_loop(url, 120, 5, pause=0.05))
    assert set(over) == {200, 503}
    assert over[200] >= 0.9 * peak
    after = run_async(closed_loop(url, 4, 2))
    assert set(after) == {200}
