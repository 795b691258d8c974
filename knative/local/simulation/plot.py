"""The figure of simulated runs: load, pods, queue and latency over one time axis; runs side by side as lines."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from knative.local.simulation.world import Outcome

if TYPE_CHECKING:
    from knative.local.simulation.trace import Trace

# Okabe and Ito's colours, distinguishable with colour blindness.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
_WIDTH_INCHES, _PANEL_INCHES = 9.0, 2.1


def draw(outcomes: Sequence[tuple[str, Outcome]], path: Path, trace: Trace | None = None) -> None:
    """Write the figure; its format is the suffix of `path`. A trace's own pods are drawn under the simulated ones."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    figure, axes = plt.subplots(4, 1, sharex=True, figsize=(_WIDTH_INCHES, 4 * _PANEL_INCHES), layout="constrained")
    first = outcomes[0][1]
    closed = first.world.closed
    axes[0].plot(
        [second.at for second in first.seconds],
        [second.offered for second in first.seconds],
        color="#666666",
        drawstyle="steps-post",
        label="clients" if closed else "offered requests/s",
    )
    for index, (label, outcome) in enumerate(outcomes):
        _run(axes, label, outcome, COLOURS[index % len(COLOURS)], alone=len(outcomes) == 1)
    if trace is not None:
        times = [change.at for change in trace.changes]
        axes[1].step(
            times, [c.desired for c in trace.changes], where="post", color="#000000", lw=1, label="desired, real"
        )
        axes[1].step(
            times, [c.actual for c in trace.changes], where="post", color="#000000", lw=1, ls=":", label="ready, real"
        )
    for axis, title in zip(axes, ("load", "pods", "queued requests", "latency, ms"), strict=True):
        axis.set_ylabel(title)
        axis.grid(alpha=0.3)
        axis.set_ylim(bottom=0)
        if axis.get_legend_handles_labels()[0]:
            axis.legend(loc="upper right", fontsize=8)
    axes[3].set_xlabel("seconds")
    figure.savefig(path, dpi=130)
    plt.close(figure)


def _run(axes: Any, label: str, outcome: Outcome, colour: str, *, alone: bool) -> None:
    rows = outcome.seconds
    seconds = [row.at + 1.0 for row in rows]
    prefix = f"{label}: " if label and not alone else ""
    axes[0].plot(seconds, [row.in_flight for row in rows], color=colour, lw=1.2, label=f"{prefix}in flight")
    axes[1].step(seconds, [row.desired for row in rows], where="post", color=colour, lw=1.6, label=f"{prefix}desired")
    axes[1].step(
        seconds, [row.ready for row in rows], where="post", color=colour, lw=1.2, ls="--", label=f"{prefix}ready"
    )
    top = max(*(row.desired for row in rows), 1)
    panics = [row.in_panic for row in rows]
    axes[1].fill_between(seconds, 0, top, where=panics, step="post", color=colour, alpha=0.08, lw=0)
    axes[2].plot(
        seconds, [row.queued for row in rows], color=colour, lw=1.2, label=f"{prefix}queued" if prefix else None
    )
    lost = [row.refused + row.timed_out for row in rows]
    if any(lost):
        axes[2].plot(seconds, lost, color=colour, lw=1, ls=":", label=f"{prefix}lost/s")
    answered = [(second, row) for second, row in zip(seconds, rows, strict=True) if row.latency is not None]
    axes[3].plot(
        [second for second, _ in answered],
        [(row.latency_p95 or 0.0) * 1000 for _, row in answered],
        color=colour,
        lw=1.2,
        label=f"{prefix}p95" if prefix else "p95 of each second",
    )
