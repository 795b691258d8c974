"""From parameters to a plan, checked against what this container may give."""

from __future__ import annotations

import math
import random
from dataclasses import dataclass, field
from typing import TypeVar

from functions.kit.http.problems import bad_option, busy, quantity
from functions.kit.http.settings import Settings, setting
from functions.kit.jsontypes import JsonMapping, JsonObject
from functions.stress import profiles
from functions.stress.curve import Curve, constant
from functions.stress.profiles import CONSTANT

MEBI = 2**20
CORE, QUOTA = "core", "quota"
NICE, NICEST = 10, 19
T = TypeVar("T")


@dataclass(frozen=True, kw_only=True)
class StressSettings(Settings):
    """Limits of the load of one container, and its faults."""

    max_seconds: float = setting(60, minimum=0.1, maximum=600, unit="s", help="longest burn, hold, sleep or stream")
    max_cores: int = setting(
        0, minimum=0, maximum=1024, unit="cores", help="most cores of one burn; 0: the CPU quota, rounded up"
    )
    max_memory_mb: int = setting(
        0, minimum=0, maximum=2**20, unit="MiB", help="most memory of one request; 0: half of what is free"
    )
    burns: int = setting(8, minimum=1, maximum=1000, unit="requests", help="burns at the same time; beyond: 429")
    cpu_seconds_per_minute: float = setting(
        240, minimum=1, maximum=100_000, unit="s", help="CPU time that may be requested in a minute; beyond: 429"
    )
    max_mb_s: float = setting(
        200, minimum=0.1, maximum=10_000, unit="MiB/s", help="fastest disk or network load of one request"
    )
    max_disk_mb: int = setting(
        256, minimum=1, maximum=2**20, unit="MiB", help="largest temporary file of one request, then written over"
    )
    faults: bool = setting(False, help="1: answer with status codes, failures, panics and unreadiness on request")
    start_seconds: float = setting(0, minimum=0, maximum=600, unit="s", help="unready for so long after the start")


@dataclass(frozen=True)
class Room:
    """What this container may use.

    Attributes:
        quota: cores.
        memory_free: bytes that can still be taken.
        memory_total: bytes in all, the container's or the machine's; None if unknown.
    """

    quota: float
    memory_free: int
    memory_total: int | None = None


@dataclass(frozen=True)
class Pressure:
    """What is loaded besides the CPU.

    Attributes:
        memory: bytes to hold.
        hold: seconds to hold them.
        leak: bytes a second by which the memory grows until all is held; 0 takes all at once.
        touch: whether every page is written again each second, so that none can be swapped out or dropped.
        disk: bytes a second to write to a temporary file.
        network: bytes a second to send over a loopback connection.
    """

    memory: int = 0
    hold: float = 0.0
    leak: float = 0.0
    touch: bool = False
    disk: float = 0.0
    network: float = 0.0


@dataclass(frozen=True)
class Plan:
    """One request, decided.

    Attributes:
        seconds: length of the burn; 0 burns nothing.
        load: percent, as requested, of a core or of the quota; the peak of a profile.
        relative_to: `core` or `quota`.
        cores: processes that burn.
        share: what each of them uses of a core at the peak, 0 to 1.
        pressure: what is loaded besides the CPU.
        wait: seconds to wait before anything else, without using CPU.
        nice: niceness added to the server's own; 0 competes with it, 19 gives way to everything.
        curve: the load over time, in shares of the peak.
        profile: name of the profile, or the levels as given.
    """

    seconds: float
    load: float
    relative_to: str
    cores: int
    share: float
    pressure: Pressure = field(default_factory=Pressure)
    wait: float = 0.0
    nice: int = NICE
    curve: Curve = field(default_factory=lambda: constant(1.0))
    profile: str = CONSTANT

    @property
    def mean(self) -> float:
        """The requested load on average, in percent."""
        return self.load * self.curve.used_by(self.seconds) / self.seconds if self.seconds else 0.0

    @property
    def cpu_seconds(self) -> float:
        """CPU time that the whole burn uses if the load is held."""
        return self.curve.used_by(self.seconds) * self.share * self.cores

    @property
    def duration(self) -> float:
        """Seconds from beginning to end, without the wait."""
        return max(self.seconds, self.pressure.hold)

    def asked(self) -> JsonObject:
        """The request as it was understood, for the answer."""
        pressure = self.pressure
        return {
            "seconds": self.seconds,
            "load": self.load,
            "mean_load": round(self.mean, 3),
            "profile": self.profile,
            "relative_to": self.relative_to,
            "cores": self.cores,
            "cpu_seconds": round(self.cpu_seconds, 6),
            "memory_mb": pressure.memory // MEBI,
            "hold": pressure.hold,
            "leak_mb_s": pressure.leak / MEBI,
            "touch": pressure.touch,
            "disk_mb_s": pressure.disk / MEBI,
            "network_mb_s": pressure.network / MEBI,
            "sleep_ms": round(self.wait * 1000, 3),
            "nice": self.nice,
        }


def decide(options: JsonMapping, room: Room, settings: StressSettings) -> Plan:
    """The plan for a request.

    Args:
        options: the parameters by name, see `functions.stress.request.PARAMETERS`. None where not given.
        room: what the container may use.
        settings: the caps.

    Raises:
        Problem: 400 for more than a cap allows at any time, 503 for memory that is not free at the moment.
    """
    shape = _shape(options)
    if shape is not None:
        options = {**options, "load": shape[1], "seconds": shape[2]}
    burns = any(options[name] is not None for name in ("seconds", "load", "cores")) or options["relative_to"] != CORE
    others = ("sleep_ms", "jitter_ms", "memory_mb", "disk_mb_s", "network_mb_s")
    only_others = not burns and options["profile"] is None and any(options[name] for name in others)
    length = min(10.0, settings.max_seconds)
    seconds = 0.0 if only_others else _default(options["seconds"], length)
    pressure = _pressure(options, seconds or (length if not options["sleep_ms"] else 0.0), settings)
    wait = ((options["sleep_ms"] or 0.0) + _jitter(options["jitter_ms"] or 0.0, options["seed"])) / 1000
    for name, value in (("seconds", seconds), ("hold", pressure.hold), ("sleep_ms", wait)):
        too_long(name, value, settings)
    cores, share = _cores(options, room.quota, settings)
    check_memory(pressure.memory, room, settings)
    load = _default(options["load"], 100.0)
    curve, profile = constant(1.0), options["levels"] or options["profile"] or CONSTANT
    if shape is not None:
        curve = shape[0]
    elif profile != CONSTANT:
        curve = profiles.named(profile, load, seconds, options)
    return Plan(seconds, load, options["relative_to"], cores, share, pressure, wait, options["nice"], curve, profile)


def _shape(options: JsonMapping) -> tuple[Curve, float, float] | None:
    """The curve of `levels` with its peak and length; None without levels.

    Raises:
        Problem: 400 for options that do not go together.
    """
    if options["levels"] is None:
        named = options["profile"] not in {None, CONSTANT}
        for name in profiles.SHAPED:
            if options[name] is not None and not named:
                raise bad_option(name, f"{name} belongs to a profile: give profile= too")
        return None
    for name in ("load", "seconds", "profile", *profiles.SHAPED):
        if options[name] is not None:
            raise bad_option(name, f"levels have their own loads and durations: leave {name} out")
    return profiles.levels(options["levels"])


def _pressure(options: JsonMapping, seconds: float, settings: StressSettings) -> Pressure:
    """What is loaded besides the CPU.

    Raises:
        Problem: 400 for options that need another, or more than a cap allows.
    """
    memory = (options["memory_mb"] or 0) * MEBI
    for name in ("leak_mb_s", "touch"):
        if options[name] and not memory:
            raise bad_option(name, f"{name} belongs to memory: give memory_mb too")
    loaded = memory or options["disk_mb_s"] or options["network_mb_s"]
    if options["hold"] and not loaded:
        raise bad_option("hold", "nothing to hold: give memory_mb, disk_mb_s or network_mb_s too")
    for name in ("disk_mb_s", "network_mb_s"):
        if (options[name] or 0) > settings.max_mb_s:
            _too_much(name, options[name], settings.max_mb_s, "MiB/s", settings.variable("max_mb_s"))
    hold = _default(options["hold"], seconds) if loaded else 0.0
    rates = ((options[name] or 0.0) * MEBI for name in ("disk_mb_s", "network_mb_s"))
    return Pressure(memory, hold, (options["leak_mb_s"] or 0.0) * MEBI, bool(options["touch"]), *rates)


def _cores(options: JsonMapping, quota: float, settings: StressSettings) -> tuple[int, float]:
    """How many processes, and what each of them uses of a core."""
    limit = settings.max_cores or math.ceil(quota)
    asked = _default(options["load"], 100.0)
    load = asked / 100
    if options["relative_to"] == CORE:
        cores = _default(options["cores"], 1)
    else:
        cores = _default(options["cores"], min(limit, math.ceil(quota)))
        load *= quota / cores
    if cores > limit:
        limited_by = settings.variable("max_cores") if settings.max_cores else f"the CPU quota of {quota:g}, rounded up"
        _too_much("cores", cores, limit, "cores", limited_by)
    if load > 1 + 1e-9:
        raise bad_option(
            "cores",
            f"{asked:g} % of a quota of {quota:g} cores is more than {cores} can give; "
            f"ask for {math.ceil(asked / 100 * quota)} cores",
        )
    return cores, min(load, 1.0)


def too_long(name: str, seconds: float, settings: StressSettings) -> None:
    """Refuse a time beyond the cap.

    Raises:
        Problem: 400.
    """
    if seconds > settings.max_seconds:
        _too_much(name, seconds, settings.max_seconds, "s", settings.variable("max_seconds"))


def check_memory(memory: int, room: Room, settings: StressSettings, name: str = "memory_mb") -> None:
    """Refuse memory beyond the cap, beyond half of all, or beyond half of what is free at the moment.

    Raises:
        Problem: 400, or 503 for what may be free later.
    """
    if settings.max_memory_mb and memory > settings.max_memory_mb * MEBI:
        _too_much(name, memory // MEBI, settings.max_memory_mb, "MiB", settings.variable("max_memory_mb"))
    if room.memory_total is not None and memory > room.memory_total // 2:
        _too_much(name, memory // MEBI, room.memory_total // 2 // MEBI, "MiB", "half of all the memory")
    if memory > room.memory_free // 2:
        raise busy(
            f"the limit is half of the memory that is free, now {quantity(room.memory_free // 2 // MEBI, 'MiB')}; "
            f"this asks for {quantity(memory // MEBI, 'MiB')}",
            5,
        )


def _too_much(name: str, actual: float, limit: float, unit: str, variable: str) -> None:
    raise bad_option(
        name,
        f"the limit is {limit:,g} {unit} ({variable}); this asks for {actual:,g} {unit}",
        limit=limit,
        actual=actual,
    )


def _jitter(longest: float, seed: int | None) -> float:
    """Up to `longest`, evenly spread; the same for the same seed."""
    return random.Random(seed).uniform(0, longest) if longest else 0.0


def _default(value: T | None, default: T) -> T:
    return default if value is None else value
