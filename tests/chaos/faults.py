"""Faults: something is killed, stopped, full, taken or moved while requests go on; nothing accepted is lost.

Each takes an empty folder and returns what it saw, with the time to recovery; AssertionError where a promise broke.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import requests

from tests.chaos.traffic import Ask, Traffic
from tests.engines import EngineProcess, service
from tests.servers import ROOT, FunctionServer, clean_environment, free_port

STRESS = [sys.executable, "-m", "functions.kit.server", "stress"]
WAIT = Ask("POST", "/stress?sleep_ms=100", check=lambda data: b'"completed"' in data)


class Unavailable(Exception):
    """This machine cannot cause the fault; the message says why."""


@dataclass(frozen=True)
class Seen:
    """What a fault did.

    Attributes:
        recovery: seconds until all was well again.
        note: the figures in a few words.
    """

    recovery: float
    note: str


@contextmanager
def engine(folder: Path, pods: int = 2, **spec: object) -> Iterator[EngineProcess]:
    """The local engine with the stress function in so many pods."""
    annotations = {"min-scale": str(pods), "max-scale": str(max(pods, 4))}
    manifest = service("stress", command=STRESS, annotations=annotations, concurrency=8, spec={"timeoutSeconds": 30})
    manifest["spec"]["template"]["spec"]["containers"][0].update(spec)
    running = EngineProcess(folder, manifest)
    try:
        running.wait_pods(pods, "stress", 60)
        yield running
    finally:
        if running.process.poll() is None:
            running.stop()


def pod_of(running: EngineProcess) -> int:
    """The process id of a ready pod."""
    return int(running.pods(name="stress")[0]["pid"])


def pod_killed(folder: Path) -> Seen:
    """SIGKILL to a pod's whole group: only what it was answering may fail."""
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
    """SIGSTOP to a pod: its liveness probe ends it, a new one takes over, others go on."""
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
    """A pod whose readiness comes and goes: requests go to the other one."""
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
    """A port that somebody has: one clear line and an exit, from the engine as from a function."""
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


def full_disk(folder: Path) -> Seen:
    """An event log on a full disk: an event is refused with 5xx and never half accepted; with room it is taken."""
    disk = folder / "disk"
    disk.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=256k", "none", str(disk)], capture_output=True).returncode:
        raise Unavailable("a small file system cannot be mounted here")
    manifests = [str(ROOT / "knative"), str(ROOT / "knative/eventing")]
    port = free_port()
    process = subprocess.Popen(
        [sys.executable, "-m", "knative", "serve", *manifests, "--port", str(port), "--state", str(disk / "state")],
        cwd=ROOT,
        env=clean_environment(PATH=f"{Path(sys.executable).parent}:{os.environ['PATH']}"),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        url = f"http://127.0.0.1:{port}/_knative/broker/default/images"

        def publish(number: int) -> int:
            headers = {"ce-specversion": "1.0", "ce-id": str(number), "ce-source": "/chaos", "ce-type": "chaos.filler"}
            body = json.dumps({"filler": "x" * 8000})
            try:
                return requests.post(
                    url, data=body, headers={**headers, "Content-Type": "application/json"}, timeout=20
                ).status_code
            except requests.ConnectionError:
                return 0

        deadline = time.monotonic() + 30
        while publish(0) != 202:
            assert time.monotonic() < deadline, "the broker does not take events"
            time.sleep(0.2)
        filler = disk / "filler"
        file = os.open(filler, os.O_WRONLY | os.O_CREAT)
        try:
            while True:
                os.write(file, bytes(4096))
        except OSError:
            os.close(file)
        refused = [publish(number) for number in range(1, 6)]
        assert set(refused) <= {500, 503, 507}, f"on a full disk it answered {refused}"
        at = time.monotonic()
        filler.unlink()
        while publish(100) != 202:
            assert time.monotonic() < at + 20, "it takes no events although there is room again"
            time.sleep(0.05)
        recovery = time.monotonic() - at
    finally:
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        subprocess.run(["umount", "-l", str(disk)], check=True)
    return Seen(recovery, f"answered {sorted(set(refused))} while full, 202 with room")


def out_of_memory(folder: Path) -> Seen:
    """More memory than the cgroup has: a burner dies, says so, and the server lives."""
    group = Path("/sys/fs/cgroup/memory") / f"pixelamp-chaos-{os.getpid()}"
    limit = "memory.limit_in_bytes"
    if Path("/sys/fs/cgroup/cgroup.controllers").exists():
        group, limit = Path("/sys/fs/cgroup") / group.name, "memory.max"
    try:
        group.mkdir()
        (group / limit).write_text(str(300 * 2**20))
    except OSError as error:
        if group.exists():
            group.rmdir()
        raise Unavailable(f"a memory cgroup cannot be made here: {error.strerror}") from None
    server = None
    try:
        command = ["sh", "-c", f'echo $$ > {group}/cgroup.procs; exec "$@"', "sh", *STRESS, "--host", "127.0.0.1"]
        server = FunctionServer("stress", command=command)
        answers: list[dict[str, object]] = []

        def ask() -> None:
            # Each is within half of what is free when it asks; together they are not.
            answer = requests.post(f"{server.url}/?memory_mb=100&hold=4", timeout=60)
            answers.append({"status": answer.status_code, **answer.json()})

        threads = [threading.Thread(target=ask) for _ in range(4)]
        at = time.monotonic()
        for thread in threads:
            thread.start()
        time.sleep(1.5)
        assert server.get("/healthz").status_code == 200, "the server died of it"
        for thread in threads:
            thread.join(60)
        ended = sorted(str(answer.get("ended", answer["status"])) for answer in answers)
        assert "child died" in ended, f"nothing was killed: {ended}"
        assert server.process.poll() is None
        assert server.post("/?seconds=0.1&load=10").status_code == 200
        recovery = time.monotonic() - at
    finally:
        if server is not None:
            server.stop()
        deadline = time.monotonic() + 10
        while group.exists():
            try:
                group.rmdir()
            except OSError:
                assert time.monotonic() < deadline, "processes are left in the cgroup"
                time.sleep(0.05)
    return Seen(recovery, f"four requests for 100 MiB in 300 MiB: {', '.join(ended)}; the server answered throughout")


# Moves the wall clock of one process by the seconds in a file. The monotonic clock stays, as when the time is set.
MOVED_CLOCK = r"""
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
static long moved(void) {
    long seconds = 0;
    const char *name = getenv("MOVED_CLOCK");
    FILE *file = name ? fopen(name, "r") : NULL;
    if (file) { if (fscanf(file, "%ld", &seconds) != 1) seconds = 0; fclose(file); }
    return seconds;
}
int clock_gettime(clockid_t clock, struct timespec *now) {
    static int (*real)(clockid_t, struct timespec *);
    if (!real) real = (int (*)(clockid_t, struct timespec *))dlsym(RTLD_NEXT, "clock_gettime");
    int result = real(clock, now);
    if (!result && clock == CLOCK_REALTIME) now->tv_sec += moved();
    return result;
}
"""


def clock_jump(folder: Path) -> Seen:
    """The wall clock jumps by a day, there and back, while a burn runs: it lasts as long as it was asked to."""
    stamp = folder / "clock"
    stamp.write_text("0")
    source = folder / "clock.c"
    source.write_text(MOVED_CLOCK)
    library = folder / "clock.so"
    if shutil.which("gcc") is None:
        raise Unavailable("the program gcc is not installed")
    subprocess.run(["gcc", "-shared", "-fPIC", "-o", str(library), str(source), "-ldl"], check=True)
    environment = {"LD_PRELOAD": str(library), "MOVED_CLOCK": str(stamp)}
    server = FunctionServer("stress", environment)
    try:
        results: list[dict[str, object]] = []
        thread = threading.Thread(
            target=lambda: results.append(requests.post(f"{server.url}/?seconds=3&load=20", timeout=60).json())
        )
        began = time.monotonic()
        thread.start()
        jumps = []
        for offset in ("86400", "-86400", "0"):
            time.sleep(0.6)
            stamp.write_text(offset)
            time.sleep(0.05)
            jumps.append(server.get("/cpu").json()["t"])
        thread.join(60)
        took = time.monotonic() - began
    finally:
        server.stop()
    assert max(jumps) - min(jumps) > 100_000, "the clock did not jump"
    achieved = results[0]["achieved"]
    assert isinstance(achieved, dict)
    assert results[0]["ended"] == "completed"
    assert 2.99 <= float(achieved["seconds"]) <= 3.01, f"it lasted {achieved['seconds']} s by its own account"
    assert 2.9 <= took < 10, f"it took {took:.1f} s"
    return Seen(0.0, f"3 s asked, {achieved['seconds']} s burnt, over jumps of two days")


FAULTS: dict[str, Callable[[Path], Seen]] = {
    fault.__name__: fault
    for fault in (
        pod_killed,
        pod_hung,
        engine_killed,
        slow_start,
        flapping,
        port_taken,
        full_disk,
        out_of_memory,
        clock_jump,
    )
}
