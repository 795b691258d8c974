"""The log of a pod: its last lines, and those that follow."""

from __future__ import annotations

import asyncio
import time
from calendar import timegm
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Protocol

from aiohttp import web

from knative.local.api.errors import NotFoundError
from knative.local.api.http.request import Options, Target
from knative.local.api.http.status import bad_request, not_found
from knative.local.api.store import Store
from knative.local.jsontypes import JsonObject

Object = JsonObject
Entry = tuple[float, bytes]
"""A line with the time at which it was written, in seconds since the epoch."""

_CHECK_SECONDS = 1.0


class PodLogs(Protocol):
    """The lines of pods."""

    def entries(self, name: str) -> list[Entry]:
        """Return the last lines of a pod, oldest first."""

    def follow(self, name: str, take: Callable[[Entry], None]) -> Callable[[], None]:
        """Call a function with each further line of a pod; returns what ends that."""


class LogReader:
    """Answers `GET …/pods/NAME/log`.

    Args:
        store: where the pods are.
        logs: their lines.
    """

    def __init__(self, store: Store, logs: PodLogs) -> None:
        self._store = store
        self._logs = logs

    async def __call__(self, request: web.Request, at: Target, options: Options) -> web.StreamResponse:
        """Answer a request for a log.

        Raises:
            StatusError: there is no such pod or container, or an option cannot be read.
        """
        try:
            pod = self._store.get("pods", at.namespace, at.name)
        except NotFoundError:
            raise not_found(at.kind, at.name) from None
        source = _source(pod, at.name, options)
        chosen = _chosen(self._logs.entries(source), options)
        text = _line_writer(options)
        if not options.flag("follow"):
            body = b"".join(map(text, chosen))
            limit = options.number("limitBytes")
            return web.Response(
                body=body[:limit], content_type="text/plain", headers={"Cache-Control": "no-cache, private"}
            )
        return await self._follow(request, at, source, text, chosen)

    async def _follow(
        self, request: web.Request, at: Target, source: str, text: Callable[[Entry], bytes], chosen: list[Entry]
    ) -> web.StreamResponse:
        """Write lines until the pod is removed or the client goes away."""
        response = web.StreamResponse(headers={"Content-Type": "text/plain", "Cache-Control": "no-cache, private"})
        response.enable_chunked_encoding()
        lines: asyncio.Queue[Entry] = asyncio.Queue()
        end = self._logs.follow(source, lines.put_nowait)
        try:
            await response.prepare(request)
            for entry in chosen:
                await response.write(text(entry))
            while True:
                try:
                    entry = await asyncio.wait_for(lines.get(), _CHECK_SECONDS)
                except TimeoutError:
                    if not self._present(at):
                        break
                    continue
                await response.write(text(entry))
            await response.write_eof()
        except ConnectionError:
            pass
        finally:
            end()
        return response

    def _present(self, at: Target) -> bool:
        try:
            self._store.get("pods", at.namespace, at.name)
        except NotFoundError:
            return False
        return True


def _source(pod: Object, name: str, options: Options) -> str:
    """Return the name under which the lines of the container asked for are kept.

    The container that gets the requests writes under the pod's name, each other under that and its own.
    """
    spec = pod.get("spec", {})
    containers = spec.get("containers") or [{}]
    serving = next((one for one in containers if one.get("ports")), containers[0])
    main = str(serving.get("name", ""))
    names = [str(one.get("name", "")) for one in (*containers, *(spec.get("initContainers") or []))]
    container = options.query.get("container", "") or main
    if container not in names:
        raise bad_request(f"container {container} is not valid for pod {name}")
    if options.flag("previous"):
        raise bad_request(f'previous terminated container "{container}" in pod "{name}" not found')
    return name if container == main else f"{name}/{container}"


def _chosen(entries: list[Entry], options: Options) -> list[Entry]:
    seconds, tail = options.number("sinceSeconds"), options.number("tailLines")
    since = options.query.get("sinceTime", "")
    if seconds is not None and since:
        raise bad_request("at most one of `sinceTime` or `sinceSeconds` may be specified")
    start = time.time() - seconds if seconds is not None else _epoch(since) if since else 0.0
    found = [entry for entry in entries if entry[0] >= start]
    return found if tail is None else found[len(found) - tail :] if tail < len(found) else found


def _epoch(text: str) -> float:
    try:
        return float(timegm(time.strptime(text[:19], "%Y-%m-%dT%H:%M:%S")))
    except ValueError:
        raise bad_request(f'sinceTime: Invalid value: "{text}": must be a time such as 2026-11-30T12:00:00Z') from None


def _line_writer(options: Options) -> Callable[[Entry], bytes]:
    if not options.flag("timestamps"):
        return lambda entry: entry[1].rstrip(b"\n") + b"\n"

    def stamped(entry: Entry) -> bytes:
        moment = datetime.fromtimestamp(entry[0], UTC)
        return f"{moment:%Y-%m-%dT%H:%M:%S}.{moment.microsecond:06d}000Z ".encode() + entry[1].rstrip(b"\n") + b"\n"

    return stamped
