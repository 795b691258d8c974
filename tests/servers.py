"""Functions as real processes, for tests and benchmarks."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Self

import requests

ROOT = Path(__file__).parents[1]


def free_port() -> int:
    """A port that nothing listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def clean_environment(**more: str) -> dict[str, str]:
    """The environment of a container: nothing of this machine's but what a process needs."""
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG", "TMPDIR") if name in os.environ}
    return {"PYTHONPATH": str(ROOT), **kept, **more}


class Server:
    """A process with an HTTP port of its own on 127.0.0.1, ended when the test ends.

    Args:
        command: what to start.
        environment: its variables, besides PATH and the like.
        ready: path that answers 200 once it serves.
        folder: where it runs.
    """

    def __init__(
        self, port: int, command: list[str], environment: Mapping[str, str], ready: str, folder: Path = ROOT
    ) -> None:
        self.port = port
        self.url = f"http://127.0.0.1:{self.port}"
        self.session = requests.Session()
        # A file, since a pipe that nobody reads would stop the server when it is full.
        self._log = tempfile.TemporaryFile()  # noqa: SIM115 - closed with the server
        self.process = subprocess.Popen(
            command,
            cwd=folder,
            env=clean_environment(PYTHONPATH=str(folder), **environment),
            stdout=self._log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            self._wait(ready)
        except BaseException:
            self.stop()
            raise

    def _wait(self, path: str, seconds: float = 30.0) -> None:
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if self.process.poll() is not None:
                raise RuntimeError(f"the server ended with {self.process.returncode}: {self.log()}")
            try:
                if requests.get(self.url + path, timeout=5).status_code == 200:
                    return
            except requests.RequestException:
                time.sleep(0.02)
        raise RuntimeError(f"the server was not ready within {seconds} s: {self.log()}")

    def log(self) -> str:
        """Everything it has written so far, also after it has ended."""
        if self._log.closed:
            return self._last_log
        return os.pread(self._log.fileno(), os.fstat(self._log.fileno()).st_size, 0).decode(errors="replace")

    def request(self, method: str, path: str = "/", **arguments: object) -> requests.Response:
        """One request over a kept connection."""
        return self.session.request(method, self.url + path, timeout=60, **arguments)  # type: ignore[arg-type]

    def post(self, path: str = "/", **arguments: object) -> requests.Response:
        """A POST."""
        return self.request("POST", path, **arguments)

    def get(self, path: str = "/", **arguments: object) -> requests.Response:
        """A GET."""
        return self.request("GET", path, **arguments)

    def stop(self, seconds: float = 15.0) -> int:
        """End it as a kubelet does, and its whole group if it will not; returns its exit code."""
        self.session.close()
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(seconds)
            except subprocess.TimeoutExpired:
                os.killpg(self.process.pid, signal.SIGKILL)
                self.process.wait()
        if not self._log.closed:
            self._last_log = self.log()
            self._log.close()
        return self.process.returncode

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()


class FunctionServer(Server):
    """One function under its real server, or under another command that reads $PORT."""

    def __init__(
        self, function: str, environment: Mapping[str, str] | None = None, command: list[str] | None = None
    ) -> None:
        port = free_port()
        command = command or [sys.executable, "-m", "functions.kit.server", function, "--host", "127.0.0.1"]
        super().__init__(port, command, {"PORT": str(port), **(environment or {})}, "/readyz")


class Engine(Server):
    """The local engine over some manifests, or over the project's own."""

    def __init__(self, *arguments: str, folder: Path = ROOT, **environment: str) -> None:
        port = free_port()
        command = [sys.executable, "-m", "knative", "serve", *arguments, "--port", str(port)]
        super().__init__(port, command, environment, "/_knative/status", folder)
