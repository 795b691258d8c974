"""Cron schedules as PingSource takes them: parsed, and the next time that they name.

The grammar is that of the Go library robfig/cron v3 with its optional field of seconds and its descriptors. `@every` is
refused, as Knative refuses it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta, tzinfo
from typing import NamedTuple
from zoneinfo import ZoneInfo


class _Field(NamedTuple):
    name: str
    low: int
    high: int
    names: tuple[str, ...] = ()


_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_DAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
_FIELDS = (
    _Field("second", 0, 59),
    _Field("minute", 0, 59),
    _Field("hour", 0, 23),
    _Field("day of month", 1, 31),
    _Field("month", 1, 12, _MONTHS),
    _Field("day of week", 0, 6, _DAYS),
)
_DESCRIPTORS = {
    **dict.fromkeys(("@yearly", "@annually"), "0 0 0 1 1 *"),
    "@monthly": "0 0 0 1 * *",
    "@weekly": "0 0 0 * * 0",
    **dict.fromkeys(("@daily", "@midnight"), "0 0 0 * * *"),
    "@hourly": "0 0 * * * *",
}
DEFAULT = "* * * * *"  # of a PingSource without a schedule
_YEARS = 5
"""How far `Schedule.after` looks: a schedule that names no time within five years, such as 30 February, names none."""


@dataclass(frozen=True)
class Schedule:
    """The times that a cron expression names.

    Attributes:
        sets: allowed seconds, minutes, hours, days of the month, months and days of the week (0 is Sunday).
        any_day: the day of the month, and the day of the week, is `*` or `?`. A date fits if both fit; where neither is
            open, one suffices.
        zone: the time zone of the times.
    """

    sets: tuple[frozenset[int], ...]
    any_day: tuple[bool, bool]
    zone: tzinfo

    def after(self, moment: datetime) -> datetime | None:
        """Return the first time after a moment, with a time zone, or None if no time matches within five years.

        A local time that a change to summer time skips is skipped.
        """
        seconds, minutes, hours = (sorted(part) for part in self.sets[:3])
        local = moment.astimezone(self.zone).replace(microsecond=0) + timedelta(seconds=1)
        for day in self._days(local):
            today = day.date() == local.date()
            for hour in (hour for hour in hours if not today or hour >= local.hour):
                for minute, second in ((minute, second) for minute in minutes for second in seconds):
                    found = day.replace(hour=hour, minute=minute, second=second)
                    exists = datetime.fromtimestamp(found.timestamp(), self.zone).hour == hour
                    if exists and found.timestamp() > moment.timestamp():
                        return found
        return None

    def _days(self, local: datetime) -> Iterator[datetime]:
        day = local.replace(hour=0, minute=0, second=0, fold=0)
        _, _, _, dates, months, weekdays = self.sets
        for _ in range(_YEARS * 366):
            fits = day.day in dates, day.isoweekday() % 7 in weekdays
            if day.month in months and (all(fits) if any(self.any_day) else any(fits)):
                yield day
            day += timedelta(days=1)


def parse(text: str, zone: str = "") -> Schedule:
    """Parse a cron expression of five fields, of six with seconds first, or a descriptor such as `@hourly`.

    Args:
        text: the expression; `CRON_TZ=zone` or `TZ=zone` before it names its time zone.
        zone: the time zone, if the expression names none; UTC by default.

    Raises:
        LookupError: there is no such time zone.
        ValueError: the text is no such expression.
    """
    named = re.match(r"(?:CRON_TZ|TZ)=(\S+)\s+", text)
    if named:
        zone, text = zone or named[1], text[named.end() :]
    place = _zone(zone or "UTC")
    text = text.strip()
    if not text:
        raise ValueError("empty spec string")
    if text.startswith("@"):
        if text not in _DESCRIPTORS:
            raise ValueError(f"unrecognized descriptor: {text}")
        text = _DESCRIPTORS[text]
    words = text.split()
    if len(words) not in {5, 6}:
        raise ValueError(f"expected 5 to 6 fields, found {len(words)}: [{' '.join(words)}]")
    words = ["0"] * (6 - len(words)) + words
    sets = tuple(_set(word, field) for word, field in zip(words, _FIELDS, strict=True))
    days, weekdays = (any(re.fullmatch(r"[*?](/0*1)?", part) for part in words[index].split(",")) for index in (3, 5))
    return Schedule(sets, (days, weekdays), place)


def _zone(name: str) -> tzinfo:
    try:
        return ZoneInfo(name)
    except (LookupError, ValueError, OSError):
        raise LookupError(f"provided bad location {name}: unknown time zone {name}") from None


def _set(text: str, field: _Field) -> frozenset[int]:
    return frozenset(value for part in text.split(",") if part for value in _range(part, field))


def _range(text: str, field: _Field) -> range:
    """The values of one range: `*`, `?`, `4`, `mon-fri`, `*/15`, `5-20/5` or `5/10`."""
    span, *steps = text.split("/")
    bounds = span.split("-")
    if len(steps) > 1:
        raise ValueError(f"too many slashes: {text}")
    if len(bounds) > 2:
        raise ValueError(f"too many hyphens: {text}")
    if bounds[0] in {"*", "?"}:
        low, high = field.low, field.high
    else:
        low = _number(bounds[0], field)
        high = _number(bounds[1], field) if len(bounds) == 2 else field.high if steps else low
    step = _number(steps[0], _Field("step", 0, 0)) if steps else 1
    if low < field.low:
        raise ValueError(f"beginning of range ({low}) below minimum ({field.low}): {text}")
    if high > field.high:
        raise ValueError(f"end of range ({high}) above maximum ({field.high}): {text}")
    if low > high:
        raise ValueError(f"beginning of range ({low}) beyond end of range ({high}): {text}")
    if step == 0:
        raise ValueError(f"step of range should be a positive number: {text}")
    return range(low, high + 1, step)


def _number(text: str, field: _Field) -> int:
    if text.lower() in field.names:
        return field.names.index(text.lower()) + field.low
    if not re.fullmatch(r"[0-9]{1,9}", text):
        raise ValueError(f"failed to parse int from {text}")
    return int(text)
