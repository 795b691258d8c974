"""The routes that use CPU and memory, and the event that asks for it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

import flask

from functions.kit.http import problems
from functions.kit.http.function import Call, Reply
from functions.kit.http.options import parse_options
from functions.kit.jsontypes import JsonMapping
from functions.stress.plan import MEBI, StressSettings
from functions.stress.request import FAULTS, FORMAT, JSON, MEDIA_TYPES, NDJSON, PARAMETERS, SSE, left_by, never
from functions.stress.routes.state import check_pod, identity, room, state
from functions.stress.routes.streaming import admit, open_session, streamed

if TYPE_CHECKING:
    from functions.stress.session import Session

# PixelScan's button: `stress --cpu 1 --timeout 10`, which its page does not wait for.
BACKGROUND = {"seconds": "10", "load": "100", "cores": "1"}


def burn(call: Call[StressSettings]) -> Reply | JsonMapping:
    """`POST /`: burn, and answer what was done; or report samples meanwhile."""
    check_pod(call)
    given = [*call.request.args.items(multi=True), *_texts(call.json())]
    options = parse_options((*PARAMETERS, *FAULTS, FORMAT), given)
    if options["fail"] is None and options["status"] is not None:
        raise problems.bad_option("status", "status belongs to fail: give fail too")
    if options["fail"] is not None:
        from functions.stress import faults

        faults.refuse_unless(call.settings.faults, "fail")
        faults.fail_by_chance(options["fail"], options["status"] or 500, options["seed"])
    media = MEDIA_TYPES.get(options["format"] or "") or call.accepts(JSON, NDJSON, SSE)
    if media == JSON:
        return _carry_out(options, call.settings, left_by(call.request.environ))
    _, admitted = _begin(options, call.settings, left_by(call.request.environ), media)
    return streamed(admitted, media)


def autoscale_go(call: Call[StressSettings]) -> Reply:
    """`GET /?sleep=100&prime=10000&bloat=5`, as Knative's sample autoscale-go."""
    from functions.stress import autoscale_go as sample
    from functions.stress.plan import check_memory, too_long

    options, settings = call.options, call.settings
    too_long("sleep", (options["sleep"] or 0.0) / 1000, settings)
    check_memory((options["bloat"] or 0) * MEBI, room(state(settings).container), settings, "bloat")
    return Reply(sample.answer(options["sleep"], options["prime"], options["bloat"]), "text/plain; charset=utf-8")


def start_cpu_burn(call: Call[StressSettings]) -> JsonMapping:
    """`POST /start-cpu-burn`: one core for ten seconds, answered at once."""
    from functions.stress.plan import decide

    check_pod(call)
    now = state(call.settings)
    with now.lock:
        if now.background is not None and now.background.is_alive():
            return {"status": "CPU burn already running"}
        options = parse_options(PARAMETERS, BACKGROUND.items())
        options["seconds"] = min(options["seconds"], call.settings.max_seconds)
        plan = decide(options, room(now.container), call.settings)
        session = open_session(plan, now, never)
        admitted = admit(session, now.burns, call.settings, "burns", JSON)
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
    return {**identity(), **session.result}


def _begin(
    options: JsonMapping, settings: StressSettings, client_left: Callable[[float], bool], media: str
) -> tuple[Session, Iterable[bytes]]:
    from functions.stress.plan import decide

    now = state(settings)
    plan = decide(options, room(now.container), settings)
    session = open_session(plan, now, client_left)
    return session, admit(session, now.burns, settings, "burns", media)


def _exhaust(chunks: Iterable[bytes]) -> None:
    for _ in chunks:
        pass


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
