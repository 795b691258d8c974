"""A cluster with Knative, by kubectl and HTTP alone: a namespace of its own, requests by Host, loads that count."""

from __future__ import annotations

import http.client
import json
import os
import shutil
import subprocess
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
READY_SECONDS = 600.0  # images may have to be pulled first


@dataclass(frozen=True)
class Answer:
    """What came back: status (0 where nothing came), headers by lower-case name, body, seconds it took."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    seconds: float

    def json(self) -> Any:
        return json.loads(self.body)


class Cluster:
    """One namespace of a cluster, and the ingress by which its Services are reached.

    Args:
        namespace: where everything is applied.
        ingress: address of the cluster's ingress as this machine reaches it, such as http://127.0.0.1:31080.
        prefix: what stands before a function's name in its image, such as registry.example.com/me/pixelamp-; where it
            does not end in a hyphen, it is the registry and its path, and /pixelamp- is added.
        tag: the images' tag.
    """

    def __init__(self, namespace: str, ingress: str, prefix: str, tag: str) -> None:
        self.namespace = namespace
        self._ingress = urlsplit(ingress if "//" in ingress else f"http://{ingress}")
        self._prefix = prefix if prefix.endswith("-") else f"{prefix.rstrip('/')}/pixelamp-"
        self._tag = tag

    @property
    def ingress(self) -> str:
        """The address of the ingress as a URL."""
        return self._ingress.geturl()

    def kubectl(self, *arguments: str, text: str | None = None) -> str:
        """What kubectl prints; its own words are the error."""
        done = subprocess.run(
            ["kubectl", "--namespace", self.namespace, *arguments], input=text, capture_output=True, text=True
        )
        assert done.returncode == 0, f"kubectl {' '.join(arguments)}\n{done.stderr}"
        return done.stdout

    def read(self, *arguments: str) -> Any:
        return json.loads(self.kubectl(*arguments, "--output", "json"))

    def has(self, definition: str) -> bool:
        """Whether the cluster knows a kind, such as `brokers.eventing.knative.dev`."""
        command = ["kubectl", "get", "customresourcedefinition", definition]
        return subprocess.run(command, capture_output=True).returncode == 0

    def apply(self, folder: str, change: Callable[[dict[str, Any]], None] = lambda _: None) -> list[str]:
        """Apply a kustomization of ours with the images under test; the names of its Services, once they are ready."""
        rendered = self.kubectl("kustomize", str(ROOT / folder))
        documents = list(yaml.safe_load_all(rendered))
        names = []
        for document in documents:
            if document["apiVersion"].startswith("serving.knative.dev/"):
                names.append(document["metadata"]["name"])
                container = document["spec"]["template"]["spec"]["containers"][0]
                base = container["image"].rpartition("/")[2].partition(":")[0].removeprefix("pixelamp-")
                container["image"] = f"{self._prefix}{base}:{self._tag}"
            change(document)
        self.kubectl("apply", "--filename", "-", text=yaml.safe_dump_all(documents))
        self.wait(names)
        return names

    def wait(self, names: list[str]) -> None:
        """Wait until Services are ready; where one is not, the error is what Knative says of it."""

        def waiting() -> list[str]:
            return [f"{name}: {said}" for name in names if (said := self._unready(self.service(name)))]

        end = time.monotonic() + READY_SECONDS
        while reasons := waiting():
            if time.monotonic() > end:
                pods = self.kubectl("get", "pods", "--output", "wide")
                raise AssertionError(f"not ready after {READY_SECONDS:.0f} s:\n" + "\n".join([*reasons, pods]))
            time.sleep(1)

    @staticmethod
    def _unready(service: Any) -> str:
        """Why a Service is not ready, empty where it is; a status older than the specification says nothing."""
        status = service.get("status", {})
        if status.get("observedGeneration") != service["metadata"]["generation"]:
            return "the controller has not seen it yet"
        condition = next((item for item in status.get("conditions", []) if item["type"] == "Ready"), {})
        return "" if condition.get("status") == "True" else str(condition.get("message") or condition or "no condition")

    def service(self, name: str) -> Any:
        return self.read("get", f"services.serving.knative.dev/{name}")

    def host(self, name: str) -> str:
        """The host by which the ingress knows a Service."""
        return str(urlsplit(self.service(name)["status"]["url"]).netloc)

    def tagged(self, name: str, tag: str) -> str:
        """The host of a tag of a Service's traffic; its form is the cluster's to choose."""
        targets = self.service(name)["status"]["traffic"]
        return next(str(urlsplit(target["url"]).netloc) for target in targets if target.get("tag") == tag)

    def revisions(self, name: str) -> list[str]:
        """The revisions of a Service, oldest first."""
        items = self.read("get", "revisions.serving.knative.dev", "--selector", f"serving.knative.dev/service={name}")
        return sorted((item["metadata"]["name"] for item in items["items"]), key=lambda name: (len(name), name))

    def pods(self, name: str) -> list[Any]:
        """The pods of a Service that are not on their way out."""
        items = self.read("get", "pods", "--selector", f"serving.knative.dev/service={name}")["items"]
        return [pod for pod in items if "deletionTimestamp" not in pod["metadata"]]

    def ready(self, name: str) -> int:
        return sum(
            any(item["type"] == "Ready" and item["status"] == "True" for item in pod["status"].get("conditions", []))
            for pod in self.pods(name)
        )

    def request(
        self, host: str, path: str = "/", body: bytes | None = None, headers: Mapping[str, str] | None = None
    ) -> Answer:
        """One request by Host; GET without a body, POST with one. A broken connection is status 0."""
        port = self._ingress.port or (443 if self._ingress.scheme == "https" else 80)
        kind = http.client.HTTPSConnection if self._ingress.scheme == "https" else http.client.HTTPConnection
        connection = kind(self._ingress.hostname or "", port, timeout=150)
        start = time.monotonic()
        try:
            method = "GET" if body is None else "POST"
            connection.request(method, path, body, {"Host": host, "Accept": "application/json", **(headers or {})})
            answer = connection.getresponse()
            found = {name.lower(): value for name, value in answer.getheaders()}
            return Answer(answer.status, found, answer.read(), time.monotonic() - start)
        except (OSError, http.client.HTTPException):
            return Answer(0, {}, b"", time.monotonic() - start)
        finally:
            connection.close()

    def at_once(self, count: int, host: str, path: str, body: bytes | None = None) -> list[Answer]:
        """Many requests at the same moment."""
        with ThreadPoolExecutor(count) as pool:
            return list(pool.map(lambda _: self.request(host, path, body), range(count)))


def until(condition: Callable[[], bool], seconds: float, what: str) -> float:
    """Wait for a condition; the seconds it took."""
    start = time.monotonic()
    while not condition():
        assert time.monotonic() - start < seconds, f"not after {seconds:.0f} s: {what}"
        time.sleep(1)
    return time.monotonic() - start


class Load:
    """A closed loop: `clients` of them, each sending its next request a moment after the last is answered."""

    def __init__(self, clients: int, send: Callable[[], Answer]) -> None:
        self.answers: list[Answer] = []
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._run, args=(send,)) for _ in range(clients)]

    def _run(self, send: Callable[[], Answer]) -> None:
        while not self._stop.is_set():
            self.answers.append(send())
            time.sleep(0.02)

    def __enter__(self) -> Load:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def lost(self) -> list[int]:
        """The statuses of the requests that were not answered with 200."""
        return [answer.status for answer in self.answers if answer.status != 200]


def namespace_of_its_own(name: str) -> Iterator[str]:
    """A namespace that enforces the restricted pod-security profile; deleted afterwards."""
    manifest = {
        "apiVersion": "v1",
        "kind": "Namespace",
        "metadata": {"name": name, "labels": {"pod-security.kubernetes.io/enforce": "restricted"}},
    }
    command = ["kubectl", "apply", "--filename", "-"]
    done = subprocess.run(command, input=yaml.safe_dump(manifest), text=True, capture_output=True)
    assert done.returncode == 0, f"no namespace could be made in the cluster of KUBECONFIG:\n{done.stderr}"
    try:
        yield name
    finally:
        subprocess.run(["kubectl", "delete", "namespace", name, "--wait=false"], check=False, capture_output=True)


def missing(environ: Mapping[str, str] = os.environ) -> list[str]:
    """What the tests need of the environment and do not have."""
    return [name for name in ("KUBECONFIG", "PIXELAMP_IMAGE_PREFIX", "PIXELAMP_INGRESS") if not environ.get(name)]


# For tests that need a cluster: skipped, with what is missing, where there is none.
ON_A_CLUSTER = [
    pytest.mark.cluster,
    pytest.mark.slow,
    pytest.mark.timeout(900),
    pytest.mark.skipif(
        bool(missing()) or not shutil.which("kubectl"),
        reason=f"no cluster: {', '.join(missing()) or 'kubectl'} is missing",
    ),
]


def cluster_of_its_own(name: str) -> Iterator[Cluster]:
    """The cluster of the environment, in a namespace that is made for one module of tests and deleted afterwards."""
    for namespace in namespace_of_its_own(f"{name}-{uuid.uuid4().hex[:6]}"):
        yield Cluster(
            namespace,
            os.environ["PIXELAMP_INGRESS"],
            os.environ["PIXELAMP_IMAGE_PREFIX"],
            os.environ.get("PIXELAMP_IMAGE_TAG", "0.1.0"),
        )
