"""A pod: one process of a revision with a port of its own, from its start to its end, restarts included.

What the kubelet does on a cluster: it starts the process, asks the probes, restarts what ends, and stops it with grace.
Requests are the queue-proxy's.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
import random
import signal
import time
from collections.abc import Callable
from enum import StrEnum

from knative.local.pods.conditions import Exit
from knative.local.pods.podspec import PodSpec
from knative.local.pods.ports import free_port
from knative.local.pods.probes import Probe, ask
from knative.local.pods.runtimes.base import Launch, Running, Runtime
from knative.local.proxy.exchange import Exchange
from knative.local.proxy.queue_proxy import QueueProxy

# Kubernetes' alphabet for generated names: no vowels, so no words.
_ALPHABET = "bcdfghjklmnpqrstvwxz2456789"
_EAGER_SECONDS = 0.02  # Knative asks every 50 ms; a request may be waiting
_COMMAND_SECONDS = 1.0
_PERIOD_SECONDS = 10.0  # the kubelet's, where a manifest names none
_LISTENING_SECONDS = 0.005
_LOOK_ELSEWHERE = 80  # looks at its own port between two at the others that it may listen on
_BACK_OFF_SECONDS = 1.0
_BACK_OFF_MAX_SECONDS = 60.0
_START_FAILED = 128  # the exit code of a container that could not be started
_SIGNALLED = 128
_LAST_LINE_BYTES = 1024
_STEADY_SECONDS = 60.0  # ready for that long, a pod's earlier crashes are forgotten


class PodState(StrEnum):
    """What a pod is doing."""

    PENDING = "pending"
    READY = "ready"
    DRAINING = "draining"
    FAILED = "failed"


def suffix(length: int) -> str:
    """A random name of Kubernetes' kind."""
    return "".join(random.choices(_ALPHABET, k=length))  # noqa: S311 - a name, not a secret


class Pod:
    """One replica of a revision.

    Args:
        spec: What it runs.
        name: Its name, also its HOSTNAME.
        runtime: Starts its program.
        changed: Called after each change of its state.
        returned: Takes back a request that it has not seen.
        write: Takes each line of its output, under its name.

    Attributes:
        state: See `PodState`.
        reason: Why it is not ready, in words.
        proxy: What requests pass on their way to its process.
        restarts: How often its process was started again.
        exit: How its process ended the last time; None once it has been ready since.
        fixed_port: The port it listens on instead of PORT, where it is served.
        ignores_port: What to do about a program that ignores PORT, or None.
        backing_off: Whether it waits longer each time before its process is started again.
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
    ) -> None:
        self.spec = spec
        self.name = name
        self.state = PodState.PENDING
        self.reason = "starting"
        self.proxy = QueueProxy(
            name,
            spec.concurrency,
            refused=self._refused,
            returned=returned,
            log=lambda line: write(name, line.encode()),
            clock=clock,
            http2=spec.container.http2,
        )
        self.restarts = 0
        self.exit: Exit | None = None
        self.backing_off = False
        self.fixed_port: int | None = None
        self.ignores_port: str | None = None
        self.created = clock()
        self.ready_at: float | None = None
        self.port = 0
        self._changed = changed
        self._write = write
        self._clock = clock
        self._runtime = runtime
        self._process: Running | None = None
        self._exited = asyncio.Event()
        self._stopping = False
        self._last_line = ""
        self._suspect = asyncio.Event()
        self._task = asyncio.get_running_loop().create_task(self._supervise())

    @property
    def pid(self) -> int | None:
        """Its process, while it has one."""
        return self._process.pid if self._process is not None and self._process.code is None else None

    @property
    def main_pid(self) -> int:
        """The first process of its program; 0 while it has none or it is unknown."""
        return self._process.main_pid if self.pid is not None and self._process is not None else 0

    @property
    def ready(self) -> bool:
        """Whether it takes requests."""
        return self.state is PodState.READY

    def _enter(self, state: PodState, reason: str = "") -> None:
        self.state = state
        self.reason = reason
        self._changed()

    def _down(self, reason: str) -> None:
        self._enter(PodState.PENDING, reason)
        self.proxy.give_back()

    def _refused(self) -> None:
        if self.state is PodState.READY:
            self._down("it refuses connections")
            self._suspect.set()

    async def _supervise(self) -> None:
        crashes = 0
        while True:
            began = self._clock()
            try:
                with free_port() as self.port:
                    reason = await self._run_once()
            except (OSError, ValueError) as error:  # ValueError: a null byte in an argument or a variable
                reason = f"cannot start: {getattr(error, 'strerror', None) or error}"
                self.exit = Exit(_START_FAILED, reason)
            if self._stopping:
                self.proxy.abort()
                return
            if self.ready_at is not None and self._clock() - max(began, self.ready_at) > _STEADY_SECONDS:
                crashes = 0
            # A pod that was up is back at once; one that falls again and again is not.
            delay = 0.0 if not crashes else min(_BACK_OFF_SECONDS * 2 ** (crashes - 1), _BACK_OFF_MAX_SECONDS)
            crashes += 1
            self.backing_off = bool(delay)
            if delay:
                reason += f", next try in {delay:g} s"
            self._enter(PodState.FAILED, reason)
            self.proxy.give_back()
            self.proxy.abort()
            self._write(self.name, f"{reason}; restart {self.restarts + 1}".encode())
            await asyncio.sleep(delay)
            self.restarts += 1
            self.backing_off = False
            self._enter(PodState.PENDING, "starting again")

    async def _run_once(self) -> str:
        """Run the process from start to end; says how it ended."""
        self.ready_at = None
        self._last_line = ""
        self._exited.clear()
        inside = self._runtime.port_inside(self.spec, self.port)
        environment = {**self.spec.environment, "PORT": str(inside), "HOSTNAME": self.name}
        self.proxy.forward_to(self.port)
        self._process = process = self._runtime.start(
            Launch(
                spec=self.spec,
                name=self.name,
                port=self.port,
                environment=environment,
                line=self._line,
                exited=lambda _code: self._exited.set(),
            )
        )
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
            process.close()
        code = process.code or 0
        self.exit = Exit(code if code >= 0 else _SIGNALLED - code, self._last_line)
        if code < 0:
            return f"killed by {signal.Signals(-code).name}"
        return f"exited with {code}"

    def _line(self, line: bytes) -> None:
        self._last_line = line[:_LAST_LINE_BYTES].decode(errors="replace").strip() or self._last_line
        self._write(self.name, line)

    async def _watch(self) -> None:
        """Ask the probes for as long as the process runs."""
        spec = self.spec
        if spec.startup is not None and not await self._starts(spec.startup):
            return
        alive = None
        if spec.liveness is not None:
            alive = asyncio.get_running_loop().create_task(self._stay_alive(spec.liveness))
        try:
            while True:
                await self._until_good(spec.readiness)
                if self._stopping:
                    return
                self.ready_at = self.ready_at or self._clock()
                self._suspect.clear()
                self.exit = None
                self._enter(PodState.READY)
                reason = await self._until_bad(spec.readiness)
                if self.state is PodState.READY:
                    self._down(f"no longer ready: {reason}")
        finally:
            if alive is not None:
                alive.cancel()

    async def _starts(self, probe: Probe) -> bool:
        """Give the process failureThreshold times periodSeconds to start; kill it after that."""
        allowed = probe.failure_threshold * (probe.period or _PERIOD_SECONDS)
        if await self._until_good(probe, allowed):
            return True
        self._fail(f"startup probe failed for {allowed:g} s: {self.reason}")
        return False

    def _fail(self, reason: str) -> None:
        self._write(self.name, f"{reason}; killed".encode())
        if self._process is not None:
            self._process.kill()

    async def _until_good(self, probe: Probe, allowed: float = math.inf) -> bool:
        """Ask until the answer is good, or until it was bad for the seconds allowed and failureThreshold times.

        The kubelet only counts, and each attempt has timeoutSeconds to succeed: one that is under way when the time is
        over is not cut off. Here attempts come more often than there, so that the count alone would end it too soon.
        """
        if probe.initial_delay and self.ready_at is None:
            await asyncio.sleep(probe.initial_delay)
        time_of = asyncio.get_running_loop().time
        deadline = time_of() + allowed
        good = bad = 0
        while not probe.command and probe.port is None and not self._listens():
            if not self._stopping:
                self.reason = self.ignores_port or "not listening yet"
            bad += 1
            await asyncio.sleep(_LISTENING_SECONDS)
            if bad % _LOOK_ELSEWHERE == 0:
                self._look_elsewhere()
            if bad >= probe.failure_threshold and time_of() >= deadline:
                return False
        # A command is a process each time.
        pause = min(probe.period or _PERIOD_SECONDS, _COMMAND_SECONDS) if probe.command else _EAGER_SECONDS
        while True:
            wrong = await self._ask(probe)
            good, bad = (good + 1, 0) if wrong is None else (0, bad + 1)
            if good >= probe.success_threshold:
                return True
            if wrong is not None and not self._stopping:
                self.reason = wrong
            await asyncio.sleep(pause)
            if bad >= probe.failure_threshold and time_of() >= deadline:
                return False

    def _look_elsewhere(self) -> None:
        """Find the port of a program that ignores PORT; one that has the ports of this machine is served there."""
        process, spec = self._process, self.spec
        if process is None or not (found := process.other_ports()):
            return
        given = self._runtime.port_inside(spec, self.port)
        port = spec.container.port if spec.container.port in found else min(found)
        text = f"listens on {port} and not on PORT={given}"
        remedy = "make it listen on $PORT"
        if self._runtime.shares_ports and (len(found) == 1 or port == spec.container.port):
            self.fixed_port = self.port = port
            self.proxy.forward_to(port)
            text += ": it is served there while it is the only pod"
        else:
            remedy += " or name the port as containerPort"
        if self.ignores_port is None:
            self._write(self.name, f"{text}; {remedy}".encode())
        self.ignores_port = f"{text}; {remedy}"
        self.reason = self.ignores_port

    def _listens(self) -> bool:
        return self._process is not None and self._process.listens(self.port)

    async def _ask(self, probe: Probe) -> str | None:
        """Ask a probe once; None if the answer is good."""
        process = self._process
        assert process is not None  # noqa: S101 - probes run while it does
        port = self.port if probe.port is None else process.reach(probe.port)
        if port is None:
            return f"nothing listens on port {probe.port}"
        return await ask(probe, port, process.command)

    async def _until_bad(self, probe: Probe) -> str:
        """Watch a ready pod; a period of 0 means that only a refused connection makes it unready."""
        bad = 0
        while True:
            try:
                await asyncio.wait_for(self._suspect.wait(), probe.period or None)
            except TimeoutError:
                pass
            else:
                self._suspect.clear()
                return "it refuses connections"
            wrong = await self._ask(probe)
            bad = 0 if wrong is None else bad + 1
            if wrong is not None and bad >= probe.failure_threshold:
                return wrong

    async def _stay_alive(self, probe: Probe) -> None:
        await asyncio.sleep(probe.initial_delay)
        bad = 0
        while True:
            await asyncio.sleep(probe.period or _PERIOD_SECONDS)
            wrong = await self._ask(probe)
            bad = 0 if wrong is None else bad + 1
            if wrong is not None and bad >= probe.failure_threshold:
                self._fail(f"liveness probe failed {bad} times: {wrong}")
                return

    async def stop(self, within: float | None = None) -> None:
        """Take no more requests, let those under way finish, then SIGTERM, then SIGKILL.

        May be asked again with less time, as the end of the engine does of a pod that is draining already.

        Args:
            within: Seconds for all of it; the revision's grace if None.
        """
        grace = self.spec.grace if within is None else within
        deadline = asyncio.get_running_loop().time() + grace
        self._stopping = True
        if self.state is not PodState.FAILED:
            self._enter(PodState.DRAINING)
            self.proxy.give_back()
        with contextlib.suppress(TimeoutError):
            # A quarter of the time is kept for the process's own end.
            await asyncio.wait_for(self.proxy.drain(), grace * 0.75)
        process = self._process
        if process is not None and process.code is None:
            process.signal(signal.SIGTERM)
            left = max(0.1, deadline - asyncio.get_running_loop().time())
            try:
                await asyncio.wait_for(self._exited.wait(), left)
            except TimeoutError:
                process.kill()
                await self._exited.wait()
        # After its process the task ends by itself; a second cancellation would leave a probe's command behind.
        if process is None or self.state is PodState.FAILED:
            self._task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._task
        self.proxy.abort()
