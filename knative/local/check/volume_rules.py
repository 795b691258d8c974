"""What Knative's webhook refuses in a pod's volumes and their mounts, by the cluster's features.

Follows the same source as `pod_rules`. The data has been decoded: fields exist and have their types.
"""

from __future__ import annotations

import posixpath
from collections.abc import Iterator, Mapping

from knative.local.jsontypes import Json, JsonMapping
from knative.local.manifests import grammar
from knative.local.manifests.cluster import Cluster
from knative.local.manifests.findings import Finding, Path, both, each, invalid, missing, neither

_VOLUME_SOURCES = ("secret", "configMap", "projected")
# Each behind the feature `kubernetes.podspec-volumes-<name in lower case>`.
_FEATURE_SOURCES = {
    "emptyDir": "EmptyDir",
    "hostPath": "HostPath",
    "csi": "CSI",
    "ephemeral": "Ephemeral",
    "image": "Image",
}
_CLAIM = "kubernetes.podspec-persistent-volume"

Data = JsonMapping


def volumes(declared: list[Data], mounted: set[Json], cluster: Cluster) -> Iterator[Finding]:
    """Refusals in `volumes`, of which those in `mounted` are used; paths from the pod's spec."""
    names: set[str] = set()
    for index, volume in enumerate(declared):
        name = volume.get("name", "")
        path = ("volumes", index)
        if name in names:
            yield Finding(f'duplicate volume name "{name}"', ((*path, "name"),))
        if name not in mounted:
            yield Finding(f'volume with name "{name}" not mounted', ((*path, "name"),))
        names.add(name)
        for finding in _volume(volume, name, cluster):
            yield finding.below(*path)


def _volume(volume: Data, name: str, cluster: Cluster) -> Iterator[Finding]:
    if not name:
        yield missing(("name",))
    elif not grammar.is_dns1123_label(name):
        yield invalid(name, ("name",))
    yield from _claim(volume.get("persistentVolumeClaim"), cluster)
    on = {key: cluster.enabled(f"kubernetes.podspec-volumes-{key.lower()}") for key in _FEATURE_SOURCES}
    for key, shown in _FEATURE_SOURCES.items():
        if key in volume and not on[key]:
            yield Finding(f"{shown} volume support is disabled, but found {shown} volume {name}", ((key,),))
    given = [key for key in (*_VOLUME_SOURCES, *_FEATURE_SOURCES, "persistentVolumeClaim") if key in volume]
    if not given:
        claims = ["persistentVolumeClaim"] if cluster.enabled(f"{_CLAIM}-claim") else []
        known = [key for key in _FEATURE_SOURCES if on[key]]
        yield neither(*each([*_VOLUME_SOURCES, *known[:1], *claims, *known[1:]]))
    elif len(given) > 1:
        yield both(*each(given))
    for key in ("secret", "configMap"):
        yield from _items(volume.get(key, {}).get("items", []), (key, "items"))
    medium = volume.get("emptyDir", {}).get("medium", "")
    if medium not in {"", "Memory"}:
        yield invalid(medium, ("emptyDir", "medium"))
    limit = volume.get("emptyDir", {}).get("sizeLimit")
    if limit is not None and grammar.parse_quantity(str(limit)) < 0:
        yield invalid(limit, ("emptyDir", "sizeLimit"))
    for index, source in enumerate(volume.get("projected", {}).get("sources", [])):
        for finding in _projection(source):
            yield finding.below("projected", "sources", index)


def _claim(claim: Json, cluster: Cluster) -> Iterator[Finding]:
    if claim is None:
        return
    named = claim.get("claimName", "") if isinstance(claim, dict) else ""
    if not cluster.enabled(f"{_CLAIM}-claim"):
        message = f"Persistent volume claim support is disabled, but found persistent volume claim {named}"
        yield Finding(message, (("persistentVolumeClaim",),))
    if not cluster.enabled(f"{_CLAIM}-write") and not (isinstance(claim, dict) and claim.get("readOnly") is True):
        message = f"Persistent volume write support is disabled, but found persistent volume claim {named} that is not"
        yield Finding(f"{message} read-only", (("persistentVolumeClaim",),))


_PROJECTIONS = ("secret", "configMap", "serviceAccountToken", "downwardAPI")


def _projection(source: Data) -> Iterator[Finding]:
    given = [key for key in _PROJECTIONS if key in source]
    if len(given) != 1:
        yield both(*each(given)) if given else neither(*each(_PROJECTIONS))
    for key in ("secret", "configMap"):
        if key in source and not source[key].get("name"):
            yield missing((key, "name"))
        yield from _items(source.get(key, {}).get("items", []), (key, "items"))
    if "serviceAccountToken" in source and not source["serviceAccountToken"].get("path"):
        yield missing(("serviceAccountToken", "path"))
    for index, item in enumerate(source.get("downwardAPI", {}).get("items", [])):
        path = ("downwardAPI", "items", index)
        given = [key for key in ("fieldRef", "resourceFieldRef") if key in item]
        if not given:
            yield neither((*path, "fieldRef"), (*path, "resourceFieldRef"))
        elif len(given) > 1:
            message = "Within a single item, cannot set both"
            yield Finding(message, ((*path, "resourceFieldRef"), (*path, "fieldRef")))
        if not item.get("path"):
            yield missing((*path, "path"))


def _items(items: list[Data], path: Path) -> Iterator[Finding]:
    for index, item in enumerate(items):
        for key in ("key", "path"):
            if not item.get(key):
                yield missing((*path, index, key))


def mounting(mounts: list[Data], mountable: Mapping[str, Data], cluster: Cluster) -> Iterator[Finding]:
    """Refusals in a container's `volumeMounts`, where the pod has these volumes; paths from there."""
    seen: set[str] = set()
    for index, mount in enumerate(mounts):
        place = mount.get("mountPath", "")
        clean = posixpath.normpath(place) if place else ""
        if mount.get("name", "") not in mountable:
            yield Finding("volumeMount has no matching volume", ((index, "name"),))
        if not place:
            yield missing((index, "mountPath"))
        elif clean in {"/", "/dev", "/dev/log"}:
            yield Finding(f'mountPath "{clean}" is a reserved path', ((index, "mountPath"),))
        elif not place.startswith("/"):
            yield invalid(place, (index, "mountPath"))
        elif clean in seen:
            yield invalid(f'"{place}" must be unique', (index, "mountPath"))
        seen.add(clean)
        if mount.get("mountPropagation") and not cluster.enabled("kubernetes.podspec-volumes-mount-propagation"):
            name = mount.get("name", "")
            message = (
                f"Volume Mount Propagation support is disabled, but found volume mount {name} with mount propagation"
            )
            yield Finding(message, ((index, "mountPropagation"),))
