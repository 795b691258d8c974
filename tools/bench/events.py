"""Events: our codec against the CloudEvents SDK, and the local broker's ingress and fan-out."""

from __future__ import annotations

import asyncio
import tempfile
import time
import warnings
from pathlib import Path

import yaml

from functions.kit.cloudevents import binding
from functions.kit.cloudevents.binding import Event
from knative.local.check.admission import load
from knative.local.eventing import event_history
from knative.local.eventing.answers import Answer
from knative.local.eventing.broker import Broker
from knative.local.eventing.event_log import EventLog
from tests.engines import service
from tools.bench.harness import Bench
from tools.figures import LEAST_PAIRS

IMAGE = bytes(range(256)) * 400
EVENT = Event(
    {
        "specversion": "1.0",
        "id": "a89b61a2-5644-487a-8a86-144855c5dce8",
        "source": "//camera.example/1",
        "type": "dev.pixelamp.image.uploaded",
        "subject": "photo.jpg",
        "time": "2026-02-03T10:00:00Z",
        "datacontenttype": "image/jpeg",
    },
    IMAGE,
)
COUNT = 500
ROUNDS = LEAST_PAIRS
SMOKE = {"COUNT": 5, "ROUNDS": 1}
BROKER = {"apiVersion": "eventing.knative.dev/v1", "kind": "Broker", "metadata": {"name": "b"}}


def trigger(name: str) -> dict[str, object]:
    """A Trigger that takes every event."""
    subscriber = {"ref": {"apiVersion": "serving.knative.dev/v1", "kind": "Service", "name": name}}
    spec = {"broker": "b", "subscriber": subscriber}
    return {"apiVersion": "eventing.knative.dev/v1", "kind": "Trigger", "metadata": {"name": name}, "spec": spec}


def codec(bench: Bench) -> None:
    """Decoding and encoding, interleaved with the SDK's."""
    from cloudevents.http import CloudEvent, from_http, to_binary, to_structured

    headers, body = binding.encode(EVENT)
    sdk_event = CloudEvent(dict(EVENT.attributes), IMAGE)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        structured_headers, structured = to_structured(sdk_event)

    def as_is(data: bytes) -> bytes:
        return data

    def repeat(work: object, times: int) -> object:
        def run() -> None:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", DeprecationWarning)
                for _ in range(times):
                    work()  # type: ignore[operator]

        return run

    bench.paired(
        "decode binary, 100 kB image, against the SDK",
        repeat(lambda: binding.decode(headers, body), 500),
        repeat(lambda: from_http(headers, body, data_unmarshaller=as_is), 500),
        1.0,
    )
    bench.paired(
        "decode structured, 100 kB image in base64, against the SDK",
        repeat(lambda: binding.decode(structured_headers, structured), 50),
        repeat(lambda: from_http(structured_headers, structured, data_unmarshaller=as_is), 50),
        1.0,
    )
    bench.paired(
        "encode binary, against the SDK",
        repeat(lambda: binding.encode(EVENT), 500),
        repeat(lambda: to_binary(sdk_event), 500),
    )


async def broker(folder: Path, image: bytes) -> tuple[float, float]:
    """Events a second through a broker whose two subscribers answer at once: accepted, and settled."""
    path = folder / "objects.yaml"
    path.write_text(yaml.safe_dump_all([service("f"), service("g"), BROKER, trigger("f"), trigger("g")]))

    async def send(*_: object) -> Answer:
        return Answer(202)

    log = EventLog(folder / "log")
    running = Broker(log, send, origin="http://127.0.0.1:1", clock=time.time)
    running.apply(load([path]).resources)
    sent = [Event({**EVENT.attributes, "id": str(number)}, image + str(number).encode()) for number in range(COUNT)]
    begun = time.perf_counter()
    await asyncio.gather(*(running.accept("broker/default/b", event) for event in sent))
    accepted = time.perf_counter() - begun
    while (await log.run(event_history.totals))["pending"]:
        await asyncio.sleep(0.005)
    settled = time.perf_counter() - begun
    await running.stop()
    return COUNT / accepted, COUNT / settled


def run(bench: Bench) -> None:
    """The codec, then the broker with data in its log and beside it."""
    codec(bench)
    for label, image, bounds in (("10 kB", IMAGE[:10_240], (500, 200)), ("100 kB, beside the log", IMAGE, (50, 40))):
        rounds = []
        for _ in range(ROUNDS):
            with tempfile.TemporaryDirectory(prefix="pixelamp-bench-") as folder:
                rounds.append(asyncio.run(broker(Path(folder), image)))
        accepted, settled = zip(*rounds, strict=True)
        bench.figure(f"events of {label}, accepted and on the disk", accepted, bounds[0], "/s", at_most=False)
        bench.figure(f"events of {label}, answered by both subscribers", settled, bounds[1], "/s", at_most=False)
