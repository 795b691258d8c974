"""What the shell gives every page: a way in where a token is wanted, and a word where no script runs."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser import named, no_serious_violation, no_sideways_scrolling, visit
from tests.conftest import FUNCTIONS, IMAGE_FUNCTIONS
from tests.functions.exif import made
from tests.servers import FunctionServer

TOKEN = "schlüssel №1"


@pytest.fixture
def guarded(servers: Callable[..., FunctionServer]) -> str:
    """The page of a function that wants a token."""
    return f"{servers('exif', EXIF_TOKEN=TOKEN).url}/exif"


def give(page: Page, token: str) -> None:
    page.fill("#token input", token)
    page.keyboard.press("Enter")


@pytest.mark.parametrize("size", ["wide", "narrow"])
def test_the_page_requests_a_required_token_and_continues_the_upload(browser: Browser, guarded: str, size: str):
    with visit(browser, guarded, size) as page:
        expect(page.locator("#token")).to_be_hidden()
        page.set_input_files("#file", named("harbour.jpg", made.jpeg()))
        expect(page.get_by_label("This function requires a token")).to_be_focused()
        no_sideways_scrolling(page)
        no_serious_violation(page)
        give(page, "wrong")
        expect(page.get_by_label("The token was not accepted")).to_be_focused()
        give(page, TOKEN)
        expect(page.locator(".file h2")).to_contain_text("Lamp Camera X")
        expect(page.locator("#token")).to_be_hidden()
        assert page.input_value("#token input") == ""


def test_a_token_is_kept_with_the_tab_and_nowhere_else(browser: Browser, guarded: str):
    with visit(browser, guarded) as page:
        page.click("#sample")
        give(page, TOKEN)
        expect(page.locator(".file")).to_have_count(1)
        page.reload()
        page.click("#sample")
        expect(page.locator(".file")).to_have_count(1)
        assert page.evaluate("Object.values(sessionStorage)") == [TOKEN]
        assert page.evaluate("localStorage.length") == 0
        assert page.context.cookies() == []


def test_a_client_without_a_token_gets_a_challenge(browser: Browser, guarded: str):
    with visit(browser, guarded) as page:
        page.click("#sample")
        page.click("#token >> text=Cancel")
        expect(page.locator("#results [role=alert]")).to_have_text("This function requires a token.")
        expect(page.locator("#token")).to_be_hidden()
        expect(page.locator("#progress")).to_be_hidden()


@pytest.mark.parametrize("name", FUNCTIONS)
def test_without_script_a_page_names_the_alternative(
    browser: Browser, servers: Callable[..., FunctionServer], name: str
):
    with visit(browser, f"{servers(name).url}/{name}", java_script_enabled=False) as page:
        word = page.locator("noscript .card")
        expect(word).to_contain_text("The buttons below need JavaScript")
        expect(word).to_contain_text("curl --data-binary @photo.jpg" if name in IMAGE_FUNCTIONS else "curl -X POST")


@pytest.mark.parametrize("name", IMAGE_FUNCTIONS)
def test_without_script_a_picture_is_sent_by_a_form(
    browser: Browser, servers: Callable[..., FunctionServer], name: str
):
    with visit(browser, f"{servers(name).url}/{name}", java_script_enabled=False) as page:
        page.set_input_files("noscript input", named("harbour.jpg", made.jpeg()))
        page.click("noscript button")
        expect(page.locator("th").first).to_be_visible()
        expect(page.locator("main")).to_contain_text(re.compile("JPEG"))
