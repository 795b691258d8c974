from __future__ import annotations

from typing import Any

import pytest

from knative.local.api.store import Store
from knative.local.controllers import events
from knative.local.controllers.events import Events
from knative.local.controllers.objects import EVENTS


@pytest.fixture
def service() -> dict[str, Any]:
    metadata = {"name": "exif", "namespace": "photos", "uid": "u", "resourceVersion": "7"}
    return {"apiVersion": "serving.knative.dev/v1", "kind": "Service", "metadata": metadata}


def test_an_event_is_found_by_what_it_is_about(service: dict[str, Any]) -> None:
    store = Store()
    Events(store, lambda: 1_764_500_000).record(
        service, "Created", 'Created Route "exif"', component="service-controller"
    )
    (event,) = store.list(EVENTS)
    assert event["metadata"]["namespace"] == "photos"
    assert event["metadata"]["name"].startswith("exif.")
    assert {key: value for key, value in event.items() if key != "metadata"} == {
        "apiVersion": "v1",
        "kind": "Event",
        "involvedObject": {
            "apiVersion": "serving.knative.dev/v1",
            "kind": "Service",
            "name": "exif",
            "namespace": "photos",
            "uid": "u",
            "resourceVersion": "7",
        },
        "reason": "Created",
        "message": 'Created Route "exif"',
        "type": "Normal",
        "count": 1,
        "firstTimestamp": "2025-11-30T10:53:20Z",
        "lastTimestamp": "2025-11-30T10:53:20Z",
        "eventTime": None,
        "source": {"component": "service-controller"},
        "reportingComponent": "service-controller",
        "reportingInstance": "",
    }


def test_what_happens_again_is_counted_and_forgotten_after_an_hour(service: dict[str, Any]) -> None:
    store, now = Store(), [0.0]
    recorded = Events(store, lambda: now[0])
    for now[0] in (0.0, 1800.0, 3600.0):
        recorded.record(service, "BackOff", "again", component="kubelet", warning=True)
    (event,) = store.list(EVENTS)
    assert (event["count"], event["type"], event["lastTimestamp"]) == (3, "Warning", "1970-01-01T01:00:00Z")
    now[0] = 7300.0
    recorded.record(service, "Other", "else", component="kubelet")
    assert [one["reason"] for one in store.list(EVENTS)] == ["Other"]


def test_the_number_of_events_is_bounded(service: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(events, "KEPT", 10)
    store = Store()
    recorded = Events(store, lambda: 0.0)
    for number in range(50):
        recorded.record(service, "Created", str(number), component="c")
    assert sorted(one["message"] for one in store.list(EVENTS)) == [str(number) for number in range(40, 50)]


def test_an_event_that_a_client_removed_is_recorded_anew(service: dict[str, Any]) -> None:
    store = Store()
    recorded = Events(store, lambda: 0.0)
    recorded.record(service, "Created", "a", component="c")
    (event,) = store.list(EVENTS)
    store.delete(EVENTS, "photos", event["metadata"]["name"])
    recorded.record(service, "Created", "a", component="c")
    assert [one["count"] for one in store.list(EVENTS)] == [1]
