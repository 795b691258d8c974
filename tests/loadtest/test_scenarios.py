"""Scenarios against the real engine: `make loadtest` plays the quick set, this plays two of it."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from loadtest.__main__ import main
from loadtest.generators.closed_loop import Request
from loadtest.generators.latency import Latencies
from loadtest.lab import Lab, LabError, Run, service
from loadtest.scenarios import play
from loadtest.scenarios.terms import judged
from loadtest.verdict import thresholds


@pytest.mark.slow
def test_zero_and_kill_pass_and_are_reported(tmp_path: Path) -> None:
    assert main(["zero", "kill", "--out", str(tmp_path)]) == 0
    summary = json.loads((tmp_path / "verdict.json").read_text())
    assert [one["verdict"] for one in summary["scenarios"]] == ["PASS", "PASS"]
    assert summary["measured"]["cold_start_seconds"] > 0
    for name in ("zero", "kill"):
        assert (tmp_path / name / "samples.jsonl").read_text().count("\n") > 10
    assert (tmp_path / "report.html").stat().st_size > 10_000


def test_an_engine_that_does_not_start_makes_the_run_invalid(tmp_path: Path) -> None:
    async def run() -> None:
        broken = service(annotations={"window": "1s"})
        async with Lab(Run("x"), tmp_path, broken):
            pytest.fail("it started")

    with pytest.raises(LabError, match="window"):
        asyncio.run(run())


def test_a_scenario_that_cannot_measure_is_invalid(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from loadtest import scenarios

    async def fails(*_: object) -> None:
        raise LabError("the engine ended")

    monkeypatch.setitem(scenarios.SCENARIOS, "step", scenarios.Named(fails, ""))  # type: ignore[arg-type]
    _, verdict = asyncio.run(play("step", tmp_path, thresholds("step")))
    assert (verdict.word, verdict.invalid) == ("INVALID", ["the engine ended"])


def test_a_burst_against_the_engine(tmp_path: Path) -> None:
    async def run() -> Run:
        made = Run("burst")
        manifest = service(annotations={"window": "6s", "max_scale": "1"})
        async with Lab(made, tmp_path, manifest, maximum=1, options=("--initial-scale", "0")) as lab:
            await lab.clients(hold=0.05).burst(15)
        return made

    made = asyncio.run(run())
    assert [request.status for request in made.requests] == [200] * 15
    assert any(request.cold for request in made.requests)
    assert len({request.pod for request in made.requests}) == 1
    assert "stopping" in (tmp_path / "engine.log").read_text()


def test_a_starved_generator_makes_the_run_invalid_and_names_the_remedy() -> None:
    run = Run("step")
    run.requests = [Request("a", 1.0, 1.5, 200)]
    run.lag.extend([0.01] * 98 + [0.7] * 2)
    bounds = thresholds("step")
    starved = judged(run, bounds, None)
    assert starved.word == "INVALID"
    assert "0.70 s late at p99, more than 0.5 s" in starved.invalid[0]
    assert "end what else runs here, and run `step` again" in starved.invalid[0]
    run.lag = Latencies()
    run.lag.extend([0.01] * 99 + [0.7])
    assert judged(run, bounds, None).word == "PASS"


def test_a_generator_keeps_time_beside_an_engine_and_hungry_neighbours(tmp_path: Path) -> None:
    """Two processes a core that want all of it: requests are answered, and the generator's lag is known."""
    hungry = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(2 * (os.cpu_count() or 1))]
    try:

        async def run() -> Run:
            made = Run("burst")
            async with Lab(made, tmp_path, service(annotations={"window": "6s", "min_scale": "1"})) as lab:
                await lab.ready(1)
                await lab.clients(hold=0.05).burst(10)
            return made

        made = asyncio.run(run())
    finally:
        for process in hungry:
            process.kill()
            process.wait()
    assert [request.status for request in made.requests] == [200] * 10
    assert made.lag.count > 5
