"""Printing what a camera did: exposure, aperture, compensation, focal lengths, lenses (Exif 3.0, annex C; DNG)."""

from __future__ import annotations

import math
from struct import unpack_from

from functions.exif.blocks.entries import RATIONAL, TYPE, VALUE, Entry
from functions.exif.blocks.values import Scalar, Shown, fraction, is_number, plain, shorten
from functions.exif.printing.functions import compensation, exposure_time, f_number, lens_range
from functions.exif.tags import Rule, Tag


def _exposure(entry: Entry, _tag: Tag, _order: str) -> Shown:
    value = plain(entry)
    return value, exposure_time(value)


def _f_number(entry: Entry, _tag: Tag, _order: str) -> Shown:
    value = plain(entry)
    return value, f_number(value)


def _sensitivities(entry: Entry, _tag: Tag, _order: str) -> Shown:
    value = plain(entry)
    return value, ", ".join(str(value).split()) if isinstance(value, str) else value


def _signed(entry: Entry) -> Scalar:
    """A rational that some cameras write as unsigned: read as signed."""
    raw = entry[VALUE]
    if entry[TYPE] == RATIONAL and isinstance(raw, tuple) and len(raw) == 1:
        top, bottom = raw[0]  # type: ignore[misc]
        return fraction(top - 2**32 if top >= 2**31 else top, bottom - 2**32 if bottom >= 2**31 else bottom)
    return plain(entry)


def _shutter(entry: Entry, _tag: Tag, _order: str) -> Shown:
    """APEX time value: 2⁻ˣ seconds (Exif 3.0, annex C)."""
    value = _signed(entry)
    seconds = 2.0 ** -float(value) if is_number(value) and abs(float(value)) < 100 else 0.0
    shown = shorten(f"{seconds:.15g}")
    return shown, exposure_time(shown)


def _aperture(entry: Entry, _tag: Tag, _order: str) -> Shown:
    """APEX aperture value: f-number 2^(x/2)."""
    value = plain(entry)
    if isinstance(value, str):
        value = float(value) if is_number(value) else math.inf if value == "inf" else 0
    stop = 2.0 ** (value / 2) if value < 2000 else math.inf
    if math.isinf(stop):
        return "Inf", "Inf"
    return shorten(f"{stop:.15g}"), f"{stop:.1f}"


def _bias(entry: Entry, _tag: Tag, _order: str) -> Shown:
    value = _signed(entry)
    if value in ("inf", "undef"):
        return value, "+Inf" if value == "inf" else "0"
    return value, compensation(value)


def _unit(unit: str) -> Rule:
    def rule(entry: Entry, _tag: Tag, _order: str) -> Shown:
        value = plain(entry)
        return value, value if value in ("inf", "undef") else f"{value}{unit}"

    return rule


def _always_unit(unit: str) -> Rule:
    def rule(entry: Entry, _tag: Tag, _order: str) -> Shown:
        value = plain(entry)
        return value, f"{value}{unit}"

    return rule


def _millimetres(entry: Entry, _tag: Tag, _order: str) -> Shown:
    value = plain(entry)
    if value == "inf":
        return value, "Inf mm"
    return value, f"{float(value) if is_number(value) else 0.0:.1f} mm"


def _lens(entry: Entry, _tag: Tag, _order: str) -> Shown:
    value = plain(entry)
    return value, lens_range(value)


def _t_stop(entry: Entry, _tag: Tag, _order: str) -> Shown:
    value = plain(entry)
    return value, "-".join(f"{float(part):.2f}" for part in str(value).split())


def _frame_rate(entry: Entry, _tag: Tag, _order: str) -> Shown:
    value = plain(entry)
    return value, shorten(f"{int(float(value) * 1000 + 0.5) / 1000:.15g}") if is_number(value) else value


def _exposures(entry: Entry, _tag: Tag, order: str) -> Shown:
    """CompositeImageExposureTimes: rationals, but for two counts at the eighth and ninth place."""
    raw = entry[VALUE]
    if not isinstance(raw, bytes):
        return plain(entry), plain(entry)
    values: list[Scalar] = []
    at = 0
    while True:
        size = 2 if at in (56, 58) else 8
        if at + size > len(raw):
            break
        values.append(
            unpack_from(order + "H", raw, at)[0] if size == 2 else fraction(*unpack_from(order + "II", raw, at))
        )
        at += size
    printed = [value if index in (7, 8) else exposure_time(value) for index, value in enumerate(values)]
    return " ".join(map(str, values)), " ".join(map(str, printed))


RULES: dict[str, Rule] = {
    "exposure": _exposure,
    "f_number": _f_number,
    "sensitivities": _sensitivities,
    "shutter": _shutter,
    "aperture": _aperture,
    "bias": _bias,
    "distance": _unit(" m"),
    "metres": _unit(" m"),
    "error_metres": _always_unit(" m"),
    "celsius": _always_unit(" C"),
    "film_millimetres": _always_unit(" mm"),
    "millimetres": _millimetres,
    "lens": _lens,
    "exposures": _exposures,
    "frame_rate": _frame_rate,
    "t_stop": _t_stop,
}
