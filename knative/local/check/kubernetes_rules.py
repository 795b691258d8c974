"""What Kubernetes refuses in the pod of a revision although Knative's webhook accepts it.

Follows `pkg/apis/core/validation/validation.go` of kubernetes: a server-side dry run finds it, and otherwise the
Deployment of the revision gets no pod. The data has been decoded: fields exist and have their types.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from knative.local.jsontypes import JsonMapping
from knative.local.manifests import grammar
from knative.local.manifests.findings import Finding, Path

Data = JsonMapping
_SOURCES = ("fieldRef", "resourceFieldRef", "configMapKeyRef", "secretKeyRef")
_RESOURCES = {"cpu", "memory", "ephemeral-storage"}
_HEADER = re.compile(r"[-A-Za-z0-9]+")
_KEY = re.compile(r"[-._a-zA-Z0-9]{1,253}")


def dry_run(reason: str, path: Path) -> Finding:
    """A refusal by the API server, which the webhook asks at a server-side dry run about the pod of the template."""
    details = "kubectl apply --dry-run=server refuses this; a plain apply accepts it, and the pod is refused later"
    return Finding(f"dry run failed with Pod is invalid: spec.{reason}", (path,), details, rule="dry-run")


def container_fields(container: Data) -> Iterator[Finding]:
    """Refusals in a container, at paths from there."""
    for index, variable in enumerate(container.get("env", [])):
        for finding in _value_from(variable):
            yield finding.below("env", index)
    for index, source in enumerate(container.get("envFrom", [])):
        for key in ("configMapRef", "secretRef"):
            if key in source and not source[key].get("name"):
                yield dry_run(f"containers[0].envFrom[{index}].{key}.name: Required value", ("envFrom", index, key))
    for kind in ("limits", "requests"):
        for name in container.get("resources", {}).get(kind, {}):
            if "/" not in name and name not in _RESOURCES and not name.startswith("hugepages-"):
                shown = f'containers[0].resources.{kind}[{name}]: Invalid value: "{name}"'
                yield dry_run(f"{shown}: must be a standard resource for containers", ("resources", kind, name))
    for index, mount in enumerate(container.get("volumeMounts", [])):
        yield from _mount(mount, index)
    for kind in ("livenessProbe", "readinessProbe", "startupProbe"):
        yield from _probe(kind, container.get(kind, {}))


def volume_fields(volume: Data) -> Iterator[Finding]:
    """Refusals in a volume, at paths from there."""
    for key, field in (("secret", "secretName"), ("configMap", "name")):
        if key in volume and not volume[key].get(field):
            yield dry_run(f"volumes[0].{key}.{field}: Required value", (key,))


def _value_from(variable: Data) -> Iterator[Finding]:
    if "valueFrom" not in variable:
        return
    source, place = variable["valueFrom"], "containers[0].env[0].valueFrom"
    given = [key for key in _SOURCES if key in source]
    if not given:
        wanted = "must specify one of: `fieldRef`, `resourceFieldRef`, `configMapKeyRef` or `secretKeyRef`"
        yield dry_run(f'{place}: Invalid value: "": {wanted}', ("valueFrom",))
    elif len(given) > 1 and not variable.get("value"):
        yield dry_run(
            f'{place}: Invalid value: "": may not have more than one field specified at a time', ("valueFrom",)
        )
    for key in _SOURCES[2:]:
        if key not in source:
            continue
        name, entry, path = source[key].get("name", ""), source[key].get("key", ""), ("valueFrom", key)
        for reason in grammar.dns1123_subdomain(name):
            yield dry_run(f'{place}.{key}.name: Invalid value: "{name}": {reason}', path)
        if not entry:
            yield dry_run(f"{place}.{key}.key: Required value", path)
        elif not _KEY.fullmatch(entry) or entry in {".", ".."}:
            wanted = "a valid config key must consist of alphanumeric characters, '-', '_' or '.'"
            yield dry_run(f'{place}.{key}.key: Invalid value: "{entry}": {wanted}', path)


def _mount(mount: Data, index: int) -> Iterator[Finding]:
    place, path = f"containers[0].volumeMounts[{index}]", ("volumeMounts", index)
    below = mount.get("subPath", "")
    if below.startswith("/"):
        yield dry_run(f'{place}.subPath: Invalid value: "{below}": must be a relative path', (*path, "subPath"))
    elif ".." in below.split("/"):
        yield dry_run(f"{place}.subPath: Invalid value: \"{below}\": must not contain '..'", (*path, "subPath"))


def _probe(kind: str, probe: Data) -> Iterator[Finding]:
    if "exec" in probe and not probe["exec"].get("command"):
        yield dry_run(f"containers[0].{kind}.exec.command: Required value", (kind, "exec"))
    if kind == "readinessProbe":
        return  # queue-proxy runs it, unless it is a command
    for handler in ("httpGet", "tcpSocket", "grpc"):
        port = probe.get(handler, {}).get("port", 0)
        if isinstance(port, int) and not 0 <= port <= 65535:
            reason = "must be between 1 and 65535, inclusive"
            yield dry_run(
                f"containers[0].{kind}.{handler}.port: Invalid value: {port}: {reason}", (kind, handler, "port")
            )
    action = probe.get("httpGet", {})
    scheme = action.get("scheme") or "HTTP"
    if scheme not in {"HTTP", "HTTPS"}:
        reason = f'Unsupported value: "{scheme}": supported values: "HTTP", "HTTPS"'
        yield dry_run(f"containers[0].{kind}.httpGet.scheme: {reason}", (kind, "httpGet", "scheme"))
    for index, header in enumerate(action.get("httpHeaders", [])):
        if not _HEADER.fullmatch(header.get("name", "")):
            reason = "a valid HTTP header must consist of alphanumeric characters or '-'"
            yield dry_run(
                f'containers[0].{kind}.httpGet.httpHeaders: Invalid value: "{header.get("name", "")}": {reason}',
                (kind, "httpGet", "httpHeaders", index),
            )
