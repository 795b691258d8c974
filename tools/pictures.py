"""Renew the pictures of the documentation: pages and plots, light, with Debian's Chromium.

`python -m tools.pictures`, or with names for some of them. It starts an engine of its own. `load` runs the quick set of
the load suite (four minutes) and `trace` repeats the trace of a real Knative: both only on a machine that is quiet.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from io import BytesIO
from pathlib import Path

import requests
from PIL import Image
from playwright.sync_api import Page

from tests.browser import chromium
from tests.servers import ROOT, Engine

DOCS = ROOT / "docs"
SAMPLE = DOCS / "sample.jpg"
WIDTH, HEIGHT = 1100, 900


def landing(page: Page, url: str) -> bytes:
    page.goto(url)
    page.locator("#functions section p").first.wait_for()
    page.click("#sample")
    page.locator("#answers section").nth(2).wait_for()
    page.get_by_alt_text("Histogram of the picture").evaluate("image => image.decode()")
    return whole(page)


def privacy(page: Page, url: str) -> bytes:
    page.goto(f"{url}/exif")
    page.set_input_files("#file", SAMPLE)
    page.get_by_role("heading", name="Clean copy").wait_for()
    return whole(page, 1340, 340)


def histogram(page: Page, url: str) -> bytes:
    page.goto(f"{url}/histogram")
    page.set_input_files("#file", SAMPLE)
    page.get_by_role("button", name="Copy JSON").wait_for()
    return whole(page)


def console(page: Page, url: str) -> bytes:
    page.goto(f"{url}/console")
    page.locator("#tabs").get_by_text("stress").click()
    page.get_by_label("Clients at once").fill("16")
    page.get_by_label("Seconds", exact=True).fill("30")
    page.get_by_label("Method").select_option("POST")
    page.get_by_label("Path").fill("/stress?seconds=1&load=4")
    page.get_by_role("button", name="Send a burst").click()
    page.wait_for_timeout(18_000)
    return whole(page, 1400)


def events(page: Page, url: str) -> bytes:
    headers = {"ce-specversion": "1.0", "ce-id": "1", "ce-source": "/camera", "ce-type": "dev.pixelamp.image.uploaded"}
    broker = f"{url}/_knative/broker/default/images"
    sent = requests.post(broker, SAMPLE.read_bytes(), headers={**headers, "Content-Type": "image/jpeg"}, timeout=30)
    sent.raise_for_status()
    page.goto(f"{url}/console/events")
    page.wait_for_timeout(8_000)
    page.get_by_role("button", name="Path").last.click()
    page.locator("#path li").first.wait_for()
    return whole(page)


def stress(page: Page, url: str) -> bytes:
    page.goto(f"{url}/stress")
    for name, value in {"requests": "3", "seconds": "14", "load": "16", "low": "2", "period": "7"}.items():
        if name == "low":
            page.locator("[name=profile]").select_option("sine")
        page.fill(f"[name={name}]", value)
    page.click("#start")
    page.locator("#results tr").nth(3).wait_for()
    page.wait_for_timeout(4_000)
    return whole(page)


def load(_page: Page, _url: str) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run([sys.executable, "-m", "loadtest", "--out", folder], cwd=ROOT, check=True)
        return (Path(folder) / "load.png").read_bytes()


def trace(_page: Page, _url: str) -> bytes:
    test = (
        "tests/knative/local/simulation/test_trace.py::test_pods_follow_the_trace_of_a_real_cluster[real_trace_steps]"
    )
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "trace.png"
        environment = {**os.environ, "PIXELAMP_TRACE_PLOT": str(path)}
        subprocess.run([sys.executable, "-m", "pytest", "-q", test], cwd=ROOT, check=True, env=environment)
        return path.read_bytes()


def plot(_page: Page, url: str) -> bytes:
    answer = requests.post(f"{url}/histogram?format=png", SAMPLE.read_bytes(), timeout=60)
    answer.raise_for_status()
    return answer.content


def whole(page: Page, end: int | None = None, begin: int = 0) -> bytes:
    """The page between two heights in pixels, with what is at the window's edge at the page's end."""
    page.evaluate("document.querySelector('footer').style.position = 'static'")
    most = page.evaluate("document.documentElement.scrollHeight")
    clip = {"x": 0, "y": begin, "width": WIDTH, "height": min(end or most, most) - begin}
    return page.screenshot(full_page=True, clip=clip)  # type: ignore[arg-type]


PICTURES: dict[str, Callable[[Page, str], bytes]] = {
    "landing": landing,
    "privacy-report": privacy,
    "histogram-page": histogram,
    "events": events,
    "console": console,
    "stress": stress,
    "sample-histogram": plot,
    "load": load,
    "trace": trace,
}


def keep(data: bytes, path: Path) -> None:
    with Image.open(BytesIO(data)) as image:
        image.convert("RGB").save(path, optimize=True)


def main(names: list[str]) -> int:
    with Engine("--window", "10s") as engine, chromium() as browser:
        for name in names or PICTURES:
            with browser.new_context(viewport={"width": WIDTH, "height": HEIGHT}, color_scheme="light") as context:
                keep(PICTURES[name](context.new_page(), engine.url), DOCS / f"{name}.png")
                print(DOCS / f"{name}.png")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
