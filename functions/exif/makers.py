"""Printing what makers write in their notes: serial numbers, lens flags, Sony's lens specification."""

from __future__ import annotations

import re

from functions.exif.entries import VALUE, Entry
from functions.exif.photography import lens_range
from functions.exif.values import Shown, plain

# What cameras write as padding where they have nothing to say.
PADDED = frozenset(("until_ff", "lens_hexadecimal"))


def shown(rule: str, entry: Entry, model: str) -> Shown:  # noqa: C901 - one branch for each rule
    """Value and print of an entry by the rule that a maker's table names; `model` is the camera's."""
    value = plain(entry)
    if rule == "canon_serial" and isinstance(value, int):
        if model.endswith("EOS D30"):
            return value, f"{value >> 16:04x}{value & 0xFFFF:05d}"
        return value, f"{value:06d}" if "EOS-1D" in model else f"{value:010d}"
    if rule == "lens":
        return value, lens_range(value)
    if rule == "nikon_lens_type":
        bits = entry[VALUE][0] if isinstance(entry[VALUE], bytes | tuple) and entry[VALUE] else 0
        return value, nikon_lens_type(bits if isinstance(bits, int) else 0)
    text = str(value)
    if rule == "nikon_serial":
        return value, text.rstrip(" ").replace("NO=", "No=")
    if rule == "blanks":
        text = text.rstrip(" \0")
        return text, text
    if rule == "until_ff":
        # Canon pads some with FF; those say nothing.
        raw = entry[VALUE] if isinstance(entry[VALUE], bytes) else b""
        text = raw.split(b"\xff")[0].split(b"\0")[0].decode("latin-1")
        return text, text
    if rule == "lens_hexadecimal":
        raw = entry[VALUE] if isinstance(entry[VALUE], bytes) else b""
        text = raw[:5].hex() if raw[:4].strip(b"\0") else ""
        return text, text
    if rule == "sony_lens" and isinstance(entry[VALUE], tuple | bytes):
        return sony_lens(bytes(part & 0xFF for part in entry[VALUE] if isinstance(part, int)))
    if rule == "fuji_serial":
        return text, fuji_serial(text)
    if rule == "panasonic_serial":
        match = re.match(r"([A-Z][0-9A-Z]{2})(\d\d)(\d\d)(\d\d)(\d{4})", text)
        if match:
            model_code, year, month, day, number = match.groups()
            return text, f"({model_code}) {_century(year)}:{month}:{day} no. {number}"
    return value, value


def _century(year: str) -> int:
    return int(year) + (2000 if int(year) < 70 else 1900)


def nikon_lens_type(bits: int) -> str:
    """Nikon's lens flags as ExifTool words them: `D`, `G VR`, `1`, `AF`."""
    names = ("MF", "D", "G", "VR", "1", "FT-1", "E", "AF-P")
    found = [name for bit, name in enumerate(names) if bits >> bit & 1] or ["AF"]
    if "D" in found and "G" in found:
        found.remove("D")
    if "E" in found:
        rest = [name for name in found if name != "E"]
        # ExifTool keeps a G that stands alone.
        found = ["E", *(rest if rest == ["G"] else (name for name in rest if name != "G"))]
    if "1" in found:
        found = ["1", *(name for name in found if name != "1")]
    if "FT-1" in found:
        found = [*(name for name in found if name != "FT-1"), "FT-1"]
    return " ".join(found)


def fuji_serial(text: str) -> str:
    """Fujifilm's body number: a part of it is the serial number in hexadecimal, a part the day it was made."""
    # Real ones have some fifty characters. The pattern takes the square of a text's time.
    if len(text) > 256:
        return text
    match = re.match(r"(?s)(.*?\s*)([0-9a-fA-F]*)(\d{2})(\d{2})(\d{2})(.{12})\s*\0*$", text)
    if not match:
        return text
    head, number, year, month, day, tail = match.groups()
    if not (1 <= int(month) <= 12 and 1 <= int(day) <= 31):
        return re.sub(r"\b(592D(?:3[0-9])+)", lambda m: bytes.fromhex(m[1]).decode("latin-1") + " ", text, count=1)
    serial = bytes.fromhex(number + "0" * (len(number) % 2)).decode("latin-1")
    return f"{head}{serial} {_century(year)}:{month}:{day} {tail}"


# Sony's lens flags, in the order of their names: mask, names by value, whether before the range.
_SONY_FEATURES: tuple[tuple[int, dict[int, str], bool], ...] = (
    (0x4000, {0x4000: "PZ"}, True),
    (0x0300, {0x0100: "DT", 0x0200: "FE", 0x0300: "E"}, True),
    (0x00E0, {0x0020: "STF", 0x0040: "Reflex", 0x0060: "Macro", 0x0080: "Fisheye"}, False),
    (0x000C, {0x0004: "ZA", 0x0008: "G"}, False),
    (0x0003, {0x0001: "SSM", 0x0002: "SAM"}, False),
    (0x8000, {0x8000: "OSS"}, False),
    (0x2000, {0x2000: "LE"}, False),
    (0x0800, {0x0800: "II"}, False),
)


def sony_lens(data: bytes) -> Shown:
    """Sony's lens: flags around focal lengths and apertures in binary-coded decimal."""
    if len(data) != 8:
        return data.hex(), data.hex()
    digits = data.hex()
    first, last = digits[:2], digits[14:]
    short, long = digits[2:6].lstrip("0") or "0", digits[6:10].lstrip("0") or "0"
    wide, tele = (_aperture(digits[at : at + 2]) for at in (10, 12))
    value = f"{first} {short} {long} {wide} {tele} {last}"
    numbers = [float(part) if part.replace(".", "").isdigit() else -1.0 for part in (short, long, wide, tele)]
    if (
        min(numbers) < 0
        or not numbers[0]
        or not numbers[2]
        or 0 < numbers[1] < numbers[0]
        or 0 < numbers[3] < numbers[2]
    ):
        return value, f"Unknown ({value})"
    text = short if long in ("0", short) else f"{short}-{long}"
    text += f"mm F{wide}" if tele in ("0", wide) else f"mm F{wide}-{tele}"
    flags = int(first + last, 16)
    for mask, names, before in _SONY_FEATURES:
        bits = flags & mask
        if bits:
            name = names.get(bits, f"Unknown({bits:04x})")
            text = f"{name} {text}" if before else f"{text} {name}"
    return value, text


def _aperture(digits: str) -> str:
    """An f-number in tenths; a first digit of a to f stands for ten to fifteen."""
    tens = str(int(digits[0], 16)) + digits[1]
    return f"{int(tens) / 10:g}" if tens.isdigit() else digits
