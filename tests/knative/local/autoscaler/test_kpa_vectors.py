"""Knative's own numbers, read from a file: every case of every group becomes one test.

`tests/vectors/kpa.json` states inputs and expected outputs of knative/serving at 98e5ef90aa70 (2026-08-21) and of
knative/networking's pkg/http/stats, as its unit tests and constants have them. PIXELAMP_KPA_VECTORS names another
file of the same form, with any of the groups.
"""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from knative.local.autoscaler import metrics, spec, windows
from knative.local.autoscaler.decision import (
    MINIMUM_ACTIVATORS,
    TICK_SECONDS,
    Autoscaler,
    MaxWindow,
    activator_subset,
    activators_needed,
)
from knative.local.autoscaler.scaler import Condition, active_condition, scale_step
from knative.local.autoscaler.spec import ScalingSpec
from knative.local.manifests import cluster_config, grammar
from knative.local.manifests.annotations import validate_annotations
from knative.local.manifests.cluster_config import AutoscalerConfig, parse_autoscaler_config
from knative.local.proxy.breaker import ACTIVATOR_QUEUE, QUEUE_FACTOR, Breaker, Entry

FILE = Path(os.environ.get("PIXELAMP_KPA_VECTORS") or Path(__file__).parents[3] / "vectors" / "kpa.json")
VECTORS: dict[str, Any] = json.loads(FILE.read_text())
DESCRIPTIONS = {"about", "source", "source_network", "notes"}
# Keys of `defaults` that are no field of the ConfigMap's, or one of another name.
DEFAULTS_ELSEWHERE = {
    "rps-utilization": AutoscalerConfig.rps_utilization,
    "stable-window-s": AutoscalerConfig.stable_window,
    "scale-to-zero-grace-period-s": AutoscalerConfig.scale_to_zero_grace_period,
    "scale-to-zero-pod-retention-period-s": AutoscalerConfig.scale_to_zero_pod_retention_period,
    "scale-down-delay-s": AutoscalerConfig.scale_down_delay,
    "progress-deadline-s": spec.DEFAULT_PROGRESS_DEADLINE_SECONDS,
    "tick-interval-s": TICK_SECONDS,
    "scrape-interval-s": metrics.SCRAPE_SECONDS,
    "queue-report-period-s": metrics.REPORT_SECONDS,
    "activator-report-period-s": metrics.REPORT_SECONDS,
    "bucket-s": spec.BUCKET_SECONDS,
    "min-activators": MINIMUM_ACTIVATORS,
    "activator-breaker-queue-depth": ACTIVATOR_QUEUE,
    "queue-proxy-queue-depth-factor": QUEUE_FACTOR,
    "window-min-s": cluster_config.WINDOW_MIN / grammar.SECOND,
    "window-max-s": cluster_config.WINDOW_MAX / grammar.SECOND,
    "target-min": cluster_config.TARGET_MIN,
    "activation-timeout-buffer-s": spec.ACTIVATION_TIMEOUT_BUFFER_SECONDS,
}
EBC_TOLERANCE = 1  # upstream compares it so, its floors being of floats

Case = Mapping[str, Any]
CHECKS: dict[str, Callable[[Any], None]] = {}


def check(function: Callable[[Any], None]) -> Callable[[Any], None]:
    """Register the check of the group that bears the function's name."""
    CHECKS[function.__name__] = function
    return function


def cases() -> list[Any]:
    found = []
    for group, content in VECTORS.items():
        if group in DESCRIPTIONS:
            continue
        if group == "defaults":
            items = [{"key": key, "want": value} for key, value in content.items()]
        elif group == "scaler_scale_to_zero":
            items = [case | {"group_config": content["config"]} for case in content["cases"]]
        else:
            items = content
        for number, case in enumerate(items):
            name = case.get("name") or case.get("label") or case.get("key") or number
            found.append(pytest.param(group, case, id=f"kpa_vector-{group}-{number}-{name}"))
    return found


@pytest.mark.parametrize(("group", "case"), cases())
def test_kpa_vector(group: str, case: Case) -> None:
    assert group in CHECKS, f"no check knows the group {group}"
    CHECKS[group](case)


def spec_of(numbers: Case) -> ScalingSpec:
    return ScalingSpec(
        metric=numbers["metric"],
        target=numbers["target_value"],
        total=numbers["total_value"],
        target_burst_capacity=numbers["tbc"],
        panic_threshold=numbers["panic_threshold"],
        max_scale_up_rate=numbers["max_scale_up_rate"],
        max_scale_down_rate=numbers["max_scale_down_rate"],
        activator_capacity=numbers["activator_capacity"],
        stable_window=numbers["stable_window_s"],
        scale_down_delay=numbers["scale_down_delay_s"],
        activation_scale=numbers["activation_scale"],
    )


@check
def autoscaler(case: Case) -> None:
    numbers = case["spec"]
    scaler = Autoscaler(spec_of(numbers), ready=case["initial_ready_pods"], now=0)
    state = case.get("initial_state")
    if state:
        scaler.restore(panic_since=state["panic_since_s"], panic_maximum=state["max_panic_pods"])
    for step in case["steps"]:
        if "spec_update" in step:
            numbers = step["spec_update"]
            scaler.update(spec_of(numbers))
        decision = scaler.scale(
            step["t_s"],
            ready=step["ready"],
            stable=step["stable"],
            panic=step["panic"],
            reachable=numbers["reachable"],
        )
        want = step["want"]
        assert (decision.desired, decision.valid) == (want["desired"], want["valid"]), decision.words()
        assert decision.ebc == pytest.approx(want["ebc"], abs=EBC_TOLERANCE)
        if "panic_since_after_s" in step:
            assert scaler.panic_since == step["panic_since_after_s"]


@check
def autoscaler_start(case: Case) -> None:
    scaler = Autoscaler(ScalingSpec(), ready=case["initial_ready"], now=0)
    assert (scaler.panic_since is not None) == case["want"]["in_panic"]
    assert scaler.panic_maximum == case["want"]["max_panic_pods"]


@check
def window_average(case: Case) -> None:
    kind = windows.WeightedWindowAverage if case.get("algorithm") == "weighted-exponential" else windows.WindowAverage
    window = kind(case["window_s"], case["granularity_s"])
    for op in case["ops"]:
        match op["op"]:
            case "record":
                window.record(op["t_s"], op["value"])
            case "average":
                tolerance = 0.5 * 10.0 ** -op["round_digits"] if "round_digits" in op else 1e-9
                assert window.average(op["t_s"]) == pytest.approx(op["want"], abs=tolerance), op
            case "resize":
                window.resize(op["window_s"], op["now_s"])
                assert window.size == op["want_buckets"]
            case other:
                pytest.fail(f"no such operation: {other}")


@check
def window_resize(case: Case) -> None:
    window_average(case)


@check
def smoothing_coefficient(case: Case) -> None:
    assert windows.smoothing_coefficient(case["buckets"]) == pytest.approx(case["want"], rel=1e-12)


@check
def round_to_n_digits(case: Case) -> None:
    assert windows.round_digits(case["n"], case["x"]) == case["want"]


def test_an_average_of_nothing_has_no_sign() -> None:
    """A difference of sums may be -1e-17: a decision must not read "stable -0"."""
    assert repr(windows.round_digits(6, -1e-17)) == "0.0"


@check
def max_window(case: Case) -> None:
    window = MaxWindow(case["size"])
    got = [window.record(index, value) for index, value in zip(case["indices"], case["values"], strict=True)]
    assert got == case["want"]


@check
def resolve_metric_target(case: Case) -> None:
    percentage = case["tu_annotation_pct"]
    target, total = spec.resolve_metric_target(
        metric=case["metric"],
        container_concurrency=case["container_concurrency"],
        target=case["target_annotation"],
        utilization=None if percentage is None else percentage / 100,
        config=AutoscalerConfig(
            container_concurrency_target_fraction=case["cc_target_fraction"],
            container_concurrency_target_default=case["cc_target_default"],
            requests_per_second_target_default=case["rps_target_default"],
            rps_utilization=case["rps_utilization"],
        ),
    )
    assert {"target": target, "total": total} == pytest.approx(case["want"])


@check
def panic_window(case: Case) -> None:
    assert spec.panic_window(case["stable_s"], case["pct"]) == case["want_panic_s"]


@check
def scrape_sample_size(case: Case) -> None:
    assert metrics.sample_size(case["pods"]) == case["want"]


@check
def initial_scale(case: Case) -> None:
    config = AutoscalerConfig(allow_zero_initial_scale=case["allow_zero"])
    assert spec.initial_scale(case["annotation"], config) == case["want"]


@check
def activator_pick_indices(case: Case) -> None:
    subset = activator_subset(case["pods"], case["index"], case["activators"])
    assert dataclasses.asdict(subset) == case["want"]


@check
def num_activators(case: Case) -> None:
    scaling = ScalingSpec(
        total=case["total"],
        target_burst_capacity=case["tbc"],
        activator_capacity=case["activator_capacity"],
    )
    assert activators_needed(scaling, case["ready"]) == case["want"]


@check
def scaler_scale_to_zero(case: Case) -> None:
    config, condition = case["group_config"], case["pa"]
    reachable = case.get("reachability") != "unreachable"
    deadline = case.get("progress_deadline_annotation_s")
    initial = spec.initial_scale(
        case.get("initial_scale"),
        AutoscalerConfig(allow_zero_initial_scale=case.get("allow_zero_initial_scale", False)),
    )
    scaling = ScalingSpec(
        stable_window=case.get("window_s", config["stable_window_s"]),
        grace_period=config["grace_s"],
        pod_retention=case.get("retention_annotation_s", case.get("config_retention_s", 0)),
        activation_timeout=config["activation_timeout_s"] if deadline is None else deadline + 30,
        min_scale=case.get("min_scale", 0),
        max_scale=case.get("max_scale", 0),
        initial_scale=initial,
        enable_scale_to_zero=case.get("enable_scale_to_zero", True),
        target_burst_capacity=case.get("tbc", 211),
    )

    def probe() -> bool:
        match case.get("probe"):
            case "must not be called":
                pytest.fail("the activator was probed")
            case "error":
                raise ConnectionError("the activator refused")
            case "false":
                return False
        return True

    scale = scale_step(
        scaling,
        desired=case["desired"],
        condition=Condition(condition["condition"]),
        condition_for=condition["for_s"],
        proxied_for=case.get("sks_proxy_for_s", 0),
        initialized=condition.get("initialized", False),
        reachable=reachable,
        probe=probe,
    )
    applied = scale.apply and scale.desired != case["start_replicas"]
    assert {"desired": scale.desired, "applied": applied} == case["want"], scale.words


@check
def pa_active_condition(case: Case) -> None:
    wanted = {"0": [0], ">0": [1, 5], "-1": [-1]}[case["want"]]
    minima = {"any": [1, 3], "0": [0], ">0": [1, 3]}[case["min"]]
    states = list(Condition) if case["status"] == "any" else [Condition(case["status"])]
    for minimum in minima:
        below, enough = [minimum - 1] if minimum else [], [minimum, minimum + 2]
        for ready in {"<": below, ">=": enough, "any": below + enough}[case["ready_vs_min"]]:
            for want in wanted:
                for current in states:
                    new = active_condition(want=want, ready=ready, minimum=minimum, current=current)
                    assert new is Condition(case["new"]), (want, ready, minimum, current)


@check
def request_stats(case: Case) -> None:
    stats = metrics.RequestStats(0.0)
    reports = []
    for event, milliseconds in case["events"]:
        now = milliseconds / 1000
        match event:
            case "in":
                stats.enter(now)
            case "inP":
                stats.enter(now, proxied=True)
            case "out":
                stats.leave(now)
            case "outP":
                stats.leave(now, proxied=True)
            case "report":
                reports.append(stats.report(now))
            case other:
                pytest.fail(f"no such event: {other}")
    assert len(reports) == len(case["want_reports"])
    for got, want in zip(reports, case["want_reports"], strict=True):
        assert {
            "avg_concurrency": got.concurrency,
            "request_count": got.count,
            "avg_proxied_concurrency": got.proxied_concurrency,
            "proxied_count": got.proxied_count,
        } == pytest.approx(want)


@check
def breaker(case: Case) -> None:
    subject = Breaker(
        queue_depth=case["queue_depth"],
        max_concurrency=case["max_concurrency"],
        initial_capacity=case["initial_capacity"],
    )
    queued: list[int] = []
    for number, (op, want) in enumerate(zip(case["ops"], case["want"], strict=True)):
        if op == "request":
            entry = subject.enter(number)
            assert entry.value == want
            if entry is Entry.QUEUED:
                queued.append(number)
        elif op == "reserve":
            assert subject.reserve() is want
        elif op == "release":
            assert subject.leave() == []
        elif op.startswith("capacity="):
            # One slot: whoever came first runs, and the next only once it left.
            assert subject.resize(int(op.partition("=")[2])) == queued[:1]
            assert subject.leave() == queued[1:2]
        else:
            pytest.fail(f"no such operation: {op}")


@check
def breaker_invalid_params(case: Case) -> None:
    with pytest.raises(ValueError):
        Breaker(**case)


def config_from(values: Mapping[str, Any]) -> AutoscalerConfig:
    return AutoscalerConfig(**{key.replace("-", "_"): value for key, value in values.items()})


@check
def annotation_validation(case: Case) -> None:
    mistakes = validate_annotations(case["annotations"], config_from(case["config"]))
    assert bool(mistakes) == case["want_error"], mistakes
    if case["want_error_text"]:
        assert case["want_error_text"] in "\n".join(str(mistake) for mistake in mistakes)


@check
def config_invalid(case: Case) -> None:
    with pytest.raises(ValueError):
        parse_autoscaler_config(case)


@check
def defaults(case: Case) -> None:
    config = AutoscalerConfig()
    values = {key.replace("_", "-"): value for key, value in dataclasses.asdict(config).items()}
    values |= DEFAULTS_ELSEWHERE
    assert values[case["key"]] == case["want"]
