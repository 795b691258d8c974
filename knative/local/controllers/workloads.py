"""What runs as objects: the status of a Revision, its Deployment and its Pods, in Kubernetes' forms."""

from __future__ import annotations

import platform
import uuid
from collections.abc import Mapping, Sequence
from typing import Any

from knative.local.api.history import Object
from knative.local.api.store import Store
from knative.local.controllers.events import Events
from knative.local.controllers.objects import (
    CONFIGURATION_LABEL,
    DEPLOYMENTS,
    NO_COLLECTION,
    PODS,
    PREFIX,
    ROUTES_ANNOTATION,
    ROUTING_MODIFIED,
    ROUTING_STATE,
    SERVICE_LABEL,
    annotations_of,
    condition,
    conditions,
    ensure,
    find,
    key_of,
    labels_of,
    reference,
    set_status,
    timestamp,
)
from knative.local.pods.conditions import Condition, Status
from knative.local.pods.pod import Pod, PodState
from knative.local.pods.revision import Revision
from knative.local.pods.supervisor import State, Supervisor

_USER_PORT = "user-port"
_OWN = frozenset(
    {ROUTING_STATE, ROUTING_MODIFIED, ROUTES_ANNOTATION, NO_COLLECTION, f"{PREFIX}route"}
)  # a Revision's alone
_ADDRESS = "127.0.0.1"
_ON_PODS = {"lastProbeTime": None, "observedGeneration": 1}  # in each condition of a Pod
_DIED = 128  # exit codes from here on are signals


def container_of(spec: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the container of a pod that takes the requests."""
    containers: Sequence[Mapping[str, Any]] = spec["containers"]
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


def deployment(revision: Object, running: Revision, before: Object | None, now: str) -> Object:
    """Return the Deployment of a Revision, with its status.

    Args:
        revision: The Revision.
        running: The same as it runs.
        before: The Deployment so far.
        now: The time as a timestamp.
    """
    labels = pod_labels(revision)
    replicas, ready, up = running.replicas, running.ready, len(running.running)
    old = (before or {}).get("status") or {}
    short = ready < replicas
    available = Condition(
        "Available",
        Status.FALSE if short else Status.TRUE,
        "MinimumReplicasUnavailable" if short else "MinimumReplicasAvailable",
        f"Deployment {'does not have' if short else 'has'} minimum availability.",
    )
    progressing = Condition("Progressing", Status.TRUE, "ReplicaSetUpdated" if short else "NewReplicaSetAvailable")
    counts = {"replicas": up, "updatedReplicas": up, "readyReplicas": ready, "availableReplicas": ready}
    status: Object = {name: count for name, count in counts.items() if count}
    if up > ready:
        status["unavailableReplicas"] = up - ready
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {
            "name": f"{revision['metadata']['name']}-deployment",
            "namespace": revision["metadata"]["namespace"],
            "labels": labels,
            "annotations": {**_annotations(revision), "deployment.kubernetes.io/revision": "1"},
            "ownerReferences": [reference(revision)],
        },
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": {f"{PREFIX}revisionUID": revision["metadata"]["uid"]}},
            "template": {
                "metadata": {"labels": labels, "annotations": _pod_annotations(revision)},
                "spec": pod_spec(revision),
            },
        },
        "status": {**status, "conditions": conditions(old, [available, progressing], now)},
    }


def pod(revision: Object, running: Pod, before: Object | None, now: str) -> Object:
    """Return a Pod, with its status.

    Args:
        revision: The Revision that it belongs to.
        running: The same as it runs.
        before: The Pod so far.
        now: The time as a timestamp.
    """
    group, _, _ = running.name.rpartition("-")
    metadata: Object = {
        "name": running.name,
        "generateName": f"{group}-",
        "namespace": revision["metadata"]["namespace"],
        "labels": {**pod_labels(revision), "pod-template-hash": group.rpartition("-")[2]},
        "annotations": _pod_annotations(revision),
        "ownerReferences": [
            {
                "apiVersion": "apps/v1",
                "kind": "ReplicaSet",
                "name": group,
                # There are no ReplicaSets here; the reference has a uid of its own all the same.
                "uid": str(uuid.uuid5(uuid.NAMESPACE_OID, revision["metadata"]["uid"] + group)),
                "controller": True,
                "blockOwnerDeletion": True,
            }
        ],
    }
    spec = {**pod_spec(revision), "nodeName": platform.node(), "schedulerName": "default-scheduler"}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": metadata,
        "spec": spec,
        "status": _pod_status(spec, running, (before or {}).get("status") or {}, now),
    }


def _pod_status(spec: Object, running: Pod, before: Object, now: str) -> Object:
    ready = Status.TRUE if running.ready else Status.FALSE
    reason = ("", "") if running.ready else ("ContainersNotReady", running.reason)
    started = running.pid is not None
    found = [
        Condition("PodReadyToStartContainers", Status.TRUE if started else Status.FALSE),
        Condition("PodScheduled", Status.TRUE),
        Condition("Initialized", Status.TRUE),
        Condition("ContainersReady", ready, *reason),
        Condition("Ready", ready, *reason),
    ]
    return {
        "observedGeneration": 1,
        "phase": "Running" if started or running.restarts or running.exit else "Pending",
        "conditions": [{**one, **_ON_PODS} for one in _plain(before, found, now)],
        "hostIP": _ADDRESS,
        "hostIPs": [{"ip": _ADDRESS}],
        "podIP": _ADDRESS,
        "podIPs": [{"ip": _ADDRESS}],
        "startTime": timestamp(running.created),
        **{
            name: [_container_status(one, running.supervisors.get(one["name"])) for one in spec[kind]]
            for kind, name in (("initContainers", "initContainerStatuses"), ("containers", "containerStatuses"))
            if spec.get(kind)
        },
        "qosClass": "Burstable" if any(one.get("resources") for one in spec["containers"]) else "BestEffort",
    }


def _plain(before: Object, found: Sequence[Condition], now: str) -> list[Object]:
    old = [{key: value for key, value in one.items() if key not in _ON_PODS} for one in before.get("conditions", ())]
    return conditions({"conditions": old}, found, now)


def _container_status(container: Mapping[str, Any], running: Supervisor | None) -> Object:
    terminated = _terminated(running) if running is not None else None
    state: Object = {"waiting": {"reason": "ContainerCreating"}}
    if running is not None and running.state is State.DONE and terminated:
        state = {"terminated": terminated}
    elif running is not None and running.pid is not None:
        state = {"running": {"startedAt": timestamp(running.started_at)}}
    elif running is not None and (running.state is State.DOWN or running.restarts):
        state = {"waiting": {"reason": "CrashLoopBackOff", "message": running.reason}}
    return {
        "name": container["name"],
        "image": container["image"],
        "imageID": "",
        "state": state,
        "lastState": {"terminated": terminated} if terminated and "terminated" not in state else {},
        "ready": running is not None and (running.ready or running.state is State.DONE),
        "started": "running" in state,
        "restartCount": running.restarts if running is not None else 0,
    }


def _terminated(running: Supervisor) -> Object | None:
    if running.exit is None or running.ended is None:
        return None
    code = running.exit.code
    begun, end = running.ended
    ended: Object = {
        "exitCode": code,
        "reason": "Completed" if code == 0 else "Error",
        "startedAt": timestamp(begun),
        "finishedAt": timestamp(end),
    }
    if code > _DIED:
        ended["signal"] = code - _DIED
    if running.exit.last_line:
        ended["message"] = running.exit.last_line
    return ended


class Workloads:
    """The Deployments and Pods of all Revisions.

    Args:
        store: Holds the objects.
        events: Records what happens to pods.
    """

    def __init__(self, store: Store, events: Events) -> None:
        self._store = store
        self._events = events
        self._pods: dict[tuple[str, str], set[str]] = {}

    def reconcile(self, revision: Object, running: Revision) -> None:
        """Bring the objects of a Revision into line with what runs."""
        key = key_of(revision)
        now = self._store.timestamp()
        before = find(self._store, DEPLOYMENTS, key[0], f"{key[1]}-deployment")
        desired = deployment(revision, running, before, now)
        made = ensure(self._store, DEPLOYMENTS, desired)
        status = {**desired["status"], "observedGeneration": made["metadata"]["generation"]}
        set_status(self._store, DEPLOYMENTS, made, status)
        known = self._pods.setdefault(key, set())
        for one in running.pods:
            if one.name not in known or find(self._store, PODS, key[0], one.name) is not None:
                self._pod(revision, one, now)  # one that a client removed by force is not shown again while it ends
            known.add(one.name)
        for name in known - {one.name for one in running.pods}:
            self._remove(key, name)

    def leave(self, key: tuple[str, str]) -> None:
        """Mark the Pods of a Revision that was removed as ending."""
        for name in self._pods.get(key, ()):
            if find(self._store, PODS, key[0], name) is not None:
                self._store.delete(PODS, key[0], name)

    def forget(self, key: tuple[str, str]) -> None:
        """Remove the Pods of a Revision whose last one has ended."""
        for name in tuple(self._pods.pop(key, ())):
            self._remove(key, name)

    def _remove(self, key: tuple[str, str], name: str) -> None:
        if find(self._store, PODS, key[0], name) is not None:
            self._store.delete(PODS, key[0], name, now=True)
        self._pods.get(key, set()).discard(name)

    def _pod(self, revision: Object, running: Pod, now: str) -> None:
        key = (revision["metadata"]["namespace"], running.name)
        before = find(self._store, PODS, *key)
        desired = pod(revision, running, before, now)
        if before is None:
            before = {**desired, "status": {}}
            after = self._store.create(PODS, desired)
            self._events.record(after, "Created", "Created pod", component="kubelet")
        else:
            after = set_status(self._store, PODS, before, desired["status"])
        if running.state is PodState.DRAINING:
            self._store.delete(PODS, *key)
        self._tell(before, after, running)

    def _tell(self, before: Object, after: Object, running: Pod) -> None:
        was, now = (condition(one).true for one in (before, after))
        if now and not was:
            self._events.record(after, "Started", "Container started and ready", component="kubelet")
        if "deletionTimestamp" not in before["metadata"] and running.state is PodState.DRAINING:
            self._events.record(after, "Killing", "Stopping container after its requests", component="kubelet")
        restarts = [one["restartCount"] for one in (before.get("status") or {}).get("containerStatuses", ())]
        if running.restarts and running.restarts > max(restarts, default=0):
            message = f"Back-off restarting a failed container in pod {running.name}"
            self._events.record(after, "BackOff", message, component="kubelet", warning=True)
