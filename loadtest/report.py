"""The report: one figure over shared time axes, verdicts, environment; HTML for people, Markdown for a review."""

from __future__ import annotations

import base64
import html
import io
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from loadtest.lab import Run
from loadtest.latency import milliseconds
from loadtest.verdict import Verdict

# Okabe and Ito's colours, told apart by everybody.
BLUE, VERMILION, GREEN, PURPLE, ORANGE, SKY = "#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9"
EVENT_COLOURS = {"kill": VERMILION, "panic": PURPLE, "rollout": GREEN, "overload": VERMILION}
_ROWS = ("requests/s", "latency, ms", "concurrency", "pods")
_SECONDS_AN_INCH = 9.0


def write(
    played: Sequence[tuple[Run, Verdict]], summary: Mapping[str, Any], folder: Path, earlier: Mapping[str, Any] | None
) -> None:
    """Write report.html, report.md and load.png into `folder`."""
    picture = figure(played)
    (folder / "load.png").write_bytes(picture)
    (folder / "report.html").write_text(as_html(summary, picture, folder, earlier))
    (folder / "report.md").write_text(as_markdown(summary, earlier))


def figure(played: Sequence[tuple[Run, Verdict]]) -> bytes:
    """A column a scenario, its four panels over one time axis; PNG."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    shown = [(run, verdict) for run, verdict in played if run.ended > run.started]
    if not shown:
        shown = list(played)
    widths = [max(2.4, (run.ended - run.started) / _SECONDS_AN_INCH) for run, _ in shown]
    drawn, axes = plt.subplots(
        len(_ROWS),
        len(shown),
        sharex="col",
        squeeze=False,
        figsize=(sum(widths) + 0.8, 8.6),
        width_ratios=widths,
        layout="constrained",
    )
    for column, (run, verdict) in enumerate(shown):
        panels = [axes[row][column] for row in range(len(_ROWS))]
        panels[0].set_title(f"{run.scenario}: {verdict.word}", fontsize=10)
        _rates(panels[0], run)
        _latencies(panels[1], run)
        _concurrency(panels[2], run)
        _pods(panels[3], run)
        for panel in panels:
            _events(panel, run)
            panel.grid(alpha=0.25)
            panel.tick_params(labelsize=8)
            if panel.get_yscale() == "linear":
                panel.set_ylim(bottom=0)
        panels[3].set_xlabel("seconds", fontsize=9)
    for row, label in enumerate(_ROWS):
        axes[row][0].set_ylabel(label, fontsize=9)
        handles: dict[str, Any] = {}
        for column in range(len(shown)):
            drawn_handles, labels = axes[row][column].get_legend_handles_labels()
            handles |= dict(zip(labels, drawn_handles, strict=True))
        if handles:
            axes[row][0].legend(handles.values(), handles.keys(), fontsize=7, loc="upper left", framealpha=0.7)
    buffer = io.BytesIO()
    drawn.savefig(buffer, format="png", dpi=110)
    plt.close(drawn)
    return buffer.getvalue()


def _seconds(run: Run, end: float) -> range:
    return range(max(0, math.ceil(end - run.started)))


def _per_second(run: Run) -> tuple[list[list[float]], list[int]]:
    """Latencies of the good answers, and failures, by the second in which they ended."""
    count = len(_seconds(run, run.ended)) + 1
    answered: list[list[float]] = [[] for _ in range(count)]
    failed = [0] * count
    for request in [*run.requests, *run.flood]:
        second = int(request.done - run.started)
        if 0 <= second < count:
            if request.good:
                answered[second].append(request.latency)
            else:
                failed[second] += 1
    return answered, failed


def _rates(panel: Any, run: Run) -> None:
    answered, failed = _per_second(run)
    seconds = range(len(answered))
    panel.step(seconds, [len(one) for one in answered], where="post", color=BLUE, lw=1.3, label="answered")
    if any(failed):
        panel.step(seconds, failed, where="post", color=VERMILION, lw=1.3, label="failed")


def _latencies(panel: Any, run: Run) -> None:
    answered, _ = _per_second(run)
    for share, colour in ((0.5, SKY), (0.95, BLUE), (0.99, PURPLE)):
        points = [
            (second, sorted(found)[min(len(found) - 1, math.ceil(share * len(found)) - 1)] * 1000)
            for second, found in enumerate(answered)
            if found
        ]
        panel.plot(*zip(*points, strict=True), color=colour, lw=1.1, label=f"p{share * 100:g}") if points else None
    cold = [
        (request.done - run.started, request.latency * 1000)
        for request in run.requests
        if request.cold and request.good
    ]
    if cold:
        panel.plot(*zip(*cold, strict=True), ".", color=ORANGE, ms=5, label="cold start")
    if any(answered):
        from matplotlib import ticker

        panel.set_yscale("log")
        panel.yaxis.set_major_locator(ticker.LogLocator(subs=(1.0, 2.0, 5.0)))
        panel.yaxis.set_major_formatter(ticker.FuncFormatter(lambda value, _: f"{value:g}"))
        panel.yaxis.set_minor_formatter(ticker.NullFormatter())


def _stairs(run: Run, changes: Sequence[tuple[float, float]]) -> tuple[list[float], list[float]]:
    times = [0.0, *(at - run.started for at, _ in changes), run.ended - run.started]
    values = [0.0, *(value for _, value in changes)]
    return times, [*values, values[-1]]


def _concurrency(panel: Any, run: Run) -> None:
    times, values = _stairs(run, run.offered)
    panel.step(times, values, where="post", color="#666666", lw=1.3, label="offered")
    seen = [(sample.at - run.started, sample.in_flight) for sample in run.samples if sample.in_flight is not None]
    if seen:
        panel.plot(*zip(*seen, strict=True), color=BLUE, lw=1.1, label="in flight")


def _pods(panel: Any, run: Run) -> None:
    if run.expected:
        times, values = _stairs(run, [(at, float(pods)) for at, pods in run.expected])
        panel.step(times, values, where="post", color="#666666", lw=1.1, ls=":", label="expected")
    panel.yaxis.get_major_locator().set_params(integer=True)
    times = [sample.at - run.started for sample in run.samples]
    if times:
        desired = [sample.desired if sample.desired is not None else math.nan for sample in run.samples]
        panel.step(times, desired, where="post", color=VERMILION, lw=1.3, label="desired")
        panel.step(times, [sample.ready for sample in run.samples], where="post", color=BLUE, lw=1.6, label="ready")
        panics = [bool(sample.in_panic) for sample in run.samples]
        if any(panics):
            top = max(sample.ready for sample in run.samples) + 1
            panel.fill_between(times, 0, top, where=panics, step="post", color=PURPLE, alpha=0.12, lw=0, label="panic")


def _events(panel: Any, run: Run) -> None:
    for at, kind, _ in run.events:
        if kind in EVENT_COLOURS:
            panel.axvline(at - run.started, color=EVENT_COLOURS[kind], lw=1, ls="--", alpha=0.7)


def _table(summary: Mapping[str, Any], earlier: Mapping[str, Any] | None) -> list[tuple[str, ...]]:
    """Rows of scenario, verdict, check, value, bound and, with an earlier run, its value."""
    before: dict[tuple[str, str], float | None] = {}
    for scenario in (earlier or {}).get("scenarios", []):
        for check in scenario["checks"]:
            before[scenario["scenario"], check["name"]] = check["value"]
    rows: list[tuple[str, ...]] = []
    for scenario in summary["scenarios"]:
        name = scenario["scenario"]
        rows += [(name, "INVALID", reason, *([""] if earlier else [])) for reason in scenario["invalid"]]
        for check in scenario["checks"]:
            old = before.get((name, check["name"]))
            past = ["–" if old is None else f"{old:.4g}"] if earlier else []
            rows.append((name, "pass" if check["passed"] else "FAIL", check["words"], *past))
    return rows


def _scenario_rows(summary: Mapping[str, Any]) -> list[tuple[str, ...]]:
    return [
        (
            one["scenario"],
            one["verdict"],
            str(one["requests"]),
            str(sum(one["failed"].values())),
            *(milliseconds(one["latency"][name]) for name in ("p50", "p95", "p99")),
            str(one["most_pods"]),
            milliseconds(one["generator_lag"]["p99"]),
        )
        for one in summary["scenarios"]
    ]


_SCENARIO_HEADER = ("scenario", "verdict", "requests", "failed", "p50", "p95", "p99", "most pods", "generator lag p99")


def as_markdown(summary: Mapping[str, Any], earlier: Mapping[str, Any] | None = None) -> str:
    """The verdicts as Markdown, for a pull request."""

    def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
        return [f"| {' | '.join(row)} |" for row in (header, ["---"] * len(header), *rows)]

    environment = summary["environment"]
    header = ("scenario", "verdict", "check", *(["before"] if earlier else []))
    machine = f"{environment['cpus']} CPUs, {environment['machine']}, {environment['system']}"
    software = f"Python {environment['python']}, load {environment['load'][0]:.1f}"
    lines = [
        f"# Load test: {'passed' if summary['passed'] else 'FAILED'}",
        "",
        *table(_SCENARIO_HEADER, _scenario_rows(summary)),
        "",
        *table(header, _table(summary, earlier)),
        "",
        f"{machine}, {software}; finished {summary['finished']}.",
        "",
    ]
    return "\n".join(lines)


_STYLE = """
:root { color-scheme: light dark; }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 76rem; margin: 2rem auto; padding: 0 1rem; }
.scroll { overflow-x: auto; }
img { max-width: 100%; background: #fff; }
table { border-collapse: collapse; margin: 1rem 0; font-size: 0.9rem; }
th, td { border-bottom: 1px solid #8886; padding: 0.25rem 0.7rem; text-align: left; vertical-align: top; }
.FAIL, .INVALID { color: #b3261e; font-weight: 700; }
.PASS, .pass { color: #0a7d4b; }
@media (prefers-color-scheme: dark) { .FAIL, .INVALID { color: #ff8a80; } .PASS, .pass { color: #66d9a0; } }
"""


def as_html(summary: Mapping[str, Any], picture: bytes, folder: Path, earlier: Mapping[str, Any] | None = None) -> str:
    """One page that needs nothing but itself; the raw files beside it are linked."""

    def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
        head = "".join(f"<th scope=col>{html.escape(cell)}</th>" for cell in header)
        body = "".join(
            "<tr>" + "".join(f"<td{_class(cell)}>{html.escape(cell)}</td>" for cell in row) + "</tr>" for row in rows
        )
        return f"<div class=scroll><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>"

    environment = [(name, str(value)) for name, value in summary["environment"].items()]
    measured = [(name, f"{value:.4g}") for name, value in sorted(summary["measured"].items())]
    files = sorted(path.relative_to(folder).as_posix() for path in folder.glob("*/*") if path.is_file())
    links = "".join(f'<li><a href="{html.escape(name)}">{html.escape(name)}</a></li>' for name in files)
    header = ("scenario", "verdict", "check", *(["before"] if earlier else []))
    encoded = base64.b64encode(picture).decode()
    word = "passed" if summary["passed"] else "FAILED"
    return f"""<!doctype html>
<html lang=en><head><meta charset=utf-8><meta name=viewport content="width=device-width, initial-scale=1">
<title>Load test: {word}</title><style>{_STYLE}</style></head><body>
<h1>Load test: {word}</h1>
<p>{html.escape(summary["finished"])}</p>
{table(_SCENARIO_HEADER, _scenario_rows(summary))}
<div class=scroll><img alt="Requests per second, latency, concurrency and pods of each scenario over time"
src="data:image/png;base64,{encoded}"></div>
<h2>Verdicts</h2>
{table(header, _table(summary, earlier))}
<h2>Measured</h2>
{table(("figure", "value"), measured)}
<h2>Environment</h2>
{table(("what", "value"), environment)}
<h2>Raw files</h2>
<ul>{links}</ul>
</body></html>
"""


def _class(cell: str) -> str:
    return f' class="{cell}"' if cell in {"PASS", "FAIL", "INVALID", "pass"} else ""
