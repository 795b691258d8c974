"""Knative's conditions of a Service, its configuration, its route and its revisions, in Knative's words. Pure.

Source: knative/serving, pkg/apis/serving/v1/*_lifecycle.go and pkg/reconciler/revision/reconcile_resources.go.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from knative.local.autoscaler.scaler import Condition as Activity


class Status(StrEnum):
    """The status of a condition."""

    TRUE = "True"
    FALSE = "False"
    UNKNOWN = "Unknown"


@dataclass(frozen=True)
class Condition:
    """One condition of an object."""

    type: str
    status: Status
    reason: str = ""
    message: str = ""
    severity: str = ""  # empty for one that Ready depends on

    @property
    def true(self) -> bool:
        """Whether it holds."""
        return self.status is Status.TRUE

    @property
    def false(self) -> bool:
        """Whether it does not hold."""
        return self.status is Status.FALSE

    def as_dict(self) -> dict[str, str]:
        """The condition as Kubernetes prints it, without empty fields."""
        fields = {"type": self.type, "status": self.status.value, "reason": self.reason, "message": self.message}
        return {name: value for name, value in fields.items() if value}

    @property
    def words(self) -> str:
        """Reason and message in one line."""
        return ": ".join(part for part in (self.reason, self.message) if part)


@dataclass(frozen=True)
class Problem:
    """Why the pods of a revision cannot be started.

    Attributes:
        type: The condition that it makes False: `ContainerHealthy` or `ResourcesAvailable`.
        reason, message: Of the condition.
    """

    type: str
    reason: str
    message: str


@dataclass(frozen=True)
class Exit:
    """How the process of a pod ended.

    Attributes:
        code: Exit status, 128 plus the number of a signal.
        last_line: The last line of its output.
    """

    code: int
    last_line: str


@dataclass(frozen=True, kw_only=True)
class Observed:
    """What is known of a revision's pods.

    Attributes:
        initialized: Whether min-scale and initial-scale were ready together once.
        ready: Pods ready now.
        replicas: Pods that are to run.
        exit: The last exit of a pod that has not become ready since.
        problem: Why no pod can be started.
        overdue: Whether the progress deadline has passed without enough ready pods.
        activity: The state of the autoscaler.
        ignores_port: What to do about a program that ignores PORT, or None.
        timed_out: Whether the autoscaler gave the activation up.
    """

    initialized: bool
    ready: int
    replicas: int
    exit: Exit | None
    problem: Problem | None
    overdue: bool
    activity: Activity
    ignores_port: str | None = None
    timed_out: bool = False


def missing_image(image: str, message: str) -> Problem:
    """An image that is not there and cannot be fetched."""
    return Problem("ContainerHealthy", "ContainerMissing", f'Unable to fetch image "{image}": {message}')


def without_output(condition: Condition) -> str:
    """Reason and message for a client: what a program wrote stays in its log, the condition and the console."""
    if not condition.reason.startswith("ExitCode"):
        return condition.words
    return f"{condition.reason} (the output is in the log of the pod)"


def ready_of(*dependents: Condition) -> Condition:
    """The Ready condition: False or Unknown as soon as one of the dependents is."""
    for status in (Status.FALSE, Status.UNKNOWN):
        for one in dependents:
            if one.status is status:
                return Condition("Ready", status, one.reason, one.message)
    return Condition("Ready", Status.TRUE)


def of_revision(name: str, seen: Observed) -> list[Condition]:
    """The conditions of a revision, Ready first."""
    resources, healthy = _resources(name, seen), _healthy(seen)
    conditions = [ready_of(resources, healthy), healthy, resources, _active(seen)]
    if seen.ignores_port is not None:  # the engine's own, not Knative's: on a cluster it works by chance or not at all
        conditions.append(Condition("ListensOnPort", Status.FALSE, "PortIgnored", seen.ignores_port, "Warning"))
    return conditions


def _settled(kind: str, seen: Observed) -> Condition:
    return Condition(kind, Status.TRUE) if seen.initialized else Condition(kind, Status.UNKNOWN, "Deploying")


def _healthy(seen: Observed) -> Condition:
    if seen.problem is not None and seen.problem.type == "ContainerHealthy":
        return Condition("ContainerHealthy", Status.FALSE, seen.problem.reason, seen.problem.message)
    # Of a revision that was never ready the exit stays its explanation when its pods are removed, as on a cluster.
    if seen.exit is not None and not seen.ready and (seen.replicas or not seen.initialized):
        text = seen.exit.last_line or ("container exited with no error" if not seen.exit.code else "")
        message = f"Container failed with: {text}"
        return Condition("ContainerHealthy", Status.FALSE, f"ExitCode{seen.exit.code}", message)
    return _settled("ContainerHealthy", seen)


def _resources(name: str, seen: Observed) -> Condition:
    kind = "ResourcesAvailable"
    if seen.problem is not None and seen.problem.type == kind:
        return Condition(kind, Status.FALSE, seen.problem.reason, seen.problem.message)
    if seen.overdue and not seen.initialized:
        message = (
            "Initial scale was never achieved"
            if seen.timed_out
            else f'ReplicaSet "{name}-deployment" has timed out progressing.'
        )
        return Condition(kind, Status.FALSE, "ProgressDeadlineExceeded", message)
    return _settled(kind, seen)


def _active(seen: Observed) -> Condition:
    status, reason, message = _activity(seen)
    return Condition("Active", status, reason, message, "Info")


def _activity(seen: Observed) -> tuple[Status, str, str]:
    if seen.problem is not None:
        return Status.UNKNOWN, "Deploying", ""
    if seen.activity is Activity.ACTIVE:
        return Status.TRUE, "", ""
    if seen.activity is Activity.ACTIVATING:
        message = "Requests to the target are being buffered as resources are provisioned."
        return Status.UNKNOWN, "Queued", message
    if seen.timed_out:
        return Status.FALSE, "TimedOut", "The target could not be activated."
    return Status.FALSE, "NoTraffic", "The target is not receiving traffic."


def of_configuration(created: str | None, ready: Condition | None, latest_ready: str | None) -> Condition:
    """Return the Ready condition of a Configuration.

    Args:
        created: The revision that was created last.
        ready: Its Ready condition.
        latest_ready: The newest revision that has been ready.
    """
    kind = "Ready"
    if created is None or ready is None:
        return Condition(kind, Status.UNKNOWN)
    if ready.status is Status.FALSE:
        return Condition(
            kind, Status.FALSE, "RevisionFailed", f'Revision "{created}" failed with message: {ready.message}.'
        )
    return Condition(kind, Status.TRUE if created == latest_ready else Status.UNKNOWN)
