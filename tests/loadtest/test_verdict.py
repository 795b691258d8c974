"""Verdicts, thresholds, pods expected, and the report made of them."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadtest.__main__ import main
from loadtest.generators.closed_loop import Request
from loadtest.lab import service
from loadtest.observe.pods import Sample
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


def test_a_verdict_passes_only_when_all_checks_of_a_valid_run_pass() -> None:
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


def test_requests_processed_twice_are_found_in_the_log() -> None:
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


def test_the_command_lists_its_scenarios(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(["nonsense"])
    assert stopped.value.code == 2
    assert "overload" in capsys.readouterr().err
    assert main(["step", "--thresholds", str(tmp_path / "none.toml"), "--out", str(tmp_path)]) == 2


def test_the_services_of_the_scenarios_pass_the_admission_rules(tmp_path: Path) -> None:
    import yaml

    from knative.local.check.admission import load

    traffic = [{"revisionName": "load-v1", "percent": 80}, {"revisionName": "load-v2", "percent": 20, "tag": "canary"}]
    made = service(annotations={"window": "6s", "max_scale": "8"}, revision="v2", traffic=traffic)
    file = tmp_path / "service.yaml"
    file.write_text(yaml.safe_dump(made))
    assert [resource.data["metadata"]["name"] for resource in load([file]).services] == ["load"]
