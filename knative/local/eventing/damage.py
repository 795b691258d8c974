"""How much of a damaged event log is lost."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

from knative.local.eventing.event_log import decoded
from knative.local.eventing.journal import FILE

_FAILURES = (sqlite3.Error, UnicodeDecodeError, OverflowError)


def loss(folder: Path) -> str:
    """Return how many events of a log cannot be read, of how many; each is tried by itself, and nothing is changed."""
    file = folder / FILE
    try:
        with closing(sqlite3.connect(f"{file.resolve().as_uri()}?mode=ro", uri=True)) as db:
            numbers = _numbers(db)
            if numbers is None:
                return "all its events are lost: neither their table nor its indexes can be read"
            lost = sum(not _readable(db, number) for number in numbers)
    except _FAILURES as error:
        return f"all its events are lost: {error}"
    return f"{lost:,} of its {len(numbers):,} events are lost"


def _numbers(db: sqlite3.Connection) -> list[int] | None:
    """The numbers of all events, by the first index that can be read, or by the table itself."""
    for source in ("events indexed by events_by_id", "events indexed by events_by_root", "events not indexed"):
        try:
            return [int(number) for (number,) in db.execute(f"select seq from {source}")]  # noqa: S608 - of constants
        except (*_FAILURES, ValueError, TypeError):
            continue
    return None


def _readable(db: sqlite3.Connection, number: int) -> bool:
    """Whether an event and its deliveries are as they were written."""
    try:
        row = db.execute("select attributes, headers, data from events where seq = ?", (number,)).fetchone()
        if row is None:
            return False
        decoded(row[0])
        decoded(row[1])
        for target, extra in db.execute("select target, extra from deliveries where event = ?", (number,)):
            decoded(target)
            decoded(extra)
    except _FAILURES:
        return False
    return True
