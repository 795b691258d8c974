"""The engine: the objects of a store, run on this machine as Knative would run them.

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

`engine.store` holds all objects: `apply` brings those of files into it, and whatever else changes it is reconciled too.
`engine.manifests` is what people wrote of it as it runs, `engine.origin` the route's address, `engine.clock()` the
time.
"""

from __future__ import annotations

import asyncio
import socket
import time
import uuid
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from aiohttp import web
from prometheus_client.core import Metric

from knative.local.api.admission import AdmissionError, Operation, admission
from knative.local.api.errors import AlreadyExistsError
from knative.local.api.store import Store
from knative.local.autoscaler.spec import PREFIX, ScalingSpec, panic_window
from knative.local.check.admission import cluster_of
from knative.local.controllers.files import Files, ensure_namespace
from knative.local.controllers.objects import (
    CONFIGURATION_LABEL,
    MADE,
    NAMESPACES,
    REVISIONS,
    SERVICE_LABEL,
    SERVICES,
    find,
    place_of,
)
from knative.local.controllers.reconciler import Reconciler
from knative.local.controllers.reconciler import Surroundings as ReconcilerSurroundings
from knative.local.engine import hosts
from knative.local.engine.gaps import left_out
from knative.local.engine.logs import Logs
from knative.local.engine.route import Route
from knative.local.manifests import grammar
from knative.local.manifests.cluster import EVENTING_NAMESPACE, SERVING_NAMESPACE, Cluster
from knative.local.manifests.resources import Manifests, Resource
from knative.local.manifests.source import Document
from knative.local.pods import limits
from knative.local.pods.revision import Revision, Surroundings
from knative.local.pods.runtimes.process import Warden
from knative.local.pods.runtimes.selection import Mode, Runtimes
from knative.local.pods.service import Service
from knative.local.pods.template import Template, TemplateError, template
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
        reports_first: Let a decision see the reports of its own second. On a cluster the phases of both are chance; it
            matters where the panic window is one bucket, which is empty from the turn of a second to its first report.
    """

    window: float | None = None
    grace: float | None = None
    retention: float | None = None
    initial_scale: int | None = None
    min_scale: int | None = None
    max_scale: int | None = None
    target_burst_capacity: float | None = None
    reports_first: bool = False

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


def _admit(cluster: Cluster, obj: dict[str, Any], old: dict[str, Any] | None) -> dict[str, Any]:
    try:
        return admission(cluster, obj, old, Operation.CREATE if old is None else Operation.UPDATE)
    except AdmissionError as error:
        raise TemplateError(f"{obj.get('kind')} {obj['metadata']['name']}: {error}") from None


NOTHING = Manifests((), Cluster(), ())


class Engine:
    """All Services, one route, one loop of decisions.

    Args:
        directory: Where containers run: the root of the code.
        overrides: See `Overrides`.
        write: Takes each line of a pod's output under the pod's name.
        say: Takes each line of the engine's own.
        clock: Seconds since the epoch.
        mode: Whether pods are processes, containers, or whichever the manifest allows.
        allow_hosts: Names a request may give as its host, beside those of this machine and of the manifests' domains.
        state: The store and its files of an earlier run.

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
        store: All objects.
        files: Which of them files have brought.
        sources: The files that were read last.
        reconciler: Keeps what runs in line with the store.
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
        allow_hosts: Sequence[str] = (),
        mode: Mode = Mode.AUTO,
        state: tuple[Store, Files] | None = None,
    ) -> None:
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
        self._leaving: set[Revision] = set()  # removed, and not all of their requests are answered yet
        self._loop_task: asyncio.Task[None] | None = None
        self._said: set[str] = set()
        self._explained: tuple[Manifests, frozenset[tuple[str, str]]] | None = None
        self.store, self.files = state or (Store(clock=self.clock), Files())
        self.sources: tuple[Path, ...] = ()
        self._not_run: tuple[Resource, ...] = ()
        self._objects: Mapping[tuple[str, str, str], Mapping[str, Any]] = {}
        for namespace in ("default", SERVING_NAMESPACE, EVENTING_NAMESPACE):
            ensure_namespace(self.store, namespace)
        self.reconciler = Reconciler(
            self.store,
            ReconcilerSurroundings(
                services=self.route.services,
                gather=self._gather,
                template=self._template,
                make=self._make,
                leave=self._leave,
                say=self.say,
                changed=self._reconciled,
                port=lambda: self.port,
                cluster=lambda: self.manifests.cluster,
                clock=self.clock,
            ),
        )

    # Services

    @property
    def services(self) -> list[Service]:
        """All Services, in the order they were applied."""
        return list(self.route.services.values())

    def apply(self, manifests: Manifests, code: str = "") -> list[str]:
        """Bring the objects of files into the store, and what runs into line with it.

        Args:
            manifests: All files; what none of them names any more is removed if files brought it.
            code: A fingerprint of the code that pods run; another one makes new revisions.

        Returns:
            What was done, a line each.

        Raises:
            TemplateError: Knative refuses an object, or it cannot run here; nothing was applied then.
        """
        placed = [(place_of(one.api_version, one.kind, one.metadata), one) for one in manifests.resources]
        objects = [(place, one.data) for place, one in placed if place[0] not in MADE or place[0] == NAMESPACES]
        for (_, _, name), data in objects:
            if not name:
                generated = data.get("metadata", {}).get("generateName") or ""
                kind = data.get("kind")
                raise TemplateError(f"{kind} {generated}: generateName: an object of a file needs its name")
        plan = self.files.plan(self.store, objects, lambda obj, old: _admit(manifests.cluster, obj, old))
        for (resource, _, _), _, made in plan.writes:
            if resource == SERVICES:
                self._verify(made, manifests)
        self.sources = manifests.files
        self._not_run = tuple(one for place, one in placed if place[0] in MADE and place[0] != NAMESPACES)
        self.files.commit(self.store, plan)
        if code != self.reconciler.code:
            self.reconciler.code = code
            self.reconciler.touch_all()
        return self.reconciler.run()

    def _verify(self, made: Mapping[str, Any], manifests: Manifests) -> None:
        """Read every value of a Service before anything is written, and the name of its revision.

        Raises:
            TemplateError: The name belongs to another revision, which a cluster would say in a condition alone.
        """
        read = template(made, self.directory, manifests.defaults, {}, self._mode)
        self._scaling(read, manifests)
        taken = find(self.store, REVISIONS, read.namespace, read.name) if read.name else None
        if taken is None:
            return
        candidate = Manifests((Resource(made, Document(made, ""), checked=True),), manifests.cluster, ())
        others = (one for one in self._written().resources if one.kind == "SinkBinding")
        candidate = replace(candidate, resources=(*candidate.resources, *others))
        for change in self.before_apply:
            candidate = change(candidate)
        if candidate.services[0].data["spec"]["template"]["spec"] != taken["spec"]:
            raise TemplateError(
                f"Service {read.service}: {AlreadyExistsError(REVISIONS, read.name or '')}, and differs"
            )

    # What the reconciliation needs of the engine

    def _gather(self) -> dict[tuple[str, str], Mapping[str, Any]]:
        """Take the objects that people wrote; returns the template of each Service as it runs here."""
        manifests = self._written()
        for change in self.before_apply:
            manifests = change(manifests)
        self._join(manifests)
        self.manifests = manifests
        self._objects = {
            (one.kind, one.namespace, one.name): one.data
            for kind in ("ConfigMap", "Secret")
            for one in manifests.of(kind, "")
        }
        self._allow()
        # A changed config-autoscaler holds for revisions that run, too.
        for revision in self.reconciler.running.values():
            if revision.rescale(self._scaling(revision.template, manifests)):
                self.say(f"{revision.template.service}: scaling of {revision.name}")
        return {(one.namespace, one.name): one.data["spec"]["template"] for one in manifests.services}

    def _written(self) -> Manifests:
        """Return the objects of the store that people write."""
        resources = tuple(
            Resource(obj, Document(obj, ""), checked=True)
            for resource, obj in self.store.everything()
            if resource not in MADE and not obj["metadata"].get("ownerReferences")
        )
        return Manifests((*resources, *self._not_run), cluster_of(resources, []), self.sources)

    def _template(self, revision: Mapping[str, Any]) -> Template:
        """Read a Revision."""
        metadata = revision["metadata"]
        labels = metadata.get("labels") or {}
        service, configuration = labels.get(SERVICE_LABEL, ""), labels.get(CONFIGURATION_LABEL, "")
        own = {"name": metadata["name"], "annotations": metadata.get("annotations") or {}}
        data = {
            "metadata": {"name": service or configuration, "namespace": metadata["namespace"]},
            "spec": {"template": {"metadata": own, "spec": revision["spec"]}},
        }
        made = template(data, self.directory, self.manifests.defaults, self._objects, self._mode)
        for ignored in made.ignored:
            self.say_once(f"Left out: {made.service}: {ignored}")
        if made.imaged and made.container.command and self._mode is Mode.AUTO:
            program = made.container.command[0]
            self.say_once(f"{made.service}: the program {program} is not on this machine: its pods are containers")
        return replace(made, service=service, configuration=configuration)

    def _reconciled(self) -> None:
        """Name what the manifests ask for and this engine does not do, and let others see the change."""
        running = self.reconciler.running.values()
        imaged = frozenset((one.template.namespace, one.template.service) for one in running if one.template.imaged)
        if self._explained != (self.manifests, imaged):
            self._explained = (self.manifests, imaged)
            for line in left_out(self.manifests, imaged):
                self.say_once(f"Left out: {line}")
        self._changed()

    def _leave(self, revision: Revision, reason: str, ended: Callable[[], None]) -> None:
        self._leaving.add(revision)

        async def leave() -> None:
            await revision.stop(reason)
            self._leaving.discard(revision)
            ended()

        self._tasks.spawn(leave())

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
            changed=lambda: self._revision_changed((made.namespace, made.configuration)),
        )

    def _revision_changed(self, configuration: tuple[str, str]) -> None:
        self.reconciler.touch(configuration)
        self._changed()

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
            for revision in tuple(self.reconciler.running.values()):
                decide = second % TICK_EVERY == 0
                if decide and not self.overrides.reports_first:
                    revision.tick()
                revision.scrape()
                if decide and self.overrides.reports_first:
                    revision.tick()

    async def stop(self, within: float = 9.0) -> None:
        """End everything: requests under way get a part of the time, then pods are stopped, then killed.

        What has joined the engine gets the same part, at the same time: deliveries of events are requests too.
        """
        if self._loop_task is not None:
            self._loop_task.cancel()
        self.reconciler.close()
        # Begun before the Services are stopped, so that what is refused from then on is known to be refused for that.
        joined = asyncio.gather(*(end(within * 0.5) for end in self.on_stop), return_exceptions=True)
        closing = asyncio.get_running_loop().create_task(self.route.close(within * 0.5))
        revisions = (*self.reconciler.running.values(), *self._leaving)
        ending = [revision.stop("the engine is stopping", within * 0.7) for revision in revisions]
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
