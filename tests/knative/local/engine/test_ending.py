"""How the engine ends: requests finish, pods hear of it first, and nothing is left."""

from __future__ import annotations

import asyncio
import signal
import socket
import subprocess
import time
from pathlib import Path

import aiohttp
import pytest

from knative.local.engine.engine import Engine
from tests.engines import POD_SERVER, Start, run_async, service


def pod_processes(ledger_or_marker: str) -> list[int]:
    """Processes that carry a word in their environment."""
    found = []
    for entry in Path("/proc").iterdir():
        try:
            if entry.name.isdigit() and ledger_or_marker.encode() in (entry / "environ").read_bytes():
                found.append(int(entry.name))
        except OSError:
            continue
    return found


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_lets_requests_finish_and_leaves_nothing(start: Start, number: int) -> None:
    engine = start(service(annotations={"min-scale": "2"}, environment={"MARKER": "clean-end"}))
    engine.wait_pods(2)

    async def drive() -> int:
        async with aiohttp.ClientSession() as session:
            request = asyncio.ensure_future(session.get(f"{engine.url}/hello?sleep=1"))
            await asyncio.sleep(0.3)
            engine.process.send_signal(number)
            async with await request as response:
                return response.status

    assert run_async(drive()) == 200
    assert engine.stop() == 0
    assert pod_processes("MARKER=clean-end") == []


@pytest.mark.slow
@pytest.mark.parametrize("change", ["another revision", "removed"])
def test_a_signal_lets_even_requests_on_a_draining_pod_finish(start: Start, change: str) -> None:
    # A request on each of two pods; by its rate of requests the revision needs one.
    scaling = {"min-scale": "2", "metric": "rps"}
    engine = start(service(concurrency=1, annotations=scaling), service("other"))
    engine.wait_pods(2)
    removed = change == "removed"

    async def drive() -> list[int]:
        async with aiohttp.ClientSession() as session:

            async def one() -> int:
                async with session.get(f"{engine.url}/hello?sleep=4") as response:
                    return response.status

            requests = [asyncio.ensure_future(one()) for _ in range(2)]
            await asyncio.sleep(0.3)
            later = [] if removed else [service(concurrency=1, annotations=scaling, environment={"A": "B"})]
            engine.write(*later, service("other"))
            engine.process.send_signal(signal.SIGHUP)
            done = (lambda: "hello: removed" in engine.output) if removed else (lambda: engine.pods("draining"))
            await asyncio.to_thread(engine.wait, done, "draining pod")
            engine.process.send_signal(signal.SIGTERM)
            return await asyncio.gather(*requests)

    assert run_async(drive()) == [200, 200]
    assert engine.stop() == 0


def test_a_request_waiting_for_a_removed_service_is_answered(start: Start) -> None:
    engine = start(service(environment={"START_SECONDS": "60"}), service("other"))

    async def drive() -> tuple[int, str]:
        async with aiohttp.ClientSession() as session:
            request = asyncio.ensure_future(session.get(f"{engine.url}/hello"))
            await asyncio.sleep(0.3)
            engine.write(service("other"))
            engine.process.send_signal(signal.SIGHUP)
            async with await request as response:
                return response.status, await response.text()

    assert run_async(drive()) == (503, "the Service hello was removed\n")


def test_a_failure_at_the_end_is_reported_and_everything_else_ends(tmp_path: Path) -> None:
    said: list[str] = []
    ended: list[str] = []

    async def fails(_: float) -> None:
        raise OSError("the disk is full")

    async def takes_its_time(_: float) -> None:
        await asyncio.sleep(0.2)
        ended.append("the other")

    async def run() -> None:
        with socket.create_server(("127.0.0.1", 0)) as sock:
            engine = Engine(str(tmp_path), say=said.append)
            engine.on_stop += [fails, takes_its_time]
            await engine.start(sock)
            stray = subprocess.Popen(["sleep", "300"], env=dict(engine.environment), start_new_session=True)
            await engine.stop()
        assert stray.wait(10) == -signal.SIGKILL, "the warden has swept"
        with pytest.raises(ConnectionRefusedError):
            await asyncio.open_connection("127.0.0.1", engine.port)

    run_async(run())
    assert said == ["while stopping: OSError: the disk is full"]
    assert ended == ["the other"]


def test_a_pod_is_hung_up_on_before_it_is_ended(start: Start, tmp_path: Path) -> None:
    """So that no server waits for its clients: gunicorn has two seconds' patience with a connection that is kept."""
    told = tmp_path / "told"
    engine = start(service(annotations={"min-scale": "1"}, environment={"AT_THE_END": str(told)}))
    engine.wait_pods(1)
    assert engine.get("/hello")[0] == 200
    assert engine.stop() == 0
    assert told.read_text() == "0"


def test_even_a_killed_engine_leaves_nothing(start: Start) -> None:
    # The pod has a child in a session of its own, which no signal to the pod's group reaches.
    command = ["sh", "-c", f"setsid sleep 300 & exec python -S {POD_SERVER}"]
    engine = start(service(command=command, annotations={"min-scale": "2"}, environment={"MARKER": "hard-end"}))
    engine.wait_pods(2)
    assert len(pod_processes("MARKER=hard-end")) == 4
    engine.process.kill()
    engine.process.wait()
    deadline = time.monotonic() + 10
    while pod_processes("MARKER=hard-end"):
        assert time.monotonic() < deadline
        time.sleep(0.05)
