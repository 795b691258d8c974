"""Plots: every renderer draws the same chart, and each looks as it did when somebody last looked at it.

The golden pictures are compared by structure: reduced to blocks, so that another FreeType or zlib is no failure and a
moved axis, a lost label or a wrong colour is one. `python -m tests.functions.histogram.test_plots` draws them anew.
"""

from __future__ import annotations

import io
import re
import sys
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path
from xml.etree import ElementTree

import pytest
from PIL import Image, ImageChops, ImageStat

from functions.histogram.analysis import Analysis, Choices, analyse
from functions.histogram.plots import panels, publication, raster, scopes, svg
from functions.histogram.plots.chart import Chart, frame
from functions.kit.http.settings import Settings
from tests.images import encoded, gradient

GOLDEN = Path(__file__).with_name("golden")
BLOCK = 4  # pixels a side


def bell(centre: float, width: float, height: float) -> list[int]:
    return [round(height * 2 ** -(((level - centre) / width) ** 2)) for level in range(256)]


COLOUR = {"red": bell(90, 40, 900), "green": bell(120, 50, 800), "blue": bell(170, 30, 1000)}
OUTLINE = bell(125, 45, 850)


def one(level: int, pixels: int) -> list[int]:
    return [pixels if at == level else 0 for at in range(256)]


def deep() -> list[int]:
    return [level % 97 if 9000 < level < 50000 else 0 for level in range(65536)]


CHARTS = {
    "colour": Chart(COLOUR, OUTLINE, title="A title, Ångström", clipping={"red": (0.5, 2.25)}),
    "narrow": Chart(COLOUR, OUTLINE, width=100, height=300, clipping={"red": (1, 1)}),
    "wide": Chart(COLOUR, OUTLINE, width=1600, height=240, title="Wide"),
    "dark": Chart(COLOUR, OUTLINE, dark=True, title="Dark", clipping={"red": (1, 0)}),
    "log": Chart(COLOUR, OUTLINE, scale="log"),
    "all-black": Chart({"gray": one(0, 10_000)}, None, clipping={"gray": (100, 0)}),
    "all-white": Chart({"gray": one(255, 10_000)}, None, clipping={"gray": (0, 100)}),
    "one-pixel": Chart({"gray": one(128, 1)}, None),
    "gray": Chart({"gray": bell(100, 60, 5000)}, None),
    "16-bit": Chart({"gray": deep()}, None, levels=65536),
    "cmyk": Chart(
        {"cyan": bell(60, 30, 90), "magenta": bell(100, 50, 80), "yellow": bell(180, 40, 70), "black": bell(20, 9, 99)},
        OUTLINE,
    ),
    "eight-bins": Chart({"gray": [3, 1, 4, 1, 5, 9, 2, 6]}, None, width=240, height=160),
    "cumulative": Chart({"gray": [level / 255 for level in range(256)]}, None, cumulative=True, unit="share of pixels"),
    "empty": Chart({"gray": [0] * 256}, None),
    "spike": Chart(
        {name: [90_000 if name == "blue" else 9_000, *counts[1:-1], 40_000] for name, counts in COLOUR.items()},
        OUTLINE,
        clipping={"red": (1, 4), "green": (0, 4), "blue": (11, 4), "luminance": (0.02, 3)},
    ),
    "large": Chart(COLOUR, OUTLINE, width=1400, height=900, title="Large", clipping={"red": (0.5, 2.25)}),
    "sqrt": Chart(COLOUR, OUTLINE, scale="sqrt", dark=True),
}  # fmt: skip


def picture(data: bytes) -> Image.Image:
    return Image.open(io.BytesIO(data)).convert("RGB")


def difference(one: Image.Image, other: Image.Image) -> tuple[float, float]:
    """Mean and greatest difference of the pictures' blocks, of 255."""
    assert one.size == other.size
    blocks = ImageChops.difference(one.reduce(BLOCK), other.reduce(BLOCK)).convert("L")
    return ImageStat.Stat(blocks).mean[0], blocks.getextrema()[1]


@pytest.mark.parametrize("name", CHARTS)
def test_the_picture_is_as_it_was(name: str) -> None:
    drawn = picture(raster.render(CHARTS[name]))
    mean, greatest = difference(drawn, Image.open(GOLDEN / f"{name}.png").convert("RGB"))
    assert mean < 0.5
    assert greatest < 64


def test_the_comparison_notices_a_change() -> None:
    golden = Image.open(GOLDEN / "colour.png").convert("RGB")
    for other in ("dark", "log", "gray"):
        assert difference(picture(raster.render(CHARTS[other])), golden)[0] > 0.5
    assert difference(ImageChops.offset(golden, 4, 0), golden)[1] > 64


@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.parametrize("log", ["linear", "sqrt", "log"])
def test_matplotlib_draws_the_same_plot(dark: bool, log: str) -> None:
    """Without words the plot fills the picture: the two may differ along edges alone."""
    chart = Chart(COLOUR, OUTLINE, width=190, height=130, dark=dark, scale=log)
    ours, theirs = picture(raster.render(chart)), picture(publication.render(chart, "png"))
    assert difference(ours, theirs)[0] < 6
    blank = Chart({"gray": [0] * 256}, None, width=190, height=130, dark=dark)
    assert difference(picture(raster.render(blank)), theirs)[0] > 20


@pytest.mark.parametrize("name", ["colour", "log", "one-pixel", "all-white", "eight-bins", "cmyk", "empty"])
def test_svg_paths_are_as_high_as_the_rasters_columns(name: str) -> None:
    chart = CHARTS[name]
    area = frame(chart)
    root = ElementTree.fromstring(svg.render(chart))
    paths = [
        element.get("d")
        for element in root.iter("{http://www.w3.org/2000/svg}path")
        if "blend" in (element.get("style") or "")
    ]
    assert len(paths) == len(chart.fills)
    for path, counts in zip(paths, chart.fills.values(), strict=True):
        drawn = heights(path, area.left, area.top + area.height, area.width / chart.bins, chart.bins)
        for height, count, share in zip(drawn, counts, chart.scaled(counts), strict=True):
            assert height == pytest.approx(max(1.0, share * area.height) if count else 0, abs=0.06)


def test_bins_narrower_than_a_pixel_show_their_highest() -> None:
    chart = Chart({"gray": [level % 4 for level in range(65536)]}, None, levels=65536)
    drawn = svg.render(chart)
    assert len(drawn) < 5000
    assert f"V{frame(chart).top + frame(chart).height * (1 - 1 / 1.04):.1f}H" in drawn
    assert picture(raster.render(chart)).getpixel((300, 60)) == picture(raster.render(chart)).getpixel((301, 300))


def heights(path: str, left: int, base: int, step: float, bins: int) -> list[float]:
    """Heights of the bins of a stepped path."""
    x, y = float(left), float(base)
    found = [0.0] * bins
    body = path[: path.rindex("V")]
    for command, number in re.findall(r"([HV])([\d.]+)", body):
        if command == "V":
            y = float(number)
            continue
        for index in range(round((x - left) / step), round((float(number) - left) / step)):
            found[index] = base - y
        x = float(number)
    return found


@pytest.mark.parametrize("name", CHARTS)
def test_svg_is_well_formed_and_describes_itself(name: str) -> None:
    chart = CHARTS[name]
    root = ElementTree.fromstring(svg.render(chart))
    assert (root.get("width"), root.get("height")) == (str(chart.width), str(chart.height))
    _, _, width, height = map(int, root.get("viewBox").split())
    assert (width, height) == pytest.approx((chart.width / chart.zoom, chart.height / chart.zoom), abs=1)
    assert root.findtext("{http://www.w3.org/2000/svg}desc") == chart.describe()
    assert chart.small or {chart.x_name, chart.y_name} <= {element.text for element in root.iter()}


@pytest.mark.parametrize("title", ['<script>&"', "$\\frac{", "日本語", "\uffff\ufffe", " ", "x" * 200])
@pytest.mark.parametrize("engine", ["raster", "svg", "matplotlib"])
def test_any_title(title: str, engine: str) -> None:
    chart = Chart({"gray": [1] * 256}, None, title=title)
    if engine == "svg":
        text = ElementTree.fromstring(svg.render(chart)).findtext("{http://www.w3.org/2000/svg}title")
        assert text == title.strip("\uffff\ufffe") or text == "Histogram"
    elif engine == "raster":
        assert picture(raster.render(chart)).size == (640, 400)
    else:
        assert picture(draw_quietly(chart)).size == (640, 400)


def draw_quietly(chart: Chart) -> bytes:
    """matplotlib warns of every glyph that its font lacks."""
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return publication.render(chart, "png")


@pytest.mark.parametrize("size", [(32, 32), (33, 47), (199, 132), (200, 134), (4096, 32), (32, 4096), (421, 200)])
def test_any_size(size: tuple[int, int]) -> None:
    chart = Chart(COLOUR, OUTLINE, width=size[0], height=size[1], title="T", clipping={"red": (1, 1)})
    assert picture(raster.render(chart)).size == size
    assert f'width="{size[0]}" height="{size[1]}"' in svg.render(chart)


@pytest.mark.parametrize(("kind", "magic"), [("png", b"\x89PNG"), ("svg", b"<?xml"), ("pdf", b"%PDF-1.4")])
def test_matplotlibs_formats_are_reproducible(kind: str, magic: bytes) -> None:
    first, second = (publication.render(CHARTS["narrow"], kind) for _ in range(2))
    assert first == second
    assert first.startswith(magic)


def test_plots_drawn_at_once_are_the_plots_drawn_in_turn() -> None:
    charts = [Chart({"gray": bell(10 * index, 20, 100)}, None, width=150, height=100) for index in range(3)]
    with ThreadPoolExecutor(3) as pool:
        for render in (raster.render, lambda chart: publication.render(chart, "png")):
            assert list(pool.map(render, charts)) == [render(chart) for chart in charts]


def test_a_plot_is_small() -> None:
    for name in ("gray", "dark", "log", "wide"):
        assert len(raster.render(CHARTS[name])) <= 6000


def test_ticks_name_their_axis() -> None:
    chart = CHARTS["colour"]
    assert [label for _, label in chart.x_ticks()] == ["0", "32", "64", "96", "128", "160", "192", "224", "255"]
    assert [label for _, label in chart.y_ticks()] == ["0", "200", "400", "600", "800", "1k"]
    assert [label for _, label in CHARTS["log"].y_ticks()] == ["0", "1", "10", "100", "1k"]
    assert CHARTS["eight-bins"].y_name == "pixels per 32 levels"
    assert CHARTS["log"].y_name == "pixels per level, log"
    assert CHARTS["cumulative"].y_name == "share of pixels at or below"
    assert CHARTS["16-bit"].x_name == "level (0 to 65535)"


def test_a_spike_at_an_end_is_cut_and_marked() -> None:
    chart = CHARTS["spike"]
    assert chart.peak == 1000
    assert chart.cut == (True, True)
    assert "The spike at the left and right end is cut." in chart.describe()
    assert chart.clipped(0) == ["blue", "red", "luminance"]
    assert chart.clipping_labels() == ("11 %", "4 %")
    assert max(chart.scaled(chart.fills["blue"])) == 1
    assert CHARTS["colour"].cut == (False, False)
    assert CHARTS["all-black"].peak == 10_000
    assert not any(CHARTS["cumulative"].cut)


def test_a_dark_picture_is_not_a_single_spike() -> None:
    dark = gradient("L", (200, 100)).point(lambda level: 0 if level > 40 else level)
    chart = analyse(encoded(dark), Settings()).chart(marks=True)
    heights = chart.scaled(chart.fills["gray"])
    assert heights[0] == 1
    assert sorted(heights)[-3] > 0.5


def test_marks_are_of_the_channels_that_are_drawn() -> None:
    image = Image.merge("RGB", [Image.new("L", (8, 8), level) for level in (255, 90, 0)])
    data = encoded(image)
    every = analyse(data, Settings()).chart(marks=True)
    assert (every.clipped(0), every.clipped(1)) == (["blue"], ["red"])
    green = analyse(data, Settings(), Choices(channels=("green",))).chart(marks=True)
    assert (green.clipped(0), green.clipped(1), green.clipping_labels()) == ([], [], ("", ""))


SCOPES = ("waveform", "vectorscope")
OUT = Path(__file__).parents[2] / "out"


@cache
def scoped() -> Analysis:
    return analyse(encoded(gradient(size=(300, 200)), "PNG"), Settings(), Choices(scope=True))


@pytest.mark.parametrize(("width", "dark"), [(390, False), (390, True), (640, False), (1400, True)])
@pytest.mark.parametrize("kind", ["overlay", "parade", *SCOPES])
def test_each_kind_of_plot_is_drawn_light_and_dark(kind: str, width: int, dark: bool) -> None:
    """The pictures are in tests/out, to be looked at."""
    found = scoped()
    size = (width, width * 5 // 8)
    drawn = {}
    for form in ("png", "svg", "pdf") if width < 400 else ("png",):
        if kind in SCOPES:
            drawn[form] = scopes.render(scopes.Scope(found.sample, kind, *size, dark, "A title"), form)
        else:
            chart = found.chart(marks=True, dark=dark, width=size[0], height=size[1])
            if kind == "parade":
                drawn[form] = panels.render(chart, form)
            elif form == "png":
                drawn[form] = raster.render(chart)
    OUT.mkdir(exist_ok=True)
    (OUT / f"plot-{kind}-{'dark' if dark else 'light'}-{width}.png").write_bytes(drawn["png"])
    shown = picture(drawn["png"])
    assert shown.size == size
    corner = shown.getpixel((0, 0))
    assert max(corner) < 60 if dark else min(corner) > 200
    assert len(set(shown.reduce(8).get_flattened_data())) > 5
    if "svg" in drawn:
        assert ElementTree.fromstring(drawn["svg"]).get("width") == str(width)
        assert drawn["pdf"].startswith(b"%PDF")


def test_a_waveform_has_each_level_where_it_is_in_the_picture() -> None:
    ramp = Image.new("RGB", (256, 64))
    ramp.putdata([(x, x, x) for _ in range(64) for x in range(256)])
    counts = scopes._waveform(ramp)
    for x in range(256):
        assert [row for row in range(256) if counts[row, x, 0]] == [255 - x]
    assert counts.sum() == pytest.approx(3 * 256)


def test_a_vectorscope_has_gray_in_its_middle_and_red_at_its_mark() -> None:
    gray = scopes._vectors(Image.new("RGB", (8, 8), (90, 90, 90))).sum(axis=2)
    assert divmod(int(gray.argmax()), 256) == (127, 128)
    red = scopes._vectors(Image.new("RGB", (8, 8), (191, 0, 0))).sum(axis=2)
    row, column = divmod(int(red.argmax()), 256)
    assert abs(row - (255 - 223)) <= 2
    assert abs(column - 96) <= 2


def test_the_panels_of_a_parade_share_their_axis() -> None:
    chart = CHARTS["colour"]
    shown = panels.panels(chart)
    assert [each.title for each in shown] == ["red", "green", "blue", "luminance"]
    assert {each.peak for each in shown} == {chart.peak}


def test_a_parade_has_its_title_above_the_panels() -> None:
    found = scoped()
    plain, titled = (found.chart(marks=False, width=640, height=400, title=title) for title in ("", "A & B"))
    above = picture(panels.render(titled, "png")).crop((0, 0, 640, 20))
    assert len(above.getcolors()) > 1
    assert len(above.crop((0, 0, 250, 20)).getcolors()) == 1
    texts = [each.text for each in ElementTree.fromstring(panels.render(titled, "svg")).iter() if each.text]
    assert "A & B" in texts
    assert "A & B" not in panels.render(plain, "svg").decode()


def test_an_opaque_images_alpha_is_not_drawn_unless_asked_for() -> None:
    data = encoded(gradient("RGBA"))
    assert list(analyse(data, Settings()).chart(marks=True).fills) == ["red", "green", "blue"]
    asked = analyse(data, Settings(), Choices(channels=("red", "alpha")))
    assert list(asked.chart(marks=True).fills) == ["red", "alpha"]


def test_the_luminance_is_drawn_if_no_channels_are_named_or_it_is_one_of_them() -> None:
    data = encoded(gradient("RGB"))
    for channels, drawn in (((), True), (("red", "luminance"), True), (("red", "blue"), False)):
        analysis = analyse(data, Settings(), Choices(channels=channels))
        assert (analysis.chart(marks=True).outline is not None) == drawn
        assert "luminance" in analysis.series()
    (only,) = analyse(data, Settings(), Choices(channels=("luminance",))).chart(marks=True).fills
    assert only == "gray"


def test_a_gray_images_luminance_is_drawn_once() -> None:
    chart = analyse(encoded(gradient("LA")), Settings()).chart(marks=False)
    assert (list(chart.fills), chart.outline, chart.clipping) == (["gray"], None, None)


def draw_anew() -> int:
    GOLDEN.mkdir(exist_ok=True)
    for name, chart in CHARTS.items():
        (GOLDEN / f"{name}.png").write_bytes(raster.render(chart))
    return 0


if __name__ == "__main__":
    sys.exit(draw_anew())
