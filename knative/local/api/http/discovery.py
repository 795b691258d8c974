"""Discovery: which groups, versions and resources there are, plain and aggregated; definitions and the version."""

from __future__ import annotations

import uuid
from collections.abc import Mapping

from knative.local.api.definitions import Kind
from knative.local.api.kinds import ALL, groups, in_version, versions
from knative.local.jsontypes import JsonObject

Object = JsonObject

AGGREGATED = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"
MAJOR, MINOR = "1", "36"
DEFINITIONS = "customresourcedefinitions.apiextensions.k8s.io"


def version() -> Object:
    """Return the version of the Kubernetes API that is spoken."""
    return {
        "major": MAJOR,
        "minor": MINOR,
        "gitVersion": f"v{MAJOR}.{MINOR}.0+pixelamp",
        "gitCommit": "",
        "gitTreeState": "clean",
        "buildDate": "1970-01-01T00:00:00Z",
        "goVersion": "",
        "compiler": "",
        "platform": "linux",
    }


def api_versions(address: str) -> Object:
    """Return the versions of the core group."""
    return {
        "kind": "APIVersions",
        "versions": ["v1"],
        "serverAddressByClientCIDRs": [{"clientCIDR": "0.0.0.0/0", "serverAddress": address}],
    }


def group(name: str) -> Object:
    """Return a group and its versions, without kind and version of the response."""
    found = [{"groupVersion": f"{name}/{one}", "version": one} for one in versions(name)]
    return {"name": name, "versions": found, "preferredVersion": found[0]}


def group_list() -> Object:
    """Return all groups but the core's."""
    return {"kind": "APIGroupList", "apiVersion": "v1", "groups": [group(name) for name in groups()]}


def resources(name: str, of: str) -> Object | None:
    """Return the resources of a group and version; None where it is not served."""
    if of not in versions(name):
        return None
    found = []
    for kind in in_version(name, of):
        more: Object = {"shortNames": list(kind.short)} if kind.short else {}
        more |= {"categories": list(kind.categories)} if kind.categories else {}
        found.append(
            {
                "name": kind.plural,
                "singularName": kind.singular,
                "namespaced": kind.namespaced,
                "kind": kind.name,
                "verbs": list(kind.verbs),
                **more,
            }
        )
        found += [
            {
                "name": f"{kind.plural}/{subresource}",
                "singularName": "",
                "namespaced": kind.namespaced,
                "kind": kind.name,
                "verbs": list(verbs),
            }
            for subresource, verbs in kind.subresources.items()
        ]
    group_version = f"{name}/{of}" if name else of
    return {"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": group_version, "resources": found}


def aggregated(core: bool) -> Object:
    """Return everything in one document: of the core group, or of all others."""
    names = [""] if core else list(groups())
    items = []
    for name in names:
        served = [
            {
                "version": one,
                "resources": [_aggregated(kind, one) for kind in in_version(name, one)],
                "freshness": "Current",
            }
            for one in versions(name)
        ]
        items.append({"metadata": {"name": name} if name else {}, "versions": served})
    return {"kind": "APIGroupDiscoveryList", "apiVersion": "apidiscovery.k8s.io/v2", "metadata": {}, "items": items}


def _aggregated(kind: Kind, of: str) -> Object:
    response = {"group": kind.group, "version": of if kind.custom else "", "kind": kind.name}
    if not kind.custom:
        response["group"] = ""
    found: Object = {
        "resource": kind.plural,
        "responseKind": response,
        "scope": "Namespaced" if kind.namespaced else "Cluster",
        "singularResource": kind.singular,
        "verbs": list(kind.verbs),
    }
    found |= {"shortNames": list(kind.short)} if kind.short else {}
    found |= {"categories": list(kind.categories)} if kind.categories else {}
    if kind.subresources:
        found["subresources"] = [
            {"subresource": name, "responseKind": response, "verbs": list(verbs)}
            for name, verbs in kind.subresources.items()
        ]
    return found


def definitions(created: str) -> list[Object]:
    """Return the custom resource definitions of Knative's kinds, by name. Nothing stores them."""
    return sorted((_definition(kind, created) for kind in ALL if kind.custom), key=lambda one: one["metadata"]["name"])


def _definition(kind: Kind, created: str) -> Object:
    area = "serving" if kind.group.startswith("serving") else "eventing"
    labels: Mapping[str, str] = {
        "app.kubernetes.io/name": f"knative-{area}",
        "app.kubernetes.io/version": "1.22.0",
        "knative.dev/crd-install": "true",
        **kind.labels,
    }
    names = {"kind": kind.name, "listKind": f"{kind.name}List", "plural": kind.plural, "singular": kind.singular}
    more = {"shortNames": list(kind.short), "categories": list(kind.categories)}
    served = [
        {
            "name": one,
            "served": True,
            "storage": index == 0,
            "subresources": {"status": {}},
            "schema": {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}},
            "additionalPrinterColumns": [
                {"name": column.name, "type": column.type, "jsonPath": column.path} for column in kind.columns
            ],
        }
        for index, one in enumerate(kind.versions)
    ]
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {
            "name": kind.resource,
            "uid": str(uuid.uuid5(uuid.NAMESPACE_DNS, kind.resource)),
            "resourceVersion": "1",
            "generation": 1,
            "creationTimestamp": created,
            "labels": dict(labels),
        },
        "spec": {"group": kind.group, "names": {**names, **more}, "scope": "Namespaced", "versions": served},
        "status": {
            "acceptedNames": {**names, **more},
            "conditions": [
                {"type": name, "status": "True", "reason": reason, "message": "", "lastTransitionTime": created}
                for name, reason in (("NamesAccepted", "NoConflicts"), ("Established", "InitialNamesAccepted"))
            ],
            "storedVersions": [kind.versions[0]],
        },
    }
