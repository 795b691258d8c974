"""Size, exposure and optics: megapixels, light value, 35 mm equivalent, depth of field, field of view."""

from __future__ import annotations

import math
import re

from functions.exif.blocks.entries import VALUE
from functions.exif.blocks.values import is_number
from functions.exif.printing.functions import exposure_time, f_number
from functions.exif.report.composite.lookup import FLOAT, Shown, Tags, needs, plain

# Diagonal of a frame of 36 × 24 mm.
FULL_FRAME = math.hypot(36, 24)


_WHOLE = re.compile(r"\d+")
_SIZE = re.compile(r"([\d.]+) ([\d.]+)")
_MILLIMETRES = {"cm": 10, "mm": 1, "um": 0.001, 3: 10, 4: 1, 5: 0.001}


def image_size(tags: Tags) -> Shown | None:
    """Width and height of the picture."""
    cropped = tags.find("RawImageCroppedSize")
    if cropped is not None and cropped.value:
        return cropped.value, str(cropped.value).replace(" ", "x")
    width, height = tags.find("ImageWidth"), tags.find("ImageHeight")
    if tags.reading.scan.format in ("CR2", "IIQ"):
        width, height = tags.find("ExifImageWidth") or width, tags.find("ExifImageHeight") or height
    if width is None or height is None or not is_number(width.value) or not is_number(height.value):
        return None
    return f"{width.value} {height.value}", f"{width.value}x{height.value}"


def megapixels(tags: Tags) -> Shown | None:
    """Its number of pixels in millions."""
    found = tags.derived.get("ImageSize")
    if found is None:
        return None
    numbers = [int(part) for part in _WHOLE.findall(str(found.value))]
    value = numbers[0] * numbers[1] / 1_000_000
    return value, f"{value:.{1 if value >= 1 else 3 if value >= 0.001 else 6}f}"


def shutter_speed(tags: Tags) -> Shown | None:
    """The time of exposure, of a bulb exposure its duration."""
    bulb = tags.find("BulbDuration")
    if bulb is not None and is_number(bulb.value) and float(bulb.value) > 0:
        return bulb.value, exposure_time(bulb.value)
    found = tags.find("ExposureTime") or tags.find("ShutterSpeedValue")
    return None if found is None else (found.value, exposure_time(found.value))


def aperture(tags: Tags) -> Shown | None:
    """The f-number."""
    for name in ("FNumber", "ApertureValue"):
        found = tags.find(name)
        if found is not None and found.value not in (0, "0", "", "undef"):
            return found.value, f_number(found.value)
    return None


def light_value(tags: Tags) -> Shown | None:
    """The exposure value at ISO 100."""
    values = [tags.number("Aperture"), tags.number("ShutterSpeed")]
    iso = tags.find("ISO")
    match = FLOAT.search(str(iso.printed)) if iso is not None else None
    if None in values or match is None:
        return None
    aperture, shutter, speed = values[0] or 0, values[1] or 0, float(match[0])
    if min(aperture, shutter, speed) <= 0:
        return None
    value = math.log2(aperture * aperture * 100 / (shutter * speed))
    return value, f"{value:.1f}"


def scale_factor(tags: Tags) -> Shown | None:
    """What a focal length is multiplied by for its 35 mm equivalent."""
    value = _scale(tags)
    return None if value is None else (value, f"{value:.1f}")


_SCALING = frozenset(
    (
        *("FocalLengthIn35mmFormat", "FocalPlaneDiagonal", "SensorSize", "FocalPlaneXSize"),
        *("FocalPlaneXResolution", "FocalPlaneYResolution"),
    )
)


def _scale(tags: Tags) -> float | None:
    if not tags.any(_SCALING):
        return None
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
    sensor = _SIZE.fullmatch(tags.text("SensorSize"))
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


def focal_length(tags: Tags) -> Shown | None:
    """The focal length with its 35 mm equivalent."""
    found = tags.find("FocalLength")
    if found is None:
        return None
    focal, factor = tags.number("FocalLength") or 0.0, tags.number("ScaleFactor35efl")
    value = focal * (factor or 1)
    return value, f"{focal:.1f} mm (35 mm equivalent: {value:.1f} mm)" if factor else f"{focal:.1f} mm"


def circle(tags: Tags) -> Shown | None:
    """The circle of confusion: 1/1440 of the diagonal."""
    factor = tags.number("ScaleFactor35efl")
    if not factor:
        return None
    value = FULL_FRAME / (factor * 1440)
    return value, f"{value:.3f} mm"


def hyperfocal(tags: Tags) -> Shown | None:
    """The hyperfocal distance."""
    values = needs(tags, "FocalLength", "Aperture", "CircleOfConfusion")
    if values is None:
        return None
    focal, aperture, circle = values
    if not aperture or not circle:
        return "inf", "inf m"
    value = focal * focal / (aperture * circle * 1000)
    return value, f"{value:.2f} m"


def depth_of_field(tags: Tags) -> Shown | None:
    """The depth of field: the nearest and the farthest distance in focus."""
    values = needs(tags, "FocalLength", "Aperture", "CircleOfConfusion")
    distance = _distance(tags)
    if values is None or distance is None:
        return None
    focal, aperture, circle = values
    if not focal or not circle:
        return 0, "inf (0.00 m - inf)"
    spread = aperture * circle * (distance * 1000 - focal) / (focal * focal)
    near, far = distance / (1 + spread), (distance / (1 - spread) if spread != 1 else -1)
    far = max(far, 0)
    value = f"{plain(near)} {plain(far)}"
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


def field_of_view(tags: Tags) -> Shown | None:
    """The angle of view across the long side, with its width at the distance in focus."""
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
        return f"{plain(degrees)} {plain(width)}", f"{degrees:.1f} deg ({width:.2f} m)"
    return degrees, f"{degrees:.1f} deg"
