"""Where a Route's traffic goes, its status, and the routing state of revisions.

Follows knative/serving: pkg/reconciler/route/traffic and pkg/reconciler/labeler.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from knative.local.api.history import Object
from knative.local.api.store import Store
from knative.local.controllers.objects import (
    CONFIGURATIONS,
    REVISIONS,
    ROUTES_ANNOTATION,
    ROUTING_MODIFIED,
    ROUTING_STATE,
    SERVICE_LABEL,
    annotations_of,
    condition,
    conditions,
    find,
    labels_of,
)
from knative.local.jsontypes import JsonMapping
from knative.local.pods.conditions import Condition, Status, ready_of

_ASSIGNED = "AllTrafficAssigned"
_MISSING = "RevisionMissing"
VISIBILITY = "networking.knative.dev/visibility"


@dataclass(frozen=True)
class Target:
    """One target of a Route as the status lists it.

    Attributes:
        revision: Its name.
        percent: Of the traffic.
        tag: Its tag, or empty.
        latest: Whether it follows the latest ready revision.
        configuration: Whose latest revision it follows, or empty.
    """

    revision: str
    percent: int
    tag: str = ""
    latest: bool = False
    configuration: str = ""


@dataclass(frozen=True)
class Assignment:
    """Where a Route's traffic is to go.

    Attributes:
        targets: All targets that exist, ready or not, in the order of the Route.
        problem: The condition that keeps the traffic where it was, or None.
        pinned: The revision that the problem is about, where the Route names it.
        waits: Whether the targets can take requests that wait for them.
    """

    targets: tuple[Target, ...]
    problem: Condition | None = None
    pinned: str = ""
    waits: bool = True


@dataclass(frozen=True, kw_only=True)
class Known:
    """What the assignment needs to know of revisions.

    Attributes:
        been_ready: Whether a Revision has been ready once.
        failed: Whether it has never been ready and cannot become so by waiting.
        latest: The name of the latest created Revision of a Configuration, for requests that wait.
    """

    been_ready: Callable[[str, str], bool]
    failed: Callable[[str, str], bool]


def assign(store: Store, route: Object, known: Known) -> Assignment:
    """Return where a Route's traffic is to go."""
    targets: list[Target] = []
    problem: Condition | None = None
    pinned, waits = "", True
    for one in route["spec"].get("traffic") or ():
        if one.get("revisionName"):
            target, wrong = _pinned(store, route, one, known)
        else:
            target, wrong = _latest(store, route, one, known)
        if target is not None:
            targets.append(target)
        if wrong is not None and (problem is None or (wrong.false and not problem.false)):
            problem, pinned = wrong, str(one.get("revisionName") or "")
            waits = waits and target is not None
    return Assignment(tuple(targets), problem, pinned, waits)


def _unassigned(status: Status, message: str, reason: str = _MISSING) -> Condition:
    return Condition(_ASSIGNED, status, reason, message)


def _pinned(store: Store, route: Object, one: JsonMapping, known: Known) -> tuple[Target | None, Condition | None]:
    namespace, name = route["metadata"]["namespace"], one["revisionName"]
    revision = find(store, REVISIONS, namespace, name)
    if revision is None:
        return None, _unassigned(Status.FALSE, f'Revision "{name}" referenced in traffic not found.')
    target = Target(name, int(one.get("percent") or 0), one.get("tag") or "")
    mine, owner = labels_of(route).get(SERVICE_LABEL), labels_of(revision).get(SERVICE_LABEL)
    if mine and mine != owner:
        message = f'Revision "{name}" does not belong to Service "{mine}".'
        if owner:
            message = f'Revision "{name}" belongs to Service "{owner}", not Service "{mine}".'
        return None, _unassigned(Status.FALSE, message, "RevisionNotOwned")
    return target, _unready_revision(namespace, name, known)


def _unready_revision(namespace: str, name: str, known: Known) -> Condition | None:
    if known.been_ready(namespace, name):
        return None
    if known.failed(namespace, name):
        return _unassigned(Status.FALSE, f'Revision "{name}" failed to become ready.')
    return _unassigned(Status.UNKNOWN, f'Revision "{name}" is not yet ready.')


def _latest(store: Store, route: Object, one: JsonMapping, known: Known) -> tuple[Target | None, Condition | None]:
    namespace, name = route["metadata"]["namespace"], str(one.get("configurationName") or "")
    configuration = find(store, CONFIGURATIONS, namespace, name)
    if configuration is None:
        message = f'Configuration "{name}" referenced in traffic not found.'
        return None, _unassigned(Status.FALSE, message, "ConfigurationMissing")
    status = configuration.get("status") or {}
    ready, created = status.get("latestReadyRevisionName"), status.get("latestCreatedRevisionName")
    percent, tag = int(one.get("percent") or 0), one.get("tag") or ""
    if not ready:
        target = Target(created, percent, tag, latest=True, configuration=name) if created else None
        if condition(configuration).false:
            return target, _unassigned(Status.FALSE, f'Configuration "{name}" does not have any ready Revision.')
        return target, _unassigned(Status.UNKNOWN, f'Configuration "{name}" is waiting for a Revision to become ready.')
    return Target(ready, percent, tag, latest=True, configuration=name), _unready_revision(namespace, ready, known)


def route_status(
    route: Object,
    traffic: Sequence[Target] | None,
    problem: Condition | None,
    rolling: bool,
    host: Callable[[Object, str | None], str],
    now: str,
) -> Object:
    """Return the status of a Route.

    Args:
        route: The Route.
        traffic: Where its traffic goes; None keeps what the status says.
        problem: Why it does not go where it is to go, or None.
        rolling: Whether a gradual rollout is in progress.
        host: Returns the host, with a port, of a Route or of a tag of its traffic, as it is reached from outside.
        now: The time as a timestamp.
    """
    name, namespace = route["metadata"]["name"], route["metadata"]["namespace"]
    before = route.get("status") or {}
    local = f"http://{name}.{namespace}.svc.cluster.local"
    public = labels_of(route).get(VISIBILITY) != "cluster-local"

    def reached(tag: str | None) -> str:
        if public:
            return host(route, tag)
        return f"{tag}-{name}.{namespace}.svc.cluster.local" if tag else f"{name}.{namespace}.svc.cluster.local"

    status: Object = {
        "observedGeneration": route["metadata"]["generation"],
        "url": f"http://{reached(None)}",
        "address": {"url": local},
    }
    if traffic is not None:
        status["traffic"] = [_listed(target, reached(target.tag)) for target in traffic]
    elif "traffic" in before:
        status["traffic"] = before["traffic"]
    assigned = problem or Condition(_ASSIGNED, Status.TRUE)
    tls = "external-domain-tls is not enabled" if public else "TLS is not enabled for cluster-local"
    certificate = Condition("CertificateProvisioned", Status.TRUE, "TLSNotEnabled", tls)
    ingress = Condition("IngressReady", Status.TRUE if status.get("traffic") else Status.UNKNOWN)
    if rolling:
        message = "A gradual rollout of the latest revision(s) is in progress."
        ingress = Condition("IngressReady", Status.UNKNOWN, "RolloutInProgress", message)
    found = [ready_of(assigned, ingress, certificate), assigned, certificate, ingress]
    status["conditions"] = conditions(before, found, now)
    return status


def _listed(target: Target, host: str) -> Object:
    listed: Object = {
        "revisionName": target.revision,
        "percent": target.percent,
        "latestRevision": target.latest,
    }
    if target.tag:
        listed |= {"tag": target.tag, "url": f"http://{host}"}
    return listed


def label_revisions(store: Store, route: str, revisions: Iterable[Object], listed: set[str]) -> None:
    """Write into revisions whether a Route leads to them, and the routing state that follows from it."""
    for revision in revisions:
        metadata = revision["metadata"]
        annotations, labels = dict(annotations_of(revision)), dict(labels_of(revision))
        routes = {*annotations.pop(ROUTES_ANNOTATION, "").split(",")} - {""}
        routed = routes | {route} if metadata["name"] in listed else routes - {route}
        if not routes and not routed:
            continue  # never routed: the labeler of Knative leaves its state pending
        if routed:
            annotations[ROUTES_ANNOTATION] = ",".join(sorted(routed))
        state = "active" if routed else "reserve"
        if labels.get(ROUTING_STATE) != state:
            labels[ROUTING_STATE] = state
            annotations[ROUTING_MODIFIED] = store.timestamp()
        store.update(REVISIONS, {**revision, "metadata": {**metadata, "labels": labels, "annotations": annotations}})
