"""Each verdict of a scenario fails under a fault that is put in on purpose: docs/load.md has the table."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from loadtest.__main__ import main
from loadtest.lab import Run, service
from loadtest.observe.pods import Sample
from loadtest.scenarios import cold, scaling, traffic
from loadtest.scenarios.photos import Photo, judge, wrong_exif, wrong_histogram
from loadtest.scenarios.scaling import Level, judge_levels
from loadtest.verdict import Verdict, thresholds

LEVELS = [Level(5, 1, 0.0, 11.0), Level(20, 3, 11.0, 22.0), Level(40, 6, 22.0, 33.0), Level(10, 2, 33.0, 44.0)]


def followed(error: int = 0, unready: int = 0) -> Verdict:
    """The verdict on an autoscaler that is off by some pods, and on pods that do not become ready."""
    run = Run("step")
    for quarter in range(4 * 44):
        at = quarter / 4
        level = LEVELS[min(3, int(at // 11))]
        pods = max(1, level.pods + error) if at - level.began > 4 else 1
        run.samples.append(Sample(at=at, ready=max(0, pods - unready), desired=pods))
    result = Verdict("step")
    judge_levels(result, run, LEVELS, thresholds("step"))
    return result


def test_one_pod_too_few_fails_step() -> None:
    assert followed().word == "PASS"
    short = followed(error=-1)
    assert short.word == "FAIL"
    failed = {check.name for check in short.checks if not check.passed}
    assert {"pods desired at 20 clients", "pods ready at 40 clients", "time to scale to 40 clients"} <= failed
    assert followed(error=1).word == "FAIL"
    assert followed(unready=1).word == "FAIL"


# An engine whose autoscaler is patched before its command runs.
SITE = """
import dataclasses, sys
sys.path.insert(0, {root!r})
from knative.local.autoscaler import decision
scale = decision.Autoscaler.scale
def short(self, *args, **named):
    made = scale(self, *args, **named)
    return dataclasses.replace(made, desired=max(1, made.desired - 1)) if made.desired > 1 else made
decision.Autoscaler.scale = short
"""


@pytest.mark.slow
def test_an_engine_that_decides_one_pod_too_few_fails_step(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = str(Path(__file__).parents[2])
    (tmp_path / "sitecustomize.py").write_text(SITE.format(root=root))
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    assert main(["step", "--out", str(tmp_path / "out")]) == 1
    (scenario,) = json.loads((tmp_path / "out" / "verdict.json").read_text())["scenarios"]
    failed = {check["name"] for check in scenario["checks"] if not check["passed"]}
    assert "pods desired at 20 clients" in failed


OVERLOAD = """
from knative.local.proxy.exchange import Exchange
answer = Exchange.answer
Exchange.answer = lambda self, status, *rest: answer(self, 500 if status == 503 else status, *rest)
"""
KILL = """
from knative.local.proxy.queue_proxy import QueueProxy
all_of_them = []
begin, abort = QueueProxy.__init__, QueueProxy.abort
def remember(self, *args, **named):
    begin(self, *args, **named)
    all_of_them.append(self)
QueueProxy.__init__ = remember
QueueProxy.abort = lambda self: [abort(one) for one in all_of_them]
"""
SLOW = """
import time
from knative.local.proxy.exchange import Exchange
feed = Exchange.feed
def late(self, chunk):
    time.sleep(0.05 if 100 < len(chunk) < 1500 else 0)
    feed(self, chunk)
Exchange.feed = late
"""
CANARY = """
from knative.local.pods import service
service._choose = lambda traffic, tag: traffic[0][0] if traffic else None
"""
MIXED = """
import itertools
from knative.local.pods.service import Service
take, count = Service.take, itertools.count(1)
def one_in_ten(self, exchange, tag):
    if next(count) % 10:
        take(self, exchange, tag)
    else:
        exchange.answer(500, "seeded")
Service.take = one_in_ten
"""


@pytest.mark.slow
@pytest.mark.timeout(240)
@pytest.mark.parametrize(
    ("scenario", "fault", "check"),
    [
        ("overload", OVERLOAD, "answers other than 200 and 503"),
        ("kill", KILL, "failed in the killed pod"),
        ("slow", SLOW, "p95 beside slow clients"),
        ("canary", CANARY, "share of the canary"),
        ("mixed", MIXED, "share that failed"),
    ],
)
def test_a_fault_of_the_engine_fails_its_scenario(
    scenario: str, fault: str, check: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = str(Path(__file__).parents[2])
    (tmp_path / "sitecustomize.py").write_text(f"import sys\nsys.path.insert(0, {root!r})\n{fault}")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    assert check in failed_checks(scenario, tmp_path / "out")


def failed_checks(scenario: str, folder: Path) -> set[str]:
    assert main([scenario, "--out", str(folder)]) == 1
    (found,) = json.loads((folder / "verdict.json").read_text())["scenarios"]
    assert found["checks"], found["invalid"]
    return {check["name"] for check in found["checks"] if not check["passed"]}


@pytest.mark.slow
@pytest.mark.timeout(240)
def test_pods_that_stay_fail_zero(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scaling, "ZERO_OPTIONS", (*scaling.ZERO_OPTIONS, "--retention", "120s"))
    assert "zero after the window" in failed_checks("zero", tmp_path / "out")


@pytest.mark.slow
@pytest.mark.timeout(240)
def test_an_autoscaler_that_never_panics_fails_spike(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scaling, "HELD", {**scaling.HELD, "panic_threshold_percentage": "1000"})
    assert "samples in panic" in failed_checks("spike", tmp_path / "out")


@pytest.mark.slow
@pytest.mark.timeout(240)
def test_a_revision_that_does_not_become_ready_fails_rollout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def late(**options: Any) -> dict[str, Any]:
        if "environment" in options:
            options["environment"] = {**options["environment"], "STRESS_START_SECONDS": "120"}
        return service(**options)

    monkeypatch.setattr(traffic, "service", late)
    assert "answers of the new revision" in failed_checks("rollout", tmp_path / "out")


@pytest.mark.parametrize(
    ("ours", "hello", "word"),
    [
        ([1.0, 1.3, 0.95], [0.9, 0.8, 1.1], "PASS"),
        ([2.0, 2.3, 1.9], [0.9, 0.95, 1.1], "FAIL"),
        ([0.2, 0.2, 0.2], [0.1, 0.1, 0.1], "FAIL"),
        ([20.0, 24.0, 22.0], [19.0, 20.0, 21.0], "PASS"),
        ([1.0, 1.0], [1.0, 1.0, 1.0], "FAIL"),
        ([], [], "FAIL"),
    ],
)
def test_a_cold_start_that_doubles_fails_burst_on_any_machine(ours: list[float], hello: list[float], word: str) -> None:
    result = Verdict("burst")
    cold.judge(result, {cold.OURS: ours, cold.HELLO: hello}, thresholds("burst"))
    assert result.word == word


def test_a_histogram_that_lacks_a_pixel_and_exif_without_tags_fail_photos() -> None:
    photo = Photo("a.jpg", b"", 12, "Pixelamp")
    assert wrong_histogram(photo, {"histogram": [5, 7]}) == ""
    assert wrong_exif(photo, {"IFD0:Make": "Pixelamp"}) == ""
    faults = Counter([wrong_histogram(photo, {"histogram": [5, 6]}), wrong_exif(photo, {})])
    known = dict.fromkeys(("histogram a.jpg", "exif?flat=1 a.jpg"), b"")
    good, bad, missing = Verdict("photos"), Verdict("photos"), Verdict("photos")
    judge(good, known, [photo], Counter())
    judge(bad, known, [photo], faults)
    judge(missing, {"histogram a.jpg": b""}, [photo], Counter())
    assert (good.word, bad.word, missing.word) == ("PASS", "FAIL", "FAIL")
    assert "11 pixels counted of 12" in bad.checks[1].words
