"""The log: what is answered for is on the disk, together or not at all."""

from __future__ import annotations

import asyncio
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from knative.local.eventing.event_log import INLINE_BYTES, Arrival, EventLog
from tests.servers import ROOT, clean_environment


def arrival(key: str = "1", data: bytes | None = b"x", subscriptions: tuple[str, ...] = ("a",)) -> Arrival:
    attributes = {"specversion": "1.0", "id": key, "source": "/s", "type": "t"}
    deliveries = tuple((name, "subscriber", {"host": "f.default"}, {}) for name in subscriptions)
    return Arrival("broker/default/b", attributes, data, 255, deliveries)


@pytest.fixture
def log(tmp_path):
    opened = EventLog(tmp_path / "log")
    yield opened
    opened.close()


async def arrive(log: EventLog, one: Arrival, now: float = 1.0):
    return await log.run(lambda db: log.arrive(db, one, None, now))


def test_what_arrived_is_pending_after_opening_again(tmp_path):
    async def first() -> None:
        log = EventLog(tmp_path)
        await arrive(log, arrival(subscriptions=("a", "b")))
        log.close()

    async def second() -> None:
        log = EventLog(tmp_path)
        pending = await log.run(log.pending)
        assert [(due.event, due.subscription, due.target) for due in pending] == [
            (1, "a", {"host": "f.default"}),
            (1, "b", {"host": "f.default"}),
        ]
        stored = await log.run(lambda db: log.event(db, 1))
        assert (stored.data, stored.attributes["id"], stored.root) == (b"x", "1", 1)
        log.close()

    asyncio.run(first())
    asyncio.run(second())


def test_settled_is_not_pending(log):
    async def scenario() -> None:
        _, dues = await arrive(log, arrival(subscriptions=("a", "b")))
        await log.run(
            lambda db: log.settle(db, dues[0], "done", code=200, error="", seconds=0.1, now=2.0),
        )
        await log.run(
            lambda db: log.settle(db, dues[1], "pending", code=503, error="full", seconds=0.1, again=9.0, now=2.0),
        )
        pending = await log.run(log.pending)
        assert [(due.subscription, due.attempts, due.due) for due in pending] == [("b", 1, 9.0)]

    asyncio.run(scenario())


@pytest.mark.parametrize(("size", "beside"), [(INLINE_BYTES, False), (INLINE_BYTES + 1, True)])
def test_large_data_is_kept_beside_the_log(log, size, beside):
    async def scenario() -> None:
        await arrive(log, arrival(data=b"x" * size))
        stored = await log.run(lambda db: log.event(db, 1))
        assert stored.size == size
        assert (stored.digest is not None) is beside
        if beside:
            assert log.file(stored.digest).read_bytes() == b"x" * size
            assert stored.data is None

    asyncio.run(scenario())


def test_one_failure_spares_what_was_asked_for_beside_it(log):
    async def scenario() -> None:
        def broken(db: sqlite3.Connection) -> None:
            log.arrive(db, arrival("half"), None, 1.0)
            raise RuntimeError("in the middle")

        asked = [arrive(log, arrival("1")), log.run(broken), arrive(log, arrival("2"))]
        _, failed, _ = await asyncio.gather(*asked, return_exceptions=True)
        assert isinstance(failed, RuntimeError)
        kept = await log.run(lambda db: db.execute("select ce_id from events").fetchall())
        assert kept == [("1",), ("2",)]

    asyncio.run(scenario())


def test_a_second_engine_does_not_share_it(tmp_path):
    log = EventLog(tmp_path)
    with pytest.raises(BlockingIOError, match="in use"):
        EventLog(tmp_path)
    log.close()
    EventLog(tmp_path).close()


def test_the_oldest_settled_are_forgotten_with_their_data(log):
    async def scenario() -> None:
        for number in range(6):
            _, dues = await arrive(log, arrival(str(number), data=bytes([number]) * (INLINE_BYTES + 1)))
            if number != 1:
                await log.run(lambda db, due=dues[0]: log.settle(db, due, "done", code=200, error="", seconds=0, now=2))
        assert await log.run(lambda db: log.prune(db, kept=2)) == 3
        kept = await log.run(lambda db: db.execute("select ce_id from events order by seq").fetchall())
        assert kept == [("1",), ("4",), ("5",)]  # what is pending stays
        assert len(list((log.file("x").parent).iterdir())) == 3

    asyncio.run(scenario())


def test_data_beside_the_log_is_bounded(log):
    async def scenario() -> None:
        for number in range(4):
            _, dues = await arrive(log, arrival(str(number), data=bytes([number]) * 100_000))
            await log.run(lambda db, due=dues[0]: log.settle(db, due, "done", code=200, error="", seconds=0, now=2))
        await log.run(lambda db: log.prune(db, kept_bytes=150_000))
        kept = await log.run(lambda db: db.execute("select ce_id from events order by seq").fetchall())
        assert kept == [("2",), ("3",)]

    asyncio.run(scenario())


def test_a_killed_process_loses_nothing_that_it_answered_for(tmp_path):
    script = """
import asyncio, os, signal, sys
from pathlib import Path
from knative.local.eventing.event_log import Arrival, EventLog
async def main():
    log = EventLog(Path(sys.argv[1]))
    for number in range(50):
        attributes = {"specversion": "1.0", "id": str(number), "source": "/s", "type": "t"}
        one = Arrival("n", attributes, b"x" * 100_000, 255, (("a", "subscriber", {}, {}),))
        await log.run(lambda db: log.arrive(db, one, None, 1.0))
        print(number, flush=True)
        if number == 20:
            os.kill(os.getpid(), signal.SIGKILL)
asyncio.run(main())
"""
    command = [sys.executable, "-c", script, str(tmp_path)]
    ended = subprocess.run(command, capture_output=True, cwd=ROOT, env=clean_environment())
    answered = ended.stdout.split()
    assert ended.returncode == -9
    assert len(answered) == 21

    async def scenario() -> None:
        log = EventLog(Path(tmp_path))
        pending = await log.run(log.pending)
        assert [due.event for due in pending] == list(range(1, 22))
        stored = await log.run(lambda db: log.event(db, 21))
        assert log.file(stored.digest).stat().st_size == 100_000
        log.close()

    asyncio.run(scenario())
