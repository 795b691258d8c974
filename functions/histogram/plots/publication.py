"""The matplotlib renderer: PNG, SVG or PDF for print. Imported only when asked for.

`stairs` draws what `bar` does at a ninth of the cost: the artists are the cost. Overlaps are drawn as areas of their
own in the chart's blended colours, as matplotlib and PDF viewers have no common blending.
"""

from __future__ import annotations

import os
import shutil
import tempfile
import threading
from functools import reduce
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

from functions.histogram.plots.chart import RGB, TOP_ROOM, Chart, Theme

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_DPI = 100
# Every call has a Figure of its own, yet fonts and their cache are the process's: one drawing at a time.
_drawing = threading.Lock()


def render(chart: Chart, kind: str) -> bytes:
    """The chart in the format `kind`: png, svg or pdf, of `chart.width` × `chart.height` pixels at 100 a inch."""
    os.environ.setdefault("MPLBACKEND", "agg")
    with _drawing:
        _writable_cache()
        import matplotlib as mpl
        from matplotlib.figure import Figure

        # A hash salt and no date: the same chart is the same bytes. Text stays text in SVG and TrueType in PDF.
        settings: Any = {"svg.hashsalt": "pixelamp", "svg.fonttype": "none", "pdf.fonttype": 42}
        settings["font.size"] = 9 * chart.zoom
        with mpl.rc_context(settings):
            figure = Figure(
                figsize=(chart.width / _DPI, chart.height / _DPI),
                dpi=_DPI,
                facecolor=_share(chart.theme.background),
                layout=None if chart.small else "constrained",
            )
            axes = figure.add_axes((0.0, 0.0, 1.0, 1.0)) if chart.small else figure.add_subplot()
            _draw(axes, chart)
            out = BytesIO()
            metadata = {"svg": {"Date": None}, "pdf": {"CreationDate": None}}.get(kind)
            figure.savefig(out, format=kind, metadata=metadata)
    return out.getvalue()


def _writable_cache() -> None:
    """Copy what an image prepared in MPLCONFIGDIR to where it can be written.

    matplotlib passes over a directory that it cannot write, and would look through all fonts anew in every container.
    """
    prepared = os.environ.get("MPLCONFIGDIR")
    if prepared and Path(prepared).is_dir() and not os.access(prepared, os.W_OK):
        os.environ["MPLCONFIGDIR"] = shutil.copytree(
            prepared, tempfile.mkdtemp(prefix="matplotlib-"), dirs_exist_ok=True, copy_function=shutil.copyfile
        )


def _share(colour: RGB) -> tuple[float, float, float]:
    red, green, blue = colour
    return red / 255, green / 255, blue / 255


def _draw(axes: Axes, chart: Chart) -> None:
    import numpy as np

    theme = chart.theme
    edges = np.linspace(0, chart.levels, chart.bins + 1)
    fills = {name: np.asarray(counts, float) for name, counts in chart.fills.items()}
    for mask in range(1, 1 << len(fills)):
        inside = [counts for index, counts in enumerate(fills.values()) if mask >> index & 1]
        outside = [counts for index, counts in enumerate(fills.values()) if not mask >> index & 1]
        top = reduce(np.minimum, inside)
        floor = reduce(np.maximum, outside, np.zeros(chart.bins))
        if (top > floor).any():
            shade = _share(chart.blend(mask))
            axes.stairs(np.maximum(top, floor), edges, baseline=floor, fill=True, color=shade, linewidth=0)
    if chart.outline is not None:
        axes.stairs(chart.outline, edges, color=_share(theme.outline), linewidth=0.8, baseline=0)
    axes.set_xlim(0, chart.levels)
    if chart.scale == "log":
        axes.set_yscale("function", functions=(np.log1p, np.expm1))
        highest = (1 + chart.peak) ** TOP_ROOM - 1
    elif chart.scale == "sqrt":
        axes.set_yscale("function", functions=(np.sqrt, np.square))
        highest = chart.peak * TOP_ROOM**2
    else:
        highest = chart.peak * TOP_ROOM
    axes.set_ylim(0, highest)
    axes.set_facecolor(_share(theme.background))
    if chart.small:
        axes.set_axis_off()
    else:
        _label(axes, chart, theme)
    _mark_clipping(axes, chart, theme)


def _label(axes: Axes, chart: Chart, theme: Theme) -> None:
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    ink = _share(theme.text)
    x_ticks, y_ticks = chart.x_ticks(), chart.y_values()
    axes.set_xticks([at * chart.levels for at, _ in x_ticks], [label for _, label in x_ticks])
    axes.set_yticks([value for value, _ in y_ticks], [label for _, label in y_ticks], minor=False)
    axes.minorticks_off()
    axes.set_xlabel(chart.x_name, color=ink)
    axes.set_ylabel(chart.y_name, color=ink)
    axes.tick_params(colors=ink)
    axes.grid(axis="y", color=_share(theme.grid), zorder=0)
    axes.set_axisbelow(True)
    for side, spine in axes.spines.items():
        spine.set_visible(side in {"left", "bottom"})
        spine.set_color(ink)
    if chart.title:
        # A dollar sign in a file name does not begin a formula.
        axes.set_title(chart.title, color=ink, parse_math=False)
    if chart.legend():
        handles: list[Patch | Line2D] = [
            Patch(color=_share(chart.blend(1 << index)), label=name) for index, name in enumerate(chart.fills)
        ]
        if chart.outline is not None:
            handles.append(Line2D([], [], color=_share(theme.outline), linewidth=0.8, label="luminance"))
        axes.figure.legend(
            handles=handles,
            loc="outside lower left",
            ncols=len(handles),
            frameon=False,
            labelcolor=[ink] * len(handles),
        )


def _mark_clipping(axes: Axes, chart: Chart, theme: Theme) -> None:
    """A triangle for each clipped series in the corner of its end, the largest share beside them, and cut spikes."""
    step = 8 * chart.zoom  # points
    for end, (side, label) in enumerate(zip(("left", "right"), chart.clipping_labels(), strict=True)):
        inward = 1 if side == "left" else -1
        names = chart.clipped(end)
        words = [("◤" if inward > 0 else "◥", chart.mark_colour(name)) for name in names]
        if label:
            words.append((label, theme.clipping))
        for index, (word, shade) in enumerate(words):
            axes.annotate(
                word,
                (end, 1.0),
                xytext=(inward * index * step, 0),
                xycoords="axes fraction",
                textcoords="offset points",
                ha=side,
                va="top",
                color=_share(shade),
                annotation_clip=False,
            )
        if chart.cut[end]:
            for height in (0.9, 0.92):
                xs, ys = (end - 0.012, end + 0.012), (height, height + 0.02)
                axes.plot(xs, ys, transform=axes.transAxes, color=_share(theme.text), linewidth=0.8, clip_on=False)
