"""The Locust file as Locust runs it, in a process of its own: it patches the one that imports it."""

from __future__ import annotations

import asyncio
import csv
import itertools
import json
import subprocess
import sys
import time
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from tests.servers import ROOT, Engine, clean_environment, free_port

PATIENCE_SECONDS = 45.0


@dataclass(frozen=True)
class Seen:
    """A request as it came to the server."""

    at: float
    peer: object
    host: str
    path: str
    kind: str
    picture: str
    fields: tuple[str, ...]
    event: str


@dataclass
class Recorder:
    """A server that answers everything with one status and notes it."""

    url: str = ""
    status: int = 200
    seen: list[Seen] = field(default_factory=list)

    async def handle(self, request: web.Request) -> web.Response:
        body = await request.read()
        head = request.headers
        self.seen.append(
            Seen(
                at=time.monotonic(),
                peer=request.transport and request.transport.get_extra_info("peername"),
                host=head["Host"],
                path=request.path_qs,
                kind=head.get("Content-Type", "").partition(";")[0],
                picture="png" if b"\x89PNG" in body else "jpeg" if b"\xff\xd8\xff" in body and b"Exif" in body else "",
                fields=tuple(name for name in ("file", "image") if f'name="{name}"'.encode() in body),
                event=head.get("ce-type", ""),
            )
        )
        return web.json_response({}, status=self.status)


@asynccontextmanager
async def recording(status: int = 200) -> AsyncIterator[Recorder]:
    recorder = Recorder(status=status)
    app = web.Application(client_max_size=2**22)
    app.router.add_route("*", "/{path:.*}", recorder.handle)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    recorder.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        yield recorder
    finally:
        await runner.cleanup()


@asynccontextmanager
async def locust(*arguments: str) -> AsyncIterator[asyncio.subprocess.Process]:
    """Locust from the checkout's root, where it finds its settings; ended if it has not ended by itself."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "locust", *arguments),
        cwd=ROOT,
        env=clean_environment(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.terminate()
            await process.communicate()


@dataclass
class Outcome:
    """What a headless run came to."""

    status: int
    errors: str
    figures: list[dict[str, Any]]  # by name; final, while the files of --csv lag a second
    history: list[dict[str, str]]
    seen: list[Seen]

    @property
    def requests(self) -> int:
        """How many Locust counted."""
        return sum(row["num_requests"] for row in self.figures)

    @property
    def failures(self) -> int:
        """How many of them failed."""
        return sum(row["num_failures"] for row in self.figures)

    def users(self) -> list[int]:
        """How many there were, second by second."""
        return [int(row["User Count"]) for row in self.history if row["Name"] == "Aggregated"]


def _rows(path: Path) -> list[dict[str, str]]:
    return list(csv.DictReader(path.read_text().splitlines())) if path.exists() else []


Enough = Callable[[list[Seen]], bool]


async def headless(folder: Path, *arguments: str, answer: int = 200, enough: Enough | None = None) -> Outcome:
    """One run against a recorder; with `--host` among the arguments against that host.

    It ends by its arguments, or, so that a busy machine cannot end it too early, as soon as `enough` is seen.
    """
    async with recording(answer) as recorder:
        host = () if "--host" in arguments else ("--host", recorder.url)
        files: tuple[str, ...] = ("--csv", str(folder / "out"), "--csv-full-history")
        if "--processes" not in arguments:  # of which each would write the same file
            files += ("--json-file", str(folder / "out"))
        async with locust("--headless", "--only-summary", *files, *host, *arguments) as process:
            if enough is not None:
                await _until(lambda: enough(recorder.seen) or process.returncode is not None)
                process.terminate()
            _, errors = await asyncio.wait_for(process.communicate(), PATIENCE_SECONDS)
    final = folder / "out.json"
    figures = json.loads(final.read_text()) if final.exists() else []
    history = _rows(folder / "out_stats_history.csv")
    return Outcome(process.returncode or 0, errors.decode(), figures, history, recorder.seen)


async def _until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(PATIENCE_SECONDS):
        while not condition():
            await asyncio.sleep(0.05)


def run(folder: Path, *arguments: str, answer: int = 200, enough: Enough | None = None) -> Outcome:
    return asyncio.run(headless(folder, *arguments, answer=answer, enough=enough))


def gaps(seen: list[Seen]) -> list[float]:
    """Seconds between one request and the next of each user."""
    times = defaultdict(list)
    for one in seen:
        times[one.peer].append(one.at)
    return [later - before for user in times.values() for before, later in itertools.pairwise(user)]


@pytest.mark.slow
def test_mixed_users_by_path(tmp_path: Path) -> None:
    def enough(seen: list[Seen]) -> bool:
        return len(seen) >= 6 and {"/histogram", "/exif"} <= {one.path.partition("?")[0] for one in seen}

    found = run(tmp_path, "--tags", "mixed", "-u", "6", "-r", "20", enough=enough)
    assert found.status == 0, found.errors
    assert {"/histogram", "/exif"} <= {one.path.partition("?")[0] for one in found.seen}
    assert {one.path.partition("?")[0] for one in found.seen} <= {"/histogram", "/exif", "/stress"}
    assert {one.picture for one in found.seen if one.path == "/histogram"} == {"png"}
    assert {one.picture for one in found.seen if one.path == "/exif"} == {"jpeg"}
    assert found.failures == 0
    assert found.requests >= 6


@pytest.mark.slow
@pytest.mark.parametrize(
    ("tag", "path", "kind", "picture"),
    [
        ("histogram", "/histogram", "multipart/form-data", "png"),
        ("exif", "/exif", "multipart/form-data", "jpeg"),
        ("stress", "/stress?seconds=0.2&load=50", "", ""),
        ("events", "/stress", "application/json", ""),
        ("event-pictures", "/exif", "image/jpeg", "jpeg"),
    ],
)
def test_each_tag(tmp_path: Path, tag: str, path: str, kind: str, picture: str) -> None:
    found = run(tmp_path, "--tags", tag, "-u", "3", "-r", "10", enough=lambda seen: len(seen) >= 3)
    assert found.status == 0, found.errors
    assert {(one.path, one.kind, one.picture) for one in found.seen} == {(path, kind, picture)}
    event = {"events": "dev.pixelamp.stress.requested", "event-pictures": "dev.pixelamp.image.uploaded"}.get(tag, "")
    assert {one.event for one in found.seen} == {event}


@pytest.mark.slow
def test_browser_users_wait_one_to_two_seconds_between_uploads(tmp_path: Path) -> None:
    found = run(tmp_path, "Browser", "-u", "3", "-r", "10", enough=lambda seen: len(gaps(seen)) >= 6)
    assert found.status == 0, found.errors
    assert {(one.path, one.picture, one.fields) for one in found.seen} == {("/exif", "jpeg", ("image",))}
    assert len({one.peer for one in found.seen}) == 3
    assert all(gap > 0.9 for gap in gaps(found.seen))


def test_events_by_host_and_a_shape_that_ends_the_test(tmp_path: Path) -> None:
    found = run(
        tmp_path, "--tags", "events", "--domain", "default.example.com", "--shape", "step", "--levels", "2x1s,4x2s"
    )
    assert found.status == 0, found.errors
    assert {(one.host, one.kind, one.event) for one in found.seen} == {
        ("stress.default.example.com", "application/json", "dev.pixelamp.stress.requested")
    }


@pytest.mark.slow
@pytest.mark.parametrize(
    ("shape", "levels", "reached"),
    [
        ("step", "2x3s,5x3s", [2, 5]),
        ("ramp", "0..6x4s,6x2s", [1, 3, 6]),
        ("spike", "1x2s,9x3s,1x3s", [1, 9, 1]),
        ("burst", "0x2s,12x3s", [0, 12]),
        ("soak", "4x4s", [4]),
        ("trace", "csv:{folder}/users.csv", [2, 7]),
    ],
)
def test_each_shape(tmp_path: Path, shape: str, levels: str, reached: list[int]) -> None:
    (tmp_path / "users.csv").write_text("seconds,users\n0,2\n3,7\n6,0\n")
    found = run(tmp_path, "--tags", "events", "--shape", shape, "--levels", levels.format(folder=tmp_path))
    assert found.status == 0, found.errors
    users = iter(found.users())
    # Locust notes users once a second: of a ramp some levels fall between two of its notes.
    assert all(any(now >= level if shape == "ramp" else now == level for now in users) for level in reached), (
        found.users()
    )
    assert max(found.users()) == max(reached)


def test_every_shape_has_default_levels_or_requires_them() -> None:
    code = """
from argparse import Namespace
from knative.local.simulation.arrivals import ProfileError
from loadtest.shapes import PROFILES, Shaped, profile_of

for shape in PROFILES:
    options = Namespace(shape=shape, levels="", run_time=None, num_users=None, spawn_rate=None)
    try:
        profile = profile_of(options)
    except ProfileError as error:
        print(shape, "refused", error)
        continue
    shaped = Shaped(options)
    shaped.get_run_time = lambda: profile.duration / 2
    users, rate = shaped.tick()
    assert users == round(profile.at(profile.duration / 2)) and rate >= 1000
    shaped.get_run_time = lambda: profile.duration
    assert shaped.tick() is None
    print(shape, "ends")

options = Namespace(shape="", levels="", run_time=3, num_users=7, spawn_rate=2.0)
shaped = Shaped(options)
shaped.get_run_time = lambda: 1.0
assert shaped.tick() == (7, 2.0)
options.num_users = 9  # as the web UI does
assert shaped.tick() == (9, 2.0)
options.levels = "broken"
assert shaped.tick() is None
options.levels = ""
shaped.get_run_time = lambda: 3.0
assert shaped.tick() is None
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, env=clean_environment(), capture_output=True)
    assert done.returncode == 0, done.stderr.decode()
    lines = done.stdout.decode().splitlines()
    assert [line.split()[0] for line in lines if line.endswith(" ends")] == ["step", "ramp", "spike", "burst", "soak"]
    assert "trace refused --shape trace needs --levels, such as csv:users.csv" in lines


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--shape", "trace"), "--shape trace needs --levels"),
        (("--levels", "5xsoon"), "'5xsoon' is not LEVELxDURATION"),
        (
            ("--tags", "nonsense"),
            "no task is tagged nonsense; there are histogram, exif, stress, events, event-pictures and mixed",
        ),
    ],
)
def test_a_mistake_ends_the_run_before_it_begins(tmp_path: Path, arguments: tuple[str, ...], words: str) -> None:
    found = run(tmp_path, *arguments)
    assert found.status == 2
    assert words in found.errors
    assert not found.seen


@pytest.mark.slow
def test_a_host_without_a_route_is_named(tmp_path: Path) -> None:
    log = tmp_path / "requests.jsonl"
    options = ("--domain", "example.com", "--tags", "exif", "-u", "1", "--requests", str(log))
    found = run(tmp_path, *options, answer=404, enough=lambda seen: len(seen) >= 2)
    assert found.status == 1
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    assert {(line["status"], line["reason"]) for line in lines} == {
        (404, "404: does the ingress know exif.example.com?")
    }


@pytest.mark.slow
def test_a_refused_user_pauses_before_the_next_request(tmp_path: Path) -> None:
    found = run(
        tmp_path,
        "Functions",
        "--tags",
        "exif",
        "-u",
        "2",
        "-r",
        "2",
        answer=503,
        enough=lambda seen: len(gaps(seen)) >= 8,
    )
    assert found.status == 1
    assert all(gap > 0.09 for gap in gaps(found.seen))


@pytest.mark.slow
def test_several_processes_and_every_request_on_a_line(tmp_path: Path) -> None:
    port, log = str(free_port()), tmp_path / "requests.jsonl"
    options = ("--tags", "stress", "-u", "4", "-r", "4", "-t", "4s", "--processes", "2", "--master-bind-port", port)
    found = run(tmp_path, *options, "--master-port", port, "--requests", str(log))
    assert found.status == 0, found.errors
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    assert len(lines) == pytest.approx(len(found.seen), abs=8)
    assert {(line["name"], line["status"], line["reason"]) for line in lines} == {("stress POST /", 200, "")}
    assert all(0 <= line["done"] - line["sent"] < PATIENCE_SECONDS for line in lines)
    assert all(abs(line["sent"] - time.time()) < 2 * PATIENCE_SECONDS for line in lines)


@pytest.mark.slow
def test_a_master_and_two_workers(tmp_path: Path) -> None:
    """What is asked of the master reaches the workers: host, domain, shape; tags are each worker's own."""

    async def distributed() -> tuple[Outcome, list[int]]:
        port = str(free_port())
        worker = ("--worker", "--master-port", port, "--tags", "histogram")
        master = ("--master", "--master-bind-host", "127.0.0.1", "--master-bind-port", port, "--expect-workers", "2")
        shape = ("--shape", "step", "--levels", "2x2s,6x3s", "--domain", "load.example.com", "--tags", "histogram")
        async with locust(*worker) as one, locust(*worker) as two:
            found = await headless(tmp_path, *master, *shape)
            ends = [await asyncio.wait_for(each.wait(), PATIENCE_SECONDS) for each in (one, two)]
            return found, ends

    found, ends = asyncio.run(distributed())
    assert (found.status, ends) == (0, [0, 0]), found.errors
    assert {(one.host, one.path, one.picture) for one in found.seen} == {
        ("histogram.load.example.com", "/histogram", "png")
    }
    assert found.requests == pytest.approx(len(found.seen), abs=12)
    assert max(found.users()) == 6
    assert len({one.peer for one in found.seen}) >= 6


class Page:
    """Locust's web UI, by the calls that its page makes."""

    def __init__(self, session: aiohttp.ClientSession, port: int) -> None:
        self.session, self.url = session, f"http://127.0.0.1:{port}"

    async def start(self, **form: object) -> dict[str, Any]:
        async with self.session.post(f"{self.url}/swarm", data={name: str(one) for name, one in form.items()}) as done:
            return dict(await done.json())

    async def stop(self) -> None:
        async with self.session.post(f"{self.url}/stop") as done:
            assert (await done.json())["success"]

    async def figures(self) -> dict[str, Any]:
        async with self.session.get(f"{self.url}/stats/requests") as done:
            return dict(await done.json())

    async def until(self, met: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        deadline = time.monotonic() + PATIENCE_SECONDS
        while time.monotonic() < deadline:
            found = await self.figures()
            if met(found):
                return found
            await asyncio.sleep(0.1)
        raise AssertionError(f"never met; last {json.dumps(found)[:500]}")


async def _answers(port: int, host: str) -> bool:
    try:
        _, writer = await asyncio.open_connection(host, port)
    except OSError:
        return False
    writer.close()
    return True


def with_page(work: Callable[[Page, Recorder], Coroutine[Any, Any, None]], *arguments: str) -> None:
    """Locust with its web UI against a recorder."""

    async def play() -> None:
        port = free_port()
        async with (
            recording() as recorder,
            locust("--web-port", str(port), "--host", recorder.url, *arguments) as process,
            aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=10)) as session,
        ):
            deadline = time.monotonic() + PATIENCE_SECONDS
            while not await _answers(port, "127.0.0.1"):
                assert process.returncode is None
                assert time.monotonic() < deadline
                await asyncio.sleep(0.1)
            assert not await _answers(port, "127.0.0.2")  # this machine's alone, not every address
            await work(Page(session, port), recorder)

    asyncio.run(play())


@pytest.mark.slow
def test_the_web_ui_starts_changes_and_stops_a_test() -> None:
    async def work(page: Page, recorder: Recorder) -> None:
        async with page.session.get(page.url) as answer:
            text = await answer.text()
        assert "Locust" in text
        assert '"hide_common_options": false' in text  # users and spawn rate can be typed
        arguments = json.JSONDecoder().raw_decode(text, text.index("{", text.index("templateArgs")))[0]
        options = arguments["extra_options"]
        assert {"shape", "levels", "domain", "broker"} <= set(options)
        assert "requests" not in options, "it names a file of the machine that Locust runs on"
        assert set(options["shape"]["choices"]) == {"", "step", "ramp", "spike", "burst", "soak", "trace"}
        assert (await page.start(user_count=3, spawn_rate=10, host=recorder.url))["success"]
        await page.until(lambda found: found["user_count"] == 3 and found["state"] == "running")
        assert (await page.start(user_count=5, spawn_rate=10))["success"]
        await page.until(lambda found: found["user_count"] == 5)
        await page.stop()
        found = await page.until(lambda found: found["state"] == "stopped")
        assert found["user_count"] == 0
        assert found["fail_ratio"] == 0
        assert {one.path for one in recorder.seen} == {"/stress"}
        assert len(recorder.seen) >= 5

    with_page(work, "--tags", "events")


@pytest.mark.slow
def test_a_shape_and_a_domain_can_be_chosen_in_the_web_ui() -> None:
    async def work(page: Page, recorder: Recorder) -> None:
        form = {"user_count": 1, "spawn_rate": 1, "host": recorder.url, "domain": "default.example.com"}
        assert (await page.start(**form, shape="burst", levels="0x1s,8x4s"))["success"]
        await page.until(lambda found: found["user_count"] == 8)
        await page.until(lambda found: found["state"] == "stopped")  # by itself, as the shape ends
        assert {one.host for one in recorder.seen} == {"stress.default.example.com"}
        again = len(recorder.seen)
        assert (await page.start(**{**form, "user_count": 2}, shape="", levels=""))["success"]
        await page.until(lambda found: found["user_count"] == 2)
        await page.stop()
        await page.until(lambda found: found["state"] == "stopped")
        assert len(recorder.seen) > again

    with_page(work, "--tags", "events")


@pytest.mark.slow
def test_against_the_engine_by_path_by_host_and_through_its_broker(tmp_path: Path) -> None:
    with Engine("knative/services", "knative/eventing") as engine:
        by_path = run(tmp_path, "--host", engine.url, "--tags", "mixed", "-u", "3", "-r", "10", "-t", "8s")
        by_host = run(
            tmp_path, "--host", engine.url, "--tags", "exif", "--domain", "default.localhost", "-u", "2", "-t", "4s"
        )
        broker = "/_knative/broker/default/images"
        events = run(tmp_path, "--host", engine.url, "--tags", "events", "--broker", broker, "-u", "3", "-t", "5s")
        accepted = events.requests
        finished: Counter[str] = Counter()
        deadline = time.monotonic() + PATIENCE_SECONDS
        while finished["dev.pixelamp.stress.finished"] < accepted and time.monotonic() < deadline:
            found = engine.get("/_knative/events?limit=500").json()["events"]
            finished = Counter(one["type"] for one in found)
            time.sleep(0.2)
    for outcome in (by_path, by_host, events):
        assert outcome.status == 0, outcome.errors
        assert outcome.failures == 0
    assert {row["name"].split()[0] for row in by_path.figures} >= {"histogram", "exif"}
    assert {row["name"] for row in by_host.figures} == {"exif POST /"}
    assert accepted >= 5
    assert finished == {"dev.pixelamp.stress.requested": accepted, "dev.pixelamp.stress.finished": accepted}


def test_the_job_runs_as_written(tmp_path: Path) -> None:
    import yaml

    job = yaml.safe_load((ROOT / "loadtest" / "job.yaml").read_text())
    arguments = job["spec"]["template"]["spec"]["containers"][0]["args"]
    elsewhere = ("--host=", "--levels=")  # the address of a cluster, and minutes of load
    kept = [argument for argument in arguments if not argument.startswith(elsewhere)]
    assert len(kept) == len(arguments) - 2
    found = run(tmp_path, *kept, "--levels", "3x3s")
    assert found.status == 0, found.errors
    assert {one.host for one in found.seen} <= {
        f"{name}.default.svc.cluster.local" for name in ("histogram", "exif", "stress")
    }
    assert found.seen
