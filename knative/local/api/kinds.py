"""The kinds that the engine's Kubernetes API serves, by their names."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from knative.local.api.definitions import CORE, KNATIVE, Kind

ALL: tuple[Kind, ...] = (*CORE, *KNATIVE)
BY_RESOURCE: Mapping[str, Kind] = {kind.resource: kind for kind in ALL}
"""By the group-qualified plural, the name of a resource in the store."""
_BY_NAME = {(kind.group, kind.name): kind for kind in ALL}


def group_of(api_version: str) -> tuple[str, str]:
    """Return group and version of an `apiVersion`; the core's group is empty."""
    group, _, version = api_version.rpartition("/")
    return group, version


def kind_of(api_version: str, name: str) -> Kind | None:
    """Return the kind of an object by its `apiVersion` and `kind`; None where the API does not serve it."""
    group, version = group_of(api_version)
    kind = _BY_NAME.get((group, name))
    return kind if kind is not None and version in kind.versions else None


def find(group: str, version: str, plural: str) -> Kind | None:
    """Return the kind of a URL; None where the API does not serve it."""
    kind = BY_RESOURCE.get(f"{plural}.{group}" if group else plural)
    return kind if kind is not None and version in kind.versions else None


def groups() -> Iterator[str]:
    """Yield the groups besides the core's, in order."""
    yield from sorted({kind.group for kind in ALL if kind.group})


def in_version(group: str, version: str) -> list[Kind]:
    """Return the kinds of a group and version, by plural."""
    found = (kind for kind in ALL if kind.group == group and version in kind.versions)
    return sorted(found, key=lambda kind: kind.plural)


def versions(group: str) -> list[str]:
    """Return the versions of a group, the preferred one first."""
    found: dict[str, None] = {}
    for kind in ALL:
        if kind.group == group:
            found.update(dict.fromkeys(kind.versions))
    # Stable versions before betas, as a cluster orders them.
    return sorted(found, key=lambda version: ("alpha" in version, "beta" in version, version))
