"""What Knative's webhook refuses in Services, Configurations, Routes, Revisions and DomainMappings.

Follows `pkg/apis/serving/v1`, `pkg/apis/serving/v1beta1` and `metadata_validation.go` of serving. The data has been
decoded: fields exist and have their types.
"""

from __future__ import annotations

from collections.abc import Iterator

from knative.local.check import pod_rules
from knative.local.check.destinations import reference
from knative.local.jsontypes import JsonMapping
from knative.local.manifests import annotations as autoscaling
from knative.local.manifests import grammar
from knative.local.manifests.cluster import Cluster
from knative.local.manifests.findings import Finding, bad_key, both, disallowed, invalid, neither, out_of_bounds

ROLLOUT_DURATION = "serving.knative.dev/rollout-duration"
OLD_ROLLOUT_DURATION = "serving.knative.dev/rolloutDuration"
PROGRESS_DEADLINE = "serving.knative.dev/progress-deadline"
_QUEUE = "queue.sidecar.serving.knative.dev/"
QUEUE_PERCENTAGES = (f"{_QUEUE}resource-percentage", f"{_QUEUE}resourcePercentage")
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

Data = JsonMapping


def service(data: Data, cluster: Cluster) -> Iterator[Finding]:
    """Refusals in a Service, at paths from its root."""
    metadata = data.get("metadata", {})
    spec = data.get("spec", {})
    yield from _owner_metadata(metadata)
    yield from _rollout(metadata)
    for finding in _template(spec.get("template", {}), metadata, cluster):
        yield finding.below("spec", "template")
    if targets := spec.get("traffic", []):  # without any the latest ready revision gets everything
        for finding in _traffic(targets, of_service=True):
            yield finding.below("spec", "traffic")


def configuration(data: Data, cluster: Cluster) -> Iterator[Finding]:
    """Refusals in a Configuration, at paths from its root."""
    metadata = data.get("metadata", {})
    yield from _owner_metadata(metadata)
    for finding in _template(data.get("spec", {}).get("template", {}), metadata, cluster):
        yield finding.below("spec", "template")


def route(data: Data, cluster: Cluster) -> Iterator[Finding]:
    """Refusals in a Route, at paths from its root."""
    del cluster
    metadata = data.get("metadata", {})
    yield from _owner_metadata(metadata)
    yield from _rollout(metadata)
    for finding in _traffic(data.get("spec", {}).get("traffic", []), of_service=False):
        yield finding.below("spec", "traffic")


def revision(data: Data, cluster: Cluster) -> Iterator[Finding]:
    """Refusals in a Revision, at paths from its root. Its annotations are checked as those of a template."""
    metadata = data.get("metadata", {})
    for finding in object_metadata(metadata):
        yield finding.below("metadata")
    for finding in autoscaling.validate_annotations(metadata.get("annotations", {}), cluster.autoscaler):
        yield finding.below("metadata", "annotations")
    spec = data.get("spec", {})
    for finding in (*pod_rules.pod(spec, cluster), *_numbers(spec, cluster)):
        yield finding.below("spec")


def domain_mapping(data: Data, cluster: Cluster) -> Iterator[Finding]:
    """Refusals in a DomainMapping, at paths from its root."""
    metadata = data.get("metadata", {})
    name = metadata.get("name", "")
    if metadata.get("generateName"):
        yield disallowed(("metadata", "generateName"))
    mistakes = grammar.dns1123_subdomain(name)
    if not mistakes and "." not in name:
        mistakes = ["should be a domain with at least two segments separated by dots"]
    if mistakes:
        yield Finding(f'invalid name "{name}": {"; ".join(mistakes)}', (("metadata", "name"),))
    elif name.endswith(".cluster.local"):
        message = f'invalid name "{name}": must not be a subdomain of cluster local domain "cluster.local"'
        yield Finding(message, (("metadata", "name"),))
    namespace = metadata.get("namespace") or "default"
    yield from reference(data.get("spec", {}).get("ref", {}), ("spec", "ref"), cluster, namespace)


def _owner_metadata(metadata: Data) -> Iterator[Finding]:
    """Refusals in the metadata of an object that has a template or traffic of its own."""
    for finding in object_metadata(metadata):
        yield finding.below("metadata")
    for key in metadata.get("annotations", {}):
        if key.startswith(autoscaling.GROUP):
            details = 'autoscaling annotations must be put under "spec.template.metadata.annotations" to work'
            yield bad_key(key, ("metadata", "annotations", key), details)


def _rollout(metadata: Data) -> Iterator[Finding]:
    values = metadata.get("annotations", {})
    # The first spelling wins, as on the cluster.
    key = next((key for key in (ROLLOUT_DURATION, OLD_ROLLOUT_DURATION) if key in values), ROLLOUT_DURATION)
    for finding in _duration(values, key, "rollout-duration"):
        yield finding.below("metadata", "annotations")


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


def _template(template: Data, parent: Data, cluster: Cluster) -> Iterator[Finding]:
    metadata = template.get("metadata", {})
    values = metadata.get("annotations", {})
    spec = template.get("spec", {})
    for finding in (*pod_rules.pod(spec, cluster), *_numbers(spec, cluster)):
        yield finding.below("spec")
    for finding in (
        *autoscaling.validate_annotations(values, cluster.autoscaler),
        *_networking(values),
        *_queue_proxy(values),
        *_duration(values, PROGRESS_DEADLINE, "progress-deadline"),
    ):
        yield finding.below("metadata", "annotations")
    for finding in (*_revision_name(metadata, parent), *_labels(metadata.get("labels", {}))):
        yield finding.below("metadata")


def _numbers(spec: Data, cluster: Cluster) -> Iterator[Finding]:
    defaults = cluster.defaults
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
    for key in [key for key in QUEUE_PERCENTAGES if key in values][:1]:
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


def _traffic(targets: list[Data], *, of_service: bool) -> Iterator[Finding]:
    tags: dict[str, int] = {}
    for index, target in enumerate(targets):
        for finding in _target(target, of_service=of_service):
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


def _target(target: Data, *, of_service: bool) -> Iterator[Finding]:
    name, owner = target.get("revisionName", ""), target.get("configurationName", "")
    latest = target.get("latestRevision")
    if latest is not None and latest == bool(name):
        message = f'may not set revisionName "{name}" when latestRevision is {str(latest).lower()}'
        yield Finding(message, (("latestRevision",),))
    if of_service and owner:
        yield disallowed(("configurationName",))  # a Service has one Configuration; a Route names it
    elif name and owner:
        yield both(("revisionName",), ("configurationName",))
    elif not of_service and not name and not owner:
        yield neither(("revisionName",), ("configurationName",))
    for key, value in (("revisionName", name), ("configurationName", owner if not of_service and not name else "")):
        if value and not (name and owner) and (mistakes := grammar.qualified_name(value)):
            yield bad_key(value, (key,), ", ".join(mistakes))
    percent = target.get("percent", 0)
    if not 0 <= percent <= 100:
        yield out_of_bounds(percent, 0, 100, ("percent",))
    if target.get("url"):
        yield disallowed(("url",))
