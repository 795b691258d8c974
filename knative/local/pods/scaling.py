"""How many pods a revision is to have: its metrics, the decision of its autoscaler, and the steps to zero."""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Sequence

from knative.local.autoscaler.decision import Autoscaler, Decision, initial_excess_burst_capacity
from knative.local.autoscaler.horizontal import SYNC_SECONDS, HorizontalAutoscaler, HorizontalSpec
from knative.local.autoscaler.metrics import ActivatorStats, Report, RevisionMetrics, extrapolate, sample_size
from knative.local.autoscaler.scaler import UNKNOWN, Condition, PodAutoscaler, Step
from knative.local.autoscaler.spec import ScalingSpec
from knative.local.pods.pod import Pod
from knative.local.pods.runtimes.usage import Usage, of_trees


class Scaling:
    """The scaling of one revision.

    Args:
        spec: How it scales.
        now: Seconds since the epoch.

    Attributes:
        spec: See above.
        decision: The last decision with its numbers, or None.
        decisions: The last of them: time, pods and explanation.
    """

    def __init__(self, spec: ScalingSpec, now: float) -> None:
        self.spec = spec
        self.decision: Decision | None = None
        self.decisions: deque[tuple[float, int, str]] = deque(maxlen=50)
        self._metrics = RevisionMetrics(spec)
        self._autoscaler = Autoscaler(spec, ready=0, now=now)
        self._scaler = PodAutoscaler(spec, now=now)
        self._horizontal = HorizontalAutoscaler(spec.horizontal or HorizontalSpec())
        self._measured: dict[int, Usage] = {}
        self._measured_at = 0.0
        self._wanted = UNKNOWN
        self._ebc = initial_excess_burst_capacity(spec)

    @property
    def condition(self) -> Condition:
        """The Active condition."""
        return self._scaler.condition

    @property
    def initialized(self) -> bool:
        """Whether min-scale and initial-scale were ready together once."""
        return self._scaler.initialized

    @property
    def panicking(self) -> bool:
        """Whether the panic window decides."""
        return self._autoscaler.panic_since is not None

    def resume(self, *, active: bool) -> None:
        """Go on as a revision that was ready in an earlier run of the engine; see `PodAutoscaler.resume`."""
        self._scaler.resume(active=active)

    def update(self, spec: ScalingSpec, now: float) -> None:
        """Scale by another spec from now on."""
        self.spec = spec
        self._autoscaler.update(spec)
        self._metrics.update(spec, now)
        self._scaler.spec = spec

    # Metrics

    def announced(self, now: float, report: Report, *, running: bool) -> bool:
        """Take the report of a first request after silence; returns whether to decide at once."""
        self._metrics.record(now, report)
        return self._wanted == 0 or (self._wanted < 0 and not running)

    def scrape(self, now: float, activator: ActivatorStats, ready: Sequence[Pod]) -> float:
        """Take the reports of a second: the activator's, and that of a sample of the ready pods.

        Returns:
            The concurrency of all of them.
        """
        concurrency = 0.0
        report = activator.report(now)
        if report is not None:
            concurrency += report.concurrency
            self._metrics.record(now, report)
        if ready:
            reports = {pod: pod.proxy.stats.report(now) for pod in ready}
            concurrency += sum(one.concurrency - one.proxied_concurrency for one in reports.values())
            if self.spec.target_burst_capacity != -1:
                sample = random.sample(ready, sample_size(len(ready)))
                self._metrics.record(now, extrapolate([reports[pod] for pod in sample], len(ready)))
        return concurrency

    # Decisions

    def decide(self, now: float, pods: Sequence[Pod], replicas: int, *, reachable: bool) -> None:
        """Decide anew.

        Args:
            now: Seconds since the epoch.
            pods: All that there are.
            replicas: How many are to run.
            reachable: Whether traffic leads to the revision.
        """
        if self.spec.horizontal is not None:
            self._decide_horizontally(now, self.spec.horizontal, pods, replicas)
            return
        stable, panic = self._metrics.observe(now)
        ready = sum(pod.ready for pod in pods)
        decision = self._autoscaler.scale(now, ready=ready, stable=stable, panic=panic, reachable=reachable)
        if decision.valid:
            self._take(now, decision, decision.words())
            self._ebc = decision.ebc

    def _take(self, now: float, decision: Decision, words: str) -> None:
        if self.decision is None or decision.desired != self.decision.desired:
            self.decisions.append((now, decision.desired, words))
        self.decision = decision
        self._wanted = decision.desired

    def _decide_horizontally(self, now: float, spec: HorizontalSpec, pods: Sequence[Pod], replicas: int) -> None:
        """Decide by the use of CPU or memory since the last decision, every 15 s."""
        if self._measured and now - self._measured_at < SYNC_SECONDS:
            return
        by_pid = {pod.main_pid: pod for pod in pods if pod.ready and pod.main_pid}
        before, after = self._measured, of_trees(by_pid)
        seconds = now - self._measured_at
        self._measured, self._measured_at = after, now
        self._horizontal.spec = spec
        shares = (_share(spec, by_pid[pid], before.get(pid), usage, seconds) for pid, usage in after.items())
        used = [share for share in shares if share is not None]
        desired, text = self._horizontal.decide(now, replicas, used)
        average = sum(used) / len(used) if used else 0.0
        decision = Decision(
            at=now,
            valid=True,
            ready=sum(pod.ready for pod in pods),
            metric=spec.metric,
            stable=average,
            panic=average,
            target=spec.target,
            total=spec.target,
            desired=desired,
            text=text,
        )
        self._take(now, decision, text)
        self._ebc = 0  # the activator is out of the path while a pod is ready

    def step(self, now: float, *, ready: int, replicas: int, reachable: bool) -> Step:
        """What follows from the last decision now."""
        return self._scaler.reconcile(
            now, desired=self._wanted, ebc=self._ebc, ready=ready, replicas=replicas, reachable=reachable
        )


def _share(spec: HorizontalSpec, pod: Pod, before: Usage | None, after: Usage, seconds: float) -> float | None:
    """The use of a pod in the unit of the metric; None where it is unknown."""
    if spec.metric == "memory":
        return after.memory_bytes / 2**20
    request = pod.spec.program.container.cpu_request
    if spec.metric != "cpu" or before is None or not request or seconds <= 0:
        return None
    return max(0.0, after.cpu_seconds - before.cpu_seconds) / seconds / request * 100
