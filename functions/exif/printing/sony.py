"""What Sony and Minolta write in their own way: the lens's specification, metering, focus (facts of ExifTool)."""

from __future__ import annotations

import re
from struct import unpack_from
from typing import Any

from functions.exif.blocks.values import Value
from functions.exif.lenses import numbers
from functions.exif.printing.functions import number, text, words
from functions.exif.tags.labels import label_set

# Lens flags, in the order of their names: mask, names by value, whether before the range.
_FEATURES: tuple[tuple[int, dict[int, str], bool], ...] = (
    (0x4000, {0x4000: "PZ"}, True),
    (0x0300, {0x0100: "DT", 0x0200: "FE", 0x0300: "E"}, True),
    (0x00E0, {0x0020: "STF", 0x0040: "Reflex", 0x0060: "Macro", 0x0080: "Fisheye"}, False),
    (0x000C, {0x0004: "ZA", 0x0008: "G"}, False),
    (0x0003, {0x0001: "SSM", 0x0002: "SAM"}, False),
    (0x8000, {0x8000: "OSS"}, False),
    (0x2000, {0x2000: "LE"}, False),
    (0x0800, {0x0800: "II"}, False),
)
# Adapters by the first byte of a lens number, with what a Canon lens's number begins with.
_ADAPTERS = {
    name: (first, whole)
    for whole, places in (
        ("Canon EF Adapter", (0xEF00, 0xF000, 0xF100, 0xFF00)),
        ("Metabones Speed Booster", (0x7700, 0x7800, 0x7900, 0x8700)),
        ("Metabones Speed Booster Ultra", (0xBC00, 0xBD00, 0xBE00, 0xCC00)),
    )
    for first in places[:1]
    for name in places
}
_SIGMA_MOUNT = 18688
# Each enciphered byte is the cube modulo 249, a substitution known since 2006 (dcraw; ExifTool on tag 0x9050).
_PLAIN = bytes({pow(byte, 3, 249): byte for byte in range(249)}.get(byte, byte) for byte in range(256))


def opened(v: Value) -> str:
    """Deciphered bytes."""
    return text(v).encode("latin-1").translate(_PLAIN).decode("latin-1")


def lens_spec(v: Value) -> str:
    """Eight bytes as flags, focal lengths and apertures in binary-coded decimal."""
    data = text(v).encode("latin-1")
    if len(data) != 8:
        return text(v)
    digits = data.hex()
    short, long = digits[2:6].lstrip("0") or "0", digits[6:10].lstrip("0") or "0"
    wide, tele = (_aperture(digits[at : at + 2]) for at in (10, 12))
    return f"{digits[:2]} {short} {long} {wide} {tele} {digits[14:]}"


def _aperture(digits: str) -> str:
    """An f-number in tenths; a first digit of a to f means ten to fifteen."""
    tenths = int("".join(str(int(digit, 16)) if digit in "abcdef" else digit for digit in digits))
    return f"{tenths / 10:g}"


def swapped_words(v: Value) -> str:
    """Bytes with the two of each word exchanged."""
    data = text(v).encode("latin-1")
    return bytes(data[at ^ 1] for at in range(len(data) & ~1)).decode("latin-1")


def lens_name(v: Any) -> str:
    """A lens's specification: `FE 24-70mm F2.8 GM`; of two numbers the flags alone."""
    parts = text(v).split()
    shown: str | None = None
    if len(parts) == 2:
        first, last, shown = parts[0], parts[1], ""
    elif len(parts) >= 6:
        first, last = parts[0], parts[5]
        short, long, wide, tele = (float(number(part)) for part in parts[1:5])
        if short and wide and (not long or long >= short) and (not tele or tele >= wide):
            focal = parts[1] if long in (0, short) else f"{parts[1]}-{parts[2]}"
            shown = f"{focal}mm F{parts[3]}" + ("" if tele in (0, wide) else f"-{parts[4]}")
    if shown is None:
        return f"Unknown ({v})"
    flags = int(first + last, 16)
    for mask, names, before in _FEATURES:
        bits = flags & mask
        if bits:
            name = names.get(bits, f"Unknown({bits:04x})")
            shown = name if not shown else f"{name} {shown}" if before else f"{shown} {name}"
    return shown


def adapted(v: int) -> str | None:
    """A lens on an adapter, by the number of the combination."""
    adapter = _ADAPTERS.get(v & 0xFF00)
    if adapter:
        names = numbers("canon").get(str(v - adapter[0]))
        return f"{names[0]} + {adapter[1]}" if names else None
    if v >= _SIGMA_MOUNT:
        name = label_set("sigma", "sigmaLensTypes").get(v - _SIGMA_MOUNT)
        return f"{name} + MC-11 SA-E" if name else None
    return None


def focus_shift(v: int) -> str:
    """The deviation of the focus and its direction."""
    return f"Front Focus ({v})" if v < 0 else f"Back Focus (+{v})"


def face(v: Value) -> str:
    """A face's top, left, height and width, in units of 15 pixels, as left, top, width and height."""
    top, left, height, width = (item * 15 for item in words(v)[:4])
    return f"{left} {top} {width} {height}"


def metering(v: Value, size: int) -> Value:
    """A row of metering: a number of 16 bits and two of 32, repeated."""
    data = text(v).encode("latin-1")
    if len(data) != size:
        return f"(Binary data {len(data)} bytes, use -b option to extract)"
    found = [part for at in range(0, size, 10) for part in unpack_from("<HII", data, at)]
    return " ".join(map(str, found))


def pixel_shift(v: Value) -> str:
    """When a group of pixel-shifted pictures was taken, which of them it is, and of how many."""
    data = text(v).encode("latin-1")
    moment, first, second = unpack_from("<IBB", data)
    day, hour, minute, seconds = moment >> 17 & 0x1F, moment >> 12 & 0x1F, moment >> 6 & 0x3F, moment & 0x3F
    return f"{day:02d}{hour:02d}{minute:02d}{seconds:02d} {first} {second} 0x{moment >> 22:x}"


def pixel_shift_name(v: Value) -> str | None:
    """A group of pixel-shifted pictures in words."""
    match = re.search(r"(\d{1,12}) (\d{1,6}) (\d{1,6}) (\w{1,12})", text(v))
    if match is None:
        return None
    group, shot, count, kind = match.groups()
    if not shot.strip("0"):
        return f"Group {group}, Composed {count.lstrip('0')}-shot ({kind})"
    return f"Group {group}, Shot {shot}/{count} ({kind})"


def battery(v: Value) -> int:
    """A number that lies across two words of exchanged bytes."""
    data = swapped_words(v).encode("latin-1")
    return int.from_bytes(data[1:3], "little")


def white_balance(v: int) -> str:
    """A white balance with its fine adjustment."""
    names = label_set("minolta", "minoltaWhiteBalance").exact
    found = names.get(v)
    if found is not None:
        return found
    if v & 0xFFFF0000:
        kind = (v & 0xFF000000) + 0x800000
        if kind in names:
            return f"{names[kind]}{(v - kind) / 0x10000:+.8g}"
        return f"Unknown (0x{v:x})"
    return f"Unknown ({v})"
