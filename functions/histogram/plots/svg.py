"""The SVG renderer: one string, a path a series, text that stays text."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache
from xml.sax.saxutils import escape

from functions.histogram.plots.chart import RGB, Chart, Frame, fitted, frame

# A legend's words are not measured: this is the mean advance of a sans serif letter at 12 pixels.
_LETTER = 6.4
# Text may hold what XML may not: these two are not characters.
_NOT_XML = {0xFFFE: None, 0xFFFF: None}


def render(chart: Chart) -> str:
    """The chart as an SVG document of `chart.width` × `chart.height` pixels, drawn at the usual size and enlarged."""
    zoom, size = chart.zoom, (chart.width, chart.height)
    if zoom > 1:
        chart = replace(chart, width=round(chart.width / zoom), height=round(chart.height / zoom))
    area = frame(chart)
    theme = chart.theme
    title = escaped(chart.title)
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{size[0]}" height="{size[1]}" '
        f'viewBox="0 0 {chart.width} {chart.height}" role="img" font-family="system-ui,sans-serif" font-size="12">'
        f"<title>{title or 'Histogram'}</title><desc>{chart.describe()}</desc>"
        f'<rect width="100%" height="100%" fill="{_hex(theme.background)}"/>'
    )
    parts = [head, "" if chart.small else _grid(chart, area)]
    for name, counts in chart.fills.items():
        path = _steps(chart.scaled(counts), area) + f"V{area.top + area.height}H{area.left}Z"
        parts.append(f'<path d="{path}" fill="{_hex(chart.colour(name))}" style="mix-blend-mode:{chart.blending}"/>')
    if chart.outline is not None:
        path = _steps(chart.scaled(chart.outline), area)
        parts.append(f'<path d="{path}" fill="none" stroke="{_hex(theme.outline)}"/>')
    bottom, right = area.top + area.height, area.left + area.width
    axis = f"M{area.left - 0.5} {area.top}V{bottom + 0.5}H{right}"
    parts.append(f'<path d="{axis}" fill="none" stroke="{_hex(theme.text)}"/>')
    if not chart.small:
        parts.append(_words(chart, area, title))
    if chart.clipping:
        parts.append(_clipping(chart, area))
    parts.append("</svg>")
    return "".join(parts)


def escaped(text: str) -> str:
    """Text as XML can hold it."""
    return escape(text.translate(_NOT_XML))


def _hex(colour: RGB) -> str:
    return "#{:02x}{:02x}{:02x}".format(*colour)


def _number(value: float) -> str:
    """At most one decimal: a tenth of a pixel is beyond what the eye sees."""
    return f"{value:.1f}".removesuffix(".0")


def _steps(heights: Sequence[float], area: Frame) -> str:
    """A path over the tops of the bins, from the lower left corner; runs of one height are one line."""
    heights = fitted(heights, area.width)
    base = area.top + area.height
    across = _across(area.left, area.width, len(heights))
    # What is not empty rises by a pixel at least: a lone pixel of the image is not to vanish.
    tops = [base - max(1.0, height * area.height) if height else base for height in heights]
    path = [f"M{area.left} {base}"]
    last: float = base
    for index, top in enumerate(tops):
        if top != last:
            if index:
                path.append(across[index])
            path.append(f"V{top:.1f}")
            last = top
    path.append(f"H{area.left + area.width}")
    return "".join(path)


@lru_cache(maxsize=16)
def _across(left: int, width: int, bins: int) -> list[str]:
    """Commands to the left edges of the bins: the same for every series, and most plots have the usual size."""
    return [f"H{left + index * width / bins:.1f}" for index in range(bins)]


def _grid(chart: Chart, area: Frame) -> str:
    bottom, right = area.top + area.height, area.left + area.width
    lines = "".join(f"M{area.left} {_number(bottom - at * area.height)}H{right}" for at, _ in chart.y_ticks() if at)
    return f'<path d="{lines}" stroke="{_hex(chart.theme.grid)}"/>' if lines else ""


def _words(chart: Chart, area: Frame, title: str) -> str:
    bottom, right = area.top + area.height, area.left + area.width
    middle = area.top + area.height / 2
    row = chart.height - 8
    ticks, words = [], []
    x_ticks = chart.x_ticks()
    for at, label in x_ticks:
        x = _number(area.left + at * area.width)
        ticks.append(f"M{x} {bottom}v4")
        # The last one would reach beyond the picture if it were long.
        place = (
            f'x="{chart.width - 4}" text-anchor="end"' if label == x_ticks[-1][1] else f'x="{x}" text-anchor="middle"'
        )
        words.append(f'<text {place} y="{bottom + 15}">{label}</text>')
    for at, label in chart.y_ticks():
        y = bottom - at * area.height
        ticks.append(f"M{area.left} {_number(y)}h-5")
        words.append(f'<text x="{area.left - 8}" y="{_number(y + 4)}" text-anchor="end">{label}</text>')
    legend = chart.legend()
    x_name = f'x="{right}" text-anchor="end"' if legend else f'x="{(area.left + right) // 2}" text-anchor="middle"'
    words.append(f'<text {x_name} y="{row}">{chart.x_name}</text>')
    words.append(
        f'<text x="13" y="{_number(middle)}" text-anchor="middle" transform="rotate(-90 13 {_number(middle)})">'
        f"{chart.y_name}</text>"
    )
    if title:
        words.append(f'<text x="{chart.width // 2}" y="20" text-anchor="middle" font-size="15">{title}</text>')
    marks = []
    x_at: float = area.left
    for index, name in enumerate(legend):
        shade = _hex(chart.blend(1 << index))
        marks.append(f'<rect x="{_number(x_at)}" y="{row - 9}" width="10" height="10" fill="{shade}"/>')
        words.append(f'<text x="{_number(x_at + 14)}" y="{row}">{name}</text>')
        x_at += 14 + len(name) * _LETTER + 12
    if legend and chart.outline is not None:
        marks.append(f'<path d="M{_number(x_at)} {row - 4}h10" stroke="{_hex(chart.theme.outline)}"/>')
        words.append(f'<text x="{_number(x_at + 14)}" y="{row}">luminance</text>')
    ink = _hex(chart.theme.text)
    return f'<path d="{"".join(ticks)}" stroke="{ink}"/>{"".join(marks)}<g fill="{ink}">{"".join(words)}</g>'


def _clipping(chart: Chart, area: Frame) -> str:
    """A triangle for each clipped series in the corner of its end, the largest share beside them, and cut spikes."""
    right = area.left + area.width
    parts = []
    for end, (x, inward, anchor, label) in enumerate(
        zip((area.left, right), (1, -1), ("start", "end"), chart.clipping_labels(), strict=True)
    ):
        names = chart.clipped(end)
        for index, name in enumerate(names):
            at = x + 11 * index * inward
            parts.append(f'<path d="M{at} {area.top}h{9 * inward}L{at} {area.top + 9}Z" fill="{_mark(chart, name)}"/>')
        if chart.cut[end]:
            parts.append(
                f'<path d="M{x - 2} {area.top + 14}l{7 * inward} -4M{x - 2} {area.top + 18}l{7 * inward} -4" '
                f'stroke="{_hex(chart.theme.text)}"/>'
            )
        if label and not chart.small:
            at = x + (3 + 11 * len(names)) * inward
            ink = _hex(chart.theme.clipping)
            parts.append(
                f'<text x="{at}" y="{area.top + 9}" text-anchor="{anchor}" fill="{ink}">{escape(label)}</text>'
            )
    return f"<g>{''.join(parts)}</g>"


def _mark(chart: Chart, name: str) -> str:
    return _hex(chart.mark_colour(name))
