"""Dates and times of metadata as ISO 8601: only those that exist in the calendar."""

from __future__ import annotations

import re
from calendar import monthrange

_DATE = re.compile(
    r"(\d{4})[:\-/.](\d{1,2})[:\-/.](\d{1,2})(?:[ T](\d{1,2}):(\d{1,2})(?::(\d{1,2}))?(\.\d+)?)?\s*(Z|[+-]\d\d:?\d\d)?"
)
_OFFSET = re.compile(r"([+-])(\d\d):?(\d\d)|Z")
MAX_HOURS = 15


def moment(text: str, fraction: str = "", offset: str = "") -> str | None:
    """ISO 8601 of a date as Exif, XMP or a video writes it.

    None for what is no date, or none of the calendar; the date alone where no clock shows the time.

    Args:
        text: `2024:05:03 14:12:31`, `2024-05-03T14:12:31.25+02:00`, and their like.
        fraction: digits of the second's fraction, if they stand elsewhere.
        offset: from UTC, if another tag states it.
    """
    match = _DATE.match(text)
    if not match:
        return None
    year, month, day, hour, minute, second, own_fraction, own_offset = match.groups()
    if not (int(year) and 1 <= int(month) <= 12 and 1 <= int(day) <= monthrange(int(year), int(month))[1]):
        return None
    iso = f"{year}-{int(month):02d}-{int(day):02d}"
    if hour is None or int(hour) > 23 or int(minute) > 59 or int(second or 0) > 59:
        return iso
    iso += f"T{int(hour):02d}:{int(minute):02d}:{int(second or 0):02d}"
    if fraction.isascii() and fraction.isdigit():
        iso += "." + fraction
    elif own_fraction:
        iso += own_fraction
    return iso + (_offset(offset) or _offset(own_offset or ""))


def _offset(text: str) -> str:
    """An offset that a clock on earth may have; empty for any other."""
    match = _OFFSET.fullmatch(text)
    if not match:
        return ""
    if not match[1]:
        return "Z"
    return f"{match[1]}{match[2]}:{match[3]}" if int(match[2]) < MAX_HOURS and int(match[3]) < 60 else ""
