"""Each function twice: through the framework's test client, and through a real server process."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import pytest

from functions import registry
from functions.kit.http.function import JSON, Function
from tests.conftest import FUNCTIONS, IMAGE_FUNCTIONS, work_of
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

    @property
    def function(self) -> Function:
        return registry.load(self.name)


def environment(function: str) -> dict[str, str]:
    limits = {f"{function.upper()}_{name}": value for name, value in LIMITS.items()}
    return {**limits, largest_body(function): LIMITS["MAX_BYTES"]}


def largest_body(function: str) -> str:
    """The variable that limits the body of `POST /`: a function may read larger files than it keeps."""
    name = "READ_BYTES" if hasattr(registry.load(function).settings, "read_bytes") else "MAX_BYTES"
    return f"{function.upper()}_{name}"


WAYS = ("client", "server")


TAKE_JSON = [name for name in FUNCTIONS if registry.load(name).work.takes == "json"]
ANSWER_JSON = [name for name in FUNCTIONS if JSON in registry.load(name).work.produces]
HAVE_EVENTS = [name for name in FUNCTIONS if registry.load(name).events]
HAVE_IMAGE_EVENTS = [name for name in HAVE_EVENTS if registry.load(name).work.takes_images]
Reach = Callable[[str, str], Subject]


def _both_ways(names: Iterable[str]) -> list[Any]:
    return [pytest.param((name, way), id=f"{name}-{way}") for name in names for way in WAYS]


@pytest.fixture(params=_both_ways(FUNCTIONS))
def subject(request: pytest.FixtureRequest, reach: Reach) -> Subject:
    """Every function."""
    return reach(*request.param)


@pytest.fixture(params=_both_ways(IMAGE_FUNCTIONS))
def image_subject(request: pytest.FixtureRequest, reach: Reach) -> Subject:
    """The functions that take images."""
    return reach(*request.param)


@pytest.fixture(params=_both_ways(TAKE_JSON))
def json_subject(request: pytest.FixtureRequest, reach: Reach) -> Subject:
    """The functions that take parameters as JSON."""
    return reach(*request.param)


@pytest.fixture(params=_both_ways(ANSWER_JSON))
def result_subject(request: pytest.FixtureRequest, reach: Reach) -> Subject:
    """The functions whose result can be JSON."""
    return reach(*request.param)


@pytest.fixture(params=_both_ways(HAVE_EVENTS))
def event_subject(request: pytest.FixtureRequest, reach: Reach) -> Subject:
    """The functions that handle events."""
    return reach(*request.param)


@pytest.fixture(params=_both_ways(HAVE_IMAGE_EVENTS))
def image_event_subject(request: pytest.FixtureRequest, reach: Reach) -> Subject:
    """The functions that handle events with an image."""
    return reach(*request.param)


@pytest.fixture
def reach(monkeypatch: pytest.MonkeyPatch, servers: Callable[..., FunctionServer]) -> Reach:
    """A function by name and way."""

    def get(name: str, way: str) -> Subject:
        ask = _over_http(servers(name, **environment(name))) if way == "server" else _in_process(name, monkeypatch)
        return Subject(name, ask, work_of(name))

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
