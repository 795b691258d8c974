"""A parade: one plot for each series, side by side."""

from __future__ import annotations

from dataclasses import replace
from io import BytesIO

from functions.histogram.plots import raster, svg
from functions.histogram.plots.chart import Chart

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
    from PIL import Image, ImageDraw

    shown = panels(chart)
    if kind == "svg":
        inner = "".join(
            svg.render(each).replace("<svg ", f'<svg x="{index * each.width}" ', 1) for index, each in enumerate(shown)
        )
        ink = "#{:02x}{:02x}{:02x}".format(*chart.theme.text)
        names = "".join(
            f'<text x="{index * each.width + 30}" y="12" fill="{ink}">{each.title}</text>'
            for index, each in enumerate(shown)
            if each.small
        )
        ground = "#{:02x}{:02x}{:02x}".format(*chart.theme.background)
        return (
            f'<svg xmlns="http://www.w3.org/2000/svg" width="{chart.width}" height="{chart.height}" '
            f'viewBox="0 0 {chart.width} {chart.height}" font-family="system-ui,sans-serif" font-size="12">'
            f'<rect width="100%" height="100%" fill="{ground}"/>{inner}{names}</svg>'
        ).encode()
    picture = Image.new("RGB", (chart.width, chart.height), chart.theme.background)
    for index, each in enumerate(shown):
        with Image.open(BytesIO(raster.render(each))) as drawn:
            picture.paste(drawn.convert("RGB"), (index * each.width, 0))
        if each.small and each.width > _NAMED:
            at = (index * each.width + _NAMED // 2, 2)
            ImageDraw.Draw(picture).text(at, each.title, fill=each.theme.text, font=raster.font(11))
    out = BytesIO()
    if kind == "pdf":
        picture.save(out, "PDF", resolution=100.0, creationDate=None, modDate=None)
    else:
        picture.quantize(128, dither=Image.Dither.NONE).save(out, "PNG")
    return out.getvalue()
