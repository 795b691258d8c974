"""CloudEvents to a function: the event in, its handler called, the reply out.

What Knative Eventing makes of the answer: a valid event re-enters the broker, an empty 2xx ends the chain, anything
else with a 2xx is a failure, 4xx goes to the dead-letter sink at once (404, 408, 409 and 429 excepted), 5xx is
retried. So a reply here is an event or nothing, and a refusal is brief enough for a dead letter to tell it whole.
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
    from functions.kit.http.function import Call, Function
    from functions.kit.http.settings import Settings

_REQUIRED = tuple(f"ce-{name}" for name in REQUIRED)


def is_event(headers: Headers) -> bool:
    """True for a request that claims to be a CloudEvent: binary, structured or batched."""
    # Nearly every request is none, and four headers are sooner looked up than all are looked at.
    named = any(headers.get(name) is not None for name in _REQUIRED)
    return (named or "cloudevents" in headers.get("Content-Type", "").lower()) and binding.claimed(headers)


def handshake(headers: Headers) -> Mapping[str, str]:
    """Headers that grant the webhook handshake of an OPTIONS request (http-webhook.md 4.2): any origin, any rate."""
    origin = headers.get("WebHook-Request-Origin")
    return {"WebHook-Allowed-Origin": origin, "WebHook-Allowed-Rate": "*"} if origin else {}


def answer(function: Function, settings: Settings, call: Call) -> Response:
    """The reply event of a function, or an empty 204 where it has nothing to add.

    Nothing to add has an event that the function itself sent, or one whose results hold the function's already:
    this is what ends a loop of Triggers long before the broker's ttl does.

    Raises:
        Problem: the event is malformed, of a type not taken, or its handler refuses the data; brief.
    """
    from functions.kit.cloudevents import chain

    try:
        event = binding.decode(call.request.headers, call.body.read())
        if event is None or event.source == chain.source_of(function.name):
            return Response(status=204)
        reply = _reply(function, settings, call, event)
    except Problem as problem:
        raise chain.brief(problem) from problem
    if reply is None:
        return Response(status=204)
    headers, body = binding.encode(reply)
    return Response(body, 200, headers=headers)


def _reply(function: Function, settings: Settings, call: Call, event: Event) -> Event | None:
    from functions.kit.cloudevents import chain

    route = chain.route_of(function.events, event)
    before = call.timing.elapsed()
    came = chain.carried(event, route, lambda url: _fetch(url, settings))
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

    return dataref.fetch(
        url,
        dataref.Allowed.parse(settings.dataref_hosts),
        limit=settings.max_bytes,
        seconds=settings.body_seconds,
        variable=settings.variable("dataref_hosts"),
    )
