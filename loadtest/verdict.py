"""Verdicts: the bounds of a run, its measurements, and whether they are within. Bounds are in thresholds.toml."""

from __future__ import annotations

import itertools
import math
import tomllib
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from knative.local.jsontypes import JsonMapping, JsonObject
from loadtest.generators.closed_loop import Request
from loadtest.generators.latency import Latencies
from loadtest.observe.pods import Sample

THRESHOLDS = Path(__file__).with_name("thresholds.toml")


class ThresholdsError(ValueError):
    """A thresholds file that cannot be used; the message names the key."""


@dataclass(frozen=True)
class Check:
    """One check: a value, its bound, and a line of text."""

    name: str
    passed: bool
    value: float | None
    bound: float | None
    words: str


@dataclass
class Verdict:
    """All checks of one scenario, the reasons why they are invalid, if they are, and the checks that were not made."""

    scenario: str
    checks: list[Check] = field(default_factory=list)
    invalid: list[str] = field(default_factory=list)
    unchecked: list[str] = field(default_factory=list)

    @property
    def passed(self) -> bool:
        """Whether a valid run passed every check."""
        return not self.invalid and bool(self.checks) and all(check.passed for check in self.checks)

    @property
    def word(self) -> str:
        """PASS, FAIL or INVALID."""
        if self.invalid:
            return "INVALID"
        return "PASS" if self.passed else "FAIL"

    def at_most(self, name: str, value: float | None, bound: float, unit: str = "", note: str = "") -> None:
        """The value must not exceed the bound; no value is a failure. The note follows in brackets."""
        passed = value is not None and value <= bound
        self._add(name, passed, value, bound, unit, f"≤ {figure(bound, unit)}", note)

    def at_least(self, name: str, value: float | None, bound: float, unit: str = "", note: str = "") -> None:
        """The value must reach the bound; no value is a failure. The note follows in brackets."""
        passed = value is not None and value >= bound
        self._add(name, passed, value, bound, unit, f"≥ {figure(bound, unit)}", note)

    def within(self, name: str, value: float | None, wanted: float, slack: float, unit: str = "") -> None:
        """The value must be as wanted, give or take the slack; no value is a failure."""
        passed = value is not None and abs(value - wanted) <= slack
        self._add(name, passed, value, wanted, unit, f"= {figure(wanted, unit)} ± {figure(slack)}")

    def _add(
        self, name: str, passed: bool, value: float | None, bound: float, unit: str, wanted: str, note: str = ""
    ) -> None:
        words = f"{name} {figure(value, unit)}{' ' if passed else ', not '}{wanted}{f' ({note})' if note else ''}"
        self.checks.append(Check(name, passed, value, bound, words))


def figure(value: float | None, unit: str = "") -> str:
    """A number with its unit; a dash for None."""
    return "–" if value is None else f"{value:.4g}{' ' + unit if unit else ''}"


def thresholds(scenario: str, path: Path = THRESHOLDS) -> dict[str, float]:
    """The bounds of a scenario: the table `all`, and over it the scenario's own.

    Raises:
        ThresholdsError: the file cannot be read, or a bound is not a number.
    """
    try:
        content = tomllib.loads(path.read_text())
    except (OSError, tomllib.TOMLDecodeError) as error:
        raise ThresholdsError(f"{path}: {error}") from None
    bounds: JsonObject = {**content.get("all", {}), **content.get(scenario, {})}
    for key, bound in bounds.items():
        if isinstance(bound, bool) or not isinstance(bound, int | float):
            raise ThresholdsError(f"{path}: {scenario}.{key} must be a number, not {bound!r}")
    return {key: float(bound) for key, bound in bounds.items()}


def expected_pods(concurrency: float, target: float, *, minimum: int = 0, maximum: int = 0) -> int:
    """Pods that hold `concurrency` at `target` each (target already times its utilisation), within bounds."""
    pods = max(math.ceil(concurrency / target - 1e-9), minimum)
    return min(pods, maximum) if maximum else pods


def latencies(requests: Iterable[Request]) -> Latencies:
    """Latencies of the good answers."""
    found = Latencies()
    found.extend(request.latency for request in requests if request.good)
    return found


def failures(requests: Iterable[Request]) -> Counter[str]:
    """Failures by kind: a status, or the reason for no answer."""
    return Counter(str(request.status or request.reason) for request in requests if not request.good)


def first_time(samples: Iterable[Sample], after: float, ready: int) -> float | None:
    """Seconds from `after` until so many pods were ready; None if they never were."""
    return next((sample.at - after for sample in samples if sample.at >= after and sample.ready >= ready), None)


def shrank_in_panic(samples: Sequence[Sample]) -> int:
    """The number of times that desired pods fell between two samples in panic, which Knative never does."""
    return sum(
        bool(before.in_panic and after.in_panic and (after.desired or 0) < (before.desired or 0))
        for before, after in itertools.pairwise(samples)
    )


def executions(log: Iterable[str]) -> Counter[str]:
    """The number of executions of each request id, from the functions' JSON log."""
    seen: Counter[str] = Counter()
    for line in log:
        at = line.find('"request_id": "')
        if at >= 0 and '"message": "request"' in line:
            start = at + len('"request_id": "')
            seen[line[start : line.index('"', start)]] += 1
    return seen


def as_dict(verdict: Verdict) -> JsonMapping:
    """A verdict as plain data."""
    return {
        "scenario": verdict.scenario,
        "verdict": verdict.word,
        "invalid": verdict.invalid,
        "unchecked": verdict.unchecked,
        "checks": [
            {
                "name": check.name,
                "passed": check.passed,
                "value": check.value,
                "bound": check.bound,
                "words": check.words,
            }
            for check in verdict.checks
        ],
    }
