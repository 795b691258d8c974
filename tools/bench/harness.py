"""How the benchmarks measure: pairs in turns, medians of ratios, CPU as the kernel accounts it."""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

TICKS = os.sysconf("SC_CLK_TCK")
Work = Callable[[], object]


@dataclass(frozen=True)
class Figure:
    """One measured ratio or value.

    Attributes:
        name: what was measured, and against what.
        unit: of the value; `×` for a ratio.
        median: of all pairs, which the bound is about.
        worst: of them.
        pairs: how many.
        bound: largest or smallest value allowed; None for no bound.
        at_most: whether the bound is an upper one.
        how: both medians, and what was counted.
    """

    name: str
    unit: str
    median: float
    worst: float
    pairs: int
    bound: float | None = None
    at_most: bool = True
    how: str = ""

    @classmethod
    def of(cls, name: str, values: Sequence[float], unit: str, bound: float | None, at_most: bool, how: str) -> Figure:
        """The figure of several values."""
        worst = max(values) if at_most else min(values)
        return cls(name, unit, statistics.median(values), worst, len(values), bound, at_most, how)

    @property
    def met(self) -> bool:
        """Whether the median is within the bound."""
        return self.bound is None or (self.median <= self.bound if self.at_most else self.median >= self.bound)

    @property
    def limit(self) -> str:
        """The bound as text, empty without one."""
        return "" if self.bound is None else f"{'≤' if self.at_most else '≥'} {self.bound:g}"


@dataclass
class Bench:
    """Collects figures by area and prints each as it comes.

    Attributes:
        smoke: whether one pair of each comparison is enough: nothing counts but that each area runs.
        areas: the figures of each area.
    """

    smoke: bool = False
    areas: dict[str, list[Figure]] = field(default_factory=dict)

    @property
    def failed(self) -> list[str]:
        """The names of figures whose median misses its bound."""
        return [figure.name for figures in self.areas.values() for figure in figures if not figure.met]

    def begin(self, area: str) -> None:
        """Begin an area: the figures that follow are its own."""
        self.areas[area] = []
        self.section(area)

    def section(self, title: str) -> None:
        """Print a heading."""
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
        for turn in range(2 if self.smoke else rounds + 1):
            times = {}
            for work in (ours, peer) if turn % 2 else (peer, ours):
                before = clock()
                work()
                times[work] = (clock() - before) * 1000
            if turn:
                pairs.append((times[ours], times[peer]))
        return self.ratios(name, pairs, bound, f"ms {metric}", at_most)

    def ratios(
        self, name: str, pairs: list[tuple[float, float]], bound: float | None, unit: str, at_most: bool = True
    ) -> float:
        """The median ratio of pairs that were measured elsewhere, such as whole processes."""
        mine, theirs = (statistics.median(values) for values in zip(*pairs, strict=True))
        how = f"{mine:.4g} / {theirs:.4g} {unit}"
        return self._add(Figure.of(name, [a / b for a, b in pairs], "×", bound, at_most, how))

    def figure(
        self,
        name: str,
        value: float | Sequence[float],
        bound: float | None,
        unit: str,
        at_most: bool = True,
        note: str = "",
    ) -> None:
        """A figure that has no peer, against its bound: one value, or those of several rounds."""
        values = value if isinstance(value, Sequence) else [value]
        self._add(Figure.of(name, values, unit, bound, at_most, note))

    def note(self, text: str) -> None:
        """A line of explanation, such as what could not be measured here and why."""
        print(f"  · {text}", flush=True)

    def _add(self, figure: Figure) -> float:
        if not self.areas:
            self.areas["bench"] = []
        next(reversed(self.areas.values())).append(figure)
        shown = f"{figure.median:.4g} {figure.unit}"
        worst = f"worst of {figure.pairs}: {figure.worst:.4g}" if figure.pairs > 1 else ""
        verdict = f"{figure.limit} {'met' if figure.met else 'MISSED'}" if figure.limit and not self.smoke else ""
        print(f"  {figure.name:<64} {shown:<16} {worst:<22} {verdict:<16} {figure.how}", flush=True)
        return figure.median


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
