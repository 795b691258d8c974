"""Queries of the event log: events, their deliveries, replies and dead letters, as plain data."""

from __future__ import annotations

import sqlite3
from collections import defaultdict
from collections.abc import Mapping
from typing import Any

from knative.local.eventing.event_log import decoded
from knative.local.eventing.topology.graph import Topology
from knative.local.jsontypes import JsonObject

_EVENT = "seq, node, ce_id, source, type, attributes, digest, size, ttl, root, parent, via, at"
_DELIVERY = "id, subscription, kind, target, extra, state, attempts, due, code, error, seconds, at"
_STATES = ("pending", "done", "dead", "dropped")


def totals(db: sqlite3.Connection) -> dict[str, int]:
    """Return the number of events in the log, and of deliveries by state."""
    counts = dict(db.execute("select state, count(*) from deliveries group by state").fetchall())
    (events,) = db.execute("select count(*) from events").fetchone()
    return {"events": events, **{state: counts.get(state, 0) for state in _STATES}}


def recent(db: sqlite3.Connection, *, limit: int, before: int | None, wanted: Mapping[str, str]) -> list[JsonObject]:
    """Return events with their deliveries, the newest first.

    Args:
        db: the log.
        limit: their largest number.
        before: only events with a smaller number.
        wanted: `id`, `source`, `type` of the event, or the `state` of one of its deliveries.
    """
    conditions = ["seq < ?"] if before is not None else []
    values: list[Any] = [before] if before is not None else []
    for name, column in (("id", "ce_id"), ("source", "source"), ("type", "type")):
        if name in wanted:
            conditions.append(f"{column} = ?")
            values.append(wanted[name])
    if "state" in wanted:
        conditions.append("seq in (select event from deliveries where state = ?)")
        values.append(wanted["state"])
    where = f" where {' and '.join(conditions)}" if conditions else ""
    query = f"select {_EVENT} from events{where} order by seq desc limit ?"  # noqa: S608 - of constants alone
    return [_event(db, row) for row in db.execute(query, (*values, limit))]


def chain(db: sqlite3.Connection, seq: int) -> list[JsonObject]:
    """Return the events of an event's chain in order; none if there is no such event."""
    query = f"select {_EVENT} from events where root = (select root from events where seq = ?) order by seq"  # noqa: S608
    return [_event(db, row) for row in db.execute(query, (seq,))]


def graph(db: sqlite3.Connection, topology: Topology) -> dict[str, list[JsonObject]]:
    """Return the nodes that receive events and the subscriptions that forward them, with their counts in the log.

    A subscription whose subscriber is a node has no deliveries of its own: `passed` counts what entered that node.
    """
    entered = dict(db.execute("select node, count(*) from events group by node").fetchall())
    passed = dict(db.execute("select via, count(*) from events where via is not null group by via").fetchall())
    counts: defaultdict[str, dict[str, dict[str, int]]] = defaultdict(dict)
    query = "select subscription, kind, state, count(*) from deliveries group by subscription, kind, state"
    for subscription, kind, state, count in db.execute(query):
        counts[subscription].setdefault(kind, {})[state] = count
    return {
        "sources": [{"name": name, "to": str(to)} for name, to in topology.sinks.items()],
        "nodes": [{"node": node, "events": entered.get(node, 0)} for node in topology.nodes],
        "subscriptions": [
            {
                "name": one.name,
                "from": node,
                "to": str(one.subscriber),
                "reply": str(one.reply) if one.reply else None,
                "deadLetters": str(one.dead_letters) if one.dead_letters else None,
                "passed": passed.get(one.name, 0),
                "deliveries": counts[one.name],
            }
            for node, subscriptions in topology.nodes.items()
            for one in subscriptions
        ],
    }


def _event(db: sqlite3.Connection, row: tuple[Any, ...]) -> JsonObject:
    seq, node, key, source, kind, attributes, digest, size, ttl, root, parent, via, at = row
    deliveries = db.execute(f"select {_DELIVERY} from deliveries where event = ? order by id", (seq,))  # noqa: S608
    return {
        "event": seq,
        "node": node,
        "id": key,
        "source": source,
        "type": kind,
        "attributes": decoded(attributes),
        "bytes": size,
        "data": f"/_knative/data/{digest}" if digest else f"/_knative/events/{seq}/data",
        "ttl": ttl,
        "chain": root,
        "answers": parent,
        "via": via,
        "at": at,
        "deliveries": [_delivery(item) for item in deliveries],
    }


def _delivery(row: tuple[Any, ...]) -> JsonObject:
    key, subscription, kind, target, extra, state, attempts, due, code, error, seconds, at = row
    found = {
        "delivery": key,
        "subscription": subscription,
        "kind": kind,
        "to": decoded(target),
        "state": state,
        "attempts": attempts,
        "code": code,
        "error": error,
        "ms": round(seconds * 1000, 1) if seconds is not None else None,
        "at": at,
    }
    if state == "pending":
        found["due"] = due
    if extra != "{}":
        found["attributes"] = decoded(extra)
    return found
