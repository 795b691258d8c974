"""PingSources on their schedule."""

from __future__ import annotations

import asyncio
import sqlite3
import uuid
from collections.abc import Callable
from datetime import UTC, datetime

from functions.kit.cloudevents.binding import Event
from knative.local.eventing.broker import Broker
from knative.local.eventing.topology.graph import Ping
from knative.local.manifests.kinds import EVENTING, FLOWS, MESSAGING, SINKS, SOURCES
from knative.local.tasks import TaskSet

EVENT_GROUPS = frozenset({EVENTING, FLOWS, MESSAGING, SOURCES, SINKS})
"""API groups whose objects need the broker."""
_LONGEST_WAIT = 60.0  # seconds


class Pinger:
    """The timers of all PingSources.

    Args:
        clock: seconds since the epoch.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._broker: Broker | None = None
        self._started = False
        self._timers: dict[str, asyncio.TimerHandle] = {}
        self._sending = TaskSet()

    def apply(self, broker: Broker) -> None:
        """Replace the PingSources that run by those of the broker's topology."""
        self._broker = broker
        if self._started:
            self.start()

    def start(self) -> None:
        """Set the timers."""
        self.stop()
        self._started = True
        if self._broker is not None:
            for ping in self._broker.ingress.topology.pings:
                self._arm(self._broker, ping)

    def stop(self) -> None:
        """Clear the timers; an event that is being written goes on."""
        self._started = False
        for timer in self._timers.values():
            timer.cancel()
        self._timers.clear()

    def _arm(self, broker: Broker, ping: Ping) -> None:
        now = datetime.fromtimestamp(self._clock(), UTC)
        moment = ping.schedule.after(now)
        if moment is None:
            return
        wait = max(moment.timestamp() - self._clock(), 0.0)
        loop = asyncio.get_running_loop()
        # A long wait is made of short ones, so that a clock that was set is noticed.
        self._timers[ping.node] = loop.call_later(min(wait, _LONGEST_WAIT), self._wake, broker, ping, moment)

    def _wake(self, broker: Broker, ping: Ping, moment: datetime) -> None:
        if self._clock() >= moment.timestamp():
            self._sending.spawn(self._send(broker, ping))
        self._arm(broker, ping)

    async def _send(self, broker: Broker, ping: Ping) -> None:
        moment = datetime.fromtimestamp(self._clock(), UTC).isoformat().replace("+00:00", "Z")
        event = Event({**ping.attributes, "id": str(uuid.uuid4()), "time": moment}, ping.data)
        try:
            await broker.accept(ping.node, event)
        except (sqlite3.Error, OSError, LookupError) as error:
            broker.activity.emit("log-failed", error=f"an event of {ping.node} was not kept: {error}")
