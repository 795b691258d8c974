"""The figure of a run: a column a scenario, its panels over one time axis; and the same as rows of numbers.

The panels are requests/s, latency, concurrency and pods. Events (a kill, an overload, a rollout) are lines
through all of them, panic is a shade. The narrow form has the columns below one another.
"""

from __future__ import annotations

import io
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from knative.local.jsontypes import JsonObject
from knative.local.simulation.world import weighted_quantile
from loadtest.lab import Run
from loadtest.verdict import Verdict

PANELS = ("requests/s", "latency, ms", "concurrency", "pods")
QUANTILES = (0.5, 0.95, 0.99)
# What is worth a line, and its name at that line.
MARKED = {
    "kill": "kill -9",
    "recovered": "back",
    "overload": "3 ×",
    "zero": "no pod",
    "woken": "woken",
    "slow": "slow ones",
    "rollout": "applied",
    "switched": "answers",
}
_COLUMNS = 5
_SECONDS_AN_INCH = 16.0
_LEAST_INCHES = 1.75
_NARROW_INCHES = 4.6
_WIDE_INCHES = 9.0  # at least, also where a single scenario is drawn
_NAME_SHARE = 0.4  # of a column's width: what a name may take
_REFUSED = 503


@dataclass(frozen=True)
class Theme:
    """Colours that people with any colour vision can distinguish (after Okabe and Ito), on a ground of their own."""

    ground: str
    ink: str
    faint: str
    main: str
    second: str
    third: str
    alarm: str
    warm: str
    good: str


LIGHT = Theme("#ffffff", "#1b1f24", "#6b7280", "#0072B2", "#56B4E9", "#AA4499", "#C44E00", "#E69F00", "#0a7d4b")
DARK = Theme("#14171c", "#e6e8eb", "#9aa3ad", "#4FA8E8", "#9AD4F5", "#D98CC0", "#FF8A4D", "#F0B840", "#5fd39b")


@dataclass
class Second:
    """One second of a run; latencies in milliseconds, None where nothing is known."""

    second: int
    answered: int
    failed: int
    refused: int
    latency: tuple[float | None, ...]
    offered: float
    in_flight: float | None
    expected: float
    desired: int | None
    ready: int | None
    events: tuple[str, ...]


def seconds(run: Run) -> list[Second]:
    """The run second by second: what the figure draws, as numbers."""
    count = max(0, math.ceil(run.ended - run.started)) + 1
    good: list[list[float]] = [[] for _ in range(count)]
    failed, refused = [0] * count, [0] * count
    for request in [*run.requests, *run.flood]:
        second = int(request.done - run.started)
        if 0 <= second < count:
            if request.good:
                good[second].append(request.latency * 1000)
            elif request.status == _REFUSED:
                refused[second] += 1
            else:
                failed[second] += 1
    rows = []
    for second in range(count):
        now = run.started + second
        inside = [sample for sample in run.samples if now <= sample.at < now + 1]
        last = inside[-1] if inside else None
        ordered = sorted(good[second])
        rows.append(
            Second(
                second,
                len(ordered),
                failed[second],
                refused[second],
                tuple(weighted_quantile([(value, 1.0) for value in ordered], share) for share in QUANTILES),
                _level(run.offered, now + 1),
                last.in_flight if last else None,
                _level(run.expected, now + 1),
                last.desired if last else None,
                last.ready if last else None,
                tuple(words for at, _, words in run.events if now <= at < now + 1),
            )
        )
    return rows


def _level(changes: Sequence[tuple[float, float]], at: float) -> float:
    """The last level before a time."""
    return next((level for when, level in reversed(changes) if when < at), 0.0)


def draw(
    played: Sequence[tuple[Run, Verdict]],
    theme: Theme = LIGHT,
    *,
    narrow: bool = False,
    before: Mapping[str, Run] | None = None,
) -> bytes:
    """The figure as PNG.

    Args:
        played: the scenarios with their verdicts.
        theme: its colours.
        narrow: whether the columns are below one another.
        before: earlier runs by scenario, dotted on the same axes.
    """
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    shown = [(run, verdict) for run, verdict in played if run.ended > run.started] or list(played)
    size = 1 if narrow else math.ceil(len(shown) / math.ceil(len(shown) / _COLUMNS))  # no row with one alone
    blocks = [shown[first : first + size] for first in range(0, len(shown), size)]
    widths = [
        [max(_LEAST_INCHES, (run.ended - run.started) / _SECONDS_AN_INCH) for run, _ in block] for block in blocks
    ]
    width = _NARROW_INCHES if narrow else max(_WIDE_INCHES, *(sum(block) + 2.0 for block in widths))
    height = (5.6 if narrow else 6.4) * len(blocks)
    with mpl.rc_context(_settings(theme)):
        drawn = plt.figure(figsize=(width, height), layout="constrained")
        parts = drawn.subfigures(len(blocks), 1, squeeze=False)[:, 0]
        for part, block, columns in zip(parts, blocks, widths, strict=True):
            _block(part, block, columns, theme, narrow=narrow, before=before or {})
        buffer = io.BytesIO()
        drawn.savefig(buffer, format="png", dpi=150 if narrow else 130)
        plt.close(drawn)
    return buffer.getvalue()


def _settings(theme: Theme) -> Any:
    ink = dict.fromkeys(("axes.labelcolor", "text.color", "legend.labelcolor"), theme.ink)
    faint = dict.fromkeys(("axes.edgecolor", "xtick.color", "ytick.color", "grid.color"), theme.faint)
    ground = dict.fromkeys(("figure.facecolor", "axes.facecolor", "savefig.facecolor"), theme.ground)
    return {
        **ink,
        **faint,
        **ground,
        "font.size": 9.0,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.grid": True,
        "grid.alpha": 0.22,
        "legend.frameon": False,
        "legend.fontsize": 8.5,
    }


def _block(
    part: Any,
    block: Sequence[tuple[Run, Verdict]],
    widths: list[float],
    theme: Theme,
    *,
    narrow: bool,
    before: Mapping[str, Run],
) -> None:
    """Some scenarios side by side, each a column of panels over its own time."""
    axes = part.subplots(len(PANELS), len(block), sharex="col", squeeze=False, width_ratios=widths)
    for column, (run, verdict) in enumerate(block):
        panels = [axes[row][column] for row in range(len(PANELS))]
        rows = seconds(run)
        _rates(panels[0], rows, theme)
        _latencies(panels[1], run, rows, theme)
        _concurrency(panels[2], run, theme)
        _pods(panels[3], run, theme)
        if run.scenario in before:
            _earlier(panels, before[run.scenario], theme)
        for panel in panels:
            _happenings(panel, run, theme, named=panel is panels[0], inside=narrow)
            if panel.get_yscale() == "linear":
                panel.set_ylim(bottom=0)
            panel.set_xlim(0, max(1.0, run.ended - run.started))
        panels[3].set_xlabel("seconds")
        colour = theme.good if verdict.passed else theme.alarm
        title = f"{run.scenario} · {verdict.word}"
        if narrow:
            part.suptitle(title, fontsize=12, fontweight="bold", color=colour)
        else:
            panels[0].set_title(title, fontsize=11, fontweight="bold", color=colour, pad=16)
    for row, label in enumerate(PANELS):
        named: JsonObject = {}
        for axis in axes[row]:
            handles, labels = axis.get_legend_handles_labels()
            named |= dict(zip(labels, handles, strict=True))
        if narrow:  # the legend in the line of the panel's name
            axes[row][0].set_title(label, loc="left", fontsize=9)
            place = {"loc": "lower right", "bbox_to_anchor": (1.0, 0.98), "ncols": 4, "columnspacing": 0.8}
        else:  # beside the last column, where nothing is drawn
            axes[row][0].set_ylabel(label)
            place = {"loc": "upper left", "bbox_to_anchor": (1.02, 1.0)}
        if named:
            axes[row][-1].legend(named.values(), named.keys(), handlelength=1.4, borderaxespad=0.0, **place)


def _rates(panel: Any, rows: Sequence[Second], theme: Theme) -> None:
    lines = (("answered", theme.main, "answered"), ("refused", theme.warm, "503"), ("failed", theme.alarm, "failed"))
    for name, colour, label in lines:
        counts = [getattr(row, name) for row in rows]
        if name == "answered" or any(counts):
            panel.step([row.second for row in rows], counts, where="post", color=colour, lw=1.5, label=label)


def _latencies(panel: Any, run: Run, rows: Sequence[Second], theme: Theme) -> None:
    colours = (theme.second, theme.main, theme.third)
    for index, (share, colour) in enumerate(zip(QUANTILES, colours, strict=True)):
        points = [(row.second + 0.5, row.latency[index] if row.answered else math.nan) for row in rows]
        if any(row.answered for row in rows):
            style = {"marker": "o", "ms": 1.8} if sum(bool(row.answered) for row in rows) < 8 else {}
            panel.plot(*zip(*points, strict=True), color=colour, lw=1.3, label=f"p{share * 100:g}", **style)
    cold = [(one.done - run.started, one.latency * 1000) for one in run.requests if one.cold and one.good]
    if cold:
        panel.plot(*zip(*cold, strict=True), ".", color=theme.warm, ms=7, label="cold start")
    if any(row.answered for row in rows):
        from matplotlib import ticker

        panel.set_yscale("log")
        panel.yaxis.set_major_locator(ticker.LogLocator(subs=(1.0, 2.0, 5.0), numticks=9))
        panel.yaxis.set_major_formatter(ticker.FuncFormatter(lambda value, _: f"{value:g}"))
        panel.yaxis.set_minor_formatter(ticker.NullFormatter())
        low, high = panel.get_ylim()
        panel.set_ylim(low / 1.25, high * 1.25)


def _stairs(run: Run, changes: Sequence[tuple[float, float]]) -> tuple[list[float], list[float]]:
    times = [0.0, *(at - run.started for at, _ in changes), run.ended - run.started]
    values = [0.0, *(value for _, value in changes)]
    return times, [*values, values[-1]]


def _concurrency(panel: Any, run: Run, theme: Theme) -> None:
    times, values = _stairs(run, run.offered)
    panel.step(times, values, where="post", color=theme.faint, lw=1.5, label="offered")
    seen = [(sample.at - run.started, sample.in_flight) for sample in run.samples if sample.in_flight is not None]
    if seen:
        panel.plot(*zip(*seen, strict=True), color=theme.main, lw=1.3, label="in flight")


def _pods(panel: Any, run: Run, theme: Theme) -> None:
    if run.expected:
        times, values = _stairs(run, [(at, float(pods)) for at, pods in run.expected])
        panel.step(times, values, where="post", color=theme.faint, lw=1.3, ls=(0, (2, 1.5)), label="expected")
    times = [sample.at - run.started for sample in run.samples]
    if times:
        desired = [sample.desired if sample.desired is not None else math.nan for sample in run.samples]
        panel.step(times, desired, where="post", color=theme.alarm, lw=1.3, label="desired")
        panel.step(times, [sample.ready for sample in run.samples], where="post", color=theme.main, lw=2, label="ready")
    panel.yaxis.get_major_locator().set_params(integer=True)


def _earlier(panels: Sequence[Any], run: Run, theme: Theme) -> None:
    """The same panels of an earlier run, dotted: answers, p95, requests in flight, ready pods."""
    style = {"color": theme.ink, "lw": 1.1, "ls": (0, (1, 1.5)), "alpha": 0.75}
    rows = seconds(run)
    panels[0].step([row.second for row in rows], [row.answered for row in rows], where="post", label="before", **style)
    p95 = [(row.second + 0.5, row.latency[1]) for row in rows if row.answered]
    if p95:
        panels[1].plot(*zip(*p95, strict=True), label="p95 before", **style)
    seen = [(sample.at - run.started, sample.in_flight) for sample in run.samples if sample.in_flight is not None]
    if seen:
        panels[2].plot(*zip(*seen, strict=True), label="before", **style)
    ready = [(sample.at - run.started, sample.ready) for sample in run.samples]
    if ready:
        panels[3].step(*zip(*ready, strict=True), where="post", label="ready before", **style)


def _happenings(panel: Any, run: Run, theme: Theme, *, named: bool, inside: bool) -> None:
    """Panic as a shade, all else that is worth a line as one, with its name above the first panel or inside of it."""
    times = [sample.at - run.started for sample in run.samples]
    panics = [bool(sample.in_panic) for sample in run.samples]
    if any(panics):
        frame = panel.get_xaxis_transform()
        shade = {"color": theme.third, "alpha": 0.13, "lw": 0, "label": "panic" if named else None}
        panel.fill_between(times, 0, 1, where=panics, step="post", transform=frame, **shade)
    marks = sorted((at - run.started, MARKED[kind]) for at, kind, _ in run.events if kind in MARKED)
    for index, (at, name) in enumerate(marks):
        panel.axvline(at, color=theme.alarm, lw=1, ls=(0, (4, 2)), alpha=0.8)
        if named:
            # Two names beside one another turn away from each other.
            near = _NAME_SHARE * (run.ended - run.started)
            left = index + 1 < len(marks) and marks[index + 1][0] - at < near
            right = index > 0 and at - marks[index - 1][0] < near
            late = at > (run.ended - run.started) * (1 - _NAME_SHARE)
            alone = "center" if not inside else "right" if late else "left"
            side = "right" if left else "left" if right else alone
            place = {"xy": (at, 1.0), "xycoords": panel.get_xaxis_transform(), "annotation_clip": False}
            shift = {"left": 2, "right": -2, "center": 0}[side] if inside else 0
            offset = {"xytext": (shift, -2 if inside else 2), "textcoords": "offset points", "ha": side}
            offset["va"] = "top" if inside else "bottom"
            panel.annotate(name, **place, **offset, fontsize=7.5, color=theme.alarm)
