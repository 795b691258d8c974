"""What other makers write in their own way: Apple, Casio, Fujifilm, FLIR, Samsung, Reconyx (facts of ExifTool)."""

from __future__ import annotations

import plistlib
import re
from datetime import datetime
from struct import error, unpack_from
from typing import Any
from xml.parsers.expat import ExpatError

from functions.exif.blocks.values import Value
from functions.exif.printing.functions import date_time, exposure_time, text, unix_time, words, zone
from functions.exif.printing.packed import binary

# Bytes of a property list, and objects in it.
MAX_LIST, MAX_OBJECTS = 65536, 2000
_LIMITS = {"int8u": (0, 255), "int16u": (0, 65535), "int16s": (-32768, 32767), "int32u": (0, 2**32 - 1)}
_LIMITS["int32s"] = (-(2**31), 2**31 - 1)


def property_list(v: Value) -> Any:
    """A binary property list as numbers, text, lists and structures; None for invalid data."""
    data = text(v).encode("latin-1")
    if not data.startswith(b"bplist") or len(data) > MAX_LIST:
        return None
    try:
        found = plistlib.loads(data)
    except (plistlib.InvalidFileException, ExpatError, ValueError, RecursionError, error, LookupError, TypeError):
        return None
    return _plain(found, [MAX_OBJECTS])


def _plain(found: Any, left: list[int]) -> Any:
    left[0] -= 1
    if left[0] < 0:
        return None
    if isinstance(found, dict):
        return {_name(key, index): _plain(item, left) for index, (key, item) in enumerate(found.items())}
    if isinstance(found, list):
        return [_plain(item, left) for item in found]
    if isinstance(found, bytes):
        return binary(found.decode("latin-1"))
    if isinstance(found, datetime):
        return f"{found:%Y:%m:%d %H:%M:%S}"
    if isinstance(found, bool):
        return str(found)
    return found if isinstance(found, int | float) else str(found)


def _name(key: object, index: int) -> str:
    shown = str(key)
    if not re.fullmatch(r"[-_a-zA-Z0-9]+", shown):
        return f"Tag{index}"
    return shown if re.match("[_a-zA-Z]", shown) else f"_{shown}"


def distances(v: Value) -> str:
    """A range of distances, the nearer first."""
    near, far = sorted(float(item) for item in words(v)[:2])
    return f"{near:.2f} - {far:.2f} m"


def focus_performance(v: Value) -> str:
    """Three numbers, of which the second has four bits of the third."""
    first, second = (int(item) for item in words(v)[:2])
    return f"{first} {second >> 28} {second & 0xFFFFFFF}"


def firmware_date(v: Value) -> str:
    """Casio's date of a firmware: pairs of digits with zeros between."""
    match = re.match(r"(?s)(\d\d)(\d\d)\0\0(\d\d)(\d\d)\0\0(\d\d)(.{2})\0{2}$", text(v))
    if match is None:
        return f"Unknown ({text(v).replace(chr(0), '.').rstrip('.')})"
    year, month, day, hour, minute, second = match.groups()
    seconds = f":{second}" if second.isdigit() else ""
    return f"{int(year) + (2000 if int(year) < 70 else 1900)}:{month}:{day} {hour}:{minute}{seconds}"


def casio_point(v: Value) -> str:
    """A focus point in parts of the picture's size."""
    parts = words(v)
    if parts[0] == 65535 or not parts[1] or not parts[3]:
        return "n/a"
    return f"{parts[0] / parts[1]:.2g} {parts[2] / parts[3]:.2g}"


def frame_rate(v: Value) -> int | float | str:
    """Casio's frames a second, in thousandths or as a range."""
    parts: list[int | float] = words(v)
    if len(parts) == 1:
        return parts[0] / 1000
    if parts[1]:
        return f"{parts[1]}-{parts[0]}"
    return parts[0] / 1000 if parts[0] > 10000 else parts[0]


def thermal_time(v: Value) -> str:
    """FLIR's date with milliseconds and time zone."""
    data = text(v).encode("latin-1")
    seconds, fraction, offset = *unpack_from("<II", data), unpack_from("<h", data, 8)[0]
    return f"{unix_time(seconds - offset * 60)}.{fraction & 0xFFFF:03d}{zone(-offset)}"


def reading(v: float, units: int, description: int) -> float:
    """A meter's reading in the unit that it states."""
    if units == 0x0D and description != 11:
        return v - 273.15
    return v * 1000 if units == 0x24 else v


def image_type(v: Value) -> str:
    """Of what kind an image inside a record is."""
    shown = text(v)
    return "PNG" if shown.startswith("\x89PNG\r\n\x1a\n") else "JPG" if shown.startswith("\xff\xd8\xff") else "TIFF"


def fuji_serial(v: Value) -> str:
    """Fujifilm's body number: a part of it is the serial number in hexadecimal, a part the day it was made."""
    shown = text(v)
    # Real ones have some fifty characters. The pattern takes the square of a text's time.
    if len(shown) > 256:
        return shown
    match = re.match(r"(?s)(.*?\s*)([0-9a-fA-F]*)(\d{2})(\d{2})(\d{2})(.{12})\s*\0*$", shown)
    if not match:
        return shown
    head, number, year, month, day, tail = match.groups()
    if not (1 <= int(month) <= 12 and 1 <= int(day) <= 31):
        return re.sub(r"\b(592D(?:3[0-9])+)", lambda m: bytes.fromhex(m[1]).decode("latin-1") + " ", shown, count=1)
    serial = bytes.fromhex(number + "0" * (len(number) % 2)).decode("latin-1")
    return f"{head}{serial} {int(year) + (2000 if int(year) < 70 else 1900)}:{month}:{day} {tail}"


def opened(v: Value, key: Value, shape: str, *salts: str) -> str | None:
    """Samsung's numbers behind a key: a number of it is added to each, and sums beyond the format's range wrap."""
    if not key or shape not in _LIMITS:
        return None
    low, high = _LIMITS[shape]
    keys = [int(item) for item in words(key)]
    numbers = [int(item) for item in words(v)]
    left = list(salts)
    following = 1 if len(left) > 1 else 0
    salt, sign, start = 0, 1, 0
    for at in range(following, len(numbers)):
        if at == following and left:
            start, text_salt = at, left.pop(0)
            sign = -1 if text_salt.startswith("-") else 1
            salt = int(text_salt.lstrip("-"))
            if left:
                following += numbers[0]
        numbers[at] += sign * keys[(salt + at - start) % len(keys)]
        if numbers[at] > high:
            numbers[at] -= high - low + 1
        elif numbers[at] < low:
            numbers[at] += high - low + 1
    return " ".join(map(str, numbers))


def dos_time(v: Value) -> str:
    """A date and a time of MS-DOS."""
    day, moment = (int(item) for item in words(v)[:2])
    parts = (day >> 9) + 1980, day >> 5 & 15, day & 31, moment >> 11 & 31, moment >> 5 & 63, (moment & 31) * 2
    return date_time(*parts)


def trap_time(v: Value) -> str:
    """Reconyx's second, minute, hour, month, day, year; of some with their bytes exchanged."""
    parts = [int(item) for item in words(v)[:6]]
    if parts[0] & 0xFF00 and not parts[0] & 0xFF:
        parts = [item >> 8 | (item & 0xFF) << 8 for item in parts]
    return date_time(*(parts[at] for at in (5, 3, 4, 2, 1, 0)))


def packed_date(v: Value) -> str:
    """A year and a day in hexadecimal digits."""
    year, day = (int(item) for item in words(v)[:2])
    return f"{year:04x}:{day >> 8:02x}:{day & 0xFF:02x}"


def long_number(v: Value) -> int:
    """Two numbers of 16 bits as one, the higher first."""
    high, low = (int(item) for item in words(v)[:2])
    return (high << 16) + low


def exposures(v: Value) -> str:
    """Several exposure times."""
    return " ".join(text(exposure_time(item)) for item in words(v))


def levels(v: Value) -> str:
    """Levels of the colours, whose inverse is written."""
    return " ".join(text(2048 / item if item else item) for item in words(v))
