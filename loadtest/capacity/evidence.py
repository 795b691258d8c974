"""The service time of a forecast and where it comes from: given, measured in a run, or assumed."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from loadtest.generators.latency import milliseconds

ASSUMED_SECONDS = 0.02
LEAST_REQUESTS = 20


class EvidenceError(ValueError):
    """A file that holds no measured service time; the message names it."""


@dataclass(frozen=True)
class ServiceTime:
    """Seconds of one request, and the evidence in words."""

    seconds: float
    evidence: str

    def __str__(self) -> str:
        """For people."""
        return f"{milliseconds(self.seconds)}, {self.evidence}"


ASSUMED = ServiceTime(ASSUMED_SECONDS, "assumed; --measured FILE takes it from a run")


def measured(path: Path, function: str = "") -> ServiceTime:
    """The service time of a run.

    Args:
        path: figures of an open loop (`--json`), whose median from the sending is taken, or the verdict.json of a
            report, whose scenario `photos` has the median of each function.
        function: which function, for a verdict.json.

    Raises:
        EvidenceError: the file has none, or too few requests.
    """
    try:
        found = json.loads(path.read_text())
        if "uncorrected" in found:
            count, seconds = found["answered"], found["uncorrected"]["p50"]
            what = f"median from the sending of {count:,} requests"
        else:
            if not function:
                raise EvidenceError(f"{path} is a report: give --function too")
            seconds, count = found["measured"][f"{function}_seconds"], LEAST_REQUESTS
            what = f"median of {function} in the scenario photos"
        if not isinstance(seconds, int | float) or not seconds > 0 or count < LEAST_REQUESTS:
            raise EvidenceError(f"{path}: {count} requests were answered; the least is {LEAST_REQUESTS}")
    except (OSError, ValueError, KeyError, TypeError) as error:
        if isinstance(error, EvidenceError):
            raise
        raise EvidenceError(f"{path}: no measured service time: {error!r}") from None
    return ServiceTime(float(seconds), f"measured: {what} ({path})")
