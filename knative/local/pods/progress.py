"""The progress of a revision to its first readiness: its conditions, its deadline, and why it fails."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Protocol

from knative.local.autoscaler.scaler import Condition as Activity
from knative.local.pods.conditions import Condition, Exit, Observed, Problem, Status, of_revision, without_output
from knative.local.pods.pod import Pod


class Owner(Protocol):
    """The revision."""

    name: str
    replicas: int

    @property
    def running(self) -> Sequence[Pod]:
        """Its pods but those that are being drained."""

    @property
    def ready(self) -> int:
        """How many pods take requests."""

    @property
    def activity(self) -> Activity:
        """The state of its autoscaler."""

    def failed(self, explanation: str) -> None:
        """Follow that it is not ready, for a reason that has not been logged yet."""

    def overdue(self) -> None:
        """Follow that the deadline has passed."""


class Progress:
    """The progress of one revision to its first readiness.

    Args:
        owner: The revision.
        problem: Why its pods cannot be started, or None.

    Attributes:
        was_ready: Whether as many pods were ready together once as min-scale and initial-scale ask for. No pod gets a
            request before.
        problem: See above; may be replaced.
    """

    def __init__(self, owner: Owner, problem: Problem | None) -> None:
        self.was_ready = False
        self.problem = problem
        self._owner = owner
        self._deadline: asyncio.TimerHandle | None = None
        self._overdue = False
        self._given_up = False
        self._logged: str | None = None
        self._last_exit: Exit | None = None
        self._last_reason = ""

    def start(self, problem: Problem | None, seconds: float) -> bool:
        """Begin anew, with so many seconds until the deadline; returns whether there is no problem."""
        self.stop()
        self._overdue = self._given_up = False
        self.problem = problem
        if problem is None:
            self._deadline = asyncio.get_running_loop().call_later(seconds, self._expire)
        return problem is None

    def stop(self) -> None:
        """Cancel the deadline."""
        if self._deadline is not None:
            self._deadline.cancel()

    def give_up(self) -> None:
        """Note that the autoscaler no longer waits for the initial scale."""
        self._overdue = self._given_up = True

    def removing(self, pod: Pod) -> None:
        """Keep why a pod that is removed was not ready."""
        self._last_exit, self._last_reason = pod.exit, pod.reason

    def _expire(self) -> None:
        if not self.was_ready:
            self._overdue = True
            self._owner.overdue()

    @property
    def conditions(self) -> list[Condition]:
        """Knative's conditions of the revision, Ready first."""
        owner, running = self._owner, self._owner.running
        failed = [pod.exit for pod in running if pod.exit is not None]
        return of_revision(
            owner.name,
            Observed(
                initialized=self.was_ready,
                ready=owner.ready,
                replicas=owner.replicas,
                exit=failed[0] if failed else None if self.was_ready else self._last_exit,
                problem=self.problem,
                overdue=self._overdue,
                activity=owner.activity,
                ignores_port=next((pod.ignores_port for pod in running if pod.ignores_port), None),
                timed_out=self._given_up,
            ),
        )

    @property
    def failure(self) -> Condition | None:
        """The Ready condition of a revision that has never been ready and cannot become so by waiting."""
        if self.was_ready:
            return None
        running = self._owner.running
        crashing = bool(running) and all(pod.backing_off for pod in running)
        return self.conditions[0] if crashing or self.problem is not None or self._overdue else None

    @property
    def refusal(self) -> str | None:
        """The body of the 503 of a revision that fails, without output of its program; None while it does not fail."""
        failure = self.failure
        if failure is None:
            return None
        return f"{self._owner.name} is not ready: {self._explained(failure, output=False)}"

    def report(self) -> None:
        """Log why the revision is not ready, once for each reason."""
        ready = self.conditions[0]
        words = ready.words if ready.status is Status.FALSE else None
        if words is not None and words != self._logged:
            self._owner.failed(self._explained(ready, output=True))
        self._logged = words

    def _explained(self, failure: Condition, *, output: bool) -> str:
        """The Ready condition in words and, where a deadline is its reason, what kept the last pod from readiness."""

        def words(one: Condition) -> str:
            return one.words if output else without_output(one)

        if failure.reason != "ProgressDeadlineExceeded":
            return words(failure)
        crashes = [words(one) for one in self.conditions if one.type == "ContainerHealthy" and one.false]
        reasons = [*crashes, *(pod.reason for pod in self._owner.running), self._last_reason]
        return next((f"{failure.words.rstrip('.')}: {reason}" for reason in reasons if reason), failure.words)
