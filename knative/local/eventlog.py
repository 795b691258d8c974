"""The broker's memory: SQLite in WAL mode, and large data in files beside it.

Everything runs in one thread of its own. What is asked for at the same time is done in one transaction, so that the
disk is waited for once and not once an event. `synchronous=FULL`: what has been answered for is on the disk.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import hashlib
import json
import os
import queue
import sqlite3
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias, TypeVar

T = TypeVar("T")
Work: TypeAlias = Callable[[sqlite3.Connection], T]

# Data up to here stands in the log itself; CloudEvents promise no more than this to an event as a whole.
INLINE_BYTES = 64 * 1024
# Settled events that stay in sight, and bytes of their data beside the log.
KEPT = 10_000
KEPT_BYTES = 2**30

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
    """

    seq: int
    node: str
    attributes: Mapping[str, str]
    data: bytes | None
    digest: str | None
    size: int
    ttl: int
    root: int


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
    """

    node: str
    attributes: Mapping[str, str]
    data: bytes | None
    ttl: int
    deliveries: tuple[tuple[str, str, Mapping[str, str], Mapping[str, str]], ...]
    via: str = ""


class EventLog:
    """The log in a folder, which is made if it is not there.

    Raises:
        OSError, sqlite3.Error: the folder cannot be written, or holds something else.
    """

    def __init__(self, folder: Path) -> None:
        self._data = folder / "data"
        self._data.mkdir(parents=True, exist_ok=True)
        self._lock = (folder / "lock").open("w")
        try:
            # The kernel lets go of it however the engine ends.
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self._lock.close()
            raise BlockingIOError(f"the event log in {folder} is in use by another engine") from None
        self._db = sqlite3.connect(folder / "events.sqlite", check_same_thread=False, isolation_level=None)
        try:
            self._db.execute("pragma journal_mode = wal")
            self._db.execute("pragma synchronous = full")
            self._db.execute("pragma foreign_keys = on")
            self._db.executescript(_SCHEMA)
        except (sqlite3.Error, UnicodeDecodeError) as error:  # the second, where what is damaged is SQLite's own text
            self._db.close()
            self._lock.close()
            raise sqlite3.DatabaseError(f"{folder} holds no event log, or a damaged one: {error}") from None
        self._renamed = False
        self._queue: queue.SimpleQueue[tuple[Work[Any], asyncio.Future[Any]] | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="event-log", daemon=True)
        self._thread.start()

    async def run(self, work: Work[T]) -> T:
        """Do something in a transaction; when this returns it is on the disk."""
        future: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        self._queue.put((work, future))
        return await future

    def close(self) -> None:
        """Finish what was asked for, and close."""
        self._queue.put(None)
        self._thread.join()
        self._db.close()
        self._lock.close()

    def _run(self) -> None:
        while True:
            batch = [self._queue.get()]
            with contextlib.suppress(queue.Empty):
                while len(batch) < 1000:
                    batch.append(self._queue.get_nowait())
            asked = [item for item in batch if item is not None]
            if asked:
                self._transact(asked)
            if len(asked) < len(batch):
                return

    def _transact(self, asked: list[tuple[Work[Any], asyncio.Future[Any]]]) -> None:
        outcomes: list[tuple[Any, BaseException | None]] = []
        self._db.execute("begin immediate")
        try:
            for work, _ in asked:
                self._db.execute("savepoint one")
                try:
                    outcomes.append((work(self._db), None))
                except Exception as error:  # noqa: BLE001 - whatever one piece of work raises is its asker's alone
                    self._db.execute("rollback to one")
                    outcomes.append((None, error))
                self._db.execute("release one")
            if self._renamed:
                # Once for all files of this transaction: their names must last before what refers to them.
                _sync(self._data)
                self._renamed = False
            self._db.execute("commit")
        except (sqlite3.Error, OSError) as error:
            # The disk is full or gone: nothing of this was kept, and everybody must know.
            with contextlib.suppress(sqlite3.Error):
                self._db.execute("rollback")
            outcomes = [(None, error)] * len(asked)
        for (_, future), (result, failure) in zip(asked, outcomes, strict=True):
            with contextlib.suppress(RuntimeError):  # the loop has ended before its log
                future.get_loop().call_soon_threadsafe(_settle, future, result, failure)

    # Data beside the log

    def keep(self, data: bytes) -> str:
        """Put data beside the log, within a transaction; the name it is found by again."""
        digest = hashlib.sha256(data).hexdigest()
        path = self.file(digest)
        if not path.exists():
            unfinished = path.with_suffix(".unfinished")
            with unfinished.open("wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            unfinished.replace(path)
            self._renamed = True
        return digest

    def file(self, digest: str) -> Path:
        """Where data of a digest is, or would be."""
        return self._data / digest

    # What the broker asks for

    def arrive(
        self, db: sqlite3.Connection, arrival: Arrival, parent: Stored | None, now: float
    ) -> tuple[int, list[Due]]:
        """Take an event in; its number, and the deliveries that are due at once."""
        data: bytes | None = arrival.data
        digest: str | None = None
        if data is not None and len(data) > INLINE_BYTES:
            digest = self.keep(data)
            data = None
        attributes = arrival.attributes
        seq = db.execute(
            "insert into events (node, ce_id, source, type, attributes, data, digest, size, ttl, root, parent, via, at)"
            " values (?,?,?,?,?,?,?,?,?,?,?,?,?)",
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
            ),
        ).lastrowid
        if not parent:
            db.execute("update events set root = seq where seq = ?", (seq,))
        assert seq is not None  # noqa: S101 - an insert has a row
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
        assert key is not None  # noqa: S101 - an insert has a row
        return Due(key, event, subscription, kind, target, extra, 0, now)

    def bury(
        self, db: sqlite3.Connection, due: Due, target: Mapping[str, str], extra: Mapping[str, str], now: float
    ) -> Due:
        """A new delivery of the same event to a dead-letter sink."""
        return self._add(db, due.event, due.subscription, "dead-letter", target, extra, now)

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
        """Note what came of a try; `again` is when the next is due."""
        db.execute(
            "update deliveries set state = ?, attempts = attempts + 1, code = ?, error = ?, seconds = ?, due = ?,"
            " at = ? where id = ?",
            (state, code, error or None, seconds, again if again is not None else due.due, now, due.id),
        )

    def pending(self, db: sqlite3.Connection) -> list[Due]:
        """Every delivery that is still to be made, of events that can be read.

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
        """One event by its number."""
        row = db.execute(
            "select seq, node, attributes, data, digest, size, ttl, root from events where seq = ?", (seq,)
        ).fetchone()
        if row is None:
            return None
        number, node, attributes, data, digest, size, ttl, root = row
        return Stored(number, node, _attributes(attributes), data, digest, size, ttl, root)

    def prune(self, db: sqlite3.Connection, kept: int = KEPT, kept_bytes: int = KEPT_BYTES) -> int:
        """Forget the oldest chains of which nothing is pending.

        Args:
            db: The log.
            kept: Events that stay.
            kept_bytes: Bytes beside the log that stay; the newest data always does.

        Returns:
            How many events were forgotten.
        """
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
        for path in self._data.iterdir():
            if path.name not in used:
                path.unlink(missing_ok=True)
        return gone


def decoded(text: str) -> dict[str, str]:
    """What was written as JSON.

    Raises:
        sqlite3.DatabaseError: it is not as it was written, which SQLite itself does not see.
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


def _is(value: Any, kind: type[T]) -> T:
    if not isinstance(value, kind):
        raise _damaged(value)
    return value


def _damaged(value: Any) -> sqlite3.DatabaseError:
    return sqlite3.DatabaseError(f"a record holds {value!r:.80}, which was not written so")


def _sync(folder: Path) -> None:
    """Make renames in a folder durable."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _settle(future: asyncio.Future[Any], result: Any, failure: BaseException | None) -> None:
    if future.done():
        return
    if failure is None:
        future.set_result(result)
    else:
        future.set_exception(failure)
