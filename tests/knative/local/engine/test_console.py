"""The console in Chromium during a burst from zero, and the handler behind its button."""

from __future__ import annotations

import json
import re
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
from playwright.sync_api import Browser, Page

from tests.browser import no_sideways_scrolling, picture, visit
from tests.engines import EngineProcess, service


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EngineProcess]:
    quick = {"window": "20s", "max-scale": "4", "target-utilization-percentage": "70", "target": "5"}
    started = EngineProcess(
        tmp_path_factory.mktemp("console"),
        service(concurrency=10, annotations=quick),
        service("other"),
        arguments=("--initial-scale", "0"),
    )
    yield started
    assert started.stop() == 0


def ask(engine: EngineProcess, body: Any, **headers: str) -> tuple[int, dict[str, Any]]:
    request = urllib.request.Request(
        f"{engine.url}/_knative/burst",
        data=body if isinstance(body, bytes) else json.dumps(body).encode(),
        headers={"Content-Type": "application/json", **headers},
    )
    try:
        with urllib.request.urlopen(request, timeout=30) as response:
            return response.status, json.load(response)
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)


BURST = {"service": "other", "clients": 5, "seconds": 0.3}


def test_a_burst_tells_its_answers(engine: EngineProcess) -> None:
    status, told = ask(engine, BURST)
    assert status == 200
    assert told["answers"]["200"] >= 5
    assert told["milliseconds"]["p50"] <= told["milliseconds"]["p99"]


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"{", 400),
        ([], 400),
        ({}, 400),
        ({**BURST, "clients": 0}, 400),
        ({**BURST, "clients": 501}, 400),
        ({**BURST, "seconds": float("nan")}, 400),
        ({**BURST, "path": "/ HTTP/1.1\r\nX: y"}, 400),
        ({**BURST, "method": "BREW"}, 400),
        ({**BURST, "service": "none"}, 404),
        (b"[" * 100_000, 400),
        (b'{"service": "hello", "clients": 1e999}', 400),
    ],
)
def test_a_burst_that_makes_no_sense_is_refused(engine: EngineProcess, body: Any, status: int) -> None:
    answered, told = ask(engine, body)
    assert answered == status
    assert told["detail"]


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Sec-Fetch-Site": "cross-site"}, 403),
        ({"Sec-Fetch-Site": "same-site"}, 403),
        ({"Origin": "https://evil.example"}, 403),
        ({"Origin": "null"}, 403),
        ({"Content-Type": "text/plain"}, 415),
        ({"Content-Type": "application/x-www-form-urlencoded"}, 415),
    ],
)
def test_another_site_cannot_start_a_burst(engine: EngineProcess, headers: dict[str, str], status: int) -> None:
    assert ask(engine, BURST, **headers)[0] == status


@pytest.mark.parametrize("path", ["/_knative/burst", "/_knative/broker/default/images", "/exif/strip"])
def test_another_site_may_not_even_ask(engine: EngineProcess, path: str) -> None:
    headers = {
        "Origin": "https://evil.example",
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "content-type",
    }
    answer = requests.options(engine.url + path, headers=headers, timeout=10)
    assert not [name for name in answer.headers if name.lower().startswith("access-control-")]


def test_the_page_loads_nothing_and_runs_only_its_own_script(engine: EngineProcess) -> None:
    with urllib.request.urlopen(f"{engine.url}/", timeout=10) as response:
        policy = response.headers["Content-Security-Policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert response.headers["X-Content-Type-Options"] == "nosniff"
        assert "<h1>console</h1>" in response.read().decode()


def _inked(page: Page, canvas: str) -> int:
    """How many pixels of a plot are drawn in a curve's colour."""
    return int(
        page.evaluate(
            """selector => {
                const canvas = document.querySelector(selector), context = canvas.getContext("2d");
                const data = context.getImageData(0, 0, canvas.width, canvas.height).data;
                let inked = 0;
                for (let i = 0; i < data.length; i += 4) {
                    const spread = Math.max(data[i], data[i+1], data[i+2]) - Math.min(data[i], data[i+1], data[i+2]);
                    if (data[i+3] > 200 && spread > 60) inked++;
                }
                return inked;
            }""",
            canvas,
        )
    )


WORDS_AGREE = """async () => {
    const told = await (await fetch("/_knative/status")).json();
    const revision = told.services.find(service => service.name === "hello").revisions[0];
    return document.querySelector("#why").textContent === revision.decision.words;
}"""


@pytest.mark.slow
def test_a_burst_from_zero_is_seen_and_explained(browser: Browser, engine: EngineProcess) -> None:
    with visit(browser, f"{engine.url}/#default%2Fhello") as page:
        page.wait_for_selector("#tabs button[aria-pressed=true]:has-text('hello')")
        assert page.is_visible("#no-pods")
        page.fill("[name=clients]", "18")
        page.fill("[name=seconds]", "7")
        page.fill("[name=path]", "/?sleep=0.3&brief=1")
        page.click("#send")
        page.wait_for_selector("#pods li.ready:nth-child(3)")
        assert page.is_hidden("#no-pods")
        assert _inked(page, "#plot-load") > 0
        page.wait_for_selector("#result:has-text('× 200')", timeout=20000)
        assert _inked(page, "#plot-pods") > 20
        picture(page, "console-wide-light")
        # The words on the page are the engine's own of the same second.
        engine.wait(lambda: page.evaluate(WORDS_AGREE), "agreement")
        decisions = page.locator("#decisions li")
        told = engine.revision("hello")["decisions"]
        assert decisions.count() == len(told)
        assert told[-1]["words"] in decisions.first.inner_text()
        assert "target 3.5" in page.inner_text("#why")
        page.get_by_text("Autoscaling annotations").click()
        assert page.is_visible("#annotations tr:has-text('target-utilization-percentage'):has-text('70')")
        page.get_by_text("The three minutes as a table").click()
        page.wait_for_selector("#twin tr:nth-child(8)")  # a row for each second of the burst
        ready = page.locator("#twin tr td:nth-child(5)").all_inner_texts()
        assert max(map(int, ready)) >= 3


@pytest.mark.parametrize(
    ("size", "scheme"), [("narrow", "light"), ("narrow", "dark"), ("middle", "dark"), ("wide", "dark")]
)
def test_it_is_readable_on_a_phone_and_in_the_dark(
    browser: Browser, engine: EngineProcess, size: str, scheme: str
) -> None:
    with visit(browser, f"{engine.url}/", size, scheme) as page:
        page.wait_for_selector("#tabs button")
        no_sideways_scrolling(page)
        picture(page, f"console-{size}-{scheme}")


def test_it_says_when_the_engine_is_gone(browser: Browser, tmp_path: Path) -> None:
    engine = EngineProcess(tmp_path, service())
    with visit(browser, engine.url) as page:
        page.wait_for_selector("#tabs button")
        engine.stop()
        page.wait_for_selector("#lost:visible")


def in_namespace(made: dict[str, Any], namespace: str) -> dict[str, Any]:
    made["metadata"]["namespace"] = namespace
    return made


def with_sidecar(made: dict[str, Any]) -> dict[str, Any]:
    spec = made["spec"]["template"]["spec"]
    spec["containers"][0] |= {"name": "app", "ports": [{"containerPort": 8080}]}
    spec["containers"].append(
        {"name": "side", "image": "dev.local/side:1", "command": ["sh", "-c", "echo beside; exec sleep 60"]}
    )
    return made


@pytest.fixture(scope="module")
def twins(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EngineProcess]:
    """Services of other people: two of one name, and one that does not start."""
    running = EngineProcess(
        tmp_path_factory.mktemp("twins"),
        in_namespace(service("two", environment={"WHO": "a"}), "team-a"),
        in_namespace(service("two", environment={"WHO": "b"}), "team-b"),
        service("failing", command=["sh", "-c", "echo boom; exit 1"]),
        {"apiVersion": "eventing.knative.dev/v1", "kind": "Broker", "metadata": {"name": "default"}},
        {
            "apiVersion": "eventing.knative.dev/v1",
            "kind": "Trigger",
            "metadata": {"name": "all"},
            "spec": {"broker": "default", "subscriber": {"uri": "http://two.team-a.svc.cluster.local/seen"}},
        },
        with_sidecar(service("hidden", labels={"networking.knative.dev/visibility": "cluster-local"})),
    )
    yield running
    assert running.stop() == 0


def test_services_of_one_name_have_distinct_addresses_and_each_is_answered(twins: EngineProcess) -> None:
    paths = {(one["namespace"], one["name"]): one["path"] for one in twins.status()["services"]}
    assert paths == {
        ("team-a", "two"): "/two.team-a",
        ("team-b", "two"): "/two.team-b",
        ("default", "failing"): "/failing",
        ("default", "hidden"): "/hidden.default",
    }
    for namespace, who in (("team-a", "a"), ("team-b", "b")):
        assert (
            f"Service  {twins.url}/two.{namespace}  or  http://two.{namespace}.localhost:{twins.port}/" in twins.lines
        )
        status, body = twins.get(f"/two.{namespace}")
        assert (status, json.loads(body)["environment"]["WHO"]) == (200, who)
    assert twins.get("/two")[0] == 404


def test_pods_get_no_variables_of_this_project(twins: EngineProcess) -> None:
    found = json.loads(twins.get("/two.team-a")[1])["environment"]
    assert [name for name in found if name.endswith(("_DATAREF_HOSTS", "_EVENT_BYTES"))] == []


def test_each_link_of_the_console_is_answered(twins: EngineProcess) -> None:
    page = twins.get("/")[1].decode()
    links = set(re.findall(r'<a href="(/[^"]*)"', page))
    assert links >= {"/two.team-a", "/two.team-b"}
    answered = {link: twins.get(link)[0] for link in links - {"/failing"}}
    assert set(answered.values()) == {200}, answered


def test_the_log_of_a_pod_can_be_read(twins: EngineProcess) -> None:
    (pod,) = twins.pods(name="two")[:1]
    assert twins.get(f"/_knative/logs/{pod['name']}") == (200, b"listening\n")
    status, body = twins.get("/_knative/logs/nothing")
    said = json.loads(body)
    assert (status, said["type"]) == (404, "/problems/no-such-pod")
    assert "no pod nothing" in said["detail"]


def test_a_path_that_is_not_there_names_those_that_are(twins: EngineProcess) -> None:
    for path in ("/two", "/nothing/at/all", "/problems/nothing"):  # /two is ambiguous
        status, body = twins.get(path)
        said = json.loads(body)
        assert (status, said["type"]) == (404, "/problems/no-such-path")
        assert path in said["detail"]
        assert "/two.team-a" in said["detail"]


def test_the_console_shows_reasons_and_logs(twins: EngineProcess, browser: Browser) -> None:
    page = browser.new_page()
    try:
        page.goto(twins.url)
        page.get_by_role("button", name="failing").click()
        page.get_by_text("Not ready: RevisionFailed").wait_for()
        page.get_by_role("button", name="team-a").click()
        page.get_by_role("button", name="Log of two-00001").click()
        page.locator("#log pre", has_text="listening").wait_for()
        assert page.locator("#address").get_attribute("href") == "/two.team-a"
        (pod,) = twins.pods(name="two")[:1]
        commands = page.locator(".commands code").all_inner_texts()
        assert "kubectl get pods -l serving.knative.dev/service=two --namespace team-a" in commands
        assert f"kubectl logs --follow {pod['name']} --namespace team-a" in commands
        assert "kn service update two --traffic @latest=100 --namespace team-a" in commands
    finally:
        page.close()


def test_an_event_is_published_and_its_delivery_shown(twins: EngineProcess, browser: Browser) -> None:
    with visit(browser, f"{twins.url}/#team-a%2Ftwo") as page:
        page.get_by_label("Type", exact=True).fill("com.example.shown")
        page.get_by_label("Subject").fill("one")
        page.get_by_label("Data").fill('{"a": "ü"}')
        page.get_by_role("button", name="Publish").click()
        page.locator("#published", has_text="Accepted as console-").wait_for()
        shown = page.locator("#events li", has_text="com.example.shown")
        shown.locator("li", has_text="Trigger default/all").wait_for()
    (event, *_) = json.loads(twins.get("/_knative/events")[1])["events"]
    assert (event["type"], event["source"]) == ("com.example.shown", "/console")


def test_an_event_that_is_refused_says_why(twins: EngineProcess, browser: Browser) -> None:
    page = browser.new_page()
    try:
        page.goto(twins.url)
        page.get_by_label("Content type").fill("application/cloudevents+json")
        page.get_by_label("Data").fill("nonsense")
        page.get_by_role("button", name="Publish").click()
        page.locator("#published", has_text="Not accepted: ").wait_for()
    finally:
        page.close()


def test_without_a_broker_there_is_nothing_to_publish_to(engine: EngineProcess, browser: Browser) -> None:
    with visit(browser, engine.url) as page:
        page.wait_for_selector("#tabs button")
        assert page.locator("#publish").is_hidden()


def test_a_private_service_has_an_address_for_pods_and_each_container_a_log(
    twins: EngineProcess, browser: Browser
) -> None:
    with visit(browser, f"{twins.url}/#default%2Fhidden") as page:
        page.get_by_text("Only pods reach it, at http://hidden.default.svc.cluster.local.").wait_for()
        assert page.locator("#address").is_hidden()
        page.get_by_role("button", name=re.compile("^Log of hidden-00001.*.side$")).click()
        page.locator("#log pre", has_text="beside").wait_for()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", ["narrow", "wide"])
def test_the_form_for_events_fits(twins: EngineProcess, browser: Browser, size: str, scheme: str) -> None:
    with visit(browser, f"{twins.url}/#team-a%2Ftwo", size, scheme) as page:
        page.locator("#publish option").first.wait_for(state="attached")
        no_sideways_scrolling(page)
        page.locator("#publish").scroll_into_view_if_needed()
        picture(page, f"console-publish-{size}-{scheme}")
