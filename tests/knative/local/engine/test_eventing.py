"""Events through the whole machine: the project's manifests, real functions, the command `pixelamp send`."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from functions.client import events as client_events
from functions.client import send as client_send
from knative.local.check.admission import load
from knative.local.engine import serve
from knative.local.eventing.event_log import Arrival, EventLog
from tests.engines import EngineProcess, service
from tests.images import encoded, gradient
from tests.servers import ROOT, free_port

PHOTO = encoded(gradient("RGB", (640, 480)), "JPEG", quality=95)
BROKER = "/_knative/broker/default/images"
CE = {"ce-specversion": "1.0", "ce-source": "/test", "ce-type": "dev.pixelamp.image.uploaded"}


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EngineProcess]:
    objects = [dict(one.data) for one in load([ROOT / "knative", ROOT / "knative" / "eventing"]).resources]
    started = EngineProcess(tmp_path_factory.mktemp("eventing"), *objects, arguments=("--initial-scale", "0"))
    yield started
    assert started.stop() == 0


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "photo.jpg").write_bytes(PHOTO)
    (tmp_path / "large.png").write_bytes(encoded(gradient("RGB", (400, 400)), "PNG", compress_level=0))
    (tmp_path / "poison.jpg").write_bytes(b"no image at all")
    return tmp_path


def object_of(kind: str, name: str, api: str, **spec: Any) -> dict[str, Any]:
    return {"apiVersion": api, "kind": kind, "metadata": {"name": name}, "spec": spec}


def listens(address: str) -> bool:
    """Whether this machine has an address: some have no IPv6."""
    try:
        serve.listen(address, 0).close()
    except OSError:
        return False
    return True


def to_hello(name: str, path: str, retry: int, delay: str) -> dict[str, Any]:
    """A Trigger for the type of its own name, whose subscriber does what the path says."""
    subscriber = {"ref": {"apiVersion": "serving.knative.dev/v1", "kind": "Service", "name": "hello"}, "uri": path}
    delivery = {"retry": retry, "backoffPolicy": "exponential", "backoffDelay": delay}
    filtered = {"attributes": {"type": name}}
    return object_of(
        "Trigger",
        name,
        "eventing.knative.dev/v1",
        broker="b",
        filter=filtered,
        subscriber=subscriber,
        delivery=delivery,
    )


def test_overload_is_visible_as_waiting_and_an_answer_that_is_not_an_event_fails(tmp_path):
    objects = [
        service(),
        object_of("Broker", "b", "eventing.knative.dev/v1"),
        to_hello("full", "/?status=503", 5, "PT20S"),
        to_hello("chatty", "/", 1, "PT0.01S"),
    ]
    engine = EngineProcess(tmp_path, *objects, arguments=("--initial-scale", "0"))
    delivered: dict[str, dict[str, Any]] = {}

    def tried() -> bool:
        listed = requests.get(f"{engine.url}/_knative/events", timeout=10).json()["events"]
        delivered.update({event["type"]: event["deliveries"][0] for event in listed})
        return delivered["full"]["attempts"] == 1 and delivered["chatty"]["state"] != "pending"

    try:
        for kind in ("full", "chatty"):
            url = f"{engine.url}/_knative/broker/default/b"
            assert requests.post(url, headers={**CE, "ce-id": kind, "ce-type": kind}, timeout=10).status_code == 202
        engine.wait(tried, "both deliveries")
    finally:
        engine.stop()
    assert (delivered["full"]["state"], delivered["full"]["code"]) == ("pending", 503)
    assert delivered["full"]["due"] - delivered["full"]["at"] == pytest.approx(20, abs=1)
    assert (delivered["chatty"]["state"], delivered["chatty"]["code"]) == ("dropped", 502)
    assert delivered["chatty"]["attempts"] == 2
    assert "either empty or a valid CloudEvent" in delivered["chatty"]["error"]


@pytest.mark.slow
def test_a_delivery_under_way_ends_before_the_engine_does_and_is_not_made_again(tmp_path):
    ledger, state = tmp_path / "ledger", tmp_path / "state"
    slow = to_hello("slow", "/?sleep=2&size=0&id=done", 0, "PT1S")
    objects = [service(environment={"LEDGER": str(ledger)}), object_of("Broker", "b", "eventing.knative.dev/v1"), slow]
    engine = EngineProcess(tmp_path, *objects, arguments=("--state", str(state)))
    engine.wait_pods(1)
    url = f"{engine.url}/_knative/broker/default/b"
    assert requests.post(url, headers={**CE, "ce-id": "1", "ce-type": "slow"}, timeout=10).status_code == 202
    engine.wait(lambda: engine.pods()[0]["inFlight"], "the delivery at the pod")
    assert engine.stop() == 0
    assert ledger.read_text() == "done\n"
    again = EngineProcess(tmp_path, *objects, arguments=("--state", str(state)))
    try:
        (event,) = requests.get(f"{again.url}/_knative/events", timeout=10).json()["events"]
        assert [(one["state"], one["attempts"]) for one in event["deliveries"]] == [("done", 1)]
    finally:
        again.stop()
    assert ledger.read_text() == "done\n"


@pytest.mark.parametrize(
    "address", ["127.0.0.2", *(pytest.param(one, marks=pytest.mark.slow) for one in ("::1", "0.0.0.0", "::"))]
)
def test_large_data_is_fetched_from_the_address_that_the_engine_listens_on(tmp_path, address):
    if not listens(address):
        pytest.skip(f"this machine has no {address}")
    objects = [dict(one.data) for one in load([ROOT / "knative", ROOT / "knative" / "eventing"]).resources]
    wanted = [one for one in objects if one["metadata"]["name"] in ("images", "exif", "mailbox")]
    data = encoded(gradient("RGB", (400, 400)), "PNG", compress_level=0)
    engine = EngineProcess(tmp_path, *wanted, arguments=("--host", address, "--initial-scale", "0"))
    try:
        accepted = requests.post(engine.url + BROKER, headers={**CE, "ce-id": "1"}, data=data, timeout=10)
        assert accepted.status_code == 202

        def settled() -> list[dict[str, Any]]:
            chain = requests.get(engine.url + accepted.headers["Location"], timeout=10).json()["chain"]
            deliveries = [one for event in chain for one in event["deliveries"]]
            return deliveries if deliveries and deliveries[0]["state"] != "pending" else []

        delivered = engine.wait(settled, "the delivery")
        assert [(one["state"], one["attempts"]) for one in delivered] == [("done", 1)]
        shown = [line for line in engine.lines if line.startswith("Service  ")]
        assert shown[0].startswith(f"Service  {engine.url}/exif")
        assert ("localhost" in shown[0]) == (address != "127.0.0.2")
    finally:
        engine.stop()


def pixelamp(*arguments: object) -> int:
    """The command with the two subcommands of this area."""
    parser = argparse.ArgumentParser()
    subparsers = parser.add_subparsers(required=True)
    client_send.add_parser(subparsers)
    client_events.add_parser(subparsers)
    options = parser.parse_args([str(argument) for argument in arguments])
    return options.run(options)


def told(capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    return json.loads(capsys.readouterr().out)


def test_one_photo_from_zero_pods_brings_exif_histogram_and_both(engine, folder, capsys):
    assert engine.pods(name="exif") == []
    assert engine.pods(name="histogram") == []
    assert pixelamp("send", folder / "photo.jpg", "--to", engine.url + BROKER, "--wait") == 0
    answer = told(capsys)
    assert set(answer["results"]) == {"exif", "histogram"}
    assert sum(answer["results"]["histogram"]["histogram"]) == 640 * 480
    assert answer["results"]["exif"]["width"] == 640
    assert sorted(answer["events"]) == [
        "dev.pixelamp.exif.extracted",
        "dev.pixelamp.exif.extracted",
        "dev.pixelamp.histogram.computed",
        "dev.pixelamp.histogram.computed",
        "dev.pixelamp.image.uploaded",
        "dev.pixelamp.image.uploaded",  # once at the Broker, once at the Sequence
    ]


def test_a_large_photo_chains_by_reference(engine, folder, capsys):
    size = (folder / "large.png").stat().st_size
    assert size > 256 * 1024
    assert pixelamp("send", folder / "large.png", "--to", engine.url + BROKER, "--wait") == 0
    answer = told(capsys)
    assert set(answer["results"]) == {"exif", "histogram"}
    found = requests.get(f"{engine.url}/_knative/events", params={"id": answer["id"]}, timeout=10).json()["events"]
    chain = requests.get(f"{engine.url}/_knative/events/{found[0]['event']}", timeout=10).json()["chain"]
    reply = next(event for event in chain if event["type"] == "dev.pixelamp.exif.extracted")
    image = requests.get(engine.url + reply["data"], timeout=10).json()["image"]
    assert image["dataref"].startswith(f"{engine.url}/_knative/data/")
    assert requests.get(image["dataref"], timeout=10).content == (folder / "large.png").read_bytes()


def test_poison_dies_at_once_and_says_why(engine, folder, capsys):
    assert pixelamp("send", folder / "poison.jpg", "--to", engine.url + BROKER, "--wait") == 1
    answer = told(capsys)
    assert {(one["subscription"], one["code"]) for one in answer["dead"]} == {
        ("Trigger default/exif", 422),
        ("Trigger default/histogram", 422),
        ("Sequence default/describe step 0", 422),
    }
    assert all("detail" in one["error"] for one in answer["dead"])
    assert pixelamp("events", "--dead", "--at", engine.url) == 0
    assert f"id {answer['id']} — Trigger default/exif: 422 after 1 tries" in capsys.readouterr().out


def test_straight_to_a_function_the_reply_is_printed(engine, folder, capsys):
    assert pixelamp("send", folder / "photo.jpg", "--to", f"{engine.url}/exif") == 0
    answer = told(capsys)
    assert (answer["type"], set(answer["results"])) == ("dev.pixelamp.exif.extracted", {"exif"})


def test_a_refusal_is_reported(engine, folder, capsys):
    assert pixelamp("send", folder / "poison.jpg", "--to", f"{engine.url}/exif") == 1
    assert "422" in capsys.readouterr().err
    assert pixelamp("send", folder / "missing.jpg") == 2
    assert pixelamp("send", folder / "photo.jpg", "--to", f"{engine.url}/_knative/broker/default/other") == 1
    assert "default/other" in capsys.readouterr().err


def test_stress_is_asked_by_event(engine):
    headers = {**CE, "ce-id": "burn", "ce-type": "dev.pixelamp.stress.requested", "Content-Type": "application/json"}
    accepted = requests.post(engine.url + BROKER, headers=headers, data=b'{"seconds": 0.2}', timeout=10)
    assert accepted.status_code == 202

    def finished() -> bool:
        chain = requests.get(engine.url + accepted.headers["Location"], timeout=10).json()["chain"]
        return any(event["type"] == "dev.pixelamp.stress.finished" for event in chain)

    engine.wait(finished, "the reply of stress")


@pytest.mark.parametrize(
    ("headers", "data", "status"),
    [
        ({}, b"x", 400),
        ({**CE}, b"x", 400),
        ({**CE, "ce-id": "1", "ce-specversion": "0.2"}, b"x", 400),
        ({**CE, "ce-id": "1", "ce-knativebrokerttl": "1"}, b"x", 400),
        ({"Content-Type": "application/cloudevents-batch+json"}, b"[]", 415),
        ({"Content-Type": "application/cloudevents+json"}, b"{", 400),
    ],
)
def test_a_request_that_is_not_an_event_is_refused_at_the_ingress(engine, headers, data, status):
    response = requests.post(engine.url + BROKER, headers=headers, data=data, timeout=10)
    assert (response.status_code, response.headers["Content-Type"]) == (status, "application/problem+json")


def test_both_content_modes_come_in_alike(engine):
    document = {"specversion": "1.0", "id": "json", "source": "/test", "type": "no.trigger", "data": {"a": 1}}
    structured = {"Content-Type": "application/cloudevents+json"}
    first = requests.post(engine.url + BROKER, headers=structured, data=json.dumps(document), timeout=10)
    binary = {**CE, "ce-id": "binary", "ce-type": "no.trigger", "Content-Type": "application/json"}
    second = requests.post(engine.url + BROKER, headers=binary, data=b'{"a":1}', timeout=10)
    bodies = [
        requests.get(f"{engine.url}{response.headers['Location']}/data", timeout=10).content
        for response in (first, second)
    ]
    assert bodies == [b'{"a":1}', b'{"a":1}']
    listed = requests.get(f"{engine.url}/_knative/events?limit=2&type=no.trigger", timeout=10).json()["events"]
    assert [event["attributes"]["datacontenttype"] for event in listed] == ["application/json"] * 2


@pytest.mark.parametrize(
    "path",
    ["/_knative/events/999999", "/_knative/events/999999/data", "/_knative/data/" + "0" * 64, "/_knative/data/x"],
)
def test_what_is_not_there(engine, path):
    assert requests.get(f"{engine.url}/_knative/{path}", timeout=10).status_code == 404


def test_the_webhook_handshake_is_granted(engine):
    answer = requests.options(engine.url + BROKER, headers={"WebHook-Request-Origin": "a.example"}, timeout=10)
    assert (answer.status_code, answer.headers["WebHook-Allowed-Origin"]) == (200, "*")


def test_limits_of_the_list(engine):
    for query, named in (
        ("limit=x", "1 to 1,000"),
        ("limit=0", "1 to 1,000"),
        ("before=x", "before is a whole number"),
        ("state=failed", "pending, done, dead, dropped"),
        ("stat=dead", "unknown option 'stat'"),
    ):
        refused = requests.get(f"{engine.url}/_knative/events?{query}", timeout=10)
        assert (refused.status_code, named in refused.json()["detail"]) == (400, True), query
    assert len(requests.get(f"{engine.url}/_knative/events?limit=1", timeout=10).json()["events"]) == 1


def test_the_stream_tells_what_happens(engine):
    url = f"{engine.url}/_knative/events"
    with requests.get(url, headers={"Accept": "text/event-stream"}, stream=True, timeout=10) as stream:
        requests.post(engine.url + BROKER, headers={**CE, "ce-id": "seen", "ce-type": "no.trigger"}, timeout=10)
        for _, happening in client_events.frames(stream.iter_lines(chunk_size=1)):
            if happening["id"] == "seen":
                break
    assert (happening["what"], happening["node"]) == ("accepted", "broker/default/images")
    assert "accepted  no.trigger" in client_events.line(happening)


@pytest.mark.parametrize("sent", [True, False])
def test_the_log_of_a_port_stays_if_it_holds_anything(tmp_path, sent):
    port = free_port()
    arguments = ("--port", str(port), "--workdir", str(tmp_path))
    engine = EngineProcess(
        tmp_path, service(), object_of("Broker", "b", "eventing.knative.dev/v1"), arguments=arguments
    )
    if sent:
        url = f"{engine.url}/_knative/broker/default/b"
        assert requests.post(url, headers={**CE, "ce-id": "1"}, timeout=10).status_code == 202
    assert engine.stop() == 0
    log = tmp_path / ".pixelamp" / str(port) / "events.sqlite"
    assert log.exists() is sent
    # An engine without a Broker leaves it alone.
    EngineProcess(tmp_path, service(), arguments=arguments).stop()
    assert log.exists() is sent


def test_a_log_that_cannot_be_opened_is_reported_and_the_services_run(tmp_path):
    (tmp_path / "state").write_text("a file where a folder should be")
    objects = [service(), object_of("Broker", "b", "eventing.knative.dev/v1")]
    engine = EngineProcess(tmp_path, *objects, arguments=("--state", str(tmp_path / "state")))
    try:
        url = f"{engine.url}/_knative/broker/default/b"
        refused = requests.post(url, headers={**CE, "ce-id": "1"}, timeout=10)
        assert (refused.status_code, "cannot be opened" in refused.json()["detail"]) == (503, True)
        assert engine.get()[0] == 200
    finally:
        engine.stop()
    assert (tmp_path / "state").is_file()


@pytest.mark.parametrize("damage", ["update deliveries set target = '{'", "update events set attributes = '[]'"])
def test_a_damaged_log_costs_the_events_and_not_the_functions(tmp_path: Path, damage: str) -> None:
    state = tmp_path / "state"
    log = EventLog(state)
    attributes = {"id": "1", "source": "/test", "type": "t", "specversion": "1.0"}
    deliveries = (("Trigger default/t", "subscriber", {"host": "hello.default"}, {}),)
    log.arrive(log._db, Arrival("broker/default/b", attributes, b"", 255, deliveries), None, 1.0)
    log._db.execute(damage)
    log.close()
    broker = object_of("Broker", "b", "eventing.knative.dev/v1")
    engine = EngineProcess(tmp_path, service("hello"), broker, arguments=("--state", str(state)))
    try:
        engine.wait(lambda: "no events" in engine.output, "word of the damaged log")
        assert "cannot be read" in engine.output
        assert "1 of its 1 events are lost" in engine.output
        assert engine.get("/hello")[0] == 200
        headers = {**CE, "ce-id": "2"}
        answer = requests.post(f"{engine.url}/_knative/broker/default/b", headers=headers, timeout=10)
        assert answer.status_code == 503
        assert answer.json()["type"].endswith("not-kept")
    finally:
        assert engine.stop() == 0
    assert not [line for line in engine.lines if line.startswith("Traceback")], "the engine itself"


@pytest.mark.parametrize("query", ["before=" + "9" * 40, "before=-" + "9" * 40, "after=" + "9" * 5000])
def test_numbers_beyond_all_events_are_answered(engine: EngineProcess, query: str) -> None:
    headers = {"Accept": "text/event-stream"} if query.startswith("after") else {}
    with requests.get(f"{engine.url}/_knative/events?{query}", headers=headers, timeout=10, stream=True) as answer:
        assert answer.status_code == 200


def test_an_event_beyond_the_limit_is_413(engine: EngineProcess) -> None:
    def body() -> Iterator[bytes]:
        for _ in range(65):
            yield bytes(2**20)

    answer = requests.post(engine.url + BROKER, data=body(), headers={**CE, "ce-id": "large"}, timeout=60)
    assert answer.status_code == 413
    assert "67,108,864 bytes" in answer.json()["detail"]


def test_the_ingress_accepts_version_03_a_slash_at_the_end_and_a_channel_and_counts_what_it_got(tmp_path):
    channel = object_of("InMemoryChannel", "c", "messaging.knative.dev/v1")
    objects = [service(), object_of("Broker", "b", "eventing.knative.dev/v1"), channel]
    engine = EngineProcess(tmp_path, *objects, arguments=("--initial-scale", "0"))
    try:
        old = {**CE, "ce-id": "1", "ce-specversion": "0.3"}
        assert requests.post(f"{engine.url}/_knative/broker/default/b/", headers=old, timeout=10).status_code == 202
        sent = requests.post(f"{engine.url}/_knative/channel/default/c", headers={**CE, "ce-id": "2"}, timeout=10)
        missing = requests.post(f"{engine.url}/_knative/channel/default/x", headers={**CE, "ce-id": "3"}, timeout=10)
        metrics = requests.get(f"{engine.url}/_knative/metrics", timeout=10).text
    finally:
        engine.stop()
    assert (sent.status_code, missing.status_code) == (202, 404)
    assert missing.json()["detail"] == "there is no Channel default/x"
    labels = 'broker_name="b",event_type="dev.pixelamp.image.uploaded",namespace_name="default",response_code="202"'
    assert f'event_count{{{labels},response_code_class="2xx"}} 1.0' in metrics.splitlines()
    assert "# TYPE event_count counter" in metrics.splitlines()


def test_a_bound_service_gets_the_address_of_its_sink(tmp_path):
    subject = {"apiVersion": "serving.knative.dev/v1", "kind": "Service", "name": "hello"}
    sink = {"ref": {"apiVersion": "eventing.knative.dev/v1", "kind": "Broker", "name": "b"}}
    to_service = {"ref": {"apiVersion": "serving.knative.dev/v1", "kind": "Service", "name": "hello"}, "uri": "/deep"}
    objects = [
        service(),
        object_of("Broker", "b", "eventing.knative.dev/v1"),
        object_of("SinkBinding", "s", "sources.knative.dev/v1", subject=subject, sink=sink),
        service("other"),
        object_of("SinkBinding", "o", "sources.knative.dev/v1", subject={**subject, "name": "other"}, sink=to_service),
    ]
    engine = EngineProcess(tmp_path, *objects)
    try:
        environment = requests.get(f"{engine.url}/hello/", timeout=30).json()["environment"]
        other = requests.get(f"{engine.url}/other/", timeout=30).json()["environment"]["K_SINK"]
        # As on a cluster, where the address of a Service is its root.
        received = [requests.post(other + rest, b"{}", timeout=30).json()["target"] for rest in ("", "/a?b=/c")]
        missing = requests.get(f"{engine.url}/_knative/service/default/none/", timeout=30).status_code
    finally:
        engine.stop()
    assert environment["K_SINK"] == f"{engine.url}/_knative/broker/default/b"
    assert (received, missing) == (["/deep", "/deep/a?b=/c"], 404)
