"""The page in a real browser: pictures in by every way, the plot read out, two compared, a plot kept."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image
from playwright.sync_api import Browser, Locator, Page, expect

from functions.histogram.analysis import Choices, analyse
from functions.histogram.counting.model import Region
from functions.kit.http.settings import Settings
from tests.browser import hand_over, named, no_serious_violation, no_sideways_scrolling, picture, show, visit
from tests.images import encoded, gradient
from tests.servers import FunctionServer

PHOTO = encoded(gradient(size=(320, 200)), "JPEG")
VERDICT = analyse(PHOTO, Settings()).document()["verdict"]


@pytest.fixture
def address(servers: Callable[..., FunctionServer]) -> str:
    return f"{servers('histogram').url}/histogram"


VIEWS = [("wide", "light"), ("middle", "dark"), ("narrow", "dark")]


def test_a_chosen_picture_is_counted(browser: Browser, address: str) -> None:
    with visit(browser, address) as page:
        page.set_input_files("#file", named("photo.jpg", PHOTO))
        expect(page.locator("article h2")).to_have_text("photo.jpg")
        expect(page.locator(".verdict")).to_have_text(VERDICT)
        expect(page.locator("article .dim").first).to_contain_text("320 × 200 · JPEG · RGB · pod histogram-")
        assert page.locator(".colours li").count() == len(analyse(PHOTO, Settings()).colours)
        for size, scheme in (VIEWS[0], VIEWS[-1]):
            show(page, size, scheme)
            no_sideways_scrolling(page)
            no_serious_violation(page)
            picture(page, f"histogram-result-{size}-{scheme}")


@pytest.mark.parametrize("how", ["drop", "paste"])
def test_a_picture_is_dropped_or_pasted(browser: Browser, address: str, how: str) -> None:
    with visit(browser, address) as page:
        hand_over(page, how, "photo.jpg", PHOTO)
        expect(page.locator(".verdict")).to_have_text(VERDICT)


def test_by_keyboard_alone(browser: Browser, address: str) -> None:
    with visit(browser, address) as page:
        page.locator("#sample").focus()
        page.keyboard.press("Enter")
        plot = page.locator("canvas.plot")
        plot.focus()
        page.keyboard.press("End")
        counts = page.locator(".readout").inner_text()
        assert counts.startswith("level 255: ")
        page.keyboard.press("ArrowLeft")
        expect(page.locator(".readout")).to_contain_text("level 254: ")
        expect(plot).to_have_attribute("aria-label", expected_label(page))
        picture(page, "histogram-sample")


def expected_label(page: Page) -> str:
    verdict = page.locator(".verdict").inner_text()
    return f"Histogram of sunset.png: {verdict} Arrow keys read out the levels; the counts stand in a table below."


def test_the_read_out_and_the_table_are_the_counts(browser: Browser, address: str) -> None:
    document = analyse(PHOTO, Settings()).document()
    with visit(browser, address) as page:
        page.set_input_files("#file", named("photo.jpg", PHOTO))
        plot = page.locator("canvas.plot")
        box = plot.bounding_box()
        plot.hover(position={"x": box["width"] * 100.5 / 256, "y": 50})
        said = f"red {document['channels']['red'][100]} · green {document['channels']['green'][100]}"
        expect(page.locator(".readout")).to_contain_text(f"level 100: {said}")
        page.get_by_text("Counts as a table").click()
        series = (document["histogram"], *document["channels"].values())
        cells = page.locator("details tr").nth(101).locator("td")
        expect(cells).to_have_text([str(counts[100]) for counts in series])


def test_toggles_change_the_plot(browser: Browser, address: str) -> None:
    with visit(browser, address) as page:
        page.set_input_files("#file", named("photo.jpg", PHOTO))
        expect(page.locator("#series input")).to_have_count(4)
        drawn = [page.locator("canvas.plot").screenshot()]
        for name in ("red", "luminance"):
            page.locator("#series label", has_text=name).locator("input").uncheck()
            drawn.append(page.locator("canvas.plot").screenshot())
        page.locator("#log").check()
        drawn.append(page.locator("canvas.plot").screenshot())
        assert len(set(drawn)) == 4


def test_clipping_is_marked_on_the_picture(browser: Browser, address: str) -> None:
    half = Image.new("RGB", (40, 40), (255, 255, 255))
    half.paste((90, 120, 90), (0, 0, 20, 40))
    with visit(browser, address) as page:
        page.set_input_files("#file", named("half.png", encoded(half)))
        marks = page.locator(".shot canvas")
        expect(marks).to_be_hidden()
        page.locator("#clipping").check()
        expect(marks).to_be_visible()
        assert _pixels(marks) == [[90, 120, 90, 255], [255, 0, 0, 255]]


def test_an_animation_is_held_at_the_frame_that_was_counted_while_its_clipping_is_marked(
    browser: Browser, address: str
) -> None:
    first, second = (Image.new("P", (40, 40), index) for index in (0, 1))
    for frame in (first, second):
        frame.putpalette([200, 40, 40, 40, 40, 200, 255, 255, 255])
        frame.paste(2, (20, 0, 40, 40))
    data = encoded(first, "GIF", save_all=True, append_images=[second], duration=50, loop=0)
    with visit(browser, address) as page:
        page.set_input_files("#file", named("flicker.gif", data))
        page.locator("#clipping").check()
        marks = page.locator(".shot canvas")
        expect(marks).to_be_visible()
        assert _pixels(marks) == [[200, 40, 40, 255], [255, 0, 0, 255]]
        page.wait_for_timeout(200)
        page.locator("#log").check()
        assert _pixels(marks) == [[200, 40, 40, 255], [255, 0, 0, 255]]


def _pixels(canvas: Locator) -> list[list[int]]:
    """Red, green, blue and opacity of a point in either half."""
    return canvas.evaluate("each => [5, 35].map(x => [...each.getContext('2d').getImageData(x, 20, 1, 1).data])")


def test_two_pictures_are_compared_and_cleared(browser: Browser, address: str) -> None:
    with visit(browser, address) as page:
        dark = encoded(gradient("L").point(lambda value: value // 2))
        page.set_input_files("#file", [named("a.jpg", PHOTO), named("b.png", dark)])
        expect(page.locator("article h2")).to_have_text(["a.jpg", "b.png"])
        expect(page.locator("#series label")).to_have_count(5)
        means = [analyse(data, Settings()).document()["figures"]["luminance"]["mean"] for data in (PHOTO, dark)]
        expect(page.locator("#difference")).to_contain_text(
            f"From a.jpg to b.png: mean {means[0]:.1f} → {means[1]:.1f} (−{means[0] - means[1]:.1f})"
        )
        page.locator("canvas.plot").first.focus()
        page.keyboard.press("End")
        for readout in page.locator(".readout").all():
            expect(readout).to_contain_text("level 255: ")
        no_serious_violation(page)
        picture(page, "histogram-pair")
        page.set_input_files("#file", named("c.jpg", PHOTO))
        expect(page.locator("article h2")).to_have_text(["b.png", "c.jpg"])
        page.locator("#clear").click()
        expect(page.locator("article")).to_have_count(0)
        expect(page.locator("#controls")).to_be_hidden()


def test_a_plot_is_saved(browser: Browser, address: str) -> None:
    with visit(browser, address, accept_downloads=True) as page:
        page.set_input_files("#file", named("photo.jpg", PHOTO))
        for kind, magic in (("PNG", b"\x89PNG"), ("SVG", b"<svg")):
            with page.expect_download() as download:
                page.get_by_role("button", name=f"Save {kind}").click()
            assert download.value.suggested_filename == f"photo.jpg.histogram.{kind.lower()}"
            assert Path(download.value.path()).read_bytes().startswith(magic)


def test_a_saved_plot_shows_the_selected_series(browser: Browser, address: str) -> None:
    with visit(browser, address, accept_downloads=True) as page:
        page.set_input_files("#file", named("photo.jpg", PHOTO))
        kept = []
        for name in ("luminance", "red"):
            page.locator("#series label", has_text=name).locator("input").uncheck()
            with page.expect_download() as download:
                page.get_by_role("button", name="Save SVG").click()
            kept.append(Path(download.value.path()).read_text())
        first, second = (plot.partition("<desc>")[2].partition("</desc>")[0] for plot in kept)
        assert ("red" in first, "luminance" in first) == (True, False)
        assert ("red" in second, "blue" in second) == (False, True)


def test_an_error_is_shown(browser: Browser, address: str) -> None:
    with visit(browser, address) as page:
        page.set_input_files("#file", named("notes.jpg", b"some text"))
        expect(page.locator("#failure")).to_have_text("notes.jpg: unrecognised image format")
        page.set_input_files("#file", named("photo.jpg", PHOTO))
        expect(page.locator("#failure")).to_be_hidden()
        no_serious_violation(page)


def test_a_picture_that_the_browser_cannot_show_is_counted(browser: Browser, address: str) -> None:
    with visit(browser, address) as page:
        page.set_input_files("#file", named("scan.tif", encoded(gradient("CMYK"), "TIFF")))
        expect(page.locator("#series label")).to_have_count(5)
        expect(page.locator(".shot")).to_be_hidden()
        expect(page.locator("article")).to_contain_text("This browser cannot show TIFF; it was counted all the same.")


def test_the_pixel_under_the_pointer_is_read_out(browser: Browser, address: str) -> None:
    flat = Image.new("RGB", (60, 60), (200, 30, 90))
    with visit(browser, address) as page:
        page.set_input_files("#file", named("flat.png", encoded(flat)))
        page.locator(".shot img").hover(position={"x": 30, "y": 30})
        level = flat.convert("L").getpixel((30, 30))
        expect(page.locator(".readout")).to_have_text(
            f"under the pointer: red 200 · green 30 · blue 90 · luminance {level}"
        )


def test_the_last_two_of_many_pictures_are_compared(browser: Browser, address: str) -> None:
    with visit(browser, address, "narrow") as page:
        page.set_input_files("#file", [named(f"{number}.jpg", PHOTO) for number in range(20)])
        expect(page.locator("article h2")).to_have_text(["18.jpg", "19.jpg"])
        expect(page.locator("#note")).to_have_text("20 pictures were given: the last two are compared.")
        no_sideways_scrolling(page)


@pytest.mark.parametrize(("size", "scheme"), [("wide", "light"), ("narrow", "dark")])
def test_clipped_pixels_do_not_flatten_the_plot(browser: Browser, address: str, size: str, scheme: str) -> None:
    night = gradient(size=(400, 300))
    night.paste((255, 255, 255), (0, 0, 400, 200))
    with visit(browser, address, size, scheme) as page:
        page.set_input_files(
            "#file", named("a-long-name-of-a-photograph-from-the-holidays-" * 4 + ".png", encoded(night))
        )
        expect(page.locator(".verdict")).to_contain_text("clipped to white")
        highest = page.locator("canvas.plot").evaluate(
            """each => { const {width, height} = each, left = Math.round(width / 10), inner = Math.round(width * .8);
            const data = each.getContext("2d").getImageData(left, 0, inner, height).data;
            return Math.floor(data.findIndex((value, at) => at % 4 === 3 && value) / 4 / inner) / height; }"""
        )
        assert 0 < highest < 0.1  # of the plot's height
        no_sideways_scrolling(page)
        picture(page, f"histogram-clipped-{size}-{scheme}")


def _answer(page: Page) -> dict[str, object]:
    """The answer that the page shows now."""
    return json.loads(page.locator("article pre").text_content())


def test_a_region_is_drawn_with_the_mouse_and_cleared(browser: Browser, address: str) -> None:
    with visit(browser, address) as page:
        page.set_input_files("#file", named("photo.jpg", PHOTO))
        box = page.locator(".shot img").bounding_box()
        page.mouse.move(box["x"] + box["width"] / 4, box["y"] + box["height"] / 4)
        page.mouse.down()
        page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] * 3 / 4, steps=4)
        page.mouse.up()
        expect(page.locator("article")).to_contain_text("Region in stored pixels: ")
        expect(page.locator(".box")).to_be_visible()
        x, y, width, height = _answer(page)["region"]
        assert [x, y, width, height] == [pytest.approx(each, abs=3) for each in (80, 50, 80, 100)]
        region = Choices(region=Region(x, y, width, height))
        assert _answer(page)["histogram"] == analyse(PHOTO, Settings(), region).document()["histogram"]
        page.get_by_text("Region", exact=True).click()
        no_serious_violation(page)
        picture(page, "histogram-region")
        page.get_by_role("button", name="Whole picture").click()
        expect(page.locator(".box")).to_be_hidden()
        expect(page.locator("article")).not_to_contain_text("Region in stored pixels")


def test_a_region_by_keyboard(browser: Browser, address: str) -> None:
    with visit(browser, address) as page:
        page.set_input_files("#file", named("photo.jpg", PHOTO))
        page.locator(".shot").focus()
        for key in ("ArrowRight", "ArrowDown", "Shift+ArrowRight", "Shift+ArrowUp"):
            page.keyboard.press(key)
        # From 25 % of width and height on, 50 % of each; two percent a step.
        expect(page.locator("article")).to_contain_text("Region in stored pixels: 86, 54, 167, 96")
        page.keyboard.press("Escape")
        expect(page.locator("article")).not_to_contain_text("Region in stored pixels")


def test_a_region_in_pixels_of_the_stored_or_the_displayed_picture(browser: Browser, address: str) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    turned = encoded(gradient(size=(320, 200)), "JPEG", exif=exif)
    with visit(browser, address) as page:
        page.set_input_files("#file", named("turned.jpg", turned))
        page.get_by_text("Region", exact=True).click()
        page.get_by_label("unit of the region").select_option("px")
        for name, value in (("left", 10), ("top", 20), ("width", 30), ("height", 40)):
            page.get_by_label(f"{name} of the region").fill(str(value))
        page.get_by_role("button", name="Count region").click()
        expect(page.locator("article")).to_contain_text("Region in stored pixels: 20, 160, 40, 30")
        page.get_by_label("orientation of the region").select_option("stored")
        page.get_by_role("button", name="Count region").click()
        expect(page.locator("article")).to_contain_text("Region in stored pixels: 10, 20, 30, 40")
        page.get_by_label("width of the region").fill("999")
        page.get_by_role("button", name="Count region").click()
        expect(page.locator("#failure")).to_contain_text("is not inside the image of 320 × 200 pixels")


def test_views_of_a_picture(browser: Browser, address: str) -> None:
    with visit(browser, address) as page:
        page.set_input_files("#file", named("photo.jpg", PHOTO))
        for name in ("waveform", "vectorscope"):
            page.locator("#view").select_option(name)
            expect(page.locator("img.scope")).to_have_attribute("alt", f"{name} of photo.jpg")
            expect(page.locator("canvas.plot")).to_be_hidden()
            page.wait_for_function("document.querySelector('img.scope').naturalWidth === 960")
            for size, scheme in VIEWS:
                show(page, size, scheme)
                no_sideways_scrolling(page)
                picture(page, f"histogram-{name}-{size}-{scheme}")
        page.locator("#view").select_option("zones")
        expect(page.locator("canvas.plot")).to_be_visible()
        for size, scheme in VIEWS:
            show(page, size, scheme)
            picture(page, f"histogram-zones-{size}-{scheme}")
            no_serious_violation(page)


def test_light_is_counted_and_stated(browser: Browser, address: str) -> None:
    with visit(browser, address) as page:
        page.set_input_files("#file", named("photo.jpg", PHOTO))
        page.locator("#space").select_option("linear")
        expect(page.locator("article")).to_contain_text("Counted: linear, luminance 601 (sRGB curve)")
        page.locator("#luminance").select_option("y")
        expect(page.locator("article")).to_contain_text("Counted: linear, luminance y (sRGB curve)")
        wanted = analyse(PHOTO, Settings(), Choices(space="linear", luminance="y")).document()
        assert _answer(page)["histogram"] == wanted["histogram"]
