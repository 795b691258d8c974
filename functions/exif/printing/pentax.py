"""What Pentax writes in its own way: exposure steps, filters, focus points, bracketing (facts of ExifTool)."""

from __future__ import annotations

import re
from typing import Any

from functions.exif.blocks.values import Value
from functions.exif.printing.functions import text, words
from functions.exif.printing.packed import unpack
from functions.exif.tags.labels import label_set

_BRACKETS = {
    1: "WB-BA",
    2: "WB-GM",
    3: "Saturation",
    4: "Sharpness",
    5: "Contrast",
    6: "Hue",
    7: "HighLowKey",
}


def ev(v: int) -> float:
    """Steps of exposure: eight to a stop, thirds written as 3 and 5."""
    number: float = v
    if v & 1:
        sign = -1 if v < 0 else 1
        rest = v * sign & 7
        number += sign * {3: 8 / 3 - 3, 5: 16 / 3 - 5}.get(rest, 0)
    return number / 8


def focus_points(v: Value, count: int, size: int, mask: int, wanted: int | None = None) -> str:
    """The numbers of the marked focus points, each of several bits."""
    data = [int(item) for item in words(v)]
    if not data:
        return "(none)"
    per_byte = 8 // size
    found = []
    for index in range(min(count, len(data) * per_byte)):
        bits = data[index // per_byte] >> 8 - size * (index % per_byte + 1) & mask
        if bits == wanted if wanted is not None else bits:
            found.append(str(index + 1))
    return ",".join(found)


def _names() -> list[str]:
    return list(label_set("pentax", "k3iiiAF").exact.values())


def point_values(v: Value) -> str:
    """The values of the focus points of the K-3 Mark III, those of both directions together."""
    values: list[Any] = words(v)
    names, found = _names(), []
    for index, item in enumerate(values):
        if not item:
            continue
        other = values[index + 28] if index + 28 < len(values) else 0
        point = f"{names[index]}=" if index < len(names) else f"{names[index - 28]}=/"
        found.append(f"{point}{item}" + (f"/{other}" if other else ""))
        if other:
            values[index + 28] = 0
    return ",".join(sorted(found)) or "(none)"


def point_names(v: Value, wanted: int | None = None) -> str:
    """The names of the focus points of the K-3 Mark III that are marked."""
    names = _names()
    marked = [index for index, item in enumerate(words(v)) if (item == wanted if wanted is not None else item)]
    found = [names[index] if index < len(names) else f"Unknown({index})" for index in marked]
    return ",".join(sorted(found)) or "(none)"


def areas(v: Any) -> Any:
    """The focus areas of the K-3 Mark III: place, and what each is."""
    values = [int(item) for item in words(v)]
    if not values:
        return "(none)"
    found = []
    for at in range(0, len(values) - 6, 7):
        flags = values[at + 6]
        kinds = ["central"] * bool(flags & 0x10) + ["peripheral"] * (not flags & 8) + ["in-focus"] * bool(flags & 4)
        found.append(f"{values[at + 2]},{values[at + 3]}" + (f"({','.join(kinds)})" if kinds else ""))
    return found


def shutter_count(v: int, date: Any, time: Any) -> int | None:
    """The count of releases, which the date and time of the picture hide."""
    if date is None or time is None or len(date) != 4 or len(time) < 3:
        return None
    day = int.from_bytes(date.encode("latin-1"), "big")
    moment = int.from_bytes((time + "\0").encode("latin-1")[:4], "big")
    return int(v ^ day ^ (0xFFFFFFFF - moment)) & 0xFFFFFFFF


def digital_filter(v: Value) -> list[str]:
    """A filter and its settings."""
    numbers = [int(item) for item in words(v)]
    found = [label_set("pentax", "filterNames").get(numbers[0]) or f"Unknown ({numbers[0]})"]
    settings = label_set("pentax", "filterSettings").exact
    for number, value in zip(numbers[1::2], numbers[2::2], strict=False):
        if not number:
            continue
        name, _, rule = settings.get(number, "").partition(" ")
        if not name:
            found.append(f"Unknown({number})={value}")
        elif rule.startswith("%"):
            found.append(f"{name}={rule % value if value else value}")
        else:
            named = dict(pair.split("=") for pair in rule.split(","))
            found.append(f"{name}={named.get(str(value), f'Unknown({value})')}")
    return found


def colour_temperature(v: Value) -> str:
    """A colour temperature, and shifts to blue and magenta in the two halves of a byte."""
    data = text(v)
    if len(data) != 4:
        return data
    kelvin, _, both = unpack("nCC", data)
    first, second = both & 15, both >> 4
    return f"{53190 - kelvin} {first - 16 if first >= 8 else first} {second - 16 if second >= 8 else second}"


def signed(v: Value) -> str:
    """Shifts with their signs."""
    return re.sub(" 0", "  0", re.sub(" ([1-9])", r" +\1", text(v)))


def kelvin(v: Value) -> str:
    """A white balance: its temperature, and factors of the colours."""
    first, second, red, blue = words(v)[:4]
    return f"{53190 - first} {second} {text(red / 8192)} {text(blue / 8192)}"


def firmware(v: Value) -> str:
    """A version whose bits are inverted."""
    data = text(v)
    return (
        "{} {:02d} {:02d} {:02d}".format(*(byte ^ 255 for byte in data.encode("latin-1"))) if len(data) == 4 else data
    )


def bracketing(v: Value) -> str:
    """The steps of bracketing, and the bracketed setting."""
    parts = words(v)
    shown = [text(parts[0])]
    if parts[0] and "/" not in shown[0]:
        shown[0] = f"{float(parts[0]):.1f}"
    if len(parts) > 1:
        kind = int(parts[1]) >> 8
        named = f"{_BRACKETS.get(kind, f'Unknown({kind})')}+{int(parts[1]) & 255}"
        shown.append(named if parts[1] else "No Extended Bracket")
    return " EV, ".join(shown)


def steps(v: int) -> Value:
    """A step of bracketing in several notations."""
    if v < 10:
        return v / 3
    if v < 20:
        return v - 9.5
    if v & 0x1000:
        return f"{v - 0x1000}/2"
    return f"{v - 0x2000}/3" if v & 0x2000 else v


def metering(v: Value) -> str:
    """Exposure values of the metering's segments."""
    return " ".join("n/a" if item == 255 else "0" if not item else f"{item / 8 - 6:.1f}" for item in words(v))


def lens(v: Value, at: int) -> str:
    """A lens's series, and its number with the high byte first."""
    parts = [int(item) for item in words(v)]
    return f"{parts[0] & 15} {parts[at] * 256 + parts[at + 1]}"


def lens_name(v: Any) -> str | None:
    """A lens whose series is written in another way than in the list."""
    names = label_set("pentax", "lens:pentax")
    series, _, number = text(v).partition(" ")
    for instead, mark in {"4": (("7", ""),), "7": (("8", " ?"),), "11": (("13", " ?"),), "13": (("11", " ?"),)}.get(
        series, ()
    ):
        name = names.get(f"{instead} {number}")
        if name:
            return f"{name}{mark} ({v})"
    return None


def made(v: Any) -> str:
    """The day that a camera was made; some leave the first digits of the year off."""
    match = re.fullmatch(r"(\d{4}|\d)(\d\d)(\d\d)", text(v))
    if match is None:
        return f"Unknown ({v})"
    year = match[1] if len(match[1]) == 4 else f"200{match[1]}"
    return f"{year}:{match[2]}:{match[3]}"
