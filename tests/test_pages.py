"""What every page promises: self-contained, light, readable in any window and scheme, usable without a mouse."""

from __future__ import annotations

import gzip
import hashlib
import json
import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
import requests
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Route, expect

from functions import registry
from tests.browser import named, no_serious_violation, no_sideways_scrolling, picture, show, visit
from tests.conftest import FUNCTIONS
from tests.images import encoded, gradient
from tests.servers import ROOT, Engine, FunctionServer

VIEWER = ROOT / "functions" / "kit" / "page" / "viewer"
MOST_BYTES = 15_000
# The pages with a chooser for pictures, a sample and results to copy.
CHOOSERS = [name for name in FUNCTIONS if 'id="sample"' in registry.load(name).page.read_text(encoding="utf-8")]


@pytest.fixture
def address(servers: Callable[..., FunctionServer], request: pytest.FixtureRequest) -> Callable[[str], str]:
    """The URL of a page by name."""

    def of(name: str) -> str:
        if name in {"home", "console"}:
            return f"{request.getfixturevalue('engine').url}/{name.removeprefix('home')}"
        return f"{servers(name).url}/{name}"

    return of


VIEWS = [("wide", "light"), ("middle", "dark"), ("narrow", "dark")]


@pytest.mark.parametrize("name", [*FUNCTIONS, "home", "console"])
def test_a_page_is_readable_in_any_window_and_scheme(browser: Browser, address: Callable[[str], str], name: str):
    with visit(browser, address(name)) as page:
        for size, scheme in VIEWS:
            show(page, size, scheme)
            no_sideways_scrolling(page)
            no_serious_violation(page)
            picture(page, f"{name}-empty-{size}-{scheme}")


@pytest.mark.parametrize("name", [*FUNCTIONS, "home", "console"])
def test_a_page_weighs_little(address: Callable[[str], str], name: str):
    page = requests.get(address(name), headers={"Accept": "text/html"}, timeout=30).content
    assert len(gzip.compress(page, 9)) <= MOST_BYTES


# What axe finds in Swagger UI's own markup; the rest of the page has nothing.
VIEWERS_OWN = {
    "heading-order", "landmark-main-is-top-level", "landmark-no-duplicate-main", "landmark-unique",
    "nested-interactive",
}  # fmt: skip


def test_the_api_viewer_draws_the_description_from_this_server_alone(browser: Browser, address: Callable[[str], str]):
    name = FUNCTIONS[0]
    with visit(browser, address(name)) as page:
        asked: list[str] = []
        page.on("request", lambda request: asked.append(request.url))
        page.get_by_role("link", name="API description").click()
        page.locator(f"#operations-{name}-post_root").wait_for(timeout=120_000)
        origin = address(name).rpartition("/")[0]
        assert [url for url in asked if not url.startswith((origin, "data:"))] == []
        for size, scheme in (VIEWS[0], VIEWS[-1]):
            show(page, size, scheme)
            no_sideways_scrolling(page)
            found = {violation["id"] for violation in Axe().run(page).response["violations"]}
            assert found <= VIEWERS_OWN
            picture(page, f"{name}-docs-{size}-{scheme}")


def test_the_engine_explains_the_types_of_problems_too(engine: Engine):
    url = f"{engine.url}/problems/too-many-pixels"
    assert requests.get(url, timeout=30).json()["title"] == "Image too large"
    page = requests.get(url, headers={"Accept": "text/html"}, timeout=30)
    assert (page.headers["Content-Type"], "Image too large" in page.text) == ("text/html; charset=utf-8", True)
    assert requests.get(f"{engine.url}/problems/none", timeout=30).status_code == 404


def test_the_vendored_viewer_is_the_recorded_one():
    recorded = dict(reversed(line.split()) for line in (VIEWER / "SOURCE").read_text(encoding="utf-8").splitlines()[2:])
    for file in VIEWER.glob("*.gz"):
        digest = hashlib.sha256(gzip.decompress(file.read_bytes())).hexdigest()
        assert recorded.pop(file.name.removesuffix(".gz")) == digest
    assert not recorded
    assert sum(file.stat().st_size for file in VIEWER.iterdir()) < 600_000


def test_the_pages_and_the_console_link_to_each_other(browser: Browser, engine: Engine):
    with visit(browser, f"{engine.url}/console") as page:
        for name in FUNCTIONS:
            link = page.get_by_role("link", name=name, exact=True)
            link.click()
            expect(page.locator("h1")).to_have_text(name)
            assert link.get_attribute("aria-current") == "page"
            page.get_by_role("link", name="console", exact=True).click()
            expect(page.locator("h1")).to_have_text("console")


def test_the_landing_page_shows_what_each_function_reads_in_the_sample(browser: Browser, engine: Engine):
    with visit(browser, engine.url) as page:
        expect(page.locator("#functions section")).to_have_count(len(FUNCTIONS))
        page.click("#sample")
        expect(page.locator("#answers section")).to_have_count(1 + len(CHOOSERS), timeout=30_000)
        answers = page.locator("#answers")
        expect(answers).to_contain_text("Lumenworks Lantern 2")
        expect(answers.locator(".grade")).to_have_text("identifies")
        expect(answers.get_by_alt_text("Histogram of the picture")).to_have_js_property("complete", value=True)
        for size, scheme in (VIEWS[0], VIEWS[-1]):
            show(page, size, scheme)
            no_sideways_scrolling(page)
            no_serious_violation(page)
            picture(page, f"home-answers-{size}-{scheme}")


def test_the_landing_page_names_what_could_not_be_read(browser: Browser, engine: Engine):
    with visit(browser, engine.url) as page:
        page.set_input_files("#file", named("note.txt", b"no picture at all"))
        expect(page.locator("#failure")).to_contain_text("unrecognised image format", timeout=30_000)


@pytest.mark.parametrize("name", CHOOSERS)
def test_a_function_serves_the_landing_page_and_the_sample_for_a_route_by_path(
    servers: Callable[..., FunctionServer], name: str
):
    url = servers(name).url
    front = requests.get(f"{url}/home", timeout=30)
    assert front.headers["Content-Type"].startswith("text/html")
    assert "Use the sample" in front.text
    sample = requests.get(f"{url}/sample.jpg", timeout=30)
    assert sample.headers["Content-Type"] == "image/jpeg"
    assert sample.content[:2] == b"\xff\xd8"


@pytest.mark.parametrize("name", CHOOSERS)
def test_a_page_names_pod_time_and_cold_start(browser: Browser, address: Callable[[str], str], name: str):
    with visit(browser, address(name)) as page:
        page.click("#sample")
        expect(page.locator("#answered-by")).to_have_text(re.compile(rf"^\d+ ms · answered by {name}-\d+ \(local\)$"))

        def woken(route: Route) -> None:
            response = route.fetch()
            route.fulfill(response=response, headers={**response.headers, "X-Cold-Start": "1"})

        page.route(lambda url: url.partition("?")[0].endswith(f"/{name}/"), woken)
        page.click("#sample")
        expect(page.locator("#answered-by")).to_have_text(re.compile(r"^\d+ ms · cold start · answered by"))
        expect(page.locator("#results")).to_contain_text("cold start")


@pytest.mark.parametrize("name", CHOOSERS)
def test_progress_is_shown_until_the_answer_is_there(browser: Browser, address: Callable[[str], str], name: str):
    held: list[Route] = []

    def hold(route: Route) -> None:
        held.append(route)

    with visit(browser, address(name)) as page:
        page.route(lambda url: url.partition("?")[0].endswith(f"/{name}/"), hold)
        expect(page.locator("#progress")).to_be_hidden()
        page.click("#sample")
        expect(page.locator("#progress")).to_be_visible()
        expect(page.locator("#said")).to_have_text(re.compile("^(Counting|Reading) .*s"))
        while not held:
            page.wait_for_timeout(50)
        held[0].continue_()
        expect(page.locator("#progress")).to_be_hidden()
        expect(page.locator("#results")).not_to_be_empty()


@pytest.mark.parametrize("name", CHOOSERS)
def test_the_command_that_is_copied_gives_the_json_that_is_copied(
    browser: Browser, address: Callable[[str], str], name: str, tmp_path: Path
):
    file = tmp_path / "it's my photo.png"
    file.write_bytes(encoded(gradient()))
    with visit(browser, address(name), permissions=["clipboard-read", "clipboard-write"]) as page:
        page.set_input_files("#file", file)
        copied = []
        for button in ("Copy as curl", "Copy JSON"):
            page.evaluate("navigator.clipboard.writeText('')")
            page.get_by_role("button", name=button).click()
            while not (text := page.evaluate("navigator.clipboard.readText()")):
                page.wait_for_timeout(50)
            copied.append(text)
    answer = subprocess.run(["bash", "-c", copied[0]], cwd=tmp_path, capture_output=True, check=True).stdout
    told, shown = json.loads(answer), json.loads(copied[1])
    # Neither what the client says of the file, nor how long the work took.
    result = {key for key in shown if key not in ("file", "name", "milliseconds")}
    assert {key: told[key] for key in result} == {key: shown[key] for key in result}


@pytest.mark.parametrize("name", CHOOSERS)
def test_the_chooser_shows_the_focus_and_states_how_pictures_are_processed(
    browser: Browser, address: Callable[[str], str], name: str
):
    with visit(browser, address(name)) as page:
        page.focus("#theme")
        page.keyboard.press("Tab")
        assert page.evaluate("document.activeElement.innerText") == "API description"
        page.keyboard.press("Tab")
        assert page.evaluate("document.activeElement.id") == "file"
        outline = "getComputedStyle(document.querySelector('label[for=file]')).outlineStyle"
        assert page.evaluate(outline) == "solid"
        page.keyboard.press("Tab")
        assert page.evaluate("document.activeElement.id") == "sample"
        assert page.evaluate(outline) == "none"
        expect(page.locator("#drop")).to_contain_text("Processed in memory, not stored.")


@pytest.mark.parametrize("name", FUNCTIONS)
def test_the_theme_is_switched_by_keyboard_and_remembered(browser: Browser, address: Callable[[str], str], name: str):
    with visit(browser, address(name)) as page:
        page.focus("#theme")
        page.keyboard.press("Enter")
        assert page.evaluate("document.documentElement.dataset.theme") == "dark"
        page.reload()
        assert page.evaluate("document.documentElement.dataset.theme") == "dark"
