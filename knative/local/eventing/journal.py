"""Storage of the event log: SQLite in WAL mode, and large data in files beside it.

All work runs in one thread. Work that is requested at the same time shares a transaction, so that the disk is
synchronised once and not once an event. `synchronous=FULL`: acknowledged events are on disk.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import hashlib
import os
import queue
import sqlite3
import threading
from collections.abc import Callable, Container, Mapping
from pathlib import Path
from typing import Any, TypeAlias, TypeVar

T = TypeVar("T")
FILE = "events.sqlite"
Work: TypeAlias = Callable[[sqlite3.Connection], T]


class Journal:
    """A database in a folder, which is made if it is not there.

    Args:
        folder: its place; one process at a time may have it open.
        schema: SQL that makes its tables where they are missing.
        columns: by table, columns that an older log lacks, with their definition.

    Raises:
        OSError, sqlite3.Error: the folder cannot be written, or holds something else.
    """

    def __init__(self, folder: Path, schema: str, columns: Mapping[str, Mapping[str, str]]) -> None:
        self._data = folder / "data"
        self._data.mkdir(parents=True, exist_ok=True)
        self._lock = (folder / "lock").open("w")
        try:
            # The kernel releases it however the engine ends.
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self._lock.close()
            raise BlockingIOError(f"the event log in {folder} is in use by another engine") from None
        self._db = sqlite3.connect(folder / FILE, check_same_thread=False, isolation_level=None)
        try:
            self._db.execute("pragma journal_mode = wal")
            self._db.execute("pragma synchronous = full")
            self._db.execute("pragma foreign_keys = on")
            self._db.executescript(schema)
            for table, added in columns.items():
                known = {row[1] for row in self._db.execute(f"pragma table_info({table})")}
                for name in added.keys() - known:
                    self._db.execute(f"alter table {table} add column {name} {added[name]}")
        except (sqlite3.Error, UnicodeDecodeError) as error:  # the second, where what is damaged is SQLite's own text
            self._db.close()
            self._lock.close()
            raise sqlite3.DatabaseError(f"{folder} holds no event log, or a damaged one: {error}") from None
        self._renamed = False
        self._queue: queue.SimpleQueue[tuple[Work[Any], asyncio.Future[Any]] | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="event-log", daemon=True)
        self._thread.start()

    async def run(self, work: Work[T]) -> T:
        """Run work in a transaction; when this returns, its result is on disk."""
        future: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        self._queue.put((work, future))
        return await future

    def close(self) -> None:
        """Finish the requested work, and close."""
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
            requested = [item for item in batch if item is not None]
            if requested:
                self._transact(requested)
            if len(requested) < len(batch):
                return

    def _transact(self, requested: list[tuple[Work[Any], asyncio.Future[Any]]]) -> None:
        outcomes: list[tuple[Any, BaseException | None]] = []
        self._db.execute("begin immediate")
        try:
            for work, _ in requested:
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
            # The disk is full or missing: nothing was kept, and every caller gets the error.
            with contextlib.suppress(sqlite3.Error):
                self._db.execute("rollback")
            outcomes = [(None, error)] * len(requested)
        for (_, future), (result, failure) in zip(requested, outcomes, strict=True):
            with contextlib.suppress(RuntimeError):  # the loop has ended before its log
                future.get_loop().call_soon_threadsafe(_settle, future, result, failure)

    # Data beside it

    def keep(self, data: bytes) -> str:
        """Write data beside the database, within a transaction, and return its name."""
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
        """Return the path of data by its digest, whether it exists or not."""
        return self._data / digest

    def discard_all_but(self, digests: Container[str]) -> None:
        """Remove data that no event refers to."""
        for path in self._data.iterdir():
            if path.name not in digests:
                path.unlink(missing_ok=True)


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
