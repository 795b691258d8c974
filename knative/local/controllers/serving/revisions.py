"""Revisions as workloads: their status, and the Deployment and the Pods that a cluster would make for each."""

from __future__ import annotations

from collections.abc import Sequence

from knative.local.api.history import Object
from knative.local.controllers.objects import (
    CONFIGURATION_LABEL,
    NO_COLLECTION,
    PREFIX,
    ROUTES_ANNOTATION,
    ROUTING_MODIFIED,
    ROUTING_STATE,
    SERVICE_LABEL,
    annotations_of,
    conditions,
    labels_of,
)
from knative.local.controllers.workloads import Workload
from knative.local.jsontypes import JsonMapping
from knative.local.pods.revision import Revision

_USER_PORT = "user-port"
_OWN = frozenset(
    {ROUTING_STATE, ROUTING_MODIFIED, ROUTES_ANNOTATION, NO_COLLECTION, f"{PREFIX}route"}
)  # a Revision's alone


def workload(revision: Object) -> Workload:
    """Return the desired Deployment of a Revision."""
    labels = pod_labels(revision)
    return Workload(
        owner=revision,
        name=f"{revision['metadata']['name']}-deployment",
        labels=labels,
        annotations=_annotations(revision),
        selector={f"{PREFIX}revisionUID": revision["metadata"]["uid"]},
        pod_labels=labels,
        pod_annotations=_pod_annotations(revision),
        spec=pod_spec(revision),
    )


def container_of(spec: JsonMapping) -> JsonMapping:
    """Return the container of a pod that takes the requests."""
    containers: Sequence[JsonMapping] = spec["containers"]
    return containers[0] if len(containers) == 1 else next(one for one in containers if one.get("ports"))


def revision_status(revision: Object, running: Revision, now: str) -> Object:
    """Return the status of a Revision."""
    status: Object = {
        "observedGeneration": revision["metadata"]["generation"],
        "conditions": conditions(revision.get("status") or {}, running.conditions, now),
        "containerStatuses": [{"name": one.get("name", "user-container")} for one in revision["spec"]["containers"]],
        "actualReplicas": running.ready,
    }
    if running.desired >= 0:
        status["desiredReplicas"] = running.desired
    return status


def pod_labels(revision: Object) -> dict[str, str]:
    """Return the labels of a Revision's Deployment and pods."""
    name = revision["metadata"]["name"]
    kept = {key: value for key, value in labels_of(revision).items() if key not in _OWN}
    return {"app": name, **kept, f"{PREFIX}revision": name, f"{PREFIX}revisionUID": revision["metadata"]["uid"]}


def _annotations(revision: Object) -> dict[str, str]:
    found = annotations_of(revision).items()
    return {key: value for key, value in found if key not in _OWN and not key.startswith("autoscaling.knative.dev")}


def _pod_annotations(revision: Object) -> dict[str, str]:
    name = container_of(revision["spec"]).get("name")
    named = {"kubectl.kubernetes.io/default-container": name} if name else {}
    return {**_annotations(revision), **named}


def pod_spec(revision: Object) -> Object:
    """Return the spec of a Revision's pods: its containers as they run, without queue-proxy, which is the engine's."""
    spec = revision["spec"]
    labels = labels_of(revision)
    main = container_of(spec)
    identity = {
        "K_REVISION": revision["metadata"]["name"],
        "K_CONFIGURATION": labels.get(CONFIGURATION_LABEL, ""),
        "K_SERVICE": labels.get(SERVICE_LABEL, ""),
    }
    containers = []
    for index, one in enumerate(spec["containers"]):
        made = {key: value for key, value in one.items() if key not in ("readinessProbe", "startupProbe")}
        made.setdefault("name", f"user-container-{index}" if index else "user-container")
        if one is main:
            port = (one.get("ports") or [{}])[0].get("containerPort") or 8080
            made["ports"] = [{"name": _USER_PORT, "containerPort": port, "protocol": "TCP"}]
            variables = {"PORT": str(port), **identity}
            made["env"] = [*one.get("env", []), *({"name": name, "value": text} for name, text in variables.items())]
        containers.append(made)
    own = ("containers", "containerConcurrency", "responseStartTimeoutSeconds", "idleTimeoutSeconds")
    kept = {key: value for key, value in spec.items() if key not in (*own, "timeoutSeconds")}
    grace = {"terminationGracePeriodSeconds": spec["timeoutSeconds"]} if spec.get("timeoutSeconds") else {}
    return {**kept, "containers": containers, "restartPolicy": "Always", **grace}
