"""The local engine's route: what it adds to a request, a cold start through it, and what it costs when idle.

The trivial function is served directly and through the route in turns: one request after another for the median, and
eight at once for the requests a second that are left.
"""

from __future__ import annotations

import contextlib
import http.client
import re
import shutil
import socket
import statistics
import subprocess
import tempfile
import threading
import time
from pathlib import Path

from tests.bench.harness import Bench, cpu_seconds, memory_bytes
from tests.engines import EngineProcess, service

ROUNDS = 7
REQUESTS = 400
LOAD_SECONDS = 3
CONCURRENCY = 8
COLD_ROUNDS = 9
IDLE_SECONDS = 20
# As plain as a Python function gets: the standard library's threaded server.
HELLO = """
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
    told = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert "Non-2xx" not in told, told
    found = re.search(r"Requests/sec:\s+([\d.]+)", told)
    assert found, told
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
        ["python3", str(script)], env={"PORT": str(port), "PATH": "/usr/bin:/bin"}, cwd=folder, start_new_session=True
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
    with tempfile.TemporaryDirectory() as name, contextlib.ExitStack() as stack:
        folder = Path(name)
        script = folder / "hello.py"
        script.write_text(HELLO)
        hello = service(command=["/usr/bin/env", "python3", str(script)], annotations={"min-scale": "1"})
        engine = EngineProcess(folder, hello)
        stack.callback(engine.stop)
        engine.wait_pods(1)
        pod = engine.pods()[0]["port"]
        _per_second(engine.port, "/hello")
        added, kept = [], []
        for turn in range(ROUNDS):
            pair = {}
            for port in (pod, engine.port) if turn % 2 else (engine.port, pod):
                pair[port] = _milliseconds(port, "/hello")
            added.append(pair[engine.port] - pair[pod])
            for port in (pod, engine.port) if turn % 2 else (engine.port, pod):
                pair[port] = _per_second(port, "/hello")
            kept.append((pair[engine.port], pair[pod]))
        bench.figure("route adds, one request after another (median)", statistics.median(added), 1.0, "ms")
        bench.ratios(f"requests/s through the route at {CONCURRENCY} at once", kept, 0.70, "1/s", at_most=False)
        engine.stop()
        _cold(bench, folder, script)


def _cold(bench: Bench, folder: Path, script: Path) -> None:
    """A cold request against the start of the same process by hand, in turns; then the engine at rest."""
    hello = service(command=["/usr/bin/env", "python3", str(script)])
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
        bench.figure("cold request beyond process start to ready (median)", statistics.median(extra), 60.0, "ms")
        engine.wait(lambda: not engine.revision()["pods"], "zero pods", 30)
        time.sleep(3)
        before = cpu_seconds(engine.process.pid)
        time.sleep(IDLE_SECONDS)
        used = cpu_seconds(engine.process.pid) - before
        bench.figure("idle engine, all at zero: CPU", used / IDLE_SECONDS * 100, 1.0, "% of a core")
        bench.figure("idle engine, all at zero: memory (PSS)", memory_bytes(engine.process.pid) / 2**20, 80.0, "MB")
    finally:
        engine.stop()
