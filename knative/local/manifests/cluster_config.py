"""The autoscaler's and the revisions' configuration of a cluster: `config-autoscaler` and `config-defaults`.

The rules and their words are those of `pkg/autoscaler/config/config.go` and `pkg/apis/config/defaults.go` of serving.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from knative.local.jsontypes import JsonObject
from knative.local.manifests import grammar
from knative.local.manifests.findings import Finding, ManifestError

KPA = "kpa.autoscaling.knative.dev"
HPA = "hpa.autoscaling.knative.dev"
TARGET_MIN = 0.01
WINDOW_MIN = 6 * grammar.SECOND
WINDOW_MAX = 3600 * grammar.SECOND
PRECISION = "must be specified with at most second precision"


@dataclass(frozen=True, kw_only=True)
class AutoscalerConfig:
    """A cluster's `config-autoscaler`, in the names of its keys. Durations are in seconds, percentages fractions."""

    pod_autoscaler_class: str = KPA
    enable_scale_to_zero: bool = True
    allow_zero_initial_scale: bool = False
    initial_scale: int = 1
    min_scale: int = 0
    max_scale: int = 0
    max_scale_limit: int = 0
    max_scale_up_rate: float = 1000.0
    max_scale_down_rate: float = 2.0
    container_concurrency_target_fraction: float = 0.7
    container_concurrency_target_default: float = 100.0
    rps_utilization: float = 0.7  # no key of the ConfigMap sets it
    requests_per_second_target_default: float = 200.0
    target_burst_capacity: float = 211.0
    activator_capacity: float = 100.0
    panic_window_percentage: float = 10.0
    panic_threshold_percentage: float = 200.0
    stable_window: float = 60.0
    scale_down_delay: float = 0.0
    scale_to_zero_grace_period: float = 30.0
    scale_to_zero_pod_retention_period: float = 0.0


def _seconds(text: str) -> float:
    return grammar.parse_duration(text) / grammar.SECOND


def _int32(text: str) -> int:
    return grammar.parse_int(text, 32)


_AUTOSCALER_PARSERS: dict[str, Callable[[str], Any]] = {
    "pod-autoscaler-class": str.strip,
    "enable-scale-to-zero": grammar.parse_bool,
    "allow-zero-initial-scale": grammar.parse_bool,
    "max-scale-up-rate": grammar.parse_float,
    "max-scale-down-rate": grammar.parse_float,
    "container-concurrency-target-percentage": grammar.parse_float,
    "container-concurrency-target-default": grammar.parse_float,
    "requests-per-second-target-default": grammar.parse_float,
    "target-burst-capacity": grammar.parse_float,
    "panic-window-percentage": grammar.parse_float,
    "activator-capacity": grammar.parse_float,
    "panic-threshold-percentage": grammar.parse_float,
    "initial-scale": _int32,
    "min-scale": _int32,
    "max-scale": _int32,
    "max-scale-limit": _int32,
    "stable-window": _seconds,
    "scale-down-delay": _seconds,
    "scale-to-zero-grace-period": _seconds,
    "scale-to-zero-pod-retention-period": _seconds,
}
AUTOSCALER_KEYS = frozenset(_AUTOSCALER_PARSERS)


def parse_autoscaler_config(data: Mapping[str, str]) -> AutoscalerConfig:
    """A cluster's autoscaler configuration from the `data` of its ConfigMap; keys left out have their defaults.

    Raises:
        ManifestError: values that Knative refuses, every one of them, each at the path `(key,)`.
    """
    values, mistakes = read_values(_AUTOSCALER_PARSERS, data)
    percentage = values.pop("container_concurrency_target_percentage", None)
    if percentage is not None:
        # Values up to 1 are taken for fractions, for the sake of old clusters.
        values["container_concurrency_target_fraction"] = percentage / 100 if percentage > 1 else percentage
    config = AutoscalerConfig(**values)
    # What could not be read keeps its default here, which no rule finds fault with.
    mistakes += [Finding(message, ((key,),)) for key, message in _config_mistakes(config)]
    if mistakes:
        raise ManifestError(mistakes)
    return config


def _shown(seconds: float) -> str:
    return grammar.format_duration(round(seconds * grammar.SECOND))


def _config_mistakes(config: AutoscalerConfig) -> Iterator[tuple[str, str]]:
    """Pairs of the key to blame and the sentence, as `validate` in Knative's config.go words them."""
    number = grammar.format_float
    yield from _config_durations(config)
    burst = config.target_burst_capacity
    if burst < 0 and burst != -1:
        sentence = "target-burst-capacity must be either non-negative or -1 (for unlimited), was:"
        yield "target-burst-capacity", f"{sentence} {burst:f}"
    share, key = config.container_concurrency_target_fraction, "container-concurrency-target-percentage"
    if share <= 0 or share > 1:  # NaN is neither, here as in Go
        yield key, f"{key} = {share:f} is outside of valid range of (0, 100]"
    target = share * config.container_concurrency_target_default
    if target < TARGET_MIN:
        both_keys = f"{key} and container-concurrency-target-default"
        yield key, f"{both_keys} yield target concurrency of {number(target)}, can't be less than {TARGET_MIN}"
    rate = config.requests_per_second_target_default
    if rate < TARGET_MIN:
        key = "requests-per-second-target-default"
        yield key, f"{key} must be at least {TARGET_MIN}, was: {number(rate)}"
    if config.activator_capacity < 1:
        yield "activator-capacity", f"activator-capacity = {number(config.activator_capacity)}, must be at least 1"
    for key, rate in (
        ("max-scale-up-rate", config.max_scale_up_rate),
        ("max-scale-down-rate", config.max_scale_down_rate),
    ):
        if rate <= 1:
            yield key, f"{key} = {number(rate)}, must be greater than 1.0"
    panic = config.panic_window_percentage
    if panic < 1 or panic > 100:
        yield "panic-window-percentage", f"panic-window-percentage = {number(panic)}, must be in [1, 100] interval"
    yield from _config_scales(config)


def _config_durations(config: AutoscalerConfig) -> Iterator[tuple[str, str]]:
    grace, delay = config.scale_to_zero_grace_period, config.scale_down_delay
    retention, window = config.scale_to_zero_pod_retention_period, config.stable_window
    if grace <= 0:
        key = "scale-to-zero-grace-period"
        yield key, f"{key} must be positive, was: {_shown(grace)}"
    if delay < 0:
        yield "scale-down-delay", f"scale-down-delay cannot be negative, was: {_shown(delay)}"
    if delay != round(delay):
        yield "scale-down-delay", f"scale-down-delay = {_shown(delay)}, {PRECISION}"
    if retention < 0:
        key = "scale-to-zero-pod-retention-period"
        yield key, f"{key} cannot be negative, was: {_shown(retention)}"
    if not WINDOW_MIN <= window * grammar.SECOND <= WINDOW_MAX:
        yield "stable-window", f"stable-window = {_shown(window)}, must be in [6s; 1h0m0s] range"
    if window != round(window):
        yield "stable-window", f"stable-window = {_shown(window)}, {PRECISION}"


def _config_scales(config: AutoscalerConfig) -> Iterator[tuple[str, str]]:
    initial, low, high, limit = config.initial_scale, config.min_scale, config.max_scale, config.max_scale_limit
    if initial < 0 or (initial == 0 and not config.allow_zero_initial_scale):
        bound = "must be at least 0 (or at least 1 when allow-zero-initial-scale is false)"
        yield "initial-scale", f"initial-scale = {initial}, {bound}"
    if low < 0:
        yield "min-scale", f"min-scale = {low}, must be at least 0"
    lowest = 1 if limit > 0 else 0
    if high < lowest or 0 < limit < high:
        yield "max-scale", f"max-scale = {high}, must be in [{lowest}, max-scale-limit({limit})] range"
    if limit < 0:
        yield "max-scale-limit", f"max-scale-limit = {limit}, must be at least 0"
    if low > high > 0:
        yield "min-scale", f"min-scale ({low}) must be less than max-scale ({high})"


@dataclass(frozen=True, kw_only=True)
class Defaults:
    """A cluster's `config-defaults`: what a revision gets where its manifest is silent. Seconds, cores and bytes."""

    revision_timeout_seconds: int = 300
    max_revision_timeout_seconds: int = 600
    revision_response_start_timeout_seconds: int = 300
    revision_idle_timeout_seconds: int = 0
    container_concurrency: int = 0
    container_concurrency_max_limit: int = 1000
    allow_container_concurrency_zero: bool = True
    enable_service_links: bool = False
    container_name_template: str = "user-container"
    init_container_name_template: str = "init-container"
    revision_cpu_request: Fraction | None = None
    revision_memory_request: Fraction | None = None
    revision_ephemeral_storage_request: Fraction | None = None
    revision_cpu_limit: Fraction | None = None
    revision_memory_limit: Fraction | None = None
    revision_ephemeral_storage_limit: Fraction | None = None


def _links(text: str) -> bool:
    # A tri-state on the cluster ("default" leaves it to Kubernetes); nothing here asks for the third.
    return text.lower() == "true"


_DEFAULTS_PARSERS: dict[str, Callable[[str], Any]] = {
    "revision-timeout-seconds": grammar.parse_int,
    "max-revision-timeout-seconds": grammar.parse_int,
    "revision-response-start-timeout-seconds": grammar.parse_int,
    "revision-idle-timeout-seconds": grammar.parse_int,
    "container-concurrency": grammar.parse_int,
    "container-concurrency-max-limit": grammar.parse_int,
    "allow-container-concurrency-zero": grammar.parse_bool,
    "enable-service-links": _links,
    "container-name-template": str,
    "init-container-name-template": str,
    "revision-cpu-request": grammar.parse_quantity,
    "revision-memory-request": grammar.parse_quantity,
    "revision-ephemeral-storage-request": grammar.parse_quantity,
    "revision-cpu-limit": grammar.parse_quantity,
    "revision-memory-limit": grammar.parse_quantity,
    "revision-ephemeral-storage-limit": grammar.parse_quantity,
}
DEFAULTS_KEYS = frozenset(_DEFAULTS_PARSERS)


def parse_defaults(data: Mapping[str, str]) -> Defaults:
    """A cluster's defaults from the `data` of its ConfigMap; keys left out have Knative's defaults.

    Raises:
        ManifestError: values that Knative refuses, every one of them, each at the path `(key,)`.
    """
    values, mistakes = read_values(_DEFAULTS_PARSERS, data)
    if "revision_timeout_seconds" in values:
        values.setdefault("revision_response_start_timeout_seconds", values["revision_timeout_seconds"])
    defaults = Defaults(**values)
    mistakes += [Finding(message, ((key,),)) for key, message in _defaults_mistakes(defaults)]
    if mistakes:
        raise ManifestError(mistakes)
    return defaults


def _defaults_mistakes(defaults: Defaults) -> Iterator[tuple[str, str]]:
    timeout, longest = defaults.revision_timeout_seconds, defaults.max_revision_timeout_seconds
    if timeout > longest:
        key = "revision-timeout-seconds"
        yield key, f"{key} ({timeout}) cannot be greater than max-revision-timeout-seconds ({longest})"
    for key, value in (
        ("revision-response-start-timeout-seconds", defaults.revision_response_start_timeout_seconds),
        ("revision-idle-timeout-seconds", defaults.revision_idle_timeout_seconds),
    ):
        if value > 0 and value > timeout:
            yield key, f"{key} ({value}) cannot be greater than revision-timeout-seconds ({timeout})"
    limit, concurrency = defaults.container_concurrency_max_limit, defaults.container_concurrency
    if limit < 1:
        yield "container-concurrency-max-limit", f"expected 1 <= {limit} <= {2**31 - 1}"
    if not 0 <= concurrency <= limit:
        yield "container-concurrency", f"expected 0 <= {concurrency} <= {limit}"


def read_values(
    parsers: Mapping[str, Callable[[str], Any]], data: Mapping[str, str]
) -> tuple[JsonObject, list[Finding]]:
    """Read the values of a ConfigMap.

    Returns:
        The values by the name of their field, and a finding at `(key,)` for each that cannot be read.
    """
    values: JsonObject = {}
    mistakes: list[Finding] = []
    for key, parse in parsers.items():
        if key in data:
            try:
                values[key.replace("-", "_")] = parse(data[key])
            except ValueError as error:
                mistakes.append(Finding(f'failed to parse data: failed to parse "{key}": {error}', ((key,),)))
    return values, mistakes
