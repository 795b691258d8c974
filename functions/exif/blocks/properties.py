"""Properties of XMP: what each is named, how it is read, and how it is printed, as ExifTool does."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

from functions.exif.blocks.entries import ASCII
from functions.exif.blocks.namespaces import Name, field_name
from functions.exif.blocks.values import is_number, whole
from functions.exif.blocks.vocabulary import (
    DATES,
    ENCODED,
    FRACTION_FIELDS,
    FRACTIONS,
    KNOWN,
    LABELS,
    NAMES,
    NO_DATES,
    PLUS_VOCABULARY,
)
from functions.exif.printing import show
from functions.exif.printing.places import sexagesimal
from functions.exif.tags import Tag, all_tags

_VERBATIM = frozenset(("x", "rdf"))
_DATE_NAMES = re.compile(r"Date|When|Time$|Timestamp")
_COORDINATE = re.compile(r"([+-]?\d+(?:\.\d*)?)(?:[,\s]+(\d+(?:\.\d*)?))?(?:[,\s]+(\d+(?:\.\d*)?))?\s*([NSEW])?")
# Rules of the Exif tags that fit the text of a property.
_RULES = {
    "",
    "exposure",
    "f_number",
    "shutter",
    "aperture",
    "bias",
    "distance",
    "millimetres",
    "film_millimetres",
    "lens",
}
_RULES |= {"metres", "error_metres", "hexadecimal"}
_LIKE_EXIF = frozenset(("exif", "tiff", "exifEX", "aux", "drone-dji"))
_COMPONENTS = {"0": "-", "1": "Y", "2": "Cb", "3": "Cr", "4": "R", "5": "G", "6": "B"}
_FLASH = {
    "Return": {"0": "No return detection", "2": "Return not detected", "3": "Return detected"},
    "Mode": {"0": "Unknown", "1": "On", "2": "Off", "3": "Auto"},
}


@dataclass(slots=True, frozen=True)
class Property:
    """How a property is read and shown.

    Args:
        group: as `XMP-dc`.
        name: ExifTool's.
        dated: whether its name says that it is a date.
        numeric: whether fractions in it are numbers.
        known: whether its namespace is, so that only a property with the name of a date is one.
        verbatim: whether it is of the packet itself, not of the picture: kept unchanged.
        encoded: whether it holds bytes in Base64.
        like_exif: whether it is an Exif tag in all but its form.
        show: from its value to value and print; None where the print is the value.
        tag: the Exif tag, where it has labels or a rule that fits text.
        labels: of its values, where they are enumerated.
    """

    group: str
    name: str
    dated: bool
    numeric: bool = True
    known: bool = False
    verbatim: bool = False
    encoded: bool = False
    like_exif: bool = False
    show: Show | None = None
    tag: Tag | None = None
    labels: Mapping[str, str] | None = None


Show = Callable[[Property, Any], tuple[Any, Any]]


def described(name: Name) -> Property:
    """How a property is shown; remembered with its name."""
    prefix = name.prefix
    whole = f"{prefix}:{name.local}"
    shown = NAMES.get(whole) or field_name(name.local)
    like_exif = prefix in _LIKE_EXIF
    tag = _known().get(shown) if like_exif else None
    printing = _SHOWS.get(shown, _tagged if tag else None) if like_exif else None
    labels = LABELS.get(whole)
    if labels:
        printing = _labelled
    name.about = found = Property(
        f"XMP-{prefix}",
        shown,
        dated=whole in DATES or (bool(_DATE_NAMES.search(shown)) and whole not in NO_DATES),
        numeric=whole in FRACTIONS or prefix not in KNOWN,
        known=prefix in KNOWN,
        verbatim=prefix in _VERBATIM,
        encoded=whole in ENCODED,
        like_exif=like_exif,
        show=printing,
        tag=tag,
        labels=labels,
    )
    return found


def field(key: str, parent: Property) -> Property:
    """How a field of a structure is read, by its name in the structure."""
    shown = field_name(key)
    numeric = shown in FRACTION_FIELDS or not parent.known
    return Property("", shown, dated=bool(_DATE_NAMES.search(shown)), numeric=numeric, known=parent.known)


@cache
def _known() -> dict[str, Tag]:
    """The Exif tags whose labels or rules fit a property, by name."""
    known = {}
    for tags in all_tags().values():
        for number, tag in tags.items():
            if (tag.labels or tag.show) and tag.show in _RULES:
                known[tag.name] = replace(tag, number=number)
    return known


def _labelled(about: Property, value: Any) -> tuple[Any, Any]:
    """A value, or each of a list, as its label."""
    if isinstance(value, list):
        pairs = [_labelled(about, item) for item in value]
        return [each for each, _ in pairs], [label for _, label in pairs]
    if not isinstance(value, str) or about.labels is None:
        return value, value
    code = value.removeprefix(PLUS_VOCABULARY)
    return code, about.labels.get(code, f"Unknown ({code})")


def coordinate(about: Property, value: Any) -> tuple[Any, Any]:
    """Degrees of a coordinate, south and west negative, and as ExifTool prints them."""
    degrees = decimal(value)
    if degrees is None:
        return value, value
    side = ("S" if degrees < 0 else "N") if "Lat" in about.name else ("W" if degrees < 0 else "E")
    return f"{degrees:.15g}", f"{sexagesimal(degrees)} {side}"


def _flash(about: Property, value: Any) -> tuple[Any, Any]:
    """A structure, each of whose fields has labels of its own."""
    if not isinstance(value, dict):
        return _tagged(about, value)
    return value, {
        key: _FLASH.get(key, {}).get(item, item) if isinstance(item, str) else item for key, item in value.items()
    }


def _colour_space(about: Property, value: Any) -> tuple[Any, Any]:
    return _tagged(about, "65535" if value == "4294967295" else value)


def _joined(about: Property, value: Any) -> tuple[Any, Any]:
    """A list of numbers that is one value as a tag."""
    if isinstance(value, list) and all(isinstance(item, str) for item in value):
        value = " ".join(value)
    return _tagged(about, value)


def _components(about: Property, value: Any) -> tuple[Any, Any]:
    if not isinstance(value, list):
        return _tagged(about, value)
    return value, [_COMPONENTS.get(item, f"Unknown ({item})") if isinstance(item, str) else item for item in value]


def _tagged(about: Property, value: Any) -> tuple[Any, Any]:
    """A property as the tag of its name is shown."""
    tag = about.tag
    if tag is None or not isinstance(value, str):
        return value, value
    if not tag.show:
        # Labels alone, by numbers that are text here.
        label = tag.labels.get(value)
        if label is None:
            label = tag.labels.get(whole(value))
        return value, f"Unknown ({value})" if label is None else label
    if not is_number(value) and value not in ("inf", "undef") and tag.show != "lens":
        return value, value
    data = value.encode()
    return show((0, ASCII, len(data), data, 0, len(data)), tag, "<")


# Properties like Exif tags whose form differs from the tag's, by name.
_SHOWS: dict[str, Show] = {
    **dict.fromkeys(
        ("GPSLatitude", "GPSLongitude", "GPSLongtitude", "GPSDestLatitude", "GPSDestLongitude"), coordinate
    ),
    "Flash": _flash,
    "ColorSpace": _colour_space,
    "YCbCrSubSampling": _joined,
    "LensInfo": _joined,
    "ComponentsConfiguration": _components,
}


def decimal(value: Any) -> float | None:
    """Degrees of `54,59.38N`, `54.9897` and their like, south and west negative; None for anything else."""
    match = _COORDINATE.fullmatch(str(value).strip())
    if not match:
        return None
    whole, minutes, seconds, side = match.groups()
    degrees = abs(float(whole)) + (float(minutes or 0) + float(seconds or 0) / 60) / 60
    if not math.isfinite(degrees):
        return None
    return -degrees if side in ("S", "W") or whole.startswith("-") else degrees
