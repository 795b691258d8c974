"""Pages in real headless Chromium: Debian's, driven by Playwright, with what every page promises checked by itself."""

from __future__ import annotations

import base64
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, FilePayload, Page, expect, sync_playwright

from tests.servers import ROOT

PICTURES = ROOT / "tests/out"
SIZES = {"wide": (1440, 900), "middle": (768, 1024), "narrow": (360, 740)}
ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
]
# Patience, not a measure: five seconds are not many where two cores run the browser, the server and the test.
expect.set_options(timeout=20_000)


@contextmanager
def chromium() -> Iterator[Browser]:
    """The browser; the test is skipped by name where it is not installed."""
    executable = shutil.which("chromium") or shutil.which("chromium-browser")
    if executable is None:
        pytest.skip("the program chromium is not installed")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=executable, args=ARGUMENTS)
        try:
            yield browser
        finally:
            browser.close()


@contextmanager
def visit(browser: Browser, url: str, size: str = "wide", scheme: str = "light", **context: Any) -> Iterator[Page]:
    """A page that has been opened; at the end nothing may stand on its console or have left its host.

    Args:
        browser: the browser.
        url: what to open.
        size: `wide`, `middle` or `narrow`.
        scheme: `light` or `dark`.
        context: further options of a Playwright browser context.
    """
    width, height = SIZES[size]
    with browser.new_context(viewport={"width": width, "height": height}, color_scheme=scheme, **context) as opened:
        page = opened.new_page()
        complaints: list[str] = []
        elsewhere: list[str] = []
        host = urlsplit(url).netloc
        page.on("console", lambda said: complaints.append(said.text) if said.type in ("error", "warning") else None)
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("request", lambda asked: _note(asked.url, host, elsewhere))
        page.goto(url)
        yield page
        # A refused request is a line of Chromium's own on the console: the page shows it well, and that is tested.
        assert [text for text in complaints if "Failed to load resource" not in text] == []
        assert elsewhere == []


def show(page: Page, size: str, scheme: str) -> None:
    """Show an open page in another window and colour scheme."""
    width, height = SIZES[size]
    page.set_viewport_size({"width": width, "height": height})
    page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]


def _note(url: str, host: str, elsewhere: list[str]) -> None:
    parts = urlsplit(url)
    if parts.scheme not in ("data", "blob") and parts.netloc != host:
        elsewhere.append(url)


def picture(page: Page, name: str) -> Path:
    """A screenshot of the whole page, kept as output; what sticks to the window's edge stands at the page's end."""
    PICTURES.mkdir(exist_ok=True)
    path = PICTURES / f"{name}.png"
    page.evaluate("document.querySelector('footer').style.position = 'static'")
    page.screenshot(path=path, full_page=True)
    page.evaluate("document.querySelector('footer').style.position = ''")
    return path


def hand_over(page: Page, how: str, name: str, data: bytes) -> None:
    """Drop or paste a file as a person's browser does."""
    page.evaluate(
        """([how, name, text]) => {
          const bytes = Uint8Array.from(atob(text), letter => letter.charCodeAt(0)), moved = new DataTransfer();
          moved.items.add(new File([bytes], name));
          dispatchEvent(how === "drop" ? new DragEvent("drop", {dataTransfer: moved, cancelable: true})
            : new ClipboardEvent("paste", {clipboardData: moved}));
        }""",
        [how, name, base64.b64encode(data).decode()],
    )


def named(name: str, data: bytes) -> FilePayload:
    """A file as Playwright gives it to a page; nobody looks at its type."""
    return {"name": name, "mimeType": "application/octet-stream", "buffer": data}


def no_sideways_scrolling(page: Page) -> None:
    """A page fits its window, however narrow."""
    assert page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth")


def no_serious_violation(page: Page) -> None:
    """axe-core finds nothing serious or critical."""
    found = Axe().run(page, options={"resultTypes": ["violations"]}).response["violations"]
    grave = [
        f"{item['id']}: {item['help']} at {', '.join(str(node['target'][0]) for node in item['nodes'][:3])}"
        for item in found
        if item["impact"] in ("serious", "critical")
    ]
    assert grave == [], grave
