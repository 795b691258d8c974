"""Names, references and conditions that all controllers share."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping

from knative.local.api.errors import NotFoundError
from knative.local.api.history import Object
from knative.local.api.store import Store
from knative.local.jsontypes import JsonMapping
from knative.local.pods.conditions import Condition, Status

SERVICES = "services.serving.knative.dev"
CONFIGURATIONS = "configurations.serving.knative.dev"
ROUTES = "routes.serving.knative.dev"
REVISIONS = "revisions.serving.knative.dev"
PODS = "pods"
DEPLOYMENTS = "deployments.apps"
EVENTS = "events"
NAMESPACES = "namespaces"

PREFIX = "serving.knative.dev/"
SERVICE_LABEL = f"{PREFIX}service"
SERVICE_UID_LABEL = f"{PREFIX}serviceUID"
CONFIGURATION_LABEL = f"{PREFIX}configuration"
CONFIGURATION_UID_LABEL = f"{PREFIX}configurationUID"
GENERATION_LABEL = f"{PREFIX}configurationGeneration"
ROUTING_STATE = f"{PREFIX}routingState"
ROUTING_MODIFIED = f"{PREFIX}routingStateModified"
ROUTES_ANNOTATION = f"{PREFIX}routes"
NO_COLLECTION = f"{PREFIX}no-gc"
LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"


def timestamp(seconds: float) -> str:
    """Return seconds since the epoch as Kubernetes writes a time."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))


def find(store: Store, resource: str, namespace: str, name: str) -> Object | None:
    """Return an object, or None if it does not exist."""
    try:
        return store.get(resource, namespace, name)
    except NotFoundError:
        return None


def key_of(obj: JsonMapping) -> tuple[str, str]:
    """Return the namespace and the name of an object."""
    metadata = obj["metadata"]
    return metadata.get("namespace", ""), metadata["name"]


def labels_of(obj: JsonMapping) -> Mapping[str, str]:
    """Return the labels of an object."""
    return obj["metadata"].get("labels") or {}


def annotations_of(obj: JsonMapping) -> Mapping[str, str]:
    """Return the annotations of an object."""
    return obj["metadata"].get("annotations") or {}


def reference(owner: JsonMapping) -> Object:
    """Return the reference by which an object is controlled."""
    return {
        "apiVersion": owner["apiVersion"],
        "kind": owner["kind"],
        "name": owner["metadata"]["name"],
        "uid": owner["metadata"]["uid"],
        "controller": True,
        "blockOwnerDeletion": True,
    }


def controlled_by(obj: JsonMapping, owner: JsonMapping) -> bool:
    """Return whether an owner controls an object."""
    references = obj["metadata"].get("ownerReferences") or ()
    return any(one.get("controller") and one["uid"] == owner["metadata"]["uid"] for one in references)


def condition(obj: JsonMapping, kind: str = "Ready") -> Condition:
    """Return a condition of an object's status; Unknown where it has none."""
    for one in (obj.get("status") or {}).get("conditions") or ():
        if one["type"] == kind:
            known = one["status"] in tuple(Status)  # a client may have written another
            status = Status(one["status"]) if known else Status.UNKNOWN
            return Condition(kind, status, one.get("reason", ""), one.get("message", ""))
    return Condition(kind, Status.UNKNOWN)


def conditions(previous: JsonMapping, found: Iterable[Condition], now: str) -> list[Object]:
    """Return conditions as a status holds them: by type, each with the time of its last change.

    Args:
        previous: The status so far.
        found: The conditions as they are now.
        now: The time as a timestamp.
    """
    before = {one["type"]: one for one in previous.get("conditions") or ()}
    made = []
    for one in sorted(found, key=lambda item: item.type):
        fields: Object = dict(one.as_dict())
        if one.severity:
            fields["severity"] = one.severity
        old = dict(before.get(one.type, {}))
        changed = old.pop("lastTransitionTime", now)
        made.append({**fields, "lastTransitionTime": changed if old == fields else now})
    return made


def set_status(store: Store, resource: str, obj: Object, status: JsonMapping) -> Object:
    """Write the status of an object without a check of its version: only a controller writes it."""
    metadata = {key: obj["metadata"][key] for key in ("name", "namespace") if key in obj["metadata"]}
    return store.update(resource, {"metadata": metadata, "status": dict(status)}, status=True)


def ensure(store: Store, resource: str, desired: Object) -> Object:
    """Create an object, or bring all of it but its status into line."""
    existing = find(store, resource, *key_of(desired))
    if existing is None:
        return store.create(resource, desired)
    return store.update(resource, desired)


_OF_THE_CLUSTER = frozenset(
    {
        *("Namespace", "CustomResourceDefinition", "ClusterRole", "ClusterRoleBinding", "PersistentVolume"),
        *("StorageClass", "PriorityClass", "IngressClass", "GatewayClass", "RuntimeClass", "ClusterDomainClaim"),
        *("MutatingWebhookConfiguration", "ValidatingWebhookConfiguration", "APIService", "CSIDriver", "Node"),
    }
)


def place_of(api_version: str, kind: str, metadata: JsonMapping) -> tuple[str, str, str]:
    """Return the resource, the namespace and the name of an object of any kind."""
    lower = kind.lower()
    plural = lower + ("es" if lower.endswith(("s", "ch", "x")) else "s")
    if lower.endswith("y") and lower[-2:-1] not in tuple("aeiou"):
        plural = f"{lower[:-1]}ies"
    group = api_version.rpartition("/")[0]
    namespace = "" if kind in _OF_THE_CLUSTER else str(metadata.get("namespace") or "default")
    return f"{plural}.{group}" if group else plural, namespace, str(metadata.get("name") or "")
