"""The fast PNG renderer: a palette image drawn by Pillow, without numpy and matplotlib.

Every pixel of the plot is one of a few colours, so the picture is indices into a palette from the start: it needs no
blending, and compresses to a few kilobytes. The area is laid down column by column and turned at the end.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from importlib.util import find_spec
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, cast

from functions.histogram.plots.chart import RGB, Chart, Frame, fitted, frame

if TYPE_CHECKING:
    from PIL import Image, ImageDraw, ImageFont

_FONT_SIZE = 11
_TITLE_SIZE = 14


class _Palette(NamedTuple):
    """Indices of the colours behind the fills' combinations, which come first (0 is the background)."""

    grid: int
    outline: int
    mark: tuple[int, ...]  # shades of the clipping marks' words, the full one last
    text: tuple[int, ...]
    hues: dict[str, int]  # of the clipping marks

    @classmethod
    def of(cls, chart: Chart) -> _Palette:
        """With three fills and no marks of theirs it is sixteen colours: four bits a pixel."""
        first = 1 << max(3, len(chart.fills))
        clipped = [] if not chart.clipping else dict.fromkeys((*chart.clipped(0), *chart.clipped(1)))
        coloured = [name for name in clipped if name not in {"gray", "luminance"}]
        hues = {name: first + 7 + index for index, name in enumerate(coloured)}
        return cls(first, first + 1, (first + 2, first + 3), tuple(range(first + 4, first + 7)), hues)

    @property
    def size(self) -> int:
        """Number of colours."""
        return self.text[-1] + 1 + len(self.hues)

    def colours(self, chart: Chart) -> bytes:
        """Red, green and blue of each."""
        theme = chart.theme
        listed = [chart.blend(mask) for mask in range(self.grid)]
        listed += [theme.grid, theme.outline]
        for ink, shades in ((theme.clipping, self.mark), (theme.text, self.text)):
            listed += [_mix(theme.background, ink, (index + 1) / len(shades)) for index in range(len(shades))]
        listed += [chart.mark_colour(name) for name in self.hues]
        return bytes(value for colour in listed for value in colour)


def render(chart: Chart) -> bytes:
    """The chart as a PNG of `chart.width` × `chart.height` pixels."""
    from PIL import Image, ImageDraw

    palette = _Palette.of(chart)
    picture = Image.new("L", (chart.width, chart.height), 0)  # of palette indices
    area = frame(chart)
    series = [_columns(chart.scaled(counts), area) for counts in chart.fills.values()]
    background = bytearray(area.height)
    for at, _ in [] if chart.small else chart.y_ticks():
        background[min(round(at * area.height), area.height - 1)] = palette.grid
    background[0] = 0  # the axis is there
    picture.paste(_plot(series, area, bytes(background)), (area.left, area.top))
    draw = ImageDraw.Draw(picture)
    if chart.outline is not None:
        _draw_outline(draw, _columns(chart.scaled(chart.outline), area), area, palette)
    right, bottom = area.left + area.width, area.top + area.height
    draw.line([(area.left - 1, area.top), (area.left - 1, bottom), (right, bottom)], fill=palette.text[-1])
    if not chart.small:
        _draw_words(picture, draw, chart, area, palette)
    if chart.clipping:
        _draw_clipping(picture, draw, chart, area, palette)
    picture.putpalette(palette.colours(chart))
    out = BytesIO()
    # No row filter: they cost size here. Level 9 saves a tenth of it, for more time than the whole drawing takes.
    picture.save(out, "PNG", bits=4 if palette.size <= 16 else 8, compress_level=7)
    return out.getvalue()


def _mix(background: RGB, ink: RGB, share: float) -> RGB:
    red, green, blue = (round(b + (i - b) * share) for b, i in zip(background, ink, strict=True))
    return red, green, blue


def _columns(heights: Sequence[float], area: Frame) -> list[int]:
    """Height in pixels of each column of the plot: of its bin, or the highest of its bins where they are narrower.

    What is not empty is at least one pixel high: a lone pixel of the image is not to vanish.
    """
    pixels = [max(1, round(height * area.height)) if height else 0 for height in fitted(heights, area.width)]
    return [pixels[column * len(pixels) // area.width] for column in range(area.width)]


def _plot(series: Sequence[Sequence[int]], area: Frame, background: bytes) -> Image.Image:
    """The fills above the background's column; each pixel is the set of the series that reach it."""
    from PIL import Image

    towers = _towers(area.height)
    columns = []
    for heights in zip(*series, strict=True):
        column = 0
        for bit, height in enumerate(heights):
            column |= towers[height] << bit
        top = max(heights)
        columns.append(column.to_bytes(top, "little") + background[top:])
    # Columns as rows, the lowest pixel first: a quarter turn to the left makes the picture of them.
    rows = Image.frombytes("L", (area.height, area.width), b"".join(columns))
    return rows.transpose(Image.Transpose.ROTATE_90)


@lru_cache(maxsize=8)
def _towers(height: int) -> list[int]:
    """For each number of pixels an integer of as many bytes of 1: shifted and joined, they are a column's indices."""
    return [int.from_bytes(b"\x01" * pixels, "little") for pixels in range(height + 1)]


def _draw_outline(draw: ImageDraw.ImageDraw, columns: Sequence[int], area: Frame, palette: _Palette) -> None:
    base = area.top + area.height
    points: list[tuple[int, int]] = []
    for x, height in enumerate(columns, area.left):
        y = base - max(1, height)
        if points and points[-1][1] != y:
            points.append((x, points[-1][1]))
        points.append((x, y))
    draw.line(points, fill=palette.outline)


def _draw_words(picture: Image.Image, draw: ImageDraw.ImageDraw, chart: Chart, area: Frame, palette: _Palette) -> None:
    right, bottom, zoom = area.left + area.width, area.top + area.height, chart.zoom
    ink, size = palette.text[-1], round(_FONT_SIZE * zoom)
    for at, label in chart.x_ticks():
        x = area.left + round(at * area.width)
        draw.line([(x, bottom), (x, bottom + round(4 * zoom))], fill=ink)
        word = _word(label, palette.text, size)
        left = min(x - word.width // 2, chart.width - word.width - 1)
        word.write(picture, left, bottom + round(4 * zoom))
    for at, label in chart.y_ticks():
        y = bottom - round(at * area.height)
        draw.line([(area.left - round(5 * zoom), y), (area.left - 1, y)], fill=ink)
        word = _word(label, palette.text, size)
        word.write(picture, area.left - round(8 * zoom) - word.width, y - word.height // 2)
    name = _word(chart.x_name, palette.text, size)
    row = chart.height - round(18 * zoom)
    x = right - name.width if chart.legend() else (area.left + right - name.width) // 2
    name.write(picture, max(0, x), row)
    _draw_legend(picture, draw, chart, (area.left, row), palette)
    upright = _word(chart.y_name, palette.text, size, upright=True)
    upright.write(picture, round(2 * zoom), max(0, (area.top + bottom - upright.height) // 2))
    if chart.title:
        title = _text(chart.title, round(_TITLE_SIZE * zoom))
        if title.width > chart.width:
            title = title.crop((0, 0, chart.width, title.height))
        _shade(title, palette.text).write(picture, (chart.width - title.width) // 2, round(5 * zoom))


def _draw_legend(
    picture: Image.Image, draw: ImageDraw.ImageDraw, chart: Chart, at: tuple[int, int], palette: _Palette
) -> None:
    x, y = at
    zoom, size = chart.zoom, round(_FONT_SIZE * chart.zoom)
    box, gap = round(9 * zoom), round(13 * zoom)
    for index, name in enumerate(chart.legend()):
        top = y + round(3 * zoom)
        draw.rectangle((x, top, x + box, top + box), fill=1 << index)
        word = _word(name, palette.text, size)
        word.write(picture, x + gap, y)
        x += gap + word.width + round(12 * zoom)
    if chart.legend() and chart.outline is not None:
        middle = y + round(8 * zoom)
        draw.line((x, middle, x + box, middle), fill=palette.outline)
        _word("luminance", palette.text, size).write(picture, x + gap, y)


def _draw_clipping(
    picture: Image.Image, draw: ImageDraw.ImageDraw, chart: Chart, area: Frame, palette: _Palette
) -> None:
    """A triangle for each clipped series in the upper corner of its end, the largest share beside them; cut spikes."""
    zoom, right = chart.zoom, area.left + area.width - 1
    side = round(9 * zoom)
    for end, (corner, inward, label) in enumerate(
        zip((area.left, right), (1, -1), chart.clipping_labels(), strict=True)
    ):
        names = chart.clipped(end)
        for index, name in enumerate(names):
            x = corner + round(11 * zoom) * index * inward
            ink = palette.hues.get(name, palette.mark[-1])
            draw.polygon([(x, area.top), (x + side * inward, area.top), (x, area.top + side)], fill=ink)
        if chart.cut[end]:
            for y in (area.top + round(14 * zoom), area.top + round(18 * zoom)):
                line = (corner - 2 * inward, y, corner + round(7 * zoom) * inward, y - round(4 * zoom))
                draw.line(line, fill=palette.text[-1], width=max(1, round(zoom)))
        if label and not chart.small:
            word = _word(label, palette.mark, round(_FONT_SIZE * zoom))
            room = round((3 + 11 * len(names)) * zoom)
            left = corner + room if inward > 0 else corner - room - word.width
            word.write(picture, left, area.top - round(2 * zoom))


class _Word(NamedTuple):
    """Text ready to be pasted."""

    indices: Image.Image
    mask: Image.Image

    @property
    def width(self) -> int:
        return self.mask.width

    @property
    def height(self) -> int:
        return self.mask.height

    def write(self, picture: Image.Image, x: int, y: int) -> None:
        picture.paste(self.indices, (x, y), self.mask)


@lru_cache(maxsize=256)
def _word(text: str, ink: tuple[int, ...], size: int, upright: bool = False) -> _Word:
    """A word of this module's own, kept: there are few."""
    from PIL import Image

    word = _text(text, size)
    return _shade(word.transpose(Image.Transpose.ROTATE_90) if upright else word, ink)


def _shade(word: Image.Image, ink: tuple[int, ...]) -> _Word:
    """Levels of ink as the shades of a palette; level 0 leaves the picture unchanged."""
    steps = len(ink)
    shades = [(level * steps + 127) // 255 for level in range(256)]
    return _Word(word.point([ink[shade - 1] for shade in shades]), word.point([shade and 255 for shade in shades]))


def _text(text: str, size: int) -> Image.Image:
    """Text as levels of ink, always as high as its font, so that words share a line."""
    from PIL import Image, ImageDraw

    letters = font(size)
    left, _, right, _ = letters.getbbox(text)
    ascent, descent = letters.getmetrics()
    image = Image.new("L", (max(1, round(right - left)), ascent + descent))
    ImageDraw.Draw(image).text((-left, 0), text, fill=255, font=letters)
    return image


@lru_cache(maxsize=16)
def font(size: int) -> ImageFont.FreeTypeFont:
    """DejaVu Sans, which comes with matplotlib (found, not imported): Pillow's own font has ASCII alone."""
    from PIL import ImageFont

    matplotlib = find_spec("matplotlib")
    for folder in (matplotlib.submodule_search_locations or ()) if matplotlib else ():
        path = Path(folder, "mpl-data", "fonts", "ttf", "DejaVuSans.ttf")
        if path.exists():
            return ImageFont.truetype(path, size)
    return cast("ImageFont.FreeTypeFont", ImageFont.load_default(size))
