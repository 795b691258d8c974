"""The console's page of events in Chromium: the graph with counts, an event's path, replay of a dead letter."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
import requests
from playwright.sync_api import Browser, expect

from tests.browser import no_serious_violation, no_sideways_scrolling, picture, visit
from tests.engines import EngineProcess, service
from tests.knative.local.eventing.test_topology import ref, trigger

BROKER = {"apiVersion": "eventing.knative.dev/v1", "kind": "Broker", "metadata": {"name": "b", "namespace": "default"}}
SINK = {"deadLetterSink": ref("Service", "sink"), "retry": 0}
CE = {"ce-specversion": "1.0", "ce-source": "/camera", "ce-type": "up"}


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EngineProcess]:
    failing = trigger("failing", {"uri": "http://127.0.0.1:9/"}, delivery=SINK)
    taking = trigger("taking", {**ref("Service", "hello"), "uri": "/?status=204"})
    binding = {
        "apiVersion": "sources.knative.dev/v1",
        "kind": "SinkBinding",
        "metadata": {"name": "bound"},
        "spec": {
            "subject": {"apiVersion": "serving.knative.dev/v1", "kind": "Service", "name": "hello"},
            "sink": ref("Broker", "b", "eventing.knative.dev/v1"),
        },
    }
    objects = [service(), service("sink"), BROKER, failing, taking, binding]
    started = EngineProcess(tmp_path_factory.mktemp("events"), *objects, arguments=("--port", "0"))
    yield started
    assert started.stop() == 0


@pytest.mark.parametrize(("size", "theme"), [("wide", "light"), ("narrow", "dark")])
def test_graph_path_and_replay(browser: Browser, engine: EngineProcess, size: str, theme: str) -> None:
    key = f"{size}-{theme}"
    sent = requests.post(f"{engine.url}/_knative/broker/default/b", headers={**CE, "ce-id": key}, timeout=10)
    assert sent.status_code == 202
    number = sent.headers["Location"].rpartition("/")[2]
    with visit(browser, f"{engine.url}/console/events", size, theme) as page:
        rows = page.locator("#dead li").filter(has_text=key)
        expect(rows).to_have_count(1, timeout=20_000)
        expect(page.locator("#graph [data-place='broker/default/b']")).to_contain_text(re.compile(r"\d events?$"))
        expect(page.locator("#graph g")).to_have_count(5)
        expect(page.locator("#graph [data-place='SinkBinding default/bound']")).to_be_visible()
        expect(page.locator("#subscriptions tr")).to_have_count(3)
        rows.get_by_role("button", name="Path").click()
        expect(page.locator(f"#path [data-event='{number}']")).to_contain_text("Trigger default/taking: answered")
        expect(page.locator("#graph g.on")).to_have_count(4)
        rows.get_by_role("button", name="Deliver again").click()
        expect(page.locator("#dead li").filter(has_text=key)).to_have_count(2, timeout=20_000)
        expect(page.locator("#failure")).to_be_hidden()
        no_sideways_scrolling(page)
        no_serious_violation(page)
        picture(page, f"console-events-{size}-{theme}")
    chain = requests.get(f"{engine.url}/_knative/events/{number}", timeout=10).json()["chain"]
    kinds = [one["kind"] for one in chain[0]["deliveries"]]
    assert kinds.count("dead-letter") == 2


def test_what_cannot_be_replayed_is_refused(engine: EngineProcess) -> None:
    sent = requests.post(f"{engine.url}/_knative/broker/default/b", headers={**CE, "ce-id": "refused"}, timeout=10)
    path = f"{engine.url}{sent.headers['Location']}/replay"
    assert requests.post(f"{engine.url}/_knative/events/999999/replay", timeout=10).status_code == 404
    assert requests.post(f"{path}?delivery=-1", timeout=10).status_code == 400
    assert requests.post(f"{path}?delivery=999999", timeout=10).status_code == 409
    assert requests.post(path, headers={"Sec-Fetch-Site": "cross-site"}, timeout=10).status_code == 403
