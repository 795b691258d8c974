"""Each attack has a bounded cost and a right answer, in a function's own server as in the route."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tools.chaos import attacks
from tools.chaos.attacks import ATTACKS
from tools.chaos.victim import Victim

# They wait on purpose; the others send and are refused.
SLOW = {
    *("slow_loris", "slow_body", "slow_readers", "bad_chunks", "transfer_encodings", "two_lengths"),
    *("bombs", "compressed_bodies", "expectations", "hosts", "odd_requests"),
}
MARKED = [pytest.param(name, marks=[pytest.mark.slow] if name in SLOW else []) for name in ATTACKS]


@pytest.fixture(scope="module")
def function() -> Iterator[Victim]:
    with attacks.function() as victim:
        yield victim


@pytest.fixture(scope="module")
def route(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Victim]:
    with attacks.route(tmp_path_factory.mktemp("route")) as victim:
        yield victim


@pytest.mark.parametrize("name", MARKED)
def test_a_function(function: Victim, name: str) -> None:
    ATTACKS[name](function)


@pytest.mark.parametrize("name", MARKED)
def test_the_route(route: Victim, name: str) -> None:
    ATTACKS[name](route)
