"""What lives as long as the process, and who this pod is."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from functools import cache
from typing import TYPE_CHECKING

from functions.kit.http import problems
from functions.kit.http.function import Call
from functions.kit.http.service import Service
from functions.kit.jsontypes import JsonObject
from functions.stress.plan import StressSettings
from functions.stress.request import TARGET_POD

if TYPE_CHECKING:
    from functions.kit.telemetry.usage import Container, Meter
    from functions.stress.budget import Budget
    from functions.stress.faults import Faults
    from functions.stress.plan import Room


class Process:
    """What the handlers need of the function that they belong to.

    Attributes:
        service: Returns the function's service; set by `functions.stress.main`, which the routes do not import.
    """

    service: Callable[[], Service]


PROCESS = Process()


class State:
    """What lives as long as the process: the container, and who has been let in."""

    def __init__(self, settings: StressSettings) -> None:
        from functions.kit.telemetry.usage import Container, Meter
        from functions.stress.budget import Budget

        self.settings = settings
        self.container: Container = Container()
        self.meter: Meter = Meter(self.container)
        self.burns: Budget = Budget(settings.burns, settings.cpu_seconds_per_minute, time.monotonic)
        # Half of the threads: burns and health checks must find one while streams are watched.
        self.streams: Budget = Budget(max(1, settings.concurrency // 2), 1, time.monotonic)
        self.background: threading.Thread | None = None
        self.faults: Faults | None = None
        if settings.faults or settings.start_seconds:
            from functions.stress.faults import Faults

            self.faults = Faults(settings.start_seconds)
        self.lock = threading.Lock()


@cache
def state(settings: StressSettings) -> State:
    """The state of this process, made when it is first needed and not when the function is loaded."""
    return State(settings)


def identity() -> JsonObject:
    """This pod's name and revision, as answers state them."""
    own = service().identity
    return {"pod": own.pod, "revision": own.revision}


def check_pod(call: Call[StressSettings]) -> None:
    """Refuse a request for another pod: the platform did not route it by its header.

    Raises:
        Problem: 421 with the name of this pod.
    """
    wanted, here = call.request.headers.get(TARGET_POD), service().identity.pod
    if wanted and wanted != here:
        raise problems.Problem(
            421,
            "other-pod",
            "Another pod",
            f"{TARGET_POD} names {wanted[:260]}, and this pod is {here}: this platform does not route requests to one "
            "pod (the local engine does)",
            pod=here,
        )


def room(container: Container) -> Room:
    """What the container has left: cores and memory."""
    from functions.stress.plan import Room

    return Room(container.quota(), container.memory_free(), container.memory_total())


def service() -> Service:
    """The service of stress in this process."""
    return PROCESS.service()


def stopping() -> bool:
    """Whether the server is to stop."""
    return service().draining


def orphaned_or_stopping() -> Callable[[], bool]:
    """Whether the server is to stop, or the process that began this request's server has died.

    A gunicorn worker whose arbiter was killed would finish its requests first, for clients that have lost it.
    """
    parent = os.getppid()
    return lambda: stopping() or os.getppid() != parent
