"""Deployments and Pods in Kubernetes' forms, for Revisions and sources of events."""

from __future__ import annotations

import platform
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from knative.local.api.history import Object
from knative.local.api.store import Store
from knative.local.controllers.events import Events
from knative.local.controllers.objects import (
    DEPLOYMENTS,
    PODS,
    condition,
    conditions,
    ensure,
    find,
    key_of,
    reference,
    set_status,
    timestamp,
)
from knative.local.jsontypes import JsonMapping
from knative.local.pods.conditions import Condition, Status
from knative.local.pods.pod import Pod, PodState
from knative.local.pods.supervisor import State, Supervisor

_ADDRESS = "127.0.0.1"
_ON_PODS = {"lastProbeTime": None, "observedGeneration": 1}  # in each condition of a Pod
_DIED = 128  # exit codes from here on are signals


class Replicas(Protocol):
    """The pods of a Deployment as they run."""

    @property
    def replicas(self) -> int:
        """Pods that are to run."""

    @property
    def ready(self) -> int:
        """Pods that are ready."""

    @property
    def running(self) -> Sequence[Pod]:
        """Pods that are not ending."""

    @property
    def pods(self) -> Sequence[Pod]:
        """All pods."""


@dataclass(frozen=True, kw_only=True)
class Workload:
    """A desired Deployment.

    Attributes:
        owner: The object that controls it.
        name: Its name.
        labels, annotations: Its own.
        selector: Labels that only its Pods have.
        pod_labels, pod_annotations: Of its Pods.
        spec: Of its Pods.
    """

    owner: Object
    name: str
    labels: Mapping[str, str]
    annotations: Mapping[str, str]
    selector: Mapping[str, str]
    pod_labels: Mapping[str, str]
    pod_annotations: Mapping[str, str]
    spec: Object

    @property
    def namespace(self) -> str:
        """The namespace of all of it."""
        return key_of(self.owner)[0]


def deployment(workload: Workload, running: Replicas, before: Object | None, now: str) -> Object:
    """Return a Deployment, with its status.

    Args:
        workload: As it is to be.
        running: The same as it runs.
        before: The Deployment so far.
        now: The time as a timestamp.
    """
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
            "name": workload.name,
            "namespace": workload.namespace,
            "labels": dict(workload.labels),
            "annotations": {**workload.annotations, "deployment.kubernetes.io/revision": "1"},
            "ownerReferences": [reference(workload.owner)],
        },
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": dict(workload.selector)},
            "template": {
                "metadata": {"labels": dict(workload.pod_labels), "annotations": dict(workload.pod_annotations)},
                "spec": workload.spec,
            },
        },
        "status": {**status, "conditions": conditions(old, [available, progressing], now)},
    }


def pod(workload: Workload, running: Pod, before: Object | None, now: str) -> Object:
    """Return a Pod, with its status.

    Args:
        workload: The Deployment that it belongs to.
        running: The same as it runs.
        before: The Pod so far.
        now: The time as a timestamp.
    """
    group, _, _ = running.name.rpartition("-")
    metadata: Object = {
        "name": running.name,
        "generateName": f"{group}-",
        "namespace": workload.namespace,
        "labels": {**workload.pod_labels, "pod-template-hash": group.rpartition("-")[2]},
        "annotations": dict(workload.pod_annotations),
        "ownerReferences": [
            {
                "apiVersion": "apps/v1",
                "kind": "ReplicaSet",
                "name": group,
                # There are no ReplicaSets here; the reference still has its own uid.
                "uid": str(uuid.uuid5(uuid.NAMESPACE_OID, workload.owner["metadata"]["uid"] + group)),
                "controller": True,
                "blockOwnerDeletion": True,
            }
        ],
    }
    spec = {**workload.spec, "nodeName": platform.node(), "schedulerName": "default-scheduler"}
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


def _container_status(container: JsonMapping, running: Supervisor | None) -> Object:
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
    """The Deployments and Pods of all that runs.

    Args:
        store: Holds the objects.
        events: Records what happens to pods.
    """

    def __init__(self, store: Store, events: Events) -> None:
        self._store = store
        self._events = events
        self._pods: dict[tuple[str, str], set[str]] = {}

    def reconcile(self, workload: Workload, running: Replicas) -> Object:
        """Bring the objects of a workload into line with what runs; returns its Deployment."""
        key = key_of(workload.owner)
        now = self._store.timestamp()
        before = find(self._store, DEPLOYMENTS, key[0], workload.name)
        desired = deployment(workload, running, before, now)
        made = ensure(self._store, DEPLOYMENTS, desired)
        status = {**desired["status"], "observedGeneration": made["metadata"]["generation"]}
        made = set_status(self._store, DEPLOYMENTS, made, status)
        known = self._pods.setdefault(key, set())
        for one in running.pods:
            if one.name not in known or find(self._store, PODS, key[0], one.name) is not None:
                self._pod(workload, one, now)  # one that a client removed by force is not shown again while it ends
            known.add(one.name)
        for name in known - {one.name for one in running.pods}:
            self._remove(key, name)
        return made

    def leave(self, key: tuple[str, str]) -> None:
        """Mark the Pods of an owner that was removed as ending."""
        for name in self._pods.get(key, ()):
            if find(self._store, PODS, key[0], name) is not None:
                self._store.delete(PODS, key[0], name)

    def forget(self, key: tuple[str, str]) -> None:
        """Remove the Pods of an owner whose last one has ended."""
        for name in tuple(self._pods.pop(key, ())):
            self._remove(key, name)

    def _remove(self, key: tuple[str, str], name: str) -> None:
        if find(self._store, PODS, key[0], name) is not None:
            self._store.delete(PODS, key[0], name, now=True)
        self._pods.get(key, set()).discard(name)

    def _pod(self, workload: Workload, running: Pod, now: str) -> None:
        key = (workload.namespace, running.name)
        before = find(self._store, PODS, *key)
        desired = pod(workload, running, before, now)
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
