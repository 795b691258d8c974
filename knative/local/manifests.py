"""Manifests: the files that go to a cluster, read and refused as the cluster would refuse them.

`load` takes what `kubectl apply` takes: files of several documents, folders, kustomizations. What it returns has passed
Knative's own rules, so that its readers may trust fields and types.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path as FilePath
from typing import Any

from knative.local import eventing_rules, schema, serving_rules
from knative.local.annotations import validate_annotations
from knative.local.cluster_config import AutoscalerConfig, Defaults, parse_autoscaler_config, parse_defaults
from knative.local.decoding import Struct, decode
from knative.local.findings import Finding, Level, ManifestError, Path, Position
from knative.local.kustomize import KUSTOMIZATION_NAMES, build
from knative.local.source import Document, read_file

__all__ = [
    "AutoscalerConfig",
    "Defaults",
    "ManifestError",
    "Manifests",
    "Resource",
    "load",
    "parse_autoscaler_config",
    "parse_defaults",
    "read",
    "validate_annotations",
]

SERVING = "serving.knative.dev"
EVENTING = "eventing.knative.dev"
FLOWS = "flows.knative.dev"
SUFFIXES = frozenset({".yaml", ".yml", ".json"})
"""Endings of the files of a folder that are read as manifests."""


Rules = Callable[[Mapping[str, Any]], Iterator[Finding]]
# The rules of a Service are asked for apart: they need the cluster's configuration.
_CHECKED: Mapping[tuple[str, str], tuple[Struct, Rules | None]] = {
    (SERVING, "Service"): (schema.SERVICE, None),
    ("", "ConfigMap"): (schema.CONFIG_MAP, eventing_rules.named),
    (EVENTING, "Broker"): (schema.BROKER, eventing_rules.broker),
    (EVENTING, "Trigger"): (schema.TRIGGER, eventing_rules.trigger),
    (FLOWS, "Sequence"): (schema.SEQUENCE, eventing_rules.sequence),
    (FLOWS, "Parallel"): (schema.PARALLEL, eventing_rules.parallel),
}


@dataclass(frozen=True)
class Resource:
    """One object of a manifest.

    Attributes:
        data: the object as plain data; for the kinds that are checked, without nulls and unknown fields.
        document: the document it came from, which knows where each field stands.
        checked: the object is of a kind whose rules are known here, and `data` has the types of its schema.
    """

    data: Mapping[str, Any]
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
    def metadata(self) -> Mapping[str, Any]:
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


@dataclass(frozen=True)
class Manifests:
    """The objects of some manifests, and the cluster configuration among them or by default."""

    resources: tuple[Resource, ...]
    autoscaler: AutoscalerConfig
    defaults: Defaults
    files: tuple[FilePath, ...]  # all that were read, kustomizations included: what a watcher watches
    findings: tuple[Finding, ...] = ()

    def of(self, kind: str, group: str | None = None) -> tuple[Resource, ...]:
        """The resources of a kind, in the order of the files."""
        return tuple(
            resource for resource in self.resources if resource.kind == kind and group in {None, resource.group}
        )

    @property
    def services(self) -> tuple[Resource, ...]:
        """The Knative Services."""
        return self.of("Service", SERVING)

    @property
    def domains(self) -> tuple[str, ...]:
        """The domains under which Services are reached: the keys of `config-domain`, and DomainMappings."""
        names = [resource.name for resource in self.of("DomainMapping", SERVING)]
        for resource in self.of("ConfigMap", ""):
            data = resource.data.get("data")
            if resource.name == "config-domain" and isinstance(data, Mapping):
                names += [str(key) for key in data if key != "_example"]
        return tuple(names)


def load(paths: Iterable[str | FilePath]) -> Manifests:
    """Read manifests as a cluster would take them.

    Args:
        paths: files, folders of manifests, and kustomizations (a folder that holds one, or the file itself).

    Raises:
        ManifestError: one or more objects would be refused; its findings are all the reasons, with file and line.
    """
    manifests = read(paths)
    refused = [finding for finding in manifests.findings if finding.level is Level.ERROR]
    if refused:
        raise ManifestError(refused)
    return manifests


def read(paths: Iterable[str | FilePath]) -> Manifests:
    """Read manifests as `load` does, but hand the refusals back in `findings`, beside all that could be read."""
    findings: list[Finding] = []
    files: list[FilePath] = []
    resources: list[Resource] = []
    for document in _documents([FilePath(path) for path in paths], files, findings):
        resources += _resources(document, findings)
    autoscaler = _config(resources, "config-autoscaler", parse_autoscaler_config, findings)
    defaults = _config(resources, "config-defaults", parse_defaults, findings)
    checked = [_checked(resource, autoscaler, defaults, findings) for resource in resources]
    kept = _without_twins(checked, findings)
    return Manifests(tuple(kept), autoscaler, defaults, tuple(files), tuple(findings))


def _documents(paths: Sequence[FilePath], files: list[FilePath], findings: list[Finding]) -> Iterator[Document]:
    for path in paths:
        try:
            if path.name in KUSTOMIZATION_NAMES or any((path / name).is_file() for name in KUSTOMIZATION_NAMES):
                built = build(path if path.is_dir() else path.parent)
                files += built.files
                yield from built.documents
            elif path.is_dir():
                listed = sorted(item for item in path.iterdir() if item.suffix in SUFFIXES and item.is_file())
                if not listed:
                    findings.append(Finding("no manifests in this folder", position=Position(str(path), 1)))
                yield from _documents(listed, files, findings)
            else:
                files.append(path)
                yield from read_file(path)
        except ManifestError as error:
            findings += error.findings


def _resources(document: Document, findings: list[Finding]) -> Iterator[Resource]:
    """The object of a document, or those of a List."""
    if not isinstance(document.data, dict):
        message = "error converting YAML to JSON: the document is not an object"
        findings.append(Finding(message, position=document.position(())))
        return
    if document.data.get("kind") == "List" and isinstance(document.data.get("items"), list):
        for index, item in enumerate(document.data["items"]):
            head = ("items", index)
            marks = {path[2:]: mark for path, mark in document.marks.items() if path[:2] == head}
            line = marks.get((), (document.line, 1))[0]
            yield from _resources(Document(item, document.file, line, marks), findings)
        return
    resource = Resource(document.data, document)
    wrong = [key for key in ("apiVersion", "kind") if not isinstance(document.data.get(key), str)]
    if wrong:
        findings.append(resource.locate(Finding(f"Object '{wrong[0]}' is missing", ((wrong[0],),))))
    else:
        yield resource


def _without_twins(resources: Sequence[Resource], findings: list[Finding]) -> list[Resource]:
    """Each object once: of two of one name the later wins, as it would after `kubectl apply`."""
    kept: dict[object, Resource] = {}
    for resource in resources:
        key = (resource.group, resource.kind, resource.namespace, resource.name)
        # The same place twice is a file that was named twice, which is nothing to speak of.
        if resource.name and key in kept and kept[key].position != resource.position:
            message = f"{resource.subject} is defined at {kept[key].position} too, which this one overwrites"
            finding = Finding(message, (("metadata", "name"),), level=Level.WARNING, rule="twice")
            findings.append(resource.locate(finding))
        kept[key if resource.name else len(kept)] = resource
    return list(kept.values())


def _config(
    resources: Sequence[Resource], name: str, parse: Callable[[Mapping[str, str]], Any], findings: list[Finding]
) -> Any:
    """A cluster configuration from its ConfigMap, or the default one."""
    for resource in resources:
        if resource.group == "" and resource.kind == "ConfigMap" and resource.name == name:
            data, _ = decode(resource.data, schema.CONFIG_MAP, "ConfigMap")
            try:
                return parse(data.get("data", {}))
            except ManifestError as error:
                findings += [resource.locate(finding.below("data")) for finding in error.findings]
    return parse({})


def _checked(resource: Resource, autoscaler: AutoscalerConfig, defaults: Defaults, findings: list[Finding]) -> Resource:
    """The resource as Knative decodes it, with what Knative would refuse in it added to the findings."""
    key = (resource.group, resource.kind)
    if key not in _CHECKED:
        return resource
    fields, rules = _CHECKED[key]
    version = resource.api_version.rpartition("/")[2]
    if version != "v1":
        message = f'no matches for kind "{resource.kind}" in version "{resource.api_version}"'
        findings.append(resource.locate(Finding(message, (("apiVersion",),))))
        return resource
    data, mistakes = decode(resource.data, fields, resource.kind)
    mistakes += rules(data) if rules else serving_rules.service(data, autoscaler, defaults)
    findings += sorted(map(resource.locate, mistakes), key=lambda finding: finding.position or resource.position)
    return replace(resource, data=data, checked=True)
