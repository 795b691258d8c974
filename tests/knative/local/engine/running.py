"""An engine inside a test's own loop."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import yaml

from knative.local.api.frozen import thaw
from knative.local.check.admission import load
from knative.local.controllers.objects import SERVICES, find
from knative.local.controllers.state import StateFile, read
from knative.local.engine import eventing
from knative.local.engine.engine import Engine
from knative.local.engine.overrides import Overrides


class Running:
    """An engine inside the test's own loop."""

    def __init__(self, engine: Engine, folder: Path) -> None:
        self.engine = engine
        self.store = engine.store
        self.folder = folder

    def apply(self, *objects: Mapping[str, Any], code: str = "") -> list[str]:
        path = self.folder / "objects.yaml"
        path.write_text(yaml.safe_dump_all([dict(one) for one in objects]))
        return self.engine.apply(load([path]), code)

    def change(self, resource: str, name: str, change: Callable[[Any], Any]) -> None:
        """Change an object as a client does."""
        obj = thaw(self.store.get(resource, "default", name))
        change(obj)
        self.store.update(resource, obj)

    def get(self, resource: str, name: str) -> dict[str, Any]:
        return self.store.get(resource, "default", name)

    def names(self, resource: str) -> list[str]:
        return [one["metadata"]["name"] for one in self.store.list(resource)]

    def conditions(self, resource: str, name: str) -> dict[str, tuple[str, str]]:
        obj = find(self.store, resource, "default", name) or {}
        listed = (obj.get("status") or {}).get("conditions", ())
        return {one["type"]: (one["status"], one.get("reason", "")) for one in listed}

    async def until(self, condition: Callable[[], Any], what: str, seconds: float = 30) -> None:
        try:
            async with asyncio.timeout(seconds):
                while not condition():
                    await asyncio.sleep(0.01)
        except TimeoutError:
            raise AssertionError(f"no {what} within {seconds} s") from None

    async def ready(self, name: str = "hello", resource: str = SERVICES) -> None:
        def is_ready() -> bool:
            obj = find(self.store, resource, "default", name)
            if obj is None or (obj.get("status") or {}).get("observedGeneration") != obj["metadata"]["generation"]:
                return False
            return self.conditions(resource, name)["Ready"] == ("True", "")

        await self.until(is_ready, f"ready {name}")

    async def ask(self, host: str = "hello.default", path: str = "/?brief=0") -> tuple[int, Any]:
        response = await self.engine.route.call(host, "GET", path, {}, b"")
        return response.status, json.loads(response.body) if response.status == 200 else response.body

    async def revision(self, host: str = "hello.default") -> str:
        _, answered = await self.ask(host, "/")
        return str(answered["environment"]["K_REVISION"])


@asynccontextmanager
async def running(folder: Path, *, state: Path | None = None, **overrides: Any) -> AsyncIterator[Running]:
    with socket.create_server(("127.0.0.1", 0)) as sock:
        sock.setblocking(False)
        said: list[str] = []
        engine = Engine(
            str(folder),
            overrides=Overrides(**overrides),
            say=said.append,
            state=read(state) if state is not None else None,
        )
        if state is not None:
            engine.on_stop.append(StateFile(state, engine.store, engine.written.files, said.append).close)
        engine.bound(sock)
        eventing.stateless(engine)
        await engine.start(sock)
        try:
            yield Running(engine, folder)
        finally:
            await engine.stop(5)
