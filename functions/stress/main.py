"""stress over HTTP: CPU load in child processes, and this pod's usage, once or as a stream."""

from __future__ import annotations

import json
import os
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import flask

from functions.kit.http import problems
from functions.kit.http.function import Call, EventRoute, Function, Reply, Route
from functions.kit.http.options import Option, choice, parse_options
from functions.kit.http.service import Service, dispatch, start
from functions.kit.jsontypes import JsonMapping, JsonObject
from functions.stress.plan import CORE, MEBI, StressSettings
from functions.stress.request import (
    AUTOSCALE_GO,
    CODE,
    FAULTS,
    FORMAT,
    JSON,
    MEDIA_TYPES,
    NDJSON,
    PARAMETERS,
    SSE,
    STATUSES,
    STREAM_SECONDS,
    TARGET_POD,
    UNREADY_SECONDS,
    left_by,
    never,
)

if TYPE_CHECKING:
    from functions.kit.telemetry.usage import Container, Meter, Usage
    from functions.stress.budget import Budget
    from functions.stress.faults import Faults
    from functions.stress.plan import Plan
    from functions.stress.session import Session

# PixelScan's button: `stress --cpu 1 --timeout 10`, which its page does not wait for.
BACKGROUND = {"seconds": "10", "load": "100", "cores": "1"}
DRAINING_RETRY = 1


class State:
    """What lives as long as the process: the container, and who has been let in."""

    def __init__(self, settings: StressSettings) -> None:
        from functions.kit.telemetry.usage import Container, Meter
        from functions.stress.budget import Budget

        self.settings = settings
        self.container: Container = Container()
        self.meter: Meter = Meter(self.container)
        self.burns: Budget = Budget(settings.burns, settings.cpu_seconds_per_minute, time.monotonic)
        # Half of the threads: burns and health checks must find one while streams are watched.
        self.streams: Budget = Budget(max(1, settings.concurrency // 2), 1, time.monotonic)
        self.background: threading.Thread | None = None
        self.faults: Faults | None = None
        if settings.faults or settings.start_seconds:
            from functions.stress.faults import Faults

            self.faults = Faults(settings.start_seconds)
        self.lock = threading.Lock()


@cache
def state(settings: StressSettings) -> State:
    """The state of this process, made when it is first needed and not when the function is loaded."""
    return State(settings)


def burn(call: Call[StressSettings]) -> Reply | JsonMapping:
    """`POST /`: burn, and answer what was done; or report samples meanwhile."""
    _check_pod(call)
    given = [*call.request.args.items(multi=True), *_texts(call.json())]
    options = parse_options((*PARAMETERS, *FAULTS, FORMAT), given)
    if options["fail"] is not None:
        from functions.stress import faults

        faults.refuse_unless(call.settings.faults, "fail")
        faults.fail_by_chance(options["fail"], options["status"], options["seed"])
    media = MEDIA_TYPES.get(options["format"] or "") or call.accepts(JSON, NDJSON, SSE)
    if media == JSON:
        return _carry_out(options, call.settings, left_by(call.request.environ))
    _, admitted = _begin(options, call.settings, left_by(call.request.environ), media)
    return _streamed(admitted, media)


def autoscale_go(call: Call[StressSettings]) -> Reply:
    """`GET /?sleep=100&prime=10000&bloat=5`, as Knative's sample autoscale-go."""
    from functions.stress import autoscale_go as sample
    from functions.stress.plan import check_memory, too_long

    options, settings = call.options, call.settings
    too_long("sleep", (options["sleep"] or 0.0) / 1000, settings)
    check_memory((options["bloat"] or 0) * MEBI, _room(state(settings).container), settings, "bloat")
    return Reply(sample.answer(options["sleep"], options["prime"], options["bloat"]), "text/plain; charset=utf-8")


def status(call: Call[StressSettings]) -> Reply | JsonMapping:
    """`/status/503`: answer with that status."""
    from functions.stress import faults

    faults.refuse_unless(call.settings.faults, "a status on request")
    code = int(call.request.path.rstrip("/").rpartition("/")[2]) if call.request.path[-1:].isdigit() else 200
    if code >= 400:
        raise faults.injected(code)
    body: JsonMapping | bytes = b"" if code in {204, 205, 304} else {"status": code}
    return Reply(body, JSON, code)


def panic(call: Call[StressSettings]) -> JsonMapping:
    """`POST /panic?code=3`: the pod exits with that code, without an answer."""
    _check_pod(call)
    now = _faults(call.settings, "panic")
    now.panic(call.options["code"])
    return {}


def unready(call: Call[StressSettings]) -> JsonMapping:
    """`POST /unready?seconds=10`: readiness is false for so long."""
    _check_pod(call)
    now = _faults(call.settings, "unreadiness")
    now.be_unready(call.options["seconds"])
    return {**_identity(), "unready_seconds": call.options["seconds"]}


def _faults(settings: StressSettings, what: str) -> Faults:
    from functions.stress import faults

    faults.refuse_unless(settings.faults, what)
    found = state(settings).faults
    assert found is not None
    return found


def prepare(settings: StressSettings) -> None:
    """Make what all processes of the server share, before they are forked."""
    if settings.faults or settings.start_seconds:
        state(settings)


def not_ready(settings: StressSettings) -> str:
    """Why the pod is not ready; empty if it is."""
    if not (settings.faults or settings.start_seconds):
        return ""
    found = state(settings).faults
    left = found.unready if found else 0.0
    return f"unready for another {left:.1f} s" if left else ""


def exit_code(settings: StressSettings) -> int | None:
    """The code that the server must exit with after a panic; None without one."""
    found = state(settings).faults if settings.faults else None
    return found.exit_code if found else None


def cpu(call: Call[StressSettings]) -> JsonMapping:
    """`GET /cpu`: one sample, over the last quarter second."""
    _check_pod(call)
    usage = state(call.settings).meter.sample()
    return {"cpu": round(min(100.0, usage.cpu_percent), 2), **_sample(usage, call.settings)}


def cpu_stream(call: Call[StressSettings]) -> Reply:
    """`GET /cpu/stream`: samples for some seconds."""
    from functions.stress.plan import Plan

    _check_pod(call)
    seconds = call.options["seconds"]
    limit = call.settings.max_seconds
    if seconds > limit:
        variable = call.settings.variable("max_seconds")
        raise problems.bad_option("seconds", f"the limit is {limit:g} s ({variable}); this asks for {seconds:g} s")
    media = MEDIA_TYPES.get(call.options["format"] or "") or call.accepts(SSE, NDJSON)
    now = state(call.settings)
    session = _session(Plan(0.0, 0.0, CORE, 0, 0.0, wait=seconds), now, left_by(call.request.environ))
    admitted = _admit(session, now.streams, call.settings, "concurrency", media, with_result=False)
    return _streamed(admitted, media)


def start_cpu_burn(call: Call[StressSettings]) -> JsonMapping:
    """`POST /start-cpu-burn`: one core for ten seconds, answered at once."""
    from functions.stress.plan import decide

    _check_pod(call)
    now = state(call.settings)
    with now.lock:
        if now.background is not None and now.background.is_alive():
            return {"status": "CPU burn already running"}
        options = parse_options(PARAMETERS, BACKGROUND.items())
        options["seconds"] = min(options["seconds"], call.settings.max_seconds)
        plan = decide(options, _room(now.container), call.settings)
        session = _session(plan, now, never)
        admitted = _admit(session, now.burns, call.settings, "burns", JSON)
        # The kernel ends children with the thread that started them, so the whole session runs in this one.
        now.background = threading.Thread(target=_exhaust, args=(admitted,), name="cpu-burn", daemon=True)
        now.background.start()
    return {"status": "CPU burn started", "seconds": plan.seconds, "cores": plan.cores}


def requested(data: Any, settings: StressSettings) -> JsonMapping:
    """`dev.pixelamp.stress.requested`: the same parameters as JSON."""
    if not isinstance(data, Mapping):
        raise problems.malformed(f"the data must be a JSON object, not {type(data).__name__}")
    environ = flask.request.environ if flask.has_request_context() else {}
    return _carry_out(parse_options(PARAMETERS, _texts(data)), settings, left_by(environ))


def _carry_out(options: JsonMapping, settings: StressSettings, client_left: Callable[[float], bool]) -> JsonMapping:
    """A burn from beginning to end; its result."""
    session, admitted = _begin(options, settings, client_left, JSON)
    _exhaust(admitted)
    return {**_identity(), **session.result}


def _begin(
    options: JsonMapping, settings: StressSettings, client_left: Callable[[float], bool], media: str
) -> tuple[Session, Iterable[bytes]]:
    from functions.stress.plan import decide

    now = state(settings)
    plan = decide(options, _room(now.container), settings)
    session = _session(plan, now, client_left)
    return session, _admit(session, now.burns, settings, "burns", media)


def _session(plan: Plan, now: State, client_left: Callable[[float], bool]) -> Session:
    from functions.stress.session import Session

    limit = now.settings.max_disk_mb * MEBI
    return Session(plan, now.container, client_left, _orphaned_or_stopping(), disk_limit=limit)


def _admit(
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

    if _stopping():
        raise problems.busy("this pod is about to stop", DRAINING_RETRY)
    variables = (settings.variable(variable), settings.variable("cpu_seconds_per_minute"))
    admission = budget.admit(session.plan.cpu_seconds, session.plan.wait + session.plan.duration, variables)
    chunks = _chunks(session, settings, media, with_result=with_result)
    return Admitted(chunks, budget, admission, lambda: session.cpu_seconds)


def _chunks(session: Session, settings: StressSettings, media: str, *, with_result: bool) -> Iterator[bytes]:
    """Samples in a stream's form, then the result."""
    for usage in session.run():
        yield _encode("sample", _sample(usage, settings), media)
    if with_result:
        yield _encode("result", {"result": {**_identity(), **session.result}}, media)


def _encode(event: str, value: JsonMapping, media: str) -> bytes:
    line = json.dumps(value, separators=(",", ":"))
    return f"event: {event}\ndata: {line}\n\n".encode() if media == SSE else f"{line}\n".encode()


def _streamed(chunks: Iterable[bytes], media: str) -> Reply:
    return Reply(chunks, media, headers={"X-Accel-Buffering": "no"})  # a proxy that collects shows nothing live


def _exhaust(chunks: Iterable[bytes]) -> None:
    for _ in chunks:
        pass


def _sample(usage: Usage, settings: StressSettings) -> JsonObject:
    now = state(settings)
    return {
        **_identity(),
        "t": round(time.time(), 3),
        "cpu_percent": round(usage.cpu_percent, 2),
        "cores": round(usage.cores, 4),
        "throttled": None if usage.throttled is None else round(usage.throttled, 4),
        "memory": usage.memory,
        "quota_cores": round(now.container.quota(), 3),
        "source": now.container.source,
    }


def _identity() -> JsonObject:
    identity = _service().identity
    return {"pod": identity.pod, "revision": identity.revision}


def _check_pod(call: Call[StressSettings]) -> None:
    """Refuse a request for another pod: the platform did not route it by its header.

    Raises:
        Problem: 421 with the name of this pod.
    """
    wanted, here = call.request.headers.get(TARGET_POD), _service().identity.pod
    if wanted and wanted != here:
        raise problems.Problem(
            421,
            "other-pod",
            "Another pod",
            f"{TARGET_POD} names {wanted[:260]}, and this pod is {here}: this platform does not route requests to one "
            "pod (the local engine does)",
            pod=here,
        )


def _room(container: Container) -> Any:
    from functions.stress.plan import Room

    return Room(container.quota(), container.memory_free(), container.memory_total())


def _texts(values: JsonMapping) -> Iterator[tuple[str, str]]:
    """JSON members as a query would hold them; null is the same as none.

    Raises:
        Problem: 400 for a member that is a list or an object.
    """
    for name, value in values.items():
        if isinstance(value, list | dict | bool):
            raise problems.bad_option(name[:100], f"{name[:100]} must be a number or a word")
        if value is not None:
            yield name, str(value)


def _service() -> Service:
    return start(FUNCTION, os.environ)


def _stopping() -> bool:
    return _service().draining


def _orphaned_or_stopping() -> Callable[[], bool]:
    """Whether the server is to stop, or the process that began this request's server has died.

    A gunicorn worker whose arbiter was killed would finish its requests first, for clients that have lost it.
    """
    parent = os.getppid()
    return lambda: _stopping() or os.getppid() != parent


FUNCTION = Function(
    name="stress",
    summary="Uses a requested share of CPU, reports what it achieved, and shows what each pod uses",
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


def stress(request: flask.Request) -> flask.Response:
    """The framework's target."""
    return dispatch(FUNCTION, request)
