"""Objectives of a run, as `p95<200ms`, `errors<0.1%` or `rate>=900`: parsed, and compared with what was measured."""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from loadtest.generators.latency import Latencies, milliseconds

_COMPARE: dict[str, Callable[[float, float], bool]] = {
    "<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge,
}  # fmt: skip
_PATTERN = re.compile(r"\s*([a-z][a-z0-9.]*)\s*(<=|>=|<|>)\s*(\d+(?:\.\d*)?|\.\d+)\s*([a-z/%µ]*)\s*")
_SECONDS = {"s": 1.0, "ms": 1e-3, "us": 1e-6, "µs": 1e-6, "m": 60.0}
_SHARES = {"%": 0.01}
_QUANTILE = re.compile(r"p(\d{1,2}(?:\.\d{1,3})?)")
NAMES = "p50 to p99.999, mean, max, errors, rate"


class ObjectiveError(ValueError):
    """An objective that cannot be read; the message quotes it."""


class Measured(Protocol):
    """What an objective is compared with."""

    corrected: Latencies
    seconds: float
    meant: int

    @property
    def good(self) -> int:
        """Answers of 2xx and 3xx."""

    @property
    def answered(self) -> int:
        """Requests with an answer."""


@dataclass(frozen=True)
class Objective:
    """One bound.

    Attributes:
        text: as it was given.
        metric: a quantile such as `p95`, or `mean`, `max`, `errors`, `rate`.
        comparison: `<`, `<=`, `>` or `>=`.
        bound: seconds, requests/s, a number of requests, or a share of them.
        share: whether the bound is a share of all requests.
    """

    text: str
    metric: str
    comparison: str
    bound: float
    share: bool = False

    @property
    def seconds(self) -> float | None:
        """The bound, if it is an upper one of a latency."""
        return self.bound if self.metric not in {"errors", "rate"} and self.comparison.startswith("<") else None

    def value(self, result: Measured) -> float | None:
        """What was measured, in the unit of the bound; None without an answer."""
        if self.metric == "errors":
            failed = result.meant - result.good
            return failed / max(1, result.meant) if self.share else failed
        if self.metric == "rate":
            return result.answered / result.seconds if result.seconds else 0.0
        if self.metric == "mean":
            return result.corrected.mean
        return result.corrected.quantile(1.0 if self.metric == "max" else float(self.metric[1:]) / 100)

    def failure(self, result: Measured) -> str:
        """Why the objective was missed; empty if it was met. Without a measurement it is missed."""
        value = self.value(result)
        if value is not None and _COMPARE[self.comparison](value, self.bound):
            return ""
        return f"objective {self.text} was missed: {self.metric} is {self._shown(value)}"

    def _shown(self, value: float | None) -> str:
        if value is None:
            return "unknown, for no request was answered"
        if self.metric == "errors":
            return f"{value:.3%}" if self.share else f"{value:g}"
        return f"{value:.4g}/s" if self.metric == "rate" else milliseconds(value)


def parse(text: str) -> Objective:
    """An objective; a plain number is seconds of p99, as `1` for `p99<=1s`.

    Raises:
        ObjectiveError: the text is not an objective.
    """
    try:
        number = float(text)
    except ValueError:
        number = -1.0
    if number > 0 and number != float("inf"):
        return Objective(f"p99<={number:g}s", "p99", "<=", number)
    match = _PATTERN.fullmatch(text)
    if match is None:
        raise ObjectiveError(f"objective {text!r}: use METRIC<BOUND, such as p95<200ms, errors<0.1% or rate>=900")
    metric, comparison, bound, unit = match.groups()
    known = metric in {"mean", "max", "errors", "rate"} or _QUANTILE.fullmatch(metric)
    if not known or metric == "p0":
        raise ObjectiveError(f"objective {text!r}: there is no metric {metric!r}; there are {NAMES}")
    units = {"errors": {"": 1.0, **_SHARES}, "rate": {"": 1.0, "/s": 1.0}}.get(metric, _SECONDS)
    if unit not in units:
        raise ObjectiveError(f"objective {text!r}: the unit must be one of {', '.join(filter(None, units))}")
    return Objective(text, metric, comparison, float(bound) * units[unit], unit == "%")


DEFAULT = (parse("p99<=1s"),)
_NO_ERRORS = parse("errors<=0")


def complete(given: Sequence[Objective]) -> tuple[Objective, ...]:
    """The objectives of a run: those given or the default; without one of errors no request may fail."""
    chosen = tuple(given) or DEFAULT
    return chosen if any(one.metric == "errors" for one in chosen) else (*chosen, _NO_ERRORS)


def shortest(objectives: Sequence[Objective]) -> float:
    """The shortest latency in seconds that an objective bounds; 1 without any."""
    return min((one.seconds for one in objectives if one.seconds is not None), default=1.0)
