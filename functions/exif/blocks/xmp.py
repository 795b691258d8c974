"""XMP: the properties of a packet as a flat table, named and printed as ExifTool does."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, NamedTuple

from functions.exif.blocks import rdf
from functions.exif.blocks.namespaces import Name
from functions.exif.blocks.properties import Property, coordinate, described, field
from functions.exif.blocks.values import binary

Put = Callable[[str, str, object, object], None]

_SHORTEST_DATE = len("2024-05-03T14:12")
_DATE = re.compile(r"(\d{4})-(\d{2})-(\d{2})[T ](\d{2}:\d{2}(?::\d{2})?)\s*(\S*)")
_DAY = re.compile(r"\d{4}(-\d{2}){0,2}")
_SIDE = re.compile(r"^\s*[+-]|[NSEW]\s*$")
# Characters of a fraction: no longer numbers than fit a floating-point one.
MAX_FRACTION = 300


class Extras(NamedTuple):
    """What rows do not show.

    Args:
        unsided: group and name of each coordinate that states no hemisphere.
        encoded: the Base64 of each property that holds bytes, by its group and name.
    """

    unsided: set[tuple[str, str]]
    encoded: dict[tuple[str, str], str]


# Of these ExifTool counts the characters of the Base64, not the decoded bytes.
_AS_TEXT = frozenset(("HDRPMakerNote", "ShotLogData", "PortraitRequest", "HDRPlusMakerNote", "HdrPlusMakernote"))


def read(packet: bytes, put: Put, warn: rdf.Warn, miss: rdf.Miss) -> Extras:
    """Read one packet.

    Args:
        packet: the XML, packet wrappers and padding included.
        put: called with group, name, value and print of each property.
        warn: called with each warning.
        miss: called with each kind of thing that was not read, and its size.

    Returns:
        What rows do not show.
    """
    unsided: set[tuple[str, str]] = set()
    encoded: dict[tuple[str, str], str] = {}

    def keep(name: Name, raw: Any) -> None:
        about: Property = name.about or described(name)
        if isinstance(raw, rdf.Languages):
            for language, text in raw.items():
                value = _converted(about, text)
                printed = about.show(about, value)[1] if about.show and not about.like_exif else value
                put(about.group, about.name + rdf.language_suffix(language), value, printed)
        elif about.verbatim:
            put(about.group, about.name, raw, raw)
        elif about.encoded and isinstance(raw, str):
            encoded[about.group, about.name] = raw
            text = binary(len(raw) if about.name in _AS_TEXT else len(raw.rstrip("=")) * 3 // 4)
            put(about.group, about.name, text, text)
        else:
            value = _converted(about, raw)
            if about.show is None:
                put(about.group, about.name, value, value)
            else:
                put(about.group, about.name, *about.show(about, value))
                if about.show is coordinate and isinstance(raw, str) and not _SIDE.search(raw):
                    unsided.add((about.group, about.name))

    rdf.read(packet, keep, warn, miss)
    return Extras(unsided, encoded)


def _converted(about: Property, raw: Any) -> Any:
    """Fractions as numbers, dates with colons, down to the fields of structures."""
    if isinstance(raw, str):
        first = raw[:1]
        return _number(about, raw) if first.isdecimal() or first == "-" or about.name == "LensInfo" else raw
    if isinstance(raw, list):
        return [_converted(about, item) for item in raw]
    fields = {}
    for key, item in raw.items():
        first = item[:1] if isinstance(item, str) else "-"
        if first.isdecimal() or first == "-" or key == "LensInfo":
            fields[key] = _converted(field(key, about), item)
        else:
            fields[key] = item
    return fields


def _number(about: Property, text: str) -> str:
    """The text of a number or a date."""
    if len(text) >= _SHORTEST_DATE and text[4] == "-" and (about.dated or not about.known):
        match = _DATE.fullmatch(text)
        if match:
            year, month, day, time, zone = match.groups()
            return f"{year}:{month}:{day} {time}{zone}"
    if about.dated and about.known and _DAY.match(text):
        return text.replace("-", ":")
    if "/" in text:
        if about.name == "LensInfo" and " " in text:
            return " ".join(_quotient(part) for part in text.split())
        if about.numeric:
            return _quotient(text)
    return text


def _quotient(text: str) -> str:
    numerator, _, denominator = text.partition("/")
    if len(text) > MAX_FRACTION or not (
        numerator.removeprefix("-").isdecimal() and denominator.removeprefix("-").isdecimal()
    ):
        return text
    top, bottom = int(numerator), int(denominator)
    if not bottom:
        return "inf" if top else "undef"
    return f"{top / bottom:.15g}"
