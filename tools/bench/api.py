"""The Kubernetes API beside a bare aiohttp handler that sends the same bytes: get, list, watch, and idle watches."""

from __future__ import annotations

import asyncio
import json
import socket
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.client import HTTPSConnection
from pathlib import Path
from typing import Any

from aiohttp import web

from knative.local.api.http.access import make_access
from tests.apis import Api
from tools.bench.harness import Bench

CONFIG_MAPS = "/api/v1/namespaces/rec/configmaps"
OBJECTS, IDLE, IDLE_SECONDS, EVENTS = 1_000, 100, 5.0, 200
SMOKE = {"OBJECTS": 20, "IDLE": 2, "IDLE_SECONDS": 0.1, "EVENTS": 5}
MERGE = "application/merge-patch+json"


class Client:
    """One connection that is kept."""

    def __init__(self, api: Api, address: tuple[str, int] | None = None, context: Any = None) -> None:
        self._connection = HTTPSConnection(*(address or api.address), timeout=30, context=context or api.trust())
        self._headers = {"Authorization": f"Bearer {api.token}", "Accept": "application/json"}

    def send(self, method: str, path: str, body: bytes | None = None, kind: str = "application/json") -> bytes:
        self._connection.request(method, path, body, {**self._headers, "Content-Type": kind})
        answer = self._connection.getresponse()
        data = answer.read()
        assert answer.status in (200, 201), data
        return data

    def watch(self, path: str) -> Any:
        self._connection.request("GET", path, headers=self._headers)
        return self._connection.getresponse()

    def close(self) -> None:
        self._connection.close()


@contextmanager
def peer(api: Api, bodies: dict[str, bytes]) -> Iterator[Client]:
    """A server that sends fixed bodies over TLS, in the API's own loop: what the transport costs."""
    access = make_access()

    async def start() -> tuple[web.AppRunner, tuple[str, int]]:
        async def answer(request: web.Request) -> web.Response:
            return web.Response(body=bodies[request.path], content_type="application/json")

        app = web.Application()
        app.router.add_get("/{path:.*}", answer)
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        sock = socket.socket()
        sock.bind(("127.0.0.1", 0))
        sock.listen()
        await web.SockSite(runner, sock, ssl_context=access.context).start()
        return runner, sock.getsockname()[:2]

    import ssl

    runner, address = asyncio.run_coroutine_threadsafe(start(), api.loop).result(10)
    client = Client(api, address, ssl.create_default_context(cadata=access.certificate.decode()))
    try:
        yield client
    finally:
        client.close()
        asyncio.run_coroutine_threadsafe(runner.cleanup(), api.loop).result(10)


def repeat(work: Callable[[], object], times: int) -> Callable[[], None]:
    def run() -> None:
        for _ in range(times):
            work()

    return run


def watch_latency(api: Api, client: Client) -> float:
    """Seconds from the send of a patch to its event at a watch, the median."""
    watching = Client(api)
    stream = watching.watch(
        f"{CONFIG_MAPS}?watch=1&resourceVersion={api.store.version}&fieldSelector=metadata.name%3Dc0"
    )
    taken = []
    for number in range(EVENTS):
        begun = time.perf_counter()
        client.send("PATCH", f"{CONFIG_MAPS}/c0", b'{"data":{"n":"%d"}}' % number, MERGE)
        assert json.loads(stream.readline())["type"] == "MODIFIED"
        taken.append(time.perf_counter() - begun)
    watching.close()
    return statistics.median(taken)


def idle_share(api: Api) -> float:
    """The share of a core that idle watches take."""
    watching = [Client(api) for _ in range(IDLE)]
    streams = [one.watch(f"{CONFIG_MAPS}?watch=1&resourceVersion={api.store.version}") for one in watching]
    assert all(one.status == 200 for one in streams)
    time.sleep(1)
    before = time.process_time()
    time.sleep(IDLE_SECONDS)
    share = (time.process_time() - before) / IDLE_SECONDS
    for one in watching:
        one.close()
    return share


def run(bench: Bench) -> None:
    """A store of a thousand ConfigMaps."""
    with tempfile.TemporaryDirectory(prefix="pixelamp-bench-") as folder:
        api = Api(Path(folder)).start()
        client = Client(api)
        try:
            for number in range(OBJECTS):
                body = {"metadata": {"name": f"c{number}"}, "data": {"n": "x" * 200}}
                client.send("POST", CONFIG_MAPS, json.dumps(body).encode())
            paths = (f"{CONFIG_MAPS}/c1", CONFIG_MAPS)
            bodies = {path: client.send("GET", path) for path in paths}
            with peer(api, bodies) as bare:
                for label, path, times in (("get one object", paths[0], 200), (f"list {OBJECTS} objects", paths[1], 5)):
                    ours, theirs = (
                        repeat(lambda one=one, at=path: one.send("GET", at), times) for one in (client, bare)
                    )
                    bench.paired(f"{label}, against a handler that sends the same bytes", ours, theirs, 4.0)
            latency = watch_latency(api, client)
            bench.figure("from a patch to its event at a watch, median", latency * 1000, 50, "ms")
            bench.figure(f"CPU of {IDLE} idle watches", idle_share(api) * 100, 1, "% of a core")
        finally:
            client.close()
            api.stop()
