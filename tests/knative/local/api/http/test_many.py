"""Many objects, many watches and many writers: no update is lost, each watch sees all changes in order."""

from __future__ import annotations

import asyncio
import gc
import tracemalloc
from collections.abc import Callable, Coroutine
from typing import Any

import aiohttp
import orjson

from knative.local.api import history
from tests.apis import Api
from tests.engines import run_async

CONFIG_MAPS = "/api/v1/namespaces/rec/configmaps"
OBJECTS, WATCHES, WRITERS, WRITES = 200, 25, 16, 2

Work = Callable[[aiohttp.ClientSession], Coroutine[Any, Any, None]]


def with_session(api: Api, work: Work) -> None:
    async def run() -> None:
        connector = aiohttp.TCPConnector(limit=0, ssl=api.trust())
        headers = {"Authorization": f"Bearer {api.token}"}
        async with aiohttp.ClientSession(api.url, connector=connector, headers=headers) as session:
            await work(session)

    run_async(run())


async def create(session: aiohttp.ClientSession, name: str) -> None:
    body = {"metadata": {"name": name}, "data": {"count": "0"}}
    async with session.post(CONFIG_MAPS, json=body) as answer:
        assert answer.status == 201, await answer.text()


async def add_one(session: aiohttp.ClientSession, name: str) -> int:
    """Raise a counter by one; returns how often another writer was faster."""
    conflicts = 0
    while True:
        async with session.get(f"{CONFIG_MAPS}/{name}") as answer:
            found = await answer.json()
        found["data"]["count"] = str(int(found["data"]["count"]) + 1)
        async with session.put(f"{CONFIG_MAPS}/{name}", json=found) as answer:
            if answer.status == 200:
                return conflicts
            assert answer.status == 409, await answer.text()
            conflicts += 1


async def follow(session: aiohttp.ClientSession, version: str, last: str) -> list[tuple[int, str]]:
    """Return version and count of each change of the counter, up to the last."""
    seen = []
    query = {"watch": "true", "resourceVersion": version, "fieldSelector": "metadata.name=counter"}
    async with session.get(CONFIG_MAPS, params=query) as answer:
        assert answer.status == 200
        async for line in answer.content:
            event = orjson.loads(line)
            assert event["type"] == "MODIFIED"
            seen.append((int(event["object"]["metadata"]["resourceVersion"]), event["object"]["data"]["count"]))
            if seen[-1][1] == last:
                break
        # The watch goes on: the session would close its connection and not wait for the end of TLS.
        assert answer.connection is not None
        assert answer.connection.transport is not None
        answer.connection.transport.abort()
    return seen


def test_writers_in_conflict_lose_no_update_and_watches_see_all_in_order(api):
    async def work(session: aiohttp.ClientSession) -> None:
        for start in range(0, OBJECTS, 100):
            await asyncio.gather(*(create(session, f"c{number}") for number in range(start, start + 100)))
        await create(session, "counter")
        async with session.get(CONFIG_MAPS, params={"limit": "1"}) as answer:
            metadata = (await answer.json())["metadata"]
        assert metadata["remainingItemCount"] == OBJECTS
        total = WRITERS * WRITES
        watches = [
            asyncio.ensure_future(follow(session, metadata["resourceVersion"], str(total))) for _ in range(WATCHES)
        ]

        async def write() -> int:
            return sum([await add_one(session, "counter") for _ in range(WRITES)])

        conflicts = sum(await asyncio.gather(*(write() for _ in range(WRITERS))))
        assert conflicts > 0
        seen = await asyncio.gather(*watches)
        assert [count for _, count in seen[0]] == [str(number) for number in range(1, total + 1)]
        versions = [version for version, _ in seen[0]]
        assert versions == sorted(set(versions))
        assert all(one == seen[0] for one in seen)

    with_session(api, work)


def test_memory_does_not_grow_with_the_changes(api, monkeypatch):
    """The history of changes has a bound: memory after 250 changes is that after 50."""
    size = 20_000
    monkeypatch.setattr(history, "HISTORY_BYTES", 10 * size)

    async def work(session: aiohttp.ClientSession) -> None:
        await create(session, "counter")

        async def change(rounds: int) -> int:
            for number in range(rounds):
                body = orjson.dumps({"data": {"text": f"{number:08}" * (size // 8)}})
                headers = {"Content-Type": "application/merge-patch+json"}
                async with session.patch(f"{CONFIG_MAPS}/counter", data=body, headers=headers) as answer:
                    assert answer.status == 200
            gc.collect()
            return tracemalloc.get_traced_memory()[0]

        before = await change(50)
        assert await change(200) - before < 200 * size / 4

    # Allocations, not the resident size: that depends on what other tests have left to the allocator.
    tracemalloc.start()
    try:
        with_session(api, work)
    finally:
        tracemalloc.stop()
