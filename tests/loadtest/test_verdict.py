"""Verdicts, thresholds, pods expected, and the report made of them."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadtest.__main__ import main, summarise
from loadtest.clients import Request
from loadtest.lab import Run, service
from loadtest.observe import Sample, write_samples
from loadtest.report import write
from loadtest.scenarios import QUICK, SCENARIOS
from loadtest.verdict import (
    ThresholdsError,
    Verdict,
    executions,
    expected_pods,
    failures,
    first_time,
    shrank_in_panic,
    thresholds,
)


def request(sent: float, latency: float, status: int = 200, **more: object) -> Request:
    return Request(id=f"r{sent}", sent=sent, done=sent + latency, status=status, **more)  # type: ignore[arg-type]


def sample(at: float, ready: int, desired: int | None = None, panic: bool = False) -> Sample:
    return Sample(at=at, ready=ready, desired=desired, in_panic=panic, in_flight=float(ready))


def test_a_verdict_passes_only_with_checks_kept_by_a_valid_run() -> None:
    verdict = Verdict("x")
    assert verdict.word == "FAIL"
    verdict.at_most("a", 1.0, 1.0)
    verdict.at_least("b", 2.0, 2.0)
    verdict.within("c", 5, 6, 1)
    assert verdict.word == "PASS"
    verdict.at_most("d", None, 1.0)
    assert verdict.word == "FAIL"
    verdict.invalid.append("too busy")
    assert verdict.word == "INVALID"


@given(st.floats(0, 1e5), st.floats(0.01, 100), st.integers(0, 5), st.integers(0, 50))
def test_expected_pods_hold_the_target_within_bounds(load: float, target: float, minimum: int, extra: int) -> None:
    maximum = minimum + extra
    pods = expected_pods(load, target, minimum=minimum, maximum=maximum)
    assert pods >= minimum
    if maximum:
        assert pods <= maximum
    if not maximum or pods < maximum:
        assert pods * target >= load - 1e-6 * max(1, load)


def test_expected_pods_are_those_of_the_formula() -> None:
    assert [expected_pods(clients, 7.0) for clients in (0, 5, 7, 8, 20, 40, 10)] == [0, 1, 1, 2, 3, 6, 2]


def test_failures_by_kind() -> None:
    requests = [request(0, 1), request(1, 1, 503), request(2, 1, 503), Request("x", 3.0, 4.0, reason="closed")]
    assert failures(requests) == {"503": 2, "closed": 1}


def test_what_was_worked_on_twice_shows_in_the_log() -> None:
    lines = [
        '[pod] {"message": "request", "request_id": "a"}',
        '[pod] {"message": "request", "request_id": "b"}',
        '[pod] {"message": "request", "request_id": "a"}',
        '[pod] {"message": "starting", "request_id": "a"}',
        "noise",
    ]
    assert executions(lines) == {"a": 2, "b": 1}


def test_shrinking_in_panic_is_seen() -> None:
    calm = [sample(0, 1, 5), sample(1, 1, 2)]
    assert shrank_in_panic(calm) == 0
    panicking = [sample(0, 1, 5, True), sample(1, 1, 4, True), sample(2, 1, 4, True), sample(3, 1, 1, False)]
    assert shrank_in_panic(panicking) == 1


def test_time_to_scale() -> None:
    samples = [sample(0, 1), sample(1, 2), sample(2, 3)]
    assert first_time(samples, 0.5, 3) == 1.5
    assert first_time(samples, 0.5, 4) is None


def test_every_scenario_has_its_thresholds() -> None:
    for name in SCENARIOS:
        assert {"failed", "doubled", "cold_start_p99", "generator_lag_p99"} <= set(thresholds(name))
    assert set(QUICK) <= set(SCENARIOS)


def test_thresholds_that_cannot_be_used(tmp_path: Path) -> None:
    file = tmp_path / "t.toml"
    for content in ("[all", "[all]\nfailed = true", '[step]\nscale_up = "fast"'):
        file.write_text(content)
        with pytest.raises(ThresholdsError):
            thresholds("step", file)


def test_command_knows_its_scenarios(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(["nonsense"])
    assert stopped.value.code == 2
    assert "overload" in capsys.readouterr().err
    assert main(["step", "--thresholds", str(tmp_path / "none.toml"), "--out", str(tmp_path)]) == 2


def test_the_services_of_the_scenarios_would_be_taken_by_a_cluster(tmp_path: Path) -> None:
    import yaml

    from knative.local.manifests import load

    traffic = [{"revisionName": "load-v1", "percent": 80}, {"revisionName": "load-v2", "percent": 20, "tag": "canary"}]
    made = service(annotations={"window": "6s", "max_scale": "8"}, revision="v2", traffic=traffic)
    file = tmp_path / "service.yaml"
    file.write_text(yaml.safe_dump(made))
    assert [resource.data["metadata"]["name"] for resource in load([file]).services] == ["load"]


@pytest.fixture
def run() -> Run:
    made = Run("step", started=1000.0, ended=1020.0)
    made.requests = [request(1000 + number / 10, 0.05 + number / 1000) for number in range(150)]
    made.requests += [request(1010.0, 0.2, 503), request(1000.0, 1.5, cold=True)]
    made.samples = [sample(1000 + number / 4, min(3, number // 10), 3, 20 < number < 40) for number in range(80)]
    made.offered = [(1000.0, 5.0), (1010.0, 20.0)]
    made.expected = [(1000.0, 1), (1010.0, 3)]
    made.events = [(1012.0, "kill", "kill -9")]
    made.measured = {"service_seconds": 0.1}
    return made


def test_report_holds_figure_verdicts_and_files(run: Run, tmp_path: Path) -> None:
    verdict = Verdict("step")
    verdict.at_most("requests failed", 1, 0)
    verdict.at_least("<script>alert(1)</script>", 1, 1)
    (tmp_path / "step").mkdir()
    write_samples(run.samples, tmp_path / "step" / "samples.jsonl")
    summary = json.loads(json.dumps(summarise([(run, verdict)])))
    write([(run, verdict)], summary, tmp_path, None)
    assert (tmp_path / "load.png").read_bytes().startswith(b"\x89PNG")
    page = (tmp_path / "report.html").read_text()
    assert "data:image/png;base64," in page
    assert "<script" not in page
    assert 'class="FAIL"' in page
    assert "step/samples.jsonl" in page
    assert not re.findall(r'(?:src|href)="?(?:https?:)?//', page)
    lines = (tmp_path / "report.md").read_text().splitlines()
    assert lines[0] == "# Load test: FAILED"
    assert "| step | FAIL | requests failed 1 ≤ 0 |" in lines
    assert (summary["passed"], summary["measured"]) == (False, {"service_seconds": 0.1})


def test_two_runs_compare(run: Run, tmp_path: Path) -> None:
    before, after = Verdict("step"), Verdict("step")
    before.at_most("requests failed", 7, 0)
    after.at_most("requests failed", 0, 0)
    earlier = summarise([(run, before)])
    write([(run, after)], summarise([(run, after)]), tmp_path, earlier)
    assert "| step | pass | requests failed 0 ≤ 0 | 7 |" in (tmp_path / "report.md").read_text()
    assert "<td>7</td>" in (tmp_path / "report.html").read_text()


def test_a_run_that_never_began_is_reported_all_the_same(tmp_path: Path) -> None:
    verdict = Verdict("step", invalid=["the engine ended"])
    write([(Run("step"), verdict)], summarise([(Run("step"), verdict)]), tmp_path, None)
    assert "the engine ended" in (tmp_path / "report.html").read_text()
