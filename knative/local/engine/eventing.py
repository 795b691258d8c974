"""The broker on the engine's own port: ingress, data by reference, and what happens as JSON and as a stream.

- `POST /_knative/broker/<namespace>/<name>`: an event in, binary or structured; 202 once it is durable
- `GET /_knative/events`: what came, where it went, which reply, what died and why; with `Accept: text/event-stream`
  the same as it happens
- `GET /_knative/events/<number>`: one event and its whole chain; `…/data`: its data
- `GET /_knative/data/<sha256>`: data kept beside the log, where datarefs point to
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
import shutil
import sqlite3
import tempfile
from collections.abc import AsyncIterator, Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import aiohttp
from aiohttp import web

from functions.kit.cloudevents import binding
from functions.kit.cloudevents.binding import Event
from functions.kit.http import problems
from functions.kit.http.problems import Problem
from knative.local.controllers.eventing import write_status
from knative.local.engine.responses import problem_response
from knative.local.eventing import event_history
from knative.local.eventing.broker import Answer, Broker
from knative.local.eventing.event_log import EventLog
from knative.local.eventing.sources import EVENT_GROUPS, Pinger, bind_sinks
from knative.local.eventing.topology import Destination, Topology
from knative.local.tasks import TaskSet

if TYPE_CHECKING:
    from knative.local.engine.engine import Engine
    from knative.local.manifests.resources import Manifests

STATE = ".pixelamp"
BODY_BYTES = 64 * 2**20
_STREAMS = 50
_HEARTBEAT = 15.0
_LAST = 2**63 - 1  # SQLite's largest number
_DIGEST = re.compile(r"[0-9a-f]{64}")


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
        self._engine = engine
        self._folder = folder
        self._keep = keep
        self._origin = engine.origin
        self._session: aiohttp.ClientSession | None = None
        self._running = False
        self._failure = ""
        self._unbound: dict[str, str] = {}
        self._pinger = Pinger(engine.clock)
        self._streams = 0
        self._stopping = asyncio.Event()
        self._tasks = TaskSet()
        router = engine.app.router
        for end in ("", "/"):
            path = f"/_knative/{{kind:broker|channel}}/{{namespace}}/{{name}}{end}"
            router.add_post(path, self._ingress)
            router.add_route("OPTIONS", path, _handshake)
        router.add_get("/_knative/events", self._events)
        router.add_get("/_knative/events/{seq:[0-9]{1,18}}", self._event)
        router.add_get("/_knative/events/{seq:[0-9]{1,18}}/data", self._event_data)
        router.add_get("/_knative/data/{digest}", self._data)
        engine.before_apply.append(self._bind)
        engine.collectors.append(lambda: self.broker.metrics.collect() if self.broker else ())
        engine.on_apply.append(self._apply)
        engine.app.on_startup.append(self._start)
        engine.on_stop.append(self._stop)

    # Life

    def _bind(self, manifests: Manifests) -> Manifests:
        bound, self._unbound = bind_sinks(manifests, self._origin)
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
        self._run(manifests)
        topology = self.broker.ingress.topology if self.broker is not None else Topology()
        write_status(self._engine.store, topology, self._unbound, self._failure)

    def _run(self, manifests: Manifests) -> None:
        flows = [one for one in manifests.resources if one.group in EVENT_GROUPS]
        if self.broker is None and flows:
            try:
                log = EventLog(self._folder)
            except (OSError, sqlite3.Error) as error:
                self._failure = f"the event log cannot be opened: {error}"
                self._engine.say(f"no events: {self._failure}")
                return
            self._failure = ""
            self.broker = Broker(log, self._send, origin=self._origin, clock=self._engine.clock)
            if self._running:
                self._tasks.spawn(self._resume(self.broker))
        if self.broker is not None:
            self.broker.apply(manifests.resources)
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
            self._failure = f"the event log in {self._folder} cannot be read: {error}"
            self._engine.say(f"no events: {self._failure}")
            await broker.stop()
            return
        if pending:
            self._engine.say(f"events: {pending} deliveries were pending and go on")

    async def _stop(self, within: float) -> None:
        self._stopping.set()
        self._pinger.stop()
        kept: int | None = None
        if self.broker is not None:
            await self.broker.drain(within)
            with contextlib.suppress(sqlite3.Error, OSError):
                kept = (await self.broker.log.run(event_history.totals))["events"]
            await self.broker.stop()
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

    # In

    async def _ingress(self, request: web.Request) -> web.Response:
        kind, namespace, name = (request.match_info[key] for key in ("kind", "namespace", "name"))
        node, begun = f"{kind}/{namespace}/{name}", self._engine.clock()
        event: Event | None = None
        try:
            event = await self._event_in(request, node)
            seq = await self._running_broker(node).accept(node, event, dict(request.headers))
            response = web.Response(status=202, headers={"Location": f"/_knative/events/{seq}"})
        except (sqlite3.Error, OSError) as error:
            problem = Problem(503, "not-kept", "Event not kept", f"the event log cannot be written: {error}")
            response = problem_response(problem)
        except Problem as problem:
            response = problem_response(problem)
        if self.broker is not None and event is not None:
            self.broker.metrics.receive(node, event.type, response.status, self._engine.clock() - begun)
        return response

    def _running_broker(self, node: str) -> Broker:
        """Return the broker, if it runs a node.

        Raises:
            Problem: 404, or 503 if the log cannot be kept or the engine is stopping.
        """
        if self._failure:
            raise Problem(503, "not-kept", "Event not kept", self._failure)
        if self.broker is None or node not in self.broker.ingress.topology.nodes:
            kind, namespace, name = node.split("/", 2)
            detail = f"no manifest holds the {kind.capitalize()} {namespace}/{name}"
            raise Problem(404, f"no-such-{kind}", f"No such {kind.capitalize()}", detail)
        if self._stopping.is_set():
            raise problems.busy("the engine is stopping", 1)
        return self.broker

    async def _event_in(self, request: web.Request, node: str) -> Event:
        """Return the event of a request to a node.

        Raises:
            Problem: there is no such node, or the request holds no event.
        """
        self._running_broker(node)
        event = binding.decode(list(request.headers.items()), await _body(request), binding.EVERY_VERSION)
        if event is None:
            detail = "this takes CloudEvents: headers ce-…, or Content-Type application/cloudevents+json"
            raise problems.malformed(detail)
        return event

    # Told

    async def _events(self, request: web.Request) -> web.StreamResponse:
        if "text/event-stream" in request.headers.get("Accept", ""):
            return await self._stream(request)
        if self.broker is None:
            return web.json_response({"brokers": [], "unready": {}, "totals": {}, "counts": {}, "events": []})
        wanted = {name: request.query[name] for name in ("id", "source", "type", "state") if name in request.query}
        try:
            limit = min(max(int(request.query.get("limit", "100")), 1), 1000)
            before = max(0, min(int(request.query["before"]), _LAST)) if "before" in request.query else None
        except ValueError:
            return problem_response(problems.bad_option("limit", "limit and before are whole numbers"))

        def read(db: sqlite3.Connection) -> tuple[dict[str, int], list[dict[str, Any]]]:
            return event_history.totals(db), event_history.recent(db, limit=limit, before=before, wanted=wanted)

        try:
            totals, told = await self.broker.log.run(read)
        except (sqlite3.Error, OSError) as error:
            return _unreadable(error)
        topology = self.broker.ingress.topology
        return web.json_response(
            {
                "brokers": sorted(node for node in topology.nodes if node.startswith("broker/")),
                "subscriptions": [one.name for subscriptions in topology.nodes.values() for one in subscriptions],
                "unready": dict(topology.unready),
                "totals": totals,
                "counts": dict(self.broker.activity.counts),
                "events": told,
            }
        )

    async def _stream(self, request: web.Request) -> web.StreamResponse:
        if self.broker is None or self._streams >= _STREAMS:
            return problem_response(problems.busy(f"the limit is {_STREAMS} streams, and one needs a Broker", 5))
        last = request.headers.get("Last-Event-ID", request.query.get("after", ""))
        after = int(last) if last.isascii() and last.isdigit() and len(last) < 19 else 0
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream", "Cache-Control": "no-store"})
        await response.prepare(request)
        self._streams += 1
        try:
            async for frame in _frames(self.broker.activity.follow(after)):
                await response.write(frame)
        except ConnectionResetError:
            pass
        finally:
            self._streams -= 1
        return response

    async def _event(self, request: web.Request) -> web.Response:
        seq = int(request.match_info["seq"])
        try:
            told = await self.broker.log.run(lambda db: event_history.chain(db, seq)) if self.broker else []
        except (sqlite3.Error, OSError) as error:
            return _unreadable(error)
        if not told:
            return problem_response(problems.not_found(request.path))
        return web.json_response({"event": seq, "chain": told})

    async def _event_data(self, request: web.Request) -> web.StreamResponse:
        broker, seq = self.broker, int(request.match_info["seq"])
        try:
            stored = await broker.log.run(lambda db: broker.log.event(db, seq)) if broker else None
        except (sqlite3.Error, OSError) as error:
            return _unreadable(error)
        if broker is None or stored is None:
            return problem_response(problems.not_found(request.path))
        if stored.digest is not None:
            return _file(broker.log.file(stored.digest), stored.attributes.get("datacontenttype", ""))
        headers = {"Content-Type": stored.attributes.get("datacontenttype") or "application/octet-stream"}
        return web.Response(body=stored.data or b"", headers=headers | _INERT)

    async def _data(self, request: web.Request) -> web.StreamResponse:
        digest = request.match_info["digest"]
        if self.broker is None or not _DIGEST.fullmatch(digest) or not self.broker.log.file(digest).is_file():
            return problem_response(problems.not_found(request.path))
        return _file(self.broker.log.file(digest), "")


# What was sent in is never run by a browser that opens it.
_INERT = {"Content-Security-Policy": "default-src 'none'; sandbox", "X-Content-Type-Options": "nosniff"}


def _file(path: Path, content_type: str) -> web.FileResponse:
    return web.FileResponse(path, headers={"Content-Type": content_type or "application/octet-stream", **_INERT})


def _unreadable(error: Exception) -> web.Response:
    return problem_response(
        Problem(503, "log-unreadable", "Event log unreadable", f"the event log cannot be read: {error}")
    )


async def _handshake(_request: web.Request) -> web.Response:
    """Knative's ingress grants the webhook handshake to everybody too."""
    granted = {"Allow": "POST, OPTIONS", "WebHook-Allowed-Origin": "*", "WebHook-Allowed-Rate": "*"}
    return web.Response(status=200, headers=granted)


async def _body(request: web.Request) -> bytes:
    chunks, size = [], 0
    async for chunk in request.content.iter_chunked(64 * 1024):
        size += len(chunk)
        if size > BODY_BYTES:
            raise Problem(413, "too-many-bytes", "Body too large", f"the limit is {BODY_BYTES:,} bytes an event")
        chunks.append(chunk)
    return b"".join(chunks)


async def _frames(happenings: AsyncIterator[dict[str, Any]]) -> AsyncIterator[bytes]:
    """Server-sent events, with a comment now and then so that a client that has gone is noticed."""
    upcoming = asyncio.ensure_future(anext(happenings, None))
    try:
        while True:
            done, _ = await asyncio.wait([upcoming], timeout=_HEARTBEAT)
            if not done:
                yield b": still here\n\n"
                continue
            happening = upcoming.result()
            if happening is None:
                return
            yield f"id: {happening['n']}\nevent: {happening['what']}\ndata: {json.dumps(happening)}\n\n".encode()
            upcoming = asyncio.ensure_future(anext(happenings, None))
    finally:
        upcoming.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await upcoming


def _is_function(service: Mapping[str, Any]) -> bool:
    """Whether a Service is a function of this project, which alone reads those variables."""
    (container, *_) = service["spec"]["template"]["spec"]["containers"]
    return any(str(word).startswith("functions.kit.") for word in container.get("command") or ())
