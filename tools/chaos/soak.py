"""A soak: all three functions and the broker under mixed load for minutes while pods are killed.

Each function has two pods, of which the younger is killed, so that the elder shows what its memory does. What is held:
no wrong answer but those of requests in a pod that was being killed; memory and open files of the engine and of the
elder pods flat after the warm-up; every event that was accepted delivered, whatever was killed under it; no child of a
burn left, and no process at all after the end.
"""

from __future__ import annotations

import json
import os
import signal
import statistics
import sys
import time
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from functions import registry
from knative.local.check.admission import load
from tests.engines import EngineProcess, service
from tests.images import encoded, noise
from tests.servers import ROOT
from tools.chaos.processes import below, open_files, resident
from tools.chaos.traffic import Ask, Traffic

EVERY_SECONDS = 2.0
KILL_SECONDS = 20.0
# A request that was in a killed pod ends at once; one in its queue is sent again.
KILL_SHADOW = 3.0
# By how much the line through all samples after the warm-up may rise from its first to its last.
RISE_MIB = 6.0
# A process that has run for two minutes still warms up: then only what grows fast is found.
WARMING_MINUTES, WARMING_MIB = 10.0, 20.0
# Open files come and go with connections to pods; a leak of one a kill would show in thirty minutes.
FILES = 40
SETTLE_SECONDS = 60.0
FUNCTIONS = registry.names()
EVENT = {
    "ce-specversion": "1.0",
    "ce-id": "soak",
    "ce-source": "/soak",
    "ce-type": "dev.pixelamp.image.uploaded",
    "Content-Type": "image/png",
}


@dataclass
class Report:
    """The result of a soak; `broken` has a line for each broken promise."""

    lines: list[str] = field(default_factory=list)
    broken: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Sample:
    """One sample: seconds since the beginning, MiB and open files by process, pods by function, burners."""

    at: float
    memory: dict[int, float]
    files: dict[int, int]
    pods: dict[str, list[int]]
    burners: int


def asks() -> list[Ask]:
    """The mix: images of three sizes to histogram and exif, waits and short burns to stress, events to the broker."""
    mixed = []
    small = encoded(noise((48, 48)), "PNG")
    for size in (64, 256, 1024):
        data = encoded(noise((size, size)), "PNG")
        mixed += [
            Ask("POST", "/histogram", data, check=lambda answer: b'"histogram"' in answer),
            Ask("POST", "/exif", data, check=lambda answer: b'"format"' in answer),
        ]
    return [
        *mixed,
        Ask("POST", "/stress?sleep_ms=20", check=lambda answer: b'"completed"' in answer),
        Ask(
            "POST",
            "/stress?seconds=0.1&load=20&memory_mb=4",
            check=lambda answer: b'"ended":"' in answer.replace(b" ", b""),
        ),
        Ask("GET", "/stress/cpu"),
        Ask("GET", "/exif/healthz"),
        Ask("POST", "/_knative/broker/default/images", small, EVENT, check=lambda answer: True, status=202),
    ]


def is_burner(pid: int) -> bool:
    """Whether a process is a child of a burn."""
    try:
        return b"stress.burner" in Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return False


def sample(engine: EngineProcess, began: float) -> Sample:
    """One look."""
    memory, files, pods = {engine.process.pid: resident(engine.process.pid)}, {}, {}
    for name in FUNCTIONS:
        pods[name] = [int(pod["pid"]) for pod in engine.pods(name=name)]
        for pid in pods[name]:
            workers = [child for child in below(pid) if not is_burner(child)]
            memory[pid] = resident(pid) + sum(map(resident, workers))
            files[pid] = sum(map(open_files, [pid, *workers]))
    files[engine.process.pid] = open_files(engine.process.pid)
    burning = sum(is_burner(pid) for pid in below(engine.process.pid))
    return Sample(time.monotonic() - began, memory, files, pods, burning)


def slope(points: list[tuple[float, float]]) -> float:
    """Growth in MiB an hour by the Theil–Sen estimator: the median slope of all pairs, robust to single kills."""
    pairs = [
        (b - a) / (t - s) * 3600
        for i, (s, a) in enumerate(points)
        for t, b in points[i + 1 :: max(1, len(points) // 50)]
    ]
    return statistics.median(pairs) if pairs else 0.0


def soak(folder: Path, minutes: float) -> Report:
    """Run it.

    Args:
        folder: an empty one.
        minutes: how long requests go on; the first fifth warms up.
    """
    report = Report()
    engine = EngineProcess(folder, *_manifests(), arguments=("--state", str(folder / "state")))
    samples: list[Sample] = []
    kills: list[float] = []
    eldest: dict[str, int] = {}
    try:
        for name in FUNCTIONS:
            engine.wait_pods(2, name, 60)
            eldest[name] = int(engine.pods(name=name)[0]["pid"])
        began = time.monotonic()
        with Traffic(engine.port, asks(), 4, 0.02) as traffic:
            while (now := time.monotonic() - began) < minutes * 60:
                time.sleep(EVERY_SECONDS)
                samples.append(sample(engine, began))
                engine.lines.clear()
                # None near the end, so that its shadow ends before the requests do.
                if now - (kills[-1] - began if kills else 0) > KILL_SECONDS and now < minutes * 60 - KILL_SECONDS:
                    name = FUNCTIONS[len(kills) % len(FUNCTIONS)]
                    younger = [pid for pid in samples[-1].pods[name] if pid != eldest[name]]
                    if younger:
                        kills.append(time.monotonic())
                        os.killpg(os.getpgid(younger[-1]), signal.SIGKILL)
        events = _settled(engine)
        left = sample(engine, began).burners
        everything = [engine.process.pid, *below(engine.process.pid)]
    finally:
        engine.stop()
    time.sleep(0.5)
    failed = traffic.wrong()
    outside = [one for one in failed if not any(kill - 0.5 <= one.ended <= kill + KILL_SHADOW for kill in kills)]
    report.lines.append(
        f"{len(traffic.outcomes):,} requests in {minutes:g} minutes, {len(kills)} pods killed, {len(failed)} failed, "
        f"{len(outside)} without a kill"
    )
    if outside:
        report.broken.append(f"{len(outside)} requests failed without a kill, such as {outside[0]}")
    accepted = sum(outcome.status == 202 for outcome in traffic.outcomes)
    _judge_events(report, accepted, events)
    warm = [one for one in samples if one.at > minutes * 12]
    for name, pid in {"engine": engine.process.pid, **eldest}.items():
        _judge_process(report, name, pid, warm, RISE_MIB if minutes >= WARMING_MINUTES else WARMING_MIB)
    alive = [pid for pid in everything if Path(f"/proc/{pid}").exists()]
    report.lines.append(f"{left} burners after the last request, {len(alive)} processes after the end")
    if left:
        report.broken.append(f"{left} burners live after the last request")
    if alive:
        report.broken.append(f"processes {alive} live after the engine's end")
    return report


def _manifests() -> list[Mapping[str, Any]]:
    """The three functions in two pods each, and the project's own Broker and Triggers."""
    services = [
        service(
            name,
            command=[sys.executable, "-m", "functions.kit.server", name],
            annotations={"min-scale": "2", "max-scale": "3"},
            concurrency=8,
            environment={f"{name.upper()}_LOG_FORMAT": "json", "STRESS_CPU_SECONDS_PER_MINUTE": "100000"},
        )
        for name in FUNCTIONS
    ]
    return [*services, *(dict(one.data) for one in load([ROOT / "knative" / "eventing"]).resources)]


def _settled(engine: EngineProcess) -> dict[str, int]:
    """Number of deliveries by outcome, once none is pending."""
    deadline = time.monotonic() + SETTLE_SECONDS
    while True:
        with urllib.request.urlopen(f"{engine.url}/_knative/events?limit=1", timeout=10) as answer:
            totals: dict[str, int] = json.load(answer)["totals"]
        if not totals["pending"] or time.monotonic() > deadline:
            return totals
        time.sleep(0.5)


def _judge_events(report: Report, accepted: int, totals: Mapping[str, int]) -> None:
    report.lines.append(
        f"{accepted:,} events accepted, {totals['done']:,} of the deliveries still in the log done, "
        f"{totals['pending']} pending, {totals['dead']} dead, {totals['dropped']} dropped"
    )
    lost = totals["pending"] + totals["dead"] + totals["dropped"]
    if lost or not totals["done"]:
        report.broken.append(f"events were not delivered: {totals}")


def _judge_process(report: Report, name: str, pid: int, warm: list[Sample], most: float) -> None:
    memory = [(one.at, one.memory[pid]) for one in warm if one.memory.get(pid)]
    files = [one.files[pid] for one in warm if pid in one.files]
    if len(memory) < len(warm):
        report.broken.append(f"{name}: process {pid} was not there all the time")
        return
    growth = slope(memory)
    rise = growth * (memory[-1][0] - memory[0][0]) / 3600
    fifth = max(1, len(memory) // 5)
    fifths = [statistics.median(value for _, value in memory[at : at + fifth]) for at in range(0, 5 * fifth, fifth)]
    report.lines.append(
        f"{name}: {', '.join(f'{value:.1f}' for value in fifths)} MiB by fifths, slope {growth:+.1f} MiB/h; "
        f"{min(files)} to {max(files)} open files"
    )
    if rise > most:
        report.broken.append(f"{name} grew by {rise:.1f} MiB")
    quarter = max(1, len(files) // 4)
    if statistics.median(files[-quarter:]) - statistics.median(files[:quarter]) > FILES:
        report.broken.append(f"open files of {name} went from {files[0]} to {files[-1]}")
