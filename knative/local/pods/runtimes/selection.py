"""Which runtime a pod gets: a process where its command can run on this machine, else a container."""

from __future__ import annotations

import asyncio
import os
import shutil
from collections.abc import Callable, Mapping, Sequence
from enum import StrEnum
from functools import partial
from pathlib import Path

from knative.local.mesh.mesh import Mesh
from knative.local.pods.conditions import Problem, missing_image
from knative.local.pods.podspec import PodSpec
from knative.local.pods.runtimes.base import Runtime
from knative.local.pods.runtimes.container import ContainerRuntime, non_root_problem
from knative.local.pods.runtimes.engines import Engine, UnavailableError, find_engine
from knative.local.pods.runtimes.leftovers import State, sweep, sweep_abandoned
from knative.local.pods.runtimes.process import ProcessRuntime


class Mode(StrEnum):
    """What the user has chosen for all pods."""

    AUTO = "auto"
    PROCESS = "process"
    CONTAINER = "container"


def needs_container(mode: Mode, command: Sequence[str], directory: str, path: str) -> bool:
    """Whether a pod has to be a container.

    Args:
        mode: The user's choice.
        command: The manifest's.
        directory: Where it would run.
        path: The PATH on which it would be found.
    """
    if mode is not Mode.AUTO:
        return mode is Mode.CONTAINER
    if not command:
        return True
    program = command[0]
    if "$(" in program:
        return False
    if "/" in program:
        return not os.path.exists(Path(directory, program))  # noqa: PTH110 - a name that is too long is not there
    return not shutil.which(program, path=path)


class Runtimes:
    """The runtimes of an engine; podman or docker are looked for when the first container is to run.

    Args:
        say: Prints a line of the engine, once.
        mesh: The calls of pods to Services.
    """

    def __init__(self, say: Callable[[str], None], mesh: Mesh) -> None:
        self._mesh = mesh
        self.process = ProcessRuntime(mesh.address)
        self._say = say
        self._state = State()
        self._finding: asyncio.Task[Engine] | None = None

    async def sweep(self) -> None:
        """Remove containers of engines that were killed."""
        if self._state.abandoned():
            removed = await asyncio.to_thread(sweep_abandoned)
            if removed:
                self._say(f"removed {removed} containers that a killed engine has left behind")

    async def prepare(self, spec: PodSpec, namespace: str) -> Runtime | Problem:
        """A runtime for the containers of a revision of a namespace, with their images, or why none can run them."""
        if self._finding is None:
            self._finding = asyncio.get_running_loop().create_task(find_engine())
        try:
            engine = await asyncio.shield(self._finding)
        except UnavailableError as error:
            return missing_image(spec.program.container.image, f"no container can run on this machine: {error}")
        self._state.open(engine)
        images = {}
        for program in spec.programs:
            image = await engine.image(program.container)
            if isinstance(image, Problem):
                return image
            if (problem := non_root_problem(program.container, image)) is not None:
                return problem
            images[program.name] = image
        hosts = await self._hosts(engine, namespace)
        return ContainerRuntime(engine, self._state, images, hosts, self._address(engine))

    def _address(self, engine: Engine) -> Callable[[str], str]:
        """How the containers of an engine reach URLs of the cluster."""
        if engine.network is not None:
            return partial(self._mesh.address, gateway=engine.network[0])
        return self._mesh.address if engine.host_network else str

    async def _hosts(self, engine: Engine, namespace: str) -> Callable[[], Mapping[str, str]]:
        """Open the way from containers to Services; the host entries that lead there."""
        if engine.network is None:
            if not engine.host_network:
                self._say("containers cannot call Services by name: their network does not reach this engine")
            return dict
        gateway, subnet = engine.network
        await self._mesh.open_gateway(gateway, subnet)
        return partial(self._mesh.host_entries, namespace, gateway)

    async def close(self) -> None:
        """Remove what is left of this engine's containers."""
        if self._finding is None:
            return
        if self._finding.done() and not self._finding.cancelled() and self._finding.exception() is None:
            await asyncio.to_thread(sweep, self._finding.result().command, self._state.token)
        else:
            self._finding.cancel()
        self._state.close()
