"""The comparison of the achieved load with the requested one, and the reason of a difference."""

from __future__ import annotations

from dataclasses import dataclass

from functions.kit.jsontypes import JsonMapping, JsonObject
from functions.stress.plan import MEBI, Plan

POINTS, SHARE = 1.0, 0.02
"""A load is missed if it differs by more than 1 point, or by more than 2 % of what was requested."""

EVIDENCE = 0.5
"""Share of the missing time that a cause must account for."""

QUOTA, NO_CORE, START = "quota throttling", "no free core", "start of the process"
UNREACHED = "memory, disk or network load not reached"
SLACK_SECONDS = 0.25
"""What such a load may lag behind at the end, for the start of its child."""


@dataclass(frozen=True)
class Evidence:
    """What the kernel counted during a burn.

    Attributes:
        quota: cores that the container may use.
        throttled: seconds throttled by the quota, from `cpu.stat`; None where nothing counts them.
        waited: seconds in which the burners were ready to run and no core was free; None where nothing counts them.
    """

    quota: float
    throttled: float | None
    waited: float | None


def shortfall(plan: Plan, achieved: JsonMapping, evidence: Evidence) -> JsonObject | None:
    """The requested and the achieved load with the reason of the difference; None if none is missing.

    Args:
        plan: what was requested.
        achieved: what `Burn.achieved` returned.
        evidence: the kernel's counters.
    """
    missing = plan.mean - achieved["load"]
    if not plan.cpu_seconds or missing <= _tolerance(plan):
        return None
    seconds = plan.cpu_seconds - achieved["cpu_seconds"]
    reason, detail = _reason(plan, seconds, evidence)
    return {
        "requested": round(plan.mean, 3),
        "achieved": achieved["load"],
        "missing_points": round(missing, 3),
        "missing_cpu_seconds": round(seconds, 4),
        "reason": reason,
        "detail": detail,
    }


def unreached(plan: Plan, achieved: JsonMapping) -> JsonObject | None:
    """The shortfall where memory, disk or network load was not reached; None if it was.

    Args:
        plan: what was requested.
        achieved: what `Burn.achieved` returned.
    """
    wanted = plan.pressure
    if not (wanted.memory or wanted.disk or wanted.network):
        return None
    grown = min(wanted.memory, int(wanted.leak * wanted.hold)) if wanted.leak else wanted.memory
    lag = max(0.0, wanted.hold - SLACK_SECONDS)
    rows = (
        ("memory", grown, min(wanted.memory, wanted.leak * lag) if wanted.leak else wanted.memory),
        ("disk", wanted.disk * wanted.hold, wanted.disk * lag),
        ("network", wanted.network * wanted.hold, wanted.network * lag),
    )
    missed = [
        f"{kind}: {achieved[f'{kind}_mb']:,} of {due / MEBI:,.0f} MiB"
        for kind, due, least in rows
        if achieved[f"{kind}_mb"] + 1 < (1 - SHARE) * least / MEBI
    ]
    if not missed:
        return None
    return {
        "requested": round(plan.mean, 3),
        "achieved": achieved["load"],
        "missing_points": 0.0,
        "missing_cpu_seconds": 0.0,
        "reason": UNREACHED,
        "detail": f"{', '.join(missed)} within {wanted.hold:g} s",
    }


def excess(plan: Plan, achieved: JsonMapping) -> JsonObject | None:
    """The requested and the achieved load where more CPU time was used than requested; None if it was not.

    CPU time is compared and not load, since a burner that starts after the end of a very short burn makes it longer.

    Args:
        plan: what was requested.
        achieved: what `Burn.achieved` returned.
    """
    seconds = achieved["cpu_seconds"] - plan.cpu_seconds
    if not plan.cpu_seconds or seconds * plan.mean <= _tolerance(plan) * plan.cpu_seconds:
        return None
    return {
        "requested": round(plan.mean, 3),
        "achieved": achieved["load"],
        "extra_points": round(achieved["load"] - plan.mean, 3),
        "extra_cpu_seconds": round(seconds, 4),
        "reason": START,
        "detail": f"{plan.cores} burner(s) used {seconds:.4f} CPU seconds more than the {plan.cpu_seconds:.4f} of the "
        "request to start, to wake up and to end; a longer burn or a higher load hides that",
    }


def _tolerance(plan: Plan) -> float:
    return min(POINTS, SHARE * plan.mean)


def _reason(plan: Plan, seconds: float, evidence: Evidence) -> tuple[str, str]:
    cores = plan.share * plan.cores
    throttled, waited = evidence.throttled or 0.0, evidence.waited
    if cores > evidence.quota + 1e-9:
        return QUOTA, f"{cores:g} cores were requested; the CPU quota is {evidence.quota:g}"
    if throttled >= EVIDENCE * seconds:
        return QUOTA, f"the container was throttled for {throttled:.2f} s (cpu.stat, quota {evidence.quota:g} cores)"
    if waited is None:
        return NO_CORE, "other processes had the cores; the kernel does not count the time waited for one"
    if waited >= EVIDENCE * seconds:
        return NO_CORE, f"the burners waited {waited:.2f} s for a core, which other processes had"
    return START, f"{seconds:.3f} CPU seconds were lost while the burners started and ended"
