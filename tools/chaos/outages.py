"""Faults of processes under load: killed, stopped, slow, flapping, or without a free port.

Each takes an empty folder and returns what it saw, with the time to recovery; AssertionError where a promise broke.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import requests

from tests.engines import EngineProcess, service
from tests.servers import ROOT, clean_environment
from tools.chaos.scene import STRESS, WAIT, Seen, engine, pod_of
from tools.chaos.traffic import Ask, Traffic


def pod_killed(folder: Path) -> Seen:
    """SIGKILL to a pod's process group: only its requests in flight may fail."""
    with engine(folder) as running, Traffic(running.port, [WAIT], 6) as traffic:
        time.sleep(2)
        victim = pod_of(running)
        at = time.monotonic()
        os.killpg(os.getpgid(victim), signal.SIGKILL)
        running.wait(lambda: victim not in [pod["pid"] for pod in running.pods(name="stress")], "end of the pod")
        running.wait_pods(2, "stress", 30)
        recovery = time.monotonic() - at
        time.sleep(2)
    failed = traffic.wrong()
    assert len(failed) <= 6, f"{len(failed)} failed: {traffic.counts()}"
    assert all(outcome.began <= at + 0.2 for outcome in failed), "a request that came after the kill failed"
    return Seen(recovery, f"{len(traffic.outcomes)} requests, {len(failed)} of those in the killed pod failed")


def pod_hung(folder: Path) -> Seen:
    """SIGSTOP to a pod: its liveness probe ends it, a new pod replaces it, and other pods keep serving."""
    probe = {"httpGet": {"path": "/healthz"}, "periodSeconds": 1, "timeoutSeconds": 1, "failureThreshold": 2}
    with engine(folder, livenessProbe=probe) as running, Traffic(running.port, [WAIT], 4) as traffic:
        time.sleep(2)
        victim = pod_of(running)
        at = time.monotonic()
        os.killpg(os.getpgid(victim), signal.SIGSTOP)
        pids = lambda: [pod["pid"] for pod in running.pods(name="stress")]  # noqa: E731
        running.wait(lambda: victim not in pids() and len(pids()) == 2, "replacement of the hung pod", 60)
        recovery = time.monotonic() - at
        time.sleep(2)
    failed = traffic.wrong()
    assert all(outcome.began < at + recovery for outcome in failed), "a request failed after the recovery"
    assert len(failed) <= 12, f"{len(failed)} failed: {traffic.counts()}"
    return Seen(recovery, f"{len(traffic.outcomes)} requests, {len(failed)} failed, all in the hung pod's time")


def engine_killed(folder: Path) -> Seen:
    """SIGKILL to the engine: its pods end, and a new one on the same port serves at once."""
    with engine(folder) as running:
        pids = [int(pod["pid"]) for pod in running.pods(name="stress")]
        manifest, port = running.manifest, running.port
        running.process.kill()
        running.process.wait()
        at = time.monotonic()
        while any(Path(f"/proc/{pid}").exists() for pid in pids):
            assert time.monotonic() < at + 15, "pods of a killed engine live on"
            time.sleep(0.02)
        orphans = time.monotonic() - at
        running.stop()
    again = subprocess.Popen(
        [
            sys.executable,
            "-m",
            "knative",
            "serve",
            str(manifest),
            "--port",
            str(port),
            "--state",
            str(folder / "state"),
        ],
        cwd=ROOT,
        env=clean_environment(),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )
    try:
        began = time.monotonic()
        while True:
            try:
                answer = requests.post(f"http://127.0.0.1:{port}/stress?sleep_ms=1", timeout=30)
                if answer.status_code == 200:
                    break
            except requests.ConnectionError:
                pass
            assert time.monotonic() < began + 30, "the new engine does not answer"
            time.sleep(0.05)
        recovery = time.monotonic() - began
    finally:
        again.terminate()
        again.wait(20)
    return Seen(recovery, f"pods gone after {orphans:.2f} s; the new engine answered after {recovery:.2f} s")


def slow_start(folder: Path) -> Seen:
    """From zero to a pod that takes two seconds: thirty requests at once wait, and all are answered."""
    command = ["sh", "-c", 'sleep 2; exec "$@"', "sh", *STRESS]
    manifest = service("stress", command=command, annotations={"min-scale": "0"}, concurrency=8)
    running = EngineProcess(folder, manifest, arguments=("--initial-scale", "0"))
    try:
        statuses: list[int] = []

        def ask() -> None:
            statuses.append(requests.post(f"{running.url}/stress?sleep_ms=10", timeout=60).status_code)

        began = time.monotonic()
        threads = [threading.Thread(target=ask) for _ in range(30)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
        recovery = time.monotonic() - began
    finally:
        running.stop()
    assert statuses == [200] * 30, f"answered {statuses}"
    return Seen(recovery, "30 of 30 requests from zero answered 200")


def flapping(folder: Path) -> Seen:
    """A pod with flapping readiness: requests go to the other pod."""
    probe = {"httpGet": {"path": "/ready"}, "periodSeconds": 1}
    unready = folder / "unready"
    manifest = service(
        "hello",
        annotations={"min-scale": "2", "max-scale": "2"},
        container={"readinessProbe": probe},
        environment={"UNREADY": str(unready)},
    )
    running = EngineProcess(folder, manifest)
    try:
        running.wait_pods(2, "hello", 60)
        with Traffic(running.port, [Ask("GET", "/hello?sleep=0.02")], 4, 0.01) as traffic:
            began = time.monotonic()
            for _ in range(4):
                unready.write_text("")
                time.sleep(0.7)
                unready.unlink()
                time.sleep(0.7)
            flaps = time.monotonic() - began
            running.wait_pods(2, "hello", 30)
            recovery = time.monotonic() - began - flaps
    finally:
        running.stop()
    assert not traffic.wrong(), f"answered {traffic.counts()}"
    return Seen(recovery, f"{len(traffic.outcomes)} requests over four flaps, none failed")


def port_taken(folder: Path) -> Seen:
    """A port in use: one clear line and an exit code, from the engine and from a function."""
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        port = holder.getsockname()[1]
        began = time.monotonic()
        for command in (
            [sys.executable, "-m", "knative", "serve", "--port", str(port)],
            [*STRESS, "--host", "127.0.0.1", "--port", str(port)],
        ):
            done = subprocess.run(
                command, cwd=ROOT, env=clean_environment(), capture_output=True, text=True, timeout=40
            )
            said = done.stdout + done.stderr
            assert done.returncode != 0
            assert "Traceback" not in said
            assert str(port) in said, f"it does not name the port: {said[-300:]}"
    return Seen(time.monotonic() - began, "both say so and end with a status other than 0")
