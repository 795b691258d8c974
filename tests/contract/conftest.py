"""Each function twice: through the framework's test client, and through a real server process."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
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


@pytest.fixture(params=[(name, way) for name in FUNCTIONS for way in ("client", "server")], ids="-".join)
def subject(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, servers: Callable[..., FunctionServer]
) -> Iterator[Subject]:
    name, way = request.param
    work = ("/?seconds=0.05&load=50", b"") if name == "stress" else ("/", encoded(gradient(), "JPEG"))
    if way == "server":
        server = servers(name, **environment(name))

        def over_http(method: str, path: str, data: Any = None, headers: dict[str, str] | None = None) -> Answer:
            answer = server.request(method, path, data=data, headers=headers, allow_redirects=False)
            return Answer(answer.status_code, answer.headers, answer.content)

        yield Subject(name, over_http, work)
        return

    import functions_framework

    for variable, value in environment(name).items():
        monkeypatch.setenv(variable, value)
    client = functions_framework.create_app(name, str(Path(ROOT, "functions", name, "main.py")), "http").test_client()

    def in_process(method: str, path: str, data: Any = None, headers: dict[str, str] | None = None) -> Answer:
        answer = client.open(path, method=method, data=data, headers=headers)
        return Answer(answer.status_code, answer.headers, answer.data)

    yield Subject(name, in_process, work)
