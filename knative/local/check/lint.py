"""Warnings: what Knative accepts without a word, and what is probably not what was meant.

Each rule has a stable name, by which it can be left out. The rules named `insecure-default` and `deprecated` are the
webhook's own warnings, in its words.
"""

from __future__ import annotations

import contextlib
import difflib
import math
from collections.abc import Iterable, Iterator

from knative.local.check import serving_rules
from knative.local.jsontypes import Json, JsonMapping
from knative.local.manifests import annotations as autoscaling
from knative.local.manifests import grammar
from knative.local.manifests.cesql.parsing import parse as parse_cesql
from knative.local.manifests.cesql.values import CesqlError
from knative.local.manifests.cluster import readers
from knative.local.manifests.cluster_config import HPA, AutoscalerConfig
from knative.local.manifests.findings import Finding, Level, Path
from knative.local.manifests.kinds import SERVING
from knative.local.manifests.resources import Manifests, Resource

VISIBILITY = "networking.knative.dev/visibility"
FULL_DUPLEX = "features.knative.dev/http-full-duplex"
BROKER_CLASS = "eventing.knative.dev/broker.class"
_BROKER_CLASSES = ("MTChannelBasedBroker", "Kafka", "KafkaNamespaced", "RabbitMQBroker")
_TEMPLATE_ANNOTATIONS = (
    *(key for item in autoscaling.ANNOTATIONS for key in item.keys),
    *serving_rules.QUEUE_RESOURCES,
    *serving_rules.NETWORKING_ANNOTATIONS,
    serving_rules.PROGRESS_DEADLINE,
    "queue.sidecar.serving.knative.dev/resource-percentage",
    "queue.sidecar.serving.knative.dev/resourcePercentage",
    "serving.knative.dev/no-gc",
    "features.knative.dev/queueproxy-podinfo",
    FULL_DUPLEX,
)
_SERVICE_ANNOTATIONS = (
    *serving_rules.NETWORKING_ANNOTATIONS,
    serving_rules.ROLLOUT_DURATION,
    "serving.knative.dev/rolloutDuration",
    "serving.knative.dev/creator",
    "serving.knative.dev/lastModifier",
    "serving.knative.dev/forceUpgrade",
)
_SERVICE_LABELS = (VISIBILITY,)
RULES = (
    "broker-class",
    "deprecated",
    "filter-overridden",
    "full-duplex",
    "insecure-default",
    "latest-image",
    "limit-without-request",
    "no-max-scale",
    "not-finite",
    "other-namespace",
    "pull-always",
    "response-start-timeout",
    "service-account",
    "skipped-character",
    "target-above-concurrency",
    "twice",
    "two-pods-for-one",
    "unknown-key",
    "unknown-value",
    "visibility",
)

Data = JsonMapping


def lint(manifests: Manifests) -> Iterator[Finding]:
    """The warnings about manifests, each with its place."""
    accounts = {resource.name for resource in manifests.of("ServiceAccount", "")}
    for resource in manifests.resources:
        found: Iterable[Finding] = ()
        if not resource.checked:
            continue
        if resource.kind == "ConfigMap":
            found = _config_map(resource)
        elif resource.group != SERVING:
            found = _eventing(resource)
        elif resource.kind == "Service":
            found = _service(resource.data, manifests.autoscaler, accounts)
        ordered = sorted((resource.locate(item) for item in found), key=lambda item: item.position or resource.position)
        yield from ordered


def webhook_warnings(group: str, kind: str, data: Data) -> Iterator[Finding]:
    """Yield what Knative's own webhook warns of when an object is written."""
    if group != SERVING or kind not in ("Service", "Configuration"):
        return
    template = data.get("spec", {}).get("template", {})
    for finding in _deprecated(template.get("metadata", {}).get("annotations", {})):
        yield finding.below("spec", "template")
    for index, container in enumerate(template.get("spec", {}).get("containers", [])):
        for finding in _insecure(container):
            yield finding.below("spec", "template", "spec", "containers", index)


def _warn(rule: str, message: str, *paths: Path) -> Finding:
    return Finding(message, paths or ((),), level=Level.WARNING, rule=rule)


def _service(data: Data, config: AutoscalerConfig, accounts: set[str]) -> Iterator[Finding]:
    metadata = data.get("metadata", {})
    template = data.get("spec", {}).get("template", {})
    yield from _spelling(metadata.get("annotations", {}), _SERVICE_ANNOTATIONS, ("metadata", "annotations"))
    yield from _spelling(metadata.get("labels", {}), _SERVICE_LABELS, ("metadata", "labels"))
    yield from _visibility(metadata)
    inner = template.get("metadata", {}).get("annotations", {})
    for finding in (
        *_spelling(inner, _TEMPLATE_ANNOTATIONS, ("metadata", "annotations")),
        *_scaling(inner, template.get("spec", {}), config),
        *_revision(template.get("spec", {}), accounts),
        *_deprecated(inner),
        *_full_duplex(inner, template.get("spec", {})),
    ):
        yield finding.below("spec", "template")


def _spelling(given: Data, known: tuple[str, ...], path: Path) -> Iterator[Finding]:
    """Keys of Knative's groups that nothing reads."""
    for key in given:
        group, slash, _ = key.partition("/")
        # Autoscaling and networking keys in the wrong place are refused, not passed over.
        if not slash or not group.endswith("knative.dev") or key in known:
            continue
        if path == ("metadata", "annotations") and known is _SERVICE_ANNOTATIONS and group == autoscaling.GROUP:
            continue
        near = difflib.get_close_matches(key, known, n=1, cutoff=0.75)
        other = _TEMPLATE_ANNOTATIONS if known is _SERVICE_ANNOTATIONS else _SERVICE_ANNOTATIONS
        if key in other:
            place = "spec.template.metadata.annotations" if other is _TEMPLATE_ANNOTATIONS else "metadata.annotations"
            hint = f"it belongs in {place}"
        else:
            hint = f'did you mean "{near[0]}"?' if near else "Knative reads no such key"
        yield _warn("unknown-key", f'"{key}" is accepted and has no effect: {hint}', (*path, key))


def _visibility(metadata: Data) -> Iterator[Finding]:
    value = metadata.get("labels", {}).get(VISIBILITY)
    if value not in (None, "cluster-local"):
        message = f'visibility "{value}" is accepted and has no effect: the one value is "cluster-local"'
        yield _warn("visibility", f"{message}, and this Service is public", ("metadata", "labels", VISIBILITY))
    if VISIBILITY in metadata.get("annotations", {}):
        # Networking annotations are checked on templates alone.
        message = "visibility is a label, not an annotation: this Service is public"
        yield _warn("visibility", message, ("metadata", "annotations", VISIBILITY))


def _scaling(annotations: Data, spec: Data, config: AutoscalerConfig) -> Iterator[Finding]:
    given = autoscaling.Given(annotations)
    base: Path = ("metadata", "annotations")
    for name in autoscaling.FLOATS:
        yield from _not_finite(given.get(name), base + given.path(name))
    if _number(given.get("max-scale"), config.max_scale) == 0:
        message = "no max-scale: a burst may start any number of pods"
        yield _warn("no-max-scale", message, base + given.path("max-scale"))
    if (given.get("class") or config.pod_autoscaler_class) == HPA or given.get("metric") == "rps":
        return
    concurrency = spec.get("containerConcurrency") or 0
    target = _number(given.get("target"), 0)
    where = base + given.path("target") if target else ("spec", "containerConcurrency")
    if target and concurrency and target > concurrency:
        message = f"target {target:g} is above containerConcurrency {concurrency}, which is the target that counts"
        yield _warn("target-above-concurrency", message, where)
        target = concurrency
    share = (
        _number(given.get("target-utilization-percentage"), config.container_concurrency_target_fraction * 100) / 100
    )
    wanted = (target or concurrency or config.container_concurrency_target_default) * share
    if wanted < 1:
        wanted = max(0.01, wanted)
        message = f"a target of {wanted:g} makes one request ask for {math.ceil(1 / wanted)} pods"
        yield _warn("two-pods-for-one", f"{message}: use a utilisation of 100 per cent, or a higher target", where)


def _not_finite(text: Json, path: Path) -> Iterator[Finding]:
    if isinstance(text, str) and not math.isfinite(_number(text, 0)):
        message = f'"{text}" is accepted and is not finite: what the autoscaler decides by it is not documented'
        yield _warn("not-finite", message, path)


def _number(text: str | None, default: float) -> float:
    """An annotation's value; the default where it is left out or, which is reported elsewhere, no number."""
    try:
        return grammar.parse_float(text) if text is not None else default
    except ValueError:
        return default


def _revision(spec: Data, accounts: set[str]) -> Iterator[Finding]:
    timeout = spec.get("timeoutSeconds") or 300
    start = spec.get("responseStartTimeoutSeconds", 0)
    if start > timeout:
        message = f"responseStartTimeoutSeconds {start} is above timeoutSeconds {timeout}, which ends the request first"
        yield _warn("response-start-timeout", message, ("spec", "responseStartTimeoutSeconds"))
    account = spec.get("serviceAccountName", "")
    if account and account != "default" and account not in accounts:
        message = (
            f'ServiceAccount "{account}" is not among these manifests: without it the revision never becomes ready'
        )
        yield _warn("service-account", message, ("spec", "serviceAccountName"))
    for index, container in enumerate(spec.get("containers", [])):
        for finding in (*_image(container), *_limits(container), *_insecure(container)):
            yield finding.below("spec", "containers", index)


def _image(container: Data) -> Iterator[Finding]:
    try:
        floating = grammar.Image(container.get("image", "")).latest
    except ValueError:
        return
    if floating:
        message = "the image floats: each new revision is whatever :latest is then, resolved at the registry"
        yield _warn("latest-image", f"{message}; name a version or a digest", ("image",))
    if container.get("imagePullPolicy") == "Always":
        message = "imagePullPolicy Always: every cold start asks the registry, and fails when it is away"
        yield _warn("pull-always", message, ("imagePullPolicy",))


def _limits(container: Data) -> Iterator[Finding]:
    resources = container.get("resources", {})
    for name in resources.get("limits", {}):
        if name not in resources.get("requests", {}):
            message = (
                f"a {name} limit without a request makes the request as large as the limit: one pod may fill a node"
            )
            yield _warn("limit-without-request", message, ("resources", "limits", name))


def _insecure(container: Data) -> Iterator[Finding]:
    context = container.get("securityContext", {})
    wanted = ("runAsNonRoot", "allowPrivilegeEscalation", "seccompProfile", "capabilities")
    message = "Kubernetes default value is insecure, Knative may default this to secure in a future release"
    for name in wanted:
        if name not in context:
            yield _warn("insecure-default", message, ("securityContext", name))
    dropped = context.get("capabilities", {}).get("drop")
    if "capabilities" in context and dropped is None:
        yield _warn("insecure-default", message, ("securityContext", "capabilities", "drop"))
    elif dropped and dropped[0] == "all":
        finding = _warn("insecure-default", "invalid value: all", ("securityContext", "capabilities", "drop"))
        yield Finding(**{**vars(finding), "details": "Must be spelled as 'ALL'"})


def _deprecated(annotations: Data) -> Iterator[Finding]:
    for key in ("resource-percentage", "resourcePercentage"):
        name = f"queue.sidecar.serving.knative.dev/{key}"
        if name in annotations:
            message = (
                "Queue proxy resource percentage annotation is deprecated. Please use the available annotations to "
            )
            message += "explicitly set resource values per service"
            yield _warn("deprecated", message, ("metadata", "annotations", name))


def _full_duplex(annotations: Data, spec: Data) -> Iterator[Finding]:
    """An HTTP/1 Service without full duplex: the activator then cuts some answers short (knative/serving#12387)."""
    ports = [port for container in spec.get("containers", []) for port in container.get("ports", [])]
    if any(port.get("name") == "h2c" for port in ports):
        return
    message = f'without {FULL_DUPLEX}: "Enabled" answers over 4 KiB to POSTs may be cut off behind the activator'
    value = annotations.get(FULL_DUPLEX)
    path: Path = ("metadata", "annotations")
    if value is None:
        yield Finding(message, (path,), level=Level.NOTE, rule="full-duplex")
    elif value.lower() not in {"enabled", "disabled"}:
        yield _warn("full-duplex", f'"{value}" has no effect: {message}', (*path, FULL_DUPLEX))


def _eventing(resource: Resource) -> Iterator[Finding]:
    data = resource.data
    spec = data.get("spec", {})
    if resource.kind == "Broker":
        kind = data.get("metadata", {}).get("annotations", {}).get(BROKER_CLASS)
        if kind is not None and kind not in _BROKER_CLASSES:
            near = difflib.get_close_matches(kind, _BROKER_CLASSES, n=1)
            hint = f'did you mean "{near[0]}"?' if near else f"known are {', '.join(_BROKER_CLASSES)}"
            message = f'broker class "{kind}" is accepted, and nothing may ever make this Broker ready: {hint}'
            yield _warn("broker-class", message, ("metadata", "annotations", BROKER_CLASS))
    if spec.get("filters") and spec.get("filter", {}).get("attributes"):
        message = "filters overrides filter, whose attributes have no effect"
        yield _warn("filter-overridden", message, ("spec", "filter"))
    yield from _skipped_characters(spec.get("filters"), ("spec", "filters"))
    for path, reference in _references(spec, ("spec",)):
        namespace = reference.get("namespace", resource.namespace)
        if namespace != resource.namespace:
            message = (
                f"{reference.get('kind')}/{reference.get('name')} is in namespace {namespace}, this {resource.kind} in "
            )
            message += f"{resource.namespace}: accepted, and a cluster that isolates namespaces will not deliver"
            yield _warn("other-namespace", message, (*path, "namespace"))


def _skipped_characters(data: Json, path: Path) -> Iterator[Finding]:
    """Characters of CESQL expressions that Knative's parser passes over."""
    if isinstance(data, list):
        for index, item in enumerate(data):
            yield from _skipped_characters(item, (*path, index))
    elif isinstance(data, dict):
        for key in ("all", "any", "not"):
            yield from _skipped_characters(data.get(key), (*path, key))
        with contextlib.suppress(CesqlError):
            if skipped := parse_cesql(data.get("cesql") or "true").skipped:
                message = f"Knative's parser of CESQL skips {skipped!r}: the expression may not mean what was written"
                yield _warn("skipped-character", message, (*path, "cesql"))


def _references(data: Json, path: Path) -> Iterator[tuple[Path, Data]]:
    """Every `ref` of destinations below a place."""
    if isinstance(data, dict):
        for key, value in data.items():
            if key == "ref" and isinstance(value, dict):
                yield (*path, key), value
            else:
                yield from _references(value, (*path, key))
    elif isinstance(data, list):
        for index, item in enumerate(data):
            yield from _references(item, (*path, index))


def _config_map(resource: Resource) -> Iterator[Finding]:
    data = resource.data.get("data", {})
    for reader in readers(resource.name, str(resource.metadata.get("namespace") or "")):
        for key in data if reader.keys else ():
            if key not in reader.keys and key != "_example":
                near = difflib.get_close_matches(key, reader.keys, n=1, cutoff=0.7)
                hint = f'did you mean "{near[0]}"?' if near else "Knative reads no such key"
                yield _warn("unknown-key", f'"{key}" has no effect in {resource.name}: {hint}', ("data", key))
        if reader.attribute == "autoscaler":
            for key in reader.keys & set(data):
                yield from _not_finite(data[key], ("data", key))
        if reader.attribute == "features":
            flags = reader.parse(data)
            for key in reader.keys & set(data):
                if data[key].lower() != flags[key]:
                    message = f'"{data[key]}" is no value of {key}: Knative keeps "{flags[key]}"'
                    yield _warn("unknown-value", message, ("data", key))
