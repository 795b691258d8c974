"""ExifTool's Composite tags: values calculated from other tags, such as depth of field and the 35 mm equivalent.

Each tag is one function of the rows that it needs; facts (which tags, formulas, units) are those of ExifTool 13.58.
The reading imports it, when all rows are there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from functions.exif.report.composite import colours, makers, moments, optics, places
from functions.exif.report.composite.lookup import Found, Shown, Tags, number

if TYPE_CHECKING:
    from functions.exif.rows import Reading


def add(reading: Reading) -> None:
    """Add the tags that the rows of a reading give."""
    tags = Tags(reading)
    rows = reading.groups.get("Composite", {})
    present = set(tags.rows)
    for name, derive, needed in DERIVED:
        if not needed <= present:
            continue
        if name in rows:
            tags.derived[name] = Found(rows[name][1], rows[name][2])
            continue
        try:
            shown = derive(tags)
        except (ArithmeticError, TypeError, ValueError):  # XMP may hold a structure where a number is due
            continue
        if shown is not None:
            value, printed = shown
            value = number(value)
            tags.derived[name] = Found(value, printed)
            present.add(name)
            reading.add("Composite", name, value, printed)


Derive = Callable[[Tags], Shown | None]
# In the order of need: what others are made of comes first. Each with the tags that it requires.
_DERIVED: tuple[tuple[str, Derive, str], ...] = (
    ("ImageSize", optics.image_size, ""),
    ("Megapixels", optics.megapixels, "ImageSize"),
    ("ISO", makers.canon_iso, ""),
    ("DigitalZoom", makers.digital_zoom, "ZoomSourceWidth ZoomTargetWidth DigitalZoom"),
    ("ShutterSpeed", optics.shutter_speed, ""),
    ("Aperture", optics.aperture, ""),
    ("LightValue", optics.light_value, "Aperture ShutterSpeed ISO"),
    ("FocusDistance", makers.sony_distance, "FocusPosition FocalLength"),
    ("ScaleFactor35efl", optics.scale_factor, ""),
    ("FocalLength35efl", optics.focal_length, "FocalLength"),
    ("CircleOfConfusion", optics.circle, "ScaleFactor35efl"),
    ("HyperfocalDistance", optics.hyperfocal, "FocalLength Aperture CircleOfConfusion"),
    ("DOF", optics.depth_of_field, "FocalLength Aperture CircleOfConfusion"),
    ("FOV", optics.field_of_view, "FocalLength ScaleFactor35efl"),
    (
        "SubSecDateTimeOriginal",
        moments.moment("DateTimeOriginal", "SubSecTimeOriginal", "OffsetTimeOriginal"),
        "DateTimeOriginal",
    ),
    ("SubSecCreateDate", moments.moment("CreateDate", "SubSecTimeDigitized", "OffsetTimeDigitized"), "CreateDate"),
    ("SubSecModifyDate", moments.moment("ModifyDate", "SubSecTime", "OffsetTime"), "ModifyDate"),
    ("DateTimeCreated", moments.joined("IPTC", "DateCreated", "TimeCreated"), "DateCreated TimeCreated"),
    (
        "DigitalCreationDateTime",
        moments.joined("IPTC", "DigitalCreationDate", "DigitalCreationTime"),
        "DigitalCreationDate DigitalCreationTime",
    ),
    ("DateTimeOriginal", moments.original, "DateCreated TimeCreated"),
    ("GPSDateTime", moments.satellites, "GPSDateStamp GPSTimeStamp"),
    ("GPSLatitude", places.coordinate("GPSLatitude", "NS"), "GPSLatitude GPSLatitudeRef"),
    ("GPSLongitude", places.coordinate("GPSLongitude", "EW"), "GPSLongitude GPSLongitudeRef"),
    ("GPSDestLatitude", places.coordinate("GPSDestLatitude", "NS"), "GPSDestLatitude GPSDestLatitudeRef"),
    ("GPSDestLongitude", places.coordinate("GPSDestLongitude", "EW"), "GPSDestLongitude GPSDestLongitudeRef"),
    ("GPSAltitude", places.altitude, "GPSAltitude GPSAltitudeRef"),
    ("GPSPosition", places.position, "GPSLatitude GPSLongitude"),
    ("GPSLatitudeRef", places.from_xmp("GPSLatitude", "NS", ("North", "South")), "GPSLatitude"),
    ("GPSLongitudeRef", places.from_xmp("GPSLongitude", "EW", ("East", "West")), "GPSLongitude"),
    ("CFAPattern", colours.pattern, "CFARepeatPatternDim CFAPattern2"),
    ("Flash", colours.flash, "Flash"),
    ("WB_RGGBLevels", makers.canon_levels, "WhiteBalance"),
    ("RedBalance", colours.balance(False), ""),
    ("BlueBalance", colours.balance(True), ""),
    ("DriveMode", makers.drive_mode, "ContinuousDrive SelfTimer"),
    ("Lens", makers.lens, "MinFocalLength MaxFocalLength"),
    ("Lens35efl", makers.lens_equivalent, "Lens MinFocalLength MaxFocalLength"),
    ("ShootingMode", makers.shooting_mode, "CanonExposureMode EasyMode"),
    ("FlashType", makers.flash_type, "FlashBits"),
    ("RedEyeReduction", makers.red_eye, "CanonFlashMode FlashBits"),
    ("ConditionalFEC", makers.flash_compensation, "FlashExposureComp FlashBits"),
    ("ShutterCurtainHack", makers.curtain, "FlashBits"),
    ("FileNumber", makers.file_number, "DirectoryIndex FileIndex"),
    ("RunTimeSincePowerUp", makers.run_time, "RunTimeValue RunTimeScale"),
    ("ExtenderStatus", makers.extender, "Extender LensType MaxApertureValue"),
    ("LensSpec", makers.nikon_lens, "Lens LensType"),
    ("AutoFocus", makers.auto_focus, "FocusMode"),
    ("PhaseDetectAF", makers.phase_detection, "FocusPointSchema AFDetectionMethod"),
    ("ContrastDetectAF", makers.contrast_detection, "FocusMode AFDetectionMethod"),
    ("FocusDistance2", makers.sony_distance_2, "FocusPosition2 FocalLengthIn35mmFormat"),
    ("DateCreated", makers.kodak_date, "YearCreated MonthDayCreated"),
    ("PreviewImageSize", makers.preview_size, "PreviewImageWidth PreviewImageHeight"),
)
DERIVED = tuple((name, derive, frozenset(needed.split())) for name, derive, needed in _DERIVED)


def names() -> Iterator[str]:
    """The tags that may be added."""
    yield from (name for name, _, _ in DERIVED)
