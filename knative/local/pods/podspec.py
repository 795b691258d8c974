"""What the pods of a revision have in common."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from knative.local.pods.probes.probe import Probe
from knative.local.pods.runtimes.limits import Limits
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
class Program:
    """One container of a pod, as a process or as a container.

    Attributes:
        name: Of the container in the manifest.
        argv: Command and arguments; `$(NAME)` refers to a variable of the environment.
        environment: Variables; the pod adds HOSTNAME, and PORT to the one that serves.
        directory: Where it runs.
        readiness, startup, liveness: Probes, or None.
        limits: CPU and memory.
        container: The rest of what the manifest says of the container.
    """

    name: str = "user-container"
    argv: tuple[str, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    directory: str = "/"
    readiness: Probe | None = None
    startup: Probe | None = None
    liveness: Probe | None = None
    limits: Limits = field(default_factory=Limits)
    container: Container = field(default_factory=Container)

    def with_variables(self, below: Mapping[str, str], above: Mapping[str, str] | None = None) -> Program:
        """The same with more variables; its own override `below`, and `above` overrides its own."""
        return replace(self, environment={**below, **self.environment, **(above or {})})


@dataclass(frozen=True, kw_only=True)
class PodSpec:
    """What every pod of a revision has in common.

    Attributes:
        revision: The revision's name, from which pods get theirs.
        program: The one that serves.
        before: Init containers, each run to its end before the next.
        beside: Sidecars.
        concurrency: containerConcurrency; 0 for no limit.
        grace: Seconds from SIGTERM to SIGKILL, and for requests to finish before.
        volumes: What the mounts of its programs refer to.
    """

    revision: str
    program: Program
    before: tuple[Program, ...] = ()
    beside: tuple[Program, ...] = ()
    concurrency: int = 0
    grace: float = 300.0
    volumes: tuple[Volume, ...] = ()

    @property
    def programs(self) -> tuple[Program, ...]:
        """All of them, the one that serves first."""
        return (self.program, *self.beside, *self.before)

    def named(self, name: str) -> Program:
        """The program of a container's name."""
        return next(one for one in self.programs if one.name == name)

    def with_variables(self, below: Mapping[str, str]) -> PodSpec:
        """The same with more variables for each program, whose own override them."""
        return replace(
            self,
            program=self.program.with_variables(below),
            before=tuple(one.with_variables(below) for one in self.before),
            beside=tuple(one.with_variables(below) for one in self.beside),
        )
