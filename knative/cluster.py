"""`python -m knative deploy`, `undeploy` and `status`: the three functions on the cluster of your KUBECONFIG.

Everything goes through kubectl, so that contexts, credentials and plugins are those that people already use.
"""

from __future__ import annotations

import argparse
import json
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from knative.local.check.admission import load
from knative.local.manifests.findings import ManifestError
from knative.local.manifests.kinds import SERVING

OLDEST = (1, 15)
_CRD = "services.serving.knative.dev"
_KINDS = "services.serving.knative.dev"

Run = Callable[..., "subprocess.CompletedProcess[str]"]


class ClusterError(RuntimeError):
    """Something that is needed is missing; the text says what, and what would help."""


@dataclass(frozen=True)
class Cluster:
    """A cluster as kubectl reaches it.

    Attributes:
        context, namespace: as kubectl's options; None for what the KUBECONFIG says.
        run: starts a program and waits for it.
    """

    context: str | None = None
    namespace: str | None = None
    run: Run = subprocess.run

    def kubectl(self, *arguments: str) -> str:
        """What a kubectl command prints.

        Raises:
            ClusterError: it failed; kubectl's own words.
        """
        command = ["kubectl"]
        command += ["--context", self.context] if self.context else []
        command += ["--namespace", self.namespace] if self.namespace else []
        done = self.run([*command, *arguments], capture_output=True, text=True)
        if done.returncode != 0:
            raise ClusterError(done.stderr.strip() or f"kubectl {arguments[0]} failed")
        return done.stdout

    def read(self, *arguments: str) -> Any:
        """What a kubectl command prints, as JSON."""
        return json.loads(self.kubectl(*arguments, "--output", "json"))


def check(cluster: Cluster, which: Callable[[str], str | None] = shutil.which) -> str:
    """See that kubectl, the cluster and Knative Serving are there.

    Returns:
        Knative Serving's version, `unknown` where its objects do not say.

    Raises:
        ClusterError: one of them is not there, or Knative is too old.
    """
    if not which("kubectl"):
        raise ClusterError("kubectl is not installed: https://kubernetes.io/docs/tasks/tools/")
    try:
        cluster.kubectl("version", "--request-timeout=10s")
    except ClusterError as error:
        raise ClusterError(f"no cluster answers; is KUBECONFIG set, and its context the right one?\n{error}") from None
    try:
        definition = cluster.read("get", "customresourcedefinition", _CRD)
    except ClusterError as error:
        if "NotFound" not in str(error) and "not found" not in str(error):
            raise
        install = "https://knative.dev/docs/install/yaml-install/serving/install-serving-with-yaml/"
        raise ClusterError(f"Knative Serving is not installed in this cluster: {install}") from None
    version = str(definition["metadata"].get("labels", {}).get("app.kubernetes.io/version", "unknown"))
    found = re.match(r"v?(\d+)\.(\d+)", version)
    if found and (int(found[1]), int(found[2])) < OLDEST:
        wanted = ".".join(map(str, OLDEST))
        raise ClusterError(f"Knative Serving is {version}: these manifests are for {wanted} and later")
    return version


def names(path: str) -> list[str]:
    """The Knative Services of a kustomization.

    Raises:
        ManifestError: Knative would refuse them.
    """
    return [resource.name for resource in load([path]).of("Service", SERVING)]


def deploy(cluster: Cluster, path: str, timeout: int) -> Iterator[str]:
    """Apply a kustomization and wait until its Services are ready; yields what there is to tell.

    Args:
        cluster: where to.
        path: the folder of the kustomization.
        timeout: seconds to wait for all Services.

    Raises:
        ClusterError: an object was refused, or a Service did not become ready; with its own reason.
        ManifestError: Knative would refuse the manifests.
    """
    wanted = names(path)
    yield f"Knative Serving {check(cluster)}"
    yield cluster.kubectl("apply", "--kustomize", path).rstrip()
    if not wanted:
        return
    yield f"waiting for {', '.join(wanted)} (at most {timeout} s)"
    targets = [f"{_KINDS}/{name}" for name in wanted]
    try:
        cluster.kubectl("wait", "--for=condition=Ready", f"--timeout={timeout}s", *targets)
    except ClusterError:
        reasons = "\n".join(_reason(service) for service in _services(cluster, wanted) if not _ready(service))
        raise ClusterError(f"not ready:\n{reasons}\nkubectl describe ksvc says more") from None
    for service in _services(cluster, wanted):
        yield f"{service['metadata']['name']}: {service['status']['url']}"
    yield "Try them:"
    yield from (f"  {line}" for line in _examples(_services(cluster, wanted)))


def undeploy(cluster: Cluster, path: str) -> Iterator[str]:
    """Delete what a kustomization describes; what is gone already is no mistake.

    Raises:
        ClusterError: kubectl, the cluster or Knative is not there.
    """
    check(cluster)
    yield cluster.kubectl("delete", "--kustomize", path, "--ignore-not-found", "--wait").rstrip() or "nothing to delete"


def status(cluster: Cluster, path: str) -> Iterator[str]:
    """A line a Service: ready or why not, its URL, its revisions with their traffic, its pods.

    Raises:
        ClusterError: kubectl, the cluster or Knative is not there.
        ManifestError: Knative would refuse the manifests.
    """
    wanted = names(path)
    yield f"Knative Serving {check(cluster)}"
    found = {service["metadata"]["name"]: service for service in _services(cluster, wanted)}
    for name in wanted:
        service = found.get(name)
        if service is None:
            yield f"{name}: not deployed"
            continue
        state = "ready" if _ready(service) else _reason(service).removeprefix(f"{name}: ")
        pods = cluster.read("get", "pods", "--selector", f"serving.knative.dev/service={name}")["items"]
        running = sum(pod.get("status", {}).get("phase") == "Running" for pod in pods)
        traffic = ", ".join(
            f"{target.get('revisionName', 'latest')} {target.get('percent', 0)} %"
            for target in service.get("status", {}).get("traffic", [])
        )
        url = service.get("status", {}).get("url", "no URL yet")
        yield f"{name}: {state}, {url}, {traffic or 'no traffic'}, {running} of {len(pods)} pods running"


def _services(cluster: Cluster, wanted: list[str]) -> list[dict[str, Any]]:
    items = cluster.read("get", _KINDS)["items"]
    return [item for item in items if item["metadata"]["name"] in wanted]


def _condition(service: Mapping[str, Any]) -> Mapping[str, Any]:
    conditions = service.get("status", {}).get("conditions", [])
    return next((item for item in conditions if item.get("type") == "Ready"), {})


def _ready(service: Mapping[str, Any]) -> bool:
    return _condition(service).get("status") == "True"


def _reason(service: Mapping[str, Any]) -> str:
    condition = _condition(service)
    said = condition.get("message") or condition.get("reason") or "the controller has not said anything yet"
    hint = ""
    if "dev.local" in said or "Unable to fetch image" in said or "ImagePullBackOff" in said:
        hint = " (is the image there? `make images`, then load it into the cluster or use overlays/registry)"
    return f"{service['metadata']['name']}: {said}{hint}"


def _examples(services: list[dict[str, Any]]) -> Iterator[str]:
    lines = {
        "histogram": "curl -F file=@photo.jpg {url}",
        "exif": "curl -F file=@photo.jpg {url}",
        "stress": "curl -X POST '{url}/stress?seconds=5&load=50'",
    }
    for service in services:
        line = lines.get(service["metadata"]["name"])
        if line:
            yield line.format(url=service["status"]["url"])


_COMMANDS: Mapping[str, str] = {
    "deploy": "apply the functions to a cluster, wait until they are ready, print their URLs",
    "undeploy": "delete the functions from a cluster",
    "status": "what the functions do on a cluster",
}


def add_parser(subparsers: Any) -> None:
    """Add the three commands to `python -m knative`."""
    for name, summary in _COMMANDS.items():
        if name in subparsers.choices:
            continue
        parser: argparse.ArgumentParser = subparsers.add_parser(name, help=summary, description=summary)
        folder = Path(__file__).resolve().parent
        parser.add_argument("path", nargs="?", default=str(folder), help="a kustomization (default: knative)")
        parser.add_argument("--context", help="kubectl's context")
        parser.add_argument("--namespace", "-n", help="the namespace (default: the context's)")
        if name == "deploy":
            parser.add_argument("--timeout", type=int, default=300, help="seconds to wait (default: %(default)s)")
        parser.set_defaults(run=run, command=name)


def run(arguments: argparse.Namespace, runner: Run = subprocess.run) -> int:
    """Run one of the commands; 0 if it did what it says."""
    cluster = Cluster(arguments.context, arguments.namespace, runner)
    try:
        if arguments.command == "deploy":
            lines = deploy(cluster, arguments.path, arguments.timeout)
        elif arguments.command == "undeploy":
            lines = undeploy(cluster, arguments.path)
        else:
            lines = status(cluster, arguments.path)
        for line in lines:
            print(line, flush=True)
    except (ClusterError, ManifestError) as error:
        print(f"{arguments.command}: {error}", file=sys.stderr)
        return 1
    return 0
