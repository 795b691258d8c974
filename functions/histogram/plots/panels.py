"""A parade: one plot for each series, side by side."""

from __future__ import annotations

from dataclasses import replace
from io import BytesIO

from functions.histogram.plots import raster, svg
from functions.histogram.plots.chart import Chart

_TITLE = 24  # pixels above the panels
_NAMED = 60  # pixels; a narrower panel has no room for its name


def panels(chart: Chart) -> list[Chart]:
    """A chart for each series of one, with the same vertical axis; the title is the series' name."""
    series = {**chart.fills, **({"luminance": chart.outline} if chart.outline is not None else {})}
    width = max(32, chart.width // len(series))
    marks = chart.clipping or {}
    listed = []
    for name, counts in series.items():
        fill = "gray" if name == "luminance" else name
        pair = marks.get(name)
        listed.append(
            replace(
                chart,
                fills={fill: counts},
                outline=None,
                width=width,
                title=name,
                clipping={fill: pair} if pair else None,
                highest=chart.peak,
            )
        )
    return listed


def render(chart: Chart, kind: str) -> bytes:
    """The panels in the format `kind`: png, svg or pdf, of `chart.width` × `chart.height` pixels."""
    top = round(_TITLE * chart.zoom) if chart.title and not chart.small else 0
    shown = panels(replace(chart, height=chart.height - top))
    return _svg(chart, shown, top) if kind == "svg" else _raster(chart, shown, top, kind)


def _svg(chart: Chart, shown: list[Chart], top: int) -> bytes:
    inner = "".join(
        svg.render(each).replace("<svg ", f'<svg x="{index * each.width}" y="{top}" ', 1)
        for index, each in enumerate(shown)
    )
    ink = "#{:02x}{:02x}{:02x}".format(*chart.theme.text)
    names = "".join(
        f'<text x="{index * each.width + 30}" y="{top + 12}" fill="{ink}">{each.title}</text>'
        for index, each in enumerate(shown)
        if each.small
    )
    if top:
        names += (
            f'<text x="{chart.width // 2}" y="{round(top * 0.75)}" text-anchor="middle" '
            f'font-size="{round(15 * chart.zoom)}" fill="{ink}">{svg.escaped(chart.title)}</text>'
        )
    ground = "#{:02x}{:02x}{:02x}".format(*chart.theme.background)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{chart.width}" height="{chart.height}" '
        f'viewBox="0 0 {chart.width} {chart.height}" font-family="system-ui,sans-serif" font-size="12">'
        f'<rect width="100%" height="100%" fill="{ground}"/>{inner}{names}</svg>'
    ).encode()


def _raster(chart: Chart, shown: list[Chart], top: int, kind: str) -> bytes:
    from PIL import Image, ImageDraw

    picture = Image.new("RGB", (chart.width, chart.height), chart.theme.background)
    draw = ImageDraw.Draw(picture)
    for index, each in enumerate(shown):
        with Image.open(BytesIO(raster.render(each))) as drawn:
            picture.paste(drawn.convert("RGB"), (index * each.width, top))
        if each.small and each.width > _NAMED:
            at = (index * each.width + _NAMED // 2, top + 2)
            draw.text(at, each.title, fill=each.theme.text, font=raster.font(11))
    if top:
        anchor = "mt" if "\n" not in chart.title else None
        at = (chart.width // 2, round(6 * chart.zoom))
        draw.text(at, chart.title, fill=chart.theme.text, font=raster.font(round(14 * chart.zoom)), anchor=anchor)
    out = BytesIO()
    if kind == "pdf":
        picture.save(out, "PDF", resolution=100.0, creationDate=None, modDate=None)
    else:
        picture.quantize(128, dither=Image.Dither.NONE).save(out, "PNG")
    return out.getvalue()
