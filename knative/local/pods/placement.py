"""The port by which a program is reached: the one it was given, or one of its own choice where it ignores PORT."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable

from knative.local.pods.probes.own_port import elsewhere
from knative.local.pods.runtimes.base import Running

_RETURN_SECONDS = 0.2  # between two looks at PORT while a program is served elsewhere


class Placement:
    """Where a program is served, from one of its starts to the next.

    Args:
        serve_at: Sends requests to a port of this machine.
        write: Takes a line for the log.
        changed: Called when the program is served on PORT after all.

    Attributes:
        port: By which it is reached.
        fixed_port: The port it listens on instead of PORT, where it is served.
        ignores_port: What to do about a program that ignores PORT, or None.
    """

    def __init__(
        self, serve_at: Callable[[int], None], write: Callable[[str], None], changed: Callable[[], None]
    ) -> None:
        self.port = 0
        self.fixed_port: int | None = None
        self.ignores_port: str | None = None
        self._serve_at = serve_at
        self._write = write
        self._changed = changed
        self._given = 0
        self._returning: asyncio.Task[None] | None = None

    def start(self, port: int) -> None:
        """Begin anew with the port that the program is given."""
        self.port = self._given = port
        self._returning = None

    async def stop(self) -> None:
        """Look no more: the program has ended."""
        if self._returning is not None:
            self._returning.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._returning

    def is_ready(self) -> None:
        """Note that the program is ready where it is served: on PORT, it does not ignore it."""
        if self.fixed_port is None:
            self.ignores_port = None

    def look(self, process: Running, *, inside: int, declared: int, shares_ports: bool, waited: float) -> None:
        """Find where a program listens that ignores PORT, and serve it there if that is possible.

        Args:
            process: It.
            inside: PORT, as the program sees it.
            declared: Its containerPort.
            shares_ports: Whether its ports are those of this machine.
            waited: Seconds since it was started.
        """
        found = elsewhere(
            process.other_ports(),
            own=self._given,
            inside=inside,
            declared=declared,
            shares_ports=shares_ports,
            waited=waited,
            reached=process.listens,
        )
        if found is None:
            return
        if found.port is not None and self._returning is None:
            self._returning = asyncio.get_running_loop().create_task(self._return(process))
            self.fixed_port = self.port = found.port
            self._serve_at(found.port)
        if self.ignores_port is None:
            self._write(found.text)
        self.ignores_port = found.text

    async def _return(self, process: Running) -> None:
        """Serve the program on PORT after all, once it listens there: the other port was one beside it."""
        while not process.listens(self._given):
            await asyncio.sleep(_RETURN_SECONDS)
        self.fixed_port = self.ignores_port = None
        self.port = self._given
        self._serve_at(self.port)
        self._write(f"listens on PORT={self.port} now, and is served there")
        self._changed()
