"""kubectl drives the engine: deploy, look, change, log, delete. It needs kubectl 1.29 or later on the path."""

from __future__ import annotations

import json
import os
import re
import shutil
import stat
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.engines import EngineProcess, service
from tests.servers import ROOT

KUBECTL = shutil.which("kubectl")

pytestmark = [
    pytest.mark.skipif(not KUBECTL, reason="the program kubectl is not installed"),
    pytest.mark.timeout(300),
]


class Kubectl:
    """kubectl with the kubeconfig of an engine."""

    program = KUBECTL

    def __init__(self, engine: EngineProcess, folder: Path) -> None:
        line = engine.wait(
            lambda: next((one for one in engine.lines if "KUBECONFIG=" in one), ""), "the line of the API"
        )
        self.kubeconfig = Path(line.partition("KUBECONFIG=")[2])
        self.environment = {**os.environ, "KUBECONFIG": str(self.kubeconfig), "HOME": str(folder)}

    def run(self, *arguments: str, text: str | None = None) -> subprocess.CompletedProcess[str]:
        command = [str(self.program), *arguments]
        return subprocess.run(
            command, input=text, env=self.environment, cwd=ROOT, capture_output=True, text=True, timeout=90
        )

    def __call__(self, *arguments: str, text: str | None = None) -> str:
        done = self.run(*arguments, text=text)
        assert done.returncode == 0, f"{self.program} {' '.join(arguments)}\n{done.stderr}"
        return done.stdout

    def json(self, *arguments: str) -> Any:
        return json.loads(self(*arguments, "--output", "json"))


@pytest.fixture(scope="module")
def kubectl(engine: EngineProcess, tmp_path_factory: pytest.TempPathFactory) -> Kubectl:
    return Kubectl(engine, tmp_path_factory.mktemp("home"))


@pytest.fixture
def hello(kubectl: Kubectl) -> Iterator[str]:
    """The Service `hello`, ready."""
    kubectl("apply", "--filename", "-", text=yaml.safe_dump(service(annotations={"min-scale": "1"})))
    kubectl("wait", "--for=condition=Ready", "ksvc/hello", "--timeout=60s")
    yield "hello"
    kubectl("delete", "ksvc", "hello", "--ignore-not-found")


def until(condition: Callable[[], Any], seconds: float = 30.0) -> Any:
    end = time.monotonic() + seconds
    while not (value := condition()) and time.monotonic() < end:
        time.sleep(0.1)
    return value


def test_the_kubeconfig_is_private_and_its_server_is_loopback(kubectl: Kubectl):
    assert stat.S_IMODE(kubectl.kubeconfig.stat().st_mode) == 0o600
    content = yaml.safe_load(kubectl.kubeconfig.read_text())
    assert content["clusters"][0]["cluster"]["server"].startswith("https://127.0.0.1:")


def test_a_kustomization_is_applied_unchanged_and_deleted(kubectl: Kubectl):
    assert kubectl("apply", "-k", "knative").count("created") == 3
    kubectl("wait", "--for=condition=Ready", "ksvc", "--all", "--timeout=120s")
    before = kubectl.json("get", "ksvc", "exif")["metadata"]
    kubectl("apply", "-k", "knative")
    after = kubectl.json("get", "ksvc", "exif")["metadata"]
    assert (after["generation"], after["resourceVersion"]) == (before["generation"], before["resourceVersion"])
    assert kubectl("diff", "-k", "knative") == ""
    table = kubectl("get", "ksvc").splitlines()
    assert table[0].split() == ["NAME", "URL", "LATESTCREATED", "LATESTREADY", "READY", "REASON"]
    assert [line.split()[0] for line in table[1:]] == ["exif", "histogram", "stress"]
    assert all(line.split()[4] == "True" for line in table[1:])
    kubectl("delete", "-k", "knative")
    assert kubectl("get", "ksvc", "--output", "name") == ""
    assert until(lambda: kubectl("get", "pods", "--output", "name") == "")


def test_a_change_makes_a_revision_that_gets_the_traffic(kubectl: Kubectl, engine: EngineProcess, hello: str):
    assert engine.get("/hello")[0] == 200
    patch = '[{"op":"replace","path":"/spec/template/spec/timeoutSeconds","value":50}]'
    kubectl("patch", "ksvc", hello, "--type", "json", "-p", patch)
    kubectl("wait", "--for=jsonpath={.status.latestReadyRevisionName}=hello-00002", "ksvc/hello", "--timeout=60s")
    revisions = kubectl("get", "revisions", "-l", "serving.knative.dev/service=hello", "--output", "name").split()
    assert [one.rpartition("/")[2] for one in revisions] == ["hello-00001", "hello-00002"]
    split = {"spec": {"traffic": [{"revisionName": "hello-00001", "percent": 100, "tag": "old"}]}}
    kubectl("patch", "ksvc", hello, "--type", "merge", "-p", json.dumps(split))
    traffic = until(
        lambda: [one.get("revisionName") for one in kubectl.json("get", "ksvc", hello)["status"]["traffic"]]
    )
    assert until(lambda: kubectl.json("get", "route", hello)["status"]["traffic"][0]["revisionName"]) == "hello-00001"
    assert traffic
    assert engine.get("/", host=f"old-hello.default.localhost:{engine.port}")[0] == 200


def test_labels_and_annotations(kubectl: Kubectl, hello: str):
    kubectl("label", "ksvc", hello, "team=a")
    kubectl("annotate", "ksvc", hello, "note=b")
    assert kubectl("get", "ksvc", "-l", "team=a", "--output", "name") == "service.serving.knative.dev/hello\n"
    assert kubectl("get", "ksvc", "-l", "team!=a", "--output", "name") == ""
    assert kubectl.json("get", "ksvc", hello)["metadata"]["generation"] == 1


def test_server_side_apply_and_dry_run(kubectl: Kubectl, hello: str):
    text = yaml.safe_dump(service(annotations={"min-scale": "1"}))
    done = kubectl.run("apply", "--server-side", "--filename", "-", text=text)
    assert 'conflict with "kubectl-client-side-apply" using serving.knative.dev/v1' in done.stderr
    kubectl("apply", "--server-side", "--force-conflicts", "--filename", "-", text=text)
    managers = [
        one["manager"]
        for one in kubectl.json("get", "ksvc", hello, "--show-managed-fields")["metadata"]["managedFields"]
    ]
    assert "kubectl" in managers
    version = kubectl.json("get", "ksvc", hello)["metadata"]["resourceVersion"]
    other = yaml.safe_dump(service("other"))
    assert "created (server dry run)" in kubectl("apply", "--dry-run=server", "--filename", "-", text=other)
    assert kubectl.json("get", "ksvc", hello)["metadata"]["resourceVersion"] == version
    assert kubectl.run("get", "ksvc", "other").returncode == 1


def test_refusals_are_those_of_a_cluster(kubectl: Kubectl):
    bad = service(annotations={"min-scale": "20", "max-scale": "10"})
    said = kubectl.run("apply", "--filename", "-", text=yaml.safe_dump(bad)).stderr
    assert 'admission webhook "validation.webhook.serving.knative.dev" denied the request' in said
    unknown = service(spec={"replicas": 3})
    said = kubectl.run("apply", "--filename", "-", text=yaml.safe_dump(unknown)).stderr
    assert 'unknown field "spec.template.spec.replicas"' in said
    assert 'services.serving.knative.dev "nope" not found' in kubectl.run("get", "ksvc", "nope").stderr


def test_explain_reads_the_schema(kubectl: Kubectl):
    said = kubectl("explain", "ksvc.spec.template.spec.containerConcurrency")
    assert "containerConcurrency <integer>" in said
    assert "FIELDS:" in kubectl("explain", "trigger.spec")
    assert "data" in kubectl("explain", "configmap")


def test_logs_follow_and_a_deleted_pod_is_replaced(kubectl: Kubectl, engine: EngineProcess, hello: str):
    pod = kubectl("get", "pods", "-l", "serving.knative.dev/service=hello", "--output", "name").split()[0]
    assert engine.get("/hello")[0] == 200
    assert "Running" in kubectl("get", pod)
    lines = until(lambda: kubectl("logs", pod, "--tail=5"))
    assert lines is not None
    follower = subprocess.Popen(
        [str(KUBECTL), "logs", "--follow", pod], env=kubectl.environment, stdout=subprocess.PIPE, text=True
    )
    assert follower.stdout is not None
    assert follower.stdout.readline(), "it follows before the pod is deleted"
    kubectl("delete", pod, "--wait=false")
    follower.communicate(timeout=60)
    assert follower.returncode == 0
    name = pod.rpartition("/")[2]
    assert until(lambda: [one for one in _pods(kubectl) if one != name])


def _pods(kubectl: Kubectl) -> list[str]:
    items = kubectl.json("get", "pods", "-l", "serving.knative.dev/service=hello")["items"]
    return [one["metadata"]["name"] for one in items]


def test_describe_shows_conditions_and_events(kubectl: Kubectl, hello: str):
    said = kubectl("describe", "ksvc", hello)
    assert re.search(r"Type:\s+Ready", said)
    assert 'Created Configuration "hello"' in said


def test_watch_prints_each_change(kubectl: Kubectl, hello: str):
    watching = subprocess.Popen(
        [str(KUBECTL), "get", "ksvc", "--watch-only", "--output", "name"],
        env=kubectl.environment,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert watching.stdout is not None
        for number in range(100):
            kubectl("annotate", "ksvc", hello, f"number={number}", "--overwrite")
            if select_ready(watching):
                break
        assert watching.stdout.readline() == "service.serving.knative.dev/hello\n"
    finally:
        watching.terminate()
        watching.wait(10)
        watching.stdout.close()


def select_ready(process: subprocess.Popen[str]) -> bool:
    import select

    return bool(select.select([process.stdout], [], [], 0.2)[0])


def test_objects_of_the_core(kubectl: Kubectl):
    kubectl("create", "namespace", "other")
    kubectl("create", "configmap", "one", "--from-literal=a=b", "--namespace", "other")
    kubectl("create", "secret", "generic", "two", "--from-literal=a=b", "--namespace", "other")
    assert kubectl.json("get", "secret", "two", "--namespace", "other")["data"] == {"a": "Yg=="}
    change = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "one"}, "data": {"c": "d"}}
    kubectl("apply", "--namespace", "other", "--filename", "-", text=yaml.safe_dump(change))
    assert kubectl.json("get", "cm", "one", "--namespace", "other")["data"] == {"a": "b", "c": "d"}
    kubectl("delete", "namespace", "other")
    assert "not found" in kubectl.run("get", "namespace", "other").stderr


def test_eventing_is_applied_looked_at_and_deleted(kubectl: Kubectl, hello: str):
    broker = {"apiVersion": "eventing.knative.dev/v1", "kind": "Broker", "metadata": {"name": "images"}}
    reference = {"apiVersion": "serving.knative.dev/v1", "kind": "Service", "name": hello}
    trigger = {
        "apiVersion": "eventing.knative.dev/v1",
        "kind": "Trigger",
        "metadata": {"name": "t1"},
        "spec": {"broker": "images", "subscriber": {"ref": reference}},
    }
    kubectl("apply", "--filename", "-", text=yaml.safe_dump_all([broker, trigger]))
    kubectl("wait", "--for=condition=Ready", "trigger/t1", "--timeout=30s")
    head, row = kubectl("get", "trigger").splitlines()
    assert head.split() == ["NAME", "BROKER", "SUBSCRIBER_URI", "AGE", "READY", "REASON"]
    assert row.split()[:3] == ["t1", "images", "http://hello.default.svc.cluster.local"]
    kubectl("delete", "trigger", "t1")
    kubectl("delete", "broker", "images")
    assert kubectl("get", "broker,trigger", "--output", "name") == ""


def test_the_kinds_have_their_names(kubectl: Kubectl):
    names = kubectl("api-resources", "--api-group=serving.knative.dev").splitlines()
    assert [line.split()[0] for line in names[1:]] == [
        *("configurations", "domainmappings", "revisions", "routes", "services"),
    ]
    assert kubectl("get", "crd", "services.serving.knative.dev", "--output", "name")
    # By this label kn looks for kinds of channels.
    found = kubectl("get", "crd", "--selector=messaging.knative.dev/subscribable=true", "--output", "name").split()
    kinds = {name.rpartition("/")[2] for name in found}
    assert kinds == {"channels.messaging.knative.dev", "inmemorychannels.messaging.knative.dev"}


def test_without_the_api_there_is_no_kubeconfig(tmp_path: Path):
    engine = EngineProcess(tmp_path, service())
    try:
        engine.wait(lambda: "is ready" in engine.output, "a ready Service")
        assert "KUBECONFIG" not in engine.output
    finally:
        engine.stop()
