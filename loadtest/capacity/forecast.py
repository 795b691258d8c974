"""A finished run beside its forecasts: pods that the plan and the simulation foresaw, and pods that there were.

Both know what a planner knows, the rate and the time that a request is held, and how the Service scales.
"""

from __future__ import annotations

import itertools
import json
import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import yaml

from knative.local.autoscaler.spec import ScalingSpec
from knative.local.jsontypes import JsonMapping
from knative.local.simulation.arrivals import Profile
from knative.local.simulation.simulator import simulate
from knative.local.simulation.world import World
from loadtest.capacity.planning import plan

POD_SLACK, POD_SHARE = 1, 0.1  # a forecast holds within one pod or a tenth
_SETTLED_SHARE = 0.6  # of a level's time: what comes later is judged


class ForecastError(ValueError):
    """A folder without a finished run of levels."""


@dataclass(frozen=True)
class Forecast:
    """Pods at one level of a run: planned by formula, simulated, and observed."""

    clients: float
    planned: int
    simulated: int
    observed: int

    @property
    def error(self) -> float:
        """How far the observed pods are from the worse forecast, in units of what is allowed: at most 1 holds."""
        return max(
            abs(foreseen - self.observed) / max(POD_SLACK, POD_SHARE * foreseen)
            for foreseen in (self.planned, self.simulated)
        )

    @property
    def holds(self) -> bool:
        """Within one pod or a tenth, both."""
        return self.error <= 1.0


def forecasts(
    template: JsonMapping,
    levels: Sequence[tuple[float, float]],
    answers: Sequence[tuple[float, float]],
    ready: Sequence[tuple[float, int]],
) -> list[Forecast]:
    """The forecast of each level beside what was observed at its end.

    Args:
        template: the revision template of the Service.
        levels: (time, clients) at each change; the last one ends the run.
        answers: (sent, answered) of each good answer.
        ready: (time, ready pods).
    """
    concurrency = int(template["spec"]["containerConcurrency"])
    spec = ScalingSpec.of(template["metadata"]["annotations"], container_concurrency=concurrency)
    if len(levels) < 2 or not answers:
        return []
    start, end = levels[0][0], levels[-1][0]
    seconds = simulate(
        World(
            spec=spec,
            offered=Profile.steps([(at - start, clients) for at, clients in levels[:-1]], end - start),
            closed=True,
            service_seconds=statistics.median(done - sent for sent, done in answers),
            container_concurrency=concurrency,
        )
    ).seconds
    found = []
    for (began, clients), (ended, _) in itertools.pairwise(levels):
        settled = began + (ended - began) * _SETTLED_SHARE
        held = [done - sent for sent, done in answers if settled <= done < ended]
        seen = [pods for at, pods in ready if settled <= at < ended]
        if not clients or not held or not seen:
            continue
        service = statistics.median(held)
        planned = plan(len(held) / (ended - settled), service, objective=2 * service, held=True, target=spec.target)
        last = seconds[min(len(seconds), math.floor(ended - start)) - 1]
        found.append(Forecast(clients, min(planned.pods, spec.max_scale or planned.pods), last.ready, seen[-1]))
    return found


def read(folder: Path) -> list[Forecast]:
    """The forecasts of a finished run, from its raw files.

    Raises:
        ForecastError: the folder holds no finished run of levels.
    """
    try:
        template = yaml.safe_load((folder / "service.yaml").read_text())["spec"]["template"]
        levels = json.loads((folder / "events.json").read_text())["offered"]
        samples = [json.loads(line) for line in (folder / "samples.jsonl").read_text().splitlines()]
        requests = [json.loads(line) for line in (folder / "requests.jsonl").read_text().splitlines()]
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise ForecastError(f"{folder}: no finished run: {error}") from None
    answers = [(one["sent"], one["done"]) for one in requests if one["status"] == 200]
    found = forecasts(template, levels, answers, [(one["at"], one["ready"]) for one in samples])
    if not found:
        raise ForecastError(f"{folder}: the run has no level with clients")
    return found
