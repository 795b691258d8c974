"""Conditions in Knative's words, whatever is observed."""

from __future__ import annotations

from dataclasses import replace

import pytest

from knative.local.autoscaler.scaler import Condition as Activity
from knative.local.pods.conditions import (
    Condition,
    Exit,
    Observed,
    Problem,
    Status,
    missing_image,
    of_configuration,
    of_revision,
    ready_of,
)

STARTING = Observed(
    initialized=False, ready=0, replicas=1, exit=None, problem=None, overdue=False, activity=Activity.ACTIVATING
)
SERVING = replace(STARTING, initialized=True, ready=1, activity=Activity.ACTIVE)
BUFFERED = "Requests to the target are being buffered as resources are provisioned."


def shown(seen: Observed) -> dict[str, tuple[str, str, str]]:
    return {one.type: (one.status.value, one.reason, one.message) for one in of_revision("a-00001", seen)}


@pytest.mark.parametrize(
    ("seen", "expected"),
    [
        (
            STARTING,
            {
                "Ready": ("Unknown", "Deploying", ""),
                "ContainerHealthy": ("Unknown", "Deploying", ""),
                "ResourcesAvailable": ("Unknown", "Deploying", ""),
                "Active": ("Unknown", "Queued", BUFFERED),
            },
        ),
        (
            SERVING,
            dict.fromkeys(("Ready", "ContainerHealthy", "ResourcesAvailable", "Active"), ("True", "", "")),
        ),
        (
            replace(SERVING, ready=0, replicas=0, activity=Activity.INACTIVE),
            {"Ready": ("True", "", ""), "Active": ("False", "NoTraffic", "The target is not receiving traffic.")},
        ),
        (
            replace(STARTING, exit=Exit(1, "boom: no database")),
            {
                "Ready": ("False", "ExitCode1", "Container failed with: boom: no database"),
                "ContainerHealthy": ("False", "ExitCode1", "Container failed with: boom: no database"),
                "ResourcesAvailable": ("Unknown", "Deploying", ""),
            },
        ),
        (
            replace(STARTING, exit=Exit(0, "")),
            {"Ready": ("False", "ExitCode0", "Container failed with: container exited with no error")},
        ),
        (
            # All pods of a revision that served are gone at once; with one that is ready it is healthy.
            replace(SERVING, ready=0, exit=Exit(137, "last")),
            {"Ready": ("False", "ExitCode137", "Container failed with: last")},
        ),
        (replace(SERVING, replicas=2, exit=Exit(1, "x")), {"Ready": ("True", "", "")}),
        (
            replace(STARTING, overdue=True),
            {
                "Ready": (
                    "False",
                    "ProgressDeadlineExceeded",
                    'ReplicaSet "a-00001-deployment" has timed out progressing.',
                )
            },
        ),
        (
            replace(STARTING, overdue=True, timed_out=True, replicas=0, activity=Activity.INACTIVE),
            {
                "Ready": ("False", "ProgressDeadlineExceeded", "Initial scale was never achieved"),
                "Active": ("False", "TimedOut", "The target could not be activated."),
            },
        ),
        (
            replace(STARTING, overdue=True, timed_out=True, replicas=0, exit=Exit(1, "boom")),
            {
                "Ready": ("False", "ProgressDeadlineExceeded", "Initial scale was never achieved"),
                "ContainerHealthy": ("False", "ExitCode1", "Container failed with: boom"),
            },
        ),
        (
            replace(STARTING, problem=missing_image("example.com/app:1", "not found")),
            {
                "Ready": ("False", "ContainerMissing", 'Unable to fetch image "example.com/app:1": not found'),
                "ResourcesAvailable": ("Unknown", "Deploying", ""),
            },
        ),
        (
            replace(STARTING, problem=Problem("ResourcesAvailable", "CreateContainerConfigError", "no ConfigMap c")),
            {
                "Ready": ("False", "CreateContainerConfigError", "no ConfigMap c"),
                "ContainerHealthy": ("Unknown", "Deploying", ""),
            },
        ),
    ],
)
def test_a_revision(seen: Observed, expected: dict[str, tuple[str, str, str]]) -> None:
    conditions = shown(seen)
    assert list(conditions) == ["Ready", "ContainerHealthy", "ResourcesAvailable", "Active"]
    assert {name: conditions[name] for name in expected} == expected


TRUE, UNKNOWN = Condition("Ready", Status.TRUE), Condition("Ready", Status.UNKNOWN, "Deploying")
FAILED = Condition("Ready", Status.FALSE, "ExitCode1", "Container failed with: boom")


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (("a-2", TRUE, "a-2"), (Status.TRUE, "", "")),
        (("a-2", UNKNOWN, None), (Status.UNKNOWN, "", "")),
        (("a-2", UNKNOWN, "a-1"), (Status.UNKNOWN, "", "")),
        (
            ("a-2", FAILED, "a-1"),
            (Status.FALSE, "RevisionFailed", 'Revision "a-2" failed with message: Container failed with: boom.'),
        ),
        ((None, None, None), (Status.UNKNOWN, "", "")),
    ],
)
def test_a_configuration(
    arguments: tuple[str | None, Condition | None, str | None], expected: tuple[Status, str, str]
) -> None:
    found = of_configuration(*arguments)
    assert (found.type, found.status, found.reason, found.message) == ("Ready", *expected)


def test_ready_is_the_worst_of_its_dependents() -> None:
    assert ready_of(TRUE, TRUE).status is Status.TRUE
    assert ready_of(TRUE, UNKNOWN).status is Status.UNKNOWN
    assert ready_of(UNKNOWN, FAILED) == Condition("Ready", Status.FALSE, "ExitCode1", FAILED.message)
