"""XMP: the properties of a packet as a flat table, named and printed as ExifTool does."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import cache, lru_cache
from typing import Any, NamedTuple

from functions.exif import rdf
from functions.exif.ifd import ASCII, Entry
from functions.exif.places import sexagesimal
from functions.exif.printing import show
from functions.exif.tags import Tag, all_tags
from functions.exif.values import binary, is_number

Put = Callable[[str, str, Any, Any], None]

# Properties that ExifTool names otherwise than by their capital first letter.
_NAMES = {
    "exif:ExposureBiasValue": "ExposureCompensation",
    "exif:FocalLengthIn35mmFilm": "FocalLengthIn35mmFormat",
    "exif:GPSTimeStamp": "GPSDateTime",
    "exif:ISOSpeedRatings": "ISO",
    "exif:OECF": "Opto-ElectricConvFactor",
    "exif:PixelXDimension": "ExifImageWidth",
    "exif:PixelYDimension": "ExifImageHeight",
    "exifEX:BodySerialNumber": "SerialNumber",
    "exifEX:CameraOwnerName": "OwnerName",
    "exifEX:LensSpecification": "LensInfo",
    "exifEX:InteroperabilityIndex": "InteropIndex",
    "tiff:ImageLength": "ImageHeight",
    "photoshop:ICCProfile": "ICCProfileName",
    "microsoft:CreatorAppId": "CreatorAppID",
    "microsoft:Rating": "RatingPercent",
    "MP:RegionInfo": "RegionInfoMP",
    "mwg-rs:Regions": "RegionInfo",
    "mwg-kw:Keywords": "KeywordInfo",
    "dwc:Event": "DCEvent",
    "dwc:dctermsLocation": "DCTermsLocation",
    "iptcExt:AddlModelInfo": "AdditionalModelInformation",
    "iptcExt:DigImageGUID": "DigitalImageGUID",
    "iptcExt:RegistryId": "RegistryID",
    "iptcExt:CVterm": "ControlledVocabularyTerm",
    "GImage:Data": "ImageData",
    "GImage:Mime": "ImageMimeType",
    "GDepth:Data": "DepthImage",
    "GAudio:Data": "AudioData",
    "GAudio:Mime": "AudioMimeType",
    "GCamera:hdrp_makernote": "HDRPMakerNote",
    "GCamera:shot_log_data": "ShotLogData",
    "drone-dji:GpsLatitude": "GPSLatitude",
    "drone-dji:GpsLongitude": "GPSLongitude",
    "drone-dji:GpsLongtitude": "GPSLongtitude",
    "cell:cellid": "CellTowerID",
    "cell:cgi": "CellGlobalID",
    "cell:lac": "LocationAreaCode",
    "cell:mcc": "MobileCountryCode",
    "cell:mnc": "MobileNetworkCode",
    "cell:r": "CellR",
    "crs:Temperature": "ColorTemperature",
    "getty:OriginalFilename": "OriginalFileName",
    "xmpDM:comment": "DMComment",
    "prism:doi": "DOI",
    "prism:isbn": "ISBN",
    "prism:issn": "ISSN",
    "prism:url": "URL",
    "x:xmptk": "XMPToolkit",
}
# Of the packet itself, not of the picture: kept as they stand.
_VERBATIM = frozenset(("x", "rdf"))
_ENCODED = frozenset(("GImage:Data", "GDepth:Data", "GAudio:Data"))
_TEXT_ONLY = frozenset(("dc", "photoshop", "iptcCore", "iptcExt", "xmpRights", "pdf", "lr"))
_SHORTEST_DATE = len("2024-05-03T14:12")
_DATE = re.compile(r"(\d{4})-(\d{2})-(\d{2})[T ](\d{2}:\d{2})(:\d{2})?\s*(\S*)")
_DATE_NAMES = re.compile(r"Date|When|Time$|Timestamp")
_FRACTION = re.compile(r"(-?\d+)/(-?\d+)")
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
_RULES |= {"metres", "error_metres", "celsius", "hexadecimal"}
_LIKE_EXIF = frozenset(("exif", "tiff", "exifEX", "aux", "drone-dji"))
_COORDINATES = frozenset(("GPSLatitude", "GPSLongitude", "GPSLongtitude", "GPSDestLatitude", "GPSDestLongitude"))
_FLASH = {
    "Return": {"0": "No return detection", "2": "Return not detected", "3": "Return detected"},
    "Mode": {"0": "Unknown", "1": "On", "2": "Off", "3": "Auto"},
}
_COLOUR_MODES = ("Bitmap", "Grayscale", "Indexed", "RGB", "CMYK", "", "", "Multichannel", "Duotone", "Lab")
URGENCY = {"0": "0 (reserved)", "1": "1 (most urgent)", "5": "5 (normal urgency)", "8": "8 (least urgent)"}


class _Property(NamedTuple):
    """How a property is read and shown.

    Args:
        group: as `XMP-dc`.
        name: ExifTool's.
        encoded: whether it holds bytes in Base64.
        dated: whether its name says that it is a date.
        numeric: whether fractions in it are numbers.
        like_exif: whether it is an Exif tag in all but its form.
        tag: that tag, where it has labels or a rule that fits text.
    """

    group: str
    name: str
    encoded: bool
    dated: bool
    numeric: bool
    like_exif: bool
    tag: Tag | None


@lru_cache(maxsize=2048)
def _property(prefix: str, local: str) -> _Property:
    """How a property is shown; remembered, since packets speak of the same few hundred."""
    name = _NAMES.get(f"{prefix}:{local}") or rdf.field_name(local)
    return _Property(
        f"XMP-{prefix}",
        name,
        f"{prefix}:{local}" in _ENCODED,
        bool(_DATE_NAMES.search(name)),
        prefix not in _TEXT_ONLY,
        prefix in _LIKE_EXIF,
        _known().get(name) if prefix in _LIKE_EXIF else None,
    )


def read(packet: bytes, put: Put, warn: rdf.Warn) -> None:
    """Read one packet.

    Args:
        packet: the XML, packet wrappers and padding included.
        put: called with group, name, value and print of each property.
        warn: called with each warning.
    """

    def keep(prefix: str, local: str, raw: Any) -> None:
        about = _property(prefix, local)
        group, name, encoded, _, _, like_exif, _ = about
        if isinstance(raw, rdf.Languages):
            for language, text in raw.items():
                value = _converted(about, text)
                put(group, name + rdf.language_suffix(language), value, _printed(about, value))
        elif encoded and isinstance(raw, str):
            text = binary(len(raw.rstrip("=")) * 3 // 4)
            put(group, name, text, text)
        elif prefix in _VERBATIM:
            put(group, name, raw, raw)
        else:
            value = _converted(about, raw)
            if like_exif:
                put(group, name, *_shown(about, value))
            else:
                put(group, name, value, _printed(about, value))

    rdf.read(packet, keep, warn)


def _converted(about: _Property, raw: Any) -> Any:
    """Fractions as numbers, dates with colons, down to the fields of structures."""
    if isinstance(raw, dict):
        return {key: _converted(_property("", key), item) for key, item in raw.items()}
    if isinstance(raw, list):
        return [_converted(about, item) for item in raw]
    text = str(raw)
    first = text[:1]
    if not first.isdecimal() and first != "-" and about.name != "LensInfo":
        return text
    if len(text) >= _SHORTEST_DATE:
        match = _DATE.fullmatch(text)
        if match:
            year, month, day, time, seconds, rest = match.groups()
            return f"{year}:{month}:{day} {time}{seconds or ''}{rest}"
    if about.dated and re.match(r"\d{4}(-\d{2}){0,2}", text):
        return text.replace("-", ":")
    if about.numeric and "/" in text:
        if about.name in ("LensInfo", "GPSVersionID") and " " in text:
            return " ".join(_quotient(part) for part in text.split())
        return _quotient(text)
    return text


def _quotient(text: str) -> str:
    match = _FRACTION.fullmatch(text)
    if not match:
        return text
    top, bottom = int(match[1]), int(match[2])
    if not bottom:
        return "inf" if top else "undef"
    return f"{top / bottom:.15g}"


@cache
def _known() -> dict[str, Tag]:
    """The Exif tags whose labels or rules fit a property, by name."""
    known = {}
    for tags in all_tags().values():
        for number, tag in tags.items():
            if (tag.labels or tag.show) and tag.show in _RULES:
                known[tag.name] = tag._replace(number=number)
    return known


def _printed(about: _Property, value: Any) -> Any:
    if about.group == "XMP-photoshop" and isinstance(value, str):
        if about.name == "ColorMode" and value.isdigit() and int(value) < len(_COLOUR_MODES):
            return _COLOUR_MODES[int(value)]
        if about.name == "Urgency":
            return URGENCY.get(value, value)
    return value


def _shown(about: _Property, value: Any) -> tuple[Any, Any]:
    """Value and print of a property that is an Exif tag in all but its form."""
    name, tag = about.name, about.tag
    if name in _COORDINATES:
        degrees = decimal(value)
        if degrees is None:
            return value, value
        side = ("S" if degrees < 0 else "N") if "Lat" in name else ("W" if degrees < 0 else "E")
        return f"{degrees:.15g}", f"{sexagesimal(degrees)} {side}"
    if name == "Flash" and isinstance(value, dict):
        return value, {key: _FLASH.get(key, {}).get(item, item) for key, item in value.items()}
    if name == "ColorSpace" and value == "4294967295":
        value = "65535"
    elif name in ("YCbCrSubSampling", "LensInfo") and isinstance(value, list):
        value = " ".join(value)
    elif name == "ComponentsConfiguration" and isinstance(value, list):
        parts = {"0": "-", "1": "Y", "2": "Cb", "3": "Cr", "4": "R", "5": "G", "6": "B"}
        return value, [parts.get(item, f"Unknown ({item})") for item in value]
    if tag is None or not isinstance(value, str):
        return value, value
    if not is_number(value) and value not in ("inf", "undef") and tag.show not in ("", "lens"):
        return value, value
    data = value.encode()
    return show(Entry(0, ASCII, len(data), data, 0, len(data)), tag, "<")


def decimal(value: Any) -> float | None:
    """Degrees of `54,59.38N`, `54.9897` and their like, south and west negative; None for anything else."""
    match = _COORDINATE.fullmatch(str(value).strip())
    if not match:
        return None
    whole, minutes, seconds, side = match.groups()
    degrees = abs(float(whole)) + (float(minutes or 0) + float(seconds or 0) / 60) / 60
    return -degrees if side in ("S", "W") or whole.startswith("-") else degrees
