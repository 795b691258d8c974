"""Replay of dead letters, the graph with its counts, Retry-After, and the loss of a damaged log."""

from __future__ import annotations

import sqlite3
import time
from email.utils import formatdate
from pathlib import Path
from typing import Any

import pytest

from knative.local.eventing import event_history
from knative.local.eventing.answers import Answer
from knative.local.eventing.damage import loss
from knative.local.eventing.delivery import Policy, retry_after
from knative.local.eventing.event_log import Arrival, EventLog
from tests.knative.local.eventing.test_broker import (  # noqa: F401 - run is a fixture
    NODE,
    SINK,
    World,
    broker_object,
    incoming,
    run,
    typed,
)


def test_a_dead_letter_is_delivered_again_once_its_cause_is_mended(run: Any) -> None:  # noqa: F811
    broken = True

    def f(_event: object) -> Answer:
        return Answer(500 if broken else 202)

    async def play(world: World) -> None:
        nonlocal broken
        seq = await world.broker.accept(NODE, incoming())
        assert (await world.settle())["dead"] == 1
        assert await world.broker.replay(seq + 1) is None
        broken = False
        (again,) = await world.broker.replay(seq) or []
        totals = await world.settle()
        assert (totals["dead"], totals["dropped"]) == (1, 0)
        chain = await world.log.run(lambda db: event_history.chain(db, seq))
        states = {one["delivery"]: (one["kind"], one["state"]) for one in chain[0]["deliveries"]}
        assert states[again] == ("subscriber", "done")
        assert await world.broker.replay(seq, again) == []

    world = run(play, broker_object(retry=0, **SINK), typed("one", "f", "up"), f=f)
    assert [event.id for event in world.to("f")] == ["1", "1"]
    assert len(world.to("sink")) == 1


def test_what_was_dropped_is_replayed_too_and_fails_again(run: Any) -> None:  # noqa: F811
    async def play(world: World) -> None:
        seq = await world.broker.accept(NODE, incoming())
        assert (await world.settle())["dropped"] == 1
        assert len(await world.broker.replay(seq) or []) == 1
        assert (await world.settle())["dropped"] == 2
        assert len(await world.broker.replay(seq) or []) == 2

    run(play, broker_object(retry=0), typed("one", "f", "up"), f=lambda _event: Answer(400))


def test_the_graph_has_every_node_and_subscription_with_its_counts(run: Any) -> None:  # noqa: F811
    async def play(world: World) -> None:
        for key in ("1", "2", "3"):
            await world.broker.accept(NODE, incoming(key, type="up" if key != "3" else "other"))
        await world.settle()
        topology = world.broker.ingress.topology
        graph = await world.log.run(lambda db: event_history.graph(db, topology))
        assert graph["nodes"] == [{"node": NODE, "events": 3}]
        one, two = sorted(graph["subscriptions"], key=lambda found: found["name"])
        assert (one["from"], one["to"]) == (NODE, "http://f.default.svc.cluster.local/")
        assert one["deliveries"] == {"subscriber": {"done": 2}}
        assert two["deliveries"] == {"subscriber": {"dead": 1}, "dead-letter": {"done": 1}}
        assert two["deadLetters"] == "http://sink.default.svc.cluster.local/dead"

    objects = [broker_object(retry=0, **SINK), typed("one", "f", "up"), typed("two", "g", "other")]
    run(play, *objects, g=lambda _event: Answer(400))


@pytest.mark.parametrize(
    ("status", "text", "seconds"),
    [
        (429, "7", 7.0),
        (503, " 7 ", 7.0),
        (500, "7", 0.0),
        (503, "soon", 0.0),
        (503, "-7", 0.0),
        (503, "9" * 5000, 999_999_999.0),
        (503, formatdate(1000 + 30, usegmt=True), 30.0),
        (503, formatdate(1000 - 30, usegmt=True), 0.0),
        (503, "Mon, 99 Foo 0000", 0.0),
    ],
)
def test_retry_after_is_read_of_429_and_503(status: int, text: str, seconds: float) -> None:
    assert retry_after(status, {"Retry-After": text}, now=1000.0) == seconds


def test_retry_after_counts_up_to_its_maximum_and_never_shortens_a_wait() -> None:
    spec = {"retry": 3, "backoffPolicy": "linear", "backoffDelay": "PT2S"}
    assert Policy.of(spec).wait(2, 60.0) == 2.0, "without retryAfterMax Knative ignores the header"
    assert Policy.of({**spec, "retryAfterMax": "PT0S"}).wait(2, 60.0) == 2.0
    assert Policy.of({**spec, "retryAfterMax": "PT30S"}).wait(2, 60.0) == 30.0
    assert Policy.of({**spec, "retryAfterMax": "PT30S"}).wait(2, 1.0) == 2.0
    assert Policy.of({**spec, "retryAfterMax": "PT30S"}).wait(4, 60.0) is None


def test_a_subscriber_that_asks_for_time_gets_it(run: Any) -> None:  # noqa: F811
    times: list[float] = []

    def f(_event: object) -> Answer:
        times.append(time.monotonic())
        return Answer(503, (("Retry-After", "1"),)) if len(times) == 1 else Answer(202)

    async def play(world: World) -> None:
        world.broker.ingress.topology.nodes[NODE][0].policy.__dict__["retry_after_max"] = 0.3
        await world.broker.accept(NODE, incoming())
        await world.settle()

    run(play, broker_object(), typed("one", "f", "up"), f=f)
    assert times[1] - times[0] >= 0.29


def written(folder: Path, events: int) -> Path:
    log = EventLog(folder)
    for number in range(events):
        attributes = {"id": str(number), "source": "/test", "type": "t", "specversion": "1.0"}
        deliveries = (("Trigger default/t", "subscriber", {"host": "hello.default"}, {}),)
        log.arrive(log._db, Arrival(NODE, attributes, b"x" * 500, 255, deliveries), None, 1.0)
    log.close()
    return folder / "events.sqlite"


def test_the_events_lost_of_a_damaged_log_are_counted(tmp_path: Path) -> None:
    file = written(tmp_path, 120)
    assert loss(tmp_path) == "0 of its 120 events are lost"
    with sqlite3.connect(file) as db:
        db.execute("update events set attributes = '[]' where seq in (3, 4)")
        db.execute("update deliveries set target = '{' where event = 9")
    db.close()
    assert loss(tmp_path) == "3 of its 120 events are lost"


def test_a_page_of_the_table_that_is_overwritten_costs_its_events_alone(tmp_path: Path) -> None:
    file = written(tmp_path, 120)
    data = bytearray(file.read_bytes())
    size = int.from_bytes(data[16:18], "big")
    # A leaf page of a table (13) that holds events: by their data.
    number = next(at for at in range(size, len(data), size) if data[at] == 13 and data.count(b"x" * 500, at, at + size))
    data[number : number + size] = b"\xff" * size
    file.write_bytes(data)
    lost = int(loss(tmp_path).split(" ")[0])
    assert loss(tmp_path).endswith("of its 120 events are lost")
    assert 1 <= lost <= 20


def test_a_file_that_is_not_a_database_counts_as_a_total_loss(tmp_path: Path) -> None:
    file = written(tmp_path, 3)
    file.write_bytes(b"\x00" * 4096 * 4)
    assert loss(tmp_path).startswith("all its events are lost: ")
