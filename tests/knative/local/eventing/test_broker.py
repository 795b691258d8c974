"""The broker's promises: at least once, retries by Knative's codes, dead letters that tell why, no loop without end."""

from __future__ import annotations

import asyncio
import base64
import sqlite3
import time
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path

import pytest
import yaml

from functions.kit.cloudevents import binding
from functions.kit.cloudevents.binding import Event
from functions.kit.http.problems import Problem
from knative.local.check.admission import load
from knative.local.eventing import event_history
from knative.local.eventing.answers import Answer
from knative.local.eventing.broker import Broker
from knative.local.eventing.event_log import INLINE_BYTES, EventLog
from knative.local.eventing.sources import Pinger
from knative.local.eventing.topology.graph import Destination
from tests.engines import service
from tests.knative.local.eventing.test_topology import flow, ref, trigger

NODE = "broker/default/b"
ORIGIN = "http://127.0.0.1:1"
QUICK = {"retry": 3, "backoffPolicy": "exponential", "backoffDelay": "PT0.001S"}
SINK = {"deadLetterSink": {**ref("Service", "sink"), "uri": "/dead"}}
Handler = Callable[[Event], Answer | Awaitable[Answer]]


def broker_object(**delivery: object) -> dict:
    return {
        "apiVersion": "eventing.knative.dev/v1",
        "kind": "Broker",
        "metadata": {"name": "b"},
        "spec": {"delivery": {**QUICK, **delivery}},
    }


def incoming(key: str = "1", data: bytes | None = b"x", **attributes: str) -> Event:
    return Event(
        {"specversion": "1.0", "id": key, "source": "/camera", "type": "up", "datacontenttype": "a/b", **attributes},
        data,
    )


def replying(kind: str, data: bytes = b"{}", **attributes: str) -> Answer:
    named = {"specversion": "1.0", "id": f"reply-{kind}", "source": "/f", "type": kind, **attributes}
    headers, body = binding.encode(Event({**named, "datacontenttype": "application/json"}, data))
    return Answer(200, tuple(headers.items()), body)


class World:
    """A broker over a log in a folder, with functions that are Python."""

    def __init__(self, folder: Path, *objects: dict, **functions: Handler) -> None:
        self.folder = folder
        self.functions = functions
        self.sent: list[tuple[str, Event]] = []
        self.headers: list[Mapping[str, str]] = []
        path = folder / "objects.yaml"
        path.write_text(yaml.safe_dump_all([service(name) for name in ("f", "g", "sink")] + list(objects)))
        self.resources = load([path]).resources
        self.open()

    def open(self) -> None:
        self.log = EventLog(self.folder / "log")
        self.broker = Broker(self.log, self._send, origin=ORIGIN, clock=time.time)
        self.broker.apply(self.resources)

    async def _send(self, to: Destination, headers: Mapping[str, str], body: bytes) -> Answer:
        event = binding.decode(headers, body)
        assert event is not None
        name = to.host.partition(".")[0] or to.url
        self.sent.append((name, event))
        self.headers.append(headers)
        answer = self.functions[name](event) if name in self.functions else Answer(202)
        return answer if isinstance(answer, Answer) else await answer

    async def settle(self) -> dict[str, int]:
        """Wait until nothing is pending."""
        while True:
            totals = await self.log.run(event_history.totals)
            if not totals["pending"]:
                return totals
            await asyncio.sleep(0.002)

    def to(self, name: str) -> list[Event]:
        return [event for reached, event in self.sent if reached == name]


@pytest.fixture
def run(tmp_path):
    def scenario(play: Callable[[World], Awaitable[None]], *objects: dict, **functions: Handler) -> World:
        async def whole() -> World:
            world = World(tmp_path, *objects, **functions)
            await play(world)
            await world.broker.stop()
            return world

        return asyncio.run(asyncio.wait_for(whole(), 30))

    return scenario


def one_event(event: Event | None = None) -> Callable[[World], Awaitable[None]]:
    async def play(world: World) -> None:
        await world.broker.accept(NODE, event or incoming())
        await world.settle()

    return play


def typed(name: str, subscriber: str, kind: str, **spec: object) -> dict:
    return trigger(name, ref("Service", subscriber), filter={"attributes": {"type": kind}}, **spec)


def test_a_reply_comes_in_again_and_other_triggers_take_it(run):
    objects = [broker_object(), typed("one", "f", "up"), typed("two", "g", "counted")]
    world = run(one_event(incoming(knativebrokerttl="9")), *objects, f=lambda event: replying("counted"))
    assert [(name, event.type) for name, event in world.sent] == [("f", "up"), ("g", "counted")]
    assert all("knativebrokerttl" not in event.attributes for _, event in world.sent)
    assert all(headers["prefer"] == "reply" for headers in world.headers)


def test_what_no_trigger_takes_is_kept_and_goes_nowhere(run):
    async def play(world: World) -> None:
        await world.broker.accept(NODE, incoming(type="other"))
        assert await world.settle() == {"events": 1, "pending": 0, "done": 0, "dead": 0, "dropped": 0}

    assert run(play, broker_object(), typed("one", "f", "up")).sent == []


@pytest.mark.parametrize("status", [None, 404, 408, 409, 429, 500, 503])
def test_overload_is_tried_again_until_it_passes(run, status):
    answers = iter([Answer(status), Answer(status), Answer(202)])
    world = run(one_event(), broker_object(**SINK), typed("one", "f", "up"), f=lambda event: next(answers))
    assert [event.id for event in world.to("f")] == ["1", "1", "1"]
    assert world.to("sink") == []
    assert world.broker.activity.counts["retried"] == 2


@pytest.mark.parametrize("status", [400, 413, 415, 422, 302])
def test_poison_is_a_dead_letter_at_once_and_tells_why(run, status):
    said = b'{"detail":"no image"}'
    world = run(
        one_event(incoming(subject="a.jpg")),
        broker_object(**SINK),
        typed("one", "f", "up"),
        f=lambda event: Answer(status, body=said),
    )
    assert len(world.to("f")) == 1
    (letter,) = world.to("sink")
    assert (letter.id, letter.data, letter.get("subject")) == ("1", b"x", "a.jpg")
    assert letter.get("knativeerrorcode") == str(status)
    assert letter.get("knativeerrordest") == "http://f.default.svc.cluster.local/"
    assert base64.b64decode(letter.get("knativeerrordata")) == said
    assert "prefer" not in world.headers[-1]


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        (Answer(503, body=b"full"), "503"),
        (Answer(None, body=b"no pod"), "500"),
        (Answer(200, body=b"OK"), "502"),
        (Answer(200, (("ce-id", "1"),), b""), "502"),
    ],
)
def test_after_the_last_try_it_is_a_dead_letter(run, answer, code):
    world = run(one_event(), broker_object(**SINK), typed("one", "f", "up"), f=lambda event: answer)
    assert len(world.to("f")) == 4
    (letter,) = world.to("sink")
    assert letter.get("knativeerrorcode") == code


def test_without_a_sink_failed_events_are_dropped_and_reported(run):
    async def play(world: World) -> None:
        await world.broker.accept(NODE, incoming())
        assert (await world.settle())["dropped"] == 1
        (told,) = await world.log.run(lambda db: event_history.recent(db, limit=9, before=None, wanted={}))
        assert told["deliveries"][0]["error"] == "bad"

    run(play, broker_object(), typed("one", "f", "up"), f=lambda event: Answer(400, body=b"bad"))


def test_a_sink_that_fails_is_tried_again_and_does_not_go_in_a_circle(run):
    world = run(
        one_event(),
        broker_object(**SINK),
        typed("one", "f", "up"),
        f=lambda event: Answer(400),
        sink=lambda event: Answer(500),
    )
    assert len(world.to("sink")) == 4
    assert world.broker.activity.counts["dropped"] == 1


@pytest.mark.parametrize("said", [Answer(200, body=b"OK"), Answer(200, body=b'{"kept":1}'), Answer(202)])
def test_a_sink_may_answer_what_it_likes(run, said):
    """Only a Trigger's subscriber is held to events: Knative's dispatcher passes a sink's words over."""
    world = run(
        one_event(),
        broker_object(**SINK),
        typed("one", "f", "up"),
        f=lambda event: Answer(422),
        sink=lambda event: said,
    )
    assert len(world.to("sink")) == 1
    assert (world.broker.activity.counts["dropped"], world.broker.activity.counts["delivered"]) == (0, 1)


@pytest.mark.parametrize("reply", [ref("Service", "sink"), None])
def test_an_answer_that_is_not_an_event_ends_a_sequence_without_a_failure(run, reply):
    world = run(
        one_event(),
        broker_object(),
        trigger("in", ref("Sequence", "s", "flows.knative.dev/v1")),
        flow("Sequence", "s", steps=[{**ref("Service", "f"), "delivery": {**QUICK, **SINK}}], reply=reply),
        f=lambda event: Answer(200, body=b"OK"),
    )
    assert [name for name, _ in world.sent] == ["f"]
    assert world.broker.activity.counts["delivered"] == 1


def test_where_replies_go_may_answer_what_it_likes(run):
    world = run(
        one_event(),
        broker_object(),
        trigger("in", ref("Sequence", "s", "flows.knative.dev/v1")),
        flow("Sequence", "s", steps=[ref("Service", "f")], reply=ref("Service", "g")),
        f=lambda event: replying("counted"),
        g=lambda event: Answer(200, body=b"thanks"),
    )
    assert [name for name, _ in world.sent] == ["f", "g"]
    assert world.broker.activity.counts["delivered"] == 2


def test_a_malformed_event_of_a_step_is_refused_by_the_next_as_a_channel_refuses_it(run):
    steps = [{**ref("Service", "f"), "delivery": {**QUICK, **SINK}}, ref("Service", "g")]
    world = run(
        one_event(),
        broker_object(),
        trigger("in", ref("Sequence", "s", "flows.knative.dev/v1")),
        flow("Sequence", "s", steps=steps),
        f=lambda event: Answer(200, (("content-type", "application/cloudevents+json"),), b"{"),
    )
    assert [name for name, _ in world.sent] == ["f", "sink"]
    assert world.to("sink")[0].get("knativeerrorcode") == "400"


def test_of_a_reply_that_cannot_be_delivered_the_event_is_the_dead_letter(run):
    large = b"x" * (INLINE_BYTES + 1)
    steps = [{**ref("Service", "f"), "delivery": {**QUICK, **SINK}}]
    world = run(
        one_event(incoming(subject="a.jpg", data=large)),
        broker_object(),
        trigger("in", ref("Sequence", "s", "flows.knative.dev/v1")),
        flow("Sequence", "s", steps=steps, reply=ref("Service", "g")),
        f=lambda event: replying("counted"),
        g=lambda event: Answer(422, body=b"no room"),
    )
    assert [event.type for event in world.to("g")] == ["counted"]
    (letter,) = world.to("sink")
    assert (letter.id, letter.type, letter.get("subject")) == ("1", "up", "a.jpg")
    assert world.log.file(letter.get("dataref").rpartition("/")[2]).read_bytes() == large
    assert letter.get("knativeerrorcode") == "422"
    assert letter.get("knativeerrordest") == "http://g.default.svc.cluster.local/"
    assert base64.b64decode(letter.get("knativeerrordata")) == b"no room"


def test_the_event_of_a_failed_reply_enters_a_broker_that_is_the_sink(run):
    back = {"deadLetterSink": ref("Broker", "b", "eventing.knative.dev/v1")}
    world = run(
        one_event(),
        broker_object(),
        typed("dead", "sink", "up", filters=[{"prefix": {"knativeerrorcode": "4"}}]),
        trigger(
            "in", ref("Sequence", "s", "flows.knative.dev/v1"), filters=[{"not": {"prefix": {"knativeerrorcode": "4"}}}]
        ),
        flow(
            "Sequence", "s", steps=[{**ref("Service", "f"), "delivery": {**QUICK, **back}}], reply=ref("Service", "g")
        ),
        f=lambda event: replying("counted"),
        g=lambda event: Answer(422),
    )
    (letter,) = world.to("sink")
    assert (letter.id, letter.type, letter.get("knativeerrorcode"), letter.data) == ("1", "up", "422", b"x")


def test_a_circle_ends_when_the_ttl_is_spent(run):
    world = run(
        one_event(incoming(knativebrokerttl="5")),
        broker_object(**SINK),
        typed("circle", "f", "up"),
        f=lambda event: replying("up", knativebrokerttl="255"),
    )
    assert len(world.to("f")) == 4
    (letter,) = world.to("sink")
    assert letter.get("knativeerrorcode") == "400"
    assert b"spent" in base64.b64decode(letter.get("knativeerrordata"))


def test_a_circle_through_a_sequence_ends_too(run):
    back = ref("Broker", "b", "eventing.knative.dev/v1")
    world = run(
        one_event(incoming(knativebrokerttl="9")),
        broker_object(),
        trigger("in", ref("Sequence", "s", "flows.knative.dev/v1")),
        flow("Sequence", "s", steps=[ref("Service", "f")], reply=back),
        f=lambda event: replying("up"),
    )
    assert 1 < len(world.to("f")) < 9


@pytest.mark.parametrize("ttl", ["1", "0", "-3"])
def test_a_spent_ttl_is_refused_at_the_door(run, ttl):
    async def play(world: World) -> None:
        with pytest.raises(Problem, match="spent"):
            await world.broker.accept(NODE, incoming(knativebrokerttl=ttl))
        assert (await world.settle())["events"] == 0

    run(play, broker_object())


def test_an_unknown_broker_is_refused(run):
    async def play(world: World) -> None:
        with pytest.raises(LookupError):
            await world.broker.accept("broker/default/other", incoming())

    run(play, broker_object())


def test_what_was_under_way_goes_on_in_the_next_run(tmp_path):
    async def first() -> None:
        hang = asyncio.Event()

        async def never(event: Event) -> Answer:
            await hang.wait()
            return Answer(200)

        world = World(tmp_path, broker_object(), typed("one", "f", "up"), f=never)
        for number in range(20):
            await world.broker.accept(NODE, incoming(str(number)))
        while len(world.sent) < 20:
            await asyncio.sleep(0.002)
        await world.broker.stop()

    async def second() -> None:
        objects = [broker_object(), typed("one", "f", "up"), typed("two", "g", "counted")]
        world = World(tmp_path, *objects, f=lambda event: replying("counted"))
        assert await world.broker.start() == 20
        totals = await world.settle()
        assert (totals["done"], totals["dropped"]) == (40, 0)
        assert {event.id for event in world.to("f")} == {str(number) for number in range(20)}
        assert len(world.to("g")) == 20
        await world.broker.stop()

    asyncio.run(asyncio.wait_for(first(), 20))
    asyncio.run(asyncio.wait_for(second(), 20))


def test_deliveries_under_way_end_before_the_broker_does_and_none_begins(run):
    """A restart does not run a function again that had all but answered."""

    async def play(world: World) -> None:
        await world.broker.accept(NODE, incoming())
        while not world.sent:
            await asyncio.sleep(0.002)
        draining = asyncio.create_task(world.broker.drain(10))
        await asyncio.sleep(0)
        await world.broker.accept(NODE, incoming("late"))
        await draining
        totals = await world.log.run(event_history.totals)
        assert (totals["done"], totals["pending"]) == (1, 2), "done; its reply and the late event wait for the next run"

    async def slow(event: Event) -> Answer:
        await asyncio.sleep(0.1)
        return replying("counted")

    world = run(play, broker_object(), typed("one", "f", "up"), typed("two", "g", "counted"), f=slow)
    assert [(name, event.id) for name, event in world.sent] == [("f", "1")]


@pytest.mark.parametrize("status", [None, 503])
def test_what_fails_while_the_broker_ends_is_left_to_the_next_run(run, status):
    """The pod that refused was being stopped: without retries it would be a dead letter."""

    async def play(world: World) -> None:
        await world.broker.accept(NODE, incoming())
        while not world.sent:
            await asyncio.sleep(0.002)
        await world.broker.drain(10)
        assert (await world.log.run(event_history.totals))["pending"] == 1

    async def slow(event: Event) -> Answer:
        await asyncio.sleep(0.05)
        return Answer(status)

    run(play, broker_object(retry=0, **SINK), typed("one", "f", "up"), f=slow)


def test_the_log_is_pruned_as_it_grows_whatever_numbers_its_events_have(run, monkeypatch):
    """With one reply an event those that come from outside have odd numbers only."""
    monkeypatch.setattr("knative.local.eventing.event_log._MORE", 10)

    async def play(world: World) -> None:
        prune = world.log.prune
        world.log.prune = lambda db: prune(db, 20)
        for number in range(50):
            seq = await world.broker.accept(NODE, incoming(str(number)))
            assert seq % 2
            totals = await world.settle()
            assert totals["events"] <= 20 + 10 + 2

    run(play, broker_object(), typed("one", "f", "up"), f=lambda event: replying("counted"))


def test_replies_alone_let_the_log_be_pruned(run, monkeypatch):
    monkeypatch.setattr("knative.local.eventing.event_log._MORE", 10)

    async def play(world: World) -> None:
        pruned = told(world)
        await world.broker.accept(NODE, incoming())
        await world.settle()
        assert len(pruned) >= 2

    circle = typed("circle", "f", "up")
    run(play, broker_object(), circle, f=lambda event: replying("up", knativebrokerttl="30"))


def test_large_data_lets_the_log_be_pruned_long_before_many_events_have_come(run, monkeypatch):
    monkeypatch.setattr("knative.local.eventing.event_log._MORE_BYTES", 4 * INLINE_BYTES)

    async def play(world: World) -> None:
        pruned = told(world)
        for number in range(12):
            await world.broker.accept(NODE, incoming(str(number), data=bytes([number]) * (INLINE_BYTES + 1)))
        await world.broker.drain(10)
        assert 2 <= len(pruned) <= 3

    run(play, broker_object(), typed("one", "f", "other"))


def told(world: World) -> list[int]:
    """How many events each pruning of the world's log forgets, from now on."""
    forgotten: list[int] = []
    prune = world.log.prune

    def counted(db: sqlite3.Connection) -> int:
        forgotten.append(prune(db))
        return forgotten[-1]

    world.log.prune = counted
    return forgotten


def test_a_log_that_has_grown_is_pruned_at_the_start(run):
    async def play(world: World) -> None:
        pruned = told(world)
        await world.broker.start()
        await world.broker.drain(10)
        assert len(pruned) == 1

    run(play, broker_object())


def test_a_subscription_that_is_gone_drops_what_was_pending(tmp_path):
    async def first() -> None:
        world = World(tmp_path, broker_object(retry=9, backoffDelay="PT9S"), typed("one", "f", "up"))
        world.functions["f"] = lambda event: Answer(503)
        await world.broker.accept(NODE, incoming())
        while not world.broker.activity.counts["retried"]:
            await asyncio.sleep(0.002)
        await world.broker.stop()

    async def second() -> None:
        world = World(tmp_path, broker_object())
        # What is due in nine seconds is due now.
        await world.log.run(lambda db: db.execute("update deliveries set due = 0"))
        await world.broker.start()
        assert (await world.settle())["dropped"] == 1
        assert world.sent == []
        await world.broker.stop()

    asyncio.run(asyncio.wait_for(first(), 20))
    asyncio.run(asyncio.wait_for(second(), 20))


def test_large_data_goes_by_reference_to_pods_and_whole_to_others(run):
    data = b"x" * (INLINE_BYTES + 1)
    world = run(
        one_event(incoming(data=data)),
        broker_object(),
        typed("here", "f", "up"),
        trigger("away", {"uri": "http://away.example/in"}),
    )
    (here,), (away,) = world.to("f"), world.to("http://away.example/in")
    assert here.data == b""
    digest = here.get("dataref").removeprefix(f"{ORIGIN}/_knative/data/")
    assert world.log.file(digest).read_bytes() == data
    assert (away.data, away.get("dataref")) == (data, "")


def test_a_sequence_hands_each_reply_on(run):
    seen: list[str] = []

    def step(event: Event) -> Answer:
        seen.append(event.type)
        return replying(f"{event.type}+", subject=str(len(seen)))

    world = run(
        one_event(),
        broker_object(),
        trigger("in", ref("Sequence", "s", "flows.knative.dev/v1")),
        flow("Sequence", "s", steps=[ref("Service", "f"), ref("Service", "g")], reply=ref("Service", "sink")),
        f=step,
        g=step,
    )
    assert [(name, event.type) for name, event in world.sent] == [("f", "up"), ("g", "up+"), ("sink", "up++")]


def test_an_empty_answer_ends_a_sequence(run):
    world = run(
        one_event(),
        broker_object(),
        trigger("in", ref("Sequence", "s", "flows.knative.dev/v1")),
        flow("Sequence", "s", steps=[ref("Service", "f"), ref("Service", "g")]),
        f=lambda event: Answer(204),
    )
    assert [name for name, _ in world.sent] == ["f"]


def test_a_steps_failure_goes_to_the_steps_own_sink(run):
    steps = [{**ref("Service", "f"), "delivery": {**QUICK, **SINK}}, ref("Service", "g")]
    world = run(
        one_event(),
        broker_object(),
        trigger("in", ref("Sequence", "s", "flows.knative.dev/v1")),
        flow("Sequence", "s", steps=steps),
        f=lambda event: Answer(422),
    )
    assert [name for name, _ in world.sent] == ["f", "sink"]


@pytest.mark.parametrize(("chosen", "reached"), [(True, ["f", "g", "sink"]), (False, ["f"])])
def test_a_parallel_branch_runs_where_its_filter_answers(run, chosen, reached):
    branch = {"filter": ref("Service", "f"), "subscriber": ref("Service", "g"), "reply": ref("Service", "sink")}
    world = run(
        one_event(),
        broker_object(),
        trigger("in", ref("Parallel", "p", "flows.knative.dev/v1")),
        flow("Parallel", "p", branches=[branch]),
        f=lambda event: replying("up") if chosen else Answer(204),
        g=lambda event: replying("done"),
    )
    assert [name for name, _ in world.sent] == reached


def test_structured_mode_where_the_format_says_json(run):
    world = run(one_event(), broker_object(), typed("one", "f", "up", delivery={**QUICK, "format": "json"}))
    assert world.headers[0]["content-type"] == "application/cloudevents+json"
    assert world.to("f")[0].data == b"x"


def test_a_subscriber_that_never_answers_is_given_up_on(run):
    async def never(event: Event) -> Answer:
        await asyncio.sleep(60)
        return Answer(200)

    own = {"retry": 0, "timeout": "PT0.05S"}
    world = run(one_event(), broker_object(), typed("one", "f", "up", delivery=own), f=never)
    assert "no response within 0.05 s" in world.broker.activity.latest[-1]["error"]


def test_a_failing_log_is_reported_and_the_delivery_repeated(run, monkeypatch):
    monkeypatch.setattr("knative.local.eventing.broker._LOG_FAILED_WAIT", 0.01)
    failures = iter([True])

    async def play(world: World) -> None:
        settle = world.log.settle

        def full(*arguments: object, **named: object) -> None:
            if next(failures, False):
                raise OSError("disk full")
            settle(*arguments, **named)

        world.log.settle = full
        await world.broker.accept(NODE, incoming())
        await world.settle()

    world = run(play, broker_object(), typed("one", "f", "up"))
    assert world.broker.activity.counts["log-failed"] == 1
    assert len(world.to("f")) == 2


def test_followers_see_what_happens_in_order_and_what_happened_before(run):
    async def play(world: World) -> None:
        await world.broker.accept(NODE, incoming())
        await world.settle()
        seen = []
        async for happening in world.broker.activity.follow(0):
            seen.append(happening)
            if len(seen) == 2:
                await world.broker.accept(NODE, incoming("2"))
            if len(seen) == 4:
                break
        assert [(one["what"], one["id"]) for one in seen] == [
            ("accepted", "1"),
            ("delivered", "1"),
            ("accepted", "2"),
            ("delivered", "2"),
        ]
        again = [happening async for happening in _first(world.broker.activity.follow(seen[1]["n"]), 1)]
        assert again == [seen[2]]

    async def _first(source, count):
        async for item in source:
            yield item
            count -= 1
            if not count:
                return

    run(play, broker_object(), typed("one", "f", "up"))


def test_a_chain_is_found_from_any_of_its_events(run):
    async def play(world: World) -> None:
        await world.broker.accept(NODE, incoming())
        await world.broker.accept(NODE, incoming("2", type="unrelated"))
        await world.settle()
        chain = await world.log.run(lambda db: event_history.chain(db, 3))
        assert [(one["event"], one["type"], one["answers"], one["via"]) for one in chain] == [
            (1, "up", None, None),
            (3, "counted", 1, "Trigger default/one"),
        ]
        assert await world.log.run(lambda db: event_history.chain(db, 99)) == []
        wanted = {"type": "up", "state": "done"}
        found = await world.log.run(lambda db: event_history.recent(db, limit=5, before=3, wanted=wanted))
        assert [one["event"] for one in found] == [1]

    async def later(event: Event) -> Answer:
        await asyncio.sleep(0.05)
        return replying("counted")

    run(play, broker_object(), typed("one", "f", "up"), f=later)


def test_data_that_is_gone_is_a_failure_like_any_other(run):
    async def play(world: World) -> None:
        keep = world.log.keep

        def lose(kept: bytes) -> str:
            digest = keep(kept)
            world.log.file(digest).unlink()
            return digest

        world.log.keep = lose
        await world.broker.accept(NODE, incoming(data=b"x" * (INLINE_BYTES + 1)))
        await world.settle()

    world = run(play, broker_object(), trigger("away", {"uri": "http://away.example/in"}))
    assert world.sent == []
    assert world.broker.activity.counts["retried"] == 3
    assert "removed" in world.broker.activity.latest[-1]["error"]


def test_a_broker_stamps_the_time_of_arrival_and_passes_tracing_headers_through(run):
    async def play(world: World) -> None:
        sent = {"X-Request-Id": "r1", "X-B3-TraceId": "b3", "Knative-Extra": "k", "traceparent": "00-1-2-01"}
        await world.broker.accept(NODE, incoming(), {**sent, "Other": "o"})
        await world.settle()

    objects = [broker_object(), typed("one", "f", "up"), typed("two", "g", "counted")]
    world = run(play, *objects, f=lambda event: replying("counted"))
    ((_, event), (_, reply)) = world.sent
    first, second = world.headers
    assert datetime.fromisoformat(event.get("knativearrivaltime")).timestamp() == pytest.approx(time.time(), abs=60)
    assert event.get("knativearrivaltime").endswith("Z")
    assert reply.get("knativearrivaltime") >= event.get("knativearrivaltime")
    kept = {"x-request-id": "r1", "x-b3-traceid": "b3", "knative-extra": "k", "traceparent": "00-1-2-01"}
    assert kept.items() <= first.items()
    assert "other" not in first
    assert first["kn-namespace"] == second["kn-namespace"] == "default"
    assert "x-request-id" not in second  # a reply is a request of its own


def test_passed_headers_are_kept_with_the_event_and_survive_a_restart(tmp_path):
    async def whole() -> World:
        world = World(tmp_path, broker_object(), typed("one", "f", "up"), f=lambda event: Answer(None))
        await world.broker.accept(NODE, incoming(), {"X-Request-Id": "r1"})
        await world.broker.stop()
        world.functions["f"] = lambda event: Answer(202)
        world.open()
        await world.broker.start()
        await world.settle()
        await world.broker.stop()
        return world

    assert asyncio.run(asyncio.wait_for(whole(), 30)).headers[-1]["x-request-id"] == "r1"


def test_a_log_of_an_earlier_release_gains_the_column_of_headers(tmp_path):
    folder = tmp_path / "log"
    EventLog(folder).close()
    with sqlite3.connect(folder / "events.sqlite") as db:
        db.execute("alter table events drop column headers")
    EventLog(folder).close()
    with sqlite3.connect(folder / "events.sqlite") as db:
        assert "headers" in {row[1] for row in db.execute("pragma table_info(events)")}


def test_deliveries_are_counted_by_trigger_and_code_under_knatives_names(run):
    objects = [broker_object(), typed("one", "f", "up")]
    answers = iter([Answer(503), Answer(202)])
    world = run(one_event(), *objects, f=lambda event: next(answers))
    samples = {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for metric in world.broker.metrics.collect()
        for sample in metric.samples
    }
    for code in (503, 202):
        labels = {"broker_name": "b", "trigger_name": "one", "namespace_name": "default", "response_code": str(code)}
        labels |= {"response_code_class": f"{code // 100}xx"}
        assert samples["event_count", frozenset(labels.items())] == 1
        assert samples["event_dispatch_latencies_bucket", frozenset({**labels, "le": "+Inf"}.items())] == 1


CHANNEL = {"apiVersion": "messaging.knative.dev/v1", "kind": "InMemoryChannel", "metadata": {"name": "c"}, "spec": {}}


def subscription(name: str, **spec: object) -> dict:
    channel = {"apiVersion": "messaging.knative.dev/v1", "kind": "InMemoryChannel", "name": "c"}
    return {
        "apiVersion": "messaging.knative.dev/v1",
        "kind": "Subscription",
        "metadata": {"name": name},
        "spec": {"channel": channel, **spec},
    }


def test_a_channel_fans_out_replies_go_on_and_failures_to_the_dead_letters(run):
    async def play(world: World) -> None:
        await world.broker.accept("channel/default/c", incoming())
        await world.settle()

    objects = [
        broker_object(),
        CHANNEL,
        subscription("one", subscriber=ref("Service", "f"), reply=ref("Broker", "b", "eventing.knative.dev/v1")),
        subscription("two", subscriber=ref("Service", "g"), delivery={**QUICK, **SINK}),
        typed("three", "sink", "counted"),
    ]
    world = run(play, *objects, f=lambda event: replying("counted"), g=lambda event: Answer(500))
    assert [event.type for event in world.to("f")] == ["up"]
    assert len(world.to("g")) == 1 + QUICK["retry"]
    assert sorted(event.type for event in world.to("sink")) == ["counted", "up"]
    assert "knativearrivaltime" not in world.to("f")[0].attributes  # a channel stamps no event


def test_a_ping_source_sends_what_it_states_when_its_schedule_says(run):
    now = [datetime(2026, 11, 30, 14, 0, 59, 900_000, tzinfo=UTC).timestamp()]
    ping = {
        "apiVersion": "sources.knative.dev/v1",
        "kind": "PingSource",
        "metadata": {"name": "p"},
        "spec": {
            "schedule": "* * * * *",
            "contentType": "application/json",
            "data": '{"a": 1}',
            "sink": ref("Service", "f"),
            "ceOverrides": {"extensions": {"level": "3"}},
        },
    }

    async def play(world: World) -> None:
        begun = time.monotonic()
        pinger = Pinger(lambda: now[0] + time.monotonic() - begun)
        pinger.apply(world.broker)
        pinger.start()
        while not world.sent:
            await asyncio.sleep(0.01)
        pinger.stop()
        await world.settle()

    world = run(play, ping)
    event = world.to("f")[0]
    assert (event.type, event.source) == ("dev.knative.sources.ping", "/apis/v1/namespaces/default/pingsources/p")
    assert (event.data, event.media_type, event.get("level")) == (b'{"a": 1}', "application/json", "3")
    assert event.get("time").startswith("2026-11-30T14:01:0")
    assert len(world.sent) == 1
