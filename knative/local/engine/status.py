"""What the engine is doing, for programs: JSON and the same as a stream.

`/_knative/status` answers a snapshot; with `Accept: text/event-stream` it goes on with one after every change
and at least one a second.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import math
import os
from typing import TYPE_CHECKING, Any

from aiohttp import web

from functions.kit.http.problems import bad_option, busy
from knative.local.engine.hosts import path_of
from knative.local.jsontypes import JsonObject
from knative.local.manifests import grammar
from knative.local.manifests.annotations import ANNOTATIONS
from knative.local.manifests.kinds import EVENTING
from knative.local.proxy.responses import HEADERS, problem_response

if TYPE_CHECKING:
    from knative.local.autoscaler.decision import Decision
    from knative.local.engine.engine import Engine
    from knative.local.pods.pod import Pod
    from knative.local.pods.revision import Revision
    from knative.local.pods.service import Service

_STREAM_SECONDS = 1.0
_QUIET_SECONDS = 0.1  # changes that come in a swarm are sent as one
_STREAMS = 50
_OVERLAP_SECONDS = 3
ENGINE: web.AppKey[Engine] = web.AppKey("engine")


def mount(engine: Engine) -> None:
    """Serve the status on the engine's own port."""
    engine.app[ENGINE] = engine
    streams = _Streams(engine)
    engine.app.router.add_get("/_knative/status", streams.status)
    engine.on_stop.append(streams.close)


def snapshot(engine: Engine, history: int = 0) -> JsonObject:
    """Everything, as plain data.

    Args:
        engine: Whose status.
        history: Seconds of each revision's past to add.
    """
    return {
        "time": engine.clock(),
        "started": engine.started,
        "port": engine.port,
        "pid": os.getpid(),
        "leftOut": engine.gaps.left_out,
        "brokers": [
            {"namespace": one.namespace, "name": one.name, "path": f"/_knative/broker/{one.namespace}/{one.name}"}
            for one in engine.manifests.of("Broker", EVENTING)
        ],
        "services": [_service(engine, service, history) for service in engine.services],
    }


def _service(engine: Engine, service: Service, history: int) -> JsonObject:
    def host(tag: str | None = None) -> str:
        return f"{engine.route.addresses.host(service.manifest['metadata'], tag=tag)}:{engine.port}"

    return {
        "name": service.name,
        "namespace": service.namespace,
        "public": service.public,
        "url": f"http://{host()}",
        "path": path_of(engine.route.services, service),
        "conditions": [condition.as_dict() for condition in service.conditions],
        "latestCreatedRevision": service.latest_created.name if service.latest_created else None,
        "latestReadyRevision": service.latest_ready.name if service.latest_ready else None,
        "traffic": [
            {
                "revision": revision.name,
                "percent": percent,
                "tag": tag,
                "url": f"http://{host(tag)}" if tag else None,
            }
            for revision, percent, tag in service.traffic
        ],
        "revisions": [_revision(revision, history) for revision in service.revisions],
    }


def _revision(revision: Revision, history: int) -> JsonObject:
    scaling = revision.scaling
    step = revision.step
    data: JsonObject = {
        "name": revision.name,
        "created": revision.created,
        "reachable": revision.reachable,
        "condition": revision.activity.value,
        "conditions": [condition.as_dict() for condition in revision.conditions],
        "containerConcurrency": revision.template.concurrency,
        "timeoutSeconds": revision.template.timeout,
        "metric": scaling.metric,
        "target": _number(scaling.target),
        "window": scaling.stable_window,
        "panicWindow": scaling.panic_window,
        "minScale": scaling.min_scale,
        "maxScale": scaling.max_scale,
        "annotations": _annotations(revision),
        "desired": revision.replicas if revision.desired < 0 else revision.desired,
        "ready": revision.ready,
        "replicas": revision.replicas,
        "proxied": revision.activator.in_path,
        "queued": revision.activator.queued,
        "inFlight": in_flight(revision),
        "decision": _decision(revision.decision) if revision.decision else None,
        "scale": {"words": step.words, "wakeAfter": step.wake_after} if step else None,
        "decisions": [{"at": at, "desired": desired, "words": words} for at, desired, words in revision.decisions],
        "requests": {str(code): count for code, count in sorted(revision.tally.requests.items())},
        "latency": {
            "p50": revision.tally.quantile(0.5),
            "p95": revision.tally.quantile(0.95),
            "p99": revision.tally.quantile(0.99),
        },
        "coldStarts": revision.cold_starts,
        "pods": [_pod(pod) for pod in revision.pods],
        "now": revision.tally.moments[-1].as_dict() if revision.tally.moments else None,
    }
    if history:
        data["history"] = [moment.as_dict() for moment in list(revision.tally.moments)[-history:]]
    return data


def _decision(decision: Decision) -> JsonObject:
    values = decision.as_dict()
    return values | {name: _number(value) for name, value in values.items() if isinstance(value, float)}


def _number(value: float) -> float | str:
    """A number for JSON, which has no NaN and no infinity: those become text."""
    return value if math.isfinite(value) else grammar.format_float(value)


def _annotations(revision: Revision) -> list[JsonObject]:
    """Every annotation of the autoscaler: what this revision says, what holds otherwise, what it means."""
    given = revision.template.annotations
    return [
        {
            "name": annotation.name,
            "value": given.get(annotation.key),
            "default": annotation.default,
            "legal": annotation.legal,
            "meaning": annotation.meaning,
        }
        for annotation in ANNOTATIONS
    ]


def _pod(pod: Pod) -> JsonObject:
    return {
        "name": pod.name,
        "containers": [name for name in pod.supervisors if name != pod.spec.program.name],
        "state": pod.state.value,
        "reason": pod.reason,
        "inFlight": pod.proxy.stats.in_flight,
        "queued": pod.proxy.queued,
        "served": pod.proxy.served,
        "restarts": pod.restarts,
        "port": pod.port,
        "pid": pod.pid,
        "created": pod.created,
        "readyAt": pod.ready_at,
    }


def in_flight(revision: Revision) -> int:
    """Requests inside the data path, waiting or being served; none is counted twice."""
    return revision.activator.in_flight + sum(pod.proxy.direct for pod in revision.pods)


class _Streams:
    """The streams that are open, and the one snapshot that all of them get."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._changed = asyncio.Event()
        self._open: set[asyncio.Task[Any]] = set()
        engine.on_change.append(self._changed.set)

    async def close(self, _within: float) -> None:
        """End all streams, so that their connections do not hold the engine up."""
        for task in self._open:
            task.cancel()

    async def status(self, request: web.Request) -> web.StreamResponse:
        """A snapshot, or a stream of them."""
        try:
            history = int(request.query.get("history", "0"))
        except ValueError:
            history = -1
        if history < 0:
            return problem_response(bad_option("history", "history must be a whole number of seconds from 0"))
        history = min(600, history)  # what is remembered
        if "text/event-stream" not in request.headers.get("Accept", ""):
            return web.json_response(snapshot(self._engine, history), headers=HEADERS)
        if len(self._open) >= _STREAMS:
            return problem_response(busy(f"{_STREAMS} streams are open, the limit", 5))
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream", **HEADERS})
        await response.prepare(request)
        task = asyncio.current_task()
        assert task is not None
        self._open.add(task)
        try:
            while True:
                self._changed.clear()
                data = json.dumps(snapshot(self._engine, history), separators=(",", ":"))
                await response.write(f"event: status\ndata: {data}\n\n".encode())
                # The history is sent once; a second between two snapshots is sent with the next.
                history = min(history, _OVERLAP_SECONDS)
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._changed.wait(), _STREAM_SECONDS)
                await asyncio.sleep(_QUIET_SECONDS)
        except (ConnectionError, asyncio.CancelledError):
            return response
        finally:
            self._open.discard(task)
