"""What a pod needs of a runtime, whichever it is."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from knative.local.pods.podspec import PodSpec, Program


@dataclass(frozen=True, kw_only=True)
class Launch:
    """One start of a program of a pod.

    Attributes:
        spec: The pod's.
        program: What to run.
        pod: The pod's name.
        port: A free port of this machine for the one that serves; 0 for the others.
        environment: Variables, PORT and HOSTNAME among them.
        line: Takes each line of output.
        exited: Called once with the exit status.
    """

    spec: PodSpec
    program: Program
    pod: str
    port: int
    environment: Mapping[str, str]
    line: Callable[[bytes], None]
    exited: Callable[[int], None]

    @property
    def name(self) -> str:
        """A name of its own: the pod's for the program that serves, followed by the container's for another."""
        return self.pod if self.serves else f"{self.pod}-{self.program.name}"

    @property
    def serves(self) -> bool:
        """Whether it is the program that requests go to."""
        return self.program.name == self.spec.program.name

    @property
    def initial(self) -> bool:
        """Whether it is an init container."""
        return any(self.program.name == one.name for one in self.spec.before)


class Running(Protocol):
    """A program that has been started."""

    @property
    def pid(self) -> int:
        """The process of this machine that ends when the program does."""

    @property
    def main_pid(self) -> int:
        """The program's first process as this machine sees it; 0 while unknown."""

    @property
    def begun(self) -> bool:
        """Whether the program itself runs, as far as it is known."""

    @property
    def code(self) -> int | None:
        """The exit status, negative for a signal; None while it runs."""

    def signal(self, number: int) -> None:
        """Send a signal to the program's first process."""

    def kill(self) -> None:
        """Kill it and everything it has started."""

    def close(self) -> None:
        """Release what is held for it; it has ended."""

    def listens(self, port: int) -> bool:
        """Whether it accepts connections on a port of this machine that is its own."""

    def reach(self, port: int) -> int | None:
        """The port of this machine that leads to one that the program listens on; None where it does not."""

    def other_ports(self) -> set[int]:
        """The ports it listens on: of a process at any address, of a container all but its containerPort."""

    def command(self, words: Sequence[str]) -> tuple[list[str], Mapping[str, str], str]:
        """Arguments, environment and directory of a command that runs beside the program, as an exec probe does."""


class Runtime(Protocol):
    """Starts programs.

    Attributes:
        shares_ports: Whether programs listen on ports of this machine directly.
        gateway: The engine's address in the network of the programs, where that is one of their own; None where it is
            the machine's, or the engine cannot be reached from it.
        joined: Whether sidecars run in the network of the program that serves, and end with it.
    """

    shares_ports: bool
    gateway: str | None
    joined: bool

    def port_inside(self, spec: PodSpec, port: int) -> int:
        """The value of PORT for a program whose port on this machine is `port`."""

    def address(self, url: str) -> str:
        """The address by which its programs reach a URL of the cluster without a proxy."""

    def start(self, launch: Launch) -> Running:
        """Start a program.

        Raises:
            OSError: It cannot be started.
            ValueError: An argument or a variable that the kernel does not accept.
        """

    async def clear(self, spec: PodSpec, pod: str) -> None:
        """Remove what is left of the program that serves before it is started again, and at the end of a pod."""

    def forget(self, pod: str) -> None:
        """Release what is held for a pod that has ended."""
