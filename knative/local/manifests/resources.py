"""The objects of some manifests: `Resource` and `Manifests`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path as FilePath

from knative.local.jsontypes import JsonMapping
from knative.local.manifests.cluster import Cluster
from knative.local.manifests.cluster_config import AutoscalerConfig, Defaults
from knative.local.manifests.findings import Finding, Path, Position
from knative.local.manifests.kinds import SERVING
from knative.local.manifests.source import Document


@dataclass(frozen=True)
class Resource:
    """One object of a manifest.

    Attributes:
        data: the object as plain data; for the kinds that are checked, without nulls and unknown fields.
        document: the document it came from, with the position of each field.
        checked: the object is of a kind whose rules are known here, and `data` has the types of its schema.
    """

    data: JsonMapping
    document: Document = field(repr=False)
    checked: bool = False

    @property
    def api_version(self) -> str:
        """Group and version, such as `serving.knative.dev/v1`; the core's is a version alone."""
        return str(self.data.get("apiVersion", ""))

    @property
    def group(self) -> str:
        """The API group; empty for the core's."""
        return self.api_version.rpartition("/")[0]

    @property
    def kind(self) -> str:
        """The kind, which is unique within a group only: a `v1` Service is not a Knative one."""
        return str(self.data.get("kind", ""))

    @property
    def metadata(self) -> JsonMapping:
        """The object's metadata; empty if it has none."""
        metadata = self.data.get("metadata")
        return metadata if isinstance(metadata, dict) else {}

    @property
    def name(self) -> str:
        """The object's name; empty for one that is to be generated."""
        return str(self.metadata.get("name", ""))

    @property
    def namespace(self) -> str:
        """The object's namespace, `default` where the manifest leaves it open."""
        return str(self.metadata.get("namespace") or "default")

    @property
    def subject(self) -> str:
        """How messages name the object: `Service/histogram`."""
        return f"{self.kind}/{self.name or self.metadata.get('generateName', '')}"

    @property
    def position(self) -> Position:
        """Where the object begins."""
        return self.document.position(())

    def locate(self, finding: Finding) -> Finding:
        """A finding about this object, with its place in the file."""
        path: Path = finding.paths[0] if finding.paths else ()
        return replace(finding, position=self.document.position(path), subject=self.subject)

    def with_variables(self, variables: Mapping[str, str]) -> Resource:
        """Return a Service whose containers have these environment variables, in place of any of the same names."""
        spec = self.data["spec"]
        template = spec["template"]
        pod = template["spec"]
        added = [{"name": name, "value": value} for name, value in variables.items()]
        containers = []
        for container in pod["containers"]:
            kept = [one for one in container.get("env", []) if one.get("name") not in variables]
            containers.append({**container, "env": [*kept, *added]})
        inner = {**template, "spec": {**pod, "containers": containers}}
        return replace(self, data={**self.data, "spec": {**spec, "template": inner}})


def is_part_of_project(service: Resource) -> bool:
    """Return whether a Service is labelled as one of this project's functions."""
    labels = service.metadata.get("labels", {})
    return isinstance(labels, Mapping) and labels.get("app.kubernetes.io/part-of") == "pixelamp"


@dataclass(frozen=True)
class Manifests:
    """The objects of some manifests, and the cluster configuration among them or by default."""

    resources: tuple[Resource, ...]
    cluster: Cluster
    files: tuple[FilePath, ...]  # all that were read, kustomizations included: what a watcher watches
    findings: tuple[Finding, ...] = ()

    @property
    def autoscaler(self) -> AutoscalerConfig:
        """The cluster's `config-autoscaler`."""
        return self.cluster.autoscaler

    @property
    def defaults(self) -> Defaults:
        """The cluster's `config-defaults`."""
        return self.cluster.defaults

    def of(self, kind: str, group: str | None = None) -> tuple[Resource, ...]:
        """The resources of a kind, in the order of the files."""
        return tuple(
            resource for resource in self.resources if resource.kind == kind and group in {None, resource.group}
        )

    @property
    def services(self) -> tuple[Resource, ...]:
        """The Knative Services."""
        return self.of("Service", SERVING)

    def with_services(self, change: Callable[[Resource], Resource]) -> Manifests:
        """Return the manifests with each Knative Service replaced by what `change` returns for it."""
        changed = (change(one) if (one.group, one.kind) == (SERVING, "Service") else one for one in self.resources)
        return replace(self, resources=tuple(changed))

    @property
    def mappings(self) -> Mapping[str, tuple[str, str]]:
        """Namespace and name of the Service or Route of each host of a DomainMapping."""
        found = {}
        for resource in self.of("DomainMapping", SERVING):
            reference = resource.data.get("spec", {}).get("ref", {})
            if reference.get("kind") in ("Service", "Route") and str(reference.get("apiVersion", "")).startswith(
                SERVING
            ):
                found[resource.name] = (reference.get("namespace") or resource.namespace, reference["name"])
        return found

    @property
    def domains(self) -> tuple[str, ...]:
        """The domains under which Services are reached: the keys of `config-domain`, and DomainMappings."""
        names = [resource.name for resource in self.of("DomainMapping", SERVING)]
        for resource in self.of("ConfigMap", ""):
            data = resource.data.get("data")
            if resource.name == "config-domain" and isinstance(data, Mapping):
                names += [str(key) for key in data if key != "_example"]
        return tuple(names)
