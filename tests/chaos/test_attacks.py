"""Each attack has a bounded cost and a right answer, in a function's own server as in the route."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator

import pytest

from tests.chaos.attacks import ATTACKS, Victim
from tests.engines import EngineProcess, service
from tests.servers import FunctionServer

# They wait on purpose; the others send and are refused.
SLOW = {"slow_loris", "slow_body", "bad_chunks", "transfer_encodings", "two_lengths"}
MARKED = [pytest.param(name, marks=[pytest.mark.slow] if name in SLOW else []) for name in ATTACKS]


@pytest.fixture(scope="module")
def function(servers: Callable[..., FunctionServer]) -> Victim:
    return Victim(servers("exif", EXIF_BODY_SECONDS="2").port, "/exif", 2)


@pytest.fixture(scope="module")
def route(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Victim]:
    command = [sys.executable, "-m", "functions.kit.server", "exif"]
    engine = EngineProcess(
        tmp_path_factory.mktemp("route"),
        service("exif", command=command, environment={"EXIF_BODY_SECONDS": "2"}, annotations={"min-scale": "1"}),
    )
    engine.wait_pods(1, "exif")
    yield Victim(engine.port, "/exif", 10)
    engine.stop()


@pytest.mark.parametrize("name", MARKED)
def test_a_function(function: Victim, name: str) -> None:
    ATTACKS[name](function)


@pytest.mark.parametrize("name", MARKED)
def test_the_route(route: Victim, name: str) -> None:
    ATTACKS[name](route)
