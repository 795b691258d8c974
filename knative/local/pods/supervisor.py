"""One program of a pod from its start to its end, restarts included.

What the kubelet does on a cluster: it starts the program, asks its probes, and restarts what ends.
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
from collections.abc import Callable
from enum import StrEnum
from typing import Protocol

from knative.local.pods.conditions import Exit
from knative.local.pods.environment import SINK
from knative.local.pods.placement import Placement
from knative.local.pods.podspec import PodSpec, Program
from knative.local.pods.probes.probe import Probe, ask
from knative.local.pods.probes.prober import PERIOD_SECONDS, Prober
from knative.local.pods.runtimes.base import Launch, Running, Runtime
from knative.local.pods.runtimes.ports import free_port

_BACK_OFF_SECONDS = 1.0
_BACK_OFF_MAX_SECONDS = 60.0
_START_FAILED = 128  # the exit code of a container that could not be started
_SIGNALLED = 128
_LAST_LINE_BYTES = 1024
_STEADY_SECONDS = 60.0  # ready for that long, earlier crashes are forgotten


class State(StrEnum):
    """What a program is doing."""

    STARTING = "starting"
    READY = "ready"
    UNREADY = "unready"  # it runs, was ready, and is not
    DOWN = "down"  # it has ended and is to be started again
    DONE = "done"  # an init container that has succeeded


class Owner(Protocol):
    """The pod of a program."""

    def noticed(self, supervisor: Supervisor) -> None:
        """Follow a change of its state."""

    def write(self, supervisor: Supervisor, line: bytes) -> None:
        """Write a line of its output, or of what is done to it."""

    def serve_at(self, port: int) -> None:
        """Send requests to this port of this machine."""

    async def gate(self, supervisor: Supervisor) -> None:
        """Wait until it may be started."""


class Supervisor:
    """One program of a pod.

    Args:
        spec: The pod's, which may be replaced: the next start uses the new one.
        name: Of the container whose program it is.
        pod: The pod's name.
        runtime: Starts it.
        owner: The pod.
        clock: Seconds since the epoch.

    Attributes:
        state: See `State`.
        reason: Why it is not ready, in words.
        restarts: How often it was started again.
        exit: How it ended the last time; None once it has been ready since.
        place: Where it is served.
        backing_off: Whether it waits longer each time before it is started again.
        ready_at: When it became ready after its last start.
        started_at: When it was started the last time.
        ended: When its last run that has ended began and ended; None before.
    """

    def __init__(
        self,
        spec: PodSpec,
        name: str,
        pod: str,
        runtime: Runtime,
        *,
        owner: Owner,
        clock: Callable[[], float],
    ) -> None:
        self.spec = spec
        self.name = name
        self.state = State.STARTING
        self.reason = "starting"
        self.restarts = 0
        self.exit: Exit | None = None
        self.backing_off = False
        self.ready_at: float | None = None
        self.started_at = clock()
        self.ended: tuple[float, float] | None = None
        self.place = Placement(
            owner.serve_at, lambda text: owner.write(self, text.encode()), lambda: owner.noticed(self)
        )
        self._pod = pod
        self._runtime = runtime
        self._owner = owner
        self._clock = clock
        self._serves = name == spec.program.name
        self._process: Running | None = None
        self._exited = asyncio.Event()
        self._stopping = False
        self._last_line = ""
        self._prober = Prober(self)
        self._running = False
        self._initial = any(name == one.name for one in spec.before)
        self._task = asyncio.get_running_loop().create_task(self._supervise())

    @property
    def program(self) -> Program:
        """What it runs, from its next start on."""
        return self.spec.named(self.name)

    @property
    def begun(self) -> bool:
        """Whether the program runs."""
        return self._process is not None and self._process.begun

    @property
    def pid(self) -> int | None:
        """Its process, while it has one."""
        return self._process.pid if self._process is not None and self._process.code is None else None

    @property
    def main_pid(self) -> int:
        """The first process of the program; 0 while it has none or it is unknown."""
        return self._process.main_pid if self.pid is not None and self._process is not None else 0

    @property
    def ready(self) -> bool:
        """Whether it runs, and its readiness probe succeeds."""
        return self.state is State.READY

    def _enter(self, state: State, reason: str = "") -> None:
        self.state = state
        self.reason = reason
        self._owner.noticed(self)

    def refused(self) -> None:
        """Note that it does not accept connections."""
        if self.state is State.READY:
            self._enter(State.UNREADY, "it refuses connections")
            self._prober.suspect.set()

    async def _supervise(self) -> None:
        crashes = 0
        while True:
            began = self._clock()
            try:
                reason = await self._once()
            except (OSError, ValueError) as error:  # ValueError: see check_execution
                reason = f"cannot start: {getattr(error, 'strerror', None) or error}"
                self.exit = Exit(_START_FAILED, reason)
            if self._stopping:
                return
            if self._initial and self.exit is not None and not self.exit.code:
                self._enter(State.DONE)
                return
            if self.ready_at is not None and self._clock() - max(began, self.ready_at) > _STEADY_SECONDS:
                crashes = 0
            # A program that was up is back at once; one that falls again and again is not.
            delay = 0.0 if not crashes else min(_BACK_OFF_SECONDS * 2 ** (crashes - 1), _BACK_OFF_MAX_SECONDS)
            crashes += 1
            self.backing_off = bool(delay)
            if delay:
                reason += f", next try in {delay:g} s"
            self._enter(State.DOWN, reason)
            self._owner.write(self, f"{reason}; restart {self.restarts + 1}".encode())
            await asyncio.sleep(delay)
            self.restarts += 1
            self.backing_off = False
            self._enter(State.STARTING, "starting again")

    async def _once(self) -> str:
        await self._owner.gate(self)
        if not self._serves:
            return await self._run(0)
        with free_port() as port:
            return await self._run(port)

    async def _run(self, port: int) -> str:
        """Run the program from start to end; says how it ended."""
        self.ready_at = None
        self.started_at = self._clock()
        self._last_line = ""
        self._exited.clear()
        self.place.start(port)
        environment = {**self.program.environment, "HOSTNAME": self._pod}
        if sink := environment.get(SINK):
            environment[SINK] = self._runtime.address(sink)
        if self._serves:
            environment["PORT"] = str(self._runtime.port_inside(self.spec, port))
            self._owner.serve_at(port)
        self._process = process = self._runtime.start(
            Launch(
                spec=self.spec,
                program=self.program,
                pod=self._pod,
                port=port,
                environment=environment,
                line=self._line,
                exited=lambda _code: self._exited.set(),
            )
        )
        self._running = True
        watch = asyncio.get_running_loop().create_task(self._watch())
        try:
            await self._exited.wait()
        except asyncio.CancelledError:
            process.kill()
            raise
        finally:
            watch.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await watch
            await self.place.stop()
            process.close()
            self._running = False
        code = process.code or 0
        self.ended = (self.started_at, self._clock())
        self.exit = Exit(code if code >= 0 else _SIGNALLED - code, self._last_line)
        if code < 0:
            return f"killed by {signal.Signals(-code).name}"
        return f"exited with {code}"

    def _line(self, line: bytes) -> None:
        self._last_line = line[:_LAST_LINE_BYTES].decode(errors="replace").strip() or self._last_line
        self._owner.write(self, line)

    async def _watch(self) -> None:
        """Ask the probes for as long as the program runs."""
        program = self.program
        if self._initial or (program.startup is not None and not await self._starts(program.startup)):
            return
        alive = None
        if program.liveness is not None:
            alive = asyncio.get_running_loop().create_task(self._stay_alive(program.liveness))
        try:
            await self._stay_ready(program.readiness)
        finally:
            if alive is not None:
                alive.cancel()

    async def _stay_ready(self, probe: Probe | None) -> None:
        while True:
            if probe is not None:
                await self._prober.until_good(probe)
            if self._stopping:
                return
            self.ready_at = self.ready_at or self._clock()
            self._prober.suspect.clear()
            self.exit = None
            self.place.is_ready()
            self._enter(State.READY)
            if probe is None:
                await asyncio.Event().wait()  # a sidecar without a probe is ready while it runs
            else:
                reason = await self._prober.until_bad(probe)
                if self.state is State.READY:
                    self._enter(State.UNREADY, f"no longer ready: {reason}")

    async def _starts(self, probe: Probe) -> bool:
        """Give the program failureThreshold times periodSeconds to start; kill it after that."""
        allowed = probe.failure_threshold * (probe.period or PERIOD_SECONDS)
        if await self._prober.until_good(probe, allowed):
            return True
        self._fail(f"startup probe failed for {allowed:g} s: {self.reason}")
        return False

    def _fail(self, reason: str) -> None:
        self._owner.write(self, f"{reason}; killed".encode())
        self.kill()

    # What the prober calls

    @property
    def was_ready(self) -> bool:
        """Whether it has been ready since its last start."""
        return self.ready_at is not None

    def waits(self, reason: str) -> None:
        """Note why it is not ready yet; that it ignores PORT explains more than that it does not listen there."""
        if not self._stopping:
            self.reason = self.place.ignores_port or reason

    def look_elsewhere(self) -> None:
        """Find the port of a program that ignores PORT; one that has the ports of this machine is served there."""
        if not self._serves or self._process is None:
            return
        self.place.look(
            self._process,
            inside=self._runtime.port_inside(self.spec, self.place.port),
            declared=self.program.container.port,
            shares_ports=self._runtime.shares_ports,
            waited=self._clock() - self.started_at,
        )
        if self.place.ignores_port is not None:
            self.waits(self.place.ignores_port)

    def listens(self) -> bool:
        """Whether it listens on its port."""
        return self._process is not None and self._process.listens(self.place.port)

    async def ask(self, probe: Probe) -> str | None:
        """Ask a probe once; None if the answer is good."""
        process = self._process
        assert process is not None
        port = self.place.port if probe.port is None else process.reach(probe.port)
        if port is None:
            return f"nothing listens on port {probe.port}"
        return await ask(probe, port, process.command)

    async def _stay_alive(self, probe: Probe) -> None:
        self._fail(await self._prober.until_dead(probe))

    def kill(self) -> None:
        """Kill the program; it is started again unless it is being stopped."""
        if self._process is not None:
            self._process.kill()

    def stopping(self) -> None:
        """Start it no more once it ends."""
        self._stopping = True

    async def stop(self, within: float) -> None:
        """SIGTERM, and SIGKILL after so many seconds."""
        self._stopping = True
        process = self._process
        if process is not None and process.code is None:
            process.signal(signal.SIGTERM)
            try:
                await asyncio.wait_for(self._exited.wait(), within)
            except TimeoutError:
                process.kill()
                await self._exited.wait()
        # After its process the task ends by itself; a second cancellation would leave a probe's command behind.
        if not self._running:
            self._task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._task
