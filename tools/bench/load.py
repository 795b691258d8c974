"""The load generator against others: uploads a CPU second, and what it says of a server that stalls."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import subprocess
import sys
import tempfile
import textwrap
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import playwright

from loadtest import images
from tests.servers import ROOT, free_port
from tools.bench.harness import Bench

K6_BOUND, LOCUST_BOUND = 3.0, 2.0
PROCESSES_BOUND = 0.9
STALL_SECONDS, STALL_EVERY, STALL_RATE = 0.5, 5.0, 200
STALL_P95, STALL_P99, STALL_SLACK = 0.25, 0.45, 0.05
RESTING_RATES, RESTING_BOUND = (100, 500, 1000, 2000), 1.5
LATE_RATE, LATE_BOUND = 1000, 0.002
SECONDS = 3
ROUNDS = 7
CONNECTIONS = 8
SEARCH_SECONDS = 1
SMOKE = {"SECONDS": 1, "ROUNDS": 1, "RESTING_RATES": (100,), "LOCUST_SECONDS": 3, "STALL_RUN_SECONDS": 6}
LOCUST_SECONDS = 3  # Locust takes most of one to start
STALL_RUN_SECONDS = 20
BACKLOG = 1.25  # times its duration that a run must take, for the generator never to have rested


class _Swallow(asyncio.Protocol):
    """Reads a request of any size and answers two bytes; costs next to nothing."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport
        self.head = b""
        self.left = 0

    def data_received(self, data: bytes) -> None:
        while data:
            if not self.left:
                self.head += data
                end = self.head.find(b"\r\n\r\n")
                if end < 0:
                    return
                lowered = self.head[:end].lower()
                at = lowered.find(b"content-length:")
                size = int(lowered[at + 15 :].split(b"\r\n")[0]) if at >= 0 else 0
                if b"100-continue" in lowered:
                    self.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
                data, self.head = self.head[end + 4 :], b""
                self.left = size
                if size:
                    continue
                self._answer()
                continue
            taken = min(self.left, len(data))
            self.left -= taken
            data = data[taken:]
            if not self.left:
                self._answer()

    def _answer(self) -> None:
        self.transport.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 2\r\n\r\nok")


async def _serve(port: int, stall: bool) -> None:
    await asyncio.get_running_loop().create_server(_Swallow, "127.0.0.1", port)
    while True:
        await asyncio.sleep(STALL_EVERY - STALL_SECONDS)
        if stall:
            time.sleep(STALL_SECONDS)


@contextmanager
def server(stall: bool = False) -> Iterator[str]:
    """The swallowing server as a process of its own; its URL."""
    port = free_port()
    process = subprocess.Popen([sys.executable, "-m", "tools.bench.load", str(port), str(int(stall))], cwd=ROOT)
    try:
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline:
            time.sleep(0.05)
            try:
                asyncio.run(_knock(port))
                break
            except OSError:
                continue
        yield f"http://127.0.0.1:{port}/"
    finally:
        process.terminate()
        process.wait()


async def _knock(port: int) -> None:
    _, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.close()


def _cpu_of(command: list[str], environment: dict[str, str] | None = None) -> tuple[float, bytes]:
    """CPU seconds that a command and its children took, and what it printed."""
    before = os.times()
    done = subprocess.run(command, cwd=ROOT, env={**os.environ, **(environment or {})}, capture_output=True)
    after = os.times()
    cpu = after.children_user + after.children_system - before.children_user - before.children_system
    if done.returncode not in {0, 1, 3}:
        raise RuntimeError(f"{command[0]}: {done.returncode}: {done.stderr[-1000:].decode(errors='replace')}")
    return cpu, done.stdout


def _offer(
    url: str, file: Path, rate: int, seconds: float, processes: int = 1, more: tuple[str, ...] = ()
) -> tuple[float, dict[str, Any]]:
    """CPU seconds and figures of our generator at an offered rate."""
    command = [sys.executable, "-m", "loadtest.openloop", url, "--rate", str(rate), "--duration", str(seconds)]
    command += ["--connections", str(processes * CONNECTIONS), "--file", str(file), "--json", "-", "--timeout", "600"]
    command += ["--processes", str(processes), *more]
    cpu, out = _cpu_of(command)
    return cpu, json.loads(out)


def _out_of_reach(found: dict[str, Any], seconds: float) -> bool:
    """Whether requests were still waiting for a connection well after the last one was due."""
    return bool(found["seconds"] > BACKLOG * seconds)


def rate_out_of_reach(url: str, file: Path) -> int:
    """The lowest rate of a doubling series that this machine cannot keep."""
    rate = 500
    while not _out_of_reach(_offer(url, file, rate, SEARCH_SECONDS)[1], SEARCH_SECONDS):
        rate *= 2
    return rate


def ours(url: str, file: Path, rate: int) -> float:
    """Uploads a CPU second of our generator, as fast as it can: its rate is out of reach, its connections are few.

    Raises:
        RuntimeError: the rate was kept, so the generator rested in between.
    """
    cpu, found = _offer(url, file, rate, SECONDS)
    if not _out_of_reach(found, SECONDS):
        raise RuntimeError(f"{rate} uploads/s are not out of reach: all were sent after {found['seconds']:.1f} s")
    return float(found["good"] / cpu)


def while_sending(url: str, file: Path, rate: int, processes: int = 1, more: tuple[str, ...] = ()) -> float:
    """Uploads a CPU second of the sending itself, the start of the processes not counted."""
    _, found = _offer(url, file, rate, SECONDS, processes, more)
    return float(found["good"] / found["cpu_seconds"])


def _two_and_one(url: str, file: Path, rate: int, *, two_first: bool) -> tuple[float, float]:
    """Uploads a CPU second of two processes at a rate each, and of one at that rate."""
    found = {}
    for processes in (2, 1) if two_first else (1, 2):
        found[processes] = while_sending(url, file, processes * rate, processes)
    return found[2], found[1]


@contextmanager
def http2_server() -> Iterator[str]:
    """The URL of a server of HTTP/2 as a process of its own: nghttp2 in the Node.js of Playwright."""
    command = [
        Path(playwright.__file__).parent / "driver" / "node",
        ROOT / "tests/loadtest/generators/http2_server.mjs",
    ]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        try:
            assert process.stdout is not None
            yield f"http://127.0.0.1:{int(process.stdout.readline())}/"
        finally:
            process.kill()


_LOCUST = """
    from locust import FastHttpUser, constant, task
    PICTURE = open({file!r}, "rb").read()

    class Uploads(FastHttpUser):
        wait_time = constant(0)

        @task
        def upload(self):
            self.client.post("/", files={{"file": ("photo.png", PICTURE, "image/png")}})
"""
_PACED = """
    from locust import FastHttpUser, constant_throughput, task

    class Paced(FastHttpUser):
        wait_time = constant_throughput(20)

        @task
        def get(self):
            self.client.get("/")
"""


def _locust(url: str, source: str, folder: Path, users: int, seconds: float) -> tuple[float, dict[str, str]]:
    """CPU seconds, and Locust's aggregated row."""
    import csv

    (folder / "locustfile.py").write_text(textwrap.dedent(source))
    command = [
        sys.executable,
        "-m",
        "locust",
        "-f",
        str(folder / "locustfile.py"),
        "--headless",
        "--host",
        url.rstrip("/"),
    ]
    command += ["-u", str(users), "-r", str(users), "-t", f"{seconds:g}s", "--csv", str(folder / "stats")]
    cpu, _ = _cpu_of([*command, "--only-summary"])
    rows = csv.DictReader((folder / "stats_stats.csv").read_text().splitlines())
    found = next((row for row in rows if row["Name"] == "Aggregated"), None)
    if found is None or not int(found["Request Count"]):
        raise RuntimeError(f"Locust sent no request within {seconds:g} s, its own start included: let it run longer")
    return cpu, found


def locust(url: str, file: Path, folder: Path) -> float:
    """Uploads a CPU second of FastHttpUser with `files=`, the CPU of Locust's start not counted."""
    start, _ = _cpu_of([sys.executable, "-m", "locust", "--version"])
    cpu, row = _locust(url, _LOCUST.format(file=str(file)), folder, CONNECTIONS, LOCUST_SECONDS)
    if cpu <= start:
        raise RuntimeError(f"Locust's run took {cpu:.2f} s of CPU, its start alone {start:.2f} s: let it run longer")
    return int(row["Request Count"]) / (cpu - start)


_K6 = """
    import http from 'k6/http';
    const picture = open('{file}', 'b');
    export const options = {{ vus: {vus}, duration: '{seconds}s', summaryTrendStats: ['med'] }};
    export default function () {{
      http.post('{url}', {{ file: http.file(picture, 'photo.png', 'image/png') }});
    }}
    export function handleSummary(data) {{ return {{ stdout: JSON.stringify(data.metrics.http_reqs.values) }}; }}
"""


def k6(url: str, file: Path, folder: Path, binary: str) -> float:
    """Uploads a CPU second of k6."""
    script = folder / "upload.js"
    script.write_text(textwrap.dedent(_K6.format(file=file, url=url, vus=CONNECTIONS, seconds=SECONDS)))
    cpu, out = _cpu_of([binary, "run", "--quiet", str(script)], {"K6_NO_USAGE_REPORT": "true"})
    return float(json.loads(out.decode().strip().splitlines()[-1])["count"]) / cpu


def _k6_binary() -> str | None:
    return shutil.which("k6") or shutil.which("k6", path=str(Path(sys.executable).parent))


def run(bench: Bench) -> None:
    """Uploads a CPU second beside Locust and k6, then the stall."""
    binary = _k6_binary()
    with tempfile.TemporaryDirectory() as name, server() as url:
        folder = Path(name)
        file = folder / "photo.png"
        file.write_bytes(images.png())
        bench.note(f"each upload is a PNG of {len(images.png()):,} bytes, {CONNECTIONS} connections")
        rate = 2 * rate_out_of_reach(url, file)
        bench.note(f"offered: {rate:,} uploads/s, twice the first rate of a doubling series that was not kept")
        locusts, k6s = [], []
        for _ in range(ROUNDS):
            mine = ours(url, file, rate)
            locusts.append((mine, locust(url, file, folder)))
            if binary:
                k6s.append((mine, k6(url, file, folder, binary)))
        unit = "uploads/CPU s"
        bench.ratios("uploads a CPU second / FastHttpUser files=", locusts, LOCUST_BOUND, unit, at_most=False)
        # Each process at the same rate, which leaves the server and them a core: else they are compared in their
        # contention for the cores.
        each = max(1, rate // 16)
        shared = [_two_and_one(url, file, each, two_first=bool(turn % 2)) for turn in range(ROUNDS)]
        shown = f"uploads a CPU second, two processes of {each:,}/s / one"
        bench.ratios(shown, shared, PROCESSES_BOUND, unit, at_most=False)
        if k6s:
            bench.ratios("uploads a CPU second / k6", k6s, K6_BOUND, unit, at_most=False)
        else:
            bench.note("k6 is not installed: pip install k6")
        _rest(bench, url, folder)
        _http2(bench, url, file, each)
    _stall(bench)


def _http2(bench: Bench, url: str, file: Path, rate: int) -> None:
    """The same load over HTTP/2 and over HTTP/1.1, at a rate that both keep."""
    with http2_server() as other:
        pairs = [
            (while_sending(other, file, rate, more=("--http2",)), while_sending(url, file, rate)) for _ in range(ROUNDS)
        ]
    bench.ratios(f"uploads a CPU second at {rate:,}/s, HTTP/2 / HTTP/1.1", pairs, None, "uploads/CPU s", at_most=False)


def _rest(bench: Bench, url: str, folder: Path) -> None:
    """CPU a request while the generator keeps a rate that leaves it time, and how late it sends."""
    file = folder / "kilobyte"
    file.write_bytes(b"x" * 1000)
    port = url.rstrip("/").rpartition(":")[2]
    for rate in RESTING_RATES:
        pairs, lags = [], []
        for _ in range(ROUNDS):
            found = _offer(url, file, rate, SECONDS, more=("--raw",))[1]
            lags.append(found["send_lag"]["p99"])
            plain = [sys.executable, "-m", "tools.plain_client", port, str(rate), str(SECONDS), str(CONNECTIONS)]
            done = subprocess.run([*plain, "1000"], cwd=ROOT, capture_output=True, check=True, text=True)
            pairs.append((found["cpu_seconds"] / found["answered"] * 1e6, float(done.stdout) * 1e6))
        bench.ratios(f"CPU a request at {rate:,}/s / a plain uvloop client", pairs, RESTING_BOUND, "µs")
        late = f"p99 of send lateness at {rate:,}/s"
        bench.figure(late, [1000 * lag for lag in lags], LATE_BOUND * 1000 if rate == LATE_RATE else None, "ms")


def _stall(bench: Bench) -> None:
    with server(stall=True) as url, tempfile.TemporaryDirectory() as name:
        command = [
            sys.executable,
            "-m",
            "loadtest.openloop",
            url,
            "--rate",
            str(STALL_RATE),
            "--duration",
            str(STALL_RUN_SECONDS),
        ]
        _, out = _cpu_of([*command, "--connections", "150", "--json", "-"])
        spectrum = json.loads(out)["corrected"]
        _, row = _locust(url, _PACED, Path(name), STALL_RATE // 20, STALL_RUN_SECONDS)
    for share, truth in (("p95", STALL_P95), ("p99", STALL_P99)):
        error = abs(spectrum[share] - truth) / truth
        bench.figure(
            f"stall of {STALL_SECONDS:g} s every {STALL_EVERY:g} s: {share} off the analytic {truth * 1000:g} ms",
            error,
            STALL_SLACK,
            "",
            note=f"{spectrum[share] * 1000:.0f} ms; Locust's constant_throughput says {row[share[1:] + '%']} ms",
        )


if __name__ == "__main__":
    import uvloop

    uvloop.run(_serve(int(sys.argv[1]), bool(int(sys.argv[2]))))
