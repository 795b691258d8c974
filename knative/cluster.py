"""`python -m knative deploy`, `undeploy` and `status`: the functions on the cluster of KUBECONFIG.

All commands run kubectl, with its contexts, credentials and plugins.
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

from knative.local.check.admission import load
from knative.local.jsontypes import Json, JsonMapping, JsonObject
from knative.local.manifests.findings import ManifestError
from knative.local.manifests.kinds import SERVING

OLDEST = (1, 15)
_CRD = "services.serving.knative.dev"
_KINDS = "services.serving.knative.dev"

Run = Callable[..., "subprocess.CompletedProcess[str]"]


class ClusterError(RuntimeError):
    """A missing or failing part of the cluster; the text names it and the remedy."""


@dataclass(frozen=True)
class Cluster:
    """A cluster, accessed by kubectl.

    Attributes:
        context, namespace: options of kubectl; None for those of KUBECONFIG.
        run: runs a program to its end.
    """

    context: str | None = None
    namespace: str | None = None
    run: Run = subprocess.run

    def kubectl(self, *arguments: str) -> str:
        """Run a kubectl command and return its output.

        Raises:
            ClusterError: it failed, with kubectl's message.
        """
        command = ["kubectl"]
        command += ["--context", self.context] if self.context else []
        command += ["--namespace", self.namespace] if self.namespace else []
        done = self.run([*command, *arguments], capture_output=True, text=True)
        if done.returncode != 0:
            raise ClusterError(done.stderr.strip() or f"kubectl {arguments[0]} failed")
        return done.stdout

    def read(self, *arguments: str) -> Json:
        """Run a kubectl command and return its output as JSON."""
        return json.loads(self.kubectl(*arguments, "--output", "json"))


def check(cluster: Cluster, which: Callable[[str], str | None] = shutil.which) -> str:
    """Check for kubectl, the cluster and Knative Serving.

    Returns:
        The version of Knative Serving, or `unknown`.

    Raises:
        ClusterError: one of them is missing, or Knative is too old.
    """
    if not which("kubectl"):
        raise ClusterError("kubectl is not installed: https://kubernetes.io/docs/tasks/tools/")
    try:
        cluster.kubectl("version", "--request-timeout=10s")
    except ClusterError as error:
        raise ClusterError(f"cannot reach a cluster; check KUBECONFIG and its context\n{error}") from None
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
        raise ClusterError(f"Knative Serving is {version}; these manifests need {wanted} or later")
    return version


def names(path: str) -> list[str]:
    """The Knative Services of a kustomization.

    Raises:
        ManifestError: Knative would refuse the manifests.
    """
    return [resource.name for resource in load([path]).of("Service", SERVING)]


def deploy(cluster: Cluster, path: str, timeout: int) -> Iterator[str]:
    """Apply a kustomization and wait until its Services are ready; yield lines of progress.

    Args:
        cluster: the target.
        path: the folder of the kustomization.
        timeout: seconds to wait for all Services.

    Raises:
        ClusterError: an object was refused, or a Service did not become ready, with its reason.
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
        raise ClusterError(f"not ready:\n{reasons}\nfor more: kubectl describe ksvc") from None
    for service in _services(cluster, wanted):
        yield f"{service['metadata']['name']}: {service['status']['url']}"
    yield "Try them:"
    yield from (f"  {line}" for line in _examples(_services(cluster, wanted)))


def undeploy(cluster: Cluster, path: str) -> Iterator[str]:
    """Delete the objects of a kustomization, if they exist.

    Raises:
        ClusterError: kubectl, the cluster or Knative is missing.
    """
    check(cluster)
    yield cluster.kubectl("delete", "--kustomize", path, "--ignore-not-found", "--wait").rstrip() or "nothing to delete"


def status(cluster: Cluster, path: str) -> Iterator[str]:
    """Yield a line for each Service: readiness or its reason, URL, revisions with their traffic, pods.

    Raises:
        ClusterError: kubectl, the cluster or Knative is missing.
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


def _services(cluster: Cluster, wanted: list[str]) -> list[JsonObject]:
    items = cluster.read("get", _KINDS)["items"]
    return [item for item in items if item["metadata"]["name"] in wanted]


def _condition(service: JsonMapping) -> JsonMapping:
    conditions = service.get("status", {}).get("conditions", [])
    return next((item for item in conditions if item.get("type") == "Ready"), {})


def _ready(service: JsonMapping) -> bool:
    return _condition(service).get("status") == "True"


def _reason(service: JsonMapping) -> str:
    condition = _condition(service)
    message = condition.get("message") or condition.get("reason") or "no status yet"
    hint = ""
    if any(sign in message for sign in ("dev.local", "Unable to fetch image", "ImagePullBackOff")):
        hint = " (image missing? `make images`, then load it into the cluster or use overlays/registry)"
    return f"{service['metadata']['name']}: {message}{hint}"


def _examples(services: list[JsonObject]) -> Iterator[str]:
    for service in services:
        annotations = service["metadata"].get("annotations", {})
        # The second name is that of earlier manifests, read for one release.
        example = annotations.get("pixelamp/example") or annotations.get("pixelamp.dev/example")
        if example:
            yield f"curl {example.replace('URL', service['status']['url'])}"


_COMMANDS: Mapping[str, str] = {
    "deploy": "apply the functions to a cluster, wait until they are ready, print their URLs",
    "undeploy": "delete the functions from a cluster",
    "status": "show the functions on a cluster",
}


def add_parser(subparsers: Json) -> None:
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
    """Run one of the commands; return its exit status."""
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
