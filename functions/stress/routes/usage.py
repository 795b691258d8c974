"""The routes that show this pod's CPU and memory."""

from __future__ import annotations

from functions.kit.http import problems
from functions.kit.http.function import Call, Reply
from functions.kit.jsontypes import JsonMapping
from functions.stress.plan import CORE, StressSettings
from functions.stress.request import MEDIA_TYPES, NDJSON, SSE, left_by
from functions.stress.routes.state import check_pod, state
from functions.stress.routes.streaming import admit, open_session, sample, streamed


def cpu(call: Call[StressSettings]) -> JsonMapping:
    """`GET /cpu`: one sample, over the last quarter second."""
    check_pod(call)
    usage = state(call.settings).meter.sample()
    return {"cpu": round(min(100.0, usage.cpu_percent), 2), **sample(usage, call.settings)}


def cpu_stream(call: Call[StressSettings]) -> Reply:
    """`GET /cpu/stream`: samples for some seconds."""
    from functions.stress.plan import Plan

    check_pod(call)
    seconds = call.options["seconds"]
    limit = call.settings.max_seconds
    if seconds > limit:
        variable = call.settings.variable("max_seconds")
        raise problems.bad_option("seconds", f"the limit is {limit:g} s ({variable}); this asks for {seconds:g} s")
    media = MEDIA_TYPES.get(call.options["format"] or "") or call.accepts(SSE, NDJSON)
    now = state(call.settings)
    session = open_session(Plan(0.0, 0.0, CORE, 0, 0.0, wait=seconds), now, left_by(call.request.environ))
    admitted = admit(session, now.streams, call.settings, "concurrency", media, with_result=False)
    return streamed(admitted, media)
