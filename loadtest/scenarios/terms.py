"""Settings and checks that all scenarios share."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from loadtest import verdict
from loadtest.lab import Lab, Run
from loadtest.verdict import Verdict

Bounds = Mapping[str, float]

WINDOW = 6.0
HELD = {"window": "6s", "target_utilization_percentage": "70", "max_scale": "8"}
ZERO_OPTIONS = ("--initial-scale", "0", "--grace", "5s")


def judged(run: Run, bounds: Bounds, lab: Lab | None, failed: bool = True) -> Verdict:
    """A verdict with the checks that every scenario shares."""
    made = Verdict(run.scenario)
    lag = run.lag.quantile(0.99)
    if lag is not None and lag > bounds["generator_lag_p99"]:
        made.invalid.append(
            f"the generator was {lag:.2f} s late at p99, more than {bounds['generator_lag_p99']:g} s: "
            f"its figures describe this machine; end what else runs here, and run `{run.scenario}` again"
        )
    if failed:
        kinds = verdict.failures(run.requests)
        made.at_most("requests failed", sum(kinds.values()), bounds["failed"], note=kinds_of(kinds))
    made.invalid += run.bottlenecks
    made.unchecked += run.unchecked
    if lab is not None and run.place is None:
        seen = verdict.executions(lab.log.read_text(errors="replace").splitlines())
        ours = {request.id for request in run.requests}
        doubled = sum(count > 1 for name, count in seen.items() if name in ours)
        made.at_most("requests worked on twice", doubled, bounds["doubled"])
        answered = sum(request.good for request in run.requests)
        known = sum(name in seen for name in (request.id for request in run.requests if request.good))
        made.at_most("answers that no pod logged", answered - known, 0)
    cold = verdict.latencies(request for request in run.requests if request.cold)
    if cold.count:
        run.measured["cold_start_seconds"] = cold.quantile(0.5) or 0.0
        made.at_most("cold start p99", cold.quantile(0.99), bounds["cold_start_p99"], "s")
    return made


def kinds_of(kinds: Counter[str]) -> str:
    """Kinds of failure and how often each."""
    return ", ".join(f"{count} × {kind}" for kind, count in kinds.items())
