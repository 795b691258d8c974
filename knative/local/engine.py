"""The engine: Services of manifests, run on this machine as Knative would run them.

    async with Engine(Options(...), load) as engine:
        await engine.serve(sock)

``engine.route.call(host, method, path, headers, body)`` reaches a Service from inside, through the activator.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import threading
import time
import uuid
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from aiohttp import web

from knative.local import limits
from knative.local.cluster_config import AutoscalerConfig
from knative.local.process import Warden
from knative.local.revision import Revision
from knative.local.route import Route
from knative.local.scaling import PREFIX, ScalingSpec, panic_window
from knative.local.service import Service
from knative.local.template import Template, template

MARK = "KNATIVE_LOCAL_ENGINE"  # the variable by which an engine knows what it has started
TICK_EVERY = 2  # seconds of the loop
_LINES = 10_000


@dataclass(frozen=True, kw_only=True)
class Overrides:
    """What a demonstration may set for all revisions without editing manifests; None keeps the manifest's.

    Attributes:
        window: Stable window, seconds.
        grace: scale-to-zero-grace-period, seconds.
        retention: scale-to-zero-pod-retention-period, seconds.
        initial_scale: Pods a new revision starts with.
        min_scale, max_scale: Bounds.
        target_burst_capacity: Spare requests below which the activator stays in the path.
    """

    window: float | None = None
    grace: float | None = None
    retention: float | None = None
    initial_scale: int | None = None
    min_scale: int | None = None
    max_scale: int | None = None
    target_burst_capacity: float | None = None

    def apply(self, spec: ScalingSpec, annotations: Mapping[str, str]) -> ScalingSpec:
        """The spec with these values in place of the manifest's."""
        changes: dict[str, Any] = {
            name: value
            for name, value in (
                ("grace_period", self.grace),
                ("pod_retention", self.retention),
                ("initial_scale", self.initial_scale),
                ("min_scale", self.min_scale),
                ("max_scale", self.max_scale),
                ("target_burst_capacity", self.target_burst_capacity),
            )
            if value is not None
        }
        if self.window is not None:
            percentage = float(annotations.get(PREFIX + "panic-window-percentage") or 10.0)
            changes |= {"stable_window": self.window, "panic_window": panic_window(self.window, percentage)}
        return replace(spec, **changes)


@dataclass(frozen=True, kw_only=True)
class Applied:
    """What manifests say.

    Attributes:
        services: Services as plain data.
        autoscaler: The cluster's config-autoscaler.
        references: ConfigMaps' and Secrets' values, by kind, namespace and name.
        files: Files that were read, to watch.
    """

    services: Sequence[Mapping[str, Any]]
    autoscaler: AutoscalerConfig = field(default_factory=AutoscalerConfig)
    references: Mapping[tuple[str, str, str], Mapping[str, str]] = field(default_factory=dict)
    files: Sequence[Path] = ()


class Printer:
    """Writes lines to standard output from a thread of its own: a reader that stalls must not stall the route."""

    def __init__(self) -> None:
        self._lines: deque[bytes] = deque()
        self._dropped = 0
        self._some = threading.Event()
        self._closed = False
        self._thread = threading.Thread(target=self._run, name="printer", daemon=True)
        self._thread.start()

    def __call__(self, name: str, line: bytes) -> None:
        """Print a line under a name."""
        if len(self._lines) >= _LINES:
            self._dropped += 1
            return
        self._lines.append(b"[%s] %s\n" % (name.encode(), line))
        self._some.set()

    def say(self, text: str) -> None:
        """Print a line of the engine itself."""
        self._lines.append(text.encode() + b"\n")
        self._some.set()

    def _run(self) -> None:
        while True:
            self._some.wait()
            self._some.clear()
            while self._lines:
                batch = [self._lines.popleft() for _ in range(min(len(self._lines), 500))]
                if self._dropped:
                    batch.append(b"%d lines of output dropped: nobody reads fast enough\n" % self._dropped)
                    self._dropped = 0
                with contextlib.suppress(OSError):
                    _write_all(b"".join(batch))
            if self._closed:
                return

    def close(self) -> None:
        """Write what is left, unless nobody reads it."""
        self._closed = True
        self._some.set()
        self._thread.join(timeout=1.0)


def _write_all(data: bytes) -> None:
    while data:
        data = data[os.write(1, data) :]


class Engine:
    """All Services, one route, one loop of decisions.

    Args:
        directory: Where containers run: the root of the code.
        overrides: See ``Overrides``.
        write: Takes each line of a pod's output under the pod's name.
        say: Takes each line of the engine's own.
        clock: Seconds since the epoch.

    Attributes:
        app: Answers what is for no Service; handlers may be added until ``start``.
        route: The data path; ``route.call`` reaches Services from inside.
        environment: Added to the environment of every pod started from now on.
        started: When, by the clock.
    """

    def __init__(
        self,
        directory: str,
        *,
        overrides: Overrides | None = None,
        write: Callable[[str, bytes], None] | None = None,
        say: Callable[[str], None] = print,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.app = web.Application(client_max_size=64 * 2**20)
        self.route = Route(self.app)
        self.directory = directory
        self.overrides = overrides or Overrides()
        self.environment: dict[str, str] = {}
        self.clock = clock
        self.started = clock()
        self.port = 0
        self.on_change: list[Callable[[], None]] = []
        self._write = write or (lambda _name, _line: None)
        self.say = say
        self._token = f"{MARK}={uuid.uuid4().hex}"
        name, _, value = self._token.partition("=")
        self.environment[name] = value
        self._warden: Warden | None = None
        self._autoscaler = AutoscalerConfig()
        self._loop_task: asyncio.Task[None] | None = None
        self._said: set[str] = set()

    # Services

    @property
    def services(self) -> list[Service]:
        """All Services, in the order they were applied."""
        return list(self.route.services.values())

    def apply(self, applied: Applied, code: str = "") -> list[str]:
        """Take manifests: new Services begin, changed ones get a new revision, those that are gone are stopped.

        Returns:
            What was done, a line each.

        Raises:
            TemplateError: A Service cannot run here; nothing was applied then.
        """
        templates = [
            (manifest, template(manifest, self.directory, code, applied.references)) for manifest in applied.services
        ]
        self._autoscaler = applied.autoscaler
        done = []
        for manifest, made in templates:
            for ignored in made.ignored:
                self.say_once(f"{made.service}: {ignored} is left out on this machine")
            key = (made.namespace, made.service)
            service = self.route.services.get(key)
            if service is None:
                service = Service(made.service, made.namespace, make=self._make, say=self.say, changed=self._changed)
                self.route.services[key] = service
            before = service.latest_created
            if service.apply(manifest, made):
                created = service.latest_created
                if created is not None and created is not before:
                    done.append(f"{service.name}: revision {created.name}")
                else:
                    done.append(f"{service.name}: traffic")
        present = {(made.namespace, made.service) for _, made in templates}
        for key in [key for key in self.route.services if key not in present]:
            service = self.route.services.pop(key)
            done.append(f"{service.name}: removed")
            self._background(service.stop())
        self._changed()
        return done

    def _background(self, work: Any) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _make(self, name: str, made: Template) -> Revision:
        spec = ScalingSpec.of(made.annotations, container_concurrency=made.concurrency, config=self._autoscaler)
        if made.limits.cpu or made.limits.memory:
            reason = limits.unavailable()
            if reason:
                self.say_once(f"CPU and memory limits are not applied: {reason}")
        return Revision(
            name,
            made,
            self.overrides.apply(spec, made.annotations),
            environment=self.environment,
            clock=self.clock,
            write=self._write,
            changed=self._changed,
        )

    def say_once(self, text: str) -> None:
        """Say something that is true for as long as the engine runs."""
        if text not in self._said:
            self._said.add(text)
            self.say(text)

    def _changed(self) -> None:
        self.route.changed()
        for callback in self.on_change:
            callback()

    # Life

    async def start(self, sock: socket.socket) -> None:
        """Listen, and begin to decide."""
        self._tasks: set[asyncio.Task[None]] = set()
        self._warden = Warden(self._token)
        self.port = sock.getsockname()[1]
        await self.route.start(sock)
        self._loop_task = asyncio.get_running_loop().create_task(self._decide())

    async def _decide(self) -> None:
        """Each second: on even ones decide, then take the second's reports; in that order, as on a cluster."""
        second = int(self.clock())
        while True:
            await asyncio.sleep(max(0.0, second + 1 - self.clock()))
            # After a suspended machine or a changed clock, go on from the present second.
            second = max(second + 1, int(self.clock()))
            for service in self.services:
                for revision in service.revisions:
                    if second % TICK_EVERY == 0:
                        revision.tick()
                    revision.scrape()

    async def stop(self, within: float = 9.0) -> None:
        """End everything: requests under way get a part of the time, then pods are stopped, then killed."""
        if self._loop_task is not None:
            self._loop_task.cancel()
        closing = asyncio.get_running_loop().create_task(self.route.close(within * 0.5))
        await asyncio.gather(*(service.stop(within * 0.7) for service in self.services), return_exceptions=True)
        closing.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await closing
        await self.route.stop()
        limits.close()
        if self._warden is not None:
            await asyncio.to_thread(self._warden.close)
