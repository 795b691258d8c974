"""Each function twice: through the framework's test client, and through a real server process."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

from tests.conftest import FUNCTIONS
from tests.images import encoded, gradient
from tests.servers import ROOT, FunctionServer

# Small limits, so that going past them is cheap; the same for every function.
LIMITS = {"MAX_BYTES": "300000", "MAX_PIXELS": "1000000"}


@dataclass
class Answer:
    status: int
    headers: Any
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)


@dataclass
class Subject:
    """A function under test, whichever way it is reached."""

    name: str
    ask: Callable[..., Answer]
    work: tuple[str, bytes]
    """Path and body of a request that does the function's work."""


def environment(function: str) -> dict[str, str]:
    return {f"{function.upper()}_{name}": value for name, value in LIMITS.items()}


WAYS = ("client", "server")


@pytest.fixture(params=[(name, way) for name in FUNCTIONS for way in WAYS], ids="-".join)
def subject(request: pytest.FixtureRequest, reach: Callable[[str, str], Subject]) -> Subject:
    """Every function, both ways."""
    return reach(*request.param)


@pytest.fixture(params=[(name, way) for name in FUNCTIONS if name != "stress" for way in WAYS], ids="-".join)
def image_subject(request: pytest.FixtureRequest, reach: Callable[[str, str], Subject]) -> Subject:
    """The functions that take images, both ways."""
    return reach(*request.param)


@pytest.fixture(params=WAYS)
def json_subject(request: pytest.FixtureRequest, reach: Callable[[str, str], Subject]) -> Subject:
    """The function that takes parameters as JSON, both ways."""
    return reach("stress", request.param)


@pytest.fixture
def reach(monkeypatch: pytest.MonkeyPatch, servers: Callable[..., FunctionServer]) -> Callable[[str, str], Subject]:
    """A function by name and way."""

    def get(name: str, way: str) -> Subject:
        work = ("/?seconds=0.05&load=50", b"") if name == "stress" else ("/", encoded(gradient(), "JPEG"))
        ask = _over_http(servers(name, **environment(name))) if way == "server" else _in_process(name, monkeypatch)
        return Subject(name, ask, work)

    return get


def _over_http(server: FunctionServer) -> Callable[..., Answer]:
    def ask(method: str, path: str, data: Any = None, headers: dict[str, str] | None = None) -> Answer:
        answer = server.request(method, path, data=data, headers=headers, allow_redirects=False)
        return Answer(answer.status_code, answer.headers, answer.content)

    return ask


def _in_process(name: str, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Answer]:
    import functions_framework

    for variable, value in environment(name).items():
        monkeypatch.setenv(variable, value)
    source = str(ROOT / "functions" / name / "main.py")
    client = functions_framework.create_app(name, source, "http").test_client()

    def ask(method: str, path: str, data: Any = None, headers: dict[str, str] | None = None) -> Answer:
        answer = client.open(path, method=method, data=data, headers=headers)
        body = answer.data
        # A request is counted and logged when its answer is closed, as a server does.
        answer.close()
        return Answer(answer.status_code, answer.headers, body)

    return ask
