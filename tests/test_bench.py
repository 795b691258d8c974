"""The benchmarks' bookkeeping: medians decide, the worst is shown, the page is made from the record."""

from __future__ import annotations

import importlib
import json
import os
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.servers import ROOT
from tools import figures
from tools.bench import __main__ as command
from tools.bench import cluster, load
from tools.bench.harness import Bench

AREAS = sorted(path.stem for path in command.HERE.glob("*.py") if path.stem not in command.NOT_AREAS)
PAIRS = [(2.0, 10.0), (3.0, 10.0), (9.0, 10.0)]


def measured() -> Bench:
    bench = Bench()
    bench.begin("area")
    bench.section("a heading")
    bench.ratios("ours against theirs", PAIRS, 0.3, "ms")
    bench.ratios("too slow", PAIRS, 0.2, "ms")
    bench.ratios("requests", PAIRS, 0.25, "1/s", at_most=False)
    bench.figure("a value", 7, None, "MB")
    return bench


def test_the_median_decides_and_the_worst_is_shown(capsys: pytest.CaptureFixture[str]):
    bench = measured()
    first, _, rate, value = bench.areas["area"]
    assert (first.median, first.worst, first.pairs) == (0.3, 0.9, 3)
    assert (rate.median, rate.worst, rate.met) == (0.3, 0.2, True)
    assert (value.pairs, value.limit) == (1, "")
    assert bench.failed == ["too slow"]
    assert "worst of 3: 0.9" in capsys.readouterr().out


def test_the_page_is_made_from_the_record(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    page = tmp_path / "page.md"
    page.write_text(f"before\n{figures.BEGIN}\nold\n{figures.END}\nafter\n")
    monkeypatch.setattr(figures, "PAGE", page)
    monkeypatch.setattr(figures, "RECORD", tmp_path / "figures.json")
    figures.write("area", measured().areas["area"], "a machine")
    other = Bench()
    other.begin("another")
    other.figure("x", [1.0, 2.0, 4.0], 3, "s")
    figures.write("another", other.areas["another"], "another machine, load 1.0 before and 2.0 after")
    text = page.read_text()
    assert "| ours against theirs | 0.3 × | 0.9 | 3 | ≤ 0.3 | 3 / 10 ms |" in text
    assert "| too slow | 0.3 × | 0.9 | 3 | **≤ 0.2, missed** | 3 / 10 ms |" in text
    assert "| x | 2 s | 4 | 3 | ≤ 3 |  |" in text
    assert f"### area\n\n{datetime.now(UTC).date().isoformat()}, a machine." in text
    assert ", another machine, load 1.0 before and 2.0 after." in text
    assert text.startswith("before\n")
    assert text.endswith("\nafter\n")
    assert "old" not in text


def test_the_page_of_this_repository_is_its_record():
    stored = json.loads(figures.RECORD.read_text(encoding="utf-8"))
    assert f"{figures.BEGIN}\n{figures.table(stored)}{figures.END}" in figures.PAGE.read_text(encoding="utf-8")


def test_without_a_cluster_its_area_is_skipped_by_name(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.delenv("KUBECONFIG", raising=False)
    assert command.main(["cluster"]) == 0
    assert "cluster: skipped, KUBECONFIG names no cluster" in capsys.readouterr().out


def test_a_cluster_is_measured_through_kubectl(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    services = {"items": [{"metadata": {"name": "exif"}, "status": {"url": "http://exif"}}]}
    program = tmp_path / "kubectl"
    program.write_text(f"#!/bin/sh\ncat <<'E'\n{json.dumps(services)}\nE\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "config"))
    assert command.main(["cluster"]) == 0
    assert "not ready there: histogram, stress (make deploy)" in capsys.readouterr().out


def test_the_steps_of_a_pod_count_from_its_creation():
    conditions = [
        {"type": "Ready", "status": "True", "lastTransitionTime": "2026-11-30T10:00:02Z"},
        {"type": "PodScheduled", "status": "True", "lastTransitionTime": "2026-11-30T10:00:00Z"},
        {"type": "Initialized", "status": "False", "lastTransitionTime": "2026-11-30T10:00:09Z"},
    ]
    pod = {"metadata": {"creationTimestamp": "2026-11-30T10:00:00Z"}, "status": {"conditions": conditions}}
    assert cluster.steps(pod) == {"PodScheduled": 0.0, "Ready": 2.0}


def test_the_least_work_of_each_area_sets_constants_that_it_has():
    for area in AREAS:
        module = importlib.import_module(f"tools.bench.{area}")
        before = dict(vars(module))
        try:
            command.lessen(module)
        finally:
            vars(module).update(before)


def test_a_smoke_run_counts_no_bound_and_keeps_no_figures(capsys: pytest.CaptureFixture[str]):
    kept = figures.RECORD.read_bytes()
    assert command.main(["--smoke", "events"]) == 0
    assert "decode binary" in capsys.readouterr().out
    assert figures.RECORD.read_bytes() == kept
    with pytest.raises(SystemExit):
        command.main(["--smoke", "--write-docs", "events"])


@pytest.mark.slow
@pytest.mark.parametrize("area", AREAS)
def test_each_area_runs(area: str):
    done = subprocess.run(
        [sys.executable, "-m", "tools.bench", "--smoke", area], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-2000:]


def test_a_locust_run_without_a_request_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def run(*_: object) -> tuple[float, bytes]:
        (tmp_path / "stats_stats.csv").write_text("Type,Name,Request Count\n,Aggregated,0\n")
        return 1.0, b""

    monkeypatch.setattr(load, "_cpu_of", run)
    with pytest.raises(RuntimeError, match="Locust sent no request within 3 s"):
        load.locust("http://127.0.0.1:9/", tmp_path / "photo.png", tmp_path)


def test_an_unknown_area_is_wrong_usage(capsys: pytest.CaptureFixture[str]):
    with pytest.raises(SystemExit) as ended:
        command.main(["nonsense"])
    assert ended.value.code == 2
    assert "there is no area nonsense" in capsys.readouterr().err
