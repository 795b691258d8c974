"""A Service's template as a process on this machine: command, environment, probes, limits, timeouts.

Takes the plain data of a Service that validation has accepted, and gives it Knative's defaults.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from functools import cached_property
from pathlib import Path
from typing import Any

from knative.local.jsontypes import JsonMapping, JsonObject
from knative.local.manifests.cluster_config import Defaults
from knative.local.manifests.grammar import Image, parse_quantity
from knative.local.pods.conditions import Problem, missing_image
from knative.local.pods.environment import Objects, environment
from knative.local.pods.podspec import Container, PodSpec, Program
from knative.local.pods.probes.probe import Probe
from knative.local.pods.runtimes.limits import Limits
from knative.local.pods.runtimes.selection import Mode, needs_container
from knative.local.pods.volumes import Volume, mounts, volumes
from knative.local.proxy.timeouts import Timeouts

# What a pod gets of the engine's environment: enough to run an interpreter, none of the shell's secrets.
_INHERITED = ("HOME", "LANG", "LANGUAGE", "LD_LIBRARY_PATH", "PYTHONPATH", "TMPDIR", "TZ", "USER", "VIRTUAL_ENV")


_CONTAINER_PORT = 8080  # where a manifest names none


class TemplateError(ValueError):
    """A Service that a cluster would run and this machine cannot; the text says why."""


@dataclass(frozen=True, kw_only=True)
class Template:
    """What a revision is made from.

    Attributes:
        service, namespace: Whose it is; no service for a Configuration without one.
        configuration: Whose revision it makes; the service's where empty.
        name: The revision's name if the manifest gives one.
        annotations: The template's.
        concurrency: containerConcurrency, 0 for no limit.
        timeout: Seconds from a request's arrival to the end of its answer.
        response_start_timeout: Seconds to the answer's first byte; None unless smaller than `timeout`.
        idle_timeout: Seconds without a byte of the answer; None where off.
        program: The container that serves.
        before, beside: Init containers and sidecars.
        imaged: Whether its pods are containers; else they are processes.
        volumes: What the mounts of its containers refer to.
        problem: Why its pods cannot be started, or None.
        ignored: What this machine leaves out, in words.
    """

    service: str
    namespace: str
    name: str | None
    annotations: Mapping[str, str]
    concurrency: int
    timeout: float
    response_start_timeout: float | None
    idle_timeout: float | None
    program: Program
    before: tuple[Program, ...] = ()
    beside: tuple[Program, ...] = ()
    configuration: str = ""
    imaged: bool = False
    volumes: tuple[Volume, ...] = ()
    problem: Problem | None = None
    ignored: tuple[str, ...] = field(default=())

    @cached_property
    def timeouts(self) -> Timeouts:
        """The time limits of a request."""
        return Timeouts(self.timeout, self.response_start_timeout, self.idle_timeout)

    @property
    def container(self) -> Container:
        """What the manifest says of the container that serves, beside its command."""
        return self.program.container

    @property
    def limits(self) -> Limits:
        """CPU and memory of the container that serves."""
        return self.program.limits

    @property
    def environments(self) -> list[Mapping[str, str]]:
        """The variables of all containers."""
        return [one.environment for one in (self.program, *self.beside, *self.before)]

    def pod_spec(self, revision: str, extra: Mapping[str, str]) -> PodSpec:
        """The pods of one revision; `extra` is added to the environment and yields to the manifest's own."""
        configuration = self.configuration or self.service
        identity = {"K_SERVICE": self.service, "K_CONFIGURATION": configuration, "K_REVISION": revision}
        below = {**({} if self.imaged else base_environment()), **extra}
        return PodSpec(
            revision=revision,
            program=self.program.with_variables(below, identity),
            before=tuple(one.with_variables(below, identity) for one in self.before),
            beside=tuple(one.with_variables(below, identity) for one in self.beside),
            concurrency=self.concurrency,
            grace=self.timeout,
            volumes=self.volumes,
        )


def base_environment() -> dict[str, str]:
    """What every pod gets: a PATH on which `python` is the interpreter that runs the engine, and little else."""
    interpreter = str(Path(sys.executable).parent)
    environment = {name: os.environ[name] for name in _INHERITED if name in os.environ}
    environment |= {name: value for name, value in os.environ.items() if name.startswith("LC_")}
    environment["PATH"] = os.pathsep.join([interpreter, os.environ.get("PATH", os.defpath)])
    environment["PYTHONUNBUFFERED"] = "1"  # as the images set it: a log line is seen when it is written
    return environment


def template(
    service: JsonMapping,
    directory: str,
    defaults: Defaults,
    objects: Objects | None = None,
    mode: Mode = Mode.AUTO,
) -> Template:
    """Read a Service.

    Args:
        service: The Service as plain data.
        directory: Where its container runs.
        defaults: The cluster's config-defaults.
        objects: ConfigMaps and Secrets.
        mode: How pods are to run.

    Raises:
        TemplateError: It cannot run here.
    """
    metadata = service["metadata"]
    if not metadata.get("name"):
        generated = metadata.get("generateName") or ""
        raise TemplateError(f"Service {generated}: generateName: on this machine a Service needs its name")
    template = service["spec"]["template"]
    spec = template["spec"]
    own = template.get("metadata") or {}
    timeout = float(spec.get("timeoutSeconds") or defaults.revision_timeout_seconds)
    start = float(spec.get("responseStartTimeoutSeconds") or defaults.revision_response_start_timeout_seconds)
    idle = float(spec.get("idleTimeoutSeconds") or defaults.revision_idle_timeout_seconds)
    concurrency = spec.get("containerConcurrency")
    namespace = metadata.get("namespace") or "default"
    containers = containers_of(spec, namespace, directory, defaults, objects or {}, mode)
    return Template(
        service=metadata["name"],
        namespace=namespace,
        name=own.get("name"),
        annotations=own.get("annotations") or {},
        concurrency=defaults.container_concurrency if concurrency is None else int(concurrency),
        timeout=timeout,
        response_start_timeout=start if 0 < start < timeout else None,
        idle_timeout=idle or None,
        **containers,
    )


def containers_of(
    spec: JsonMapping, namespace: str, directory: str, defaults: Defaults, objects: Objects, mode: Mode
) -> JsonObject:
    """Read the containers of a pod, with all that they refer to: fields of a Template."""
    many = len(spec["containers"])
    started = [*spec["containers"], *(spec.get("initContainers") or ())]
    path = base_environment()["PATH"]
    # The containers of a pod share a network, so that all of them are containers or none is.
    imaged = any(needs_container(mode, one.get("command") or (), directory, path) for one in started)
    problem = None if imaged else _without_command(started)
    try:
        variables = [environment(one, namespace, objects) for one in started]
        held = volumes(spec, namespace, objects)
    except ValueError as error:
        variables, held = [{} for _ in started], ()
        problem = Problem("ResourcesAvailable", "CreateContainerConfigError", str(error))
    ignored: list[str] = []
    programs = [
        _program(one, index, own, directory if not imaged else "", defaults, ignored)
        for index, (one, own) in enumerate(zip(started, variables, strict=True))
    ]
    serving = next((index for index in range(many) if started[index].get("ports")), 0)
    return {
        "program": replace(programs[serving], readiness=programs[serving].readiness or Probe()),
        "beside": tuple(one for index, one in enumerate(programs[:many]) if index != serving),
        "before": tuple(programs[many:]),
        "imaged": imaged,
        "volumes": held,
        "problem": problem,
        "ignored": tuple(ignored),
    }


def _without_command(containers: Sequence[JsonMapping]) -> Problem | None:
    """Why processes cannot run containers, one of which names no command."""
    for one in containers:
        if not one.get("command") and not one.get("args"):
            return missing_image(one["image"], "--runtime process runs no image, and there is no command")
    return None


def _program(
    data: JsonMapping,
    index: int,
    variables: Mapping[str, str],
    directory: str,
    defaults: Defaults,
    ignored: list[str],
) -> Program:
    """Read a container.

    Args:
        data: The container as plain data.
        index: Among those of the pod, for a name where it has none.
        variables: Its own.
        directory: Where processes run; empty for a container.
        defaults: The cluster's config-defaults.
        ignored: What this machine leaves out, in words, is added to it.
    """
    working = Path(directory, data.get("workingDir") or "")
    there = os.path.isdir(working)  # noqa: PTH112 - a name that is too long is no directory, and no error
    if directory and not there:
        ignored.append(f"workingDir {working}, which is not on this machine")
    port = (data.get("ports") or [{}])[0]
    limits = (data.get("resources") or {}).get("limits") or {}
    return Program(
        name=data.get("name") or f"user-container-{index}",
        argv=(*(data.get("command") or ()), *(data.get("args") or ())),
        environment=variables,
        directory=str(working) if directory and there else directory or "/",
        readiness=_probe(data.get("readinessProbe"), port),
        startup=_probe(data.get("startupProbe"), port),
        liveness=_probe(data.get("livenessProbe"), port),
        limits=Limits(
            cpu=_quantity(limits.get("cpu"), defaults.revision_cpu_limit),
            memory=_quantity(limits.get("memory"), defaults.revision_memory_limit),
        ),
        container=_container(data),
    )


def _container(data: JsonMapping) -> Container:
    context = data.get("securityContext") or {}
    capabilities = context.get("capabilities") or {}
    ports = data.get("ports") or [{}]
    floating = Image(data["image"]).latest
    return Container(
        image=data["image"],
        pull_policy=data.get("imagePullPolicy") or ("Always" if floating else "IfNotPresent"),
        command=tuple(data.get("command") or ()),
        args=tuple(data.get("args") or ()),
        working_dir=data.get("workingDir"),
        port=int(ports[0].get("containerPort") or _CONTAINER_PORT),
        http2=ports[0].get("name") == "h2c",
        cpu_request=_cpu_request(data.get("resources") or {}),
        user=context.get("runAsUser"),
        group=context.get("runAsGroup"),
        non_root=bool(context.get("runAsNonRoot")),
        read_only=bool(context.get("readOnlyRootFilesystem")),
        no_new_privileges=context.get("allowPrivilegeEscalation") is False,
        add=tuple(capabilities.get("add") or ()),
        drop=tuple(capabilities.get("drop") or ()),
        unconfined=(context.get("seccompProfile") or {}).get("type") == "Unconfined",
        mounts=mounts(data),
    )


def _cpu_request(resources: JsonMapping) -> float | None:
    """Cores that are requested; a limit without a request requests as much."""
    for kind in ("requests", "limits"):
        if (value := (resources.get(kind) or {}).get("cpu")) is not None:
            return float(parse_quantity(str(value)))
    return None


def _quantity(text: object, default: Fraction | None) -> float | None:
    value = default if text is None else parse_quantity(str(text))
    return None if value is None else float(value)


def _probe(data: JsonMapping | None, own: JsonMapping) -> Probe | None:
    """A probe as declared.

    Args:
        data: The probe, or None.
        own: The port of the container, as the manifest declares it.
    """
    if data is None:
        return None
    timing: JsonObject = {
        "initial_delay": float(data.get("initialDelaySeconds") or 0),
        "period": float(data.get("periodSeconds") or 0),
        "timeout": float(data.get("timeoutSeconds") or 1),
        "success_threshold": int(data.get("successThreshold") or 1),
        "failure_threshold": int(data.get("failureThreshold") or 3),
    }
    for action in ("httpGet", "tcpSocket", "grpc"):
        timing["port"] = timing.get("port") or _other_port((data.get(action) or {}).get("port"), own)
    if (get := data.get("httpGet")) is not None:
        headers: Sequence[Mapping[str, str]] = get.get("httpHeaders") or ()
        path = get.get("path") or "/"
        return Probe(
            path=path if path.startswith("/") else f"/{path}",
            headers=tuple((one["name"], one.get("value", "")) for one in headers if one.get("name")),
            tls=str(get.get("scheme") or "").upper() == "HTTPS",
            **timing,
        )
    if (command := (data.get("exec") or {}).get("command")) is not None:
        return Probe(command=tuple(command), **timing)
    if (grpc := data.get("grpc")) is not None:
        return Probe(grpc=grpc.get("service") or "", **timing)
    return Probe(**timing)


def _other_port(port: Any, own: JsonMapping) -> int | None:
    """The port that a probe names; None for the container's own, by number, by name or by silence."""
    if not port or str(port) in {str(own.get("containerPort") or _CONTAINER_PORT), str(own.get("name") or "user-port")}:
        return None
    return int(port) if str(port).isdigit() else None
