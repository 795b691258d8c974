"""Podman and docker: which of them can run containers here, with which options, and the images they hold."""

from __future__ import annotations

import asyncio
import json
import resource
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from knative.local.jsontypes import JsonObject
from knative.local.pods.conditions import Problem, missing_image
from knative.local.pods.podspec import Container

_CNI_FOLDERS = ("/usr/lib/cni", "/usr/libexec/cni", "/opt/cni/bin")
_MOST_FILES = 1_048_576
_MOST_PROCESSES = 16_384


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

    Attributes:
        network: The machine's address in the network of the containers and that network, where it can be reached there.
    """

    def __init__(self, program: str, options: Sequence[str], run_options: Sequence[str], host_network: bool) -> None:
        self.name = Path(program).name
        self.command = [program, *options]
        self.run_options = list(run_options)
        self.host_network = host_network
        self.network: tuple[str, str] | None = None

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
        described: JsonObject = json.loads(out)[0]
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
    engine = Engine(program, options, run, host_network)
    if not host["security"]["rootless"] and not any(option.startswith("--network") for option in run):
        engine.network = await _network(engine, "podman")
    return engine


async def _network(engine: Engine, name: str) -> tuple[str, str] | None:
    """The gateway and the subnet of a bridge."""
    code, out, _ = await engine.call("network", "inspect", name)
    try:
        found = json.loads(out)[0] if not code else {}
        subnets = found.get("subnets") or (found.get("IPAM") or {}).get("Config") or ()
        for one in subnets:
            gateway, subnet = one.get("gateway") or one.get("Gateway"), one.get("subnet") or one.get("Subnet")
            if gateway and "." in gateway:
                return gateway, subnet
    except (ValueError, IndexError, AttributeError):
        pass
    return None


def _has_bridge() -> bool:
    return shutil.which("iptables") is not None and any(Path(folder, "bridge").exists() for folder in _CNI_FOLDERS)


async def _docker(program: str) -> Engine:
    engine = Engine(program, (), (), False)
    code, _, errors = await engine.call("version", "--format", "{{.Server.Version}}")
    if code:
        raise UnavailableError(f"docker: {_last_line(errors)}")
    engine.network = await _network(engine, "bridge")
    return engine
