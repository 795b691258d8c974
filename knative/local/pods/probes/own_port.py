"""Where a program listens that does not listen on PORT of 127.0.0.1. Pure."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass

UNDECLARED_SECONDS = 5.0
"""How long a port that is no containerPort is taken for one beside PORT, such as that of metrics."""


@dataclass(frozen=True)
class Elsewhere:
    """What a program does in place of listening on PORT.

    Attributes:
        port: Where it is to be served; None where it cannot be.
        text: What it does, and how to mend it.
    """

    port: int | None
    text: str


def elsewhere(
    ports: Collection[int],
    *,
    own: int,
    inside: int,
    declared: int,
    shares_ports: bool,
    waited: float,
    reached: Callable[[int], bool],
) -> Elsewhere | None:
    """Return what a program does instead of listening on PORT, or None while it is undecided.

    Args:
        ports: Those that it listens on, at any address.
        own: The port of this machine by which it is reached.
        inside: PORT, as the program sees it.
        declared: Its containerPort.
        shares_ports: Whether its ports are those of this machine.
        waited: Seconds since it was started.
        reached: Whether a port takes connections at 127.0.0.1.
    """
    if own in ports:
        remedy = "make it listen on 0.0.0.0, or on [::] for both IPv4 and IPv6"
        return Elsewhere(None, f"listens on PORT={inside}, and not at 127.0.0.1; {remedy}")
    if not ports or (declared not in ports and waited < UNDECLARED_SECONDS):
        return None
    port = declared if declared in ports else min(ports)
    text, remedy = f"listens on {port} and not on PORT={inside}", "make it listen on $PORT"
    if shares_ports and (len(ports) == 1 or port == declared):
        if not reached(port):
            return Elsewhere(None, f"{text}, and not at 127.0.0.1; {remedy} of 0.0.0.0, or of [::] for both")
        return Elsewhere(port, f"{text}: it is served there while it is the only pod; {remedy}")
    return Elsewhere(None, f"{text}; {remedy} or name the port as containerPort")
