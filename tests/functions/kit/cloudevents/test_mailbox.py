"""The sink that can be read."""

from __future__ import annotations

import base64
import json
import os
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

from functions.kit.cloudevents import binding, mailbox
from functions.kit.cloudevents.binding import Event
from functions.kit.cloudevents.mailbox import Letters, described
from tests.servers import FunctionServer

NOW = datetime(2026, 2, 3, tzinfo=UTC)
PROBLEM = {"status": 422, "detail": "unrecognised image format"}


def letter(key: str = "1", data: bytes = b"{}", **attributes: str) -> Event:
    named = {"specversion": "1.0", "id": key, "source": "/s", "type": "t", "datacontenttype": "application/json"}
    return Event({**named, **attributes}, data)


def dead(key: str = "1", said: bytes = json.dumps(PROBLEM).encode(), **attributes: str) -> Event:
    data = base64.b64encode(said).decode()
    error = {"knativeerrorcode": "422", "knativeerrordest": "http://exif/", "knativeerrordata": data}
    return letter(key, b"\xff\xd8", datacontenttype="image/jpeg", **{**error, **attributes})


def test_a_dead_letter_tells_why():
    told = described(dead())
    assert told["error"] == {"code": "422", "subscriber": "http://exif/", "said": PROBLEM}
    assert told["bytes"] == 2
    assert "data" not in told


@pytest.mark.parametrize(
    ("encoded", "said"),
    [("", ""), ("bm8gSlNPTg==", "no JSON"), ("bm8gSlNPTg", "no JSO"), ("@@@@@", "")],
)
def test_an_error_that_was_cut_or_is_not_json_is_shown_unchanged(encoded, said):
    assert described(dead(knativeerrordata=encoded))["error"]["said"] == said


def test_json_is_shown_and_anything_else_is_counted():
    assert described(letter(data=b'{"results":{}}'))["data"] == {"results": {}}
    assert "data" not in described(letter(data=b"{"))
    assert "data" not in described(letter(data=b'"' + b"x" * 70_000 + b'"'))
    assert "error" not in described(letter())


def test_the_same_letter_again_only_counts():
    letters = Letters(10)
    for _ in range(3):
        letters.put("/dead-letters", dead(), NOW)
    letters.put("/dead-letters", dead(knativeerrordest="http://histogram/"), NOW)
    letters.put("/results", letter(), NOW)
    assert [one["times"] for one in letters.newest("/dead-letters", 9)] == [1, 3]
    assert len(letters.newest("/", 9)) == 3
    assert len(letters.newest("/", 2)) == 2


def test_the_oldest_go():
    letters = Letters(2)
    for key in ("1", "2", "3"):
        letters.put("/", letter(key), NOW)
    assert [one["attributes"]["id"] for one in letters.newest("/", 9)] == ["3", "2"]


@pytest.fixture(scope="module")
def server() -> Iterator[FunctionServer]:
    import sys

    running = FunctionServer(
        "mailbox", {"MAILBOX_LETTERS": "5"}, [sys.executable, "-m", "functions.kit.cloudevents.mailbox"]
    )
    yield running
    running.stop()


def post(server: FunctionServer, path: str, event: Event):
    headers, body = binding.encode(event)
    return server.post(path, data=body, headers=headers)


def test_served_letters_are_kept_shown_and_logged(server):
    answer = post(server, "/dead-letters", dead("seen"))
    assert (answer.status_code, answer.content) == (204, b"")
    post(server, "/results", letter("other"))
    (shown,) = server.get("/dead-letters").json()["letters"]
    assert shown["attributes"]["id"] == "seen"
    assert shown["error"]["said"] == PROBLEM
    assert len(server.get("/?limit=1").json()["letters"]) == 1
    assert '"letter"' in server.log()
    page = server.get("/dead-letters", headers={"Accept": "text/html"})
    assert "unrecognised image format" in page.text


def test_a_request_that_is_not_an_event_is_refused(server):
    assert server.post("/dead-letters", data=b"x").status_code == 400
    assert server.get("/readyz").status_code == 200
    assert server.get("/?limit=x").status_code == 400


def test_the_framework_serves_it_too():
    import functions_framework

    client = functions_framework.create_app("mailbox", os.fspath(mailbox.__file__), "http").test_client()
    assert client.get("/results").get_json() == {"letters": []}
