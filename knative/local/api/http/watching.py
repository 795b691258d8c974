"""Watches: the changes of a collection as a stream of JSON lines."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Callable, Iterable
from dataclasses import dataclass

from knative.local.api.errors import GoneError
from knative.local.api.http.reads import selection, versioned
from knative.local.api.http.request import Form, Options, Target
from knative.local.api.http.status import StatusError, expired
from knative.local.api.store import Store
from knative.local.api.tables import partial, table
from knative.local.jsontypes import JsonObject

Object = JsonObject
Event = tuple[str, Object]

BOOKMARK_SECONDS = 60.0
SHORTEST, LONGEST = 1800.0, 3600.0
"""Seconds of a watch whose client states none, as Kubernetes bounds it."""
_END_OF_INITIAL = "k8s.io/initial-events-end"


@dataclass(frozen=True)
class Plan:
    """What a watch begins with.

    Attributes:
        since: the version after which it begins; None for now.
        initial: whether the objects there are come first, as ADDED.
        marked: whether a bookmark marks the end of those.
        bookmarks: whether bookmarks are sent from time to time.
        seconds: how long the watch lasts.
    """

    since: int | None
    initial: bool
    marked: bool
    bookmarks: bool
    seconds: float


def plan(options: Options, newest: int) -> Plan:
    """Return what the query of a watch asks for.

    Raises:
        StatusError: its parameters contradict one another.
    """
    version = options.number("resourceVersion")
    match = options.query.get("resourceVersionMatch", "")
    bookmarks = options.flag("allowWatchBookmarks")
    sending = options.flag("sendInitialEvents")
    given = "sendInitialEvents" in options.query
    if given and match != "NotOlderThan":
        message = (
            "sendInitialEvents: Forbidden: sendInitialEvents requires setting resourceVersionMatch to NotOlderThan"
        )
        raise StatusError(422, "Invalid", f'ListOptions.meta.k8s.io "" is invalid: {message}')
    if match and not given:
        message = "resourceVersionMatch: Forbidden: it is forbidden for watch unless sendInitialEvents is provided"
        raise StatusError(422, "Invalid", f'ListOptions.meta.k8s.io "" is invalid: {message}')
    if version is not None and version > newest:
        message = f"Too large resource version: {version}, current: {newest}"
        causes = [{"reason": "ResourceVersionTooLarge", "message": "Too large resource version"}]
        raise StatusError(504, "Timeout", message, {"causes": causes, "retryAfterSeconds": 1})
    stated = options.number("timeoutSeconds")
    seconds = float(stated) if stated else random.uniform(SHORTEST, LONGEST)
    initial = sending or (not given and not version)
    since = version if version and not initial else None
    return Plan(since, initial, marked=sending and bookmarks, bookmarks=bookmarks, seconds=seconds)


async def events(store: Store, at: Target, options: Options, start: Plan) -> AsyncIterator[Event]:
    """Yield the events of a watch until its time is over; the last may be an ERROR with a `Status`."""
    selected = selection(at, options)
    try:
        watch = store.watch(at.kind.resource, at.namespace, since=start.since)
    except GoneError as error:
        yield "ERROR", expired(str(error)).status()
        return
    known: set[tuple[str, str]] = set()
    present = [one for one in store.list(at.kind.resource, at.namespace) if selected(one)]
    known.update(_key(one) for one in present)
    try:
        if start.initial:
            for one in present:
                yield "ADDED", versioned(one, at)
            if start.marked:
                yield "BOOKMARK", _bookmark(at, store.version, end=True)
        del present
        loop = asyncio.get_running_loop()
        end = loop.time() + start.seconds
        while (left := end - loop.time()) > 0:
            try:
                change = await asyncio.wait_for(anext(watch), min(left, BOOKMARK_SECONDS))
            except TimeoutError:
                if start.bookmarks and end - loop.time() > 0:
                    yield "BOOKMARK", _bookmark(at, watch.version)
                continue
            type_ = _seen(change.type, change.object, selected(change.object), known)
            if type_:
                yield type_, versioned(change.object, at)
    except StopAsyncIteration:
        return
    except GoneError as error:
        yield "ERROR", expired(str(error)).status()
    finally:
        watch.close()


def _key(obj: Object) -> tuple[str, str]:
    return obj["metadata"].get("namespace", ""), obj["metadata"]["name"]


def _seen(type_: str, obj: Object, matches: bool, known: set[tuple[str, str]]) -> str:
    """Return the event as a client with selectors sees it: an object that matches no more is DELETED."""
    key = _key(obj)
    if type_ == "DELETED" or not matches:
        was = key in known
        known.discard(key)
        return "DELETED" if was or (matches and type_ == "DELETED") else ""
    known.add(key)
    return type_


def _bookmark(at: Target, version: int, *, end: bool = False) -> Object:
    metadata: Object = {"resourceVersion": str(version), "creationTimestamp": None}
    if end:
        metadata["annotations"] = {_END_OF_INITIAL: "true"}
    return {"kind": at.kind.name, "apiVersion": at.kind.api_version(at.version), "metadata": metadata}


def shaped(at: Target, form: Form, include: str) -> Callable[[Event], Object]:
    """Return a function that puts an event into the form of the response; a table's first event has its head."""
    heads = iter([True])

    def shape(event: Event) -> Object:
        type_, obj = event
        if type_ == "ERROR" or form is Form.OBJECT:
            return {"type": type_, "object": obj}
        metadata = {"resourceVersion": obj["metadata"].get("resourceVersion", "")}
        if form is Form.METADATA:
            return {"type": type_, "object": partial(obj)}
        rows: Iterable[Object] = () if type_ == "BOOKMARK" else (obj,)
        if type_ == "BOOKMARK" and obj["metadata"].get("annotations"):
            metadata["annotations"] = obj["metadata"]["annotations"]
        head = type_ != "BOOKMARK" and next(heads, False)
        return {"type": type_, "object": table(at.kind, rows, metadata, include=include, head=head)}

    return shape
