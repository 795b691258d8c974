"""What Knative's webhook refuses in a Service: names, annotations, the revision's numbers, traffic.

Follows `pkg/apis/serving/v1/{service,revision,route}_validation.go` and `metadata_validation.go` of serving. The data
has been decoded: fields exist and have their types.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from knative.local.check import pod_rules
from knative.local.manifests import annotations as autoscaling
from knative.local.manifests import grammar
from knative.local.manifests.cluster_config import AutoscalerConfig, Defaults
from knative.local.manifests.findings import Finding, bad_key, disallowed, invalid, out_of_bounds

ROLLOUT_DURATION = "serving.knative.dev/rollout-duration"
PROGRESS_DEADLINE = "serving.knative.dev/progress-deadline"
_QUEUE = "queue.sidecar.serving.knative.dev/"
QUEUE_RESOURCES = tuple(
    f"{_QUEUE}{name}-resource-{kind}"
    for name in ("cpu", "memory", "ephemeral-storage")
    for kind in ("request", "limit")
)
NETWORKING_ANNOTATIONS = tuple(
    f"networking.knative.dev/{name}"
    for name in (
        "ingress-class",
        "ingress.class",
        "certificate-class",
        "certificate.class",
        "disable-auto-tls",
        "disableAutoTLS",
        "disable-external-domain-tls",
        "http-protocol",
        "httpOption",
    )
)

Data = Mapping[str, Any]


def service(data: Data, autoscaler: AutoscalerConfig, defaults: Defaults) -> Iterator[Finding]:
    """Refusals in a Service, at paths from its root."""
    metadata = data.get("metadata", {})
    spec = data.get("spec", {})
    for finding in object_metadata(metadata):
        yield finding.below("metadata")
    for key in metadata.get("annotations", {}):
        if key.startswith(autoscaling.GROUP):
            details = 'autoscaling annotations must be put under "spec.template.metadata.annotations" to work'
            yield bad_key(key, ("metadata", "annotations", key), details)
    for finding in _duration(metadata.get("annotations", {}), ROLLOUT_DURATION, "rollout-duration"):
        yield finding.below("metadata", "annotations")
    for finding in _template(spec.get("template", {}), metadata, autoscaler, defaults):
        yield finding.below("spec", "template")
    for finding in _traffic(spec.get("traffic", [])):
        yield finding.below("spec", "traffic")


def object_metadata(metadata: Data) -> Iterator[Finding]:
    """Refusals in the metadata of any object of serving."""
    name, stem = metadata.get("name", ""), metadata.get("generateName", "")
    if stem and (mistakes := grammar.dns1035_label(stem, prefix=True)):
        yield Finding(f"not a DNS 1035 label prefix: {_go_list(mistakes)}", (("generateName",),))
    if name and (mistakes := grammar.dns1035_label(name)):
        yield Finding(f"not a DNS 1035 label: {_go_list(mistakes)}", (("name",),))
    if not name and not stem:
        yield Finding("name or generateName is required", (("name",),))
    yield from _labels(metadata.get("labels", {}))


def _labels(labels: Data) -> Iterator[Finding]:
    for key, value in labels.items():
        mistakes = grammar.qualified_name(key)
        if mistakes:
            yield Finding(f'metadata.labels: Invalid value: "{key}": {"; ".join(mistakes)}', (("labels", key),))
        if not grammar.label_value(value):
            rule = (
                "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and at "
            )
            rule += "most 63 of them"
            yield Finding(f'metadata.labels: Invalid value: "{value}": {rule}', (("labels", key),))


def _go_list(items: list[str]) -> str:
    return f"[{' '.join(items)}]"


def _duration(values: Data, key: str, name: str) -> Iterator[Finding]:
    """An annotation that is a whole number of seconds, not negative."""
    text = values.get(key, "")
    if not text:
        return
    try:
        length = grammar.parse_duration(text)
    except ValueError:
        yield invalid(text, (key,))
        return
    if length % grammar.SECOND:
        yield Finding(f"{name}={text} is not at second precision", ((key,),))
    elif length < 0:
        yield Finding(f"{name}={text} must be positive", ((key,),))


def _template(template: Data, parent: Data, autoscaler: AutoscalerConfig, defaults: Defaults) -> Iterator[Finding]:
    metadata = template.get("metadata", {})
    values = metadata.get("annotations", {})
    spec = template.get("spec", {})
    for finding in pod_rules.pod(spec):
        yield finding.below("spec")
    for finding in _numbers(spec, defaults):
        yield finding.below("spec")
    for finding in (
        *autoscaling.validate_annotations(values, autoscaler),
        *_networking(values),
        *_queue_proxy(values),
        *_duration(values, PROGRESS_DEADLINE, "progress-deadline"),
    ):
        yield finding.below("metadata", "annotations")
    for finding in (*_revision_name(metadata, parent), *_labels(metadata.get("labels", {}))):
        yield finding.below("metadata")


def _numbers(spec: Data, defaults: Defaults) -> Iterator[Finding]:
    timeout = spec.get("timeoutSeconds", 0)
    if not 0 <= timeout <= defaults.max_revision_timeout_seconds:
        yield out_of_bounds(timeout, 0, defaults.max_revision_timeout_seconds, ("timeoutSeconds",))
    concurrency = spec.get("containerConcurrency")
    lowest = 0 if defaults.allow_container_concurrency_zero else 1
    highest = defaults.container_concurrency_max_limit
    if concurrency is not None and not lowest <= concurrency <= highest:
        yield out_of_bounds(concurrency, lowest, highest, ("containerConcurrency",))


def _networking(values: Data) -> Iterator[Finding]:
    for key in values:
        if key.startswith("networking.knative.dev") and key not in NETWORKING_ANNOTATIONS:
            yield bad_key(key, (key,))


def _queue_proxy(values: Data) -> Iterator[Finding]:
    for key in QUEUE_RESOURCES:
        if key in values:
            try:
                grammar.parse_quantity(values[key])
            except ValueError:
                yield invalid(values[key], (key,))
    key = f"{_QUEUE}resource-percentage"
    if key in values:
        try:
            share = grammar.parse_float(values[key])
        except ValueError:
            yield invalid(values[key], (key,))
            return
        if share < 0.1 or share > 100:  # NaN passes, as on a cluster
            yield out_of_bounds(grammar.format_float(share), 0.1, 100, (key,))


def _revision_name(metadata: Data, parent: Data) -> Iterator[Finding]:
    name, stem = metadata.get("name", ""), metadata.get("generateName", "")
    if stem and (mistakes := grammar.dns1035_label(stem, prefix=True)):
        yield invalid(f"not a DNS 1035 label prefix: {_go_list(mistakes)}", ("generateName",))
    if not name:
        return
    if mistakes := grammar.dns1035_label(name):
        yield invalid(f"not a DNS 1035 label: {_go_list(mistakes)}", ("name",))
        return
    owner = parent.get("name", "")
    if not owner and parent.get("generateName"):
        yield disallowed(("name",))
    elif not name.startswith(f"{owner}-"):
        yield invalid(f'"{name}" must have prefix "{owner}-"', ("name",))


def _traffic(targets: list[Data]) -> Iterator[Finding]:
    if not targets:
        return  # the latest ready revision gets everything
    tags: dict[str, int] = {}
    for index, target in enumerate(targets):
        for finding in _target(target):
            yield finding.below(index)
        tag = target.get("tag", "")
        if not tag:
            continue
        if mistakes := grammar.dns1035_label(tag):
            yield invalid(f"not a DNS 1035 label: {_go_list(mistakes)}", (index, "tag"))
        if tag in tags:
            yield Finding(f'Multiple definitions for "{tag}"', ((index, "tag"), (tags[tag], "tag")))
        tags.setdefault(tag, index)
    total = sum(target.get("percent", 0) for target in targets)
    if total != 100:
        yield Finding(f"Traffic targets sum to {total}, want 100")


def _target(target: Data) -> Iterator[Finding]:
    revision, configuration = target.get("revisionName", ""), target.get("configurationName", "")
    latest = target.get("latestRevision")
    if latest is not None and latest == bool(revision):
        message = f'may not set revisionName "{revision}" when latestRevision is {str(latest).lower()}'
        yield Finding(message, (("latestRevision",),))
    if configuration:
        # A Service has the one configuration; naming one belongs to a Route.
        yield disallowed(("configurationName",))
    elif revision and (mistakes := grammar.qualified_name(revision)):
        yield bad_key(revision, ("revisionName",), ", ".join(mistakes))
    percent = target.get("percent", 0)
    if not 0 <= percent <= 100:
        yield out_of_bounds(percent, 0, 100, ("percent",))
    if target.get("url"):
        yield disallowed(("url",))
