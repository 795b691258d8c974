"""The routes that make a pod fail, where STRESS_FAULTS=1 allows it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from functions.kit.http.function import Call, Reply
from functions.kit.jsontypes import JsonMapping
from functions.stress.plan import StressSettings
from functions.stress.request import JSON
from functions.stress.routes.state import check_pod, identity, state

if TYPE_CHECKING:
    from functions.stress.faults import Faults


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
    check_pod(call)
    now = _faults(call.settings, "panic")
    now.panic(call.options["code"])
    return {}


def unready(call: Call[StressSettings]) -> JsonMapping:
    """`POST /unready?seconds=10`: readiness is false for so long."""
    check_pod(call)
    now = _faults(call.settings, "unreadiness")
    now.be_unready(call.options["seconds"])
    return {**identity(), "unready_seconds": call.options["seconds"]}


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
