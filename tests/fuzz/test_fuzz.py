"""The short form of fuzzing: every find that was kept, every seed, and some mutations of them."""

from __future__ import annotations

import random
import time
import tracemalloc
from pathlib import Path

import pytest

from tests.fuzz.mutation import mutants
from tests.fuzz.targets import TARGETS

KEPT = sorted(path for path in (Path(__file__).parent / "kept").glob("*/*") if path.parent.name in TARGETS)


@pytest.mark.parametrize("path", KEPT, ids=lambda path: f"{path.parent.name}-{path.name}")
def test_a_find_stays_mended(path: Path) -> None:
    TARGETS[path.parent.name].run(path.read_bytes())


@pytest.mark.filterwarnings("ignore:.*:UserWarning")
@pytest.mark.filterwarnings("ignore:.*:RuntimeWarning")
@pytest.mark.parametrize("name", TARGETS)
def test_seeds_and_mutations_are_answered(name: str) -> None:
    target = TARGETS[name]
    seeds = list(target.seeds())
    for data in [b"", *seeds]:
        target.run(data)
    # A second of each, and never fewer than forty.
    began = time.monotonic()
    for number, data in enumerate(mutants(seeds, 5000, target.longest, random.Random(7))):
        if time.monotonic() - began > 1 and number >= 40:
            break
        target.run(data)


@pytest.mark.parametrize("name", ["ifd", "uploads", "events"])
def test_a_parser_keeps_nothing(name: str) -> None:
    target = TARGETS[name]
    inputs = list(mutants(list(target.seeds()), 200, target.longest, random.Random(3)))
    for data in inputs:
        target.run(data)
    tracemalloc.start()
    try:
        for data in inputs:
            target.run(data)
        before = tracemalloc.get_traced_memory()[0]
        for _ in range(3):
            for data in inputs:
                target.run(data)
        assert tracemalloc.get_traced_memory()[0] - before < 256 * 1024
    finally:
        tracemalloc.stop()


def test_mutations_reach_every_kind_of_change() -> None:
    made = list(mutants([b"abcdefgh", b"01234567"], 2000, 64, random.Random(1)))
    assert len({len(data) for data in made}) > 20
    assert any(b"abcd" in data and b"4567" in data for data in made), "spliced"
    assert all(len(data) <= 64 for data in made)
