"""How the benchmarks measure: pairs in turns, medians of ratios, CPU as the kernel accounts it."""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

TICKS = os.sysconf("SC_CLK_TCK")
Work = Callable[[], object]


@dataclass
class Bench:
    """Collects figures and prints each as it comes."""

    failed: list[str] = field(default_factory=list)

    def section(self, title: str) -> None:
        """A heading between figures."""
        print(f"\n{title}", flush=True)

    def paired(
        self,
        name: str,
        ours: Work,
        peer: Work,
        bound: float | None = None,
        rounds: int = 15,
        metric: str = "cpu",
        at_most: bool = True,
    ) -> float:
        """The median of ours/peer over rounds in which both run, in changing order.

        Args:
            name: what is compared, the peer named in it.
            ours: our work.
            peer: the peer's work.
            bound: the ratio it is held to; None only prints it.
            rounds: pairs counted; one more warms up.
            metric: `cpu` (user and system time of this process) or `wall`.
            at_most: whether the bound is an upper one.
        """
        clock = time.process_time if metric == "cpu" else time.perf_counter
        pairs = []
        for turn in range(rounds + 1):
            times = {}
            for work in (ours, peer) if turn % 2 else (peer, ours):
                before = clock()
                work()
                times[work] = clock() - before
            if turn:
                pairs.append((times[ours], times[peer]))
        ratio = statistics.median(a / b for a, b in pairs)
        mine, theirs = (statistics.median(values) * 1000 for values in zip(*pairs, strict=True))
        self._say(
            name, f"{ratio:7.3f} ×", ratio, bound, at_most, f"{mine:.2f} ms / {theirs:.2f} ms {metric}, {rounds} pairs"
        )
        return ratio

    def ratios(
        self, name: str, pairs: list[tuple[float, float]], bound: float | None, unit: str, at_most: bool = True
    ) -> float:
        """The median ratio of pairs that were measured elsewhere, such as whole processes."""
        ratio = statistics.median(a / b for a, b in pairs)
        mine, theirs = (statistics.median(values) for values in zip(*pairs, strict=True))
        self._say(
            name,
            f"{ratio:7.3f} ×",
            ratio,
            bound,
            at_most,
            f"{mine:.4g} {unit} / {theirs:.4g} {unit}, {len(pairs)} pairs",
        )
        return ratio

    def figure(
        self, name: str, value: float, bound: float | None, unit: str, at_most: bool = True, note: str = ""
    ) -> None:
        """A figure that has no peer, against its bound."""
        self._say(name, f"{value:9.4g} {unit}", value, bound, at_most, note)

    def note(self, text: str) -> None:
        """A line of explanation, such as what could not be measured here and why."""
        print(f"  · {text}", flush=True)

    def _say(self, name: str, shown: str, value: float, bound: float | None, at_most: bool, how: str) -> None:
        verdict = ""
        if bound is not None:
            met = value <= bound if at_most else value >= bound
            verdict = f"{'≤' if at_most else '≥'} {bound:g} {'met' if met else 'MISSED'}"
            if not met:
                self.failed.append(name)
        print(f"  {name:<64} {shown:<16} {verdict:<18} {how}", flush=True)


def tree(pid: int) -> list[int]:
    """A process and all its living descendants."""
    found = [pid]
    for parent in found:
        for task in Path(f"/proc/{parent}/task").glob("*/children"):
            try:
                found += [int(child) for child in task.read_text().split()]
            except OSError:
                continue
    return found


def cpu_seconds(pid: int) -> float:
    """User and system time of a process tree, its dead and waited-for children included."""
    total = 0
    for one in tree(pid):
        try:
            fields = Path(f"/proc/{one}/stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        total += sum(int(value) for value in fields[11:15])
    return total / TICKS


def cpu_nanoseconds(pid: int) -> int:
    """The same for living threads alone, in nanoseconds: finer than clock ticks, for short work."""
    total = 0
    for one in tree(pid):
        for task in Path(f"/proc/{one}/task").glob("*/schedstat"):
            try:
                total += int(task.read_text().split()[0])
            except OSError:
                continue
    return total


def memory_bytes(pid: int, kind: str = "Pss") -> int:
    """Proportional set size (or another field of smaps_rollup) of a process tree."""
    total = 0
    for one in tree(pid):
        try:
            lines = Path(f"/proc/{one}/smaps_rollup").read_text().splitlines()
        except OSError:
            continue
        total += sum(int(line.split()[1]) * 1024 for line in lines if line.startswith(f"{kind}:"))
    return total
