"""Exchanges of kubectl and kn with a real Knative, repeated with the engine and compared field by field.

PIXELAMP_CONVERSATIONS names the file: one exchange a line, with `command`, `method`, `path`, `request_headers`,
`request_body`, `status`, `content_type`, `watch` and `response_body`.
"""

from __future__ import annotations

import json
import os
import re
import ssl
import time
from collections.abc import Iterator
from http.client import HTTPSConnection
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import yaml

from tests.engines import EngineProcess
from tests.servers import ROOT

FILE = os.environ.get("PIXELAMP_CONVERSATIONS")
READY_SECONDS = 15.0

pytestmark = [
    pytest.mark.skipif(not FILE, reason="PIXELAMP_CONVERSATIONS names no file of exchanges"),
    pytest.mark.timeout(600),
]

# The fields that are compared, by kind. What is not here differs by nature: uids, versions, times, addresses, nodes.
_METADATA = ("apiVersion", "kind", "metadata.name", "metadata.namespace", "metadata.labels", "metadata.annotations")
_SPECIFIED = (*_METADATA, "metadata.generation", "metadata.managedFields", "spec")
FIELDS: dict[str, tuple[str, ...]] = {
    "Service": (
        *_SPECIFIED,
        *(f"status.{name}" for name in ("conditions", "observedGeneration", "traffic", "address")),
        *(f"status.latest{name}RevisionName" for name in ("Created", "Ready")),
    ),
    "Revision": (*_METADATA, "spec", "status.conditions", "status.observedGeneration", "status.containerStatuses"),
    "Configuration": (*_SPECIFIED, "status.conditions", "status.latestCreatedRevisionName"),
    "Route": (*_SPECIFIED, "status.conditions", "status.traffic"),
    "Broker": (*_SPECIFIED, "status.conditions", "status.address"),
    "Trigger": (*_SPECIFIED, "status.subscriberUri"),
    "Namespace": ("apiVersion", "kind", "metadata.name", "metadata.labels", "status.phase"),
    "Pod": ("apiVersion", "kind", "metadata.namespace", "metadata.labels", "status.phase"),
    "Status": ("kind", "status", "reason", "code", "message", "details"),
}
# Labels and annotations whose values are uids, times and names of users; their names are compared.
_FREE = re.compile(r"UID$|/creator$|/lastModifier$|pod-template-hash|routingStateModified$")
_FREE_COLUMNS = {"URL", "Age", "Actual Replicas", "Desired Replicas", "Ready", "Status", "IP", "Node", "Name", "Reason"}
# What the engine's objects have and Knative's not, and the other way round.
_OWN = {"pixelamp/code"}


def exchanges() -> list[dict[str, Any]]:
    if not FILE:
        return []
    found = [json.loads(line) for line in Path(FILE).read_text().splitlines()]
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


EXCHANGES = exchanges()


def left_out(exchange: dict[str, Any]) -> str:
    """Why an exchange is not compared; empty if it is."""
    if "/openapi/" in exchange["path"]:
        return "OpenAPI documents were not recorded"
    if "protobuf" in str(exchange["content_type"]):
        return "the answer is protobuf"
    if exchange["path"].startswith("/version"):
        return "the version is the server's own"
    if exchange["watch"] and "sendInitialEvents" in exchange["path"]:
        return "the recording cluster had no sendInitialEvents"
    return ""


class Replay:
    """The engine, and what stands in it for the recorded names, uids and versions."""

    def __init__(self, engine: EngineProcess) -> None:
        line = engine.wait(
            lambda: next((one for one in engine.lines if "export KUBECONFIG=" in one), ""), "the line of the API"
        )
        content = yaml.safe_load(Path(line.partition("KUBECONFIG=")[2]).read_text())
        import base64

        authority = base64.b64decode(content["clusters"][0]["cluster"]["certificate-authority-data"]).decode()
        self._address = urlsplit(content["clusters"][0]["cluster"]["server"])
        self._context = ssl.create_default_context(cadata=authority)
        self._token = content["users"][0]["user"]["token"]
        self._own: dict[str, str] = {}  # by what was recorded
        self._labelled = False
        namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "rec"}}
        self.send("POST", "/api/v1/namespaces", namespace, {"Content-Type": "application/json"})

    def send(self, method: str, path: str, body: Any, headers: dict[str, str]) -> tuple[int, str, Any]:
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

    def repeat(self, exchange: dict[str, Any]) -> tuple[int, str, Any]:
        if exchange["command"].startswith("kn service apply") and not self._labelled:
            self._label()
        path = self._translated(exchange["path"])
        body = exchange["request_body"]
        if body:
            body = json.loads(self._translated(json.dumps(body)))
        headers = {key: value for key, value in exchange["request_headers"].items() if key != "Kubectl-Command"}
        if exchange["watch"]:
            path = re.sub(r"timeoutSeconds=\d+", "timeoutSeconds=1", path)
            path += "" if "timeoutSeconds" in path else "&timeoutSeconds=1"
            return self.send("GET", path, None, headers)
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
            time.sleep(0.1)
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
    """Whether a response is as far as the recorded one: what was ready is, in tables too."""
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
        field = "latestReadyRevisionName"
        return recorded["status"].get(field) == own.get("status", {}).get(field)
    return True


@pytest.fixture(scope="module")
def answers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[int, tuple[int, str, Any]]]:
    """Each exchange's answer by the engine, in the order of the recording."""
    # The recording took seconds: however long this one takes, the pods of its first revision are there to be asked for.
    pods_stay = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "config-autoscaler", "namespace": "knative-serving"},
        "data": {"stable-window": "1h"},
    }
    folder = tmp_path_factory.mktemp("conversations")
    engine = EngineProcess(folder, pods_stay, arguments=("--workdir", str(ROOT)), api=True)
    try:
        replay = Replay(engine)
        yield {one["number"]: replay.repeat(one) for one in EXCHANGES if not left_out(one)}
    finally:
        engine.stop()


@pytest.mark.parametrize(
    "exchange", EXCHANGES, ids=[f"{one['number']}-{one['method']}-{one['command'][:40]}" for one in EXCHANGES]
)
def test_an_exchange_is_answered_as_by_knative(exchange: dict[str, Any], answers: dict[int, tuple[int, str, Any]]):
    if reason := left_out(exchange):
        pytest.skip(reason)
    status, content_type, own = answers[exchange["number"]]
    assert status == exchange["status"], own
    assert content_type.partition(";")[0] == str(exchange["content_type"]).partition(";")[0]
    recorded = exchange["response_body"]
    if exchange["watch"]:  # the events in between are the controllers' own
        lines = own.splitlines() if isinstance(own, str) else [json.dumps(own)] if own else []
        assert all(json.loads(line)["type"] in ("ADDED", "MODIFIED", "DELETED", "BOOKMARK") for line in lines)
        return
    if isinstance(recorded, dict):
        compare(recorded, own)


def compare(recorded: dict[str, Any], own: dict[str, Any]) -> None:
    kind = recorded["kind"]
    if kind == "Table":
        compare_tables(recorded, own)
    elif kind == "APIGroupDiscoveryList":
        compare_discovery(recorded, own)
    elif kind.endswith("List"):
        assert own["kind"] == kind
        assert own["apiVersion"] == recorded["apiVersion"]
        if kind == "PodList":  # how many pods there are is the autoscaler's business
            return
        names = [one["metadata"]["name"] for one in recorded["items"]]
        assert [one["metadata"]["name"] for one in own["items"]] == names
        for first, second in zip(recorded["items"], own["items"], strict=True):
            compare_objects(kind.removesuffix("List"), first, second)
    else:
        compare_objects(kind, recorded, own)


def compare_objects(kind: str, recorded: dict[str, Any], own: dict[str, Any]) -> None:
    for field in FIELDS[kind]:
        if field.startswith("status.") and ready(recorded) and set(ready(recorded).values()) != {"True"}:
            continue  # on the way to being ready
        if field.startswith("status.") and kind == "Service" and not is_steady(recorded):
            continue
        assert shown(field, own) == shown(field, recorded), field


def is_steady(obj: dict[str, Any]) -> bool:
    return bool(ready(obj)) and obj["status"].get("observedGeneration") == obj["metadata"]["generation"]


def shown(field: str, obj: Any) -> Any:
    """A field as it is compared."""
    value = obj
    for name in field.split("."):
        value = value.get(name) if isinstance(value, dict) else None
    if field in ("metadata.labels", "metadata.annotations"):
        kept = {key: one for key, one in (value or {}).items() if key not in _OWN}
        return {key: "" if _FREE.search(key) else one for key, one in kept.items()}
    if field == "metadata.managedFields":
        entries = [one for one in value or [] if re.match(r"kn$|kubectl", one["manager"])]
        return sorted(((one["manager"], one["operation"], one["fieldsV1"]) for one in entries), key=repr)
    if field == "status.conditions":
        # Whether a revision without traffic is still active depends on the second.
        return {one["type"]: one["status"] for one in value or [] if one["type"] != "Active"}
    if field == "status.traffic":
        return [{key: one for key, one in target.items() if key != "url"} for target in value or []]
    if field == "status.containerStatuses":
        return [one["name"] for one in value or []]
    if field == "details" and isinstance(value, dict):
        return {key: one for key, one in value.items() if key != "uid"}
    return value


def compare_tables(recorded: dict[str, Any], own: dict[str, Any]) -> None:
    columns, mine = recorded["columnDefinitions"], own["columnDefinitions"]
    for field in ("name", "type", "format", "priority"):
        assert [one[field] for one in mine] == [one[field] for one in columns]
    names = [column["name"] for column in columns]
    if "Restarts" in names:
        return
    kept = [index for index, name in enumerate(names) if name not in _FREE_COLUMNS or index == 0]
    rows = [[[row["cells"][index] for index in kept] for row in one["rows"]] for one in (recorded, own)]
    assert rows[1] == rows[0]
    for first, second in zip(recorded["rows"], own["rows"], strict=True):
        assert second["object"]["kind"] == first["object"]["kind"]
        assert set(second["object"]) == set(first["object"])


def compare_discovery(recorded: dict[str, Any], own: dict[str, Any]) -> None:
    """What the engine serves is described as there; that it serves fewer kinds, and of some fewer verbs, is allowed."""

    def resources(document: Any) -> dict[tuple[str, str, str], Any]:
        return {
            (group["metadata"].get("name", ""), version["version"], resource["resource"]): resource
            for group in document["items"]
            for version in group["versions"]
            for resource in version["resources"]
        }

    theirs, mine = resources(recorded), resources(own)
    assert mine
    for key, resource in mine.items():
        if key[0] == "apiextensions.k8s.io":
            continue  # cut from the recording
        for field in ("responseKind", "scope", "singularResource", "shortNames", "categories"):
            assert resource.get(field) == theirs[key].get(field), (key, field)
        verbs, full = set(resource["verbs"]), set(theirs[key]["verbs"])
        written = key[0].endswith("knative.dev") and "internal" not in key[0]
        assert verbs == full if written else verbs <= full, key
