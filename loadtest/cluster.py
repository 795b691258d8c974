"""Where a scenario runs on a cluster: a Service of its own through a kubeconfig, loaded through the cluster's ingress.

Beside what the local lab observes it records the path of the requests (ingress, activator, pods) and whether the nodes
had room: a load that a node could not carry says nothing about the autoscaler.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import aiohttp

from knative.local.jsontypes import JsonMapping, JsonObject
from loadtest.generators.wire import Target, target
from loadtest.lab import SERVICE, Lab, LabError, Place, Run
from loadtest.observe.kubernetes import ApiError, call
from loadtest.observe.pods import KubernetesSource, Observer, Sample

READY_SECONDS = 300.0  # the image may have to be pulled first
NODE_PERIOD_SECONDS = 5.0
NODE_SHARE = 0.95  # of a node's CPU; above it the node is the bottleneck
SCENARIOS = ("step", "burst", "zero", "overload", "spike", "slow", "canary", "rollout")
_NOT_SERVED = {403, 404, 405}
_UNITS = {"n": 1e-9, "u": 1e-6, "m": 1e-3, "": 1.0}


@dataclass
class Seen:
    """What was seen of the request path and of the nodes.

    Attributes:
        modes: samples by mode of the revisions' serverless services: `Proxy` goes through the activator.
        servers: responses' `Server` headers.
        nodes: the greatest share of its CPU that each node used, by name.
        unschedulable: messages of pods that fit on no node.
        unknown: what could not be read, and why.
    """

    modes: Counter[str] = field(default_factory=Counter)
    servers: Counter[str] = field(default_factory=Counter)
    nodes: dict[str, list[float]] = field(default_factory=dict)
    unschedulable: set[str] = field(default_factory=set)
    unknown: dict[str, str] = field(default_factory=dict)


class ClusterLab(Lab):
    """A Service of the cluster; an asynchronous context manager like the local lab.

    Args:
        place: the cluster.
        run, folder, manifests, minimum, maximum: as for `Lab`; options of the local engine and further Services are
            left out.
    """

    def __init__(
        self,
        place: Place,
        run: Run,
        folder: Path,
        manifests: JsonMapping | Iterable[Path],
        *,
        minimum: int = 0,
        maximum: int = 0,
        **_local: Any,
    ) -> None:
        if not isinstance(manifests, Mapping):
            raise LabError(f"{run.scenario} serves folders of manifests, which --cluster does not apply")
        self.place = place
        super().__init__(run, folder, manifests, minimum=minimum, maximum=maximum)
        self.url = place.ingress.rstrip("/")
        self.observer = Observer(KubernetesSource(SERVICE, place.access, place.namespace))
        self.seen = Seen()
        self._host = ""
        self._wanted = manifests
        self._api: aiohttp.ClientSession = None  # type: ignore[assignment]  # until the lab is entered
        self._applied: asyncio.Task[None] | None = None
        self._watcher: asyncio.Task[None] | None = None

    # The Service

    @property
    def _path(self) -> str:
        return f"/apis/serving.knative.dev/v1/namespaces/{self.place.namespace}/services/{SERVICE}"

    def write(self, manifest: JsonMapping) -> None:
        """Keep the manifest; `reload` applies it."""
        super().write(manifest)
        self._wanted = manifest

    def reload(self) -> None:
        """Apply the manifest again."""
        self._applied = asyncio.get_running_loop().create_task(self._apply())

    async def _apply(self) -> None:
        manifest = on_a_cluster(self._wanted, self.place)
        query = {"fieldManager": "pixelamp-loadtest", "force": "true"}
        await call(self.place.access, self._api, "PATCH", self._path, query=query, applied=manifest)

    async def _wait_ready(self) -> None:
        deadline = time.monotonic() + READY_SECONDS
        condition: JsonMapping = {}
        while time.monotonic() < deadline:
            found = await call(self.place.access, self._api, "GET", self._path)
            status = found.get("status") or {}
            current = status.get("observedGeneration") == found["metadata"].get("generation")
            condition = next((one for one in status.get("conditions") or [] if one.get("type") == "Ready"), {})
            if current and condition.get("status") == "True" and status.get("url"):
                self._host = urlsplit(status["url"]).netloc
                return
            if current and condition.get("status") == "False":
                break
            await asyncio.sleep(0.5)
        text = condition.get("message") or condition.get("reason") or "no Ready condition"
        raise LabError(f"the Service {self.place.namespace}/{SERVICE} is not ready: {text}")

    async def __aenter__(self) -> ClusterLab:
        self._api = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=30))
        try:
            await self._apply()
            await self._wait_ready()
        except (ApiError, aiohttp.ClientError, OSError, TimeoutError) as error:
            await self._remove()
            raise LabError(f"{self.place.access.server}: {error}") from error
        except BaseException:
            await self._remove()
            raise
        await self._begin()
        self._watcher = asyncio.get_running_loop().create_task(self._watch())
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._watcher is not None:
            self._watcher.cancel()
        await self._finish()
        await self._remove()
        self.run.path = self.path()
        self.run.bottlenecks = self.bottlenecks()
        self.run.unchecked = [
            "requests worked on twice (the pods' logs end with them)",
            *(f"{what} ({why})" for what, why in sorted(self.seen.unknown.items())),
        ]

    async def _remove(self) -> None:
        if self._applied is not None:
            await asyncio.gather(self._applied, return_exceptions=True)
        try:
            await call(self.place.access, self._api, "DELETE", self._path)
        except (ApiError, aiohttp.ClientError, OSError, TimeoutError) as error:
            self.run.say("left", f"the Service {self.place.namespace}/{SERVICE} could not be deleted: {error}")
        finally:
            await self._api.close()

    def target(self, *, hold: float = 0.5, body: bytes = b"") -> Target:
        """A request that holds its place for `hold` seconds, through the ingress to the Service's host."""
        url = f"{self.url}/?seconds=0&sleep_ms={hold * 1000:.0f}"
        return target(url, method="POST", headers={"Host": self._host}, body=body)

    async def ready(self, pods: int, timeout: float = READY_SECONDS) -> Sample:
        """See `Lab.ready`; on a cluster pods take longer to end."""
        return await super().ready(pods, timeout)

    # The request path and the nodes

    async def _watch(self) -> None:
        while True:
            for name, look in (("request path", self._look_at_path), ("room on the nodes", self._look_at_nodes)):
                try:
                    await look()
                except ApiError as error:
                    self.seen.unknown[name] = str(error)
                    if error.status not in _NOT_SERVED:
                        self.run.say("unknown", f"{name}: {error}")
                except (aiohttp.ClientError, OSError, TimeoutError, KeyError, ValueError) as error:
                    self.seen.unknown[name] = repr(error)
            await asyncio.sleep(NODE_PERIOD_SECONDS)

    async def _list(self, path: str, selector: str = "") -> list[JsonObject]:
        query = {"labelSelector": selector} if selector else {}
        return list((await call(self.place.access, self._api, "GET", path, query=query)).get("items") or [])

    async def _look_at_path(self) -> None:
        group = f"/apis/networking.internal.knative.dev/v1alpha1/namespaces/{self.place.namespace}"
        for one in await self._list(f"{group}/serverlessservices", f"serving.knative.dev/service={SERVICE}"):
            self.seen.modes[one["spec"]["mode"]] += 1

    async def _look_at_nodes(self) -> None:
        pods = await self._list(
            f"/api/v1/namespaces/{self.place.namespace}/pods", f"serving.knative.dev/service={SERVICE}"
        )
        for pod in pods:
            for condition in pod.get("status", {}).get("conditions") or []:
                if condition.get("type") == "PodScheduled" and condition.get("reason") == "Unschedulable":
                    self.seen.unschedulable.add(str(condition.get("message") or "no node has room for a pod"))
        ours = {pod.get("spec", {}).get("nodeName") for pod in pods}
        nodes = {node["metadata"]["name"]: node for node in await self._list("/api/v1/nodes")}
        for one in await self._list("/apis/metrics.k8s.io/v1beta1/nodes"):
            name = one["metadata"]["name"]
            if name in nodes and name in ours:
                share = cores(one["usage"]["cpu"]) / cores(nodes[name]["status"]["allocatable"]["cpu"])
                self.seen.nodes.setdefault(name, []).append(share)

    def path(self) -> str:
        """The path of the requests, as it was seen."""
        proxied, direct = self.seen.modes["Proxy"], self.seen.modes["Serve"]
        if proxied and direct:
            middle = f"the activator ({proxied} of {proxied + direct} samples, else past it)"
        elif proxied or direct:
            middle = "the activator" if proxied else "no activator (the revision has spare capacity)"
        else:
            middle = f"activator unknown ({self.seen.unknown.get('request path', 'no sample')})"
        pods = {request.pod for request in self.run.requests if request.pod}
        return f"ingress {self.url} (Host: {self._host}) → {middle} → {len(pods)} pods by X-Pod-Name"

    def bottlenecks(self) -> list[str]:
        """Why the nodes, not the autoscaler, decided the outcome; empty where they did not."""
        found = [f"a pod fitted on no node: {text}" for text in sorted(self.seen.unschedulable)]
        for name, shares in sorted(self.seen.nodes.items()):
            busy = sum(share > NODE_SHARE for share in shares)
            if 2 * busy > len(shares):
                found.append(
                    f"node {name} used more than {NODE_SHARE:.0%} of its CPU in {busy} of {len(shares)} samples: "
                    "lower the load or add a node"
                )
        return found


def new_lab(run: Run, folder: Path, manifests: JsonMapping | Iterable[Path], **options: Any) -> Lab:
    """The lab of a run: an engine of this machine, or the cluster of its place. `options` as for `Lab`."""
    if run.place is None:
        return Lab(run, folder, manifests, **options)
    return ClusterLab(run.place, run, folder, manifests, **options)


def on_a_cluster(manifest: JsonMapping, place: Place) -> JsonObject:
    """The Service of a scenario with the image of the cluster and the command that the image has."""
    template = manifest["spec"]["template"]
    container = {
        **template["spec"]["containers"][0],
        "image": place.image,
        "command": ["python", "-m", "functions.kit.server"],
        "args": ["stress"],
        "resources": {"requests": {"cpu": "50m", "memory": "128Mi"}},
    }
    spec = {**manifest["spec"], "template": {**template, "spec": {**template["spec"], "containers": [container]}}}
    return {**manifest, "metadata": {**manifest["metadata"], "namespace": place.namespace}, "spec": spec}


def cores(quantity: str) -> float:
    """CPU as Kubernetes writes it: `2`, `250m`, `1937524n`."""
    unit = quantity[-1] if quantity[-1:] in {"n", "u", "m"} else ""
    return float(quantity.removesuffix(unit)) * _UNITS[unit]
