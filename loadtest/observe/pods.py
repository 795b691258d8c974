"""Pods over time, from the local engine's status, the Kubernetes API, or the responses themselves.

    python -m loadtest.observe load --engine http://127.0.0.1:8080 --seconds 60 --out samples.jsonl
    python -m loadtest.observe exif --kubernetes                            by the kubeconfig; in a pod, by its account
    python -m loadtest.observe exif --kubernetes http://127.0.0.1:8001      through `kubectl proxy`
    python -m loadtest.observe exif --answers http://exif.example.com/      by X-Pod-Name, without access to either

Run it beside Locust: a sample a line, four a second.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import sys
import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Protocol

import aiohttp

from knative.local.arguments import EXIT_MISTAKE
from knative.local.jsontypes import JsonMapping, JsonObject
from loadtest.observe.kubernetes import Access, AccessError, ApiError, access, objects

PERIOD_SECONDS = 0.25
_NOT_OURS = {403, 404}  # not allowed, or no Knative there
_OVER = {"Succeeded", "Failed"}
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
    """Where samples come from."""

    async def sample(self, session: aiohttp.ClientSession) -> Sample | None:
        """The pods now; None if the source does not know the Service yet."""


class EngineSource:
    """The status of `python -m knative serve`."""

    def __init__(self, url: str, service: str, namespace: str = "default") -> None:
        self._url = url.rstrip("/") + "/_knative/status"
        self._service = service
        self._namespace = namespace

    async def status(self, session: aiohttp.ClientSession) -> JsonObject | None:
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
    """The Kubernetes API: pods of a Knative Service, and what its PodAutoscalers desire.

    The caller needs list on pods, and on podautoscalers.autoscaling.internal.knative.dev; without the latter the
    desired pods stay unknown.
    """

    def __init__(self, service: str, to: Access, namespace: str | None = None) -> None:
        self._to = to
        self._selector = f"serving.knative.dev/service={service}"
        named = f"namespaces/{namespace or to.namespace}"
        self._pods = f"/api/v1/{named}/pods"
        self._scalers = f"/apis/autoscaling.internal.knative.dev/v1alpha1/{named}/podautoscalers"

    async def sample(self, session: aiohttp.ClientSession) -> Sample:
        """Pods by phase and condition; pods that are being deleted or have ended do not count.

        Raises:
            ApiError: the API refused.
        """
        pods, desired = await asyncio.gather(
            objects(self._to, session, self._pods, self._selector), self._desired(session)
        )
        here = [pod for pod in pods if "deletionTimestamp" not in pod["metadata"]]
        here = [pod for pod in here if pod.get("status", {}).get("phase") not in _OVER]
        ready = [pod["metadata"]["name"] for pod in here if _is_ready(pod)]
        return Sample(
            at=time.time(), desired=desired, ready=len(ready), starting=len(here) - len(ready), pods=tuple(ready)
        )

    async def _desired(self, session: aiohttp.ClientSession) -> int | None:
        try:
            scalers = await objects(self._to, session, self._scalers, self._selector)
        except ApiError as error:
            if error.status in _NOT_OURS:
                return None
            raise
        # -1 is Knative's word for "not decided yet".
        return sum(max(0, int(scaler.get("status", {}).get("desiredScale", 0))) for scaler in scalers)


def _is_ready(pod: JsonMapping) -> bool:
    conditions = pod.get("status", {}).get("conditions", [])
    return any(one["type"] == "Ready" and one["status"] == "True" for one in conditions)


class AnswerSource:
    """The X-Pod-Name of responses: without access to an API, the pods that answered within three seconds.

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
        self.complaint = ""  # of the last gap
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
                else:
                    self._miss("the source does not know the Service")
            except (ApiError, aiohttp.ClientError, OSError, TimeoutError, KeyError, ValueError) as error:
                self._miss(f"{error}" if isinstance(error, ApiError) else f"{type(error).__name__}: {error}")
            await asyncio.sleep(self._period)

    def _miss(self, complaint: str) -> None:
        self.failures += 1
        self.complaint = complaint

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
    made.add_argument("--namespace", help="default: the context's or the account's, else default")
    source = made.add_mutually_exclusive_group(required=True)
    source.add_argument("--engine", metavar="URL", help="`python -m knative serve`")
    source.add_argument("--kubernetes", nargs="?", const="", metavar="API", help="the Kubernetes API, by kubeconfig")
    source.add_argument("--answers", metavar="URL", help="the Service itself")
    made.add_argument("--context", help="of the kubeconfig, if not its current one")
    made.add_argument("--seconds", type=float, default=60.0, help="how long (default: 60)")
    made.add_argument("--out", type=Path, default=Path("samples.jsonl"), help="default: samples.jsonl")
    return made


def main(argv: Sequence[str] | None = None) -> int:
    """The command; exit status 1 if there was not one sample, 2 if there is no way to the source."""
    options = parser().parse_args(argv)
    source: Source
    if options.engine:
        source = EngineSource(options.engine, options.service, options.namespace or "default")
    elif options.answers:
        source = AnswerSource(options.answers)
    else:
        try:
            to = access(options.kubernetes, options.context)
        except AccessError as error:
            print(f"observe: {error}", file=sys.stderr)
            return EXIT_MISTAKE
        source = KubernetesSource(options.service, to, options.namespace)

    async def follow() -> Observer:
        async with Observer(source) as observer:
            await asyncio.sleep(options.seconds)
            return observer

    observer = asyncio.run(follow())
    write_samples(observer.samples, options.out)
    most = max((sample.ready for sample in observer.samples), default=0)
    gaps = f"{observer.failures} gaps{f', the last: {observer.complaint}' if observer.failures else ''}"
    print(f"{len(observer.samples)} samples in {options.out}, at most {most} pods ready, {gaps}")
    return 0 if observer.samples else 1


if __name__ == "__main__":
    sys.exit(main())
