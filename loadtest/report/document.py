"""The report: verdicts, the figure and its numbers, environment; HTML for people, Markdown for a review."""

from __future__ import annotations

import base64
import html
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from knative.local.jsontypes import JsonMapping
from loadtest.generators.latency import milliseconds, quantile_name
from loadtest.lab import Run
from loadtest.report.figure import DARK, LIGHT, QUANTILES, draw, seconds
from loadtest.verdict import Verdict

_NARROW_PIXELS = 760
_WORDS = {"PASS": "✓ PASS", "FAIL": "✗ FAIL", "INVALID": "? INVALID"}
_SCENARIO_HEADER = ("scenario", "verdict", "requests", "failed", "p50", "p95", "p99", "most pods", "generator lag p99")


def write(
    played: Sequence[tuple[Run, Verdict]],
    summary: JsonMapping,
    folder: Path,
    earlier: JsonMapping | None,
    runs: Mapping[str, Run] | None = None,
) -> None:
    """Write report.html, report.md and load.png into `folder`.

    Args:
        played: the scenarios with their verdicts.
        summary: verdict.json.
        folder: where to.
        earlier: verdict.json of an earlier report, for the differences in the tables.
        runs: runs of the earlier report by scenario, drawn on the same axes.
    """
    before = runs or {}
    wide = draw(played, before=before)
    (folder / "load.png").write_bytes(wide)
    pictures = {
        ("light", "wide"): wide,
        ("dark", "wide"): draw(played, DARK, before=before),
        ("light", "narrow"): draw(played, LIGHT, narrow=True, before=before),
        ("dark", "narrow"): draw(played, DARK, narrow=True, before=before),
    }
    (folder / "report.html").write_text(as_html(played, summary, pictures, folder, earlier))
    (folder / "report.md").write_text(as_markdown(summary, earlier))


def verdict_line(summary: JsonMapping) -> str:
    """The run in a sentence."""
    scenarios = summary["scenarios"]
    passed = sum(one["verdict"] == "PASS" for one in scenarios)
    checks = [check for one in scenarios for check in one["checks"]]
    kept = sum(check["passed"] for check in checks)
    requests = sum(one["requests"] for one in scenarios)
    rest = {word: [one["scenario"] for one in scenarios if one["verdict"] == word] for word in ("FAIL", "INVALID")}
    named = "".join(f"; {word}: {', '.join(names)}" for word, names in rest.items() if names)
    count = f"{passed} of {len(scenarios)} scenarios passed, {kept} of {len(checks)} checks passed"
    return f"{count}, {requests:,} requests{named}"


def as_markdown(summary: JsonMapping, earlier: JsonMapping | None = None) -> str:
    """The verdicts as Markdown, for a pull request."""

    def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
        return [f"| {' | '.join(row)} |" for row in (header, ["---"] * len(header), *rows)]

    checks = [
        (one["scenario"], *cells) for one in summary["scenarios"] for cells in _check_rows(one, _before(one, earlier))
    ]
    header = ("scenario", "verdict", "check", *_compared_header(earlier))
    lines = [
        f"# Load test: {'passed' if summary['passed'] else 'FAILED'}",
        "",
        f"{verdict_line(summary)}.",
        "",
        *table((*_SCENARIO_HEADER, *_scenario_compared_header(earlier)), _scenario_rows(summary, earlier)),
        "",
        *table(header, checks),
        "",
        f"{_machine(summary)}; finished {summary['finished']}{_since(earlier)}.",
        "",
    ]
    return "\n".join(lines)


def _machine(summary: JsonMapping) -> str:
    environment = summary["environment"]
    machine = f"{environment['cpus']} CPUs, {environment['machine']}, {environment['system']}"
    return f"{machine}, Python {environment['python']}, load {environment['load'][0]:.1f}"


def _since(earlier: JsonMapping | None) -> str:
    return f", compared with the run of {earlier['finished']}" if earlier else ""


def _before(scenario: JsonMapping, earlier: JsonMapping | None) -> JsonMapping | None:
    """The same scenario of an earlier run; an empty one where that did not play it; None without an earlier run."""
    if earlier is None:
        return None
    same = (one for one in earlier["scenarios"] if one["scenario"] == scenario["scenario"])
    return next(same, {"checks": [], "latency": {}})


def _compared_header(earlier: JsonMapping | None) -> tuple[str, ...]:
    return ("before", "change") if earlier else ()


def _scenario_compared_header(earlier: JsonMapping | None) -> tuple[str, ...]:
    return ("p95 before", "change") if earlier else ()


def _change(now: float | None, before: float | None) -> str:
    if now is None or before is None:
        return "–"
    if now == before:
        return "="
    return f"{(now - before) / before:+.0%}" if before else f"{now - before:+.4g}"


def _check_rows(scenario: JsonMapping, before: JsonMapping | None) -> list[tuple[str, ...]]:
    """Verdict and text of each check, and with an earlier run its value then and the change."""
    rows: list[tuple[str, ...]] = []
    blank = () if before is None else ("", "")
    rows += [("INVALID", reason, *blank) for reason in scenario["invalid"]]
    rows += [("not checked", what, *blank) for what in scenario.get("unchecked", ())]
    rows += [("request path", scenario["path"], *blank)] if scenario.get("path") else []
    values = {check["name"]: check["value"] for check in (before or {"checks": []})["checks"]}
    for check in scenario["checks"]:
        old = values.get(check["name"])
        past = () if before is None else ("–" if old is None else f"{old:.4g}", _change(check["value"], old))
        rows.append(("pass" if check["passed"] else "FAIL", check["words"], *past))
    return rows


def _scenario_rows(summary: JsonMapping, earlier: JsonMapping | None) -> list[tuple[str, ...]]:
    rows = []
    for one in summary["scenarios"]:
        before = _before(one, earlier)
        latency = one["latency"]
        then = () if before is None else (milliseconds(before["latency"].get("p95")),)
        change = () if before is None else (_change(latency["p95"], before["latency"].get("p95")),)
        rows.append(
            (
                one["scenario"],
                one["verdict"],
                f"{one['requests']:,}",
                ", ".join(f"{count} × {kind}" for kind, count in one["failed"].items()) or "0",
                *(milliseconds(latency[name]) for name in ("p50", "p95", "p99")),
                str(one["most_pods"]),
                milliseconds(one["generator_lag"]["p99"]),
                *then,
                *change,
            )
        )
    return rows


_STYLE = """
:root { color-scheme: light dark; --ink: #1b1f24; --faint: #59636e; --ground: #fff; --line: #d8dee4; --raised: #f6f8fa;
  --good: #0a6b42; --bad: #b3261e; --link: #0550ae; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6e8eb; --faint: #9aa3ad; --ground: #14171c; --line: #30363d;
  --raised: #1c2128; --good: #5fd39b; --bad: #ff8a80; --link: #79b8ff; } }
* { box-sizing: border-box; }
body { font: 16px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--ground); max-width: 80rem;
  margin: 0 auto; padding: 2rem 1rem 4rem; }
h1 { font-size: 1.7rem; line-height: 1.2; margin: 0; }
h2 { font-size: 1.2rem; margin: 2.5rem 0 0.5rem; }
.verdict { font-size: 1.1rem; margin: 0.5rem 0 0; overflow-wrap: anywhere; }
.meta, figcaption { color: var(--faint); font-size: 0.9rem; margin: 0.25rem 0 0; }
figure { margin: 1.5rem 0 0; }
img { display: block; width: 100%; height: auto; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; font-size: 0.9rem; font-variant-numeric: tabular-nums; }
th, td { border-bottom: 1px solid var(--line); padding: 0.3rem 0.8rem 0.3rem 0; text-align: left;
  vertical-align: top; }
th { font-weight: 600; white-space: nowrap; }
.wide th, .wide td { white-space: nowrap; }
.FAIL, .INVALID { color: var(--bad); font-weight: 700; }
.PASS, .pass { color: var(--good); }
.PASS { font-weight: 700; }
details { border: 1px solid var(--line); border-radius: 6px; margin: 0.5rem 0; padding: 0 0.8rem; }
summary { cursor: pointer; padding: 0.5rem 0; }
details[open] > summary { border-bottom: 1px solid var(--line); margin-bottom: 0.5rem; }
a { color: var(--link); }
ul { padding-left: 1.2rem; columns: 16rem; }
li { overflow-wrap: anywhere; }
:focus-visible { outline: 2px solid var(--link); outline-offset: 2px; }
"""


def as_html(
    played: Sequence[tuple[Run, Verdict]],
    summary: JsonMapping,
    pictures: Mapping[tuple[str, str], bytes],
    folder: Path,
    earlier: JsonMapping | None = None,
) -> str:
    """One page that needs nothing but itself; the raw files beside it are linked."""
    word = "passed" if summary["passed"] else "FAILED"
    badge = "PASS" if summary["passed"] else "FAIL"
    checks = "".join(_checks(one, earlier) for one in summary["scenarios"])
    twins = "".join(_twin(run) for run, _ in played if run.ended > run.started)
    measured = [
        (" ".join(name.removesuffix("_seconds").split("_")), f"{value:.3g}{' s' if name.endswith('_seconds') else ''}")
        for name, value in sorted(summary["measured"].items())
    ]
    environment = [
        (name, " ".join(f"{one:.2f}" for one in value) if isinstance(value, list | tuple) else str(value))
        for name, value in summary["environment"].items()
    ]
    files = sorted(path.relative_to(folder).as_posix() for path in folder.glob("*/*") if path.is_file())
    links = "".join(f'<li><a href="{html.escape(name)}">{html.escape(name)}</a></li>' for name in files)
    finished = summary["finished"] + _since(earlier)
    scenarios = _table(
        (*_SCENARIO_HEADER, *_scenario_compared_header(earlier)), _scenario_rows(summary, earlier), "wide", "Scenarios"
    )
    return f"""<!doctype html>
<html lang=en><head><meta charset=utf-8><meta name=viewport content="width=device-width, initial-scale=1">
<title>Load test {word}</title><style>{_STYLE}</style></head><body>
<header><h1>Load test <span class={badge}>{word}</span></h1>
<p class=verdict>{html.escape(verdict_line(summary))}.</p>
<p class=meta>{html.escape(_machine(summary))} · finished {html.escape(finished)}</p></header>
<main>
<figure>{_picture(pictures)}
<figcaption>Seconds count from the start of each scenario. Latency is of successful answers, on a logarithmic scale.
Pods expected are ⌈concurrency / target⌉ within min-scale and max-scale; desired is the autoscaler's decision. The same
as numbers: <a href="#numbers">below</a>.</figcaption></figure>
<h2>Scenarios</h2>
{scenarios}
<h2>Verdicts</h2>
{checks}
<h2 id=numbers>The figure as numbers</h2>
{twins}
<h2>Measured</h2>
{_table(("figure", "value"), measured, "", "Measured")}
<h2>Environment</h2>
{_table(("what", "value"), environment, "", "Environment")}
<h2>Raw files</h2>
<ul>{links}</ul>
</main>
<footer class=meta>To compare with another run: <code>make loadtest ARGS='--against earlier --out now'</code>.
For a review: <a href="report.md">report.md</a>; for a machine: <a href="verdict.json">verdict.json</a>.</footer>
</body></html>
"""


def _picture(pictures: Mapping[tuple[str, str], bytes]) -> str:
    """The figure that suits the window and its colours."""

    def data(theme: str, form: str) -> str:
        return f"data:image/png;base64,{base64.b64encode(pictures[theme, form]).decode()}"

    dark, narrow = "(prefers-color-scheme: dark)", f"(max-width: {_NARROW_PIXELS}px)"
    return (
        "<picture>"
        f'<source media="{dark} and {narrow}" srcset="{data("dark", "narrow")}">'
        f'<source media="{narrow}" srcset="{data("light", "narrow")}">'
        f'<source media="{dark}" srcset="{data("dark", "wide")}">'
        '<img alt="Requests a second, latency, concurrency and pods of each scenario over time; the numbers are below"'
        f' src="{data("light", "wide")}"></picture>'
    )


def _checks(scenario: JsonMapping, earlier: JsonMapping | None) -> str:
    """A scenario's checks, shown where one was not kept."""
    name, word = scenario["scenario"], scenario["verdict"]
    kept = sum(check["passed"] for check in scenario["checks"])
    rows = _check_rows(scenario, _before(scenario, earlier))
    table = _table(("verdict", "check", *_compared_header(earlier)), rows, "", f"Checks of {name}")
    line = f"<b>{html.escape(name)}</b> <span class={word}>{_WORDS[word]}</span>"
    count = f"{kept} of {len(scenario['checks'])} checks passed"
    opened = " open" if word != "PASS" or earlier else ""
    summary_line = f"{line} · {html.escape(scenario['about'])} · {count}"
    return f"<details{opened}><summary>{summary_line}</summary>{table}</details>"


def _twin(run: Run) -> str:
    """A scenario's part of the figure, second by second."""

    def number(value: float | None) -> str:
        return "–" if value is None else f"{value:.3g}" if value < 1000 else f"{value:.0f}"

    header = ("second", "answered", "503", "failed", *(f"{quantile_name(share)} ms" for share in QUANTILES))
    header = (*header, "offered", "in flight", "expected", "desired", "ready", "events")
    rows = [
        (
            *map(str, (row.second, row.answered, row.refused, row.failed)),
            *map(number, row.latency),
            *map(number, (row.offered, row.in_flight, row.expected, row.desired, row.ready)),
            "; ".join(row.events),
        )
        for row in seconds(run)
    ]
    table = _table(header, rows, "wide", f"{run.scenario}, second by second")
    return f"<details><summary><b>{html.escape(run.scenario)}</b>, second by second</summary>{table}</details>"


def _table(header: Sequence[str], rows: Iterable[Sequence[str]], kind: str, name: str) -> str:
    head = "".join(f"<th scope=col>{html.escape(cell)}</th>" for cell in header)
    body = "".join("<tr>" + "".join(_cell(cell) for cell in row) + "</tr>" for row in rows)
    classed = f' class="{kind}"' if kind else ""
    frame = f'<div class=scroll tabindex=0 role=region aria-label="{html.escape(name)}">'
    return f"{frame}<table{classed}><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>"


def _cell(cell: str) -> str:
    if cell in _WORDS or cell == "pass":
        return f'<td class="{cell}">{html.escape(_WORDS.get(cell, cell))}</td>'
    return f"<td>{html.escape(cell)}</td>"
