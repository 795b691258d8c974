"""Pods over time, from whoever knows: the local engine's status, the Kubernetes API, or the answers themselves.

    python -m loadtest.observe load --engine http://127.0.0.1:8080 --seconds 60 --out samples.jsonl
    python -m loadtest.observe exif --kubernetes http://127.0.0.1:8001      through `kubectl proxy`
    python -m loadtest.observe exif --kubernetes                            inside a cluster, by the service account
    python -m loadtest.observe exif --answers http://exif.example.com/      by X-Pod-Name, where nobody can be asked

Run it beside Locust: a sample a line, four a second.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import ssl
import sys
import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Protocol

import aiohttp

PERIOD_SECONDS = 0.25
_ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")
_SEEN_SECONDS = 3.0


@dataclass(frozen=True, kw_only=True)
class Sample:
    """The pods of one Service at one moment (seconds since the epoch); None is what the source cannot know."""

    at: float
    ready: int
    desired: int | None = None
    starting: int | None = None
    in_flight: float | None = None
    queued: float | None = None
    in_panic: bool | None = None
    words: str = ""
    pods: tuple[str, ...] = ()


class Source(Protocol):
    """Who is asked."""

    async def sample(self, session: aiohttp.ClientSession) -> Sample | None:
        """The pods now; None if the source does not know the Service yet."""


class EngineSource:
    """The status of `python -m knative serve`."""

    def __init__(self, url: str, service: str, namespace: str = "default") -> None:
        self._url = url.rstrip("/") + "/_knative/status"
        self._service = service
        self._namespace = namespace

    async def status(self, session: aiohttp.ClientSession) -> dict[str, Any] | None:
        """The Service's part of the status."""
        async with session.get(self._url) as response:
            found = await response.json()
        for service in found["services"]:
            if (service["name"], service["namespace"]) == (self._service, self._namespace):
                return dict(service)
        return None

    async def sample(self, session: aiohttp.ClientSession) -> Sample | None:
        """All revisions of the Service together."""
        service = await self.status(session)
        if service is None:
            return None
        revisions = service["revisions"]
        pods = [pod for revision in revisions for pod in revision["pods"]]
        decisions = [revision["decision"] for revision in revisions if revision["decision"]]
        return Sample(
            at=time.time(),
            desired=sum(revision["desired"] for revision in revisions),
            ready=sum(revision["ready"] for revision in revisions),
            starting=sum(pod["state"] == "pending" for pod in pods),
            in_flight=sum(revision["inFlight"] for revision in revisions),
            queued=sum(revision["queued"] for revision in revisions),
            in_panic=any(decision["in_panic"] for decision in decisions),
            words=decisions[-1]["words"] if decisions else "",
            pods=tuple(pod["name"] for pod in pods if pod["state"] == "ready"),
        )


class KubernetesSource:
    """The Kubernetes API: from inside a Job by its service account, from outside through `kubectl proxy`.

    The account needs get and list on pods and on podautoscalers.autoscaling.internal.knative.dev.
    """

    def __init__(self, service: str, namespace: str = "default", api: str | None = None) -> None:
        self._inside = api is None
        host, port = os.environ.get("KUBERNETES_SERVICE_HOST", ""), os.environ.get("KUBERNETES_SERVICE_PORT", "443")
        self._api = (api or f"https://{host}:{port}").rstrip("/")
        self._namespace = namespace
        self._selector = f"serving.knative.dev/service={service}"

    async def _items(self, session: aiohttp.ClientSession, path: str) -> list[dict[str, Any]]:
        headers: dict[str, str] = {}
        context: ssl.SSLContext | bool = True
        if self._inside:
            # Read each time: Kubernetes renews the token of a bound account.
            headers["Authorization"] = f"Bearer {(_ACCOUNT / 'token').read_text()}"
            context = ssl.create_default_context(cafile=str(_ACCOUNT / "ca.crt"))
        parameters = {"labelSelector": self._selector}
        async with session.get(self._api + path, params=parameters, headers=headers, ssl=context) as response:
            response.raise_for_status()
            return list((await response.json())["items"])

    async def sample(self, session: aiohttp.ClientSession) -> Sample | None:
        """Pods by their conditions, desired from the PodAutoscalers."""
        pods = await self._items(session, f"/api/v1/namespaces/{self._namespace}/pods")
        scalers = await self._items(
            session,
            f"/apis/autoscaling.internal.knative.dev/v1alpha1/namespaces/{self._namespace}/podautoscalers",
        )
        ready = [pod["metadata"]["name"] for pod in pods if _is_ready(pod)]
        alive = [pod for pod in pods if "deletionTimestamp" not in pod["metadata"]]
        return Sample(
            at=time.time(),
            desired=sum(max(0, scaler.get("status", {}).get("desiredScale", 0)) for scaler in scalers),
            ready=len(ready),
            starting=len(alive) - len(ready),
            pods=tuple(ready),
        )


def _is_ready(pod: dict[str, Any]) -> bool:
    conditions = pod.get("status", {}).get("conditions", [])
    stays = "deletionTimestamp" not in pod["metadata"]
    return stays and any(one["type"] == "Ready" and one["status"] == "True" for one in conditions)


class AnswerSource:
    """The X-Pod-Name of answers: where nobody can be asked, the pods that answered within three seconds.

    Each sample costs one GET, so the pods seen are those that the Service's balancing shows to one more client.
    """

    def __init__(self, url: str, clock: Callable[[], float] = time.time) -> None:
        self._url = url
        self._clock = clock
        self._seen: deque[tuple[float, str]] = deque()

    async def sample(self, session: aiohttp.ClientSession) -> Sample | None:
        """Ask once more, and say which pods answered lately."""
        async with session.get(self._url) as response:
            pod = response.headers.get("X-Pod-Name")
        now = self._clock()
        if pod:
            self._seen.append((now, pod))
        while self._seen and self._seen[0][0] < now - _SEEN_SECONDS:
            self._seen.popleft()
        pods = tuple(sorted({name for _, name in self._seen}))
        return Sample(at=now, ready=len(pods), pods=pods)


class Observer:
    """Samples a source until it is stopped; a source that fails for a moment leaves a gap."""

    def __init__(self, source: Source, period: float = PERIOD_SECONDS) -> None:
        self.samples: list[Sample] = []
        self.failures = 0
        self._source = source
        self._period = period
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Observer:
        self._session = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=5))
        self._task = asyncio.get_running_loop().create_task(self._follow())
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
        await self._session.close()

    async def _follow(self) -> None:
        while True:
            try:
                sample = await self._source.sample(self._session)
                if sample is not None:
                    self.samples.append(sample)
            except (aiohttp.ClientError, OSError, TimeoutError, KeyError, ValueError):
                self.failures += 1
            await asyncio.sleep(self._period)

    async def until(self, met: Callable[[Sample], bool], timeout: float) -> Sample | None:
        """Wait for a sample that meets a condition; None if none came in `timeout` seconds."""
        deadline = time.monotonic() + timeout
        seen = len(self.samples)
        while time.monotonic() < deadline:
            for sample in self.samples[seen:]:
                if met(sample):
                    return sample
            seen = len(self.samples)
            await asyncio.sleep(self._period / 2)
        return None


def write_samples(samples: Iterable[Sample], path: Path) -> None:
    """One JSON object a line."""
    path.write_text("".join(json.dumps(asdict(sample)) + "\n" for sample in samples))


def parser() -> argparse.ArgumentParser:
    """The command's arguments."""
    made = argparse.ArgumentParser(
        prog="python -m loadtest.observe", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    made.add_argument("service", help="name of the Service")
    made.add_argument("--namespace", default="default", help="default: default")
    source = made.add_mutually_exclusive_group(required=True)
    source.add_argument("--engine", metavar="URL", help="`python -m knative serve`")
    source.add_argument("--kubernetes", nargs="?", const="", metavar="API", help="the Kubernetes API")
    source.add_argument("--answers", metavar="URL", help="the Service itself")
    made.add_argument("--seconds", type=float, default=60.0, help="how long (default: 60)")
    made.add_argument("--out", type=Path, default=Path("samples.jsonl"), help="default: samples.jsonl")
    return made


def main(argv: Sequence[str] | None = None) -> int:
    """The command; exit status 1 if there was not one sample."""
    options = parser().parse_args(argv)
    source: Source
    if options.engine:
        source = EngineSource(options.engine, options.service, options.namespace)
    elif options.answers:
        source = AnswerSource(options.answers)
    else:
        source = KubernetesSource(options.service, options.namespace, options.kubernetes or None)

    async def follow() -> Observer:
        async with Observer(source) as observer:
            await asyncio.sleep(options.seconds)
            return observer

    observer = asyncio.run(follow())
    write_samples(observer.samples, options.out)
    most = max((sample.ready for sample in observer.samples), default=0)
    print(f"{len(observer.samples)} samples in {options.out}, at most {most} pods ready, {observer.failures} gaps")
    return 0 if observer.samples else 1


if __name__ == "__main__":
    sys.exit(main())
