"""The engine: the Services of manifests, run on this machine as Knative would run them.

    engine = Engine(directory)
    engine.apply(manifests.load(paths))       # again whenever they change
    await engine.start(sock)
    await engine.stop()

Other parts join it before `start`, as the broker does in `mount(engine)`:

    engine.app.router.add_post("/_knative/…", handler)   # served on the engine's own port, under any host
    engine.app.on_startup.append(begin)                  # aiohttp's hooks: begin(app) once, in the loop
    engine.on_stop.append(end)                           # await end(seconds), while requests under way end
    engine.on_apply.append(take)                         # take(manifests), now and after every change
    engine.environment["NAME"] = "value"                 # for every pod that is started from now on
    response = await engine.route.call("exif.default", "POST", "/", headers, body)   # wakes it from zero

`engine.manifests` is what was applied last, `engine.origin` the route's address, `engine.clock()` the time.
"""

from __future__ import annotations

import asyncio
import socket
import time
import uuid
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from aiohttp import web
from prometheus_client.core import Metric

from knative.local.autoscaler.spec import PREFIX, ScalingSpec, panic_window
from knative.local.engine import hosts
from knative.local.engine.gaps import left_out
from knative.local.engine.logs import Logs
from knative.local.engine.route import Route
from knative.local.manifests import grammar
from knative.local.manifests.cluster import Cluster
from knative.local.manifests.resources import Manifests
from knative.local.pods import limits
from knative.local.pods.revision import Revision, Surroundings
from knative.local.pods.runtimes.process import Warden
from knative.local.pods.runtimes.selection import Mode, Runtimes
from knative.local.pods.service import Service
from knative.local.pods.template import Template, template
from knative.local.proxy.activator import WaitingRoom
from knative.local.tasks import TaskSet

MARK = "KNATIVE_LOCAL_ENGINE"  # the variable by which an engine knows what it has started
TICK_EVERY = 2  # seconds of the loop
# A timer may fire a moment early, and two reports in one second's bucket would look like a higher load.
_AFTER_THE_TURN = 0.02


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
            percentage = grammar.parse_float(annotations.get(PREFIX + "panic-window-percentage") or "10")
            changes |= {"stable_window": self.window, "panic_window": panic_window(self.window, percentage)}
        return replace(spec, **changes)


def steady_clock() -> Callable[[], float]:
    """Seconds since the epoch that never jump: the time of day now, carried on by the monotonic clock.

    An autoscaler whose clock is set back would otherwise drop every report until the old time comes round again.
    """
    epoch = time.time() - time.monotonic()
    return lambda: epoch + time.monotonic()


NOTHING = Manifests((), Cluster(), ())


class Engine:
    """All Services, one route, one loop of decisions.

    Args:
        directory: Where containers run: the root of the code.
        overrides: See `Overrides`.
        write: Takes each line of a pod's output under the pod's name.
        say: Takes each line of the engine's own.
        clock: Seconds since the epoch.
        reports_first: Let a decision see the reports of its own second. On a cluster the phases of both are chance; it
            matters where the panic window is one bucket, which is empty from the turn of a second to its first report.
        mode: Whether pods are processes, containers, or whichever the manifest allows.
        allow_hosts: Names a request may give as its host, beside those of this machine and of the manifests' domains.

    Attributes:
        app: Answers what is for no Service; handlers may be added until `start`.
        route: The data path; `route.call` reaches Services from inside.
        environment: Added to the environment of every pod started from now on.
        variables: Added to the environment of the pods of one Service, by namespace and name.
        manifests: What was applied last.
        before_apply: Each returns the manifests that are applied in place of those it gets.
        collectors: Each returns further metrics for `/_knative/metrics`.
        on_apply, on_change, on_stop: See the module's first lines; `on_change` is called after any change of a
            Service, a pod or a decision.
        started: When, by the clock.
        logs: The last lines of each pod.
        host, port: Of URLs that lead to the route, once `bound`.
    """

    def __init__(
        self,
        directory: str,
        *,
        overrides: Overrides | None = None,
        write: Callable[[str, bytes], None] | None = None,
        say: Callable[[str], None] = print,
        clock: Callable[[], float] | None = None,
        reports_first: bool = False,
        allow_hosts: Sequence[str] = (),
        mode: Mode = Mode.AUTO,
    ) -> None:
        self._reports_first = reports_first
        self._allow_hosts = tuple(allow_hosts)
        self._mode = mode
        self.app = web.Application(client_max_size=64 * 2**20)
        self.route = Route(self.app)
        self.directory = directory
        self.overrides = overrides or Overrides()
        self.environment: dict[str, str] = {}
        self.variables: dict[tuple[str, str], dict[str, str]] = {}
        self.clock = clock or steady_clock()
        self.started = self.clock()
        self.port = 0
        self.host = self._address = "127.0.0.1"
        self.manifests = NOTHING
        self.before_apply: list[Callable[[Manifests], Manifests]] = []
        self.on_apply: list[Callable[[Manifests], None]] = []
        self.collectors: list[Callable[[], Iterable[Metric]]] = []
        self.on_change: list[Callable[[], None]] = []
        self.on_stop: list[Callable[[float], Awaitable[None]]] = []
        self.logs = Logs(write or (lambda _name, _line: None))
        self.say = say
        self._token = f"{MARK}={uuid.uuid4().hex}"
        name, _, value = self._token.partition("=")
        self.environment[name] = value
        self._warden = Warden(self._token)
        self._runtimes = Runtimes(self.say)
        self._tasks = TaskSet()
        self._around = Surroundings(
            room=WaitingRoom(),
            runtimes=self._runtimes,
            environment=lambda *key: {**self.environment, **self.variables.get(key, {})},
            clock=self.clock,
            write=self.logs,
        )
        self._leaving: set[Service] = set()  # removed, and not all of their requests are answered yet
        self._loop_task: asyncio.Task[None] | None = None
        self._said: set[str] = set()

    # Services

    @property
    def services(self) -> list[Service]:
        """All Services, in the order they were applied."""
        return list(self.route.services.values())

    def apply(self, manifests: Manifests, code: str = "") -> list[str]:
        """Take manifests: new Services begin, changed ones get a new revision, those that are gone are stopped.

        Args:
            manifests: All of them; what is not there is removed.
            code: A fingerprint of the code that pods run; another one makes new revisions.

        Returns:
            What was done, a line each.

        Raises:
            TemplateError: A Service cannot run here; nothing was applied then.
        """
        for change in self.before_apply:
            manifests = change(manifests)
        objects = {
            (resource.kind, resource.namespace, resource.name): resource.data
            for kind in ("ConfigMap", "Secret")
            for resource in manifests.of(kind, "")
        }
        templates = [
            (resource.data, template(resource.data, self.directory, manifests.defaults, code, objects, self._mode))
            for resource in manifests.services
        ]
        for _, made in templates:
            self._scaling(made, manifests)  # nothing is changed before every value has been read
            if (service := self.route.services.get((made.namespace, made.service))) is not None:
                service.verify(made)
        self._join(manifests)
        self.manifests = manifests
        self._allow()
        done = []
        for data, made in templates:
            for ignored in made.ignored:
                self.say_once(f"Left out: {made.service}: {ignored}")
            if made.imaged and made.container.command and self._mode is Mode.AUTO:
                program = made.container.command[0]
                self.say_once(f"{made.service}: the program {program} is not on this machine: its pods are containers")
            done += self._apply_service(data, made)
        imaged = frozenset((made.namespace, made.service) for _, made in templates if made.imaged)
        for line in left_out(manifests, imaged):
            self.say_once(f"Left out: {line}")
        present = {(made.namespace, made.service) for _, made in templates}
        for key in [key for key in self.route.services if key not in present]:
            service = self.route.services.pop(key)
            done.append(f"{service.name}: removed")
            self._leaving.add(service)
            self._tasks.spawn(self._remove(service))
        for service in self.services:
            # A changed config-autoscaler holds for revisions that run, too.
            for revision in service.revisions:
                if revision.rescale(self._scaling(revision.template, manifests)):
                    done.append(f"{service.name}: scaling of {revision.name}")
        self._changed()
        return done

    def _join(self, manifests: Manifests) -> None:
        """Pass manifests to what has joined the engine; on an error all of it gets the previous ones back.

        Before the Services: it may add to the environment of their pods.
        """
        try:
            for take in self.on_apply:
                take(manifests)
        except Exception:
            for take in self.on_apply:
                take(self.manifests)
            raise

    def _apply_service(self, data: Mapping[str, Any], made: Template) -> list[str]:
        key = (made.namespace, made.service)
        service = self.route.services.get(key)
        if service is None:
            service = Service(made.service, made.namespace, make=self._make, say=self.say, changed=self._changed)
            self.route.services[key] = service
        before = service.latest_created
        if not service.apply(data, made):
            return []
        created = service.latest_created
        if created is not None and created is not before:
            return [f"{service.name}: revision {created.name}"]
        return [f"{service.name}: traffic"]

    async def _remove(self, service: Service) -> None:
        await service.stop(f"the Service {service.name} was removed")
        self._leaving.discard(service)

    def _allow(self) -> None:
        self.route.allowed = hosts.AllowedHosts(self._address, (*self._allow_hosts, *self.manifests.domains))
        self.route.mappings = self.manifests.mappings

    def _scaling(self, made: Template, manifests: Manifests) -> ScalingSpec:
        spec = ScalingSpec.of(made.annotations, container_concurrency=made.concurrency, config=manifests.autoscaler)
        return self.overrides.apply(spec, made.annotations)

    def _make(self, name: str, made: Template) -> Revision:
        if made.limits.cpu or made.limits.memory:
            reason = limits.unavailable()
            if reason:
                self.say_once(f"CPU and memory limits are not applied: {reason}")
        return Revision(
            name,
            made,
            self._scaling(made, self.manifests),
            around=self._around,
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

    @property
    def origin(self) -> str:
        """Scheme, host and port under which this machine reaches the route."""
        return f"http://{self.host}:{self.port}"

    def bound(self, sock: socket.socket) -> None:
        """Know the address of the route before it is served: what joins the engine may tell it to pods."""
        self._address, self.port = sock.getsockname()[:2]
        self.host = hosts.reached(self._address)
        self._allow()

    async def start(self, sock: socket.socket) -> None:
        """Listen, and begin to decide."""
        self.bound(sock)
        await self.route.start(sock)
        self._tasks.spawn(self._runtimes.sweep())
        self._loop_task = asyncio.get_running_loop().create_task(self._decide())

    async def _decide(self) -> None:
        """Each second take its reports; on even ones decide, before them or after."""
        second = int(self.clock())
        while True:
            await asyncio.sleep(max(0.0, second + 1 + _AFTER_THE_TURN - self.clock()))
            # After a suspended machine or a changed clock, go on from the present second.
            second = max(second + 1, int(self.clock()))
            for service in self.services:
                for revision in service.revisions:
                    decide = second % TICK_EVERY == 0
                    if decide and not self._reports_first:
                        revision.tick()
                    revision.scrape()
                    if decide and self._reports_first:
                        revision.tick()

    async def stop(self, within: float = 9.0) -> None:
        """End everything: requests under way get a part of the time, then pods are stopped, then killed.

        What has joined the engine gets the same part, at the same time: deliveries of events are requests too.
        """
        if self._loop_task is not None:
            self._loop_task.cancel()
        # Begun before the Services are stopped, so that what is refused from then on is known to be refused for that.
        joined = asyncio.gather(*(end(within * 0.5) for end in self.on_stop), return_exceptions=True)
        closing = asyncio.get_running_loop().create_task(self.route.close(within * 0.5))
        ending = [service.stop("the engine is stopping", within * 0.7) for service in (*self.services, *self._leaving)]
        ended = await asyncio.gather(*ending, return_exceptions=True)
        ended += await joined
        closing.cancel()
        ended += await asyncio.gather(closing, return_exceptions=True)
        # What one of them does wrong keeps nothing else from its end.
        for error in ended:
            if isinstance(error, Exception):
                self.say(f"while stopping: {type(error).__name__}: {error}")
        try:
            await self.route.stop()
        finally:
            limits.close()
            await self._runtimes.close()
            await asyncio.to_thread(self._warden.close)
