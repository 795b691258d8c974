"""Admission of an object: Knative's defaults, and its refusals with the webhook's messages.

Whatever writes to the store passes here first: requests to the API and manifests that are applied from files.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from copy import deepcopy
from enum import StrEnum

from knative.local.api.defaults import BROKER_CLASS, set_defaults
from knative.local.api.kinds import group_of
from knative.local.check.admission import RULES
from knative.local.jsontypes import Json, JsonMapping, JsonObject
from knative.local.manifests import schema
from knative.local.manifests.cluster import EVENTING_NAMESPACE, SERVING_NAMESPACE, Cluster, readers
from knative.local.manifests.decoding import decode
from knative.local.manifests.findings import Finding, Level, ManifestError, Path, dotted
from knative.local.manifests.kinds import EVENTING, KINDS, MESSAGING, SERVING

Object = JsonObject

USER = "admin"
"""The user name that Knative writes into the annotations `creator` and `lastModifier`."""


class Operation(StrEnum):
    """What is done to the object."""

    CREATE = "CREATE"
    UPDATE = "UPDATE"


class AdmissionError(ValueError):
    """A refusal by one of Knative's webhooks; the API answers it with status 400."""


def admission(cluster: Cluster, obj: JsonMapping, old: JsonMapping | None, operation: Operation) -> Object:
    """Return the object as Knative stores it.

    The API calls this for each create, update and patch, and what applies manifests from files for each object of
    them, with the object that results from merging the file into the stored one. It does not touch the store. A change
    of `status` alone does not pass here, as on a cluster.

    Args:
        cluster: the cluster's configuration.
        obj: the object, with `apiVersion`, `kind` and `metadata`; it is not changed. Unknown fields are dropped.
        old: the stored object, for an update.
        operation: create or update.

    Raises:
        AdmissionError: Knative refuses the object; the message is the webhook's.
    """
    group, version = group_of(str(obj.get("apiVersion", "")))
    kind = str(obj.get("kind", ""))
    if (group, kind) == ("", "ConfigMap"):
        _configuration(obj)
    known = KINDS.get((group, kind))
    fields = known.versions.get(version) if known is not None and group else None
    if fields is None:
        return deepcopy(dict(obj))
    decoded, mistakes = decode(obj, fields, kind)
    area = group.partition(".")[0] if group == SERVING else "eventing"
    wrong = [finding for finding in mistakes if finding.rule == "wrong-type"]
    if wrong:
        raise AdmissionError(_denied(f"webhook.{area}", f"mutation failed: {wrong[0].message}"))
    data: Object = deepcopy(decoded)
    data.setdefault("metadata", {})
    findings = [*RULES[group, kind](data, cluster)]
    before = deepcopy(dict(old)) if operation is Operation.UPDATE and old is not None else None
    set_defaults(group, kind, data, before, cluster)
    _record_user(group, data, before)
    if before is not None:
        findings += _immutable(group, kind, data, before)
    refused = [finding for finding in findings if finding.level is Level.ERROR]
    if refused:
        raise AdmissionError(_denied(f"validation.webhook.{area}", f"validation failed: {_text(refused)}"))
    return data


def warnings(obj: JsonMapping) -> list[str]:
    """Return what Knative's webhook warns of in an object that it has accepted."""
    from knative.local.check.lint import webhook_warnings

    group, _ = group_of(str(obj.get("apiVersion", "")))
    return _lines(webhook_warnings(group, str(obj.get("kind", "")), obj))


def _denied(webhook: str, reason: str) -> str:
    return f'admission webhook "{webhook}.knative.dev" denied the request: {reason}'


def _text(findings: Iterable[Finding]) -> str:
    return "\n".join(_lines(findings))


def _lines(findings: Iterable[Finding]) -> list[str]:
    """Join findings as Knative does: those of one message are one with all paths, in order."""
    merged: dict[tuple[str, str], list[str]] = {}
    for finding in findings:
        paths = merged.setdefault((finding.message, finding.details), [])
        paths += [shown for path in finding.paths if (shown := dotted(path)) not in paths]
    lines = []
    for (message, details), paths in sorted(merged.items()):
        line = f"{message}: {', '.join(sorted(paths))}"
        lines.append(f"{line}\n{details}" if details else line)
    return lines


def _configuration(obj: JsonMapping) -> None:
    """Refuse a ConfigMap of Knative's own with values that Knative cannot read."""
    metadata = obj.get("metadata", {})
    namespace = str(metadata.get("namespace", ""))
    area = {SERVING_NAMESPACE: "serving", EVENTING_NAMESPACE: "eventing"}.get(namespace)
    if area is None:
        return
    data, _ = decode(obj, schema.CONFIG_MAP, "ConfigMap")
    for reader in readers(str(metadata.get("name", "")), namespace):
        try:
            reader.parse(data.get("data", {}))
        except ManifestError as error:
            message = f"validation failed: {_text(error.findings)}"
            raise AdmissionError(_denied(f"config.webhook.{area}", message)) from None


def _record_user(group: str, data: Object, old: Object | None) -> None:
    """Write who created the object and who changed its specification last."""
    metadata = data["metadata"]
    if group == SERVING and (metadata.get("ownerReferences") or data["kind"] == "Revision"):
        return  # it has the annotations of its owner
    annotations = metadata.setdefault("annotations", {})
    if old is None:
        annotations[f"{group}/creator"] = annotations[f"{group}/lastModifier"] = USER
    elif old.get("spec") != data.get("spec"):
        annotations[f"{group}/lastModifier"] = USER
    if not annotations:
        del metadata["annotations"]


# Fields that an update may not change


def _immutable(group: str, kind: str, data: Object, old: Object) -> Iterator[Finding]:
    if group == SERVING:
        yield from _serving_immutable(kind, data, old)
    elif (group, kind) == (EVENTING, "Trigger"):
        yield from _unchanged(("spec", "broker"), data, old)
    elif (group, kind) == (EVENTING, "Broker"):
        spec, before = ({**one.get("spec", {})} for one in (data, old))
        spec.pop("delivery", None)
        before.pop("delivery", None)
        if spec != before:
            yield _changed(("spec",), before, spec)
        given, kept = (one["metadata"].get("annotations", {}).get(BROKER_CLASS, "") for one in (data, old))
        if given != kept:
            message = "Immutable annotations changed (-old +new)"
            yield Finding(message, (("annotations",),), _difference("annotations", kept, given))
    elif (group, kind) == (MESSAGING, "Channel"):
        yield from _unchanged(("spec", "channelTemplate"), data, old, shown=("spec",))
    elif (group, kind) == (MESSAGING, "Subscription"):
        yield from _unchanged(("spec", "channel"), data, old, shown=("spec",))


def _serving_immutable(kind: str, data: Object, old: Object) -> Iterator[Finding]:
    if kind == "Revision":
        yield from _unchanged(("spec",), data, old)
    if kind in ("Service", "Configuration", "Route") and not data["metadata"].get("ownerReferences"):
        key = f"{SERVING}/creator"
        given, kept = (one["metadata"].get("annotations", {}).get(key, "") for one in (data, old))
        if given != kept:
            yield Finding("annotation value is immutable", (("metadata", "annotations", key),))
    if kind in ("Service", "Configuration"):
        template, before = (one.get("spec", {}).get("template", {}) for one in (data, old))
        name = template.get("metadata", {}).get("name")
        if name and name == before.get("metadata", {}).get("name") and template != before:
            message = "Saw the following changes without a name change (-old +new)"
            path = ("spec", "template", "metadata", "name")
            yield Finding(message, (path,), _difference("spec.template", before, template))


def _unchanged(path: Path, data: Object, old: Object, *, shown: Path = ()) -> Iterator[Finding]:
    given, kept = _at(data, path), _at(old, path)
    if given != kept:
        yield _changed(shown or path, kept, given)


def _at(obj: Json, path: Path) -> Json:
    for part in path:
        obj = obj.get(part) if isinstance(obj, dict) else None
    return obj


def _changed(path: Path, old: Json, new: Json) -> Finding:
    return Finding("Immutable fields changed (-old +new)", (path,), _difference(dotted(path), old, new))


def _difference(path: str, old: Json, new: Json) -> str:
    """Return the leaves that differ, each with its old and its new value."""
    if isinstance(old, dict) and isinstance(new, dict):
        parts = (_difference(f"{path}.{key}", old.get(key), new.get(key)) for key in sorted({*old, *new}))
        return "".join(parts)
    if old == new:
        return ""
    lines = [f"{{{path}}}:"]
    lines += [f"\t-: {json.dumps(old)}"] if old is not None else []
    lines += [f"\t+: {json.dumps(new)}"] if new is not None else []
    return "\n".join(lines) + "\n"
