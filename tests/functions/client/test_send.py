"""`pixelamp send` and `pixelamp events` against a broker that is a few canned answers."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, ClassVar

import pytest

from functions.client import events, send
from functions.client.__main__ import main
from functions.kit.cloudevents.binding import decode


class Canned(BaseHTTPRequestHandler):
    """Answers by path, and remembers what it was sent."""

    answers: ClassVar[dict[str, list[tuple[int, dict[str, str], Any]]]] = {}
    sent: ClassVar[list[tuple[dict[str, str], bytes]]] = []

    def do_POST(self) -> None:
        self.sent.append((dict(self.headers), self.rfile.read(int(self.headers["Content-Length"]))))
        self.answer()

    def do_GET(self) -> None:
        self.sent.append((dict(self.headers), b""))
        self.answer()

    def answer(self) -> None:
        waiting = self.answers[self.path.partition("?")[0]]
        status, headers, body = waiting.pop(0) if len(waiting) > 1 else waiting[0]
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *arguments: object) -> None:
        """Nothing: the test's output is its own."""


@pytest.fixture
def server() -> Iterator[str]:
    Canned.answers, Canned.sent = {}, []
    running = ThreadingHTTPServer(("127.0.0.1", 0), Canned)
    thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield f"http://127.0.0.1:{running.server_port}"
    running.shutdown()
    thread.join()
    running.server_close()


@pytest.fixture
def photo(tmp_path):
    path = tmp_path / "Zürich 50 %.jpg"
    path.write_bytes(b"\xff\xd8image")
    return path


def pixelamp(*arguments: object) -> int:
    return main([str(argument) for argument in arguments])


def delivery(state: str, error: str | None = None) -> dict[str, Any]:
    return {"subscription": "Trigger default/exif", "state": state, "code": 422, "error": error, "attempts": 1}


def came(*deliveries: dict[str, Any]) -> dict[str, Any]:
    return {"event": 1, "type": "up", "attributes": {}, "deliveries": list(deliveries)}


def replied(number: int) -> dict[str, Any]:
    attributes = {"datacontenttype": "application/json"}
    return {"event": number, "type": "down", "attributes": attributes, "deliveries": [], "data": f"/d/{number}"}


def test_the_event_is_valid_and_names_the_photo(server, photo, capsys):
    Canned.answers["/in"] = [(202, {}, b"")]
    assert pixelamp("send", photo, "--to", f"{server}/in") == 0
    event = decode(*Canned.sent[0])
    assert event is not None
    assert (event.type, event.get("subject"), event.data) == (
        "dev.pixelamp.image.uploaded",
        photo.name,
        b"\xff\xd8image",
    )
    assert json.loads(capsys.readouterr().out) == {"photo": str(photo), "id": event.id}


def test_waiting_ends_with_the_fullest_results(server, photo, capsys):
    Canned.answers |= {
        "/in": [(202, {"Location": "/e/1"}, b"")],
        "/e/1": [
            (200, {}, {"chain": [came(delivery("pending"))]}),
            (200, {}, {"chain": [came(delivery("done")), replied(2), replied(3)]}),
        ],
        "/d/2": [(200, {}, {"results": {"exif": {"a": 1}, "histogram": {}}})],
        "/d/3": [(200, {}, {"results": {"exif": {}}})],
    }
    assert pixelamp("send", photo, "--to", f"{server}/in", "--wait") == 0
    assert json.loads(capsys.readouterr().out)["results"] == {"exif": {"a": 1}, "histogram": {}}


def test_waiting_names_dead_letters_and_fails(server, photo, capsys):
    error = json.dumps({"detail": "no image"})
    Canned.answers |= {
        "/in": [(202, {"Location": "/e/1"}, b"")],
        "/e/1": [(200, {}, {"chain": [came(delivery("dead", error))]})],
    }
    assert pixelamp("send", photo, "--to", f"{server}/in", "--wait") == 1
    (dead,) = json.loads(capsys.readouterr().out)["dead"]
    assert dead == {"subscription": "Trigger default/exif", "code": 422, "error": {"detail": "no image"}}


def test_patience_ends(server, photo, capsys):
    Canned.answers |= {
        "/in": [(202, {"Location": "/e/1"}, b"")],
        "/e/1": [(200, {}, {"chain": [came(delivery("pending", "full"))]})],
    }
    assert pixelamp("send", photo, "--to", f"{server}/in", "--wait", "--timeout", "0.3") == 1
    assert "still pending: Trigger default/exif (full)" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ((422, {}, {"detail": "no image"}), "422: no image"),
        ((503, {}, b"pending request queue full"), "503: pending request queue full"),
        ((302, {"Location": "http://elsewhere.example/"}, b""), "302 Found: redirected to http://elsewhere.example/"),
    ],
)
def test_a_refusal_is_reported(server, photo, capsys, answer, said):
    Canned.answers["/in"] = [answer]
    assert pixelamp("send", photo, "--to", f"{server}/in", "--retries", 0) == 1
    assert said in capsys.readouterr().err


def test_what_is_busy_is_tried_again_as_the_same_event(server, photo):
    Canned.answers["/in"] = [(503, {"Retry-After": "0"}, b""), (429, {}, b""), (202, {}, b"")]
    assert pixelamp("send", photo, "--to", f"{server}/in") == 0
    first, *others = [decode(*each) for each in Canned.sent]
    assert [(event.id, event.source, event.data) for event in others] == [(first.id, first.source, first.data)] * 2


def test_the_token_goes_with_the_event_and_with_the_questions_after_it(server, photo, monkeypatch):
    monkeypatch.setenv("PIXELAMP_TOKEN", "secret")
    Canned.answers |= {
        "/in": [(202, {"Location": "/e/1"}, b"")],
        "/e/1": [(200, {}, {"chain": [came(delivery("done"))]})],
    }
    assert pixelamp("send", photo, "--to", f"{server}/in", "--wait") == 0
    assert [headers["Authorization"] for headers, _ in Canned.sent] == ["Bearer secret"] * 2


def test_the_token_goes_to_no_other_host(server, photo, capsys):
    Canned.answers["/in"] = [(202, {"Location": "http://127.0.0.1:9/e/1"}, b"")]
    assert pixelamp("send", photo, "--to", f"{server}/in", "--wait", "--token", "secret") == 1
    assert "reported at another origin: http://127.0.0.1:9/e/1" in capsys.readouterr().err


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "exif.default.localhost"])
def test_the_token_goes_to_no_other_host_for_a_reply_either(server, photo, capsys, host):
    with ThreadingHTTPServer(("127.0.0.1", 0), Canned) as other:
        threading.Thread(target=other.serve_forever, kwargs={"poll_interval": 0.01}).start()
        # The same port by another name is another origin too.
        port = other.server_port if host == "127.0.0.1" else server.rpartition(":")[2]
        elsewhere = f"http://{host}:{port}/d/2"
        Canned.answers |= {
            "/in": [(202, {"Location": "/e/1"}, b"")],
            "/e/1": [(200, {}, {"chain": [came(delivery("done")), {**replied(2), "data": elsewhere}]})],
            "/d/2": [(200, {}, {"results": {"exif": {}}})],
        }
        code = pixelamp("send", photo, "--to", f"{server}/in", "--wait", "--token", "secret")
        other.shutdown()
    assert (code, len(Canned.sent)) == (1, 2)
    assert f"reported at another origin: {elsewhere}" in capsys.readouterr().err


def test_a_reply_at_the_same_address_may_be_shown_in_full(server, photo, capsys):
    Canned.answers |= {
        "/in": [(202, {"Location": f"{server}/e/1"}, b"")],
        "/e/1": [(200, {}, {"chain": [came(delivery("done")), {**replied(2), "data": f"{server}/d/2"}]})],
        "/d/2": [(200, {}, {"results": {"exif": {}}})],
    }
    assert pixelamp("send", photo, "--to", f"{server}/in", "--wait") == 0
    assert json.loads(capsys.readouterr().out)["results"] == {"exif": {}}


@pytest.mark.parametrize("chain", [[{}], [1], [{"deliveries": [{}]}]])
def test_an_answer_without_a_broker_is_explained(server, photo, capsys, chain):
    Canned.answers |= {
        "/in": [(202, {"Location": "/e/1"}, b"")],
        "/e/1": [(200, {}, {"chain": chain})],
        "/_knative/events": [(200, {}, {"events": chain})],
    }
    assert pixelamp("send", photo, "--to", f"{server}/in", "--wait") == 1
    assert pixelamp("events", "--dead", "--at", server) == 1
    assert capsys.readouterr().err.count("local broker") == 2


@pytest.mark.parametrize("host", ["exif.default.localhost", "127.0.0.1"])
def test_addresses_are_those_that_url_takes(server, photo, host):
    port = server.rpartition(":")[2]
    Canned.answers |= {
        "/in": [(202, {"Location": "/e/1"}, b"")],
        "/e/1": [(200, {}, {"chain": [came(delivery("done"))]})],
        "/_knative/events": [(200, {}, {"events": []})],
    }
    assert pixelamp("send", photo, "--to", f"{host}:{port}/in", "--wait") == 0
    assert pixelamp("events", "--at", f"{host}:{port}", "--dead") == 0
    assert [headers["Host"] for headers, _ in Canned.sent] == [f"{host}:{port}"] * 3


def test_an_answer_from_no_broker_is_reported(server, photo, capsys):
    Canned.answers |= {
        "/in": [(202, {"Location": "/e/1"}, b"")],
        "/e/1": [(200, {}, {"welcome": 1})],
        "/_knative/events": [(200, {"Content-Type": "text/html"}, b"<p>")],
    }
    assert pixelamp("send", photo, "--to", f"{server}/in", "--wait") == 1
    assert pixelamp("events", "--dead", "--at", server) == 1
    assert pixelamp("events", "--at", server) == 1
    assert capsys.readouterr().err.count("is not the local broker") == 3


def test_a_broker_that_does_not_tell_is_not_waited_for(server, photo, capsys):
    Canned.answers["/in"] = [(202, {}, b"")]
    assert pixelamp("send", photo, "--to", f"{server}/in", "--wait") == 1
    assert "local broker" in capsys.readouterr().err


def test_a_functions_reply_is_printed(server, photo, capsys):
    Canned.answers["/in"] = [(200, {"ce-type": "down"}, {"results": {"exif": {}}})]
    assert pixelamp("send", photo, "--to", f"{server}/in") == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["type"], told["results"]) == ("down", {"exif": {}})


def test_an_address_without_a_server_is_reported(photo, capsys):
    assert pixelamp("send", photo, "--to", "http://127.0.0.1:9/in", "--retries", 0) == 3
    assert "Connection refused" in capsys.readouterr().err
    assert pixelamp("events", "--at", "http://127.0.0.1:9") == 3


def test_dead_letters_are_listed(server, capsys):
    event = {**came(delivery("dead", json.dumps({"detail": "no image"})), delivery("done")), "id": "a"}
    Canned.answers["/_knative/events"] = [(200, {}, {"events": [event]})]
    assert pixelamp("events", "--dead", "--at", server) == 0
    assert capsys.readouterr().out == "#1 up id a — Trigger default/exif: 422 after 1 tries — no image\n"
    assert pixelamp("events", "--dead", "--json", "--at", server) == 0
    assert json.loads(capsys.readouterr().out)["error"] == '{"detail": "no image"}'


TRIED = {"type": "up", "event": 1, "subscription": "T", "ms": 5}


@pytest.mark.parametrize(
    ("happening", "words"),
    [
        ({"what": "accepted", "type": "up", "event": 1, "source": "/s", "id": "a"}, "accepted  up #1 from /s id a"),
        (
            {**TRIED, "what": "delivered", "code": 200, "attempt": 1, "reply": 2, "reply_type": "down"},
            "delivered up #1 T: 200 after 5 ms, try 1 → down #2",
        ),
        (
            {**TRIED, "what": "retried", "code": None, "attempt": 2, "error": "no pod", "kind": "dead-letter"},
            "retried   up #1 T to the dead-letter sink: no response after 5 ms, try 2 — no pod",
        ),
        (
            {"what": "log-failed", "event": 1, "subscription": "T", "error": "disk full"},
            "log-failed  #1 T: — disk full",
        ),
    ],
)
def test_lines(happening, words):
    assert events.line({"at": 0, **happening}).partition(" ")[2] == words


@pytest.mark.parametrize(
    ("given", "meant"),
    [
        ("http://127.0.0.1:8080", "http://127.0.0.1:8080/_knative/broker/default/images"),
        ("http://127.0.0.1:8080/", "http://127.0.0.1:8080/_knative/broker/default/images"),
        ("http://127.0.0.1:8080/exif", "http://127.0.0.1:8080/exif"),
        ("127.0.0.1:8080", "http://127.0.0.1:8080/_knative/broker/default/images"),
        ("localhost:8080", "http://localhost:8080/_knative/broker/default/images"),
        ("http://[::1]:8080", "http://[::1]:8080/_knative/broker/default/images"),
        ("http://exif.default.example.com", "http://exif.default.example.com"),
        ("http://exif.default.127.0.0.1.sslip.io/", "http://exif.default.127.0.0.1.sslip.io/"),
        ("http://exif.default.localhost:8080", "http://exif.default.localhost:8080"),
        ("http://broker.example/default/photos", "http://broker.example/default/photos"),
    ],
)
def test_an_engines_address_without_a_path_is_its_broker(given: str, meant: str) -> None:
    assert send.address(given) == meant
