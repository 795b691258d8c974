"""What Knative's webhook refuses in Brokers, Triggers, Sequences and Parallels, features at their defaults.

Follows `pkg/apis/{eventing,flows,duck}/v1` of eventing. The data has been decoded: fields exist and have their types.
Where Knative prints a whole Go struct for a wrong step or branch, the reason inside it is given instead.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any
from urllib.parse import urlsplit

from knative.local.manifests import grammar
from knative.local.manifests.findings import Finding, Path, bad_key, both, disallowed, invalid, missing

INJECTION = "eventing.knative.dev/injection"
DEPENDENCY = "knative.dev/dependency"
_ATTRIBUTE = re.compile(r"[a-z][a-z0-9]*")
_NUMBER = r"[0-9]+(?:[.,][0-9]+)?"
_PERIOD = re.compile(
    rf"[-+]?P(?=.)(?:{_NUMBER}Y)?(?:{_NUMBER}M)?(?:{_NUMBER}W)?(?:{_NUMBER}D)?"
    rf"(?:T(?=.)(?:{_NUMBER}H)?(?:{_NUMBER}M)?(?:{_NUMBER}S)?)?"
)
_DIALECTS = ("exact", "prefix", "suffix", "all", "any", "not", "cesql")

Data = Mapping[str, Any]


def broker(data: Data) -> Iterator[Finding]:
    """Refusals in a Broker, at paths from its root."""
    yield from named(data)
    spec = data.get("spec", {})
    if "config" in spec:
        yield from _reference(spec["config"], ("spec", "config"))
    yield from _delivery(spec.get("delivery", {}), ("spec", "delivery"))


def trigger(data: Data) -> Iterator[Finding]:
    """Refusals in a Trigger, at paths from its root."""
    yield from named(data)
    spec = data.get("spec", {})
    name, reference = spec.get("broker", ""), spec.get("brokerRef")
    if not name and reference is None:
        yield missing(("spec", "broker"))
    elif name and reference is not None:
        yield both(("spec", "broker"), ("spec", "brokerRef"))
    if reference and reference.get("namespace"):
        details = (
            "only name, apiVersion and kind are supported fields when feature.CrossNamespaceEventLinks is disabled"
        )
        yield Finding("must not set the field(s)", (("spec", "brokerRef", "namespace"),), details)
    attributes = spec.get("filter", {}).get("attributes", {})
    yield from _attribute_names(attributes, ("spec", "filter", "attributes"))
    for index, item in enumerate(spec.get("filters", [])):
        yield from _filter(item, ("spec", "filters", index))
    yield from _destination(spec.get("subscriber", {}), ("spec", "subscriber"))
    yield from _delivery(spec.get("delivery", {}), ("spec", "delivery"))
    yield from _trigger_annotations(data.get("metadata", {}), name)


def _trigger_annotations(metadata: Data, broker_name: str) -> Iterator[Finding]:
    values = metadata.get("annotations", {})
    injection = values.get(INJECTION)
    path = ("metadata", "annotations", INJECTION)
    if injection is not None and injection not in {"enabled", "disabled"}:
        known = 'can only be "enabled" or "disabled"'
        yield Finding(f'The provided injection annotation value {known}, not "{injection}"', (path,))
    elif injection is not None and broker_name != "default":
        message = "The provided injection annotation is only used for default broker, but non-default broker specified"
        yield Finding(f'{message} here: "{broker_name}"', (path,))
    if DEPENDENCY in values:
        yield from _dependency(
            values[DEPENDENCY], metadata.get("namespace", ""), ("metadata", "annotations", DEPENDENCY)
        )


def _dependency(text: str, namespace: str, path: Path) -> Iterator[Finding]:
    try:
        reference = json.loads(text)
    except ValueError:
        reference = None
    if not isinstance(reference, dict):
        shown = json.dumps(text)
        yield Finding(f"The provided annotation was not a corev1.ObjectReference: {shown}", (path,))
        return
    if reference.get("namespace") not in (None, "", namespace):
        message = f'Namespace must be empty or equal to the trigger namespace "{namespace}"'
        yield Finding(message, ((*path, "namespace"),))
    for key in ("kind", "name", "apiVersion"):
        if not reference.get(key):
            yield missing((*path, key))


def sequence(data: Data) -> Iterator[Finding]:
    """Refusals in a Sequence, at paths from its root."""
    yield from named(data)
    spec = data.get("spec", {})
    if not spec.get("steps"):
        yield missing(("spec", "steps"))
    for index, step in enumerate(spec.get("steps", [])):
        yield from _destination(step, ("spec", "steps", index))
        yield from _delivery(step.get("delivery", {}), ("spec", "steps", index, "delivery"))
    yield from _flow(spec)


def parallel(data: Data) -> Iterator[Finding]:
    """Refusals in a Parallel, at paths from its root."""
    yield from named(data)
    spec = data.get("spec", {})
    if not spec.get("branches"):
        yield missing(("spec", "branches"))
    for index, branch in enumerate(spec.get("branches", [])):
        path = ("spec", "branches", index)
        yield from _destination(branch.get("subscriber", {}), (*path, "subscriber"))
        for key in ("filter", "reply"):
            if key in branch:
                yield from _destination(branch[key], (*path, key))
        yield from _delivery(branch.get("delivery", {}), (*path, "delivery"))
    yield from _flow(spec)


def _flow(spec: Data) -> Iterator[Finding]:
    """What Sequence and Parallel have in common; a channel template left out is the cluster's default."""
    if "channelTemplate" in spec:
        for key in ("apiVersion", "kind"):
            if not spec["channelTemplate"].get(key):
                yield missing(("spec", "channelTemplate", key))
    if "reply" in spec:
        yield from _destination(spec["reply"], ("spec", "reply"))


def named(data: Data) -> Iterator[Finding]:
    """Refusals in the name of any object."""
    metadata = data.get("metadata", {})
    name = metadata.get("name", "")
    if not name and not metadata.get("generateName"):
        yield Finding("name or generateName is required", (("metadata", "name"),))
    for reason in grammar.dns1123_subdomain(name) if name else ():
        yield Finding(f'metadata.name: Invalid value: "{name}": {reason}', (("metadata", "name"),))


def _reference(reference: Data, path: Path) -> Iterator[Finding]:
    for key in ("name", "apiVersion", "kind"):
        if not reference.get(key):
            yield missing((*path, key))
    if reference.get("group"):
        yield disallowed((*path, "group"))


def _destination(destination: Data, path: Path) -> Iterator[Finding]:
    reference, uri = destination.get("ref"), destination.get("uri")
    if reference is None and uri is None:
        yield Finding("expected at least one, got none", ((*path, "ref"), (*path, "uri")))
        return
    parts = urlsplit(uri or "")
    if reference is not None and parts.scheme:
        message = "Absolute URI is not allowed when Ref or [apiVersion, kind, name] is present"
        yield Finding(message, ((*path, "ref"), (*path, "uri")))
    elif reference is None and not (parts.scheme and parts.netloc):
        yield invalid("Relative URI is not allowed when Ref and [apiVersion, kind, name] is absent", (*path, "uri"))
    elif reference is not None and uri is None:
        yield from _reference(reference, (*path, "ref"))


def is_period(text: str) -> bool:
    """Whether a text is an ISO 8601 duration such as `PT0.2S`, as Eventing's delivery settings take it."""
    return _PERIOD.fullmatch(text) is not None


def _delivery(delivery: Data, path: Path) -> Iterator[Finding]:
    if "deadLetterSink" in delivery:
        yield from _destination(delivery["deadLetterSink"], (*path, "deadLetterSink"))
    if delivery.get("retry", 0) < 0:
        yield invalid(delivery["retry"], (*path, "retry"))
    checks: dict[str, Callable[[str], bool]] = {
        "timeout": lambda text: is_period(text) and any(digit in text for digit in "123456789"),
        "backoffDelay": is_period,
        "backoffPolicy": {"exponential", "linear"}.__contains__,
        "format": {"json", "binary"}.__contains__,
    }
    for key, accepts in checks.items():
        if key in delivery and not accepts(delivery[key]):
            yield invalid(delivery[key], (*path, key))
    if "retryAfterMax" in delivery:
        yield disallowed((*path, "retryAfterMax"))  # an alpha feature, off by default


def _attribute_names(attributes: Data, path: Path) -> Iterator[Finding]:
    for name in attributes:
        if not _ATTRIBUTE.fullmatch(name):
            details = "Attribute name must start with a letter and can only contain lowercase alphanumeric"
            yield bad_key(name, (*path, name), details)


def _filter(item: Data, path: Path) -> Iterator[Finding]:
    # An empty dialect counts as none, but `not: {}` counts: it is a pointer in Go.
    given = [dialect for dialect in _DIALECTS if item.get(dialect) or (dialect == "not" and "not" in item)]
    if len(given) > 1:
        message = "multiple dialects found, filters can have only one dialect set"
        yield Finding(message, tuple((*path, dialect) for dialect in given))
    for dialect in ("exact", "prefix", "suffix"):
        yield from _attribute_names(item.get(dialect, {}), (*path, dialect))
    for dialect in ("all", "any"):
        for index, inner in enumerate(item.get(dialect, [])):
            yield from _filter(inner, (*path, dialect, index))
    if "not" in item:
        yield from _filter(item["not"], (*path, "not"))
