"""A soak: all three functions under mixed load for minutes, a pod killed now and then, and nothing may grow.

What is held: no wrong answer but those of requests in a pod that was being killed; the engine's and the pods' memory
flat after the warm-up; open files flat; no child of a burn left, and no process at all after the end.
"""

from __future__ import annotations

import io
import os
import random
import signal
import statistics
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

from PIL import Image

from tests.chaos.processes import below, resident
from tests.chaos.traffic import Ask, Traffic
from tests.engines import EngineProcess, service

EVERY_SECONDS = 2.0
KILL_SECONDS = 20.0
# A request that was in a killed pod ends at once; one in its queue is sent again.
KILL_SHADOW = 3.0
SLOPE_MIB_PER_HOUR = 60.0
GROWTH_MIB = 8.0
FILES = 40


@dataclass
class Report:
    """What a soak came to; `broken` has a line for each promise that was."""

    requests: int = 0
    failed: int = 0
    kills: int = 0
    lines: list[str] = field(default_factory=list)
    broken: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Sample:
    """Engine and pods at one moment: seconds, MiB and open files of the engine, MiB by pod, burners."""

    at: float
    engine: float
    files: int
    pods: dict[int, float]
    burners: int


def asks() -> list[Ask]:
    """The mix: images of three sizes to histogram and exif, waits and short burns to stress."""
    mixed = []
    for size in (64, 256, 1024):
        buffer = io.BytesIO()
        Image.effect_noise((size, size), 50).save(buffer, "PNG")
        data = buffer.getvalue()
        mixed += [
            Ask("POST", "/histogram", data, check=lambda answer: b'"histogram"' in answer),
            Ask("POST", "/exif", data, check=lambda answer: b'"format"' in answer),
        ]
    return [
        *mixed,
        Ask("POST", "/stress?sleep_ms=20", check=lambda answer: b'"completed"' in answer),
        Ask("POST", "/stress?seconds=0.1&load=20&memory_mb=4", check=lambda answer: b'"completed"' in answer),
        Ask("GET", "/stress/cpu"),
        Ask("GET", "/exif/healthz"),
    ]


def is_burner(pid: int) -> bool:
    """Whether a process is a child of a burn."""
    try:
        return b"stress.burner" in Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return False


def sample(engine: EngineProcess, began: float) -> Sample:
    """One look."""
    pods = {}
    for name in ("histogram", "exif", "stress"):
        for pod in engine.pods(name=name):
            workers = [pid for pid in below(int(pod["pid"])) if not is_burner(pid)]
            pods[int(pod["pid"])] = resident(int(pod["pid"])) + sum(map(resident, workers))
    burning = sum(is_burner(pid) for pid in below(engine.process.pid))
    files = len(list(Path(f"/proc/{engine.process.pid}/fd").iterdir()))
    return Sample(time.monotonic() - began, resident(engine.process.pid), files, pods, burning)


def slope(points: list[tuple[float, float]]) -> float:
    """MiB an hour, by Theil and Sen: the median of all pairs' slopes, which single kills do not move."""
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
    services = [
        service(
            name,
            command=[sys.executable, "-m", "functions.kit.server", name],
            annotations={"min-scale": "1", "max-scale": "2"},
            concurrency=8,
            environment={f"{name.upper()}_LOG_FORMAT": "json", "STRESS_CPU_SECONDS_PER_MINUTE": "100000"},
        )
        for name in ("histogram", "exif", "stress")
    ]
    chance = random.Random(11)
    engine = EngineProcess(folder, *services)
    samples: list[Sample] = []
    kills: list[float] = []
    try:
        for name in ("histogram", "exif", "stress"):
            engine.wait(lambda name=name: engine.pods(name=name), f"a pod of {name}", 60)
        began = time.monotonic()
        with Traffic(engine.port, asks(), 4, 0.02) as traffic:
            while (now := time.monotonic() - began) < minutes * 60:
                time.sleep(EVERY_SECONDS)
                samples.append(sample(engine, began))
                engine.lines.clear()
                # None near the end, so that the last pods have time to show their slope.
                if now - (kills[-1] - began if kills else 0) > KILL_SECONDS and now < minutes * 60 - KILL_SECONDS:
                    victims = engine.pods(name=chance.choice(["histogram", "exif", "stress"]))
                    if victims:
                        kills.append(time.monotonic())
                        os.killpg(os.getpgid(int(chance.choice(victims)["pid"])), signal.SIGKILL)
        time.sleep(1.5)
        left = sample(engine, began).burners
        everything = [engine.process.pid, *below(engine.process.pid)]
    finally:
        engine.stop()
    time.sleep(0.5)
    report.requests, report.kills = len(traffic.outcomes), len(kills)
    failed = traffic.wrong()
    report.failed = len(failed)
    outside = [one for one in failed if not any(kill - 0.5 <= one.ended <= kill + KILL_SHADOW for kill in kills)]
    warm = [one for one in samples if one.at > minutes * 12]
    _judge(report, warm, outside, left, [pid for pid in everything if Path(f"/proc/{pid}").exists()])
    return report


def _judge(report: Report, warm: list[Sample], outside: list[object], left: int, alive: list[int]) -> None:
    say, broken = report.lines.append, report.broken.append
    say(
        f"{report.requests:,} requests, {report.kills} pods killed, {report.failed} failed, "
        f"{len(outside)} without a kill"
    )
    if outside:
        broken(f"{len(outside)} requests failed without a kill, such as {outside[0]}")
    _flat(report, "engine", [(one.at, one.engine) for one in warm])
    for pid in {pid for one in warm for pid in one.pods}:
        points = [(one.at, one.pods[pid]) for one in warm if one.pods.get(pid)]
        # A pod that lived for less than a third of the time is still warming up.
        if len(points) > len(warm) / 3:
            _flat(report, f"pod {pid}", points[len(points) // 5 :])
    files = [one.files for one in warm]
    say(f"engine: {min(files)} to {max(files)} open files")
    if max(files) - min(files) > FILES:
        broken(f"open files of the engine went from {min(files)} to {max(files)}")
    if left:
        broken(f"{left} burners live after the last request")
    if alive:
        broken(f"processes {alive} live after the engine's end")
    say(f"{left} burners after the last request, {len(alive)} processes after the end")


def _flat(report: Report, name: str, points: list[tuple[float, float]]) -> None:
    growth = slope(points)
    first = statistics.median(value for _, value in points[: max(1, len(points) // 5)])
    last = statistics.median(value for _, value in points[-max(1, len(points) // 5) :])
    report.lines.append(f"{name}: {first:.1f} MiB, then {last:.1f} MiB, slope {growth:+.1f} MiB/h")
    # A slope over minutes is mostly noise: it counts only where memory has really grown.
    if growth > SLOPE_MIB_PER_HOUR and last - first > GROWTH_MIB:
        report.broken.append(f"{name} grew from {first:.1f} to {last:.1f} MiB")
