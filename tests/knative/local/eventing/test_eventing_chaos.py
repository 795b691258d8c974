"""A thousand events while pods are killed and the engine too: each is processed or a dead letter, none is lost."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import requests

from functions.kit.cloudevents import chain
from functions.kit.cloudevents.binding import Event
from knative.local.check.admission import load
from tests.engines import EngineProcess
from tests.images import encoded, gradient
from tests.servers import ROOT, free_port

EVENTS = 1000
# One in fifty is no image: it must become a dead letter, and not be lost among the kills.
POISON_EVERY = 50
# One in twenty-five is larger than the log takes: its data stands beside it.
LARGE_EVERY = 25
KILLS = 16
SUBSCRIPTIONS = ("Trigger default/exif", "Trigger default/histogram")
SEED = 7


class Publisher:
    """Sends each event until it is accepted, as a publisher that means it does."""

    def __init__(self, url: str) -> None:
        self.url = f"{url}/_knative/broker/default/images"
        self.small = encoded(gradient("RGB", (40, 30)), "JPEG")
        self.large = encoded(gradient("RGB", (200, 200)), "PNG", compress_level=0)
        self.attempts: Counter[str] = Counter()

    def send(self, number: int) -> None:
        headers = {
            "ce-specversion": "1.0",
            "ce-id": str(number),
            "ce-source": "/chaos",
            "ce-type": "dev.pixelamp.image.uploaded",
            "Content-Type": "image/jpeg",
        }
        data = b"poison" if number % POISON_EVERY == 0 else self.large if number % LARGE_EVERY == 1 else self.small
        while True:
            self.attempts[str(number)] += 1
            with contextlib.suppress(requests.RequestException):
                if requests.post(self.url, headers=headers, data=data, timeout=30).status_code == 202:
                    return
            time.sleep(0.1)


def serve(folder: Path, port: int) -> EngineProcess:
    objects = [dict(one.data) for one in load([ROOT / "knative", ROOT / "knative" / "eventing"]).resources]
    folder.mkdir(exist_ok=True)
    # The later --port counts. The same one after the crash: events hold references to it.
    arguments = ("--port", str(port), "--state", str(folder / "state"), "--initial-scale", "0", "--max-scale", "3")
    return EngineProcess(folder, *objects, arguments=arguments)


def kill_pods(engine: EngineProcess, chance: random.Random, stop: threading.Event, killed: list[str]) -> None:
    """Kill a ready pod of the two functions several times a second."""
    while not stop.wait(chance.uniform(0.1, 0.4)):
        with contextlib.suppress(OSError, ValueError):
            pods = [pod for name in ("exif", "histogram") for pod in engine.pods(name=name)]
            if pods:
                pod = chance.choice(pods)
                os.kill(pod["pid"], signal.SIGKILL)
                killed.append(pod["name"])


def totals(engine: EngineProcess) -> dict[str, int]:
    """Deliveries by state."""
    return requests.get(f"{engine.url}/_knative/events?limit=1", timeout=60).json()["totals"]


def listed(url: str) -> list[dict[str, Any]]:
    """All events of the log."""
    found: list[dict[str, Any]] = []
    before = ""
    while True:
        page = requests.get(f"{url}/_knative/events?limit=1000{before}", timeout=60).json()["events"]
        if not page:
            return found
        found += page
        before = f"&before={page[-1]['event']}"


@pytest.mark.slow
@pytest.mark.timeout(420)
def test_none_is_lost_and_duplicates_are_redeliveries(tmp_path):
    chance = random.Random(SEED)
    port = free_port()
    engine = serve(tmp_path, port)
    publisher = Publisher(engine.url)
    killed: list[str] = []
    stop = threading.Event()
    killer = threading.Thread(target=kill_pods, args=(engine, chance, stop, killed))
    with ThreadPoolExecutor(8) as pool:
        killer.start()
        first = [pool.submit(publisher.send, number) for number in range(EVENTS // 2)]
        for sent in first[: EVENTS // 4]:
            sent.result()
        # In the middle of everything: the engine itself, and all of its pods with it. What is accepted and not yet
        # delivered is most of what was sent: the functions are slower than the publisher.
        stop.set()
        killer.join()
        assert totals(engine)["pending"], "nothing was under way: the crash shows nothing"
        engine.process.kill()
        engine.process.wait()
        engine.stop()
        stop.clear()
        engine = serve(tmp_path, port)
        killer = threading.Thread(target=kill_pods, args=(engine, chance, stop, killed))
        killer.start()
        for sent in [*first, *(pool.submit(publisher.send, number) for number in range(EVENTS // 2, EVENTS))]:
            sent.result()

    def settled() -> bool:
        return not totals(engine)["pending"]

    # What is still under way when the last event is accepted meets more kills, and then calm.
    engine.wait(lambda: len(killed) >= KILLS or settled(), "kills", seconds=120)
    stop.set()
    killer.join()
    engine.wait(settled, "end of all deliveries", seconds=300)
    events = listed(engine.url)
    engine.stop()
    _check(events, publisher)
    assert len(killed) >= KILLS // 2, "too little was killed: this shows nothing"


def _check(events: list[dict[str, Any]], publisher: Publisher) -> None:
    published = [one for one in events if one["node"] == "broker/default/images" and one["source"] == "/chaos"]
    assert {one["id"] for one in published} == {str(number) for number in range(EVENTS)}
    # An event twice in the log was sent twice: its publisher never heard that it had been accepted.
    for key, count in Counter(one["id"] for one in published).items():
        assert count <= publisher.attempts[key]
    by_answered: dict[int, list[dict[str, Any]]] = {}
    for one in events:
        by_answered.setdefault(one["answers"], []).append(one)
    for one in published:
        states = {
            delivery["subscription"]: delivery["state"]
            for delivery in one["deliveries"]
            if delivery["kind"] == "subscriber"
        }
        poison = int(one["id"]) % POISON_EVERY == 0
        for subscription in SUBSCRIPTIONS:
            assert states[subscription] == ("dead" if poison else "done"), (one["id"], one["deliveries"])
            replies = [reply for reply in by_answered.get(one["event"], []) if reply["via"] == subscription]
            assert len(replies) == (0 if poison else 1)
            for reply in replies:
                function = subscription.rpartition("/")[2]
                original = Event({"source": one["source"], "id": one["id"]})
                assert reply["id"] == chain.reply_id(original, function)
        letters = [delivery for delivery in one["deliveries"] if delivery["kind"] == "dead-letter"]
        assert [letter["state"] for letter in letters] == ["done"] * (2 if poison else 0)
    # The Sequence: every image came out at its end, with both results, once for each time it went in.
    ended = [one for one in events if one["node"].endswith("/results")]
    assert len(ended) == sum(int(one["id"]) % POISON_EVERY != 0 for one in published)
    assert {one["attributes"]["correlationid"] for one in ended} == {
        one["id"] for one in published if int(one["id"]) % POISON_EVERY
    }
