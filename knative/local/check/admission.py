"""Manifests: the files that go to a cluster, read and refused as the cluster would refuse them.

`load` takes what `kubectl apply` takes: files of several documents, folders, kustomizations. What it returns has passed
Knative's own rules, so that its readers may trust fields and types.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path as FilePath

from knative.local.check import channel_rules, eventing_rules, serving_rules, source_rules
from knative.local.check.destinations import named
from knative.local.jsontypes import JsonMapping, JsonObject
from knative.local.manifests import kinds, schema
from knative.local.manifests.cluster import Cluster, readers
from knative.local.manifests.decoding import decode
from knative.local.manifests.findings import Finding, Level, ManifestError, Position
from knative.local.manifests.kinds import EVENTING, FLOWS, KINDS, MESSAGING, SERVING, SINKS, SOURCES
from knative.local.manifests.kustomize import KUSTOMIZATION_NAMES, build
from knative.local.manifests.resources import Manifests, Resource
from knative.local.manifests.source import Document, read_file

SUFFIXES = frozenset({".yaml", ".yml", ".json"})
"""Endings of the files of a folder that are read as manifests."""

Rules = Callable[[JsonMapping, Cluster], Iterator[Finding]]


def _config_map(data: JsonMapping, cluster: Cluster) -> Iterator[Finding]:
    del cluster  # which this ConfigMap may be a part of: `cluster_of` has checked its values
    return named(data)


RULES: Mapping[tuple[str, str], Rules] = {
    ("", "ConfigMap"): _config_map,
    (SERVING, "Service"): serving_rules.service,
    (SERVING, "Configuration"): serving_rules.configuration,
    (SERVING, "Route"): serving_rules.route,
    (SERVING, "Revision"): serving_rules.revision,
    (SERVING, "DomainMapping"): serving_rules.domain_mapping,
    (EVENTING, "Broker"): eventing_rules.broker,
    (EVENTING, "Trigger"): eventing_rules.trigger,
    (EVENTING, "EventType"): eventing_rules.event_type,
    (EVENTING, "EventPolicy"): eventing_rules.event_policy,
    (EVENTING, "EventTransform"): eventing_rules.event_transform,
    (EVENTING, "RequestReply"): eventing_rules.request_reply,
    (MESSAGING, "Channel"): channel_rules.channel,
    (MESSAGING, "InMemoryChannel"): channel_rules.in_memory_channel,
    (MESSAGING, "Subscription"): channel_rules.subscription,
    (FLOWS, "Sequence"): channel_rules.sequence,
    (FLOWS, "Parallel"): channel_rules.parallel,
    (SOURCES, "PingSource"): source_rules.ping_source,
    (SOURCES, "SinkBinding"): source_rules.sink_binding,
    (SOURCES, "ContainerSource"): source_rules.container_source,
    (SOURCES, "ApiServerSource"): source_rules.api_server_source,
    (SOURCES, "IntegrationSource"): source_rules.integration_source,
    (SINKS, "JobSink"): source_rules.job_sink,
    (SINKS, "IntegrationSink"): source_rules.integration_sink,
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
    cluster = cluster_of(resources, findings)
    checked = [_checked(resource, cluster, findings) for resource in resources]
    kept = _without_twins(checked, findings)
    return Manifests(tuple(kept), cluster, tuple(files), tuple(findings))


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


def cluster_of(resources: Sequence[Resource], findings: list[Finding]) -> Cluster:
    """The cluster's configuration from the ConfigMaps among the manifests; the first of a name counts."""
    values: JsonObject = {}
    for resource in resources:
        if (resource.group, resource.kind) != ("", "ConfigMap"):
            continue
        for reader in readers(resource.name, str(resource.metadata.get("namespace") or "")):
            data, _ = decode(resource.data, schema.CONFIG_MAP, "ConfigMap")
            try:
                values.setdefault(reader.attribute, reader.parse(data.get("data", {})))
            except ManifestError as error:
                findings += [resource.locate(finding.below("data")) for finding in error.findings]
    return Cluster(**values)


def _checked(resource: Resource, cluster: Cluster, findings: list[Finding]) -> Resource:
    """The resource as Knative decodes it, with what Knative would refuse in it added to the findings."""
    version = resource.api_version.rpartition("/")[2]
    kind = KINDS.get((resource.group, resource.kind))
    if kind is None or version not in kind.versions:
        findings += [resource.locate(finding) for finding in _unserved(resource)]
        return resource
    fields = kind.versions[version]
    if fields is None:
        return resource
    data, mistakes = decode(resource.data, fields, resource.kind)
    rules = RULES[resource.group, resource.kind]
    if version == "v1beta3":
        rules = eventing_rules.event_type_with_attributes
    mistakes += rules(data, cluster)
    findings += sorted(map(resource.locate, mistakes), key=lambda finding: finding.position or resource.position)
    return replace(resource, data=data, checked=True)


def _unserved(resource: Resource) -> Iterator[Finding]:
    """A refusal if the object's group is Knative's, and a cluster serves no such kind or version in it."""
    group, kind = resource.group, resource.kind
    known = [name for owner, name in KINDS if owner == group]
    if not kinds.is_knative(group) or kind in kinds.EXTENSIONS.get(group, ()):
        return
    message = f'no matches for kind "{kind}" in version "{resource.api_version}"'
    if kind in known:
        served = ", ".join(KINDS[group, kind].versions)
        yield Finding(message, (("apiVersion",),), f"{kind} is served in {served}", rule="unserved")
        return
    near = [name for name in known if name.lower() == kind.lower()] or difflib.get_close_matches(kind, known, n=1)
    elsewhere = [f"{owner}/{next(iter(found.versions))}" for (owner, name), found in KINDS.items() if name == kind]
    details = f"did you mean {near[0]}?" if near else f"{kind} is in {elsewhere[0]}" if elsewhere else ""
    yield Finding(message, (("kind",),), details, rule="unserved")
