"""The status of DomainMappings. Follows knative/serving, pkg/reconciler/domainmapping."""

from __future__ import annotations

from knative.local.api.history import Object
from knative.local.api.store import Store
from knative.local.controllers.objects import ROUTES, SERVICES, conditions, find, key_of, set_status
from knative.local.pods.conditions import Condition, Status, ready_of

DOMAIN_MAPPINGS = "domainmappings.serving.knative.dev"
_TARGETS = {"Service": SERVICES, "Route": ROUTES}


def write_status(store: Store) -> None:
    """Write the status of all DomainMappings; the first of a name in any namespace has the domain."""
    claimed: dict[str, str] = {}
    for mapping in sorted(store.list(DOMAIN_MAPPINGS), key=lambda one: one["metadata"]["creationTimestamp"]):
        namespace, name = key_of(mapping)
        owner = claimed.setdefault(name, namespace)
        set_status(store, DOMAIN_MAPPINGS, mapping, _status(store, mapping, owner == namespace))


def _status(store: Store, mapping: Object, claimed: bool) -> Object:
    url = f"http://{mapping['metadata']['name']}"
    claim = Condition("DomainClaimed", Status.TRUE)
    if not claimed:
        message = "The domain name is already in use by another DomainMapping"
        claim = Condition("DomainClaimed", Status.FALSE, "DomainAlreadyClaimed", message)
    resolved = _resolved(store, mapping)
    ingress = Condition("IngressReady", Status.TRUE)
    if not claimed or not resolved.true:
        message = "Ingress has not yet been reconciled."
        ingress = Condition("IngressReady", Status.UNKNOWN, "IngressNotConfigured", message)
    tls = Condition("CertificateProvisioned", Status.TRUE, "TLSNotEnabled", "external-domain-tls is not enabled")
    found = [ready_of(claim, resolved, ingress, tls), claim, resolved, ingress, tls]
    return {
        "observedGeneration": mapping["metadata"]["generation"],
        "url": url,
        "address": {"url": url},
        "conditions": conditions(mapping.get("status") or {}, found, store.timestamp()),
    }


def _resolved(store: Store, mapping: Object) -> Condition:
    kind = "ReferenceResolved"
    namespace, _ = key_of(mapping)
    reference = mapping["spec"]["ref"]
    resource = _TARGETS.get(reference["kind"])
    name, place = reference["name"], reference.get("namespace") or namespace
    if resource is None:
        text = f"a {reference['kind']} is not reached by a domain on this machine; a Service or a Route is"
    elif find(store, resource, place, name) is None:
        text = f'failed to get object {place}/{name}: {resource} "{name}" not found'
    elif place != namespace:
        text = f'resolved URI "http://{name}.{place}.svc.cluster.local" must be in same namespace as DomainMapping'
    else:
        return Condition(kind, Status.TRUE)
    return Condition(kind, Status.FALSE, "ResolveFailed", text)
