"""stress over HTTP: CPU load in child processes, and this pod's usage, once or as a stream."""

from __future__ import annotations

import os
from functools import partial
from pathlib import Path

import flask

from functions.kit.http.function import EventRoute, Function, Route
from functions.kit.http.options import Option, choice
from functions.kit.http.service import dispatch, start
from functions.stress.plan import StressSettings
from functions.stress.request import (
    AUTOSCALE_GO,
    CODE,
    FAULTS,
    FORMAT,
    JSON,
    NDJSON,
    PARAMETERS,
    SSE,
    STATUSES,
    STREAM_SECONDS,
    UNREADY_SECONDS,
)
from functions.stress.routes.burning import autoscale_go, burn, requested, start_cpu_burn
from functions.stress.routes.faults import exit_code, not_ready, panic, prepare, status, unready
from functions.stress.routes.state import PROCESS
from functions.stress.routes.usage import cpu, cpu_stream

FUNCTION = Function(
    name="stress",
    summary="Uses a requested share of CPU, reports what it achieved, and shows what each pod uses.",
    settings=StressSettings,
    page=Path(__file__).with_name("page.html"),
    routes=(
        Route(
            "POST",
            "/",
            burn,
            "Use CPU and memory for some seconds; answers the requested and the achieved load, and how it ended",
            options=(*PARAMETERS, *FAULTS, FORMAT),
            takes="json",
            produces=(JSON, NDJSON, SSE),
            example={"seconds": "0.05", "load": "50"},
        ),
        Route("GET", "/cpu", cpu, "This pod's CPU and memory now"),
        Route(
            "GET",
            "/cpu/stream",
            cpu_stream,
            "This pod's CPU and memory, four times a second",
            options=(STREAM_SECONDS, Option("format", choice("ndjson", "sse"), help="else by Accept")),
            produces=(SSE, NDJSON),
        ),
        Route(
            "GET",
            "/",
            autoscale_go,
            "The work of Knative's sample autoscale-go: sleep, prime and bloat",
            options=AUTOSCALE_GO,
            produces=("text/plain",),
        ),
        Route("GET", "/status", status, "A status on request, /status/503; needs STRESS_FAULTS=1", aliases=STATUSES),
        Route("POST", "/panic", panic, "The pod exits; needs STRESS_FAULTS=1", options=(CODE,)),
        Route("POST", "/unready", unready, "Readiness is false for a while", options=(UNREADY_SECONDS,)),
        Route("POST", "/start-cpu-burn", start_cpu_burn, "One core for ten seconds, answered at once"),
    ),
    prepare=prepare,
    not_ready=not_ready,
    exit_code=exit_code,
    events=(
        EventRoute(
            type="dev.pixelamp.stress.requested",
            reply="dev.pixelamp.stress.finished",
            takes="json",
            handler=requested,
            example={"seconds": 0.05},
        ),
    ),
)


PROCESS.service = partial(start, FUNCTION, os.environ)


def stress(request: flask.Request) -> flask.Response:
    """The framework's target."""
    return dispatch(FUNCTION, request)
