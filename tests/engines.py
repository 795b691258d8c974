"""The local engine as a real process, for tests and benchmarks."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
import urllib.request
from collections import Counter
from collections.abc import Callable, Coroutine, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

import aiohttp
import yaml

from tests.forked import Forked
from tests.servers import ROOT, clean_environment

T = TypeVar("T")
POD_SERVER = Path(__file__).parent / "knative" / "local" / "pod_server.py"


def service(
    name: str = "hello",
    *,
    concurrency: int = 0,
    annotations: Mapping[str, str] | None = None,
    environment: Mapping[str, str] | None = None,
    command: list[str] | None = None,
    container: Mapping[str, Any] | None = None,
    spec: Mapping[str, Any] | None = None,
    traffic: list[Mapping[str, Any]] | None = None,
    labels: Mapping[str, str] | None = None,
    revision: str | None = None,
) -> dict[str, Any]:
    """A Service whose container is the server of tests; annotations go without their group."""
    metadata: dict[str, Any] = {
        "annotations": {f"autoscaling.knative.dev/{key}": value for key, value in (annotations or {}).items()}
    }
    if revision:
        metadata["name"] = revision
    return {
        "apiVersion": "serving.knative.dev/v1",
        "kind": "Service",
        "metadata": {"name": name, **({"labels": dict(labels)} if labels else {})},
        "spec": {
            "template": {
                "metadata": metadata,
                "spec": {
                    "containerConcurrency": concurrency,
                    **(spec or {}),
                    "containers": [
                        {
                            "image": "dev.local/test:1",
                            "command": command or ["python", "-S", str(POD_SERVER)],
                            "env": [{"name": key, "value": value} for key, value in (environment or {}).items()],
                            **(container or {}),
                        }
                    ],
                },
            },
            **({"traffic": traffic} if traffic else {}),
        },
    }


def knative(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run `python -m knative` to its end."""
    return subprocess.run(
        [sys.executable, "-m", "knative", *arguments],
        cwd=ROOT,
        env=clean_environment(),
        capture_output=True,
        text=True,
        timeout=60,
    )


def run_async(work: Coroutine[Any, Any, T]) -> T:
    """`asyncio.run` in a thread of its own: Playwright keeps a loop running in the tests' thread."""
    with ThreadPoolExecutor(1) as executor:
        return executor.submit(asyncio.run, work).result()


class EngineProcess:
    """`python -m knative serve` on a free port.

    Args:
        folder: where its manifest is written and its pods run.
        services: the objects of the manifest.
        arguments: further arguments of the command.
        whole_folder: serve every manifest of the folder.
        api: serve the Kubernetes API too.
        more: its environment, besides PATH and the like.

    Attributes:
        port: Its route's port.
        url: Its route.
        lines: What it has printed so far.
    """

    def __init__(
        self,
        folder: Path,
        *services: Mapping[str, Any],
        arguments: tuple[str, ...] = (),
        whole_folder: bool = False,
        api: bool = False,
        **more: str,
    ) -> None:
        self.manifest = folder / "services.yaml"
        self.write(*services)
        self.lines: list[str] = []
        served = folder if whole_folder else self.manifest
        command = ["serve", str(served), "--port", "0", "--workdir", str(folder), *arguments]
        # A certificate costs more than the rest of a start.
        command += [] if api else ["--api", "off"]
        self.process = Forked(command, ROOT, clean_environment(**more))
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        self.wait(lambda: any(line.startswith("Console") for line in self.lines), "the greeting")
        found = re.search(r"(http://\S+:(\d+))/", next(line for line in self.lines if line.startswith("Console")))
        assert found
        self.url, self.port = found[1], int(found[2])

    def write(self, *services: Mapping[str, Any]) -> None:
        """Put the manifest in place at once, as a careful editor does."""
        draft = self.manifest.with_suffix(".draft")
        draft.write_text(yaml.safe_dump_all([dict(service) for service in services]))
        draft.replace(self.manifest)

    def _read(self) -> None:
        for line in self.process.stdout:
            self.lines.append(line.rstrip("\n"))

    @property
    def output(self) -> str:
        """All it has printed."""
        return "\n".join(self.lines)

    def wait(self, condition: Callable[[], Any], what: str, seconds: float = 60.0) -> Any:
        """Return the condition's value once it is true."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            value = condition()
            if value:
                return value
            if self.process.poll() is not None:
                self._reader.join(2)
                raise AssertionError(f"the engine ended with {self.process.returncode}:\n{self.output}")
            time.sleep(0.02)
        raise AssertionError(f"no {what} within {seconds} s:\n{self.output[-3000:]}")

    def wait_line(self, text: str) -> None:
        """Wait until it has printed a text: what it prints comes later than what its API answers."""
        self.wait(lambda: text in self.output, f"line with {text!r}")

    def status(self) -> dict[str, Any]:
        """Its status."""
        with urllib.request.urlopen(f"{self.url}/_knative/status", timeout=10) as response:
            return json.load(response)

    def revision(self, name: str = "hello", index: int = -1) -> dict[str, Any]:
        """One revision's status."""
        found = next(service for service in self.status()["services"] if service["name"] == name)
        return found["revisions"][index]

    def pods(self, state: str = "ready", name: str = "hello") -> list[dict[str, Any]]:
        """A Service's pods in a state."""
        found = next(service for service in self.status()["services"] if service["name"] == name)
        return [pod for revision in found["revisions"] for pod in revision["pods"] if pod["state"] == state]

    def wait_pods(self, count: int, name: str = "hello", seconds: float = 60.0) -> None:
        """Return when so many pods are ready."""
        self.wait(lambda: len(self.pods(name=name)) == count, f"{count} ready pods", seconds)

    def get(self, path: str = "/hello", host: str | None = None, timeout: float = 30.0) -> tuple[int, bytes]:
        """One GET; status and body, whatever the status."""
        request = urllib.request.Request(self.url + path, headers={"Host": host} if host else {})
        try:
            with urllib.request.urlopen(request, timeout=timeout) as response:
                return response.status, response.read()
        except urllib.error.HTTPError as error:
            return error.code, error.read()

    def stop(self, number: int = signal.SIGTERM, seconds: float = 12.0) -> int:
        """End it; returns its exit code."""
        if self.process.poll() is None:
            os.kill(self.process.pid, number)
            try:
                self.process.wait(seconds)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
                raise AssertionError(f"the engine did not end within {seconds} s:\n{self.output[-3000:]}") from None
        self._reader.join(2)
        self.process.stdout.close()
        return self.process.wait()


Start = Callable[..., EngineProcess]
"""Starts an engine for one test: the fixture `start`."""


async def closed_loop(
    url: str, clients: int, seconds: float, *, pause: float = 0.0, body: bytes | None = None
) -> Counter[int]:
    """Clients that each send the next request when the last is answered; answers by status, 0 for none."""
    counts: Counter[int] = Counter()
    end = time.monotonic() + seconds

    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:

        async def client() -> None:
            while time.monotonic() < end:
                try:
                    async with session.post(url, data=body) as response:
                        await response.read()
                        counts[response.status] += 1
                except aiohttp.ClientError:
                    counts[0] += 1
                await asyncio.sleep(pause)

        await asyncio.gather(*(client() for _ in range(clients)))
    return counts
