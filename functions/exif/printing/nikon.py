"""What Nikon writes in its own way: focus points, picture controls, lens flags, intervals (facts of ExifTool)."""

from __future__ import annotations

import re
from typing import Any

from functions.exif.blocks.values import Value
from functions.exif.printing.functions import date_time, text, words
from functions.exif.printing.packed import bit_numbers, unpack
from functions.exif.tags.labels import label_set

_LENS_FLAGS = ("MF", "D", "G", "VR", "1", "FT-1", "E", "AF-P")
_MODES = {
    0: "Continuous",
    1: "Delay",
    2: "PC Control",
    3: "Self-timer",
    4: "Exposure Bracketing",
    5: "Auto ISO",
    6: "White-Balance Bracketing",
    7: "IR Control",
    8: "D-Lighting Bracketing",
    11: "Pre-capture",
}


def part(v: Value, kind: str) -> Value:
    """Three bytes as a number: the first times the second over the third."""
    first, top, bottom = unpack(kind, v)
    return first * (top / bottom) if bottom else 0


def control(v: Any, normal: str | None = "Normal", shape: str = "%+d", divisor: int = 1) -> str:
    """A setting of a picture control."""
    named = {0: normal or "Normal", 0x7F: "n/a", -128: "Auto", -127: "User"}.get(v)
    if named is not None:
        return named
    shown = v / divisor
    return shape % (int(shown) if shape.endswith("d") else shown)


def af_points(v: Value, layout: str) -> str:
    """The focus points whose bits are set, by the layout of a body."""
    names = label_set("nikon", layout)
    found = [name for bit in _bits(v) if (name := names.exact.get(bit + 1)) is not None]
    return ",".join(sorted(found, key=lambda name: (name[0], int(name[1:])))) or "(none)"


def af_grid(v: Value, columns: int) -> str:
    """The focus points whose bits are set, counted row by row."""
    return ",".join(grid_point(bit, columns) for bit in _bits(v)) or "(none)"


def _bits(v: Value) -> list[int]:
    data = bytes.fromhex(text(v))
    return [8 * index + bit for index, byte in enumerate(data) if byte for bit in range(8) if byte >> bit & 1]


def grid_point(v: int, columns: int) -> str:
    """The name of a focus point by its number, counted row by row."""
    row = int((v + 0.5) / columns) & 0xFF
    return f"{chr(65 + row)}{v - columns * row + 1}"


def beside(v: int, columns: int) -> str:
    """How far a focus point is from the centre, left or right."""
    return _from_centre(v, columns, "L of Center", "R of Center")


def above(v: int, rows: int) -> str:
    """How far a focus point is from the centre, up or down."""
    return _from_centre(v, rows, "U from Center", "D from Center")


def _from_centre(v: int, count: int, before: str, behind: str) -> str:
    centre = (count + 1) / 2
    if not v:
        return "n/a"
    if v == centre:
        return "C"
    return f"{int(centre - v)}{before}" if v < centre else f"{int(v - centre)}{behind}"


def interval(v: int, intervals: int | None, shots: int | None, frame: int | None) -> str:
    """Which interval and frame of a timer."""
    if not v:
        return "Off"
    of_shots = f" Frame {frame or 0:.0f} of {shots:.0f}" if (shots or 0) > 1 else ""
    return f"On: Interval {v:.0f} of {intervals or 0:.0f}{of_shots}"


def focus_shift(v: int, shots: int | None, pixel_shift: int | None) -> str:
    """Which frame of a focus shift."""
    if not v:
        return "Off"
    return f"On: Frame {v:.0f}" if pixel_shift == 1 else f"On: Frame {v:.0f} of {shots or 0:.0f}"


def lens_firmware(v: int) -> str:
    """A lens's version of three numbers."""
    version, rest = divmod(v, 256)
    release, modification = divmod(rest, 16)
    return f"{version}.{release}.{modification}"


def distance(v: float, steps: int | None) -> str:
    """Metres, with the more places the nearer."""
    if steps == 0:
        return "Inf"
    places = 0 if v >= 100 else 1 if v >= 10 else 2 if v >= 1 else 3 if v >= 0.35 else 4
    return f"{v:.{places}f} m"


def drive_end(v: int, width: Value) -> str:
    """Whether the focus drive is at an end of its range."""
    if width is not None and not width:
        return "Inf"
    return "CFD" if v else "No"


def version(v: Value) -> str:
    """A version of four digits, written as bytes or as text."""
    shown = text(v)
    return "".join(str(ord(char)) for char in shown[:4]) if shown[:1] <= "\x09" else shown


def crop(v: Value) -> str | None:
    """A crop: its name, sizes and place."""
    parts = text(v).split()
    if len(parts) != 7:
        return None
    name = label_set("nikon", "cropHiSpeed").get(parts[0]) or f"Unknown ({parts[0]})"
    return "{} ({}x{} cropped to {}x{} at pixel {},{})".format(name, *parts[1:])


def lens_type(v: int) -> str:
    """Nikon's lens flags as ExifTool words them: `D`, `G VR`, `1`, `AF`."""
    found = [name for bit, name in enumerate(_LENS_FLAGS) if v >> bit & 1] or ["AF"]
    found += [f"[{bit}]" for bit in range(8, 32) if v >> bit & 1]
    if "D" in found and "G" in found:
        found.remove("D")
    if "E" in found:
        rest = [name for name in found if name != "E"]
        # ExifTool keeps a separate G.
        found = ["E", *(rest if rest == ["G"] else (name for name in rest if name != "G"))]
    if "1" in found:
        found = ["1", *(name for name in found if name != "1")]
    if "FT-1" in found:
        found = [*(name for name in found if name != "FT-1"), "FT-1"]
    return " ".join(found)


def shooting_mode(v: int, model: str) -> str:
    """The release mode, and other modes that were on."""
    if not v & 0x87 and not v:
        return "Single-Frame"
    names = {**_MODES, 5: "Unused LE-NR Slowdown"} if re.search(r"D70\b", model or "") else _MODES
    return ("" if v & 0x87 else "Single-Frame, ") + bit_numbers(v, names)


def power_up(v: Value, order: str) -> Value:
    """Date and time in a record of seven bytes."""
    data = text(v)
    return date_time(*unpack("vC5" if order == "II" else "nC5", data)) if len(data) >= 7 else v


def little(data: bytes) -> bool:
    """Whether a record of directory and file number is little-endian: by which of both makes sense."""
    sensible = []
    for order in ("little", "big"):
        directory = int.from_bytes(data[6:8], order)
        file = int.from_bytes(data[8:10], order)
        sensible.append(100 <= directory <= 999 and file <= 9999)
    return sensible[0] and not sensible[1]


def words_of(v: Value) -> str:
    """Words in capitals with small letters, as Nikon's settings are called."""
    shown = text(v)
    if len(shown) > 60:
        return f"{shown[:55]}[...]"
    shown = shown.rstrip()
    if _VOWEL.search(shown):
        changed = _VOWEL_FIRST.sub(lambda m: m[1] + m[2].lower(), shown)
        if changed != shown:
            shown = re.sub(r"(?s)  +.$", "", re.sub(r"\bAf\b", "AF", changed, count=1), count=1)
        changed = _CAPITALS.sub(_lowered, shown)
        if changed != shown:
            shown = re.sub(r"\bRaw\b", "RAW", changed, count=1)
    return shown


_VOWEL, _VOWEL_FIRST = re.compile("[AEIOUY]"), re.compile(r"\b([AEIOUY])([A-Z]+)")
_CAPITALS = re.compile(r"\b([A-Z])([A-Z]+)")


def _lowered(found: re.Match[str]) -> str:
    return found[1] + found[2].lower() if _VOWEL.search(found[2]) else found[0]


def portrait(v: Value) -> str:
    """The balance of colour and brightness in portraits."""
    if v in ("0 0", "255 255"):
        return "Off"
    colour, brightness = words(v)[:2]
    light = "Neutral" if brightness == 128 else f"{(brightness - 128) / 4:+.1f}"
    side = "Yellow" if colour > 128 else "Magenta"
    shade = "Color: Neutral" if colour == 128 else f"{side}: {abs(colour - 128) / 4:.1f}"
    return f"{shade} Brightness: {light}"


def moved(firmware: Value) -> int:
    """Bytes by which the menu of a Z 8 is moved, by its firmware."""
    shown = text(firmware or "")
    return 4 if shown.startswith("02.10") else 8 if shown >= "03.0" else 0
