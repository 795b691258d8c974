"""Manifests: the files that go to a cluster, read and refused as the cluster would refuse them.

`load` takes what `kubectl apply` takes: files of several documents, folders, kustomizations. What it returns has passed
Knative's own rules, so that its readers may trust fields and types.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path as FilePath
from typing import Any

from knative.local.check import eventing_rules, serving_rules
from knative.local.manifests import schema
from knative.local.manifests.cluster_config import (
    AutoscalerConfig,
    Defaults,
    parse_autoscaler_config,
    parse_defaults,
)
from knative.local.manifests.decoding import Struct, decode
from knative.local.manifests.findings import Finding, Level, ManifestError, Position
from knative.local.manifests.kustomize import KUSTOMIZATION_NAMES, build
from knative.local.manifests.resources import EVENTING, FLOWS, SERVING, Manifests, Resource
from knative.local.manifests.source import Document, read_file

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
