"""The log of a pod: its last lines, and those that follow."""

from __future__ import annotations

import asyncio
import time
from calendar import timegm
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, Protocol

from aiohttp import web

from knative.local.api.errors import NotFoundError
from knative.local.api.http.request import Options, Target
from knative.local.api.http.status import bad_request, not_found
from knative.local.api.store import Store

Object = dict[str, Any]
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
        main = _container(pod, at.name, options)
        chosen = _chosen(self._logs.entries(at.name) if main else [], options)
        text = _line_writer(options)
        if not options.flag("follow"):
            body = b"".join(map(text, chosen))
            limit = options.number("limitBytes")
            return web.Response(
                body=body[:limit], content_type="text/plain", headers={"Cache-Control": "no-cache, private"}
            )
        return await self._follow(request, at, text, chosen, main=main)

    async def _follow(
        self, request: web.Request, at: Target, text: Callable[[Entry], bytes], chosen: list[Entry], *, main: bool
    ) -> web.StreamResponse:
        """Write lines until the pod is removed or the client goes away."""
        response = web.StreamResponse(headers={"Content-Type": "text/plain", "Cache-Control": "no-cache, private"})
        response.enable_chunked_encoding()
        lines: asyncio.Queue[Entry] = asyncio.Queue()
        end = self._logs.follow(at.name, lines.put_nowait) if main else lambda: None
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


def _container(pod: Object, name: str, options: Options) -> bool:
    """Return whether the container asked for is the one whose lines are kept: the first."""
    names = [str(one.get("name", "")) for one in pod.get("spec", {}).get("containers") or []]
    asked = options.query.get("container", "")
    if asked and asked not in names:
        raise bad_request(f"container {asked} is not valid for pod {name}")
    if options.flag("previous"):
        container = asked or (names[0] if names else "")
        raise bad_request(f'previous terminated container "{container}" in pod "{name}" not found')
    return not asked or asked == names[0]


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
