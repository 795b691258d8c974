"""What Knative's webhook refuses in the pod of a revision and its containers, by the cluster's features.

Follows `pkg/apis/serving/k8s_validation.go` of serving and, for what only the dry run of a pod finds, Kubernetes' own
pod validation. The data has been decoded: fields exist and have their types.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence

from knative.local.check.kubernetes_rules import container_fields, dry_run, volume_fields
from knative.local.check.volume_rules import mounting, volumes
from knative.local.jsontypes import JsonMapping
from knative.local.manifests import grammar
from knative.local.manifests.cluster import Cluster
from knative.local.manifests.decoding import decode
from knative.local.manifests.findings import (
    Finding,
    Path,
    both,
    disallowed,
    dotted,
    each,
    invalid,
    missing,
    neither,
    out_of_bounds,
)
from knative.local.manifests.schema import CONTAINER, FEATURE_FIELDS

RESERVED_VARIABLES = ("PORT", "K_SERVICE", "K_CONFIGURATION", "K_REVISION")
RESERVED_PORTS = (8008, 8012, 8013, 8022, 9090, 9091)
PORT_NAMES = ("h2c", "http1", "")
_MAX_INT32 = 2**31 - 1

Data = JsonMapping


def pod(spec: Data, cluster: Cluster) -> Iterator[Finding]:
    """Refusals in the spec of a revision, at paths from there."""
    for name in FEATURE_FIELDS:
        if _is_set(name, spec.get(name)) and not cluster.allowed(f"kubernetes.podspec-{name.lower()}"):
            yield disallowed((name,))
    if spec.get("automountServiceAccountToken"):
        yield disallowed(("automountServiceAccountToken",))
    started = [item for item in spec.get("initContainers") or () if isinstance(item, dict)]
    if started and not cluster.enabled("kubernetes.podspec-init-containers"):
        message = f"pod spec support for init-containers is off, but found {len(started)} init containers"
        yield Finding(message, (("initContainers",),))
    for reason in grammar.dns1123_subdomain(account) if (account := spec.get("serviceAccountName")) else ():
        yield invalid(account, ("serviceAccountName",), reason)
    yield from _duplicates(spec.get("imagePullSecrets", []), ("imagePullSecrets",), "name")
    containers = spec.get("containers", [])
    mounts = [mount for container in containers for mount in container.get("volumeMounts", [])]
    for container in started:
        mounts += container.get("volumeMounts") or []
    mounted = {mount.get("name") for mount in mounts if isinstance(mount, dict)}
    yield from volumes(spec.get("volumes", []), mounted, cluster)
    for index, volume in enumerate(spec.get("volumes", [])):
        for finding in volume_fields(volume):
            yield finding.below("volumes", index)
    mountable = {volume.get("name"): volume for volume in spec.get("volumes", [])}
    yield from _containers(containers, mountable, cluster)
    if started and cluster.enabled("kubernetes.podspec-init-containers"):
        yield from _init_containers(started, {item.get("name") for item in containers}, mountable, cluster)


def _init_containers(
    started: Sequence[Data], names: set[str | None], mountable: Mapping[str, Data], cluster: Cluster
) -> Iterator[Finding]:
    for index, item in enumerate(started):
        container, mistakes = decode(item, CONTAINER, "Service")
        rules = [*mistakes, *_container(container, mountable, serves=False, cluster=cluster)]
        if container.get("name") and container["name"] in names:
            rules.append(Finding(f'duplicate container name "{container["name"]}"', (("name",),)))
        probes = [key for key in ("livenessProbe", "readinessProbe", "startupProbe") if key in container]
        rules += [Finding("field not allowed in an init container", ((probe,),)) for probe in probes]
        names.add(container.get("name"))
        for finding in rules:
            yield finding.below("initContainers", index)


def _is_set(name: str, value: object) -> bool:
    """Whether Go sees a field as set: a zero value counts only where the field is a pointer."""
    if name in {"affinity", "dnsConfig", "runtimeClassName", "securityContext", "shareProcessNamespace"}:
        return value is not None
    return value not in (None, False, "", [], {})


def _duplicates(items: list[Data], path: Path, key: str) -> Iterator[Finding]:
    """Refusals by the API server of a list whose entries are identified by a key."""
    seen: set[object] = set()
    for index, item in enumerate(items):
        if (value := item.get(key)) in seen and value is not None:
            shown = f'Duplicate value: {{"{key}":"{value}"}}'
            yield Finding(f"{dotted(path)}[{index}]: {shown}", ((*path, index, key),), rule="duplicate")
        seen.add(value)


def _containers(containers: list[Data], mountable: Mapping[str, Data], cluster: Cluster) -> Iterator[Finding]:
    if not containers:
        yield missing(("containers",))
        return
    if len(containers) > 1 and not cluster.enabled("multi-container"):
        yield Finding(f"multi-container is off, but found {len(containers)} containers", (("containers",),))
        return
    ports = [port for container in containers for port in container.get("ports", [])]
    if not ports and len(containers) > 1:
        yield missing(("containers", "*", "ports"))
    if len(ports) > 1:
        details = "Only a single port is allowed across all containers"
        yield Finding("more than one container port is set", (("containers", "*", "ports"),), details)
    port_name = ports[0].get("name", "http") if ports else "http"
    names: set[str] = set()
    for index, container in enumerate(containers):
        path = ("containers", index)
        name = container.get("name", "")
        if name and name in names:
            yield Finding(f'duplicate container name "{name}"', ((*path, "name"),))
        names.add(name)
        serves = len(containers) == 1 or bool(container.get("ports"))
        rules = (
            *_container(container, mountable, serves, cluster),
            *_probes(container, serves, port_name, cluster),
        )
        for finding in rules:
            yield finding.below(*path)


def _container(container: Data, mountable: Mapping[str, Data], serves: bool, cluster: Cluster) -> Iterator[Finding]:
    name = container.get("name", "")
    if name == "queue-proxy":
        yield Finding(f'"{name}" is a reserved container name', (("name",),))
    elif name and not grammar.is_dns1123_label(name):
        yield dry_run(
            f"containers[0].name: Invalid value: {_quoted(name)}: a lowercase RFC 1123 label must consist of "
            "lower case alphanumeric characters or '-'",
            ("name",),
        )
    yield from _image(container.get("image", ""))
    for index, variable in enumerate(container.get("env", [])):
        for finding in _variable(variable, serves, cluster):
            yield finding.below("env", index)
    yield from _duplicates(container.get("env", []), ("env",), "name")
    for index, source in enumerate(container.get("envFrom", [])):
        given = [(key,) for key in ("configMapRef", "secretRef") if key in source]
        if len(given) != 1:
            finding = both(*given) if given else neither(("configMapRef",), ("secretRef",))
            yield finding.below("envFrom", index)
    for finding in _port(container.get("ports", [])):
        yield finding.below("ports")
    for finding in _resources(container.get("resources", {})):
        yield finding.below("resources")
    for finding in _security(container.get("securityContext", {}), cluster):
        yield finding.below("securityContext")
    yield from _policies(container)
    for finding in mounting(container.get("volumeMounts", []), mountable, cluster):
        yield finding.below("volumeMounts")
    yield from container_fields(container)


def _policies(container: Data) -> Iterator[Finding]:
    policy = container.get("terminationMessagePolicy", "")
    if policy not in {"File", "FallbackToLogsOnError", ""}:
        yield invalid(policy, ("terminationMessagePolicy",))
    pull = container.get("imagePullPolicy", "")
    if pull not in {"Always", "IfNotPresent", "Never", ""}:
        shown = f'Unsupported value: {_quoted(pull)}: supported values: "Always", "IfNotPresent", "Never"'
        yield dry_run(f"imagePullPolicy: {shown}", ("imagePullPolicy",))


def _probes(container: Data, serves: bool, port_name: str, cluster: Cluster) -> Iterator[Finding]:
    """Refusals in the probes; those of a sidecar are behind a feature."""
    for probe in ("livenessProbe", "readinessProbe", "startupProbe"):
        if probe not in container:
            continue
        known = serves or cluster.enabled("multi-container-probing")
        rules = _probe(probe, container[probe], port_name) if known else _sidecar_probe(probe, container[probe])
        for finding in rules:
            yield finding.below(probe)


def _quoted(text: object) -> str:
    return f'"{text}"'


def _image(image: str) -> Iterator[Finding]:
    if not image:
        yield missing(("image",))
        return
    try:
        grammar.Image(image)
    except ValueError as error:
        details = f'image: "{image}", error: could not parse reference: {error}'
        yield Finding("Failed to parse image reference", (("image",),), details)


_VARIABLE = re.compile(r"[-._a-zA-Z][-._a-zA-Z0-9]*")


def _variable(variable: Data, serves: bool, cluster: Cluster) -> Iterator[Finding]:
    name = variable.get("name", "")
    if not name:
        yield missing(("name",))
    elif name in RESERVED_VARIABLES and (serves or name != "PORT"):
        yield Finding(f'"{name}" is a reserved environment variable', (("name",),))
    elif not _VARIABLE.fullmatch(name):
        yield dry_run(
            f"containers[0].env.name: Invalid value: {_quoted(name)}: a valid environment variable name must "
            "consist of alphabetic characters, digits, '_', '-', or '.'",
            ("name",),
        )
    source = variable.get("valueFrom", {})
    refused = [("valueFrom", key) for key in ("fieldRef", "resourceFieldRef") if key in source]
    if refused and not cluster.allowed("kubernetes.podspec-fieldref"):
        yield disallowed(*refused)
    if variable.get("value") and source:
        yield dry_run(
            'containers[0].env.valueFrom: Invalid value: "": may not be specified when `value` is not empty',
            ("valueFrom",),
        )


def _port(ports: list[Data]) -> Iterator[Finding]:
    if not ports:
        return
    number, name, protocol = ports[0].get("containerPort", 0), ports[0].get("name", ""), ports[0].get("protocol", "")
    # The webhook names the port at the list, not at its first entry.
    if number in RESERVED_PORTS:
        details = f"{number} is a reserved port, please use a different value"
        yield invalid(f"{number} is a reserved port", ("containerPort",), details)
    if not 0 <= number <= 65535:
        yield out_of_bounds(number, 0, 65535, ("containerPort",))
    if protocol not in {"", "TCP"}:
        yield invalid(protocol, ("protocol",))
    if name not in PORT_NAMES:
        yield Finding(f"Port name {name} is not allowed", ((),), "Name must be empty, or one of: 'h2c', 'http1'")


_HANDLERS = ("httpGet", "tcpSocket", "exec", "grpc")


def _probe(kind: str, probe: Data, port_name: str) -> Iterator[Finding]:
    given = [handler for handler in _HANDLERS if handler in probe]
    # A readiness probe without a handler is given a TCP one.
    if not given and kind != "readinessProbe":
        yield neither(*each(_HANDLERS))
    elif len(given) > 1:
        yield both(*each(given))
    for handler in ("httpGet", "tcpSocket"):
        port = probe.get(handler, {}).get("port", 0)
        if isinstance(port, str) and port not in {"", port_name}:
            yield invalid(port, (handler, "port"), "Probe port must match container port")
        if kind == "startupProbe" and handler in probe and port in {0, ""}:
            yield dry_run(
                f"containers[0].startupProbe.{handler}.port: Invalid value: 0: must be between 1 and 65535, inclusive",
                (handler,),
            )
    if kind == "readinessProbe":
        yield from _readiness(probe)
    elif probe.get("successThreshold", 1) != 1:
        yield dry_run(
            f"containers[0].{kind}.successThreshold: Invalid value: {probe['successThreshold']}: must be 1",
            ("successThreshold",),
        )


def _sidecar_probe(kind: str, probe: Data) -> Iterator[Finding]:
    """Everything in it is refused; the handler is inlined in Go, so that the probe itself is named for it."""
    names: set[Path] = {() if key in _HANDLERS else (key,) for key, value in probe.items() if value or key in _HANDLERS}
    # Which Knative fills in before it looks.
    if kind == "readinessProbe":
        names.add(("successThreshold",))
        names |= {("failureThreshold",), ("timeoutSeconds",)} if probe.get("periodSeconds") else set()
    yield disallowed(*sorted(names))


def _readiness(probe: Data) -> Iterator[Finding]:
    period = probe.get("periodSeconds", 0)
    for name in ("periodSeconds", "initialDelaySeconds"):
        if probe.get(name, 0) < 0:
            yield out_of_bounds(probe[name], 0, _MAX_INT32, (name,))
    if probe.get("successThreshold", 1) < 0:
        yield out_of_bounds(probe["successThreshold"], 1, _MAX_INT32, ("successThreshold",))
    for name in ("failureThreshold", "timeoutSeconds"):
        value = probe.get(name, 0)
        # No period is Knative's own probe, which asks every 50 ms until it succeeds.
        if period == 0 and value != 0:
            yield Finding(f"{name} is disallowed when periodSeconds is zero", ((name,),))
        elif period != 0 and value < 0:
            yield out_of_bounds(value, 1, _MAX_INT32, (name,))


def _resources(resources: Data) -> Iterator[Finding]:
    limits = resources.get("limits", {})
    for kind in ("limits", "requests"):
        for name, text in resources.get(kind, {}).items():
            if grammar.parse_quantity(str(text)) < 0:
                reason = (
                    f"containers[0].resources.{kind}[{name}]: Invalid value: {_quoted(text)}: must be greater than or "
                )
                yield dry_run(f"{reason}equal to 0", (kind, name))
    for name, text in resources.get("requests", {}).items():
        if name in limits and grammar.parse_quantity(str(text)) > grammar.parse_quantity(str(limits[name])):
            reason = f"must be less than or equal to {name} limit of {limits[name]}"
            yield dry_run(
                f"containers[0].resources.requests: Invalid value: {_quoted(text)}: {reason}", ("requests", name)
            )


def _security(context: Data, cluster: Cluster) -> Iterator[Finding]:
    added = context.get("capabilities", {}).get("add")
    bound_only = cluster.features["secure-pod-defaults"] != "disabled" and added == ["NET_BIND_SERVICE"]
    if added is not None and not bound_only and not cluster.enabled("kubernetes.containerspec-addcapabilities"):
        yield disallowed(("capabilities", "add"))
    if context.get("privileged"):
        yield disallowed(("privileged",))
    for name in ("runAsUser", "runAsGroup"):
        if name in context and not 0 <= context[name] <= _MAX_INT32:
            yield out_of_bounds(context[name], 0, _MAX_INT32, (name,))
    profile = context.get("seccompProfile", {})
    if "seccompProfile" in context and "type" not in profile:
        yield missing(("seccompProfile", "type"))
    elif profile.get("type", "") not in {"", "RuntimeDefault", "Unconfined", "Localhost"}:
        yield dry_run(
            f"containers[0].securityContext.seccompProfile.type: Unsupported value: {_quoted(profile['type'])}",
            ("seccompProfile", "type"),
        )
