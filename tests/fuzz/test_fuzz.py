"""The short form of fuzzing: every find that was kept, every seed, and some mutations of them."""

from __future__ import annotations

import random
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from functions.exif.scan.files import scan
from tests.servers import ROOT
from tools.fuzz.mutation import mutants
from tools.fuzz.targets import TARGETS
from tools.fuzz.watch import Watch


@pytest.fixture(autouse=True)
def pillow_guard(monkeypatch: pytest.MonkeyPatch) -> None:
    """Opening an image sets Pillow's own guard, which is the whole process's: not the small one of fuzzing for all."""
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", Image.MAX_IMAGE_PIXELS)


KEPT = sorted(path for path in (ROOT / "tools/fuzz/kept").glob("*/*") if path.parent.name in TARGETS)


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
    for data in mutants(seeds, 40, target.longest, random.Random(7)):
        target.run(data)


@pytest.mark.parametrize("name", ["ifd", "uploads", "events"])
def test_a_parser_keeps_nothing(name: str) -> None:
    target = TARGETS[name]
    inputs = list(mutants(list(target.seeds()), 60, target.longest, random.Random(3)))
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


class Machine:
    """A clock and a memory that a parser under test moves."""

    def __init__(self) -> None:
        self.seconds, self.bytes = 0.0, 2**28

    def watch(self, run: Callable[[bytes], None]) -> Watch:
        return Watch(run, 1.0, clock=lambda: self.seconds, memory=lambda: self.bytes)


def test_an_input_that_takes_more_than_its_second_is_a_find() -> None:
    machine = Machine()

    def run(data: bytes) -> None:
        machine.seconds += len(data)

    watch = machine.watch(run)
    watch.once(b"a")
    with pytest.raises(TimeoutError, match=r"2\.00 s"):
        watch.once(b"aa")


@pytest.mark.parametrize("each", [2**16, 65 * 2**20], ids=["a leak", "a greedy input"])
def test_memory_that_grows_by_more_than_its_bound_is_a_find(each: int) -> None:
    machine = Machine()

    def run(_data: bytes) -> None:
        machine.bytes += each

    watch = machine.watch(run)
    watch.once(b"the first is what growth is counted from")
    for _ in range(64 * 2**20 // each):
        watch.once(b"")
    with pytest.raises(MemoryError, match=r"grew by 6[45] MiB"):
        watch.once(b"")


def test_every_parser_of_a_stranger_is_a_target() -> None:
    assert set(TARGETS) >= {"uploads", "images", "exif", "ifd", "strip", "set", "events", "settings", "manifests"}
    assert set(TARGETS) >= {"route", "log", "filters", "datarefs", "options", "packets"}


@pytest.mark.parametrize(
    "name", ["JPEG", "MPO", "PNG", "WebP", "AVIF", "HEIC", "CR3", "JXL", "JP2", "TIFF", "BigTIFF", "PSD", "RAF", "GIF"]
)
def test_every_container_is_a_seed_whole(name: str) -> None:
    found = [scan(data) for data in TARGETS["exif"].seeds()]
    assert name in {seen.format for seen in found if seen is not None}
    assert all(len(data) <= TARGETS["exif"].longest for data in TARGETS["exif"].seeds()), "longer ones are cut"


def test_mutations_reach_every_kind_of_change() -> None:
    made = list(mutants([b"abcdefgh", b"01234567"], 2000, 64, random.Random(1)))
    assert len({len(data) for data in made}) > 20
    assert any(b"abcd" in data and b"4567" in data for data in made), "spliced"
    assert all(len(data) <= 64 for data in made)
