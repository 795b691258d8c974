"""What Olympus writes in its own way: drive modes, focus areas, special modes (facts of ExifTool)."""

from __future__ import annotations

from typing import Any

from functions.exif.blocks.values import Value
from functions.exif.printing.functions import fmt, text, words
from functions.exif.printing.packed import bit_numbers
from functions.exif.tags.labels import label_set

_BRACKETS = {0: "AE", 1: "WB", 2: "FL", 3: "MF", 4: "ISO", 5: "AE Auto", 6: "Focus"}
_SHUTTERS = {0: "Mechanical shutter", 2: "Anti-shock"}
_DRIVES = {
    0: "Single Shot",
    1: "Continuous Shooting",
    2: "Exposure Bracketing",
    3: "White Balance Bracketing",
    4: "Exposure+WB Bracketing",
}
_SHOOTING = {
    0x01: "Single Shot",
    0x02: "Sequential L",
    0x03: "Sequential H",
    0x07: "Sequential",
    0x11: "Single Shot",
    0x12: "Sequential L",
    0x13: "Sequential H",
    0x14: "Self-Timer 12 sec",
    0x15: "Self-Timer 2 sec",
    0x16: "Custom Self-Timer",
    0x17: "Sequential",
    0x21: "Single Shot",
    0x22: "Sequential L",
    0x23: "Sequential H",
    0x24: "Self-Timer 2 sec",
    0x25: "Self-Timer 12 sec",
    0x26: "Custom Self-Timer",
    0x27: "Sequential",
    0x28: "Sequential SH1",
    0x29: "Sequential SH2",
    0x30: "HighRes Shot",
    0x41: "ProCap H",
    0x42: "ProCap L",
    0x43: "ProCap",
    0x48: "ProCap SH1",
    0x49: "ProCap SH2",
}
_AREAS = {0x36794285: "Left", 0x79798585: "Center", 0xBD79C985: "Right"}
_DIRECTIONS = {1: "Left to Right", 2: "Right to Left", 3: "Bottom to Top", 4: "Top to Bottom"}
_SPECIAL = {0: "Normal", 2: "Fast", 3: "Panorama"}
_OLD_QUALITY = {0: "SQ (Low)", 1: "HQ (Normal)", 2: "SHQ (Fine)", 6: "RAW"}
_QUALITY = {
    1: "SQ (Low)",
    2: "HQ (Normal)",
    3: "SHQ (Fine)",
    4: "RAW",
    5: "Medium-Fine",
    6: "Small-Fine",
    33: "Uncompressed",
}


def drive(v: Value) -> str:
    """How pictures follow one another: mode, shot, bracketing, shutter."""
    parts = [int(item) for item in words(v)] + [None] * 6
    mode, shot, bits, _, shutter, shooting = parts[:6]
    end = f", Shot {shot}" if shot else ""
    if shutter is not None and shutter != 4:
        end += "; " + _SHUTTERS.get(shutter, f"Unknown ({shutter})")
    if mode == 5 and bits is not None:
        return bit_numbers(bits, _BRACKETS).replace(", ", "+") + " Bracketing" + end
    if shooting:
        return _SHOOTING.get(shooting, f"Unknown ({shooting})") + end
    return _DRIVES.get(mode or 0, f"Unknown ({mode})") + end


def panorama(v: Value) -> str:
    """Direction and shot of a panorama."""
    mode, shot = (*words(v), 0)[:2]
    return f"{_DIRECTIONS.get(mode, f'Unknown ({mode})')}, Shot {shot}" if mode else "Off"


def areas(v: Value) -> str:
    """Focus areas by their corners."""
    found = []
    for point in words(v):
        if point:
            left, top, right, bottom = int(point).to_bytes(4, "big")
            name = _AREAS.get(point, "")
            found.append(f"{name}{' ' * bool(name)}({left},{top})-({right},{bottom})")
    return ", ".join(found) or "none"


def point(v: Value) -> str:
    """A focus point's corners in hundredths."""
    return "n/a" if "undef" in text(v) else fmt("(%d%%,%d%%) (%d%%,%d%%)", *(item * 100 for item in words(v)[:4]))


def saturation(v: Value, model: str) -> str:
    """A saturation with its range."""
    now, low, high = words(v)[:3]
    if (model or "").startswith("E-1") and not (model or "")[3:4].isalnum():
        return f"CS{now - low} (min CS0, max CS{high - low})"
    return f"{now} (min {low}, max {high})"


def special_mode(v: Value) -> str:
    """Mode, number in a sequence, direction of a panorama."""
    parts = words(v)
    if len(parts) < 3:
        return text(v)
    mode = _SPECIAL.get(parts[0], f"Unknown ({parts[0]})")
    direction = {0: "(none)", **_DIRECTIONS}.get(parts[2], f"Unknown ({parts[2]})")
    return f"{mode}, Sequence: {parts[1]}, Panorama: {direction}"


def quality(v: Any, camera: Any) -> str:
    """A quality, whose numbers mean other things on some cameras."""
    kind = text(camera or "")
    old = (kind.startswith("SX") and not kind.startswith("SX151")) or kind.startswith("D4322")
    names = _OLD_QUALITY if old else _QUALITY
    return names.get(v, f"Unknown ({v})")


def stacked(v: Any) -> str:
    """How many pictures were made into one."""
    mode, _, count = text(v).partition(" ")
    name = label_set("olympus", "StackedImage").get(f"{mode} *") if count else None
    return name.replace("*", count) if name else f"Unknown ({v})"
