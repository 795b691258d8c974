"""What Knative's webhooks fill in: defaults of a revision, traffic, brokers, triggers, channels and flows.

Follows `*_defaults.go` of serving 98e5ef9 and eventing 8cf4c4b, and the defaults of their custom resource definitions.
The functions change plain objects in place.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from fractions import Fraction

from knative.local.jsontypes import Json, JsonObject
from knative.local.manifests.cluster import EVENTING_NAMESPACE, Cluster
from knative.local.manifests.cluster_config import Defaults
from knative.local.manifests.grammar import parse_quantity
from knative.local.manifests.kinds import EVENTING, FLOWS, MESSAGING, SERVING, SOURCES

Object = JsonObject

BROKER_CLASS = "eventing.knative.dev/broker.class"
BROKER_LABEL = "eventing.knative.dev/broker"
_SUBSCRIBABLE = "messaging.knative.dev/subscribable"
# What eventing's release ships as `config-br-defaults` and `default-ch-webhook`.
_BROKER_DEFAULTS: Object = {
    "brokerClass": "MTChannelBasedBroker",
    "apiVersion": "v1",
    "kind": "ConfigMap",
    "name": "config-br-default-channel",
    "namespace": EVENTING_NAMESPACE,
    "delivery": {"retry": 10, "backoffPolicy": "exponential", "backoffDelay": "PT0.2S"},
}
_CHANNEL_TEMPLATE: Object = {"apiVersion": "messaging.knative.dev/v1", "kind": "InMemoryChannel"}
_DELIVERY_DEFAULTS = ("deadLetterSink", "retry", "backoffPolicy", "backoffDelay")
_DECIMAL = ("n", "u", "m", "", "k", "M", "G", "T", "P", "E")
_BINARY = ("", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei")
_WRITABLE_VOLUMES = ("emptyDir", "persistentVolumeClaim", "ephemeral")


def set_defaults(group: str, kind: str, obj: Object, old: Object | None, cluster: Cluster) -> None:
    """Fill in what the webhook fills in for a kind; a kind without defaults is left as it is."""
    setter = _SETTERS.get((group, kind))
    if setter is not None:
        setter(obj, old, cluster)


# Serving


def _service(obj: Object, old: Object | None, cluster: Cluster) -> None:
    _configuration(obj, old, cluster)
    spec = obj["spec"]
    if not spec.get("traffic"):
        spec["traffic"] = [{"latestRevision": True, "percent": 100}]
    _traffic(spec["traffic"])


def _configuration(obj: Object, old: Object | None, cluster: Cluster) -> None:
    template = obj.setdefault("spec", {}).setdefault("template", {})
    spec = template.setdefault("spec", {})
    _in_form(spec)
    name = template.get("metadata", {}).get("name")
    if old is not None and name and name == _template_name(old):
        return  # a revision that was named by hand is not changed by new defaults
    _revision_spec(spec, cluster.defaults, creating=old is None)


def _template_name(obj: Object) -> str:
    return str(obj.get("spec", {}).get("template", {}).get("metadata", {}).get("name", ""))


def _revision(obj: Object, old: Object | None, cluster: Cluster) -> None:
    spec = obj.setdefault("spec", {})
    _in_form(spec)
    if old is None:
        _revision_spec(spec, cluster.defaults, creating=True)


def _route(obj: Object, old: Object | None, cluster: Cluster) -> None:
    del old, cluster
    _traffic(obj.setdefault("spec", {}).get("traffic", []))


def _traffic(targets: Iterable[Object]) -> None:
    for target in targets:
        target.setdefault("latestRevision", not target.get("revisionName"))
        target.setdefault("percent", 0)


def _domain_mapping(obj: Object, old: Object | None, cluster: Cluster) -> None:
    del old, cluster
    if "ref" in obj.setdefault("spec", {}):
        obj["spec"]["ref"].setdefault("namespace", _namespace(obj))


def _in_form(spec: Object) -> None:
    """Write what decoding in Go leaves behind: ports of probes, empty resources, the protocol of ports, quantities."""
    for volume in spec.get("volumes", []):
        if "sizeLimit" in (volume.get("emptyDir") or {}):
            volume["emptyDir"]["sizeLimit"] = canonical(volume["emptyDir"]["sizeLimit"])
    for container in _containers(spec):
        for amounts in container.setdefault("resources", {}).values():
            amounts.update({name: canonical(amount) for name, amount in amounts.items()})
        for port in container.get("ports", []):
            port.setdefault("protocol", "TCP")
        for name in ("livenessProbe", "readinessProbe", "startupProbe"):
            probe = container.get(name, {})
            for handler in ("httpGet", "tcpSocket"):
                if handler in probe:
                    probe[handler].setdefault("port", 0)
            if "grpc" in probe:
                probe["grpc"].setdefault("service", "")


def _containers(spec: Object) -> list[Object]:
    return [one for one in spec.get("containers", []) if isinstance(one, dict)]


def _revision_spec(spec: Object, defaults: Defaults, *, creating: bool) -> None:
    timeout = spec["timeoutSeconds"] = spec.get("timeoutSeconds") or defaults.revision_timeout_seconds
    for field, value in (
        ("idleTimeoutSeconds", defaults.revision_idle_timeout_seconds),
        # Serving's own default of 300 s equals the timeout, and only a smaller one is written.
        ("responseStartTimeoutSeconds", defaults.revision_response_start_timeout_seconds),
    ):
        if field not in spec and 0 < value < timeout:
            spec[field] = value
    spec.setdefault("containerConcurrency", defaults.container_concurrency)
    containers = _containers(spec)
    _name(containers, defaults.container_name_template)
    writable = {volume.get("name") for volume in spec.get("volumes", []) if set(volume) & set(_WRITABLE_VOLUMES)}
    for container in containers:
        _container(container, defaults, serving=len(containers) == 1 or bool(container.get("ports")))
        for mount in container.get("volumeMounts", []):
            if mount.get("name") not in writable:
                mount["readOnly"] = True
    if creating and containers:
        spec.setdefault("enableServiceLinks", defaults.enable_service_links)


def _name(containers: list[Object], name: str) -> None:
    taken = {container.get("name") for container in containers}
    suffix = 0
    for container in containers:
        if container.get("name"):
            continue
        chosen = name
        if len(containers) > 1 or name in taken:
            while (chosen := f"{name}-{suffix}") in taken:
                suffix += 1
            suffix += 1
        container["name"] = chosen


def _container(container: Object, defaults: Defaults, *, serving: bool) -> None:
    for bound, values in (
        ("requests", (defaults.revision_cpu_request, defaults.revision_memory_request)),
        ("limits", (defaults.revision_cpu_limit, defaults.revision_memory_limit)),
    ):
        for resource, value in zip(("cpu", "memory"), values, strict=True):
            if value is not None:
                container["resources"].setdefault(bound, {}).setdefault(resource, quantity(value))
    if serving:
        probe = container.setdefault("readinessProbe", {})
        if not {"tcpSocket", "httpGet", "exec", "grpc"} & set(probe):
            probe["tcpSocket"] = {"port": 0}
    probe = container.get("readinessProbe")
    if probe is not None:
        probe["successThreshold"] = probe.get("successThreshold") or 1
        if probe.get("periodSeconds"):
            probe["failureThreshold"] = probe.get("failureThreshold") or 3
            probe["timeoutSeconds"] = probe.get("timeoutSeconds") or 1


def quantity(value: Fraction) -> str:
    """Return a quantity as Kubernetes writes it: whole, in binary units where it is a multiple of 1024, or in milli."""
    if value.denominator != 1:
        return f"{-(-value * 1000 // 1)}m"
    whole = value.numerator
    for power, suffix in ((4, "Ti"), (3, "Gi"), (2, "Mi"), (1, "Ki")):
        if whole and whole % 1024**power == 0:
            return f"{whole // 1024**power}{suffix}"
    return str(whole)


def canonical(amount: Json) -> str:
    """Return a quantity as Kubernetes stores it: whole, with the largest suffix of its kind that loses nothing."""
    text = str(amount)
    try:
        value = parse_quantity(text)
    except ValueError:
        return text  # which a rule refuses
    if text[-1:].isdigit() and any(letter in text for letter in "eE"):
        return text
    base, suffixes = 1000, list(_DECIMAL)
    if text.endswith("i") and value.denominator == 1:
        base, suffixes = 1024, list(_BINARY)
    else:
        value *= 10**9
    whole = -(-value.numerator // value.denominator)  # what is below a nano is rounded up
    power = 0
    while whole and whole % base == 0 and power + 1 < len(suffixes):
        whole //= base
        power += 1
    return f"{whole}{suffixes[power]}" if whole else "0"


# Eventing


def _namespace(obj: Object) -> str:
    return str(obj.get("metadata", {}).get("namespace") or "default")


def _destination(destination: Json, namespace: str) -> None:
    if isinstance(destination, dict) and isinstance(destination.get("ref"), dict):
        destination["ref"].setdefault("namespace", namespace)


def _delivery(spec: Object, namespace: str) -> None:
    if "delivery" in spec:
        _destination(spec["delivery"].get("deadLetterSink"), namespace)


def _broker(obj: Object, old: Object | None, cluster: Cluster) -> None:
    del old
    namespace = _namespace(obj)
    found = cluster.broker_defaults
    given = (found.get("namespaceDefaults") or {}).get(namespace) or found.get("clusterDefault") or _BROKER_DEFAULTS
    spec = obj.setdefault("spec", {})
    annotations = obj["metadata"].setdefault("annotations", {})
    annotations.setdefault(BROKER_CLASS, given.get("brokerClass") or _BROKER_DEFAULTS["brokerClass"])
    if "config" not in spec and given.get("kind"):
        spec["config"] = {key: given[key] for key in ("apiVersion", "kind", "name", "namespace") if key in given}
    if "config" in spec:
        spec["config"].setdefault("namespace", namespace)
    if "delivery" not in spec and given.get("delivery"):
        spec["delivery"] = {key: given["delivery"][key] for key in _DELIVERY_DEFAULTS if key in given["delivery"]}
    _delivery(spec, namespace)


def _trigger(obj: Object, old: Object | None, cluster: Cluster) -> None:
    del old, cluster
    spec = obj.setdefault("spec", {})
    spec.setdefault("filter", {})
    _destination(spec.get("subscriber"), _namespace(obj))
    _delivery(spec, _namespace(obj))
    if spec.get("broker"):
        obj["metadata"].setdefault("labels", {})[BROKER_LABEL] = spec["broker"]


def _channel(obj: Object, old: Object | None, cluster: Cluster) -> None:
    _in_memory_channel(obj, old, cluster)
    obj["spec"].setdefault("channelTemplate", dict(_CHANNEL_TEMPLATE))


def _in_memory_channel(obj: Object, old: Object | None, cluster: Cluster) -> None:
    del old, cluster
    obj["metadata"].setdefault("annotations", {}).setdefault(_SUBSCRIBABLE, "v1")
    _delivery(obj.setdefault("spec", {}), _namespace(obj))


def _subscription(obj: Object, old: Object | None, cluster: Cluster) -> None:
    del old, cluster
    spec = obj.setdefault("spec", {})
    for field in ("subscriber", "reply"):
        _destination(spec.get(field), _namespace(obj))
    _delivery(spec, _namespace(obj))


def _sequence(obj: Object, old: Object | None, cluster: Cluster) -> None:
    del old, cluster
    spec = obj.setdefault("spec", {})
    spec.setdefault("channelTemplate", dict(_CHANNEL_TEMPLATE))
    for destination in (*spec.get("steps", []), spec.get("reply")):
        _destination(destination, _namespace(obj))


def _parallel(obj: Object, old: Object | None, cluster: Cluster) -> None:
    del old, cluster
    spec = obj.setdefault("spec", {})
    spec.setdefault("channelTemplate", dict(_CHANNEL_TEMPLATE))
    for branch in spec.get("branches", []):
        for field in ("filter", "subscriber", "reply"):
            _destination(branch.get(field), _namespace(obj))
    _destination(spec.get("reply"), _namespace(obj))


def _ping_source(obj: Object, old: Object | None, cluster: Cluster) -> None:
    del old, cluster
    spec = obj.setdefault("spec", {})
    spec["schedule"] = spec.get("schedule") or "* * * * *"


def _container_source(obj: Object, old: Object | None, cluster: Cluster) -> None:
    del old, cluster
    spec = obj.setdefault("spec", {}).setdefault("template", {}).setdefault("spec", {})
    for index, container in enumerate(spec.get("containers", [])):
        container["name"] = container.get("name") or f"{obj['metadata'].get('name', '')}-{index}"


def _sink_binding(obj: Object, old: Object | None, cluster: Cluster) -> None:
    del old, cluster
    spec = obj.setdefault("spec", {})
    spec.setdefault("subject", {}).setdefault("namespace", _namespace(obj))
    _destination(spec.get("sink"), _namespace(obj))


_SETTERS: dict[tuple[str, str], Callable[[Object, Object | None, Cluster], None]] = {
    (SERVING, "Service"): _service,
    (SERVING, "Configuration"): _configuration,
    (SERVING, "Revision"): _revision,
    (SERVING, "Route"): _route,
    (SERVING, "DomainMapping"): _domain_mapping,
    (EVENTING, "Broker"): _broker,
    (EVENTING, "Trigger"): _trigger,
    (MESSAGING, "Channel"): _channel,
    (MESSAGING, "InMemoryChannel"): _in_memory_channel,
    (MESSAGING, "Subscription"): _subscription,
    (FLOWS, "Sequence"): _sequence,
    (FLOWS, "Parallel"): _parallel,
    (SOURCES, "PingSource"): _ping_source,
    (SOURCES, "ContainerSource"): _container_source,
    (SOURCES, "SinkBinding"): _sink_binding,
}
