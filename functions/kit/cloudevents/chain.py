"""Chains of functions: the image and results of an event, and the reply with one result more.

The data of a result is one JSON document to which each function of a chain adds:

    {"image": {"dataref": "https://…", "sha256": "…", "bytes": 123, "contenttype": "image/jpeg"},
     "results": {"exif": {…}, "histogram": {…}}}

The reference to the image is in `data`, not in the attribute `dataref`: that attribute refers to the event's own data,
and a broker may drop the data because of it. An image that arrived inline is forwarded inline (`data_base64` in place
of `dataref`) if the reply stays within the limit, otherwise marked as `omitted`.

Pure: the function that fetches a dataref is an argument.
"""

from __future__ import annotations

import base64
import hashlib
import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import TYPE_CHECKING, Any

from functions.kit.cloudevents.attributes import canonical, malformed
from functions.kit.cloudevents.binding import JSON, Event, encode, is_json
from functions.kit.http import jsontext
from functions.kit.http.problems import Problem, quantity

if TYPE_CHECKING:
    from functions.kit.http.function import AnyEventRoute

# Names, not addresses: the project owns no domain.
SOURCE_BASE = "/functions/"
SCHEMA_BASE = "urn:pixelamp:schema:"
FORMER_SOURCE_BASE = "https://pixelamp.dev/functions/"  # of earlier replies, accepted for one release
# Copied from an event to its reply: attributes of the whole chain, and of its order.
CARRIED = ("subject", "traceparent", "tracestate", "knativebrokerttl", "partitionkey")
# A dead letter keeps 1,024 base64 characters of an error body.
ERROR_BYTES = 767

# Returns the bytes of a dataref, or what was read of it by ranges (`ranged.Fetched`).
Fetch = Callable[[str], Any]


@dataclass(frozen=True)
class Carried:
    """The content of an event.

    Attributes:
        payload: bytes of the image, or the parsed JSON data; None if the results include the route's result.
        image: the `image` member of the reply's data, without an inline image.
        inline: whether the image is in the event, not a reference.
        results: results of earlier functions by name.
    """

    payload: Any
    image: Mapping[str, object] = field(default_factory=dict)
    inline: bool = False
    results: Mapping[str, object] = field(default_factory=dict)


def source_of(function: str) -> str:
    """The `source` of a function's replies."""
    return SOURCE_BASE + function


def is_own(event: Event, function: str) -> bool:
    """Whether the function itself sent the event."""
    return event.source in (source_of(function), FORMER_SOURCE_BASE + function)


def reply_id(event: Event, function: str) -> str:
    """The id of a function's reply: a hash of the event's source and id, equal for each delivery."""
    name = json.dumps([event.source, event.id, function]).encode()
    return hashlib.sha256(name).hexdigest()[:32]


def route_of(routes: tuple[AnyEventRoute, ...], event: Event) -> AnyEventRoute:
    """Return the route of an event: that of its type, or for JSON of another type the one that adds to `results`.

    Raises:
        Problem: 422, permanent, if the function has no route for the event.
    """
    for route in routes:
        if route.type == event.type:
            return route
    if is_json(event.media_type):
        for route in routes:
            if route.result is not None and route.takes == "image":
                return route
    raise unexpected(routes, event)


def unexpected(routes: tuple[AnyEventRoute, ...], event: Event) -> Problem:
    """422: an event type that the function does not handle; a Trigger's filter is too wide."""
    accepted = [route.type for route in routes]
    return Problem(
        422,
        "unexpected-event-type",
        "Event type not accepted",
        f"type {event.type[:80]!r} is not accepted; use {', '.join(accepted)}, or JSON with image and results",
    )


def carried(event: Event, route: AnyEventRoute, fetch: Fetch) -> Carried:
    """Return the content of an event for a route.

    Args:
        event: a valid event.
        route: its route.
        fetch: returns the bytes of a dataref, or raises a Problem.

    Raises:
        Problem: 422 without data for the route, or from `fetch`.
    """
    dataref = event.get("dataref")
    data = event.data or b""
    referred = not data and bool(dataref)
    if referred:
        data = fetch(dataref)
    if route.takes == "json":
        return Carried(_object(data) if data else {})
    if is_json(event.media_type):
        return _document(_object(data), dataref if event.data else "", route, fetch)
    if not data:
        raise _nothing("the event has no image: neither data nor dataref")
    image: dict[str, object] = {"dataref": dataref} if dataref else {}
    return Carried(data, {**image, **_identity(data, event.media_type)}, inline=not dataref)


def reply(
    event: Event, function: str, route: AnyEventRoute, came: Carried, outcome: Any, *, now: datetime, limit: int
) -> Event:
    """Return the reply to an event.

    Args:
        event: the event.
        function: name of the function.
        route: its route.
        came: its content.
        outcome: result of the handler: a mapping, or bytes with their media type.
        now: time of the reply, with its zone.
        limit: limit of bytes of the reply, attributes included.

    Raises:
        Problem: 413 if the reply exceeds the limit even without the image.
    """
    attributes: dict[str, str | int | bool] = {
        "specversion": "1.0",
        "id": reply_id(event, function),
        "source": source_of(function),
        "type": route.reply,
        "time": now.isoformat().replace("+00:00", "Z"),
        "correlationid": event.get("correlationid") or event.id,
        "causationid": event.id,
    }
    attributes.update({name: canonical(event.attributes[name]) for name in CARRIED if event.get(name)})
    if isinstance(outcome, tuple):
        data, attributes["datacontenttype"] = outcome
        return _within(limit, Event(attributes, data))
    attributes["datacontenttype"] = JSON
    attributes["dataschema"] = SCHEMA_BASE + route.reply
    if route.result is None:
        return _within(limit, Event(attributes, _encode(outcome)))
    results = {**came.results, route.result: outcome}
    if came.inline:
        image = {**came.image, "data_base64": base64.b64encode(came.payload).decode()}
        whole = Event(attributes, _encode({"image": image, "results": results}))
        if size(whole) <= limit:
            return whole
        reason = f"too large to forward inline: the limit is {quantity(limit, 'bytes')} an event; send it as a dataref"
        came = replace(came, image={**came.image, "omitted": reason})
    return _within(limit, Event(attributes, _encode({"image": came.image, "results": results})))


def size(event: Event) -> int:
    """Bytes of an event on the wire in binary mode, header names and values included."""
    headers, body = encode(event)
    return sum(len(name) + len(value) for name, value in headers.items()) + len(body)


def brief(problem: Problem) -> Problem:
    """Shorten a problem so that its body fits into a dead letter."""
    room = ERROR_BYTES - len("urn:request:") - 128 - len(', "instance": ""')
    if len(problem.encode()) <= room:
        return problem
    short = Problem(problem.status, problem.slug, problem.title, "", problem.headers)
    detail = problem.detail.encode()[: room - len(short.encode()) - len("…".encode())]
    # JSON escapes lengthen the text: halve it until it fits.
    while True:
        short.detail = detail.decode(errors="ignore") + "…"
        if len(short.encode()) <= room:
            return short
        detail = detail[: len(detail) // 2]


def _document(document: Mapping[str, object], dataref: str, route: AnyEventRoute, fetch: Fetch) -> Carried:
    image = document.get("image", {"dataref": dataref} if dataref else None)
    results = document.get("results", {})
    if not isinstance(image, dict) or not isinstance(results, dict):
        raise _nothing("JSON data must have an object 'image' and may have an object 'results'")
    if route.result in results:
        return Carried(None, results=results)
    content_type = str(image.get("contenttype", ""))
    if isinstance(image.get("dataref"), str):
        data = fetch(image["dataref"])
        known: dict[str, object] = {"dataref": image["dataref"]}
    elif isinstance(image.get("data_base64"), str):
        try:
            data = base64.b64decode(image["data_base64"], validate=True)
        except ValueError:
            raise _nothing("image.data_base64 is not base64") from None
        known = {}
    else:
        omitted = f": {image['omitted']}" if isinstance(image.get("omitted"), str) else ""
        raise _nothing(f"the event has no image{omitted}")
    identity = _identity(data, content_type)
    # Of an image that was not read whole, the earlier results' word is passed on.
    if "sha256" not in identity and isinstance(image.get("sha256"), str):
        identity["sha256"] = image["sha256"]
    if image.get("sha256", identity.get("sha256")) != identity.get("sha256"):
        raise _nothing("the sha256 of the image differs from that of the earlier results")
    return Carried(data, {**known, **identity}, inline=not known, results=results)


def _identity(data: Any, content_type: str) -> dict[str, object]:
    """Digest and size of an image; without a digest where it was not read whole."""
    known = {"contenttype": content_type} if content_type else {}
    size = len(data) if isinstance(data, bytes) else data.source.size
    whole = data if isinstance(data, bytes) else data.data
    return {**({} if whole is None else {"sha256": hashlib.sha256(whole).hexdigest()}), "bytes": size, **known}


def _object(data: bytes) -> dict[str, object]:
    try:
        value = json.loads(data, parse_float=_finite, parse_constant=_finite)
    except (ValueError, RecursionError) as error:
        raise malformed(f"the data is not JSON: {str(error)[:120]}") from None
    if not isinstance(value, dict):
        raise _nothing("the data must be a JSON object")
    return value


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"{text[:20]} is not a JSON number")
    return number


def _encode(value: Mapping[str, object]) -> bytes:
    try:
        return jsontext.encode(value)
    except RecursionError:
        raise _nothing("the results are nested too deeply") from None


def _within(limit: int, event: Event) -> Event:
    actual = size(event)
    if actual > limit:
        raise Problem(
            413,
            "reply-too-large",
            "Reply too large for an event",
            f"the limit is {quantity(limit, 'bytes')} an event; this reply has {quantity(actual, 'bytes')}",
            limit=limit,
            actual=actual,
        )
    return event


def _nothing(detail: str) -> Problem:
    return Problem(422, "no-image-in-event", "Nothing to work on", detail)
