"""Which lens a picture was taken with: from what a maker's note says of it to the row `Composite:LensID`."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import cache
from typing import Any

from functions.exif.lenses import choosing, nikon, numbers
from functions.exif.rows import Reading
from functions.exif.tags.formulas import Members

# Version of the lists of lenses, for pictures whose lens is in none of them.
AGE = "ExifTool 13.58"
# Canon's number for an unknown lens, as compact cameras write it.
NO_LENS = 0xFFFF
# Sony's and Minolta's number for all that is not of the A mount.
OTHER_MOUNT = 65535
# Tags with the number of a lens.
_NUMBERS = ("LensType", "LensType2", "RFLensType", "LensID")


def identify(reading: Reading, maker: str, m: Members) -> None:
    """Add the row of the lens to a reading.

    Args:
        reading: of the file, its Exif and maker's note read.
        maker: as the note's rows are grouped.
        m: what the note's rows have kept.
    """
    rule = _RULES.get(maker)
    if rule is not None:
        rule(reading, m)
    rows = reading.groups.get(maker, {})
    if any(name in rows and str(rows[name][2]).startswith("Unknown (") for name in _NUMBERS):
        reading.warnings.append(f"{maker}: the lens is in none of the lists of lenses ({AGE})")


def _lens(reading: Reading, number: Any, name: str) -> None:
    if name:
        reading.add("Composite", "LensID", number, name)


def _model(reading: Reading) -> str:
    return reading.text("ExifIFD", "LensModel")


def _positive(reading: Reading, group: str, name: str) -> float | None:
    value = reading.value(group, name)
    return float(value) if isinstance(value, int | float) and value > 0 else None


def _canon(reading: Reading, _m: Members) -> None:
    number = reading.value("Canon", "LensType")
    short, long = _positive(reading, "Canon", "MinFocalLength"), _positive(reading, "Canon", "MaxFocalLength")
    if not isinstance(number, int) or not short or not long:
        return
    model = _model(reading) or reading.text("Canon", "LensModel").strip()
    mirrorless = reading.value("Canon", "RFLensType")
    own = numbers("canon_rf").get(str(mirrorless), ()) if isinstance(mirrorless, int) and mirrorless else ()
    _lens(reading, number, _canon_name(number, own, (short, long), _positive(reading, "Canon", "MaxAperture"), model))


def _canon_name(
    number: int, names: tuple[str, ...], lengths: tuple[float, float], aperture: float | None, model: str
) -> str:
    """The name by a number, focal lengths, aperture and model; what is known where none fits."""
    names = names or (numbers("canon").get(str(number), ()) if number != NO_LENS else ())
    short, long = lengths
    if names and names != ("n/a",):
        found = choosing.by_range(names, short, long, aperture, model)
    else:
        found = f"Canon {model}" if any(map(str.isdigit, model)) else ""
    span = f"{int(short)}-{int(long)}mm" if long != short else f"{int(short)}mm"
    return found or (f"Unknown {span}" if number == NO_LENS else f"Unknown ({number}) {span}")


def _nikon(reading: Reading, m: Members) -> None:
    """Eight bytes that say which one: seven of LensData, and the lens's flags."""
    kind = reading.value("Nikon", "LensType")
    parts = [m[f"Raw{name}"] for name in nikon.PARTS]
    if isinstance(kind, int) and all(isinstance(part, int) for part in parts):
        lens = bytes([*(part & 0xFF for part in parts), kind & 0xFF]).hex().upper()
        _lens(reading, nikon.spaced(lens), nikon.name(lens))


def _sony(reading: Reading, _m: Members) -> None:
    number, spec = reading.value("Sony", "LensType"), reading.text("Sony", "LensSpec")
    if not isinstance(number, int):
        return
    if number == OTHER_MOUNT and choosing.range_of(spec) is None:
        spec = _model(reading)  # spelt alike
    names, known = numbers("minolta").get(str(number), ()), False
    for name in ("LensType2", "LensType3"):
        mounted = reading.value("Sony", name)
        if isinstance(mounted, int) and mounted & 0x8000 and str(mounted) in numbers("sony_e"):
            known, names = True, numbers("sony_e")[str(mounted)]
            break
    other = number == OTHER_MOUNT and not known
    if other and re.search("NEX|ILCE", reading.text("IFD0", "Model")):
        names = _e_mount()
    if not names:
        return
    fitting = choosing.by_spec(names, spec) if len(names) > 1 else []
    if fitting:
        _lens(reading, number, " or ".join(choosing.by_model(fitting, _model(reading))))
    elif other:
        # Without its specification: what the camera calls it, else what fits focal length and aperture.
        model = _model(reading).strip("- ")
        if model:
            _lens(reading, number, model)
        elif _positive(reading, "ExifIFD", "FocalLength"):
            _pictured(reading, number, names)
    else:
        _pictured(reading, number, names)


@cache
def _e_mount() -> tuple[str, ...]:
    """The names of all lenses of the E mount."""
    known = (name.partition(" or ")[0] for names in numbers("sony_e").values() for name in names)
    return tuple(dict.fromkeys(known))


def _pictured(reading: Reading, number: int | str, names: tuple[str, ...], maker: str = "") -> None:
    focal, aperture = _positive(reading, "ExifIFD", "FocalLength"), _positive(reading, "ExifIFD", "MaxApertureValue")
    aperture = _positive(reading, maker, "MaxAperture") or aperture
    _lens(reading, number, choosing.by_picture(names, focal, aperture, _model(reading)))


def _minolta(reading: Reading, _m: Members) -> None:
    number = reading.value("Minolta", "LensType")
    names = numbers("minolta").get(str(number), ())
    if names:
        _pictured(reading, number, names)  # type: ignore[arg-type]


def _pentax(reading: Reading, _m: Members) -> None:
    number = str(reading.value("Pentax", "LensType"))
    names = numbers("pentax").get(number.replace(" ", "-"), ())
    if names:
        _pictured(reading, number, names, "Pentax")


def _olympus(reading: Reading, _m: Members) -> None:
    number = str(reading.value("Olympus", "LensType"))
    names = numbers("fourthirds").get(number.replace(" ", "-"), ())
    if names:
        _lens(reading, number, names[0])


def _panasonic(reading: Reading, _m: Members) -> None:
    """The note has the name itself, the aperture behind a slash: `LUMIX G VARIO 12-32/F3.5-5.6`."""
    name = reading.text("Panasonic", "LensType")
    if "mm" in name:
        _lens(reading, name, name)
    elif re.search(r"\d/F", name):
        _lens(reading, name, re.sub(r"(\d)/F", r"\1mm F", name, count=1))


def _sigma(reading: Reading, _m: Members) -> None:
    name = reading.text("SigmaRaw", "LensType")
    if name and not name.startswith("Unknown"):
        _lens(reading, reading.value("SigmaRaw", "LensType"), name)


_RULES: dict[str, Callable[[Reading, Members], None]] = {
    "Canon": _canon,
    "Minolta": _minolta,
    "Nikon": _nikon,
    "Olympus": _olympus,
    "Panasonic": _panasonic,
    "Pentax": _pentax,
    "SigmaRaw": _sigma,
    "Sony": _sony,
}


def from_xmp(reading: Reading) -> None:
    """Add the row of the lens by the number that Adobe's programs keep of a maker's note."""
    make, number = reading.text("IFD0", "Make") or reading.text("XMP-tiff", "Make"), reading.value("XMP-aux", "LensID")
    if not make or not str(number).isdigit() or len(str(number)) > 20:
        return
    known = int(str(number))
    for maker, names in _OF_NUMBER.items():
        if maker in make.upper():
            lengths = _LENGTHS.match(str(reading.value("XMP-aux", "LensInfo") or ""))
            _lens(reading, known, _stated(reading, known, names(known), lengths, maker))
            return


_LENGTHS = re.compile(r"(\d+(?:\.\d+)?) (\d+(?:\.\d+)?) ")
_OF_NUMBER: dict[str, Callable[[int], tuple[str, ...]]] = {
    "CANON": lambda number: numbers("canon").get(str(number), ()),
    "NIKON": nikon.beginning,
    "PENTAX": lambda number: numbers("pentax").get(f"{number >> 8}-{number & 0xFF}", ()),
    "RICOH": lambda number: numbers("pentax").get(f"{number >> 8}-{number & 0xFF}", ()),
    "SONY": lambda number: numbers("sony_e").get(str(number)) or numbers("minolta").get(str(number), ()),
}


def _stated(reading: Reading, number: int, names: tuple[str, ...], lengths: re.Match[str] | None, maker: str) -> str:
    """The name by what XMP states of focal lengths and aperture."""
    focal = _positive(reading, "ExifIFD", "FocalLength") or _positive(reading, "XMP-exif", "FocalLength")
    aperture = _positive(reading, "ExifIFD", "MaxApertureValue") or _positive(reading, "XMP-exif", "MaxApertureValue")
    if maker == "CANON" and lengths:
        span = (float(lengths[1]), float(lengths[2]))
        return _canon_name(number, names, span, None, _model(reading))
    if not names:
        code = (
            nikon.spaced(f"{number:02X}" if len(f"{number:X}") % 2 == 0 else f"0{number:X}")
            if maker == "NIKON"
            else number
        )
        span_text = f" {int(float(lengths[1]))}-{int(float(lengths[2]))}mm" if lengths else ""
        return f"Unknown ({code}){span_text}"
    if lengths and len(names) > 1:
        names = tuple(choosing.by_lengths(names, float(lengths[1]), float(lengths[2]))) or names
    return choosing.by_picture(names, focal, aperture, _model(reading))
