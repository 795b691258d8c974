"""A stand-in for a Kubernetes API server: TLS, tokens and client certificates, lists by label in pages, refusals.

It serves what a cluster with Knative serves, in the form of recorded answers: pods of a revision's Deployment with
their labels, phases and conditions, PodAutoscalers with their desired scale, `Status` objects where it refuses.
"""

from __future__ import annotations

import base64
import ssl
import subprocess
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from aiohttp import web

PODS = "/api/v1/namespaces/{namespace}/pods"
SCALERS = "/apis/autoscaling.internal.knative.dev/v1alpha1/namespaces/{namespace}/podautoscalers"
GROUP = "autoscaling.internal.knative.dev/v1alpha1"
EXPIRED = (
    "The provided continue parameter is too old to display a consistent list result. You can start a new list without "
    "the continue parameter, or use the continue token in this response to retrieve the remainder of the results."
)


@dataclass
class Certificates:
    """An authority, the server's certificate for 127.0.0.1 and `kubernetes.example`, and a client's."""

    folder: Path

    def __post_init__(self) -> None:
        self._authority()
        names = "subjectAltName=IP:127.0.0.1,DNS:kubernetes.example\nextendedKeyUsage=serverAuth"
        self._signed("server", "/CN=kube-apiserver", names)
        self._signed("client", "/O=load/CN=tester", "extendedKeyUsage=clientAuth")

    def path(self, name: str) -> Path:
        return self.folder / name

    def data(self, name: str) -> str:
        """A file as a kubeconfig holds it."""
        return base64.b64encode(self.path(name).read_bytes()).decode()

    def _run(self, *arguments: str) -> None:
        subprocess.run(["openssl", *arguments], cwd=self.folder, check=True, capture_output=True)

    def _authority(self) -> None:
        key = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes")
        extensions = ("-addext", "basicConstraints=critical,CA:TRUE", "-addext", "keyUsage=critical,keyCertSign")
        files = ("-keyout", "ca.key", "-out", "ca.crt")
        self._run("req", "-x509", *key, *files, "-subj", "/CN=kubernetes", "-days", "2", *extensions)

    def _signed(self, name: str, subject: str, extensions: str) -> None:
        key = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes")
        self._run("req", "-new", *key, "-keyout", f"{name}.key", "-out", f"{name}.csr", "-subj", subject)
        self.path(f"{name}.ext").write_text(extensions)
        authority = ("-CA", "ca.crt", "-CAkey", "ca.key", "-CAcreateserial")
        files = ("-in", f"{name}.csr", "-out", f"{name}.crt", "-extfile", f"{name}.ext")
        self._run("x509", "-req", *files, *authority, "-days", "2")


def pod(
    name: str,
    phase: str = "Running",
    *,
    ready: bool = True,
    leaving: bool = False,
    service: str = "exif",
    revision: str = "exif-00001",
) -> dict[str, Any]:
    """A pod of a Knative revision; a Pending one has no condition but PodScheduled."""
    scheduled = {"type": "PodScheduled", "status": "True", "lastTransitionTime": "2026-11-26T10:00:00Z"}
    running = [
        {"type": "PodReadyToStartContainers", "status": "True"},
        {"type": "Initialized", "status": "True"},
        {"type": "Ready", "status": str(ready), **({} if ready else {"reason": "ContainersNotReady"})},
        {"type": "ContainersReady", "status": str(ready)},
    ]
    return {
        "metadata": {
            "name": name,
            "namespace": "default",
            "generateName": f"{revision}-deployment-6f7d8c9b5-",
            "labels": {
                "app": revision,
                "pod-template-hash": "6f7d8c9b5",
                "serving.knative.dev/configuration": service,
                "serving.knative.dev/configurationGeneration": "1",
                "serving.knative.dev/revision": revision,
                "serving.knative.dev/revisionUID": "5f0c6d0e-4c3e-4a39-9c55-1d5a7f7d2c11",
                "serving.knative.dev/service": service,
                "serving.knative.dev/serviceUID": "f4a1c2de-17a5-4f5c-8a0c-6a0b9a8d7e21",
            },
            **({"deletionTimestamp": "2026-11-26T10:05:00Z", "deletionGracePeriodSeconds": 60} if leaving else {}),
        },
        "spec": {"containers": [{"name": "user-container"}, {"name": "queue-proxy"}]},
        "status": {"phase": phase, "conditions": [scheduled] if phase == "Pending" else [*running, scheduled]},
    }


def scaler(name: str, desired: int | None, service: str = "exif") -> dict[str, Any]:
    """A PodAutoscaler; without a desired scale its status is still empty."""
    status = {} if desired is None else {"desiredScale": desired, "actualScale": 1, "serviceName": name}
    return {
        "metadata": {"name": name, "labels": {"serving.knative.dev/service": service, "app": name}},
        "spec": {"scaleTargetRef": {"kind": "Deployment", "name": f"{name}-deployment"}},
        "status": status,
    }


def refusal(code: int, reason: str, message: str) -> web.Response:
    status = {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure", "reason": reason}
    return web.json_response({**status, "message": message, "code": code}, status=code)


@dataclass
class ApiServer:
    """What it has and whom it lets in; `asked` are the calls that came.

    Attributes:
        token: the bearer token that is good; None lets everybody in.
        forbidden: paths that the caller may not list.
        most: objects a page, whatever the caller's limit.
        expire: how many continue tokens are refused as too old.
        broken: how many calls are answered by something that is no JSON.
    """

    pods: list[dict[str, Any]] = field(default_factory=list)
    scalers: list[dict[str, Any]] = field(default_factory=list)
    token: str | None = None
    certificates: bool = False
    forbidden: set[str] = field(default_factory=set)
    most: int = 500
    expire: int = 0
    broken: int = 0
    asked: list[str] = field(default_factory=list)
    connections: set[object] = field(default_factory=set)

    async def handle(self, request: web.Request) -> web.Response:
        assert request.transport is not None
        self.asked.append(request.path_qs)
        self.connections.add(request.transport.get_extra_info("peername"))
        if not self._knows(request):
            return refusal(401, "Unauthorized", "Unauthorized")
        if self.broken:
            self.broken -= 1
            return web.Response(status=200, text="<html>a proxy's page</html>")
        pods, scalers = (path.format(namespace="default") for path in (PODS, SCALERS))
        if request.path in self.forbidden:
            kind = request.path.rpartition("/")[2]
            message = f'{kind} is forbidden: User "tester" cannot list resource "{kind}" in the namespace "default"'
            return refusal(403, "Forbidden", message)
        if request.path == pods:
            return self._list(request, "PodList", "v1", self.pods)
        if request.path == scalers:
            return self._list(request, "PodAutoscalerList", GROUP, self.scalers)
        return refusal(404, "NotFound", "the server could not find the requested resource")

    def _knows(self, request: web.Request) -> bool:
        assert request.transport is not None
        if self.certificates and request.transport.get_extra_info("peercert"):
            return True
        if self.token is None:
            return not self.certificates
        return request.headers.get("Authorization") == f"Bearer {self.token}"

    def _list(self, request: web.Request, kind: str, version: str, objects: list[dict[str, Any]]) -> web.Response:
        wanted = dict(part.split("=", 1) for part in request.query.get("labelSelector", "").split(",") if part)
        found = [one for one in objects if wanted.items() <= one["metadata"]["labels"].items()]
        begin = 0
        if "continue" in request.query:
            if self.expire:
                self.expire -= 1
                return refusal(410, "Expired", EXPIRED)
            begin = int(base64.b64decode(request.query["continue"]))
        limit = min(int(request.query.get("limit") or self.most), self.most)
        metadata: dict[str, Any] = {"resourceVersion": "48213"}
        if begin + limit < len(found):
            metadata["continue"] = base64.b64encode(str(begin + limit).encode()).decode()
            metadata["remainingItemCount"] = len(found) - begin - limit
        page = found[begin : begin + limit]
        return web.json_response({"kind": kind, "apiVersion": version, "metadata": metadata, "items": page})


@dataclass
class ServedByAnEngine(ApiServer):
    """A cluster whose Services an engine runs: what is applied becomes its manifest, its status becomes the pods.

    Attributes:
        status: reads the engine's status.
        apply: gives the engine a manifest, or removes it.
        usage: of the node's two cores, as metrics-server writes it; None where there is no metrics-server.
    """

    status: Callable[[], Awaitable[dict[str, Any]]] = None  # type: ignore[assignment]
    apply: Callable[[dict[str, Any] | None], None] = lambda _: None
    usage: str | None = "400m"
    unschedulable: bool = False
    applied: list[dict[str, Any]] = field(default_factory=list)

    async def handle(self, request: web.Request) -> web.Response:
        if request.path.startswith("/apis/serving.knative.dev/v1/namespaces/default/services/load"):
            return await self._service(request)
        if request.path == "/api/v1/nodes":
            node = {"metadata": {"name": "n1"}, "status": {"allocatable": {"cpu": "2"}}}
            return web.json_response({"items": [node]})
        if request.path == "/apis/metrics.k8s.io/v1beta1/nodes" and self.usage:
            return web.json_response({"items": [{"metadata": {"name": "n1"}, "usage": {"cpu": self.usage}}]})
        if request.path.endswith("/serverlessservices"):
            return web.json_response({"items": [{"metadata": {"name": "load-00001"}, "spec": {"mode": "Proxy"}}]})
        await self._read_pods()
        return await super().handle(request)

    async def _read_pods(self) -> None:
        self.pods, self.scalers = [], []
        for service in (await self.status())["services"]:
            for revision in service["revisions"]:
                name = revision["name"]
                self.scalers.append(scaler(name, revision["desired"], "load"))
                for one in revision["pods"]:
                    made = pod(one["name"], ready=one["state"] == "ready", service="load", revision=name)
                    made["spec"]["nodeName"] = "n1"
                    self.pods.append(made)
        if self.unschedulable:
            left = pod("load-00001-waiting", "Pending", ready=False, service="load", revision="load-00001")
            text = "0/1 nodes are available: 1 Insufficient cpu."
            left["status"]["conditions"][0] |= {"status": "False", "reason": "Unschedulable", "message": text}
            self.pods.append(left)

    async def _service(self, request: web.Request) -> web.Response:
        if request.method == "PATCH":
            assert request.headers["Content-Type"] == "application/apply-patch+yaml"
            assert request.query["fieldManager"] == "pixelamp-loadtest"
            self.applied.append(await request.json())
            self.apply(self.applied[-1])
            return web.json_response(self.applied[-1])
        if request.method == "DELETE":
            self.apply(None)
            return web.json_response({"kind": "Status", "status": "Success"})
        status = {
            "observedGeneration": 1,
            "url": "http://load.default.localhost",
            "conditions": [{"type": "Ready", "status": "True"}],
        }
        return web.json_response({"metadata": {"name": "load", "generation": 1}, "status": status})


@asynccontextmanager
async def serving(server: ApiServer, certificates: Certificates | None = None) -> AsyncIterator[str]:
    """The API's URL: https where there are certificates."""
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", server.handle)
    runner = web.AppRunner(app)
    await runner.setup()
    context = None
    if certificates is not None:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=str(certificates.path("ca.crt")))
        context.load_cert_chain(certificates.path("server.crt"), certificates.path("server.key"))
        context.verify_mode = ssl.CERT_OPTIONAL
    await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context).start()
    try:
        yield f"http{'s' if context else ''}://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


def pods_of_a_busy_service() -> Iterator[dict[str, Any]]:
    """Two ready, and one each of pending, starting, leaving, evicted; one of another Service."""
    yield pod("exif-00001-deployment-6f7d8c9b5-aaaaa")
    yield pod("exif-00002-deployment-7c9d5b6f8-bbbbb", revision="exif-00002")
    yield pod("exif-00001-deployment-6f7d8c9b5-ccccc", "Pending", ready=False)
    yield pod("exif-00001-deployment-6f7d8c9b5-ddddd", ready=False)
    yield pod("exif-00001-deployment-6f7d8c9b5-eeeee", leaving=True)
    yield pod("exif-00001-deployment-6f7d8c9b5-fffff", "Failed", ready=False)
    yield pod("stress-00001-deployment-5d8f9c7b6-ggggg", service="stress", revision="stress-00001")
