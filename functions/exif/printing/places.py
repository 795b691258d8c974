"""Printing GPS: coordinates, time and date (Exif 3.0, 4.6.7)."""

from __future__ import annotations

import re

from functions.exif.blocks.entries import VALUE, Entry
from functions.exif.blocks.values import Shown, is_number, plain, shorten, text_of
from functions.exif.tags import Rule, Tag


def _degrees(entry: Entry, _tag: Tag, _order: str) -> Shown:
    """GPS coordinates: degrees, minutes and seconds as a decimal number and as `47 deg 22' 3.18"`."""
    value = degrees(str(plain(entry)))
    if value is None:
        return "", ""
    return shorten(f"{value:.15g}"), sexagesimal(value)


def degrees(text: str) -> float | None:
    """Degrees of `47 22 3.18`; None where a part has no value."""
    if "inf" in text or "undef" in text:
        return None
    parts = [float(part) for part in text.split()[:3]]
    if not parts:
        return None
    whole, minutes, seconds = (*parts, 0.0, 0.0)[:3]
    return whole + (minutes + seconds / 60) / 60


def sexagesimal(value: float) -> str:
    """Degrees as `47 deg 22' 3.18"`, without sign."""
    value = abs(value)
    whole = int(value)
    minutes = int((value - whole) * 60)
    seconds = float(f"{(value - whole - minutes / 60) * 3600:.2f}")
    if seconds >= 60:
        seconds -= 60
        minutes += 1
        if minutes >= 60:
            minutes, whole = minutes - 60, whole + 1
    return f"{whole} deg {minutes}' {seconds:.2f}\""


def _gps_time(entry: Entry, _tag: Tag, _order: str) -> Shown:
    """Hours, minutes and seconds, the seconds with their fraction."""
    parts = [float(part) if is_number(part) else 0.0 for part in str(plain(entry)).split()[:3]]
    hours, minutes, seconds = (*parts, 0.0, 0.0, 0.0)[:3]
    total = (hours * 60 + minutes) * 60 + seconds
    whole_hours = int(total / 3600)
    total -= whole_hours * 3600
    whole_minutes = int(total / 60)
    total -= whole_minutes * 60
    text = f"{total:012.9f}"
    if float(text) >= 60:
        text = "00"
        whole_minutes += 1
        if whole_minutes >= 60:
            whole_minutes, whole_hours = whole_minutes - 60, whole_hours + 1
    else:
        text = text.rstrip("0").rstrip(".") if "." in text else text
    value = f"{whole_hours:02d}:{whole_minutes:02d}:{text}"
    if "." in text:
        short = shorten(f"{int(float(text) * 1000000 + 0.5) / 1000000:.15g}")
        text = f"0{short}" if float(short) < 10 else str(short)
    return value, f"{whole_hours:02d}:{whole_minutes:02d}:{text}"


def _gps_date(entry: Entry, _tag: Tag, _order: str) -> Shown:
    raw = entry[VALUE]
    text = text_of(raw.rstrip(b"\0")) if isinstance(raw, bytes) else str(plain(entry))
    match = re.fullmatch(r"(\d{4})[^\d]?(\d{2})[^\d]?(\d{2})", text)
    if match:
        text = ":".join(match.groups())
    return text, text


RULES: dict[str, Rule] = {
    "degrees": _degrees,
    "gps_time": _gps_time,
    "gps_date": _gps_date,
}
