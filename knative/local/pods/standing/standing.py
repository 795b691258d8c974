"""One pod that is kept running: started, started again when it ends, and replaced when a client removes it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from knative.local.pods.conditions import Problem
from knative.local.pods.pod import Pod, suffix
from knative.local.pods.revision import Surroundings
from knative.local.pods.runtimes.base import Runtime
from knative.local.pods.standing.reading import StandingTemplate
from knative.local.tasks import TaskSet

_RETRY_SECONDS = 10.0
_RETRY_MAX_SECONDS = 300.0


class Standing:
    """The pod of a Deployment of one replica.

    Args:
        name: The Deployment's.
        namespace: The Deployment's.
        template: What it runs.
        around: What the engine gives all pods.
        changed: Called after each change of its pod.

    Attributes:
        template: What it runs.
        pods: The pod, and those that are ending.
        problem: Why no pod can be started, or None. It is tried again, since an image may have been built since.
    """

    replicas = 1

    def __init__(
        self,
        name: str,
        namespace: str,
        template: StandingTemplate,
        *,
        around: Surroundings,
        changed: Callable[[], None],
    ) -> None:
        self.template = template
        self.pods: list[Pod] = []
        self.problem: Problem | None = template.problem
        self._name = name
        self._namespace = namespace
        self._around = around
        self._changed = changed
        self._hash = suffix(9)
        self._runtime: Runtime | None = None
        self._tasks = TaskSet()
        self._leaving: set[Pod] = set()
        self._beginning: asyncio.Task[None] | None = None
        self._stopped = False
        self._start()

    @property
    def running(self) -> list[Pod]:
        """Pods that are not ending."""
        return [pod for pod in self.pods if pod not in self._leaving]

    @property
    def ready(self) -> int:
        """Pods that are ready."""
        return sum(pod.ready for pod in self.running)

    @property
    def reason(self) -> str:
        """Why it is not ready, in words; empty if it is."""
        if self.problem is not None:
            return f"{self.problem.reason}: {self.problem.message}"
        return "" if self.ready else next((pod.reason for pod in self.running), "starting")

    def update(self, template: StandingTemplate) -> None:
        """Run another template from now on."""
        self.template = template
        self._hash = suffix(9)
        for pod in self.running:
            self._leave(pod)
        self._start()

    def _start(self) -> None:
        if self._beginning is not None:
            self._beginning.cancel()
        self._runtime = None
        self.problem = self.template.problem
        if self.problem is None:
            self._beginning = asyncio.get_running_loop().create_task(self._begin())
        else:
            self._report()

    async def _begin(self) -> None:
        """Find what runs the pod, and start it."""
        delay = _RETRY_SECONDS
        while isinstance(found := await self._prepared(), Problem):
            known, self.problem = self.problem, found
            if found != known:
                self._report()
                self._changed()
            await asyncio.sleep(delay)
            delay = min(delay * 2, _RETRY_MAX_SECONDS)
        self.problem = None
        self._runtime = found
        self._fill()

    async def _prepared(self) -> Runtime | Problem:
        if not self.template.imaged:
            return self._around.runtimes.process
        found = await self._around.runtimes.prepare(self.template.spec, self._namespace)
        if isinstance(found, Problem) or found.shares_ports or found.gateway is not None:
            return found
        message = "the network of its containers does not reach the engine, so that no sink can be reached from it"
        return Problem("ResourcesAvailable", "SinkUnreachable", message)

    def _report(self) -> None:
        self._around.write(self._name, f"not ready: {self.reason}".encode())

    def _fill(self) -> None:
        """Start a pod if none runs."""
        runtime = self._runtime
        if self._stopped or runtime is None or self.running:
            return
        name = f"{self._name}-{self._hash}-{suffix(5)}"
        reachable = runtime.shares_ports or runtime.gateway is not None
        self.pods.append(
            Pod(
                self.template.spec,
                name,
                runtime,
                changed=self._changed,
                returned=lambda _exchange: None,  # it gets no requests
                write=self._around.write,
                clock=self._around.clock,
                variables=self._around.mesh.variables(name, self._namespace, runtime.gateway) if reachable else {},
            )
        )
        self._changed()

    def remove(self, name: str) -> None:
        """Stop a pod; another takes its place."""
        for pod in self.running:
            if pod.name == name:
                self._leave(pod)
                self._fill()

    def _leave(self, pod: Pod) -> None:
        self._leaving.add(pod)
        self._tasks.spawn(self._retire(pod))

    async def _retire(self, pod: Pod, within: float | None = None) -> None:
        await pod.stop(within)
        self._around.mesh.dismiss(pod.name)
        if pod in self._leaving:
            self._leaving.discard(pod)
            self.pods.remove(pod)
            self._changed()

    async def stop(self, within: float | None = None) -> None:
        """Stop its pods; `within` seconds, or each within its grace."""
        self._stopped = True
        if self._beginning is not None:
            self._beginning.cancel()
        self._tasks.cancel()
        self._leaving.update(self.pods)
        await asyncio.gather(*(self._retire(pod, within) for pod in tuple(self.pods)))
