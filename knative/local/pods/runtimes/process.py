"""A pod's process: started, its output taken line by line, its end noticed, and never left behind.

Three things see to the last, whatever happens to the engine. The kernel kills a pod whose engine has died
(`PR_SET_PDEATHSIG`); a warden process, which notices the engine's end by a closed pipe, kills whatever carries the
engine's token in its environment, children and grandchildren; and the engine itself does the same at an orderly end.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from knative.local.pods.environment import expand
from knative.local.pods.podspec import PodSpec, Program
from knative.local.pods.probes.probe import listening
from knative.local.pods.runtimes import sockets, warden
from knative.local.pods.runtimes.base import Launch
from knative.local.pods.runtimes.execution import check_execution
from knative.local.pods.runtimes.limits import limit

_PR_SET_PDEATHSIG = 1
_LINE_BYTES = 64 * 1024
_OUTPUT_SECONDS = 1.0  # for the rest of the output; a process that left the group may hold it open
_SETPRIV = shutil.which("setpriv")


def _die_with_engine() -> None:
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)


class _Lines(asyncio.Protocol):
    """Cuts a stream of output into lines."""

    def __init__(self, line: Callable[[bytes], None]) -> None:
        self._line = line
        self._rest = b""
        self.ended = asyncio.Event()

    def data_received(self, data: bytes) -> None:
        """Pass on whole lines; one that is too long is passed on in pieces."""
        *lines, self._rest = (self._rest + data).split(b"\n")
        for line in lines:
            self._line(line)
        if len(self._rest) > _LINE_BYTES:
            self._line(self._rest)
            self._rest = b""

    def connection_lost(self, exc: Exception | None) -> None:
        """Pass on a last line without its end."""
        if self._rest:
            self._line(self._rest)
            self._rest = b""
        self.ended.set()


class Process:
    """A running command, leader of its own session.

    Attributes:
        pid: Its process id, which is also its process group's.
        code: Its exit status once it has ended (negative for a signal), else None.
    """

    def __init__(self, popen: subprocess.Popen[bytes], exited: Callable[[int], None]) -> None:
        self._popen = popen
        self._exited = exited
        self.pid = popen.pid
        self.code: int | None = None
        self._output: asyncio.ReadTransport | None = None
        self._ending: asyncio.Task[None] | None = None
        self._pidfd = os.pidfd_open(popen.pid)
        asyncio.get_running_loop().add_reader(self._pidfd, self._reap)

    @classmethod
    def start(
        cls,
        argv: Sequence[str],
        environment: Mapping[str, str],
        directory: str,
        line: Callable[[bytes], None],
        exited: Callable[[int], None],
        credentials: Sequence[str] = (),
    ) -> Process:
        """Start a command.

        Args:
            argv: The command, found on the PATH of `environment`.
            environment: All it gets.
            directory: Where it runs.
            line: Called with each line of its output, both streams, without the line's end.
            exited: Called once with its exit status.
            credentials: Options of setpriv that set its user and groups.

        Raises:
            OSError: The command cannot be run.
            ValueError: An argument or a variable that the kernel does not accept.
        """
        check_execution(argv, environment)
        found = shutil.which(argv[0], path=environment.get("PATH")) if "/" not in argv[0] else argv[0]
        if found is None or not os.path.exists(Path(directory, found)):  # noqa: PTH110 - a long name is not there
            raise FileNotFoundError(f"{argv[0]}: command not found")
        if not os.access(Path(directory, found), os.X_OK) or os.path.isdir(Path(directory, found)):  # noqa: PTH112
            raise PermissionError(f"{argv[0]}: not an executable file")
        command = [found, *argv[1:]]
        # setpriv spares a fork with all of the engine's page tables: 0.2 ms instead of 3 in which nothing is routed.
        # A relative path is kept as it is, since both run in the same directory.
        if _SETPRIV is not None:
            command = [_SETPRIV, *credentials, "--pdeathsig", "KILL", "--", *command]
        reading, writing = os.pipe()
        try:
            popen = subprocess.Popen(
                command,
                env=dict(environment),
                cwd=directory,
                stdin=subprocess.DEVNULL,
                stdout=writing,
                stderr=writing,
                start_new_session=True,
                preexec_fn=None if _SETPRIV is not None else _die_with_engine,  # noqa: PLW1509 - single-threaded here
            )
        except BaseException:
            os.close(reading)
            raise
        finally:
            os.close(writing)
        process = cls(popen, exited)
        process._follow(reading, line)
        return process

    def _follow(self, reading: int, line: Callable[[bytes], None]) -> None:
        loop = asyncio.get_running_loop()
        pipe = os.fdopen(reading, "rb", buffering=0)
        self._lines = _Lines(line)

        async def connect() -> None:
            self._output, _ = await loop.connect_read_pipe(lambda: self._lines, pipe)

        self._following = loop.create_task(connect())

    def _reap(self) -> None:
        self.code = self._popen.wait()
        asyncio.get_running_loop().remove_reader(self._pidfd)
        os.close(self._pidfd)
        # What the command left behind in its group goes with it, as a container's processes do.
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, signal.SIGKILL)
        self._ending = asyncio.get_running_loop().create_task(self._end(self.code))

    async def _end(self, code: int) -> None:
        """Report the end once its last lines are read: they say why it ended."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_OUTPUT_SECONDS):
                await self._lines.ended.wait()
        self._exited(code)

    def signal(self, number: int) -> None:
        """Send a signal to the command itself, as the kubelet does to a container's first process."""
        if self.code is None:
            with contextlib.suppress(ProcessLookupError):
                self._popen.send_signal(number)

    def kill(self) -> None:
        """Kill it and everything in its group."""
        if self.code is None:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self.pid, signal.SIGKILL)

    def close(self) -> None:
        """Stop following its output."""
        if self._output is not None:
            self._output.close()


class LocalProcess:
    """A pod's program as a process of this machine.

    Args:
        process: It.
        launch: How it was started.
        limits: Released at its end.
    """

    def __init__(self, process: Process, launch: Launch, limits: contextlib.ExitStack) -> None:
        self._process = process
        self._launch = launch
        self._limits = limits

    @property
    def pid(self) -> int:
        """The process."""
        return self._process.pid

    @property
    def main_pid(self) -> int:
        """The process."""
        return self._process.pid

    @property
    def begun(self) -> bool:
        """Whether it runs."""
        return self.code is None

    @property
    def code(self) -> int | None:
        """Its exit status; None while it runs."""
        return self._process.code

    def signal(self, number: int) -> None:
        """Send it a signal."""
        self._process.signal(number)

    def kill(self) -> None:
        """Kill it and everything in its group."""
        self._process.kill()

    def close(self) -> None:
        """Stop following its output and remove its cgroups."""
        self._process.close()
        self._limits.close()

    def listens(self, port: int) -> bool:
        """Whether it accepts connections on a port."""
        return listening(port)

    def reach(self, port: int) -> int | None:
        """The same port, if anything listens there."""
        return port if listening(port) else None

    def other_ports(self) -> set[int]:
        """The ports that its session listens on, at any address."""
        return sockets.of_session(self.pid)

    def command(self, words: Sequence[str]) -> tuple[list[str], Mapping[str, str], str]:
        """A command beside it, in its directory and with its variables."""
        return list(words), self._launch.environment, self._launch.program.directory


class ProcessRuntime:
    """Runs the command of a manifest on this machine, as the engine's user or, as root, as the manifest's.

    Args:
        address: Returns where a program of this machine reaches a URL of the cluster.
    """

    shares_ports = True
    gateway: str | None = None
    joined = False

    def __init__(self, address: Callable[[str], str]) -> None:
        self._address = address

    def port_inside(self, spec: PodSpec, port: int) -> int:
        """A process shares the ports of the machine: PORT is a free one."""
        return port

    def address(self, url: str) -> str:
        """The engine's own address for a URL of the cluster."""
        return self._address(url)

    def start(self, launch: Launch) -> LocalProcess:
        """Start the command of a program."""
        program = launch.program
        process = Process.start(
            [expand(word, launch.environment) for word in program.argv],
            launch.environment,
            program.directory,
            launch.line,
            launch.exited,
            _credentials(program),
        )
        limits = contextlib.ExitStack()
        limits.enter_context(limit(launch.name, process.pid, program.limits))
        return LocalProcess(process, launch, limits)

    async def clear(self, spec: PodSpec, pod: str) -> None:
        """Do nothing: a process leaves nothing."""

    def forget(self, pod: str) -> None:
        """Do nothing: a process has no volumes."""


def _credentials(program: Program) -> list[str]:
    """The options of setpriv for the privileges of a manifest, and for its user and group, which only root can take."""
    if _SETPRIV is None:
        return []
    container = program.container
    options = ["--no-new-privs"] if container.no_new_privileges else []
    if os.geteuid() != 0 or (container.user is None and container.group is None):
        return options
    if container.user is not None:
        options.append(f"--reuid={container.user}")
    group = container.user if container.group is None else container.group
    return [*options, f"--regid={group}", "--clear-groups"]


class Warden:
    """The process that outlives the engine just long enough to clear up after it.

    Args:
        token: What the environment of everything to clear up carries, as `NAME=value`.
    """

    def __init__(self, token: str) -> None:
        self._token = token
        reading, self._writing = os.pipe()
        try:
            self._popen = subprocess.Popen(
                [sys.executable, "-I", "-S", warden.__file__, token],
                stdin=reading,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                cwd="/",
                env={},
                start_new_session=True,
            )
        finally:
            os.close(reading)

    def close(self) -> None:
        """Clear up now, and let the warden go."""
        warden.sweep(self._token.encode())
        os.close(self._writing)
        try:
            self._popen.wait(timeout=5)
        except subprocess.TimeoutExpired:
            self._popen.kill()
            self._popen.wait()
