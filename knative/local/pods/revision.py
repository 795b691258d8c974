"""A revision as it runs: its pods, the activator before them, and the autoscaler above them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from knative.local.autoscaler.decision import Decision
from knative.local.autoscaler.metrics import Report
from knative.local.autoscaler.scaler import UNKNOWN, Step, bounded
from knative.local.autoscaler.scaler import Condition as Activity
from knative.local.autoscaler.spec import ACTIVATION_TIMEOUT_BUFFER_SECONDS, ScalingSpec
from knative.local.mesh.mesh import Mesh
from knative.local.pods.conditions import Condition, Problem
from knative.local.pods.pod import Pod, PodState, suffix
from knative.local.pods.progress import Progress
from knative.local.pods.runtimes.base import Runtime
from knative.local.pods.runtimes.selection import Runtimes
from knative.local.pods.scaling import Scaling
from knative.local.pods.stats import Tally
from knative.local.pods.template import Template
from knative.local.proxy.activator import Activator, WaitingRoom
from knative.local.proxy.breaker import QUEUE_FULL
from knative.local.proxy.exchange import Exchange
from knative.local.tasks import TaskSet


@dataclass(frozen=True, kw_only=True)
class Surroundings:
    """What all revisions of an engine have in common.

    Attributes:
        room: Where requests wait.
        runtimes: Start pods.
        mesh: The calls of pods to Services.
        environment: What the engine adds to the environment of the pods of a namespace and name.
        clock: Seconds since the epoch.
        write: Takes each line of a pod's output under the pod's name.
    """

    room: WaitingRoom
    runtimes: Runtimes
    mesh: Mesh
    environment: Callable[[str, str], Mapping[str, str]]
    clock: Callable[[], float]
    write: Callable[[str, bytes], None]


class Revision:
    """One revision.

    Args:
        name: Its name.
        template: What it runs.
        scaling: How it scales.
        around: What the engine gives all of them.
        changed: Called after each change of pods, decision or path.

    Attributes:
        reachable: Whether traffic leads to it.
        desired: Pods the autoscaler wants, as Knative's status says it; -1 while it knows nothing.
        replicas: Pods that are to run.
        step: What came of it: bounds, steps to zero, the activator's place.
        tally: What it has answered.
        cold_starts: Starts from zero with a request waiting.
        progress: To its first readiness.
    """

    def __init__(
        self,
        name: str,
        template: Template,
        scaling: ScalingSpec,
        *,
        around: Surroundings,
        changed: Callable[[], None],
    ) -> None:
        now = around.clock()
        self.name = name
        self.template = template
        self._scaling = Scaling(scaling, now)
        self.spec = template.pod_spec(name, around.environment(template.namespace, template.service))
        self.created = now
        self.reachable = True
        self.pods: list[Pod] = []
        self.desired = UNKNOWN
        self.replicas = 0
        self.step: Step | None = None
        self.tally = Tally(around.clock)
        self._timeouts = template.timeouts
        self.cold_starts = 0
        self._around = around
        self._changed = changed
        self._hash = suffix(9)
        self.activator = Activator(template.concurrency, room=around.room, clock=around.clock, record=self._announced)
        self._tasks = TaskSet()
        self._wake: asyncio.TimerHandle | None = None
        self._stopped = False
        self._runtime: Runtime | None = None
        self.progress = Progress(self, template.problem)
        self._at_zero = False

    # Requests

    def take(self, exchange: Exchange, pod: Pod | None = None) -> None:
        """Bring a request to a pod, one in particular if given. It is answered within the revision's timeout."""
        exchange.begun = self._around.clock()
        if (refusal := self.progress.refusal) is not None:
            exchange.at_end = self.tally.ended
            exchange.answer(503, refusal)
            return
        self._timeouts.begin(exchange)
        exchange.at_end = self.tally.ended
        if pod is None:
            self.activator.take(exchange)
        elif not pod.proxy.admit(exchange):
            exchange.answer(503, QUEUE_FULL)

    # Pods

    @property
    def running(self) -> list[Pod]:
        """Pods that count towards the scale: all but those that are being drained."""
        return [pod for pod in self.pods if pod.state is not PodState.DRAINING]

    @property
    def ready(self) -> int:
        """Pods that take requests."""
        return sum(pod.ready for pod in self.pods)

    @property
    def activity(self) -> Activity:
        """The state of the autoscaler."""
        return self._scaling.condition

    @property
    def scaling(self) -> ScalingSpec:
        """How it scales."""
        return self._scaling.spec

    @property
    def decision(self) -> Decision | None:
        """The last decision with its numbers, or None."""
        return self._scaling.decision

    @property
    def decisions(self) -> Sequence[tuple[float, int, str]]:
        """The last decisions: time, pods and explanation."""
        return self._scaling.decisions

    @property
    def conditions(self) -> list[Condition]:
        """Knative's conditions of the revision, Ready first."""
        return self.progress.conditions

    def refresh(self, template: Template) -> bool:
        """Use the template read again for pods from now on: its variables or problem may differ.

        Returns:
            Whether it differs.
        """
        if (template.environments, template.problem) == (self.template.environments, self.template.problem):
            return False
        if template.problem is not None and self._runtime is not None:
            return False  # what runs keeps its values
        mended = self.progress.problem is not None and template.problem is None
        self.template = template
        self.spec = template.pod_spec(self.name, self._around.environment(template.namespace, template.service))
        for pod in self.pods:
            pod.spec = self.spec
        if mended:
            self.start()
        return True

    def resume(self, *, active: bool) -> None:
        """Go on as a revision that was ready in an earlier run of the engine.

        Args:
            active: Whether it is to have its initial scale; else it is at zero until a request comes.
        """
        self.progress.was_ready = True
        self._scaling.resume(active=active)
        self._at_zero = not active
        self.start()

    def start(self) -> None:
        """Begin as a new revision does on a cluster: with its initial scale."""
        seconds = self.scaling.activation_timeout - ACTIVATION_TIMEOUT_BUFFER_SECONDS
        if not self.progress.start(self.template.problem, seconds):
            self._report()
            return
        if self.template.imaged:
            self._tasks.spawn(self._prepare())
        else:
            self._runtime = self._around.runtimes.process
            self._begin()

    async def _prepare(self) -> None:
        """Find what runs containers, and the image, before the first pod."""
        prepared = await self._around.runtimes.prepare(self.spec, self.template.namespace)
        if isinstance(prepared, Problem):
            self.progress.problem = prepared
            self.overdue()
        else:
            self._runtime = prepared
            self._begin()

    def _begin(self) -> None:
        if self._at_zero:
            self._at_zero = False
            self.tick()
            return
        floor = self.scaling.min_scale
        self._resize(bounded(max(self.scaling.initial_scale, floor), floor, self.scaling.max_scale))
        self._reconcile()

    def overdue(self) -> None:
        """Answer and log that it fails."""
        self._report()
        self._changed()

    def failed(self, explanation: str) -> None:
        """Log why it is not ready."""
        self._around.write(self.name, f"not ready: {explanation}".encode())

    def _report(self) -> None:
        """Log why the revision is not ready, once for each reason; what waits for a failed one is answered 503."""
        self.progress.report()
        if (refusal := self.progress.refusal) is not None:
            self.activator.refuse_waiting(refusal)

    def _resize(self, replicas: int) -> None:
        if self._stopped or self._runtime is None:
            return
        running = self.running
        if any(pod.fixed_port for pod in running):
            replicas = min(replicas, 1)  # a second one could not listen on the same port
        self.replicas = replicas
        if replicas > len(running):
            self.pods += [self._new_pod(self._runtime) for _ in range(replicas - len(running))]
        elif replicas < len(running):
            # As a ReplicaSet chooses: those that are not ready first, then those ready for the shortest time.
            running.sort(key=lambda pod: (pod.fixed_port is not None, pod.ready, -(pod.ready_at or 0.0)))
            self.progress.removing(running[0])
            for pod in running[: len(running) - replicas]:
                self._tasks.spawn(self._retire(pod))
        self._changed()

    def _new_pod(self, runtime: Runtime) -> Pod:
        name = f"{self.name}-deployment-{self._hash}-{suffix(5)}"
        reachable = runtime.shares_ports or runtime.gateway is not None
        return Pod(
            self.spec,
            name,
            runtime,
            changed=self._pod_changed,
            returned=self.activator.returned,
            write=self._around.write,
            clock=self._around.clock,
            variables=self._around.mesh.variables(name, self.template.namespace, runtime.gateway) if reachable else {},
        )

    async def _retire(self, pod: Pod) -> None:
        await pod.stop()
        self._around.mesh.dismiss(pod.name)
        self.pods.remove(pod)
        self._changed()

    def remove(self, name: str) -> None:
        """Stop one pod after its requests; the scale stays, so that another takes its place."""
        for pod in self.running:
            if pod.name == name:
                self._tasks.spawn(self._retire(pod))
                # After the pod has begun to drain.
                asyncio.get_running_loop().call_soon(lambda: self._resize(self.replicas))

    def _pod_changed(self) -> None:
        if not self._stopped:
            self._reconcile()
            if any(pod.fixed_port for pod in self.running) and len(self.running) > 1:
                self._resize(1)
        if self.progress.was_ready:
            self.activator.serve([pod.proxy for pod in self.pods if pod.ready])
        if not self._stopped:
            self._report()
            self._changed()

    async def stop(self, reason: str, within: float | None = None) -> None:
        """Stop all pods, and tell the requests that wait for one why; `within` seconds, or each within its grace."""
        self._stopped = True
        if self._wake is not None:
            self._wake.cancel()
        self.progress.stop()
        self._tasks.cancel()
        self.activator.close(reason)
        await asyncio.gather(*(pod.stop(within) for pod in self.pods))
        for pod in self.pods:
            self._around.mesh.dismiss(pod.name)
        self.pods.clear()

    # Scaling

    def _announced(self, report: Report) -> None:
        """The activator saw a first request after silence."""
        at_once = self._scaling.announced(self._around.clock(), report, running=bool(self.running))
        if not self.running:
            self.cold_starts += 1
        if at_once:
            self.tick()

    def tick(self) -> None:
        """Decide anew."""
        self._scaling.decide(self._around.clock(), self.pods, self.replicas, reachable=self.reachable)
        self._reconcile()

    def _reconcile(self) -> None:
        if self._stopped or self._runtime is None:  # nothing can be started, or not yet
            return
        if self._wake is not None:
            self._wake.cancel()
            self._wake = None
        step = self._scaling.step(
            self._around.clock(), ready=self.ready, replicas=self.replicas, reachable=self.reachable
        )
        self.step = step
        if step.desired != self.desired:
            self.desired = step.desired
            self._changed()
        self.activator.in_path = step.proxied
        if self._scaling.initialized:
            self.progress.was_ready = True
        elif step.replicas == 0 and self.replicas and step.condition is Activity.INACTIVE:
            self.progress.give_up()
        if step.replicas != self.replicas:
            self._resize(step.replicas)
        if step.wake_after is not None:
            delay = max(0.05, step.wake_after)
            self._wake = asyncio.get_running_loop().call_later(delay, self._reconcile)

    def rescale(self, scaling: ScalingSpec) -> bool:
        """Scale by another spec from now on.

        Returns:
            Whether it differs.
        """
        if scaling == self.scaling:
            return False
        self._scaling.update(scaling, self._around.clock())
        self._reconcile()
        return True

    def scrape(self) -> None:
        """Report a second that has passed: the activator's count, and that of a sample of the pods."""
        now = self._around.clock()
        concurrency = self._scaling.scrape(now, self.activator.stats, [pod for pod in self.pods if pod.ready])
        self.tally.remember(
            now,
            concurrency,
            queued=self.activator.queued,
            desired=max(self.desired, 0),
            ready=self.ready,
            panic=self._scaling.panicking,
            pods=len(self.pods),
        )
