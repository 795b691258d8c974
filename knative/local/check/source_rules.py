"""What Knative's webhook refuses in sources and sinks of events.

Follows `pkg/apis/{sources,sinks}` of eventing. The data has been decoded: fields exist and have their types.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Iterator

from knative.local.check.destinations import named, source
from knative.local.check.eventing_rules import filters
from knative.local.jsontypes import Json, JsonMapping
from knative.local.manifests import cron, grammar
from knative.local.manifests.cluster import Cluster
from knative.local.manifests.findings import Finding, Path, both, invalid, missing, neither

Data = JsonMapping


def ping_source(data: Data, cluster: Cluster) -> Iterator[Finding]:
    """Refusals in a PingSource, at paths from its root."""
    yield from named(data)
    spec = data.get("spec", {})
    schedule = spec.get("schedule") or cron.DEFAULT
    if "@every" in schedule:
        yield invalid("unsupported descriptor @every", ("spec", "schedule"))
    else:
        try:
            cron.parse(schedule, spec.get("timezone", ""))
        except LookupError as error:
            yield invalid(error.args[0], ("spec", "timezone"))
        except ValueError as error:
            yield invalid(error, ("spec", "schedule"))
    yield from source(spec, cluster)
    if spec.get("data") and spec.get("dataBase64"):
        yield both(("spec", "data"), ("spec", "dataBase64"))
        return
    key = "dataBase64" if spec.get("dataBase64") else "data"
    yield from _payload(spec.get(key, ""), key, spec.get("contentType", ""))


def _payload(text: str, key: str, media_type: str) -> Iterator[Finding]:
    if not text:
        return
    try:
        body = base64.b64decode(text, validate=True).decode() if key == "dataBase64" else text
    except (binascii.Error, UnicodeDecodeError) as error:
        if isinstance(error, binascii.Error):
            yield invalid("illegal base64 data", ("spec", key))
            return
        body = ""
    if media_type == "application/json":
        try:
            fits = isinstance(json.loads(body), dict | None)
        except (ValueError, RecursionError):
            fits = False
        if not fits:
            yield invalid("the data is no JSON object", ("spec", key))


def sink_binding(data: Data, cluster: Cluster) -> Iterator[Finding]:
    """Refusals in a SinkBinding, at paths from its root."""
    yield from named(data)
    spec = data.get("spec", {})
    subject = spec.get("subject", {})
    path: Path = ("spec", "subject")
    if not subject.get("apiVersion"):
        yield missing((*path, "apiVersion"))
    elif mistakes := grammar.qualified_name(subject["apiVersion"]):
        yield invalid(", ".join(mistakes), (*path, "apiVersion"))
    if not subject.get("kind"):
        yield missing((*path, "kind"))
    elif not subject["kind"].isidentifier():
        yield invalid("a valid C identifier must start with a letter or '_'", (*path, "kind"))
    if subject.get("name") and "selector" in subject:
        yield both((*path, "selector"), (*path, "name"))
    elif not subject.get("name") and "selector" not in subject:
        yield neither((*path, "selector"), (*path, "name"))
    elif "selector" in subject:
        yield from _selector(subject["selector"], (*path, "selector"))
    elif not grammar.is_dns1123_label(subject["name"]):
        yield invalid("a lowercase RFC 1123 label is expected", (*path, "name"))
    yield from source(spec, cluster)
    namespace, own = subject.get("namespace", ""), data.get("metadata", {}).get("namespace") or "default"
    if namespace and namespace != own:
        yield invalid(namespace, (*path, "namespace"))


def _selector(selector: Data, path: Path) -> Iterator[Finding]:
    keys = [*selector.get("matchLabels", {}), *(one.get("key", "") for one in selector.get("matchExpressions", []))]
    for key in keys:
        if mistakes := grammar.qualified_name(key):
            yield invalid(f'key: Invalid value: "{key}": {"; ".join(mistakes)}', path)
    for item in selector.get("matchExpressions", []):
        operator, values = item.get("operator", ""), item.get("values", [])
        if operator not in {"In", "NotIn", "Exists", "DoesNotExist"}:
            yield invalid(f'"{operator}" is not a valid label selector operator', path)
        elif bool(values) is (operator in {"Exists", "DoesNotExist"}):
            needs = "must be empty for" if values else "must be non-empty for"
            yield invalid(f"values set {needs} {operator}", path)


def container_source(data: Data, cluster: Cluster) -> Iterator[Finding]:
    """Refusals in a ContainerSource, at paths from its root."""
    yield from named(data)
    spec = data.get("spec", {})
    yield from source(spec, cluster)
    pod = spec.get("template", {}).get("spec")
    containers = pod.get("containers") if isinstance(pod, dict) else None
    if not isinstance(containers, list) or not containers:
        yield missing(("spec", "containers"))
        return
    for index, container in enumerate(containers):
        # A container without a name gets one from the defaulting webhook before.
        if not isinstance(container, dict) or not container.get("image"):
            yield missing(("spec", "containers", index, "image"))


def api_server_source(data: Data, cluster: Cluster) -> Iterator[Finding]:
    """Refusals in an ApiServerSource, at paths from its root; a mode left out is `Reference`."""
    yield from named(data)
    spec = data.get("spec", {})
    if (spec.get("mode") or "Reference") not in {"Reference", "Resource"}:
        yield invalid(spec["mode"], ("spec", "mode"))
    if not spec.get("resources"):
        yield missing(("spec", "resources"))
    kinds: list[tuple[Path, Data]] = [(("resources", i), item) for i, item in enumerate(spec.get("resources", []))]
    if "owner" in spec:
        kinds.append((("owner",), spec["owner"]))
    for path, item in kinds:
        if item.get("apiVersion", "").count("/") > 1:
            yield invalid(item["apiVersion"], ("spec", *path, "apiVersion"))
        if not item.get("kind", "").strip():
            yield missing(("spec", *path, "kind"))
    yield from source(spec, cluster)
    if spec.get("filters") and not cluster.eventing("new-apiserversource-filters"):
        message = "Filters is not empty but the NewAPIServerFilters feature is disabled."
        yield Finding(message, (("spec", "filters"),))
    else:
        yield from filters(spec.get("filters", []), ("spec", "filters"))


def job_sink(data: Data, cluster: Cluster) -> Iterator[Finding]:
    """Refusals in a JobSink, at paths from its root. Knative leaves the Job to the API server's dry run."""
    del cluster
    yield from named(data)
    if "job" not in data.get("spec", {}):
        yield neither(("spec", "job"))


_NEEDED = {
    "s3": ("arn", "region"),
    "sqs": ("arn", "region"),
    "sns": ("arn", "region"),
    "ddbStreams": ("table", "region"),
}


def integration_sink(data: Data, cluster: Cluster) -> Iterator[Finding]:
    """Refusals in an IntegrationSink, at paths from its root."""
    del cluster
    yield from named(data)
    yield from _integration(data.get("spec", {}), "sink", ("log",), ("s3", "sqs", "sns"))


def integration_source(data: Data, cluster: Cluster) -> Iterator[Finding]:
    """Refusals in an IntegrationSource, at paths from its root. Knative does not check its sink."""
    del cluster
    yield from named(data)
    yield from _integration(data.get("spec", {}), "source", ("timer",), ("s3", "sqs", "ddbStreams"))


def _integration(spec: Data, what: str, plain: tuple[str, ...], services: tuple[str, ...]) -> Iterator[Finding]:
    aws = spec.get("aws")
    aws = aws if isinstance(aws, dict) else {}
    chosen = [key for key in plain if key in spec] + [key for key in services if key in aws]
    if len(chosen) != 1:
        many = f"only one {what} type can be set" if chosen else f"at least one {what} type must be specified"
        yield Finding(many, (("spec",),))
        return
    if chosen[0] not in services:
        return
    if not _at(aws, "auth", "serviceAccountName") and not _at(aws, "auth", "secret", "ref", "name"):
        yield missing(("spec", "aws", "auth", "secret", "ref", "name"))
    for key in _NEEDED[chosen[0]]:
        if not _at(aws, chosen[0], key):
            shown = "ddb-streams" if chosen[0] == "ddbStreams" else chosen[0]
            yield missing(("spec", "aws", shown, key))


def _at(value: Json, *keys: str) -> Json:
    for key in keys:
        value = value.get(key) if isinstance(value, dict) else None
    return value
