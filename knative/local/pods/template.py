"""A Service's template as a process on this machine: command, environment, probes, limits, timeouts.

Takes the plain data of a Service that validation has accepted, and gives it Knative's defaults.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any

from knative.local.manifests.cluster_config import Defaults
from knative.local.manifests.grammar import Image, parse_quantity
from knative.local.pods.conditions import Problem, missing_image
from knative.local.pods.environment import Objects, environment
from knative.local.pods.limits import Limits
from knative.local.pods.podspec import Container, PodSpec
from knative.local.pods.probes import Probe
from knative.local.pods.runtimes.selection import Mode, needs_container
from knative.local.pods.volumes import Volume, mounts, volumes

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
        argv, environment: Of the container.
        directory: Where it runs.
        imaged: Whether its pods are containers; else they are processes.
        container: What the manifest says of the container beside its command.
        volumes: What its mounts refer to.
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
    argv: tuple[str, ...]
    environment: Mapping[str, str]
    directory: str
    readiness: Probe
    startup: Probe | None
    liveness: Probe | None
    limits: Limits
    configuration: str = ""
    imaged: bool = False
    container: Container = field(default_factory=Container)
    volumes: tuple[Volume, ...] = ()
    problem: Problem | None = None
    ignored: tuple[str, ...] = field(default=())

    def pod_spec(self, revision: str, extra: Mapping[str, str]) -> PodSpec:
        """The pods of one revision; `extra` is added to the environment and yields to the manifest's own."""
        configuration = self.configuration or self.service
        identity = {"K_SERVICE": self.service, "K_CONFIGURATION": configuration, "K_REVISION": revision}
        machine = {} if self.imaged else base_environment()
        return PodSpec(
            revision=revision,
            argv=self.argv,
            environment={**machine, **extra, **self.environment, **identity},
            directory=self.directory,
            concurrency=self.concurrency,
            readiness=self.readiness,
            startup=self.startup,
            liveness=self.liveness,
            grace=self.timeout,
            limits=self.limits,
            container=self.container,
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
    service: Mapping[str, Any],
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
    containers = spec["containers"]
    container = containers[0] if len(containers) == 1 else next(c for c in containers if c.get("ports"))
    argv = tuple(container.get("command") or ()) + tuple(container.get("args") or ())
    problem = None
    path = base_environment()["PATH"]
    imaged = needs_container(mode, container.get("command") or (), directory, path)
    if not argv and not imaged:
        problem = missing_image(container["image"], "--runtime process runs no image, and there is no command")
    namespace = metadata.get("namespace") or "default"
    ports = container.get("ports") or [{}]
    timeout = float(spec.get("timeoutSeconds") or defaults.revision_timeout_seconds)
    start = float(spec.get("responseStartTimeoutSeconds") or defaults.revision_response_start_timeout_seconds)
    idle = float(spec.get("idleTimeoutSeconds") or defaults.revision_idle_timeout_seconds)
    concurrency = spec.get("containerConcurrency")
    try:
        variables = environment(container, namespace, objects or {})
        held = volumes(spec, namespace, objects or {})
    except ValueError as error:
        variables, held = {}, ()
        problem = Problem("ResourcesAvailable", "CreateContainerConfigError", str(error))
    ignored = [f"container {c.get('name') or c['image']}" for c in containers if c is not container]
    limits = (container.get("resources") or {}).get("limits") or {}
    working = Path(directory, container.get("workingDir") or "")
    if not working.is_dir() and not imaged:
        ignored.append(f"workingDir {working}, which is not on this machine")
    return Template(
        service=metadata["name"],
        namespace=namespace,
        name=(template.get("metadata") or {}).get("name"),
        annotations=(template.get("metadata") or {}).get("annotations") or {},
        concurrency=defaults.container_concurrency if concurrency is None else int(concurrency),
        timeout=timeout,
        response_start_timeout=start if 0 < start < timeout else None,
        idle_timeout=idle or None,
        argv=argv,
        environment=variables,
        directory=str(working if working.is_dir() else directory),
        readiness=_probe(container.get("readinessProbe"), ports[0]) or Probe(),
        startup=_probe(container.get("startupProbe"), ports[0]),
        liveness=_probe(container.get("livenessProbe"), ports[0]),
        limits=Limits(
            cpu=_quantity(limits.get("cpu"), defaults.revision_cpu_limit),
            memory=_quantity(limits.get("memory"), defaults.revision_memory_limit),
        ),
        imaged=imaged,
        container=_container(container),
        volumes=held,
        problem=problem,
        ignored=tuple(ignored),
    )


def _container(data: Mapping[str, Any]) -> Container:
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


def _cpu_request(resources: Mapping[str, Any]) -> float | None:
    """Cores that are requested; a limit without a request requests as much."""
    for kind in ("requests", "limits"):
        if (value := (resources.get(kind) or {}).get("cpu")) is not None:
            return float(parse_quantity(str(value)))
    return None


def _quantity(text: object, default: Fraction | None) -> float | None:
    value = default if text is None else parse_quantity(str(text))
    return None if value is None else float(value)


def _probe(data: Mapping[str, Any] | None, own: Mapping[str, Any]) -> Probe | None:
    """A probe as declared.

    Args:
        data: The probe, or None.
        own: The port of the container, as the manifest declares it.
    """
    if data is None:
        return None
    timing: dict[str, Any] = {
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
            headers=tuple((header["name"], header.get("value", "")) for header in headers),
            **timing,
        )
    if (command := (data.get("exec") or {}).get("command")) is not None:
        return Probe(command=tuple(command), **timing)
    return Probe(**timing)


def _other_port(port: Any, own: Mapping[str, Any]) -> int | None:
    """The port that a probe names; None for the container's own, by number, by name or by silence."""
    if not port or str(port) in {str(own.get("containerPort") or _CONTAINER_PORT), str(own.get("name") or "user-port")}:
        return None
    return int(port) if str(port).isdigit() else None
