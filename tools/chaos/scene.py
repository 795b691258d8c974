"""Common parts of the faults: an engine with pods of stress, requests to them, and the observations."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.engines import EngineProcess, service
from tools.chaos.traffic import Ask

STRESS = [sys.executable, "-m", "functions.kit.server", "stress"]
WAIT = Ask("POST", "/stress?sleep_ms=100", check=lambda data: b'"completed"' in data)


class Unavailable(Exception):
    """This machine cannot cause the fault; the message says why."""


@dataclass(frozen=True)
class Seen:
    """What a fault did.

    Attributes:
        recovery: seconds until all was well again.
        note: the figures in a few words.
    """

    recovery: float
    note: str


@contextmanager
def engine(folder: Path, pods: int = 2, **spec: object) -> Iterator[EngineProcess]:
    """The local engine with the stress function in so many pods."""
    annotations = {"min-scale": str(pods), "max-scale": str(max(pods, 4))}
    manifest = service("stress", command=STRESS, annotations=annotations, concurrency=8, spec={"timeoutSeconds": 30})
    manifest["spec"]["template"]["spec"]["containers"][0].update(spec)
    running = EngineProcess(folder, manifest)
    try:
        running.wait_pods(pods, "stress", 60)
        yield running
    finally:
        if running.process.poll() is None:
            running.stop()


def pod_of(running: EngineProcess) -> int:
    """The process id of a ready pod."""
    return int(running.pods(name="stress")[0]["pid"])
