"""The local engine's route: what it adds to a request, a cold start through it, and what it costs when idle.

A trivial function under the functions framework is served directly and through the route in turns: one request after
another for the median, and eight at once for the requests a second that are left. A bare threaded server of the
standard library, ten times as fast as any framework, is printed beside it: there the route's own cost is most of all.
"""

from __future__ import annotations

import http.client
import re
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

from tests.engines import EngineProcess, service
from tools.bench.harness import Bench, cpu_seconds, memory_bytes

ROUNDS = 7
REQUESTS = 400
LOAD_SECONDS = 2
CONCURRENCY = 8
COLD_ROUNDS = 9
SMOKE = {"ROUNDS": 1, "REQUESTS": 10, "LOAD_SECONDS": 1, "COLD_ROUNDS": 1, "IDLE_SECONDS": 0.2}
IDLE_SECONDS = 20
FUNCTION = 'def hello(request):\n    return "hello"\n'
BARE = """
import os
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

class Hello(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Length", "6")
        self.end_headers()
        self.wfile.write(b"hello\\n")
    def log_message(self, *arguments): pass

ThreadingHTTPServer.request_queue_size = 128
ThreadingHTTPServer(("127.0.0.1", int(os.environ["PORT"])), Hello).serve_forever()
"""


def _milliseconds(port: int, path: str) -> float:
    """The median of requests one after another over one connection."""
    connection = http.client.HTTPConnection("127.0.0.1", port)
    connection.connect()
    connection.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    times = []
    for _ in range(REQUESTS):
        began = time.perf_counter()
        connection.request("GET", path)
        connection.getresponse().read()
        times.append(time.perf_counter() - began)
    connection.close()
    return statistics.median(times) * 1000


def _per_second(port: int, path: str) -> float:
    """Requests a second at a concurrency, by wrk where it is there."""
    wrk = shutil.which("wrk")
    if wrk is None:
        return _per_second_by_threads(port, path)
    command = [wrk, "-t1", f"-c{CONCURRENCY}", f"-d{LOAD_SECONDS}s", f"http://127.0.0.1:{port}{path}"]
    printed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert "Non-2xx" not in printed, printed
    found = re.search(r"Requests/sec:\s+([\d.]+)", printed)
    assert found, printed
    return float(found[1])


def _per_second_by_threads(port: int, path: str) -> float:
    counts = [0] * CONCURRENCY
    end = time.monotonic() + LOAD_SECONDS

    def client(index: int) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", port)
        while time.monotonic() < end:
            connection.request("GET", path)
            connection.getresponse().read()
            counts[index] += 1

    threads = [threading.Thread(target=client, args=(index,)) for index in range(CONCURRENCY)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sum(counts) / LOAD_SECONDS


def _listening(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def _start_seconds(script: Path, folder: Path) -> float:
    """From the start of the same process by hand to its first accepted connection."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    began = time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, str(script)], env={"PORT": str(port)}, cwd=folder, start_new_session=True
    )
    try:
        while not _listening(port):
            time.sleep(0.0005)
        return time.perf_counter() - began
    finally:
        process.kill()
        process.wait()


def run(bench: Bench) -> None:
    """Print all figures."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "main.py").write_text(FUNCTION)
        script = folder / "bare.py"
        script.write_text(BARE)
        framework = str(Path(sys.executable).parent / "functions-framework")
        hello = [framework, "--source", str(folder / "main.py"), "--target", "hello"]
        _pairs(bench, folder, hello, "a trivial function", 1.0, 0.70)
        _pairs(bench, folder, [sys.executable, str(script)], "a bare server", None, None)
        _cold(bench, folder, script)


def _pairs(
    bench: Bench, folder: Path, command: list[str], what: str, milliseconds: float | None, share: float | None
) -> None:
    """The same pod asked directly and through the route, in changing order."""
    engine = EngineProcess(folder, service(command=command, annotations={"min-scale": "1"}))
    try:
        engine.wait_pods(1)
        pod = engine.pods()[0]["port"]
        _per_second(engine.port, "/hello")
        added, kept = [], []
        for turn in range(ROUNDS):
            ports = (pod, engine.port) if turn % 2 else (engine.port, pod)
            times = {port: _milliseconds(port, "/hello") for port in ports}
            rates = {port: _per_second(port, "/hello") for port in ports}
            added.append(times[engine.port] - times[pod])
            kept.append((rates[engine.port], rates[pod]))
    finally:
        engine.stop()
    bench.figure(f"route adds to {what}, one request after another", added, milliseconds, "ms")
    bench.ratios(f"requests/s of {what} at {CONCURRENCY} at once", kept, share, "1/s", at_most=False)


def _cold(bench: Bench, folder: Path, script: Path) -> None:
    """A cold request against the start of the same process by hand, in turns; then the engine at rest."""
    hello = service(command=[sys.executable, str(script)])
    quick = ("--initial-scale", "0", "--window", "2s", "--grace", "0s")
    engine = EngineProcess(folder, hello, arguments=quick)
    try:
        extra = []
        for _ in range(COLD_ROUNDS):
            by_hand = _start_seconds(script, folder)
            engine.wait(lambda: not engine.revision()["pods"], "zero pods", 30)
            began = time.perf_counter()
            assert engine.get("/hello")[0] == 200
            extra.append((time.perf_counter() - began - by_hand) * 1000)
        bench.figure("cold request beyond process start to ready", extra, 60.0, "ms")
        engine.wait(lambda: not engine.revision()["pods"], "zero pods", 30)
        time.sleep(3)
        before = cpu_seconds(engine.process.pid)
        time.sleep(IDLE_SECONDS)
        used = cpu_seconds(engine.process.pid) - before
        bench.figure("idle engine, all at zero: CPU", used / IDLE_SECONDS * 100, 1.0, "% of a core")
        bench.figure("idle engine, all at zero: memory (PSS)", memory_bytes(engine.process.pid) / 2**20, 80.0, "MB")
    finally:
        engine.stop()
