"""Simulated runs as tables for people and as CSV for programs."""

from __future__ import annotations

import csv
import math
from collections.abc import Iterable, Sequence
from dataclasses import fields
from typing import TextIO

from knative.local.simulation.world import Outcome, Second

_TABLE_ROWS = 30


def number(value: float | None, digits: int = 3) -> str:
    """A figure as people write it: 1,234,567 or 12.3, a dash for None."""
    if value is None:
        return "–"
    if value and abs(value) >= 10 ** (digits - 1):
        return f"{value:,.0f}"
    return f"{value:.{digits}g}"


def milliseconds(value: float | None) -> str:
    """Seconds as milliseconds."""
    return number(None if value is None else value * 1000)


_COLUMNS = ("s", "offered", "in flight", "queued", "desired", "ready", "ms mean", "ms p95", "answered", "lost", "state")


def print_table(outcome: Outcome, every: int | None, out: TextIO) -> None:
    """A row every so many seconds; by default about thirty."""
    step = every or max(1, math.ceil(len(outcome.seconds) / _TABLE_ROWS))
    rows = [_COLUMNS]
    for second in outcome.seconds[::step]:
        state = "panic" if second.in_panic else ""
        rows.append(
            (
                f"{second.at:.0f}",
                number(second.offered),
                number(second.in_flight),
                number(second.queued),
                number(second.desired),
                number(second.ready),
                milliseconds(second.latency),
                milliseconds(second.latency_p95),
                number(second.answered),
                number(second.refused + second.timed_out),
                f"{state} {'activator' if second.proxied else 'direct'}".strip(),
            )
        )
    _print_rows(rows, out)


def print_summary(outcomes: Sequence[tuple[str, Outcome]], out: TextIO) -> None:
    """A row a run: what it needed and what its clients saw."""
    header = (
        "",
        "answered",
        "lost",
        "unfinished",
        "most pods",
        "pod-seconds",
        "longest queue",
        "p50 ms",
        "p95 ms",
        "p99 ms",
        "panic s",
    )
    rows = [header] + [
        (
            label or "all",
            number(outcome.answered),
            number(outcome.lost),
            number(outcome.left),
            number(outcome.most_pods),
            number(outcome.pod_seconds),
            number(outcome.most_queued),
            *(milliseconds(outcome.latency(quantile)) for quantile in (0.5, 0.95, 0.99)),
            number(sum(second.in_panic for second in outcome.seconds)),
        )
        for label, outcome in outcomes
    ]
    _print_rows(rows, out)


def _print_rows(rows: Sequence[Sequence[str]], out: TextIO) -> None:
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    for row in rows:
        cells = (cell.rjust(width) for cell, width in zip(row, widths, strict=True))
        print("  ".join(cells).rstrip(), file=out)
    print(file=out)


def write_csv(outcomes: Iterable[tuple[str, Outcome]], out: TextIO) -> None:
    """Every second of every run: the fields of `Second`, after the run's label."""
    writer = csv.writer(out)
    names = [field.name for field in fields(Second)]
    writer.writerow(["run", *names])
    for label, outcome in outcomes:
        for second in outcome.seconds:
            writer.writerow([label, *(getattr(second, name) for name in names)])
