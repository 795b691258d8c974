"""Each fault while requests go on: nothing accepted is lost, and all is well again."""

from __future__ import annotations

from pathlib import Path

import pytest

from tools.chaos.faults import FAULTS
from tools.chaos.scene import Unavailable
from tools.chaos.soak import soak
from tools.chaos.traffic import Outcome, Traffic


@pytest.mark.slow
@pytest.mark.parametrize("name", FAULTS)
def test_fault(tmp_path: Path, name: str) -> None:
    try:
        seen = FAULTS[name](tmp_path)
    except Unavailable as reason:
        pytest.skip(str(reason))
    assert seen.note
    assert seen.recovery < 60


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_soak_for_two_minutes(tmp_path: Path) -> None:
    report = soak(tmp_path, 2)
    assert report.broken == []


def test_what_traffic_remembers() -> None:
    traffic = Traffic(0, [], 0)
    traffic.outcomes = [Outcome(0, 1, 200, True, "/a"), Outcome(1, 4, 0, False, "/a"), Outcome(2, 3, 503, False, "/b")]
    assert traffic.counts() == {200: 1, 0: 1, 503: 1}
    assert traffic.last_wrong(1.0) == 3.0
    assert [outcome.status for outcome in traffic.wrong()] == [0, 503]
