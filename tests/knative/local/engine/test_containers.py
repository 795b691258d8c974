"""Pods as containers: what a manifest says of its container holds, and nothing is left of them."""

from __future__ import annotations

import json
import signal
import time
import uuid
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from tests.engines import EngineProcess, service
from tests.knative.local import containers

REASON = containers.unavailable()
pytestmark = [pytest.mark.skipif(bool(REASON), reason=f"no containers: {REASON}")]
RUN = uuid.uuid4().hex[:6]
IMAGE = f"localhost/pixelamp-test-{RUN}:1"
AS_USER = f"localhost/pixelamp-test-{RUN}:user"


@pytest.fixture(scope="module", autouse=True)
def images(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    containers.build(tmp_path_factory.mktemp("image"), IMAGE)
    containers.build(tmp_path_factory.mktemp("image"), AS_USER, user="1234")
    yield
    containers.remove(IMAGE, AS_USER)


def imaged(name: str, image: str = IMAGE, *, annotations: dict[str, str] | None = None, **more: Any) -> dict[str, Any]:
    """A Service of an image, without a command."""
    made = service(f"{name}-{RUN}", annotations=annotations or {"min-scale": "1"}, **more)
    container = made["spec"]["template"]["spec"]["containers"][0]
    container["image"] = image
    if not (more.get("container") or {}).get("command"):
        del container["command"]
    return made


def held(kind: str, name: str, **data: str) -> dict[str, Any]:
    field = "stringData" if kind == "Secret" else "data"
    return {"apiVersion": "v1", "kind": kind, "metadata": {"name": name}, field: data}


FEATURES = {
    "apiVersion": "v1",
    "kind": "ConfigMap",
    "metadata": {"name": "config-features", "namespace": "knative-serving"},
    "data": {"kubernetes.podspec-init-containers": "enabled", "multi-container-probing": "enabled"},
}


def several() -> dict[str, Any]:
    """A Service of three containers that share a network and two directories, one of them in memory."""
    mounts = [{"name": "shared", "mountPath": "/shared"}, {"name": "memory", "mountPath": "/scratch"}]
    made = imaged("several", container={"ports": [{"containerPort": 8080}], "volumeMounts": mounts})
    spec = made["spec"]["template"]["spec"]
    script = "echo side $SIDE >/shared/side; exec /bin/busybox httpd -f -p 9200 -h /www"
    side = {"name": "side", "image": IMAGE, "command": ["/bin/busybox", "sh", "-c", script], "volumeMounts": mounts}
    side |= {"env": [{"name": "SIDE", "value": "beside"}], "readinessProbe": {"tcpSocket": {"port": 9200}}}
    script = "echo before >>/shared/before; echo memory >/scratch/file"
    before = {"name": "first", "image": IMAGE, "command": ["/bin/busybox", "sh", "-c", script], "volumeMounts": mounts}
    spec["containers"] = [side, *spec["containers"]]
    spec["initContainers"] = [before]
    spec["volumes"] = [{"name": "shared", "emptyDir": {}}, {"name": "memory", "emptyDir": {"medium": "Memory"}}]
    return made


VOLUMES = [
    {"name": "config", "configMap": {"name": "c"}},
    {"name": "secret", "secret": {"secretName": "s"}},
    {
        "name": "all",
        "projected": {"sources": [{"configMap": {"name": "c", "items": [{"key": "key", "path": "renamed"}]}}]},
    },
    {"name": "scratch", "emptyDir": {}},
]
MOUNTS = [
    {"name": "config", "mountPath": "/etc/config"},
    {"name": "secret", "mountPath": "/etc/secret"},
    {"name": "all", "mountPath": "/etc/all"},
    {"name": "scratch", "mountPath": "/scratch"},
]
SEND = """
trap "exit 0" TERM
http_proxy= /bin/busybox wget -qO- --header "ce-specversion: 1.0" --header "ce-id: of a container" \
  --header "ce-source: /s" --header "ce-type: tick" --post-data "" "$K_SINK" && echo "sent to $K_SINK"
while :; do /bin/busybox sleep 1; done
"""
SERVICES = [
    imaged("elsewhere", container={"readinessProbe": {"httpGet": {"path": "/cgi-bin/answer", "port": 9100}}}),
    imaged("plain", environment={"A": "a b", "B": "line\nbreak", "PATH": "/bin"}),
    imaged(
        "strict",
        container={
            "ports": [{"containerPort": 9000}],
            "args": ["given", "$(PORT)"],
            "workingDir": "/work",
            "securityContext": {
                "runAsUser": 4321,
                "runAsGroup": 8765,
                "runAsNonRoot": True,
                "readOnlyRootFilesystem": True,
                "allowPrivilegeEscalation": False,
                "capabilities": {"drop": ["ALL"]},
                "seccompProfile": {"type": "RuntimeDefault"},
            },
            "resources": {"limits": {"memory": "64Mi", "cpu": "500m"}},
            "volumeMounts": MOUNTS,
            "readinessProbe": {"httpGet": {"path": "/cgi-bin/answer"}},
            "startupProbe": {"tcpSocket": {"port": 9100}, "periodSeconds": 1, "failureThreshold": 60},
            "livenessProbe": {"exec": {"command": ["/bin/busybox", "true"]}},
        },
        spec={"volumes": VOLUMES},
    ),
    imaged("command", container={"command": ["/opt/busybox-here", "sh", "/serve"], "args": ["mine"]}),
    imaged("user", AS_USER, container={"securityContext": {"runAsNonRoot": True}}),
    imaged("root", container={"securityContext": {"runAsNonRoot": True}}),
    imaged("missing", f"localhost/pixelamp-test-{RUN}:none", container={"imagePullPolicy": "Never"}),
    imaged("crash", environment={"CRASH": "1"}),
    several(),
    imaged("hidden", labels={"networking.knative.dev/visibility": "cluster-local"}, annotations={"window": "6s"}),
    FEATURES,
    imaged("stray", environment={"FIXED": "7000"}),
    service("process", annotations={"min-scale": "1"}),
    {"apiVersion": "eventing.knative.dev/v1", "kind": "Broker", "metadata": {"name": "b"}},
    {
        "apiVersion": "sources.knative.dev/v1",
        "kind": "SinkBinding",
        "metadata": {"name": "bound"},
        "spec": {
            "subject": {"apiVersion": "serving.knative.dev/v1", "kind": "Service", "name": f"plain-{RUN}"},
            "sink": {"ref": {"apiVersion": "eventing.knative.dev/v1", "kind": "Broker", "name": "b"}},
        },
    },
    {
        "apiVersion": "sources.knative.dev/v1",
        "kind": "ContainerSource",
        "metadata": {"name": f"source-{RUN}"},
        "spec": {
            "sink": {"ref": {"apiVersion": "eventing.knative.dev/v1", "kind": "Broker", "name": "b"}},
            "template": {
                "spec": {"containers": [{"image": IMAGE, "command": ["/opt/busybox-here", "sh", "-c", SEND]}]}
            },
        },
    },
    held("ConfigMap", "c", key="of the ConfigMap"),
    held("Secret", "s", key="of the Secret"),
]


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EngineProcess]:
    running = EngineProcess(tmp_path_factory.mktemp("containers"), *SERVICES)
    yield running
    assert running.stop() == 0
    assert containers.running(RUN) == []


def ask(engine: EngineProcess, name: str, query: str = "") -> str:
    status, body = engine.get(f"/cgi-bin/answer?{query}", f"{name}-{RUN}.default.localhost", timeout=60)
    assert status == 200, body
    return body.decode().strip()


def ready(engine: EngineProcess, name: str) -> tuple[str, str, str]:
    for condition in engine.revision(f"{name}-{RUN}")["conditions"]:
        if condition["type"] == "Ready":
            return condition["status"], condition.get("reason", ""), condition.get("message", "")
    raise AssertionError("no Ready condition")


def test_an_image_without_a_command_is_served(engine: EngineProcess) -> None:
    assert ask(engine, "plain").startswith(f"hello from plain-{RUN}-00001-deployment-")
    assert ask(engine, "plain", "arguments") == "from the image in /"
    assert engine.get("/process?brief=1")[0] == 200


def test_a_container_has_the_manifest_s_variables_and_none_of_this_machine_s(engine: EngineProcess) -> None:
    lines = ask(engine, "plain", "env")
    found = dict(line.split("=", 1) for line in lines.splitlines() if "=" in line)
    assert (found["A"], found["PORT"], found["K_SERVICE"]) == ("a b", "8080", f"plain-{RUN}")
    assert found["K_REVISION"] == f"plain-{RUN}-00001"
    assert "B=line\nbreak" in lines
    assert found["PATH"] == "/bin"
    assert not {"VIRTUAL_ENV", "USER", "PYTHONUNBUFFERED"} & set(found)


def test_user_root_capabilities_directory_and_arguments_are_the_manifest_s(engine: EngineProcess) -> None:
    assert ask(engine, "strict", "id") == "4321:8765"
    assert ask(engine, "strict", "write") == "read-only"
    capabilities = dict(line.split(":\t") for line in ask(engine, "strict", "caps").splitlines())
    assert int(capabilities["CapEff"], 16) == 0
    assert capabilities["NoNewPrivs"] == "1"
    assert ask(engine, "strict", "arguments") == "given 9000 in /work"
    assert ask(engine, "command", "arguments") == "mine in /"


def test_probes_of_another_port_ask_that_port(engine: EngineProcess) -> None:
    assert ask(engine, "elsewhere").startswith("hello from")


def test_volumes_are_there(engine: EngineProcess) -> None:
    assert ask(engine, "strict", "config").split("of the ") == ["", "ConfigMap", "Secret", "ConfigMap"]
    assert ask(engine, "strict", "scratch") == "kept"


def test_run_as_non_root_is_judged_by_the_image(engine: EngineProcess) -> None:
    assert ask(engine, "user", "id").startswith("1234:")
    engine.wait(lambda: ready(engine, "root")[0] == "False", "the reason")
    message = "container has runAsNonRoot and image will run as root"
    assert ready(engine, "root") == ("False", "CreateContainerConfigError", message)


def test_reasons_of_containers_that_do_not_run(engine: EngineProcess) -> None:
    engine.wait(lambda: ready(engine, "missing")[0] == "False", "the reason")
    message = f'Container image "localhost/pixelamp-test-{RUN}:none" is not present'
    assert ready(engine, "missing") == ("False", "ErrImageNeverPull", message)
    failed = ("False", "ExitCode3", "Container failed with: boom: no database")
    engine.wait(lambda: ready(engine, "crash") == failed, "the reason")
    words = "listens on 7000 and not on PORT=8080; make it listen on $PORT or name the port as containerPort"
    engine.wait(lambda: words in engine.output, "the reason")


def test_a_container_that_is_killed_is_started_again(engine: EngineProcess) -> None:
    (pod,) = engine.pods(name=f"plain-{RUN}")
    containers.kill(pod["name"])
    engine.wait(lambda: [one["restarts"] for one in engine.pods(name=f"plain-{RUN}")] == [1], "the restart")
    assert ask(engine, "plain").startswith("hello from")
    engine.wait(lambda: "killed" in engine.output or "exited with 137" in engine.output, "word of it")


def test_from_zero_and_back_with_a_clean_end(tmp_path: Path) -> None:
    engine = EngineProcess(
        tmp_path,
        imaged("zero", concurrency=5, annotations={"max-scale": "3", "target-utilization-percentage": "100"}),
        arguments=("--initial-scale", "0", "--window", "2s", "--grace", "1s"),
    )
    try:
        assert containers.running(f"zero-{RUN}") == []

        def post(_: int) -> int:
            return engine.get("/cgi-bin/answer?slow", f"zero-{RUN}.default.localhost", timeout=120)[0]

        with ThreadPoolExecutor(20) as pool:
            assert Counter(pool.map(post, range(20))) == {200: 20}
        assert 1 <= len(containers.running(f"zero-{RUN}")) <= 3
        engine.wait(lambda: not engine.revision(f"zero-{RUN}")["pods"], "zero pods", 60)
        engine.wait_line("asked to stop")
        engine.wait(lambda: not containers.running(f"zero-{RUN}"), "no container")
    finally:
        assert engine.stop() == 0


def test_nothing_is_left_of_a_killed_engine_once_it_has_started_again(tmp_path: Path) -> None:
    engine = EngineProcess(tmp_path, imaged("left"))
    engine.wait_pods(1, f"left-{RUN}", 60)
    engine.process.kill()
    engine.process.wait(10)
    engine.stop()
    again = EngineProcess(tmp_path, service("other"))
    try:
        again.wait(lambda: not containers.running(f"left-{RUN}"), "no container", 30)
    finally:
        assert again.stop() == 0


@pytest.mark.slow
def test_ten_services_of_both_kinds_lose_no_request_of_a_burst_from_zero(tmp_path: Path) -> None:
    scaled = {"max-scale": "5", "target-utilization-percentage": "100"}
    shapes = [imaged(f"image-{number}", concurrency=1 + number, annotations=scaled) for number in range(5)]
    shapes += [service(f"process-{number}-{RUN}", concurrency=1 + number, annotations=scaled) for number in range(5)]
    engine = EngineProcess(tmp_path, *shapes, arguments=("--initial-scale", "0", "--window", "4s", "--grace", "1s"))
    hosts = [f"{one['metadata']['name']}.default.localhost" for one in shapes]
    try:
        for host in hosts:
            with ThreadPoolExecutor(100) as pool:
                found = Counter(pool.map(lambda _, host=host: engine.get("/cgi-bin/answer", host, 120)[0], range(100)))
            assert found == {200: 100}, host
        deadline = time.monotonic() + 90
        while any(one["revisions"][0]["pods"] for one in engine.status()["services"]):
            assert time.monotonic() < deadline
            time.sleep(0.5)
    finally:
        assert engine.stop(signal.SIGTERM) == 0
    assert containers.running(f"image-.-{RUN}") == []


def test_containers_of_a_pod_share_network_and_volumes(engine: EngineProcess) -> None:
    engine.wait_pods(1, f"several-{RUN}", 60)
    assert "SIDE=beside" in ask(engine, "several", "beside").splitlines()
    assert ask(engine, "several", "shared").splitlines() == ["before", "side beside"]


@pytest.mark.slow  # the same of processes is in test_sidecars
def test_a_sidecar_that_is_killed_is_restarted_alone_and_a_program_with_its_sidecars(engine: EngineProcess) -> None:
    name = f"several-{RUN}"
    engine.wait_pods(1, name, 60)
    pod = engine.pods("ready", name)[0]["name"]
    containers.kill(f"{pod}-side")
    engine.wait(lambda: f"[{pod}/side] exited with 137; restart 1" in engine.output, "the sidecar's restart", 60)
    engine.wait_pods(1, name, 60)
    assert f"[{pod}] exited" not in engine.output
    containers.kill(pod)
    engine.wait(lambda: f"[{pod}] exited with 137; restart 1" in engine.output, "the program's restart", 60)
    engine.wait_pods(1, name, 90)
    assert "SIDE=beside" in ask(engine, "several", "beside").splitlines()
    assert ask(engine, "several", "shared").splitlines() == ["before", "side beside"], "init containers run once"
    assert "dependent containers" not in engine.output


def test_a_container_calls_services_by_name(engine: EngineProcess) -> None:
    """By its host entries, or by the proxy where the engine may not listen on port 80."""
    known = ask(engine, "plain", "hosts")
    if known.endswith("proxy ") and f"hidden-{RUN}" not in known:
        pytest.skip("the network of the containers does not reach the engine")
    for ending in ("", ".default", ".default.svc", ".default.svc.cluster.local"):
        name = f"hidden-{RUN}{ending}"
        assert ask(engine, "plain", f"call={name}").startswith(f"hello from hidden-{RUN}-00001-deployment-"), name
    answer = ask(engine, "plain", f"call=none-{RUN}.default.svc.cluster.local")
    assert "bad address" in answer or "404" in answer


def test_a_container_source_sends_to_its_sink(engine: EngineProcess) -> None:
    network = ask(engine, "plain", "hosts")
    if network.endswith("proxy ") and f"hidden-{RUN}" not in network:
        pytest.skip("the network of the containers does not reach the engine")
    engine.wait(lambda: "sent to http://broker-ingress.knative-eventing.svc.cluster.local" in engine.output, "event")
    events = json.loads(engine.get("/_knative/events")[1])["events"]
    assert [(one["node"], one["id"]) for one in events] == [("broker/default/b", "of a container")]
    # A Service that is bound to the Broker reaches it too: it accepts POST alone.
    sink = "broker-ingress.knative-eventing.svc.cluster.local"
    assert f"K_SINK=http://{sink}" in ask(engine, "plain", "env")
    assert "405 Method Not Allowed" in ask(engine, "plain", f"call={sink}")
