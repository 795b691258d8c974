"""What Knative's webhook refuses in Brokers, Triggers, EventTypes, EventPolicies, EventTransforms and RequestReplies.

Follows `pkg/apis/eventing` of eventing. The data has been decoded: fields exist and have their types.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping

from knative.local.check.destinations import (
    CROSS_NAMESPACE,
    delivery,
    destination,
    is_period,
    named,
    reference,
)
from knative.local.jsontypes import JsonMapping
from knative.local.manifests import grammar
from knative.local.manifests.cesql.parsing import parse as parse_cesql
from knative.local.manifests.cesql.values import CesqlError
from knative.local.manifests.cluster import Cluster
from knative.local.manifests.findings import Finding, Path, bad_key, both, disallowed, invalid, missing, neither

INJECTION = "eventing.knative.dev/injection"
DEPENDENCY = "knative.dev/dependency"
_ATTRIBUTE = re.compile(r"[a-z][a-z0-9]*")
_DIALECTS = ("exact", "prefix", "suffix", "all", "any", "not", "cesql")

Data = JsonMapping


def broker(data: Data, cluster: Cluster) -> Iterator[Finding]:
    """Refusals in a Broker, at paths from its root."""
    yield from named(data)
    spec = data.get("spec", {})
    if "config" in spec:
        namespace = data.get("metadata", {}).get("namespace") or "default"
        strict = _stays_in_namespace(cluster.broker_defaults, namespace)
        yield from reference(spec["config"], ("spec", "config"), cluster, namespace if strict else "")
    yield from delivery(spec.get("delivery", {}), ("spec", "delivery"), cluster)


def _stays_in_namespace(defaults: JsonMapping, namespace: str) -> bool:
    """Whether `config-br-defaults` forbids a Broker's configuration to lie in another namespace."""
    key = "disallowDifferentNamespaceConfig"
    parts = ((defaults.get("namespaceDefaults") or {}).get(namespace), defaults.get("clusterDefault"))
    return any(isinstance(part, Mapping) and part.get(key) is True for part in parts)


def trigger(data: Data, cluster: Cluster) -> Iterator[Finding]:
    """Refusals in a Trigger, at paths from its root."""
    yield from named(data)
    spec = data.get("spec", {})
    name, target = spec.get("broker", ""), spec.get("brokerRef")
    if not name and target is None:
        yield missing(("spec", "broker"))
    elif name and target is not None:
        yield both(("spec", "broker"), ("spec", "brokerRef"))
    if target and target.get("namespace") and not cluster.eventing("cross-namespace-event-links"):
        yield Finding("must not set the field(s)", (("spec", "brokerRef", "namespace"),), CROSS_NAMESPACE)
    attributes = spec.get("filter", {}).get("attributes", {})
    yield from _attribute_names(attributes, ("spec", "filter", "attributes"))
    yield from filters(spec.get("filters", []), ("spec", "filters"))
    yield from destination(spec.get("subscriber", {}), ("spec", "subscriber"), cluster)
    yield from delivery(spec.get("delivery", {}), ("spec", "delivery"), cluster)
    yield from _trigger_annotations(data.get("metadata", {}), name)


def _trigger_annotations(metadata: Data, broker_name: str) -> Iterator[Finding]:
    values = metadata.get("annotations", {})
    injection = values.get(INJECTION)
    path = ("metadata", "annotations", INJECTION)
    if injection is not None and injection not in {"enabled", "disabled"}:
        known = 'can only be "enabled" or "disabled"'
        yield Finding(f'The provided injection annotation value {known}, not "{injection}"', (path,))
    elif injection is not None and broker_name != "default":
        message = "The provided injection annotation is only used for default broker, but non-default broker specified"
        yield Finding(f'{message} here: "{broker_name}"', (path,))
    if DEPENDENCY in values:
        yield from _dependency(
            values[DEPENDENCY], metadata.get("namespace", ""), ("metadata", "annotations", DEPENDENCY)
        )


def _dependency(text: str, namespace: str, path: Path) -> Iterator[Finding]:
    try:
        reference = json.loads(text)
    except ValueError:
        reference = None
    if not isinstance(reference, dict):
        shown = json.dumps(text)
        yield Finding(f"The provided annotation was not a corev1.ObjectReference: {shown}", (path,))
        return
    if reference.get("namespace") not in (None, "", namespace):
        message = f'Namespace must be empty or equal to the trigger namespace "{namespace}"'
        yield Finding(message, ((*path, "namespace"),))
    for key in ("kind", "name", "apiVersion"):
        if not reference.get(key):
            yield missing((*path, key))


def event_type(data: Data, cluster: Cluster) -> Iterator[Finding]:
    """Refusals in an EventType of versions v1beta1 and v1beta2, at paths from its root."""
    del cluster
    yield from named(data)
    spec = data.get("spec", {})
    if not spec.get("type"):
        yield missing(("spec", "type"))
    if str(data.get("apiVersion")).endswith("/v1beta1"):
        for key in ("source", "schema"):
            if spec.get(key) == "":
                yield Finding("invalid value: ", (("spec", key),), f"{key} URI cannot be empty")


def event_type_with_attributes(data: Data, cluster: Cluster) -> Iterator[Finding]:
    """Refusals in an EventType of version v1beta3, at paths from its root."""
    del cluster
    yield from named(data)
    given = {attribute.get("name") for attribute in data.get("spec", {}).get("attributes", [])}
    absent = [name for name in ("type", "source", "specversion", "id") if name not in given]
    if absent:
        yield missing(*(("spec", "attributes", name) for name in absent))


def event_policy(data: Data, cluster: Cluster) -> Iterator[Finding]:
    """Refusals in an EventPolicy, at paths from its root."""
    yield from named(data)
    if not cluster.eventing("authentication-oidc"):
        yield Finding("oidc-authentication feature not enabled", ((),))
        return
    spec = data.get("spec", {})
    for index, item in enumerate(spec.get("from", [])):
        path: Path = ("spec", "from", index)
        subject = item.get("sub", "")
        yield from _one_of(item, ("ref", "sub"), path, {"sub"} if not subject else set())
        if "*" in subject[:-1]:
            yield Finding(f"invalid value: {subject}", ((*path, "sub"),), "'*' is only allowed as suffix")
        yield from _policy_reference(item.get("ref"), (*path, "ref"))
    for index, item in enumerate(spec.get("to", [])):
        path = ("spec", "to", index)
        yield from _one_of(item, ("ref", "selector"), path, set())
        yield from _policy_reference(item.get("ref"), (*path, "ref"))
    yield from filters(spec.get("filters", []), ("spec", "filters"))


def _one_of(item: Data, names: tuple[str, ...], path: Path, empty: set[str]) -> Iterator[Finding]:
    given = [name for name in names if name in item]
    if not set(given) - empty:
        yield neither(*((*path, name) for name in names))
    elif len(given) > 1:
        yield both(*((*path, name) for name in names))


def _policy_reference(value: Data | None, path: Path) -> Iterator[Finding]:
    if value is None:
        return
    for key in ("kind", "apiVersion", "name"):
        if not value.get(key):
            yield missing((*path, key))


def event_transform(data: Data, cluster: Cluster) -> Iterator[Finding]:
    """Refusals in an EventTransform, at paths from its root."""
    yield from named(data)
    spec = data.get("spec", {})
    if "jsonata" not in spec:
        yield neither(("spec", "jsonata"))
    if "sink" in spec:
        yield from destination(spec["sink"], ("spec", "sink"), cluster)
        if "jsonata" in spec and "CACerts" in spec["sink"]:
            message = "CACerts for the sink is not supported for JSONata transformations"
            yield Finding(message, (("spec", "sink", "CACerts"),))
    reply = spec.get("reply")
    if reply is not None and "sink" not in spec:
        yield Finding("reply is set without spec.sink", (("spec", "reply"),))
    elif reply is not None and "jsonata" in reply and reply.get("discard"):
        yield both(("spec", "reply", "jsonata"), ("spec", "reply", "discard"))


def request_reply(data: Data, cluster: Cluster) -> Iterator[Finding]:
    """Refusals in a RequestReply, at paths from its root."""
    yield from named(data)
    spec = data.get("spec", {})
    target = spec.get("brokerRef", {})
    yield from reference(target, ("spec", "brokerRef"), cluster)
    if target.get("kind", "").lower() != "broker":
        details = "brokerRef kind must be Broker"
        yield Finding(f"invalid value: {target.get('kind', '')}", (("spec", "brokerRef", "kind"),), details)
    if target.get("namespace"):
        yield disallowed(("spec", "brokerRef", "namespace"))
    yield from delivery(spec.get("delivery", {}), ("spec", "delivery"), cluster)
    timeout = spec.get("timeout")
    # What is left out or empty has the defaults of the webhook before.
    if timeout and (not is_period(timeout) or grammar.parse_period(timeout) <= 0):
        yield Finding(f"invalid value: {timeout}", (("spec", "timeout"),), "timeout must be a positive duration")
    for key in ("correlationAttribute", "replyAttribute"):
        # Knative's own list has `course` where `source` is meant.
        if spec.get(key, "") in {"id", "course", "specversion", "type"}:
            yield invalid(spec.get(key, ""), ("spec", key.lower()), "it must be no core attribute")


def filters(items: list[Data], path: Path) -> Iterator[Finding]:
    """Refusals in a list of filters of the subscriptions API."""
    for index, item in enumerate(items):
        yield from _filter(item, (*path, index))


def _attribute_names(attributes: Data, path: Path) -> Iterator[Finding]:
    for name in attributes:
        if not _ATTRIBUTE.fullmatch(name):
            details = "Attribute name must start with a letter and can only contain lowercase alphanumeric"
            yield bad_key(name, (*path, name), details)


def _filter(item: Data, path: Path) -> Iterator[Finding]:
    # An empty dialect counts as none, but `not: {}` counts: it is a pointer in Go.
    given = [dialect for dialect in _DIALECTS if item.get(dialect) or (dialect == "not" and "not" in item)]
    if len(given) > 1:
        message = "multiple dialects found, filters can have only one dialect set"
        yield Finding(message, tuple((*path, dialect) for dialect in given))
    for dialect in ("exact", "prefix", "suffix"):
        yield from _attribute_names(item.get(dialect, {}), (*path, dialect))
    for dialect in ("all", "any"):
        yield from filters(item.get(dialect, []), (*path, dialect))
    if "not" in item:
        yield from _filter(item["not"], (*path, "not"))
    if item.get("cesql"):
        try:
            parse_cesql(item["cesql"])
        except CesqlError as error:
            yield invalid(item["cesql"], (*path, "cesql"), str(error))
