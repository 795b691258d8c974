"""Responses of subscribers: what they hold, and the event in them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from functions.kit.cloudevents import binding
from functions.kit.cloudevents.binding import Event
from functions.kit.http.problems import Problem
from knative.local.eventing.topology.graph import Destination

# Knative's code and message for a Trigger's response that is neither an event nor empty; it is retried like any 5xx.
NO_EVENT = 502
NO_EVENT_MESSAGE = (
    b"received a non-empty response not recognized as CloudEvent. "
    b"The response MUST be either empty or a valid CloudEvent"
)


@dataclass(frozen=True)
class Answer:
    """The response of a subscriber; `status` is None if there was none, and `body` then holds the reason."""

    status: int | None
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = b""

    @property
    def text(self) -> str:
        """The beginning of the body, or the reason."""
        return self.body[:1024].decode(errors="replace")


class Send(Protocol):
    """Sends one request to a destination outside the graph."""

    async def __call__(self, to: Destination, headers: Mapping[str, str], body: bytes) -> Answer:
        """Return the response. Raises nothing but CancelledError."""


def reply_in(answer: Answer) -> tuple[Event | None, bytes]:
    """Return the event in a response, if it claims to be one, and the mistake if it cannot be read."""
    try:
        return binding.decode(answer.headers, answer.body), b""
    except Problem as problem:
        return None, f"the response is no valid event: {problem.detail}".encode()
