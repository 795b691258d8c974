"""A pod: the programs of a revision that start, serve and end together.

Init containers run first, each to its end; then the program that serves and its sidecars. Requests are the
queue-proxy's.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import time
from collections.abc import Callable, Mapping
from enum import StrEnum

from knative.local.pods.conditions import Exit
from knative.local.pods.podspec import PodSpec, Program
from knative.local.pods.runtimes.base import Runtime
from knative.local.pods.supervisor import State, Supervisor
from knative.local.proxy.exchange import Exchange
from knative.local.proxy.queue_proxy import QueueProxy

# Kubernetes' alphabet for generated names: no vowels, so no words.
_ALPHABET = "bcdfghjklmnpqrstvwxz2456789"
_LOOK_SECONDS = 0.02  # between two looks at whether the container whose network is joined has begun
_KILLED_SECONDS = 10.0  # for sidecars to end after SIGKILL


class PodState(StrEnum):
    """What a pod is doing."""

    PENDING = "pending"
    READY = "ready"
    DRAINING = "draining"
    FAILED = "failed"


def suffix(length: int) -> str:
    """A random name of Kubernetes' kind."""
    return "".join(random.choices(_ALPHABET, k=length))


class Pod:
    """One replica of a revision.

    Args:
        spec: What it runs.
        name: Its name, also its HOSTNAME.
        runtime: Starts its programs.
        changed: Called after each change of its state.
        returned: Takes back a request that it has not seen.
        write: Takes each line of its output: of the program that serves under the pod's name, of another under
            `pod/container`.
        clock: Seconds since the epoch.
        variables: Added to the environment of each of its programs, below the manifest's own.

    Attributes:
        state: See `PodState`.
        proxy: What requests pass on their way to its process.
        supervisors: Of its programs that have been started, by the container's name.
    """

    def __init__(
        self,
        spec: PodSpec,
        name: str,
        runtime: Runtime,
        *,
        changed: Callable[[], None],
        returned: Callable[[Exchange], None],
        write: Callable[[str, bytes], None],
        clock: Callable[[], float] = time.time,
        variables: Mapping[str, str] | None = None,
    ) -> None:
        self.name = name
        self.state = PodState.PENDING
        self.proxy = QueueProxy(
            name,
            spec.concurrency,
            refused=self._refused,
            returned=returned,
            log=lambda line: write(name, line.encode()),
            clock=clock,
            http2=spec.program.container.http2,
        )
        self.created = clock()
        self.supervisors: dict[str, Supervisor] = {}
        self._main: Supervisor | None = None
        self._changed = changed
        self._write = write
        self._clock = clock
        self._runtime = runtime
        self._variables = variables or {}
        self._spec = spec.with_variables(self._variables)
        self._stopping = False
        self._progress = asyncio.Event()
        self._task = asyncio.get_running_loop().create_task(self._begin())

    @property
    def spec(self) -> PodSpec:
        """What it runs; a replaced one is used from the next start of a program on."""
        return self._spec

    @spec.setter
    def spec(self, spec: PodSpec) -> None:
        self._spec = spec.with_variables(self._variables)
        for supervisor in self.supervisors.values():
            supervisor.spec = self._spec

    # What its programs are doing

    @property
    def _others(self) -> list[Supervisor]:
        return [one for one in self.supervisors.values() if one is not self._main]

    @property
    def _sidecars(self) -> list[Supervisor]:
        names = {program.name for program in self.spec.beside}
        return [one for one in self._others if one.name in names]

    @property
    def reason(self) -> str:
        """Why it is not ready, in words."""
        return "" if self.state is PodState.DRAINING else self._derived()[1]

    @property
    def ready(self) -> bool:
        """Whether it takes requests."""
        return self.state is PodState.READY

    @property
    def port(self) -> int:
        """The port of this machine that leads to the program that serves."""
        return self._main.place.port if self._main is not None else 0

    @property
    def pid(self) -> int | None:
        """The process of the program that serves, while it has one."""
        return self._main.pid if self._main is not None else None

    @property
    def main_pid(self) -> int:
        """Its first process; 0 while it has none or it is unknown."""
        return self._main.main_pid if self._main is not None else 0

    @property
    def restarts(self) -> int:
        """How often its programs were started again, all together."""
        return sum(one.restarts for one in self.supervisors.values())

    @property
    def exit(self) -> Exit | None:
        """How a program ended the last time, the one that serves before others; None once it has been ready since."""
        mains = [self._main] if self._main is not None else []
        return next((one.exit for one in (*mains, *self._others) if one.exit and one.state is not State.DONE), None)

    @property
    def backing_off(self) -> bool:
        """Whether one of its programs waits longer each time before it is started again."""
        return any(one.backing_off for one in self.supervisors.values())

    @property
    def fixed_port(self) -> int | None:
        """The port that the program listens on instead of PORT, where it is served."""
        return self._main.place.fixed_port if self._main is not None else None

    @property
    def ignores_port(self) -> str | None:
        """What to do about a program that ignores PORT, or None."""
        return self._main.place.ignores_port if self._main is not None else None

    @property
    def ready_at(self) -> float | None:
        """When the last of its programs became ready after its last start."""
        times = [one.ready_at for one in self.supervisors.values() if one.state is not State.DONE]
        return max((at for at in times if at is not None), default=None)

    # From the beginning on

    async def _begin(self) -> None:
        """Run the init containers, then start the rest."""
        for program in self.spec.before:
            initial = self._supervise(program)
            while initial.state is not State.DONE:
                self._progress.clear()
                await self._progress.wait()
        self._main = self._supervise(self.spec.program)
        for program in self.spec.beside:
            self._supervise(program)

    def _supervise(self, program: Program) -> Supervisor:
        supervisor = Supervisor(self.spec, program.name, self.name, self._runtime, owner=self, clock=self._clock)
        self.supervisors[program.name] = supervisor
        return supervisor

    # What a supervisor calls

    def write(self, supervisor: Supervisor, line: bytes) -> None:
        """Pass on a line, named by the container unless that is the one that serves."""
        serves = supervisor.name == self.spec.program.name
        self._write(self.name if serves else f"{self.name}/{supervisor.name}", line)

    def serve_at(self, port: int) -> None:
        """Send requests to a port of this machine."""
        self.proxy.forward_to(port)

    async def gate(self, supervisor: Supervisor) -> None:
        """Hold a start back until the network that containers share is there."""
        if not self._runtime.joined or any(supervisor.name == one.name for one in self.spec.before):
            return
        if supervisor.name == self.spec.program.name:
            await self._end_joined(supervisor)
        else:
            while not (self._main and self._main.begun):
                await asyncio.sleep(_LOOK_SECONDS)

    async def _end_joined(self, main: Supervisor) -> None:
        """End what still uses the network of a container that has ended, and remove the container."""
        if not main.restarts:
            return
        for sidecar in self._sidecars:
            sidecar.kill()
        deadline = asyncio.get_running_loop().time() + _KILLED_SECONDS
        while any(one.pid for one in self._sidecars) and asyncio.get_running_loop().time() < deadline:
            await asyncio.sleep(_LOOK_SECONDS)
        await self._runtime.clear(self.spec, self.name)

    def noticed(self, supervisor: Supervisor) -> None:
        """Follow a change of one program."""
        self._progress.set()
        if self._stopping:
            return
        was_ready = self.ready
        self.state = self._derived()[0]
        self._changed()
        if was_ready and not self.ready:
            self.proxy.give_back()
        if supervisor is self._main and supervisor.state is State.DOWN:
            self.proxy.give_back()
            self.proxy.abort()

    def _derived(self) -> tuple[PodState, str]:
        ended = [one for one in self.supervisors.values() if one.state is State.DOWN]
        waiting = [one for one in self.supervisors.values() if one.state not in (State.READY, State.DONE)]
        for one in (*ended, *waiting):
            state = PodState.FAILED if one.state is State.DOWN else PodState.PENDING
            return state, one.reason if one is self._main else f"{one.name}: {one.reason}"
        whole = self._main is not None and len(self.supervisors) == len(self.spec.programs)
        return (PodState.READY, "") if whole else (PodState.PENDING, "starting")

    def _refused(self) -> None:
        if self._main is not None:
            self._main.refused()

    # To its end

    async def stop(self, within: float | None = None) -> None:
        """Take no more requests, let those under way finish, then SIGTERM, then SIGKILL.

        May be asked again with less time, as the end of the engine does of a pod that is draining already.

        Args:
            within: Seconds for all of it; the revision's grace if None.
        """
        grace = self.spec.grace if within is None else within
        deadline = asyncio.get_running_loop().time() + grace
        failed = self.state is PodState.FAILED
        self._stopping = True
        for supervisor in self.supervisors.values():
            supervisor.stopping()
        if not failed:
            self.state = PodState.DRAINING
            self._changed()
            self.proxy.give_back()
        with contextlib.suppress(TimeoutError):
            # A quarter of the time is kept for the process's own end.
            await asyncio.wait_for(self.proxy.drain(), grace * 0.75)
        self._task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._task
        left = max(0.1, deadline - asyncio.get_running_loop().time())
        await asyncio.gather(*(supervisor.stop(left) for supervisor in self.supervisors.values()))
        await self._runtime.clear(self.spec, self.name)
        self._runtime.forget(self.name)
        self.proxy.abort()
