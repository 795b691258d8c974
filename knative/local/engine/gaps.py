"""What the engine does not honour of manifests that Knative accepts: the one list.

`serve` prints the entries that change what a Service does, and one line for all that a process goes without: image,
volumes, isolation. The status names every one, docs/engine.md shows the whole list, and a test holds that each field
of a Service is either honoured or listed.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import cache
from typing import Any

from knative.local.manifests.cluster import Cluster
from knative.local.manifests.kinds import EVENTING, FLOWS, MESSAGING, SERVING, SOURCES
from knative.local.manifests.resources import Manifests, Resource


class Where(StrEnum):
    """The pods that an entry is about."""

    ALL = "all pods"
    PROCESSES = "processes"
    UNPRIVILEGED = "processes, unless the engine is root"


@dataclass(frozen=True)
class Gap:
    """One field of a Service that is not honoured.

    Attributes:
        path: Dotted; `[]` is any item of a list, and a key in quotes holds dots itself.
        effect: What happens instead.
        where: The pods it is about.
        same: Values that ask for what happens here anyway.
        quiet: Whether nothing that a Service does depends on it, so that `serve` prints no line.
    """

    path: str
    effect: str
    where: Where = Where.ALL
    same: tuple[Any, ...] = ()
    quiet: bool = False


_SPEC = "spec.template.spec."
_CONTAINER = f"{_SPEC}containers[]."
_SECURITY = f"{_CONTAINER}securityContext."
_ANNOTATION = 'spec.template.metadata.annotations."'
# Behind feature flags of the cluster, or about its nodes.
_OF_NODES = (
    *("affinity", "dnsConfig", "dnsPolicy", "hostAliases", "hostIPC", "hostNetwork", "hostPID", "nodeSelector"),
    *("priorityClassName", "runtimeClassName", "schedulerName", "securityContext", "shareProcessNamespace"),
    *("tolerations", "topologySpreadConstraints"),
)
_QUEUE = ("cpu", "memory", "ephemeral-storage")

GAPS = (
    Gap(f"{_CONTAINER}image", "the program of this machine that `command` names runs instead", Where.PROCESSES),
    Gap(f"{_CONTAINER}imagePullPolicy", "no image is pulled", Where.PROCESSES),
    Gap(f"{_CONTAINER}volumeMounts", "nothing is mounted: the program sees this machine's files", Where.PROCESSES),
    Gap(f"{_CONTAINER}volumeMounts[].mountPropagation", "mounts are private"),
    Gap(f"{_SECURITY}capabilities", "the program has the engine's capabilities", Where.PROCESSES),
    Gap(f"{_SECURITY}privileged", "the program has the engine's privileges", same=(False,)),
    Gap(f"{_SECURITY}readOnlyRootFilesystem", "this machine's files can be written", Where.PROCESSES, (False,)),
    Gap(f"{_SECURITY}runAsNonRoot", "the user is not verified", Where.PROCESSES, (False,)),
    Gap(f"{_SECURITY}runAsUser", "the program runs as the engine's user", Where.UNPRIVILEGED),
    Gap(f"{_SECURITY}runAsGroup", "the program runs with the engine's groups", Where.UNPRIVILEGED),
    Gap(f"{_SECURITY}seccompProfile", "no profile is applied", Where.PROCESSES),
    Gap(f"{_SECURITY}seccompProfile.localhostProfile", "the default profile is applied"),
    Gap(f"{_CONTAINER}resources.requests", "nothing is reserved: there is one machine", quiet=True),
    Gap(f"{_CONTAINER}resources.limits.ephemeral-storage", "disk space is not limited"),
    Gap(f"{_CONTAINER}terminationMessagePath", "the last line of the log is the message"),
    Gap(
        f"{_CONTAINER}terminationMessagePolicy",
        "the last line of the log is the message",
        same=("FallbackToLogsOnError",),
    ),
    *(
        Gap(f"{_CONTAINER}{probe}.{field}", effect)
        for probe in ("readinessProbe", "livenessProbe", "startupProbe")
        for field, effect in (
            ("httpGet.host", "127.0.0.1 is probed"),
            ("tcpSocket.host", "127.0.0.1 is probed"),
        )
    ),
    Gap(f"{_SPEC}automountServiceAccountToken", "there is no token: no cluster could check it", same=(False,)),
    Gap(f"{_SPEC}serviceAccountName", "there is no token: no cluster could check it"),
    Gap(f"{_SPEC}enableServiceLinks", "variables of other Services are not set", same=(False,)),
    Gap(f"{_SPEC}imagePullSecrets", "podman's and docker's own logins are used"),
    *(
        Gap(f"{_SPEC}volumes[].{kind}", "the volume is empty")
        for kind in ("csi", "ephemeral", "hostPath", "image", "persistentVolumeClaim")
    ),
    Gap(f"{_SPEC}volumes[].projected.sources[].downwardAPI", "the source is left out"),
    Gap(f"{_SPEC}volumes[].projected.sources[].serviceAccountToken", "the source is left out"),
    Gap(f"{_CONTAINER}env[].valueFrom.fieldRef", "the variable is not set"),
    Gap(f"{_CONTAINER}env[].valueFrom.resourceFieldRef", "the variable is not set"),
    *(Gap(f"{_SPEC}{name}", "there is one machine and no scheduler") for name in _OF_NODES),
    Gap(
        f'{_ANNOTATION}autoscaling.knative.dev/class"',
        "any but kpa and hpa: the KPA scales",
        same=("kpa.autoscaling.knative.dev", "hpa.autoscaling.knative.dev"),
    ),
    *(
        Gap(f'{_ANNOTATION}queue.sidecar.serving.knative.dev/{name}-resource-{kind}"', "queue-proxy is in the engine")
        for name in _QUEUE
        for kind in ("request", "limit")
    ),
    Gap(f'{_ANNOTATION}queue.sidecar.serving.knative.dev/resource-percentage"', "queue-proxy is in the engine"),
    Gap(f'{_ANNOTATION}queue.sidecar.serving.knative.dev/resourcePercentage"', "queue-proxy is in the engine"),
    Gap(f'{_ANNOTATION}features.knative.dev/queueproxy-podinfo"', "queue-proxy is in the engine"),
    *(
        Gap(f'metadata.annotations."{key}"', effect)
        for key, effect in (
            ("networking.knative.dev/ingress-class", "the engine's route is the ingress"),
            ("networking.knative.dev/ingress.class", "the engine's route is the ingress"),
            ("networking.knative.dev/certificate-class", "the route speaks HTTP"),
            ("networking.knative.dev/certificate.class", "the route speaks HTTP"),
            ("networking.knative.dev/disable-auto-tls", "the route speaks HTTP"),
            ("networking.knative.dev/disableAutoTLS", "the route speaks HTTP"),
            ("networking.knative.dev/disable-external-domain-tls", "the route speaks HTTP"),
            ("networking.knative.dev/http-protocol", "the route speaks HTTP"),
            ("networking.knative.dev/httpOption", "the route speaks HTTP"),
        )
    ),
)

# Flags of config-features that change what runs; the others only let a field be set.
FLAGS = {
    "autodetect-http2": "HTTP/2 is spoken to ports named h2c alone",
    "tag-header-based-routing": "the host of a tag leads to it, and no header",
    "secure-pod-defaults": "no securityContext is set by default",
    "queueproxy.mount-podinfo": "queue-proxy is in the engine",
    "queueproxy.resource-defaults": "queue-proxy is in the engine",
}

_IMAGE = (f"{_CONTAINER}image", f"{_CONTAINER}imagePullPolicy")  # every process goes without, and lacks nothing by that

# Kinds whose objects the engine runs or reads; ConfigMaps of Knative's own that it reads are named below.
RUN = frozenset(
    {
        (SERVING, "Service"),
        (SERVING, "Configuration"),
        (SERVING, "Route"),
        (SERVING, "DomainMapping"),
        ("", "Namespace"),
        ("", "ConfigMap"),
        ("", "Secret"),
        (EVENTING, "Broker"),
        (EVENTING, "Trigger"),
        (FLOWS, "Sequence"),
        (FLOWS, "Parallel"),
        (MESSAGING, "Channel"),
        (MESSAGING, "InMemoryChannel"),
        (MESSAGING, "Subscription"),
        (SOURCES, "ContainerSource"),
        (SOURCES, "PingSource"),
        (SOURCES, "SinkBinding"),
    }
)
CONFIGURATIONS = frozenset(
    {"config-autoscaler", "config-defaults", "config-domain", "config-features", "config-gc", "config-network"}
)


def left_out(manifests: Manifests, containers: frozenset[tuple[str, str]]) -> Iterator[str]:
    """A line for each field and object of manifests that the engine does not honour.

    Args:
        manifests: What was applied.
        containers: Namespace and name of the Services whose pods are containers.
    """
    for gap in GAPS:
        if subjects := _subjects(gap, manifests, containers):
            yield _line(gap, subjects)
    for flag, effect in FLAGS.items():
        if manifests.cluster.allowed(flag):
            yield f"config-features {flag}: {effect}"
    for resource in manifests.resources:
        if (reason := _unread(resource)) is not None:
            yield f"{resource.subject}: {reason}"


def announced(manifests: Manifests, containers: frozenset[tuple[str, str]]) -> Iterator[str]:
    """The lines that `serve` prints: those of entries that matter, and one for all that processes go without."""
    without: dict[str, None] = {}
    quiet = set()
    for gap in GAPS:
        subjects = _subjects(gap, manifests, containers)
        if subjects and (gap.quiet or gap.where is Where.PROCESSES):
            quiet.add(_line(gap, subjects))
            if gap.where is Where.PROCESSES and gap.path not in _IMAGE:
                without.update(dict.fromkeys(subjects))
    yield from (line for line in left_out(manifests, containers) if line not in quiet)
    if without:
        yield f"volumes and isolation of what runs as processes ({', '.join(without)}): --runtime container has them"


def _subjects(gap: Gap, manifests: Manifests, containers: frozenset[tuple[str, str]]) -> list[str]:
    """The Services that an entry is about."""
    return [
        one.name
        for one in manifests.services
        if _concerns(gap, (one.namespace, one.name) in containers) and _has(one.data, _keys(gap.path), gap.same)
    ]


def _line(gap: Gap, subjects: Sequence[str]) -> str:
    return f"{gap.path.replace(_SPEC, '')} ({', '.join(subjects)}): {gap.effect}"


def _concerns(gap: Gap, container: bool) -> bool:
    if gap.where is Where.PROCESSES:
        return not container
    if gap.where is Where.UNPRIVILEGED:
        return not container and os.geteuid() != 0
    return True


def _unread(resource: Resource) -> str | None:
    """Why an object has no effect, None where it has."""
    if (resource.group, resource.kind) not in RUN:
        return f"{resource.kind} objects are not run on this machine"
    knative = resource.namespace in ("knative-serving", "knative-eventing")
    if resource.kind == "ConfigMap" and knative and resource.name not in CONFIGURATIONS:
        return "this configuration is not read"
    return None


@cache
def _keys(path: str) -> tuple[str, ...]:
    """The keys of a dotted path; `[]` is one of its own."""
    plain, _, quoted = path.partition('."')
    keys = [
        part for key in plain.split(".") for part in (key.removesuffix("[]"), *(["[]"] if key.endswith("[]") else []))
    ]
    return (*keys, quoted.rstrip('"')) if quoted else tuple(keys)


def _has(data: Any, keys: Sequence[str], same: Sequence[object]) -> bool:
    """Whether data has a value at a path that asks for something else than what happens anyway."""
    if not keys:
        return data not in (None, {}, []) and data not in same
    first, rest = keys[0], keys[1:]
    if first == "[]":
        return isinstance(data, list) and any(_has(item, rest, same) for item in data)
    return isinstance(data, Mapping) and first in data and _has(data[first], rest, same)


def identity(resource: Resource) -> tuple[str, ...]:
    """Return what tells an object from all others."""
    return resource.group, resource.kind, resource.namespace, resource.name


def _content(resource: Resource) -> object:
    """What people write of an object, as far as it differs where that does."""
    metadata = resource.metadata
    return metadata.get("uid"), metadata.get("generation"), metadata.get("annotations")


class Announced:
    """What the objects ask for and the engine does not do, announced once for each version of an object.

    Args:
        say: Takes each line.
    """

    def __init__(self, say: Callable[[str], None]) -> None:
        self._say = say
        self._manifests = Manifests((), Cluster(), ())
        self._imaged: frozenset[tuple[str, str]] = frozenset()
        self._left_out: tuple[str, ...] | None = None  # until it is asked for
        self._versions: dict[tuple[str, ...], object] = {}

    def changed(self, manifests: Manifests, imaged: frozenset[tuple[str, str]]) -> None:
        """Announce what has changed.

        Args:
            manifests: All objects.
            imaged: Namespace and name of the Services whose pods are containers.
        """
        before = self._versions
        changed = [one for one in manifests.resources if before.get(identity(one)) != _content(one)]
        self._versions = {identity(one): _content(one) for one in manifests.resources}
        self._manifests = manifests
        if changed:
            for line in announced(replace(manifests, resources=tuple(changed)), imaged):
                self._say(line)
            self._left_out, self._imaged = None, imaged

    @property
    def left_out(self) -> tuple[str, ...]:
        """All of it, a line each."""
        if self._left_out is None:
            self._left_out = tuple(left_out(self._manifests, self._imaged))
        return self._left_out
