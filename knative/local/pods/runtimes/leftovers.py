"""What an engine that was killed leaves behind: its containers and the files of their volumes."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path

from knative.local.pods.runtimes.engines import Engine

LABEL = "pixelamp.engine"  # pid and start time of the engine whose container it is
_MEMORY = Path("/dev/shm")  # noqa: S108 - below it each engine has a folder that only its user can open


class State:
    """Folders of running engines, by which the next start finds what a killed one left behind.

    Attributes:
        token: This engine's process id and start time.
        folder: Its own, with the files of volumes.
        memory: The same in memory, where this machine has such a folder.
    """

    def __init__(self) -> None:
        self._root = Path(tempfile.gettempdir(), f"pixelamp-engines-{os.getuid()}")
        self.token = f"{os.getpid()}-{_started(os.getpid())}"
        self.folder = self._root / self.token
        self.memory = _in_memory(self.folder)

    def open(self, engine: Engine) -> None:
        """Record that this engine starts containers with a client."""
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        (self.folder / "client").write_text("\n".join(engine.command))

    def abandoned(self) -> list[tuple[str, list[str], Path]]:
        """Token, client and folder of engines that have ended without clearing up."""
        found = []
        for folder in self._root.glob("*-*"):
            pid, _, started = folder.name.partition("-")
            if _started(int(pid)) != started:
                with contextlib.suppress(OSError):
                    found.append((folder.name, (folder / "client").read_text().split("\n"), folder))
        return found

    def close(self) -> None:
        """Forget this engine: it has cleared up."""
        for folder in (self.folder, self.memory):
            shutil.rmtree(folder, ignore_errors=True)


def _in_memory(folder: Path) -> Path:
    return _MEMORY / folder.parent.name / folder.name if os.access(_MEMORY, os.W_OK) else folder / "memory"


def _started(pid: int) -> str:
    """The start time of a process, in clock ticks; empty if it does not exist."""
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19]
    return ""


def sweep(command: Sequence[str], token: str) -> int:
    """Remove the containers of an engine; returns how many."""
    listed = subprocess.run(
        [*command, "ps", "--all", "--quiet", "--no-trunc", "--filter", f"label={LABEL}={token}"],
        capture_output=True,
        text=True,
        check=False,
    )
    names = listed.stdout.split()
    if names:
        subprocess.run([*command, "rm", "--force", *names], capture_output=True, check=False)
    return len(names)


def sweep_abandoned() -> int:
    """Remove what engines that were killed have left behind; returns the number of containers."""
    removed = 0
    for token, command, folder in State().abandoned():
        if shutil.which(command[0]):
            removed += sweep(command, token)
        for left in (folder, _in_memory(folder)):
            shutil.rmtree(left, ignore_errors=True)
    return removed
