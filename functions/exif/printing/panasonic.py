"""What Panasonic and Leica write in their own way: serial numbers, times, colour temperatures (facts of ExifTool)."""

from __future__ import annotations

import re

from functions.exif.blocks.values import Value
from functions.exif.printing.functions import fmt, text, words
from functions.exif.tags.labels import label_set


def serial(v: Value, model: str = ".{3}") -> str:
    """A body's number: its model by a pattern, the day it was made, and a count."""
    match = re.match(rf"({model})(\d\d)(\d\d)(\d\d)(\d{{4}})", text(v))
    if match is None:
        return text(v)
    kind, year, month, day, number = match.groups()
    return f"({kind}) {int(year) + (2000 if int(year) < 70 else 1900)}:{month}:{day} no. {number}"


def powered(v: float) -> str:
    """Time since the camera was switched on."""
    days, rest = divmod(float(v), 86400)
    hours, rest = divmod(rest, 3600)
    minutes, seconds = divmod(rest, 60)
    if f"{seconds:05.2f}" == "60.00":
        seconds, minutes = 0.0, minutes + 1
        if minutes >= 60:
            minutes, hours = minutes - 60, hours + 1
    start = f"{int(days)} days " if v >= 86400 else ""
    return f"{start}{int(hours):02d}:{int(minutes):02d}:{seconds:05.2f}"


def point(v: Value) -> str:
    """A focus point, in parts of the picture's size."""
    if v == "16777216 16777216":
        return "none"
    if text(v).startswith("4194303.9"):
        return "n/a"
    return fmt("%.2g %.2g", *words(v)[:2])


def lens(v: Value) -> str | None:
    """A Leica lens by its number alone."""
    first, space, _ = text(v).partition(" ")
    return label_set("panasonic", "leicaLensTypes").get(first) if space else None


def kelvin(v: int) -> str | None:
    """A white balance as a colour temperature."""
    return f"{v - 0x8000} Kelvin" if v > 0x8000 else None
