"""stress: accuracy of the load alone, beside others and under a quota, and health while it burns.

The peer is `stress-ng --cpu 1 --cpu-load P`, at the same niceness, measured by the same kernel counters. The other load
is one process a core that never rests, at that niceness too: everybody's fair share is then half a core.
"""

from __future__ import annotations

import json
import os
import resource
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import requests

from functions.stress.burn import Burn
from functions.stress.plan import Plan
from functions.stress.profiles import levels
from tests.servers import FunctionServer
from tools.bench.harness import Bench
from tools.figures import LEAST_PAIRS

SECONDS = 3.0
REPORT_SECONDS = 6
REQUESTS = 300
LOADS = (10, 30, 50, 75)
LEVELS, PROFILE_BOUND = "5x2s,30x2s,10..25x3s", 0.5
SHARED_LOADS = (10, 20, 30)
ROUNDS, SHARED_ROUNDS = LEAST_PAIRS, 3
SMOKE = {
    "SECONDS": 1,
    "REPORT_SECONDS": 2,
    "REQUESTS": 5,
    "ROUNDS": 1,
    "SHARED_ROUNDS": 1,
    "LOADS": (10,),
    "SHARED_LOADS": (10,),
    "LEVELS": "5x1s,10x1s",
}
HUNGRY = ["nice", "-n", "10", "sh", "-c", "while :; do :; done"]


def _ours(load: float, seconds: float) -> tuple[float, float]:
    """Achieved percent of a core, and the percent of the time in which the burner waited for one."""
    plan = Plan(seconds, load, "core", 1, load / 100)
    with Burn(plan) as burn:
        time.sleep(max(0.0, burn.left - 0.1))
        # The other children are those that compete.
        pid = max(
            int(child)
            for task in Path("/proc/self/task").iterdir()
            for child in (task / "children").read_text().split()
        )
        waited = int(Path(f"/proc/{pid}/schedstat").read_text().split()[1]) / 1e9
        time.sleep(max(0.0, burn.left))
        burn.finish()
    return float(burn.achieved(1.0)["load"]), 100 * waited / seconds


def _theirs(load: float, seconds: float) -> float:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(
        ["nice", "-n", "10", "stress-ng", "--cpu", "1", "--cpu-load", f"{load:g}", "--timeout", f"{seconds:g}s", "-q"],
        check=True,
    )
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    used = after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime
    return 100 * used / seconds


@contextmanager
def _others() -> Iterator[None]:
    """One process on each core that takes whatever it gets."""
    running = [subprocess.Popen(HUNGRY) for _ in os.sched_getaffinity(0)]
    try:
        yield
    finally:
        for process in running:
            process.kill()
            process.wait()


def _profile(bench: Bench) -> None:
    """The worst error of any second of a profile, in each round."""
    curve, peak, seconds = levels(LEVELS)
    plan = Plan(seconds, peak, "core", 1, peak / 100, nice=0, curve=curve, profile=LEVELS)
    goals = [plan.share * curve.used_by(second) for second in range(int(seconds) + 1)]
    rounds = []
    for _ in range(ROUNDS):
        used = _used_by_second(plan, int(seconds))
        errors = [
            100 * abs((after - before) - (due - earlier))
            for before, after, earlier, due in zip(used[:-1], used[1:], goals[:-1], goals[1:], strict=True)
        ]
        rounds.append(max(errors))
    bench.figure(f"profile {LEVELS}: worst second off by", rounds, PROFILE_BOUND, "points")


def _used_by_second(plan: Plan, seconds: int) -> list[float]:
    """CPU seconds used at the beginning of a burn, after each second, and at its end."""
    used = [0.0]
    with Burn(plan) as burn:
        for second in range(1, seconds):
            time.sleep(max(0.0, burn.left - (seconds - second)))
            used.append(burn.used())
        time.sleep(max(0.0, burn.left))
        burn.finish()
    used.append(burn.used())
    return used


def _shared(bench: Bench) -> None:
    if shutil.which("stress-ng") is None:
        bench.note("stress-ng is not installed: no comparison under a competing load")
        return
    ours, theirs = [], []
    with _others():
        for load in SHARED_LOADS * SHARED_ROUNDS:
            achieved, waited = _ours(load, SECONDS)
            if load + waited > 98:
                bench.note(
                    f"requested {load} % beside others: waited {waited:.0f} % of the time, so it was not available"
                )
                continue
            ours.append(abs(achieved - load))
            theirs.append(abs(_theirs(load, SECONDS) - load))
            bench.note(
                f"requested {load} % beside a hungry process a core: off by {ours[-1]:.3f}, stress-ng {theirs[-1]:.3f}"
            )
    if not ours:
        return
    pairs = list(zip(ours, theirs, strict=True))
    bench.ratios("error beside others, against stress-ng --cpu-load", pairs, 0.1, "points, where it was available")


def _in_a_cgroup(bench: Bench) -> None:
    """A server inside a quota of 0.2 CPU: what its answer reports, against cpuacct of the kernel."""
    groups = [Path("/sys/fs/cgroup") / name / f"pixelamp-bench-{os.getpid()}" for name in ("cpu", "cpuacct")]
    unified = Path("/sys/fs/cgroup/cgroup.controllers").exists()
    if unified:
        groups = [Path("/sys/fs/cgroup") / f"pixelamp-bench-{os.getpid()}"]
    made: list[Path] = []
    try:
        for group in groups:
            group.mkdir()
            made.append(group)
        if unified:
            (groups[0] / "cpu.max").write_text("20000 100000")
        else:
            (groups[0] / "cpu.cfs_quota_us").write_text("20000")
        _report(bench, groups, _counter(groups[-1], unified))
    except OSError as error:
        bench.note(f"a cgroup of 0.2 CPU cannot be made here ({error.strerror}): not measured")
    finally:
        for group in made:
            group.rmdir()


def _counter(group: Path, unified: bool) -> Callable[[], float]:
    if unified:
        return lambda: int((group / "cpu.stat").read_text().split()[1]) / 1e6
    return lambda: int((group / "cpuacct.usage").read_text()) / 1e9


def _report(bench: Bench, groups: list[Path], kernel: Callable[[], float]) -> None:
    enter = "".join(f"echo $$ > {group}/cgroup.procs; " for group in groups)
    command = [sys.executable, "-m", "functions.kit.server", "stress", "--host", "127.0.0.1"]
    server = FunctionServer("stress", command=["sh", "-c", f'{enter} exec "$@"', "sh", *command])
    try:
        for load in (30, 100):
            with server.session.post(
                f"{server.url}/?seconds={REPORT_SECONDS}&load={load}&relative_to=quota&format=ndjson",
                stream=True,
                timeout=60,
            ) as answer:
                lines = answer.iter_lines()
                next(lines)
                before, at = kernel(), time.monotonic()
                samples = []
                for line in lines:
                    value = json.loads(line)
                    if "result" in value:
                        break
                    samples.append(value)
                    seen, then = kernel(), time.monotonic()
            truth = 100 * (seen - before) / (then - at) / 0.2
            reported = statistics.mean(sample["cpu_percent"] for sample in samples)
            bench.figure(
                f"quota 0.2 CPU, requested {load} % of it: reported against the kernel's",
                abs(reported - truth),
                1.0,
                "points",
                note=f"reported {reported:.2f} %, {samples[0]['source']} {truth:.2f} %, achieved"
                f" {value['result']['achieved']['load']:.2f} %, throttled {value['result']['throttled']:.2f} s",
            )
    finally:
        server.stop()


def _health(bench: Bench) -> None:
    """p50 of /healthz while four burners run, against idle, in turns."""
    server = FunctionServer("stress")
    ratios = []
    try:
        for _ in range(ROUNDS):
            idle = _p50(server)
            with _burning(server) as first, _burning(server) as second:
                next(first.iter_lines())
                next(second.iter_lines())
                ratios.append((_p50(server), idle))
            time.sleep(0.3)
    finally:
        server.stop()
    bench.ratios("health p50 beside 4 burners, against idle", ratios, 1.5, "ms")


def _burning(server: FunctionServer) -> requests.Response:
    """Two burners at full load, until the answer is closed."""
    cores = min(2, len(os.sched_getaffinity(0)))
    return requests.post(f"{server.url}/?seconds=30&load=100&cores={cores}&format=ndjson", stream=True, timeout=60)


def _p50(server: FunctionServer) -> float:
    times = []
    for _ in range(REQUESTS):
        began = time.perf_counter()
        assert server.get("/healthz").status_code == 200
        times.append(1000 * (time.perf_counter() - began))
        time.sleep(0.001)
    return statistics.median(times)


def run(bench: Bench) -> None:
    """Print every figure of the stress function."""
    bench.note(f"load average {os.getloadavg()[0]:.2f} on {len(os.sched_getaffinity(0))} cores at the start")
    for load in LOADS:
        rounds = [_ours(load, SECONDS) for _ in range(ROUNDS)]
        achieved, waited = (statistics.median(values) for values in zip(*rounds, strict=True))
        # What others took is made up only while there is time left that was not asked for.
        available = load + waited < 98
        bench.figure(
            f"requested {load} % of a core for {SECONDS:g} s: off by",
            [abs(one - load) for one, _ in rounds],
            0.5 if available else None,
            "points",
            note=f"achieved {achieved:.3f} %, waited for the core {waited:.1f} % of the time"
            + ("" if available else ": it was not available"),
        )
    _profile(bench)
    _shared(bench)
    _in_a_cgroup(bench)
    _health(bench)
