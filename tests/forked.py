"""The command `python -m knative serve` in a process forked from one that has imported the engine.

An engine's start costs 0.3 s of CPU, nearly all of it imports, and tests start hundreds of them. The forked process
parses the same arguments, in the given environment and directory, in a session of its own. Tests of the command
itself (exit status, standard error, signals during the start) start it as users do.
"""

from __future__ import annotations

import contextlib
import ctypes
import multiprocessing
import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from multiprocessing.connection import Connection
from pathlib import Path

# What the command imports, those included that it imports when it starts to serve.
MODULES = (
    "knative.__main__",
    "knative.local.engine.serve",
    "knative.local.check.admission",
    "knative.local.controllers.state",
    "knative.local.engine.engine",
    "knative.local.engine.console",
    "knative.local.engine.eventing",
    "knative.local.engine.metrics",
    "knative.local.api.http.serving",
    "knative.local.proxy.http1.upstream",
    "uvloop",
)
PR_SET_PDEATHSIG = 1
_CONTEXT = multiprocessing.get_context("forkserver")
_CONTEXT.set_forkserver_preload([__name__, *MODULES])


class Forked:
    """A forked engine, with the attributes of `subprocess.Popen` that tests use.

    Args:
        arguments: those of `python -m knative`.
        directory: where it runs.
        environment: its variables, and no others.

    Attributes:
        stdout: What it prints, standard error included.
        pid: Its process id.
    """

    def __init__(self, arguments: Sequence[str], directory: Path, environment: Mapping[str, str]) -> None:
        reading, writing = _CONTEXT.Pipe(duplex=False)
        child = _CONTEXT.Process(
            target=_run, args=(list(arguments), str(directory), dict(environment), writing), daemon=True
        )
        child.start()
        writing.close()
        assert child.pid is not None
        self._child = child
        self.pid = child.pid
        self.stdout = os.fdopen(os.dup(reading.fileno()), encoding="utf-8", errors="replace")
        reading.close()

    @property
    def returncode(self) -> int | None:
        """Its exit status, negative for a signal; None while it runs."""
        return self._child.exitcode

    def poll(self) -> int | None:
        """Its exit status; None while it runs."""
        return self._child.exitcode

    def wait(self, timeout: float | None = None) -> int:
        """Its exit status, once it has ended.

        Raises:
            subprocess.TimeoutExpired: It still runs after so many seconds.
        """
        self._child.join(timeout)
        if self._child.exitcode is None:
            raise subprocess.TimeoutExpired("knative serve", timeout or 0)
        return self._child.exitcode

    def send_signal(self, number: int) -> None:
        """Send it a signal, if it runs."""
        if self.poll() is None:
            os.kill(self.pid, number)

    def terminate(self) -> None:
        """Send it SIGTERM, if it runs."""
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """Send it SIGKILL, if it runs."""
        self.send_signal(signal.SIGKILL)


def _run(arguments: list[str], directory: str, environment: dict[str, str], output: Connection) -> None:
    os.setsid()
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)  # the fork server ends with the tests, however they do
    os.chdir(directory)
    os.environ.clear()
    os.environ.update(environment)
    for descriptor in (1, 2):
        os.dup2(output.fileno(), descriptor)
    output.close()
    sys.stdout = os.fdopen(1, "w", closefd=False)
    sys.stderr = os.fdopen(2, "w", buffering=1, closefd=False)
    sys.argv = ["knative", *arguments]
    from knative.__main__ import main

    try:
        sys.exit(main(arguments))
    finally:
        with contextlib.suppress(OSError):
            sys.stdout.flush()
