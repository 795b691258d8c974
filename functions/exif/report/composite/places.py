"""Positions put together of several tags."""

from __future__ import annotations

from collections.abc import Callable

from functions.exif.blocks.values import is_number
from functions.exif.printing.places import sexagesimal
from functions.exif.report.composite.lookup import Shown, Tags, plain


def coordinate(name: str, sides: str) -> Callable[[Tags], Shown | None]:
    """A coordinate with its side: south and west negative."""

    def derive(tags: Tags) -> Shown | None:
        found, reference = tags.find(f"GPS:{name}"), tags.find(f"GPS:{name}Ref")
        if found is None or reference is None:
            return None
        if not is_number(found.value):
            return found.value, found.value
        negative = str(reference.value).upper().startswith(sides[1])
        value = -float(found.value) if negative else float(found.value)
        return value, f"{sexagesimal(value)} {sides[1] if value < 0 else sides[0]}"

    return derive


def altitude(tags: Tags) -> Shown | None:
    """The altitude, below the sea negative."""
    for group in ("GPS", "XMP-exif"):
        found, reference = tags.find(f"{group}:GPSAltitude"), tags.find(f"{group}:GPSAltitudeRef")
        if found is None or reference is None or not is_number(found.value):
            continue
        below = str(reference.value) not in ("0", "")
        altitude = float(found.value)
        value = -abs(altitude) if below else altitude
        words = str(reference.printed)
        if "Sea" in words:
            return value, f"{plain(int(altitude * 10) / 10)} m {words}"
        short = int(value * 10) / 10
        return value, f"{plain(abs(short))} m {'Below' if short < 0 else 'Above'} Sea Level"
    return None


def position(tags: Tags) -> Shown | None:
    """Latitude and longitude."""
    latitude, longitude = tags.find("GPSLatitude"), tags.find("GPSLongitude")
    if latitude is None or longitude is None or (latitude.value == "" and longitude.value == ""):
        return None
    return f"{latitude.value} {longitude.value}", f"{latitude.printed}, {longitude.printed}"


def from_xmp(name: str, sides: str, words: tuple[str, str]) -> Callable[[Tags], Shown | None]:
    """The side of XMP's coordinate, which is in its text or sign."""

    def derive(tags: Tags) -> Shown | None:
        found = tags.find(f"XMP-exif:{name}")
        if found is None or isinstance(found.value, dict | list) or not is_number(found.value):
            return None
        negative = float(found.value) < 0
        return sides[negative], words[negative]

    return derive
