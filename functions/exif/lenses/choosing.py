"""Which of several lenses with one number it is: by what the picture says of focal lengths, aperture and model.

The lens's name itself tells its range, such as `18-55mm f/3.5-5.6`. An undecided lens is shown as `one or another`.
"""

from __future__ import annotations

import math
import re
from functools import lru_cache
from typing import NamedTuple

CONVERTERS = (1.0, 1.4, 2.0, 2.8)
# How far a camera's figures may be from those in a name: millimetres, and f-numbers, which cameras round.
NEAR_MM, NEAR_STOP = 0.9, 0.18
_RANGE = re.compile(r"(\d+(?:\.\d+)?)(?:-(\d+(?:\.\d+)?))?\s*mm.*?[fF]/?\s*(\d+(?:\.\d+)?)(?:-(\d+(?:\.\d+)?))?")
LONGEST = 200  # characters of a name: the patterns above and below take the square of a text's time
_FIRST_NUMBER = re.compile(r"\d+")
_CONVERTED = re.compile(r" \+ (?:.*? )?(\d+(?:\.\d+)?)x(?: |$)")


class Range(NamedTuple):
    """Focal lengths in millimetres and the largest apertures at both, with any converter in the name."""

    short: float
    long: float
    wide: float
    tele: float


def range_of(name: str) -> Range | None:
    """What a lens's name says of its range."""
    match = _RANGE.search(name) if len(name) <= LONGEST else None
    if match is None:
        return None
    short, wide = float(match[1]), float(match[3])
    found = Range(short, float(match[2] or short), wide, float(match[4] or wide))
    converter = _CONVERTED.search(name)
    return Range(*(part * float(converter[1]) for part in found)) if converter else found


@lru_cache(maxsize=256)
def _ranges(names: tuple[str, ...]) -> tuple[tuple[str, Range], ...]:
    """The lenses of one number that tell their range, with it: read once a number, of which one has 200 lenses."""
    ranges = ((name, range_of(name)) for name in (names[0].partition(" or ")[0], *names[1:]))
    return tuple((name, found) for name, found in ranges if found is not None)


def by_range(names: tuple[str, ...], short: float, long: float, aperture: float | None, model: str) -> str:
    """The lens of a camera that tells the focal lengths of what is mounted; empty where none fits.

    Args:
        names: of the lenses with its number.
        short: focal length in millimetres, with a converter if there is one.
        long: as short.
        aperture: the largest, as f-number.
        model: of the lens, as the camera calls it.
    """
    if len(names) == 1:
        return _with_converter(names[0], short)
    near: list[str] = []
    ranged: list[str] = []
    fitting: list[str] = []
    for converter in CONVERTERS:
        for name, found in _ranges(names):
            if abs(short - found.short * converter) > NEAR_MM:
                continue
            shown = f"{name} + {converter:g}x" if converter > 1 else name
            near.append(shown)
            if abs(long - found.long * converter) > NEAR_MM:
                continue
            ranged.append(shown)
            low, high = found.wide * converter - NEAR_STOP, found.tele * converter + NEAR_STOP
            if aperture is None or low <= aperture <= high:
                fitting.append(shown)
        if near:
            break
    # Sigma says in the model whether it is Art, Contemporary or Sports.
    line = re.search(r"\| [ACS]", model)
    if len(fitting) > 1 and line:
        fitting = [name for name in fitting if line[0] in name] or fitting
    return " or ".join(by_model(fitting or ranged or near, model))


def _with_converter(name: str, short: float) -> str:
    """A name with the converter that explains the focal length."""
    match = _FIRST_NUMBER.search(name)
    if match is None or name.endswith("x"):
        return name
    for converter in CONVERTERS:
        if abs(short - int(match[0]) * converter) <= NEAR_MM:
            return f"{name} + {converter:g}x" if converter > 1 else name
    return name


def by_spec(names: tuple[str, ...], spec: str) -> list[str]:
    """Those of several lenses with the range that Sony's LensSpec tells; if one is spelt like it, that one."""
    wanted = range_of(spec)
    found: list[str] = []
    if wanted is None:
        return found
    for name, own in _ranges(names):
        if abs(own.short - wanted.short) > 0.5 or abs(own.long - wanted.long) > 0.5:
            continue
        if abs(own.wide - wanted.wide) > 0.15 or abs(own.tele - wanted.tele) > 0.15:
            continue
        if re.search(rf" {re.escape(spec)}( \(| GM$|$)", name):
            return [name]
        if not name.startswith("Sony "):
            found.append(name)
    return found


def by_lengths(names: tuple[str, ...], short: float, long: float) -> list[str]:
    """Those of several lenses with the focal lengths stated."""
    return [
        name for name, own in _ranges(names) if abs(own.short - short) <= NEAR_MM and abs(own.long - long) <= NEAR_MM
    ]


def by_picture(names: tuple[str, ...], focal: float | None, aperture: float | None, model: str) -> str:
    """The lens of a camera that tells nothing but the picture's own focal length, and the largest aperture at it.

    Args:
        names: of the lenses with its number.
        focal: length in millimetres.
        aperture: as f-number.
        model: of the lens, as the camera calls it.
    """
    if len(names) == 1:
        return names[0]
    matches: list[str] = []
    best: list[str] = []
    least = math.inf
    for name, found in _ranges(names):
        if focal and not found.short - 0.5 <= focal <= found.long + 0.5:
            continue
        if aperture:
            if not found.wide - 0.15 <= aperture <= found.tele + 0.15:
                continue
            distance = abs(aperture - _aperture_at(found, focal or found.short))
            if distance > least + 0.15:
                continue
            if distance < least - 0.15:
                best = []
            least = distance
            best.append(name)
        matches.append(name)
    chosen = by_model(best or matches, model)
    return " or ".join(chosen) or model or names[0]


def _aperture_at(found: Range, focal: float) -> float:
    """The largest aperture at a focal length: between the ends its logarithm follows that of the length."""
    if found.short == found.long or found.wide == found.tele or focal <= found.short:
        return found.wide
    if focal >= found.long:
        return found.tele
    share = math.log(focal / found.short) / math.log(found.long / found.short)
    return float(found.wide * (found.tele / found.wide) ** share)


def by_model(names: list[str], model: str) -> list[str]:
    """Those of several lenses that agree with the model's focal lengths, aperture, version and motor."""

    def narrowed(names: list[str], pattern: str) -> list[str]:
        return [name for name in names if re.search(pattern, name, re.IGNORECASE)] or names

    focal = re.search(r"(?<!\d)(?:\d+-)?\d+mm", model)
    if len(names) > 1 and focal:
        names = narrowed(names, focal[0])
    stop = re.search(r"(?:F/?|1:)(\d+(?:\.\d+)?)", model, re.IGNORECASE)
    if len(names) > 1 and stop:
        names = narrowed(names, rf"(?:F/?|1:){re.escape(stop[1])}(?:\b|[A-Z])")
    for word in ("I+", "USM"):
        found = re.search(rf"\b{word}\b", model)
        if len(names) > 1 and found:
            names = [name for name in names if re.search(rf"\b{found[0]}\b", name)] or names
    return names
