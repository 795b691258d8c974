"""SinkBindings: the address of a sink in the environment of the Services that they name. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping

from knative.local.eventing.topology.addresses import uri
from knative.local.eventing.topology.builder import build
from knative.local.jsontypes import JsonMapping
from knative.local.manifests.grammar import child_name
from knative.local.manifests.kinds import SERVING, SOURCES
from knative.local.manifests.resources import Manifests, Resource
from knative.local.pods.environment import SINK


def variables(source: JsonMapping, sink: str) -> dict[str, str]:
    """Return the variables that the pods of a source get, as Knative's webhook sets them.

    Args:
        source: `spec` of a SinkBinding or a ContainerSource.
        sink: The address of its sink in the cluster.
    """
    found = {SINK: sink}
    if overrides := source.get("ceOverrides"):
        found["K_CE_OVERRIDES"] = json.dumps(overrides, separators=(",", ":"))
    return found


def bind_sinks(manifests: Manifests) -> tuple[Manifests, dict[str, str]]:
    """Give bound Services the variables `K_SINK` and `K_CE_OVERRIDES`, as Knative's webhook does.

    Args:
        manifests: Services and SinkBindings among others.

    Returns:
        The manifests with the variables in the templates of bound Services; and what is not bound, with the reason, by
        the name of the SinkBinding.
    """
    bindings = manifests.of("SinkBinding", SOURCES)
    if not bindings:
        return manifests, {}
    services = {(one.namespace, one.name): one for one in manifests.services}
    sinks = build(manifests.resources).sinks
    unbound: dict[str, str] = {}
    for binding in bindings:
        name = f"SinkBinding {binding.namespace}/{binding.name}"
        subject, spec = binding.data["spec"]["subject"], binding.data["spec"]
        chosen = [one for one in services.values() if one.namespace == binding.namespace and _is_subject(one, subject)]
        if not chosen and not _is_of_source(binding, manifests):
            wanted = subject.get("name") or "of its labels"
            reason = f"there is no Service {wanted}"
            if (subject["apiVersion"].rpartition("/")[0], subject["kind"]) != (SERVING, "Service"):
                reason = f"a {subject['kind']} ({subject['apiVersion']}) is not run on this machine"
            unbound[name] = reason
        if name in sinks:  # a subject is not bound to a sink that is not there, as on a cluster
            for one in chosen:
                services[one.namespace, one.name] = one.with_variables(variables(spec, uri(sinks[name])))
    return manifests.with_services(lambda one: services[one.namespace, one.name]), unbound


def _is_of_source(binding: Resource, manifests: Manifests) -> bool:
    """Whether the subject is the Deployment of a ContainerSource, which binds its pods itself."""
    subject = binding.data["spec"]["subject"]
    names = (
        child_name(one.name, "-deployment")
        for one in manifests.of("ContainerSource", SOURCES)
        if one.namespace == binding.namespace
    )
    return (subject["apiVersion"], subject["kind"]) == ("apps/v1", "Deployment") and subject.get("name") in names


def _is_subject(service: Resource, subject: JsonMapping) -> bool:
    if (subject["apiVersion"].rpartition("/")[0], subject["kind"]) != (SERVING, "Service"):
        return False
    if subject.get("name"):
        return service.name == str(subject["name"])
    selector, labels = subject.get("selector", {}), service.metadata.get("labels", {})
    if any(labels.get(key) != value for key, value in selector.get("matchLabels", {}).items()):
        return False
    return all(_fits(labels, one) for one in selector.get("matchExpressions", []))


def _fits(labels: Mapping[str, str], expression: JsonMapping) -> bool:
    value, values = labels.get(expression["key"]), expression.get("values", [])
    return {
        "In": value in values,
        "NotIn": value not in values,
        "Exists": value is not None,
        "DoesNotExist": value is None,
    }[expression["operator"]]
