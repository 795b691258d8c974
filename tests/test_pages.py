"""What every page promises: self-contained, light, readable in any window and scheme, usable without a mouse."""

from __future__ import annotations

import gzip
from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Browser

from tests.browser import no_serious_violation, no_sideways_scrolling, picture, visit
from tests.conftest import FUNCTIONS
from tests.servers import Engine, FunctionServer

MOST_BYTES = 15_000


@pytest.fixture(scope="module")
def engine() -> Iterator[Engine]:
    with Engine() as running:
        yield running


@pytest.fixture
def address(servers: Callable[..., FunctionServer], request: pytest.FixtureRequest) -> Callable[[str], str]:
    """The URL of a page by name."""

    def of(name: str) -> str:
        if name == "console":
            return f"{request.getfixturevalue('engine').url}/"
        return f"{servers(name).url}/{name}"

    return of


@pytest.mark.parametrize("name", [*FUNCTIONS, "console"])
@pytest.mark.parametrize(("size", "scheme"), [("wide", "light"), ("narrow", "dark")])
def test_a_page_is_readable_in_any_window_and_scheme(
    browser: Browser, address: Callable[[str], str], name: str, size: str, scheme: str
):
    with visit(browser, address(name), size, scheme) as page:
        no_sideways_scrolling(page)
        no_serious_violation(page)
        picture(page, f"{name}-{size}-{scheme}")


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_page_weighs_little(servers: Callable[..., FunctionServer], name: str):
    page = servers(name).get("/", headers={"Accept": "text/html"}).content
    assert len(gzip.compress(page, 9)) <= MOST_BYTES


@pytest.mark.parametrize("name", FUNCTIONS)
def test_the_theme_is_switched_by_keyboard_and_kept(browser: Browser, address: Callable[[str], str], name: str):
    with visit(browser, address(name)) as page:
        page.focus("#theme")
        page.keyboard.press("Enter")
        assert page.evaluate("document.documentElement.dataset.theme") == "dark"
        page.reload()
        assert page.evaluate("document.documentElement.dataset.theme") == "dark"
