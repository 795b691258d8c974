"""Plans against the formulas they come from, against the simulation, and against a finished run."""

from __future__ import annotations

import itertools
import json
import math
import random
from collections import Counter
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from loadtest.capacity.command import describe, main, table
from loadtest.capacity.forecast import Forecast, ForecastError, read
from loadtest.capacity.planning import CapacityError, plan, settled_pods, simulated
from loadtest.lab import service
from tests.servers import ROOT


@given(st.floats(1, 1e7), st.floats(1e-4, 1.0), st.floats(1.01, 20.0))
def test_a_plan_keeps_its_objective_and_carries_its_rate(rate: float, service: float, factor: float) -> None:
    cell = plan(rate, service, objective=service * factor)
    assert cell.latency <= service * factor * (1 + 1e-9)
    assert cell.load == pytest.approx(cell.target / (1 + cell.target))
    assert cell.pods * cell.load / service >= rate * (1 - 1e-9)
    assert cell.target <= 1.0
    assert cell.nodes >= 1


@pytest.mark.parametrize("objective", [0.012, 0.015, 0.04])
def test_at_most_one_request_in_a_hundred_finds_every_place_of_its_pod_taken_and_with_a_place_less_more_do(
    objective: float,
) -> None:
    """Counted in a pod on which requests arrive independently and share one core: M/M/1, event by event."""
    service_seconds = 0.01
    cell = plan(100, service_seconds, objective=objective)
    chance = random.Random(7)
    at_arrivals: Counter[int] = Counter()
    inside = 0
    for _ in range(600_000):
        # The next thing to happen is an arrival or, of those inside, an end: both without memory.
        if inside == 0 or chance.random() < cell.load / (1 + cell.load):
            at_arrivals[inside] += 1
            inside += 1
        else:
            inside -= 1

    def queued(places: int) -> float:
        return sum(count for found, count in at_arrivals.items() if found >= places) / at_arrivals.total()

    assert queued(cell.container_concurrency) <= 0.0105, "half a thousandth for chance"
    assert cell.container_concurrency == 2 or queued(cell.container_concurrency - 1) > 0.0105


def test_the_formulas_by_hand() -> None:
    cell = plan(1000, 0.02, objective=0.1, body_bytes=400e3)
    assert (cell.target, cell.load, cell.latency, cell.pods) == (1.0, 0.5, 0.04, 40)
    assert cell.container_concurrency == 7, "with 6 places 1.56 % would wait for one"
    assert cell.gbits == pytest.approx(3.2)
    assert (cell.nodes, cell.binds) == (math.ceil(40 * 1.1 / 14.4), "cores")
    assert cell.queue == 4000
    assert not cell.beyond
    assert "target 1," in describe(cell)


def test_held_requests_need_rate_times_time_over_target() -> None:
    assert [plan(rate, 0.5, objective=1.0, held=True, target=7.0).pods for rate in (10, 40, 80, 20)] == [1, 3, 6, 2]


def test_a_million_a_second_is_beyond_one_cluster() -> None:
    beyond = plan(1_000_000, 0.1, objective=1.0, body_bytes=400e3).beyond
    assert any("pods" in limit for limit in beyond)
    assert any("nodes" in limit for limit in beyond)


def test_small_objectives_bind_the_target() -> None:
    assert plan(100, 0.02, objective=0.03).target == pytest.approx(0.5)


@pytest.mark.parametrize(("rate", "service", "objective"), [(0, 0.1, 1), (10, 0, 1), (10, 0.1, 0.1), (10, 0.1, 0.05)])
def test_what_cannot_be_planned(rate: float, service: float, objective: float) -> None:
    with pytest.raises(CapacityError):
        plan(rate, service, objective=objective)


@pytest.mark.parametrize("rate", [50.0, 1000.0, 20_000.0])
def test_the_simulation_settles_at_the_plan(rate: float) -> None:
    cell = plan(rate, 0.05, objective=0.2)
    outcome = simulated(cell, 0.05)
    assert settled_pods(outcome) == pytest.approx(cell.pods, abs=1, rel=0.1)
    assert outcome.lost == 0


def finished_run(folder: Path, ready: int) -> None:
    """A run of 5 and then 20 clients, twenty seconds each, that hold their place for half a second."""
    levels = [(0.0, 5.0), (20.0, 20.0), (40.0, 0.0)]
    manifest = service(annotations={"window": "6s", "target_utilization_percentage": "70", "max_scale": "8"})
    (folder / "service.yaml").write_text(yaml.safe_dump(manifest))
    (folder / "events.json").write_text(json.dumps({"offered": levels}))
    requests = []
    for (began, clients), (ended, _) in itertools.pairwise(levels):
        for number in range(int(clients * (ended - began) / 0.5)):
            done = began + number * 0.5 / clients
            requests.append({"sent": done - 0.5, "done": done, "status": 200})
    (folder / "requests.jsonl").write_text("".join(json.dumps(one) + "\n" for one in requests))
    samples = [{"at": at / 4, "ready": 1 if at < 80 else ready} for at in range(160)]
    (folder / "samples.jsonl").write_text("".join(json.dumps(one) + "\n" for one in samples))


def test_forecasts_beside_a_finished_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    finished_run(tmp_path, ready=3)
    assert read(tmp_path) == [Forecast(5.0, 1, 1, 1), Forecast(20.0, 3, 3, 3)]
    assert main(["--run", str(tmp_path)]) == 0
    finished_run(tmp_path, ready=5)
    assert main(["--run", str(tmp_path)]) == 1
    assert "20 clients: pods 3 planned, 3 simulated, 5 observed: DOES NOT HOLD" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("planned", "simulated", "observed", "holds"),
    [(1, 1, 2, True), (1, 2, 3, False), (40, 41, 44, True), (40, 40, 45, False), (40, 50, 44, False)],
)
def test_a_forecast_is_within_a_pod_or_a_tenth(planned: int, simulated: int, observed: int, holds: bool) -> None:
    assert Forecast(1.0, planned, simulated, observed).holds is holds


def test_a_folder_without_a_run(tmp_path: Path) -> None:
    with pytest.raises(ForecastError):
        read(tmp_path)


def test_the_table_of_the_page_is_what_the_command_prints() -> None:
    printed = table(0.02, 400e3, 0.1)
    assert printed.count("\n") == 5
    assert printed in (ROOT / "docs/load.md").read_text(), "print it anew: python -m loadtest.capacity --table"


def test_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--rate", "1000", "--service-time", "20ms", "--body", "400kB", "--simulate"]) == 0
    out = capsys.readouterr().out
    assert "pods       40, each busy 50%" in out
    assert "simulated  40 pods" in out
    assert main(["--rate", "10", "--service-time", "1s"]) == 2
    with pytest.raises(SystemExit):
        main([])
    with pytest.raises(SystemExit):
        main(["--rate", "1", "--body", "heavy"])
