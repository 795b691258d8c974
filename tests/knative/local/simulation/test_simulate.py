"""The virtual clock: a real trace, what queueing theory says, conservation, and the command."""

from __future__ import annotations

import csv
import io
import itertools
import json
import os
import re
import subprocess
import sys
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from knative.local.autoscaler.spec import PREFIX, ScalingSpec
from knative.local.simulation.arrivals import Profile, ProfileError
from knative.local.simulation.fluid import busy_cores
from knative.local.simulation.report import print_summary
from knative.local.simulation.simulator import simulate
from knative.local.simulation.trace import Trace, TraceError, replay
from knative.local.simulation.world import Outcome, World
from tests.engines import knative
from tests.servers import ROOT, clean_environment

TRACE = Path(os.environ.get("PIXELAMP_TRACE") or ROOT / "tests" / "vectors" / "real_trace_steps.json")


def spec(concurrency: int = 0, **annotations: str) -> ScalingSpec:
    named = {PREFIX + name.replace("_", "-"): value for name, value in annotations.items()}
    return ScalingSpec.of(named, container_concurrency=concurrency)


def fixed(pods: int, concurrency: int = 0) -> ScalingSpec:
    return spec(concurrency, min_scale=str(pods), max_scale=str(pods), target_burst_capacity="0")


command = partial(knative, "simulate")


# Two runs of one load on a cluster agree in 85 % of the seconds; 8 points below that is the bound.
@pytest.mark.parametrize("path", [TRACE, ROOT / "tests" / "vectors" / "real_trace_spike_again.json"])
def test_desired_pods_follow_a_real_trace(path: Path) -> None:
    outcome, agreement = replay(Trace.read(path))
    assert agreement >= 0.77
    assert outcome.lost == 0


def test_the_order_of_report_and_tick_decides_whether_a_short_window_panics() -> None:
    trace = Trace.read(ROOT / "tests" / "vectors" / "real_trace_steps.json")
    tick_first = simulate(trace.world(report_first=False))
    report_first = simulate(trace.world(report_first=True))
    assert not any(second.in_panic for second in tick_first.seconds)
    assert any(second.in_panic for second in report_first.seconds)


@pytest.mark.parametrize(("cores", "load", "inside"), [(1, 0.5, 1.0), (1, 0.9, 9.0), (2, 1.0, 4 / 3)])
def test_shared_cores_hold_what_queueing_theory_says(cores: int, load: float, inside: float) -> None:
    """M/M/1: ρ/(1−ρ); M/M/2: 2ρ/(1−ρ²)."""
    assert busy_cores(cores)(inside) == pytest.approx(load, rel=2e-3)
    world = World(
        spec=fixed(10),
        offered=Profile.parse(f"{10 * load / 0.02}x60s"),
        service_seconds=0.02,
        cores=cores,
        start_ready=10,
    )
    last = simulate(world).seconds[-2]
    assert last.in_flight == pytest.approx(10 * inside, rel=0.01)
    assert last.latency == pytest.approx(0.02 * inside / load, rel=0.02)


@pytest.mark.parametrize("service", [0.003, 0.03, 0.1, 0.5])
@pytest.mark.parametrize("concurrency", [0, 10])
def test_concurrency_is_rate_times_latency(service: float, concurrency: int) -> None:
    world = World(
        spec=fixed(10, concurrency),
        offered=Profile.parse("100x30s"),
        service_seconds=service,
        container_concurrency=concurrency,
        start_ready=10,
    )
    last = simulate(world).seconds[-2]
    assert last.in_flight == pytest.approx(100 * service, rel=0.02)
    assert last.latency == pytest.approx(service, rel=0.02)
    assert last.answered == pytest.approx(100)


@given(
    segments=st.lists(st.tuples(st.integers(0, 300), st.integers(1, 20)), min_size=1, max_size=4),
    concurrency=st.sampled_from([0, 1, 10]),
    cores=st.sampled_from([None, 1, 4]),
    closed=st.booleans(),
    limit=st.integers(0, 8),
    service=st.sampled_from([0.1, 3.0, 5.0]),
)
@settings(max_examples=40, deadline=None)
def test_every_request_is_answered_lost_or_still_there(
    segments: list[tuple[int, int]], concurrency: int, cores: int | None, closed: bool, limit: int, service: float
) -> None:
    text = ",".join(f"{level}x{length}s" for level, length in segments)
    world = World(
        spec=spec(concurrency, window="6s", max_scale=str(limit), target="5"),
        offered=Profile.parse(text),
        closed=closed,
        service_seconds=service,
        cores=cores,
        container_concurrency=concurrency,
        timeout_seconds=4.0,
        settle_seconds=40.0,
    )
    outcome = simulate(world)
    if not closed:
        offered = sum(level * length for level, length in segments)
        assert outcome.answered + outcome.lost + outcome.left == pytest.approx(offered, abs=0.5)
    for second in outcome.seconds:
        assert second.in_flight >= -1e-6
        assert not limit or second.ready <= limit
        assert concurrency == 0 or second.answered <= (limit or 10**6) * concurrency / 0.1 + 1e-6
    if cores is None:
        assert all(latency <= 4.0 + 1e-6 for latency, _ in outcome.latencies)


@pytest.mark.parametrize("cores", [None, 1])
@pytest.mark.parametrize(
    ("timeout", "answered"),
    [(2.0, 0.0), (20.0, 30.0)],  # ten clients on one pod and core: 5 s alone, 50 s together
)
def test_the_timeout_ends_requests_in_a_pod_too(cores: int | None, timeout: float, answered: float) -> None:
    world = World(
        spec=fixed(1), offered=Profile.parse("1x30s"), service_seconds=5.0, cores=cores, start_ready=1,
        timeout_seconds=timeout, settle_seconds=300.0,
    )  # fmt: skip
    outcome = simulate(world)
    if cores is None:
        assert outcome.answered == pytest.approx(answered)
    else:  # five times more than one core can do
        assert outcome.answered < 10
    assert outcome.lost == pytest.approx(30 - outcome.answered, abs=1e-3)
    assert outcome.left == pytest.approx(0, abs=1e-3)


def test_waiting_and_working_count_together_towards_the_timeout() -> None:
    """Three clients on one place of 1 s: each answer takes 3 s once they wait in turn."""
    world = World(
        spec=fixed(1, 1), offered=Profile.parse("3x30s"), closed=True, service_seconds=1.0, container_concurrency=1,
        start_ready=1, timeout_seconds=2.5,
    )  # fmt: skip
    late = simulate(world)
    patient = simulate(replace(world, timeout_seconds=3.5))
    assert late.lost >= 5
    assert max(latency for latency, _ in late.latencies) <= 2.5 + 1e-6
    assert patient.lost == 0
    assert patient.answered == pytest.approx(29, abs=1)


def test_a_burst_from_zero_waits_for_the_cold_start_and_loses_nothing() -> None:
    world = World(
        spec=spec(10, window="6s"), offered=Profile.parse("200x1s"), container_concurrency=10, settle_seconds=60.0
    )
    outcome = simulate(world)
    assert outcome.answered == pytest.approx(200)
    assert outcome.lost == 0
    assert (outcome.latency(0.5) or 0) >= 1.5
    assert outcome.seconds[-1].ready == 0


def test_overload_fills_the_queues_and_then_refuses() -> None:
    world = World(spec=spec(1, max_scale="1", window="6s"), offered=Profile.parse("2000x20s"), container_concurrency=1)
    outcome = simulate(world)
    assert outcome.most_queued == pytest.approx(10_000, rel=0.001)
    assert sum(second.refused for second in outcome.seconds) > 25_000
    assert all(second.answered <= 10 + 1e-6 for second in outcome.seconds)


def test_pods_start_no_faster_than_they_are_allowed() -> None:
    world = World(spec=fixed(40), offered=Profile.parse("10x30s"), start_rate=2.0, start_ready=0)
    ready = [second.ready for second in simulate(world).seconds]
    assert all(after - before <= 2 for before, after in itertools.pairwise(ready))
    assert ready[-1] == 40


def test_the_same_at_any_rate() -> None:
    def shares(scale: float) -> list[float]:
        world = World(
            spec=spec(target=str(10 * scale)),
            offered=Profile.parse("0..1000x20s,1000x20s").scaled(scale),
            service_seconds=0.1,
        )
        return [second.answered / scale for second in simulate(world).seconds]

    assert shares(1.0)[-5:] == pytest.approx(shares(1000.0)[-5:], rel=0.01)


def test_profiles() -> None:
    profile = Profile.parse("10x10s, 0..100x10s, 5x1m")
    assert (profile.duration, profile.peak) == (80.0, 100.0)
    assert [profile.at(at) for at in (-1, 0, 9.9, 15, 20, 79.9, 80)] == [0, 10, 10, 50, 5, 5, 0]


@pytest.mark.parametrize(
    "text", ["", "10", "10x", "x10s", "10x0s", "-1x5s", "infx5s", "nanx5s", "0..1.1e9x5s", "1..x5s", "csv:/nowhere"]
)
def test_profiles_that_cannot_be_read(text: str) -> None:
    with pytest.raises(ProfileError):
        Profile.parse(text)


def test_csv_profiles_hold_each_level_until_the_next(tmp_path: Path) -> None:
    file = tmp_path / "load.csv"
    file.write_text("seconds,rate\n0,5\n10,20\n15,0\n")
    profile = Profile.parse(f"csv:{file}")
    assert (profile.duration, [profile.at(at) for at in (0, 9, 10, 14, 19)]) == (20.0, [5, 5, 20, 20, 0])
    for content in ("a,b\nc,d\n", "0,nan\n", "0,-1\n", "0,2e9\n"):
        file.write_text(content)
        with pytest.raises(ProfileError):
            Profile.parse(f"csv:{file}")


def test_the_summary_counts_every_request_offered() -> None:
    world = World(
        spec=spec(1, max_scale="1"), offered=Profile.parse("100x5s"), service_seconds=0.1, container_concurrency=1
    )
    out = io.StringIO()
    print_summary([("", simulate(world))], out)
    header, row = (re.split(r"  +", line.strip()) for line in out.getvalue().splitlines()[:2])
    counts = [int(row[1 + header.index(name)].replace(",", "")) for name in ("answered", "lost", "unfinished")]
    assert sum(counts) == pytest.approx(500, abs=2)
    assert counts[2] > 400


def test_a_file_that_is_not_a_trace_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "trace.json"
    for content in ("", "[]", "{}", '{"service": {}, "changes": []}'):
        file.write_text(content)
        with pytest.raises(TraceError):
            Trace.read(file)


def test_command_takes_a_manifest_and_writes_table_csv_and_plot(tmp_path: Path) -> None:
    table, plot = tmp_path / "run.csv", tmp_path / "run.png"
    done = command(
        *("--manifest", "knative/services/exif.yaml", "--clients", "5x20s,20x20s"),
        *("--vary", "target=2,8", "--csv", str(table), "--plot", str(plot)),
    )
    assert done.returncode == 0, done.stderr
    assert "target 2" in done.stdout
    assert "unfinished" in done.stdout
    rows = list(csv.DictReader(table.read_text().splitlines()))
    assert {row["run"] for row in rows} == {"target 2", "target 8"}
    assert len(rows) == 80
    most = {run: max(int(row["ready"]) for row in rows if row["run"] == run) for run in ("target 2", "target 8")}
    assert most["target 2"] > most["target 8"] >= 1
    assert plot.read_bytes().startswith(b"\x89PNG")


def test_command_follows_a_trace(tmp_path: Path) -> None:
    done = command("--trace", "tests/vectors/real_trace_steps.json")
    assert done.returncode == 0, done.stderr
    assert "desired pods as the trace at 9" in done.stdout


def test_command_takes_a_measured_run(tmp_path: Path) -> None:
    measured = tmp_path / "verdict.json"
    measured.write_text(json.dumps({"measured": {"service_seconds": 0.25, "cold_start_seconds": 4.0}}))
    done = command("--measured", str(measured), "--rate", "10x20s", "--annotation", "min-scale=3")
    assert done.returncode == 0, done.stderr
    assert " 250 " in done.stdout
    measured.write_text("{}")
    assert command("--measured", str(measured), "--rate", "10x20s").returncode == 2


@pytest.mark.parametrize(
    "arguments",
    [
        ["--rate", "10"],
        ["--rate", "10x10s", "--annotation", "window=1s"],
        ["--rate", "10x10s", "--annotation", "windw=10s"],
        ["--rate", "10x10s", "--vary", "colour=red"],
        ["--rate", "10x10s", "--vary", "concurrency=x"],
        ["--rate", "10x10s", "--manifest", "knative/services"],
        ["--trace", "pyproject.toml"],
        ["--rate", "10x10s", "--vary", "scale=nan"],
        ["--rate", "10x10s", "--plot", "run.foo"],
        ["--rate", "10x10s", "--plot", "run"],
        ["--rate", "10x10s", "--plot", "missing/run.png"],
        ["--rate", "10x10s", "--plot", "knative"],
        ["--rate", "10x10s", "--csv", "missing/run.csv"],
        ["--rate", "10x10s", "--csv", "knative"],
        ["--trace", "tests/vectors/real_trace_steps.json", "--plot", "missing/run.png"],
    ],
)
def test_command_says_what_is_wrong_before_it_simulates(arguments: list[str]) -> None:
    done = command(*arguments)
    assert done.returncode == 2
    assert done.stderr.startswith("simulate: ")
    assert "Traceback" not in done.stderr
    assert done.stdout == ""


@pytest.mark.parametrize("rate", ["0", "-1", "nan", "inf", "x"])
def test_pods_start_at_a_rate_above_zero(rate: str) -> None:
    done = command("--rate", "10x10s", "--start-rate", rate)
    assert done.returncode == 2
    assert done.stderr.endswith(f"error: argument --start-rate: {rate}: expected a number above 0\n")


def test_an_outcome_without_answers_has_no_latency() -> None:
    outcome: Outcome = simulate(World(spec=spec(), offered=Profile.parse("0x5s")))
    assert (outcome.latency(0.99), outcome.lost, outcome.most_pods) == (None, 0, 0)


def test_a_class_that_scales_by_cpu_is_not_simulated_as_another() -> None:
    command = [
        sys.executable,
        "-m",
        "knative",
        "simulate",
        "--rate",
        "1x5s",
        "--annotation",
        "class=hpa.autoscaling.knative.dev",
    ]
    done = subprocess.run(command, cwd=ROOT, env=clean_environment(), capture_output=True, text=True)
    assert done.returncode == 2
    assert "class hpa scales by CPU or memory" in done.stderr
