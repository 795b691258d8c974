"""ContainerSources: the pod of each, its Deployment and SinkBinding, and its status.

Follows knative/eventing, pkg/reconciler/containersource: the SinkBinding gives the pod the address of the sink.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass

from knative.local.api.frozen import thaw
from knative.local.api.history import Object
from knative.local.api.store import DELETED, Store
from knative.local.controllers.events import Events
from knative.local.controllers.objects import (
    DEPLOYMENTS,
    PODS,
    annotations_of,
    condition,
    conditions,
    ensure,
    find,
    key_of,
    labels_of,
    reference,
    set_status,
)
from knative.local.controllers.workloads import Workload, Workloads
from knative.local.eventing.topology.addresses import uri
from knative.local.eventing.topology.bindings import variables
from knative.local.eventing.topology.graph import Topology
from knative.local.jsontypes import Json
from knative.local.manifests.grammar import child_name
from knative.local.pods.conditions import Condition, Status, ready_of
from knative.local.pods.standing.reading import StandingTemplate
from knative.local.pods.standing.standing import Standing
from knative.local.tasks import TaskSet

SOURCES = "containersources.sources.knative.dev"
SINK_BINDINGS = "sinkbindings.sources.knative.dev"
_NAME_LABEL = "sources.knative.dev/containerSource"
_LABELS = {"sources.knative.dev/source": "container-source-controller"}
_NO_REASON = "the engine has not started its pod"


@dataclass(frozen=True, kw_only=True)
class Needs:
    """What the engine gives the ContainerSources.

    Attributes:
        store: Holds the objects.
        read: Reads the pod spec of a source of a Deployment's name, with the variables of its containers.
        start: Starts the pod of a Deployment; the function is called after each change of it.
        own: Marks changes of the store that follow from what runs.
        clock: Seconds since the epoch.
    """

    store: Store
    read: Callable[[Object, str, Mapping[str, str]], StandingTemplate]
    start: Callable[[str, str, StandingTemplate, Callable[[], None]], Standing]
    own: Callable[[], AbstractContextManager[None]]
    clock: Callable[[], float]


@dataclass(frozen=True)
class _Run:
    """A source that runs: what it was made from, and its pod."""

    made_from: tuple[Json, ...]
    pod: Standing
    workloads: Workloads


class ContainerSources:
    """Keeps the pods of ContainerSources in line with the store."""

    def __init__(self, needs: Needs) -> None:
        self._needs = needs
        self._store = needs.store
        self._events = Events(needs.store, needs.clock)
        self._running: dict[tuple[str, str], _Run] = {}
        self._unready: dict[tuple[str, str], str] = {}
        self._ending: set[Standing] = set()
        self._tasks = TaskSet()
        self._closed = False
        self._store.on_change.append(self._heard)

    def apply(self, topology: Topology, everywhere: str) -> dict[str, str]:
        """Start, replace and stop pods, and write the objects of all sources.

        Args:
            topology: Holds the sinks.
            everywhere: Why nothing of Eventing runs, or empty.

        Returns:
            The SinkBindings that bind nothing, with the reason, by their name in the topology.
        """
        unbound = {}
        found = {key_of(obj): obj for obj in self._store.list(SOURCES)}
        for key in self._running.keys() - found.keys():
            self._end(key)
        for key, obj in found.items():
            name = "/".join(key)
            sink = topology.sinks.get(f"ContainerSource {name}")
            problem = everywhere or topology.unready.get(f"ContainerSource {name}", "")
            self._unready[key] = problem
            binding = self._binding(obj)
            if sink is None or problem:
                unbound[f"SinkBinding {key[0]}/{binding}"] = problem
                if key in self._running:
                    self._end(key)
            else:
                self._attempt(obj, uri(sink))
            self._write(key)
        return unbound

    def _binding(self, obj: Object) -> str:
        """Bring the SinkBinding of a source into line; returns its name."""
        namespace, name = key_of(obj)
        spec = thaw(obj["spec"])
        if "ref" in spec["sink"]:
            spec["sink"]["ref"].setdefault("namespace", namespace)
        subject = {"apiVersion": "apps/v1", "kind": "Deployment", "namespace": namespace}
        desired: Object = {
            "apiVersion": "sources.knative.dev/v1",
            "kind": "SinkBinding",
            "metadata": {
                "name": child_name(name, "-sinkbinding"),
                "namespace": namespace,
                "ownerReferences": [reference(obj)],
            },
            "spec": {
                **{field: spec[field] for field in ("sink", "ceOverrides") if field in spec},
                "subject": {**subject, "name": child_name(name, "-deployment")},
            },
        }
        made = str(desired["metadata"]["name"])
        if find(self._store, SINK_BINDINGS, namespace, made) is None:
            self._record(obj, "SinkBindingCreated", f'SinkBinding created "{made}"')
        ensure(self._store, SINK_BINDINGS, desired)
        return made

    def _record(self, obj: Object, reason: str, message: str) -> None:
        self._events.record(obj, reason, message, component="containersource-controller")

    def _attempt(self, obj: Object, sink: str) -> None:
        try:
            self._run(obj, sink)
        except Exception as error:  # noqa: BLE001 - an internal error about one source holds up no other
            self._unready[key_of(obj)] = f"internal error: {type(error).__name__}: {error}"

    def _run(self, obj: Object, sink: str) -> None:
        key = key_of(obj)
        set_there = variables(obj["spec"], sink)
        made_from = (obj["metadata"]["uid"], obj["spec"]["template"].get("spec"), set_there)
        before = self._running.get(key)
        if before is not None and before.made_from == made_from and before.pod.template.problem is None:
            return
        name = child_name(key[1], "-deployment")
        template = self._needs.read(obj, name, set_there)
        if before is not None and before.made_from[0] != made_from[0]:  # another object of the same name
            self._end(key)
            before = None
        if before is None:
            self._record(obj, "DeploymentCreated", f'Deployment created "{name}"')
            pod = self._needs.start(name, key[0], template, lambda: self._changed(key))
            self._running[key] = _Run(made_from, pod, Workloads(self._store, self._events))
        elif (before.made_from, before.pod.template) != (made_from, template):
            self._record(obj, "DeploymentUpdated", f'Deployment updated "{name}"')
            before.pod.update(template)
            self._running[key] = _Run(made_from, before.pod, before.workloads)

    def _end(self, key: tuple[str, str]) -> None:
        """Stop the pod of a source, which is shown until it has ended."""
        run = self._running.pop(key)
        run.workloads.leave(key)
        if find(self._store, DEPLOYMENTS, key[0], child_name(key[1], "-deployment")) is not None:
            self._store.delete(DEPLOYMENTS, key[0], child_name(key[1], "-deployment"))
        self._ending.add(run.pod)

        async def end() -> None:
            await run.pod.stop()
            self._ending.discard(run.pod)
            if not self._closed:
                with self._needs.own():
                    run.workloads.forget(key)

        self._tasks.spawn(end())

    # Objects

    def _changed(self, key: tuple[str, str]) -> None:
        if not self._closed:
            with self._needs.own():
                self._write(key)

    def _write(self, key: tuple[str, str]) -> None:
        obj = find(self._store, SOURCES, *key)
        if obj is None:
            return
        run, unready = self._running.get(key), self._unready.get(key, "")
        adapter = Condition("ReceiveAdapterReady", Status.FALSE, "DeploymentUnavailable", unready or _NO_REASON)
        if run is not None:
            made = run.workloads.reconcile(_workload(obj, run.made_from[2]), run.pod)
            adapter = _adapter(run.pod, condition(made, "Available"))
        bound = Condition("SinkBindingReady", Status.TRUE)
        if unready:
            bound = Condition("SinkBindingReady", Status.FALSE, "NoAddressable", unready)
        found = [bound, adapter]
        status = {
            "observedGeneration": obj["metadata"]["generation"],
            "conditions": conditions(obj.get("status") or {}, [ready_of(*found), *found], self._store.timestamp()),
        }
        if run is not None:
            status["sinkUri"] = run.made_from[2]["K_SINK"]
        set_status(self._store, SOURCES, obj, status)

    def _heard(self, resource: str, type_: str, obj: Object) -> None:
        """Replace a pod that a client has removed."""
        if resource != PODS or not (type_ == DELETED or "deletionTimestamp" in obj["metadata"]):
            return
        run = self._running.get((obj["metadata"]["namespace"], labels_of(obj).get(_NAME_LABEL, "")))
        if run is not None:
            run.pod.remove(obj["metadata"]["name"])

    async def stop(self, within: float) -> None:
        """Stop all pods within a time limit in seconds."""
        self._closed = True
        self._store.on_change.remove(self._heard)
        pods = [run.pod for run in self._running.values()]
        await asyncio.gather(*(pod.stop(within) for pod in (*pods, *self._ending)))


def _adapter(pod: Standing, available: Condition) -> Condition:
    """Whether the pod of a source is available, and else why not, in more words than its Deployment has."""
    if available.true:
        return Condition("ReceiveAdapterReady", Status.TRUE)
    if pod.problem is not None:
        return Condition("ReceiveAdapterReady", Status.FALSE, pod.problem.reason, pod.problem.message)
    message = ": ".join(part for part in (available.message.rstrip("."), pod.reason) if part)
    return Condition("ReceiveAdapterReady", Status.FALSE, available.reason, message)


def _workload(obj: Object, environment: Mapping[str, str]) -> Workload:
    template = obj["spec"]["template"]
    labels = {**labels_of({"metadata": template.get("metadata") or {}}), **_LABELS, _NAME_LABEL: key_of(obj)[1]}
    annotations = annotations_of({"metadata": template.get("metadata") or {}})
    return Workload(
        owner=obj,
        name=child_name(key_of(obj)[1], "-deployment"),
        labels=labels,
        annotations=annotations,
        selector=labels,
        pod_labels=labels,
        pod_annotations=annotations,
        spec=_pod_spec(obj, environment),
    )


def _pod_spec(obj: Object, environment: Mapping[str, str]) -> Object:
    """The spec of a source's pods, with the variables that its SinkBinding sets."""
    spec = thaw(obj["spec"]["template"]["spec"])
    for one in (*spec["containers"], *spec.get("initContainers", ())):
        kept = [item for item in one.get("env", ()) if item.get("name") not in environment]
        one["env"] = [*kept, *({"name": name, "value": value} for name, value in environment.items())]
    return {"restartPolicy": "Always", **spec}
