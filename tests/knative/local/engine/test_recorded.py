"""Objects have the form and the values of those that a real Knative returned for the same manifests."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from knative.local.api.admission import Operation, admission
from knative.local.api.frozen import thaw
from knative.local.controllers.files import ensure_namespace
from knative.local.controllers.objects import DEPLOYMENTS, LAST_APPLIED, PODS, REVISIONS, ROUTES, SERVICES, find
from tests.engines import POD_SERVER, run_async
from tests.knative.local.engine.running import Running, running

RECORDED = json.loads((Path(__file__).parents[3] / "vectors" / "kube_objects.json").read_text())["objects"]
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ")
UID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
# What differs from run to run, and what this machine has not.
VOLATILE = {
    "metadata.resourceVersion",
    "metadata.generation",
    "metadata.labels.serving.knative.dev/configurationGeneration",
    "metadata.labels.pod-template-hash",
    "metadata.finalizers",  # nothing is left to clean up here when a Route is removed
    "metadata.annotations.kubectl.kubernetes.io/last-applied-configuration",
    "status.observedGeneration",
    "status.actualReplicas",
    "status.desiredReplicas",
}
OF_THE_NODE = {
    "metadata.name",
    "metadata.generateName",
    "status.conditions",
    "status.hostIP",
    "status.hostIPs",
    "status.podIP",
    "status.podIPs",
    "status.resources",
    "status.allocatedResources",
    "status.containerStatuses.imageID",
    "status.containerStatuses.containerID",
    "status.containerStatuses.resources",
    "status.containerStatuses.allocatedResources",
    "status.containerStatuses.volumeMounts",
}


def plain(value: Any, left_out: set[str], path: str = "") -> Any:
    """The value with what differs from run to run replaced by its form."""
    if isinstance(value, dict):
        inner = {key: f"{path}.{key}".lstrip(".") for key in value}
        return {key: plain(item, left_out, inner[key]) for key, item in value.items() if inner[key] not in left_out}
    if isinstance(value, list):
        return [plain(item, left_out, path) for item in value]
    if not isinstance(value, str):
        return value
    text = UID.sub("UID", TIME.sub("TIME", value))
    text = re.sub(r"rec\.(127\.0\.0\.1\.sslip\.io|localhost:\d+)", "DOMAIN", text)
    text = re.sub(r"-0000\d", "-N", text)
    return re.sub(r"-N-deployment-[a-z0-9]+(-[a-z0-9]{5})?", "-N-deployment", text)


def assert_alike(ours: dict[str, Any] | None, recorded: str, *, also: frozenset[str] = frozenset()) -> None:
    left_out = VOLATILE | also
    assert plain(thaw(ours), left_out) == plain(RECORDED[recorded], left_out)


def exif() -> dict[str, Any]:
    """The Service as it was applied, with a program of the tests."""
    made = json.loads(RECORDED["Service/exif"]["metadata"]["annotations"][LAST_APPLIED])
    return dict(made)


class Cluster:
    """What kubectl does with an engine."""

    def __init__(self, engine: Running) -> None:
        self.engine = engine
        self.store = engine.store
        ensure_namespace(self.store, "rec")

    def put(self, resource: str, obj: dict[str, Any]) -> None:
        name = obj["metadata"]["name"]
        old = find(self.store, resource, "rec", name)
        cluster = self.engine.engine.manifests.cluster
        made = admission(cluster, obj, old, Operation.CREATE if old is None else Operation.UPDATE)
        if old is None:
            self.store.create(resource, made)
        else:
            self.store.update(resource, made)

    def get(self, resource: str, name: str) -> dict[str, Any]:
        return self.store.get(resource, "rec", name)

    async def ready(self, name: str, generation: int) -> None:
        def is_ready() -> bool:
            status = self.get(SERVICES, name).get("status") or {}
            ready = [one["status"] for one in status.get("conditions", ()) if one["type"] == "Ready"]
            return status.get("observedGeneration") == generation and ready == ["True"]

        await self.engine.until(is_ready, f"ready {name}")


def run(folder: Path, work: Any, **overrides: Any) -> None:
    async def whole() -> None:
        async with running(folder, **overrides) as engine:
            await work(Cluster(engine))

    run_async(whole())


def test_the_objects_of_a_service(tmp_path: Path) -> None:
    async def work(cluster: Cluster) -> None:
        made = exif()
        container = made["spec"]["template"]["spec"]["containers"][0]
        command = container["command"]
        container["command"] = ["python", "-S", str(POD_SERVER)]
        container["readinessProbe"] = {"httpGet": {"path": "/readyz"}}
        made["metadata"]["annotations"] = {LAST_APPLIED: "…"}
        cluster.put(SERVICES, made)
        await cluster.ready("exif", 1)
        for obj in (cluster.get(SERVICES, "exif"), cluster.get(REVISIONS, "exif-00001")):
            spec = obj["spec"]["template"]["spec"] if obj["kind"] == "Service" else obj["spec"]
            assert spec["containers"][0]["command"] != command
        service = thaw(cluster.get(SERVICES, "exif"))
        service["spec"]["template"]["spec"]["containers"][0]["command"] = command
        assert_alike(service, "Service/exif")
        later = frozenset({"metadata.annotations.note", "metadata.labels.team"})  # it was recorded after those
        assert_alike(cluster.get(ROUTES, "exif"), "Route/exif", also=later)
        (pod,) = cluster.store.list(PODS)
        known = {key: value for key, value in pod.items() if key != "spec"}
        assert_alike(known, "Pod/exif-00001-pod", also=frozenset(OF_THE_NODE))
        types = {one["type"]: one["status"] for one in pod["status"]["conditions"]}
        recorded = {one["type"]: one["status"] for one in RECORDED["Pod/exif-00001-pod"]["status"]["conditions"]}
        assert types == recorded
        assert find(cluster.store, DEPLOYMENTS, "rec", "exif-00001-deployment") is not None
        service["spec"]["template"]["spec"]["timeoutSeconds"] = 55
        service["spec"]["template"]["spec"]["containers"][0]["command"] = ["python", "-S", str(POD_SERVER)]
        cluster.put(SERVICES, service)
        await cluster.ready("exif", 2)
        revision = thaw(cluster.get(REVISIONS, "exif-00001"))
        revision["spec"]["containers"][0]["command"] = command
        # At the end of the window it goes to zero; when it was recorded it had not yet.
        assert_alike(revision, "Revision/exif-00001", also=frozenset({"status.conditions"}))

    run(tmp_path, work)


def test_tags_and_shares(tmp_path: Path) -> None:
    async def work(cluster: Cluster) -> None:
        recorded = RECORDED["Service/hello"]
        for number in range(1, 4):
            made = json.loads(json.dumps(recorded))
            made = {key: made[key] for key in ("apiVersion", "kind", "metadata", "spec")}
            for key in ("uid", "resourceVersion"):
                del made["metadata"][key]
            if number < 3:
                made["spec"]["template"]["spec"]["containers"][0]["env"] = [{"name": "A", "value": str(number)}]
                del made["spec"]["traffic"]
            cluster.put(SERVICES, made)
            await cluster.ready("hello", number)
        assert_alike(cluster.get(SERVICES, "hello"), "Service/hello")
        assert_alike(cluster.get(ROUTES, "hello"), "Route/hello")
        revision = cluster.get(REVISIONS, "hello-00003")
        assert_alike(revision, "Revision/hello-00003", also=frozenset({"status.conditions"}))
        types = [(one["type"], one.get("severity")) for one in revision["status"]["conditions"]]
        expected = RECORDED["Revision/hello-00003"]["status"]["conditions"]
        assert types == [(one["type"], one.get("severity")) for one in expected]

    run(tmp_path, work, initial_scale=0)


def test_a_broker_and_a_trigger(tmp_path: Path) -> None:
    async def work(cluster: Cluster) -> None:
        cluster.put(SERVICES, exif())
        for kind in ("Broker", "Trigger"):
            recorded = RECORDED[f"{kind}/{'images' if kind == 'Broker' else 't1'}"]
            made = json.loads(recorded["metadata"]["annotations"][LAST_APPLIED])
            made["metadata"]["annotations"] = {LAST_APPLIED: "…"}
            cluster.put(f"{kind.lower()}s.eventing.knative.dev", made)
        triggers = "triggers.eventing.knative.dev"
        await cluster.engine.until(lambda: "status" in cluster.get(triggers, "t1"), "status")
        assert_alike(cluster.get(triggers, "t1"), "Trigger/t1")
        broker = dict(cluster.get("brokers.eventing.knative.dev", "images"))
        status = broker.pop("status")
        assert_alike(broker, "Broker/images")
        assert status["address"]["url"].endswith("/rec/images")

    run(tmp_path, work, initial_scale=0)
