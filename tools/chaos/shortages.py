"""Faults of the machine's resources: disk, memory and time.

Each takes an empty folder and returns what it saw, with the time to recovery; AssertionError where a promise broke.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import requests

from tests.servers import ROOT, FunctionServer, clean_environment, free_port
from tools.chaos.scene import STRESS, Seen, Unavailable


def full_disk(folder: Path) -> Seen:
    """An event log on a full disk: events are refused whole with 5xx until there is space again."""
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
    """More memory than the cgroup allows: a burner is killed and reported, and the server keeps running."""
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
    """The wall clock jumps forward and back by a day during a burn: its duration is unchanged."""
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
    assert results[0]["ended"] in {"completed", "short"}
    assert 2.99 <= float(achieved["seconds"]) <= 3.01, f"it lasted {achieved['seconds']} s by its own account"
    assert 2.9 <= took < 10, f"it took {took:.1f} s"
    return Seen(0.0, f"3 s asked, {achieved['seconds']} s burnt, over jumps of two days")
