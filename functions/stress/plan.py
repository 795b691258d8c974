"""What is asked for, checked against what this container may give: from parameters to a plan."""

from __future__ import annotations

import math
import random
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from functions.kit.http.problems import bad_option, busy, quantity
from functions.kit.http.settings import Settings, setting

MEBI = 2**20
CORE, QUOTA = "core", "quota"
NICE, NICEST = 10, 19


@dataclass(frozen=True, kw_only=True)
class StressSettings(Settings):
    """How much load one container will let itself be put under."""

    max_seconds: float = setting(60, minimum=0.1, maximum=600, unit="s", help="longest burn, hold, sleep or stream")
    max_cores: int = setting(
        0, minimum=0, maximum=1024, unit="cores", help="most cores of one burn; 0: the CPU quota, rounded up"
    )
    max_memory_mb: int = setting(
        0, minimum=0, maximum=2**20, unit="MiB", help="most memory of one request; 0: half of what is free"
    )
    burns: int = setting(8, minimum=1, maximum=1000, unit="requests", help="burns at the same time; beyond: 429")
    cpu_seconds_per_minute: float = setting(
        240, minimum=1, maximum=100_000, unit="s", help="CPU time that may be asked for in a minute; beyond: 429"
    )


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
class Plan:
    """One request, decided.

    Attributes:
        seconds: length of the burn; 0 burns nothing.
        load: percent, as asked, of a core or of the quota.
        relative_to: `core` or `quota`.
        cores: processes that burn.
        share: what each of them uses of a core, 0 to 1.
        memory: bytes to hold.
        hold: seconds to hold them.
        wait: seconds to wait before anything else, without using CPU.
        nice: niceness added to the server's own; 0 competes with it, 19 gives way to everything.
    """

    seconds: float
    load: float
    relative_to: str
    cores: int
    share: float
    memory: int = 0
    hold: float = 0.0
    wait: float = 0.0
    nice: int = NICE

    @property
    def cpu_seconds(self) -> float:
        """CPU time that the whole burn uses if nothing stands in its way."""
        return self.seconds * self.share * self.cores

    @property
    def duration(self) -> float:
        """Seconds from beginning to end, without the wait."""
        return max(self.seconds, self.hold)

    def asked(self) -> dict[str, Any]:
        """The request as it was understood, for the answer."""
        return {
            "seconds": self.seconds,
            "load": self.load,
            "relative_to": self.relative_to,
            "cores": self.cores,
            "cpu_seconds": round(self.cpu_seconds, 6),
            "memory_mb": self.memory // MEBI,
            "hold": self.hold,
            "sleep_ms": round(self.wait * 1000, 3),
            "nice": self.nice,
        }


def decide(options: Mapping[str, Any], room: Room, settings: StressSettings) -> Plan:
    """The plan for a request.

    Args:
        options: the parameters by name: seconds, load (percent), cores, relative_to, memory_mb (MiB), hold (seconds),
            sleep_ms, jitter_ms, seed, nice. None where not given.
        room: what the container may use.
        settings: the caps.

    Raises:
        Problem: 400 for more than a cap allows at any time, 503 for memory that is not free at the moment.
    """
    burns = any(options[name] is not None for name in ("seconds", "load", "cores")) or options["relative_to"] != CORE
    only_waits = not burns and (options["sleep_ms"] or options["jitter_ms"] or options["memory_mb"])
    seconds = 0.0 if only_waits else _default(options["seconds"], min(10.0, settings.max_seconds))
    memory = (options["memory_mb"] or 0) * MEBI
    if options["hold"] and not memory:
        raise bad_option("hold", "there is no memory to hold: give memory_mb too")
    hold = _default(options["hold"], seconds) if memory else 0.0
    wait = ((options["sleep_ms"] or 0.0) + _jitter(options["jitter_ms"] or 0.0, options["seed"])) / 1000
    for name, value in (("seconds", seconds), ("hold", hold), ("sleep_ms", wait)):
        if value > settings.max_seconds:
            _too_much(name, value, settings.max_seconds, "s", settings.variable("max_seconds"))
    cores, share = _cores(options, room.quota, settings)
    _check_memory(memory, room, settings)
    load = _default(options["load"], 100.0)
    return Plan(seconds, load, options["relative_to"], cores, share, memory, hold, wait, options["nice"])


def _cores(options: Mapping[str, Any], quota: float, settings: StressSettings) -> tuple[int, float]:
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
        said = settings.variable("max_cores") if settings.max_cores else f"the CPU quota of {quota:g}, rounded up"
        _too_much("cores", cores, limit, "cores", said)
    if load > 1 + 1e-9:
        raise bad_option(
            "cores",
            f"{asked:g} % of a quota of {quota:g} cores is more than {cores} can give; "
            f"ask for {math.ceil(asked / 100 * quota)} cores",
        )
    return cores, min(load, 1.0)


def _check_memory(memory: int, room: Room, settings: StressSettings) -> None:
    if settings.max_memory_mb and memory > settings.max_memory_mb * MEBI:
        _too_much("memory_mb", memory // MEBI, settings.max_memory_mb, "MiB", settings.variable("max_memory_mb"))
    if room.memory_total is not None and memory > room.memory_total // 2:
        _too_much("memory_mb", memory // MEBI, room.memory_total // 2 // MEBI, "MiB", "half of all the memory")
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
    return random.Random(seed).uniform(0, longest) if longest else 0.0  # noqa: S311 - it only spreads load


def _default(value: Any, default: Any) -> Any:
    return default if value is None else value
