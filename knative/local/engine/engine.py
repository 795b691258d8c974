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
from dataclasses import replace

from aiohttp import web
from prometheus_client.core import Metric

from knative.local.api.errors import AlreadyExistsError
from knative.local.api.store import Store
from knative.local.autoscaler.spec import ScalingSpec
from knative.local.controllers.files import Files, ensure_namespace
from knative.local.controllers.objects import (
    CONFIGURATION_LABEL,
    REVISIONS,
    SERVICE_LABEL,
    SERVICES,
    find,
    labels_of,
)
from knative.local.controllers.reconciler import Reconciler
from knative.local.controllers.reconciler import Surroundings as ReconcilerSurroundings
from knative.local.controllers.written import Written, as_resource, as_service
from knative.local.engine import hosts
from knative.local.engine.gaps import Announced, identity
from knative.local.engine.logs import Logs
from knative.local.engine.overrides import Overrides
from knative.local.engine.route import Route
from knative.local.jsontypes import JsonMapping, JsonObject
from knative.local.manifests.cluster import EVENTING_NAMESPACE, SERVING_NAMESPACE, Cluster
from knative.local.manifests.kinds import SERVING
from knative.local.manifests.resources import Manifests
from knative.local.mesh.addresses import LOCAL_DOMAIN, Addresses
from knative.local.mesh.mesh import Mesh
from knative.local.pods.revision import Revision, Surroundings
from knative.local.pods.runtimes import limits
from knative.local.pods.runtimes.process import Warden
from knative.local.pods.runtimes.selection import Mode, Runtimes
from knative.local.pods.service import Service
from knative.local.pods.standing.reading import StandingTemplate
from knative.local.pods.standing.reading import read as read_standing
from knative.local.pods.standing.standing import Standing
from knative.local.pods.template import Template, TemplateError, template
from knative.local.proxy.activator import WaitingRoom
from knative.local.tasks import TaskSet

MARK = "KNATIVE_LOCAL_ENGINE"  # the variable by which an engine knows what it has started
TICK_EVERY = 2  # seconds of the loop
# A timer may fire a moment early, and two reports in one second's bucket would look like a higher load.
_AFTER_THE_TURN = 0.02


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
        gaps: What the objects ask for and this engine does not do.
        written: Those that people write, and the files they came from.
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
        self.mesh = Mesh(self.route)
        self._runtimes = Runtimes(self.say_once, self.mesh)
        self._tasks = TaskSet()
        self._around = Surroundings(
            room=WaitingRoom(),
            runtimes=self._runtimes,
            mesh=self.mesh,
            environment=lambda *key: {**self.environment, **self.variables.get(key, {})},
            clock=self.clock,
            write=self.logs,
        )
        self._leaving: set[Revision] = set()  # removed, and not all of their requests are answered yet
        self._loop_task: asyncio.Task[None] | None = None
        self._said: set[str] = set()
        self.gaps = Announced(lambda line: self.say_once(f"Left out: {line}"))
        self.store, files = state or (Store(clock=self.clock), Files())
        self.written = Written(self.store, files)
        self._objects: Mapping[tuple[str, str, str], JsonMapping] = {}
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
                host=lambda route, tag: f"{self.route.addresses.host(route['metadata'], tag=tag)}:{self.port}",
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
        # What has become ready before takes its traffic before.
        done = self.reconciler.run() if code == self.reconciler.code else []
        plan = self.written.plan(manifests)
        for (resource, _, _), _, made in plan.writes:
            if resource == SERVICES:
                self._verify(made, manifests)
        self.written.commit(manifests, plan)
        if code != self.reconciler.code:
            self.reconciler.code = code
            self.reconciler.touch_all()
        return done + self.reconciler.run()

    def _verify(self, made: JsonMapping, manifests: Manifests) -> None:
        """Read every value of a Service before anything is written, and the name of its revision.

        Raises:
            TemplateError: The name belongs to another revision, which a cluster would say in a condition alone.
        """
        read = template(made, self.directory, manifests.defaults, {}, self._mode)
        self._scaling(read, manifests)
        taken = find(self.store, REVISIONS, read.namespace, read.name) if read.name else None
        if taken is None:
            return
        others = [one for one in self.written.manifests().resources if (one.group, one.kind) != (SERVING, "Service")]
        services = [one for one in self.manifests.services if identity(one) != identity(as_resource(made))]
        candidate = Manifests((as_resource(made), *others, *services), manifests.cluster, ())
        for change in self.before_apply:
            candidate = change(candidate)
        if candidate.services[0].data["spec"]["template"]["spec"] != taken["spec"]:
            raise TemplateError(
                f"Service {read.service}: {AlreadyExistsError(REVISIONS, read.name or '')}, and differs"
            )

    # What the reconciliation needs of the engine

    def _gather(self) -> dict[tuple[str, str], JsonMapping]:
        """Apply the users' objects; returns the template of each Service as it runs here."""
        manifests = self.written.manifests()
        for change in self.before_apply:
            manifests = change(manifests)
        self._join(manifests)
        before, self.manifests = self.manifests, manifests
        self._objects = {
            (one.kind, one.namespace, one.name): one.data
            for kind in ("ConfigMap", "Secret")
            for one in manifests.of(kind, "")
        }
        self._allow()
        if manifests.autoscaler != before.autoscaler:  # it holds for revisions that run, too
            for revision in self.reconciler.running.values():
                if revision.rescale(self._scaling(revision.template, manifests)):
                    self.say(f"{revision.template.service}: scaling of {revision.name}")
        return {(one.namespace, one.name): one.data["spec"]["template"] for one in manifests.services}

    def _template(self, revision: JsonObject) -> Template:
        """Read a Revision."""
        made = template(as_service(revision), self.directory, self.manifests.defaults, self._objects, self._mode)
        for ignored in made.ignored:
            self.say_once(f"Left out: {made.service}: {ignored}")
        if made.imaged and made.container.command and self._mode is Mode.AUTO:
            program = made.container.command[0]
            self.say_once(f"{made.service}: the program {program} is not on this machine: its pods are containers")
        labels = labels_of(revision)
        configuration = labels.get(CONFIGURATION_LABEL, "")
        return replace(made, service=labels.get(SERVICE_LABEL, ""), configuration=configuration)

    def _reconciled(self) -> None:
        """Name what the manifests ask for and this engine does not do, and let others see the change."""
        running = self.reconciler.running.values()
        imaged = frozenset((one.template.namespace, one.template.service) for one in running if one.template.imaged)
        self.gaps.changed(self.manifests, imaged)
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
        self.route.domains = (LOCAL_DOMAIN, *self.manifests.domains)
        self.route.addresses = Addresses(self.manifests.cluster.network)
        if (unread := self.route.addresses.unread) is not None:
            self.say_once(f"Left out: {unread}")

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

    def standing_template(self, source: JsonMapping, name: str, variables: Mapping[str, str]) -> StandingTemplate:
        """Read the pod of a source of events, with these variables, for a Deployment of this name."""
        namespace, spec = source["metadata"]["namespace"], source["spec"]["template"]["spec"]
        return read_standing(
            name,
            namespace,
            spec,
            {**self.environment, **variables},
            directory=self.directory,
            objects=self._objects,
            mode=self._mode,
        )

    def standing(self, name: str, namespace: str, template: StandingTemplate, changed: Callable[[], None]) -> Standing:
        """Start the pod of a Deployment."""
        return Standing(name, namespace, template, around=self._around, changed=changed)

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
        self.mesh.origin = self.origin
        self.mesh.bind()
        self._allow()

    async def start(self, sock: socket.socket) -> None:
        """Listen, and begin to decide."""
        self.bound(sock)
        await self.route.start(sock)
        await self.mesh.start()
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
            await self.mesh.close()
            await self.route.stop()
        finally:
            limits.close()
            await self._runtimes.close()
            await asyncio.to_thread(self._warden.close)
