"""The HTTP endpoints of the broker: ingress, data by reference, events as JSON and as a stream, their graph, replay.

- `POST /_knative/broker/<namespace>/<name>`: an event in, binary or structured; 202 once it is durable
- `GET /_knative/events`: what came, where it went, which reply, what died and why; with `Accept: text/event-stream`
  the same as it happens
- `GET /_knative/events/graph`: Brokers, channels, subscriptions and sinks, with counts
- `GET /_knative/events/<number>`: one event and its whole chain; `…/data`: its data
- `POST /_knative/events/<number>/replay`: deliver again what was dead-lettered or dropped
- `GET /_knative/data/<sha256>`: data kept beside the log, where datarefs point to
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
import sqlite3
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Protocol

from aiohttp import web

from functions.kit.cloudevents import binding
from functions.kit.cloudevents.binding import Event
from functions.kit.http import problems
from functions.kit.http.problems import Problem
from knative.local.eventing import event_history
from knative.local.eventing.broker import Broker
from knative.local.jsontypes import JsonObject
from knative.local.proxy.responses import problem_response

BODY_BYTES = 64 * 2**20
_STREAMS = 50
_HEARTBEAT = 15.0
_LAST = 2**63 - 1  # SQLite's largest number
_MOST_EVENTS = 1000
_PARAMETERS = ("limit", "before", "id", "source", "type", "state")
_STATES = ("pending", "done", "dead", "dropped")
_DIGEST = re.compile(r"[0-9a-f]{64}")


def _no_event(seq: int) -> Problem:
    return Problem(404, "no-such-event", "No such event", f"there is no event {seq} in the log")


def _query(query: Mapping[str, str]) -> tuple[int, int | None, dict[str, str]]:
    """Return the limit, the number before which events are listed, and the attributes and the state they need to have.

    Raises:
        Problem: a parameter is unknown or has a value that is not allowed.
    """
    for name in query:
        if name not in _PARAMETERS:
            raise problems.bad_option(name, f"unknown option {name!r}; the options are {', '.join(_PARAMETERS)}")
    wanted = {name: query[name] for name in ("id", "source", "type", "state") if name in query}
    if wanted.get("state", _STATES[0]) not in _STATES:
        detail = f"state={wanted['state']!r} is not allowed: expected one of {', '.join(_STATES)}"
        raise problems.bad_option("state", detail)
    limit = query.get("limit", "100")
    if not (limit.isascii() and limit.isdigit() and len(limit) <= 4 and 1 <= int(limit) <= _MOST_EVENTS):
        detail = f"limit={limit!r} is not allowed: expected a whole number from 1 to {_MOST_EVENTS:,}"
        raise problems.bad_option("limit", detail)
    try:
        before = max(0, min(int(query["before"]), _LAST)) if "before" in query else None
    except ValueError:
        raise problems.bad_option("before", "before is a whole number: that of an event") from None
    return int(limit), before, wanted


class Host(Protocol):
    """What runs the broker.

    Attributes:
        broker: None while no manifest holds an object of Eventing, or while the log cannot be read.
        failure: why no event was sent; empty without a failure.
        stopping: set when the engine begins to stop.
    """

    broker: Broker | None
    failure: str
    stopping: asyncio.Event

    def clock(self) -> float:
        """Seconds since the epoch."""


class Endpoints:
    """The routes of a broker on an application."""

    def __init__(self, app: web.Application, host: Host) -> None:
        self._host = host
        self._streams = 0
        for end in ("", "/"):
            path = f"/_knative/{{kind:broker|channel}}/{{namespace}}/{{name}}{end}"
            app.router.add_post(path, self._ingress)
            app.router.add_route("OPTIONS", path, _handshake)
        app.router.add_get("/_knative/events", self._events)
        app.router.add_get("/_knative/events/graph", self._graph)
        app.router.add_get("/_knative/events/{seq:[0-9]{1,18}}", self._event)
        app.router.add_get("/_knative/events/{seq:[0-9]{1,18}}/data", self._event_data)
        app.router.add_post("/_knative/events/{seq:[0-9]{1,18}}/replay", self._replay)
        app.router.add_get("/_knative/data/{digest}", self._data)

    async def _ingress(self, request: web.Request) -> web.Response:
        kind, namespace, name = (request.match_info[key] for key in ("kind", "namespace", "name"))
        node, begun = self._entry(f"{kind}/{namespace}/{name}"), self._host.clock()
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
        if self._host.broker is not None and event is not None:
            self._host.broker.metrics.receive(node, event.type, response.status, self._host.clock() - begun)
        return response

    def _entry(self, node: str) -> str:
        """Return the node that receives what is sent to a Broker or channel, which may be that of a flow."""
        broker = self._host.broker
        return (broker.ingress.topology.entry(node) if broker is not None else None) or node

    def _running_broker(self, node: str) -> Broker:
        """Return the broker, if it runs a node.

        Raises:
            Problem: 404, or 503 if the log cannot be kept or the engine is stopping.
        """
        if self._host.failure:
            raise Problem(503, "not-kept", "Event not kept", self._host.failure)
        if self._host.broker is None or node not in self._host.broker.ingress.topology.nodes:
            kind, namespace, name = node.split("/", 2)
            detail = f"there is no {kind.capitalize()} {namespace}/{name}"
            raise Problem(404, f"no-such-{kind}", f"No such {kind.capitalize()}", detail)
        if self._host.stopping.is_set():
            raise problems.busy("the engine is stopping", 1)
        return self._host.broker

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

    async def _events(self, request: web.Request) -> web.StreamResponse:
        if "text/event-stream" in request.headers.get("Accept", ""):
            return await self._stream(request)
        try:
            limit, before, wanted = _query(request.query)
        except Problem as problem:
            return problem_response(problem)
        if self._host.broker is None:
            return web.json_response({"brokers": [], "unready": {}, "totals": {}, "counts": {}, "events": []})

        def read(db: sqlite3.Connection) -> tuple[dict[str, int], list[JsonObject]]:
            return event_history.totals(db), event_history.recent(db, limit=limit, before=before, wanted=wanted)

        try:
            totals, events = await self._host.broker.log.run(read)
        except (sqlite3.Error, OSError) as error:
            return _unreadable(error)
        topology = self._host.broker.ingress.topology
        return web.json_response(
            {
                "brokers": sorted(node for node in topology.nodes if node.startswith("broker/")),
                "subscriptions": [one.name for subscriptions in topology.nodes.values() for one in subscriptions],
                "unready": dict(topology.unready),
                "totals": totals,
                "counts": dict(self._host.broker.activity.counts),
                "events": events,
            }
        )

    async def _stream(self, request: web.Request) -> web.StreamResponse:
        if self._host.broker is None or self._streams >= _STREAMS:
            return problem_response(problems.busy(f"the limit is {_STREAMS} streams, and one needs a Broker", 5))
        last = request.headers.get("Last-Event-ID", request.query.get("after", ""))
        after = int(last) if last.isascii() and last.isdigit() and len(last) < 19 else 0
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream", "Cache-Control": "no-store"})
        await response.prepare(request)
        self._streams += 1
        try:
            async for frame in _frames(self._host.broker.activity.follow(after)):
                await response.write(frame)
        except ConnectionResetError:
            pass
        finally:
            self._streams -= 1
        return response

    async def _event(self, request: web.Request) -> web.Response:
        seq = int(request.match_info["seq"])
        try:
            chain = (
                await self._host.broker.log.run(lambda db: event_history.chain(db, seq)) if self._host.broker else []
            )
        except (sqlite3.Error, OSError) as error:
            return _unreadable(error)
        if not chain:
            return problem_response(_no_event(seq))
        return web.json_response({"event": seq, "chain": chain})

    async def _graph(self, _request: web.Request) -> web.Response:
        broker = self._host.broker
        if broker is None:
            return web.json_response({"sources": [], "nodes": [], "subscriptions": [], "unready": {}})
        topology = broker.ingress.topology
        try:
            graph = await broker.log.run(lambda db: event_history.graph(db, topology))
        except (sqlite3.Error, OSError) as error:
            return _unreadable(error)
        return web.json_response({**graph, "unready": dict(topology.unready)})

    async def _replay(self, request: web.Request) -> web.Response:
        """Deliver an event again where it was dead-lettered or dropped; `?delivery=` names one delivery."""
        if request.headers.get("Sec-Fetch-Site", "none") not in ("none", "same-origin"):
            return problem_response(Problem(403, "cross-site", "Cross-site request", "the console replays events"))
        broker, seq = self._host.broker, int(request.match_info["seq"])
        text = request.query.get("delivery", "0")
        if not text.isascii() or not text.isdigit() or len(text) > 18:
            return problem_response(problems.bad_option("delivery", "delivery is the number of a delivery"))
        try:
            replayed = await broker.replay(seq, int(text) or None) if broker else None
        except (sqlite3.Error, OSError) as error:
            return _unreadable(error)
        if replayed is None:
            return problem_response(_no_event(seq))
        if not replayed:
            detail = f"event {seq} has no such delivery that was dead-lettered or dropped"
            return problem_response(Problem(409, "nothing-to-replay", "Nothing to replay", detail))
        return web.json_response({"event": seq, "deliveries": replayed}, status=202)

    async def _event_data(self, request: web.Request) -> web.StreamResponse:
        broker, seq = self._host.broker, int(request.match_info["seq"])
        try:
            stored = await broker.log.run(lambda db: broker.log.event(db, seq)) if broker else None
        except (sqlite3.Error, OSError) as error:
            return _unreadable(error)
        if broker is None or stored is None:
            return problem_response(_no_event(seq))
        if stored.digest is not None:
            return _file(broker.log.file(stored.digest), stored.attributes.get("datacontenttype", ""))
        headers = {"Content-Type": stored.attributes.get("datacontenttype") or "application/octet-stream"}
        return web.Response(body=stored.data or b"", headers=headers | _INERT)

    async def _data(self, request: web.Request) -> web.StreamResponse:
        broker, digest = self._host.broker, request.match_info["digest"]
        if broker is None or not _DIGEST.fullmatch(digest) or not broker.log.file(digest).is_file():
            return problem_response(problems.not_found(request.path))
        return _file(broker.log.file(digest), "")


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


async def _frames(happenings: AsyncIterator[JsonObject]) -> AsyncIterator[bytes]:
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
