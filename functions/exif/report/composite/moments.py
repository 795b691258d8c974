"""Dates put together of several tags."""

from __future__ import annotations

import re
from collections.abc import Callable

from functions.exif.report.composite.lookup import Shown, Tags


def moment(date: str, fraction: str, offset: str) -> Callable[[Tags], Shown | None]:
    """A date with its fraction and offset, where it has one of them."""
    own, main = f"ExifIFD:{date}", f"IFD0:{date}"

    def derive(tags: Tags) -> Shown | None:
        found = tags.find(own) or tags.find(main)
        if found is None:
            return None
        part = _DIGITS.match(tags.text(fraction).strip())
        zone = _OFFSET.match(tags.text(offset).strip())
        value = written = str(found.value)
        if part is not None:
            value = _CLOCK.sub(rf"\g<1>.{part[0]}", value, count=1)
        if zone is not None and "-" not in written and "+" not in written:
            value += f"{zone[1]}{int(zone[2]):02d}:{zone[3]}"
        return None if value == written else (value, value)

    return derive


_DIGITS, _OFFSET = re.compile(r"\d+"), re.compile(r"([-+])(\d{1,2}):(\d{2})")


_CLOCK = re.compile(r"( \d{2}:\d{2}:\d{2})(?!\.\d+)")


def joined(group: str, date: str, time: str) -> Callable[[Tags], Shown | None]:
    """A date and a time of two tags."""

    def derive(tags: Tags) -> Shown | None:
        first, second = tags.find(f"{group}:{date}"), tags.find(f"{group}:{time}")
        if first is None or second is None:
            return None
        text = f"{first.value} {second.value}"
        return text, text

    return derive


def original(tags: Tags) -> Shown | None:
    """DateTimeOriginal of IPTC's date and time where no other tag has it."""
    if tags.find("DateTimeOriginal") is not None or not (tags.find("DateCreated") and tags.find("TimeCreated")):
        return None
    text = tags.text("DateTimeCreated") or f"{tags.text('DateCreated')} {tags.text('TimeCreated')}"
    return text, text


def satellites(tags: Tags) -> Shown | None:
    """Date and time of the satellites."""
    date, time = tags.find("GPS:GPSDateStamp"), tags.find("GPS:GPSTimeStamp")
    if date is None or time is None:
        return None
    text = f"{date.value} {time.value}Z"
    return text, text
