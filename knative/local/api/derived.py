"""Objects that are not stored but follow from those that are: the PodAutoscaler of each Revision."""

from __future__ import annotations

import uuid

from knative.local.api.store import Store
from knative.local.jsontypes import JsonObject

Object = JsonObject

AUTOSCALERS = "podautoscalers.autoscaling.internal.knative.dev"
_REVISIONS = "revisions.serving.knative.dev"
_CLASS = "autoscaling.knative.dev/class"


def pod_autoscalers(store: Store, namespace: str) -> list[Object]:
    """Return a PodAutoscaler for each Revision of a namespace, or of all, with its scale and conditions."""
    return [_autoscaler(revision) for revision in store.list(_REVISIONS, namespace)]


def _autoscaler(revision: Object) -> Object:
    metadata, status = revision["metadata"], revision.get("status") or {}
    name = metadata["name"]
    owner = {"apiVersion": "serving.knative.dev/v1", "kind": "Revision", "name": name, "uid": metadata["uid"]}
    annotations = metadata.get("annotations") or {}
    scale = {"desiredScale": status.get("desiredReplicas"), "actualScale": status.get("actualReplicas")}
    ready = [one for one in status.get("conditions") or [] if one["type"] in ("Active", "Ready")]
    return {
        "apiVersion": "autoscaling.internal.knative.dev/v1alpha1",
        "kind": "PodAutoscaler",
        "metadata": {
            "name": name,
            "namespace": metadata["namespace"],
            "uid": str(uuid.uuid5(uuid.UUID(metadata["uid"]), AUTOSCALERS)),
            "resourceVersion": metadata["resourceVersion"],
            "generation": 1,
            "creationTimestamp": metadata["creationTimestamp"],
            "labels": {**(metadata.get("labels") or {}), "serving.knative.dev/revision": name, "app": name},
            "annotations": {_CLASS: "kpa.autoscaling.knative.dev", **annotations},
            "ownerReferences": [{**owner, "controller": True, "blockOwnerDeletion": True}],
        },
        "spec": {
            "containerConcurrency": revision["spec"].get("containerConcurrency", 0),
            "protocolType": "http1",
            "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": f"{name}-deployment"},
        },
        "status": {
            "conditions": ready,
            "observedGeneration": 1,
            **{key: value for key, value in scale.items() if value is not None},
        },
    }
