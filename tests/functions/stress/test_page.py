"""The page in a real browser: a line for each pod, start and stop, with one pod and with several."""

from __future__ import annotations

import itertools
import json
import re
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import requests
from playwright.sync_api import Browser, Page, Route, expect

from tests.browser import no_serious_violation, no_sideways_scrolling, picture, visit
from tests.servers import Engine, FunctionServer

ELSEWHERE = {"x-target-pod": "stress-00001-deployment-another"}


def until(page: Page, condition: Callable[[], bool], seconds: float = 60.0) -> None:
    """Wait for something on the page; its policy forbids the browser to evaluate a condition by itself."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, page.inner_text("#figures")
        page.wait_for_timeout(100)


def figure(page: Page, name: str) -> float:
    return float(page.text_content(f"#{name}") or "nan")


def painted(page: Page) -> int:
    """Number of strongly coloured pixels of the chart: lines, and neither grid nor text."""
    return int(
        page.evaluate(
            """() => { const c = document.querySelector("#chart"), copy = new OffscreenCanvas(c.width, c.height);
            const pen = copy.getContext("2d", {willReadFrequently: true}); pen.drawImage(c, 0, 0);
            const d = pen.getImageData(0, 0, c.width, c.height).data; let n = 0;
            for (let i = 0; i < d.length; i += 4)
              if (d[i + 3] > 128 && Math.max(d[i], d[i+1], d[i+2]) - Math.min(d[i], d[i+1], d[i+2]) > 90) n++;
            return n; }"""
        )
    )


def test_start_watch_stop(browser: Browser, servers: Callable[..., FunctionServer]) -> None:
    server = servers("stress")
    with visit(browser, server.url + "/") as page:
        assert painted(page) == 0
        expect(page.locator("#stop")).to_be_disabled()
        page.fill("[name=requests]", "2")
        page.fill("[name=load]", "20")
        page.click("#start")
        expect(page.locator("#seen")).to_have_text("1", timeout=15_000)
        expect(page.locator("#running")).to_have_text("2")
        expect(page.locator("#pods tbody tr")).to_have_count(1)
        until(page, lambda: figure(page, "total") > 0.02)
        page.wait_for_timeout(1000)
        assert painted(page) > 20
        no_serious_violation(page)
        picture(page, "stress-wide-light")
        assert server.get("/cpu").json()["cores"] > 0
        page.click("#stop")
        expect(page.locator("#running")).to_have_text("0")
        expect(page.locator("#start")).to_be_enabled()
        until(page, lambda: figure(page, "total") < 0.05)
        expect(page.locator("#failure")).to_be_hidden()


def test_requested_and_achieved_load_are_shown_and_copied(
    browser: Browser, servers: Callable[..., FunctionServer]
) -> None:
    url = f"{servers('stress').url}/stress"
    with visit(browser, url, "narrow", permissions=["clipboard-read", "clipboard-write"]) as page:
        for name, value in (("requests", "2"), ("seconds", "1"), ("load", "20")):
            page.fill(f"[name={name}]", value)
        page.click("#curl")
        expect(page.locator("#said")).to_have_text("Copied.")
        command = page.evaluate("navigator.clipboard.readText()")
        assert (
            command == f"curl -N -X POST -H 'Accept: application/x-ndjson' '{url}/?seconds=1&load=20&relative_to=core'"
        )
        expect(page.locator("#ended")).to_be_hidden()
        page.click("#start")
        expect(page.locator("#results tr")).to_have_count(3)
        page.click("#json")
        until(page, lambda: page.evaluate("navigator.clipboard.readText()").startswith("["))
        told = json.loads(page.evaluate("navigator.clipboard.readText()"))
        assert [one["asked"]["load"] for one in told] == [20, 20]
        used = page.locator("#results tr td:nth-child(3)").all_inner_texts()
        assert used == [f"{one['achieved']['cpu_seconds']:.2f} s" for one in told]
        page.get_by_text("The minute as a table").click()
        expect(page.locator("#twin tr")).to_have_count(61)
        assert page.locator("#twin td").filter(has_text=re.compile(r"\d")).count() >= 1
        no_sideways_scrolling(page)
        no_serious_violation(page)
        picture(page, "stress-ended-narrow-light")


def test_a_load_that_was_missed_is_marked_with_its_reason(
    browser: Browser, servers: Callable[..., FunctionServer]
) -> None:
    missing = {"missing_points": 38.8, "reason": "no free core", "detail": "the burners waited 3.90 s for a core"}
    extra = {"extra_points": 7.2, "reason": "start of the process", "detail": "0.07 CPU seconds more"}
    asked = {"load": 80, "cpu_seconds": 8}
    result = {"pod": "p-1", "asked": asked, "achieved": {"load": 41.2, "cpu_seconds": 4.1, "memory_mb": 0}}
    ends = [
        {"ended": "short", "shortfall": missing, "excess": None},
        {"ended": "over", "shortfall": None, "excess": extra},
    ]
    line = "".join(json.dumps({"result": {**result, **end}}) + "\n" for end in ends)
    with visit(browser, f"{servers('stress').url}/stress", "wide", "dark") as page:
        page.route("**/?seconds=*", lambda route: route.fulfill(body=line, content_type="application/x-ndjson"))
        page.fill("[name=requests]", "1")
        page.fill("[name=nice]", "0")
        page.click("#start")
        marks = page.locator("#results .bad")
        expect(marks).to_have_text(["short by 38.8 points: no free core", "over by 7.2 points: start of the process"])
        expect(marks.first).to_have_attribute("title", missing["detail"])
        no_serious_violation(page)
        picture(page, "stress-short-wide-dark")


@pytest.mark.parametrize(("size", "theme"), [("narrow", "light"), ("wide", "dark")])
def test_all_pods_are_found_by_repeated_samples(
    browser: Browser, servers: Callable[..., FunctionServer], size: str, theme: str
) -> None:
    """An ingress gives no control over the pod: five pods of two revisions answer in turns."""
    turns = itertools.count()

    def answer(route: Route) -> None:
        number = next(turns) % 5
        cpu = 10 + 15 * number
        sample = {"pod": f"stress-0000{1 + number // 3}-pod-{number}", "revision": f"stress-0000{1 + number // 3}"}
        sample |= {"t": time.time(), "cpu_percent": cpu, "cores": cpu / 100, "memory": 2**25, "source": "cgroup v2"}
        route.fulfill(json=sample)

    with visit(browser, f"{servers('stress').url}/stress", size, theme) as page:
        page.route("**/cpu", answer)
        page.check("#all")
        expect(page.locator("#seen")).to_have_text("5", timeout=30_000)
        expect(page.locator("#active")).to_have_text("5", timeout=30_000)
        colours = page.evaluate("[...document.querySelectorAll('#pods .swatch')].map(one => one.style.background)")
        assert len(set(colours)) == 5, "pods of one revision differ in lightness"
        expect(page.locator("#answered-by")).to_have_text(re.compile(r"^\d+ ms$"))  # these answers name no pod
        until(page, lambda: painted(page) > 20)
        page.uncheck("#all")
        page.wait_for_timeout(1200)
        asked = next(turns)
        page.wait_for_timeout(1200)
        assert next(turns) == asked + 1, "nothing is asked any more"
        no_sideways_scrolling(page)
        no_serious_violation(page)
        picture(page, f"stress-all-pods-{size}-{theme}")


def test_a_pod_chosen_by_name_receives_the_requests_or_another_refuses_them(
    browser: Browser, servers: Callable[..., FunctionServer]
) -> None:
    server = servers("stress")
    with visit(browser, f"{server.url}/stress", permissions=["clipboard-read", "clipboard-write"]) as page:
        page.check("#all")
        expect(page.locator("[name=pod] option")).to_have_count(2, timeout=15_000)
        page.uncheck("#all")
        name = page.locator("[name=pod] option").nth(1).inner_text()
        page.select_option("[name=pod]", name)
        page.click("#curl")
        expect(page.locator("#said")).to_have_text("Copied.")
        assert f"-H 'X-Target-Pod: {name}'" in page.evaluate("navigator.clipboard.readText()")
        for field, value in (("requests", "1"), ("seconds", "1"), ("load", "5")):
            page.fill(f"[name={field}]", value)
        page.click("#start")
        expect(page.locator("#results tr")).to_have_count(2)
        expect(page.locator("#failure")).to_be_hidden()
        page.route("**/?seconds=*", lambda route: route.continue_(headers=route.request.headers | ELSEWHERE))
        page.click("#start")
        expect(page.locator("#failure")).to_contain_text("this platform does not route requests to one pod")


def test_by_keyboard_alone_and_a_refusal_is_shown(browser: Browser, servers: Callable[..., FunctionServer]) -> None:
    with visit(browser, servers("stress").url + "/stress", "narrow", "dark") as page:
        page.focus("[name=requests]")
        page.keyboard.press("Control+A")
        page.keyboard.type("1")
        page.keyboard.press("Tab")
        page.keyboard.press("Control+A")
        page.keyboard.type("5")
        for _ in range(3):
            page.keyboard.press("Tab")
        page.keyboard.type("60")  # more cores than there are
        page.keyboard.press("Enter")
        expect(page.locator("#failure")).to_contain_text("the limit is")
        expect(page.locator("#start")).to_be_enabled()
        page.focus("[name=cores]")
        page.keyboard.press("Backspace")
        page.keyboard.press("Backspace")
        page.keyboard.press("Enter")
        expect(page.locator("#running")).to_have_text("1")
        expect(page.locator("#failure")).to_be_hidden()
        page.focus("#stop")
        page.keyboard.press("Space")
        expect(page.locator("#running")).to_have_text("0")
        no_sideways_scrolling(page)
        no_serious_violation(page)
        picture(page, "stress-narrow-dark")


def burners() -> int:
    found = 0
    for process in Path("/proc").iterdir():
        try:
            if process.name.isdigit() and b"stress.burner" in (process / "cmdline").read_bytes():
                found += 1
        except OSError:
            continue
    return found


def ready_pods(engine: Engine) -> int:
    services = requests.get(f"{engine.url}/_knative/status", timeout=30).json()["services"]
    (found,) = (one for one in services if one["name"] == "stress")
    return sum(pod["state"] == "ready" for revision in found["revisions"] for pod in revision["pods"])


@pytest.mark.slow
def test_several_pods_rise_and_fall(browser: Browser, engine: Engine) -> None:
    with visit(browser, f"{engine.url}/stress") as page:
        page.fill("[name=requests]", "5")
        page.fill("[name=load]", "15")
        page.fill("[name=seconds]", "60")
        page.click("#start")
        until(page, lambda: figure(page, "seen") >= 1, 60)
        expect(page.locator("#wanted")).to_be_visible(timeout=30_000)
        until(page, lambda: figure(page, "desired") >= 3)
        until(page, lambda: ready_pods(engine) >= 3)
        # What is running stays where it is; requests that come now find the new pods.
        page.click("#stop")
        page.click("#start")
        until(page, lambda: figure(page, "seen") >= 2)
        until(page, lambda: figure(page, "active") >= 2)
        page.wait_for_timeout(4000)
        up = figure(page, "total")
        assert up > 0.1
        picture(page, "stress-pods-up")
        page.click("#stop")
        until(page, lambda: figure(page, "total") < up / 3)
        picture(page, "stress-pods-down")
        deadline = time.monotonic() + 10
        while burners() and time.monotonic() < deadline:
            time.sleep(0.1)
        assert burners() == 0
