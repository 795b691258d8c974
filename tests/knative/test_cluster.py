"""deploy, undeploy and status against a kubectl that remembers what it was asked and answers as a cluster would."""

import json
import os
import subprocess
from pathlib import Path

import pytest

from knative import cluster, images
from knative.__main__ import main
from knative.cluster import Cluster, ClusterError
from knative.local.check.admission import load

ROOT = Path(__file__).resolve().parents[2]
EXAMPLES = {service.name: service for service in load([ROOT / "knative"]).services}
PATH = str(ROOT / "knative")


def service(name, ready=True, message=""):
    condition = {"type": "Ready", "status": "True" if ready else "False", "message": message}
    return {
        "metadata": {"name": name, "annotations": EXAMPLES[name].metadata["annotations"]},
        "status": {
            "url": f"http://{name}.default.example.com",
            "conditions": [condition],
            "traffic": [{"revisionName": f"{name}-00001", "percent": 100}],
        },
    }


class Kubectl:
    """A cluster with Knative of a version and some Services."""

    def __init__(self, version="1.18.0", services=(), installed=True, reachable=True):
        self.version, self.services = version, list(services)
        self.installed, self.reachable = installed, reachable
        self.asked = []

    def __call__(self, command, **options):
        assert command[0] == "kubectl"
        self.asked.append(command[1:])
        words = [word for word in command[1:] if not word.startswith("-")]
        if not self.reachable:
            return self.answer(1, error="The connection to the server localhost:8080 was refused")
        if "customresourcedefinition" in words:
            if not self.installed:
                return self.answer(1, error='Error from server (NotFound): "services.serving.knative.dev" not found')
            return self.answer(0, {"metadata": {"labels": {"app.kubernetes.io/version": self.version}}})
        if "wait" in words:
            return self.answer(
                0 if all(item["status"]["conditions"][0]["status"] == "True" for item in self.services) else 1
            )
        if "pods" in words:
            return self.answer(0, {"items": [{"status": {"phase": "Running"}}, {"status": {"phase": "Pending"}}]})
        if "get" in words:
            return self.answer(0, {"items": self.services})
        return self.answer(0, text=f"{words[0]} done\n")

    @staticmethod
    def answer(code, data=None, text="", error=""):
        return subprocess.CompletedProcess([], code, json.dumps(data) if data is not None else text, error)

    def verbs(self):
        return [next(word for word in command if not word.startswith("-")) for command in self.asked]


ALL = [service(name) for name in ("histogram", "exif", "stress")]


@pytest.fixture(autouse=True)
def kubectl_is_there(monkeypatch):
    monkeypatch.setattr(cluster.check, "__defaults__", (lambda name: f"/usr/bin/{name}",))


def test_deploy_checks_applies_waits_and_prints_urls_and_curls():
    kubectl = Kubectl(services=ALL)
    told = "\n".join(cluster.deploy(Cluster(run=kubectl), PATH, 120))
    assert kubectl.verbs() == ["version", "get", "apply", "wait", "get", "get"]
    applied = next(command for command in kubectl.asked if "apply" in command)
    assert applied == ["apply", "--kustomize", PATH]
    waited = next(command for command in kubectl.asked if "wait" in command)
    assert waited[1:3] == ["--for=condition=Ready", "--timeout=120s"]
    assert [name.split("/")[1] for name in waited[3:]] == ["histogram", "exif", "stress"]
    assert "Knative Serving 1.18.0" in told
    assert "exif: http://exif.default.example.com" in told
    example = EXAMPLES["histogram"].metadata["annotations"]["pixelamp.dev/example"]
    assert f"curl {example.replace('URL', 'http://histogram.default.example.com')}" in told


def test_context_and_namespace_reach_kubectl():
    kubectl = Kubectl(services=ALL)
    list(cluster.deploy(Cluster("kind", "photos", kubectl), PATH, 1))
    assert all(command[:4] == ["--context", "kind", "--namespace", "photos"] for command in kubectl.asked)


def test_a_service_that_does_not_become_ready_is_told_with_its_reason():
    failing = service("exif", ready=False, message='Unable to fetch image "dev.local/pixelamp-exif:0.1.0"')
    kubectl = Kubectl(services=[service("histogram"), failing, service("stress")])
    with pytest.raises(ClusterError) as error:
        list(cluster.deploy(Cluster(run=kubectl), PATH, 1))
    assert 'exif: Unable to fetch image "dev.local/pixelamp-exif:0.1.0" (image missing?' in str(error.value)
    assert "histogram:" not in str(error.value)


def test_without_kubectl_the_error_says_where_to_get_it():
    with pytest.raises(ClusterError, match="kubectl is not installed: https://"):
        cluster.check(Cluster(run=Kubectl()), lambda _: None)


@pytest.mark.parametrize(
    ("kubectl", "message"),
    [
        (Kubectl(reachable=False), "cannot reach a cluster; check KUBECONFIG"),
        (Kubectl(installed=False), "Knative Serving is not installed in this cluster: https://"),
        (Kubectl(version="1.14.2"), "Knative Serving is 1.14.2; these manifests need 1.15 or later"),
    ],
    ids=["unreachable", "without-knative", "too-old"],
)
def test_what_is_missing_is_said_and_nothing_applied(kubectl, message):
    with pytest.raises(ClusterError, match=message):
        list(cluster.deploy(Cluster(run=kubectl), PATH, 1))
    assert "apply" not in kubectl.verbs()


@pytest.mark.parametrize("version", ["1.15.0", "v1.21.1", "devel", "2.0"])
def test_versions_that_are_taken(version):
    assert cluster.check(Cluster(run=Kubectl(version=version))) == version


def test_manifests_that_knative_would_refuse_never_reach_the_cluster(capsys):
    kubectl = Kubectl()
    refused = str(ROOT / "tests" / "knative" / "local" / "check" / "offending" / "numbers.yaml")
    arguments = cluster.argparse.Namespace(command="deploy", path=refused, context=None, namespace=None, timeout=1)
    assert cluster.run(arguments, kubectl) == 1
    assert "expected 0 <= 601 <= 600" in capsys.readouterr().err
    assert kubectl.asked == []


def test_undeploy_deletes_what_was_applied():
    kubectl = Kubectl()
    list(cluster.undeploy(Cluster(run=kubectl), PATH))
    assert kubectl.asked[-1] == ["delete", "--kustomize", PATH, "--ignore-not-found", "--wait"]


def test_status_says_ready_or_why_not_and_what_is_missing():
    kubectl = Kubectl(services=[service("histogram"), service("exif", False, "RevisionFailed")])
    lines = list(cluster.status(Cluster(run=kubectl), PATH))
    assert lines[1] == (
        "histogram: ready, http://histogram.default.example.com, histogram-00001 100 %, 1 of 2 pods running"
    )
    assert lines[2].startswith("exif: RevisionFailed, http://exif.default.example.com")
    assert lines[3] == "stress: not deployed"


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

    arguments = cluster.argparse.Namespace(functions=["exif"], registry="r.example.com/me", tag="2", push=True)
    assert images.run(arguments, run) == 0
    built, pushed = done[-2:]
    assert built[1] == "build"
    assert "REVISION=abc" in built
    assert pushed[1:] == ["push", "r.example.com/me/pixelamp-exif:2"]


def test_a_function_that_does_not_exist_is_no_image(capsys):
    assert main(["images", "exfi"]) == 2
    assert f"unknown image exfi; the images are {', '.join(images.IMAGES)}" in capsys.readouterr().err
