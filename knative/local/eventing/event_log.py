"""The event log: events, and the state of each delivery."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from knative.local.eventing.journal import Journal

T = TypeVar("T")

# Data up to this size is kept in the log itself; CloudEvents promises no more to a whole event.
INLINE_BYTES = 64 * 1024
# Settled events that are kept, and bytes of their data beside the log.
KEPT = 10_000
KEPT_BYTES = 2**30
# Further events and bytes before the oldest are removed.
_MORE = 500
_MORE_BYTES = KEPT_BYTES // 8

_SCHEMA = """
create table if not exists events (
    seq integer primary key autoincrement,
    node text not null,            -- where it came to
    ce_id text not null, source text not null, type text not null,
    attributes text not null,      -- JSON, without knativebrokerttl
    data blob, digest text, size integer not null,
    ttl integer not null,
    root integer, parent integer,  -- the event that began the chain; the one it answers
    via text,                      -- the subscription that answered
    headers text not null default '{}',  -- HTTP headers that are passed through, as JSON
    at real not null
);
create index if not exists events_by_root on events (root);
create index if not exists events_by_id on events (ce_id);
create table if not exists deliveries (
    id integer primary key autoincrement,
    event integer not null references events (seq) on delete cascade,
    subscription text not null,
    kind text not null,            -- subscriber, reply or dead-letter
    target text not null,          -- where to, as JSON
    extra text not null,           -- attributes added on the way, as JSON
    state text not null,           -- pending, done, dead or dropped
    attempts integer not null default 0,
    due real not null,
    code integer, error text, seconds real,
    at real not null
);
create index if not exists deliveries_by_event on deliveries (event);
create index if not exists deliveries_pending on deliveries (due) where state = 'pending';
"""


@dataclass(frozen=True)
class Stored:
    """One event of the log.

    Attributes:
        seq: Its number, rising.
        node: The node it came to.
        attributes: Its attributes, without the ttl.
        data: Its bytes, or None if they are beside the log (`digest`) or it has none.
        digest: SHA-256 of data that is kept beside the log, else None.
        size: Bytes of its data.
        ttl: How often it may enter a broker again.
        root: Number of the event that began the chain.
        parent: Number of the event that it answers, or follows in the graph; None for one from outside.
        headers: HTTP headers that are passed through to subscribers.
    """

    seq: int
    node: str
    attributes: Mapping[str, str]
    data: bytes | None
    digest: str | None
    size: int
    ttl: int
    root: int
    parent: int | None
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Due:
    """A delivery that is to be tried at `due` (seconds since the epoch)."""

    id: int
    event: int
    subscription: str
    kind: str
    target: Mapping[str, str]
    extra: Mapping[str, str]
    attempts: int
    due: float


@dataclass(frozen=True)
class Arrival:
    """An event on its way into the log, with the deliveries it leads to.

    Attributes:
        deliveries: `(subscription, kind, target, extra)` of each.
        via: The subscription that answered with it, or empty.
        headers: HTTP headers that are passed through to subscribers.
    """

    node: str
    attributes: Mapping[str, str]
    data: bytes | None
    ttl: int
    deliveries: tuple[tuple[str, str, Mapping[str, str], Mapping[str, str]], ...] = ()
    via: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)


class EventLog(Journal):
    """The log in a folder, which is made if it is not there.

    Attributes:
        events, beside: Events that have come since the log was last pruned, and bytes of their data beside it.

    Raises:
        OSError, sqlite3.Error: the folder cannot be written, or holds something else.
    """

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, _SCHEMA, columns={"events": {"headers": "text not null default '{}'"}})
        self.events = self.beside = 0

    @property
    def grown(self) -> bool:
        """Whether the log has grown so much that it should be pruned."""
        return self.events >= _MORE or self.beside >= _MORE_BYTES

    def arrive(
        self, db: sqlite3.Connection, arrival: Arrival, parent: Stored | None, now: float
    ) -> tuple[int, list[Due]]:
        """Write an event; return its number and the deliveries that are due immediately."""
        data: bytes | None = arrival.data
        digest: str | None = None
        if data is not None and len(data) > INLINE_BYTES:
            digest = self.keep(data)
            self.beside += len(data)
            data = None
        self.events += 1
        attributes = arrival.attributes
        seq = db.execute(
            "insert into events (node, ce_id, source, type, attributes, data, digest, size, ttl, root, parent, via, at,"
            " headers) values (?,?,?,?,?,?,?,?,?,?,?,?,?,?)",
            (
                *(
                    arrival.node,
                    attributes["id"],
                    attributes["source"],
                    attributes["type"],
                    json.dumps(dict(attributes)),
                ),
                *(data, digest, len(arrival.data or b""), arrival.ttl),
                *(parent.root if parent else None, parent.seq if parent else None, arrival.via or None, now),
                json.dumps(dict(arrival.headers)),
            ),
        ).lastrowid
        if not parent:
            db.execute("update events set root = seq where seq = ?", (seq,))
        assert seq is not None
        return seq, [self._add(db, seq, *delivery, now) for delivery in arrival.deliveries]

    def _add(
        self,
        db: sqlite3.Connection,
        event: int,
        subscription: str,
        kind: str,
        target: Mapping[str, str],
        extra: Mapping[str, str],
        now: float,
    ) -> Due:
        key = db.execute(
            "insert into deliveries (event, subscription, kind, target, extra, state, due, at)"
            " values (?,?,?,?,?,'pending',?,?)",
            (event, subscription, kind, json.dumps(dict(target)), json.dumps(dict(extra)), now, now),
        ).lastrowid
        assert key is not None
        return Due(key, event, subscription, kind, target, extra, 0, now)

    def bury(
        self,
        db: sqlite3.Connection,
        due: Due,
        event: int,
        target: Mapping[str, str],
        extra: Mapping[str, str],
        now: float,
    ) -> Due:
        """A new delivery to a dead-letter sink, in place of one that failed: of its event, or the one that answers."""
        return self._add(db, event, due.subscription, "dead-letter", target, extra, now)

    def replay(self, db: sqlite3.Connection, seq: int, delivery: int | None, now: float) -> list[Due] | None:
        """Add a delivery for each of an event's that was dead-lettered or dropped, or for one of them.

        Returns:
            The new deliveries, which are due at once; None if there is no such event.
        """
        if db.execute("select 1 from events where seq = ?", (seq,)).fetchone() is None:
            return None
        rows = db.execute(
            "select subscription, kind, target, extra from deliveries where event = ? and state in ('dead', 'dropped')"
            " and (? is null or id = ?) order by id",
            (seq, delivery, delivery),
        ).fetchall()
        return [self._add(db, seq, name, kind, decoded(to), decoded(extra), now) for name, kind, to, extra in rows]

    def settle(
        self,
        db: sqlite3.Connection,
        due: Due,
        state: str,
        *,
        code: int | None,
        error: str,
        seconds: float,
        again: float | None = None,
        now: float,
    ) -> None:
        """Record the outcome of a try; `again` is the time of the next."""
        db.execute(
            "update deliveries set state = ?, attempts = attempts + 1, code = ?, error = ?, seconds = ?, due = ?,"
            " at = ? where id = ?",
            (state, code, error or None, seconds, again if again is not None else due.due, now, due.id),
        )

    def pending(self, db: sqlite3.Connection) -> list[Due]:
        """Return the pending deliveries, of events that can be read.

        Raises:
            sqlite3.DatabaseError: the log is damaged.
        """
        rows = db.execute(
            "select d.id, d.event, d.subscription, d.kind, d.target, d.extra, d.attempts, d.due, e.attributes"
            " from deliveries d join events e on e.seq = d.event where d.state = 'pending'"
        )
        found = []
        for key, event, subscription, kind, target, extra, attempts, due, attributes in rows:
            _attributes(attributes)
            found.append(
                Due(
                    id=_is(key, int),
                    event=_is(event, int),
                    subscription=_is(subscription, str),
                    kind=_is(kind, str),
                    target=decoded(target),
                    extra=decoded(extra),
                    attempts=_is(attempts, int),
                    due=_is(due, float),
                )
            )
        return found

    def event(self, db: sqlite3.Connection, seq: int) -> Stored | None:
        """Return an event by its number, or None."""
        row = db.execute(
            "select seq, node, attributes, data, digest, size, ttl, root, parent, headers from events where seq = ?",
            (seq,),
        ).fetchone()
        if row is None:
            return None
        number, node, attributes, data, digest, size, ttl, root, parent, headers = row
        return Stored(number, node, _attributes(attributes), data, digest, size, ttl, root, parent, decoded(headers))

    def prune(self, db: sqlite3.Connection, kept: int = KEPT, kept_bytes: int = KEPT_BYTES) -> int:
        """Remove the oldest chains without pending deliveries.

        Args:
            db: The log.
            kept: Events that stay.
            kept_bytes: Bytes beside the log that stay; the newest data always does.

        Returns:
            The number of removed events.
        """
        self.events = self.beside = 0
        row = db.execute("select seq from events order by seq desc limit 1 offset ?", (kept,)).fetchone()
        last = row[0] if row else 0
        total = 0
        for seq, size in db.execute("select seq, size from events where digest is not null order by seq desc"):
            if total > kept_bytes:
                last = max(last, seq)
                break
            total += size
        if not last:
            return 0
        # Where something is pending the whole chain stays: its events may refer to each other's data.
        gone = db.execute(
            "delete from events where seq <= ? and root not in"
            " (select e.root from events e join deliveries d on d.event = e.seq where d.state = 'pending')",
            (last,),
        ).rowcount
        used = {row[0] for row in db.execute("select distinct digest from events where digest is not null")}
        self.discard_all_but(used)
        return gone


def decoded(text: str) -> dict[str, str]:
    """Return what was written as JSON.

    Raises:
        sqlite3.DatabaseError: the record is not as it was written, which SQLite itself does not detect.
    """
    try:
        found = json.loads(text)
    except (ValueError, TypeError, RecursionError):
        found = None
    if not isinstance(found, dict) or not all(isinstance(value, str) for value in found.values()):
        raise _damaged(text)
    return found


def _attributes(text: str) -> dict[str, str]:
    found = decoded(text)
    if not found.keys() >= {"id", "source", "type"}:
        raise _damaged(text)
    return found


def _is(value: object, kind: type[T]) -> T:
    if not isinstance(value, kind):
        raise _damaged(value)
    return value


def _damaged(value: object) -> sqlite3.DatabaseError:
    return sqlite3.DatabaseError(f"a record holds {value!r:.80}, which was not written so")
