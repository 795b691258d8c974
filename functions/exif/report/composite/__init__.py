"""ExifTool's Composite tags: what is calculated from other tags, such as depth of field and the 35 mm equivalent.

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
    for name, derive in DERIVED:
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
            reading.add("Composite", name, value, printed)


# In the order of need: what others are made of comes first.
DERIVED: tuple[tuple[str, Callable[[Tags], Shown | None]], ...] = (
    ("ImageSize", optics.image_size),
    ("Megapixels", optics.megapixels),
    ("ISO", makers.canon_iso),
    ("DigitalZoom", makers.digital_zoom),
    ("ShutterSpeed", optics.shutter_speed),
    ("Aperture", optics.aperture),
    ("LightValue", optics.light_value),
    ("FocusDistance", makers.sony_distance),
    ("ScaleFactor35efl", optics.scale_factor),
    ("FocalLength35efl", optics.focal_length),
    ("CircleOfConfusion", optics.circle),
    ("HyperfocalDistance", optics.hyperfocal),
    ("DOF", optics.depth_of_field),
    ("FOV", optics.field_of_view),
    ("SubSecDateTimeOriginal", moments.moment("DateTimeOriginal", "SubSecTimeOriginal", "OffsetTimeOriginal")),
    ("SubSecCreateDate", moments.moment("CreateDate", "SubSecTimeDigitized", "OffsetTimeDigitized")),
    ("SubSecModifyDate", moments.moment("ModifyDate", "SubSecTime", "OffsetTime")),
    ("DateTimeCreated", moments.joined("IPTC", "DateCreated", "TimeCreated")),
    ("DigitalCreationDateTime", moments.joined("IPTC", "DigitalCreationDate", "DigitalCreationTime")),
    ("DateTimeOriginal", moments.original),
    ("GPSDateTime", moments.satellites),
    ("GPSLatitude", places.coordinate("GPSLatitude", "NS")),
    ("GPSLongitude", places.coordinate("GPSLongitude", "EW")),
    ("GPSDestLatitude", places.coordinate("GPSDestLatitude", "NS")),
    ("GPSDestLongitude", places.coordinate("GPSDestLongitude", "EW")),
    ("GPSAltitude", places.altitude),
    ("GPSPosition", places.position),
    ("GPSLatitudeRef", places.from_xmp("GPSLatitude", "NS", ("North", "South"))),
    ("GPSLongitudeRef", places.from_xmp("GPSLongitude", "EW", ("East", "West"))),
    ("CFAPattern", colours.pattern),
    ("Flash", colours.flash),
    ("WB_RGGBLevels", makers.canon_levels),
    ("RedBalance", colours.balance(False)),
    ("BlueBalance", colours.balance(True)),
    ("DriveMode", makers.drive_mode),
    ("Lens", makers.lens),
    ("Lens35efl", makers.lens_equivalent),
    ("ShootingMode", makers.shooting_mode),
    ("FlashType", makers.flash_type),
    ("RedEyeReduction", makers.red_eye),
    ("ConditionalFEC", makers.flash_compensation),
    ("ShutterCurtainHack", makers.curtain),
    ("FileNumber", makers.file_number),
    ("RunTimeSincePowerUp", makers.run_time),
    ("ExtenderStatus", makers.extender),
    ("LensSpec", makers.nikon_lens),
    ("AutoFocus", makers.auto_focus),
    ("PhaseDetectAF", makers.phase_detection),
    ("ContrastDetectAF", makers.contrast_detection),
    ("FocusDistance2", makers.sony_distance_2),
    ("DateCreated", makers.kodak_date),
    ("PreviewImageSize", makers.preview_size),
)


def names() -> Iterator[str]:
    """The tags that may be added."""
    yield from (name for name, _ in DERIVED)
