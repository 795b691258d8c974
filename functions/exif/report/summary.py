"""What a person wants at a glance: camera, exposure, place, time, resolution, and one sentence of it."""

from __future__ import annotations

import re
from collections.abc import Mapping

from functions.exif.report.moments import moment
from functions.exif.rows import Reading
from functions.exif.scan.result import Scan
from functions.kit.jsontypes import Json, JsonMapping, JsonObject

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


# Groups of raws of their own form, which need not have Exif.
_RAWS = ("CanonRaw", "SigmaRaw", "Canon")


def camera(reading: Reading) -> JsonObject:
    """Make, model, lens and serial numbers; only what there is."""
    maker = reading.note.maker if reading.note else ""
    make = _first(reading, ("IFD0", "Make"), ("XMP-tiff", "Make"), *((group, "Make") for group in _RAWS))
    model = _first(
        reading,
        *(("IFD0", "Model"), ("XMP-tiff", "Model"), ("IFD0", "UniqueCameraModel")),
        *((group, "Model") for group in _RAWS),
    )
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
        "shutter_count": _of_maker(reading, "ShutterCount", "MechanicalShutterCount", "ShutterCount2"),
        "software": _first(reading, ("IFD0", "Software"), ("XMP-xmp", "CreatorTool")),
        "owner": _first(reading, ("ExifIFD", "OwnerName"), (maker, "OwnerName")),
    }
    return {name: value for name, value in found.items() if value not in ("", None)}


# Groups that no maker's note has.
_STANDARD = re.compile(
    r"IFD\d|SubIFD|ExifIFD|GPS|InteropIFD|GlobParam|XMP|IPTC|ICC|PNG|File|Composite|JFIF|JFXX|Adobe|Photoshop|QuickTime"
    r"|Meta|Track|MP[FI]|RIFF|GIF|Jpeg2000|JUMBF|PrintIM|UserData|Keys|ItemList"
)
MAX_TEXT = 120


def _of_maker(reading: Reading, *names: str) -> Json:
    """What a maker's note says under the first of some names."""
    notes = [rows for group, rows in reading.groups.items() if not _STANDARD.match(group)]
    for name in names:
        for rows in notes:
            if name in rows:
                printed = _one(rows[name][2])
                text = printed.strip() if isinstance(printed, str) else printed
                if text not in ("", None, "n/a", "None", "(none)") and len(str(text)) <= MAX_TEXT:
                    return text
    return None


def _names_lens(reading: Reading) -> bool:
    """Whether the lens's number has exactly one name."""
    name = reading.text("Composite", "LensID")
    return bool(name) and " or " not in name and not name.startswith(("Unknown", "None"))


def _first(reading: Reading, *places: tuple[str, str]) -> Json:
    groups = reading.groups
    for group, name in places:
        if group in groups and name in groups[group]:
            printed = groups[group][name][2]
            if printed not in ("", None):
                text = _one(printed)
                return text.strip() if isinstance(text, str) else text
    return None


def _one(printed: Json) -> Json:
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


# What only makers' notes say, by the names that makers give it.
_MADE = {
    "drive": ("DriveMode", "ContinuousDrive", "ReleaseMode", "ShootingMode", "BurstMode", "SequenceMode"),
    "style": (
        "PictureStyle",
        "FilmMode",
        "PictureControlName",
        "CreativeStyle",
        "PictureMode",
        "PhotoStyle",
        "ImageTone",
    ),
}
_FOCUSED = {
    "mode": ("FocusMode", "FocusModeSetting", "AFMode", "AutoFocusMode"),
    "points": ("AFPointsInFocus", "AFPointsUsed", "AFPointSelected", "AFPoint", "PrimaryAFPoint", "FocusPixel"),
}


def exposure(reading: Reading) -> JsonObject:
    """How the picture was exposed, as printed; `seconds` is the time as a number."""
    found = _named(reading, _EXPOSURE, _MADE)
    seconds = reading.value("ExifIFD", "ExposureTime")
    if seconds is None:
        seconds = reading.value("ExifIFD", "ShutterSpeedValue")
    if isinstance(seconds, int | float) and "time" in found:
        found["seconds"] = seconds
    return found


def focus(reading: Reading) -> JsonObject:
    """Focal length, distance, focus mode and points, as printed."""
    return _named(reading, _FOCUS, _FOCUSED)


def _named(
    reading: Reading, names: Mapping[str, tuple[str, ...]], of_maker: Mapping[str, tuple[str, ...]]
) -> JsonObject:
    found: JsonObject = {}
    places = ("ExifIFD", "XMP-exif", "IFD0", "IFD2", *(() if "ExifIFD" in reading.groups else _RAWS))
    present = [reading.groups[group] for group in places if group in reading.groups]
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
    result = {key: found[key] for key in names if key in found}
    made = {key: _of_maker(reading, *candidates) for key, candidates in of_maker.items()}
    return result | {key: value for key, value in made.items() if value is not None}


def displayed(reading: Reading) -> dict[str, int] | None:
    """Width and height as a viewer shows the picture; None where the header does not tell them.

    HEIC, AVIF and JPEG XL state how the picture is turned in their own structure and Exif's orientation does not count.
    """
    scan = reading.scan
    if not scan.width or not scan.height:
        return None
    own = scan.format in ("HEIC", "HEIF", "AVIF", "JXL", "JP2", "JPX")
    orientation = scan.details.get("orientation", 1) if own else reading.value("IFD0", "Orientation")
    turned = isinstance(orientation, int) and 5 <= orientation <= 8
    turned = turned or scan.details.get("rotation", 0) in (90, 270)
    width, height = (scan.height, scan.width) if turned else (scan.width, scan.height)
    return {"width": width, "height": height}


def capture_time(reading: Reading) -> JsonObject | None:
    """When the picture was taken: Original with its fraction and offset, else Digitized, else the file's date.

    Returns:
        `iso` (ISO 8601, with fraction and offset where known), `source` (the tag it came from); None without a date
        of the calendar.
    """
    for group, name, fraction, offset in (
        ("ExifIFD", "DateTimeOriginal", "SubSecTimeOriginal", "OffsetTimeOriginal"),
        ("ExifIFD", "CreateDate", "SubSecTimeDigitized", "OffsetTimeDigitized"),
        ("IFD0", "DateTimeOriginal", "", ""),
        ("IFD0", "ModifyDate", "SubSecTime", "OffsetTime"),
        ("XMP-exif", "DateTimeOriginal", "", ""),
        ("XMP-photoshop", "DateCreated", "", ""),
        ("XMP-xmp", "CreateDate", "", ""),
        ("Keys", "CreationDate", "", ""),
        ("QuickTime", "CreateDate", "", ""),
        ("CanonRaw", "DateTimeOriginal", "", ""),
        ("SigmaRaw", "DateTimeOriginal", "", ""),
    ):
        text = reading.text(group, name)
        iso = moment(text, reading.text("ExifIFD", fraction).strip(), reading.text("ExifIFD", offset).strip())
        if iso:
            return {"iso": iso, "source": f"{group}:{name}"}
    return None


def resolution(reading: Reading) -> JsonObject | None:
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
    about: JsonMapping,
    lit: JsonMapping,
    sharp: JsonMapping,
    when: JsonMapping | None,
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
