"""What people write, in files and through the API, as manifests."""

from __future__ import annotations

from pathlib import Path

from knative.local.api.admission import AdmissionError, Operation, admission
from knative.local.api.history import Object
from knative.local.api.http.incoming import core_rules
from knative.local.api.http.status import StatusError
from knative.local.api.kinds import kind_of
from knative.local.api.store import Store
from knative.local.check.admission import cluster_of
from knative.local.controllers.files import Files, Place, Plan
from knative.local.controllers.objects import (
    CONFIGURATION_LABEL,
    CONFIGURATIONS,
    DEPLOYMENTS,
    EVENTS,
    NAMESPACES,
    PODS,
    REVISIONS,
    ROUTES,
    SERVICE_LABEL,
    labels_of,
    place_of,
)
from knative.local.jsontypes import JsonMapping
from knative.local.manifests.cluster import Cluster
from knative.local.manifests.resources import Manifests, Resource
from knative.local.manifests.source import Document
from knative.local.pods.template import TemplateError

_MADE = frozenset({REVISIONS, PODS, DEPLOYMENTS, EVENTS})  # by the engine: those of files are not run
_CORE = frozenset({"secrets", "namespaces"})  # that are stored in another form than they are written in
_CHILDREN = frozenset({CONFIGURATIONS, ROUTES})


class Written:
    """The objects that people write.

    Args:
        store: Holds them, and all others.
        files: Which of them files have brought.

    Attributes:
        files: The same.
        sources: The files that were read last.
    """

    def __init__(self, store: Store, files: Files) -> None:
        self.files = files
        self.sources: tuple[Path, ...] = ()
        self._store = store
        self._not_run: tuple[Resource, ...] = ()

    def plan(self, manifests: Manifests) -> Plan:
        """Return what applying all files changes in the store.

        Raises:
            TemplateError: Knative refuses an object, or it has no name.
        """
        objects = [(place, one.data) for place, one in _placed(manifests) if place[0] not in _MADE]
        for (_, _, name), data in objects:
            if not name:
                generated = (data.get("metadata") or {}).get("generateName") or ""
                which = f"{data.get('kind')} {generated}".rstrip()
                raise TemplateError(f"{which}: an object of a file needs metadata.name; generateName is not used")
        return self.files.plan(self._store, objects, lambda obj, old: _admit(manifests.cluster, obj, old))

    def commit(self, manifests: Manifests, plan: Plan) -> None:
        """Apply all files by their plan."""
        self.sources = manifests.files
        self._not_run = tuple(one for place, one in _placed(manifests) if place[0] in _MADE)
        self.files.commit(self._store, plan)

    def manifests(self) -> Manifests:
        """Return the objects of the store that people write."""
        resources = tuple(
            as_resource(obj)
            for resource, obj in self._store.everything()
            if resource not in _MADE
            and resource != NAMESPACES
            # A Service has made its own.
            and not (resource in _CHILDREN and SERVICE_LABEL in labels_of(obj))
        )
        return Manifests((*resources, *self._not_run), cluster_of(resources, []), self.sources)


def as_resource(obj: JsonMapping) -> Resource:
    """Return an object of the store as one of manifests."""
    return Resource(obj, Document(obj, ""), checked=True)


def as_service(revision: Object) -> Object:
    """Return a Revision as the Service that has its template, named by the Service or else by the Configuration."""
    metadata, labels = revision["metadata"], labels_of(revision)
    name = labels.get(SERVICE_LABEL) or labels.get(CONFIGURATION_LABEL, "")
    own = {"name": metadata["name"], "annotations": metadata.get("annotations") or {}}
    return {
        "metadata": {"name": name, "namespace": metadata["namespace"]},
        "spec": {"template": {"metadata": own, "spec": revision["spec"]}},
    }


def _placed(manifests: Manifests) -> list[tuple[Place, Resource]]:
    return [(place_of(one.api_version, one.kind, one.metadata), one) for one in manifests.resources]


def _admit(cluster: Cluster, obj: Object, old: Object | None) -> Object:
    kind = kind_of(str(obj.get("apiVersion", "")), str(obj.get("kind", "")))
    try:
        made = admission(cluster, obj, old, Operation.CREATE if old is None else Operation.UPDATE)
        return core_rules(kind, made, old) if kind is not None and kind.resource in _CORE else made
    except (AdmissionError, StatusError, TypeError, AttributeError) as error:  # the last two: values of a wrong type
        raise TemplateError(f"{obj.get('kind')} {obj['metadata']['name']}: {error}") from None
