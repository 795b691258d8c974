"""A cluster with Knative, by kubectl and HTTP alone: a namespace of its own, requests by Host, loads that count."""

from __future__ import annotations

import http.client
import json
import os
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import yaml

ROOT = Path(__file__).resolve().parents[2]


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
    """One namespace of a cluster, and the ingress by which its Services are reached."""

    def __init__(self, namespace: str, ingress: str, prefix: str, tag: str) -> None:
        self.namespace = namespace
        self._ingress = urlsplit(ingress if "//" in ingress else f"http://{ingress}")
        self._prefix = prefix if prefix.endswith("-") else f"{prefix.rstrip('/')}/pixelamp-"
        self._tag = tag

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
        services = [f"services.serving.knative.dev/{name}" for name in names]
        self.kubectl("wait", "--for=condition=Ready", "--timeout=300s", *services)

    def service(self, name: str) -> Any:
        return self.read("get", f"services.serving.knative.dev/{name}")

    def host(self, name: str) -> str:
        return str(urlsplit(self.service(name)["status"]["url"]).netloc)

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
    """A closed loop: `clients` of them, each sending its next request when the last is answered."""

    def __init__(self, clients: int, send: Callable[[], Answer]) -> None:
        self.answers: list[Answer] = []
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._run, args=(send,)) for _ in range(clients)]

    def _run(self, send: Callable[[], Answer]) -> None:
        while not self._stop.is_set():
            self.answers.append(send())

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
    subprocess.run(command, input=yaml.safe_dump(manifest), text=True, check=True, capture_output=True)
    try:
        yield name
    finally:
        subprocess.run(["kubectl", "delete", "namespace", name, "--wait=false"], check=False, capture_output=True)


def missing(environ: Mapping[str, str] = os.environ) -> list[str]:
    """What the tests need of the environment and do not have."""
    return [name for name in ("KUBECONFIG", "PIXELAMP_IMAGE_PREFIX", "PIXELAMP_INGRESS") if not environ.get(name)]
