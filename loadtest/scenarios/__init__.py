"""The scenarios: each makes a Service, loads it, and compares its measurements with thresholds.

`SCENARIOS` maps names to them, `QUICK` are those of `make loadtest` without a name. Each runs against an engine of its
own on this machine, or, where `loadtest.cluster` names it, against a cluster.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

from loadtest.lab import LabError, Place, Run
from loadtest.scenarios.photos import photographs
from loadtest.scenarios.scaling import burst, spike, step, zero
from loadtest.scenarios.terms import Bounds
from loadtest.scenarios.traffic import canary, mixed, rollout
from loadtest.scenarios.trouble import kill, overload, slow
from loadtest.verdict import Verdict

Scenario = Callable[[Run, Path, Bounds], Awaitable[Verdict]]


@dataclass(frozen=True)
class Named:
    """A scenario and its summary."""

    work: Scenario
    summary: str


SCENARIOS: dict[str, Named] = {
    "step": Named(step, "5, 20, 40, 10 requests at once: pods follow"),
    "burst": Named(burst, "200 requests at once from zero"),
    "zero": Named(zero, "scale to zero, and wake"),
    "overload": Named(overload, "three times the capacity at max-scale"),
    "kill": Named(kill, "kill -9 of a pod under load"),
    "photos": Named(photographs, "photographs to histogram and exif: every answer is right"),
    "spike": Named(spike, "a spike, and panic"),
    "slow": Named(slow, "slow clients beside quick ones"),
    "mixed": Named(mixed, "all three functions at once, by Locust"),
    "canary": Named(canary, "an 80/20 split"),
    "rollout": Named(rollout, "a new revision under load"),
}
QUICK = ("step", "burst", "zero", "overload", "kill", "photos")


async def play(name: str, folder: Path, bounds: Bounds, place: Place | None = None) -> tuple[Run, Verdict]:
    """Run one scenario, on a cluster if a place is given; it is INVALID where it could not measure."""
    run = Run(name, place=place)
    folder.mkdir(parents=True, exist_ok=True)
    try:
        result = await SCENARIOS[name].work(run, folder, bounds)
    except LabError as error:
        result = Verdict(name, invalid=[str(error)])
    return run, result
