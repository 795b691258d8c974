"""Eventing's contract, which every function keeps: an event or nothing comes back, and refusals are brief.

The framework's own signature for events takes both content modes and gives no reply; these http functions take both
and reply with an event.
"""

from __future__ import annotations

import json
from typing import Any

import pytest

from functions.kit.cloudevents import binding
from functions.kit.cloudevents.binding import Event
from tests.contract.conftest import Answer, Subject
from tests.images import encoded, gradient

TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


def event_for(subject: Subject, **attributes: str) -> Event:
    """An event that the function takes."""
    route = subject.function.events[0]
    takes_json = route.takes == "json"
    named = {
        "specversion": "1.0",
        "id": "e-1",
        "source": "/contract",
        "type": route.type,
        "datacontenttype": "application/json" if takes_json else "image/jpeg",
        "subject": "folder/a b.jpg",
        **attributes,
    }
    return Event(named, json.dumps(route.example).encode() if takes_json else encoded(gradient(), "JPEG"))


def send(subject: Subject, event: Event, mode: str = "binary") -> Answer:
    headers, body = binding.encode(event)
    if mode == "structured":
        headers, body = {"content-type": "application/cloudevents+json; charset=UTF-8"}, binding.to_json(event)
    return subject.ask("POST", "/", body, headers)


def reply_of(answer: Answer) -> Event:
    assert answer.status == 200, answer.body
    reply = binding.decode(answer.headers, answer.body)
    assert reply is not None
    return reply


@pytest.mark.parametrize("mode", ["binary", "structured"])
def test_an_event_is_answered_by_an_event(event_subject, mode):
    event = event_for(event_subject, traceparent=TRACE, knativebrokerttl="12")
    reply = reply_of(send(event_subject, event, mode))
    assert reply.source == f"/functions/{event_subject.name}"
    carried = {name: reply.get(name) for name in ("subject", "traceparent", "knativebrokerttl")}
    assert carried == {"subject": "folder/a b.jpg", "traceparent": TRACE, "knativebrokerttl": "12"}
    assert isinstance(json.loads(reply.data or b""), dict)


def test_a_redelivery_has_the_same_id(event_subject):
    event = event_for(event_subject)
    assert reply_of(send(event_subject, event)).id == reply_of(send(event_subject, event)).id


# The second one is the source of replies of earlier versions.
@pytest.mark.parametrize("base", ["/functions/", "https://pixelamp.dev/functions/"])
def test_its_own_event_ends_the_chain(event_subject, base):
    event = event_for(event_subject, source=base + event_subject.name)
    answer = send(event_subject, event)
    assert (answer.status, answer.body) == (204, b"")


def test_images_come_out_the_same_whichever_way_they_go_in(image_event_subject):
    event = event_for(image_event_subject)
    by_event = json.loads(reply_of(send(image_event_subject, event)).data or b"")["results"][image_event_subject.name]
    by_post = image_event_subject.ask("POST", "/", event.data, {"Content-Type": "image/jpeg"}).json()
    assert by_event == by_post


def refused(answer: Answer, status: int) -> dict[str, Any]:
    assert answer.status == status, answer.body
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert len(answer.body) < 768
    return answer.json()


def test_a_batch_is_not_taken(event_subject):
    refused(event_subject.ask("POST", "/", b"[]", {"Content-Type": "application/cloudevents-batch+json"}), 415)


@pytest.mark.parametrize("missing", ["specversion", "id", "source", "type"])
def test_a_broken_event_is_not_mistaken_for_an_upload(event_subject, missing):
    headers, body = binding.encode(event_for(event_subject))
    del headers[f"ce-{missing}"]
    assert missing in refused(event_subject.ask("POST", "/", body, headers), 400)["detail"]


def test_a_type_that_is_not_taken_says_which_are(event_subject):
    event = event_for(event_subject, type="dev.example." + "x" * 2000, datacontenttype="text/plain")
    assert "dev.pixelamp." in refused(send(event_subject, event), 422)["detail"]


def test_poison_is_permanent(image_event_subject):
    event = Event(event_for(image_event_subject).attributes, b"no image" * 100)
    refused(send(image_event_subject, event), 422)


def test_data_beyond_the_limit_is_permanent(image_event_subject):
    event = Event(event_for(image_event_subject).attributes, b"x" * 300_001)
    refused(send(image_event_subject, event), 413)


def test_the_webhook_handshake_is_granted(event_subject):
    answer = event_subject.ask("OPTIONS", "/", None, {"WebHook-Request-Origin": "eventemitter.example.com"})
    assert answer.headers["WebHook-Allowed-Origin"] == "eventemitter.example.com"
    assert answer.headers["WebHook-Allowed-Rate"] == "*"
    assert "POST" in answer.headers["Allow"]
