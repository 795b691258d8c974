"""The figures of the last runs as JSON, and the table of docs/performance.md that is made from it."""

from __future__ import annotations

import json
import os
import platform
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tools.bench.harness import Figure

RECORD = Path(__file__).parent / "bench" / "figures.json"
PAGE = Path(__file__).parents[1] / "docs" / "performance.md"
BEGIN, END = "<!-- figures -->", "<!-- /figures -->"
LEAST_PAIRS = 7


def machine(before: float) -> str:
    """The machine and its load.

    Args:
        before: the mean load of a minute when the figures were begun.
    """
    kind = f"{platform.machine()}, {os.cpu_count()} CPUs, Python {platform.python_version()}"
    return f"{kind}, load {before:.1f} before and {os.getloadavg()[0]:.1f} after"


def record(area: str, figures: list[Figure], about: str) -> dict[str, Any]:
    """The stored figures with those of one area in place of its earlier ones."""
    stored = json.loads(RECORD.read_text(encoding="utf-8")) if RECORD.is_file() else {}
    if figures:
        day = datetime.now(UTC).date().isoformat()
        stored[area] = {"date": day, "machine": about, "figures": [_rounded(figure) for figure in figures]}
    return dict(sorted(stored.items()))


def _rounded(figure: Figure) -> dict[str, Any]:
    values = {name: float(f"{getattr(figure, name):.4g}") for name in ("median", "worst")}
    return {**asdict(figure), **values}


def write(area: str, figures: list[Figure], about: str) -> None:
    """Store the figures of an area and write the table."""
    stored = record(area, figures, about)
    RECORD.write_text(json.dumps(stored, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    text = PAGE.read_text(encoding="utf-8")
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    PAGE.write_text(f"{before}{BEGIN}\n{table(stored)}{END}{after}", encoding="utf-8")


def table(stored: dict[str, Any]) -> str:
    """A table for each area, with its date and machine."""
    lines: list[str] = []
    for area, run in stored.items():
        lines += [f"### {area}", "", f"{run['date']}, {run['machine']}.", ""]
        lines += ["| what | median | worst | pairs | bound | medians of both |", "|---|---|---|---|---|---|"]
        for entry in run["figures"]:
            figure = Figure(**entry)
            limit = figure.limit if figure.met else f"**{figure.limit}, missed**"
            worst, pairs = (f"{figure.worst:g}", str(figure.pairs)) if figure.pairs > 1 else ("", "")
            value = f"{figure.median:g} {figure.unit}".strip()
            lines.append(f"| {figure.name} | {value} | {worst} | {pairs} | {limit} | {figure.how} |")
        lines.append("")
    return "\n".join(lines)
