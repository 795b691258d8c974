"""Where each maker's note keeps the number of the lens, and its rows: the maker's LensType, Composite's LensID."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from functools import cache

from functions.exif.entries import VALUE, Entry
from functions.exif.lenses import choosing, nikon, numbers, sony
from functions.exif.rows import Reading
from functions.exif.values import plain

Entries = Mapping[int, Entry]
# Canon's number where there is no lens to know, as compact cameras write it.
NO_LENS = 0xFFFF
# Sony's and Minolta's number for all that is not of the A mount.
OTHER_MOUNT = 65535
CANON_SETTINGS, CANON_FILE, CANON_LENS_MODEL = 0x01, 0x93, 0x95
MINOLTA_LENS, PENTAX_LENS, PENTAX_BODY = 0x010C, 0x3F, 0x215
SONY_LENS, SONY_BODY, SONY_MOUNT = 0xB027, 0x9050, 0x9416
OLYMPUS_LENS, PANASONIC_LENS = 0x201, 0x51
NIKON_SERIAL, NIKON_KIND, NIKON_DATA, NIKON_COUNT = 0x1D, 0x83, 0x98, 0xA7
# All of these, by maker.
TAGS = {
    "Canon": (CANON_SETTINGS, CANON_FILE, CANON_LENS_MODEL),
    "Minolta": (MINOLTA_LENS,),
    "Nikon": (NIKON_SERIAL, NIKON_KIND, NIKON_DATA, NIKON_COUNT),
    "Pentax": (PENTAX_LENS, PENTAX_BODY),
    "Sony": (SONY_LENS, SONY_BODY, SONY_MOUNT),
}


def identify(reading: Reading, maker: str, entries: Entries) -> None:
    """Add the rows of the lens to a reading.

    Args:
        reading: of the file, its Exif read.
        maker: as the note's rows are grouped.
        entries: of the note; of its equipment directory for Olympus.
    """
    rule = _RULES.get(maker)
    if rule is not None:
        rule(reading, entries)


def _lens(reading: Reading, number: int | str, name: str) -> None:
    if name:
        reading.add("Composite", "LensID", number, name)


def _model(reading: Reading) -> str:
    return reading.text("ExifIFD", "LensModel")


def _numbers(entry: Entry | None) -> Sequence[int]:
    """An entry's whole numbers or bytes; none where it holds anything else."""
    value = entry[VALUE] if entry is not None else None
    return value if value and isinstance(value[0], int) else ()  # type: ignore[return-value]


def _opaque(entry: Entry | None) -> bytes:
    return entry[VALUE] if entry is not None and isinstance(entry[VALUE], bytes) else b""


def _positive(reading: Reading, name: str) -> float | None:
    value = reading.value("ExifIFD", name)
    return float(value) if isinstance(value, int | float) and value > 0 else None


def _canon(reading: Reading, entries: Entries) -> None:
    """CameraSettings: at 22 the number, then longest and shortest focal length, their unit, the largest aperture."""
    settings = _numbers(entries.get(CANON_SETTINGS))
    # It begins with its own size in bytes: what does not was moved or overwritten.
    if len(settings) < 27 or settings[0] != 2 * len(settings) or not settings[22]:
        return
    number, long, short, unit, aperture = settings[22:27]
    names = numbers("canon").get(str(number), ())
    if number == NO_LENS:
        reading.add("Canon", "LensType", number, "n/a")
    else:
        reading.add("Canon", "LensType", number, names[0] if names else f"Unknown ({number})")
    short_mm, long_mm = short / (unit or 1), long / (unit or 1)
    if not short_mm or not long_mm:
        return
    own = entries.get(CANON_LENS_MODEL)
    model = _model(reading) or (str(plain(own)).strip() if own else "")
    file = _numbers(entries.get(CANON_FILE))
    mirrorless = file[61] if len(file) > 61 and file[0] == 2 * len(file) else 0
    if mirrorless:
        names = numbers("canon_rf").get(str(mirrorless), names)
        reading.add("Canon", "RFLensType", mirrorless, names[0] if names else f"Unknown ({mirrorless})")
    if names:
        stop = canon_aperture(aperture) if 0 < aperture < 0x8000 else None
        found = choosing.by_range(names, short_mm, long_mm, stop, model)
    else:
        found = f"Canon {model}" if any(map(str.isdigit, model)) else ""
    span = f"{int(short_mm)}-{int(long_mm)}mm" if long_mm != short_mm else f"{int(short_mm)}mm"
    _lens(
        reading,
        mirrorless or number,
        found or (f"Unknown {span}" if number == NO_LENS else f"Unknown ({number}) {span}"),
    )


def canon_aperture(value: int) -> float:
    """An f-number of Canon's steps: 32 to a stop of exposure, thirds written as 12 and 20 (dcraw, exifprobe)."""
    whole, rest = value & ~0x1F, value & 0x1F
    part = {0x0C: 32 / 3, 0x14: 64 / 3}.get(rest, float(rest))
    return float(2 ** ((whole + part) / 64))


def _nikon(reading: Reading, entries: Entries) -> None:
    data = _opaque(entries.get(NIKON_DATA))
    kind = _numbers(entries.get(NIKON_KIND))
    if not data or not kind:
        return
    own = entries.get(NIKON_SERIAL)
    serial = str(plain(own)).strip() if own else ""
    count = next(iter(_numbers(entries.get(NIKON_COUNT))), None)
    model = reading.text("IFD0", "Model")
    lens = nikon.key(data, kind[0] & 0xFF, serial, count, model)
    if lens:
        _lens(reading, nikon.spaced(lens), nikon.name(lens))
    number = nikon.z_lens(data, serial, count, model)
    if number:
        names = numbers("nikon_z").get(str(number), (f"Unknown ({number})",))
        reading.add("Nikon", "LensID", number, names[0])


def _sony(reading: Reading, entries: Entries) -> None:
    body, mount = (_opaque(entries.get(number)) for number in (SONY_BODY, SONY_MOUNT))
    model = reading.text("IFD0", "Model")
    serial = sony.serial_number(body, model)
    if serial:
        reading.add("Sony", "InternalSerialNumber", " ".join(map(str, bytes.fromhex(serial))), serial)
    mounted = sony.mounted(body, mount, model)
    found = _numbers(entries.get(SONY_LENS))
    if not found:
        return
    number, spec = found[0], reading.text("Sony", "LensSpec")
    if number == OTHER_MOUNT and choosing.range_of(spec) is None:
        spec = _model(reading)  # spelt alike
    names = numbers("minolta").get(str(number), ())
    reading.add("Sony", "LensType", number, names[0] if names else f"Unknown ({number})")
    if mounted is not None:
        own = numbers("sony_e").get(str(mounted), ())
        reading.add("Sony", "LensType2", mounted, own[0] if own else f"Unknown ({mounted})")
        if mounted & 0x8000 and own:
            number, names = mounted, own
    if number == OTHER_MOUNT and re.search("NEX|ILCE", model):
        names = _e_mount()
    if not names:
        return
    fitting = choosing.by_spec(names, spec) if len(names) > 1 else []
    if fitting:
        _lens(reading, number, " or ".join(choosing.by_model(fitting, _model(reading))))
    elif number == OTHER_MOUNT:
        # Without its specification it may be any lens of the other mount: only what the camera calls it.
        _lens(reading, number, _model(reading))
    else:
        _pictured(reading, number, names)


@cache
def _e_mount() -> tuple[str, ...]:
    """The names of all lenses of the E mount."""
    known = (name.partition(" or ")[0] for names in numbers("sony_e").values() for name in names)
    return tuple(dict.fromkeys(known))


def _pictured(reading: Reading, number: int | str, names: tuple[str, ...]) -> None:
    focal, aperture = _positive(reading, "FocalLength"), _positive(reading, "MaxApertureValue")
    _lens(reading, number, choosing.by_picture(names, focal, aperture, _model(reading)))


def _minolta(reading: Reading, entries: Entries) -> None:
    found = _numbers(entries.get(MINOLTA_LENS))
    names = numbers("minolta").get(str(found[0]), ()) if found else ()
    if found:
        reading.add("Minolta", "LensType", found[0], names[0] if names else f"Unknown ({found[0]})")
    if names:
        _pictured(reading, found[0], names)


def _pentax(reading: Reading, entries: Entries) -> None:
    body = _numbers(entries.get(PENTAX_BODY))
    if len(body) >= 5:
        reading.add("Pentax", "InternalSerialNumber", body[4], body[4])
    found = _numbers(entries.get(PENTAX_LENS))
    if len(found) < 2:
        return
    series, model = found[:2]
    names = numbers("pentax").get(f"{series}-{model}", ())
    reading.add("Pentax", "LensType", f"{series} {model}", names[0] if names else f"Unknown ({series} {model})")
    if names:
        _pictured(reading, f"{series} {model}", names)


def _olympus(reading: Reading, equipment: Entries) -> None:
    found = _numbers(equipment.get(OLYMPUS_LENS))
    if len(found) < 4:
        return
    maker, model, kind = found[0], found[2], found[3]
    value = f"{maker:x} {model:02x} {kind:02x}"
    names = numbers("fourthirds").get(value.replace(" ", "-"), ())
    reading.add("Olympus", "LensType", value, names[0] if names else f"Unknown ({value})")
    if names:
        _lens(reading, value, names[0])


def _panasonic(reading: Reading, _entries: Entries) -> None:
    """The note has the name itself, the aperture behind a slash: `LUMIX G VARIO 12-32/F3.5-5.6`."""
    name = reading.text("Panasonic", "LensType")
    if "mm" in name:
        _lens(reading, name, name)
    elif re.search(r"\d/F", name):
        _lens(reading, name, re.sub(r"(\d)/F", r"\1mm F", name, count=1))


_RULES: dict[str, Callable[[Reading, Entries], None]] = {
    "Canon": _canon,
    "Minolta": _minolta,
    "Nikon": _nikon,
    "Olympus": _olympus,
    "Panasonic": _panasonic,
    "Pentax": _pentax,
    "Sony": _sony,
}
