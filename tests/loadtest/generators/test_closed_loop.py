"""Closed-loop clients and the observers, against small servers of their own."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web

from loadtest.generators.closed_loop import Clients
from loadtest.generators.wire import target
from loadtest.observe.pods import AnswerSource, EngineSource, Observer, Sample, main, write_samples

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@asynccontextmanager
async def serving(handler: Handler) -> AsyncIterator[str]:
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", handler)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


async def until(met: Callable[[], bool]) -> None:
    """Wait for a condition, as long as a busy machine may take."""
    async with asyncio.timeout(30):
        while not met():
            await asyncio.sleep(0.005)


def test_as_many_at_once_as_there_are_clients() -> None:
    inside = most = 0

    async def handler(request: web.Request) -> web.Response:
        nonlocal inside, most
        inside += 1
        most = max(most, inside)
        await asyncio.sleep(0.02)
        inside -= 1
        return web.Response(headers={"X-Pod-Name": "pod-1", "X-Revision": "r1", "X-Cold-Start": "1"})

    async def reach(clients: Clients, count: int) -> int:
        nonlocal most
        clients.set(count)
        await until(lambda: clients.running <= count)  # the others end with their answer
        most, sent = 0, len(clients.requests)
        await until(lambda: most >= count and len(clients.requests) >= sent + 3 * count)
        return most

    async def run() -> tuple[Clients, list[int]]:
        async with serving(handler) as url:
            clients = Clients(target(url))
            reached = [await reach(clients, count) for count in (7, 2, 4)]
            await clients.stop()
            return clients, reached

    clients, reached = asyncio.run(run())
    assert reached == [7, 2, 4]
    assert len({request.id for request in clients.requests}) == len(clients.requests) >= 39
    assert all(request.good and request.pod == "pod-1" and request.cold for request in clients.requests)
    assert all(request.latency >= 0.019 for request in clients.requests)


def test_a_burst_is_one_request_each_all_at_once() -> None:
    seen: list[str] = []
    everybody = asyncio.Event

    async def run() -> Clients:
        gate = everybody()

        async def handler(request: web.Request) -> web.Response:
            seen.append(request.headers["X-Request-ID"])
            if len(seen) == 20:
                gate.set()
            await gate.wait()  # nobody is answered before all are there
            return web.Response()

        async with serving(handler) as url:
            clients = Clients(target(url))
            await clients.burst(20)
            return clients

    clients = asyncio.run(run())
    assert sorted(seen) == sorted(request.id for request in clients.requests)
    assert [request.status for request in clients.requests] == [200] * 20


def test_failures_are_distinguished() -> None:
    async def handler(request: web.Request) -> web.Response:
        if len(clients.requests) % 2:
            assert request.transport is not None
            request.transport.abort()
        return web.Response(status=503)

    async def run() -> None:
        nonlocal clients
        async with serving(handler) as url:
            clients = Clients(target(url))
            for _ in range(4):
                await clients.burst(1)
        await clients.burst(1)  # nobody listens any more

    clients: Clients = Clients(target("http://127.0.0.1:1/"))
    asyncio.run(run())
    kinds = [request.status or request.reason for request in clients.requests]
    assert kinds.count(503) == 2
    assert kinds[-1] == "ConnectionRefusedError"
    assert not any(request.good for request in clients.requests)


def test_paced_bodies_arrive_whole_and_late() -> None:
    async def handler(request: web.Request) -> web.Response:
        body = await request.read()
        return web.Response(status=200 if body == b"x" * 5000 else 400)

    async def run() -> Clients:
        async with serving(handler) as url:
            clients = Clients(target(url, method="POST", body=b"x" * 5000), paced=0.3)
            await clients.burst(2)
            return clients

    requests = asyncio.run(run()).requests
    assert [request.status for request in requests] == [200, 200]
    assert all(request.latency >= 0.25 for request in requests)


STATUS = {
    "services": [
        {"name": "other", "namespace": "default", "revisions": []},
        {
            "name": "load",
            "namespace": "default",
            "revisions": [
                {
                    "desired": 3,
                    "ready": 1,
                    "inFlight": 12,
                    "queued": 4,
                    "decision": {"in_panic": True, "words": "stable 12"},
                    "pods": [{"name": "a", "state": "ready"}, {"name": "b", "state": "pending"}],
                },
                {"desired": 0, "ready": 0, "inFlight": 0, "queued": 0, "decision": None, "pods": []},
            ],
        },
    ]
}


def test_observer_reads_the_engine_and_survives_gaps(tmp_path: Path) -> None:
    count = 0

    async def handler(request: web.Request) -> web.Response:
        nonlocal count
        assert request.path == "/_knative/status"
        count += 1
        return web.json_response(STATUS) if count % 2 else web.Response(status=200, text="{broken")

    async def run() -> tuple[Observer, Sample | None, Sample | None]:
        async with serving(handler) as url, Observer(EngineSource(url, "load"), period=0.02) as observer:
            found = await observer.until(lambda sample: sample.ready == 1, 2.0)
            never = await observer.until(lambda sample: sample.ready == 9, 0.1)
            return observer, found, never

    observer, found, never = asyncio.run(run())
    assert never is None
    assert found is not None
    assert (found.desired, found.ready, found.starting, found.in_flight, found.queued) == (3, 1, 1, 12, 4)
    assert (found.in_panic, found.words, found.pods) == (True, "stable 12", ("a",))
    assert observer.failures >= 1
    write_samples(observer.samples, tmp_path / "samples.jsonl")
    rows = [json.loads(line) for line in (tmp_path / "samples.jsonl").read_text().splitlines()]
    assert rows[0]["desired"] == 3


def test_observer_counts_the_pods_that_answered_lately() -> None:
    now = 0.0
    pods = iter(["a", "b", "b", None, "c"])

    async def handler(request: web.Request) -> web.Response:
        pod = next(pods)
        return web.Response(headers={"X-Pod-Name": pod} if pod else {})

    async def run() -> list[tuple[str, ...]]:
        nonlocal now
        seen = []
        async with serving(handler) as url, aiohttp.ClientSession() as session:
            source = AnswerSource(url, clock=lambda: now)
            for at in (0.0, 1.0, 2.0, 3.5, 6.0):
                now = at
                sample = await source.sample(session)
                assert sample is not None
                assert sample.ready == len(sample.pods)
                seen.append(sample.pods)
        return seen

    assert asyncio.run(run()) == [("a",), ("a", "b"), ("a", "b"), ("b",), ("c",)]


def test_command_writes_samples(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "samples.jsonl"
    status = main(["load", "--engine", "http://127.0.0.1:1", "--seconds", "0.1", "--out", str(out)])
    assert status == 1
    assert out.read_text() == ""
    assert capsys.readouterr().out.startswith("0 samples in ")


def test_an_observer_without_pods_has_no_samples() -> None:
    async def run() -> Observer:
        async with Observer(EngineSource("http://127.0.0.1:1", "load"), period=0.01) as observer:
            with contextlib.suppress(TimeoutError):
                await asyncio.sleep(0.1)
            return observer

    observer = asyncio.run(run())
    assert observer.samples == []
    assert observer.failures >= 1


def test_an_observer_waits_for_the_service() -> None:
    async def handler(request: web.Request) -> web.Response:
        return web.json_response({"services": []})

    async def run() -> Sample | None:
        async with serving(handler) as url, aiohttp.ClientSession() as session:
            return await EngineSource(url, "load").sample(session)

    assert asyncio.run(run()) is None


@pytest.mark.parametrize("think", [0.05])
def test_clients_think_between_requests(think: float) -> None:
    async def handler(request: web.Request) -> web.Response:
        return web.Response()

    async def run() -> Clients:
        async with serving(handler) as url:
            clients = Clients(target(url), think=think)
            clients.set(1)
            await until(lambda: len(clients.requests) > 3)
            await clients.stop()
            return clients

    requests = asyncio.run(run()).requests
    gaps = [later.sent - earlier.done for earlier, later in itertools.pairwise(requests)]
    assert gaps
    assert all(gap >= think * 0.9 for gap in gaps)
