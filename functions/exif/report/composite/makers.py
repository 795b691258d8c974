"""What makers' notes give: drive, lens, flash, focus, file number."""

from __future__ import annotations

import re
from math import isfinite

from functions.exif.fields.tracks import duration
from functions.exif.report.composite.lookup import Shown, Tags, plain


def drive_mode(tags: Tags) -> Shown | None:
    """Canon's drive mode: continuous, self-timer or single."""
    continuous, timer = tags.find("ContinuousDrive"), tags.find("SelfTimer")
    if continuous is None or timer is None or "Canon" not in tags.reading.groups:
        return None
    value = 0 if continuous.value else 1 if timer.value else 2
    return value, ("Continuous Shooting", "Self-timer Operation", "Single-frame Shooting")[value]


def lens(tags: Tags) -> Shown | None:
    """Canon's range of focal lengths."""
    first, last = tags.number("Canon:MinFocalLength"), tags.number("Canon:MaxFocalLength")
    if first is None or last is None:
        return None
    return first, _range(first, last, 1)


def _range(first: float, last: float, factor: float) -> str:
    if first == last:
        return f"{first * factor:.1f} mm"
    return f"{first * factor:.1f} - {last * factor:.1f} mm"


def lens_equivalent(tags: Tags) -> Shown | None:
    """The same with its 35 mm equivalent."""
    lens = tags.derived.get("Lens")
    first, last = tags.number("Canon:MinFocalLength"), tags.number("Canon:MaxFocalLength")
    if lens is None or first is None or last is None:
        return None
    factor = tags.number("ScaleFactor35efl")
    if not factor:
        return lens.value, lens.printed
    return first * factor, f"{lens.printed} (35 mm equivalent: {_range(first, last, factor)})"


def shooting_mode(tags: Tags) -> Shown | None:
    """Canon's exposure mode, or the scene of the easy mode."""
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


def flash_type(tags: Tags) -> Shown | None:
    """Whether the flash that fired is built in."""
    bits = _flash_bits(tags)
    external = bits >> 14 & 1
    return (external, ("Built-In Flash", "External")[external]) if bits else None


def red_eye(tags: Tags) -> Shown | None:
    """Whether the flash's mode reduces red eyes."""
    mode = tags.find("CanonFlashMode")
    if mode is None or not _flash_bits(tags):
        return None
    on = int(mode.value in (3, 4, 6))
    return on, ("Off", "On")[on]


def flash_compensation(tags: Tags) -> Shown | None:
    """The compensation of a flash that fired."""
    found = tags.find("FlashExposureComp")
    return (found.value, found.printed) if found is not None and _flash_bits(tags) else None


def curtain(tags: Tags) -> Shown | None:
    """With which curtain a flash fired."""
    if not _flash_bits(tags):
        return None
    value = int(tags.number("ShutterCurtainSync") or 0)
    return value, ("1st-curtain sync", "2nd-curtain sync")[value] if value < 2 else f"Unknown ({value})"


_CANON_LEVELS = "Auto Daylight Cloudy Tungsten Fluorescent Flash Custom - Shade Kelvin".split()  # noqa: SIM905


def canon_levels(tags: Tags) -> Shown | None:
    """The levels of the white balance in use."""
    balance = tags.find("Canon:WhiteBalance")
    if balance is None:
        return None
    found = tags.find("WB_RGGBLevelsAsShot")
    index = int(tags.number("Canon:WhiteBalance") or 0)
    if found is None and 0 <= index < len(_CANON_LEVELS):
        found = tags.find(f"WB_RGGBLevels{_CANON_LEVELS[index]}")
    return None if found is None else (found.value, found.value)


def canon_iso(tags: Tags) -> Shown | None:
    """Canon's sensitivity where Exif has none."""
    if "Canon" not in tags.reading.groups:
        return None
    own = tags.find("Canon:CameraISO")
    if own is not None and str(own.value).isdigit() and own.value not in (0, "0"):
        return own.value, f"{float(own.value):.0f}"
    base, automatic = tags.number("Canon:BaseISO"), tags.number("Canon:AutoISO")
    if not base or not automatic:
        return None
    value = base * automatic / 100
    return (value, f"{value:.0f}") if isfinite(value) else None


def digital_zoom(tags: Tags) -> Shown | None:
    """Canon's factor of digital zoom."""
    source, target = tags.number("Canon:ZoomSourceWidth"), tags.number("Canon:ZoomTargetWidth")
    if tags.number("Canon:DigitalZoom") != 3 or not source or not target:
        return None
    return target / source, f"{target / source:.2f}x"


def file_number(tags: Tags) -> Shown | None:
    """The number of a file by its folder and its place in that."""
    directory, number = tags.number("DirectoryIndex"), tags.number("FileIndex")
    if directory is None or number is None:
        return None
    if number == 10_000:
        directory, number = directory + 1, 1
    return f"{int(directory):03d}{int(number):04d}", f"{int(directory):03d}-{int(number):04d}"


def run_time(tags: Tags) -> Shown | None:
    """How long an iPhone has been running."""
    value, scale = tags.number("Apple:RunTimeValue"), tags.number("Apple:RunTimeScale")
    return (value / scale, duration(value / scale)) if value is not None and scale else None


def extender(tags: Tags) -> Shown | None:
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


_OFF_ON = ("Off", "On")


def nikon_lens(tags: Tags) -> Shown | None:
    """Nikon's range of focal lengths and apertures, and the lens's type."""
    found, kind = tags.find("Nikon:Lens"), tags.find("Nikon:LensType")
    if found is None or kind is None:
        return None
    return f"{found.value} {kind.value}", f"{found.printed} {kind.printed}"


def auto_focus(tags: Tags) -> Shown | None:
    """Whether a Nikon focused by itself."""
    mode = tags.find("Nikon:FocusMode")
    if mode is None:
        return None
    value = int(not str(mode.value).lower().startswith("manual"))
    return value, _OFF_ON[value]


_PHASE = {
    0: "Off",
    1: "On (51-point)",
    2: "On (11-point)",
    3: "On (39-point)",
    7: "On (153-point)",
    9: "On (105-point)",
}


def phase_detection(tags: Tags) -> Shown | None:
    """Nikon's points of phase detection in use."""
    schema, method = tags.find("Nikon:FocusPointSchema"), tags.find("Nikon:AFDetectionMethod")
    if schema is None or method is None:
        return None
    value = schema.value if method.value in (0, "0", "") else 0
    return value, _PHASE.get(value, f"Unknown ({value})")


def contrast_detection(tags: Tags) -> Shown | None:
    """Whether a Nikon focused by contrast."""
    mode, method = tags.find("Nikon:FocusMode"), tags.find("Nikon:AFDetectionMethod")
    if mode is None or method is None:
        return None
    value = int(not str(mode.value).lower().startswith("manual") and method.value == 1)
    return value, _OFF_ON[value]


def sony_distance(tags: Tags) -> Shown | None:
    """Sony's distance in focus by the position of the older lenses' motor."""
    position, focal = tags.find("Sony:FocusPosition"), tags.number("FocalLength")
    if position is None or focal is None:
        return None
    place = tags.number("Sony:FocusPosition") or 0.0
    if place >= 128:
        return "inf", "inf"
    return place * focal / 1000, f"{plain(place * focal / 1000)} m"


def sony_distance_2(tags: Tags) -> Shown | None:
    """Sony's distance in focus by the position that newer bodies state."""
    place, focal = tags.number("Sony:FocusPosition2"), tags.number("FocalLengthIn35mmFormat")
    if not place or focal is None:
        return None
    if place >= 255:
        return "inf", "inf"
    value = (2 ** (place / 16 - 5) + 1) * focal / 1000
    return value, f"{value:.4g} m"


def kodak_date(tags: Tags) -> Shown | None:
    """The date of Kodak's year and day."""
    year, day = tags.find("Kodak:YearCreated"), tags.find("Kodak:MonthDayCreated")
    if year is None or day is None:
        return None
    return f"{year.value}:{day.value}", f"{year.value}:{day.value}"


def preview_size(tags: Tags) -> Shown | None:
    """Width and height of a preview."""
    width, height = tags.find("PreviewImageWidth"), tags.find("PreviewImageHeight")
    return None if width is None or height is None else (f"{width.value}x{height.value}",) * 2
