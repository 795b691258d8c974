"""What the pods of a revision have in common."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from knative.local.pods.limits import Limits
from knative.local.pods.probes import Probe
from knative.local.pods.volumes import Mount, Volume


@dataclass(frozen=True, kw_only=True)
class Container:
    """What a manifest says of the container beside its command.

    Attributes:
        image: Its reference.
        pull_policy: `Always`, `IfNotPresent` or `Never`.
        command, args: In place of the image's entrypoint and command; empty for those of the image.
        working_dir: In place of the image's.
        port: containerPort.
        http2: Whether the program speaks HTTP/2 there: the port is named h2c.
        cpu_request: Cores, of which the class hpa scales by a share; None where nothing is requested or limited.
        user, group: runAsUser and runAsGroup.
        non_root: runAsNonRoot.
        read_only: readOnlyRootFilesystem.
        no_new_privileges: Whether allowPrivilegeEscalation is false.
        add, drop: Capabilities.
        unconfined: Whether the seccomp profile is Unconfined.
        mounts: Where volumes appear.
    """

    image: str = ""
    pull_policy: str = "IfNotPresent"
    command: tuple[str, ...] = ()
    args: tuple[str, ...] = ()
    working_dir: str | None = None
    port: int = 8080
    http2: bool = False
    cpu_request: float | None = None
    user: int | None = None
    group: int | None = None
    non_root: bool = False
    read_only: bool = False
    no_new_privileges: bool = False
    add: tuple[str, ...] = ()
    drop: tuple[str, ...] = ()
    unconfined: bool = False
    mounts: tuple[Mount, ...] = ()


@dataclass(frozen=True, kw_only=True)
class PodSpec:
    """What every pod of a revision has in common.

    Attributes:
        revision: The revision's name, from which pods get theirs.
        argv: Command and arguments; `$(NAME)` stands for a variable of the environment.
        environment: Variables; the pod adds PORT and HOSTNAME.
        directory: Where it runs.
        concurrency: containerConcurrency; 0 for no limit.
        readiness, startup, liveness: Probes; readiness is TCP where the manifest declares none.
        grace: Seconds from SIGTERM to SIGKILL, and for requests to finish before.
        limits: CPU and memory.
        container: The rest of what the manifest says of the container.
        volumes: What its mounts refer to.
    """

    revision: str
    argv: tuple[str, ...]
    environment: Mapping[str, str]
    directory: str
    concurrency: int = 0
    readiness: Probe = field(default_factory=Probe)
    startup: Probe | None = None
    liveness: Probe | None = None
    grace: float = 300.0
    limits: Limits = field(default_factory=Limits)
    container: Container = field(default_factory=Container)
    volumes: tuple[Volume, ...] = ()
