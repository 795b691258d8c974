"""A Service's Configuration and Route, a Configuration's Revisions, and the status of the three.

Follows knative/serving: pkg/reconciler/service, pkg/reconciler/configuration and their resources.
"""

from __future__ import annotations

from collections.abc import Sequence

from knative.local.api.errors import AlreadyExistsError
from knative.local.api.history import Object
from knative.local.api.store import Store
from knative.local.controllers.objects import (
    CONFIGURATION_LABEL,
    CONFIGURATION_UID_LABEL,
    GENERATION_LABEL,
    LAST_APPLIED,
    PREFIX,
    REVISIONS,
    ROUTES_ANNOTATION,
    ROUTING_MODIFIED,
    ROUTING_STATE,
    SERVICE_LABEL,
    SERVICE_UID_LABEL,
    annotations_of,
    condition,
    conditions,
    controlled_by,
    find,
    labels_of,
    reference,
)
from knative.local.jsontypes import JsonMapping
from knative.local.pods.conditions import Condition, Status, of_configuration, ready_of

_ROLLOUT = (f"{PREFIX}rollout-duration", f"{PREFIX}rolloutDuration")
CODE = "pixelamp/code"
"""Annotation with a fingerprint of code: of a Configuration, that of its first revision; of a template, of another."""
_LONGEST_NAME = 63


def make_configuration(service: Object, template: JsonMapping, existing: Object | None, code: str) -> Object:
    """Return the Configuration that a Service has.

    Args:
        service: The Service.
        template: Of its revisions.
        existing: The Configuration so far.
        code: A fingerprint of the code of processes, or empty; another one than the first changes the template.
    """
    kept = {key: value for key, value in annotations_of(service).items() if key not in (*_ROLLOUT, LAST_APPLIED)}
    before = annotations_of(existing) if existing is not None else {}
    routes = {*before.get(ROUTES_ANNOTATION, "").split(","), service["metadata"]["name"]} - {""}
    first = before.get(CODE, code)
    metadata = template.get("metadata") or {}
    if code not in ("", first) and not metadata.get("name"):
        changed = {**(metadata.get("annotations") or {}), CODE: code}
        template = {**template, "metadata": {**metadata, "annotations": changed}}
    return {
        "apiVersion": "serving.knative.dev/v1",
        "kind": "Configuration",
        "metadata": {
            "name": service["metadata"]["name"],
            "namespace": service["metadata"]["namespace"],
            "labels": {
                **labels_of(service),
                SERVICE_LABEL: service["metadata"]["name"],
                SERVICE_UID_LABEL: service["metadata"]["uid"],
            },
            "annotations": {**kept, ROUTES_ANNOTATION: ",".join(sorted(routes)), **({CODE: first} if first else {})},
            "ownerReferences": [reference(service)],
        },
        "spec": {"template": template},
    }


def make_route(service: Object) -> Object:
    """Return the Route that a Service has."""
    name = service["metadata"]["name"]
    traffic = service["spec"].get("traffic") or [{"latestRevision": True, "percent": 100}]
    annotations = {key: value for key, value in annotations_of(service).items() if key != LAST_APPLIED}
    return {
        "apiVersion": "serving.knative.dev/v1",
        "kind": "Route",
        "metadata": {
            "name": name,
            "namespace": service["metadata"]["namespace"],
            "labels": {**labels_of(service), SERVICE_LABEL: name},
            **({"annotations": annotations} if annotations else {}),
            "ownerReferences": [reference(service)],
        },
        "spec": {
            "traffic": [
                dict(target) if target.get("revisionName") else {**target, "configurationName": name}
                for target in traffic
            ]
        },
    }


def make_revision(configuration: Object, now: str) -> Object:
    """Return the Revision of a Configuration's present generation."""
    template = configuration["spec"]["template"]
    own = template.get("metadata") or {}
    metadata = configuration["metadata"]
    of_owner = {
        CONFIGURATION_LABEL: metadata["name"],
        SERVICE_LABEL: labels_of(configuration).get(SERVICE_LABEL, ""),
        GENERATION_LABEL: str(metadata["generation"]),
        CONFIGURATION_UID_LABEL: metadata["uid"],
        SERVICE_UID_LABEL: labels_of(configuration).get(SERVICE_UID_LABEL, ""),
    }
    given = annotations_of(configuration)
    annotations = {**(own.get("annotations") or {}), ROUTING_MODIFIED: now}
    if creator := given.get(f"{PREFIX}lastModifier"):
        annotations[f"{PREFIX}creator"] = creator
    if routes := given.get(ROUTES_ANNOTATION):
        annotations[ROUTES_ANNOTATION] = routes
    suffix = f"-{metadata['generation']:05d}"
    return {
        "apiVersion": "serving.knative.dev/v1",
        "kind": "Revision",
        "metadata": {
            "name": own.get("name") or metadata["name"][: _LONGEST_NAME - len(suffix)] + suffix,
            "namespace": metadata["namespace"],
            "labels": {
                **(own.get("labels") or {}),
                **{key: value for key, value in of_owner.items() if value},
                ROUTING_STATE: "active" if routes else "pending",
            },
            "annotations": annotations,
            "ownerReferences": [reference(configuration)],
        },
        "spec": template["spec"],
    }


def latest_created(store: Store, configuration: Object, revisions: Sequence[Object]) -> Object | None:
    """Return the Revision of a Configuration's present generation, or None where it is to be created.

    Args:
        store: Holds all objects.
        configuration: The Configuration.
        revisions: Those of the Configuration.

    Raises:
        AlreadyExistsError: Its name belongs to another revision.
    """
    metadata = configuration["metadata"]
    template = configuration["spec"]["template"]
    name = (template.get("metadata") or {}).get("name")
    generation = str(metadata["generation"])
    if not name:
        return next((one for one in revisions if labels_of(one).get(GENERATION_LABEL) == generation), None)
    taken = find(store, REVISIONS, metadata["namespace"], name)
    if taken is None:
        return None
    mine = controlled_by(taken, configuration)
    if mine and (labels_of(taken).get(GENERATION_LABEL) == generation or taken["spec"] == template["spec"]):
        return taken
    raise AlreadyExistsError(REVISIONS, name)


def generation_of(revision: JsonMapping) -> int:
    """Return the generation of the Configuration that a Revision was created for."""
    text = labels_of(revision).get(GENERATION_LABEL, "")
    return int(text) if text.isdigit() else 0


def configuration_status(configuration: Object, created: Object | None, ready: str, problem: str, now: str) -> Object:
    """Return the status of a Configuration.

    Args:
        configuration: The Configuration.
        created: The Revision that was created last.
        ready: The name of the newest Revision that has been ready, or empty.
        problem: Why no Revision can be created, or empty.
        now: The time as a timestamp.
    """
    before = configuration.get("status") or {}
    name = created["metadata"]["name"] if created is not None else before.get("latestCreatedRevisionName")
    found = of_configuration(name, condition(created) if created is not None else None, ready or None)
    if problem:
        message = f"Revision creation failed with message: {problem}."
        found = Condition("Ready", Status.FALSE, "RevisionFailed", message)
    status: Object = {
        "observedGeneration": configuration["metadata"]["generation"],
        "conditions": conditions(before, [found], now),
    }
    if name:
        status["latestCreatedRevisionName"] = name
    if ready:
        status["latestReadyRevisionName"] = ready
    return status


def service_status(service: Object, configuration: Object, route: Object, now: str, *, early: bool = False) -> Object:
    """Return the status of a Service, which is that of its Configuration and of its Route.

    Args:
        service: The Service.
        configuration: The Service's own.
        route: The Service's own.
        now: The time as a timestamp.
        early: Whether a failure is not shown yet.
    """
    of_config, of_route = configuration.get("status") or {}, route.get("status") or {}
    parts = []
    for kind, obj in (("ConfigurationsReady", configuration), ("RoutesReady", route)):
        ready = condition(obj)
        if early and ready.false:
            message = f"The {obj['kind']} is still working to reflect the latest desired specification."
            ready = Condition(kind, Status.UNKNOWN, "OutOfDate", message)
        parts.append(Condition(kind, ready.status, *(("", "") if ready.true else (ready.reason, ready.message))))
    status: Object = {
        "observedGeneration": service["metadata"]["generation"],
        "conditions": conditions(service.get("status") or {}, [ready_of(*parts), *parts], now),
    }
    for source, names in (
        (of_config, ("latestCreatedRevisionName", "latestReadyRevisionName")),
        (of_route, ("url", "address", "traffic")),
    ):
        status |= {name: source[name] for name in names if name in source}
    return status


def not_owned(service: Object, resource: str, now: str) -> Object:
    """Return the status of a Service whose Configuration or Route exists and is another's."""
    kind, which = ("Configuration", "ConfigurationsReady") if resource.startswith("conf") else ("Route", "RoutesReady")
    message = f'There is an existing {kind} "{service["metadata"]["name"]}" that we do not own.'
    problem = Condition(which, Status.FALSE, "NotOwned", message)
    other = Condition("RoutesReady" if kind == "Configuration" else "ConfigurationsReady", Status.UNKNOWN)
    return {
        "observedGeneration": service["metadata"]["generation"],
        "conditions": conditions(service.get("status") or {}, [ready_of(problem, other), problem, other], now),
    }
