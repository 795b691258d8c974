"""Replies to CloudEvents: decode the event, call the function's handler, encode the reply.

Knative Eventing returns a valid event to the broker; an empty 2xx ends the chain; any other 2xx is a failure; 4xx goes
to the dead-letter sink at once (except 404, 408, 409 and 429); 5xx is retried. A reply is therefore an event or empty,
and an error is short enough for a dead letter.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from flask import Response

from functions.kit.cloudevents import binding
from functions.kit.cloudevents.attributes import REQUIRED
from functions.kit.http.problems import Problem
from functions.kit.telemetry.reporting import trace_id

if TYPE_CHECKING:
    from werkzeug.datastructures import Headers

    from functions.kit.cloudevents.binding import Event
    from functions.kit.http.function import AnyCall, AnyFunction
    from functions.kit.http.settings import Settings

_REQUIRED = tuple(f"ce-{name}" for name in REQUIRED)


def is_event(headers: Headers) -> bool:
    """Whether a request is a CloudEvent: binary, structured or batched."""
    # Most requests are not: looking up four headers is faster than reading all.
    named = any(headers.get(name) is not None for name in _REQUIRED)
    return (named or "cloudevents" in headers.get("Content-Type", "").lower()) and binding.claimed(headers)


def handshake(headers: Headers) -> Mapping[str, str]:
    """Headers that grant the webhook handshake of an OPTIONS request (http-webhook.md 4.2)."""
    origin = headers.get("WebHook-Request-Origin")
    return {"WebHook-Allowed-Origin": origin, "WebHook-Allowed-Rate": "*"} if origin else {}


def answer(function: AnyFunction, settings: Settings, call: AnyCall) -> Response:
    """Return the reply event of a function, or an empty 204.

    The 204 is for events that the function itself sent and for events whose results include the function's: this ends a
    loop of Triggers before the broker's TTL does.

    Raises:
        Problem: the event is malformed or of a type not accepted, or the handler refuses the data.
    """
    from functions.kit.cloudevents import chain

    try:
        event = binding.decode(call.request.headers, call.body.read())
        if event is None or chain.is_own(event, function.name):
            return Response(status=204)
        reply = _reply(function, settings, call, event)
    except Problem as problem:
        raise chain.brief(problem) from problem
    if reply is None:
        return Response(status=204)
    headers, body = binding.encode(reply)
    return Response(body, 200, headers=headers)


def _reply(function: AnyFunction, settings: Settings, call: AnyCall, event: Event) -> Event | None:
    from functions.kit.cloudevents import chain

    route = chain.route_of(function.events, event)
    before = call.timing.elapsed()
    fetch = route.fetch or _fetch
    came = chain.carried(event, route, lambda url: fetch(url, settings))
    call.timing.add("data", call.timing.elapsed() - before)
    if route.result is not None and route.result in came.results:
        return None
    before = call.timing.elapsed()
    outcome = route.handler(came.payload, settings)
    call.timing.add("work", call.timing.elapsed() - before)
    trace = call.request.headers.get("traceparent", "")
    if not event.get("traceparent") and trace_id(trace):
        event = event.having(traceparent=trace)
    return chain.reply(event, function.name, route, came, outcome, now=datetime.now(UTC), limit=settings.event_bytes)


def _fetch(url: str, settings: Settings) -> bytes:
    from functions.kit.cloudevents import dataref

    allowed = dataref.Allowed.parse(settings.dataref_hosts)
    variable = settings.variable("dataref_hosts")
    target = dataref.pin(url, allowed, seconds=settings.body_seconds, variable=variable)
    return dataref.fetch(target, settings.max_bytes)
