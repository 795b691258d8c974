"""What one revision's annotations and the cluster's configuration say about scaling, as numbers.

`ScalingSpec` is one revision under a cluster's `AutoscalerConfig`:

    spec = ScalingSpec.of(annotations, container_concurrency=10, config=AutoscalerConfig())
    spec.target, spec.total        # 7.0, 10.0: what to hold a pod at, what it can take
    dataclasses.replace(spec, stable_window=12.0, panic_window=panic_window(12.0, 10.0))

Annotations are expected to be validated already; times are seconds, shares are fractions of one. Rules and defaults:
knative/serving, pkg/autoscaler/config and pkg/reconciler/autoscaling/resources.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from knative.local.autoscaler.horizontal import TARGET_PERCENT, HorizontalSpec
from knative.local.autoscaler.numbers import floor, larger, smaller
from knative.local.manifests import grammar
from knative.local.manifests.annotations import Given
from knative.local.manifests.cluster_config import HPA, TARGET_MIN, AutoscalerConfig

PREFIX = "autoscaling.knative.dev/"
BUCKET_SECONDS = 1.0
ACTIVATION_TIMEOUT_BUFFER_SECONDS = 30.0

DEFAULT_PROGRESS_DEADLINE_SECONDS = 600.0


def _seconds(text: str) -> float:
    return grammar.parse_duration(text) / grammar.SECOND


def resolve_metric_target(
    *,
    metric: str,
    container_concurrency: int,
    target: float | None,
    utilization: float | None,
    config: AutoscalerConfig,
) -> tuple[float, float]:
    """What the autoscaler holds one pod at, and what one pod can take.

    Args:
        metric: `concurrency` (requests in flight) or `rps` (requests/s).
        container_concurrency: hard limit of concurrent requests in one pod; 0 for no limit.
        target: the annotation `target`, in the metric's unit; None if unset.
        utilization: the annotation `target-utilization-percentage` as a fraction; None if unset.
        config: the cluster's defaults.

    Returns:
        (target, total) in the metric's unit a pod; target = max(0.01, total · utilisation).
    """
    if metric == "rps":
        total, share = config.requests_per_second_target_default, config.rps_utilization
    else:
        total = float(container_concurrency) or config.container_concurrency_target_default
        share = config.container_concurrency_target_fraction
    if target is not None:
        total = target
        if metric == "concurrency" and container_concurrency:
            total = smaller(target, float(container_concurrency))
    if utilization is not None:
        share = utilization
    return larger(TARGET_MIN, total * share), total


def panic_window(stable_window: float, percentage: float) -> float:
    """Seconds of the panic window: a percentage of the stable one, whole, at least one bucket."""
    rounded = floor(stable_window * percentage / 100.0 + 0.5)
    return max(BUCKET_SECONDS, rounded)  # NaN is accepted, and compares false


def initial_scale(annotation: int | None, config: AutoscalerConfig) -> int:
    """Pods a new revision starts with: the annotation, unless it asks for a zero the cluster does not allow."""
    if annotation is None or (annotation == 0 and not config.allow_zero_initial_scale):
        return config.initial_scale
    return annotation


@dataclass(frozen=True, kw_only=True)
class ScalingSpec:
    """How one revision scales. Times in seconds, thresholds as factors, `target` and `total` per pod in the metric."""

    metric: str = "concurrency"
    aggregation: str = "linear"
    target: float = 70.0
    total: float = 100.0
    target_burst_capacity: float = 211.0
    panic_threshold: float = 2.0
    max_scale_up_rate: float = 1000.0
    max_scale_down_rate: float = 2.0
    activator_capacity: float = 100.0
    stable_window: float = 60.0
    panic_window: float = 6.0
    scale_down_delay: float = 0.0
    activation_scale: int = 0
    min_scale: int = 0
    max_scale: int = 0
    initial_scale: int = 1
    enable_scale_to_zero: bool = True
    grace_period: float = 30.0
    pod_retention: float = 0.0
    activation_timeout: float = 630.0
    horizontal: HorizontalSpec | None = None  # of the class hpa, which scales by CPU or memory

    @classmethod
    def of(
        cls,
        annotations: Mapping[str, str],
        *,
        container_concurrency: int = 0,
        config: AutoscalerConfig | None = None,
    ) -> ScalingSpec:
        """The spec of a revision template's annotations (keys with their prefix), validated before.

        Raises:
            ValueError: a value is no number or duration, which validation would have refused.
        """
        config = config or AutoscalerConfig()
        given = Given(annotations)  # the spellings of old are read as well

        def number(name: str) -> float | None:
            text = given.get(name)
            return None if text is None else grammar.parse_float(text)

        def whole(name: str) -> int | None:
            text = given.get(name)
            return None if text is None else grammar.parse_int(text)

        def seconds(name: str, default: float) -> float:
            text = given.get(name)
            return default if text is None else _seconds(text)

        def either(value: float | None, default: float) -> float:
            return default if value is None else value

        metric = given.get("metric") or "concurrency"
        percentage = number("target-utilization-percentage")
        target, total = resolve_metric_target(
            metric=metric,
            container_concurrency=container_concurrency,
            target=number("target"),
            utilization=None if percentage is None else percentage / 100.0,
            config=config,
        )
        stable = seconds("window", config.stable_window)
        panic_percentage = either(number("panic-window-percentage"), config.panic_window_percentage)
        threshold = either(number("panic-threshold-percentage"), config.panic_threshold_percentage)
        deadline = annotations.get("serving.knative.dev/progress-deadline")
        minimum, maximum = whole("min-scale"), whole("max-scale")
        least = config.min_scale if minimum is None else minimum
        most = config.max_scale if maximum is None else maximum
        horizontal = None
        if (given.get("class") or config.pod_autoscaler_class) == HPA:
            least = max(least, 1)
            horizontal = HorizontalSpec(
                metric=given.get("metric") or "cpu",
                target=either(number("target"), TARGET_PERCENT),
                minimum=least,
                maximum=most,
                window=None if given.get("window") is None else stable,
            )
        return cls(
            metric=metric,
            aggregation=given.get("metric-aggregation-algorithm") or "linear",
            target=target,
            total=total,
            target_burst_capacity=either(number("target-burst-capacity"), config.target_burst_capacity),
            panic_threshold=threshold / 100.0,
            max_scale_up_rate=config.max_scale_up_rate,
            max_scale_down_rate=config.max_scale_down_rate,
            activator_capacity=config.activator_capacity,
            stable_window=stable,
            panic_window=panic_window(stable, panic_percentage),
            scale_down_delay=seconds("scale-down-delay", config.scale_down_delay),
            activation_scale=whole("activation-scale") or 0,
            min_scale=least,
            max_scale=most,
            initial_scale=initial_scale(whole("initial-scale"), config),
            enable_scale_to_zero=config.enable_scale_to_zero,
            grace_period=config.scale_to_zero_grace_period,
            pod_retention=seconds("scale-to-zero-pod-retention-period", config.scale_to_zero_pod_retention_period),
            activation_timeout=(DEFAULT_PROGRESS_DEADLINE_SECONDS if deadline is None else _seconds(deadline))
            + ACTIVATION_TIMEOUT_BUFFER_SECONDS,
            horizontal=horizontal,
        )
