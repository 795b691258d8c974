"""What is offered over time: requests per second, or clients that wait for each answer.

A profile is written as segments, each a level and how long it lasts, in the order they happen:

    100x60s                       constant
    5x30s,20x30s,40x40s,0x30s     steps
    0..1000x5m                    a ramp
    10x60s,500x10s,10x60s         a spike
    csv:FILE                      rows of seconds,level; each level holds until the next row

Pure but for `Profile.from_csv`, which reads its file.
"""

from __future__ import annotations

import csv
from bisect import bisect_right
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from knative.local.manifests import grammar

_HIGHEST_LEVEL = 1_000_000_000


class ProfileError(ValueError):
    """A profile that cannot be read; the message names the part at fault."""


@dataclass(frozen=True)
class Segment:
    """A straight line from `first` at `start` to `last` at `end`, in seconds."""

    start: float
    end: float
    first: float
    last: float


class Profile:
    """A level over time, piecewise linear; 0 before the start and after the end."""

    def __init__(self, segments: Iterable[Segment]) -> None:
        self.segments = tuple(segments)
        if not self.segments:
            raise ProfileError("a profile needs at least one segment")
        self._starts = [segment.start for segment in self.segments]

    @property
    def duration(self) -> float:
        """Seconds until the last segment ends."""
        return self.segments[-1].end

    @property
    def peak(self) -> float:
        """The greatest level."""
        return max(max(segment.first, segment.last) for segment in self.segments)

    def at(self, now: float) -> float:
        """The level at `now`, seconds from the start."""
        index = bisect_right(self._starts, now) - 1
        if index < 0:
            return 0.0
        segment = self.segments[index]
        if now >= segment.end:
            return 0.0
        if segment.first == segment.last:
            return segment.first
        share = (now - segment.start) / (segment.end - segment.start)
        return segment.first + (segment.last - segment.first) * share

    def scaled(self, factor: float) -> Profile:
        """The same profile, every level times `factor`."""
        return Profile(replace(part, first=part.first * factor, last=part.last * factor) for part in self.segments)

    @classmethod
    def parse(cls, text: str) -> Profile:
        """Read the notation in the module's first lines.

        Raises:
            ProfileError: a segment is not `LEVELxDURATION` or `FROM..TOxDURATION`, or the file cannot be read.
        """
        if text.startswith("csv:"):
            return cls.from_csv(Path(text[4:]))
        segments: list[Segment] = []
        start = 0.0
        for part in text.split(","):
            level, separator, length = part.strip().rpartition("x")
            first, ramp, last = level.partition("..")
            try:
                if not separator:
                    raise ValueError("no duration")
                seconds = grammar.parse_duration(length) / grammar.SECOND
                levels = float(first), float(last) if ramp else float(first)
            except ValueError as error:
                raise ProfileError(f"{part!r} is not LEVELxDURATION or FROM..TOxDURATION: {error}") from None
            if seconds <= 0:
                raise ProfileError(f"{part!r}: durations must be above 0")
            segments.append(Segment(start, start + seconds, *levels))
            start += seconds
        return _checked(cls(segments))

    @classmethod
    def steps(cls, changes: Iterable[tuple[float, float]], end: float) -> Profile:
        """Levels that each hold from their time until the next one's, the last until `end`."""
        ordered = sorted(changes)
        ends = [time for time, _ in ordered[1:]] + [end]
        return cls(
            Segment(time, until, level, level)
            for (time, level), until in zip(ordered, ends, strict=True)
            if until > time
        )

    @classmethod
    def from_csv(cls, path: Path) -> Profile:
        """Rows of seconds and level, a header allowed; the last level holds as long as the one before it did.

        Raises:
            ProfileError: the file cannot be read, or a row is not two numbers.
        """
        rows: list[tuple[float, float]] = []
        try:
            with path.open(newline="") as file:
                for number, row in enumerate(csv.reader(file)):
                    if not row or (number == 0 and not row[0].strip()[:1].isdigit()):
                        continue
                    rows.append((float(row[0]), float(row[1])))
        except (OSError, ValueError, IndexError, csv.Error) as error:
            raise ProfileError(f"{path}: {error}") from None
        if not rows:
            raise ProfileError(f"{path}: no rows of seconds,level")
        last = rows[-1][0]
        previous = rows[-2][0] if len(rows) > 1 else last - 1.0
        return _checked(cls.steps(rows, last + max(last - previous, 1.0)))


def _checked(profile: Profile) -> Profile:
    """The profile itself.

    Raises:
        ProfileError: a level is out of bounds, or no number.
    """
    for part in profile.segments:
        for level in (part.first, part.last):
            if not 0 <= level <= _HIGHEST_LEVEL:
                raise ProfileError(f"level {level:g}: a level must be from 0 to {_HIGHEST_LEVEL:,}")
    return profile
