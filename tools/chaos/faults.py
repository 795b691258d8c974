"""Faults by name: a process, disk, port or clock fails under load; no accepted request or event is lost."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from tools.chaos import outages, shortages
from tools.chaos.scene import Seen

FAULTS: dict[str, Callable[[Path], Seen]] = {
    fault.__name__: fault
    for fault in (
        outages.pod_killed,
        outages.pod_hung,
        outages.engine_killed,
        outages.slow_start,
        outages.flapping,
        outages.port_taken,
        shortages.full_disk,
        shortages.out_of_memory,
        shortages.clock_jump,
    )
}
