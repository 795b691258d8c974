"""Figures of an open loop for other programs: CSV of its seconds, and OpenMetrics to a file or a Pushgateway."""

from __future__ import annotations

import csv
import urllib.error
import urllib.request
from pathlib import Path
from typing import TextIO

from loadtest.generators.latency import QUANTILES
from loadtest.generators.result import Result

COLUMNS = ("t", "rate", "in_flight", "waiting", "p99", "cpu")
PREFIX = "pixelamp_loadtest"
OPENMETRICS = "application/openmetrics-text; version=1.0.0; charset=utf-8"
PUSH_SECONDS = 10.0


def write_csv(result: Result, out: TextIO) -> None:
    """A row for each second: seconds since the start, answers/s, requests in flight and waiting, p99, CPU share."""
    writer = csv.writer(out)
    writer.writerow(COLUMNS)
    writer.writerows([f"{second[name]:.6g}" for name in COLUMNS] for second in result.timeline)


def openmetrics(result: Result, *, passed: bool) -> str:
    """The figures as OpenMetrics text."""
    lines: list[str] = []

    def family(name: str, kind: str, help_: str, samples: list[tuple[str, float]]) -> None:
        lines.extend([f"# TYPE {PREFIX}_{name} {kind}", f"# HELP {PREFIX}_{name} {help_}"])
        lines.extend(f"{PREFIX}_{name}{suffix} {value:.9g}" for suffix, value in samples)

    for name, latencies, help_ in (
        ("latency_seconds", result.corrected, "From the intended time to the end of the answer."),
        ("send_lag_seconds", result.lag, "From the time a request could leave to its sending."),
    ):
        values = [(share, latencies.quantile(share)) for share in QUANTILES]
        samples = [(f'{{quantile="{share:g}"}}', value) for share, value in values if value is not None]
        family(name, "summary", help_, [*samples, ("_count", latencies.count)])
    statuses = [(f'_total{{status="{status}"}}', float(count)) for status, count in sorted(result.statuses.items())]
    family("responses", "counter", "Answers by status.", statuses)
    errors = [(f'_total{{reason="{_label(reason)}"}}', float(count)) for reason, count in sorted(result.errors.items())]
    family("errors", "counter", "Requests without an answer, by reason.", errors)
    rate = result.answered / result.seconds if result.seconds else 0.0
    family("rate", "gauge", "Answers a second.", [("", rate)])
    family("passed", "gauge", "1 where every objective was met.", [("", float(passed))])
    return "\n".join([*lines, "# EOF", ""])


def _label(text: str) -> str:
    return text.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")


def deliver(text: str, where: str) -> None:
    """Write OpenMetrics text to a file, or PUT it to the URL of a Pushgateway's group.

    Raises:
        OSError: the file cannot be written, or the gateway did not take it.
    """
    if not where.startswith(("http://", "https://")):
        Path(where).write_text(text, encoding="utf-8")
        return
    request = urllib.request.Request(where, text.encode(), {"Content-Type": OPENMETRICS}, method="PUT")  # noqa: S310
    try:
        with urllib.request.urlopen(request, timeout=PUSH_SECONDS):  # noqa: S310 - http or https, see above
            pass
    except urllib.error.HTTPError as error:
        raise OSError(f"{where} answered {error.code}") from None
