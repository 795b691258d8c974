"""Pods as containers of podman or docker: pulled, started, stopped and, after a killed engine, removed.

Each container is run in the foreground by the client's own `run`, whose output, exit status and forwarded signals are
the container's. Its port is published on the loopback address.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import resource
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from knative.local.pods.conditions import Problem, missing_image
from knative.local.pods.environment import expand
from knative.local.pods.podspec import Container, PodSpec
from knative.local.pods.probes import listening
from knative.local.pods.runtimes import sockets
from knative.local.pods.runtimes.base import Launch
from knative.local.pods.runtimes.process import Process
from knative.local.pods.volumes import Volume, write

LABEL = "pixelamp.engine"  # pid and start time of the engine whose container it is
_CNI_FOLDERS = ("/usr/lib/cni", "/usr/libexec/cni", "/opt/cni/bin")
_MOST_FILES = 1_048_576
_MOST_PROCESSES = 16_384
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


class UnavailableError(RuntimeError):
    """Neither podman nor docker can run containers here; the text says why."""


@dataclass(frozen=True)
class Image:
    """An image that is here.

    Attributes:
        id: Its digest; all pods of a revision run this one.
        user: The user it runs as; empty for root.
    """

    id: str
    user: str


class Engine:
    """The client of podman or docker.

    Args:
        program: Its path.
        options: Global options that this machine needs.
        run_options: Options of `run` that this machine needs.
        host_network: Whether containers share the machine's network since there is no other.
    """

    def __init__(self, program: str, options: Sequence[str], run_options: Sequence[str], host_network: bool) -> None:
        self.name = Path(program).name
        self.command = [program, *options]
        self.run_options = list(run_options)
        self.host_network = host_network

    async def call(self, *arguments: str) -> tuple[int, str, str]:
        """Run the client; exit status, output and errors."""
        process = await asyncio.create_subprocess_exec(
            *self.command, *arguments, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
        out, err = await process.communicate()
        return process.returncode or 0, out.decode(errors="replace"), err.decode(errors="replace")

    async def image(self, container: Container) -> Image | Problem:
        """The image of a container, pulled if its policy says so."""
        reference = container.image
        if container.pull_policy != "Always" and isinstance(found := await self._inspect(reference), Image):
            return found
        if container.pull_policy == "Never":
            return Problem("ContainerHealthy", "ErrImageNeverPull", f'Container image "{reference}" is not present')
        code, _, errors = await self.call("pull", "--quiet", reference)
        if code:
            return missing_image(reference, _last_line(errors))
        return await self._inspect(reference) or missing_image(reference, "it was pulled and is not there")

    async def _inspect(self, reference: str) -> Image | None:
        code, out, _ = await self.call("image", "inspect", reference)
        if code:
            return None
        described: dict[str, Any] = json.loads(out)[0]
        return Image(described["Id"], str((described.get("Config") or {}).get("User") or ""))


def _last_line(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1].removeprefix("Error: ") if lines else "no reason given"


async def find_engine() -> Engine:
    """Podman or docker, whichever can run containers here.

    Raises:
        UnavailableError: Neither can.
    """
    reasons = []
    for name, probe in (("podman", _podman), ("docker", _docker)):
        program = shutil.which(name)
        if program is None:
            reasons.append(f"{name} is not on PATH")
            continue
        try:
            return await probe(program)
        except UnavailableError as error:
            reasons.append(str(error))
    raise UnavailableError("; ".join(reasons))


async def _podman(program: str) -> Engine:
    code, out, errors = await Engine(program, (), (), False).call("info", "--format", "json")
    if code:
        raise UnavailableError(f"podman: {_last_line(errors)}")
    host = json.loads(out)["host"]
    options = []
    # crun refuses cgroups of version 1 beside version 2; runc takes them.
    if host.get("cgroupVersion") == "v1" and host["ociRuntime"]["name"] == "crun" and shutil.which("runc"):
        options += ["--runtime", "runc"]
    if host.get("cgroupManager") == "systemd" and not Path("/run/systemd/system").is_dir():
        options.append("--cgroup-manager=cgroupfs")
    run = ["--read-only-tmpfs=false"]
    # Podman raises limits to its own defaults, which is not permitted everywhere; the engine's own are.
    for limit, kind, most in (
        ("nofile", resource.RLIMIT_NOFILE, _MOST_FILES),
        ("nproc", resource.RLIMIT_NPROC, _MOST_PROCESSES),
    ):
        hard = resource.getrlimit(kind)[1]
        if hard != resource.RLIM_INFINITY:
            run.append(f"--ulimit={limit}={min(hard, most)}:{min(hard, most)}")
    host_network = False
    if not host["security"]["rootless"] and host.get("networkBackend") == "cni" and not _has_bridge():
        host_network = shutil.which("slirp4netns") is None
        run.append("--network=host" if host_network else "--network=slirp4netns")
    return Engine(program, options, run, host_network)


def _has_bridge() -> bool:
    return shutil.which("iptables") is not None and any(Path(folder, "bridge").exists() for folder in _CNI_FOLDERS)


async def _docker(program: str) -> Engine:
    engine = Engine(program, (), (), False)
    code, _, errors = await engine.call("version", "--format", "{{.Server.Version}}")
    if code:
        raise UnavailableError(f"docker: {_last_line(errors)}")
    return engine


class State:
    """Folders of running engines, by which the next start finds what a killed one left behind.

    Attributes:
        token: This engine's process id and start time.
        folder: Its own, with the files of volumes.
    """

    def __init__(self) -> None:
        self._root = Path(tempfile.gettempdir(), f"pixelamp-engines-{os.getuid()}")
        self.token = f"{os.getpid()}-{_started(os.getpid())}"
        self.folder = self._root / self.token

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
        shutil.rmtree(self.folder, ignore_errors=True)


def _started(pid: int) -> str:
    """The start time of a process, in clock ticks; empty where there is none."""
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
        shutil.rmtree(folder, ignore_errors=True)
    return removed


class ContainerProcess:
    """A pod's program as a container.

    Args:
        process: The client's `run`.
        engine: The client.
        launch: How it was started.
        pidfile: Where the client writes the process id of the container, or None.
        published: Ports of this machine by those of probes, beside the container's own.
        removed: Called after its end, to remove the files of its volumes.
    """

    def __init__(
        self,
        process: Process,
        engine: Engine,
        launch: Launch,
        pidfile: Path | None,
        published: Mapping[int, int],
        removed: Callable[[], None],
    ) -> None:
        self._process = process
        self._engine = engine
        self._launch = launch
        self._pidfile = pidfile
        self._published = published
        self._removed = removed
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
        """Stop following its output and remove its volumes."""
        self._process.close()
        self._removed()

    @property
    def main_pid(self) -> int:
        """The container's first process as this machine sees it; 0 while unknown."""
        if not self._inner and self._pidfile is not None:
            with contextlib.suppress(OSError, ValueError):
                self._inner = int(self._pidfile.read_text())
        return self._inner

    def listens(self, port: int) -> bool:
        """Whether it accepts connections on its published port.

        A published port may accept connections before the container does, so that its own sockets are read where they
        can be.
        """
        if self._pidfile is None or self._engine.host_network:
            return listening(port)
        pid = self.main_pid
        return bool(pid) and self._launch.spec.container.port in sockets.of_namespace(pid)

    def reach(self, port: int) -> int | None:
        """The published port of one that a probe names, if the container listens on it."""
        if self._engine.host_network:
            return port if listening(port) else None
        pid = self.main_pid
        return self._published.get(port) if not pid or port in sockets.of_namespace(pid) else None

    def other_ports(self) -> set[int]:
        """The ports it listens on in its own network."""
        pid = 0 if self._engine.host_network else self.main_pid
        return sockets.of_namespace(pid) - {self._launch.spec.container.port} if pid else set()

    def command(self, words: Sequence[str]) -> tuple[list[str], Mapping[str, str], str]:
        """A command inside the container."""
        return [*self._engine.command, "exec", self._launch.name, *words], dict(os.environ), "/"


class ContainerRuntime:
    """Runs pods as containers of an engine that was found, from an image that is here."""

    def __init__(self, engine: Engine, state: State, image: Image, volumes: Path) -> None:
        self._engine = engine
        self._state = state
        self._image = image
        self._volumes = volumes
        self.shares_ports = engine.host_network

    def port_inside(self, spec: PodSpec, port: int) -> int:
        """A container has ports of its own: PORT is the manifest's."""
        return port if self._engine.host_network else spec.container.port

    def start(self, launch: Launch) -> ContainerProcess:
        """Start a container."""
        folder = self._volumes / launch.name
        folder.mkdir(parents=True, exist_ok=True)
        pidfile = folder / "pid" if self._engine.name == "podman" else None
        if pidfile is not None:
            pidfile.unlink(missing_ok=True)
        published = {} if self._engine.host_network else _probed(launch)
        command = [*self._engine.command, *self._arguments(launch, folder, pidfile, published)]
        process = Process.start(command, self._client_environment(launch), "/", launch.line, launch.exited)
        return ContainerProcess(
            process, self._engine, launch, pidfile, published, lambda: shutil.rmtree(folder, ignore_errors=True)
        )

    def _client_environment(self, launch: Launch) -> dict[str, str]:
        """The client's variables, and those it passes on by name, so that no value is among its arguments."""
        passed = {name: value for name, value in launch.environment.items() if not _is_the_clients(name)}
        return {**os.environ, **passed}

    def _arguments(self, launch: Launch, folder: Path, pidfile: Path | None, published: Mapping[int, int]) -> list[str]:
        spec, container = launch.spec, launch.spec.container
        out = ["run", "--rm", "--pull=never", "--log-driver=none", "--name", launch.name]
        out += ["--label", f"{LABEL}={self._state.token}", *self._engine.run_options]
        if pidfile is not None:
            out += ["--pidfile", str(pidfile)]
        if not self._engine.host_network:
            out += ["--hostname", launch.name, "--publish", f"127.0.0.1:{launch.port}:{container.port}"]
        for inside, outside in published.items():
            out += ["--publish", f"127.0.0.1:{outside}:{inside}"]
        for name, value in launch.environment.items():
            out += ["--env", f"{name}={value}" if _is_the_clients(name) else name]
        out += _security(container)
        if spec.limits.memory:
            out += ["--memory", f"{int(spec.limits.memory)}b"]
        if spec.limits.cpu:
            out += ["--cpus", f"{spec.limits.cpu:g}"]
        if container.working_dir:
            out += ["--workdir", container.working_dir]
        out += _mounts(spec, folder)
        words = [expand(word, launch.environment) for word in container.command]
        if words:
            out += ["--entrypoint", words[0]]
        out.append(self._image.id)
        return [*out, *words[1:], *(expand(word, launch.environment) for word in container.args)]


def _probed(launch: Launch) -> dict[int, int]:
    """A free port of this machine for each port that only a probe names."""
    spec = launch.spec
    found = {}
    for probe in (spec.readiness, spec.liveness, spec.startup):
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


def _mounts(spec: PodSpec, folder: Path) -> list[str]:
    out = []
    volumes = {volume.name: volume for volume in spec.volumes}
    for mount in spec.container.mounts:
        volume = volumes.get(mount.volume, Volume(mount.volume))
        if volume.empty and volume.memory and not mount.sub_path:
            size = f",size={volume.size_limit}" if volume.size_limit else ""
            out += ["--tmpfs", f"{mount.path}:rw,mode=1777{size}"]
            continue
        source = folder / volume.name
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
