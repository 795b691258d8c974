"""Waveform and vectorscope: where in the picture the tones lie, and its colours by hue and saturation.

Drawn from a sample of the pixels; light and dark, as PNG, SVG (the picture embedded) and PDF.
"""

from __future__ import annotations

from base64 import b64encode
from dataclasses import dataclass
from io import BytesIO
from typing import TYPE_CHECKING

from functions.histogram.plots.chart import THEMES, Theme

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from PIL import Image, ImageDraw, ImageFont

    Shares = NDArray[np.float64]  # of rows, columns and bands

SAMPLE = 640  # columns and rows of pixels at most
_LEVELS = 256
# Cb and Cr of the primaries and secondaries at 75 %, as Rec. 601 has them: the targets of a vectorscope.
_TARGETS = (
    *(("R", 191, 0, 0), ("Y", 191, 191, 0), ("G", 0, 191, 0)),
    *(("C", 0, 191, 191), ("B", 0, 0, 191), ("M", 191, 0, 191)),
)


@dataclass(frozen=True)
class Scope:
    """One plot of the pixels' places or colours.

    Args:
        pixels: a sample of the picture, in mode RGB.
        kind: `waveform` or `vectorscope`.
        width: of the plot, in pixels.
        height: of the plot, in pixels.
        dark: the dark theme.
        title: above the plot; may be empty.
    """

    pixels: Image.Image
    kind: str
    width: int
    height: int
    dark: bool = False
    title: str = ""

    @property
    def theme(self) -> Theme:
        """Its colours."""
        return THEMES["dark" if self.dark else "light"]


def sample(image: Image.Image) -> Image.Image:
    """Pixels of an image in RGB, at most `SAMPLE` a side, without interpolation."""
    from PIL import Image

    size = (min(SAMPLE, image.width), min(SAMPLE, image.height))
    return image.resize(size, Image.Resampling.NEAREST).convert("RGB")


def render(scope: Scope, kind: str) -> bytes:
    """The plot in the format `kind`: png, svg or pdf."""
    from PIL.Image import Dither

    picture = _drawn(scope)
    out = BytesIO()
    if kind == "pdf":
        picture.save(out, "PDF", resolution=100.0, creationDate=None, modDate=None)
        return out.getvalue()
    picture.quantize(256, dither=Dither.NONE).save(out, "PNG", optimize=True)
    if kind == "png":
        return out.getvalue()
    name = f"{scope.kind} of a picture"
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{scope.width}" height="{scope.height}" '
        f'viewBox="0 0 {scope.width} {scope.height}" role="img"><title>{name}</title>'
        f'<image width="{scope.width}" height="{scope.height}" '
        f'href="data:image/png;base64,{b64encode(out.getvalue()).decode()}"/></svg>'
    ).encode()


def _drawn(scope: Scope) -> Image.Image:
    from PIL import Image, ImageDraw

    theme = scope.theme
    picture = Image.new("RGB", (scope.width, scope.height), theme.background)
    zoom = max(1.0, min(scope.width / 640, scope.height / 400, 4.0))
    small = scope.width < 200 or scope.height < 133
    top = 1 if small else round((34 if scope.title else 14) * zoom)
    left, right, bottom = (1, 1, 1) if small else (round(42 * zoom), round(12 * zoom), round(26 * zoom))
    width, height = scope.width - left - right, scope.height - top - bottom
    draw = ImageDraw.Draw(picture)
    if scope.kind == "vectorscope":
        side = min(width, height)
        left += (width - side) // 2
        traced = _shown(_vectors(scope.pixels), scope).resize((side, side), Image.Resampling.BILINEAR)
        picture.paste(traced, (left, top))
        _graticule(draw, (left, top, side), scope, zoom, small)
    else:
        traced = _shown(_waveform(scope.pixels), scope).resize((width, height), Image.Resampling.BILINEAR)
        picture.paste(traced, (left, top))
        _levels(draw, (left, top, width, height), scope, zoom, small)
    if scope.title and not small:
        font = _font(round(14 * zoom))
        at = (scope.width // 2, round(6 * zoom))
        draw.text(at, scope.title, fill=theme.text, font=font, anchor="mt" if "\n" not in scope.title else None)
    return picture


def _waveform(pixels: Image.Image) -> Shares:
    """How often each level occurs in each column, 0 to 1: red, green and blue apart."""
    import numpy as np

    values = np.asarray(pixels)
    rows, columns = values.shape[:2]
    counts = np.zeros((_LEVELS, columns, 3), np.float64)
    place = np.broadcast_to(np.arange(columns), (rows, columns))
    for band in range(3):
        np.add.at(counts[..., band], (255 - values[..., band], place), 1)
    return _strength(counts / max(1, rows))


def _vectors(pixels: Image.Image) -> Shares:
    """How often each pair of Cb and Cr occurs, 0 to 1, in the colour that it represents."""
    import numpy as np

    values = np.asarray(pixels.convert("YCbCr")).reshape(-1, 3)
    blue, red = values[:, 1], 255 - values[:, 2].astype(int)
    counts = np.zeros((_LEVELS, _LEVELS), np.float64)
    np.add.at(counts, (red, blue), 1)
    level = np.arange(_LEVELS)
    b, r = np.meshgrid(level - 128.0, 127.0 - level)
    hue = np.stack([150 + 1.402 * r, 150 - 0.344 * b - 0.714 * r, 150 + 1.772 * b], axis=2).clip(40, 255) / 255
    return _strength(counts / max(1, values.shape[0]) * 40)[..., None] * hue


def _strength(shares: Shares) -> Shares:
    """Shares of pixels on a logarithmic scale, 0 to 1: few are seen beside many."""
    import numpy as np

    strength: Shares = np.log1p(shares * 400) / np.log1p(40)
    return strength.clip(0, 1)


def _shown(strength: Shares, scope: Scope) -> Image.Image:
    """Frequencies as light on a dark ground, or as ink on a light one."""
    import numpy as np
    from PIL import Image

    ground = np.array(scope.theme.background, np.float64)
    if scope.dark:
        shown = ground + (255 - ground) * strength
    else:
        # Ink takes away the other two colours, so that red stays red on white.
        others = strength.sum(axis=2, keepdims=True) - strength
        shown = ground * (1 - np.clip(others * 0.5 + strength * 0.12, 0, 0.92))
    return Image.fromarray(shown.clip(0, 255).astype(np.uint8))


def _levels(draw: ImageDraw.ImageDraw, area: tuple[int, int, int, int], scope: Scope, zoom: float, small: bool) -> None:
    left, top, width, height = area
    theme, font = scope.theme, _font(round(11 * zoom))
    for level in (0, 64, 128, 192, 255):
        y = top + round((255 - level) / 255 * (height - 1))
        draw.line([(left, y), (left + width, y)], fill=theme.grid)
        if not small:
            draw.text((left - round(6 * zoom), y), str(level), fill=theme.text, font=font, anchor="rm")
    if not small:
        below = top + height + round(8 * zoom)
        draw.text((left, below), "left edge", fill=theme.text, font=font, anchor="lt")
        draw.text((left + width, below), "right edge of the picture", fill=theme.text, font=font, anchor="rt")


def _graticule(draw: ImageDraw.ImageDraw, area: tuple[int, int, int], scope: Scope, zoom: float, small: bool) -> None:
    left, top, side = area
    theme, font = scope.theme, _font(round(11 * zoom))
    draw.ellipse((left, top, left + side - 1, top + side - 1), outline=theme.grid)
    middle = (left + side // 2, top + side // 2)
    draw.line([(left, middle[1]), (left + side, middle[1])], fill=theme.grid)
    draw.line([(middle[0], top), (middle[0], top + side)], fill=theme.grid)
    for name, red, green, blue in _TARGETS:
        cb = 128 - 0.168736 * red - 0.331264 * green + 0.5 * blue
        cr = 128 + 0.5 * red - 0.418688 * green - 0.081312 * blue
        x, y, r = left + cb / 256 * side, top + (255 - cr) / 256 * side, 5 * zoom
        draw.rectangle((x - r, y - r, x + r, y + r), outline=theme.text)
        if not small:
            draw.text((x + r + 3 * zoom, y), name, fill=theme.text, font=font, anchor="lm")


def _font(size: int) -> ImageFont.FreeTypeFont:
    from functions.histogram.plots.raster import font

    return font(size)
