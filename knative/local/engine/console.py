"""The engine's page: what it decides and why, as it happens, and a burst of requests so that something happens."""

from __future__ import annotations

import asyncio
import math
import time
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

from aiohttp import web
from aiohttp.typedefs import Handler

from functions.kit.http.problems import Problem, problem_types
from functions.kit.page.render import SAMPLE, Document, landing, page, result
from knative.local.engine.hosts import path_of
from knative.local.engine.status import ENGINE
from knative.local.jsontypes import JsonObject
from knative.local.manifests.resources import is_part_of_project
from knative.local.proxy.call import CallError
from knative.local.proxy.responses import HEADERS, problem_response

if TYPE_CHECKING:
    from knative.local.engine.engine import Engine

_FRAGMENT = Path(__file__).with_name("console.html")
_SUMMARY = "Knative Services on this machine: what runs, what is decided, and why."
_EVENTS_FRAGMENT = Path(__file__).with_name("events.html")
_EVENTS_SUMMARY = "Events on this machine: where they go, their results, and what can be delivered again."
MAX_CLIENTS = 500
MAX_SECONDS = 120.0
_NAME_LENGTH = 253  # of a pod, or of a path, as far as an error repeats it
_NAMED = 20  # Services that an error names
_BURSTS = web.AppKey("bursts", asyncio.Lock)


def mount(engine: Engine) -> None:
    """Serve the console at `/console`, the page in front at `/`, logs, and take bursts at `/_knative/burst`."""
    engine.app[_BURSTS] = asyncio.Lock()
    engine.app.middlewares.append(_explain)
    engine.app.router.add_get("/", _front)
    engine.app.router.add_get("/console", _page)
    engine.app.router.add_get("/console/events", _events_page)
    engine.app.router.add_get("/sample.jpg", _sample)
    engine.app.router.add_get("/problems/{name}", _problem_type)
    engine.app.router.add_post("/_knative/burst", _burst)
    engine.app.router.add_get("/_knative/logs/{pod:.+}", _log)


@web.middleware
async def _explain(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Name the paths of the Services where a path is neither one of them nor the engine's own."""
    try:
        return await handler(request)
    except web.HTTPNotFound:
        links = [f"/{link}" for link in _links(request)]
        named = ", ".join(links[:_NAMED]) + (f" and {len(links) - _NAMED} more" if len(links) > _NAMED else "")
        there = f"Services are at {named}" if links else "there is no Service with a public address"
        detail = f"{request.path[:_NAME_LENGTH]} is neither a Service nor a page of the engine; {there}"
        return problem_response(Problem(404, "no-such-path", "No such path", detail))


def _links(request: web.Request, *, functions_alone: bool = False) -> tuple[str, ...]:
    services = [service for service in request.app[ENGINE].services if service.public]
    if functions_alone:
        ours = {(one.namespace, one.name) for one in request.app[ENGINE].manifests.services if is_part_of_project(one)}
        services = [service for service in services if service.key in ours]
    everything = request.app[ENGINE].route.services
    # Sorted, as the functions' own pages have them.
    return tuple(sorted(path_of(everything, service)[1:] for service in services))


async def _front(request: web.Request) -> web.Response:
    """The landing page of this project's functions; for other Services the console."""
    links = _links(request, functions_alone=True)
    return _document(landing(links)) if links else await _page(request)


async def _sample(_request: web.Request) -> web.FileResponse:
    return web.FileResponse(SAMPLE, headers={**HEADERS, "Content-Type": "image/jpeg"})


async def _problem_type(request: web.Request) -> web.Response:
    """What a type of problems means; its limits are those of the function that answers at its own address."""
    kind = problem_types().get(request.match_info["name"])
    if kind is None:
        raise web.HTTPNotFound(headers=HEADERS)
    if "text/html" in request.headers.get("Accept", ""):
        return _document(result("console", kind.title, kind.document({}), _links(request)))
    return web.json_response(kind.document({}), headers=HEADERS)


async def _page(request: web.Request) -> web.Response:
    return _document(page("console", _SUMMARY, _FRAGMENT, _links(request)))


async def _events_page(request: web.Request) -> web.Response:
    """Brokers, channels and sinks as a graph, an event's path, and replay of dead letters."""
    return _document(page("console", _EVENTS_SUMMARY, _EVENTS_FRAGMENT, _links(request)))


def _document(document: Document) -> web.Response:
    body, policy = document
    return web.Response(
        body=body,
        headers={
            **HEADERS,
            "Content-Type": "text/html; charset=utf-8",
            "Content-Security-Policy": policy,
            "Referrer-Policy": "no-referrer",
        },
    )


async def _log(request: web.Request) -> web.Response:
    """The last lines of a pod, or of a revision."""
    pod = request.match_info["pod"]
    lines = request.app[ENGINE].logs.of(pod)
    if lines is None:
        detail = f"there is no pod {pod[:_NAME_LENGTH]}, or it has written nothing"
        return problem_response(Problem(404, "no-such-pod", "No such pod", detail))
    text = b"\n".join([*lines, b""]).decode(errors="replace")
    return web.Response(text=text, headers={**HEADERS, "Content-Type": "text/plain; charset=utf-8"})


async def _burst(request: web.Request) -> web.Response:
    """Send requests to a Service for a while: `clients` at once, each the next when the last is answered.

    JSON in: service, namespace, method, path, clients, seconds. JSON out: how many answers of which status, and their
    latency in milliseconds.
    """
    origin = request.headers.get("Origin", f"http://{request.host}")
    if (
        request.headers.get("Sec-Fetch-Site", "none") not in ("none", "same-origin")
        or origin != f"http://{request.host}"
    ):
        return _refusal(403, "a burst is only started from the console")
    if request.content_type != "application/json":
        return _refusal(415, "JSON is wanted: service, method, path, clients, seconds")
    try:
        asked = await request.json()
        service, namespace = str(asked["service"]), str(asked.get("namespace", "default"))
        method, path = str(asked.get("method", "GET")), str(asked.get("path", "/"))
        clients, seconds = int(asked.get("clients", 20)), float(asked.get("seconds", 5))
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError) as error:
        return _refusal(400, f"not a burst: {type(error).__name__}: {error}")
    if not (1 <= clients <= MAX_CLIENTS and 0 < seconds <= MAX_SECONDS and math.isfinite(seconds)):
        return _refusal(400, f"1 to {MAX_CLIENTS} clients for up to {MAX_SECONDS:g} s")
    if not (path.startswith("/") and path.isascii() and path.isprintable() and " " not in path):
        return _refusal(400, "path: printable ASCII that begins with /")
    if method not in ("GET", "POST"):
        return _refusal(400, "method: GET or POST")
    engine = request.app[ENGINE]
    if (namespace, service) not in engine.route.services:
        return _refusal(404, f"no Service {service} in {namespace}")
    bursts = request.app[_BURSTS]
    if bursts.locked():
        return _refusal(409, "a burst is under way")
    async with bursts:
        return web.json_response(
            await _send(engine, f"{service}.{namespace}", method, path, clients, seconds), headers=HEADERS
        )


async def _send(engine: Engine, host: str, method: str, path: str, clients: int, seconds: float) -> JsonObject:
    answers: Counter[str] = Counter()
    latencies: list[float] = []
    end = time.monotonic() + seconds

    async def client() -> None:
        while (began := time.monotonic()) < end:
            try:
                response = await engine.route.call(host, method, path, {"accept": "application/json"}, b"")
                answers[str(response.status)] += 1
            except (CallError, LookupError):
                answers["broken off"] += 1
            latencies.append(time.monotonic() - began)

    async with asyncio.TaskGroup() as group:
        for _ in range(clients):
            group.create_task(client())
    latencies.sort()
    return {
        "answers": dict(answers),
        "milliseconds": {
            name: round(latencies[min(len(latencies) - 1, int(share * len(latencies)))] * 1000, 1)
            for name, share in (("p50", 0.5), ("p95", 0.95), ("p99", 0.99))
        },
    }


def _refusal(status: int, detail: str) -> web.Response:
    return problem_response(Problem(status, "burst-refused", "Burst refused", detail))
