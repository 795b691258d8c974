"""The entry of an event into the graph: its ttl, the filters it passes, and the deliveries that follow.

Nothing is sent from here. An event is written with all its deliveries in one transaction of the log, or not at all.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime

from functions.kit.cloudevents.binding import Event
from functions.kit.http.problems import Problem
from knative.local.eventing.event_log import Arrival, Due, EventLog, Stored
from knative.local.eventing.filters import passes
from knative.local.eventing.journal import Work
from knative.local.eventing.topology.graph import Destination, Topology

TTL = "knativebrokerttl"
ARRIVAL_TIME = "knativearrivaltime"
DEFAULT_TTL = 255
_HEADERS = frozenset({"x-request-id", "retry-after", "traceparent", "tracestate"})
_HEADER_PREFIXES = ("knative-", "x-b3-")


class Ingress:
    """The way into all Brokers and flows of an engine.

    Args:
        log: Where events are kept.
        clock: Seconds since the epoch.

    Attributes:
        topology: What runs now.
    """

    def __init__(self, log: EventLog, clock: Callable[[], float]) -> None:
        self.topology = Topology()
        self._log = log
        self._clock = clock

    def admitted(self, node: str, event: Event, headers: Mapping[str, str]) -> Work[tuple[int, list[Due]]]:
        """Return the work that writes an event from outside into the log; see `enter` for its result.

        Args:
            node: the key of the node that receives the event.
            event: the event.
            headers: of its request; those of `passed_through` go on to subscribers.

        Raises:
            LookupError: there is no such node.
            Problem: 400 if its ttl is spent.
        """
        if node not in self.topology.nodes:
            raise LookupError(node)
        ttl = _ttl(event)
        if ttl <= 0:
            raise Problem(400, "ttl-spent", "Event refused", f"{TTL} is spent: the event has gone in a circle")
        arrival = Arrival(node, kept(event), event.data, ttl, headers=passed_through(headers))
        return lambda db: self.enter(db, arrival, None)

    def enter(self, db: sqlite3.Connection, arrival: Arrival, parent: Stored | None) -> tuple[int, list[Due]]:
        """Write an event to a node, and through subscribers that are nodes themselves to those.

        Args:
            db: the log, within a transaction.
            arrival: the event; its deliveries follow from the node's subscriptions.
            parent: the event that it answers, or follows in the graph.

        Returns:
            Its number in the log, and the deliveries that are due at once.
        """
        now = self._clock()
        if arrival.node.startswith("broker/"):
            arrival = replace(arrival, attributes={**arrival.attributes, ARRIVAL_TIME: _rfc3339(now)})
        attributes = arrival.attributes
        passing = [one for one in self.topology.nodes.get(arrival.node, ()) if passes(one.filter(attributes))]
        nothing: dict[str, str] = {}
        deliveries = tuple(
            (one.name, "subscriber", addressed(one.subscriber), nothing) for one in passing if not one.subscriber.node
        )
        seq, dues = self._log.arrive(db, replace(arrival, deliveries=deliveries), parent, now)
        root, above = (parent.root, parent.seq) if parent else (seq, None)
        size, ttl = len(arrival.data or b""), arrival.ttl
        here = Stored(seq, arrival.node, attributes, None, None, size, ttl, root, above, arrival.headers)
        for one in passing:
            if one.subscriber.node and ttl > 1:
                inner = replace(arrival, node=one.subscriber.node, ttl=ttl - 1, via=one.name)
                dues += self.enter(db, inner, here)[1]
        return seq, dues


def passed_through(headers: Mapping[str, str]) -> dict[str, str]:
    """Return the headers of a request that Knative hands on with an event, and those of a trace."""
    return {
        name: value
        for name, value in ((name.lower(), value) for name, value in headers.items())
        if name in _HEADERS or name.startswith(_HEADER_PREFIXES)
    }


def _rfc3339(seconds: float) -> str:
    """A time as the CloudEvents SDK for Go prints it: UTC, without zeros at the end of the fraction."""
    text = datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")
    return f"{text.rstrip('0').rstrip('.')}Z"


def _ttl(event: Event) -> int:
    """The ttl with which an event enters, as Knative's ingress reckons: one less than it says, or the default."""
    try:
        return int(event.get(TTL)) - 1 if event.get(TTL) else DEFAULT_TTL
    except ValueError:
        return DEFAULT_TTL


def kept(event: Event) -> dict[str, str]:
    """The attributes that go into the log: the ttl is reckoned there, and an implied media type is written out."""
    attributes = {name: event.get(name) for name in event.attributes if name != TTL}
    return {"datacontenttype": event.implied, **attributes} if event.implied else attributes


def addressed(destination: Destination) -> dict[str, str]:
    """A destination outside the graph, as the log keeps it."""
    fields = {"host": destination.host, "path": destination.path, "url": destination.url}
    return {name: value for name, value in fields.items() if value}
