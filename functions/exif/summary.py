"""What a person wants at a glance: camera, exposure, place, time, resolution, and one sentence of it."""

from __future__ import annotations

import re
from calendar import monthrange
from collections.abc import Mapping
from typing import Any

from functions.exif.blocks import Scan
from functions.exif.places import sexagesimal
from functions.exif.rows import Reading
from functions.exif.values import number_or_text

_DATE = re.compile(
    r"(\d{4})[:\-/.](\d{1,2})[:\-/.](\d{1,2})(?:[ T](\d{1,2}):(\d{1,2})(?::(\d{1,2}))?(\.\d+)?)?\s*(Z|[+-]\d\d:?\d\d)?"
)
_OFFSET = re.compile(r"[+-]\d\d:\d\d|Z")
MONTHS = (
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
)
# Makers' names as people write them; most cameras' own are in capitals or carry the company's form.
_MAKER_FORM = re.compile(
    r"(?i)(?<![ ,])[ ,]+(corporation|corp\.?|co\.?,? ?ltd\.?|company|inc\.?|imaging|optical|electric|eastman)\b.*"
)


def camera(reading: Reading) -> dict[str, Any]:
    """Make, model, lens and serial numbers; only what there is."""
    maker = reading.note.maker if reading.note else ""
    make = _first(reading, ("IFD0", "Make"), ("XMP-tiff", "Make"))
    model = _first(reading, ("IFD0", "Model"), ("XMP-tiff", "Model"), ("IFD0", "UniqueCameraModel"))
    serial = _first(
        reading,
        ("ExifIFD", "SerialNumber"),
        ("IFD0", "CameraSerialNumber"),
        (maker, "SerialNumber"),
        ("XMP-aux", "SerialNumber"),
        ("XMP-exifEX", "SerialNumber"),
    )
    lens = _first(
        reading,
        ("ExifIFD", "LensModel"),
        (maker, "LensModel"),
        *([("Composite", "LensID")] if _names_lens(reading) else []),
        (maker, "Lens"),
        (maker, "LensSpec"),
        ("XMP-exifEX", "LensModel"),
        ("XMP-aux", "Lens"),
        ("ExifIFD", "LensInfo"),
        ("IFD0", "DNGLensInfo"),
    )
    lens_serial = _first(reading, ("ExifIFD", "LensSerialNumber"), (maker, "LensSerialNumber"))
    found = {
        "make": make,
        "model": model,
        "serial_number": serial,
        "lens": lens,
        "lens_make": _first(reading, ("ExifIFD", "LensMake")),
        "lens_serial_number": lens_serial,
        "software": _first(reading, ("IFD0", "Software"), ("XMP-xmp", "CreatorTool")),
        "owner": _first(reading, ("ExifIFD", "OwnerName"), (maker, "OwnerName")),
    }
    return {name: value for name, value in found.items() if value not in ("", None)}


def _names_lens(reading: Reading) -> bool:
    """Whether the lens's number has a name, one alone."""
    name = reading.text("Composite", "LensID")
    return bool(name) and " or " not in name and not name.startswith(("Unknown", "None"))


def _first(reading: Reading, *places: tuple[str, str]) -> Any:
    groups = reading.groups
    for group, name in places:
        if group in groups and name in groups[group]:
            printed = groups[group][name][2]
            if printed not in ("", None):
                text = _one(printed)
                return text.strip() if isinstance(text, str) else text
    return None


def _one(printed: Any) -> Any:
    """A print as one value: XMP has lists where Exif has a number, such as of its ISO speeds."""
    return ", ".join(map(str, printed)) if isinstance(printed, list) else printed


_EXPOSURE = {
    "time": ("ExposureTime", "ShutterSpeedValue"),
    "f_number": ("FNumber", "ApertureValue"),
    "iso": ("ISO", "RecommendedExposureIndex", "ISOSpeed"),
    "compensation": ("ExposureCompensation",),
    "program": ("ExposureProgram",),
    "mode": ("ExposureMode",),
    "metering": ("MeteringMode",),
    "light_source": ("LightSource",),
    "white_balance": ("WhiteBalance",),
    "flash": ("Flash",),
}
_FOCUS = {
    "focal_length": ("FocalLength",),
    "focal_length_35mm": ("FocalLengthIn35mmFormat",),
    "subject_distance": ("SubjectDistance",),
    "subject_distance_range": ("SubjectDistanceRange",),
    "digital_zoom": ("DigitalZoomRatio",),
}


def exposure(reading: Reading) -> dict[str, Any]:
    """How the picture was exposed, as printed; `seconds` is the time as a number."""
    found = _named(reading, _EXPOSURE)
    seconds = reading.value("ExifIFD", "ExposureTime")
    if seconds is None:
        seconds = reading.value("ExifIFD", "ShutterSpeedValue")
    if isinstance(seconds, int | float) and "time" in found:
        found["seconds"] = seconds
    return found


def focus(reading: Reading) -> dict[str, Any]:
    """Focal length and distance, as printed."""
    return _named(reading, _FOCUS)


def _named(reading: Reading, names: Mapping[str, tuple[str, ...]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    present = [reading.groups[group] for group in ("ExifIFD", "XMP-exif", "IFD0", "IFD2") if group in reading.groups]
    for rows in present:
        for key, candidates in names.items():
            if key in found:
                continue
            for name in candidates:
                if name in rows:
                    printed = rows[name][2]
                    if printed not in ("", "undef"):
                        found[key] = _one(printed)
                    break
    return {key: found[key] for key in names if key in found}


def location(reading: Reading) -> dict[str, Any] | None:
    """Where the picture was taken: decimal degrees, degrees in words, altitude, direction, a `geo:` URI (RFC 5870).

    Returns:
        As Exif says, else as XMP does; None where neither has a valid position, be it that a reference is missing, a
        value is none, or out of range.
    """
    return _location(reading, "GPS") or _location(reading, "XMP-exif")


def _location(reading: Reading, group: str) -> dict[str, Any] | None:
    rows = reading.groups.get(group)
    if not rows or "GPSLatitude" not in rows:
        return None
    values = {name: value for name, value, *_ in rows.values() if name.startswith("GPS")}
    if group != "GPS":  # XMP's numbers are text
        values = {name: _number(value) for name, value in values.items()}
    latitude = _coordinate(values, "GPSLatitude", "S", 90)
    longitude = _coordinate(values, "GPSLongitude", "W", 180)
    if latitude is None or longitude is None:
        return None
    south, west = ("S" if latitude < 0 else "N"), ("W" if longitude < 0 else "E")
    found: dict[str, Any] = {
        "latitude": round(latitude, 8),
        "longitude": round(longitude, 8),
        "dms": f"{sexagesimal(latitude)} {south}, {sexagesimal(longitude)} {west}",
    }
    altitude = values.get("GPSAltitude")
    uri = f"geo:{latitude:.8g},{longitude:.8g}"
    if isinstance(altitude, int | float):
        below = values.get("GPSAltitudeRef") in (1, 3, "1", "3")
        found["altitude"] = -altitude if below else altitude
        uri += f",{found['altitude']:.6g}"
    for name, key in (("GPSImgDirection", "direction"), ("GPSTrack", "track"), ("GPSSpeed", "speed")):
        if isinstance(values.get(name), int | float):
            found[key] = values[name]
            if name + "Ref" in rows:
                found[key + "_reference"] = rows[name + "Ref"][2]
    if isinstance(values.get("GPSHPositioningError"), int | float):
        found["error"] = values["GPSHPositioningError"]
        uri += f";u={found['error']:.6g}"
    date, time = reading.text(group, "GPSDateStamp"), reading.text(group, "GPSTimeStamp")
    moment = f"{date} {time}Z" if date and time else reading.text(group, "GPSDateTime")
    if moment:
        found["time"] = moment.replace(":", "-", 2).replace(" ", "T", 1)
    if "GPSMapDatum" in rows:
        found["datum"] = rows["GPSMapDatum"][2]
    found["geo"] = uri
    found["map"] = (
        f"https://www.openstreetmap.org/?mlat={latitude:.6f}&mlon={longitude:.6f}#map=15/{latitude:.6f}/{longitude:.6f}"
    )
    return found


def _number(value: Any) -> Any:
    """A text as the finite number that it may be."""
    number = number_or_text(value) if isinstance(value, str) else value
    return value if number in (float("inf"), -float("inf")) else number


def _coordinate(values: dict[str, Any], name: str, negative: str, limit: int) -> float | None:
    degrees = values.get(name)
    if not isinstance(degrees, int | float):
        return None
    sign = -1 if str(values.get(name + "Ref", "")).strip().upper().startswith(negative) else 1
    value = sign * float(degrees)
    return value if abs(value) <= limit else None


def capture_time(reading: Reading) -> dict[str, Any] | None:
    """When the picture was taken: Original with its fraction and offset, else Digitized, else the file's date.

    Returns:
        `iso` (ISO 8601, with fraction and offset where known), `source` (the tag it came from); None without a date.
    """
    for group, name, fraction, offset in (
        ("ExifIFD", "DateTimeOriginal", "SubSecTimeOriginal", "OffsetTimeOriginal"),
        ("ExifIFD", "CreateDate", "SubSecTimeDigitized", "OffsetTimeDigitized"),
        ("IFD0", "DateTimeOriginal", "", ""),
        ("IFD0", "ModifyDate", "SubSecTime", "OffsetTime"),
        ("XMP-exif", "DateTimeOriginal", "", ""),
        ("XMP-photoshop", "DateCreated", "", ""),
        ("XMP-xmp", "CreateDate", "", ""),
    ):
        match = _DATE.match(reading.text(group, name))
        if not match:
            continue
        iso = _iso(match, reading.text("ExifIFD", fraction).strip(), reading.text("ExifIFD", offset).strip())
        if iso:
            return {"iso": iso, "source": f"{group}:{name}"}
    return None


def _iso(match: re.Match[str], fraction: str, offset: str) -> str | None:
    year, month, day, hour, minute, second, own_fraction, own_offset = match.groups()
    if not (int(year) and 1 <= int(month) <= 12 and 1 <= int(day) <= monthrange(int(year), int(month))[1]):
        return None
    text = f"{year}-{int(month):02d}-{int(day):02d}"
    if hour is None:
        return text
    if int(hour) > 23 or int(minute) > 59 or int(second or 0) > 59:
        return text
    text += f"T{int(hour):02d}:{int(minute):02d}:{int(second or 0):02d}"
    if fraction.isascii() and fraction.isdigit():
        text += "." + fraction
    elif own_fraction:
        text += own_fraction
    if _OFFSET.fullmatch(offset):
        text += offset
    elif own_offset:
        text += own_offset
    return text


def resolution(reading: Reading) -> dict[str, Any] | None:
    """Pixels an inch, wherever they stand: Exif, JFIF, pHYs, BMP; None where they stand nowhere."""
    for group, x_name, y_name, unit_name in (
        ("IFD0", "XResolution", "YResolution", "ResolutionUnit"),
        ("JFIF", "XResolution", "YResolution", "ResolutionUnit"),
        ("XMP-tiff", "XResolution", "YResolution", "ResolutionUnit"),
    ):
        x, y = reading.value(group, x_name), reading.value(group, y_name)
        if not isinstance(x, int | float) or not isinstance(y, int | float) or x <= 0 or y <= 0:
            continue
        unit = reading.text(group, unit_name) or "inches"
        if unit == "None":
            continue
        scale = 2.54 if unit == "cm" else 1
        return {"x": x, "y": y, "unit": unit, "dpi": [round(x * scale, 2), round(y * scale, 2)], "source": group}
    details = reading.scan.details
    x, y = details.get("pixels_per_unit_x"), details.get("pixels_per_unit_y")
    if isinstance(x, int) and isinstance(y, int) and x > 0 and y > 0 and details.get("pixel_units") == 1:
        return {"x": x, "y": y, "unit": "m", "dpi": [round(x * 0.0254, 2), round(y * 0.0254, 2)], "source": "header"}
    return None


def sentence(
    scan: Scan,
    about: Mapping[str, Any],
    lit: Mapping[str, Any],
    sharp: Mapping[str, Any],
    when: Mapping[str, Any] | None,
) -> str:
    """One line: `Canon EOS 5D, 50 mm, 1/200 s, f/2.8, ISO 400, 3 May 2024 14:12 +02:00`; without metadata, the file.

    Args:
        scan: of the file.
        about: what `camera` found.
        lit: what `exposure` found.
        sharp: what `focus` found.
        when: what `capture_time` found.
    """
    parts = []
    if "model" in about or "make" in about:
        parts.append(_camera_name(str(about.get("make", "")), str(about.get("model", ""))))
    if "focal_length" in sharp:
        parts.append(str(sharp["focal_length"]).replace(".0 mm", " mm"))
    if "time" in lit:
        parts.append(f"{lit['time']} s")
    if "f_number" in lit:
        parts.append(f"f/{str(lit['f_number']).removesuffix('.0')}")
    if "iso" in lit:
        parts.append(f"ISO {lit['iso']}")
    if when:
        parts.append(spoken(when["iso"]))
    if parts:
        return ", ".join(parts)
    size = f", {scan.width} × {scan.height} pixels" if scan.width else ""
    return f"{scan.format}{size}, no camera metadata"


def _camera_name(make: str, model: str) -> str:
    """Maker and model without saying the maker twice."""
    make, model = " ".join(make.split()), " ".join(model.split())
    short = _MAKER_FORM.sub("", make)
    if not model:
        return short or make
    if not short or model.lower().startswith(short.split()[0].lower()):
        return model
    return f"{short} {model}"


def spoken(iso: str) -> str:
    """`2024-05-03T14:12:31.25+02:00` as `3 May 2024 14:12 +02:00`."""
    date, _, time = iso.partition("T")
    year, month, day = date.split("-")
    text = f"{int(day)} {MONTHS[int(month) - 1]} {year}"
    if time:
        text += f" {time[:5]}"
        zone = re.search(r"(Z|[+-]\d\d:\d\d)$", time)
        if zone:
            text += f" {'UTC' if zone[0] == 'Z' else zone[0]}"
    return text
