"""How an event enters the graph: its ttl, the filters it passes, and the deliveries that it leads to.

Nothing is sent from here; everything is written within one transaction of the log, so that an event is there with all
its deliveries or not at all.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Mapping

from functions.kit.cloudevents.binding import Event
from functions.kit.http.problems import Problem
from knative.local.eventing.event_log import Arrival, Due, EventLog, Stored
from knative.local.eventing.filters import passes
from knative.local.eventing.journal import Work
from knative.local.eventing.topology import Destination, Topology

TTL = "knativebrokerttl"
DEFAULT_TTL = 255


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

    def admitted(self, node: str, event: Event) -> Work[tuple[int, list[Due]]]:
        """What takes an event from outside into the log; see ``enter`` for what it returns.

        Raises:
            LookupError: there is no such node.
            Problem: 400 if its ttl is spent.
        """
        if node not in self.topology.nodes:
            raise LookupError(node)
        ttl = _ttl(event)
        if ttl <= 0:
            raise Problem(400, "ttl-spent", "Event refused", f"{TTL} is spent: the event has gone in a circle")
        attributes = kept(event)
        return lambda db: self.enter(db, node, attributes, event.data, ttl, None, "")

    def enter(
        self,
        db: sqlite3.Connection,
        node: str,
        attributes: Mapping[str, str],
        data: bytes | None,
        ttl: int,
        parent: Stored | None,
        via: str,
    ) -> tuple[int, list[Due]]:
        """An event comes to a node, and through subscribers that are nodes themselves to those.

        Args:
            db: The log, within a transaction.
            node: Where it comes to.
            attributes: As they are kept.
            data: Its bytes.
            ttl: How often it may enter a node again, this time included.
            parent: The event that it answers, or follows in the graph.
            via: The subscription that answered with it.

        Returns:
            Its number in the log, and the deliveries that are due at once.
        """
        taking = [one for one in self.topology.nodes.get(node, ()) if passes(one.filter(attributes))]
        nothing: dict[str, str] = {}
        deliveries = tuple(
            (one.name, "subscriber", addressed(one.subscriber), nothing) for one in taking if not one.subscriber.node
        )
        now = self._clock()
        arrival = Arrival(node, attributes, data, ttl, deliveries, via)
        seq, dues = self._log.arrive(db, arrival, parent, now)
        root, above = (parent.root, parent.seq) if parent else (seq, None)
        here = Stored(seq, node, attributes, None, None, len(data or b""), ttl, root, above)
        for one in taking:
            if one.subscriber.node and ttl > 1:
                dues += self.enter(db, one.subscriber.node, attributes, data, ttl - 1, here, one.name)[1]
        return seq, dues


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
