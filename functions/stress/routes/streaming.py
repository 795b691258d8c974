"""A session let in, and its samples and result as an answer."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING

from functions.kit.http import problems
from functions.kit.http.function import Reply
from functions.kit.jsontypes import JsonMapping, JsonObject
from functions.stress.plan import MEBI, StressSettings
from functions.stress.request import SSE
from functions.stress.routes.state import State, identity, orphaned_or_stopping, state, stopping

if TYPE_CHECKING:
    from functions.kit.telemetry.usage import Usage
    from functions.stress.budget import Budget
    from functions.stress.plan import Plan
    from functions.stress.session import Session

DRAINING_RETRY = 1


def open_session(plan: Plan, now: State, client_left: Callable[[float], bool]) -> Session:
    """The session of a plan in this container."""
    from functions.stress.session import Session

    limit = now.settings.max_disk_mb * MEBI
    return Session(plan, now.container, client_left, orphaned_or_stopping(), disk_limit=limit)


def admit(
    session: Session,
    budget: Budget,
    settings: StressSettings,
    variable: str,
    media: str,
    *,
    with_result: bool = True,
) -> Iterable[bytes]:
    """The answer's chunks, once it is let in."""
    from functions.stress.session import Admitted

    if stopping():
        raise problems.busy("this pod is about to stop", DRAINING_RETRY)
    variables = (settings.variable(variable), settings.variable("cpu_seconds_per_minute"))
    admission = budget.admit(session.plan.cpu_seconds, session.plan.wait + session.plan.duration, variables)
    chunks = _chunks(session, settings, media, with_result=with_result)
    return Admitted(chunks, budget, admission, lambda: session.cpu_seconds)


def _chunks(session: Session, settings: StressSettings, media: str, *, with_result: bool) -> Iterator[bytes]:
    """Samples in a stream's form, then the result."""
    for usage in session.run():
        yield _encode("sample", sample(usage, settings), media)
    if with_result:
        yield _encode("result", {"result": {**identity(), **session.result}}, media)


def _encode(event: str, value: JsonMapping, media: str) -> bytes:
    line = json.dumps(value, separators=(",", ":"))
    return f"event: {event}\ndata: {line}\n\n".encode() if media == SSE else f"{line}\n".encode()


def streamed(chunks: Iterable[bytes], media: str) -> Reply:
    """A stream as an answer."""
    return Reply(chunks, media, headers={"X-Accel-Buffering": "no"})  # a proxy that collects shows nothing live


def sample(usage: Usage, settings: StressSettings) -> JsonObject:
    """A sample of this pod, as answers state it."""
    now = state(settings)
    return {
        **identity(),
        "t": round(time.time(), 3),
        "cpu_percent": round(usage.cpu_percent, 2),
        "cores": round(usage.cores, 4),
        "throttled": None if usage.throttled is None else round(usage.throttled, 4),
        "memory": usage.memory,
        "quota_cores": round(now.container.quota(), 3),
        "source": now.container.source,
    }
