"""What Canon writes in its own way: exposure steps, firmware, focus points (facts of exifprobe, dcraw, ExifTool)."""

from __future__ import annotations

import re
from typing import Any

from functions.exif.blocks.values import Value
from functions.exif.printing.functions import text, words

_SENSITIVITIES = {0: "n/a", 14: "Auto High", 15: "Auto", 16: 50, 17: 100, 18: 200, 19: 400, 20: 800}
_RELEASES = {"a": "Alpha ", "b": "Beta ", "0": ""}
# Focus points of the EOS-1D by their codes, row by row.
_ROWS = {
    "A": (0x04, 0x06, 0x08, 0x0A, 0x0C, 0x0E, 0x10),
    "B": (0x21, 0x23, 0x25, 0x27, 0x29, 0x2B, 0x2D, 0x2F, 0x31, 0x33),
    "C": (0x40, 0x42, 0x44, 0x46, 0x48, 0x4A, 0x4C, 0x4D, 0x50, 0x52, 0x54),
    "D": (0x61, 0x63, 0x65, 0x67, 0x69, 0x6B, 0x6D, 0x6F, 0x71, 0x73),
    "E": (0x84, 0x86, 0x88, 0x8A, 0x8C, 0x8E, 0x90),
}
# Bits that stand for the points, with unused ones between the rows.
_UNUSED = {"A": 2, "B": 2, "C": 0, "D": 0, "E": 2}


def ev(v: Any) -> float:
    """Steps of exposure: 32 to a stop, thirds written as 12 and 20."""
    number = int(v)
    sign, number = (-1, -number) if number < 0 else (1, number)
    rest = number & 0x1F
    part = {0x0C: 32 / 3, 0x14: 64 / 3}.get(rest, float(rest))
    return sign * (number - rest + part) / 32


def sensitivity(v: Any) -> Any:
    """CameraISO: a number with a mark, or a code."""
    return v & 0x3FFF if v & 0x4000 else _SENSITIVITIES.get(v, f"Unknown ({v})")


def swapped(v: Value) -> str:
    """Numbers of 32 bits whose halves are exchanged."""
    return " ".join(str((item >> 16 | item << 16) & 0xFFFFFFFF) for item in words(v))


def firmware(v: Value, *places: int) -> int:
    """Which layout a record has, by where in it the firmware's version stands; 0 if nowhere."""
    shown = text(v)
    for index, place in enumerate(places, 1):
        if re.match(r"\d+\.\d+\.\d+", shown[place : place + 6]):
            return index
    return 0


def file_number(v: Any) -> int:
    """Directory and file from bits of the EOS 20D and 350D, of whose directory the highest are missing."""
    directory = (v & 0xFFC00) >> 10
    while directory < 100:
        directory += 0x40
    return int(directory * 10000 + ((v & 0x3FF) << 4) + (v >> 20 & 0x0F))


def numbered(v: Value) -> str:
    """A file number as directory and file: `100-0123`."""
    return re.sub(r"(\d+)(\d{4})", r"\1-\2", text(v), count=1)


def self_timer(v: Any) -> str:
    """Seconds of the self-timer."""
    if not v:
        return "Off"
    seconds = (v & 0xFFF) / 10
    return f"{seconds:g} s{', Custom' if v & 0x4000 else ''}"


def revision(v: Any) -> str:
    """A firmware's revision: `1.00 rev 2.01`, with a letter before it for what was not released."""
    match = re.match(r"(.)(.)(..)0?(.+)(..)$", f"{v:08x}")
    if match is None:
        return str(v)
    release, major, minor, first, second = match.groups()
    return f"{_RELEASES.get(release, f'Unknown({release}) ')}{major}.{minor} rev {first}.{second}"


def personal(v: Any) -> str:
    """A personal function: `On`, `Off`, or its own number."""
    return ("On" if v == 1 else f"On ({v})") if v else "Off"


def focus_points(v: Value) -> str:
    """The point of focus of an EOS-1D, and those in focus."""
    data = text(v).encode("latin-1")
    if len(data) != 8:
        return "Unknown"
    lit = [byte >> bit & 1 for byte in data[1:] for bit in range(8)]
    focus, points, at = "", [], 0
    for row, codes in _ROWS.items():
        at += _UNUSED[row]
        for column, number in enumerate(codes, 1):
            if number == data[0]:
                focus = f"{row}{column}"
            if lit[at]:
                points.append(f"{row}{column}")
            at += 1
    focus = focus or ("Auto" if data[0] == 0xFF else f"Unknown (0x{data[0]:02x})")
    return f"{focus} ({','.join(points)})"


def tone_curve(v: Value) -> Value:
    """Points of a tone curve: how many there are, then room for ten pairs."""
    numbers = words(v)
    count = numbers[0] if len(numbers) == 21 else 0
    if not isinstance(count, int) or not 2 <= count <= 10:
        return v
    pairs = zip(numbers[1::2], numbers[2::2], strict=True)
    return " ".join([f"({x},{y})" for x, y in pairs][:count])
