"""ExifTool's Composite tags: what is calculated from other tags, such as depth of field and the 35 mm equivalent.

Each tag is one function of the rows that it needs; facts (which tags, formulas, units) are those of ExifTool 13.58.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

from functions.exif.blocks.entries import VALUE
from functions.exif.blocks.values import is_number, shorten
from functions.exif.fields.tracks import duration
from functions.exif.printing.functions import exposure_time, f_number
from functions.exif.printing.places import sexagesimal

if TYPE_CHECKING:
    from functions.exif.rows import Reading

# Diagonal of a frame of 36 × 24 mm.
FULL_FRAME = math.hypot(36, 24)
_FIRST = ("File", "PNG", "RIFF", "GIF", "Photoshop", "IFD0", "ExifIFD", "IFD1", "SubIFD")
_LAST = re.compile(r"IFD\d|SubIFD\d|MPImage|ICC|Track|Composite|JFIF|MPF")
_MILLIMETRES = {"cm": 10, "mm": 1, "um": 0.001, 3: 10, 4: 1, 5: 0.001}
_FLOAT = re.compile(r"[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:[Ee][+-]?\d+)?")
Shown = tuple[Any, Any]


class Found(NamedTuple):
    """A tag's value and print."""

    value: Any
    printed: Any


class Tags:
    """The rows of a reading by name alone, the one that counts where several groups have it."""

    def __init__(self, reading: Reading) -> None:
        self.reading = reading
        groups = reading.groups
        first = [group for group in _FIRST if group in groups]
        xmp = [group for group in groups if group.startswith("XMP")]
        last = [group for group in groups if _LAST.match(group) and group not in first]
        rest = [group for group in groups if group not in first and group not in xmp and group not in last]
        self.order = [groups[group] for group in (*first, *rest, *xmp, *last)]
        self.derived: dict[str, Found] = {}

    def find(self, name: str) -> Found | None:
        """A tag of any group, `Group:Name` for one of a group; derived ones first."""
        if name in self.derived:
            return self.derived[name]
        group, colon, local = name.partition(":")
        if group == "Composite":
            return self.derived.get(local)
        if colon:
            row = self.reading.groups.get(group, {}).get(local)
            return Found(row[1], row[2]) if row else None
        for rows in self.order:
            row = rows.get(name)
            if row is not None:
                return Found(row[1], row[2])
        return None

    def number(self, name: str) -> float | None:
        """A tag's value as a number; None where there is none."""
        found = self.find(name)
        match = _FLOAT.match(str(found.value).strip()) if found is not None else None
        return float(match[0]) if match else None

    def text(self, name: str) -> str:
        """A tag's value as text; empty where there is none."""
        found = self.find(name)
        return "" if found is None else str(found.value)


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
            value = _number(value)
            tags.derived[name] = Found(value, printed)
            reading.add("Composite", name, value, printed)


def _number(value: Any) -> Any:
    return shorten(f"{value:.15g}") if isinstance(value, float) and math.isfinite(value) else value


def _plain(value: float) -> str:
    return str(_number(float(value)))


def _image_size(tags: Tags) -> Shown | None:
    width, height = tags.find("ImageWidth"), tags.find("ImageHeight")
    if tags.reading.scan.format == "CR2":
        width, height = tags.find("ExifImageWidth") or width, tags.find("ExifImageHeight") or height
    if width is None or height is None or not is_number(width.value) or not is_number(height.value):
        return None
    return f"{width.value} {height.value}", f"{width.value}x{height.value}"


def _megapixels(tags: Tags) -> Shown | None:
    found = tags.derived.get("ImageSize")
    if found is None:
        return None
    numbers = [int(part) for part in re.findall(r"\d+", str(found.value))]
    value = numbers[0] * numbers[1] / 1_000_000
    return value, f"{value:.{1 if value >= 1 else 3 if value >= 0.001 else 6}f}"


def _shutter_speed(tags: Tags) -> Shown | None:
    bulb = tags.find("BulbDuration")
    if bulb is not None and is_number(bulb.value) and float(bulb.value) > 0:
        return bulb.value, exposure_time(bulb.value)
    found = tags.find("ExposureTime") or tags.find("ShutterSpeedValue")
    return None if found is None else (found.value, exposure_time(found.value))


def _aperture(tags: Tags) -> Shown | None:
    for name in ("FNumber", "ApertureValue"):
        found = tags.find(name)
        if found is not None and found.value not in (0, "0", "", "undef"):
            return found.value, f_number(found.value)
    return None


def _light_value(tags: Tags) -> Shown | None:
    values = [tags.number("Aperture"), tags.number("ShutterSpeed")]
    iso = tags.find("ISO")
    match = _FLOAT.search(str(iso.printed)) if iso is not None else None
    if None in values or match is None:
        return None
    aperture, shutter, speed = values[0] or 0, values[1] or 0, float(match[0])
    if min(aperture, shutter, speed) <= 0:
        return None
    value = math.log2(aperture * aperture * 100 / (shutter * speed))
    return value, f"{value:.1f}"


def _scale_factor(tags: Tags) -> Shown | None:
    value = _scale(tags)
    return None if value is None else (value, f"{value:.1f}")


def _scale(tags: Tags) -> float | None:
    focal, equivalent = tags.number("FocalLength"), tags.number("FocalLengthIn35mmFormat")
    if focal and equivalent:
        return equivalent / focal
    diagonal = _diagonal(tags)
    return None if diagonal is None else FULL_FRAME * (tags.number("Composite:DigitalZoom") or 1) / diagonal


def _diagonal(tags: Tags) -> float | None:
    """The diagonal of the sensor in millimetres."""
    if tags.text("IFD0:Make") == "Canon" and (own := _canon_diagonal(tags)):
        return own
    diagonal = tags.number("FocalPlaneDiagonal")
    if diagonal:
        return diagonal
    sensor = re.fullmatch(r"([\d.]+) ([\d.]+)", tags.text("SensorSize"))
    if sensor:
        return math.hypot(float(sensor[1]), float(sensor[2]))
    across, down = tags.number("FocalPlaneXSize"), tags.number("FocalPlaneYSize")
    if across and down and (abs(across / down - 1.3333) < 0.1 or abs(across / down - 1.5) < 0.1):
        return math.hypot(across, down)
    return _resolved_diagonal(tags)


def _canon_diagonal(tags: Tags) -> float | None:
    """Canon's resolutions are sizes of the picture over those of the sensor, both in thousands."""
    rows = tags.reading.groups.get("ExifIFD", {})
    pairs = []
    for name in ("FocalPlaneXResolution", "FocalPlaneYResolution"):
        entry = rows[name][4] if name in rows else None
        raw = entry[VALUE] if entry is not None else None
        if not isinstance(raw, tuple) or not raw or not isinstance(raw[0], tuple):
            return None
        pairs.append(raw[0])
    (wide, sensor_wide), (high, sensor_high) = pairs
    sound = (
        wide % 1000 == 0
        and high % 1000 == 0
        and 640_000 <= wide < 10_000_000
        and 480_000 <= high < 10_000_000
        and 61 <= sensor_wide < 1500
        and 61 <= sensor_high < 1000
        and sensor_wide != sensor_high
    )
    return math.hypot(sensor_wide, sensor_high) * 0.0254 if sound else None


def _resolved_diagonal(tags: Tags) -> float | None:
    """The diagonal by the resolution of the focal plane and the size of the picture."""
    unit = tags.find("FocalPlaneResolutionUnit")
    millimetres = 25.4 if unit is None else _MILLIMETRES.get(unit.printed, _MILLIMETRES.get(unit.value, 25.4))
    across = tags.number("FocalPlaneXResolution")
    if not across:
        return None
    down = tags.number("FocalPlaneYResolution") or across
    for pair in ("ExifImage", "CanonImage", "Image"):
        width, height = tags.number(f"{pair}Width"), tags.number(f"{pair}Height")
        if width and height and 0.5 < width / height < 2:
            diagonal = math.hypot(width * millimetres / across, height * millimetres / down)
            return diagonal if 1 < diagonal < 100 else None
    return None


def _focal_length(tags: Tags) -> Shown | None:
    found = tags.find("FocalLength")
    if found is None:
        return None
    focal, factor = tags.number("FocalLength") or 0.0, tags.number("ScaleFactor35efl")
    value = focal * (factor or 1)
    return value, f"{focal:.1f} mm (35 mm equivalent: {value:.1f} mm)" if factor else f"{focal:.1f} mm"


def _circle(tags: Tags) -> Shown | None:
    factor = tags.number("ScaleFactor35efl")
    if not factor:
        return None
    value = FULL_FRAME / (factor * 1440)
    return value, f"{value:.3f} mm"


def _needs(tags: Tags, *names: str) -> list[float] | None:
    """Values of tags that must all be there; those that are no numbers count as 0."""
    if any(tags.find(name) is None for name in names):
        return None
    return [tags.number(name) or 0.0 for name in names]


def _hyperfocal(tags: Tags) -> Shown | None:
    values = _needs(tags, "FocalLength", "Aperture", "CircleOfConfusion")
    if values is None:
        return None
    focal, aperture, circle = values
    if not aperture or not circle:
        return "inf", "inf m"
    value = focal * focal / (aperture * circle * 1000)
    return value, f"{value:.2f} m"


def _depth_of_field(tags: Tags) -> Shown | None:
    values = _needs(tags, "FocalLength", "Aperture", "CircleOfConfusion")
    distance = _distance(tags)
    if values is None or distance is None:
        return None
    focal, aperture, circle = values
    if not focal or not circle:
        return 0, "inf (0.00 m - inf)"
    spread = aperture * circle * (distance * 1000 - focal) / (focal * focal)
    near, far = distance / (1 + spread), (distance / (1 - spread) if spread != 1 else -1)
    far = max(far, 0)
    value = f"{_plain(near)} {_plain(far)}"
    if not far:
        return value, f"inf ({near:.2f} m - inf)"
    depth = far - near
    places = 3 if 0 < depth < 0.02 else 2
    return value, f"{depth:.{places}f} m ({near:.{places}f} - {far:.{places}f} m)"


def _distance(tags: Tags) -> float | None:
    """The distance in focus in metres; a very large one for infinity."""
    focus = tags.find("FocusDistance")
    if focus is not None:
        return tags.number("FocusDistance") or 1e10
    found = None
    for name in ("SubjectDistance", "ObjectDistance", "ApproximateFocusDistance"):
        distance = tags.number(name)
        found = distance if distance is not None else found
        if distance:
            return distance
    if found is not None:
        return found
    lower, upper = tags.number("FocusDistanceLower"), tags.number("FocusDistanceUpper")
    return None if lower is None or upper is None else (lower + upper) / 2


def _field_of_view(tags: Tags) -> Shown | None:
    focal, factor, distance = tags.number("FocalLength"), tags.number("ScaleFactor35efl"), tags.number("FocusDistance")
    if not focal or not factor:
        return None
    correction = 1.0
    if distance:
        beyond = 1000 * distance - focal
        correction += focal / beyond if beyond > 0 else 0
    half = math.atan2(36, 2 * focal * factor * correction)
    degrees = half * 360 / 3.14159
    if distance and 0 < distance < 10_000:
        width = 2 * distance * math.tan(half)
        return f"{_plain(degrees)} {_plain(width)}", f"{degrees:.1f} deg ({width:.2f} m)"
    return degrees, f"{degrees:.1f} deg"


def _moment(date: str, fraction: str, offset: str) -> Callable[[Tags], Shown | None]:
    """A date with its fraction and offset, where it has one of them."""

    def derive(tags: Tags) -> Shown | None:
        found = tags.find(f"ExifIFD:{date}") or tags.find(f"IFD0:{date}")
        if found is None:
            return None
        part = _DIGITS.match(tags.text(fraction).strip())
        zone = _OFFSET.match(tags.text(offset).strip())
        value = written = str(found.value)
        if part is not None:
            value = _CLOCK.sub(rf"\g<1>.{part[0]}", value, count=1)
        if zone is not None and "-" not in written and "+" not in written:
            value += f"{zone[1]}{int(zone[2]):02d}:{zone[3]}"
        return None if value == written else (value, value)

    return derive


_DIGITS, _OFFSET = re.compile(r"\d+"), re.compile(r"([-+])(\d{1,2}):(\d{2})")
_CLOCK = re.compile(r"( \d{2}:\d{2}:\d{2})(?!\.\d+)")


def _joined(group: str, date: str, time: str) -> Callable[[Tags], Shown | None]:
    """A date and a time of two tags."""

    def derive(tags: Tags) -> Shown | None:
        first, second = tags.find(f"{group}:{date}"), tags.find(f"{group}:{time}")
        if first is None or second is None:
            return None
        text = f"{first.value} {second.value}"
        return text, text

    return derive


def _original(tags: Tags) -> Shown | None:
    """DateTimeOriginal of IPTC's date and time where no other tag has it."""
    if tags.find("DateTimeOriginal") is not None or not (tags.find("DateCreated") and tags.find("TimeCreated")):
        return None
    text = tags.text("DateTimeCreated") or f"{tags.text('DateCreated')} {tags.text('TimeCreated')}"
    return text, text


def _satellites(tags: Tags) -> Shown | None:
    date, time = tags.find("GPS:GPSDateStamp"), tags.find("GPS:GPSTimeStamp")
    if date is None or time is None:
        return None
    text = f"{date.value} {time.value}Z"
    return text, text


def _coordinate(name: str, sides: str) -> Callable[[Tags], Shown | None]:
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


def _altitude(tags: Tags) -> Shown | None:
    for group in ("GPS", "XMP-exif"):
        found, reference = tags.find(f"{group}:GPSAltitude"), tags.find(f"{group}:GPSAltitudeRef")
        if found is None or reference is None or not is_number(found.value):
            continue
        below = str(reference.value) not in ("0", "")
        altitude = float(found.value)
        value = -abs(altitude) if below else altitude
        words = str(reference.printed)
        if "Sea" in words:
            return value, f"{_plain(int(altitude * 10) / 10)} m {words}"
        short = int(value * 10) / 10
        return value, f"{_plain(abs(short))} m {'Below' if short < 0 else 'Above'} Sea Level"
    return None


def _position(tags: Tags) -> Shown | None:
    latitude, longitude = tags.find("GPSLatitude"), tags.find("GPSLongitude")
    if latitude is None or longitude is None or (latitude.value == "" and longitude.value == ""):
        return None
    return f"{latitude.value} {longitude.value}", f"{latitude.printed}, {longitude.printed}"


def _from_xmp(name: str, sides: str, words: tuple[str, str]) -> Callable[[Tags], Shown | None]:
    """The side of XMP's coordinate, which is in its text or sign."""

    def derive(tags: Tags) -> Shown | None:
        found = tags.find(f"XMP-exif:{name}")
        if found is None or isinstance(found.value, dict | list) or not is_number(found.value):
            return None
        negative = float(found.value) < 0
        return sides[negative], words[negative]

    return derive


# Places of red, two greens and blue among the levels of each tag; a green of 256 is one of that value.
_LEVELS = (
    ("WB_RGGBLevels", (0, 1, 2, 3)),
    ("WB_RGBGLevels", (0, 1, 3, 2)),
    ("WB_RBGGLevels", (0, 2, 3, 1)),
    ("WB_GRBGLevels", (1, 0, 3, 2)),
    ("WB_GRGBLevels", (1, 0, 2, 3)),
    ("WB_GBRGLevels", (2, 0, 3, 1)),
    ("WB_RGBLevels", (0, 1, 1, 2)),
    ("WB_GRBLevels", (1, 0, 0, 2)),
    ("WB_RBLevels", (0, 256, 256, 1)),
)


def _balance(blue: bool) -> Callable[[Tags], Shown | None]:
    """Red or blue over green of the white balance."""

    def derive(tags: Tags) -> Shown | None:
        value = _level(tags, blue)
        if value is None:
            level, green = tags.number("WBBlueLevel" if blue else "WBRedLevel"), tags.number("WBGreenLevel")
            value = level / green if level and green else None
        return None if value is None else (value, _number(int(value * 1e6 + 0.5) * 1e-6))

    return derive


def _level(tags: Tags, blue: bool) -> float | None:
    for name, places in _LEVELS:
        found = tags.find(name)
        levels = [float(part) for part in str(found.value).split() if is_number(part)] if found is not None else []
        if len(levels) < 2:
            continue
        wanted = places[3 if blue else 0]
        green: float = places[1]
        if green < 4:
            if len(levels) < 3:
                continue
            green = (levels[places[1]] + levels[places[2]]) / 2
            if not green:
                continue
        elif levels[wanted] < 4:
            green = 1
        return levels[wanted] / green
    return None


def _pattern(tags: Tags) -> Shown | None:
    size, cells = tags.text("CFARepeatPatternDim").split(), tags.text("CFAPattern2").split()
    if not size or not cells:
        return None
    if len(size) != 2 or len(cells) != int(size[0]) * int(size[1]):
        return "?", "<truncated data>"
    colours = ("Red", "Green", "Blue", "Cyan", "Magenta", "Yellow", "White")
    names = [colours[int(cell)] if int(cell) < len(colours) else "Unknown" for cell in cells]
    step = int(size[1])
    rows = [",".join(names[at : at + step]) for at in range(0, len(names), step)]
    return " ".join((*size, *cells)), "".join(f"[{row}]" for row in rows)


def _flash(tags: Tags) -> Shown | None:
    """XMP's structure of the flash as Exif's one number."""
    found = tags.find("XMP-exif:Flash")
    if found is None or not isinstance(found.value, dict):
        return None
    fields = found.value
    value = int(str(fields.get("Fired", "")).lower() == "true")
    value |= int(fields.get("Return") or 0) << 1 | int(fields.get("Mode") or 0) << 3
    value |= 0x20 * (str(fields.get("Function", "")).lower() == "true")
    value |= 0x40 * (str(fields.get("RedEyeMode", "")).lower() == "true")
    from functions.exif.tags import tag

    labels = tag("ExifIFD", 0x9209).labels
    return value, labels.get(value, f"Unknown (0x{value:x})")


def _drive_mode(tags: Tags) -> Shown | None:
    continuous, timer = tags.find("ContinuousDrive"), tags.find("SelfTimer")
    if continuous is None or timer is None or "Canon" not in tags.reading.groups:
        return None
    value = 0 if continuous.value else 1 if timer.value else 2
    return value, ("Continuous Shooting", "Self-timer Operation", "Single-frame Shooting")[value]


def _lens(tags: Tags) -> Shown | None:
    first, last = tags.number("Canon:MinFocalLength"), tags.number("Canon:MaxFocalLength")
    if first is None or last is None:
        return None
    return first, _range(first, last, 1)


def _range(first: float, last: float, factor: float) -> str:
    if first == last:
        return f"{first * factor:.1f} mm"
    return f"{first * factor:.1f} - {last * factor:.1f} mm"


def _lens_equivalent(tags: Tags) -> Shown | None:
    lens = tags.derived.get("Lens")
    first, last = tags.number("Canon:MinFocalLength"), tags.number("Canon:MaxFocalLength")
    if lens is None or first is None or last is None:
        return None
    factor = tags.number("ScaleFactor35efl")
    if not factor:
        return lens.value, lens.printed
    return first * factor, f"{lens.printed} (35 mm equivalent: {_range(first, last, factor)})"


def _shooting_mode(tags: Tags) -> Shown | None:
    mode, easy = tags.find("CanonExposureMode"), tags.find("EasyMode")
    if mode is None or easy is None:
        return None
    if not mode.value:
        return int(easy.value) + 10, easy.printed
    if str(mode.value) == "4" and tags.number("BulbDuration"):
        return 7, "Bulb"
    return mode.value, mode.printed


def _flash_bits(tags: Tags) -> int:
    return int(tags.number("FlashBits") or 0)


def _flash_type(tags: Tags) -> Shown | None:
    bits = _flash_bits(tags)
    external = bits >> 14 & 1
    return (external, ("Built-In Flash", "External")[external]) if bits else None


def _red_eye(tags: Tags) -> Shown | None:
    mode = tags.find("CanonFlashMode")
    if mode is None or not _flash_bits(tags):
        return None
    on = int(mode.value in (3, 4, 6))
    return on, ("Off", "On")[on]


def _flash_compensation(tags: Tags) -> Shown | None:
    found = tags.find("FlashExposureComp")
    return (found.value, found.printed) if found is not None and _flash_bits(tags) else None


def _curtain(tags: Tags) -> Shown | None:
    if not _flash_bits(tags):
        return None
    value = int(tags.number("ShutterCurtainSync") or 0)
    return value, ("1st-curtain sync", "2nd-curtain sync")[value] if value < 2 else f"Unknown ({value})"


_CANON_LEVELS = "Auto Daylight Cloudy Tungsten Fluorescent Flash Custom - Shade Kelvin".split()  # noqa: SIM905


def _canon_levels(tags: Tags) -> Shown | None:
    balance = tags.find("Canon:WhiteBalance")
    if balance is None:
        return None
    found = tags.find("WB_RGGBLevelsAsShot")
    index = int(tags.number("Canon:WhiteBalance") or 0)
    if found is None and index < len(_CANON_LEVELS):
        found = tags.find(f"WB_RGGBLevels{_CANON_LEVELS[index]}")
    return None if found is None else (found.value, found.value)


def _canon_iso(tags: Tags) -> Shown | None:
    own = tags.find("Canon:CameraISO")
    if own is not None and str(own.value).isdigit() and own.value not in (0, "0"):
        return own.value, f"{float(own.value):.0f}"
    base, automatic = tags.number("Canon:BaseISO"), tags.number("Canon:AutoISO")
    if not base or not automatic:
        return None
    value = base * automatic / 100
    return value, f"{value:.0f}"


def _digital_zoom(tags: Tags) -> Shown | None:
    source, target = tags.number("Canon:ZoomSourceWidth"), tags.number("Canon:ZoomTargetWidth")
    if tags.number("Canon:DigitalZoom") != 3 or not source or not target:
        return None
    return target / source, f"{target / source:.2f}x"


def _file_number(tags: Tags) -> Shown | None:
    directory, number = tags.number("DirectoryIndex"), tags.number("FileIndex")
    if directory is None or number is None:
        return None
    if number == 10_000:
        directory, number = directory + 1, 1
    return f"{int(directory):03d}{int(number):04d}", f"{int(directory):03d}-{int(number):04d}"


def _run_time(tags: Tags) -> Shown | None:
    """How long an iPhone has been running."""
    value, scale = tags.number("Apple:RunTimeValue"), tags.number("Apple:RunTimeScale")
    return (value / scale, duration(value / scale)) if value is not None and scale else None


def _extender(tags: Tags) -> Shown | None:
    """Olympus: whether the extender that the camera remembers is still attached."""
    extender, lens = tags.find("Olympus:Extender"), tags.find("Olympus:LensType")
    aperture = tags.number("MaxApertureValue")
    if extender is None or lens is None or aperture is None:
        return None
    parts = str(extender.value).split()
    if len(parts) < 2 or parts[1] in ("0", "00"):
        return 0, "Not attached"
    if f"{parts[0]} {parts[1]}" != "0 4":
        return 1, "Attached"
    widest = re.search(r"F([\d.]+)", str(lens.printed))
    if not widest:
        return 1, "Attached"
    attached = int(aperture - float(widest[1]) > 0.2)
    return (1, "Attached") if attached else (2, "Removed")


# In the order of need: what others are made of comes first.
DERIVED: tuple[tuple[str, Callable[[Tags], Shown | None]], ...] = (
    ("ImageSize", _image_size),
    ("Megapixels", _megapixels),
    ("ISO", _canon_iso),
    ("DigitalZoom", _digital_zoom),
    ("ShutterSpeed", _shutter_speed),
    ("Aperture", _aperture),
    ("LightValue", _light_value),
    ("ScaleFactor35efl", _scale_factor),
    ("FocalLength35efl", _focal_length),
    ("CircleOfConfusion", _circle),
    ("HyperfocalDistance", _hyperfocal),
    ("DOF", _depth_of_field),
    ("FOV", _field_of_view),
    ("SubSecDateTimeOriginal", _moment("DateTimeOriginal", "SubSecTimeOriginal", "OffsetTimeOriginal")),
    ("SubSecCreateDate", _moment("CreateDate", "SubSecTimeDigitized", "OffsetTimeDigitized")),
    ("SubSecModifyDate", _moment("ModifyDate", "SubSecTime", "OffsetTime")),
    ("DateTimeCreated", _joined("IPTC", "DateCreated", "TimeCreated")),
    ("DigitalCreationDateTime", _joined("IPTC", "DigitalCreationDate", "DigitalCreationTime")),
    ("DateTimeOriginal", _original),
    ("GPSDateTime", _satellites),
    ("GPSLatitude", _coordinate("GPSLatitude", "NS")),
    ("GPSLongitude", _coordinate("GPSLongitude", "EW")),
    ("GPSDestLatitude", _coordinate("GPSDestLatitude", "NS")),
    ("GPSDestLongitude", _coordinate("GPSDestLongitude", "EW")),
    ("GPSAltitude", _altitude),
    ("GPSPosition", _position),
    ("GPSLatitudeRef", _from_xmp("GPSLatitude", "NS", ("North", "South"))),
    ("GPSLongitudeRef", _from_xmp("GPSLongitude", "EW", ("East", "West"))),
    ("CFAPattern", _pattern),
    ("Flash", _flash),
    ("WB_RGGBLevels", _canon_levels),
    ("RedBalance", _balance(False)),
    ("BlueBalance", _balance(True)),
    ("DriveMode", _drive_mode),
    ("Lens", _lens),
    ("Lens35efl", _lens_equivalent),
    ("ShootingMode", _shooting_mode),
    ("FlashType", _flash_type),
    ("RedEyeReduction", _red_eye),
    ("ConditionalFEC", _flash_compensation),
    ("ShutterCurtainHack", _curtain),
    ("FileNumber", _file_number),
    ("RunTimeSincePowerUp", _run_time),
    ("ExtenderStatus", _extender),
)


def names() -> Iterator[str]:
    """The tags that may be added."""
    yield from (name for name, _ in DERIVED)
