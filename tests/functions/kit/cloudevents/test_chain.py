"""The reply contract: what an event carries, what goes back, and what ends a chain."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

import pytest
from flask import Flask, request

from functions.kit.cloudevents import binding, chain
from functions.kit.cloudevents.binding import Event
from functions.kit.http.function import EventRoute, Function, Route
from functions.kit.http.problems import Problem
from functions.kit.http.service import Service
from functions.kit.http.settings import Settings, load

NOW = datetime(2026, 2, 3, 10, 0, tzinfo=UTC)
IMAGE = b"\xff\xd8\xff\xe0" + bytes(range(256))
LIMIT = 256 * 1024


def uploaded(data: bytes | None = IMAGE, **attributes: str) -> Event:
    """An event of an image, with attributes changed."""
    return Event(
        {
            "specversion": "1.0",
            "id": "1",
            "source": "/camera",
            "type": "dev.pixelamp.image.uploaded",
            "datacontenttype": "image/jpeg",
            **attributes,
        },
        data,
    )


def count(data: bytes, settings: Settings) -> Mapping[str, int]:
    if data == b"poison":
        raise Problem(422, "unreadable-image", "Not a readable image", "x" * 2000)
    if data == b"busy":
        raise Problem(503, "busy", "Busy", "full", headers={"Retry-After": "1"})
    return {"bytes": len(data)}


COUNTER = Function(
    name="counter",
    summary="counts bytes",
    settings=Settings,
    routes=(Route("POST", "/", lambda call: {"bytes": len(call.upload().data)}, "count", takes="image"),),
    page=Path("unused"),
    events=(
        EventRoute("dev.pixelamp.image.uploaded", "dev.pixelamp.counted", "image", count, "counter"),
        EventRoute("dev.pixelamp.image.clean", "dev.pixelamp.image.cleaned", "image", lambda d, s: (d, "image/png")),
        EventRoute("dev.pixelamp.asked", "dev.pixelamp.told", "json", lambda d, s: {"asked": d}),
    ),
)


def deliver(event: Event, function: Function = COUNTER, structured: bool = False, **environment: str):
    """POST an event to a function as the framework would."""
    app = Flask("test")
    service = Service(function, load(function.settings, function.name, environment))
    app.add_url_rule("/", view_func=lambda: service.answer(request), methods=["POST", "OPTIONS"])
    headers, body = binding.encode(event)
    if structured:
        headers, body = {"content-type": binding.JSON_FORMAT}, binding.to_json(event)
    return app.test_client().post("/", headers=headers, data=body)


def replied(response) -> Event:
    """The event of a response, which is one."""
    assert response.status_code == 200, response.data
    event = binding.decode(response.headers, response.data)
    assert event is not None
    return event


@pytest.mark.parametrize("structured", [False, True])
def test_reply_is_an_event_in_binary_mode(structured):
    reply = replied(
        deliver(uploaded(subject="a.jpg", knativebrokerttl="9", traceparent="00-1-2-01"), structured=structured)
    )
    assert (reply.type, reply.source) == ("dev.pixelamp.counted", "/functions/counter")
    carried = {name: reply.get(name) for name in ("subject", "knativebrokerttl", "traceparent", "causationid")}
    assert carried == {"subject": "a.jpg", "knativebrokerttl": "9", "traceparent": "00-1-2-01", "causationid": "1"}
    document = json.loads(reply.data)
    assert document["results"] == {"counter": {"bytes": len(IMAGE)}}
    assert base64.b64decode(document["image"]["data_base64"]) == IMAGE
    assert document["image"]["sha256"] == hashlib.sha256(IMAGE).hexdigest()


def test_trace_of_the_request_is_carried_into_the_event():
    trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    app = Flask("test")
    service = Service(COUNTER, load(Settings, "counter", {}))
    app.add_url_rule("/", view_func=lambda: service.answer(request), methods=["POST"])
    headers, body = binding.encode(uploaded())
    response = app.test_client().post("/", headers={**headers, "traceparent": trace}, data=body)
    assert replied(response).get("traceparent") == trace
    response = app.test_client().post("/", headers={**headers, "traceparent": "no trace \x85"}, data=body)
    assert replied(response).get("traceparent") == ""


def test_a_redelivery_has_the_same_id_and_another_event_another():
    first, again = replied(deliver(uploaded())), replied(deliver(uploaded()))
    assert first.id == again.id
    others = [uploaded(id="2"), uploaded(source="/other"), uploaded(id='1","x', source="/camera")]
    ids = {chain.reply_id(event, "counter") for event in others} | {chain.reply_id(uploaded(), "exif")}
    assert len(ids | {first.id}) == 5


def test_own_events_are_taken_and_not_answered():
    response = deliver(uploaded(source="/functions/counter"))
    assert (response.status_code, response.data) == (204, b"")


def test_a_result_already_there_is_not_added_again():
    data = json.dumps({"image": {"data_base64": "AA=="}, "results": {"counter": {"bytes": 1}}}).encode()
    response = deliver(uploaded(data, type="dev.pixelamp.other", datacontenttype="application/json"))
    assert (response.status_code, response.data) == (204, b"")


def test_results_accumulate_from_reply_to_reply():
    first = replied(deliver(uploaded(knativebrokerttl="7")))
    second_function = Function(
        **{
            **COUNTER.__dict__,
            "name": "second",
            "events": (EventRoute("dev.pixelamp.image.uploaded", "dev.pixelamp.seconded", "image", count, "second"),),
        }
    )
    second = replied(deliver(first, second_function))
    assert json.loads(second.data)["results"] == {
        "counter": {"bytes": len(IMAGE)},
        "second": {"bytes": len(IMAGE)},
    }
    assert second.get("correlationid") == "1"
    assert second.get("causationid") == first.id
    assert second.get("knativebrokerttl") == "7"


def test_results_in_a_structured_event_that_does_not_say_it_is_json():
    document = {"image": {"data_base64": "AA=="}, "results": {"exif": {}}}
    attributes = {"specversion": "1.0", "id": "1", "source": "/s", "type": "dev.pixelamp.exif.extracted"}
    event = Event(attributes, json.dumps(document).encode(), implied="application/json")
    reply = replied(deliver(event, structured=True))
    assert json.loads(reply.data)["results"] == {"exif": {}, "counter": {"bytes": 1}}


def test_an_image_too_large_to_hand_on_is_named_and_the_next_function_says_so():
    large = IMAGE * 1000
    first = replied(deliver(uploaded(large)))
    document = json.loads(first.data)
    assert "data_base64" not in document["image"]
    assert "262,144 bytes" in document["image"]["omitted"]
    assert document["results"] == {"counter": {"bytes": len(large)}}
    response = deliver(first.having(source="/elsewhere", type="dev.pixelamp.image.uploaded"))
    assert response.status_code == 204  # Its own result is there already.
    document["results"] = {}
    response = deliver(Event({**first.attributes, "source": "/e"}, json.dumps(document).encode()))
    assert response.status_code == 422
    assert "262,144 bytes" in response.get_json()["detail"]


def test_a_cleaned_image_beyond_the_limit_is_refused_with_both_numbers():
    response = deliver(uploaded(IMAGE * 1100, type="dev.pixelamp.image.clean"))
    problem = response.get_json()
    assert (response.status_code, problem["type"]) == (413, "/problems/reply-too-large")
    assert problem["limit"] == LIMIT
    reply = replied(
        deliver(uploaded(IMAGE * 1100, type="dev.pixelamp.image.clean"), COUNTER, COUNTER_EVENT_BYTES="999999")
    )
    assert (reply.data, reply.get("datacontenttype")) == (IMAGE * 1100, "image/png")


def test_json_data_and_none():
    asked = uploaded(b'{"a":1}', type="dev.pixelamp.asked", datacontenttype="application/json")
    assert json.loads(replied(deliver(asked)).data) == {"asked": {"a": 1}}
    assert json.loads(replied(deliver(uploaded(b"", type="dev.pixelamp.asked"))).data) == {"asked": {}}


@pytest.mark.parametrize(
    ("event", "status", "word"),
    [
        (uploaded(b"poison"), 422, "xxx"),
        (uploaded(b"busy"), 503, "full"),
        (uploaded(b""), 422, "neither data nor dataref"),
        (uploaded(type="dev.pixelamp.unknown"), 422, "dev.pixelamp.image.uploaded"),
        (uploaded(b"", dataref="https://example.org/a.jpg"), 422, "COUNTER_DATAREF_HOSTS"),
        (uploaded(b"{", datacontenttype="application/json"), 400, "not JSON"),
        (uploaded(b"[]", datacontenttype="application/json"), 422, "object"),
        (uploaded(b"{}", datacontenttype="application/json"), 422, "image"),
        (uploaded(b'{"image":{"data_base64":"@"}}', datacontenttype="application/json"), 422, "base64"),
        (uploaded(b'{"image":{"data_base64":"AA==","sha256":"0"}}', datacontenttype="application/json"), 422, "sha256"),
        (uploaded(b'{"image":{"data_base64":"AA=="},"results":[]}', datacontenttype="text/json"), 422, "results"),
        (uploaded(b'{"image":{},"results":{"a":1e999}}', datacontenttype="text/json"), 400, "1e999"),
    ],
)
def test_refusals_are_permanent_or_to_be_retried_and_brief(event, status, word):
    response = deliver(event)
    assert response.status_code == status
    assert response.content_type == "application/problem+json"
    assert word in response.get_json()["detail"]
    assert len(response.data) < 768


def test_hostile_results_are_handed_on_or_refused_but_never_break():
    deep = b'{"image":{"data_base64":"AA=="},"results":{"x":' + b"[" * 20000 + b"]" * 20000 + b"}}"
    assert deliver(uploaded(deep, datacontenttype="application/json")).status_code == 400
    half = b'{"image":{"data_base64":"AA=="},"results":{"x":"\\ud800"}}'
    reply = replied(deliver(uploaded(half, datacontenttype="application/json")))
    assert json.loads(reply.data)["results"]["x"] == "\ud800"


@pytest.mark.parametrize("status", [415, 400])
def test_batch_and_malformed(status):
    app = Flask("test")
    service = Service(COUNTER, load(Settings, "counter", {}))
    app.add_url_rule("/", view_func=lambda: service.answer(request), methods=["POST"])
    headers = {415: {"content-type": "application/cloudevents-batch+json"}, 400: {"ce-id": "1"}}[status]
    response = app.test_client().post("/", headers=headers, data=b"[]")
    assert response.status_code == status
    assert len(response.data) < 768


def test_handshake():
    app = Flask("test")
    service = Service(COUNTER, load(Settings, "counter", {}))
    app.add_url_rule(
        "/", view_func=lambda: service.answer(request), methods=["OPTIONS"], provide_automatic_options=False
    )
    response = app.test_client().options(
        "/", headers={"WebHook-Request-Origin": "events.example", "WebHook-Request-Rate": "120"}
    )
    assert response.headers["WebHook-Allowed-Origin"] == "events.example"
    assert response.headers["WebHook-Allowed-Rate"] == "*"
    assert "POST" in response.headers["Allow"]
    assert "WebHook-Allowed-Origin" not in app.test_client().options("/").headers


def test_brief_keeps_what_fits():
    small = Problem(422, "a", "b", "short", limit=1)
    assert chain.brief(small) is small
    for text in ("x" * 5000, '\\"' * 3000, "é" * 3000, "\x00" * 3000):
        problem = chain.brief(Problem(422, "slug", "Title", text, headers={"Retry-After": "1"}, limit=1))
        assert len(problem.encode("i" * 128)) < 768
        assert problem.headers == {"Retry-After": "1"}


def fetched(url: str) -> bytes:
    """A store with one image and one document."""
    return {
        "https://store/a.jpg": IMAGE,
        "https://store/doc": json.dumps(
            {"image": {"dataref": "https://store/a.jpg"}, "results": {"exif": {}}}
        ).encode(),
    }[url]


def test_the_image_goes_on_as_the_dataref_it_came_as():
    route = COUNTER.events[0]
    event = uploaded(None, dataref="https://store/a.jpg")
    came = chain.carried(event, route, fetched)
    assert came.payload == IMAGE
    reply = chain.reply(event, "counter", route, came, {"n": 1}, now=NOW, limit=LIMIT)
    assert "dataref" not in reply.attributes  # It would say that the results are to be found there.
    document = json.loads(reply.data)
    assert document["image"]["dataref"] == "https://store/a.jpg"
    assert document["image"]["contenttype"] == "image/jpeg"
    assert "data_base64" not in document["image"]
    assert reply.get("time") == "2026-02-03T10:00:00Z"


def test_a_document_kept_by_reference_is_fetched_and_its_image_too():
    event = uploaded(None, dataref="https://store/doc", datacontenttype="application/json")
    came = chain.carried(event, COUNTER.events[0], fetched)
    assert came.payload == IMAGE
    assert came.results == {"exif": {}}


def test_results_in_data_with_the_image_in_the_attribute():
    event = uploaded(b'{"results":{"exif":{}}}', dataref="https://store/a.jpg", datacontenttype="application/json")
    came = chain.carried(event, COUNTER.events[0], fetched)
    assert (came.payload, came.results) == (IMAGE, {"exif": {}})
