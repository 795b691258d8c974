"""Addresses, retries and what is drawn: the parts of the command that need no server of ours."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from functions.client import photos, terminal
from functions.client.address import below, checked, dialled, origin
from functions.client.responses import ForeignOriginError, RefusedError, UnexpectedResponseError, UnreachableError
from functions.client.transport import LONGEST_BACKOFF, LONGEST_WAIT, Client, Service, backoff, wait

NOW = datetime(2026, 3, 1, 12, 0, 0, tzinfo=UTC)


class Script(ThreadingHTTPServer):
    """Answers requests with statuses and Retry-After headers (of redirects, Location) from a list, then with 200."""

    def __init__(self, *answers: tuple[int, str | None]) -> None:
        self.kind, self.body = "application/json", b"{}"
        self.answers = list(answers)
        self.seen: list[BaseHTTPRequestHandler] = []
        super().__init__(("127.0.0.1", 0), Handler)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class Handler(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        self.server.seen.append(self)
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        status, said = self.server.answers.pop(0) if self.server.answers else (200, None)
        self.send_response(status)
        if said:
            self.send_header("Location" if 300 <= status < 400 else "Retry-After", said)
        self.send_header("Content-Type", self.server.kind)
        self.send_header("Content-Length", str(len(self.server.body)))
        self.end_headers()
        self.wfile.write(self.server.body)

    do_GET = do_POST  # noqa: N815 - as http.server calls it

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def script() -> Iterator[Script]:
    with Script() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def service(script: Script, sleeps: list[float], **options: object) -> Service:
    return Service(script.url, "histogram", sleep=sleeps.append, **options)


def test_busy_is_tried_again_after_the_wait_it_asks_for(script: Script) -> None:
    script.answers = [(503, "2"), (429, None), (200, None)]
    sleeps: list[float] = []
    with service(script, sleeps) as asked:
        assert asked.request("POST", data=b"x").status_code == 200
        assert len(script.seen) == 3
        assert sleeps[0] == 2
        assert 0.2 <= sleeps[1] <= 0.4


@pytest.mark.parametrize("status", [400, 404, 413, 415, 422, 500])
def test_a_refusal_is_not_tried_again(script: Script, status: int) -> None:
    script.answers = [(status, None)]
    sleeps: list[float] = []
    with service(script, sleeps) as asked:
        with pytest.raises(RefusedError) as refused:
            asked.request("POST")
        assert (refused.value.status, len(script.seen), sleeps) == (status, 1, [])


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_refused_and_names_where_to(script: Script, status: int) -> None:
    script.answers = [(status, "http://elsewhere.example/histogram")]
    sleeps: list[float] = []
    with service(script, sleeps) as asked:
        with pytest.raises(RefusedError, match=rf"^{status} .*http://elsewhere\.example/histogram"):
            asked.request("POST", data=b"x")
        assert (len(script.seen), sleeps) == (1, [])


@pytest.mark.parametrize(
    ("kind", "body", "said"),
    [
        ("text/html", b"<h1>Welcome</h1>", "text/html, expected JSON"),
        ("application/json", b"[1]", "without histogram, channels"),
        ("application/json", b'{"histogram": [], "channels": []}', "without channels"),
        ("application/json", b"[" * 100_000, "expected JSON"),
    ],
)
def test_json_of_another_kind_is_not_taken_for_the_result(script: Script, kind: str, body: bytes, said: str) -> None:
    script.kind, script.body = kind, body
    with (
        service(script, []) as asked,
        pytest.raises(UnexpectedResponseError, match=f"is not the function histogram.*{said}"),
    ):
        asked.result("POST", shape={"histogram": list, "channels": dict})


def test_a_file_of_another_kind_is_not_taken_for_the_picture(script: Script) -> None:
    with service(script, []) as asked:
        with pytest.raises(UnexpectedResponseError, match="application/json, expected image"):
            asked.picture("POST")
        script.kind, script.body = "image/png; q=1", b"png"
        assert asked.picture("POST", media="image/png") == b"png"
        with pytest.raises(UnexpectedResponseError, match="image/svg"):
            asked.picture("POST", media="image/svg+xml")


def test_a_retry_after_of_two_minutes_is_respected(script: Script) -> None:
    script.answers = [(503, "120")]
    sleeps: list[float] = []
    with service(script, sleeps) as asked:
        assert asked.request("POST").status_code == 200
    assert sleeps == [120]


def test_a_retry_after_beyond_the_wait_is_not_retried_early(script: Script) -> None:
    script.answers = [(429, f"{LONGEST_WAIT + 1:.0f}")]
    sleeps: list[float] = []
    with service(script, sleeps) as asked, pytest.raises(RefusedError, match="Retry-After: 301 s"):
        asked.request("POST")
    assert (len(script.seen), sleeps) == (1, [])


def test_no_wait_goes_beyond_the_deadline(script: Script) -> None:
    script.answers = [(503, "5")]
    sleeps: list[float] = []
    with service(script, sleeps) as asked, pytest.raises(RefusedError, match="503"):
        asked.ask("POST", script.url, deadline=time.monotonic() + 2)
    assert sleeps == []


@pytest.mark.parametrize("files", [1, 9])
def test_an_interrupt_ends_the_longest_wait(script: Script, tmp_path: Path, files: int) -> None:
    script.answers = [(503, "120")] * 20
    paths = [tmp_path / f"{number}.jpg" for number in range(files)]
    for path in paths:
        path.write_bytes(b"x")
    # A process that is started in the background of a script ignores interrupts, and so do its children.
    listening = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler); "
    program = f"{listening}from functions.client.__main__ import main; main()"
    command = [sys.executable, "-c", program, "exif", *map(str, paths), "--url", script.url]
    with subprocess.Popen(command, stderr=subprocess.PIPE) as running:
        try:
            while not script.seen:
                time.sleep(0.01)
                assert running.poll() is None
            running.send_signal(signal.SIGINT)
            _, said = running.communicate(timeout=30)
        finally:
            running.kill()
    assert (running.returncode, said) == (-signal.SIGINT, b"")


def test_tries_end(script: Script) -> None:
    script.answers = [(503, None)] * 9
    sleeps: list[float] = []
    with service(script, sleeps, retries=3) as asked:
        with pytest.raises(RefusedError, match="503"):
            asked.request("POST")
        assert (len(script.seen), len(sleeps)) == (4, 3)


def test_no_answer_is_tried_again_too() -> None:
    with Script() as closed:
        url = closed.url
    sleeps: list[float] = []
    with pytest.raises(UnreachableError, match="Connection refused"):
        Service(url, "exif", retries=2, sleep=sleeps.append).request("GET")
    assert len(sleeps) == 2


def test_an_invalid_address_is_refused() -> None:
    with pytest.raises(UnreachableError):
        Service("http://127.0.0.1:99999", "exif", retries=0).request("GET")


def test_the_token_and_the_query_are_sent(script: Script) -> None:
    with service(script, [], token="secret") as asked:
        asked.request("POST", params={"a": True, "b": False, "c": None, "d": 0, "e": "x"})
        assert script.seen[0].headers["Authorization"] == "Bearer secret"
        assert script.seen[0].path == "/histogram?a=1&d=0&e=x"


def test_nothing_is_sent_to_another_origin(script: Script) -> None:
    with Client("https://127.0.0.1:9/x", token="secret") as asked, pytest.raises(ForeignOriginError):
        asked.ask("GET", f"{script.url}/x")
    # urllib3 takes what is before the backslash for the host, urllib what is behind it.
    with Client("http://127.0.0.9/x", token="secret") as asked, pytest.raises(UnreachableError, match="backslash"):
        asked.ask("GET", f"{script.url}\\@127.0.0.9/x")
    assert script.seen == []


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("http://host/a", "HTTP://HOST:80/b?c", True),
        ("https://host", "https://me@host:443/", True),
        ("http://host", "https://host", False),
        ("http://host:80", "http://host:81", False),
        ("http://host", "http://a.host", False),
        ("http://host:443", "https://host:443", False),
    ],
)
def test_origins(one: str, other: str, same: bool) -> None:
    assert (origin(one) == origin(other)) is same


@pytest.mark.parametrize(
    ("url", "path", "expected"),
    [
        ("http://host:8080", "", "http://host:8080/histogram"),
        ("http://host:8080/", "/x", "http://host:8080/histogram/x"),
        ("host:8080", "", "http://host:8080/histogram"),
        ("127.0.0.1:9302/exif", "/strip", "http://127.0.0.1:9302/exif/strip"),
        ("https://host/process-image", "", "https://host/process-image"),
        ("http://host/p?q=1#r", "/s", "http://host/p/s?q=1"),
    ],
)  # fmt: skip
def test_a_host_alone_gets_the_functions_name(url: str, path: str, expected: str) -> None:
    assert below(checked(url), "histogram", path) == expected


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("http://host:8080/p?q=1", ("http://host:8080/p?q=1", {})),
        ("http://h.default.localhost/p", ("http://127.0.0.1/p", {"Host": "h.default.localhost"})),
        ("http://A.localhost:81/p?q=1", ("http://127.0.0.1:81/p?q=1", {"Host": "A.localhost:81"})),
        ("http://me:pw@a.localhost:81/", ("http://me:pw@127.0.0.1:81/", {"Host": "a.localhost:81"})),
        ("http://localhost:81/", ("http://localhost:81/", {})),
        ("http://localhost.example/", ("http://localhost.example/", {})),
    ],
)  # fmt: skip
def test_a_name_below_localhost_is_this_machine(url: str, expected: tuple[str, dict[str, str]]) -> None:
    assert dialled(url) == expected


@pytest.mark.parametrize(
    "text", ["http://[::1", "ftp://host/", "http://", "http://host:99999", "http://host:x", "http://a..b", ""]
)
def test_an_invalid_address_is_explained(text: str) -> None:
    with pytest.raises(ValueError, match=r"not an address|names no host"):
        checked(text)


@given(st.integers(0, 40))
def test_backoff_grows_to_a_limit(attempt: int) -> None:
    assert 0.1 * 2 ** min(attempt, 3) <= backoff(attempt) <= LONGEST_BACKOFF


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("7", 7),
        ("Sun, 01 Mar 2026 12:00:09 GMT", 9),
        ("3600", 3600),
        (None, 0),
        ("soon", 0),
        ("Sun, 01 Mar 99999999999 12:00:09 GMT", 0),
        ("-5", 0),
        ("²", 0),
    ],
)
def test_waits(header: str | None, seconds: float) -> None:
    assert seconds <= wait(header, 0, NOW) <= max(seconds, 0.2)


@given(st.lists(st.integers(0, 10**9), min_size=1, max_size=300), st.integers(1, 120), st.integers(1, 12))
def test_drawings_fit_and_show_what_is_there(counts: list[int], width: int, height: int) -> None:
    *bars, axis = terminal.draw(counts, width, height)
    assert len(bars) == height
    assert {len(line) for line in [*bars, axis]} == {min(width, len(counts))}
    if len(counts) <= width:
        assert [mark != " " for mark in bars[-1]] == [count > 0 for count in counts]
        highest = max(range(len(counts)), key=counts.__getitem__)
        assert bars[0][highest] == ("█" if counts[highest] else " ")


def test_files_and_errors_keep_their_order(tmp_path: Path) -> None:
    paths = [tmp_path / str(number) for number in range(20)]

    def work(path: Path) -> int:
        if path.name == "7":
            raise OSError("gone")
        return int(path.name)

    outcomes = list(photos.each(paths, work, jobs=5))
    assert [outcome.path for outcome in outcomes] == paths
    assert [outcome.result for outcome in outcomes if outcome.error is None] == [*range(7), *range(8, 20)]
    assert str(outcomes[7].error) == "gone"


def test_progress_is_drawn_and_wiped(tmp_path: Path) -> None:
    import io

    screen = io.StringIO()
    list(photos.each([tmp_path] * 4, lambda path: None, 2, screen))
    drawn = screen.getvalue()
    assert "4/4" in drawn
    assert drawn.endswith("\r")
