"""Pods as containers of podman or docker: started, stopped and removed.

Each container is run in the foreground by the client's own `run`, whose output, exit status and forwarded signals are
the container's. Its port is published on the loopback address; sidecars run in its network.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import socket
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from urllib.parse import urlsplit

from knative.local.manifests.grammar import CLUSTER_SUFFIXES
from knative.local.pods.conditions import Problem
from knative.local.pods.environment import SINK, expand
from knative.local.pods.podspec import Container, PodSpec
from knative.local.pods.probes.probe import listening
from knative.local.pods.runtimes import sockets
from knative.local.pods.runtimes.base import Launch
from knative.local.pods.runtimes.engines import Engine, Image
from knative.local.pods.runtimes.leftovers import LABEL, State
from knative.local.pods.runtimes.process import Process
from knative.local.pods.volumes import Volume, write

# Variables that the client itself reads: they are passed by value, not by name.
_CLIENTS_OWN = ("PATH", "HOME", "TMPDIR", "USER", "LANG")
_CLIENTS_PREFIXES = (
    "KNATIVE_LOCAL_",
    "XDG_",
    "CONTAINER",
    "DOCKER_",
    "LD_",
    "LC_",
    "GO",
    "REGISTRY_",
    "BUILDAH_",
    "STORAGE_",
    "_",
)
_DEPENDENTS = b"has dependent containers which must be removed before it"


class ContainerProcess:
    """A pod's program as a container.

    Args:
        process: The client's `run`.
        engine: The client.
        launch: How it was started.
        pidfile: Where the client writes the process id of the container, or None.
        published: Ports of this machine by those of probes, beside the container's own.
    """

    def __init__(
        self,
        process: Process,
        engine: Engine,
        launch: Launch,
        pidfile: Path | None,
        published: Mapping[int, int],
    ) -> None:
        self._process = process
        self._engine = engine
        self._launch = launch
        self._pidfile = pidfile
        self._published = published
        self._inner = 0
        self._killing: asyncio.Task[None] | None = None

    @property
    def pid(self) -> int:
        """The client's `run`, which ends with the container."""
        return self._process.pid

    @property
    def code(self) -> int | None:
        """The exit status of the container; None while it runs."""
        return self._process.code

    def signal(self, number: int) -> None:
        """Send the container's first process a signal: the client forwards its own."""
        self._process.signal(number)

    def kill(self) -> None:
        """Kill the container."""
        if self.code is None and self._killing is None:
            self._killing = asyncio.get_running_loop().create_task(self._kill())

    async def _kill(self) -> None:
        code, _, _ = await self._engine.call("kill", "--signal", "KILL", self._launch.name)
        if code:  # it has not been created yet, or has just ended
            self._process.kill()

    def close(self) -> None:
        """Stop following its output."""
        self._process.close()

    @property
    def main_pid(self) -> int:
        """The container's first process as this machine sees it; 0 while unknown."""
        if not self._inner and self._pidfile is not None:
            with contextlib.suppress(OSError, ValueError):
                self._inner = int(self._pidfile.read_text())
        return self._inner

    @property
    def begun(self) -> bool:
        """Whether the container runs; docker does not say, and it is taken to run with the client."""
        return self.code is None and (self._pidfile is None or self.main_pid > 0)

    def listens(self, port: int) -> bool:
        """Whether it accepts connections on its published port.

        A published port may accept connections before the container does, so that its own sockets are read where they
        can be.
        """
        if self._pidfile is None or self._engine.host_network:
            return listening(port)
        pid = self.main_pid
        return bool(pid) and self._launch.program.container.port in sockets.of_namespace(pid)

    def reach(self, port: int) -> int | None:
        """The published port of one that a probe names, if the container listens on it."""
        if self._engine.host_network:
            return port if listening(port) else None
        pid = self.main_pid
        return self._published.get(port) if not pid or port in sockets.of_namespace(pid) else None

    def other_ports(self) -> set[int]:
        """The ports it listens on in its own network."""
        pid = 0 if self._engine.host_network else self.main_pid
        return sockets.of_namespace(pid) - {self._launch.program.container.port} if pid else set()

    def command(self, words: Sequence[str]) -> tuple[list[str], Mapping[str, str], str]:
        """A command inside the container."""
        return [*self._engine.command, "exec", self._launch.name, *words], dict(os.environ), "/"


class ContainerRuntime:
    """Runs the programs of pods as containers.

    Args:
        engine: The client.
        state: Where the engine's folders are.
        images: The image of each program, by the container's name.
        hosts: Addresses by name that containers with a network of their own get.
        address: Returns where a container reaches a URL of the cluster.
    """

    def __init__(
        self,
        engine: Engine,
        state: State,
        images: Mapping[str, Image],
        hosts: Callable[[], Mapping[str, str]],
        address: Callable[[str], str],
    ) -> None:
        self._hosts = hosts
        self._address = address
        self.gateway = engine.network[0] if engine.network else None
        self._engine = engine
        self._state = state
        self._images = images
        self._published: dict[str, Mapping[int, int]] = {}  # by pod: ports of this machine by those of probes
        self.shares_ports = engine.host_network
        self.joined = not engine.host_network

    def port_inside(self, spec: PodSpec, port: int) -> int:
        """A container has ports of its own: PORT is the manifest's."""
        return port if self._engine.host_network else spec.program.container.port

    def address(self, url: str) -> str:
        """Where a container reaches a URL of the cluster."""
        return self._address(url)

    def start(self, launch: Launch) -> ContainerProcess:
        """Start a container."""
        folder = self._folder(launch.pod)
        folder.mkdir(parents=True, exist_ok=True)
        pidfile = folder / f"pid of {launch.program.name}" if self._engine.name == "podman" else None
        if pidfile is not None:
            pidfile.unlink(missing_ok=True)
        if launch.serves and not self._engine.host_network:
            self._published[launch.pod] = _probed(launch.spec)
        published = self._published.get(launch.pod, {})
        command = [*self._engine.command, *self._arguments(launch, folder, pidfile, published)]
        process = Process.start(command, self._client_environment(launch), "/", _without_client(launch), launch.exited)
        return ContainerProcess(process, self._engine, launch, pidfile, published)

    async def clear(self, spec: PodSpec, pod: str) -> None:
        """Remove what the client could not: a container whose network sidecars were still using."""
        if self.joined and spec.beside:
            await self._engine.call("rm", "--force", pod)

    def forget(self, pod: str) -> None:
        """Remove the files of the volumes of a pod that has ended."""
        self._published.pop(pod, None)
        for folder in (self._folder(pod), self._state.memory / pod):
            shutil.rmtree(folder, ignore_errors=True)

    def _folder(self, pod: str) -> Path:
        return self._state.folder / "volumes" / pod

    def _client_environment(self, launch: Launch) -> dict[str, str]:
        """The client's variables, and those it passes on by name, so that no value is among its arguments."""
        passed = {name: value for name, value in launch.environment.items() if not _is_the_clients(name)}
        return {**os.environ, **passed}

    def _arguments(self, launch: Launch, folder: Path, pidfile: Path | None, published: Mapping[int, int]) -> list[str]:
        program, container = launch.program, launch.program.container
        out = ["run", "--rm", "--pull=never", "--log-driver=none", "--name", launch.name]
        out += ["--label", f"{LABEL}={self._state.token}"]
        if pidfile is not None:
            out += ["--pidfile", str(pidfile)]
        out += self._network(launch, published)
        for name, value in launch.environment.items():
            out += ["--env", f"{name}={value}" if _is_the_clients(name) else name]
        out += _security(container)
        if program.limits.memory:
            out += ["--memory", f"{int(program.limits.memory)}b"]
        if program.limits.cpu:
            out += ["--cpus", f"{program.limits.cpu:g}"]
        if container.working_dir:
            out += ["--workdir", container.working_dir]
        out += _mounts(launch, folder, self._state.memory / launch.pod)
        words = [expand(word, launch.environment) for word in container.command]
        if words:
            out += ["--entrypoint", words[0]]
        out.append(self._images[program.name].id)
        return [*out, *words[1:], *(expand(word, launch.environment) for word in container.args)]

    def _network(self, launch: Launch, published: Mapping[int, int]) -> list[str]:
        options = self._engine.run_options
        if self._engine.host_network:
            return options
        if not launch.serves and not launch.initial:
            return [*(one for one in options if not one.startswith("--network")), f"--network=container:{launch.pod}"]
        out = [*options, "--hostname", launch.pod]
        out += [f"--add-host={name}:{address}" for name, address in self._entries(launch).items()]
        if launch.serves:
            out += ["--publish", f"127.0.0.1:{launch.port}:{launch.program.container.port}"]
            for inside, outside in published.items():
                out += ["--publish", f"127.0.0.1:{outside}:{inside}"]
        return out

    def _entries(self, launch: Launch) -> Mapping[str, str]:
        """The host entries of a container; the host of its sink is one where Services are called by a proxy, too."""
        host = urlsplit(launch.environment.get(SINK, "")).hostname or ""
        if self.gateway is None or not host.endswith(CLUSTER_SUFFIXES):
            return self._hosts()
        return {**self._hosts(), host: self.gateway}


def _without_client(launch: Launch) -> Callable[[bytes], None]:
    """The lines of the program, without the client's word that it leaves the removal of the container to `clear`."""

    def line(text: bytes) -> None:
        if _DEPENDENTS not in text:
            launch.line(text)

    return line if launch.spec.beside else launch.line


def _probed(spec: PodSpec) -> dict[int, int]:
    """A free port of this machine for each port that only a probe names."""
    found = {}
    for program in (spec.program, *spec.beside):
        for probe in (program.readiness, program.liveness, program.startup):
            if probe is not None and probe.port is not None:
                with socket.socket() as sock:
                    sock.bind(("127.0.0.1", 0))
                    found[probe.port] = int(sock.getsockname()[1])
    return found


def _is_the_clients(name: str) -> bool:
    return name in _CLIENTS_OWN or name.startswith(_CLIENTS_PREFIXES)


def _security(container: Container) -> list[str]:
    out = []
    if container.user is not None:
        group = "" if container.group is None else f":{container.group}"
        out += ["--user", f"{container.user}{group}"]
    if container.read_only:
        out.append("--read-only")
    if container.no_new_privileges:
        out.append("--security-opt=no-new-privileges")
    if container.unconfined:
        out.append("--security-opt=seccomp=unconfined")
    out += [f"--cap-add={name}" for name in container.add]
    return out + [f"--cap-drop={name}" for name in container.drop]


def _mounts(launch: Launch, folder: Path, memory: Path) -> list[str]:
    out = []
    alone = len(launch.spec.programs) == 1
    volumes = {volume.name: volume for volume in launch.spec.volumes}
    for mount in launch.program.container.mounts:
        volume = volumes.get(mount.volume, Volume(mount.volume))
        if alone and volume.empty and volume.memory and not mount.sub_path:
            size = f",size={volume.size_limit}" if volume.size_limit else ""
            out += ["--tmpfs", f"{mount.path}:rw,mode=1777{size}"]
            continue
        source = (memory if volume.memory else folder) / volume.name
        if not source.exists():
            write(volume, source)
        if mount.sub_path:
            source /= mount.sub_path
            if volume.empty:
                source.mkdir(parents=True, exist_ok=True)
        read_only = mount.read_only or not volume.empty
        out += ["--volume", f"{source}:{mount.path}:{'ro' if read_only else 'rw'}"]
    return out


def non_root_problem(container: Container, image: Image) -> Problem | None:
    """Why runAsNonRoot refuses an image, as the kubelet does."""
    if not container.non_root or container.user:
        return None
    user = image.user.partition(":")[0]
    if container.user == 0 or user in ("", "0", "root"):
        message = "container has runAsNonRoot and image will run as root"
    elif not user.isdigit():
        message = f"container has runAsNonRoot and image has non-numeric user ({user}), cannot verify user is non-root"
    else:
        return None
    return Problem("ResourcesAvailable", "CreateContainerConfigError", message)
