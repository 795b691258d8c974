"""Promises of SECURITY.md that no other test keeps, and that every test it names is there."""

from __future__ import annotations

import json
import re
import socket
import time
from collections.abc import Callable, Iterator
from html.parser import HTMLParser
from pathlib import Path

import pytest

from tests.conftest import FUNCTIONS, work_of
from tests.servers import ROOT, FunctionServer

SECRET = "a-token-that-is-long-enough"
SECURITY = (ROOT / "SECURITY.md").read_text(encoding="utf-8")
NAMED = sorted(set(re.findall(r"`(tests/[\w/]+\.py)(?:::(\w+))?`", SECURITY)))


@pytest.mark.parametrize(("path", "name"), NAMED)
def test_every_test_that_is_named_exists(path: str, name: str) -> None:
    file = ROOT / path
    assert file.is_file()
    assert not name or re.search(rf"^def {name}\(", file.read_text(), re.MULTILINE)


def test_every_threat_names_a_test() -> None:
    rows = [line for line in SECURITY.splitlines() if line.startswith("|") and not line.startswith("|--")]
    threats = [row for row in rows if row.count("|") == 4][1:]
    assert len(threats) > 15
    assert all("`tests/" in row or "`make " in row for row in threats), "a threat without a test"


@pytest.fixture(scope="module", params=FUNCTIONS)
def guarded(request: pytest.FixtureRequest) -> Iterator[tuple[str, FunctionServer]]:
    """Each function with a token, in a process of its own, so that its log can be read."""
    server = FunctionServer(request.param, {f"{request.param.upper()}_TOKEN": SECRET})
    yield request.param, server
    server.stop()


def test_without_the_token_nothing_is_done_by_any_way_in(guarded: tuple[str, FunctionServer]) -> None:
    name, server = guarded
    operations = server.get("/openapi.json").json()["paths"]
    posts = [path for path, item in operations.items() if "post" in item]
    assert posts
    event = {"ce-specversion": "1.0", "ce-id": "1", "ce-source": "/x", "ce-type": f"dev.pixelamp.{name}.requested"}
    for path in posts:
        for headers in ({}, {"Authorization": "Bearer wrong"}, {"Authorization": f"Basic {SECRET}"}, event):
            answer = server.post(path, headers=headers, data=b"{}")
            assert answer.status_code == 401, path
            assert answer.headers["WWW-Authenticate"] == "Bearer"
            assert SECRET not in answer.text
    assert server.get("/healthz").status_code == 200, "probes need none"


def test_with_the_token_it_is_and_no_log_holds_it(guarded: tuple[str, FunctionServer]) -> None:
    _, server = guarded
    headers = {"Authorization": f"Bearer {SECRET}", "Content-Type": "application/json"}
    assert server.post("/", headers=headers, data=b"{").status_code not in (401, 500)
    assert server.post("/", headers={"Authorization": f"Bearer {SECRET}x"}).status_code == 401
    for path in ("/", "/openapi.json", "/metrics"):
        assert SECRET not in server.get(path).text
    deadline = time.monotonic() + 5
    while '"status": 401' not in server.log() and time.monotonic() < deadline:
        time.sleep(0.05)
    assert '"status": 401' in server.log()
    assert SECRET not in server.log()


def test_the_token_is_compared_in_constant_time() -> None:
    modules = {path.name: path.read_text() for path in (ROOT / "functions/kit").rglob("*.py")}
    assert [name for name, source in modules.items() if "hmac.compare_digest" in source] == ["preconditions.py"]
    compared = [name for name, source in modules.items() if re.search(r"[!=]=\s*((self\.)?settings\.)?token\b", source)]
    assert not compared, "a token compared by ==, which stops early"


@pytest.mark.parametrize(
    ("head", "status", "detail"),
    [
        (b"GET /" + b"a" * 5000 + b" HTTP/1.1\r\nHost: x\r\n\r\n", 414, "exceeds 4,094 bytes; shorten the query"),
        (b"GET / HTTP/1.1\r\nHost: x\r\nX: " + b"a" * 20_000 + b"\r\n\r\n", 431, "16,380 in one field"),
        (b"GET / HTTP/1.1\r\nHost: x\r\nX: " + b"a" * 70_000, 431, "exceed 65,536 bytes"),
        (b"GET / HTTP/1.1\r\nHost: x\r\n" + b"X: y\r\n" * 101 + b"\r\n", 431, "or 100 fields; send fewer"),
        (b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip\r\n\r\n", 400, "invalid header TRANSFER-ENCODING"),
        (b"GET / HTTP/1.1\r\nHost: x\r\nContent-Length: <script>\r\n\r\n", 400, "invalid header CONTENT-LENGTH"),
        (b"POST / HTTP/1.1\r\nHost: x\r\nExpect: script\r\n\r\n", 417, "send no other Expect header"),
    ],
)
def test_what_cannot_be_read_is_refused_like_everything_else(
    servers: Callable[..., FunctionServer], head: bytes, status: int, detail: str
) -> None:
    with socket.create_connection(("127.0.0.1", servers("stress").port), timeout=10) as client:
        client.sendall(head)
        with client.makefile("rb") as file:
            answer = file.read()
    top, _, body = answer.partition(b"\r\n\r\n")
    assert top.startswith(f"HTTP/1.1 {status} ".encode())
    assert b"\r\nContent-Type: application/problem+json" in top
    assert b"\r\nX-Content-Type-Options: nosniff" in top
    assert b"\r\nContent-Security-Policy: default-src 'none'" in top
    assert json.loads(body)["status"] == status
    assert detail in json.loads(body)["detail"]
    assert b"script" not in body


class Resources(HTMLParser):
    """Every address that a page would load by itself."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        for name, value in attrs:
            loads = name in {"src", "srcset", "poster", "data"} or (name == "href" and tag == "link")
            if loads and value:
                self.found.append(value)
            assert not name.startswith("on"), f"<{tag} {name}>"
            assert name != "style", f"<{tag} style>"


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_page_loads_nothing_and_allows_nothing_else(servers: Callable[..., FunctionServer], name: str) -> None:
    answer = servers(name).get("/", headers={"Accept": "text/html"})
    policy = dict(part.split(" ", 1) for part in answer.headers["Content-Security-Policy"].split("; "))
    assert policy["default-src"] == "'none'"
    assert policy["frame-ancestors"] == "'none'"
    assert policy["base-uri"] == "'none'"
    assert "unsafe" not in str(policy)
    page = Resources()
    page.feed(answer.text)
    assert all(address.startswith(("data:", "#")) for address in page.found), page.found
    assert answer.headers["X-Content-Type-Options"] == "nosniff"


@pytest.mark.parametrize("name", FUNCTIONS)
def test_no_other_site_may_read_an_answer(servers: Callable[..., FunctionServer], name: str) -> None:
    server = servers(name)
    for method, path in (("GET", "/"), ("POST", work_of(name)[0]), ("OPTIONS", "/")):
        answer = server.request(method, path, headers={"Origin": "https://evil.example", "Accept": "application/json"})
        assert not [header for header in answer.headers if header.lower().startswith("access-control-")]


def test_stress_is_off_the_public_route_by_one_line() -> None:
    overlay = Path(ROOT / "knative/overlays/private-stress/visibility.yaml").read_text()
    assert "networking.knative.dev/visibility: cluster-local" in overlay
