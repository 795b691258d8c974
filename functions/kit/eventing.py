"""CloudEvents to a function: the event in, its handler called, the reply out."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING

from flask import Response

from functions.kit.problems import Problem

if TYPE_CHECKING:
    from werkzeug.datastructures import Headers

    from functions.kit.service import Call, Function
    from functions.kit.settings import Settings


def is_event(headers: Headers) -> bool:
    """True for a request in a CloudEvents content mode: binary, structured or batched."""
    return "ce-specversion" in headers or headers.get("Content-Type", "").lower().startswith("application/cloudevents")


def handshake(headers: Headers) -> Mapping[str, str]:
    """Headers that answer the webhook handshake of an OPTIONS request."""
    origin = headers.get("WebHook-Request-Origin")
    return {"WebHook-Allowed-Origin": origin, "WebHook-Allowed-Rate": "*"} if origin else {}


def answer(function: Function, _settings: Settings, call: Call) -> Response:
    """The reply event of a function, or an empty 204 for a type it has no handler for.

    Raises:
        Problem: the event is malformed or its handler refuses the data.
    """
    from functions.kit import events

    event = events.decode(dict(call.request.headers), call.body.read())
    route = next((route for route in function.events if event is not None and route.type == event.type), None)
    if event is None or route is None:
        return Response(status=204)
    raise Problem(501, "not-ready", "Not ready", json.dumps(route.type))
