"""Delivery of events on one machine: at least once, across crashes.

An event is acknowledged once it is in the log with all deliveries that follow; the outcome of a delivery is written
together with the event that answers it. A crash loses nothing; at worst a delivery is repeated, which the receiver
recognises by the event's id. Retries, back-off, dead letters and ttl are Knative's. Pods are reached through the
activator, so that an event wakes a function from zero.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace

from functions.kit.cloudevents import binding
from functions.kit.cloudevents.binding import Event
from knative.local.eventing.activity import Activity
from knative.local.eventing.answers import NO_EVENT, NO_EVENT_MESSAGE, Answer, Send, reply_in
from knative.local.eventing.delivery import DEFAULT, Policy, error_attributes, retried, retry_after
from knative.local.eventing.event_log import Arrival, Due, EventLog, Stored
from knative.local.eventing.ingress import TTL, Ingress, addressed, kept, passed_through
from knative.local.eventing.metrics import EventMetrics
from knative.local.eventing.topology.builder import build
from knative.local.eventing.topology.graph import Destination, Subscription
from knative.local.manifests.resources import Resource
from knative.local.tasks import TaskSet

# Concurrent deliveries to one target: more than its pods accept, so that the autoscaler sees the demand.
IN_FLIGHT = 100
# Seconds until a delivery is repeated after the log has failed, as on a full disk.
_LOG_FAILED_WAIT = 1.0


class Broker:
    """All Brokers and flows of an engine.

    Args:
        log: the event log.
        send: sends a request to a subscriber.
        origin: scheme, host and port under which pods reach this engine, for datarefs.
        clock: Seconds since the epoch.

    Attributes:
        ingress: the topology that runs, and how events enter it.
        metrics: Counts and latencies since the start.
        activity: happenings: accepted, delivered, retried, dead, dropped, log-failed.
    """

    def __init__(self, log: EventLog, send: Send, *, origin: str, clock: Callable[[], float]) -> None:
        self.log = log
        self.ingress = Ingress(log, clock)
        self.activity = Activity(clock)
        self.metrics = EventMetrics()
        self._send = send
        self._origin = origin
        self._clock = clock
        self._room: defaultdict[Destination, asyncio.Semaphore] = defaultdict(lambda: asyncio.Semaphore(IN_FLIGHT))
        self._tasks = TaskSet()
        self._timers: dict[int, asyncio.TimerHandle] = {}
        self._pruning = False
        self._stopping = False

    # Life

    def apply(self, resources: Iterable[Resource], blocked: Mapping[str, str] | None = None) -> None:
        """Replace the objects of Eventing that run; see `build`."""
        self.ingress.topology = build(resources, blocked)

    async def start(self) -> int:
        """Schedule the deliveries that were pending when the engine last ended, and return their number."""
        pending = await self.log.run(self.log.pending)
        for due in pending:
            self._schedule(due)
        self._pruning = True
        self._tasks.spawn(self._prune())
        return len(pending)

    async def drain(self, within: float) -> None:
        """Start no further delivery, and wait for those under way, up to a time limit.

        Unfinished deliveries stay pending in the log, and so do those that fail from now on, since the engine may be
        the reason.
        """
        self._stopping = True
        for timer in self._timers.values():
            timer.cancel()
        tasks = list(self._tasks)
        if tasks:
            await asyncio.wait(tasks, timeout=within)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def stop(self) -> None:
        """Stop at once; deliveries under way stay pending in the log."""
        await self.drain(0.0)
        self.activity.end()
        await asyncio.to_thread(self.log.close)

    # In

    async def accept(self, node: str, event: Event, headers: Mapping[str, str] | None = None) -> int:
        """Write an event from outside; when this returns it is durable.

        Args:
            node: the key of the node that receives it.
            event: the event.
            headers: of its request; some are passed through to subscribers.

        Returns:
            Its number in the log.

        Raises:
            LookupError: there is no such node.
            Problem: 400 if its ttl is spent.
            sqlite3.Error, OSError: it could not be kept.
        """
        seq, dues = await self.log.run(self.ingress.admitted(node, event, headers or {}))
        self.activity.emit("accepted", event=seq, id=event.id, type=event.type, source=event.source, node=node)
        self._entered(dues)
        return seq

    async def replay(self, seq: int, delivery: int | None = None) -> list[int] | None:
        """Deliver an event again where it was dead-lettered or dropped, by new deliveries with tries of their own.

        Returns:
            The numbers of the new deliveries; None if there is no such event.

        Raises:
            sqlite3.Error, OSError: the log cannot be read or written.
        """
        dues = await self.log.run(lambda db: self.log.replay(db, seq, delivery, self._clock()))
        for due in dues or ():
            self.activity.emit("replayed", event=seq, subscription=due.subscription, delivery=due.id)
            self._schedule(due)
        return None if dues is None else [due.id for due in dues]

    async def _prune(self) -> None:
        try:
            await self.log.run(self.log.prune)
        except (sqlite3.Error, OSError) as error:
            self.activity.emit("log-failed", error=f"the log was not pruned: {error}")
        finally:
            self._pruning = False

    # Out

    def _entered(self, dues: Iterable[Due]) -> None:
        """Start the deliveries of an event that is in the log, and prune the log if it has grown."""
        for due in dues:
            self._schedule(due)
        if self.log.grown and not self._pruning and not self._stopping:
            self._pruning = True
            self._tasks.spawn(self._prune())

    def _schedule(self, due: Due) -> None:
        if self._stopping:
            return
        delay = due.due - self._clock()
        if delay <= 0:
            self._tasks.spawn(self._deliver(due))
            return

        def begin() -> None:
            del self._timers[due.id]
            self._tasks.spawn(self._deliver(due))

        self._timers[due.id] = asyncio.get_running_loop().call_later(delay, begin)

    async def _deliver(self, due: Due) -> None:
        try:
            await self._attempt(due)
        except (sqlite3.Error, OSError) as error:
            self.activity.emit("log-failed", event=due.event, subscription=due.subscription, error=str(error))
            self._schedule(replace(due, due=self._clock() + _LOG_FAILED_WAIT))

    async def _attempt(self, due: Due) -> None:
        to = Destination(**due.target)
        subscription = self.ingress.topology.subscription(due.subscription)
        policy = subscription.policy if subscription else Policy.of(DEFAULT)
        async with self._room[to]:
            if self._stopping:
                return
            stored = await self.log.run(lambda db: self.log.event(db, due.event))
            if stored is None:
                return
            if subscription is None and due.kind == "subscriber":
                await self._settle(due, stored, "dropped", Answer(None, body=b"the subscription was removed"), 0.0)
                return
            begun = self._clock()
            answer = await self._try(stored, due, to, policy, subscription.namespace if subscription else "")
            seconds = self._clock() - begun
        self.metrics.deliver(stored.node, due.subscription, answer.status, seconds)
        await self._conclude(due, stored, to, subscription, policy, answer, seconds)

    async def _try(self, stored: Stored, due: Due, to: Destination, policy: Policy, namespace: str) -> Answer:
        attributes: dict[str, str | int | bool] = {**stored.attributes, **due.extra}
        data = stored.data
        if stored.digest is not None:
            if to.host:
                # Only pods of this engine can fetch from it.
                attributes["dataref"] = f"{self._origin}/_knative/data/{stored.digest}"
            else:
                try:
                    data = await asyncio.to_thread(self.log.file(stored.digest).read_bytes)
                except FileNotFoundError:
                    return Answer(None, body=b"the event's data beside the log were removed")
        event = Event(attributes, data)
        if policy.json:
            headers, body = {"content-type": binding.JSON_FORMAT}, binding.to_json(event)
        else:
            headers, body = binding.encode(event)
        if due.kind != "dead-letter":
            headers["prefer"] = "reply"
        headers |= stored.headers
        if namespace:
            headers["kn-namespace"] = namespace
        try:
            async with asyncio.timeout(policy.timeout):
                return await self._send(to, headers, body)
        except TimeoutError:
            return Answer(None, body=f"no response within {policy.timeout:g} s".encode())

    async def _conclude(
        self,
        due: Due,
        stored: Stored,
        to: Destination,
        subscription: Subscription | None,
        policy: Policy,
        answer: Answer,
        seconds: float,
    ) -> None:
        if answer.status is not None and 200 <= answer.status < 300:
            taken = subscription if due.kind == "subscriber" else None
            onwards = taken.reply if taken else None
            reply, malformed = reply_in(answer)
            if taken and taken.filtered and (malformed or (reply is None and answer.body)):
                answer = Answer(NO_EVENT, body=malformed or NO_EVENT_MESSAGE)
            elif onwards is None or (reply is None and not malformed):
                await self._settle(due, stored, "done", answer, seconds)
                return
            elif reply is None:
                to, answer = onwards, Answer(400, body=malformed)
            elif stored.ttl > 1:
                await self._answered(due, stored, onwards, reply, answer, seconds)
                return
            else:
                to, answer = onwards, Answer(400, body=f"{TTL} is spent: events go in a circle".encode())
        if retried(answer.status) and self._stopping:
            return
        asked = retry_after(answer.status, dict(answer.headers), self._clock())
        wait = policy.wait(due.attempts + 1, asked) if retried(answer.status) else None
        if wait is not None:
            again = self._clock() + wait
            await self._settle(due, stored, "pending", answer, seconds, again=again)
            self._schedule(replace(due, attempts=due.attempts + 1, due=again))
            return
        await self._bury(due, stored, to, subscription, answer, seconds)

    async def _answered(
        self, due: Due, stored: Stored, destination: Destination, reply: Event, answer: Answer, seconds: float
    ) -> None:
        """Complete the delivery and forward its reply, in one transaction."""
        reached = destination.node or str(destination)
        headers = passed_through(dict(answer.headers))
        arrival = Arrival(reached, kept(reply), reply.data, stored.ttl - 1, via=due.subscription, headers=headers)

        def work(db: sqlite3.Connection) -> tuple[int, list[Due]]:
            now = self._clock()
            self.log.settle(db, due, "done", code=answer.status, error="", seconds=seconds, now=now)
            if destination.node:
                return self.ingress.enter(db, arrival, stored)
            nothing: dict[str, str] = {}
            onwards = ((due.subscription, "reply", addressed(destination), nothing),)
            return self.log.arrive(db, replace(arrival, deliveries=onwards), stored, now)

        seq, dues = await self.log.run(work)
        self._emit_outcome(
            due, stored, "delivered", answer, seconds, reply=seq, reply_type=reply.type, to=str(destination)
        )
        self._entered(dues)

    async def _bury(
        self,
        due: Due,
        stored: Stored,
        to: Destination,
        subscription: Subscription | None,
        answer: Answer,
        seconds: float,
    ) -> None:
        """End the tries: send the event to the dead-letter sink, or drop it.

        For a reply that cannot be delivered, the sink gets the event that it answers, as in Knative's dispatcher: the
        sink can send that event again, and has the failure beside it.
        """
        sink = subscription.dead_letters if subscription and due.kind != "dead-letter" else None
        if sink is None or (sink.node and stored.ttl <= 1):
            await self._settle(due, stored, "dropped", answer, seconds)
            return
        extra = error_attributes(str(to), answer.status, answer.body)

        def work(db: sqlite3.Connection) -> list[Due]:
            now = self._clock()
            code, error = answer.status, answer.text
            self.log.settle(db, due, "dead", code=code, error=error, seconds=seconds, now=now)
            answered = self.log.event(db, stored.parent) if due.kind == "reply" and stored.parent else None
            buried = answered or stored
            if not sink.node:
                return [self.log.bury(db, due, buried.seq, addressed(sink), extra, now)]
            beside = self.log.file(buried.digest) if buried.digest else None
            data = buried.data if beside is None else beside.read_bytes() if beside.exists() else None
            attributes, ttl = {**buried.attributes, **extra}, stored.ttl - 1
            arrival = Arrival(sink.node, attributes, data, ttl, via=due.subscription, headers=buried.headers)
            return self.ingress.enter(db, arrival, buried)[1]

        dues = await self.log.run(work)
        self._emit_outcome(due, stored, "dead", answer, seconds, to=str(sink))
        self._entered(dues)

    async def _settle(
        self, due: Due, stored: Stored, state: str, answer: Answer, seconds: float, again: float | None = None
    ) -> None:
        error = "" if state == "done" else answer.text

        def work(db: sqlite3.Connection) -> None:
            now = self._clock()
            self.log.settle(db, due, state, code=answer.status, error=error, seconds=seconds, again=again, now=now)

        await self.log.run(work)
        kind = {"done": "delivered", "pending": "retried"}.get(state, state)
        more = {} if again is None else {"again": round(again, 3)}
        self._emit_outcome(due, stored, kind, answer, seconds, **more)

    # Happenings

    def _emit_outcome(
        self, due: Due, stored: Stored, kind: str, answer: Answer, seconds: float, **more: object
    ) -> None:
        named = {"event": stored.seq, "id": stored.attributes["id"], "type": stored.attributes["type"]}
        tried = {"kind": due.kind, "code": answer.status, "attempt": due.attempts + 1, "ms": round(seconds * 1000, 1)}
        error = {} if kind == "delivered" else {"error": answer.text}
        self.activity.emit(kind, **named, subscription=due.subscription, **tried, **error, **more)
