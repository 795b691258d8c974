"""What every page promises: self-contained, light, readable in any window and scheme, usable without a mouse."""

from __future__ import annotations

import gzip
from collections.abc import Callable

import pytest
import requests
from playwright.sync_api import Browser, expect

from tests.browser import no_serious_violation, no_sideways_scrolling, picture, visit
from tests.conftest import FUNCTIONS
from tests.servers import Engine, FunctionServer

MOST_BYTES = 15_000


@pytest.fixture
def address(servers: Callable[..., FunctionServer], request: pytest.FixtureRequest) -> Callable[[str], str]:
    """The URL of a page by name."""

    def of(name: str) -> str:
        if name == "console":
            return f"{request.getfixturevalue('engine').url}/"
        return f"{servers(name).url}/{name}"

    return of


@pytest.mark.parametrize("name", [*FUNCTIONS, "console"])
@pytest.mark.parametrize(("size", "scheme"), [("wide", "light"), ("middle", "dark"), ("narrow", "dark")])
def test_a_page_is_readable_in_any_window_and_scheme(
    browser: Browser, address: Callable[[str], str], name: str, size: str, scheme: str
):
    with visit(browser, address(name), size, scheme) as page:
        no_sideways_scrolling(page)
        no_serious_violation(page)
        picture(page, f"{name}-empty-{size}-{scheme}")


@pytest.mark.parametrize("name", [*FUNCTIONS, "console"])
def test_a_page_weighs_little(address: Callable[[str], str], name: str):
    page = requests.get(address(name), headers={"Accept": "text/html"}, timeout=30).content
    assert len(gzip.compress(page, 9)) <= MOST_BYTES


@pytest.mark.parametrize("name", FUNCTIONS)
def test_the_console_is_a_link_away_and_back(browser: Browser, engine: Engine, name: str):
    with visit(browser, f"{engine.url}/{name}") as page:
        link = page.get_by_role("link", name=name, exact=True)
        assert link.get_attribute("aria-current") == "page"
        page.get_by_role("link", name="console", exact=True).click()
        expect(page.locator("h1")).to_have_text("console")
        page.get_by_role("link", name=name, exact=True).click()
        expect(page.locator("h1")).to_have_text(name)


@pytest.mark.parametrize("name", ["histogram", "exif"])
def test_the_chooser_shows_where_the_keyboard_is_and_says_what_becomes_of_the_picture(
    browser: Browser, address: Callable[[str], str], name: str
):
    with visit(browser, address(name)) as page:
        page.focus("#theme")
        page.keyboard.press("Tab")
        assert page.evaluate("document.activeElement.id") == "file"
        outline = "getComputedStyle(document.querySelector('label[for=file]')).outlineStyle"
        assert page.evaluate(outline) == "solid"
        page.keyboard.press("Tab")
        assert page.evaluate("document.activeElement.id") == "sample"
        assert page.evaluate(outline) == "none"
        expect(page.locator("#drop")).to_contain_text("Processed in memory, not stored.")


@pytest.mark.parametrize("name", FUNCTIONS)
def test_the_theme_is_switched_by_keyboard_and_kept(browser: Browser, address: Callable[[str], str], name: str):
    with visit(browser, address(name)) as page:
        page.focus("#theme")
        page.keyboard.press("Enter")
        assert page.evaluate("document.documentElement.dataset.theme") == "dark"
        page.reload()
        assert page.evaluate("document.documentElement.dataset.theme") == "dark"
