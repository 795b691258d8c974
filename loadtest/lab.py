"""The lab of a scenario: a Service and a local engine of its own, its observer, and what is recorded.

The Service is the project's stress function, which on request waits without using the CPU: `POST /?sleep_ms=500` holds
a place for half a second, as a request to a slow database would, so two cores can play a cluster.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import yaml

from knative.local.jsontypes import JsonMapping, JsonObject
from loadtest.generators.closed_loop import Clients, Request
from loadtest.generators.latency import Latencies
from loadtest.generators.wire import Target, target
from loadtest.observe.kubernetes import Access
from loadtest.observe.pods import EngineSource, Observer, Sample
from loadtest.verdict import expected_pods

ROOT = Path(__file__).resolve().parents[1]
SERVICE = "load"
HOST = f"{SERVICE}.default.localhost"
IMAGE = "dev.local/pixelamp-stress:0.1.0"
START_SECONDS = 30.0
TARGET_CONCURRENCY = 7.0
"""Requests in flight for which the Service needs a pod: its containerConcurrency times its utilisation."""
_STOP_SECONDS = 15.0
_LAG_PERIOD_SECONDS = 0.05
PREFIX = "autoscaling.knative.dev/"


class LabError(RuntimeError):
    """The engine did not start, or did not do what a scenario needs before it can measure."""


def service(
    *,
    concurrency: int = 10,
    annotations: Mapping[str, str] | None = None,
    environment: Mapping[str, str] | None = None,
    revision: str | None = None,
    traffic: Iterable[JsonMapping] = (),
    timeout: int = 60,
) -> JsonObject:
    """The manifest of the Service under test; `annotations` by their short names."""
    # Without full duplex, Knative may cut off answers over 4 KiB to POSTs that pass the activator (serving#12387).
    named = {"features.knative.dev/http-full-duplex": "Enabled"}
    named |= {PREFIX + name.replace("_", "-"): value for name, value in (annotations or {}).items()}
    # More burns than places: it is Knative's limit that is tested, not the function's own.
    variables = {
        "STRESS_CONCURRENCY": str(concurrency),
        "STRESS_BURNS": str(2 * concurrency),
        **(environment or {}),
    }
    metadata: JsonObject = {"annotations": named}
    if revision:
        metadata["name"] = f"{SERVICE}-{revision}"
    spec: JsonObject = {
        "template": {
            "metadata": metadata,
            "spec": {
                "containerConcurrency": concurrency,
                "timeoutSeconds": timeout,
                "containers": [
                    {
                        "image": IMAGE,
                        "command": [sys.executable, "-m", "functions.kit.server", "stress"],
                        "env": [{"name": name, "value": value} for name, value in variables.items()],
                        "readinessProbe": {"httpGet": {"path": "/readyz"}},
                    }
                ],
            },
        }
    }
    if traffic:
        spec["traffic"] = [dict(one) for one in traffic]
    return {"apiVersion": "serving.knative.dev/v1", "kind": "Service", "metadata": {"name": SERVICE}, "spec": spec}


@dataclass(frozen=True)
class Place:
    """A cluster and how its Services are reached.

    Attributes:
        access: its Kubernetes API.
        namespace: where the Service is applied.
        ingress: URL of the ingress as this machine reaches it.
        image: of the stress function.
    """

    access: Access
    namespace: str
    ingress: str
    image: str = IMAGE


@dataclass
class Run:
    """A run's events and measurements, in seconds since the epoch: the input of verdict and report.

    Attributes:
        offered: (time, clients or requests/s) at each change.
        flood: requests of an open loop, without ids: drawn, and judged by their own figures.
        expected: (time, pods) at each change.
        events: (time, kind, words).
        measured: figures worth keeping, in seconds, such as `cold_start_seconds`.
        lag: lateness of the generator's own loop.
        place: the cluster that the scenario runs on; None for an engine of this machine.
        path: the path of the requests, where it was observed.
        bottlenecks: why a node decided the outcome.
        unchecked: checks that could not be made, each with its reason.
    """

    scenario: str
    started: float = 0.0
    ended: float = 0.0
    requests: list[Request] = field(default_factory=list)
    flood: list[Request] = field(default_factory=list)
    samples: list[Sample] = field(default_factory=list)
    offered: list[tuple[float, float]] = field(default_factory=list)
    expected: list[tuple[float, int]] = field(default_factory=list)
    events: list[tuple[float, str, str]] = field(default_factory=list)
    measured: dict[str, float] = field(default_factory=dict)
    lag: Latencies = field(default_factory=Latencies)
    place: Place | None = None
    path: str = ""
    bottlenecks: list[str] = field(default_factory=list)
    unchecked: list[str] = field(default_factory=list)

    def say(self, kind: str, words: str) -> None:
        """Record an event, and print it."""
        self.events.append((time.time(), kind, words))
        print(f"  {time.time() - self.started:6.1f} s  {words}", flush=True)


class Lab:
    """One engine with one Service; an asynchronous context manager.

    Args:
        run: receives events and samples.
        folder: for the manifest and the engine's log.
        manifests: the Service, or paths to serve as they are.
        minimum, maximum: its min-scale and max-scale, 0 for none.
        watch: the Service observed.
        beside: further Services of the same engine.
        options: further arguments of `python -m knative serve`.
    """

    def __init__(
        self,
        run: Run,
        folder: Path,
        manifests: JsonMapping | Iterable[Path],
        *,
        minimum: int = 0,
        maximum: int = 0,
        options: Iterable[str] = (),
        watch: str = SERVICE,
        beside: Iterable[JsonMapping] = (),
    ) -> None:
        self.run = run
        self.folder = folder
        self._minimum = minimum
        self._maximum = maximum
        self._options = list(options)
        self.manifest = folder / "service.yaml"
        self._paths: list[Path] = [self.manifest]
        if isinstance(manifests, Mapping):
            self.write(manifests)
        else:
            self._paths = list(manifests)
        for one in beside:
            self._paths.append(folder / f"{one['metadata']['name']}.yaml")
            _dump(one, self._paths[-1])
        self.port = _free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.source = EngineSource(self.url, watch)
        self.observer = Observer(self.source)
        self.process: subprocess.Popen[bytes] | None = None
        self._lag_task: asyncio.Task[None] | None = None
        self._busy: dict[Clients, float] = {}  # share of its time that a client of these waits for an answer

    @property
    def log(self) -> Path:
        """The engine's and the pods' output; there is no such file on a cluster."""
        return self.folder / "engine.log"

    def write(self, manifest: JsonMapping) -> None:
        """Write the Service's manifest; `reload` applies it."""
        _dump(manifest, self.manifest)

    async def __aenter__(self) -> Lab:
        serve = [sys.executable, "-m", "knative", "serve", "--log-format", "json"]  # request ids are counted in the log
        command = [*serve, *map(str, self._paths), "--port", str(self.port)]
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [*command, *self._options], cwd=ROOT, stdout=log, stderr=subprocess.STDOUT, start_new_session=True
            )
        try:
            await self._wait_up()
        except BaseException:
            await self._end()
            raise
        await self._begin()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._finish()
        await self._end()

    async def _begin(self) -> None:
        """Observe from now on."""
        self.run.started = time.time()
        await self.observer.__aenter__()
        self._lag_task = asyncio.get_running_loop().create_task(self._watch_lag())

    async def _finish(self) -> None:
        """Observe no more, and keep the samples."""
        self.run.ended = time.time()
        if self._lag_task is not None:
            self._lag_task.cancel()
        await self.observer.__aexit__()
        self.run.samples = self.observer.samples

    async def _wait_up(self) -> None:
        deadline = time.monotonic() + START_SECONDS
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=2)) as session:
            while time.monotonic() < deadline:
                if self.process is None or self.process.poll() is not None:
                    raise LabError(f"the engine ended: {self.log.read_text()[-2000:]}")
                with contextlib.suppress(aiohttp.ClientError, OSError, TimeoutError):
                    if await self.source.status(session):
                        return
                await asyncio.sleep(0.1)
        raise LabError(f"the engine did not answer within {START_SECONDS:g} s: {self.log.read_text()[-2000:]}")

    async def _end(self) -> None:
        process = self.process
        if process is None or process.poll() is not None:
            return
        process.send_signal(signal.SIGTERM)
        try:
            await asyncio.to_thread(process.wait, _STOP_SECONDS)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()

    async def _watch_lag(self) -> None:
        while True:
            before = time.monotonic()
            await asyncio.sleep(_LAG_PERIOD_SECONDS)
            self.run.lag.record(max(0.0, time.monotonic() - before - _LAG_PERIOD_SECONDS))

    def reload(self) -> None:
        """Apply the manifest again."""
        if self.process is not None:
            self.process.send_signal(signal.SIGHUP)

    def target(self, *, hold: float = 0.5, body: bytes = b"") -> Target:
        """A request that holds its place for `hold` seconds."""
        return target(
            f"{self.url}/?seconds=0&sleep_ms={hold * 1000:.0f}", method="POST", headers={"Host": HOST}, body=body
        )

    def clients(self, **options: Any) -> Clients:
        """Return clients of the Service, whose requests the run records."""
        hold = options.pop("hold", 0.5)
        body = options.pop("body", b"")
        made = Clients(self.target(hold=hold, body=body), **options)
        made.requests = self.run.requests
        think = options.get("think", 0.0)
        self._busy[made] = hold / (hold + think) if think else 1.0
        return made

    def offer(self, clients: Clients, count: int) -> int:
        """Set the number of clients and note how many of them wait at a time; returns the pods expected for those."""
        clients.set(count)
        waiting = count * self._busy[clients]
        expected = expected_pods(waiting, TARGET_CONCURRENCY, minimum=self._minimum, maximum=self._maximum)
        self.run.offered.append((time.time(), waiting))
        self.run.expected.append((time.time(), expected))
        self.run.say("offered", f"{count} clients, {expected} pod{'' if expected == 1 else 's'} expected")
        return expected

    async def ready(self, pods: int, timeout: float = START_SECONDS) -> Sample:
        """Wait until so many pods are ready.

        Raises:
            LabError: they were not in time.
        """
        found = await self.observer.until(lambda sample: sample.ready == pods, timeout)
        if found is None:
            raise LabError(f"not {pods} pods ready within {timeout:g} s")
        return found

    async def pod_process(self) -> tuple[str, int]:
        """Name and process id of a ready pod.

        Raises:
            LabError: no pod is ready.
        """
        async with aiohttp.ClientSession() as session:
            found = await self.source.status(session)
        for revision in (found or {}).get("revisions", []):
            for pod in revision["pods"]:
                if pod["state"] == "ready" and pod["pid"]:
                    return str(pod["name"]), int(pod["pid"])
        raise LabError("no pod is ready")


def _dump(manifest: JsonMapping, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(yaml.safe_dump(dict(manifest), sort_keys=False))


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
