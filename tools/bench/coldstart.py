"""Cold start: CPU from process start to the first ready answer, and to the first work done.

The peer is a bare hello under the functions framework's own CLI, started in turns with ours.
"""

from __future__ import annotations

import compileall
import io
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

from PIL import Image

from functions import registry
from tests.conftest import work_of
from tests.servers import ROOT, clean_environment, free_port
from tools.bench.harness import Bench, cpu_nanoseconds

ROUNDS = 9
HELLO = 'def hello(request):\n    return "hello"\n'
SMOKE = {"ROUNDS": 1}
READY, FIRST = 0.95, 1.05


def _start(command: list[str], environment: dict[str, str]) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        command, cwd=ROOT, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
    )


def _ask(port: int, path: str, body: bytes | None = None) -> None:
    request = urllib.request.Request(f"http://127.0.0.1:{port}{path}", data=body)
    with urllib.request.urlopen(request, timeout=30) as response:
        response.read()
        assert response.status == 200


def _wait(port: int) -> None:
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.02)
    raise RuntimeError("the server did not listen within 30 s")


def _cpu_of_a_start(command: list[str], path: str, work: str = "", body: bytes | None = None) -> list[float]:
    """CPU milliseconds of the process tree at the first answer on `path`, and, if named, after `work`."""
    port = free_port()
    process = _start(command, clean_environment(PORT=str(port), PYTHONDONTWRITEBYTECODE="1"))
    try:
        _wait(port)
        _ask(port, path)
        figures = [cpu_nanoseconds(process.pid) / 1e6]
        if work:
            _ask(port, work, body)
            figures.append(cpu_nanoseconds(process.pid) / 1e6)
        return figures
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def run(bench: Bench) -> None:
    """Print both figures of each function beside the peer's."""
    # As in an image: the bytecode is there before the first start.
    compileall.compile_dir(ROOT / "functions", quiet=1)
    buffer = io.BytesIO()
    Image.effect_noise((512, 512), 60).save(buffer, "PNG")
    framework = str(Path(sys.executable).parent / "functions-framework")
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "main.py"
        source.write_text(HELLO)
        hello = [framework, "--source", str(source), "--target", "hello"]
        works = {name: work_of(name) for name in registry.names()}
        pairs: dict[str, list[tuple[float, float]]] = {}
        for turn in range(ROUNDS + 1):
            (peer,) = _cpu_of_a_start(hello, "/")
            for name, (path, body) in works.items():
                ours = [sys.executable, "-m", "functions.kit.server", name]
                at_ready, at_first = _cpu_of_a_start(ours, "/readyz", path, body and buffer.getvalue())
                if turn:
                    pairs.setdefault(f"{name}: start to /readyz", []).append((at_ready, peer))
                    pairs.setdefault(f"{name}: start to the first work done", []).append((at_first, peer))
        for what, found in pairs.items():
            bound = READY if what.endswith("/readyz") else FIRST
            bench.ratios(f"{what}, against hello under the framework's CLI", found, bound, "ms")
