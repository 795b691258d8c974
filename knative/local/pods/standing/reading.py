"""The template of a pod that serves no requests: a ContainerSource's, as a program of this machine or a container."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from knative.local.jsontypes import Json, JsonMapping
from knative.local.manifests.cluster_config import Defaults
from knative.local.pods.conditions import Problem
from knative.local.pods.environment import Objects
from knative.local.pods.podspec import PodSpec, Program
from knative.local.pods.runtimes.selection import Mode
from knative.local.pods.template import base_environment, containers_of

_GRACE = 30.0  # terminationGracePeriodSeconds by default


@dataclass(frozen=True, kw_only=True)
class StandingTemplate:
    """What a standing pod is made from.

    Attributes:
        spec: What it runs.
        imaged: Whether it is a container; else it is a process.
        problem: Why it cannot be started, or None.
    """

    spec: PodSpec
    imaged: bool
    problem: Problem | None


def read(
    name: str,
    namespace: str,
    spec: JsonMapping,
    variables: Mapping[str, str],
    *,
    directory: str,
    objects: Objects,
    mode: Mode,
) -> StandingTemplate:
    """Read the pod spec of a template that validation has accepted.

    Args:
        name: Of the Deployment.
        namespace: Of the Deployment.
        spec: The pod spec.
        variables: Set in each container in place of its own of the same names.
        directory: Where processes run.
        objects: ConfigMaps and Secrets.
        mode: How pods are to run.
    """
    if (absent := _absent(spec)) is not None:
        failed = Problem("ResourcesAvailable", "FailedCreate", f"{absent}: Required value")
        return StandingTemplate(spec=PodSpec(revision=name, program=Program()), imaged=False, problem=failed)
    try:
        found = containers_of(spec, namespace, directory, Defaults(), objects, mode)
    except ValueError as error:  # of an image's name, which the API leaves to the kubelet
        invalid = Problem("ContainerHealthy", "InvalidImageName", str(error))
        return StandingTemplate(spec=PodSpec(revision=name, program=Program()), imaged=False, problem=invalid)
    below = {} if found["imaged"] else base_environment()
    # The container that a Service's requests would go to; without a probe of its own it is ready while it runs.
    serving = next((one for one in spec["containers"] if one.get("ports")), spec["containers"][0])
    main = found["program"] if serving.get("readinessProbe") else replace(found["program"], readiness=None)
    grace = spec.get("terminationGracePeriodSeconds")
    return StandingTemplate(
        spec=PodSpec(
            revision=name,
            program=main.with_variables(below, variables),
            before=tuple(one.with_variables(below, variables) for one in found["before"]),
            beside=tuple(one.with_variables(below, variables) for one in found["beside"]),
            grace=_GRACE if grace is None else float(grace),
            volumes=found["volumes"],
        ),
        imaged=found["imaged"],
        problem=found["problem"],
    )


# What the API server asks of a pod, and Knative leaves to it; by the field that holds a list of such objects.
_REQUIRED = {
    "containers": ("name", "image"),
    "initContainers": ("name", "image"),
    "volumes": ("name",),
    "env": ("name",),
    "ports": ("containerPort",),
    "volumeMounts": ("name", "mountPath"),
    "items": ("key", "path"),
    "httpHeaders": ("name",),
}


def _absent(value: Json, path: str = "spec.template.spec", field: str = "") -> str | None:
    """The path of the first required field that a pod spec lacks; None where it has all of them."""
    if isinstance(value, list):
        found = (_absent(item, f"{path}[{index}]", field) for index, item in enumerate(value))
        return next((one for one in found if one is not None), None)
    if not isinstance(value, Mapping):
        return None
    for name in _REQUIRED.get(field, ()):
        if value.get(name) in (None, ""):
            return f"{path}.{name}"
    listed = ((key, item) for key, item in value.items() if isinstance(item, list | Mapping))
    found = (_absent(item, f"{path}.{key}", key if isinstance(item, list) else "") for key, item in listed)
    return next((one for one in found if one is not None), None)
