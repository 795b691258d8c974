"""What a revision can say to the autoscaler: its annotations.

The rules and their words are those of `pkg/apis/autoscaling/annotation_validation.go` of serving. `ANNOTATIONS` is the
one table of names, defaults and meanings, from which the check suggests the right spelling and the console explains a
manifest.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from knative.local.manifests import grammar
from knative.local.manifests.cluster_config import (
    HPA,
    KPA,
    PRECISION,
    TARGET_MIN,
    WINDOW_MAX,
    WINDOW_MIN,
    AutoscalerConfig,
)
from knative.local.manifests.findings import Finding, invalid, out_of_bounds

GROUP = "autoscaling.knative.dev"
_MAX_INT32 = 2**31 - 1


@dataclass(frozen=True)
class Annotation:
    """One autoscaling annotation: its key without the group, and what it does."""

    name: str
    default: str
    legal: str
    meaning: str

    @property
    def key(self) -> str:
        """The whole key, as written in a manifest."""
        return f"{GROUP}/{self.name}"

    @property
    def keys(self) -> tuple[str, ...]:
        """The keys that Knative reads, the first that is there winning: the name, and its spelling of old."""
        first, *rest = self.name.split("-")
        if not rest or self.name == "activation-scale":
            return (self.key,)
        return (self.key, f"{GROUP}/{first}{''.join(word.title() for word in rest)}")


ANNOTATIONS = (
    Annotation("class", KPA, "kpa.… or hpa.…", "which autoscaler decides; only the KPA reaches zero"),
    Annotation("metric", "concurrency", "concurrency, rps", "what is averaged: requests in flight, or per second"),
    Annotation("min-scale", "0", "≥ 0", "pods that are always kept"),
    Annotation("max-scale", "0", "0 (no limit) or ≥ min-scale", "pods that are never exceeded"),
    Annotation("initial-scale", "1", "≥ 1 (0 if the cluster allows)", "pods a new revision must have to be ready"),
    Annotation(
        "activation-scale", "–", "≥ 2, between min-scale and max-scale", "pods that a start from zero begins with"
    ),
    Annotation("target", "100 (rps: 200)", "≥ 0.01", "requests in flight, or per second, wanted in one pod"),
    Annotation("target-utilization-percentage", "70", "1–100", "share of the target at which the next pod is added"),
    Annotation("target-burst-capacity", "211", "≥ 0 or −1", "spare requests below which the activator buffers"),
    Annotation("window", "60s", "6s–1h, whole seconds", "time over which the stable average is taken"),
    Annotation("panic-window-percentage", "10", "1–100", "the panic window as a share of the stable one"),
    Annotation("panic-threshold-percentage", "200", "110–1000", "wanted over ready pods from which it panics"),
    Annotation("scale-down-delay", "0s", "0–1h, whole seconds", "time a lower number must last before it counts"),
    Annotation(
        "scale-to-zero-pod-retention-period", "0s", "0–1h", "time the last pod stays after the decision for zero"
    ),
    Annotation(
        "metric-aggregation-algorithm",
        "linear",
        "linear, weighted-exponential",
        "how the seconds of a window are weighed",
    ),
)


_DEFAULT_CONFIG = AutoscalerConfig()


def validate_annotations(annotations: Mapping[str, str], config: AutoscalerConfig = _DEFAULT_CONFIG) -> list[Finding]:
    """What Knative's webhook refuses in the autoscaling annotations of a revision.

    Args:
        annotations: the annotations of the revision template; those of other groups are left alone.
        config: the cluster's autoscaler configuration, which sets the class, the limits and what zero may be.

    Returns:
        The refusals, each at the path `(key,)`; none if the cluster would take the annotations.
    """
    values = Given(annotations)
    findings: list[Finding] = []
    for rule in (_class, _scales, _floats, _durations, _metric, _algorithm, _initial_scale):
        findings += rule(values, config)
    return findings


class Given:
    """The autoscaling annotations that a revision has, by their names without the group."""

    def __init__(self, annotations: Mapping[str, str]) -> None:
        """Pick them out of all the annotations of a template."""
        self._keys = {
            item.name: next(key for key in item.keys if key in annotations)
            for item in ANNOTATIONS
            if any(key in annotations for key in item.keys)
        }
        self._values = {name: annotations[key] for name, key in self._keys.items()}

    def get(self, name: str) -> str | None:
        """The text of an annotation, None where it is left out."""
        return self._values.get(name)

    def path(self, name: str) -> tuple[str]:
        """The path of an annotation, as it is spelt here."""
        return (self._keys.get(name, f"{GROUP}/{name}"),)


def _class(values: Given, _: AutoscalerConfig) -> Iterator[Finding]:
    name = values.get("class") or ""
    if name.endswith(".knative.dev") and name not in {KPA, HPA}:
        yield invalid(name, values.path("class"))


def _whole(values: Given, name: str) -> tuple[int, list[Finding]]:
    """A scale annotation: its value, which is 0 where it is left out or wrong, and the refusal if any."""
    text = values.get(name)
    if text is None:
        return 0, []
    try:
        value = grammar.parse_int(text, 32)
    except grammar.OutOfRangeError:
        return 0, [out_of_bounds(text, 0, _MAX_INT32, values.path(name))]
    except ValueError:
        return 0, [invalid(text, values.path(name))]
    return (value, []) if value >= 0 else (0, [out_of_bounds(text, 0, _MAX_INT32, values.path(name))])


def _scales(values: Given, config: AutoscalerConfig) -> Iterator[Finding]:
    low, mistakes = _whole(values, "min-scale")
    yield from mistakes
    high, mistakes = _whole(values, "max-scale")
    yield from mistakes
    if high != 0 and high < low:
        yield Finding(
            f"max-scale={high} is less than min-scale={low}", (values.path("max-scale"), values.path("min-scale"))
        )
    limit = config.max_scale_limit
    if values.get("max-scale") is not None and limit != 0:
        if high > limit:
            yield out_of_bounds(high, 1, limit, values.path("max-scale"))
        if high == 0:
            yield Finding(f"max-scale=0 (unlimited), must be less than {limit}", (values.path("max-scale"),))
    yield from _activation(values, low, high)


def _activation(values: Given, low: int, high: int) -> Iterator[Finding]:
    path = values.path("activation-scale")
    text = values.get("activation-scale")
    if text is None:
        return
    try:
        start = grammar.parse_int(text, 32)
    except ValueError:
        yield invalid(text, path)
        return
    if low > start:
        yield Finding(f"min-scale={low} is greater than activation-scale={start}", (path,))
    elif 0 != high < start:
        yield Finding(f"max-scale={high} is less than activation-scale={start}", (path,))
    elif start < 2:
        yield Finding(f"activation-scale={start} must be greater than 1", (path,))


FLOATS: Mapping[str, tuple[int, int] | None] = {
    "panic-window-percentage": (1, 100),
    "panic-threshold-percentage": (110, 1000),
    "target": None,
    "target-utilization-percentage": (1, 100),
    "target-burst-capacity": None,
}
"""Annotations of type float, and their bounds where these are two numbers."""


def _floats(values: Given, _: AutoscalerConfig) -> Iterator[Finding]:
    for name, bounds in FLOATS.items():
        text = values.get(name)
        if text is None:
            continue
        try:
            value = grammar.parse_float(text)
        except ValueError:
            yield invalid(text, values.path(name))
            continue
        if name == "target":
            if value < TARGET_MIN:
                yield Finding(f"target {text} should be at least {TARGET_MIN}", (values.path(name),))
        elif name == "target-burst-capacity":
            if value < 0 and value != -1:
                yield invalid(text, values.path(name))
        elif bounds is not None and (value < bounds[0] or value > bounds[1]):
            yield out_of_bounds(text, *bounds, values.path(name))


def _durations(values: Given, _: AutoscalerConfig) -> Iterator[Finding]:
    for name, least, shown in (
        ("window", WINDOW_MIN, "6s"),
        ("scale-to-zero-pod-retention-period", 0, "0s"),
        ("scale-down-delay", 0, "0s"),
    ):
        text = values.get(name)
        if text is None:
            continue
        try:
            length = grammar.parse_duration(text)
        except ValueError:
            yield invalid(text, values.path(name))
            continue
        if not least <= length <= WINDOW_MAX:
            yield out_of_bounds(text, shown, "1h0m0s", values.path(name))
        elif name != "scale-to-zero-pod-retention-period" and length % grammar.SECOND:
            yield Finding(PRECISION, (values.path(name),))


def _metric(values: Given, config: AutoscalerConfig) -> Iterator[Finding]:
    metric = values.get("metric")
    if metric is None:
        return
    kind = values.get("class")
    if kind is None:
        kind = config.pod_autoscaler_class
    if (kind == KPA and metric not in {"concurrency", "rps"}) or (kind == HPA and not metric):
        yield invalid(metric, values.path("metric"))


def _algorithm(values: Given, _: AutoscalerConfig) -> Iterator[Finding]:
    # Knative looks only at an explicit class here: without one, anything passes.
    name = values.get("metric-aggregation-algorithm") or ""
    known = {"", "linear", "weighted-exponential", "weightedExponential"}
    if values.get("class") == KPA and name not in known:
        yield invalid(name, values.path("metric-aggregation-algorithm"))


def _initial_scale(values: Given, config: AutoscalerConfig) -> Iterator[Finding]:
    text = values.get("initial-scale")
    if text is None:
        return
    (key,) = values.path("initial-scale")
    try:
        count = grammar.parse_int(text)
    except ValueError:
        yield invalid(text, (key,))
        return
    # Knative appends the reason to the name of the field.
    if count < 0:
        yield invalid(text, (f"{key} must be greater than 0",))
    elif count == 0 and not config.allow_zero_initial_scale:
        yield invalid(text, (f"{key}=0 not allowed by cluster",))
