"""The broker joined to an engine: its log, its life, and how its events reach Services and URLs elsewhere."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import sqlite3
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import aiohttp
from aiohttp import web

from knative.local.controllers.eventing.children import write_children
from knative.local.controllers.eventing.container_sources import ContainerSources, Needs
from knative.local.controllers.eventing.status import write_status
from knative.local.eventing import event_history
from knative.local.eventing.answers import Answer
from knative.local.eventing.broker import Broker
from knative.local.eventing.damage import loss
from knative.local.eventing.endpoints import BODY_BYTES, Endpoints
from knative.local.eventing.event_log import EventLog
from knative.local.eventing.sources import EVENT_GROUPS, Pinger
from knative.local.eventing.topology.addresses import channel_of
from knative.local.eventing.topology.bindings import bind_sinks
from knative.local.eventing.topology.graph import Destination, Topology
from knative.local.jsontypes import JsonMapping
from knative.local.tasks import TaskSet

if TYPE_CHECKING:
    from knative.local.engine.engine import Engine
    from knative.local.manifests.resources import Manifests

STATE = ".pixelamp"


def mount(engine: Engine, state: Path | None = None) -> None:
    """Run the Brokers of the engine's manifests, on its own port. Its address must be known: `engine.bound`.

    Args:
        engine: Not started, with nothing applied.
        state: Folder of the event log, kept from run to run; None: one of the port's own below `.pixelamp` in the
            engine's directory.
    """
    if state is not None:
        Eventing(engine, state, keep=lambda _events: True)
    else:
        Eventing(engine, Path(engine.directory, STATE, str(engine.port)), keep=lambda events: events != 0)


def stateless(engine: Engine) -> None:
    """As `mount`, with a log that ends with the engine: for a port that will not be the same again."""
    Eventing(engine, Path(tempfile.mkdtemp(prefix="pixelamp-events-")), keep=lambda _events: False)


class Eventing:
    """The broker joined to an engine. Nothing is opened before a manifest holds a Broker or a flow.

    Args:
        engine: Not started, with nothing applied.
        folder: Of the event log.
        keep: Whether the folder stays after an orderly end, by the number of events in the log; None if it was not
            opened.
    """

    def __init__(self, engine: Engine, folder: Path, *, keep: Callable[[int | None], bool]) -> None:
        self.broker: Broker | None = None
        self.clock = engine.clock
        self._engine = engine
        self._folder = folder
        self._keep = keep
        self._origin = engine.origin
        self._sources = ContainerSources(
            Needs(
                store=engine.store,
                read=engine.standing_template,
                start=engine.standing,
                own=engine.reconciler.own,
                clock=engine.clock,
            )
        )
        self._session: aiohttp.ClientSession | None = None
        self._running = False
        self.failure = ""
        self._unbound: dict[str, str] = {}
        self._pinger = Pinger(engine.clock)
        self.stopping = asyncio.Event()
        self._tasks = TaskSet()
        Endpoints(engine.app, self)
        engine.before_apply.append(self._bind)
        engine.collectors.append(lambda: self.broker.metrics.collect() if self.broker else ())
        engine.on_apply.append(self._apply)
        engine.app.on_startup.append(self._start)
        engine.on_stop.append(self._stop)

    # Life

    def _bind(self, manifests: Manifests) -> Manifests:
        bound, self._unbound = bind_sinks(manifests)
        for name, reason in self._unbound.items():
            self._engine.say_once(f"{name} does not run: {reason}")
        return bound

    def _apply(self, manifests: Manifests) -> None:
        self._engine.variables.clear()
        for service in manifests.services:
            if _is_function(service.data):
                prefix = service.name.upper().replace("-", "_")
                # Exactly this origin, to exactly the pods that are started here; and replies of any size that is taken
                # here, since large data is kept beside the log.
                self._engine.variables[service.namespace, service.name] = {
                    f"{prefix}_DATAREF_HOSTS": self._origin,
                    f"{prefix}_EVENT_BYTES": str(BODY_BYTES),
                }
        blocked = write_children(self._engine.store)
        self._run(manifests, blocked)
        topology = self.broker.ingress.topology if self.broker is not None else Topology()
        channels = (channel_of(node) for node in topology.nodes)
        self._engine.mesh.channels = tuple((name, place) for place, name in filter(None, channels))
        unbound = {**self._unbound, **self._sources.apply(topology, self.failure)}
        write_status(self._engine.store, topology, unbound, self.failure, blocked=blocked)

    def _run(self, manifests: Manifests, blocked: Mapping[str, str]) -> None:
        flows = [one for one in manifests.resources if one.group in EVENT_GROUPS]
        if self.broker is None and flows:
            try:
                log = EventLog(self._folder)
            except (OSError, sqlite3.Error) as error:
                self.failure = f"the event log cannot be opened: {error}"
                if isinstance(error, sqlite3.DatabaseError):
                    self.failure += f"; {loss(self._folder)}"
                self._engine.say(f"no events: {self.failure}")
                return
            self.failure = ""
            self.broker = Broker(log, self._send, origin=self._origin, clock=self._engine.clock)
            if self._running:
                self._tasks.spawn(self._resume(self.broker))
        if self.broker is not None:
            self.broker.apply(manifests.resources, blocked)
            self._pinger.apply(self.broker)
            for name, reason in self.broker.ingress.topology.unready.items():
                self._engine.say_once(f"{name} does not run: {reason}")

    async def _start(self, _app: web.Application) -> None:
        self._running = True
        if self.broker is not None:
            await self._resume(self.broker)
        self._pinger.start()

    async def _resume(self, broker: Broker) -> None:
        try:
            pending = await broker.start()
        except (sqlite3.Error, OSError) as error:
            # The functions are served all the same.
            self.broker = None
            self.failure = f"the event log in {self._folder} cannot be read: {error}; {loss(self._folder)}"
            self._engine.say(f"no events: {self.failure}")
            await broker.stop()
            return
        if pending:
            self._engine.say(f"events: {pending} deliveries were pending and go on")

    async def _stop(self, within: float) -> None:
        self.stopping.set()
        self._pinger.stop()
        # At once with the broker, which has to know that what is refused from now on is refused for the end.
        ending = asyncio.get_running_loop().create_task(self._sources.stop(within))
        kept: int | None = None
        if self.broker is not None:
            await self.broker.drain(within)
            with contextlib.suppress(sqlite3.Error, OSError):
                kept = (await self.broker.log.run(event_history.totals))["events"]
            await self.broker.stop()
        await ending
        if not self._keep(kept):
            await asyncio.to_thread(shutil.rmtree, self._folder, ignore_errors=True)
        if self._session is not None:
            await self._session.close()

    # Out

    async def _send(self, to: Destination, headers: Mapping[str, str], body: bytes) -> Answer:
        try:
            if to.host:
                response = await self._engine.route.call(to.host, "POST", to.path, headers, body, limit=BODY_BYTES)
                return Answer(response.status, response.headers, response.body)
            return await self._send_away(to.url, headers, body)
        except LookupError as error:
            return Answer(None, body=str(error).encode())
        except (OSError, aiohttp.ClientError, ValueError) as error:
            return Answer(None, body=f"{type(error).__name__}: {error}".encode())

    async def _send_away(self, url: str, headers: Mapping[str, str], body: bytes) -> Answer:
        """To a URL that is not this engine's. Knative follows no redirect either."""
        if self._session is None:
            self._session = aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar(), auto_decompress=True)
        async with self._session.post(url, data=body, headers=headers, allow_redirects=False) as response:
            chunks, size = [], 0
            async for chunk in response.content.iter_chunked(64 * 1024):
                size += len(chunk)
                if size > BODY_BYTES:
                    raise ValueError(f"an answer of more than {BODY_BYTES} bytes")
                chunks.append(chunk)
            return Answer(response.status, tuple(response.headers.items()), b"".join(chunks))


def _is_function(service: JsonMapping) -> bool:
    """Whether a Service is a function of this project, which alone reads those variables."""
    (container, *_) = service["spec"]["template"]["spec"]["containers"]
    return any(str(word).startswith("functions.kit.") for word in container.get("command") or ())
