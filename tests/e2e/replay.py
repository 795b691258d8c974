"""Exchanges of kubectl and kn that were recorded with a real Knative, and their replay against the engine."""

from __future__ import annotations

import base64
import json
import re
import ssl
import time
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPSConnection
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import yaml

from tests.engines import EngineProcess

READY_SECONDS = 15.0
Response = tuple[int, str, Any]
"""Status, content type and body."""


def exchanges(file: Path) -> list[dict[str, Any]]:
    """Return the exchanges of a file in their order, numbered, with JSON bodies decoded."""
    found = [json.loads(line) for line in file.read_text().splitlines()]
    for number, one in enumerate(found):
        one["number"] = number
        for field in ("request_body", "response_body"):
            one[field] = read(one[field])
    return found


def read(body: Any) -> Any:
    if not isinstance(body, str):
        return body
    try:
        return json.loads(body)
    except ValueError:
        return body


def left_out(exchange: dict[str, Any]) -> str:
    """The reason why an exchange is not compared; empty if it is."""
    if "/openapi/" in exchange["path"]:
        return "OpenAPI documents were not recorded"
    if "protobuf" in str(exchange["content_type"]):
        return "the answer is protobuf"
    if exchange["path"].startswith("/version"):
        return "the version is the server's own"
    if exchange["watch"] and "sendInitialEvents" in exchange["path"]:
        return "the recording cluster had no sendInitialEvents"
    return ""


def headers_of(exchange: dict[str, Any]) -> dict[str, str]:
    return {key: value for key, value in exchange["request_headers"].items() if key != "Kubectl-Command"}


class Replay:
    """A replay of exchanges against an engine, with its own names, uids and versions in place of the recorded ones.

    Watches run beside the other exchanges, as they did when they were recorded.
    """

    def __init__(self, engine: EngineProcess) -> None:
        line = engine.wait(
            lambda: next((one for one in engine.lines if "export KUBECONFIG=" in one), ""), "the line of the API"
        )
        content = yaml.safe_load(Path(line.partition("KUBECONFIG=")[2]).read_text())
        authority = base64.b64decode(content["clusters"][0]["cluster"]["certificate-authority-data"]).decode()
        self._address = urlsplit(content["clusters"][0]["cluster"]["server"])
        self._context = ssl.create_default_context(cadata=authority)
        self._token = content["users"][0]["user"]["token"]
        self._own: dict[str, str] = {}  # by recorded value
        self._labelled = False
        namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "rec"}}
        self.send("POST", "/api/v1/namespaces", namespace, {"Content-Type": "application/json"})

    def send(self, method: str, path: str, body: Any, headers: dict[str, str]) -> Response:
        connection = HTTPSConnection(
            self._address.hostname or "", self._address.port, timeout=30, context=self._context
        )
        try:
            data = json.dumps(body).encode() if isinstance(body, dict | list) else (body or "").encode()
            sent = {**headers, "Authorization": f"Bearer {self._token}"}
            connection.request(method, path, data or None, sent)
            answer = connection.getresponse()
            return answer.status, answer.headers.get("Content-Type", ""), read(answer.read().decode())
        finally:
            connection.close()

    def run(self, recorded: Iterable[dict[str, Any]]) -> dict[int, Response]:
        """Return the response of each exchange, by its number."""
        responses, watches = {}, {}
        with ThreadPoolExecutor() as pool:
            for exchange in recorded:
                if exchange["watch"]:
                    path = self._translated(exchange["path"])
                    watches[exchange["number"]] = pool.submit(self._watch, path, headers_of(exchange))
                else:
                    responses[exchange["number"]] = self._repeat(exchange)
        return responses | {number: watch.result() for number, watch in watches.items()}

    def _watch(self, path: str, headers: dict[str, str]) -> Response:
        path = re.sub(r"timeoutSeconds=\d+", "timeoutSeconds=1", path)
        path += "" if "timeoutSeconds" in path else "&timeoutSeconds=1"
        return self.send("GET", path, None, headers)

    def _repeat(self, exchange: dict[str, Any]) -> Response:
        if exchange["command"].startswith("kn service apply") and not self._labelled:
            self._label()
        path = self._translated(exchange["path"])
        body = exchange["request_body"]
        if body:
            body = json.loads(self._translated(json.dumps(body)))
        headers = headers_of(exchange)
        if recorded := re.search(r"/pods/(.+)-deployment-[^/?]+", path):
            path = path.replace(recorded[0], f"/pods/{self._pod(recorded[1])}")
        wanted = exchange["response_body"]
        if exchange["status"] == 409 and exchange["method"] == "PATCH":
            self._touch(path.partition("?")[0])  # as a controller did in the recording
        deadline = time.monotonic() + READY_SECONDS
        while True:
            answer = self.send(exchange["method"], path, body, headers)
            if answer[0] == 409 and exchange["status"] == 200 and body:
                body = self._current(path, body)  # a controller was faster: clients try again
                continue
            if exchange["method"] != "GET" or settled(answer[2], wanted) or time.monotonic() > deadline:
                break
            time.sleep(0.02)
        self._learn(wanted, answer[2])
        return answer

    def _current(self, path: str, body: Any) -> Any:
        """Put the version that an object has now into a body that has an older one."""
        _, _, found = self.send("GET", path.partition("?")[0], None, {})
        version = found["metadata"]["resourceVersion"]
        if isinstance(body, dict):
            return {**body, "metadata": {**body["metadata"], "resourceVersion": version}}
        return [{**one, "value": version} if one["path"].endswith("/resourceVersion") else one for one in body]

    def _touch(self, path: str) -> None:
        for value in ("yes", None):
            change = {"metadata": {"labels": {"touched": value}}}
            self.send("PATCH", path, change, {"Content-Type": "application/merge-patch+json"})

    def _label(self) -> None:
        """Repeat the one command that was not recorded: `kn service update hello` with a label and annotations."""
        self._labelled = True
        shared = {"labels": {"l": "m"}, "annotations": {"x": "y"}}
        scaled = {
            "autoscaling.knative.dev/min-scale": "1",
            "client.knative.dev/updateTimestamp": "2026-11-30T12:48:50Z",
        }
        template = {"metadata": {**shared, "annotations": {"x": "y", **scaled}}}
        path = "/apis/serving.knative.dev/v1/namespaces/rec/services/hello"
        headers = {"Content-Type": "application/merge-patch+json", "User-Agent": "kn/v0.0.0"}
        self.send("PATCH", path, {"metadata": shared, "spec": {"template": template}}, headers)

    def _pod(self, revision: str) -> str:
        query = f"labelSelector=serving.knative.dev%2Frevision%3D{revision}"
        _, _, found = self.send("GET", f"/api/v1/namespaces/rec/pods?{query}", None, {})
        return str(found["items"][0]["metadata"]["name"])

    def _learn(self, recorded: Any, own: Any) -> None:
        """Remember uids and versions of an object, and of the objects of a list by their names."""
        if not isinstance(recorded, dict) or not isinstance(own, dict):
            return
        named = [one for one in own.get("items", []) if "name" in one.get("metadata", {})]
        items = {one["metadata"]["name"]: one for one in named}
        for one in recorded.get("items", []):
            if one.get("metadata", {}).get("name") in items:
                self._learn(one, items[one["metadata"]["name"]])
        for field in ("uid", "resourceVersion"):
            value, mine = (one.get("metadata", {}).get(field) for one in (recorded, own))
            if value and mine:
                self._own[value] = mine

    def _translated(self, text: str) -> str:
        for recorded, own in self._own.items():
            text = re.sub(rf'(?<=["=]|D){re.escape(recorded)}(?=["&,]|%2C|$)', own, text)
        return text


def is_steady(obj: dict[str, Any]) -> bool:
    return bool(ready(obj)) and obj["status"].get("observedGeneration") == obj["metadata"]["generation"]


def ready(obj: Any) -> dict[str, str]:
    """The Ready condition of each object of a response that has one, by name."""
    items = obj.get("items", [obj]) if isinstance(obj, dict) else []
    return {
        one["metadata"]["name"]: condition["status"]
        for one in items
        if isinstance(one, dict) and isinstance(one.get("status"), dict) and "name" in one.get("metadata", {})
        for condition in one["status"].get("conditions", [])
        if condition["type"] == "Ready"
    }


def settled(own: Any, recorded: Any) -> bool:
    """Whether a response has reached the recorded state: each object that was ready is ready, in tables too."""
    if isinstance(recorded, dict) and recorded.get("kind") == "Table":
        columns = [column["name"] for column in recorded["columnDefinitions"]]
        if "Ready" not in columns or "LatestReady" not in columns:
            return True
        index = columns.index("LatestReady")
        cells = {row["cells"][0]: row["cells"][index] for row in own.get("rows", [])}
        return all(cells.get(row["cells"][0]) == row["cells"][index] for row in recorded["rows"])
    kind = recorded.get("kind") if isinstance(recorded, dict) else ""
    if kind == "PodList" or (kind == "Service" and not is_steady(recorded)):
        return True  # names of pods differ by nature, and a status on its way is not compared
    if kind == "Pod":
        return "True" in ready(own).values()
    mine = ready(own)
    if any(status == "True" and mine.get(name) != "True" for name, status in ready(recorded).items()):
        return False
    if isinstance(recorded, dict) and "items" not in recorded and isinstance(recorded.get("status"), dict):
        field = "latestReadyRevisionName"  # names end in padded numbers; the engine may be further than the recording
        return (recorded["status"].get(field) or "") <= (own.get("status", {}).get(field) or "")
    return True
