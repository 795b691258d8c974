"""deploy, undeploy and status by kubectl on the engine; what a cluster lacks is shown by answers of its API."""

import json
import os
import subprocess
from pathlib import Path

import pytest
import yaml

from knative import cluster, images
from knative.__main__ import main
from knative.cluster import Cluster, ClusterError
from knative.local.check.admission import load
from tests.engines import EngineProcess, service

ROOT = Path(__file__).resolve().parents[2]
EXAMPLES = {service.name: service for service in load([ROOT / "knative"]).services}
PATH = str(ROOT / "knative")


@pytest.fixture(scope="module")
def engine(tmp_path_factory):
    """An engine without a Service."""
    running = EngineProcess(tmp_path_factory.mktemp("engine"), arguments=("--workdir", str(ROOT)), api=True)
    yield running
    running.stop()


@pytest.fixture
def run(engine, kubectl, tmp_path):
    """Run kubectl with the kubeconfig of the engine; `asked` holds its arguments."""
    line = engine.wait(lambda: next((one for one in engine.lines if "KUBECONFIG=" in one), ""), "the line of the API")
    environment = {**os.environ, "KUBECONFIG": line.partition("KUBECONFIG=")[2], "HOME": str(tmp_path)}

    def runner(command, **options):
        runner.asked.append(command[1:])
        return subprocess.run([kubectl, *command[1:]], env=environment, **options)

    runner.asked = []
    return runner


@pytest.fixture(autouse=True)
def kubectl_is_there(monkeypatch):
    monkeypatch.setattr(cluster.check, "__defaults__", (lambda name: f"/usr/bin/{name}",))


@pytest.mark.timeout(300)
def test_the_functions_are_deployed_shown_and_removed(engine, run):
    told = "\n".join(cluster.deploy(Cluster(run=run), PATH, 120))
    assert "Knative Serving 1.22.0" in told
    url = f"http://histogram.default.localhost:{engine.port}"
    assert f"histogram: {url}" in told
    example = EXAMPLES["histogram"].metadata["annotations"]["pixelamp/example"]
    assert f"curl {example.replace('URL', url)}" in told
    shown = list(cluster.status(Cluster(run=run), PATH))
    assert shown[1].startswith(f"histogram: ready, {url}, histogram-00001 100 %, 1 of 1 pods running")
    assert "apply" not in [command[0] for command in run.asked[-5:]]
    list(cluster.undeploy(Cluster(run=run), PATH))
    assert list(cluster.status(Cluster(run=run), PATH))[1:] == [f"{name}: not deployed" for name in EXAMPLES]


def test_context_and_namespace_reach_kubectl(run):
    with pytest.raises(ClusterError, match='namespaces "photos" not found'):
        list(cluster.deploy(Cluster("pixelamp", "photos", run), PATH, 1))
    assert all(command[:4] == ["--context", "pixelamp", "--namespace", "photos"] for command in run.asked)
    with pytest.raises(ClusterError, match='context "kind" does not exist'):
        list(cluster.deploy(Cluster("kind", None, run), PATH, 1))


def test_a_service_that_does_not_become_ready_is_reported_with_its_reason(run, tmp_path):
    manifests = [service("good"), service("failing", command=["python", "-c", "raise SystemExit(3)"])]
    (tmp_path / "services.yaml").write_text(yaml.safe_dump_all(manifests))
    (tmp_path / "kustomization.yaml").write_text("resources: [services.yaml]\n")
    target = Cluster(run=run)
    with pytest.raises(ClusterError, match="not ready"):
        list(cluster.deploy(target, str(tmp_path), 1))
    target.kubectl("wait", "--for=condition=Ready", "--timeout=60s", "ksvc/good")
    target.kubectl("wait", "--for=condition=Ready=false", "--timeout=60s", "ksvc/failing")
    with pytest.raises(ClusterError) as error:
        list(cluster.deploy(target, str(tmp_path), 1))
    assert "failing: " in str(error.value)
    assert 'failing-00001" failed with message: Container failed' in str(error.value)
    assert "good:" not in str(error.value)
    shown = list(cluster.status(Cluster(run=run), str(tmp_path)))
    assert shown[1].startswith("good: ready")
    list(cluster.undeploy(Cluster(run=run), str(tmp_path)))


class Lacking:
    """A cluster that lacks something: it answers what `check` asks, and nothing else."""

    def __init__(self, version="1.18.0", installed=True, reachable=True):
        self.version, self.installed, self.reachable = version, installed, reachable
        self.asked = []

    def __call__(self, command, **options):
        self.asked.append(command[1:])
        if not self.reachable:
            return self.answer(1, error="The connection to the server localhost:8080 was refused")
        if "customresourcedefinition" not in command:
            return self.answer(0, {})
        if not self.installed:
            return self.answer(1, error='Error from server (NotFound): "services.serving.knative.dev" not found')
        return self.answer(0, {"metadata": {"labels": {"app.kubernetes.io/version": self.version}}})

    @staticmethod
    def answer(code, data=None, error=""):
        return subprocess.CompletedProcess([], code, json.dumps(data), error)


def test_without_kubectl_the_error_says_where_to_get_it():
    with pytest.raises(ClusterError, match="kubectl is not installed: https://"):
        cluster.check(Cluster(run=Lacking()), lambda _: None)


@pytest.mark.parametrize(
    ("lacking", "message"),
    [
        (Lacking(reachable=False), "cannot reach a cluster; check KUBECONFIG"),
        (Lacking(installed=False), "Knative Serving is not installed in this cluster: https://"),
        (Lacking(version="1.14.2"), "Knative Serving is 1.14.2; these manifests need 1.15 or later"),
    ],
    ids=["unreachable", "without-knative", "too-old"],
)
def test_a_missing_prerequisite_is_named_and_nothing_is_applied(lacking, message):
    with pytest.raises(ClusterError, match=message):
        list(cluster.deploy(Cluster(run=lacking), PATH, 1))
    assert all("apply" not in command for command in lacking.asked)


@pytest.mark.parametrize("version", ["1.15.0", "v1.21.1", "devel", "2.0"])
def test_versions_that_are_taken(version):
    assert cluster.check(Cluster(run=Lacking(version=version))) == version


def test_manifests_that_knative_would_refuse_never_reach_the_cluster(capsys):
    lacking = Lacking()
    refused = str(ROOT / "tests" / "knative" / "local" / "check" / "offending" / "numbers.yaml")
    arguments = cluster.argparse.Namespace(command="deploy", path=refused, context=None, namespace=None, timeout=1)
    assert cluster.run(arguments, lacking) == 1
    assert "expected 0 <= 601 <= 600" in capsys.readouterr().err
    assert lacking.asked == []


def fake_kubectl(folder, monkeypatch):
    script = folder / "kubectl"
    script.write_text('#!/bin/sh\necho "The connection to the server was refused" >&2\nexit 1\n')
    script.chmod(0o755)
    monkeypatch.setenv("PATH", str(folder), prepend=os.pathsep)


@pytest.mark.parametrize("command", ["deploy", "undeploy", "status"])
def test_the_commands_end_with_a_clear_error_without_a_cluster(command, tmp_path, monkeypatch, capsys):
    fake_kubectl(tmp_path, monkeypatch)
    assert main([command]) == 1
    said = capsys.readouterr().err
    assert said.startswith(f"{command}: cannot reach a cluster; check KUBECONFIG")
    assert "The connection to the server was refused" in said


def test_images_are_built_in_order_and_pushed_if_asked(capsys, monkeypatch):
    done = []
    monkeypatch.setattr(images, "builder", lambda **_: "podman")

    def run(command, **options):
        done.append(command)
        return subprocess.CompletedProcess(command, 0, "abc\n", "")

    arguments = cluster.argparse.Namespace(
        functions=["exif"], registry="r.example.com/me", tag="2", push=True, platform=""
    )
    assert images.run(arguments, run) == 0
    built, pushed = done[-2:]
    assert built[1] == "build"
    assert "REVISION=abc" in built
    assert pushed[1:] == ["push", "r.example.com/me/pixelamp-exif:2"]


def test_an_unknown_function_has_no_image(capsys):
    assert main(["images", "exfi"]) == 2
    assert f"unknown image exfi; the images are {', '.join(images.IMAGES)}" in capsys.readouterr().err
